//! Tokens over time, shared by many holders through your program's store: the [`Session`] and its parts.
//!
//! [`Session`]'s documentation has a table of its phases; `phase.rs` has one variant for each row. This file
//! has the other columns: `poll` maps each phase to a step, and each report is a transition.

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

use crate::call::{Call, Response};
use crate::client::{Client, Holder};
use crate::error::Error;
use crate::session::clock::Clock;
use crate::session::phase::{Hand, Phase, Seen};
use crate::session::record::{Record, State, Validity};
use crate::session::refresh::{Attempt, SessionContext};
use crate::session::source::Source;
use crate::session::sparse::Sparse;
use crate::session::trouble::Failure;
use crate::text::scope::Scope;
use crate::text::secret::Secret;
use crate::text::time::{later, system_time, unix};
use crate::token::{Extras, TokenResponse, TokenType, check_token};

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

/// Reports of outcomes.
impl Session {
    /// Records that the store accepted `save`. If no row changed, call [`adopt`](Self::adopt) instead.
    pub fn saved(&mut self, save: Save) {
        let Save { snapshot, claims } = save;
        let record = *snapshot.0;
        let is_next = record.revision == self.record.revision.saturating_add(1);
        // Another task that shares this session may have adopted the save before this report.
        let is_adopted = !matches!(self.hand, Hand::Claim { .. } | Hand::Request { .. })
            && record.revision == self.record.revision
            && record.state == self.record.state
            && record.generation == self.record.generation;
        if record.authorization != self.record.authorization || !(is_next || is_adopted) {
            return;
        }
        self.settle(&record);
        if let (Hand::Nothing, State::Claimed(claim), true) = (&self.hand, record.state, claims)
            // The clock was set back since the claim was made, so its remaining time is unknown.
            && !self.policy.is_in_the_future(claim.since, self.clock.latest())
        {
            self.hand = Hand::Claim { claim, has_nonce: false };
        }
        self.replace(record);
    }

    /// Takes a snapshot from the store, after a save that the store refused or while waiting. Returns whether
    /// the snapshot is newer than what this holder knows; an older one changes nothing.
    ///
    /// If the store refuses a save and then has nothing newer, it lags behind or has lost a write: do not
    /// poll in a loop, and see [`roll_back`](Self::roll_back).
    ///
    /// # Errors
    ///
    /// Misuse: the snapshot belongs to another authorization (check the key that it is stored under), or a
    /// later revision has earlier tokens (another program changed the stored snapshot). When a user signs in
    /// again, call [`reauthorized`](Self::reauthorized) on the same session.
    pub fn adopt(&mut self, snapshot: Snapshot, now: SystemTime) -> Result<bool, Error> {
        self.observe(now);
        let mut record = *snapshot.0;
        if record.authorization != self.record.authorization {
            if self.record.is_stored() {
                return Err(Error::misuse(
                    "this snapshot belongs to another authorization: check the key; when a user signs in again, \
                     restore what is stored and call reauthorized",
                ));
            }
            // Two first sign-ins were made at once, and the other one is stored: ours replaces it if it is
            // later.
            let keeps = match self.hand {
                Hand::SignIn { keeps, .. } => keeps,
                _ => matches!(self.record.source, Source::SignIn),
            };
            let ours = Record { authorization: record.authorization, ..self.newest().clone() };
            // A refresh token from elsewhere is no sign-in, and what is stored is later.
            self.hand = match ours.signed_in_at {
                0 => Hand::Nothing,
                _ => Hand::SignIn { record: Box::new(ours), keeps },
            };
            self.settle(&record);
            self.replace(record);
            return Ok(true);
        }
        if record.revision <= self.record.revision {
            return Ok(false);
        }
        if record.generation < self.record.generation {
            return Err(Error::misuse(
                "this snapshot brings back earlier tokens under a later revision: if the store has lost a write, \
                 call roll_back; otherwise find out who changed the store",
            ));
        }
        record.ends_together |= self.record.ends_together;
        record.issued_to = self.holder.recognise(record.issued_to);
        self.settle(&record);
        self.replace(record);
        Ok(true)
    }

