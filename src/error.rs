//! What went wrong, whose fault it is, and what to do about it.

mod echo;
pub(crate) mod retry_after;

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use crate::error::echo::{Echoes, WITHHELD};
use crate::error::retry_after::RetryAfter;
use crate::text::foreign::Foreign;
use crate::text::secret::Secret;

/// Any failure of this crate.
///
/// [`kind`](Error::kind) says whose fault it is, [`advice`](Error::advice) says what to do, and `Display`
/// says both to a person, in one line. No error holds a token, code, secret or response body, and text
/// that came from a server is escaped when it is shown.
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

/// Whose fault an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller asked for something that is wrong in itself; no request was made. Change the call.
    Misuse,
    /// The server lacks something that is needed, such as `S256`; no request was made.
    Unsupported,
    /// The server said no, with an OAuth error code (RFC 6749 §4.1.2.1 and §5.2).
    Refused,
    /// The answer is not well-formed, so it says neither yes nor no.
    Invalid,
    /// The answer is well-formed but must not be trusted: it looks like an attack.
    Suspect,
}

/// What to do after an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Advice {
    /// This was not the callback that is waited for: keep the pending authorization and wait on.
    KeepWaiting,
    /// Send the same request again after [`Error::retry_after`], or after a pause of your choice. If it was a
    /// callback that said so, let the user start again then.
    RetryLater,
    /// Send the user to the authorization server again: the grant is gone.
    Reauthorize,
    /// Change the client's code, its configuration or its registration.
    FixConfiguration,
    /// The same request will fail again, and nothing here says why.
    Stop,
}

impl Error {
    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What to do now.
    pub fn advice(&self) -> Advice {
        self.0.advice
    }

    /// How long the server asked to wait, from `now` on; only where [`advice`](Error::advice) says
    /// [`Advice::RetryLater`] (RFC 9110 §10.2.3). At most 2³¹ − 1 seconds, about 68 years.
    pub fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        self.0.retry_after.map(|after| after.from(now))
    }

    /// The HTTP status of the response, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The server's error code, such as `invalid_grant` (RFC 6749 §5.2).
    ///
    /// This text and the two below are exactly as they came, unless one repeats a secret of the request, or a
    /// part of one: then a fixed note stands in its place.
    pub fn code(&self) -> Option<&str> {
        self.0.refusal.code.as_deref()
    }

    /// The server's `error_description`, exactly as it came; escape it before you show it.
    pub fn description(&self) -> Option<&str> {
        self.0.refusal.description.as_deref()
    }

    /// The server's `error_uri`, exactly as it came; it may be any text.
    pub fn uri(&self) -> Option<&str> {
        self.0.refusal.uri.as_deref()
    }

    /// The nonce that the server wants in the next DPoP proof (RFC 9449 §8).
    pub fn dpop_nonce(&self) -> Option<&str> {
        self.0.refusal.dpop_nonce.as_deref()
    }

    /// The polling interval that the server asked for, in whole seconds, at most 2³¹ − 1: some send it with
    /// `slow_down` (RFC 8628 §3.5, where it is not among the members).
    pub fn interval(&self) -> Option<Duration> {
        self.0.refusal.interval
    }

    pub(crate) fn misuse(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Misuse, message, Advice::FixConfiguration)
    }

    pub(crate) fn unsupported(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unsupported, message, Advice::FixConfiguration)
    }

    pub(crate) fn suspect(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Suspect, message, Advice::KeepWaiting)
    }

    /// A callback that says nothing; whoever sent it, the real one may still come.
    pub(crate) fn no_callback(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Invalid, message, Advice::KeepWaiting)
    }

    /// A sign-in that took too long: nothing can be done with it, whoever sent the callback.
    pub(crate) fn expired(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Suspect, message, Advice::Reauthorize)
    }

    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Invalid, message, Advice::Stop)
    }

    pub(crate) fn refused(refusal: Refusal) -> Self {
        let advice = refusal.advice();
        let mut error = Self::new(ErrorKind::Refused, "", advice);
        error.0.refusal = refusal;
        error
    }

    /// Adds what the HTTP response says beside its body. A server that is failing or overloaded is to
    /// be asked again whatever its body says, for the body may come from something in front of it.
    pub(crate) fn with_response(mut self, status: u16, retry_after: Option<RetryAfter>) -> Self {
        self.0.status = Some(status);
        if status == 429 || (matches!(status, 500..=599) && !matches!(status, 501 | 505)) {
            self.0.advice = Advice::RetryLater;
        }
        if self.0.advice == Advice::RetryLater {
            self.0.retry_after = retry_after;
        }
        self
    }

    /// Withholds the texts of the server that repeat a secret of the request.
    ///
    /// A code that says what to do is a word of the specifications and not the server's own.
    pub(crate) fn redact(mut self, secrets: Vec<Secret>) -> Self {
        let is_known = self.0.refusal.advice() != Advice::Stop;
        let Refusal { code, description, uri, .. } = &mut self.0.refusal;
        let texts = [code.as_mut().filter(|_| !is_known), description.as_mut(), uri.as_mut()];
        let echoes = Echoes::of(secrets);
        for text in texts.into_iter().flatten().filter(|text| echoes.occur_in(text)) {
            *text = WITHHELD.to_owned();
        }
        self
    }

    fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>, advice: Advice) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            advice,
            status: None,
            retry_after: None,
            refusal: Refusal::default(),
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.write_str(match inner.kind {
            ErrorKind::Misuse => "misuse",
            ErrorKind::Unsupported => "unsupported by the server",
            ErrorKind::Refused => "refused by the server",
            ErrorKind::Invalid => "not a valid answer",
            ErrorKind::Suspect => "suspicious answer",
        })?;
        if let Some(status) = inner.status {
            write!(f, " (HTTP status {status})")?;
        }
        write!(f, ": {}", inner.message)?;
        if let Some(code) = &inner.refusal.code {
            write!(f, "{}", Foreign(code))?;
        }
        if let Some(description) = &inner.refusal.description {
            write!(f, ", {}", Foreign(description))?;
        }
        f.write_str(match (inner.advice, inner.kind) {
            (_, ErrorKind::Misuse | ErrorKind::Unsupported) | (Advice::Stop, _) => "",
            (Advice::KeepWaiting, _) => "; keep waiting for the real callback",
            (Advice::RetryLater, _) => "; try again later",
            (Advice::Reauthorize, _) => "; the user must sign in again",
            (Advice::FixConfiguration, _) => "; check the client's configuration and registration",
        })
    }
}

