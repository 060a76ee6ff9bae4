//! The policy of a [`Session`](crate::Session): when it refreshes, how long it waits, and when it gives up.

use std::time::Duration;

use crate::session::jitter::Jitter;
use crate::session::sparse::Usual;
use crate::text::time::milliseconds;

/// The times and limits of a [`Session`](crate::Session); the defaults suit access tokens that live minutes
/// or longer.
///
/// Use one policy for all holders of an authorization (threads, processes, machines).
///
/// | method | meaning | default |
/// |---|---|---|
/// | [`refresh_fraction`](Self::refresh_fraction) | when to refresh, in fractions of the lifetime | 0.5 to 0.75 |
/// | [`clock_skew`](Self::clock_skew) | how far the clocks of two holders may differ | 5 s |
/// | [`claim_duration`](Self::claim_duration) | how long one holder may take to refresh and save | 60 s |
/// | [`backoff`](Self::backoff) | the first pause after a failure, and the longest | 1 s, 10 min |
/// | [`max_retry_after`](Self::max_retry_after) | the longest `Retry-After` that is honoured | 24 h |
/// | [`min_interval`](Self::min_interval) | the shortest time from one refresh to the next | 10 s |
/// | [`max_attempts`](Self::max_attempts) | failures in a row before the session gives up | 500, about three days |
/// | [`max_unclear_refusals`](Self::max_unclear_refusals) | refusals without a cause before it gives up | 6, about 8 minutes |
/// | [`patience`](Self::patience) | how long the callers of a [keeper](crate::keeper) wait for a token | 30 s |
///
/// ```
/// use oauth2_proto::RefreshPolicy;
/// use std::time::Duration;
///
/// let patient = RefreshPolicy::default()
///     .claim_duration(Duration::from_secs(120))
///     .backoff(Duration::from_secs(30), Duration::from_secs(3600));
/// assert_ne!(patient, RefreshPolicy::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RefreshPolicy {
    min_fraction: f32,
    max_fraction: f32,
    /// Milliseconds, like the other times.
    pub(super) clock_skew: u64,
    pub(super) claim_duration: u64,
    first_backoff: u64,
    pub(super) max_backoff: u64,
    pub(super) max_retry_after: u64,
    pub(super) min_interval: u64,
    pub(super) max_attempts: u32,
    pub(super) max_unclear_refusals: u32,
    patience: u64,
}

impl Usual for RefreshPolicy {
    const USUAL: &'static Self = &Self {
        min_fraction: 0.5,
        max_fraction: 0.75,
        clock_skew: 5_000,
        claim_duration: 60_000,
        first_backoff: 1_000,
        max_backoff: 600_000,
        max_retry_after: 24 * 3_600_000,
        min_interval: 10_000,
        max_attempts: 500,
        max_unclear_refusals: 6,
        patience: 30_000,
    };
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        *Self::USUAL
    }
}

impl RefreshPolicy {
    /// Sets when to refresh: at a moment between these two fractions of the lifetime of the access token. The
    /// moment differs from one authorization to the next, so that many do not refresh in the same second.
    ///
    /// The first refresh of an authorization, and the first after a failure, may come at any moment up to
    /// `max`, even almost at once. It is drawn so that authorizations that begin together are spread evenly
    /// from then on. Both fractions are kept between 0.1 and 1; if they are equal, nothing is spread.
    pub fn refresh_fraction(mut self, min: f32, max: f32) -> Self {
        // NaN becomes the lower bound.
        let bounded = |fraction: f32, max: f32| if fraction >= 0.1 { fraction.min(max) } else { 0.1 };
        self.max_fraction = bounded(max, 1.0);
        self.min_fraction = bounded(min, self.max_fraction);
        self
    }

