//! Good access tokens by one call, for any number of users, on top of [`Session`].
//!
//! You write a [`Store`] (load, compare-and-swap) and a [`Runtime`] (send, sleep). Then
//! [`Keeper::access_token`] returns a token that works: it refreshes when a refresh is due, waits for another
//! process that refreshes, and says when the user must sign in again. The guide [Tokens over
//! time](crate::guide::tokens_over_time) answers the questions that come up.
//!
//! ```
//! use oauth2_proto::keeper::{Keeper, KeeperError, Runtime, Store};
//! use oauth2_proto::{Client, RefreshPolicy, Request, Response, Snapshot};
//! use oauth2_proto::{session::Save, token::AccessToken};
//! use std::time::SystemTime;
//! # mod tokio {
//! #     pub fn spawn(_: impl Future<Output = ()> + Send + 'static) {}
//! #     pub mod time { pub async fn sleep(_: std::time::Duration) {} }
//! # }
//! # struct Database;
//! # impl Database {
//! #     async fn text(&self, _: &str, _: &[&str]) -> Result<Option<String>, std::io::Error> { Ok(None) }
//! #     async fn execute(&self, _: &str, _: &str, _: String, _: u64, _: u64) -> Result<u64, std::io::Error> { Ok(1) }
//! # }
//! # struct Http;
//! # impl Http {
//! #     async fn post(&self, _: &Request) -> Result<(u16, Vec<(String, String)>, Vec<u8>), std::io::Error> { Ok((200, vec![], vec![])) }
//! # }
//! # const SELECT: &str = "";
//! # const CHANGE: &str = "";
//!
//! /// One row for each user: key, revision, snapshot.
//! impl Store for Database {
//!     type Error = std::io::Error;
//!
//!     async fn load(&self, key: &str) -> Result<Option<Snapshot>, Self::Error> {
//!         // SELECT snapshot FROM sessions WHERE key = $1
//!         let text = self.text(SELECT, &[key]).await?;
//!         Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
//!     }
//!
//!     async fn compare_and_swap(
//!         &self,
//!         key: &str,
//!         save: &Save,
//!     ) -> Result<bool, Self::Error> {
//!         let text = serde_json::to_string(save.snapshot())?;
//!         let (expected, next) = (save.expected_revision(), save.snapshot().revision());
//!         // INSERT if `expected` is 0, otherwise UPDATE … WHERE revision = expected.
//!         Ok(self.execute(CHANGE, key, text, expected, next).await? == 1)
//!     }
//! }
//!
//! /// Your HTTP client, without redirects and without retries, and your timer.
//! impl Runtime for Http {
//!     // The keeper drops this future at `until`; a shorter timeout is yours to set.
//!     async fn send(
//!         &self,
//!         request: &Request,
//!         _until: SystemTime,
//!     ) -> Option<Response<'static>> {
//!         let (status, headers, body) = self.post(request).await.ok()?;
//!         Some(Response::new(status, headers, &body).into_owned())
//!     }
//!
//!     async fn sleep(&self, until: SystemTime) {
//!         let time = until.duration_since(SystemTime::now()).unwrap_or_default();
//!         tokio::time::sleep(time).await;
//!     }
//! }
//!
//! /// Call this at the start of the program. The keeper is cheap to clone.
//! fn keeper(client: Client, database: Database, http: Http) -> Keeper {
//!     let (keeper, driver) =
//!         Keeper::new(client, RefreshPolicy::default(), SystemTime::now, database, http);
//!     tokio::spawn(driver.run());
//!     keeper
//! }
//!
//! /// Call this in each request handler.
//! async fn token(keeper: &Keeper) -> Result<AccessToken, KeeperError> {
//!     keeper.access_token("customer 17").await
//! }
//! ```
//!
//! # Three shapes
//!
//! - [`Keeper`] is for async programs, on any runtime. It has no runtime of its own: its [`Driver`] is one
//!   future, which you spawn.
//! - [`blocking::Keeper`] is for programs with threads. It has no driver: the thread that finds work does it.
//! - [`Errands`] is the state machine inside both, for programs that do every step themselves: it says what
//!   to load, save and send.

pub mod blocking;
mod driver;
mod errands;
mod error;
mod jobs;
mod shared;
mod table;
mod wishes;

pub use self::driver::Driver;
pub use self::errands::{Errand, Errands, Refreshed};
pub use self::error::KeeperError;

use std::error::Error as StdError;
use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::time::SystemTime;

use crate::call::{Request, Response};
use crate::client::Client;
use crate::error::Error;
use crate::grants::ClientCredentialsRequest;
use crate::jose::{SignerError, Unsigned};
use crate::keeper::shared::{Handle, Shared};
use crate::keeper::table::Entry;
use crate::session::{RefreshPolicy, Save, Session, Snapshot};
use crate::text::secret::Secret;
use crate::token::{AccessToken, TokenResponse};

