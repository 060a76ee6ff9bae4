//! The [`Session`]: tokens over time, shared by many holders through a store of the caller's.
//!
//! The code reads like the table in the documentation of [`Session`]: `poll` is its second column, and each report
//! is one of its rows. Time passes in `observe` alone.

#[cfg(test)]
mod model;
pub(crate) mod policy;
pub(crate) mod record;
pub(crate) mod step;

use std::fmt;
use std::time::SystemTime;

pub use self::policy::RefreshPolicy;
pub use self::record::Snapshot;
pub use self::step::{Reason, Save, SessionRefresh, Step};
use crate::call::{Attempt, Call, Response};
use crate::client::{self, Client};
use crate::error::Error;
use crate::grants::refresh::check_refresh_token;
use crate::session::record::{Record, State};
use crate::text::scope::Scope;
use crate::text::secret::Secret;
use crate::text::time::{Span, later, system_time, unix};
use crate::token::{self, TokenResponse, TokenType};

/// The tokens of one authorization over time, kept alive by one refresh at a time.
///
/// Servers that rotate refresh tokens punish the second use of one, so threads, processes and machines that
/// share an authorization need one refresher at a time, and what it learned must be in the store before it is
/// used. A `Session` is that discipline as a value: it does nothing by itself, and has no lock, no store and no
/// clock. Every holder has its own, made from the same stored [`Snapshot`].
///
/// [`access_token`](Self::access_token) says what may be used now. [`poll`](Self::poll) says what is to be done
/// to keep the authorization alive; do it, report back, and poll again:
///
/// ```
/// # use oauth2_proto::*;
/// # use std::time::{Duration, SystemTime};
/// # trait Store { fn compare_and_swap(&self, expected_revision: u64, snapshot: &Snapshot) -> bool; fn load(&self) -> Snapshot; }
/// # trait Http { fn send(&self, request: &Request, until: SystemTime) -> Option<(u16, Vec<(String, String)>, Vec<u8>)>; }
/// # fn keep_alive(session: &mut Session, client: &Client, store: &dyn Store, http: &dyn Http, now: fn() -> SystemTime) -> Result<SystemTime, Box<dyn std::error::Error>> {
/// loop {
///     match session.poll(now()) {
///         // Nothing to do before then (or, without a time, before the API rejects the token). A sleep of more
///         // than a minute may miss that the clock was set, or another holder's news.
///         Step::Idle(until) => {
///             let minute = now() + Duration::from_secs(60);
///             return Ok(until.unwrap_or(minute).min(minute));
///         }
///         // Somebody else refreshes, or a pause is running: look into the store now and then.
///         Step::Wait(until) => {
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
///                     let answer = session.received(call, Response::new(status, headers, &body), now());
///                     answer.unwrap_or_else(|error| eprintln!("refresh: {error}"));
///                 }
///                 None => session.no_response(call, now()),
///             }
///         }
///         // Unless another holder knows better, the user signs in again: then `session.reauthorized(…)`.
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
/// # States and transitions
///
/// A refresh goes: claim, save, send, answer, save, use. The states are those of one holder; what is *saved* is
/// shared, and changes by compare-and-swap only.
///
/// | state | `poll` says | what happens | next state |
/// |---|---|---|---|
/// | **unsaved**: new tokens, not in the store | `Save` | saved | quiet |
/// | **quiet**, before the time to refresh | `Idle` | time passes; the API rejects the token | due |
/// | **due** | `Save` (a claim) | saved | claimed by us |
/// | | | lost the race | as the store says |
/// | **claimed by us** | `Send` | `send` | sent |
/// | | | half of the claim is over | claimed by another |
/// | **sent** | `Wait` | tokens | learned: quiet |
/// | | | the grant is refused | learned: refused |
/// | | | any other failure, or no response | learned: backoff |
/// | | | the claim is over | claimed by another |
/// | **learned**: not in the store yet | `Save` | saved | what was learned |
/// | | | lost the race | as the store says |
/// | | | lost, but later tokens or a refusal are in hand | learned (saved over the other) |
/// | **claimed by another** | `Wait` | its end and the clock skew pass | due, one more attempt |
/// | | | a newer snapshot | as the store says |
/// | **backoff** | `Wait` | the pause ends | due, one more attempt |
/// | **refused**; out of attempts; dead without a refresh token | `Reauthorize` | `reauthorized` | learned: quiet |
///
/// Whatever does not stand there changes nothing: an answer to an earlier call, a snapshot that is no newer, a
/// save that was reported twice. Without a crash or a lost answer, no token is lost.
///
/// # Defined answers
///
/// - **No `expires_in`**: the token is used until [`access_token_rejected`](Self::access_token_rejected) says that the API no longer takes it.
/// - **A lifetime of 0**, or one that ends before the answer is here: saved, never used, and counted as a failed
///   attempt, so it ends.
/// - **A success that cannot be read, with a new refresh token in it**: that is kept, and tried after a pause.
/// - **No refresh token in the answer**: the old one stays. **None at all**: the access token is used up, then
///   `Reauthorize`.
/// - **A narrower scope**: taken, and shown by [`granted_scopes`](Self::granted_scopes). An answer without one
///   changes nothing.
/// - **A clock that goes back** by no more than the skew counts as standing still; by more, it ends our claim,
///   starts the wait for another's anew, makes a token from the future unusable and due, and never brings back
///   a token that was seen to expire. **A clock that jumps ahead** makes one refresh too many, and no more.
///
/// # What no client can promise
///
/// Between the moment when the server rotates the tokens and the moment when [`saved`](Self::saved) is true,
/// the new tokens are in one answer and one process. If the answer is lost or the process dies there, the old
/// refresh token is tried again: some servers allow that, others (Pleo's) refuse it or end the authorization, and
/// the user must sign in again. The window is as long as the answer's way back and one save; nothing else is
/// awaited in it. A request that reaches the server after its [`until`](Step::Send), and tokens that are saved only
/// after that, have the same effect, for another holder may use the old refresh token meanwhile.
#[cfg_attr(test, derive(Clone))]
pub struct Session {
    record: Record,
    /// What is known and not in the store yet.
    learned: Option<Box<Record>>,
    hold: Hold,
    policy: RefreshPolicy,
    /// The latest time seen, in milliseconds of Unix time.
    latest: u64,
    /// When the claim in the record was first seen.
    claim_seen: u64,
    /// The access token was seen to expire, whatever the clock says later.
    expired: bool,
    /// The API took the access token for invalid.
    rejected: bool,
    /// When `poll` last said `Idle`, and until when that holds if nothing is reported.
    resting: Option<(SystemTime, SystemTime)>,
}

