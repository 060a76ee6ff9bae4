//! The [`Error`]: what went wrong, whose fault it is, and what to do.

mod display;
pub(crate) mod echo;
mod refusal;
pub(crate) mod retry_after;

pub(crate) use self::refusal::Refusal;

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::error::echo::WITHHELD;
use crate::error::retry_after::RetryAfter;
use crate::text::json::Extras;
use crate::text::secret::Secret;

/// Any failure of this crate.
///
/// [`kind`](Error::kind) says whose fault it is, [`advice`](Error::advice) tells a program what to do, and
/// `Display` tells both to a person, in one line. No error shows a token, code, secret or response body. Of
/// text that came from a server, `Display` and `Debug` show plain words only: `…` replaces a word with
/// digits, signs, mixed case or letters beyond ASCII, because it may be a secret in another spelling.
///
/// ```
/// use oauth2_proto::{Advice, Client, ClientAuth, Response, Secret, pleo};
/// use oauth2_proto::error::ErrorKind;
/// use std::time::SystemTime;
///
/// let auth = ClientAuth::basic("fake-secret");
/// let client = Client::new(pleo::staging(), "client-id", auth)?;
/// let call = client.refresh(&Secret::new("fake-refresh")).start(SystemTime::now())?;
/// let body = br#"{"error":"invalid_grant","error_description":"token is gone"}"#;
/// let json = [("content-type", "application/json")];
/// let error = call.read(Response::new(400, json, body)).unwrap_err();
///
/// match error.advice() {
///     Advice::RetryLater => println!("send the same call again"),
///     Advice::Reauthorize => println!("send the user to the authorization server"),
///     Advice::Declined => println!("tell the user that nothing was connected"),
///     Advice::FixConfiguration | Advice::Stop => println!("log it, and tell an operator"),
///     Advice::KeepWaiting => println!("only callbacks say this"),
/// }
/// assert_eq!((error.kind(), error.advice()), (ErrorKind::Refused, Advice::Reauthorize));
/// assert_eq!((error.code(), error.status()), (Some("invalid_grant"), Some(400)));
/// assert_eq!(
///     error.to_string(),
///     "refused by the server (HTTP status 400): \"invalid_grant\", \"token is gone\"; \
///      the user must sign in again"
/// );
/// # Ok::<(), oauth2_proto::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

/// The party at fault for an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Your program asked for something impossible. No request was made; change the call.
    Misuse,
    /// The server lacks something necessary, such as `S256`. No request was made.
    Unsupported,
    /// The server said no, with an OAuth error code (RFC 6749 §4.1.2.1 and §5.2).
    Refused,
    /// The answer is malformed, so it says neither yes nor no.
    Invalid,
    /// The answer is well-formed and must not be trusted: it looks like an attack.
    Suspect,
}

/// The reaction to an [`Error`]; a program can obey it without inspecting anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Advice {
    /// Keep the pending authorization: this callback is not its answer, and the real one may still come.
    ///
    /// A loop takes the next callback, until
    /// [`PendingAuthorization::expires_at`](crate::PendingAuthorization::expires_at). It then lets the user
    /// start again, and logs the last message, which tells a wrong configuration from an attack.
    KeepWaiting,
    /// Send the same request again; a client with keys calls [`Call::renew`](crate::Call::renew) before.
    ///
    /// A loop waits for [`Error::retry_after`], or longer each time, and gives up after a number of tries or
    /// a time of its choice. After a callback there is no request to send again: it drops the pending
    /// authorization and starts another one after that pause.
    RetryLater,
    /// Send the user to the authorization server again: the grant is gone, and a new sign-in brings another.
    ///
    /// A loop drops the tokens or the pending authorization and starts another one, in which the server may
    /// ask the user (without `prompt=none`). After a request with an assertion or a subject token, it obtains
    /// a new one of those.
    Reauthorize,
    /// Tell the user that nothing was granted: they or their server said no.
    ///
    /// A loop drops the pending authorization and ends. Only the user starts again, if they want to: a
    /// program that sent them back by itself would ask until they say yes.
    Declined,
    /// Change the client's code, configuration or registration.
    ///
    /// A loop ends and reports the message to an operator; neither time nor the user changes the answer.
    FixConfiguration,
    /// Give up: the same request fails again, and the answer does not say what would help.
    ///
    /// A loop ends and reports the message. The user may start again by hand.
    Stop,
}

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    advice: Advice,
    status: Option<u16>,
    retry_after: Option<RetryAfter>,
    refusal: Refusal,
    /// The part of the client's configuration that may explain the error.
    hint: Option<Cow<'static, str>>,
    /// The part of a signed token that is wrong.
    reason: Option<&'static str>,
}