/// Your store: one snapshot under each key, changed by compare-and-swap only.
///
/// A load must see every save that was accepted before it. Limit the time of both methods: while the store
/// hangs, a refresh cannot be saved. A save that is dropped halfway may have happened or not.
pub trait Store {
    /// The error of your store.
    type Error: Into<Box<dyn StdError + Send + Sync>>;

    /// Loads the snapshot under this key; `None` if there is none.
    fn load(&self, key: &str) -> impl Future<Output = Result<Option<Snapshot>, Self::Error>>;

    /// Stores `save.snapshot()` under this key if the stored revision is `save.expected_revision()`; 0 means
    /// that nothing is stored. Returns whether it stored the snapshot. A revision fits into an `i64`.
    fn compare_and_swap(&self, key: &str, save: &Save) -> impl Future<Output = Result<bool, Self::Error>>;
}

/// The HTTP client and the timer that your program lends to a keeper.
pub trait Runtime {
    /// Sends a request and returns the response, whatever its status; `None` if no response came. At `until`,
    /// the keeper drops the future, because a later response is of no use.
    ///
    /// Follow no redirects and do not send the request twice.
    fn send(&self, request: &Request, until: SystemTime) -> impl Future<Output = Option<Response<'static>>>;

    /// Signs [`unsigned.message()`](Unsigned::message) with a key that signs elsewhere, such as one of a key
    /// management service, and returns the signature in the form of RFC 7518 §3. Only a client with a
    /// [remote](crate::jose::SigningKey::remote) key needs it; the default says so.
    ///
    /// The keeper signs before it claims a refresh, so a failure keeps no other process from refreshing. It
    /// drops the future after ten seconds, because a server compares the time in what was signed with its
    /// clock.
    ///
    /// # Errors
    ///
    /// Your own error. The caller gets it as [`KeeperError::Signing`].
    fn sign(&self, unsigned: &Unsigned) -> impl Future<Output = Result<Vec<u8>, SignerError>> {
        let _ = unsigned;
        ready(Err(no_sign()))
    }

    /// Sleeps until this time.
    fn sleep(&self, until: SystemTime) -> impl Future<Output = ()>;

    /// Takes the outcome of each refresh, to log it. The default does nothing.
    fn refreshed(&self, key: &str, outcome: Refreshed) {
        let _ = (key, outcome);
    }
}

/// Returns good access tokens to async programs, for any number of users; cheap to clone.
///
/// All callers in the process share one refresh, and all processes that share the store have one refresh at a
/// time. The [`Driver`] does the work, so a caller that is dropped while it waits loses nothing.
pub struct Keeper {
    shared: Arc<Shared>,
    handle: Arc<Handle>,
}