    /// Sets how far the clocks of two holders may differ; one refresh at a time is guaranteed within that.
    ///
    /// A holder whose clock is behind may use a token for this time after the server has stopped accepting
    /// it.
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.clock_skew = milliseconds(skew);
        self
    }

    /// Sets how long a holder's claim on the refresh lasts. The holder sends in the first half or not at all,
    /// and stops waiting for the answer at the end. The others wait for the end and the clock skew.
    ///
    /// The duration is kept between 100 ms and one hour. Choose at least twice the timeout of the HTTP
    /// client, plus the time that the store takes to save. The others also wait this long for a holder that
    /// died.
    pub fn claim_duration(mut self, duration: Duration) -> Self {
        self.claim_duration = milliseconds(duration).clamp(100, 3_600_000);
        self
    }

    /// Sets the pause after the first failure, and the longest pause. The pause doubles from the first to the
    /// longest, and jitter shortens each by up to a half.
    pub fn backoff(mut self, first: Duration, max: Duration) -> Self {
        self.first_backoff = milliseconds(first).max(1);
        self.max_backoff = milliseconds(max).max(self.first_backoff);
        self
    }

    /// Sets how long the callers of a [keeper](crate::keeper) wait for a token while a pause runs or another
    /// holder refreshes. They do not wait at all for a pause that outlasts it.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = milliseconds(patience);
        self
    }

    pub(crate) fn max_wait(&self) -> Duration {
        Duration::from_millis(self.patience)
    }

    /// Returns how long a request for a refresh may take.
    pub(crate) fn max_request(&self) -> Duration {
        Duration::from_millis(self.claim_duration)
    }

    /// Sets the longest `Retry-After` that is honoured; a longer one is cut to it.
    pub fn max_retry_after(mut self, max: Duration) -> Self {
        self.max_retry_after = milliseconds(max);
        self
    }

    /// Sets the shortest time from one refresh to the next, which limits the requests for tokens that live
    /// seconds.
    ///
    /// A token that the API rejects is replaced sooner. A token that lives shorter than this leaves its
    /// holders without one until the time is over.
    pub fn min_interval(mut self, interval: Duration) -> Self {
        self.min_interval = milliseconds(interval);
        self
    }

    /// Sets how many attempts in a row may fail before the session gives up; at least one. This limit is for
    /// outages, which a new sign-in does not fix.
    ///
    /// An attempt also fails when its holder dies or cannot send in time, and when its token is unusable:
    /// expired on arrival, or rejected by the API sooner than the longest pause after it was issued.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// Sets how many refusals without a cause the session takes before it gives up; at least one. This limit
    /// is for authorizations that are most likely dead, which only a new sign-in fixes.
    ///
    /// A refusal without a cause is a 400, 401 or 403 that is empty or JSON without an error code, or an
    /// error code that means neither an outage nor `invalid_client`
    /// ([`TroubleKind::UnclearRefusal`](crate::session::TroubleKind::UnclearRefusal)). The pause after the
    /// first one is 15 seconds, and doubles up to the longest [`backoff`](Self::backoff).
    pub fn max_unclear_refusals(mut self, refusals: u32) -> Self {
        self.max_unclear_refusals = refusals.max(1);
        self
    }

    /// Returns how long after its issue a token is replaced, in milliseconds.
    pub(crate) fn refresh_after(&self, lifetime: u64, rhythm: Rhythm, jitter: &mut Jitter) -> u64 {
        let (min, max) = (f64::from(self.min_fraction), f64::from(self.max_fraction));
        let fraction = match rhythm {
            _ if min >= max => max,
            Rhythm::Steady => min + jitter.next() * (max - min),
            // Residual time of a stationary renewal process whose intervals are uniform between `min` and
            // `max`: the current interval is drawn in proportion to its length, and the moment within it is
            // uniform.
            Rhythm::First => {
                let interval = (min.powi(2) + jitter.next() * (max.powi(2) - min.powi(2))).sqrt();
                jitter.next() * interval
            }
        };
        (lifetime as f64 * fraction) as u64
    }

    /// Returns the shortest time from one refresh to the next for tokens of this lifetime, in milliseconds.
    ///
    /// Tokens that live longer need no floor, and one would gather their first refreshes in one second.
    pub(crate) fn floor(&self, lifetime: u64) -> u64 {
        let latest = lifetime as f64 * f64::from(self.max_fraction);
        if latest < self.min_interval as f64 { self.min_interval } else { 0 }
    }

    /// Returns the pause after this many failures in a row, in milliseconds; none after none.
    pub(crate) fn pause(&self, failures: u32, jitter: &mut Jitter) -> u64 {
        self.doubled(self.first_backoff, failures, jitter)
    }

    /// Returns the pause after this many refusals without a cause, in milliseconds. It is longer than the
    /// first pauses of an outage, so that a server's error of one minute ends no authorization.
    pub(crate) fn pause_after_refusal(&self, refusals: u32, jitter: &mut Jitter) -> u64 {
        const FIRST: u64 = 15_000;
        self.doubled(self.first_backoff.max(FIRST), refusals, jitter)
    }

    fn doubled(&self, first: u64, failures: u32, jitter: &mut Jitter) -> u64 {
        let Some(doublings) = failures.checked_sub(1) else { return 0 };
        let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
        let pause = first.saturating_mul(factor).min(self.max_backoff);
        pause - (pause as f64 / 2.0 * jitter.next()) as u64
    }

    /// Returns the longest claim that is believed, in milliseconds. No holder with a similar policy makes a
    /// longer one.
    pub(crate) fn longest_claim(&self) -> u64 {
        self.claim_duration.saturating_mul(10)
    }

    /// Returns the longest pause, for failures that only an operator can fix.
    pub(crate) fn longest_pause(&self, jitter: &mut Jitter) -> u64 {
        self.pause(u32::MAX, jitter)
    }

    /// Returns the server's `Retry-After` in milliseconds, capped.
    pub(crate) fn retry_after(&self, delay: Duration) -> u64 {
        milliseconds(delay).min(self.max_retry_after)
    }
}

