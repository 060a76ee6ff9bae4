//! One authorization from its first sign-in to its end, as a timeline.

use std::time::Duration;

use oauth2_proto::keeper::KeeperError;
use oauth2_proto::session::{Reason, TroubleKind, WaitReason};
use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Secret, TokenResponse};

use crate::calls::{
    ask, end, reason, rebind, resume, session, sign_in, signed_in, started, started_with, token,
};
use crate::tasks::Tasks;
use crate::world::{Answer, KEY, LIFETIME, World, client, moved_client};

fn pass(world: &World, seconds: u64) {
    world.pass(Duration::from_secs(seconds));
}

#[test]
fn from_the_first_sign_in_to_the_end() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = started(&world, &mut tasks);
    assert_eq!(reason(&mut tasks, &keeper), Reason::NotSignedIn);
    assert!(session(&mut tasks, &keeper).is_none());

    sign_in(&world, &mut tasks, &keeper);
    assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-access-1");

    // While the token is good, a call asks nobody.
    let before = world.now();
    (0..10).for_each(|_| drop(token(&mut tasks, &keeper).unwrap()));
    assert_eq!(world.now(), before);

    let elsewhere = started(&world, &mut tasks);
    assert_eq!(token(&mut tasks, &elsewhere).unwrap().secret().expose(), "fake-access-1");
    assert_eq!(end(&mut tasks, &keeper).unwrap().expose(), "fake-refresh-1");
    assert_eq!(reason(&mut tasks, &keeper), Reason::Ended);
    // The other process looks into the store once a minute.
    assert!(token(&mut tasks, &elsewhere).is_ok());
    pass(&world, 60);
    assert_eq!(reason(&mut tasks, &elsewhere), Reason::Ended);

    sign_in(&world, &mut tasks, &elsewhere);
    pass(&world, 1);
    for keeper in [&elsewhere, &keeper] {
        assert_eq!(token(&mut tasks, keeper).unwrap().secret().expose(), "fake-access-2");
    }
}

#[test]
fn after_a_401_the_next_token_is_another() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    let rejected = token(&mut tasks, &keeper).unwrap();
    keeper.access_token_rejected(KEY, rejected.secret());
    let next = token(&mut tasks, &keeper).unwrap();
    assert!(next != rejected && world.accepts(&next));
    // A late report about the old token changes nothing, and asks nobody.
    let before = world.now();
    keeper.access_token_rejected(KEY, rejected.secret());
    assert_eq!(token(&mut tasks, &keeper).unwrap(), next);
    assert_eq!(world.now(), before);
    let state = world.state.lock().unwrap();
    assert_eq!(state.server.refreshes, 1);
}

/// Pleo ends every earlier token at a refresh, so a 401 most often means that another process has refreshed.
#[test]
fn after_a_401_the_token_of_another_process_is_taken() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    let old = token(&mut tasks, &keeper).unwrap();
    let elsewhere = started(&world, &mut tasks);
    drop(token(&mut tasks, &elsewhere).unwrap());
    elsewhere.access_token_rejected(KEY, old.secret());
    let new = token(&mut tasks, &elsewhere).unwrap();

    assert!(!world.accepts(&old));
    keeper.access_token_rejected(KEY, old.secret());
    assert_eq!(token(&mut tasks, &keeper).unwrap(), new);
    let state = world.state.lock().unwrap();
    assert_eq!(state.server.refreshes, 1);
}

#[test]
fn a_short_trouble_is_waited_for_and_a_long_one_is_told() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    pass(&world, LIFETIME);
    world.state.lock().unwrap().server.answers.extend([Answer::Busy; 2]);
    let good = token(&mut tasks, &keeper).unwrap();
    assert!(world.accepts(&good), "two pauses are shorter than the patience");

    pass(&world, LIFETIME);
    world.state.lock().unwrap().server.answers.extend([Answer::Busy; 9]);
    let start = world.now();
    let KeeperError::NotNow { until, reason, trouble } = token(&mut tasks, &keeper).unwrap_err() else {
        panic!("there is no token")
    };
    assert_eq!(reason, WaitReason::Pause);
    assert!(until > world.now() && world.now() < start + Duration::from_secs(30));
    let trouble = trouble.unwrap();
    assert_eq!((trouble.kind(), trouble.status()), (TroubleKind::Unavailable, Some(503)));
    assert_eq!(trouble.failures(), session(&mut tasks, &keeper).unwrap().trouble().unwrap().failures());
    let error = token(&mut tasks, &keeper).unwrap_err().to_string();
    assert!(
        error.starts_with("no access token now; ask again at ") && error.contains("(HTTP status 503)"),
        "{error}"
    );

    // The operator knows that it is over.
    world.state.lock().unwrap().server.answers.clear();
    resume(&mut tasks, &keeper);
    let good = token(&mut tasks, &keeper).unwrap();
    assert!(world.accepts(&good));
}

