//! Times as milliseconds of Unix time, the unit in which sessions count and store them.

use std::time::{Duration, SystemTime};

/// The end of the year 9999, which every platform's `SystemTime` can hold; later times are cut to it.
pub(crate) const END: u64 = 253_402_300_799_999;

/// Converts to milliseconds of Unix time; a time before 1970 counts as 1970.
pub(crate) fn unix(time: SystemTime) -> u64 {
    milliseconds(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()).min(END)
}

/// Converts to whole seconds of Unix time, the unit of a pending authorization.
pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().min(END / 1000)
}

/// Converts to nanoseconds of Unix time; a time before 1970 counts as 1970.
pub(crate) fn unix_nanoseconds(time: SystemTime) -> u128 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos()
}

pub(crate) fn system_time(time: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(time.min(END))
}

pub(crate) fn later(time: u64, by: u64) -> u64 {
    time.saturating_add(by).min(END)
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1000).saturating_add(duration.subsec_millis().into())
}

/// The time from `since` to `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) since: u64,
    pub(crate) until: u64,
}

impl Span {
    pub(crate) fn new(since: u64, length: u64) -> Self {
        Self { since, until: later(since, length) }
    }

    pub(crate) fn length(self) -> u64 {
        self.until.saturating_sub(self.since)
    }

    pub(crate) fn middle(self) -> u64 {
        later(self.since, self.length() / 2)
    }
}

/// The longest delay or lifetime that is reported; added to the present time, it overflows on no platform.
pub(crate) const LONGEST: Duration = Duration::from_secs((1 << 31) - 1);

/// Reads a number that consists of digits only; one that is too large becomes `u64::MAX`.
pub(crate) fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_outside_1970_to_9999_count_as_the_nearest_in_it() {
        let epoch = SystemTime::UNIX_EPOCH;
        for (time, milliseconds, seconds) in [
            (epoch - Duration::from_secs(1), 0, 0),
            (epoch + Duration::from_micros(1_999_999), 1_999, 1),
            (epoch + Duration::from_millis(END), END, END / 1000),
            (epoch + Duration::from_millis(END + 1), END, END / 1000),
        ] {
            assert_eq!((unix(time), unix_seconds(time)), (milliseconds, seconds));
        }
        assert_eq!(system_time(1_999), epoch + Duration::from_millis(1_999));
        assert_eq!(system_time(u64::MAX), epoch + Duration::from_millis(253_402_300_799_999));
        assert_eq!((later(1, 2), later(END - 1, 2), later(u64::MAX, u64::MAX)), (3, END, END));
        assert_eq!(milliseconds(Duration::MAX), u64::MAX);
    }
}
