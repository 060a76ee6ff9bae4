//! The answers of all endpoints except the token endpoint: an OAuth error, or one JSON object after a
//! success.
//!
//! Each endpoint's reader names its members, and reads each by a function of this file.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::call::Response;
use crate::error::Error;
use crate::server::Leniencies;
use crate::text::foreign::ForeignAddress;
use crate::text::json::{Extras, Member};
use crate::text::secret::{Secret, is_printable};
use crate::text::time::{self, digits};
use crate::text::uri::leads_home;
use crate::token::reader;

/// Reads the object of a success: the values of these `names`, in the same order, and all other members.
///
/// # Errors
///
/// - Refused: the answer holds an `error`.
/// - Invalid: the status is no success, or the body is no sound object, or repeats one of the `names`.
pub(crate) fn read<'a, const N: usize>(
    response: &'a Response<'_>,
    names: &'static [&'static str; N],
) -> Result<([Member<'a>; N], Extras), Error> {
    if let Some(failure) = reader::read_failure(response) {
        return Err(failure);
    }
    match reader::read_object(response.body(), names) {
        (members, extras, None) => Ok((members, extras)),
        (_, _, Some(damage)) => Err(damage),
    }
}

/// Reads a text; refuses an empty one.
pub(crate) fn text(name: &str, member: Member<'_>) -> Result<Option<String>, Error> {
    match member {
        Member::Absent => Ok(None),
        Member::Text(text) if !text.is_empty() => Ok(Some(text.to_owned())),
        _ => Err(Error::invalid(format!("{name} is no text, or an empty one"))),
    }
}

/// Reads a secret text; refuses an empty one, and one with control characters.
pub(crate) fn secret(name: &str, member: Member<'_>) -> Result<Option<Secret>, Error> {
    match member {
        Member::Absent => Ok(None),
        Member::Text(text) if !text.is_empty() && is_printable(&text) => Ok(Some(text.into_secret())),
        _ => Err(Error::invalid(format!("{name} is no text, is empty, or holds control characters"))),
    }
}

/// Reads a list of texts.
pub(crate) fn texts(name: &str, member: Member<'_>) -> Result<Option<Vec<String>>, Error> {
    member.into_texts().map_err(|_| Error::invalid(format!("{name} is no list of texts")))
}

/// Reads a boolean.
pub(crate) fn boolean(name: &str, member: Member<'_>) -> Result<Option<bool>, Error> {
    match member {
        Member::Absent => Ok(None),
        member => match member.into_value() {
            Some(Value::Bool(value)) => Ok(Some(value)),
            _ => Err(Error::invalid(format!("{name} is neither true nor false"))),
        },
    }
}

/// Reads a number of seconds, in the forms that servers write `expires_in` in.
pub(crate) fn seconds(name: &str, member: Member<'_>) -> Result<Option<Duration>, Error> {
    reader::read_expires_in(member, Leniencies::default())
        .map_err(|_| Error::invalid(format!("{name} is no number of seconds")))
}

/// Reads a number of seconds since 1970 of up to 64 bits, in the forms that servers write `expires_in` in.
pub(crate) fn unix_seconds(name: &str, member: Member<'_>) -> Result<Option<u64>, Error> {
    let seconds = match member {
        Member::Absent => return Ok(None),
        Member::Unsigned(seconds) => Some(seconds),
        // `as` cuts the fraction and saturates.
        Member::Float(seconds) if seconds >= 0.0 => Some(seconds as u64),
        Member::Text(text) => digits(&text),
        _ => None,
    };
    seconds.map(Some).ok_or_else(|| Error::invalid(format!("{name} is no number of seconds")))
}

/// Reads a point in time (RFC 7519 §2). One after the year 9999 counts as the end of that year.
pub(crate) fn time(name: &str, member: Member<'_>) -> Result<Option<SystemTime>, Error> {
    let wrong = |_| Error::invalid(format!("{name} is no number of seconds since 1970"));
    let seconds = member.into_date().map_err(wrong)?;
    Ok(seconds.map(|seconds| time::system_time(seconds.saturating_mul(1000))))
}

/// Refuses an address on the machine of this program in an answer from elsewhere: the program would send a
/// request of its own to any local service. `what` is the address, and `whose` the party that was asked.
pub(crate) fn check_host(what: &str, address: &str, whose: &str, asked: &str) -> Result<(), Error> {
    match leads_home(address, asked) {
        false => Ok(()),
        true => Err(Error::untrusted(format!(
            "{what} {} is on this machine, and {whose} is elsewhere",
            ForeignAddress(address)
        ))),
    }
}

/// Makes the error of a missing member that the specification requires.
pub(crate) fn missing(name: &str) -> Error {
    Error::invalid(format!("there is no {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Advice, ErrorKind};

    /// Reads the member `a` of an object by a function of this file.
    #[track_caller]
    fn member<T>(
        value: &str,
        read: fn(&str, Member<'_>) -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        let body = format!(r#"{{"a":{value}}}"#);
        let response = Response::new(200, [("a", "b")], body.as_bytes());
        let ([member], _) = super::read(&response, &["a"])?;
        read("a", member)
    }

    /// The function must refuse each of these values by an error that names the member, and not the value.
    #[track_caller]
    fn refuses<T>(values: &[&str], read: fn(&str, Member<'_>) -> Result<Option<T>, Error>) {
        for value in values {
            let Err(error) = member(value, read) else { panic!("{value} is taken") };
            assert_eq!((error.kind(), error.advice()), (ErrorKind::Invalid, Advice::Stop), "{value}");
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("a is n") && !shown.contains("planted"), "{shown}");
        }
        assert!(matches!(member("null", read), Ok(None)));
    }

    #[test]
    fn a_text_is_not_empty() {
        assert_eq!(member(r#""fake\n""#, text).unwrap().as_deref(), Some("fake\n"));
        refuses(&[r#""""#, "7", "-7", "7.5", "true", r#"["planted"]"#, r#"{"planted":1}"#], text);
    }

    #[test]
    fn a_secret_is_neither_empty_nor_broken_by_control_characters() {
        assert_eq!(member(r#""fäke \u0041""#, secret).unwrap(), Some(Secret::new("fäke A")));
        refuses(
            &[r#""""#, r#""planted\n""#, r#""\u0085planted""#, "7", "true", r#"["planted"]"#, "{}"],
            secret,
        );
    }

    #[test]
    fn a_list_of_texts_holds_nothing_else() {
        assert_eq!(member(r#"["a",""]"#, texts).unwrap(), Some(vec!["a".to_owned(), String::new()]));
        assert_eq!(member("[]", texts).unwrap(), Some(Vec::new()));
        refuses(
            &[r#""planted""#, "7", "{}", "true", r#"["planted",7]"#, "[null]", r#"[["planted"]]"#],
            texts,
        );
    }

    #[test]
    fn a_boolean_is_no_word_and_no_number() {
        assert_eq!(member("true", boolean).unwrap(), Some(true));
        assert_eq!(member("false", boolean).unwrap(), Some(false));
        refuses(&[r#""true""#, r#""planted""#, "0", "1", "1.0", "-1", "[true]", "{}"], boolean);
    }

    #[test]
    fn seconds_are_written_like_expires_in() {
        for (value, number) in [("0", 0), ("60", 60), (r#""60""#, 60), ("60.9", 60), ("1e30", (1 << 31) - 1)]
        {
            assert_eq!(member(value, seconds).unwrap(), Some(Duration::from_secs(number)), "{value}");
        }
        refuses(&["-1", "-0.5", r#""-1""#, r#""planted""#, r#""""#, "true", "[60]", "{}"], seconds);
    }

    #[test]
    fn rfc7519_section_2_a_time_is_a_number_whose_fraction_is_cut_off() {
        let end = time::END / 1000;
        for (value, number) in [("0", 0), ("-7", 0), ("-7.5", 0), ("7.9", 7), ("7e0", 7), ("1e300", end)] {
            let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(number);
            let time = member(value, super::time).unwrap().unwrap();
            assert_eq!(time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(), number, "{value}");
            assert!(time >= expected);
        }
        refuses(&[r#""7""#, r#""planted""#, r#""""#, "true", "[7]", "{}"], super::time);
    }

    #[test]
    fn a_missing_member_is_named() {
        assert_eq!(missing("active").to_string(), "not a valid answer: there is no active");
    }
}
