//! The state machine of a keeper: returns errands until there is a good token, for one holder of one
//! authorization.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::call::{Call, Response};
use crate::client::Client;
use crate::client_auth::Signing;
use crate::error::Error;
use crate::grants::ClientCredentialsRequest;
use crate::keeper::error::KeeperError;
use crate::keeper::wishes::{End, Stage, Start, Wishes};
use crate::session::{
    Outlook, Reason, RefreshPolicy, Save, Session, SessionRefresh, Snapshot, Step, WaitReason,
};
use crate::text::secret::Secret;
use crate::token::{AccessToken, Extras, TokenResponse, check_token};

/// The next step towards a good access token; returned by [`Errands::next`].
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one errand at a time")]
#[must_use = "do the errand and report its outcome"]
pub enum Errand {
    /// Load the snapshot from the store, then call [`Errands::loaded`].
    Load,
    /// Store the snapshot by compare-and-swap, then call [`Errands::swapped`].
    Swap(Save),
    /// Have the messages of `signing` signed, then call [`Errands::signed`]. Comes before a claim, and only
    /// for a client whose key [signs elsewhere](crate::jose::SigningKey::remote).
    Sign {
        /// What to sign.
        signing: Signing,
        /// The time until which the signatures may arrive, ten seconds from now. After that, report nothing:
        /// a server refuses what was signed for an earlier time.
        until: SystemTime,
    },
    /// Send the request, then call [`Errands::answered`].
    Send {
        /// The request, and the only reader of its answer.
        call: Call<SessionRefresh>,
        /// The time until which the answer may arrive. After that, report `None`.
        until: SystemTime,
    },
    /// Wait until this time, then ask for the next errand.
    Sleep(SystemTime),
    /// Done: use this access token now.
    Token(AccessToken),
    /// Done: there is no usable access token.
    NoToken(KeeperError),
}

/// The outcome of one refresh, to log.
#[derive(Debug)]
pub enum Refreshed {
    /// The tokens arrived. The value holds the members of the response that this crate does not read.
    Done(Extras),
    /// The server refused the refresh, or its answer is unreadable. If the error is the first
    /// `use_dpop_nonce`, the next errand sends the refresh again, with the nonce (RFC 9449 §8).
    Failed(Error),
    /// No answer came.
    NoAnswer,
}

impl fmt::Display for Refreshed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(_) => f.write_str("the tokens were refreshed"),
            Self::Failed(error) => write!(f, "the refresh failed: {error}"),
            Self::NoAnswer => f.write_str("no answer to the refresh came"),
        }
    }
}

/// Drives the [`Session`] of one holder of one authorization, without I/O.
///
/// Ask for the [`next`](Self::next) errand, do it, report its outcome, and ask again, until there is a token
/// or a reason why there is none. An errand whose outcome is not reported comes again. Keep the `Errands`
/// between two tokens, because they remember the stored session. For many authorizations, keep one
/// `Errands` for each key.
///
/// ```
/// use oauth2_proto::keeper::{Errand, Errands, KeeperError};
/// # use oauth2_proto::{Request, Response, Snapshot, session::Save, token::AccessToken};
/// # use std::time::SystemTime;
/// # type Failure = Box<dyn std::error::Error>;
/// # trait Store {
/// #     fn load(&self, key: &str) -> Result<Option<Snapshot>, Failure>;
/// #     fn compare_and_swap(&self, key: &str, save: &Save) -> Result<bool, Failure>;
/// # }
/// # trait Http { fn send(&self, request: &Request, until: SystemTime) -> Option<Response<'static>>; }
///
/// fn token(
///     errands: &mut Errands,
///     key: &str,
///     store: &dyn Store,
///     http: &dyn Http,
///     now: fn() -> SystemTime,
///     sleep: fn(SystemTime),
/// ) -> Result<AccessToken, Failure> {
///     loop {
///         match errands.next(now()) {
///             Errand::Load => errands.loaded(store.load(key)?, now()),
///             Errand::Swap(save) => {
///                 let accepted = store.compare_and_swap(key, &save)?;
///                 errands.swapped(save, accepted, now());
///             }
///             // Comes only if a key of the client signs elsewhere.
///             Errand::Sign { .. } => unreachable!(),
///             Errand::Send { call, until } => {
///                 let answer = http.send(call.request(), until);
///                 println!("{}", errands.answered(call, answer, now()));
///             }
///             Errand::Sleep(until) => sleep(until),
///             Errand::Token(token) => return Ok(token),
///             Errand::NoToken(why) => return Err(why.into()),
///         }
///     }
/// }
/// ```
pub struct Errands {
    client: Arc<Client>,
    policy: RefreshPolicy,
    /// The session; `None` until a load finds one, or a user signs in.
    session: Option<Session>,
    wishes: Wishes,
    /// The time of the last load; `None` if a load is due at once.
    read_at: Option<SystemTime>,
    /// The number of loads since the store refused a save, none of which found a newer snapshot; `None` if
    /// the store refused none.
    reads_since_refusal: Option<u32>,
    /// True if the store has lost a write and has accepted none since.
    has_rolled_back: bool,
    /// The number of loads in a row that found no newer snapshot.
    idle_reads: u32,
    /// True if the last errand was to sleep, so that a load comes next.
    has_slept: bool,
    /// The time of the first call of `next` since the last outcome.
    waiting_since: Option<SystemTime>,
    /// True if a request has ended since then.
    has_sent: bool,
    /// The signatures of the next request, if a client has keys.
    signed: Option<Box<Signed>>,
}

