//! The token response (RFC 6749 §5.1) and the error response (§5.2).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::call::{Call, Context, RESPONSE_LIMIT, Response};
use crate::error::{Error, LONGEST, Refusal, digits};
use crate::form;
use crate::json::{self, Extras, Member};
use crate::scope::Scope;
use crate::secret::Secret;
use crate::server::{Leniencies, Leniency};

impl Call<TokenResponse> {
    /// Reads the response: the tokens, or why there are none (RFC 6749 §5).
    ///
    /// # Errors
    ///
    /// - Refused: the server answered with an OAuth error, whatever the HTTP status.
    /// - Invalid: the response is no token response and no OAuth error; a page of a proxy, for example.
    ///
    /// In both cases [`Error::retry`] says whether to send the call again.
    pub fn finish(&self, response: Response<'_>) -> Result<TokenResponse, Error> {
        let Response { status, retry_after, .. } = response;
        read(response, &self.context)
            .map_err(|error| error.without(self.request().secrets()).with_response(status, retry_after))
    }
}

/// What the token endpoint granted.
///
/// `Debug` shows the type, lifetime and scopes, and the names of other members, but no value of theirs.
#[derive(Clone)]
pub struct TokenResponse {
    access_token: Secret,
    token_type: TokenType,
    expires_in: Option<Duration>,
    refresh_token: Option<Secret>,
    refresh_token_is_new: bool,
    scope: Option<Scope>,
    requested_scope: Option<Scope>,
    extras: Extras,
    /// By whom the tokens were got.
    pub(crate) refresher: [u8; 16],
}

/// How an access token is to be used (RFC 6749 §7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenType {
    /// As a bearer token, `Authorization: Bearer …` (RFC 6750 §2.1).
    Bearer,
    /// With a proof of possession (RFC 9449 §7.1).
    DPoP,
    /// As the server's own documentation says; only with [`Leniency::AnyTokenType`].
    Other(String),
}

impl TokenResponse {
    /// The access token; it is opaque (RFC 9068 §6) and goes into a header, never into a URL.
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// How the access token is to be used.
    pub fn token_type(&self) -> &TokenType {
        &self.token_type
    }

    /// The access token's lifetime from now on, in whole seconds; `None` where the server does not say.
    ///
    /// It is at most 2³¹ − 1 seconds, about 68 years, so that a time that it is added to does not overflow.
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    /// The refresh token to keep: the one in this response or, where a refresh brought none, the one that
    /// was just used, which then stays in force (RFC 6749 §6).
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// Whether this response brought the refresh token, so that every earlier one must be forgotten.
    pub fn refresh_token_is_new(&self) -> bool {
        self.refresh_token_is_new
    }

    /// The scopes that were granted: those in the response or, where it names none, those requested
    /// (RFC 6749 §5.1).
    ///
    /// After a refresh that asked for no scopes and an answer that names none there are none here: the scopes
    /// stay as they were (RFC 6749 §6). They are the server's words; escape them before you show them.
    pub fn granted_scopes(&self) -> impl Iterator<Item = &str> {
        self.granted().into_iter().flat_map(Scope::tokens)
    }

    /// The scopes that were requested and not granted; none where nothing was requested.
    pub fn missing_scopes(&self) -> impl Iterator<Item = &str> {
        let requested = self.requested_scope.as_ref().zip(self.granted());
        requested.into_iter().flat_map(|(requested, granted)| requested.beyond(granted))
    }

    /// The scopes that were granted and not requested; none where nothing was requested.
    pub fn extra_scopes(&self) -> impl Iterator<Item = &str> {
        let requested = self.requested_scope.as_ref().zip(self.granted());
        requested.into_iter().flat_map(|(requested, granted)| granted.beyond(requested))
    }

    /// The `scope` member as such: `None` where the response has none, which means as requested.
    pub fn scope(&self) -> Option<impl Iterator<Item = &str>> {
        self.scope.as_ref().map(Scope::tokens)
    }

    /// A member that this crate does not know, such as `id_token`.
    pub fn extra(&self, name: &str) -> Option<&Value> {
        self.extras.0.get(name)
    }

    /// All members that this crate does not know.
    pub fn extras(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.extras.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(crate) fn granted(&self) -> Option<&Scope> {
        self.scope.as_ref().or(self.requested_scope.as_ref())
    }
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse")
            .field("access_token", &self.access_token)
            .field("token_type", &self.token_type)
            .field("expires_in", &self.expires_in)
            .field("refresh_token", &self.refresh_token)
            .field("scope", &self.scope)
            .field("extras", &self.extras)
            .finish_non_exhaustive()
    }
}

impl TokenType {
    /// The name that the specifications or the server give it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Bearer => "Bearer",
            Self::DPoP => "DPoP",
            Self::Other(name) => name,
        }
    }

    pub(crate) fn from_name(name: String) -> Self {
        match name.as_str() {
            "Bearer" => Self::Bearer,
            "DPoP" => Self::DPoP,
            _ => Self::Other(name),
        }
    }
}

impl fmt::Display for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer | Self::DPoP => f.write_str(self.name()),
            Self::Other(name) => write!(f, "{}", crate::error::Foreign(name)),
        }
    }
}

