//! The driver: what it needs, how long it runs, and what happens without it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use oauth2_proto::keeper::{Keeper, KeeperError, Runtime, Store};
use oauth2_proto::session::Save;
use oauth2_proto::{Request, Response, Snapshot};

use crate::shared::{signed_in, started};
use crate::tasks::Tasks;
use crate::world::{Answer, KEY, LIFETIME, World, client, policy};

fn keeper_and_driver(world: &World) -> (Keeper, oauth2_proto::keeper::Driver<World, World>) {
    Keeper::new(client(), policy(), world.clock(), world.clone(), world.clone())
}

#[test]
fn futures_are_send_where_the_parts_are() {
    fn is_send(_: &impl Send) {}
    let world = World::default();
    let (keeper, driver) = keeper_and_driver(&world);
    is_send(&keeper.access_token(KEY));
    is_send(&keeper.signed_in(KEY, world.sign_in()));
    is_send(&keeper.end(KEY));
    is_send(&keeper.session(KEY));
    is_send(&driver.run());
}

/// A program with one thread shares its parts by `Rc`.
#[test]
fn parts_need_not_be_send() {
    struct Local(Rc<Cell<u32>>);

    impl Store for Local {
        type Error = String;

        async fn load(&self, _: &str) -> Result<Option<Snapshot>, String> {
            self.0.set(self.0.get() + 1);
            Ok(None)
        }

        async fn compare_and_swap(&self, _: &str, _: &Save) -> Result<bool, String> {
            Ok(false)
        }
    }

    impl Runtime for Local {
        async fn send(&self, _: &Request, _: SystemTime) -> Option<Response<'static>> {
            None
        }

        async fn sleep(&self, _: SystemTime) {}
    }

    let loads = Rc::new(Cell::new(0));
    let now = || SystemTime::UNIX_EPOCH;
    let (keeper, driver) = Keeper::new(client(), policy(), now, Local(loads.clone()), Local(loads.clone()));
    let mut run = std::pin::pin!(driver.run_until(keeper.access_token(KEY)));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let error = loop {
        if let std::task::Poll::Ready(token) = run.as_mut().poll(&mut context) {
            break token.unwrap_err();
        }
    };
    assert_eq!(error.to_string(), "nothing is stored for this user; the user must sign in");
    assert_eq!(loads.get(), 1);
}

#[test]
fn a_driver_ends_when_the_last_keeper_is_dropped_and_everything_is_stored() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let (keeper, driver) = keeper_and_driver(&world);
    let driver = tasks.spawn(driver.run());
    let clone = keeper.clone();
    drop(keeper.signed_in(KEY, world.sign_in()));
    drop(keeper);
    drop(clone);
    while !tasks.is_done(driver) {
        assert!(tasks.step(), "the driver does not end");
    }
    assert_eq!(world.revision(), 1);
}

#[test]
fn a_function_that_starts_from_nothing_drives_its_own_call() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    drop(signed_in(&world, &mut tasks));
    for lifetime in 1..=3 {
        world.pass(Duration::from_secs(LIFETIME));
        let (keeper, driver) = keeper_and_driver(&world);
        let token = tasks.block_on(async move { driver.run_until(keeper.access_token(KEY)).await }).unwrap();
        assert!(world.accepts(&token));
        let state = world.state.lock().unwrap();
        assert_eq!(state.server.refreshes, lifetime);
    }
}

#[test]
fn run_until_returns_when_everything_is_stored() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let (keeper, driver) = keeper_and_driver(&world);
    let tokens = world.sign_in();
    tasks.block_on(async move {
        driver.run_until(async { drop(keeper.signed_in(KEY, tokens)) }).await;
    });
    assert_eq!(world.revision(), 1);
}

#[test]
fn callers_are_told_when_the_driver_is_gone() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let (keeper, driver) = keeper_and_driver(&world);
    let driver = tasks.spawn(driver.run());
    let waiting = keeper.clone();
    let caller = tasks.spawn(async move {
        let error = waiting.access_token(KEY).await.unwrap_err();
        assert!(matches!(error, KeeperError::Stopped), "{error}");
    });
    tasks.steps(3);
    assert!(!tasks.is_done(caller));
    tasks.cancel(driver);
    while !tasks.is_done(caller) {
        assert!(tasks.step());
    }
    let error = tasks.block_on(async move { keeper.access_token(KEY).await }).unwrap_err();
    assert_eq!(error.to_string(), "the keeper's driver was dropped; spawn Driver::run");
}

/// The transport of the world waits for ever when no answer comes.
#[test]
fn a_request_without_an_answer_is_given_up() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    world.pass(Duration::from_secs(LIFETIME));
    world.state.lock().unwrap().server.answers.push_back(Answer::Nothing);
    let start = world.now();
    let first = keeper.clone();
    let error = tasks.block_on(async move { first.access_token(KEY).await }).unwrap_err();
    assert!(matches!(error, KeeperError::NotNow { .. }), "{error}");
    // The claim of the refresh lasts for a minute, and its outcome is saved.
    let waited = world.now().duration_since(start).unwrap();
    assert!(waited > Duration::from_secs(59) && waited < Duration::from_secs(62), "{waited:?}");
    world.pass(Duration::from_secs(1));
    let token = tasks.block_on(async move { keeper.access_token(KEY).await }).unwrap();
    assert!(world.accepts(&token));
    let log = world.state.lock().unwrap().log.clone();
    assert_eq!(log, ["no answer to the refresh came", "the tokens were refreshed"]);
}

#[test]
fn many_users_are_served_side_by_side() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = started(&world, &mut tasks);
    let callers: Vec<_> = (0..1000)
        .map(|user| {
            let keeper = keeper.clone();
            tasks.spawn(async move {
                keeper.access_token(&format!("customer {user}")).await.unwrap_err();
            })
        })
        .collect();
    let start = world.now();
    while callers.iter().any(|caller| !tasks.is_done(*caller)) {
        assert!(tasks.step());
    }
    // A load takes 20 ms, however many run.
    assert_eq!(world.now(), start + Duration::from_millis(20));
}