/// A client with the signatures for one request, and the time that is in them.
struct Signed {
    client: Client,
    at: SystemTime,
}

impl Errands {
    /// Makes a holder that knows nothing yet; its first errand is to load.
    pub fn new(client: impl Into<Arc<Client>>, policy: RefreshPolicy) -> Self {
        Self {
            client: client.into(),
            policy,
            session: None,
            wishes: Wishes::default(),
            read_at: None,
            reads_since_refusal: None,
            has_rolled_back: false,
            idle_reads: 0,
            has_slept: false,
            waiting_since: None,
            has_sent: false,
            signed: None,
        }
    }

    /// Returns the next errand. Until you report its outcome, the same errand comes again; only a request
    /// comes once.
    pub fn next(&mut self, now: SystemTime) -> Errand {
        let since =
            self.waiting_since.filter(|since| *since <= now && now <= after(*since, self.longest_wait()));
        self.has_sent &= since.is_some();
        self.waiting_since = Some(since.unwrap_or(now));
        let errand = self.errand(now);
        if matches!(errand, Errand::Token(_) | Errand::NoToken(_)) {
            self.stop_waiting();
        }
        errand
    }

    fn errand(&mut self, now: SystemTime) -> Errand {
        match self.reads_since_refusal {
            Some(reads) if reads > READS_BEFORE_ROLL_BACK => {
                self.reads_since_refusal = None;
                return Errand::NoToken(KeeperError::store(HIDDEN));
            }
            Some(_) if self.has_slept || !self.has_read_within(READ_AGAIN_AFTER, now) => return Errand::Load,
            Some(_) => return self.sleep(after(now, READ_AGAIN_AFTER)),
            None => {}
        }
        let (is_outdated, deadline) = (self.is_outdated(now), self.deadline(now));
        let lacks_signatures = self.lacks_signatures(now);
        let has_just_read = self.has_read_within(READ_AGAIN_AFTER, now);
        let Some(session) = &mut self.session else {
            return self.after_a_look(KeeperError::SignIn(Reason::NotSignedIn), now);
        };
        let is_first_save = session.revision() == 0;
        let step = session.poll(now);
        let token = session.typed_access_token(now);
        match (step, session.check_issued_to(&self.client), token) {
            // One request is enough for the patience of a caller.
            (Step::Save(save), _, token) if save.claims && self.has_sent && deadline <= now => match token {
                Some(token) => Errand::Token(token),
                None => self.not_now(now, WaitReason::Pause),
            },
            // While a key does not sign, the tokens of another holder are worth more than another try.
            (Step::Save(save), ..) if save.claims && lacks_signatures && !has_just_read => Errand::Load,
            // A claim would keep the other holders from a refresh while a key does not sign.
            (Step::Save(save), ..) if save.claims && lacks_signatures => {
                self.sign(now).unwrap_or_else(|| self.errand(now))
            }
            // A claim and a first sign-in need a fresh load. Everything else is known to this holder only,
            // and is saved at once.
            (Step::Save(save), ..) if !((save.claims || is_first_save) && is_outdated) => Errand::Swap(save),
            // The store was slow, so that the signatures are too old.
            (Step::Send { .. }, ..) if lacks_signatures && is_outdated => Errand::Load,
            (Step::Send { .. }, ..) if lacks_signatures => self.sign(now).unwrap_or_else(|| self.errand(now)),
            (Step::Send { until }, ..) => {
                let signed = self.signed.take();
                let client = signed.as_deref().map_or(&*self.client, |signed| &signed.client);
                match session.send(client, now) {
                    Ok(Some(call)) => Errand::Send { call, until },
                    // Does not happen, because `poll` has just returned `Send`.
                    Ok(None) => self.sleep(after(now, READ_AGAIN_AFTER)),
                    Err(error) => Errand::NoToken(KeeperError::Misuse(error)),
                }
            }
            _ if is_outdated => Errand::Load,
            (Step::Reauthorize(reason), _, None) => self.after_a_look(self.no_token(reason), now),
            (_, Err(error), _) => self.after_a_look(KeeperError::Misuse(error), now),
            // Another holder's refresh may end this token.
            (Step::Wait { reason: WaitReason::AnotherHolder, .. }, Ok(()), Some(_))
                if !self.has_looked(now) =>
            {
                Errand::Load
            }
            (_, Ok(()), Some(token)) => Errand::Token(token),
            (Step::Wait { until, reason }, Ok(()), None) => self.wait(until, reason, now),
            // An idle session has a token, and the arms above carry out a save.
            (Step::Idle(_) | Step::Save(_), Ok(()), None) => {
                self.wait(after(now, READ_AGAIN_AFTER), WaitReason::Pause, now)
            }
        }
    }

