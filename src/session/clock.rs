//! The rules of time: clocks that differ, stand still or jump, and how long a claim or a pause holds.

use crate::session::policy::RefreshPolicy;
use crate::text::time::{Span, later};

/// The clock of one holder: the latest time that it has shown, in milliseconds of Unix time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    latest: u64,
}

impl Clock {
    pub(crate) fn new(now: u64) -> Self {
        Self { latest: now }
    }

    pub(crate) fn latest(self) -> u64 {
        self.latest
    }

    /// Returns whether the clock, which shows `now`, was set back by more than the skew.
    pub(crate) fn was_set_back(self, now: u64, policy: &RefreshPolicy) -> bool {
        policy.is_in_the_future(self.latest, now)
    }

    /// Returns the time that counts when the clock shows `now`. A clock that goes back by no more than the
    /// skew counts as standing still.
    pub(crate) fn time(self, now: u64, policy: &RefreshPolicy) -> u64 {
        if self.was_set_back(now, policy) { now } else { now.max(self.latest) }
    }

    /// Sets the latest time.
    pub(crate) fn advance(&mut self, time: u64) {
        self.latest = time;
    }
}

impl RefreshPolicy {
    /// Returns whether `time` is ahead of `now` by more than two clocks may differ.
    pub(crate) fn is_in_the_future(&self, time: u64, now: u64) -> bool {
        now.saturating_add(self.clock_skew) < time
    }

    /// Returns when another holder's claim ends: by its own time, bounded by the longest claim that is
    /// believed. The clock skew is added, because the other clock may be behind ours.
    pub(crate) fn end_of_claim(&self, claim: Span) -> u64 {
        let end = claim.until.min(later(claim.since, self.longest_claim()));
        later(end, self.clock_skew)
    }

    /// Returns when a pause ends: at once if it began in the future, and no later than this policy allows.
    pub(crate) fn end_of_pause(&self, pause: Span, now: u64) -> u64 {
        let longest = self.max_retry_after.saturating_add(self.max_backoff);
        let end = pause.until.min(later(pause.since, longest));
        if self.is_in_the_future(pause.since, now) { now } else { end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SKEW: u64 = 5_000;
    const NOW: u64 = 1_700_000_000_000;

    #[test]
    fn a_clock_that_goes_back_by_the_skew_stands_still_and_by_more_it_is_believed() {
        let policy = RefreshPolicy::default();
        let clock = Clock::new(NOW);
        for (shown, time, set_back) in [
            (NOW + 1, NOW + 1, false),
            (NOW, NOW, false),
            (NOW - SKEW, NOW, false),
            (NOW - SKEW - 1, NOW - SKEW - 1, true),
            (0, 0, true),
        ] {
            assert_eq!((clock.time(shown, &policy), clock.was_set_back(shown, &policy)), (time, set_back));
        }
    }

    #[test]
    fn a_claim_ends_with_its_own_time_bounded_by_the_policy() {
        let policy = RefreshPolicy::default().claim_duration(Duration::from_secs(60));
        let minute = 60_000;
        for (length, end) in [(minute, NOW + minute + SKEW), (11 * minute, NOW + 10 * minute + SKEW)] {
            assert_eq!(policy.end_of_claim(Span::new(NOW, length)), end, "{length}");
        }
    }

    #[test]
    fn a_pause_is_bounded_by_the_policy_and_one_from_the_future_is_over() {
        let policy = RefreshPolicy::default()
            .max_retry_after(Duration::from_secs(100))
            .backoff(Duration::from_secs(1), Duration::from_secs(10));
        for (since, length, end) in [
            (NOW - 10, 1_000, NOW + 990),
            (NOW - 10, 200_000, NOW - 10 + 110_000),
            (NOW + SKEW, 1_000, NOW + SKEW + 1_000),
            (NOW + SKEW + 1, 1_000, NOW),
        ] {
            assert_eq!(policy.end_of_pause(Span::new(since, length), NOW), end, "{since} {length}");
        }
    }
}
