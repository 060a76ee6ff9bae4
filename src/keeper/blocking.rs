//! The keeper for programs with threads.
//!
//! It has the methods of the async [`Keeper`](crate::keeper::Keeper), and no driver. The guide [Tokens over
//! time](crate::guide::tokens_over_time) has the lines to copy, and [Testing](crate::guide::testing) a whole
//! test with a store and a runtime.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::call::{Request, Response};
use crate::client::Client;
use crate::client_auth::Signing;
use crate::grants::ClientCredentialsRequest;
use crate::jose::{SignerError, Unsigned};
use crate::keeper::errands::{Errand, Errands, Refreshed};
use crate::keeper::error::KeeperError;
use crate::keeper::table::{Answer, Ask, Entry, Table};
use crate::keeper::{NO_SIGNATURE, no_sign};
use crate::session::{RefreshPolicy, Save, Session, Snapshot};
use crate::text::secret::Secret;
use crate::token::{AccessToken, TokenResponse};

/// Like [`keeper::Store`](crate::keeper::Store), with methods that block.
pub trait Store {
    /// The error of your store.
    type Error: Into<Box<dyn StdError + Send + Sync>>;

    /// Loads the snapshot under this key; `None` if there is none.
    fn load(&self, key: &str) -> Result<Option<Snapshot>, Self::Error>;

    /// Stores `save.snapshot()` under this key if the stored revision is `save.expected_revision()`; 0 means
    /// that nothing is stored. Returns whether it stored the snapshot.
    fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Self::Error>;
}

/// Like [`keeper::Runtime`](crate::keeper::Runtime), with methods that block.
pub trait Runtime {
    /// Sends a request and returns the response, whatever its status; `None` if no response came before
    /// `until`.
    ///
    /// Follow no redirects and do not send the request twice.
    fn send(&self, request: &Request, until: SystemTime) -> Option<Response<'static>>;

    /// Signs [`unsigned.message()`](Unsigned::message) with a key that signs elsewhere, such as one of a key
    /// management service, and returns the signature in the form of RFC 7518 §3. Only a client with a
    /// [remote](crate::jose::SigningKey::remote) key needs it; the default says so.
    ///
    /// The keeper signs before it claims a refresh, so a failure keeps no other process from refreshing.
    /// Limit its time: signatures that come after ten seconds are not used, because a server compares the
    /// time in them with its clock.
    ///
    /// # Errors
    ///
    /// Your own error. The caller gets it as [`KeeperError::Signing`].
    fn sign(&self, unsigned: &Unsigned) -> Result<Vec<u8>, SignerError> {
        let _ = unsigned;
        Err(no_sign())
    }

    /// Sleeps until this time.
    fn sleep(&self, until: SystemTime);

    /// Takes the outcome of each refresh, to log it. The default does nothing.
    fn refreshed(&self, key: &str, outcome: Refreshed) {
        let _ = (key, outcome);
    }
}

/// Returns good access tokens to the threads of a program, which share one refresh.
///
/// The thread that finds work for a key does it; the others wait if they need its outcome.
pub struct Keeper<S, R> {
    /// Never locked while the store or the runtime is called.
    table: Mutex<Table>,
    changed: Condvar,
    now: Box<dyn Fn() -> SystemTime + Send + Sync>,
    store: S,
    runtime: R,
}

impl<S: Store, R: Runtime> Keeper<S, R> {
    /// Makes a keeper. `now` is your clock, usually `SystemTime::now`.
    ///
    /// Pass an `Arc<Client>` to keep the client for sign-ins and revocations.
    pub fn new(
        client: impl Into<Arc<Client>>,
        policy: RefreshPolicy,
        now: impl Fn() -> SystemTime + Send + Sync + 'static,
        store: S,
        runtime: R,
    ) -> Self {
        let table = Mutex::new(Table::new(client.into(), policy));
        Self { table, changed: Condvar::new(), now: Box::new(now), store, runtime }
    }

    /// Returns an access token that is usable now, with its type. Send it by
    /// [`ProtectedApi`](crate::challenge::ProtectedApi), or by a header with its
    /// [`bearer`](AccessToken::bearer).
    ///
    /// If the API answers 401 to it, call [`access_token_rejected`](Self::access_token_rejected), ask for a
    /// token once more, and repeat the request once.
    ///
    /// # Errors
    ///
    /// See [`KeeperError`]; each variant says what to do.
    pub fn access_token(&self, key: &str) -> Result<AccessToken, KeeperError> {
        self.wait(key, Entry::token)
    }