const MEMBERS: &[&str; 8] = &[
    "access_token",
    "token_type",
    "expires_in",
    "refresh_token",
    "scope",
    "error",
    "error_description",
    "error_uri",
];

/// Reads a response of the token endpoint.
fn read(response: Response<'_>, context: &Context) -> Result<TokenResponse, Error> {
    if response.body.len() > RESPONSE_LIMIT {
        return Err(Error::invalid("the body is longer than 1 MiB"));
    }
    if matches!(response.status, 300..=399) {
        return Err(Error::invalid(
            "it is a redirect, which says neither yes nor no and is not to be followed",
        ));
    }
    let leniencies = context.leniencies;
    let as_form =
        leniencies.has(Leniency::FormEncoded) && response.may_be_form && is_no_document(response.body);
    let mut members = [const { Member::Absent }; 8];
    let extras = match as_form {
        true => read_form(response.body, &mut members),
        false => json::read(response.body, MEMBERS, &mut members),
    }
    .map_err(Error::invalid)?;
    let [access_token, token_type, expires_in, refresh_token, scope, error, description, uri] = members;

    match error {
        Member::Absent => {}
        Member::Text(code) if !code.is_empty() => {
            let interval = extras.0.get("interval").and_then(Value::as_u64);
            return Err(Error::refused(Refusal {
                code: Some(code.into_owned()),
                description: lenient_text(description),
                uri: lenient_text(uri),
                dpop_nonce: response.dpop_nonce,
                interval: interval.map(|seconds| Duration::from_secs(seconds).min(LONGEST)),
            }));
        }
        _ => return Err(Error::invalid("the member error is no error code")),
    }
    if !matches!(response.status, 200..=299) {
        return Err(Error::invalid("there is no OAuth error in it, and the HTTP status is not a success"));
    }

    let access_token = token(access_token)
        .ok_or_else(|| Error::invalid("access_token is no text or holds control characters"))?
        .ok_or_else(|| Error::invalid("there is no access_token"))?;
    let new_refresh_token = token(refresh_token)
        .ok_or_else(|| Error::invalid("refresh_token is no text or holds control characters"))?;
    Ok(TokenResponse {
        access_token,
        token_type: read_token_type(token_type, leniencies)?,
        expires_in: read_expires_in(expires_in, leniencies)?,
        refresh_token_is_new: new_refresh_token.is_some(),
        refresh_token: new_refresh_token.or_else(|| context.refresh_token.clone()),
        scope: read_scope(scope, leniencies)?,
        requested_scope: context.requested_scope.clone(),
        extras,
        refresher: context.refresher,
    })
}

/// The refresh token of a success whose other members are of no use: it is all the same the one that works now.
pub(crate) fn rescued_refresh_token(response: &Response<'_>) -> Option<Secret> {
    const MEMBERS: &[&str; 2] = &["refresh_token", "error"];
    let mut members = [const { Member::Absent }; 2];
    if !matches!(response.status, 200..=299) || response.body.len() > RESPONSE_LIMIT {
        return None;
    }
    json::read(response.body, MEMBERS, &mut members).ok()?;
    match members {
        [refresh_token, Member::Absent] => token(refresh_token)?,
        _ => None,
    }
}

/// Whether a body does not begin as JSON or as a page does: a part of those could read as a form.
fn is_no_document(body: &[u8]) -> bool {
    let text = body.strip_prefix(json::BYTE_ORDER_MARK).unwrap_or(body).trim_ascii_start();
    !matches!(text.first(), Some(b'{' | b'[' | b'"' | b'<'))
}