    /// Takes a snapshot from the store although this holder knows a later revision, because the store has
    /// lost a write. [`poll`](Self::poll) then saves again what the store lacks.
    ///
    /// Call it only if the store refused a save, [`adopt`](Self::adopt) found nothing newer or said that
    /// earlier tokens came back, and reading the store again returned the same revision.
    ///
    /// # Errors
    ///
    /// Misuse: the snapshot belongs to another authorization.
    pub fn roll_back(&mut self, snapshot: Snapshot, now: SystemTime) -> Result<(), Error> {
        self.observe(now);
        let mut record = *snapshot.0;
        if record.authorization != self.record.authorization {
            return Err(Error::misuse("this snapshot belongs to another authorization: check the key"));
        }
        record.issued_to = self.holder.recognise(record.issued_to);
        // What the store has lost is known to this holder alone: a sign-in, or an outcome within it.
        let is_another_sign_in = self.record.sign_in() != record.sign_in();
        if self.record.is_stored() && !matches!(self.hand, Hand::SignIn { .. }) {
            let known = Box::new(self.newest().clone());
            self.hand = match is_another_sign_in {
                true => Hand::SignIn { record: known, keeps: false },
                false => Hand::Outcome(known),
            };
        }
        self.settle(&record);
        self.replace(record);
        Ok(())
    }

    /// Compares what is in hand with the stored record, and keeps only an outcome that supersedes it.
    fn settle(&mut self, stored: &Record) {
        let stored_is_from_the_future =
            self.policy.is_in_the_future(stored.signed_in_at, self.clock.latest());
        let known = &self.record;
        let outcome = |record: Record| Hand::Outcome(Box::new(record));
        let settled = match std::mem::replace(&mut self.hand, Hand::Nothing) {
            // An earlier form of the sign-in is stored; it was ended, or its kept token rotated, meanwhile.
            Hand::SignIn { record, .. } if record.sign_in() == stored.sign_in() => {
                record.outcome_over(stored).map(outcome)
            }
            Hand::SignIn { record, keeps } => {
                let record = if keeps { record.keeping(stored) } else { *record };
                let record = record.sign_in_over(stored, stored_is_from_the_future);
                record.map(|record| Hand::SignIn { record: Box::new(record), keeps })
            }
            Hand::Outcome(record) => {
                let rotated =
                    stored.with_rotated(known.source.refresh_token(), record.source.refresh_token());
                record.outcome_over(stored).or(rotated).map(outcome)
            }
            Hand::Nothing | Hand::Claim { .. } | Hand::Request { .. } => None,
        };
        self.hand = settled.unwrap_or(Hand::Nothing);
    }

    fn replace(&mut self, record: Record) {
        if (record.authorization, record.generation) != (self.record.authorization, self.record.generation) {
            self.seen = Seen::Valid;
            self.resting_until = 0;
        }
        self.record = record;
    }

    /// Takes the answer to a call, whatever its HTTP status. A late answer changes nothing, unless its tokens
    /// are later than those this holder knows.
    ///
    /// Send each call once, whatever the error advises: [`poll`](Self::poll) makes the next one. Do not
    /// cancel the task that sends, because the answer may be the only copy of the tokens.
    ///
    /// Returns the members of the response that this crate does not read, and the
    /// [ID token](Extras::id_token) to check, if there is one. The session keeps the other tokens.
    ///
    /// # Errors
    ///
    /// The errors of [`Call::read`], to log: the session has recorded the failure, and [`poll`](Self::poll)
    /// returns the next step. Only the first `use_dpop_nonce` under a claim is no failure: the next step is
    /// to send again, with the nonce. The session keeps the new refresh token of a success, even if nothing
    /// else is readable. Misuse: the call belongs to another session.
    pub fn received(
        &mut self,
        call: Call<SessionRefresh>,
        response: Response<'_>,
        now: SystemTime,
    ) -> Result<Extras, Error> {
        call.learn_nonce(&response);
        let SessionContext { sent: request, attempt } = &call.context;
        if attempt.authorization != self.record.authorization {
            return Err(Error::misuse("this call belongs to another session; give that one the answer"));
        }
        let Response { status, retry_after, .. } = response;
        let sent = request.refresh_token();
        let unread = match request.read(response) {
            Ok(mut tokens) => {
                let extras = tokens.take_extras();
                let new = tokens.refresh_token().cloned();
                self.learn_tokens(*attempt, (sent, new.as_ref()), now, |record, now, policy| {
                    record.refreshed(tokens, attempt.sent_at.min(now), now, policy)
                });
                return Ok(extras);
            }
            Err(unread) => unread,
        };
        let error = call.complete(unread.error, status, retry_after);
        if call.asks_for_nonce(&error) && self.sends_again(*attempt, now) {
            return Err(error);
        }
        let failure = Failure::of(&error, unread.shape);
        match unread.refresh_token.filter(|token| Some(token) != sent) {
            Some(new) => self.learn_tokens(*attempt, (sent, Some(&new)), now, |record, now, policy| {
                record.rotated(new.clone(), &failure, now, policy)
            }),
            None => self.fail(*attempt, &failure, now),
        }
        Err(error)
    }

