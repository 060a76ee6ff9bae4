//! Tokens over time, shared by many holders through your program's store: the [`Session`] and its parts.
//!
//! [`Session`]'s documentation has a table of its phases; `phase.rs` has one variant for each row. `poll`, in
//! this file, maps each phase to a step, and each report, in `reports.rs`, is a transition.

mod client_credentials;
pub(crate) mod clock;
mod for_keeper;
mod jitter;
#[cfg(test)]
mod model;
mod phase;
pub(crate) mod policy;
pub(crate) mod record;
pub(crate) mod refresh;
mod reports;
pub(crate) mod source;
mod sparse;
pub(crate) mod step;
pub(crate) mod stored;
pub(crate) mod trouble;

pub(crate) use self::for_keeper::Outlook;
pub use self::policy::RefreshPolicy;
pub use self::refresh::SessionRefresh;
pub use self::step::{Reason, Save, Step, WaitReason};
pub use self::stored::Snapshot;
pub use self::trouble::{Trouble, TroubleKind};

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::call::Call;
use crate::client::{Client, Holder};
use crate::error::Error;
use crate::session::clock::Clock;
use crate::session::phase::{Hand, Phase, Seen};
use crate::session::record::{Record, State, Validity};
use crate::session::refresh::Attempt;
use crate::session::source::Source;
use crate::session::sparse::Sparse;
use crate::text::scope::Scope;
use crate::text::secret::Secret;
use crate::text::time::{system_time, unix};
use crate::token::{TokenResponse, TokenType, check_token};