impl Keeper {
    /// Makes a keeper and its driver. `now` is your clock, usually `SystemTime::now`. Spawn [`Driver::run`];
    /// until it runs, every call waits.
    ///
    /// Pass an `Arc<Client>` to keep the client for sign-ins and revocations.
    pub fn new<S: Store, R: Runtime>(
        client: impl Into<Arc<Client>>,
        policy: RefreshPolicy,
        now: impl Fn() -> SystemTime + Send + Sync + 'static,
        store: S,
        runtime: R,
    ) -> (Self, Driver<S, R>) {
        let shared = Arc::new(Shared::new(client.into(), policy, now));
        let handle = Arc::new(Handle(shared.clone()));
        (
            Self { shared: shared.clone(), handle },
            Driver {
                shared,
                store,
                runtime,
                longest_end: policy.max_wait().saturating_add(policy.max_request()),
            },
        )
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
    pub async fn access_token(&self, key: &str) -> Result<AccessToken, KeeperError> {
        self.shared.wait(key, Entry::token).await
    }

    /// Records that the API answered 401 to this access token (RFC 6750 §3.1). A token other than the current
    /// one changes nothing.
    pub fn access_token_rejected(&self, key: &str, access_token: &Secret) {
        self.shared.order_by(key, |errands, now| errands.access_token_rejected(access_token, now));
    }

    /// Takes the tokens of a sign-in, the first or a later one, and returns when they are stored.
    ///
    /// The keeper has the tokens as soon as you call this method; dropping the future loses nothing. Verify
    /// that the same user signed in: another user's tokens belong under another key.
    ///
    /// # Errors
    ///
    /// - [`KeeperError::Store`]: the keeper has the tokens and keeps trying to save them.
    /// - [`KeeperError::Misuse`]: the tokens were issued to another client, or are bound to another key.
    ///   They are stored, and the keeper of that client or key can use them.
    pub fn signed_in(
        &self,
        key: &str,
        tokens: TokenResponse,
    ) -> impl Future<Output = Result<(), KeeperError>> {
        let checked = self.shared.order_by(key, |errands, now| errands.signed_in(tokens, now));
        let saved = self.saved(key);
        async {
            saved.await?;
            checked.map_err(KeeperError::Misuse)
        }
    }

    /// Starts from a refresh token that you obtained without this crate, for users who signed in earlier. A
    /// stored session stays as it is, so a migration may run twice; see [`Session::from_refresh_token`].
    ///
    /// # Errors
    ///
    /// - [`KeeperError::Misuse`]: the refresh token is empty or holds control characters, or the tokens that
    ///   are stored under this key are the client's own.
    /// - [`KeeperError::Store`]: the keeper keeps trying to save the session.
    pub fn start_from_refresh_token(
        &self,
        key: &str,
        refresh_token: Secret,
    ) -> impl Future<Output = Result<(), KeeperError>> {
        let started = self.shared.order_by(key, |errands, _| errands.start_from_refresh_token(refresh_token));
        let session = self.session(key);
        async {
            started.map_err(KeeperError::Misuse)?;
            KeeperError::check_source(session.await?, true)
        }
    }

    /// Starts from the client's own credentials: from then on [`access_token`](Self::access_token) returns
    /// the client's own tokens under this key. Call it at the start of the program, in each process. A stored
    /// session stays as it is, so other scopes or resources need another key; see
    /// [`Session::from_client_credentials`].
    ///
    /// ```
    /// use oauth2_proto::{Client, keeper::{Keeper, KeeperError}};
    ///
    /// async fn start(keeper: &Keeper, client: &Client) -> Result<(), KeeperError> {
    ///     let request = client.client_credentials().scopes(["reports:read"]);
    ///     keeper.start_from_client_credentials("reports", request).await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`KeeperError::Misuse`]: another client than the keeper's began the request, it has an error of
    ///   [`ClientCredentialsRequest::start`], or the tokens that are stored under this key are a user's.
    /// - [`KeeperError::Store`]: the keeper keeps trying to save the session.
    pub fn start_from_client_credentials(
        &self,
        key: &str,
        request: ClientCredentialsRequest<'_>,
    ) -> impl Future<Output = Result<(), KeeperError>> {
        let started = self.shared.order_by(key, |errands, _| errands.start_from_client_credentials(request));
        let session = self.session(key);
        async {
            started.map_err(KeeperError::Misuse)?;
            KeeperError::check_source(session.await?, false)
        }
    }

    /// Ends an authorization for a disconnect or a sign-out. When the end is stored, returns the refresh
    /// token: revoke it at the server with [`Client::revoke`](crate::Client::revoke), as
    /// [`management`](crate::management) shows. `None` if there is no refresh token, or if the user has
    /// signed in again meanwhile. Another call returns the token once more, for a revocation that failed.
    ///
    /// # Errors
    ///
    /// [`KeeperError::Store`]: the keeper keeps trying to save the end.
    pub fn end(&self, key: &str) -> impl Future<Output = Result<Option<Secret>, KeeperError>> {
        self.shared.order_by(key, |errands, _| errands.end());
        let session = self.session(key);
        async {
            let ended = session.await?.filter(Session::is_ended);
            Ok(ended.and_then(|session| session.refresh_token().cloned()))
        }
    }

    /// Makes a refresh due at once during a pause or after [`GaveUp`](crate::session::Reason::GaveUp). Call
    /// it when the cause of the trouble is fixed; see [`Session::resume`].
    ///
    /// # Errors
    ///
    /// [`KeeperError::Store`]: the keeper keeps trying to save the change.
    pub fn resume(&self, key: &str) -> impl Future<Output = Result<(), KeeperError>> {
        self.shared.order_by(key, |errands, _| errands.resume());
        self.saved(key)
    }

    /// Binds tokens that were issued at another token endpoint, or under another `client_id`, to the keeper's
    /// client; see [`Session::rebind`].
    ///
    /// # Errors
    ///
    /// [`KeeperError::Store`]: the keeper keeps trying to save the change.
    pub fn rebind(&self, key: &str) -> impl Future<Output = Result<(), KeeperError>> {
        self.shared.order_by(key, |errands, _| errands.rebind());
        self.saved(key)
    }

    /// Returns the stored session under a key, to read its trouble, scopes or expiry; `None` if nothing is
    /// stored. A change that another process saved in the last minute may be missing.
    ///
    /// # Errors
    ///
    /// [`KeeperError::Store`]: the snapshot could not be loaded.
    pub fn session(&self, key: &str) -> impl Future<Output = Result<Option<Session>, KeeperError>> {
        self.shared.wait(key, Entry::session)
    }

    /// Waits until everything that was reported is stored.
    fn saved(&self, key: &str) -> impl Future<Output = Result<(), KeeperError>> {
        let session = self.session(key);
        async { session.await.map(drop) }
    }
}

/// Says that a service took too long to sign.
const NO_SIGNATURE: &str = "no signature came in time";

/// Refuses to sign in a runtime that cannot.
fn no_sign() -> SignerError {
    Error::misuse(
        "a key of the client signs elsewhere, and the Runtime of this keeper has no `sign`; write it",
    )
    .into()
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