#[test]
fn a_refused_authorization_asks_for_a_sign_in_on_every_process() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    let elsewhere = started(&world, &mut tasks);
    world.state.lock().unwrap().server.revoke(&Secret::new("fake-refresh-1"));
    pass(&world, LIFETIME);
    assert_eq!(reason(&mut tasks, &keeper), Reason::Refused);
    assert_eq!(reason(&mut tasks, &elsewhere), Reason::Refused);
    let log = world.state.lock().unwrap().log.clone();
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0].starts_with("the refresh failed: refused by the server"), "{log:?}");
}

#[test]
fn another_client_is_told_and_a_moved_endpoint_is_one_step() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    drop(signed_in(&world, &mut tasks));
    assert_ne!(format!("{:?}", moved_client()), format!("{:?}", client()));
    let keeper = started_with(&world, &mut tasks, moved_client());
    let error = token(&mut tasks, &keeper).unwrap_err();
    assert!(matches!(error, KeeperError::Misuse(_)), "{error}");
    rebind(&mut tasks, &keeper);
    assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-access-1");
    pass(&world, LIFETIME);
    assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-access-2");
}

/// The web process remembers what the worker has replaced since.
#[test]
fn an_end_ends_what_is_stored_and_not_what_is_remembered() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let web = signed_in(&world, &mut tasks);
    let worker = started(&world, &mut tasks);
    drop(token(&mut tasks, &worker).unwrap());
    pass(&world, 5);
    sign_in(&world, &mut tasks, &worker);
    assert_eq!(end(&mut tasks, &web).unwrap().expose(), "fake-refresh-2");
    assert_eq!(reason(&mut tasks, &web), Reason::Ended);
    pass(&world, 60);
    assert_eq!(reason(&mut tasks, &worker), Reason::Ended);
}

/// The user disconnects and connects again at once. A program revokes what `end` returns.
#[test]
fn an_end_leaves_a_later_sign_in_alone_at_every_await_point() {
    let mut ended = Vec::new();
    for steps in 0..20 {
        let world = World::default();
        let mut tasks = Tasks::new(&world, 1);
        let keeper = signed_in(&world, &mut tasks);
        let refresh_token = tasks.start({
            let keeper = keeper.clone();
            async move { keeper.end(KEY).await.unwrap() }
        });
        tasks.poll(refresh_token.task);
        tasks.steps(steps);
        sign_in(&world, &mut tasks, &keeper);
        let refresh_token = tasks.finish(refresh_token);
        let refresh_token = refresh_token.map(|token| token.expose().to_owned());
        assert!(
            refresh_token.is_none() || refresh_token.as_deref() == Some("fake-refresh-1"),
            "{steps} steps: {refresh_token:?}"
        );
        assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-access-2", "{steps} steps");
        ended.push(refresh_token.is_some());
    }
    assert!(!ended[1] && ended[19], "the sign-in comes before and after the end is stored: {ended:?}");
}

/// The worker gave up while the web process remembered the last good tokens.
#[test]
fn a_resume_works_on_a_process_whose_memory_is_old() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let web = signed_in(&world, &mut tasks);
    let worker = started(&world, &mut tasks);
    pass(&world, LIFETIME);
    world.state.lock().unwrap().server.answers.extend([Answer::Busy; 600]);
    loop {
        match token(&mut tasks, &worker).unwrap_err() {
            KeeperError::NotNow { until, .. } => {
                world.pass(until.duration_since(world.now()).unwrap_or_default());
            }
            KeeperError::SignIn(reason) => {
                assert_eq!(reason, Reason::GaveUp);
                break;
            }
            other => panic!("{other}"),
        }
    }
    world.state.lock().unwrap().server.answers.clear();
    resume(&mut tasks, &web);
    let good = token(&mut tasks, &web).unwrap();
    assert!(world.accepts(&good));
}