    /// Records that no answer came: the connection failed, or the answer was not there in time. The server
    /// may have rotated the tokens, so a token can be lost here.
    pub fn no_response(&mut self, call: Call<SessionRefresh>, now: SystemTime) {
        self.fail(call.context.attempt, &Failure::without_answer(TroubleKind::NoAnswer), now);
    }

    /// Records that the API answered 401 to this access token (RFC 6750 §3.1), so that the session replaces
    /// it early. A token other than the current one changes nothing. Poll afterwards.
    pub fn access_token_rejected(&mut self, access_token: &Secret) {
        if *access_token == self.record.access_token {
            self.seen = Seen::Rejected;
        }
    }

    /// Takes the tokens of a new sign-in, which may be another client's. The session continues under the same
    /// key and revision, so that no other holder restores the old tokens.
    ///
    /// Verify that the same user signed in (through the API or an ID token): another user's tokens belong
    /// under another key. Where the new tokens bring no refresh token, the stored one stays, unless it was
    /// refused or ended, or was issued to another client. Of two sign-ins the later one wins, on every
    /// holder.
    pub fn reauthorized(&mut self, tokens: TokenResponse, now: SystemTime) {
        let now = self.observe(now);
        self.holder = tokens.holder.clone();
        let brought_none = matches!(Source::of(&tokens), Source::SignIn);
        let newest = self.newest();
        let record = newest.signed_in_again(tokens, now, &self.policy);
        let record = if brought_none { record.keeping(newest) } else { record };
        // A refresh token that is not in the store yet is not kept from there.
        let keeps = brought_none
            && record.source.refresh_token().is_some()
            && record.source.refresh_token() == self.record.source.refresh_token();
        self.hand = Hand::SignIn { record: Box::new(record), keeps };
    }

    /// Ends the authorization, for a disconnect or a sign-out. Poll and save; then every holder sees the end,
    /// and none refreshes. Afterwards [revoke](crate::Client::revoke) the
    /// [`refresh_token`](Self::refresh_token) at the server. A new sign-in continues with
    /// [`reauthorized`](Self::reauthorized).
    ///
    /// ```
    /// use oauth2_proto::session::Reason;
    /// use oauth2_proto::{Secret, Session, Step};
    ///
    /// # use oauth2_proto::{Client, ClientAuth, RefreshPolicy, TokenResponse, pleo};
    /// # let (policy, now) = (RefreshPolicy::default(), std::time::SystemTime::UNIX_EPOCH);
    /// # let client = Client::new(pleo::staging(), "client-id", ClientAuth::basic("fake"))?;
    /// # let json = r#"{"access_token":"fake-1","token_type":"Bearer","refresh_token":"fake-2"}"#;
    /// # let mut session = Session::new(TokenResponse::for_test(&client, json)?, policy, now);
    /// # let Step::Save(save) = session.poll(now) else { panic!() };
    /// # session.saved(save);
    /// session.end(now);
    /// assert_eq!(session.access_token(now), None);
    /// let Step::Save(save) = session.poll(now) else { panic!() };
    /// session.saved(save); // it is in the store
    /// assert!(matches!(session.poll(now), Step::Reauthorize(Reason::Ended)));
    /// // Revoke this token at the server: `client.revoke(token)`.
    /// assert_eq!(session.refresh_token().map(Secret::expose), Some("fake-2"));
    /// # Ok::<(), oauth2_proto::Error>(())
    /// ```
    pub fn end(&mut self, now: SystemTime) {
        self.observe(now);
        if let Hand::SignIn { record, .. } = &mut self.hand {
            **record = record.ended();
        } else if self.newest().state != State::Ended {
            self.hand = Hand::Outcome(Box::new(self.newest().ended()));
        }
    }

