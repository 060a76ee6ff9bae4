//! The machine that polls for the tokens of a device (RFC 8628 §3.4 and §3.5).

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::call::{Call, Reply, Response, sealed};
use crate::client::Client;
use crate::error::{Advice, Error};
use crate::grants::device::step::{End, Step};
use crate::grants::device::{DeviceAuthorization, GRANT_TYPE};
use crate::text::secret::Secret;
use crate::text::time::{later, milliseconds, system_time, unix};
use crate::token::TokenResponse;
use crate::token::reader::{self, TokenContext};

/// A sign-in whose user types a code on another device (RFC 8628); made by [`DeviceAuthorization::begin`].
///
/// [`poll`](Self::poll) returns the next step: do it, report the outcome, and poll again. The
/// [module](super) shows the whole loop. There is one request in flight at a time, and none after the end.
///
/// It is serialisable with serde, so that a program may stop and go on later. The form is versioned and holds
/// the device code, so it is a secret. Keep one copy in use, and remove it from the store at the end: after a
/// restart, a request that was in flight counts as unanswered.
///
/// # Answers
///
/// | answer to a poll | meaning | the machine |
/// |---|---|---|
/// | tokens | the user said yes | delivers them once, and ends |
/// | `authorization_pending` | the user has not decided | polls again after the interval |
/// | `use_dpop_nonce` with a nonce, for a client with a key | the proof needs the nonce (RFC 9449 §8) | polls again at once; if that is asked again, as for a server in trouble |
/// | `slow_down` | too fast | adds 5 seconds to the interval for good, or uses the `interval` in the answer if that is longer |
/// | none; 408, 421, 425, 429; 5xx except 501 and 505 | the server is in trouble | doubles its pause, up to a minute or twice the interval |
/// | `access_denied`, and Entra's `authorization_declined` | the user said no | ends: [`Declined`](End::Declined) |
/// | `expired_token` | too late | ends: [`Expired`](End::Expired) |
/// | anything else | the device code or the client is wrong | ends: [`Failed`](End::Failed) |
///
/// A `Retry-After` of up to 5 minutes lengthens the pause.
///
/// # Clocks
///
/// A pause begins with the answer before it, and counts as over when the clock has advanced by its length
/// from there. If the clock was set back to an earlier time, the pause begins anew, so polls never come
/// faster than the interval. If it was set back to a time before the codes were given out, their lifetime
/// begins anew, but all pauses together last no longer than one lifetime. A clock that jumps ahead may end
/// the sign-in early.
pub struct PendingDevice {
    pub(super) authorization: DeviceAuthorization,
    pub(super) lifetime: Timer,
    /// The pause before each poll, in milliseconds.
    pub(super) interval: u64,
    /// The pause before the next poll; after a failure it is longer than the interval.
    pub(super) pause: Timer,
    /// The total length of all past pauses, in milliseconds.
    pub(super) waited: u64,
    /// The number of polls so far.
    pub(super) polls: u64,
    /// The number of polls in a row without a usable answer.
    pub(super) failures: u32,
    /// True if the server asked for a nonce in its last answer, which it may do once in a row (RFC 9449 §8).
    pub(super) has_asked_for_nonce: bool,
    pub(super) phase: Phase,
    pub(super) last_error: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Waiting,
    /// The last poll has no answer yet; the timer runs until it counts as unanswered.
    Sent(Timer),
    Ended(End),
}

impl PendingDevice {
    pub(super) fn begin(authorization: DeviceAuthorization, now: SystemTime) -> Self {
        let now = unix(now);
        let interval = milliseconds(authorization.interval);
        Self {
            lifetime: Timer::new(now, milliseconds(authorization.expires_in)),
            interval,
            // Before each request, and so before the first (RFC 8628 §3.5).
            pause: Timer::new(now, interval),
            waited: 0,
            polls: 0,
            failures: 0,
            has_asked_for_nonce: false,
            phase: Phase::Waiting,
            last_error: None,
            authorization,
        }
    }

    /// Returns the code that the user types at [`verification_uri`](Self::verification_uri).
    pub fn user_code(&self) -> &str {
        self.authorization.user_code()
    }

    /// Returns the address that the user opens.
    pub fn verification_uri(&self) -> &str {
        self.authorization.verification_uri()
    }

    /// Returns the address that contains the user code, for a link or a QR code. Show the
    /// [`user_code`](Self::user_code) even then: the user compares it with the one on the page (RFC 8628
    /// §3.3.1).
    pub fn verification_uri_complete(&self) -> Option<&str> {
        self.authorization.verification_uri_complete()
    }

    /// Returns the time at which both codes expire, by the clock of the times that were passed in.
    pub fn expires_at(&self) -> SystemTime {
        system_time(self.lifetime.end())
    }

