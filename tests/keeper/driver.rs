//! The driver: what it needs, how long it runs, and what happens without it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use oauth2_proto::keeper::{Driver, Keeper, KeeperError, Refreshed, Runtime, Store};
use oauth2_proto::session::{Reason, Save};
use oauth2_proto::{Request, Response, Snapshot};

use crate::calls::{ask, end, reason, sign_in, signed_in, started, token};
use crate::tasks::Tasks;
use crate::world::{Answer, KEY, LIFETIME, StoreFailure, World, client, policy};

fn keeper_and_driver(world: &World) -> (Keeper, Driver<World, World>) {
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
    assert_eq!(
        error.to_string(),
        "nothing is stored under this key; the user must sign in, or for tokens of the client's own the program \
         calls start_from_client_credentials"
    );
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

/// A process that has sent a request to which no answer comes. It gives up after a minute.
#[track_caller]
fn with_a_request_that_hangs(world: &World, tasks: &mut Tasks) -> Keeper {
    let keeper = signed_in(world, tasks);
    world.pass(Duration::from_secs(LIFETIME));
    world.state.lock().unwrap().server.answers.push_back(Answer::Nothing);
    ask(tasks, &keeper);
    while !world.state.lock().unwrap().server.answers.is_empty() {
        assert!(tasks.step());
    }
    keeper
}

#[test]
fn a_sign_in_is_stored_and_used_while_a_request_hangs() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = with_a_request_that_hangs(&world, &mut tasks);
    let start = world.now();
    sign_in(&world, &mut tasks, &keeper);
    assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-access-2");
    assert!(world.now() < start + Duration::from_secs(1));
    let elsewhere = started(&world, &mut tasks);
    assert_eq!(token(&mut tasks, &elsewhere).unwrap().secret().expose(), "fake-access-2");
}

#[test]
fn an_end_is_stored_while_a_request_hangs() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = with_a_request_that_hangs(&world, &mut tasks);
    let start = world.now();
    assert_eq!(end(&mut tasks, &keeper).unwrap().expose(), "fake-refresh-1");
    assert!(world.now() < start + Duration::from_secs(1));
    let elsewhere = started(&world, &mut tasks);
    assert_eq!(reason(&mut tasks, &keeper), Reason::Ended);
    assert_eq!(reason(&mut tasks, &elsewhere), Reason::Ended);
    // Another process can revoke the token where this one failed to.
    assert_eq!(end(&mut tasks, &elsewhere).unwrap().expose(), "fake-refresh-1");
    // Nobody waits for the answer to the request.
    assert!(world.now() < start + Duration::from_secs(1));
}

/// The other process refreshes, and its user signs in meanwhile.
#[test]
fn while_a_process_refreshes_another_one_looks_for_its_outcome() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    world.pass(Duration::from_secs(LIFETIME * 4 / 5));
    world.state.lock().unwrap().server.answers.push_back(Answer::Nothing);
    ask(&mut tasks, &keeper);
    while !world.state.lock().unwrap().server.answers.is_empty() {
        assert!(tasks.step());
    }
    let elsewhere = started(&world, &mut tasks);
    assert_eq!(token(&mut tasks, &elsewhere).unwrap().secret().expose(), "fake-access-1");
    sign_in(&world, &mut tasks, &keeper);
    world.pass(Duration::from_secs(1));
    // This call gets the living token, and has the store looked into.
    assert_eq!(token(&mut tasks, &elsewhere).unwrap().secret().expose(), "fake-access-1");
    while !tasks.are_quiet() {
        assert!(tasks.step());
    }
    assert_eq!(token(&mut tasks, &elsewhere).unwrap().secret().expose(), "fake-access-2");
}

#[test]
fn a_store_that_fails_while_a_request_hangs_is_tried_again() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = with_a_request_that_hangs(&world, &mut tasks);
    world.state.lock().unwrap().store_fails.extend([StoreFailure::Before; 2]);
    let (start, before) = (world.now(), world.revision());
    let (saved, tokens) = (keeper.clone(), world.sign_in());
    let error = tasks.block_on(async move { saved.signed_in(KEY, tokens).await }).unwrap_err();
    assert!(matches!(error, KeeperError::Store(_)), "{error}");
    while world.revision() == before {
        assert!(tasks.step(), "the tokens are not saved");
    }
    let waited = world.now().duration_since(start).unwrap();
    assert!(waited > Duration::from_secs(2) && waited < Duration::from_secs(3), "{waited:?}");
}