    /// Makes a refresh due at once and restarts both limits, after [`GaveUp`](Reason::GaveUp) or during a
    /// pause. Call it when the cause is fixed. In any other phase it changes nothing.
    pub fn resume(&mut self, now: SystemTime) {
        let now = self.observe(now);
        let can_resume = match self.phase(now) {
            Phase::Backoff { .. } | Phase::Ended(Reason::GaveUp) => true,
            Phase::Due { .. } => matches!(self.record.state, State::Backoff(_)),
            _ => false,
        };
        if can_resume {
            self.resting_until = 0;
            self.hand = Hand::Outcome(Box::new(self.record.resumed(now)));
        }
    }

    /// Takes the tokens of an answer if no later ones are known. Otherwise takes only the refresh token that
    /// replaced `sent`, if `sent` is still in use.
    fn learn_tokens(
        &mut self,
        attempt: Attempt,
        (sent, new): (Option<&Secret>, Option<&Secret>),
        now: SystemTime,
        take: impl FnOnce(&Record, u64, &RefreshPolicy) -> Record,
    ) {
        let now = self.observe(now);
        self.braked_until = later(now, self.policy.min_interval);
        let newest = self.newest();
        if attempt.generation == newest.generation {
            let learned = Record { issued_to: newest.issued_to, ..take(&self.record, now, &self.policy) };
            let learned = if newest.state == State::Ended { learned.ended() } else { learned };
            self.hand = Hand::Outcome(Box::new(learned));
        } else if let Some(rotated) = newest.with_rotated(sent, new) {
            let record = Box::new(rotated);
            self.hand = match self.hand {
                Hand::SignIn { .. } => Hand::SignIn { record, keeps: false },
                _ => Hand::Outcome(record),
            };
        }
    }

    /// Goes back to the claim of an attempt that the server asks to repeat with a nonce. Returns whether it
    /// does: once under each claim, while there is time to send.
    fn sends_again(&mut self, attempt: Attempt, now: SystemTime) -> bool {
        let now = self.observe(now);
        match self.hand {
            Hand::Request { claim, has_nonce: false } if self.is_current(attempt) && now < claim.middle() => {
                self.hand = Hand::Claim { claim, has_nonce: true };
                true
            }
            _ => false,
        }
    }

    /// Returns whether an attempt is the last one that this holder made for the stored record.
    fn is_current(&self, attempt: Attempt) -> bool {
        let is_last = match self.hand {
            Hand::Claim { has_nonce, .. } | Hand::Request { has_nonce, .. } => has_nonce == attempt.has_nonce,
            Hand::Nothing | Hand::Outcome(_) | Hand::SignIn { .. } => true,
        };
        attempt.authorization == self.record.authorization
            && attempt.revision == self.record.revision
            && is_last
    }

    /// Records that an attempt failed, if this holder waits for its answer.
    fn fail(&mut self, attempt: Attempt, failure: &Failure<'_>, now: SystemTime) {
        let now = self.observe(now);
        if !self.is_current(attempt) {
            return;
        }
        match &mut self.hand {
            Hand::Outcome(_) => {}
            // The refresh token that the sign-in keeps is dead.
            Hand::SignIn { record, keeps } if *keeps && failure.kind == TroubleKind::Refused => {
                let refused = self.record.failed(failure, now, &self.policy);
                **record = Record { state: State::Quiet, ..record.keeping(&refused) };
                *keeps = false;
            }
            Hand::SignIn { .. } => {}
            Hand::Nothing | Hand::Claim { .. } | Hand::Request { .. } => {
                let failed = self.record.failed(failure, now, &self.policy);
                if let State::Backoff(pause) = failed.state {
                    self.resting_until = pause.until;
                }
                self.hand = Hand::Outcome(Box::new(failed));
            }
        }
    }

    /// Returns the latest record that this holder knows.
    fn newest(&self) -> &Record {
        match &self.hand {
            Hand::Outcome(record) | Hand::SignIn { record, .. } => record,
            Hand::Nothing | Hand::Claim { .. } | Hand::Request { .. } => &self.record,
        }
    }
}

/// The passing of time.
impl Session {
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