/// Our part in the claim that the record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// None: it is another's, or there is none.
    Nothing,
    /// It is ours, and nothing was sent.
    Claim,
    /// It is ours, and our request is under way.
    Sent,
}

/// From tokens to a session and back.
impl Session {
    /// The tokens of a user's first sign-in, received at `now`. They can be used once they are saved.
    ///
    /// Where something is stored for the user already, [`restore`](Self::restore) it and call
    /// [`reauthorized`](Self::reauthorized), so that other holders learn of it and none brings back old tokens.
    /// For the same reason, do not delete what is stored while there are other holders.
    pub fn new(tokens: TokenResponse, policy: RefreshPolicy, now: SystemTime) -> Self {
        let refresh_token = tokens.refresh_token().map(Secret::expose).unwrap_or_default();
        let authorization = client::digest([tokens.access_token().expose(), refresh_token]);
        let mut record = Record::without_tokens(authorization, tokens.issued_to, unix(now));
        record.take(tokens, unix(now), unix(now), &policy);
        Self::with(record, policy, now)
    }

    /// A session from a refresh token that was got by other means, for customers who signed in before you had
    /// this crate. It is refreshed at once.
    ///
    /// See to it that nobody refreshes with the token by the old means any more. The scopes are not known until the
    /// server names them.
    ///
    /// # Errors
    ///
    /// Misuse, if the refresh token is empty or holds control characters, such as the line break of a file.
    pub fn from_refresh_token(
        client: &Client,
        refresh_token: Secret,
        policy: RefreshPolicy,
        now: SystemTime,
    ) -> Result<Self, Error> {
        check_refresh_token(&refresh_token)?;
        let authorization = client::digest(["", refresh_token.expose()]);
        let mut record = Record::without_tokens(authorization, client.issued_to, unix(now));
        record.refresh_token = Some(refresh_token);
        Ok(Self::with(record, policy, now))
    }