/// A pause of seconds is no reason to ask the store all the time.
#[test]
fn while_a_pause_runs_the_store_is_asked_now_and_then() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    world.pass(Duration::from_secs(LIFETIME));
    world.state.lock().unwrap().server.answers.extend([Answer::Busy; 3]);
    let (start, before) = (world.now(), world.state.lock().unwrap().loads);
    token(&mut tasks, &keeper).unwrap();
    let waited = world.now().duration_since(start).unwrap();
    let loads = world.state.lock().unwrap().loads - before;
    assert!(waited > Duration::from_secs(3) && loads < 25, "{loads} loads in {waited:?}");
}

#[test]
fn a_driver_does_not_try_for_ever_to_save_at_the_end() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    world.state.lock().unwrap().store_fails.extend([StoreFailure::Before; 1000]);
    let start = world.now();

    let (keeper, driver) = keeper_and_driver(&world);
    let driver = tasks.spawn(driver.run());
    drop(keeper.signed_in(KEY, world.sign_in()));
    drop(keeper);
    while !tasks.is_done(driver) {
        assert!(tasks.step(), "the driver does not end");
    }
    let (keeper, driver) = keeper_and_driver(&world);
    let tokens = world.sign_in();
    let saved = tasks.block_on(async move { driver.run_until(keeper.signed_in(KEY, tokens)).await });
    assert!(matches!(saved, Err(KeeperError::Store(_))), "{saved:?}");
    let waited = world.now().duration_since(start).unwrap();
    assert!(waited >= Duration::from_secs(180) && waited < Duration::from_secs(184), "{waited:?}");
}

/// No answer comes, whatever is asked.
#[test]
fn a_caller_waits_for_its_patience_and_one_request_at_most() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    world.pass(Duration::from_secs(LIFETIME));
    world.state.lock().unwrap().server.answers.extend([Answer::Nothing; 9]);
    let start = world.now();
    let error = token(&mut tasks, &keeper).unwrap_err();
    assert!(matches!(error, KeeperError::NotNow { .. }), "{error}");
    let waited = world.now().duration_since(start).unwrap();
    assert!(waited < Duration::from_secs(30 + 60 + 1), "{waited:?}");
}

/// Another process has claimed the refresh and hangs, and a function has two seconds.
#[test]
fn run_until_returns_although_another_process_refreshes() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let _other = with_a_request_that_hangs(&world, &mut tasks);
    let (keeper, driver) = keeper_and_driver(&world);
    let start = world.now();
    tasks.block_on({
        let world = world.clone();
        async move { driver.run_until(patient(&keeper, &world, Duration::from_secs(2))).await }
    });
    assert!(world.now() < start + Duration::from_millis(3100), "{:?}", world.now().duration_since(start));
}

/// The server was busy, and a pause runs.
#[test]
fn run_until_returns_although_a_pause_runs() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    drop(signed_in(&world, &mut tasks));
    world.pass(Duration::from_secs(LIFETIME));
    world.state.lock().unwrap().server.answers.extend([Answer::Busy; 99]);
    let (keeper, driver) = keeper_and_driver(&world);
    let start = world.now();
    tasks.block_on({
        let world = world.clone();
        async move { driver.run_until(patient(&keeper, &world, Duration::from_secs(5))).await }
    });
    assert!(world.now() < start + Duration::from_millis(6100), "{:?}", world.now().duration_since(start));
}

/// Asks for a token for this time at most.
async fn patient(keeper: &Keeper, world: &World, time: Duration) {
    let (mut token, mut end) = (std::pin::pin!(keeper.access_token(KEY)), std::pin::pin!(world.sleep(time)));
    std::future::poll_fn(|context| match token.as_mut().poll(context) {
        std::task::Poll::Ready(_) => std::task::Poll::Ready(()),
        std::task::Poll::Pending => end.as_mut().poll(context),
    })
    .await;
}

/// A program whose parts panic where the test says so.
struct Panics {
    world: World,
    /// The loads and the swaps that panic from now on.
    loads: AtomicU32,
    swaps: AtomicU32,
    /// The key whose operations panic.
    key: &'static str,
    log: bool,
}

impl Panics {
    fn new(world: &World) -> Self {
        let [loads, swaps] = [0, 0].map(AtomicU32::new);
        Self { world: world.clone(), loads, swaps, key: KEY, log: false }
    }