/// A process with the old client refreshes before, while, and after the new one loads and saves.
#[test]
fn a_rebind_is_carried_out_on_what_another_process_has_saved() {
    for steps in 0..20 {
        let world = World::default();
        let mut tasks = Tasks::new(&world, 1);
        let old = signed_in(&world, &mut tasks);
        let new = started_with(&world, &mut tasks, moved_client());
        let error = token(&mut tasks, &new).unwrap_err();
        assert!(matches!(error, KeeperError::Misuse(_)), "{error}");
        let rejected = token(&mut tasks, &old).unwrap();
        old.access_token_rejected(KEY, rejected.secret());
        pass(&world, 1);
        let refresh = ask(&mut tasks, &old);
        tasks.steps(steps);
        rebind(&mut tasks, &new);
        while !tasks.is_done(refresh) {
            assert!(tasks.step(), "{steps} steps");
        }
        token(&mut tasks, &new).unwrap_or_else(|error| panic!("{steps} steps: {error}"));
        // What the old client's process saved after the rebind is read within a minute.
        pass(&world, 60);
        let good = token(&mut tasks, &new).unwrap_or_else(|error| panic!("{steps} steps: {error}"));
        assert!(world.accepts(&good), "{steps} steps");
    }
}

#[test]
fn a_look_at_a_session_neither_refreshes_nor_waits() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    drop(signed_in(&world, &mut tasks));
    let keeper = started(&world, &mut tasks);
    pass(&world, LIFETIME);
    let start = world.now();
    let stored = session(&mut tasks, &keeper).unwrap();
    assert_eq!(stored.revision(), 1);
    assert_eq!(world.now(), start + Duration::from_millis(20), "one load");
    tasks.steps(100);
    assert_eq!((world.revision(), world.state.lock().unwrap().server.refreshes), (1, 0));
}

#[test]
fn tokens_of_another_client_are_stored_and_left_to_its_holder() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let wrong = started_with(&world, &mut tasks, moved_client());
    let right = started(&world, &mut tasks);
    let (keeper, tokens) = (wrong.clone(), world.sign_in());
    let error = tasks.block_on(async move { keeper.signed_in(KEY, tokens).await }).unwrap_err();
    assert!(matches!(error, KeeperError::Misuse(_)), "{error}");
    assert_eq!(world.revision(), 1);
    pass(&world, LIFETIME);
    // Requests come to both processes.
    for _ in 0..20 {
        let error = token(&mut tasks, &wrong).unwrap_err();
        assert!(matches!(error, KeeperError::Misuse(_)), "{error}");
        let good = token(&mut tasks, &right).unwrap();
        assert!(world.accepts(&good));
        pass(&world, 66);
    }
    let refreshes = world.state.lock().unwrap().server.refreshes;
    assert_eq!(world.revision(), 1 + 2 * u64::from(refreshes), "the wrong process claims nothing");
}

#[test]
fn at_a_server_without_refreshes_a_token_is_given_until_it_ends() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let server = AuthorizationServer::new("https://as.example/authorize", "https://as.example/token")
        .unwrap()
        .grant_types_supported(["authorization_code"]);
    let client = Client::new(server, "fake-client", ClientAuth::basic("fake-secret")).unwrap();
    let body = format!(
        r#"{{"access_token":"fake-access","token_type":"Bearer","expires_in":{LIFETIME},"refresh_token":"fake-refresh"}}"#
    );
    let tokens = TokenResponse::for_test(&client, &body).unwrap();
    let keeper = started_with(&world, &mut tasks, client);
    let saved = keeper.clone();
    tasks.block_on(async move { saved.signed_in(KEY, tokens).await }).unwrap();
    assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-access");
    pass(&world, LIFETIME);
    assert_eq!(reason(&mut tasks, &keeper), Reason::NoRefreshToken);
}