/// The tokens of one authorization over time, kept alive by one refresh at a time.
///
/// A server that rotates refresh tokens may revoke the authorization when a refresh token is used twice.
/// Threads, processes and machines that share an authorization therefore need one refresher at a time, and
/// new tokens must be in the store before they are used. A `Session` implements this rule as a value, without
/// a lock, a store or a clock. Every holder has its own `Session`, made from the same stored [`Snapshot`].
///
/// [`access_token`](Self::access_token) returns the token that is usable now. [`poll`](Self::poll) returns
/// the next step: do it, report the outcome, and poll again.
///
/// ```
/// # use oauth2_proto::*;
/// # use std::time::{Duration, SystemTime};
/// # trait Store { fn compare_and_swap(&self, expected_revision: u64, snapshot: &Snapshot) -> bool; fn load(&self) -> Snapshot; }
/// # trait Http { fn send(&self, request: &Request, until: SystemTime) -> Option<(u16, Vec<(String, String)>, Vec<u8>)>; }
/// # fn keep_alive(session: &mut Session, client: &Client, store: &dyn Store, http: &dyn Http, now: fn() -> SystemTime) -> Result<SystemTime, Box<dyn std::error::Error>> {
/// loop {
///     match session.poll(now()) {
///         // Come back then. Sleep a minute at most: the clock may be set, and
///         // another holder may have news.
///         Step::Idle(until) => {
///             let minute = now() + Duration::from_secs(60);
///             return Ok(until.unwrap_or(minute).min(minute));
///         }
///         // Another holder refreshes, or a pause runs: look into the store.
///         Step::Wait { until, .. } => {
///             session.adopt(store.load(), now())?;
///             return Ok(until.min(now() + Duration::from_secs(1)));
///         }
///         Step::Save(save) => {
///             if store.compare_and_swap(save.expected_revision(), save.snapshot()) {
///                 session.saved(save);
///             } else if !session.adopt(store.load(), now())? {
///                 return Err("the store refused a save and has nothing newer".into());
///             }
///         }
///         Step::Send { until } => {
///             let Some(call) = session.send(client, now())? else { continue };
///             match http.send(call.request(), until) {
///                 Some((status, headers, body)) => {
///                     let response = Response::new(status, headers, &body);
///                     if let Err(error) = session.received(call, response, now()) {
///                         eprintln!("refresh: {error}");
///                     }
///                 }
///                 None => session.no_response(call, now()),
///             }
///         }
///         // Unless another holder knows better, the user signs in again;
///         // then call `session.reauthorized`.
///         Step::Reauthorize(reason) => {
///             if !session.adopt(store.load(), now())? {
///                 return Err(reason.into());
///             }
///         }
///     }
/// }
/// # }
/// ```
///
/// # Phases
///
/// A refresh has six steps: claim, save, send, receive, save, use. Each holder has its own phase. All holders
/// share the *stored* record, which changes by compare-and-swap only.
///
/// | phase | `poll` returns | what happens | next phase |
/// |---|---|---|---|
/// | **unsaved**: first tokens, not in the store | `Save` | saved | quiet |
/// | **quiet**, before the time to refresh | `Idle` | the time comes | due |
/// | | | the API rejects the token | backoff, then due |
/// | **due** | `Save` (a claim) | saved | claimed by us |
/// | | | lost the race | as stored |
/// | **claimed by us** | `Send` | `send` | sent |
/// | | | half of the claim is over | claimed by another |
/// | **sent** | `Wait` | tokens arrive | learned: quiet |
/// | | | the server asks for a nonce, once (RFC 9449 §8) | claimed by us |
/// | | | the grant is refused | learned: ended |
/// | | | any other failure, or no response | learned: backoff |
/// | | | the claim is over | claimed by another |
/// | **learned**: the outcome is not in the store | `Save` | saved | as learned |
/// | | | lost the race | as stored |
/// | | | lost, but the outcome is later tokens, or a refusal | learned (saved over the other) |
/// | **claimed by another** | `Wait` | the claim and the clock skew pass | due, one more attempt |
/// | | | a newer snapshot | as stored |
/// | **misdated**: another's claim, dated in the future | `Save` (the claim, dated now) | saved | claimed by another |
/// | **backoff** | `Wait` | the pause ends, or `resume` | due, one more attempt |
/// | **another client**: due, and issued to another client | `Wait` | a newer snapshot | as stored |
/// | **another key**: due, and bound to another key | `Wait` | a newer snapshot | as stored |
/// | **ended**: refused; gave up; no refresh token; `end` | `Reauthorize` | `reauthorized` | learned: quiet |
/// | | | `resume`, if it gave up | learned: backoff |
///
/// Every other report changes nothing: an answer to an earlier call, a snapshot that is not newer, a save
/// that was reported twice. Without a crash or a lost answer, no token is lost.
///
/// # When a refresh fails
///
/// Servers report a dead authorization in many ways, so the session classifies each failure by one question:
/// would a new sign-in help? [`trouble`](Self::trouble) tells every holder when the failures began, how many
/// there were, and what the last one was.
///
/// | answer to a refresh | meaning | the session |
/// |---|---|---|
/// | none; 408, 421, 425, 429; 5xx except 501 and 505; 3xx; an unreadable success | the server is in trouble | tries again with growing pauses, for days |
/// | a page or other text; 404, 405, 410 and other statuses without an OAuth error | a gateway is in trouble, or the endpoint moved | the same |
/// | `invalid_client`, `invalid_dpop_proof` | the client's secret, key, clock or registration is wrong | tries again slowly, without a limit |
/// | `invalid_grant`, and [the server's own codes](crate::AuthorizationServer::invalid_grant_codes) | dead | `Reauthorize(Refused)` at once |
/// | 400, 401 or 403 that is empty or JSON; any other `error` in JSON | most likely dead | tries a few times within minutes, then `Reauthorize(GaveUp)` |
///
/// The [`RefreshPolicy`] has both limits: [`max_attempts`](RefreshPolicy::max_attempts) for outages, and
/// [`max_unclear_refusals`](RefreshPolicy::max_unclear_refusals) for authorizations that are most likely
/// dead. All holders share the counts.
///
/// # Client credentials
///
/// A session can also keep the client's own tokens (RFC 6749 §4.4):
/// [`from_client_credentials`](Self::from_client_credentials) begins one, and so does [`new`](Self::new) with
/// the answer to a [client credentials request](Client::client_credentials). Where another session refreshes,
/// this one asks for a new token, with the same scopes, resources and parameters. All holders share it.
/// Everything that this page says about a refresh holds for that request, except where a user would act:
///
/// - `invalid_grant` and all codes like it are refusals without a cause. After a few tries,
///   [`poll`](Self::poll) returns `Reauthorize(GaveUp)`. Report it to an operator, who fixes the client's
///   registration; then [`resume`](Self::resume).
/// - A request ends no earlier token, so nothing is withheld while it is under way.
/// - A refresh token in the answer is neither stored nor sent.
/// - After a user's sign-in under the same key, the session no longer uses the client's own tokens.
///
/// # Keys
///
/// The tokens of a client with a key are bound to it ([`Client::dpop`], RFC 9449), and the stored form holds
/// the thumbprint of the key. All holders need the same key. One whose client has another key or none is told
/// before it claims anything: [`restore`](Self::restore) fails, and [`poll`](Self::poll) waits for
/// [`AnotherKey`](WaitReason::AnotherKey). A new sign-in with another key takes over
/// ([`signed_in_again`](Self::signed_in_again), [`reauthorized`](Self::reauthorized)), and
/// [`rebind`](Self::rebind) hands the tokens of a client with credentials to a new key.
///
/// A server that wants a nonce in the proof says so once, and then [`poll`](Self::poll) returns `Send` again
/// under the same claim. This is no failure, and uses up no refresh token. A server that asks again under one
/// claim, or so late that the claim's first half is over, or without a nonce, is in trouble like any other.
///
/// The tokens of a client whose connections [present a certificate](Client::presents_certificate) belong to
/// such clients: one without a certificate is another client. Which certificate it is, only the program
/// knows.
///
/// # Defined answers
///
/// - **No `expires_in`**: the token is used until [`access_token_rejected`](Self::access_token_rejected)
///   reports that the API refused it.
/// - **A lifetime of 0**, or one that ends before the answer arrives: saved, never used, and counted as a
///   failed attempt.
/// - **A success of which only the new refresh token is readable**: the session keeps the refresh token and
///   tries it after a pause.
/// - **No refresh token in the answer**: the old one stays. **None at all**: the access token is used until
///   it expires, then `Reauthorize`.
/// - **A narrower scope**: accepted, and returned by [`granted_scopes`](Self::granted_scopes). An answer
///   without a scope changes nothing.
/// - **A clock that goes back** by no more than the skew counts as standing still. A clock that goes back
///   further ends our claim, restarts the wait for another holder's claim, and makes a token from the future
///   unusable and due. It never revives a token that was seen to expire. **A clock that jumps ahead** causes
///   one unnecessary refresh, and no more.
/// - **A new sign-in without a refresh token**: the stored one stays, unless it was refused or ended, or was
///   issued to another client. **Two sign-ins**: the later one wins on every holder.
/// - **An announced end of the refresh token** (`refresh_expires_in`, `refresh_token_expires_in`): the
///   session refreshes before that time.
/// - **Tokens that live shorter than [`min_interval`](RefreshPolicy::min_interval)**: the session replaces
///   them no more often than that.
/// - **A store that lost a write**: call [`roll_back`](Self::roll_back).
///
/// # What no client can promise
///
/// From the server's rotation of the tokens to your call of [`saved`](Self::saved), the new tokens exist in
/// one answer and one process. If the answer is lost or the process dies in this window, the session tries
/// the old refresh token again. Some servers allow that; others (Pleo's) refuse it or end the authorization,
/// and the user must sign in again. The window lasts for the answer's way back and one save. A request that
/// reaches the server after its [`until`](Step::Send), and tokens that are saved only after that, have the
/// same effect, because another holder may use the old refresh token in the meantime.
#[cfg_attr(test, derive(Clone))]
pub struct Session {
    /// The stored record, as far as this holder knows it.
    record: Record,
    hand: Hand,
    seen: Seen,
    clock: Clock,
    /// The end of the pause after this holder's own last failure, by its own clock. Other clocks may date
    /// pauses so that they hold nobody.
    resting_until: u64,
    /// The earliest time for this holder's next refresh of a token that its own clock alone makes due: where
    /// clocks differ for good, two holders would replace each other's tokens at every poll.
    braked_until: u64,
    policy: Sparse<RefreshPolicy>,
    /// The client of this holder.
    holder: Arc<Holder>,
}

