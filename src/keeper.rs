//! One call for a good access token: the keeper drives a [`Session`](crate::Session) for each of your users.
//!
//! You write a [`Store`] (load, compare-and-swap) and a [`Runtime`] (send, sleep) for your program. Then
//! [`Keeper::access_token`] returns a token that works: it refreshes when that is due, waits for another
//! process that does so, and tells you when the user must sign in again. Blocking programs use
//! [`blocking::Keeper`]; programs that own every step use [`Errands`], the machine below both.

pub mod blocking;
mod errands;
mod error;
mod jobs;
mod table;

pub use self::errands::{Errand, Errands, Refreshed};
pub use self::error::KeeperError;

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use crate::call::{Request, Response};
use crate::client::Client;
use crate::keeper::jobs::{Jobs, unless};
use crate::keeper::table::{Answer, Ask, Entry, Table};
use crate::session::{RefreshPolicy, Save, Session, Snapshot};
use crate::text::secret::Secret;
use crate::token::TokenResponse;

/// Your store: one snapshot under each key, which changes by compare-and-swap only.
///
/// A load must see every save that was accepted before it. Limit the time of both methods: while the store
/// hangs, a refresh cannot be saved. A save that is dropped halfway may have happened or not.
pub trait Store {
    /// The error of your database.
    type Error: Into<Box<dyn StdError + Send + Sync>>;

    /// Loads the snapshot under this key; `None` if there is none.
    fn load(&self, key: &str) -> impl Future<Output = Result<Option<Snapshot>, Self::Error>>;

    /// Stores `save.snapshot()` under this key if the store still holds `save.expected_revision()`, or
    /// nothing where that is 0. Returns whether it did.
    fn compare_and_swap(&self, key: &str, save: &Save) -> impl Future<Output = Result<bool, Self::Error>>;
}

/// What your program lends to a keeper: its HTTP client and its timer.
pub trait Runtime {
    /// Sends a request and returns the response, whatever its status; `None` if none came. After `until` a
    /// response is of no use, and the keeper drops the future.
    ///
    /// Follow no redirects and do not send the request twice.
    fn send(&self, request: &Request, until: SystemTime) -> impl Future<Output = Option<Response<'static>>>;

    /// Returns at this time.
    fn sleep(&self, until: SystemTime) -> impl Future<Output = ()>;

    /// Takes the outcome of each refresh, to log it. The default does nothing.
    fn refreshed(&self, key: &str, outcome: Refreshed) {
        let _ = (key, outcome);
    }
}

/// Returns good access tokens to async programs, for as many users as you have; cheap to clone.
///
/// All callers in the process share one refresh, and all processes that share the store have one refresh at a
/// time. The [`Driver`] does the work, so a caller that is dropped while it waits loses nothing.
pub struct Keeper {
    shared: Arc<Shared>,
    handle: Arc<Handle>,
}

/// Carries out the errands of a [`Keeper`]: spawn [`run`](Self::run) once.
#[must_use = "spawn `run`: without it no token is refreshed or saved"]
pub struct Driver<S, R> {
    shared: Arc<Shared>,
    store: S,
    runtime: R,
}