    /// Returns the minimum pause between two polls, which `slow_down` lengthens.
    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.interval)
    }

    /// Returns how many polls in a row brought no usable answer: the network or the server is in trouble.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns the last error other than a pending decision: one after which the polls continue, or the one
    /// that ended them. A readable answer clears it. It is not stored.
    pub fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }

    /// Returns the next step; polling twice changes nothing.
    pub fn poll(&mut self, now: SystemTime) -> Step {
        let now = self.observe(now);
        match self.phase {
            Phase::Waiting if self.pause.is_over(now) => {
                Step::Send { until: system_time(later(now, ANSWER)) }
            }
            Phase::Waiting => Step::Wait { until: system_time(self.pause.end().min(self.lifetime.end())) },
            Phase::Sent(answer) => Step::Wait { until: system_time(answer.end()) },
            Phase::Ended(end) => Step::Ended(end),
        }
    }

    /// Makes the request that is due (RFC 8628 §3.4); `None` if none is. Report its outcome to
    /// [`received`](Self::received) or [`no_response`](Self::no_response).
    ///
    /// If you store this value, store it after this call and before you send the request, so that a program
    /// that is restarted meanwhile polls no sooner. Store it again after [`received`](Self::received): a
    /// `slow_down` holds for good.
    ///
    /// # Errors
    ///
    /// Misuse: the client is another one than the one that started the authorization, its server is known not
    /// to support this grant, or a key of the client did not sign ([`Client::signing`]).
    pub fn send(&mut self, client: &Client, now: SystemTime) -> Result<Option<Call<DevicePoll>>, Error> {
        if !client.has_started(self.authorization.started_by) {
            return Err(Error::misuse(
                "this device authorization was started by another client: issuer, an endpoint or client_id \
                 differ; poll with that one",
            ));
        }
        client.server.check_grant_type(GRANT_TYPE)?;
        let at = now;
        let now = self.observe(now);
        if self.phase != Phase::Waiting || !self.pause.is_over(now) {
            return Ok(None);
        }
        let DeviceAuthorization { device_code, scope, resources, .. } = &self.authorization;
        let parameters = [("grant_type", GRANT_TYPE), ("device_code", device_code.expose())];
        let named = resources.iter().map(|resource| ("resource", resource.as_str()));
        let request = client.token_request(&parameters, named, at)?;
        let context = PollContext {
            tokens: client.token_context(scope.clone(), resources.clone()),
            device_code: device_code.clone(),
            poll: self.polls.saturating_add(1),
        };
        self.waited = self.waited.saturating_add(self.pause.length);
        self.polls = self.polls.saturating_add(1);
        self.pause = Timer::new(now, self.interval);
        self.phase = Phase::Sent(Timer::new(now, ANSWER));
        Ok(Some(Call::new(request, context)))
    }

    /// Takes the answer to a call, whatever its HTTP status. Returns the tokens if the user said yes, and
    /// `None` if the polls continue; [`last_error`](Self::last_error) then tells whether there is trouble.
    ///
    /// Tokens are delivered once, even if they arrive after the time of an answer or after the code has
    /// expired.
    ///
    /// # Errors
    ///
    /// The error that ended the sign-in; [`Error::advice`] says what to do:
    ///
    /// - [`Declined`](Advice::Declined): the user said no.
    /// - [`Reauthorize`](Advice::Reauthorize): the device code is dead. Start again when the user asks for
    ///   it.
    /// - [`FixConfiguration`](Advice::FixConfiguration) or [`Stop`](Advice::Stop): the server refused the
    ///   client, or its answer is neither tokens nor an OAuth error.
    ///
    /// Misuse, which changes nothing: the call belongs to another device authorization.
    pub fn received(
        &mut self,
        call: Call<DevicePoll>,
        response: Response<'_>,
        now: SystemTime,
    ) -> Result<Option<TokenResponse>, Error> {
        if call.context.device_code != self.authorization.device_code {
            return Err(Error::misuse(
                "this call belongs to another device authorization; give that one the answer",
            ));
        }
        let time = self.observe(now);
        if self.phase == Phase::Ended(End::Granted) {
            return Ok(None);
        }
        call.learn_nonce(&response);
        let Response { status, retry_after, .. } = response;
        let error = match reader::read(response, &call.context.tokens) {
            Ok(tokens) => {
                self.phase = Phase::Ended(End::Granted);
                self.last_error = None;
                return Ok(Some(tokens));
            }
            Err(unread) => call.complete(unread.error.of_device_poll(), status, retry_after),
        };
        if error.advice() != Advice::RetryLater {
            if !matches!(self.phase, Phase::Ended(_)) {
                self.phase = Phase::Ended(End::of(&error));
            }
            self.last_error = Some(error.clone());
            return Err(error);
        }
        // A late answer counts, too: the longer interval holds for all subsequent requests.
        if error.code() == Some("slow_down") {
            let slower = later(self.interval, SLOW_DOWN);
            self.interval = slower.max(error.interval().map_or(0, milliseconds));
            self.pause.length = self.pause.length.max(self.interval);
        }
        if self.is_current(&call) {
            let asks_for_nonce = call.asks_for_nonce(&error);
            if asks_for_nonce && !std::mem::replace(&mut self.has_asked_for_nonce, true) {
                self.wait(time, 0);
                return Ok(None);
            }
            self.has_asked_for_nonce &= asks_for_nonce;
            let asked = error.retry_after(now).map_or(0, milliseconds).min(MAX_RETRY_AFTER);
            match error.code() {
                Some("authorization_pending" | "slow_down") => {
                    (self.failures, self.last_error) = (0, None);
                    self.wait(time, self.interval.max(asked));
                }
                _ => {
                    self.last_error = Some(error);
                    self.back_off(time, asked);
                }
            }
        }
        Ok(None)
    }

    /// Records that no answer came: the connection failed, or the answer was not there in time. The next
    /// pause is longer (RFC 8628 §3.5).
    pub fn no_response(&mut self, call: Call<DevicePoll>, now: SystemTime) {
        let now = self.observe(now);
        if call.context.device_code == self.authorization.device_code && self.is_current(&call) {
            self.back_off(now, 0);
        }
    }

    /// Returns whether the machine waits for the answer to this call.
    fn is_current(&self, call: &Call<DevicePoll>) -> bool {
        matches!(self.phase, Phase::Sent(_)) && call.context.poll == self.polls
    }

    /// Begins a pause that grows with each failure, and is at least as long as the server asked for.
    fn back_off(&mut self, now: u64, asked: u64) {
        self.failures = self.failures.saturating_add(1);
        let factor = 1_u64.checked_shl(self.failures).unwrap_or(u64::MAX);
        let max = MAX_BACKOFF.max(self.interval.saturating_mul(2));
        self.wait(now, self.interval.saturating_mul(factor).min(max).max(asked));
    }

    fn wait(&mut self, now: u64, pause: u64) {
        self.pause = Timer::new(now, pause);
        self.phase = Phase::Waiting;
    }

    /// Records the time. Ends a poll whose answer is late, and a sign-in that has expired.
    fn observe(&mut self, now: SystemTime) -> u64 {
        let now = unix(now);
        self.lifetime.observe(now);
        self.pause.observe(now);
        if let Phase::Sent(answer) = &mut self.phase {
            answer.observe(now);
            if answer.is_over(now) {
                self.back_off(now, 0);
            }
        }
        let is_expired = self.lifetime.is_over(now) || self.waited >= self.lifetime.length;
        if self.phase == Phase::Waiting && is_expired {
            self.phase = Phase::Ended(End::Expired);
        }
        now
    }
}