    /// A holder from what was loaded from the store, and from nothing else. Whose tokens these are is for the key
    /// to say under which they were stored.
    pub fn restore(snapshot: Snapshot, policy: RefreshPolicy, now: SystemTime) -> Self {
        Self::with(*snapshot.0, policy, now)
    }

    fn with(record: Record, policy: RefreshPolicy, now: SystemTime) -> Self {
        let now = unix(now);
        Self {
            record,
            learned: None,
            hold: Hold::Nothing,
            policy,
            latest: now,
            claim_seen: now,
            expired: false,
            rejected: false,
            resting: None,
        }
    }

    /// The access token, if it is good at `now`; changes nothing.
    ///
    /// It is good also while a refresh is under way, until it has expired, was replaced or rejected, or the
    /// session has ended. Ask for each request to the API, and report a 401 by [`access_token_rejected`](Self::access_token_rejected).
    pub fn access_token(&self, now: SystemTime) -> Option<&Secret> {
        let now = self.time(unix(now));
        let record = &self.record;
        let replaced = self.learned.as_ref().is_some_and(|learned| learned.generation > record.generation);
        let good = record.revision > 0
            && !replaced
            && !self.expired
            && !self.rejected
            && !record.was_born_dead()
            && record.state != State::Refused
            && record.expires_at.is_none_or(|end| now < end)
            && !self.policy.is_from_the_future(record.issued_at, now);
        good.then_some(&record.access_token)
    }

    /// How the access token is to be used.
    pub fn token_type(&self) -> &TokenType {
        &self.record.token_type
    }

    /// The scopes that are known to be granted.
    pub fn granted_scopes(&self) -> impl Iterator<Item = &str> {
        self.record.scope.iter().flat_map(Scope::tokens)
    }

    /// When the access token expires; `None` where the server does not say.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.record.expires_at.map(system_time)
    }

    /// The revision of what this holder knows to be stored; 0 before the first save.
    pub fn revision(&self) -> u64 {
        self.record.revision
    }
}

/// What is to be done.
impl Session {
    /// What is to be done now. Polling twice at one time gives the same step and changes nothing; only the
    /// reports below move the session on.
    pub fn poll(&mut self, now: SystemTime) -> Step {
        // By far the most polls end here, and nothing that time decides happens meanwhile.
        if let Some((since, until)) = self.resting
            && (since..until).contains(&now)
        {
            return Step::Idle(Some(until));
        }
        self.resting = None;
        let (since, now) = (now, self.observe(now));
        if let Some(learned) = &self.learned {
            return self.save((**learned).clone());
        }
        if self.record.revision == 0 {
            return self.save(self.record.clone());
        }
        match (self.record.state, self.hold) {
            (State::Refused, _) => Step::Reauthorize(Reason::Refused),
            (State::Claimed(claim), Hold::Claim) => Step::Send { until: system_time(claim.until) },
            (State::Claimed(claim), Hold::Sent) => Step::Wait(system_time(claim.until)),
            (State::Claimed(claim), Hold::Nothing)
                if now < self.policy.end_of_claim(claim, self.claim_seen) =>
            {
                Step::Wait(system_time(self.policy.end_of_claim(claim, self.claim_seen)))
            }
            (State::Backoff(pause), _) if now < self.policy.end_of_pause(pause, now) => {
                Step::Wait(system_time(self.policy.end_of_pause(pause, now)))
            }
            (State::Quiet, _) => match self.due_at(now) {
                None => Step::Idle(None),
                Some(due) if now < due && (self.rejected || self.record.was_born_dead()) => {
                    Step::Wait(system_time(due))
                }
                Some(due) if now < due => {
                    self.resting = Some((since, system_time(due)));
                    Step::Idle(Some(system_time(due)))
                }
                Some(_) => self.claim(now),
            },
            (State::Claimed(_) | State::Backoff(_), _) => self.claim(now),
        }
    }