/// The position of a refresh in the series of its authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rhythm {
    /// The first one, or the first after a failure: many authorizations may begin together here.
    First,
    /// One that follows a refresh that succeeded at once.
    Steady,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    #[test]
    fn a_refresh_falls_into_the_window_and_the_first_one_anywhere_before_its_end() {
        let policy = RefreshPolicy::default();
        let moments = |rhythm| {
            let moments = (0..1000).map(|seed| {
                policy.refresh_after(HOUR, rhythm, &mut Jitter::new(seed << 40, seed)) as f64 / HOUR as f64
            });
            let mut moments: Vec<_> = moments.collect();
            moments.sort_by(f64::total_cmp);
            moments
        };
        let later = moments(Rhythm::Steady);
        assert!(later[0] >= 0.5 && later[0] < 0.51 && later[999] <= 0.75 && later[999] > 0.74, "{later:?}");
        assert!((later[500] - 0.625).abs() < 0.02, "{}", later[500]);
        let first = moments(Rhythm::First);
        assert!(first[0] < 0.01 && first[999] <= 0.75 && first[999] > 0.65, "{first:?}");
        // 1 / 0.625 of the sessions for each part of the lifetime, so half of them by 0.3125.
        assert!((first[500] - 0.3125).abs() < 0.03, "{}", first[500]);
    }

    #[test]
    fn the_window_is_bounded_and_without_width_nothing_is_spread() {
        for (earliest, latest, expected) in [
            (0.5, 0.5, HOUR / 2),
            (2.0, 3.0, HOUR),
            (0.9, 0.5, HOUR / 2),
            (f32::NAN, f32::NAN, HOUR / 10),
            (-1.0, 0.0, HOUR / 10),
        ] {
            let policy = RefreshPolicy::default().refresh_fraction(earliest, latest);
            for rhythm in [Rhythm::Steady, Rhythm::First] {
                let after = policy.refresh_after(HOUR, rhythm, &mut Jitter::new(1, 1));
                assert!(after.abs_diff(expected) <= 1, "{earliest} {latest}: {after}");
            }
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_shortened_by_half_at_the_most() {
        let policy = RefreshPolicy::default().backoff(Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(policy.pause(0, &mut Jitter::new(7, 0)), 0);
        for (failures, seconds) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (64, 60), (u32::MAX, 60)] {
            let pauses: Vec<_> =
                (0..200).map(|seed| policy.pause(failures, &mut Jitter::new(seed << 32, 3))).collect();
            let (least, most) = (*pauses.iter().min().unwrap(), *pauses.iter().max().unwrap());
            assert!(least >= seconds * 500 && most <= seconds * 1000, "{failures}: {least} {most}");
            assert!(most - least > seconds * 400, "{failures}: not spread");
        }
    }

    #[test]
    fn bounds_of_the_other_times() {
        let policy = RefreshPolicy::default()
            .claim_duration(Duration::ZERO)
            .max_attempts(0)
            .backoff(Duration::ZERO, Duration::ZERO)
            .clock_skew(Duration::MAX);
        assert_eq!((policy.claim_duration, policy.max_attempts), (100, 1));
        assert!(!policy.is_in_the_future(u64::MAX, 0));
        assert_eq!(policy.pause(1, &mut Jitter::new(0, 0)), 1);
        assert_eq!(policy.retry_after(Duration::MAX), 24 * HOUR);
        assert_eq!(policy.retry_after(Duration::from_secs(3)), 3_000);
    }
}
