//! The keeper of programs with threads.
#![allow(clippy::disallowed_methods, reason = "the tests have threads of their own, and so real time")]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Barrier, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use oauth2_proto::keeper::blocking::{Keeper, Runtime, Store};
use oauth2_proto::keeper::{KeeperError, Refreshed};
use oauth2_proto::session::{Reason, Save, WaitReason};
use oauth2_proto::{Advice, AuthorizationServer, Client, ClientAuth, Request, Response, Snapshot};

use crate::world::{Answer, KEY, LIFETIME, StoreFailure, World, client, policy};

fn keeper(world: &World) -> Keeper<World, World> {
    Keeper::new(client(), policy(), world.clock(), world.clone(), world.clone())
}

#[test]
fn from_the_first_sign_in_to_the_end() {
    let world = World::default();
    let keeper = keeper(&world);
    let error = keeper.access_token(KEY).unwrap_err();
    assert!(matches!(error, KeeperError::SignIn(Reason::NotSignedIn)), "{error}");
    keeper.signed_in(KEY, world.sign_in()).unwrap();
    for lifetime in 1..=3 {
        let token = keeper.access_token(KEY).unwrap();
        assert_eq!(token.secret().expose(), format!("fake-access-{lifetime}"));
        world.pass(Duration::from_secs(LIFETIME));
    }
    assert_eq!(keeper.session(KEY).unwrap().unwrap().trouble(), None);
    // The second time for a revocation that failed.
    for _ in 0..2 {
        let refresh_token = keeper.end(KEY).unwrap().unwrap();
        assert_eq!(refresh_token.expose(), "fake-refresh-3");
    }
    let error = keeper.access_token(KEY).unwrap_err();
    assert!(matches!(error, KeeperError::SignIn(Reason::Ended)), "{error}");
}

#[test]
fn fifty_threads_share_one_refresh() {
    let world = World::default();
    let keeper = keeper(&world);
    keeper.signed_in(KEY, world.sign_in()).unwrap();
    for lifetime in 1..=20 {
        world.pass(Duration::from_secs(LIFETIME));
        thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| assert!(world.accepts(&keeper.access_token(KEY).unwrap())));
            }
        });
        assert_eq!(world.state.lock().unwrap().server.refreshes, lifetime);
    }
}

#[test]
fn a_store_that_fails_loses_nothing() {
    let world = World::default();
    let keeper = keeper(&world);
    world.state.lock().unwrap().store_fails.extend([StoreFailure::Before, StoreFailure::After]);
    let error = keeper.signed_in(KEY, world.sign_in()).unwrap_err();
    assert_eq!(error.to_string(), "the store failed: the database is away");
    // The next call saves; the store fails once more, and the one after it succeeds.
    assert!(keeper.access_token(KEY).is_err());
    assert_eq!(keeper.access_token(KEY).unwrap().secret().expose(), "fake-access-1");
}

#[test]
fn a_pause_ends_when_the_program_says_that_its_cause_is_fixed() {
    let world = World::default();
    let keeper = keeper(&world);
    keeper.signed_in(KEY, world.sign_in()).unwrap();
    world.pass(Duration::from_secs(LIFETIME));
    world.state.lock().unwrap().server.answers.extend([Answer::Busy; 9]);
    let error = keeper.access_token(KEY).unwrap_err();
    assert!(matches!(error, KeeperError::NotNow { reason: WaitReason::Pause, .. }), "{error}");
    world.state.lock().unwrap().server.answers.clear();
    let before = world.now();
    keeper.resume(KEY).unwrap();
    assert!(world.accepts(&keeper.access_token(KEY).unwrap()));
    assert_eq!(world.now(), before, "the pause would have been waited for");
}

#[test]
fn without_patience_a_pause_is_told_at_once() {
    let world = World::default();
    let policy = policy().patience(Duration::ZERO);
    let keeper = Keeper::new(client(), policy, world.clock(), world.clone(), world.clone());
    keeper.signed_in(KEY, world.sign_in()).unwrap();
    world.pass(Duration::from_secs(LIFETIME));
    world.state.lock().unwrap().server.answers.push_back(Answer::Busy);
    let before = world.now();
    let error = keeper.access_token(KEY).unwrap_err();
    assert!(matches!(error, KeeperError::NotNow { reason: WaitReason::Pause, .. }), "{error}");
    assert_eq!(error.advice(), Advice::RetryLater);
    assert_eq!(world.now(), before);
}

/// Only this process knows of the rejection, so it keeps the session while it drops those of other users.
#[test]
fn a_rejected_token_is_not_given_again_after_many_other_users() {
    let world = World::default();
    let keeper = keeper(&world);
    keeper.signed_in(KEY, world.sign_in()).unwrap();
    let rejected = keeper.access_token(KEY).unwrap();
    keeper.access_token_rejected(KEY, rejected.secret());
    assert!(keeper.session(KEY).unwrap().is_some());
    for user in 0..10_000 {
        assert!(keeper.session(&format!("other-user-{user}")).unwrap().is_none());
    }
    let next = keeper.access_token(KEY).unwrap();
    assert!(next != rejected && world.accepts(&next));
}

/// A store whose first load panics while other threads wait.
struct Panics(World, AtomicBool);

impl Store for Panics {
    type Error = String;

    fn load(&self, key: &str) -> Result<Option<Snapshot>, String> {
        if !self.1.swap(true, Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(50));
            panic!("the store panics");
        }
        self.0.load(key)
    }

    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, String> {
        self.0.compare_and_swap(key, save)
    }
}