/// Construction, and what a session knows.
impl Session {
    /// Makes a session from the tokens of a user's first sign-in, or of [client
    /// credentials](Self#client-credentials), received at `now`. They are usable once they are saved.
    ///
    /// If the store already has a snapshot for the user, call [`signed_in_again`](Self::signed_in_again)
    /// instead, so that the other holders adopt the new tokens. Do not delete a snapshot that other holders
    /// use. If two processes make a first sign-in at once, the store refuses one save: [`adopt`](Self::adopt)
    /// the stored snapshot, and the later sign-in wins.
    pub fn new(tokens: TokenResponse, policy: RefreshPolicy, now: SystemTime) -> Self {
        let holder = tokens.holder.clone();
        Self::with(Record::of_sign_in(tokens, unix(now), &policy), holder, policy, now)
    }

    /// Makes a session from the tokens of a later sign-in, received at `now`, for a user whose snapshot
    /// `stored` is in the store. The session continues under the same key, even if the client has changed. If
    /// you already have a session, call [`reauthorized`](Self::reauthorized).
    ///
    /// ```
    /// use oauth2_proto::{Client, ClientAuth, RefreshPolicy, Secret, Session, Step};
    /// use oauth2_proto::{TokenResponse, pleo};
    /// use std::time::SystemTime;
    ///
    /// let auth = ClientAuth::basic("fake-secret");
    /// let client = Client::new(pleo::staging(), "client-id", auth)?;
    /// let (policy, now) = (RefreshPolicy::default(), SystemTime::UNIX_EPOCH);
    ///
    /// let json = r#"{"access_token":"fake-1","token_type":"Bearer"}"#;
    /// let mut first = Session::new(TokenResponse::for_test(&client, json)?, policy, now);
    /// let Step::Save(save) = first.poll(now) else { panic!() };
    /// let stored = save.snapshot().clone(); // it is in the store
    ///
    /// let json = r#"{"access_token":"fake-2","token_type":"Bearer"}"#;
    /// let tokens = TokenResponse::for_test(&client, json)?;
    /// let mut session = Session::signed_in_again(tokens, stored, policy, now);
    /// let Step::Save(save) = session.poll(now) else { panic!() };
    /// assert_eq!((save.expected_revision(), save.snapshot().revision()), (1, 2));
    /// session.saved(save);
    /// assert_eq!(session.access_token(now).map(Secret::expose), Some("fake-2"));
    /// # Ok::<(), oauth2_proto::Error>(())
    /// ```
    pub fn signed_in_again(
        tokens: TokenResponse,
        stored: Snapshot,
        policy: RefreshPolicy,
        now: SystemTime,
    ) -> Self {
        let mut session = Self::with(*stored.0, tokens.holder.clone(), policy, now);
        session.reauthorized(tokens, now);
        session
    }