#[test]
fn a_sign_in_of_another_process_is_found_during_a_long_pause() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let web = signed_in(&world, &mut tasks);
    let worker = started(&world, &mut tasks);
    pass(&world, LIFETIME);
    world.state.lock().unwrap().server.answers.extend([Answer::Busy; 80]);
    loop {
        let KeeperError::NotNow { until, .. } = token(&mut tasks, &worker).unwrap_err() else {
            panic!("a pause runs")
        };
        let left = until.duration_since(world.now()).unwrap_or_default();
        if left > Duration::from_secs(40) {
            break;
        }
        world.pass(left);
    }
    world.state.lock().unwrap().server.answers.clear();
    sign_in(&world, &mut tasks, &web);
    pass(&world, 1);
    let good = token(&mut tasks, &worker).unwrap();
    assert!(world.accepts(&good));
}

#[test]
fn a_rebind_of_another_process_is_found() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    drop(signed_in(&world, &mut tasks));
    let [web, worker] = [(); 2].map(|()| started_with(&world, &mut tasks, moved_client()));
    let error = token(&mut tasks, &worker).unwrap_err();
    assert!(matches!(error, KeeperError::Misuse(_)), "{error}");
    rebind(&mut tasks, &web);
    pass(&world, 1);
    assert_eq!(token(&mut tasks, &worker).unwrap().secret().expose(), "fake-access-1");
}

/// The process has just started, or has forgotten an idle user.
#[test]
fn a_401_counts_on_a_process_that_has_not_read_the_store_yet() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    let rejected = token(&mut tasks, &keeper).unwrap();
    let restarted = started(&world, &mut tasks);
    restarted.access_token_rejected(KEY, rejected.secret());
    let next = token(&mut tasks, &restarted).unwrap();
    assert!(next != rejected && world.accepts(&next));
}

/// The program makes a mistake, and each of its calls must still return.
#[test]
fn the_keeper_of_another_client_ends_looks_at_and_rebinds_tokens_that_are_due() {
    for call in ["session", "end", "rebind", "token"] {
        let world = World::default();
        let mut tasks = Tasks::new(&world, 1);
        let wrong = started_with(&world, &mut tasks, moved_client());
        let (saved, tokens) = (wrong.clone(), world.sign_in());
        let error = tasks.block_on(async move { saved.signed_in(KEY, tokens).await }).unwrap_err();
        assert!(matches!(error, KeeperError::Misuse(_)), "{error}");
        pass(&world, LIFETIME);
        match call {
            "session" => assert!(session(&mut tasks, &wrong).is_some()),
            "end" => assert_eq!(end(&mut tasks, &wrong).unwrap().expose(), "fake-refresh-1"),
            "rebind" => {
                rebind(&mut tasks, &wrong);
                assert_eq!(token(&mut tasks, &wrong).unwrap().secret().expose(), "fake-access-2");
            }
            _ => {
                let error = token(&mut tasks, &wrong).unwrap_err();
                assert!(matches!(error, KeeperError::Misuse(_)), "{error}");
                // Another process binds the tokens to this client.
                let elsewhere = started_with(&world, &mut tasks, moved_client());
                rebind(&mut tasks, &elsewhere);
                pass(&world, 2);
                assert!(token(&mut tasks, &wrong).is_ok());
            }
        }
    }
}

#[test]
fn a_401_for_a_user_without_a_snapshot_is_looked_up_once() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = started(&world, &mut tasks);
    assert_eq!(reason(&mut tasks, &keeper), Reason::NotSignedIn);
    let before = world.state.lock().unwrap().loads;
    keeper.access_token_rejected(KEY, &Secret::new("fake-access-1"));
    keeper.access_token_rejected(KEY, &Secret::new("fake-access-2"));
    tasks.steps(100);
    assert_eq!(world.state.lock().unwrap().loads - before, 1);
    assert!(tasks.are_quiet());
}

#[test]
fn a_refresh_token_from_elsewhere_is_taken_after_the_row_was_deleted() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    world.state.lock().unwrap().rows.clear();
    let moved = keeper.clone();
    let token_of_old = Secret::new("fake-refresh-1");
    tasks.block_on(async move { moved.start_from_refresh_token(KEY, token_of_old).await }).unwrap();
    assert_eq!(world.revision(), 1);
    assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-access-2");
}