    /// Returns whether the next request needs signatures that are not there or too old.
    fn lacks_signatures(&self, now: SystemTime) -> bool {
        let is_fresh =
            |signed: &Signed| now.duration_since(signed.at).is_ok_and(|age| age < SIGN_AGAIN_AFTER);
        self.client.signs() && !self.signed.as_deref().is_some_and(is_fresh)
    }

    /// Makes the signatures of the keys in this process. Returns the errand of the others, or a failure.
    fn sign(&mut self, now: SystemTime) -> Option<Errand> {
        self.signed = None;
        let mut signing = match self.client.unsigned(now) {
            Ok(signing) => signing,
            Err(error) => return Some(Errand::NoToken(KeeperError::Misuse(error))),
        };
        if let Err(error) = signing.sign_here() {
            return Some(Errand::NoToken(KeeperError::signing(error)));
        }
        if signing.next().is_some() {
            return Some(Errand::Sign { signing, until: after(now, SIGN_WITHIN) });
        }
        self.signed(signing).err().map(|error| Errand::NoToken(KeeperError::Misuse(error)))
    }

    /// Waits for a pause or another holder, and loads after each sleep.
    fn wait(&mut self, until: SystemTime, reason: WaitReason, now: SystemTime) -> Errand {
        if self.has_slept || !self.has_read_within(READ_AGAIN_AFTER, now) {
            return Errand::Load;
        }
        let deadline = self.deadline(now);
        let outlasts_patience = reason == WaitReason::Pause && deadline < until;
        if deadline <= now || outlasts_patience {
            return self.not_now(until, reason);
        }
        self.sleep(until.min(deadline).min(after(now, self.interval())))
    }

    /// Returns this outcome if the last load is recent. Otherwise another holder may have changed it.
    fn after_a_look(&self, outcome: KeeperError, now: SystemTime) -> Errand {
        match self.has_read_within(READ_AGAIN_AFTER, now) {
            true => Errand::NoToken(outcome),
            false => Errand::Load,
        }
    }

    /// Returns the error for a token that only a person can bring back.
    pub(super) fn no_token(&self, reason: Reason) -> KeeperError {
        match &self.session {
            Some(session) if !session.has_user() => {
                KeeperError::NoUser { reason, trouble: session.trouble().cloned().map(Box::new) }
            }
            _ => KeeperError::SignIn(reason),
        }
    }

    fn not_now(&self, until: SystemTime, reason: WaitReason) -> Errand {
        let trouble = self.session.as_ref().and_then(Session::trouble).cloned().map(Box::new);
        Errand::NoToken(KeeperError::NotNow { until, reason, trouble })
    }

    /// Returns the end of the patience.
    fn deadline(&self, now: SystemTime) -> SystemTime {
        after(self.waiting_since.unwrap_or(now), self.policy.max_wait())
    }

    fn sleep(&mut self, until: SystemTime) -> Errand {
        self.has_slept = true;
        Errand::Sleep(until)
    }

    /// Returns the time after which a wait is another call's: the patience, the time of a request, and as
    /// much for the store.
    fn longest_wait(&self) -> Duration {
        self.policy.max_wait().saturating_add(self.policy.max_request().saturating_mul(2))
    }

