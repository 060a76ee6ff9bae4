//! The failures since the last successful refresh, for logs and for people.

use std::fmt;
use std::time::SystemTime;

use crate::error::echo::is_plain_code;
use crate::error::{Advice, Error, ErrorKind};
use crate::text::foreign::Foreign;
use crate::text::time::system_time;
use crate::token::reader::Shape;

/// The failed refreshes since the last successful one: when they began, how many there were, and what the
/// last answer was.
///
/// Every holder sees the same value, because it is stored with the tokens. It holds no secret. Log it, and
/// show "we cannot reach Pleo" to your user while it lasts.
///
/// ```
/// use oauth2_proto::{Session, session::TroubleKind};
/// use std::time::SystemTime;
///
/// fn notice(session: &Session) -> &'static str {
///     match session.trouble().map(|trouble| trouble.kind()) {
///         None => "connected",
///         Some(TroubleKind::ClientRejected) => "our configuration is wrong",
///         Some(_) => "connection trouble; we keep trying",
///     }
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Milliseconds of Unix time.
    pub(crate) since: u64,
    pub(crate) failures: u32,
    /// The number of unclear refusals among the failures.
    pub(crate) unclear_refusals: u32,
    pub(crate) kind: TroubleKind,
    pub(crate) status: Option<u16>,
    /// Visible ASCII, at most [`MAX_CODE`] bytes.
    pub(crate) code: Option<Box<str>>,
}

/// The kinds of failed refreshes, told apart by one question: would a new sign-in help?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TroubleKind {
    /// No answer came, or the holder that refreshed died before it saved one. The session tries again.
    NoAnswer,
    /// The server is overloaded, failing, or redirects elsewhere. The session tries again.
    Unavailable,
    /// The server answered with a success that is unreadable. The session tries again.
    Unreadable,
    /// The new access token was unusable: it expired before it arrived, or the API rejected it at once. The
    /// session tries again.
    UnusableToken,
    /// A page answered, or nothing is at this address: a gateway is in trouble, or the token endpoint has
    /// moved. The session tries again.
    NotTheServer,
    /// The server rejected the client (`invalid_client`) or its proof of possession (`invalid_dpop_proof`):
    /// the secret, a key, the clock or the registration is wrong. The session tries again slowly and never
    /// gives up. Only an operator can fix it.
    ClientRejected,
    /// The server refused without naming the cause. The authorization is most likely dead. After a few tries
    /// the session gives up and asks the user to sign in again. With client credentials, every refusal except
    /// those of the client is of this kind, and an operator must fix the registration.
    UnclearRefusal,
    /// The server refused the refresh token for good. The user must sign in again.
    Refused,
}

impl Trouble {
    /// Returns when the first of these failures happened.
    pub fn since(&self) -> SystemTime {
        system_time(self.since)
    }

    /// Returns how many refreshes failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns the kind of the last failure.
    pub fn kind(&self) -> TroubleKind {
        self.kind
    }