    /// Records that the API answered 401 to this access token (RFC 6750 §3.1). A token other than the current
    /// one changes nothing.
    pub fn access_token_rejected(&self, key: &str, access_token: &Secret) {
        self.with(key, |errands, now| errands.access_token_rejected(access_token, now));
    }

    /// Takes the tokens of a sign-in, the first or a later one, and stores them. If a refresh for this key is
    /// under way, waits for its end first.
    ///
    /// Verify that the same user signed in: another user's tokens belong under another key.
    ///
    /// # Errors
    ///
    /// - [`KeeperError::Store`]: the keeper has the tokens, and the next call for this key saves them.
    /// - [`KeeperError::Misuse`]: the tokens were issued to another client, or are bound to another key.
    ///   They are stored, and the keeper of that client or key can use them.
    pub fn signed_in(&self, key: &str, tokens: TokenResponse) -> Result<(), KeeperError> {
        let checked = self.with(key, |errands, now| errands.signed_in(tokens, now));
        self.session(key)?;
        checked.map_err(KeeperError::Misuse)
    }

    /// Starts from a refresh token that you obtained without this crate, for users who signed in earlier. A
    /// stored session stays as it is, so a migration may run twice; see [`Session::from_refresh_token`].
    ///
    /// # Errors
    ///
    /// - [`KeeperError::Misuse`]: the refresh token is empty or holds control characters, or the tokens that
    ///   are stored under this key are the client's own.
    /// - [`KeeperError::Store`]: the next call for this key saves the session.
    pub fn start_from_refresh_token(&self, key: &str, refresh_token: Secret) -> Result<(), KeeperError> {
        self.with(key, |errands, _| errands.start_from_refresh_token(refresh_token))
            .map_err(KeeperError::Misuse)?;
        KeeperError::check_source(self.session(key)?, true)
    }

    /// Starts from the client's own credentials: from then on [`access_token`](Self::access_token) returns
    /// the client's own tokens under this key. Call it at the start of the program, in each process. A stored
    /// session stays as it is, so other scopes or resources need another key; see
    /// [`Session::from_client_credentials`].
    ///
    /// # Errors
    ///
    /// - [`KeeperError::Misuse`]: another client than the keeper's began the request, it has an error of
    ///   [`ClientCredentialsRequest::start`], or the tokens that are stored under this key are a user's.
    /// - [`KeeperError::Store`]: the next call for this key saves the session.
    pub fn start_from_client_credentials(
        &self,
        key: &str,
        request: ClientCredentialsRequest<'_>,
    ) -> Result<(), KeeperError> {
        self.with(key, |errands, _| errands.start_from_client_credentials(request))
            .map_err(KeeperError::Misuse)?;
        KeeperError::check_source(self.session(key)?, false)
    }

    /// Ends an authorization for a disconnect or a sign-out. When the end is stored, returns the refresh
    /// token: revoke it at the server with [`Client::revoke`](crate::Client::revoke), as
    /// [`management`](crate::management) shows. `None` if there is no refresh token, or if the user has
    /// signed in again meanwhile. Another call returns the token once more, for a revocation that failed.
    ///
    /// # Errors
    ///
    /// [`KeeperError::Store`]: the next call for this key saves the end.
    pub fn end(&self, key: &str) -> Result<Option<Secret>, KeeperError> {
        self.with(key, |errands, _| errands.end());
        let ended = self.session(key)?.filter(Session::is_ended);
        Ok(ended.and_then(|session| session.refresh_token().cloned()))
    }

    /// Makes a refresh due at once during a pause or after [`GaveUp`](crate::session::Reason::GaveUp). Call
    /// it when the cause of the trouble is fixed; see [`Session::resume`].
    ///
    /// # Errors
    ///
    /// [`KeeperError::Store`]: the next call for this key saves the change.
    pub fn resume(&self, key: &str) -> Result<(), KeeperError> {
        self.with(key, |errands, _| errands.resume());
        self.session(key).map(drop)
    }

    /// Binds tokens that were issued at another token endpoint, or under another `client_id`, to the keeper's
    /// client; see [`Session::rebind`].
    ///
    /// # Errors
    ///
    /// [`KeeperError::Store`]: the next call for this key saves the change.
    pub fn rebind(&self, key: &str) -> Result<(), KeeperError> {
        self.with(key, |errands, _| errands.rebind());
        self.session(key).map(drop)
    }