    /// Returns whether the last load is too old to act on.
    fn is_outdated(&self, now: SystemTime) -> bool {
        let time = if self.session.is_some() { TRUST_FOR } else { READ_AGAIN_AFTER };
        !self.has_read_within(time, now)
    }

    /// Returns whether the last load was within the interval.
    fn has_looked(&self, now: SystemTime) -> bool {
        self.has_read_within(self.interval(), now)
    }

    /// Returns the time between two loads that look for another holder's outcome: short at first, then a
    /// second.
    fn interval(&self) -> Duration {
        FIRST_INTERVAL.saturating_mul(1 << self.idle_reads.min(8)).min(READ_AGAIN_AFTER)
    }

    /// Returns whether the last load was within this time before `now`. If the clock was set back since, it
    /// was not.
    fn has_read_within(&self, time: Duration, now: SystemTime) -> bool {
        self.read_at.is_some_and(|read_at| now.duration_since(read_at).is_ok_and(|age| age < time))
    }
}

/// Reports of outcomes.
impl Errands {
    /// Takes the stored snapshot; `None` if nothing is stored under the key.
    pub fn loaded(&mut self, snapshot: Option<Snapshot>, now: SystemTime) {
        (self.read_at, self.has_slept) = (Some(now), false);
        self.session = match (self.session.take(), snapshot) {
            (None, None) => self.begin(now),
            (None, Some(snapshot)) => Some(Session::of_stored(&self.client, snapshot, self.policy, now)),
            (Some(session), None) => self.without_snapshot(session).or_else(|| self.begin(now)),
            (Some(session), Some(snapshot)) => Some(self.with_snapshot(session, snapshot, now)),
        };
        self.carry_out_wishes(now);
    }

    /// Records whether the store accepted a save. After an error of the store, report nothing, because the
    /// save may have happened or not: the same save comes again.
    pub fn swapped(&mut self, save: Save, accepted: bool, now: SystemTime) {
        let Some(session) = &mut self.session else { return };
        if accepted {
            session.saved(save);
            (self.reads_since_refusal, self.idle_reads) = (None, 0);
            self.has_rolled_back = false;
            self.wishes.are_stored();
            self.carry_out_wishes(now);
        } else if save.expected_revision() == session.revision() {
            self.wishes.are_refused();
            (self.read_at, self.reads_since_refusal) = (None, Some(0));
        }
    }

    /// Takes the signatures that [`Errand::Sign`] asked for. If a signature cannot be made, report nothing:
    /// nothing was claimed or sent, and the errand comes again.
    ///
    /// ```
    /// use oauth2_proto::jose::SignerError;
    /// use oauth2_proto::keeper::Errands;
    /// use oauth2_proto::client_auth::Signing;
    ///
    /// fn sign(
    ///     errands: &mut Errands,
    ///     mut signing: Signing,
    ///     key: impl Fn(&[u8]) -> Result<Vec<u8>, SignerError>,
    /// ) -> Result<(), SignerError> {
    ///     while let Some(unsigned) = signing.next() {
    ///         let signature = key(unsigned.message())?;
    ///         signing.signed(&signature)?;
    ///     }
    ///     Ok(errands.signed(signing)?)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Misuse: a signature is missing.
    pub fn signed(&mut self, signing: Signing) -> Result<(), Error> {
        let at = signing.at();
        self.signed = Some(Box::new(Signed { client: signing.client()?, at }));
        Ok(())
    }

    /// Takes the answer to a call; `None` if none came in time. Returns the outcome, to log.
    pub fn answered(
        &mut self,
        call: Call<SessionRefresh>,
        answer: Option<Response<'_>>,
        now: SystemTime,
    ) -> Refreshed {
        self.has_sent = true;
        let Some(session) = &mut self.session else { return Refreshed::NoAnswer };
        match answer {
            Some(response) => match session.received(call, response, now) {
                Ok(extras) => Refreshed::Done(extras),
                Err(error) => Refreshed::Failed(error),
            },
            None => {
                session.no_response(call, now);
                Refreshed::NoAnswer
            }
        }
    }

    /// Records that the API answered 401 to this access token (RFC 6750 §3.1). Another holder may have
    /// replaced it, so a load comes before the next claim. A token other than the current one changes
    /// nothing.
    pub fn access_token_rejected(&mut self, access_token: &Secret, now: SystemTime) {
        match &mut self.session {
            Some(session) if session.access_token(now) == Some(access_token) => {
                session.access_token_rejected(access_token);
                self.read_at = None;
            }
            Some(_) => {}
            None => {
                if !self.wishes.rejected.contains(access_token) {
                    self.wishes.rejected.push(access_token.clone());
                }
                self.read_at = None;
            }
        }
    }