impl Error {
    /// Returns the party at fault.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the advice for a program; each [`Advice`] says how a loop obeys it.
    ///
    /// The code decides (RFC 6749 §4.1.2.1 and §5.2), unless the status says that the request may succeed at
    /// another time: 408, 421, 425, 429 and 5xx, except 501 and 505.
    pub fn advice(&self) -> Advice {
        self.0.advice
    }

    /// Returns how long the server asked to wait from `now` on (RFC 9110 §10.2.3), at most 2³¹ − 1 seconds,
    /// about 68 years. It returns a time only where [`advice`](Error::advice) is [`Advice::RetryLater`].
    pub fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        self.0.retry_after.map(|after| after.from(now))
    }

    /// Returns the HTTP status of the response, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Returns the server's error code, such as `invalid_grant` (RFC 6749 §5.2).
    ///
    /// This text and the two below are exactly as the server sent them. If one repeats a secret of the
    /// request, or a part of one, a fixed note stands in its place.
    pub fn code(&self) -> Option<&str> {
        self.0.refusal.code.as_deref()
    }

    /// Returns the server's `error_description`; escape it before you show it.
    pub fn description(&self) -> Option<&str> {
        self.0.refusal.description.as_deref()
    }

    /// Returns the server's `error_uri`, which may be any text.
    pub fn uri(&self) -> Option<&str> {
        self.0.refusal.uri.as_deref()
    }

    /// Returns the nonce that the server wants in the next DPoP proof (RFC 9449 §8).
    pub fn dpop_nonce(&self) -> Option<&str> {
        self.0.refusal.dpop_nonce.as_deref()
    }

    /// Returns the polling interval that the server asked for, in whole seconds, at most 2³¹ − 1. Some
    /// servers send it with `slow_down` (RFC 8628 §3.5 does not define it there).
    pub fn interval(&self) -> Option<Duration> {
        self.0.refusal.interval
    }

    /// Returns which part of a signed token is wrong: the name of a claim or a header, such as `exp` or
    /// `alg`; `signature`; `format` for a text that is no signed token; or the parameter that should hold the
    /// token.
    ///
    /// [`kind`](Self::kind) says how it is wrong: [`Invalid`](ErrorKind::Invalid) means that it is missing or
    /// malformed, and [`Suspect`](ErrorKind::Suspect) that it has another value than it must have.
    pub fn reason(&self) -> Option<&'static str> {
        self.0.reason
    }

    /// Returns a member of the response that this crate does not read, such as `claims` of Entra.
    ///
    /// A refusal has such members, and so has any other JSON object that came without success. An `error`
    /// that is no text, such as `{"error":{"message":"…"}}`, is one of these members. A value may be as
    /// confidential as a token; if it repeats a secret of the request, the note of [`code`](Error::code)
    /// stands in its place.
    ///
    /// ```
    /// use oauth2_proto::{Client, ClientAuth, Response, Secret, pleo};
    /// use std::time::SystemTime;
    ///
    /// let auth = ClientAuth::basic("fake-secret");
    /// let client = Client::new(pleo::staging(), "client-id", auth)?;
    /// let call = client.refresh(&Secret::new("fake-refresh")).start(SystemTime::now())?;
    /// let body = br#"{"error":"invalid_grant","suberror":"basic_action"}"#;
    /// let json = [("content-type", "application/json")];
    /// let error = call.read(Response::new(400, json, body)).unwrap_err();
    /// assert_eq!(error.extra("suberror").unwrap(), "basic_action");
    /// # Ok::<(), oauth2_proto::Error>(())
    /// ```
    pub fn extra(&self, name: &str) -> Option<&Value> {
        self.0.refusal.extras.get(name)
    }

    /// Returns all members of the response that this crate does not read.
    pub fn extras(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.refusal.extras.iter()
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

    /// Makes the error of an answer that must not be trusted, where the same request would bring the same.
    pub(crate) fn untrusted(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Suspect, message, Advice::Stop)
    }

    /// Makes the error of a callback that says nothing; the real one may still come.
    pub(crate) fn no_callback(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Invalid, message, Advice::KeepWaiting)
    }

    /// Makes the error of a sign-in that took too long.
    pub(crate) fn expired(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Suspect, message, Advice::Reauthorize)
    }

    /// Makes the error of a token that a callback brought: anybody can send one, so the real one may still
    /// come.
    pub(crate) fn of_callback(mut self) -> Self {
        if self.0.kind != ErrorKind::Misuse {
            self.0.advice = Advice::KeepWaiting;
        }
        self
    }

    /// Turns the misuse of an address into the error of the answer that names it.
    pub(crate) fn of_answer(mut self) -> Self {
        self.0.kind = ErrorKind::Invalid;
        self.0.advice = Advice::Stop;
        self
    }

    /// Returns the message without the kind, the status and the advice around it.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Invalid, message, Advice::Stop)
    }

    pub(crate) fn refused(refusal: Refusal) -> Self {
        let advice = refusal.advice();
        Self::refused_as(refusal, advice)
    }

    /// Makes the error of a refusal that came by a callback.
    pub(crate) fn refused_by_callback(refusal: Refusal) -> Self {
        let advice = refusal.advice_of_callback();
        Self::refused_as(refusal, advice)
    }

    /// Reads the refusal of a code exchange, where some codes say that the authorization code is spent or
    /// unknown.
    pub(crate) fn of_code_exchange(mut self) -> Self {
        if self.0.advice == Advice::Stop && self.0.refusal.is_of_spent_code() {
            self.0.advice = Advice::Reauthorize;
        }
        self
    }

    /// Reads the refusal of a poll for the tokens of a device, where only two codes mean that the user has
    /// not decided yet (RFC 8628 §3.5).
    pub(crate) fn of_device_poll(mut self) -> Self {
        self.0.advice = self.0.refusal.advice_of_device_poll(self.0.advice);
        self
    }

    /// Returns whether the server refused the proof of possession because it lacks the nonce that came with
    /// the refusal (RFC 9449 §8).
    pub(crate) fn asks_for_nonce(&self) -> bool {
        self.0.refusal.asks_for_nonce()
    }

    /// Makes the error of a server that wants this nonce in the proof of possession (RFC 9449 §8 and §9).
    pub(crate) fn nonce_wanted(dpop_nonce: Option<String>) -> Self {
        let code = Some("use_dpop_nonce".to_owned());
        Self::refused(Refusal { code, dpop_nonce, ..Refusal::default() })
    }

    /// Reads an error that came before, and that the change which it asked for has not ended.
    pub(crate) fn in_vain(mut self) -> Self {
        if !self.0.status.is_some_and(is_passing) {
            self.0.advice = Advice::Stop;
        }
        self
    }

    /// Reads an error of a request without a user, who could neither sign in again nor say no: only the
    /// registration explains it.
    pub(crate) fn without_user(mut self) -> Self {
        if matches!(self.0.advice, Advice::Reauthorize | Advice::Declined) {
            self.0.advice = Advice::FixConfiguration;
        }
        self
    }

    /// Reads an error of a request that uses up no grant, such as a revocation: another sign-in would not
    /// change the answer, and a program that sent the user back would do so without end.
    pub(crate) fn without_grant(mut self) -> Self {
        if self.0.advice == Advice::Reauthorize {
            self.0.advice = Advice::Stop;
        }
        self
    }

    /// Makes the error of a refusal whose code means more than the specifications say.
    pub(crate) fn refused_as(refusal: Refusal, advice: Advice) -> Self {
        let mut error = Self::new(ErrorKind::Refused, "", advice);
        error.0.refusal = refusal;
        error.0.refusal.extras.remove("id_token");
        error
    }

    /// Adds the status and the `Retry-After`. A status that says that the request may succeed at another time
    /// decides the advice, because the body may come from a gateway in front of the server.
    pub(crate) fn with_response(mut self, status: u16, retry_after: Option<RetryAfter>) -> Self {
        self.0.status = Some(status);
        if is_passing(status) {
            self.0.advice = Advice::RetryLater;
        }
        if self.0.advice == Advice::RetryLater {
            self.0.retry_after = retry_after;
        }
        self
    }

    /// Adds the members of a response that has no error code.
    pub(crate) fn with_extras(mut self, mut extras: Extras) -> Self {
        // Nobody checks one in a failure.
        extras.remove("id_token");
        self.0.refusal.extras = extras;
        self
    }

    /// Adds the part of the client's configuration that may explain the error.
    pub(crate) fn with_hint(mut self, hint: Option<Cow<'static, str>>) -> Self {
        self.0.hint = hint;
        self
    }

    /// Names the part of a signed token that is wrong.
    pub(crate) fn about(mut self, reason: &'static str) -> Self {
        self.0.reason = Some(reason);
        self
    }

    /// Withholds the texts of the server that repeat one of these secrets. A code from the specifications
    /// stays, even if it happens to be a secret.
    pub(crate) fn redact(mut self, secrets: Vec<Secret>) -> Self {
        let is_known = self.0.advice != Advice::Stop;
        let Refusal { code, description, uri, .. } = &mut self.0.refusal;
        let texts = [code.as_mut().filter(|_| !is_known), description.as_mut(), uri.as_mut()];
        if texts.iter().flatten().next().is_some() {
            let found =
                echo::find(&secrets, texts.each_ref().map(|text| text.as_ref().map_or("", |text| text)));
            let found = texts.into_iter().zip(found).filter(|(_, is_found)| *is_found);
            found.filter_map(|(text, _)| text).for_each(|text| *text = WITHHELD.to_owned());
        }
        self.0.refusal.extras.redact(|text| echo::find(&secrets, [text]) == [true], WITHHELD);
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
            hint: None,
            reason: None,
        }))
    }
}

/// Returns whether the same request may succeed later: it timed out (408), reached the wrong server (421),
/// came too early (425) or too often (429), or the server fails (RFC 9110 §15, RFC 8470 §5.2, RFC 6585 §4).
fn is_passing(status: u16) -> bool {
    match status {
        408 | 421 | 425 | 429 => true,
        501 | 505 => false,
        _ => matches!(status, 500..=599),
    }
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
            (
                Error::refused(Refusal {
                    code: Some("use_dpop_nonce".into()),
                    dpop_nonce: Some("fake".into()),
                    ..Refusal::default()
                }),
                "refused by the server: \"use_dpop_nonce\"; \
                 renew the request with the nonce of this answer, and send it at once",
            ),
        ] {
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn server_text_is_reduced_to_plain_words_and_cut() {
        let error = refused("a\r\nb", &"\u{202e}é word ".repeat(1000));
        let shown = error.to_string();
        assert!(!shown.contains(['\r', '\n', '\u{202e}', 'é']), "{shown}");
        assert!(shown.contains("word") && shown.len() < 4000, "{shown}");
        assert!(error.description().unwrap().contains('é'), "the program has all of it");
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