    /// When the tokens want to be replaced.
    fn due_at(&self, now: u64) -> Option<u64> {
        let record = &self.record;
        if self.policy.is_from_the_future(record.issued_at, now) {
            return Some(0);
        }
        if self.rejected {
            let pause = self.policy.pause(record.attempts, &mut record.dice(record.generation));
            return Some(later(record.issued_at, pause));
        }
        // An expired token does not come back with the clock, so its time to refresh does not either.
        if self.expired && !record.was_born_dead() {
            return Some(0);
        }
        match (record.refresh_at, record.expires_at) {
            (Some(_), Some(end)) if record.refresh_token.is_none() => Some(end),
            (Some(due), Some(end)) if !record.was_born_dead() => Some(due.min(end)),
            (due, _) => due,
        }
    }

    /// The claim on the next attempt, or the end.
    fn claim(&self, now: u64) -> Step {
        let mut next = self.record.clone();
        if next.refresh_token.is_none() {
            return Step::Reauthorize(Reason::NoRefreshToken);
        }
        let used = now.saturating_sub(next.issued_at);
        let served = next.state == State::Quiet
            && (!self.rejected || used >= self.policy.longest_backoff())
            && !next.was_born_dead()
            && !self.policy.is_from_the_future(next.issued_at, now);
        next.attempts = if served { 1 } else { next.attempts.saturating_add(1) };
        if next.attempts > self.policy.attempts_limit() {
            return Step::Reauthorize(Reason::GaveUp);
        }
        next.state = State::Claimed(Span::new(now, self.policy.claim_length()));
        self.save(next)
    }

    fn save(&self, mut next: Record) -> Step {
        next.revision = self.record.revision.saturating_add(1);
        Step::Save(Save { snapshot: Snapshot(Box::new(next)) })
    }

    /// The call to send, once for each claim: `None` if [`poll`](Self::poll) does not say [`Send`](Step::Send),
    /// perhaps because another task that shares this session was faster.
    ///
    /// It names no resource: what the new token is for, the server decides (RFC 8707 §2.2). Where yours wants it named,
    /// add it by [`request_mut`](Call::request_mut).
    ///
    /// # Errors
    ///
    /// Misuse, if `client` is not the one that got the tokens, or its server is known not to refresh.
    pub fn send(&mut self, client: &Client, now: SystemTime) -> Result<Option<Call<SessionRefresh>>, Error> {
        if client.issued_to != self.record.issued_to {
            return Err(Error::misuse(
                "these tokens were got by another client: token endpoint or client_id differ",
            ));
        }
        let now = self.observe(now);
        let (Hold::Claim, Some(refresh_token)) = (self.hold, &self.record.refresh_token) else {
            return Ok(None);
        };
        let mut call = client.refresh(refresh_token).start()?;
        call.context.attempt = Some(Attempt {
            authorization: self.record.authorization,
            revision: self.record.revision,
            generation: self.record.generation,
            sent_at: now,
        });
        self.hold = Hold::Sent;
        Ok(Some(call.with_reader()))
    }
}

/// What happened.
impl Session {
    /// The save is in the store, by this holder's own compare-and-swap: one row was changed. If none was, it was
    /// lost to another holder, and [`adopt`](Self::adopt) is what to call.
    pub fn saved(&mut self, save: Save) {
        let record = *save.snapshot.0;
        // Another task that shares this session may have adopted it before this one could say that it is ours.
        let adopted = self.hold == Hold::Nothing
            && record.revision == self.record.revision
            && record.state == self.record.state
            && record.generation == self.record.generation;
        let next = record.revision == self.record.revision.saturating_add(1);
        if record.authorization != self.record.authorization || !(next || adopted) {
            return;
        }
        // An answer may have come while an older thing was being saved.
        self.learned.take_if(|learned| !learned.outranks(&record));
        // A claim from the future was made before the clock was set back; how much of it is over nobody knows.
        let ours = matches!(record.state, State::Claimed(claim)
            if self.learned.is_none() && !self.policy.is_from_the_future(claim.since, self.latest));
        self.hold = if ours { Hold::Claim } else { Hold::Nothing };
        self.replace(record, self.latest);
    }