    /// Starts a process with these parts.
    fn started(self, tasks: &mut Tasks) -> Keeper {
        let world = self.world.clone();
        let log = PanicsInLog(world.clone(), self.log);
        let (keeper, driver) = Keeper::new(client(), policy(), world.clock(), self, log);
        tasks.spawn(driver.run());
        keeper
    }

    fn count_down(&self, left: &AtomicU32, key: &str) {
        let is_left = |left: u32| left.checked_sub(1);
        let panics =
            key == self.key && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_left).is_ok();
        assert!(!panics, "the store panics for {key}");
    }
}

impl Store for Panics {
    type Error = String;

    async fn load(&self, key: &str) -> Result<Option<Snapshot>, String> {
        self.count_down(&self.loads, key);
        Store::load(&self.world, key).await
    }

    async fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, String> {
        self.count_down(&self.swaps, key);
        Store::compare_and_swap(&self.world, key, save).await
    }
}

struct PanicsInLog(World, bool);

impl Runtime for PanicsInLog {
    async fn send(&self, request: &Request, until: SystemTime) -> Option<Response<'static>> {
        Runtime::send(&self.0, request, until).await
    }

    async fn sleep(&self, until: SystemTime) {
        Runtime::sleep(&self.0, until).await;
    }

    fn refreshed(&self, _: &str, outcome: Refreshed) {
        assert!(!self.1, "the log panics: {outcome}");
    }
}

#[test]
fn a_panic_of_the_log_loses_no_token() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    drop(signed_in(&world, &mut tasks));
    let keeper = Panics { log: true, ..Panics::new(&world) }.started(&mut tasks);
    for lifetime in 1..=3 {
        world.pass(Duration::from_secs(LIFETIME));
        let good = token(&mut tasks, &keeper).unwrap();
        assert!(world.accepts(&good));
        let elsewhere = started(&world, &mut tasks);
        assert_eq!(token(&mut tasks, &elsewhere).unwrap(), good);
        assert_eq!(world.state.lock().unwrap().server.refreshes, lifetime);
    }
}

#[test]
fn a_panic_of_the_store_is_told_and_the_next_call_works() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    drop(signed_in(&world, &mut tasks));
    let keeper = Panics { loads: AtomicU32::new(1), ..Panics::new(&world) }.started(&mut tasks);
    let error = token(&mut tasks, &keeper).unwrap_err();
    assert!(matches!(error, KeeperError::Panicked), "{error}");
    assert_eq!(error.to_string(), "the store or the runtime has panicked");
    assert_eq!(token(&mut tasks, &keeper).unwrap().secret().expose(), "fake-access-1");
}

#[test]
fn tokens_are_saved_after_a_panic_of_the_store() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = Panics { swaps: AtomicU32::new(2), ..Panics::new(&world) }.started(&mut tasks);
    let (saved, tokens) = (keeper.clone(), world.sign_in());
    let error = tasks.block_on(async move { saved.signed_in(KEY, tokens).await }).unwrap_err();
    assert!(matches!(error, KeeperError::Panicked), "{error}");
    let start = world.now();
    while world.revision() == 0 {
        assert!(tasks.step(), "the tokens are not saved");
    }
    let waited = world.now().duration_since(start).unwrap();
    assert!(waited > Duration::from_secs(2) && waited < Duration::from_secs(3), "{waited:?}");
}

/// The store panics for one user while the answer of another one is on its way.
#[test]
fn a_panic_for_one_user_leaves_the_others_alone() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    drop(signed_in(&world, &mut tasks));
    world.pass(Duration::from_secs(LIFETIME));
    let store = Panics { key: "customer 18", loads: AtomicU32::new(9), ..Panics::new(&world) };
    let keeper = store.started(&mut tasks);
    let refresh = tasks.start({
        let keeper = keeper.clone();
        async move { keeper.access_token(KEY).await }
    });
    while world.state.lock().unwrap().server.refreshes == 0 {
        assert!(tasks.step());
    }
    let error = tasks.block_on(async move { keeper.access_token("customer 18").await }).unwrap_err();
    assert!(matches!(error, KeeperError::Panicked), "{error}");
    let good = tasks.finish(refresh).unwrap();
    assert!(world.accepts(&good));
    let elsewhere = started(&world, &mut tasks);
    assert_eq!(token(&mut tasks, &elsewhere).unwrap(), good);
}