impl fmt::Debug for PendingDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingDevice")
            .field("verification_uri", &self.authorization.verification_uri)
            .field("expires_at", &self.lifetime.end())
            .field("interval", &self.interval)
            .field("polls", &self.polls)
            .field("failures", &self.failures)
            .field("phase", &self.phase)
            .field("last_error", &self.last_error)
            .finish_non_exhaustive()
    }
}

/// The [`Reply`] to a poll for the tokens of a device. Only [`PendingDevice::received`] reads it, because it
/// says when the next poll is due.
#[derive(Debug)]
pub enum DevicePoll {}

impl Reply for DevicePoll {}

impl sealed::Reply for DevicePoll {
    type Context = PollContext;
}

/// The context that a pending device needs to read the answer to its poll.
pub struct PollContext {
    tokens: TokenContext,
    device_code: Secret,
    /// The number of the poll, from 1 on.
    poll: u64,
}

/// A length of time that begins at a moment, both in milliseconds of Unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timer {
    pub(super) since: u64,
    pub(super) length: u64,
}

impl Timer {
    pub(super) fn new(since: u64, length: u64) -> Self {
        Self { since, length }
    }

    fn end(self) -> u64 {
        self.since.saturating_add(self.length)
    }

    fn is_over(self, now: u64) -> bool {
        self.end() <= now
    }

    /// Begins anew if the clock shows a time before the beginning.
    fn observe(&mut self, now: u64) {
        self.since = self.since.min(now);
    }
}

/// The time after which a poll counts as unanswered, in milliseconds.
const ANSWER: u64 = 30_000;

/// The time that `slow_down` adds to the interval, in milliseconds (RFC 8628 §3.5).
const SLOW_DOWN: u64 = 5_000;

/// The maximum pause after a failure, in milliseconds, unless twice the interval is longer: the user waits.
const MAX_BACKOFF: u64 = 60_000;

/// The maximum effect of `Retry-After`, in milliseconds.
const MAX_RETRY_AFTER: u64 = 300_000;
