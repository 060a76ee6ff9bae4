//! Keepers of the client's own tokens: no user, and one request for each lifetime.

use std::time::Duration;

use oauth2_proto::keeper::{Errand, Errands, Keeper, KeeperError, blocking};
use oauth2_proto::session::{Reason, TroubleKind};
use oauth2_proto::{Advice, AuthorizationServer, Client, ClientAuth, Secret};

use crate::calls::{ask, end, resume, session, sign_in, started_with, token};
use crate::tasks::Tasks;
use crate::world::{KEY, LIFETIME, World, client, moved_client, own_client, policy};

/// A process whose keeper asks for the client's own tokens.
#[track_caller]
fn started(world: &World, tasks: &mut Tasks) -> Keeper {
    let keeper = started_with(world, tasks, own_client());
    start(tasks, &keeper, &own_client()).unwrap();
    keeper
}

#[track_caller]
fn start(tasks: &mut Tasks, keeper: &Keeper, client: &Client) -> Result<(), KeeperError> {
    let (keeper, client) = (keeper.clone(), client.clone());
    tasks.block_on(async move {
        let request = client.client_credentials().scopes(["reports:read"]).parameter("audience", "api");
        keeper.start_from_client_credentials(KEY, request).await
    })
}

/// The client without its credentials.
#[track_caller]
fn public_client() -> Client {
    let server = AuthorizationServer::without_authorization_endpoint("https://as.example/token").unwrap();
    Client::new(server, "fake-client", ClientAuth::none()).unwrap()
}

fn requests(world: &World) -> usize {
    world.state.lock().unwrap().server.own_requests.len()
}

/// Each process starts the session, as it would at the start of the program; the first one's is stored.
#[test]
fn two_processes_make_one_request_for_each_lifetime() {
    for seed in 0..20 {
        let world = World::default();
        let mut tasks = Tasks::new(&world, seed);
        let keepers = [started(&world, &mut tasks), started(&world, &mut tasks)];
        for lifetime in 1..=5 {
            let callers: Vec<_> =
                (0..6).map(|caller| ask(&mut tasks, &keepers[caller % keepers.len()])).collect();
            for keeper in &keepers {
                let token = token(&mut tasks, keeper).unwrap();
                assert_eq!(token.secret().expose(), format!("fake-own-{lifetime}"), "seed {seed}");
            }
            callers.into_iter().for_each(|caller| tasks.cancel(caller));
            assert_eq!(requests(&world), lifetime, "seed {seed}");
            world.pass(Duration::from_secs(LIFETIME));
        }
        let state = world.state.lock().unwrap();
        let form = [("grant_type", "client_credentials"), ("scope", "reports:read"), ("audience", "api")];
        let form = form.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert!(state.server.own_requests.iter().all(|sent| *sent == form));
    }
}

#[test]
fn a_process_that_starts_later_uses_the_stored_token() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let first = started(&world, &mut tasks);
    assert_eq!(token(&mut tasks, &first).unwrap().secret().expose(), "fake-own-1");
    let second = started(&world, &mut tasks);
    assert_eq!(token(&mut tasks, &second).unwrap().secret().expose(), "fake-own-1");
    // A third one reads the store, without a start.
    let third = started_with(&world, &mut tasks, own_client());
    assert_eq!(token(&mut tasks, &third).unwrap().secret().expose(), "fake-own-1");
    assert_eq!(requests(&world), 1);
}

#[test]
fn after_a_401_the_next_token_is_another() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = started(&world, &mut tasks);
    let rejected = token(&mut tasks, &keeper).unwrap();
    keeper.access_token_rejected(KEY, rejected.secret());
    assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-own-2");
    assert_eq!(requests(&world), 2);
}