#[test]
fn a_panic_of_one_thread_leaves_the_others_served() {
    let world = World::default();
    keeper(&world).signed_in(KEY, world.sign_in()).unwrap();
    let store = Panics(world.clone(), AtomicBool::new(false));
    let keeper = Keeper::new(client(), policy(), world.clock(), store, world.clone());
    let good = AtomicU32::new(0);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..10)
            .map(|_| {
                scope.spawn(|| {
                    keeper.access_token(KEY).unwrap();
                    good.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        let panicked = threads.into_iter().map(thread::ScopedJoinHandle::join);
        assert_eq!(panicked.filter(Result::is_err).count(), 1);
    });
    assert_eq!(good.load(Ordering::Relaxed), 9);
}

/// An HTTP client whose answer is held back until the test releases it.
struct HeldBack<'a>(&'a World, &'a Barrier);

impl Runtime for HeldBack<'_> {
    fn send(&self, request: &Request, until: SystemTime) -> Option<Response<'static>> {
        self.1.wait();
        let response = self.0.send(request, until);
        self.1.wait();
        response
    }

    fn sleep(&self, until: SystemTime) {
        Runtime::sleep(self.0, until);
    }
}

#[test]
fn while_another_thread_refreshes_a_living_token_is_given_unless_the_refresh_ends_it() {
    for ends_together in [false, true] {
        let world = World::default();
        let server =
            AuthorizationServer::new("https://as.example/authorize", "https://as.example/token").unwrap();
        let server = if ends_together { server.access_tokens_end_with_refresh() } else { server };
        let client = Client::new(server, "fake-client", ClientAuth::basic("fake-secret")).unwrap();
        let barrier = Barrier::new(2);
        let keeper = Keeper::new(client, policy(), world.clock(), world.clone(), HeldBack(&world, &barrier));
        // The client is another one than the world's, with the same endpoints.
        let error = keeper.signed_in(KEY, world.sign_in()).unwrap_err();
        assert!(matches!(error, KeeperError::Misuse(_)), "{error}");
        keeper.rebind(KEY).unwrap();
        world.pass(Duration::from_secs(LIFETIME * 4 / 5));
        thread::scope(|scope| {
            let refresher = scope.spawn(|| keeper.access_token(KEY).unwrap());
            barrier.wait();
            let other = scope.spawn(|| keeper.access_token(KEY).unwrap());
            let start = Instant::now();
            while !other.is_finished()
                && start.elapsed() < Duration::from_millis(if ends_together { 50 } else { 10_000 })
            {
                thread::yield_now();
            }
            assert_eq!(other.is_finished(), !ends_together);
            barrier.wait();
            let tokens = [refresher, other].map(|thread| thread.join().unwrap().secret().expose().to_owned());
            assert_eq!(
                tokens,
                ["fake-access-2", if ends_together { "fake-access-2" } else { "fake-access-1" }]
            );
        });
    }
}

/// A program that counts the threads in its store, and holds them there until the test opens it.
#[derive(Default)]
struct Counts {
    world: World,
    inside: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Default)]
struct Inside {
    is_closed: bool,
    threads: u32,
    most: u32,
}

impl Counts {
    /// Counts this thread in while the store is closed.
    fn enter(&self) {
        let mut inside = self.inside.lock().unwrap();
        inside.threads += 1;
        inside.most = inside.most.max(inside.threads);
        self.changed.notify_all();
        let mut inside = self.changed.wait_while(inside, |inside| inside.is_closed).unwrap();
        inside.threads -= 1;
    }

    fn set_closed(&self, is_closed: bool) {
        self.inside.lock().unwrap().is_closed = is_closed;
        self.changed.notify_all();
    }

    fn wait_for_a_thread(&self) {
        let inside = self.inside.lock().unwrap();
        drop(self.changed.wait_while(inside, |inside| inside.threads == 0).unwrap());
    }
}

impl Store for &Counts {
    type Error = String;

    fn load(&self, key: &str) -> Result<Option<Snapshot>, String> {
        self.enter();
        Store::load(&self.world, key)
    }

    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, String> {
        self.enter();
        Store::compare_and_swap(&self.world, key, save)
    }
}

/// A log at which a thread waits until another one is in the store.
impl Runtime for &Counts {
    fn send(&self, request: &Request, until: SystemTime) -> Option<Response<'static>> {
        let response = Runtime::send(&self.world, request, until);
        self.world.state.lock().unwrap().store_fails.push_back(StoreFailure::Before);
        response
    }

    fn sleep(&self, until: SystemTime) {
        Runtime::sleep(&self.world, until);
    }

    fn refreshed(&self, _: &str, _: Refreshed) {
        self.set_closed(true);
        self.wait_for_a_thread();
    }
}

/// The job of one thread is over, and the next one has begun, while the first still logs the outcome.
#[test]
fn a_key_has_one_job_at_a_time() {
    let counts = Counts::default();
    let world = &counts.world;
    keeper(world).signed_in(KEY, world.sign_in()).unwrap();
    world.pass(Duration::from_secs(LIFETIME));
    let keeper = Keeper::new(client(), policy(), world.clock(), &counts, &counts);
    thread::scope(|scope| {
        let first = scope.spawn(|| keeper.access_token(KEY));
        // The first thread has the answer, cannot save it, and logs it until the second one is in the store.
        while !counts.inside.lock().unwrap().is_closed {
            thread::yield_now();
        }
        let second = scope.spawn(|| keeper.access_token(KEY));
        let first = first.join();
        let third = scope.spawn(|| keeper.access_token(KEY));
        // A third thread that would not wait for the second one is in the store by now.
        thread::sleep(Duration::from_millis(50));
        counts.set_closed(false);
        let error = first.unwrap().unwrap_err();
        assert!(matches!(error, KeeperError::Store(_)), "{error}");
        for thread in [second, third] {
            assert!(world.accepts(&thread.join().unwrap().unwrap()));
        }
    });
    assert_eq!(counts.inside.lock().unwrap().most, 1);
}