impl std::error::Error for Error {}

/// The members of an error response (RFC 6749 §5.2), the nonce of RFC 9449 §8, and an `interval` as some servers send.
#[derive(Clone, Default)]
pub(crate) struct Refusal {
    pub(crate) code: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) uri: Option<String>,
    pub(crate) dpop_nonce: Option<String>,
    pub(crate) interval: Option<Duration>,
}

impl Refusal {
    fn advice(&self) -> Advice {
        match self.code.as_deref().unwrap_or_default() {
            "invalid_grant"
            | "expired_token"
            | "interaction_required"
            | "login_required"
            | "account_selection_required"
            | "consent_required" => Advice::Reauthorize,
            "invalid_request"
            | "invalid_client"
            | "unauthorized_client"
            | "unsupported_grant_type"
            | "invalid_scope"
            | "invalid_target"
            | "invalid_dpop_proof"
            | "unsupported_token_type" => Advice::FixConfiguration,
            "server_error" | "temporarily_unavailable" | "authorization_pending" | "slow_down" => {
                Advice::RetryLater
            }
            "use_dpop_nonce" if self.dpop_nonce.is_some() => Advice::RetryLater,
            _ => Advice::Stop,
        }
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("code", &self.code.as_deref().map(Foreign))
            .field("description", &self.description.as_deref().map(Foreign))
            .field("uri", &self.uri.as_deref().map(Foreign))
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    advice: Advice,
    status: Option<u16>,
    retry_after: Option<RetryAfter>,
    refusal: Refusal,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str, description: &str) -> Error {
        Error::refused(Refusal {
            code: Some(code.into()),
            description: Some(description.into()),
            ..Refusal::default()
        })
    }

    #[test]
    fn a_message_says_what_happened_and_what_to_do() {
        for (error, message) in [
            (Error::misuse("no scope is empty"), "misuse: no scope is empty"),
            (
                refused("invalid_grant", "token is gone").with_response(400, None),
                "refused by the server (HTTP status 400): \"invalid_grant\", \"token is gone\"; \
                 the user must sign in again",
            ),
            (
                Error::invalid("the body is empty").with_response(502, None),
                "not a valid answer (HTTP status 502): the body is empty; try again later",
            ),
        ] {
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn server_text_is_escaped_and_cut() {
        let error = refused("a\r\nb", &"\u{202e}é".repeat(1000));
        let shown = error.to_string();
        assert!(!shown.contains(['\r', '\n', '\u{202e}']), "{shown}");
        assert!(shown.contains('é') && shown.len() < 4000, "{shown}");
    }

    #[test]
    fn a_delay_is_reported_only_where_waiting_helps() {
        let delay = Some(RetryAfter::Delay(Duration::from_secs(9)));
        let now = SystemTime::UNIX_EPOCH;
        let error = refused("invalid_grant", "").with_response(400, delay);
        assert_eq!((error.advice(), error.retry_after(now)), (Advice::Reauthorize, None));
        let error = refused("invalid_grant", "").with_response(503, delay);
        assert_eq!(
            (error.advice(), error.retry_after(now)),
            (Advice::RetryLater, Some(Duration::from_secs(9)))
        );
    }
}
