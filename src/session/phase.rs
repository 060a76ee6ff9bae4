//! The phases of a holder, which are the rows of the table in the documentation of [`Session`]. The phase
//! follows from the stored record, from what this holder has in hand, and from the time.

use crate::session::Session;
use crate::session::record::{Record, State, Validity};
use crate::session::source::Source;
use crate::session::step::Reason;
use crate::text::time::{Span, later};

/// A row of the table. Times are milliseconds of Unix time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase<'a> {
    /// The first tokens are not in the store.
    Unsaved(&'a Record),
    /// The outcome of a refresh, or of a sign-in, is not in the store.
    Learned(&'a Record),
    /// The access token is usable, and a refresh is due at `until`, if the server names a lifetime.
    Quiet { until: Option<u64> },
    /// A claim of this attempt is due.
    Due { attempt: u32 },
    /// Our claim is in the store, and nothing was sent.
    ClaimedByUs { claim: Span },
    /// Our request is under way.
    Sent { claim: Span },
    /// Another holder has claimed the refresh.
    ClaimedByAnother { until: u64 },
    /// Another holder's claim is dated in the future, so its remaining time is unknown.
    Misdated { claim: Span },
    /// A refresh is due, and the tokens were issued to another client than this holder's.
    AnotherClient { until: u64 },
    /// A refresh is due, and the tokens are bound to another key than this holder's, which may have none.
    AnotherKey { until: u64 },
    /// A pause runs, after a failed refresh or an unusable token.
    Backoff { until: u64 },
    /// The user must sign in again.
    Ended(Reason),
}

/// A holder's own knowledge in addition to the stored record.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) enum Hand {
    /// Nothing: a claim in the store is another holder's.
    Nothing,
    /// The claim that is stored.
    Claim {
        claim: Span,
        /// The server has asked for a nonce under this claim, which it may do once (RFC 9449 §8).
        has_nonce: bool,
    },
    /// A request under the claim that is stored.
    Request { claim: Span, has_nonce: bool },
    /// The outcome of a refresh, or an end, which is not in the store yet.
    Outcome(Box<Record>),
    /// The tokens of a sign-in, which are not in the store yet.
    SignIn {
        record: Box<Record>,
        /// The sign-in brought no refresh token, so the record has the stored one.
        keeps: bool,
    },
}

/// The end of the stored access token, if this holder has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// No end yet.
    Valid,
    /// Its expiry, which counts even if the clock goes back later.
    Expired,
    /// Its rejection by the API.
    Rejected,
}

impl Session {
    /// Returns the row that this holder is in at `now`.
    pub(super) fn phase(&self, now: u64) -> Phase<'_> {
        match (&self.hand, self.record.state) {
            (Hand::Outcome(record) | Hand::SignIn { record, .. }, _) => Phase::Learned(record),
            _ if !self.record.is_stored() => Phase::Unsaved(&self.record),
            (Hand::Claim { claim, .. }, _) => Phase::ClaimedByUs { claim: *claim },
            (Hand::Request { claim, .. }, _) => Phase::Sent { claim: *claim },
            (Hand::Nothing, State::Ended) => Phase::Ended(Reason::Ended),
            (Hand::Nothing, State::Refused) => Phase::Ended(Reason::Refused),
            (Hand::Nothing, State::Claimed(claim)) if self.policy.is_in_the_future(claim.since, now) => {
                Phase::Misdated { claim }
            }
            (Hand::Nothing, State::Claimed(claim)) => match self.policy.end_of_claim(claim) {
                until if now < until => Phase::ClaimedByAnother { until },
                _ => self.due(now),
            },
            (Hand::Nothing, State::Backoff(pause)) => match self.policy.end_of_pause(pause, now) {
                until if now < until && !self.is_most_likely_dead() => Phase::Backoff { until },
                _ => self.due(now),
            },
            (Hand::Nothing, State::Quiet) => self.quiet(now),
        }
    }

    /// Returns the row of a record that nobody refreshes. It follows from the access token.
    fn quiet(&self, now: u64) -> Phase<'_> {
        let record = &self.record;
        // The clock was set back, so the token's remaining time is unknown.
        if self.policy.is_in_the_future(record.issued_at, now) {
            return match self.braked_until {
                until if now < until => Phase::Backoff { until },
                _ => self.due(now),
            };
        }
        let min = later(record.issued_at, self.policy.floor(record.lifetime()));
        let (at, serves) = match (self.seen, record.validity) {
            (Seen::Rejected, _) => {
                let mut jitter = record.jitter(record.generation.to_u64());
                (later(record.issued_at, self.policy.pause(record.attempts, &mut jitter)), false)
            }
            (_, Validity::Never) => (record.issued_at, false),
            (Seen::Expired, _) => (min.max(self.braked_until), false),
            (Seen::Valid, Validity::UntilRejected { refresh_at: None }) => {
                return Phase::Quiet { until: None };
            }
            (Seen::Valid, Validity::UntilRejected { refresh_at: Some(at) }) => (at.max(min), true),
            (Seen::Valid, Validity::Until { expires_at, .. }) if matches!(record.source, Source::SignIn) => {
                (expires_at, true)
            }
            (Seen::Valid, Validity::Until { expires_at, refresh_at }) => {
                (refresh_at.min(expires_at).max(min), true)
            }
        };
        match (now < at, serves) {
            (false, _) => self.due(now),
            (true, true) => Phase::Quiet { until: Some(at) },
            (true, false) => Phase::Backoff { until: at },
        }
    }

    /// Returns the row in which the next attempt is due, or in which this holder cannot make one.
    fn due(&self, now: u64) -> Phase<'_> {
        let attempt = match self.token_served(now) {
            true => 1,
            false => self.record.attempts.saturating_add(1),
        };
        if !self.record.source.serves(&self.holder) {
            Phase::Ended(Reason::NoRefreshToken)
        } else if attempt > self.policy.max_attempts || self.is_most_likely_dead() {
            Phase::Ended(Reason::GaveUp)
        } else if now < self.resting_until {
            Phase::Backoff { until: self.resting_until }
        } else if self.record.issued_to != self.holder.issued_to {
            Phase::AnotherClient { until: later(now, self.policy.max_backoff) }
        } else if !self.record.is_bound_to(&self.holder) {
            Phase::AnotherKey { until: later(now, self.policy.max_backoff) }
        } else {
            Phase::Due { attempt }
        }
    }

    /// Returns whether the server has refused without a cause as often as the policy allows.
    fn is_most_likely_dead(&self) -> bool {
        let refusals = self.record.trouble.as_ref().map_or(0, |trouble| trouble.unclear_refusals);
        refusals >= self.policy.max_unclear_refusals
    }

    /// Returns whether the access token was usable, which restarts the count of attempts.
    fn token_served(&self, now: u64) -> bool {
        let record = &self.record;
        let was_usable = match (self.seen, record.validity) {
            (_, Validity::Never) => false,
            (Seen::Rejected, _) => now.saturating_sub(record.issued_at) >= self.policy.max_backoff,
            (Seen::Valid | Seen::Expired, _) => true,
        };
        was_usable && record.state == State::Quiet && !self.policy.is_in_the_future(record.issued_at, now)
    }
}
