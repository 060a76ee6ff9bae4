//! When a [`Session`](crate::Session) refreshes, how long it waits, and when it gives up.

use std::time::Duration;

use crate::text::time::{Span, later, milliseconds};

/// The times by which a [`Session`](crate::Session) lives; the defaults suit tokens of minutes or more.
///
/// All holders of one authorization (threads, processes, machines) should use the same policy.
///
/// | what | default |
/// |---|---|
/// | [`refresh_fraction`](Self::refresh_fraction): when to refresh, in parts of the lifetime | 0.5 to 0.75 |
/// | [`clock_skew`](Self::clock_skew): how far the holders' clocks may be apart | 5 s |
/// | [`claim`](Self::claim_duration): how long one holder may take for a refresh, the saving excepted | 60 s |
/// | [`backoff`](Self::backoff): the first pause after a failure, and the longest | 1 s, 10 min |
/// | [`max_retry_after`](Self::max_retry_after): how far the server is followed | 24 h |
/// | [`attempts`](Self::max_attempts): failures in a row before the session gives up | 500, about three days |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RefreshPolicy {
    earliest: f32,
    latest: f32,
    /// Milliseconds, like the other times.
    clock_skew: u64,
    claim: u64,
    first_backoff: u64,
    longest_backoff: u64,
    max_retry_after: u64,
    attempts: u32,
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self {
            earliest: 0.5,
            latest: 0.75,
            clock_skew: 5_000,
            claim: 60_000,
            first_backoff: 1_000,
            longest_backoff: 600_000,
            max_retry_after: 24 * 3_600_000,
            attempts: 500,
        }
    }
}

impl RefreshPolicy {
    /// When to refresh: at a moment between these two parts of the token's lifetime that differs from one
    /// authorization to the next, so that many do not refresh in the same second.
    ///
    /// The first refresh of an authorization, and the first after trouble, may come at any moment up to
    /// `latest`, even almost at once: drawn so that many authorizations that begin together are spread evenly
    /// from then on.
    /// Both are held between 0.1 and 1; if they are equal, nothing is spread.
    pub fn refresh_fraction(mut self, earliest: f32, latest: f32) -> Self {
        // A value that is no number becomes the lower bound.
        let bounded = |part: f32, most: f32| if part >= 0.1 { part.min(most) } else { 0.1 };
        self.latest = bounded(latest, 1.0);
        self.earliest = bounded(earliest, self.latest);
        self
    }

    /// How far the clocks of two holders may be apart; one refresh at a time is promised within that.
    ///
    /// A holder may use a token for this much longer than the server lets it live, if its clock is behind.
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.clock_skew = milliseconds(skew);
        self
    }

    /// How long a holder's claim on the refresh lasts. It sends in the first half or not at all, and gives the
    /// answer up at the end; the others wait for the end and the clock skew.
    ///
    /// From 100 ms to an hour: at least twice the timeout of the HTTP client, and the time that the store takes to
    /// save. It is also how long the others wait for a holder that died.
    pub fn claim_duration(mut self, claim: Duration) -> Self {
        self.claim = milliseconds(claim).clamp(100, 3_600_000);
        self
    }

    /// The pause after the first failure, and the longest one; it doubles from the one to the other. Each
    /// pause is shortened by up to a half at random.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.first_backoff = milliseconds(first).max(1);
        self.longest_backoff = milliseconds(longest).max(self.first_backoff);
        self
    }

    /// How long a `Retry-After` of the server is honoured; a longer one counts as this one.
    pub fn max_retry_after(mut self, longest: Duration) -> Self {
        self.max_retry_after = milliseconds(longest);
        self
    }

    /// How many attempts in a row may fail before the session gives up; at least one.
    ///
    /// An attempt also fails when its holder dies or cannot send in time, and when its token is of no use: dead on
    /// arrival, or rejected by the API sooner than after the longest pause.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    pub(crate) fn claim_length(&self) -> u64 {
        self.claim
    }

    /// Whether a time is ahead of `now` by more than two clocks may be apart.
    pub(crate) fn is_from_the_future(&self, time: u64, now: u64) -> bool {
        now.saturating_add(self.clock_skew) < time
    }

    /// When another holder's claim is over that was first seen at `seen`: by its own time or, if the clock behind it
    /// is wrong, by ours; and the clock skew after that.
    pub(crate) fn end_of_claim(&self, claim: Span, seen: u64) -> u64 {
        let end = if self.is_from_the_future(claim.since, seen) {
            later(seen, claim.length())
        } else {
            // A longer one was not made by this policy or one like it.
            claim.until.min(later(seen, self.claim.saturating_mul(10)))
        };
        later(end, self.clock_skew)
    }

    /// When a pause is over: at once, if it began in the future, and not later than this policy would let it be.
    pub(crate) fn end_of_pause(&self, pause: Span, now: u64) -> u64 {
        let longest = self.max_retry_after.saturating_add(self.longest_backoff);
        let end = pause.until.min(later(pause.since, longest));
        if self.is_from_the_future(pause.since, now) { 0 } else { end }
    }

    /// How long a token must have been used for its rejection to be no failure.
    pub(crate) fn longest_backoff(&self) -> u64 {
        self.longest_backoff
    }

    pub(crate) fn attempts_limit(&self) -> u32 {
        self.attempts
    }

    /// How long after its issue a token is replaced. `evenly` draws the moment that belongs to a long series of
    /// refreshes which is looked at for the first time: the part that is left of an interval.
    pub(crate) fn refresh_after(&self, lifetime: u64, evenly: bool, dice: &mut Dice) -> u64 {
        let (earliest, latest) = (f64::from(self.earliest), f64::from(self.latest));
        let part = if earliest >= latest {
            latest
        } else if evenly {
            // Long intervals are met more often than short ones, in proportion to their length.
            let squares = earliest.powi(2) + dice.roll() * (latest.powi(2) - earliest.powi(2));
            dice.roll() * squares.sqrt()
        } else {
            earliest + dice.roll() * (latest - earliest)
        };
        (lifetime as f64 * part) as u64
    }

    /// The pause after this many failures in a row; none after none.
    pub(crate) fn pause(&self, failures: u32, dice: &mut Dice) -> u64 {
        let Some(doublings) = failures.checked_sub(1) else { return 0 };
        let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
        let pause = self.first_backoff.saturating_mul(factor).min(self.longest_backoff);
        pause - (pause as f64 / 2.0 * dice.roll()) as u64
    }

    /// The pause where trying again soon would help nobody.
    pub(crate) fn longest_pause(&self, dice: &mut Dice) -> u64 {
        self.pause(u32::MAX, dice)
    }

    /// The server's wish, within bounds.
    pub(crate) fn retry_after(&self, wish: Duration) -> u64 {
        milliseconds(wish).min(self.max_retry_after)
    }
}