    /// Returns the stored session under a key, to read its trouble, scopes or expiry; `None` if nothing is
    /// stored. A change that another process saved in the last minute may be missing.
    ///
    /// # Errors
    ///
    /// [`KeeperError::Store`]: the snapshot could not be loaded.
    pub fn session(&self, key: &str) -> Result<Option<Session>, KeeperError> {
        self.wait(key, Entry::session)
    }
}

impl<S: Store, R: Runtime> Keeper<S, R> {
    /// Waits until `ask` has an answer. Serves the entry if it has an errand and no other thread serves it.
    fn wait<T>(&self, key: &str, ask: Ask<T>) -> Result<T, KeeperError> {
        let mut known = None;
        let mut has_served = false;
        loop {
            let now = (self.now)();
            let mut table = self.lock();
            let entry = table.entry(key);
            let Answer { value, has_errand } = ask(entry, &mut known, now);
            if has_errand && !entry.is_served && (value.is_none() || !has_served) {
                entry.is_served = true;
                drop(table);
                self.serve(key);
                has_served = true;
            } else if let Some(value) = value {
                return value;
            } else {
                drop(self.changed.wait(table).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    /// Carries out the errands of one authorization, one at a time, until there is an outcome.
    fn serve(&self, key: &str) {
        let mut job = Job { keeper: self, key, is_over: false };
        let mut refreshed = None;
        while let Some(errand) = self.with_entry(key, |entry, now| entry.next(now, true)) {
            let done = match errand {
                Errand::Load => self.store.load(key).map_err(KeeperError::store).map(|snapshot| {
                    self.with(key, |errands, now| errands.loaded(snapshot, now));
                }),
                Errand::Swap(save) => {
                    self.store.compare_and_swap(key, &save).map_err(KeeperError::store).map(|accepted| {
                        self.with(key, |errands, now| errands.swapped(save, accepted, now));
                        // The tokens are stored before the program's code runs, which may panic.
                        self.log(key, &mut refreshed);
                    })
                }
                Errand::Sign { signing, until } => {
                    self.sign(key, signing, until).map_err(KeeperError::signing)
                }
                Errand::Send { call, until } => {
                    let answer = self.runtime.send(call.request(), until);
                    refreshed = Some(self.with(key, |errands, now| errands.answered(call, answer, now)));
                    Ok(())
                }
                Errand::Sleep(until) => {
                    self.runtime.sleep(until);
                    Ok(())
                }
                // `Entry::next` publishes these outcomes and never returns them.
                Errand::Token(_) | Errand::NoToken(_) => break,
            };
            if let Err(error) = done {
                self.with_entry(key, |entry, _| {
                    entry.failed(error);
                    entry.is_served = false;
                });
                break;
            }
        }
        job.is_over = true;
        self.log(key, &mut refreshed);
    }

    fn sign(&self, key: &str, mut signing: Signing, until: SystemTime) -> Result<(), SignerError> {
        while let Some(unsigned) = signing.next() {
            let signature = self.runtime.sign(unsigned)?;
            if (self.now)() > until {
                return Err(NO_SIGNATURE.into());
            }
            signing.signed(&signature)?;
        }
        Ok(self.with(key, |errands, _| errands.signed(signing))?)
    }

    fn log(&self, key: &str, refreshed: &mut Option<Refreshed>) {
        if let Some(refreshed) = refreshed.take() {
            self.runtime.refreshed(key, refreshed);
        }
    }

    /// Changes an entry. Wakes the waiting threads if there is news.
    fn with_entry<T>(&self, key: &str, change: impl FnOnce(&mut Entry, SystemTime) -> T) -> T {
        let now = (self.now)();
        let (value, has_news) = self.lock().entry(key).change(change, now);
        if has_news {
            self.changed.notify_all();
        }
        value
    }

    fn with<T>(&self, key: &str, change: impl FnOnce(&mut Errands, SystemTime) -> T) -> T {
        self.with_entry(key, |entry, now| change(&mut entry.errands, now))
    }
}

impl<S, R> Keeper<S, R> {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S, R> fmt::Debug for Keeper<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

/// The job of the thread that serves an entry. If that thread panics, the drop wakes the waiting threads, and
/// one of them serves the entry.
struct Job<'a, S, R> {
    keeper: &'a Keeper<S, R>,
    key: &'a str,
    /// True once this job has ended, after which the entry may have another one.
    is_over: bool,
}

impl<S, R> Drop for Job<'_, S, R> {
    fn drop(&mut self) {
        if !self.is_over {
            self.keeper.lock().entry(self.key).is_served = false;
            self.keeper.changed.notify_all();
        }
    }
}
