//! One authorization from its first sign-in to its end, as a timeline.

use std::time::Duration;

use oauth2_proto::keeper::{Keeper, KeeperError};
use oauth2_proto::session::{Reason, TroubleKind, WaitReason};
use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Secret, Session};

use crate::shared::{signed_in, started};
use crate::tasks::Tasks;
use crate::world::{Answer, KEY, LIFETIME, World, client, policy};

#[track_caller]
fn token(tasks: &mut Tasks, keeper: &Keeper) -> Result<Secret, KeeperError> {
    let keeper = keeper.clone();
    tasks.block_on(async move { keeper.access_token(KEY).await })
}

#[track_caller]
fn session(tasks: &mut Tasks, keeper: &Keeper) -> Option<Session> {
    let keeper = keeper.clone();
    tasks.block_on(async move { keeper.session(KEY).await }).unwrap()
}

#[track_caller]
fn reason(tasks: &mut Tasks, keeper: &Keeper) -> Reason {
    match token(tasks, keeper).unwrap_err() {
        KeeperError::SignIn(reason) => reason,
        other => panic!("{other}"),
    }
}

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

    let tokens = world.sign_in();
    let saved = keeper.clone();
    tasks.block_on(async move { saved.signed_in(KEY, tokens).await }).unwrap();
    assert_eq!(token(&mut tasks, &keeper).unwrap().expose(), "fake-access-1");

    // While the token is good, a call asks nobody.
    let before = world.now();
    (0..10).for_each(|_| drop(token(&mut tasks, &keeper).unwrap()));
    assert_eq!(world.now(), before);

    let elsewhere = started(&world, &mut tasks);
    assert_eq!(token(&mut tasks, &elsewhere).unwrap().expose(), "fake-access-1");
    let ended = keeper.clone();
    let refresh_token = tasks.block_on(async move { ended.end(KEY).await }).unwrap();
    assert_eq!(refresh_token.unwrap().expose(), "fake-refresh-1");
    assert_eq!(reason(&mut tasks, &keeper), Reason::Ended);
    // The other process looks into the store once a minute.
    assert!(token(&mut tasks, &elsewhere).is_ok());
    pass(&world, 60);
    assert_eq!(reason(&mut tasks, &elsewhere), Reason::Ended);

    let tokens = world.sign_in();
    let saved = elsewhere.clone();
    tasks.block_on(async move { saved.signed_in(KEY, tokens).await }).unwrap();
    pass(&world, 1);
    for keeper in [&elsewhere, &keeper] {
        assert_eq!(token(&mut tasks, keeper).unwrap().expose(), "fake-access-2");
    }
}

#[test]
fn after_a_401_the_next_token_is_another() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    let rejected = token(&mut tasks, &keeper).unwrap();
    keeper.access_token_rejected(KEY, &rejected);
    let next = token(&mut tasks, &keeper).unwrap();
    assert!(next != rejected && world.accepts(&next));
    // A late report about the old token changes nothing.
    keeper.access_token_rejected(KEY, &rejected);
    assert_eq!(token(&mut tasks, &keeper).unwrap(), next);
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
    elsewhere.access_token_rejected(KEY, &old);
    let new = token(&mut tasks, &elsewhere).unwrap();

    assert!(!world.accepts(&old));
    keeper.access_token_rejected(KEY, &old);
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
    let resumed = keeper.clone();
    tasks.block_on(async move { resumed.resume(KEY).await }).unwrap();
    let good = token(&mut tasks, &keeper).unwrap();
    assert!(world.accepts(&good));
}

#[test]
fn a_refused_authorization_asks_for_a_sign_in_on_every_process() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    let elsewhere = started(&world, &mut tasks);
    world.state.lock().unwrap().server.current = None;
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
    let server =
        AuthorizationServer::new("https://as.example/authorize", "https://as.example/v2/token").unwrap();
    let moved = Client::new(server, "fake-client", ClientAuth::basic("fake-secret")).unwrap();
    assert_ne!(format!("{moved:?}"), format!("{:?}", client()));
    let (keeper, driver) = Keeper::new(moved, policy(), world.clock(), world.clone(), world.clone());
    tasks.spawn(driver.run());
    let error = token(&mut tasks, &keeper).unwrap_err();
    assert!(matches!(error, KeeperError::Misuse(_)), "{error}");
    let rebound = keeper.clone();
    tasks.block_on(async move { rebound.rebind(KEY).await }).unwrap();
    assert_eq!(token(&mut tasks, &keeper).unwrap().expose(), "fake-access-1");
    pass(&world, LIFETIME);
    assert_eq!(token(&mut tasks, &keeper).unwrap().expose(), "fake-access-2");
}