/// Numbers that are spread evenly but follow from where they are used, so that every holder of an
/// authorization computes the same moment. They need not be hard to guess.
pub(crate) struct Dice(u64);

impl Dice {
    /// `seed` is spread evenly by itself; `turn` tells the uses of one seed apart.
    pub(crate) fn new(seed: u64, turn: u64) -> Self {
        let mut dice = Self(seed ^ turn.wrapping_mul(0xd134_2543_de82_ef95));
        dice.roll();
        dice
    }

    /// A number from 0 up to, but not including, 1 (a step of SplitMix64).
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    #[test]
    fn a_refresh_falls_into_the_window_and_the_first_one_anywhere_before_its_end() {
        let policy = RefreshPolicy::default();
        let moments = |evenly| {
            let moments = (0..1000).map(|seed| {
                policy.refresh_after(HOUR, evenly, &mut Dice::new(seed << 40, seed)) as f64 / HOUR as f64
            });
            let mut moments: Vec<_> = moments.collect();
            moments.sort_by(f64::total_cmp);
            moments
        };
        let later = moments(false);
        assert!(later[0] >= 0.5 && later[0] < 0.51 && later[999] <= 0.75 && later[999] > 0.74, "{later:?}");
        assert!((later[500] - 0.625).abs() < 0.02, "{}", later[500]);
        let first = moments(true);
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
            for evenly in [false, true] {
                let after = policy.refresh_after(HOUR, evenly, &mut Dice::new(1, 1));
                assert!(after.abs_diff(expected) <= 1, "{earliest} {latest}: {after}");
            }
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_shortened_by_half_at_the_most() {
        let policy = RefreshPolicy::default().backoff(Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(policy.pause(0, &mut Dice::new(7, 0)), 0);
        for (failures, seconds) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (64, 60), (u32::MAX, 60)] {
            let pauses: Vec<_> =
                (0..200).map(|seed| policy.pause(failures, &mut Dice::new(seed << 32, 3))).collect();
            let (least, most) = (*pauses.iter().min().unwrap(), *pauses.iter().max().unwrap());
            assert!(least >= seconds * 500 && most <= seconds * 1000, "{failures}: {least} {most}");
            assert!(most - least > seconds * 400, "{failures}: not spread");
        }
    }

    /// All holders must compute the same moments, whatever version of this crate they have.
    #[test]
    fn the_dice_roll_the_numbers_of_splitmix64() {
        let mut dice = Dice(1_234_567);
        for bits in [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423_u64] {
            assert_eq!(dice.roll(), (bits >> 11) as f64 / 9_007_199_254_740_992.0);
        }
    }

    #[test]
    fn bounds_of_the_other_times() {
        let policy = RefreshPolicy::default()
            .claim_duration(Duration::ZERO)
            .max_attempts(0)
            .backoff(Duration::ZERO, Duration::ZERO)
            .clock_skew(Duration::MAX);
        assert_eq!((policy.claim_length(), policy.attempts_limit()), (100, 1));
        assert!(!policy.is_from_the_future(u64::MAX, 0));
        assert_eq!(policy.pause(1, &mut Dice::new(0, 0)), 1);
        assert_eq!(policy.retry_after(Duration::MAX), 24 * HOUR);
        assert_eq!(policy.retry_after(Duration::from_secs(3)), 3_000);
    }
}
