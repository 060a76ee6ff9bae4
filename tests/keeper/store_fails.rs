//! The store fails, lags, loses a write, or is changed by somebody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use oauth2_proto::Snapshot;
use oauth2_proto::keeper::{Keeper, KeeperError, Store};
use oauth2_proto::session::{Reason, Save};

use crate::calls::{self, end, reason, sign_in, signed_in, started};
use crate::tasks::Tasks;
use crate::world::{Answer, KEY, LIFETIME, StoreFailure, World, client, policy};

fn fail(world: &World, failures: impl IntoIterator<Item = StoreFailure>) {
    world.state.lock().unwrap().store_fails.extend(failures);
}

/// The text of a token, or an error.
#[track_caller]
fn token(tasks: &mut Tasks, keeper: &Keeper) -> Result<String, KeeperError> {
    calls::token(tasks, keeper).map(|token| token.secret().expose().to_owned())
}

#[test]
fn while_the_store_fails_a_living_token_is_used() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    world.pass(Duration::from_secs(61));
    fail(&world, [StoreFailure::Before; 3]);
    for _ in 0..3 {
        assert_eq!(token(&mut tasks, &keeper).unwrap(), "fake-access-1");
    }
    let newcomer = started(&world, &mut tasks);
    fail(&world, [StoreFailure::Before; 3]);
    let error = token(&mut tasks, &newcomer).unwrap_err();
    assert_eq!(error.to_string(), "the store failed: the database is away");
}

/// The new tokens exist in this process only, so it saves them as soon as it can, although nobody asks.
#[test]
fn tokens_that_could_not_be_saved_are_saved_later() {
    for failure in [StoreFailure::Before, StoreFailure::After] {
        let world = World::default();
        let mut tasks = Tasks::new(&world, 1);
        let keeper = signed_in(&world, &mut tasks);
        world.pass(Duration::from_secs(LIFETIME));
        let caller = {
            let keeper = keeper.clone();
            tasks.spawn(async move { drop(keeper.access_token(KEY).await) })
        };
        while world.state.lock().unwrap().server.refreshes == 0 {
            assert!(tasks.step());
        }
        fail(&world, [failure; 5]);
        tasks.cancel(caller);
        let claimed = world.revision();
        while world.revision() == claimed || !world.state.lock().unwrap().store_fails.is_empty() {
            assert!(tasks.step(), "{failure:?}: the tokens are not saved");
        }
        let elsewhere = started(&world, &mut tasks);
        assert_eq!(token(&mut tasks, &elsewhere).unwrap(), "fake-access-2", "{failure:?}");
        assert_eq!(world.state.lock().unwrap().server.refreshes, 1, "{failure:?}");
    }
}

#[test]
fn a_sign_in_reports_that_it_is_not_stored_and_is_stored_later() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = started(&world, &mut tasks);
    fail(&world, [StoreFailure::Before]);
    let (saved, tokens) = (keeper.clone(), world.sign_in());
    let error = tasks.block_on(async move { saved.signed_in(KEY, tokens).await }).unwrap_err();
    assert!(matches!(error, KeeperError::Store(_)), "{error}");
    while world.revision() == 0 {
        assert!(tasks.step(), "the tokens are not saved");
    }
    assert_eq!(token(&mut tasks, &keeper).unwrap(), "fake-access-1");
}

#[test]
fn a_store_that_lost_its_last_write_gets_it_again() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    let backup = world.state.lock().unwrap().rows.clone();
    world.pass(Duration::from_secs(LIFETIME));
    assert_eq!(token(&mut tasks, &keeper).unwrap(), "fake-access-2");
    world.state.lock().unwrap().rows = backup;
    world.pass(Duration::from_secs(LIFETIME));
    assert_eq!(token(&mut tasks, &keeper).unwrap(), "fake-access-3");
    assert_eq!(world.state.lock().unwrap().server.reuses, 0);
}

#[test]
fn a_deleted_row_means_that_the_user_is_gone() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    world.state.lock().unwrap().rows.clear();
    world.pass(Duration::from_secs(60));
    assert_eq!(reason(&mut tasks, &keeper), Reason::NotSignedIn);

    // Another process signs the user in under the same key; the first sign-in of this one was years ago.
    let elsewhere = started(&world, &mut tasks);
    sign_in(&world, &mut tasks, &elsewhere);
    world.pass(Duration::from_secs(60));
    assert_eq!(token(&mut tasks, &keeper).unwrap(), "fake-access-2");
}

#[test]
fn a_row_that_was_replaced_is_taken_as_it_is() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    world.state.lock().unwrap().rows.clear();
    let elsewhere = started(&world, &mut tasks);
    sign_in(&world, &mut tasks, &elsewhere);
    world.pass(Duration::from_secs(60));
    assert_eq!(token(&mut tasks, &keeper).unwrap(), "fake-access-2");
}

#[test]
fn a_sign_in_after_the_row_was_deleted_is_a_first_one() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    world.state.lock().unwrap().rows.clear();
    sign_in(&world, &mut tasks, &keeper);
    assert_eq!(world.revision(), 1);
    assert_eq!(token(&mut tasks, &keeper).unwrap(), "fake-access-2");
}

