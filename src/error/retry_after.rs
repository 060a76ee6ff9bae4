//! The `Retry-After` header (RFC 9110 §10.2.3).

use std::time::{Duration, SystemTime};

use crate::text::time::{LONGEST, digits};

/// A `Retry-After` header: a delay or a date (RFC 9110 §10.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryAfter {
    Delay(Duration),
    Date(SystemTime),
}

impl RetryAfter {
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let value = value.trim_matches([' ', '\t']);
        match digits(value) {
            Some(seconds) => Some(Self::Delay(Duration::from_secs(seconds))),
            None => httpdate::parse_http_date(value).ok().map(Self::Date),
        }
    }

    pub(crate) fn from(self, now: SystemTime) -> Duration {
        let delay = match self {
            Self::Delay(delay) => delay,
            Self::Date(date) => date.duration_since(now).unwrap_or_default(),
        };
        delay.min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9110_section_10_2_3_dates_and_seconds() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, seconds) in [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("99999999999999999999999", Some(2_147_483_647)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sunday, 06-Nov-94 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:40:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            let delay = RetryAfter::parse(value).map(|after| after.from(now).as_secs());
            assert_eq!(delay, seconds, "{value:?}");
        }
    }
}