impl Keeper {
    /// Makes a keeper and its driver. `now` is your clock: `SystemTime::now`.
    pub fn new<S: Store, R: Runtime>(
        client: impl Into<Arc<Client>>,
        policy: RefreshPolicy,
        now: impl Fn() -> SystemTime + Send + Sync + 'static,
        store: S,
        runtime: R,
    ) -> (Self, Driver<S, R>) {
        let state = State {
            table: Table::new(client.into(), policy),
            queue: Vec::new(),
            driver: None,
            callers: 0,
            is_released: false,
            is_stopped: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), now: Box::new(now) });
        let handle = Arc::new(Handle(shared.clone()));
        (Self { shared: shared.clone(), handle }, Driver { shared, store, runtime })
    }

    /// Returns an access token that is usable now.
    ///
    /// If the API answers 401 to it, call [`access_token_rejected`](Self::access_token_rejected), ask for a
    /// token once more, and repeat the request once.
    ///
    /// # Errors
    ///
    /// See [`KeeperError`]; each variant says what to do.
    pub async fn access_token(&self, key: &str) -> Result<Secret, KeeperError> {
        self.shared.wait(key, Entry::token).await
    }

    /// Records that the API answered 401 to this access token (RFC 6750 §3.1). A token other than the current
    /// one changes nothing.
    pub fn access_token_rejected(&self, key: &str, access_token: &Secret) {
        self.shared.with(key, |errands, now| errands.access_token_rejected(access_token, now));
    }

    /// Takes the tokens of a sign-in, the first or a later one, and returns when they are stored.
    ///
    /// The keeper has the tokens as soon as you call; dropping the future loses nothing. Verify that the same
    /// user signed in: another user's tokens belong under another key.
    ///
    /// # Errors
    ///
    /// [`KeeperError::Store`]: the keeper has the tokens and keeps trying to save them.
    pub fn signed_in(
        &self,
        key: &str,
        tokens: TokenResponse,
    ) -> impl Future<Output = Result<(), KeeperError>> {
        self.shared.with(key, |errands, now| errands.signed_in(tokens, now));
        self.saved(key)
    }

    /// Starts from a refresh token that you obtained without this crate, for users who signed in earlier. What is
    /// stored already stays, so a migration may run twice; see [`Session::from_refresh_token`].
    ///
    /// # Errors
    ///
    /// [`KeeperError::Misuse`]: the refresh token is empty or holds control characters. [`KeeperError::Store`]: the
    /// keeper keeps trying to save it.
    pub fn start_from_refresh_token(
        &self,
        key: &str,
        refresh_token: Secret,
    ) -> impl Future<Output = Result<(), KeeperError>> {
        let started =
            self.shared.with(key, |errands, now| errands.start_from_refresh_token(refresh_token, now));
        let saved = self.saved(key);
        async {
            started.map_err(KeeperError::Misuse)?;
            saved.await
        }
    }

    /// Ends an authorization for a disconnect or a sign-out, and returns its refresh token when the end is
    /// stored: revoke it at the server (RFC 7009). `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`KeeperError::Store`]: the keeper keeps trying to save the end.
    pub fn end(&self, key: &str) -> impl Future<Output = Result<Option<Secret>, KeeperError>> {
        self.shared.with(key, |errands, now| errands.end(now));
        let session = self.session(key);
        async { Ok(session.await?.and_then(|session| session.refresh_token().cloned())) }
    }

    /// Makes a refresh due at once, after the cause of a trouble is fixed; see [`Session::resume`].
    ///
    /// # Errors
    ///
    /// [`KeeperError::Store`]: the keeper keeps trying to save it.
    pub fn resume(&self, key: &str) -> impl Future<Output = Result<(), KeeperError>> {
        self.shared.with(key, |errands, now| errands.resume(now));
        self.saved(key)
    }

    /// Binds tokens to the keeper's client that were issued to it at another token endpoint or under another
    /// `client_id`; see [`Session::rebind`].
    ///
    /// # Errors
    ///
    /// [`KeeperError::Store`]: the keeper keeps trying to save it.
    pub fn rebind(&self, key: &str) -> impl Future<Output = Result<(), KeeperError>> {
        self.shared.with(key, |errands, now| errands.rebind(now));
        self.saved(key)
    }

    /// Returns the stored session under a key, to read its trouble, scopes or expiry; `None` if nothing is
    /// stored.
    ///
    /// # Errors
    ///
    /// [`KeeperError::Store`]: the snapshot could not be loaded.
    pub fn session(&self, key: &str) -> impl Future<Output = Result<Option<Session>, KeeperError>> {
        self.shared.wait(key, Entry::session)
    }

    fn saved(&self, key: &str) -> impl Future<Output = Result<(), KeeperError>> {
        let session = self.session(key);
        async { session.await.map(drop) }
    }
}

impl Clone for Keeper {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), handle: self.handle.clone() }
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

impl<S: Store, R: Runtime> Driver<S, R> {
    /// Carries out errands until every clone of the keeper is dropped and everything is stored. Spawn it
    /// once.
    ///
    /// The future is `Send` where your store and runtime are, and their futures.
    pub async fn run(self) {
        let mut jobs = Jobs::new();
        poll_fn(|context| match self.advance(&mut jobs, |key| self.serve(key), context) {
            true if self.shared.lock().is_released => Poll::Ready(()),
            _ => Poll::Pending,
        })
        .await;
    }

    /// Carries out errands until `future` is done and everything is stored. It suits a function that starts
    /// from nothing for each request, where nothing outlives the response.
    pub async fn run_until<T>(self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut output = None;
        let mut jobs = Jobs::new();
        poll_fn(|context| {
            if output.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                output = Some(value);
            }
            match self.advance(&mut jobs, |key| self.serve(key), context) {
                true => output.take().map_or(Poll::Pending, Poll::Ready),
                false => Poll::Pending,
            }
        })
        .await
    }
}

impl<S: Store, R: Runtime> Driver<S, R> {
    /// Starts the jobs that were asked for, polls those that are ready, and returns whether none is left.
    fn advance<F: Future<Output = ()>>(
        &self,
        jobs: &mut Jobs<F>,
        start: impl Fn(String) -> F,
        context: &mut Context<'_>,
    ) -> bool {
        let queue = {
            let mut state = self.shared.lock();
            state.driver = Some(context.waker().clone());
            std::mem::take(&mut state.queue)
        };
        queue.into_iter().for_each(|key| jobs.push(start(key)));
        jobs.poll(context)
    }