    /// Takes the tokens of a sign-in, the first or a later one, received at `now`. They are stored once
    /// [`is_saved`](Self::is_saved) returns true.
    ///
    /// Verify that the same user signed in: another user's tokens belong under another key.
    ///
    /// # Errors
    ///
    /// Misuse: the tokens were issued to another client, or are bound to another key. They are kept and
    /// stored, and the holder of that client or key can use them.
    pub fn signed_in(&mut self, tokens: TokenResponse, now: SystemTime) -> Result<(), Error> {
        // All wishes were for an earlier sign-in.
        self.wishes = Wishes::default();
        let mut session = match self.session.take() {
            Some(mut session) => {
                session.reauthorized(tokens, now);
                session
            }
            None => {
                self.read_at = None;
                Session::new(tokens, self.policy, now)
            }
        };
        session.hold_for(&self.client);
        self.session.insert(session).check_issued_to(&self.client)
    }

    /// Starts from a refresh token that you obtained without this crate, if nothing is stored; see
    /// [`Session::from_refresh_token`].
    ///
    /// # Errors
    ///
    /// Misuse: the refresh token is empty or holds control characters, such as the line break of a file.
    pub fn start_from_refresh_token(&mut self, refresh_token: Secret) -> Result<(), Error> {
        check_token("refresh token", refresh_token.expose())?;
        self.wishes.start = Some(Start::RefreshToken(refresh_token));
        self.read_at = None;
        Ok(())
    }

    /// Starts from the client's own credentials, if nothing is stored; see
    /// [`Session::from_client_credentials`]. A stored session stays as it is, even a user's: give each its
    /// own key.
    ///
    /// # Errors
    ///
    /// The errors of [`ClientCredentialsRequest::start`]. Misuse: another client than this holder's began the
    /// request.
    pub fn start_from_client_credentials(
        &mut self,
        request: ClientCredentialsRequest<'_>,
    ) -> Result<(), Error> {
        self.wishes.start = Some(Start::ClientCredentials(request.into_asked(&self.client)?));
        self.read_at = None;
        Ok(())
    }

    /// Ends the authorization that the next load finds; see [`Session::end`]. A later sign-in is not ended.
    pub fn end(&mut self) {
        self.wishes.end = Some(End::default());
        self.read_at = None;
    }

    /// Makes a refresh due at once during a pause or after giving up; see [`Session::resume`].
    pub fn resume(&mut self) {
        self.wishes.resume = Some(Stage::Stated);
        self.read_at = None;
    }

    /// Binds the tokens to this holder's client and its key; see [`Session::rebind`].
    pub fn rebind(&mut self) {
        self.wishes.rebind = Some(Stage::Stated);
        self.read_at = None;
    }

    /// Makes the session that the program wants to start, because nothing is stored.
    fn begin(&mut self, now: SystemTime) -> Option<Session> {
        match self.wishes.start.take()? {
            Start::RefreshToken(token) => {
                Session::from_refresh_token(&self.client, token, self.policy, now).ok()
            }
            Start::ClientCredentials(asked) => Some(Session::of_asked(&self.client, asked, self.policy, now)),
        }
    }

    /// Continues although nothing is stored: a first sign-in is not saved yet, or the snapshot was deleted.
    fn without_snapshot(&mut self, mut session: Session) -> Option<Session> {
        self.reads_since_refusal = match session.revision() {
            0 => self.reads_since_refusal.map(|reads| reads.saturating_add(1)),
            _ => None,
        };
        session.begin_anew().then_some(session)
    }

    fn carry_out_wishes(&mut self, now: SystemTime) {
        match &mut self.session {
            Some(session) => self.wishes.carry_out(session, &self.client, now),
            None => self.wishes = Wishes::default(),
        }
    }

