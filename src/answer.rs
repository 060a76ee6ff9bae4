//! The answers of all endpoints but the token endpoint: an OAuth error, or one JSON object after a success.
//!
//! Each endpoint's reader names its members, and reads each by a function of this file.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::call::Response;
use crate::error::Error;
use crate::server::Leniencies;
use crate::text::json::{self, Extras, Member};
use crate::text::salvage;
use crate::text::secret::{Secret, is_printable};
use crate::text::time::{self, digits};
use crate::token::reader;

/// Reads the object of a success: the values of these `names`, in the same order, and all other members.
///
/// # Errors
///
/// - Refused: the answer holds an `error`.
/// - Invalid: it is no success, no sound object, or repeats one of the `names`.
pub(crate) fn read<'a, const N: usize>(
    response: &'a Response<'_>,
    names: &'static [&'static str; N],
) -> Result<([Member<'a>; N], Extras), Error> {
    if let Some(failure) = reader::read_failure(response) {
        return Err(failure);
    }
    let mut members = [const { Member::Absent }; N];
    let extras = match json::read(response.body(), names, &mut members) {
        Some(extras) => extras,
        None => match salvage::read(response.body(), names, &mut members) {
            (extras, None) => extras,
            (_, Some(damage)) => return Err(Error::invalid(damage)),
        },
    };
    match names.iter().zip(&members).find(|(_, member)| matches!(member, Member::Repeated)) {
        Some((name, _)) => Err(Error::invalid(format!("the member {name} is there twice"))),
        None => Ok((members, extras)),
    }
}

/// Reads a text; an empty one counts as wrong.
pub(crate) fn text(name: &str, member: Member<'_>) -> Result<Option<String>, Error> {
    match member {
        Member::Absent => Ok(None),
        Member::Text(text) if !text.is_empty() => Ok(Some(text.to_owned())),
        _ => Err(Error::invalid(format!("{name} is no text, or an empty one"))),
    }
}

/// Reads a secret text; an empty one, or one with control characters, counts as wrong.
pub(crate) fn secret(name: &str, member: Member<'_>) -> Result<Option<Secret>, Error> {
    match member {
        Member::Absent => Ok(None),
        Member::Text(text) if !text.is_empty() && is_printable(&text) => Ok(Some(text.into_secret())),
        _ => Err(Error::invalid(format!("{name} is no text, is empty, or holds control characters"))),
    }
}

/// Reads a list of texts.
pub(crate) fn texts(name: &str, member: Member<'_>) -> Result<Option<Vec<String>>, Error> {
    let wrong = || Error::invalid(format!("{name} is no list of texts"));
    match member {
        Member::Absent => Ok(None),
        Member::Array(values) => {
            let texts = values.into_iter().map(|value| match value {
                Value::String(text) => Ok(text),
                _ => Err(wrong()),
            });
            texts.collect::<Result<_, _>>().map(Some)
        }
        _ => Err(wrong()),
    }
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

/// Reads a point in time: a JSON number of seconds since 1970, whose fraction is cut off (`NumericDate`, RFC 7519
/// §2). A time before 1970 counts as 1970, and one after the year 9999 as the end of that year.
pub(crate) fn time(name: &str, member: Member<'_>) -> Result<Option<SystemTime>, Error> {
    let seconds = match member {
        Member::Absent => return Ok(None),
        Member::Unsigned(seconds) => seconds,
        Member::Negative(_) => 0,
        // `as` cuts the fraction and saturates.
        Member::Float(seconds) => seconds as u64,
        _ => return Err(Error::invalid(format!("{name} is no number of seconds since 1970"))),
    };
    Ok(Some(time::system_time(seconds.saturating_mul(1000))))
}

/// Reads a point in time, in seconds since 1970: in the forms that servers write `expires_in` in, but as large as
/// 64 bits can be.
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

/// Makes the error of a member that the specification requires.
pub(crate) fn missing(name: &str) -> Error {
    Error::invalid(format!("there is no {name}"))
}