    /// Returns the HTTP status of the last answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Returns the error code of the last answer, if it had one; `None` also where it may
    /// repeat a secret in some spelling.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Returns the trouble with one failure more than `before`, at `now`.
    pub(crate) fn after(before: Option<&Self>, failure: &Failure<'_>, now: u64) -> Self {
        let (since, failures, unclear) =
            before.map_or((now, 0, 0), |it| (it.since.min(now), it.failures, it.unclear_refusals));
        let is_unclear = failure.kind == TroubleKind::UnclearRefusal;
        Self {
            since,
            failures: failures.saturating_add(1),
            unclear_refusals: unclear.saturating_add(is_unclear.into()),
            kind: failure.kind,
            status: failure.error.and_then(Error::status),
            code: failure.error.and_then(Error::code).filter(|code| is_plain_code(code)).map(Into::into),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = httpdate::fmt_http_date(self.since());
        let plural = if self.failures == 1 { "" } else { "es" };
        write!(f, "{} failed refresh{plural} since {since}: ", self.failures)?;
        f.write_str(match self.kind {
            TroubleKind::NoAnswer => "no answer came",
            TroubleKind::Unavailable => "the server is overloaded or failing",
            TroubleKind::Unreadable => "the answer was unreadable",
            TroubleKind::UnusableToken => "the new access token was unusable",
            TroubleKind::NotTheServer => {
                "a page or nothing answered; check the gateway and the token endpoint's address"
            }
            TroubleKind::ClientRejected => {
                "the server rejected the client; check the client's secret or key, its clock and its registration"
            }
            TroubleKind::UnclearRefusal => "the server refused without naming the cause",
            TroubleKind::Refused => "the server refused the refresh token",
        })?;
        if let Some(status) = self.status {
            write!(f, " (HTTP status {status})")?;
        }
        match &self.code {
            Some(code) => write!(f, ", error {}", Foreign(code)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trouble")
            .field("since", &self.since)
            .field("failures", &self.failures)
            .field("unclear_refusals", &self.unclear_refusals)
            .field("kind", &self.kind)
            .field("status", &self.status)
            .field("code", &self.code.as_deref().map(Foreign))
            .finish()
    }
}

/// One failed refresh.
pub(crate) struct Failure<'a> {
    pub(crate) kind: TroubleKind,
    pub(crate) error: Option<&'a Error>,
}

impl<'a> Failure<'a> {
    /// Makes a failure that has no answer.
    pub(crate) fn without_answer(kind: TroubleKind) -> Self {
        Self { kind, error: None }
    }

    /// Classifies the error of an answer whose body has this shape.
    pub(crate) fn of(error: &'a Error, shape: Shape) -> Self {
        let kind = match (error.advice(), error.kind(), error.status(), shape) {
            (Advice::RetryLater, ..) | (_, _, Some(300..=399), _) => TroubleKind::Unavailable,
            (Advice::Reauthorize, ..) => TroubleKind::Refused,
            (_, ErrorKind::Refused, ..)
                if matches!(error.code(), Some("invalid_client" | "invalid_dpop_proof")) =>
            {
                TroubleKind::ClientRejected
            }
            // Something between the server and this holder has removed the nonce.
            (_, ErrorKind::Refused, ..) if error.code() == Some("use_dpop_nonce") => TroubleKind::Unavailable,
            // A gateway says so of a missing route, in JSON too.
            (_, _, Some(404 | 405 | 406 | 410 | 415), _) if !error.code().is_some_and(is_oauth_code) => {
                TroubleKind::NotTheServer
            }
            (_, ErrorKind::Refused, ..) | (_, _, _, Shape::JsonError) => TroubleKind::UnclearRefusal,
            (_, _, Some(200..=299), _) => TroubleKind::Unreadable,
            (_, _, Some(400 | 401 | 403), Shape::Empty | Shape::Json) => TroubleKind::UnclearRefusal,
            _ => TroubleKind::NotTheServer,
        };
        Self { kind, error: Some(error) }
    }
}

/// Returns whether a code is written as those of RFC 6749 are, and not as an HTTP reason phrase is.
fn is_oauth_code(code: &str) -> bool {
    let is_usual =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.' | b'-');
    code.bytes().all(is_usual)
}

/// The maximum length of a stored code, in bytes.
pub(crate) const MAX_CODE: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_says_since_when_how_often_and_what() {
        let failure = Failure::without_answer(TroubleKind::NoAnswer);
        let one = Trouble::after(None, &failure, 1_700_000_000_000);
        assert_eq!(one.to_string(), "1 failed refresh since Tue, 14 Nov 2023 22:13:20 GMT: no answer came");
        let two = Trouble::after(Some(&one), &failure, 1_700_000_001_000);
        assert!(
            two.to_string().starts_with("2 failed refreshes since Tue, 14 Nov 2023 22:13:20 GMT"),
            "{two}"
        );
    }
}