    fn with_snapshot(&mut self, mut session: Session, snapshot: Snapshot, now: SystemTime) -> Session {
        if session.revision() > 0 && !session.is_of(&snapshot) {
            // The stored snapshot was deleted, and another sign-in was stored since.
            self.reads_since_refusal = None;
            if !session.begin_anew() {
                return Session::of_stored(&self.client, snapshot, self.policy, now);
            }
        }
        let is_newer = session.adopt(snapshot.clone(), now).unwrap_or(false);
        self.idle_reads = if is_newer { 0 } else { self.idle_reads.saturating_add(1) };
        self.reads_since_refusal = match self.reads_since_refusal {
            _ if is_newer => None,
            Some(reads) if reads >= READS_BEFORE_ROLL_BACK => {
                // Fails only for the snapshot of another authorization, which is ruled out above.
                let _ = session.roll_back(snapshot, now);
                std::mem::replace(&mut self.has_rolled_back, true).then_some(reads.saturating_add(1))
            }
            reads => reads.map(|reads| reads.saturating_add(1)),
        };
        session
    }
}

/// The state of the holder.
impl Errands {
    /// Returns the session, to read its scopes, trouble or refresh token; `None` if nothing is stored, or
    /// before the first load.
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Returns the access token if it is usable at `now`.
    pub fn access_token(&self, now: SystemTime) -> Option<AccessToken> {
        self.session.as_ref()?.typed_access_token(now)
    }

    /// Returns whether everything that was reported and asked for is stored.
    pub fn is_saved(&self) -> bool {
        self.wishes.are_none() && self.session.as_ref().is_none_or(Session::is_saved)
    }
}

/// Methods for a keeper's table.
impl Errands {
    /// Returns the access token, unless the next errands may end it, and whether there is an errand.
    pub(super) fn at_once(&mut self, now: SystemTime) -> (Option<AccessToken>, bool) {
        let is_outdated = self.is_outdated(now);
        let Some(session) = &mut self.session else { return (None, true) };
        let outlook = session.outlook(now);
        let is_ours = session.check_issued_to(&self.client).is_ok();
        let may_give = is_ours && !is_outdated && outlook != Outlook::EndOfToken;
        let token = if may_give { session.typed_access_token(now) } else { None };
        let has_errand = match outlook {
            Outlook::Calm => self.reads_since_refusal.is_some(),
            Outlook::NewsOfAnother => !self.has_looked(now),
            Outlook::Step | Outlook::EndOfToken => true,
        };
        let has_errand = has_errand || token.is_none() || !self.wishes.are_none();
        (token, has_errand)
    }

    /// Returns the next errand while a request is under way; `None` if everything is saved.
    pub(super) fn next_save(&mut self, now: SystemTime) -> Option<Errand> {
        if self.is_saved() { None } else { Some(self.errand(now)) }
    }

    /// Returns whether the last load is recent enough, and everything that was reported is stored.
    pub(super) fn is_settled(&self, now: SystemTime) -> bool {
        self.is_saved() && self.reads_since_refusal.is_none() && !self.is_outdated(now)
    }

    /// Forgets since when somebody waits.
    pub(super) fn stop_waiting(&mut self) {
        (self.waiting_since, self.has_slept, self.has_sent) = (None, false, false);
    }

    /// Returns whether the program has ended the authorization.
    pub(super) fn is_ended(&self) -> bool {
        self.session.as_ref().is_some_and(Session::is_ended)
    }

    /// Returns whether the store has everything that this holder knows.
    pub(super) fn is_forgettable(&self) -> bool {
        self.is_saved() && !self.session.as_ref().is_some_and(Session::is_rejected)
    }
}

impl fmt::Debug for Errands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errands").field("session", &self.session).finish_non_exhaustive()
    }
}

/// Adds to a time; one that would be out of range stays.
pub(super) fn after(time: SystemTime, by: Duration) -> SystemTime {
    time.checked_add(by).unwrap_or(time)
}

/// The longest time between two loads of a session that is in use. Another holder may have ended the
/// authorization.
const TRUST_FOR: Duration = Duration::from_secs(60);

/// The time between two loads where the last one found no usable token or no newer snapshot.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The time to the first load that looks for another holder's outcome.
const FIRST_INTERVAL: Duration = Duration::from_millis(50);

/// The time that a service has for the signatures of one request.
const SIGN_WITHIN: Duration = Duration::from_secs(10);

/// The age at which signatures are made anew: a server compares the time in them with its clock. It leaves
/// the store as much time for the claim as [`SIGN_WITHIN`] leaves the service.
const SIGN_AGAIN_AFTER: Duration = Duration::from_secs(20);

/// What a store does wrong that refuses a save again and again.
const HIDDEN: &str = "the store refuses to save and shows nothing newer; test the store by its contract";

/// The number of repeated loads after which a store that refused a save and has no newer snapshot counts as
/// having lost a write.
const READS_BEFORE_ROLL_BACK: u32 = 3;