    /// A snapshot from the store: after a save that came too late, or while waiting. Says whether it was newer
    /// than what is known; otherwise it changes nothing.
    ///
    /// A store that refuses a save and then has nothing newer is lagging or broken: do not poll in a loop.
    ///
    /// # Errors
    ///
    /// Misuse, if it is a snapshot of another authorization: look at the key that it is stored under. A user
    /// who signs in again goes on with the same session by [`reauthorized`](Self::reauthorized). Also, if a
    /// later revision has earlier tokens: somebody else changed what is stored.
    pub fn adopt(&mut self, snapshot: Snapshot, now: SystemTime) -> Result<bool, Error> {
        let now = self.observe(now);
        let record = *snapshot.0;
        if record.authorization != self.record.authorization {
            return Err(Error::misuse(
                "this snapshot belongs to another authorization; when a user signs in again, restore what is \
                 stored and call reauthorized, and otherwise look at the key",
            ));
        }
        if record.revision <= self.record.revision {
            return Ok(false);
        }
        if record.generation < self.record.generation {
            return Err(Error::misuse("this snapshot brings back earlier tokens under a later revision"));
        }
        self.learned.take_if(|learned| !learned.outranks(&record));
        self.hold = Hold::Nothing;
        self.replace(record, now);
        Ok(true)
    }

    fn replace(&mut self, record: Record, claim_seen: u64) {
        if record.generation != self.record.generation {
            (self.expired, self.rejected) = (false, false);
        }
        (self.claim_seen, self.resting) = (claim_seen, None);
        self.record = record;
    }

    /// The answer to a call, whatever its HTTP status. An answer that is not awaited any more changes nothing,
    /// unless it brings tokens that are later than those known.
    ///
    /// Send each call once, whatever the error says of trying again: [`poll`](Self::poll) makes the next one. Let
    /// nothing cancel the task that sends, for the answer may be the only copy of the tokens.
    ///
    /// # Errors
    ///
    /// What the server said, for the log: the session has taken note of it, and [`poll`](Self::poll) says what
    /// to do. Of an answer that is no valid one the session keeps the new refresh token, if there is one. Misuse,
    /// if it is the call of another session.
    pub fn received(
        &mut self,
        call: Call<SessionRefresh>,
        response: Response<'_>,
        now: SystemTime,
    ) -> Result<(), Error> {
        let attempt = call.context.attempt;
        if attempt.is_none_or(|attempt| attempt.authorization != self.record.authorization) {
            return Err(Error::misuse("this is the call of another session, which must have the answer"));
        }
        let rescue = response.clone();
        match call.with_reader::<TokenResponse>().read(response) {
            Ok(tokens) => {
                self.learn_tokens(attempt, now, |next, attempt, now, policy| {
                    next.take(tokens, attempt.sent_at.min(now), now, policy);
                });
                Ok(())
            }
            Err(error) => {
                let rescued = token::reader::rescued_refresh_token(&rescue);
                match rescued.filter(|token| Some(token) != self.record.refresh_token.as_ref()) {
                    Some(token) => self.learn_tokens(attempt, now, |next, _, now, policy| {
                        next.take_refresh_token(token, now, policy);
                    }),
                    None => self.fail(attempt, Some(&error), now),
                }
                Err(error)
            }
        }
    }

    /// No answer came: the connection failed, or the time was over. The server may have replaced the tokens all
    /// the same, so this is where one can be lost.
    pub fn no_response(&mut self, call: Call<SessionRefresh>, now: SystemTime) {
        self.fail(call.context.attempt, None, now);
    }