#[test]
fn of_two_first_sign_ins_in_two_processes_the_later_one_wins() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keepers = [started(&world, &mut tasks), started(&world, &mut tasks)];
    for keeper in &keepers {
        drop(keeper.signed_in(KEY, world.sign_in()));
        world.pass(Duration::from_millis(5));
    }
    for keeper in &keepers {
        drop(token(&mut tasks, keeper).unwrap());
    }
    world.pass(Duration::from_secs(60));
    for keeper in &keepers {
        assert_eq!(token(&mut tasks, keeper).unwrap(), "fake-access-2");
    }
}

/// The keeper has the tokens of a sign-in that is not stored yet, over a row that was deleted.
#[test]
fn an_end_after_a_sign_in_over_a_deleted_row_is_carried_out() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    world.state.lock().unwrap().rows.clear();
    drop(keeper.signed_in(KEY, world.sign_in()));
    assert_eq!(end(&mut tasks, &keeper).unwrap().expose(), "fake-refresh-2");
    assert_eq!(reason(&mut tasks, &keeper), Reason::Ended);
    let elsewhere = started(&world, &mut tasks);
    assert_eq!(reason(&mut tasks, &elsewhere), Reason::Ended);
}

/// The caller waited for a pause when the store failed. The next caller's patience is its own.
#[test]
fn a_wait_that_a_failure_of_the_store_interrupts_is_over() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let keeper = signed_in(&world, &mut tasks);
    world.pass(Duration::from_secs(LIFETIME));
    world.state.lock().unwrap().server.answers.push_back(Answer::Busy);
    let caller = tasks.start({
        let keeper = keeper.clone();
        async move { keeper.access_token(KEY).await }
    });
    while world.revision() < 3 {
        assert!(tasks.step());
    }
    fail(&world, [StoreFailure::Before]);
    let error = tasks.finish(caller).unwrap_err();
    assert!(matches!(error, KeeperError::Store(_)), "{error}");

    // An hour later all is well, and then the server is busy for one request.
    world.pass(Duration::from_secs(3600));
    world.state.lock().unwrap().server.answers.push_back(Answer::Busy);
    assert_eq!(token(&mut tasks, &keeper).unwrap(), "fake-access-2");
}

/// A store that counts swaps and hides its row, as after a deletion that only marks it.
struct Hidden {
    world: World,
    swaps: Arc<AtomicU32>,
}

impl Store for Hidden {
    type Error = String;

    async fn load(&self, _: &str) -> Result<Option<Snapshot>, String> {
        self.world.sleep(Duration::from_millis(10)).await;
        Ok(None)
    }

    async fn compare_and_swap(&self, _: &str, _: &Save) -> Result<bool, String> {
        self.swaps.fetch_add(1, Ordering::Relaxed);
        Ok(false)
    }
}

#[test]
fn a_store_that_hides_its_row_is_told_and_not_asked_without_end() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    let swaps = Arc::new(AtomicU32::new(0));
    let store = Hidden { world: world.clone(), swaps: swaps.clone() };
    let (keeper, driver) = Keeper::new(client(), policy(), world.clock(), store, world.clone());
    tasks.spawn(driver.run());
    let start = world.now();
    let (saved, tokens) = (keeper.clone(), world.sign_in());
    let error = tasks.block_on(async move { saved.signed_in(KEY, tokens).await }).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the store failed: the store refuses to save and shows nothing newer; test the store by \
         its contract"
    );
    while world.now() < start + Duration::from_secs(60) {
        assert!(tasks.step(), "the tokens are saved as soon as the store takes them");
    }
    let swaps = swaps.load(Ordering::Relaxed);
    assert!((2..=20).contains(&swaps), "{swaps} swaps in a minute");
}

/// A store that loads, and refuses every save, as a replica does.
struct ReadOnly(World);

impl Store for ReadOnly {
    type Error = String;

    async fn load(&self, key: &str) -> Result<Option<Snapshot>, String> {
        Store::load(&self.0, key).await
    }

    async fn compare_and_swap(&self, _: &str, _: &Save) -> Result<bool, String> {
        Ok(false)
    }
}

#[test]
fn a_store_that_refuses_every_save_is_told() {
    let world = World::default();
    let mut tasks = Tasks::new(&world, 1);
    drop(signed_in(&world, &mut tasks));
    let (keeper, driver) =
        Keeper::new(client(), policy(), world.clock(), ReadOnly(world.clone()), world.clone());
    tasks.spawn(driver.run());
    world.pass(Duration::from_secs(LIFETIME));
    let start = world.now();
    let error = token(&mut tasks, &keeper).unwrap_err();
    assert!(matches!(error, KeeperError::Store(_)), "{error}");
    let (saved, tokens) = (keeper.clone(), world.sign_in());
    let error = tasks.block_on(async move { saved.signed_in(KEY, tokens).await }).unwrap_err();
    assert!(matches!(error, KeeperError::Store(_)), "{error}");
    assert!(world.now() < start + Duration::from_secs(30), "{:?}", world.now().duration_since(start));
}