/// What a program does that obeys: it tells an operator, and never shows a sign-in.
#[test]
fn refusals_end_with_advice_for_an_operator() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    world.state.lock().unwrap().server.refuses_own = Some((400, r#"{"error":"invalid_grant"}"#));
    let keeper = started(&world, &mut tasks);
    let elsewhere = started(&world, &mut tasks);
    let gave_up = loop {
        match token(&mut tasks, &keeper).unwrap_err() {
            KeeperError::NotNow { trouble, .. } => {
                assert_eq!(trouble.unwrap().kind(), TroubleKind::UnclearRefusal);
                world.pass(Duration::from_secs(60));
            }
            other => break other,
        }
    };
    let KeeperError::NoUser { reason: Reason::GaveUp, trouble } = &gave_up else { panic!("{gave_up}") };
    assert_eq!(trouble.as_ref().unwrap().code(), Some("invalid_grant"));
    assert_eq!((gave_up.advice(), requests(&world)), (Advice::FixConfiguration, 6));
    let message = gave_up.to_string();
    assert!(message.contains("resume") && message.contains("invalid_grant"), "{message}");
    assert!(!message.contains("sign in"), "{message}");
    world.pass(Duration::from_secs(60));
    assert!(matches!(token(&mut tasks, &elsewhere).unwrap_err(), KeeperError::NoUser { .. }));
    assert_eq!(requests(&world), 6);

    world.state.lock().unwrap().server.refuses_own = None;
    resume(&mut tasks, &keeper);
    assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-own-7");
    world.pass(Duration::from_secs(60));
    assert_eq!(token(&mut tasks, &elsewhere).unwrap().secret().expose(), "fake-own-7");
}

#[test]
fn a_rejected_client_is_an_operators_too_and_is_never_given_up() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    world.state.lock().unwrap().server.refuses_own = Some((401, r#"{"error":"invalid_client"}"#));
    let keeper = started(&world, &mut tasks);
    for _ in 0..50 {
        let error = token(&mut tasks, &keeper).unwrap_err();
        assert!(matches!(&error, KeeperError::NotNow { .. }), "{error}");
        assert_eq!(error.advice(), Advice::FixConfiguration);
        world.pass(Duration::from_secs(600));
    }
}

#[test]
fn the_end_leaves_nothing_to_revoke_and_no_user_to_ask() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = started(&world, &mut tasks);
    token(&mut tasks, &keeper).unwrap();
    assert!(end(&mut tasks, &keeper).is_none());
    for _ in 0..2 {
        let error = token(&mut tasks, &keeper).unwrap_err();
        assert!(matches!(&error, KeeperError::NoUser { reason: Reason::Ended, .. }), "{error}");
        assert!(error.to_string().contains("ended"), "{error}");
        // A start leaves what is stored as it is.
        start(&mut tasks, &keeper, &own_client()).unwrap();
    }
    assert_eq!(requests(&world), 1);
}

#[test]
fn a_start_without_a_session_is_a_first_one_and_a_users_session_stays() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = started_with(&world, &mut tasks, own_client());
    let error = token(&mut tasks, &keeper).unwrap_err();
    assert!(matches!(error, KeeperError::SignIn(Reason::NotSignedIn)), "{error}");
    assert!(session(&mut tasks, &keeper).is_none());

    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = started_with(&world, &mut tasks, client());
    sign_in(&world, &mut tasks, &keeper);
    // Pleo's client is told at once.
    assert!(matches!(start(&mut tasks, &keeper, &client()).unwrap_err(), KeeperError::Misuse(_)));
    let elsewhere = started_with(&world, &mut tasks, own_client());
    let error = start(&mut tasks, &elsewhere, &own_client()).unwrap_err();
    assert_eq!(error.advice(), Advice::FixConfiguration, "{error}");
    assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-access-1");
}