    /// Makes a session from a refresh token that you obtained without this crate, for users who signed in
    /// earlier. The first refresh is due at once.
    ///
    /// First stop every other program that refreshes with this token. The scopes are unknown until the server
    /// names them.
    ///
    /// ```
    /// use oauth2_proto::{Client, ClientAuth, RefreshPolicy, Secret, Session, Step, pleo};
    /// use std::time::SystemTime;
    ///
    /// let auth = ClientAuth::basic("fake-secret");
    /// let client = Client::new(pleo::staging(), "client-id", auth)?;
    /// let (token, now) = (Secret::new("fake-refresh"), SystemTime::UNIX_EPOCH);
    /// let mut session =
    ///     Session::from_refresh_token(&client, token, RefreshPolicy::default(), now)?;
    /// let Step::Save(save) = session.poll(now) else { panic!() };
    /// session.saved(save); // it is in the store
    /// assert!(session.access_token(now).is_none());
    /// assert!(matches!(session.poll(now), Step::Save(_))); // the claim of a refresh
    /// # Ok::<(), oauth2_proto::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Misuse: the refresh token is empty or holds control characters, such as the line break of a file.
    pub fn from_refresh_token(
        client: &Client,
        refresh_token: Secret,
        policy: RefreshPolicy,
        now: SystemTime,
    ) -> Result<Self, Error> {
        check_token("refresh token", refresh_token.expose())?;
        let record = Record::of_refresh_token(refresh_token, client, unix(now));
        Ok(Self::with(record, client.holder.clone(), policy, now))
    }