    /// The API answered 401 to this access token (RFC 6750 §3.1), so that it is replaced before its time. A
    /// token other than the current one changes nothing. Then poll.
    pub fn access_token_rejected(&mut self, access_token: &Secret) {
        self.rejected |= *access_token == self.record.access_token;
        self.resting = None;
    }

    /// The user signed in again, perhaps with another client: the session goes on with these tokens, under the
    /// same key and revision, so that no other holder brings back the old ones.
    ///
    /// Who signed in is for you to compare (by the API, or an ID token): another account's tokens belong under
    /// another key.
    pub fn reauthorized(&mut self, tokens: TokenResponse, now: SystemTime) {
        let now = self.observe(now);
        let mut next = self.learned.as_deref().unwrap_or(&self.record).clone();
        next.begin_again(tokens.issued_to);
        next.take(tokens, now, now, &self.policy);
        self.learn(next);
    }

    /// Tries again at once and with all attempts, after [`GaveUp`](Reason::GaveUp) or in the middle of a pause:
    /// when the cause was found, say. Otherwise it changes nothing.
    pub fn resume(&mut self, now: SystemTime) {
        let gave_up = matches!(self.poll(now), Step::Reauthorize(Reason::GaveUp));
        if self.learned.is_none() && (gave_up || matches!(self.record.state, State::Backoff(_))) {
            let mut next = self.record.clone();
            next.attempts = 0;
            next.state = State::Backoff(Span::new(self.latest, 0));
            self.learn(next);
        }
    }

    /// Learns what an answer brought, if that is later than what is known.
    fn learn_tokens(
        &mut self,
        attempt: Option<Attempt>,
        now: SystemTime,
        take: impl FnOnce(&mut Record, Attempt, u64, &RefreshPolicy),
    ) {
        let now = self.observe(now);
        let newest = self.learned.as_deref().unwrap_or(&self.record);
        let awaited = attempt.filter(|attempt| attempt.generation == newest.generation);
        if let Some(attempt) = awaited {
            let mut next = self.record.clone();
            next.generation = next.generation.saturating_add(1);
            take(&mut next, attempt, now, &self.policy);
            self.learn(next);
        }
    }

    fn fail(&mut self, attempt: Option<Attempt>, error: Option<&Error>, now: SystemTime) {
        let now = self.observe(now);
        let awaited = attempt.is_some_and(|attempt| {
            attempt.authorization == self.record.authorization && attempt.revision == self.record.revision
        });
        if awaited && self.learned.is_none() {
            let mut next = self.record.clone();
            next.fail(error, now, &self.policy);
            self.learn(next);
        }
    }

    fn learn(&mut self, next: Record) {
        (self.hold, self.resting) = (Hold::Nothing, None);
        self.learned = Some(Box::new(next));
    }
}

/// Time.
impl Session {
    /// The time that counts: the latest one seen, unless the clock was set back by more than the skew.
    fn time(&self, now: u64) -> u64 {
        if self.policy.is_from_the_future(self.latest, now) { now } else { now.max(self.latest) }
    }

    /// Lets time pass: whatever ends with time, ends here.
    fn observe(&mut self, now: SystemTime) -> u64 {
        let now = unix(now);
        if self.policy.is_from_the_future(self.latest, now) {
            // How much of the claim is over cannot be told any more.
            self.hold = Hold::Nothing;
            self.claim_seen = now;
        }
        let now = self.time(now);
        self.latest = now;
        self.expired |= self.record.expires_at.is_some_and(|end| end <= now);
        let over = match (self.record.state, self.hold) {
            (State::Claimed(claim), Hold::Claim) => claim.middle() <= now,
            (State::Claimed(claim), Hold::Sent) => claim.until <= now,
            _ => false,
        };
        self.hold = if over { Hold::Nothing } else { self.hold };
        now
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("record", &self.record)
            .field("learned", &self.learned)
            .field("hold", &self.hold)
            .finish_non_exhaustive()
    }
}
