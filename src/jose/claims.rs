//! The claims that signed tokens of all kinds have (RFC 7519 §4.1). Each error is named after its claim.

use std::time::SystemTime;

use crate::client::Client;
use crate::error::Error;
use crate::jose::verification::Clock;
use crate::text::foreign::ForeignAddress;
use crate::text::json::Member;
use crate::text::time::{END, system_time};
use crate::text::uri::Issuer;

/// Reads a text.
pub(crate) fn text(name: &'static str, member: Member<'_>) -> Result<Option<String>, Error> {
    match member {
        Member::Absent => Ok(None),
        Member::Text(text) => Ok(Some(text.to_owned())),
        _ => Err(malformed(name, "is no text")),
    }
}

/// Reads a list of texts.
pub(crate) fn texts(name: &'static str, member: Member<'_>) -> Result<Option<Vec<String>>, Error> {
    member.into_texts().map_err(|_| malformed(name, "is no list of texts"))
}

/// Reads a date (RFC 7519 §2). One after the year 9999 counts as its end.
pub(crate) fn date(name: &'static str, member: Member<'_>) -> Result<Option<Date>, Error> {
    let seconds = member.into_date().map_err(|_| malformed(name, "is no number"))?;
    Ok(seconds.map(|seconds| Date(seconds.min(END / 1000))))
}

/// Requires a claim.
pub(crate) fn required<T>(name: &'static str, claim: Option<T>) -> Result<T, Error> {
    claim.ok_or_else(|| malformed(name, "is missing"))
}

/// Reads `iss`, which must be the server's issuer byte for byte.
pub(crate) fn issuer(member: Member<'_>, client: &Client) -> Result<String, Error> {
    let expected = expected_issuer(client)?;
    let issuer = required("iss", text("iss", member)?)?;
    match issuer == expected {
        true => Ok(issuer),
        false => Err(wrong(
            "iss",
            format!("is {}, and the server's is {}", ForeignAddress(&issuer), ForeignAddress(expected)),
        )),
    }
}

/// Returns the issuer that the server's tokens must name.
pub(crate) fn expected_issuer(client: &Client) -> Result<&str, Error> {
    client.server.issuer.as_ref().map(Issuer::as_str).ok_or_else(|| {
        Error::misuse(
            "the server has no issuer to compare the token's iss with; set AuthorizationServer::issuer",
        )
    })
}

/// Reads `aud`, a text or a list of them, which must name the client.
pub(crate) fn audience(member: Member<'_>, client: &Client) -> Result<Vec<String>, Error> {
    let audience = match member {
        Member::Text(_) => text("aud", member)?.into_iter().collect(),
        member => required("aud", texts("aud", member)?)?,
    };
    match audience.iter().any(|name| name == client.client_id()) {
        true => Ok(audience),
        false => Err(wrong("aud", "does not name this client")),
    }
}

/// A date in a token, in seconds of Unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date(pub(crate) u64);

impl Date {
    pub(crate) fn time(self) -> SystemTime {
        system_time(self.0.saturating_mul(1000))
    }
}

impl Clock {
    /// Reads `exp`, which must not be over.
    pub(crate) fn expiry(self, member: Member<'_>) -> Result<Date, Error> {
        let expiry = required("exp", date("exp", member)?)?;
        match self.now < expiry.0.saturating_add(self.skew) {
            true => Ok(expiry),
            false => Err(wrong("exp", "is over; if the token is new, one of the clocks is wrong")),
        }
    }

    /// Reads a date that must not be in the future: `iat` or `nbf`.
    pub(crate) fn past(self, name: &'static str, member: Member<'_>) -> Result<Option<Date>, Error> {
        match date(name, member)? {
            Some(date) if date.0 > self.now.saturating_add(self.skew) => {
                Err(wrong(name, "is in the future; one of the clocks may be wrong"))
            }
            date => Ok(date),
        }
    }
}

/// Makes the error of a claim that is missing or malformed.
pub(crate) fn malformed(name: &'static str, why: &str) -> Error {
    Error::invalid(format!("{name} in the token {why}")).about(name)
}

/// Makes the error of a claim that has a wrong value.
pub(crate) fn wrong(name: &'static str, why: impl std::fmt::Display) -> Error {
    Error::untrusted(format!("{name} in the token {why}")).about(name)
}