    /// Makes another holder from a stored snapshot. A snapshot does not name its user: the key under which
    /// you store it does.
    ///
    /// # Errors
    ///
    /// Misuse: the tokens were issued to another client, because the token endpoint or the `client_id`
    /// differs. Use that client or, if the token endpoint has moved, [`rebind`](Self::rebind). Or they are
    /// bound to another key than the client's: use that key, or let the user sign in again.
    pub fn restore(
        client: &Client,
        snapshot: Snapshot,
        policy: RefreshPolicy,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let session = Self::of_stored(client, snapshot, policy, now);
        session.check_issued_to(client)?;
        match session.record.source {
            Source::SignIn => {}
            Source::RefreshToken(_) => client.server.check_grant_type("refresh_token")?,
            Source::ClientCredentials => client.check_own_tokens()?,
        }
        Ok(session)
    }

    /// Makes a holder from a snapshot whose tokens were issued to `client` at another address of its token
    /// endpoint, or under another `client_id`. Save it; then the other holders adopt it. If another holder
    /// saves first, call `rebind` again with the newer snapshot.
    ///
    /// From then on the refresh token goes to the new address, so make sure that this address belongs to the
    /// same server.
    ///
    /// Tokens that are bound to another key than the client's become this key's: the access token is no
    /// longer used, and a refresh with the client's key is due at once. Servers grant it to a client that
    /// authenticates itself. The refresh token of a client without credentials stays bound to its key for
    /// good (RFC 9449 §5): it counts as refused, and the user must sign in again.
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, RefreshPolicy, Session, Step};
    /// # use oauth2_proto::TokenResponse;
    ///
    /// let client = |token_endpoint| {
    ///     let server = AuthorizationServer::new("https://as.example/authorize", token_endpoint)?;
    ///     Client::new(server, "client-id", ClientAuth::none())
    /// };
    /// let old = client("https://as.example/token")?;
    /// let moved = client("https://as.example/v2/token")?;
    /// # let (policy, now) = (RefreshPolicy::default(), std::time::SystemTime::UNIX_EPOCH);
    /// # let json = r#"{"access_token":"fake-1","token_type":"Bearer"}"#;
    /// # let mut session = Session::new(TokenResponse::for_test(&old, json)?, policy, now);
    /// # let Step::Save(save) = session.poll(now) else { panic!() };
    /// # let stored = save.snapshot().clone();
    ///
    /// assert!(Session::restore(&moved, stored.clone(), policy, now).is_err());
    /// let mut session = Session::rebind(&moved, stored, policy, now);
    /// let Step::Save(save) = session.poll(now) else { panic!() };
    /// assert_eq!(save.expected_revision(), 1);
    /// # Ok::<(), oauth2_proto::Error>(())
    /// ```
    pub fn rebind(client: &Client, snapshot: Snapshot, policy: RefreshPolicy, now: SystemTime) -> Self {
        let mut session = Self::of_stored(client, snapshot, policy, now);
        session.move_to(client);
        session
    }

    fn with(mut record: Record, holder: Arc<Holder>, policy: RefreshPolicy, now: SystemTime) -> Self {
        record.issued_to = holder.recognise(record.issued_to);
        Self {
            record,
            hand: Hand::Nothing,
            seen: Seen::Valid,
            clock: Clock::new(unix(now)),
            policy: policy.into(),
            holder,
            resting_until: 0,
            braked_until: 0,
        }
    }

    /// Returns the access token if it is usable at `now`; changes nothing.
    ///
    /// It stays usable during a refresh, until it expires, is replaced or rejected, or the authorization is
    /// ended. At a server whose [access tokens end with a
    /// refresh](crate::AuthorizationServer::access_tokens_end_with_refresh), no token is usable from the
    /// sending of our refresh until the new tokens are saved, or after a refusal. Call this before each
    /// request to the API, and report a 401 by [`access_token_rejected`](Self::access_token_rejected).
    pub fn access_token(&self, now: SystemTime) -> Option<&Secret> {
        let now = self.clock.time(unix(now), &self.policy);
        let record = &self.record;
        let lives = match record.validity {
            Validity::UntilRejected { .. } => true,
            Validity::Until { expires_at, .. } => now < expires_at,
            Validity::Never => false,
        };
        let ends_with_refresh = record.ends_together
            && (record.state == State::Refused
                || matches!(self.hand, Hand::Request { .. } | Hand::Outcome(_) | Hand::SignIn { .. }));
        let is_replaced = self.newest().generation > record.generation;
        let is_usable = lives
            && record.is_stored()
            && self.newest().state != State::Ended
            && self.seen == Seen::Valid
            && !ends_with_refresh
            && !is_replaced
            && !self.policy.is_in_the_future(record.issued_at, now);
        is_usable.then_some(&record.access_token)
    }

    /// Returns the refresh token, to [revoke](crate::Client::revoke) it after [`end`](Self::end). Do not
    /// refresh with it yourself: the session does.
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.newest().source.refresh_token()
    }

    /// Returns the failures since the last successful refresh; `None` if there were none.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.newest().trouble.as_deref()
    }

    /// Returns the type of the access token, which says how to send it (RFC 6749 §7.1).
    pub fn token_type(&self) -> &TokenType {
        &self.record.terms.token_type
    }

    /// Returns the scopes that are known to be granted; none where they are unknown.
    pub fn granted_scopes(&self) -> impl Iterator<Item = &str> {
        self.record.terms.scope.iter().flat_map(Scope::tokens)
    }

    /// Returns when the access token expires; `None` where the server names no lifetime.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.record.expires_at().map(system_time)
    }

    /// Returns the revision that this holder knows to be stored; 0 before the first save.
    pub fn revision(&self) -> u64 {
        self.record.revision
    }
}