/// Reads a form-encoded body, as some servers send where JSON was due.
fn read_form<'a>(body: &'a [u8], members: &mut [Member<'a>; 8]) -> Result<Extras, &'static str> {
    let text = std::str::from_utf8(body).map_err(|_| "the body is neither JSON nor a form")?;
    let mut extras = Extras::default();
    for pair in form::pairs(text) {
        let (name, value) = pair.ok_or("the form in the body is not UTF-8")?;
        match MEMBERS.iter().zip(members.iter_mut()).find(|(known, _)| **known == name) {
            Some((_, member @ Member::Absent)) => *member = Member::Text(value),
            Some(_) => return Err("a parameter of the form in the body is there twice"),
            None => {
                extras.0.insert(name.into_owned(), Value::String(value.into_owned()));
            }
        }
    }
    Ok(extras)
}

/// A token; an empty one counts as absent, and the outer `None` is one that must not be used.
fn token(member: Member<'_>) -> Option<Option<Secret>> {
    match member {
        Member::Absent => Some(None),
        Member::Text(text) if text.is_empty() => Some(None),
        Member::Text(text) if is_printable(&text) => Some(Some(Secret::new(text))),
        _ => None,
    }
}

/// Whether a text can be a token: there is something in it, and it cannot break a header.
pub(crate) fn is_sound(text: &str) -> bool {
    !text.is_empty() && is_printable(text)
}

/// No control characters, those of ASCII and those after it; most tokens are visible ASCII.
pub(crate) fn is_printable(text: &str) -> bool {
    text.bytes().fold(true, |visible, byte| visible & matches!(byte, b' '..=b'~'))
        || !text.chars().any(char::is_control)
}

fn read_token_type(member: Member<'_>, leniencies: Leniencies) -> Result<TokenType, Error> {
    match member {
        Member::Absent if leniencies.has(Leniency::MissingTokenType) => Ok(TokenType::Bearer),
        Member::Absent => Err(Error::invalid(
            "there is no token_type; if the server leaves it out for bearer tokens, tolerate \
             Leniency::MissingTokenType",
        )),
        Member::Text(text) if text.eq_ignore_ascii_case("bearer") => Ok(TokenType::Bearer),
        Member::Text(text) if text.eq_ignore_ascii_case("dpop") => Ok(TokenType::DPoP),
        Member::Text(text) if !is_printable(&text) => {
            Err(Error::invalid("token_type holds control characters"))
        }
        Member::Text(text) if leniencies.has(Leniency::AnyTokenType) && !text.is_empty() => {
            Ok(TokenType::Other(text.into_owned()))
        }
        _ => Err(Error::invalid(
            "token_type is neither Bearer nor DPoP; if the server's other type is known to you, tolerate \
             Leniency::AnyTokenType",
        )),
    }
}

fn read_expires_in(member: Member<'_>, leniencies: Leniencies) -> Result<Option<Duration>, Error> {
    let seconds = match member {
        Member::Absent => return Ok(None),
        Member::Unsigned(seconds) => Some(seconds),
        // Rust cuts the fraction and saturates.
        Member::Float(seconds) if seconds >= 0.0 => Some(seconds as u64),
        Member::Text(text) => digits(&text),
        _ => None,
    };
    match seconds {
        None => Err(Error::invalid("expires_in is no number of seconds")),
        Some(0) if leniencies.has(Leniency::ZeroMeansNeverExpires) => Ok(None),
        Some(seconds) => Ok(Some(Duration::from_secs(seconds).min(LONGEST))),
    }
}

fn read_scope(member: Member<'_>, leniencies: Leniencies) -> Result<Option<Scope>, Error> {
    match member {
        Member::Absent => Ok(None),
        Member::Text(text) if leniencies.has(Leniency::ScopeComma) => {
            Ok(Some(Scope::from_text(text.replace(',', " "))))
        }
        Member::Text(text) => Ok(Some(Scope::from_text(text))),
        Member::Array(values) if leniencies.has(Leniency::ScopeArray) => {
            let tokens: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
            let tokens =
                tokens.ok_or_else(|| Error::invalid("scope is an array of something else than texts"))?;
            Ok(Some(Scope::from_text(tokens.join(" "))))
        }
        Member::Array(_) => Err(Error::invalid(
            "scope is an array; if the server always sends one, tolerate Leniency::ScopeArray",
        )),
        _ => Err(Error::invalid("scope is no text")),
    }
}

/// The details of a refusal must not hide it, so one of the wrong kind is dropped.
fn lenient_text(member: Member<'_>) -> Option<String> {
    match member {
        Member::Text(text) => Some(text).filter(|text| !text.is_empty()).map(Cow::into_owned),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<TokenResponse, Error> {
        let context = Context {
            refresher: [0; 16],
            leniencies: Leniencies::default(),
            requested_scope: None,
            refresh_token: None,
            attempt: None,
        };
        super::read(Response::new(200, [("content-type", "application/json")], body.as_bytes()), &context)
    }

    #[test]
    fn a_token_type_is_restored_from_its_name() {
        for token_type in [TokenType::Bearer, TokenType::DPoP, TokenType::Other("mac".into())] {
            assert_eq!(TokenType::from_name(token_type.name().to_owned()), token_type);
        }
    }

    #[test]
    fn a_token_may_hold_letters_beyond_ascii_and_no_control_character() {
        for (token, taken) in [("fäke", true), ("fa\u{85}ke", false), ("fa\u{7f}ke", false)] {
            let body = serde_json::json!({"access_token": token, "token_type": "Bearer"}).to_string();
            assert_eq!(read(&body).is_ok(), taken, "{token:?}");
        }
    }

    #[test]
    fn an_answer_that_is_refused_names_the_leniency_that_takes_it() {
        for (body, name) in [
            (r#"{"access_token":"fake"}"#, "Leniency::MissingTokenType"),
            (r#"{"access_token":"fake","token_type":"mac"}"#, "Leniency::AnyTokenType"),
            (r#"{"access_token":"fake","token_type":"Bearer","scope":["a"]}"#, "Leniency::ScopeArray"),
        ] {
            let message = read(body).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    fn unknown_members_are_listed() {
        let tokens = read(r#"{"access_token":"fake","token_type":"Bearer","user":7}"#).unwrap();
        assert_eq!(tokens.extras().collect::<Vec<_>>(), [("user", &Value::from(7))]);
    }

    #[test]
    fn an_empty_error_code_is_no_refusal() {
        assert_eq!(read(r#"{"error":""}"#).unwrap_err().kind(), crate::ErrorKind::Invalid);
    }
}