    /// Carries out the errands of one authorization, one at a time, until there is an outcome.
    async fn serve(&self, key: String) {
        while let Some(errand) = self.shared.with_entry(&key, Entry::next) {
            let done = match errand {
                Errand::Load => self.store.load(&key).await.map(|snapshot| {
                    self.shared.with(&key, |errands, now| errands.loaded(snapshot, now));
                }),
                Errand::Swap(save) => self.store.compare_and_swap(&key, &save).await.map(|accepted| {
                    self.shared.with(&key, |errands, _| errands.swapped(save, accepted));
                }),
                Errand::Send { call, until } => {
                    let send = self.runtime.send(call.request(), until);
                    let answer = unless(send, self.runtime.sleep(until)).await;
                    let outcome = self.shared.with(&key, |errands, now| errands.answered(call, answer, now));
                    self.runtime.refreshed(&key, outcome);
                    Ok(())
                }
                Errand::Sleep(until) => {
                    self.runtime.sleep(until).await;
                    Ok(())
                }
                // `next` publishes the outcome, and returns no such errand.
                Errand::Token(_) | Errand::NoToken(_) => return,
            };
            if let Err(error) = done {
                let error = KeeperError::Store(error.into().into());
                if !self.shared.with_entry(&key, |entry, _| entry.store_failed(error)) {
                    return;
                }
                // Something is not stored yet, so the job goes on although nobody may wait for it.
                let now = (self.shared.now)();
                self.runtime.sleep(now.checked_add(STORE_PAUSE).unwrap_or(now)).await;
            }
        }
    }
}

/// Without a driver nobody carries out errands, so the callers that wait must not wait on.
impl<S, R> Drop for Driver<S, R> {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.shared.lock();
            state.is_stopped = true;
            state.table.take_waiting()
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl<S, R> fmt::Debug for Driver<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

/// What a keeper, its clones and its driver share.
struct Shared {
    /// Never locked across an await, nor while foreign code runs.
    state: Mutex<State>,
    now: Box<dyn Fn() -> SystemTime + Send + Sync>,
}

struct State {
    table: Table,
    /// The keys that the driver has to serve.
    queue: Vec<String>,
    driver: Option<Waker>,
    /// The number of callers so far, which gives each its own number.
    callers: u64,
    /// True if every clone of the keeper was dropped.
    is_released: bool,
    /// True if the driver was dropped.
    is_stopped: bool,
}

impl State {
    fn next_caller(&mut self) -> u64 {
        self.callers = self.callers.wrapping_add(1);
        self.callers
    }

    /// Has the driver serve an entry, unless it does so already. Returns the driver to wake.
    fn have_served(&mut self, key: &str) -> Option<Waker> {
        let entry = self.table.entry(key);
        if entry.is_served || self.is_stopped {
            return None;
        }
        entry.is_served = true;
        self.queue.push(key.to_owned());
        self.driver.take()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes an entry, wakes its callers if there was an outcome, and has it served if something is not
    /// stored.
    fn with_entry<T>(&self, key: &str, change: impl FnOnce(&mut Entry, SystemTime) -> T) -> T {
        let now = (self.now)();
        let mut state = self.lock();
        let entry = state.table.entry(key);
        let value = change(entry, now);
        let callers = entry.take_woken();
        let has_errand = !entry.errands.is_saved();
        let driver = if has_errand { state.have_served(key) } else { None };
        drop(state);
        callers.into_iter().chain(driver).for_each(Waker::wake);
        value
    }

    fn with<T>(&self, key: &str, change: impl FnOnce(&mut Errands, SystemTime) -> T) -> T {
        self.with_entry(key, |entry, now| change(&mut entry.errands, now))
    }

    /// Waits until `ask` has an answer.
    fn wait<T>(&self, key: &str, ask: Ask<T>) -> Wait<'_, T> {
        Wait { shared: self, key: key.to_owned(), caller: None, known: None, ask }
    }
}

/// A caller that waits.
struct Wait<'a, T> {
    shared: &'a Shared,
    key: String,
    /// The number of this caller, once it waits.
    caller: Option<u64>,
    /// The number of outcomes that the caller knows of.
    known: Option<u64>,
    ask: Ask<T>,
}

impl<T> Future for Wait<'_, T> {
    type Output = Result<T, KeeperError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { shared, key, caller, known, ask } = &mut *self;
        let now = (shared.now)();
        let mut state = shared.lock();
        let Answer { value, has_errand } = ask(state.table.entry(key), known, now);
        let value = value.or_else(|| state.is_stopped.then_some(Err(KeeperError::Stopped)));
        let driver = if has_errand { state.have_served(key) } else { None };
        if value.is_none() {
            let caller = *caller.get_or_insert_with(|| state.next_caller());
            state.table.entry(key).wait(caller, context.waker());
        }
        drop(state);
        driver.into_iter().for_each(Waker::wake);
        value.map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T> Drop for Wait<'_, T> {
    fn drop(&mut self) {
        if let Some(caller) = self.caller {
            self.shared.lock().table.entry(&self.key).leave(caller);
        }
    }
}

/// Tells the driver that no keeper is left.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        let driver = {
            let mut state = self.0.lock();
            state.is_released = true;
            state.driver.take()
        };
        driver.into_iter().for_each(Waker::wake);
    }
}

/// The pause after a failure of the store while something is not stored.
const STORE_PAUSE: Duration = Duration::from_secs(1);