/// The next step, and the call to send.
impl Session {
    /// Returns the next step. Polling twice at one time returns the same step: only the reports change the
    /// session.
    pub fn poll(&mut self, now: SystemTime) -> Step {
        let now = self.observe(now);
        let wait = |until, reason| Step::Wait { until: system_time(until), reason };
        match self.phase(now) {
            Phase::Unsaved(record) | Phase::Learned(record) => self.save(record.clone()),
            Phase::Quiet { until } => Step::Idle(until.map(system_time)),
            Phase::Due { attempt } => self.claim(self.record.claimed(attempt, now, &self.policy)),
            Phase::ClaimedByUs { claim } => Step::Send { until: system_time(claim.until) },
            Phase::Sent { claim } => wait(claim.until, WaitReason::OurRequest),
            Phase::ClaimedByAnother { until } => wait(until, WaitReason::AnotherHolder),
            Phase::Misdated { claim } => self.save(self.record.redated(claim, now, &self.policy)),
            Phase::Backoff { until } => wait(until, WaitReason::Pause),
            Phase::AnotherClient { until } => wait(until, WaitReason::AnotherClient),
            Phase::AnotherKey { until } => wait(until, WaitReason::AnotherKey),
            Phase::Ended(reason) => Step::Reauthorize(reason),
        }
    }

    fn save(&self, next: Record) -> Step {
        self.save_as(next, false)
    }

    fn claim(&self, next: Record) -> Step {
        self.save_as(next, true)
    }

    fn save_as(&self, mut next: Record, claims: bool) -> Step {
        next.revision = self.record.revision.saturating_add(1);
        Step::Save(Save { snapshot: Snapshot(Box::new(next)), claims })
    }