/// One key for both would give the program's own work a user's access, or a user the program's.
#[test]
fn a_key_is_a_users_or_the_clients_own() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = started_with(&world, &mut tasks, own_client());
    let of_user = |keeper: Keeper| async move {
        keeper.start_from_refresh_token(KEY, Secret::new("fake-of-a-user")).await
    };
    tasks.block_on(of_user(keeper.clone())).unwrap();
    let message = start(&mut tasks, &keeper, &own_client()).unwrap_err().to_string();
    assert!(message.contains("are a user's; use another key"), "{message}");
    assert_eq!(requests(&world), 0);

    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = started(&world, &mut tasks);
    let message = tasks.block_on(of_user(keeper.clone())).unwrap_err().to_string();
    assert!(message.contains("are the client's own; use another key"), "{message}");
    assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-own-1");

    let blocking = blocking::Keeper::new(own_client(), policy(), world.clock(), world.clone(), world.clone());
    let error = blocking.start_from_refresh_token(KEY, Secret::new("fake-of-a-user")).unwrap_err();
    assert!(matches!(error, KeeperError::Misuse(_)), "{error}");
}

#[test]
fn another_clients_request_is_refused() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = started_with(&world, &mut tasks, own_client());
    for other in [moved_client(), client()] {
        let error = start(&mut tasks, &keeper, &other).unwrap_err();
        assert!(matches!(error, KeeperError::Misuse(_)), "{error}");
    }
    // The keeper's own client has no credentials, whatever the one has that began the request.
    let keeper = started_with(&world, &mut tasks, public_client());
    let error = start(&mut tasks, &keeper, &own_client()).unwrap_err();
    assert!(matches!(error, KeeperError::Misuse(_)), "{error}");
    assert_eq!((requests(&world), world.revision()), (0, 0));
}

/// A process whose client lost its credentials finds the session of another one.
#[test]
fn a_client_that_cannot_ask_uses_the_token_and_then_says_so() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let able = started(&world, &mut tasks);
    token(&mut tasks, &able).unwrap();
    let keeper = started_with(&world, &mut tasks, public_client());
    assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-own-1");
    world.pass(Duration::from_secs(LIFETIME));
    let error = token(&mut tasks, &keeper).unwrap_err();
    assert!(matches!(&error, KeeperError::NoUser { reason: Reason::NoRefreshToken, .. }), "{error}");
    assert!(error.to_string().contains("cannot ask"), "{error}");
    assert_eq!(requests(&world), 1);
}

#[test]
fn a_blocking_keeper_does_the_same() {
    let world = World::default();
    let keeper =
        |client| blocking::Keeper::new(client, policy(), world.clock(), world.clone(), world.clone());
    let (one, other) = (keeper(own_client()), keeper(own_client()));
    let client = own_client();
    for keeper in [&one, &other] {
        keeper.start_from_client_credentials(KEY, client.client_credentials().scopes(["a"])).unwrap();
    }
    for lifetime in 1..=3 {
        for keeper in [&one, &other] {
            assert_eq!(keeper.access_token(KEY).unwrap().secret().expose(), format!("fake-own-{lifetime}"));
        }
        world.pass(Duration::from_secs(LIFETIME));
    }
    assert_eq!(requests(&world), 3);
    let pleo = crate::world::client();
    let error = one.start_from_client_credentials(KEY, pleo.client_credentials()).unwrap_err();
    assert!(matches!(error, KeeperError::Misuse(_)), "{error}");
}

#[test]
fn a_first_token_takes_a_load_two_saves_and_a_request() {
    let (now, client) = (World::default().now(), own_client());
    let mut errands = Errands::new(own_client(), policy());
    errands.start_from_client_credentials(client.client_credentials().scopes(["a"])).unwrap();
    assert!(!errands.is_saved());
    let Errand::Load = errands.next(now) else { panic!("it may be started already") };
    errands.loaded(None, now);
    for revision in [0, 1] {
        let Errand::Swap(save) = errands.next(now) else { panic!("the session and the claim are saved") };
        assert_eq!(save.expected_revision(), revision);
        errands.swapped(save, true, now);
    }
    let Errand::Send { call, .. } = errands.next(now) else { panic!("the first token is asked for") };
    assert_eq!(call.request().body(), "grant_type=client_credentials&scope=a");
}