    /// Returns the call to send, once for each claim: `None` if [`poll`](Self::poll) does not return
    /// [`Send`](Step::Send), perhaps because another task that shares this session was faster.
    ///
    /// The call repeats the scopes and resources of the authorization request where the server wants that
    /// ([`refresh_repeats_scope`](crate::AuthorizationServer::refresh_repeats_scope),
    /// [`refresh_repeats_resources`](crate::AuthorizationServer::refresh_repeats_resources)). Add other
    /// parameters with [`request_mut`](Call::request_mut).
    ///
    /// # Errors
    ///
    /// Misuse: the tokens were issued to another client or are bound to another key, the server does not
    /// support the grant, or a key of the client did not sign ([`Client::signing`]). The claim stays, so
    /// `send` may be called again.
    pub fn send(&mut self, client: &Client, now: SystemTime) -> Result<Option<Call<SessionRefresh>>, Error> {
        check_holder(&self.record, &client.holder)?;
        let at = now;
        let now = self.observe(now);
        let Hand::Claim { claim, has_nonce } = self.hand else { return Ok(None) };
        let attempt = Attempt {
            authorization: self.record.authorization,
            revision: self.record.revision,
            generation: self.record.generation,
            sent_at: now,
            has_nonce,
        };
        let Some(call) = self.call(client, attempt, at)? else { return Ok(None) };
        self.hand = Hand::Request { claim, has_nonce };
        // Version 1 of the stored form lacks this member.
        self.record.ends_together =
            self.record.source.refresh_token().is_some() && client.server.access_tokens_end_with_refresh;
        Ok(Some(call))
    }
}

/// What this holder knows, and the passing of time.
impl Session {
    /// Returns the latest record that this holder knows.
    fn newest(&self) -> &Record {
        match &self.hand {
            Hand::Outcome(record) | Hand::SignIn { record, .. } => record,
            Hand::Nothing | Hand::Claim { .. } | Hand::Request { .. } => &self.record,
        }
    }

    /// Advances the clock and returns the time that counts. Ends the token, the claim or the request whose
    /// time is over.
    fn observe(&mut self, now: SystemTime) -> u64 {
        let shown = unix(now);
        let now = self.clock.time(shown, &self.policy);
        let set_back = self.clock.was_set_back(shown, &self.policy);
        self.clock.advance(now);
        if self.seen == Seen::Valid && self.record.expires_at().is_some_and(|end| end <= now) {
            self.seen = Seen::Expired;
        }
        if set_back {
            (self.resting_until, self.braked_until) = (0, 0);
        }
        let is_over = match self.hand {
            // The clock was set back, so the claim's remaining time is unknown.
            Hand::Claim { .. } | Hand::Request { .. } if set_back => true,
            Hand::Claim { claim, .. } => claim.middle() <= now,
            Hand::Request { claim, .. } => claim.until <= now,
            Hand::Nothing | Hand::Outcome(_) | Hand::SignIn { .. } => false,
        };
        if is_over {
            self.hand = Hand::Nothing;
        }
        now
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("record", &self.record)
            .field("hand", &self.hand)
            .finish_non_exhaustive()
    }
}

/// Checks that the tokens were issued to this client, and are bound to no key but its own.
fn check_holder(record: &Record, holder: &Holder) -> Result<(), Error> {
    if record.issued_to != holder.issued_to {
        return Err(Error::misuse(
            "these tokens were issued to another client, because the token endpoint or the client_id differs: use \
             that client or, if the token endpoint has moved, call rebind",
        ));
    }
    match (record.is_bound_to(holder), holder.bound_to) {
        (true, _) => Ok(()),
        (false, None) => Err(Error::misuse(
            "these tokens are bound to a key, and this client has none: give it the key by Client::dpop, or let \
             the user sign in again (RFC 9449 section 5)",
        )),
        (false, Some(_)) => Err(Error::misuse(
            "these tokens are bound to another key than this client's: use that key or, if the key is replaced, \
             call rebind where the client has credentials, and otherwise let the user sign in again (RFC 9449 \
             section 5)",
        )),
    }
}
