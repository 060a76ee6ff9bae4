//! The reader of token responses (RFC 6749 §5.1) and error responses (§5.2).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::call::{RESPONSE_LIMIT, Response};
use crate::client::{Client, IssuedTo};
use crate::error::{Advice, Error, Refusal};
use crate::server::{Leniencies, Leniency};
use crate::text::form;
use crate::text::json::{self, Extras, Member};
use crate::text::scope::Scope;
use crate::text::secret::{Secret, is_printable};
use crate::text::time::{LONGEST, digits};
use crate::text::uri::Resource;
use crate::token::{TokenResponse, TokenType};

/// What the reader must know about the request for tokens.
pub struct TokenContext {
    pub(crate) leniencies: Leniencies,
    pub(crate) issued_to: IssuedTo,
    /// The scope in force where the response names none (RFC 6749 §5.1).
    pub(crate) requested_scope: Option<Scope>,
    /// The resources that the request named (RFC 8707 §2.2).
    pub(crate) resources: Vec<Resource<'static>>,
    /// [`AuthorizationServer::access_tokens_end_with_refresh`](crate::AuthorizationServer).
    pub(crate) ends_together: bool,
    /// [`AuthorizationServer::invalid_grant_codes`](crate::AuthorizationServer).
    pub(crate) invalid_grant_codes: Option<Arc<[String]>>,
}

impl Client {
    /// Returns what the reader of a token response must know about a request of this client.
    pub(crate) fn token_context(
        &self,
        requested_scope: Option<Scope>,
        resources: Vec<Resource<'static>>,
    ) -> TokenContext {
        TokenContext {
            leniencies: self.server.leniencies,
            issued_to: self.issued_to,
            requested_scope,
            resources,
            ends_together: self.server.access_tokens_end_with_refresh,
            invalid_grant_codes: self.server.invalid_grant_codes.clone(),
        }
    }
}

/// A response without usable tokens.
pub(crate) struct Unread {
    pub(crate) error: Error,
    /// The new refresh token of a success that is unreadable elsewhere. The server has already rotated to it.
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) shape: Shape,
}

/// What the body of an answer without tokens is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Empty,
    /// A JSON object whose member `error` is neither absent nor null, or a form with an `error`.
    JsonError,
    /// Any other JSON.
    Json,
    /// A page or another text.
    Other,
}

impl Shape {
    /// Returns the shape of a body that holds no readable `error`.
    fn of(body: &[u8]) -> Self {
        let text = body.strip_prefix(json::BYTE_ORDER_MARK).unwrap_or(body).trim_ascii();
        match text.first() {
            None => Self::Empty,
            Some(b'{' | b'[' | b'"') => Self::Json,
            Some(_) if serde_json::from_slice::<IgnoredAny>(text).is_ok() => Self::Json,
            Some(_) => Self::Other,
        }
    }
}

/// Reads a response of the token endpoint, in one pass over its body.
pub(crate) fn read(response: Response<'_>, context: &TokenContext) -> Result<TokenResponse, Unread> {
    let unread = |error: Error, shape: Shape| Unread { error, refresh_token: None, shape };
    if response.body.len() > RESPONSE_LIMIT {
        return Err(unread(Error::invalid("the body is longer than 1 MiB"), Shape::Other));
    }
    let shape = || Shape::of(response.body);
    if matches!(response.status, 300..=399) {
        return Err(unread(Error::invalid("it is a redirect, which this crate never follows"), shape()));
    }
    let (members, extras) =
        parse(&response, context.leniencies).map_err(|message| unread(Error::invalid(message), shape()))?;
    let repeated = NAMES.iter().zip(&members).find(|(_, member)| matches!(member, Member::Repeated));
    let repeated = repeated.map(|(name, _)| Error::invalid(format!("the member {name} is there twice")));
    let [access_token, token_type, expires_in, refresh_token, scope, error, description, uri] = members;

    if !matches!(error, Member::Absent) {
        let details = Details { description, uri, dpop_nonce: response.dpop_nonce, extras };
        let error = repeated.unwrap_or_else(|| read_refusal(error, details, context));
        return Err(unread(error, Shape::JsonError));
    }
    if !matches!(response.status, 200..=299) {
        let message = "there is no OAuth error in it, and the HTTP status is not a success";
        let error = repeated.unwrap_or_else(|| Error::invalid(message));
        return Err(unread(error.with_extras(extras), shape()));
    }

    // The server said yes, so it has rotated to the new refresh token, whatever else is unreadable.
    let (refresh_token, unreadable) = match read_token("refresh_token", refresh_token) {
        Ok(refresh_token) => (refresh_token, None),
        Err(error) => (None, Some(error)),
    };
    let read_access = || {
        let access_token = read_token("access_token", access_token)?;
        Ok(Access {
            token: access_token.ok_or_else(|| Error::invalid("there is no access_token"))?,
            token_type: read_token_type(token_type, context.leniencies)?,
            expires_in: read_expires_in(expires_in, context.leniencies)?,
            scope: read_scope(scope, context.leniencies)?,
        })
    };
    match repeated.or(unreadable).map_or_else(read_access, Err) {
        Ok(access) => Ok(TokenResponse {
            access_token: access.token,
            token_type: access.token_type,
            expires_in: access.expires_in,
            refresh_token_is_new: refresh_token.is_some(),
            refresh_token,
            scope: access.scope,
            requested_scope: context.requested_scope.clone(),
            refresh_token_expires_in: read_refresh_token_expires_in(&extras),
            resources: context.resources.clone(),
            ends_together: context.ends_together,
            extras,
            issued_to: context.issued_to,
        }),
        Err(error) => Err(Unread { error, refresh_token, shape: shape() }),
    }
}

/// What a success says about the access token.
struct Access {
    token: Secret,
    token_type: TokenType,
    expires_in: Option<Duration>,
    scope: Option<Scope>,
}

/// What a response says about its error.
struct Details<'a> {
    description: Member<'a>,
    uri: Member<'a>,
    dpop_nonce: Option<String>,
    extras: Extras,
}

/// The members that this crate reads, in the order in which [`read`] takes them apart.
const NAMES: &[&str; 8] = &[
    "access_token",
    "token_type",
    "expires_in",
    "refresh_token",
    "scope",
    "error",
    "error_description",
    "error_uri",
];

fn parse<'a>(
    response: &Response<'a>,
    leniencies: Leniencies,
) -> Result<([Member<'a>; 8], Extras), &'static str> {
    let as_form =
        leniencies.has(Leniency::FormEncoded) && response.may_be_form && is_no_document(response.body);
    let mut members = [const { Member::Absent }; 8];
    let extras = match as_form {
        true => parse_form(response.body, &mut members)?,
        false => json::read(response.body, NAMES, &mut members)?,
    };
    Ok((members, extras))
}

/// Parses a form-encoded body, which some servers send in place of JSON.
fn parse_form<'a>(body: &'a [u8], members: &mut [Member<'a>; 8]) -> Result<Extras, &'static str> {
    let text = std::str::from_utf8(body).map_err(|_| "the body is neither JSON nor a form")?;
    let mut extras = Extras::default();
    for pair in form::pairs(text) {
        let (name, value) = pair.ok_or("the form in the body is not UTF-8")?;
        match NAMES.iter().zip(members.iter_mut()).find(|(known, _)| **known == name) {
            Some((_, member @ Member::Absent)) => *member = Member::Text(value),
            Some((_, member)) => *member = Member::Repeated,
            None => {
                extras.0.insert(name.into_owned(), Value::String(value.into_owned()));
            }
        }
    }
    Ok(extras)
}

/// Returns whether a body can be a form: it does not begin as JSON or as a page does.
fn is_no_document(body: &[u8]) -> bool {
    let text = body.strip_prefix(json::BYTE_ORDER_MARK).unwrap_or(body).trim_ascii_start();
    !matches!(text.first(), Some(b'{' | b'[' | b'"' | b'<'))
}

fn read_refusal(error: Member<'_>, mut details: Details<'_>, context: &TokenContext) -> Error {
    let code = match error {
        Member::Text(code) if !code.is_empty() => code,
        other => {
            if let Some(value) = other.into_value() {
                details.extras.insert("error".to_owned(), value);
            }
            return Error::invalid("the member error is no error code").with_extras(details.extras);
        }
    };
    let interval = details.extras.0.get("interval").and_then(Value::as_u64);
    let is_invalid_grant =
        context.invalid_grant_codes.iter().flat_map(|codes| codes.iter()).any(|it| *it == code);
    let refusal = Refusal {
        code: Some(code.into_owned()),
        description: lenient_text(details.description),
        uri: lenient_text(details.uri),
        dpop_nonce: details.dpop_nonce,
        interval: interval.map(|seconds| Duration::from_secs(seconds).min(LONGEST)),
        extras: details.extras,
    };
    if is_invalid_grant { Error::refused_as(refusal, Advice::Reauthorize) } else { Error::refused(refusal) }
}

/// Reads the announced lifetime of the refresh token, which no specification defines; 0 means none.
fn read_refresh_token_expires_in(extras: &Extras) -> Option<Duration> {
    let member =
        ["refresh_token_expires_in", "refresh_expires_in"].into_iter().find_map(|name| extras.0.get(name))?;
    let seconds = match member {
        Value::Number(number) => {
            number.as_f64().filter(|seconds| *seconds >= 1.0).map(|seconds| seconds as u64)?
        }
        Value::String(text) => digits(text).filter(|seconds| *seconds > 0)?,
        _ => return None,
    };
    Some(Duration::from_secs(seconds).min(LONGEST))
}

/// Reads a token; an empty one counts as absent.
fn read_token(name: &str, member: Member<'_>) -> Result<Option<Secret>, Error> {
    match member {
        Member::Absent => Ok(None),
        Member::Text(text) if text.is_empty() => Ok(None),
        Member::Text(text) if is_printable(&text) => Ok(Some(Secret::new(text))),
        _ => Err(Error::invalid(format!("{name} is no text or holds control characters"))),
    }
}

fn read_token_type(member: Member<'_>, leniencies: Leniencies) -> Result<TokenType, Error> {
    match member {
        Member::Absent if leniencies.has(Leniency::MissingTokenType) => Ok(TokenType::Bearer),
        Member::Absent => Err(Error::invalid(
            "there is no token_type; if the server leaves it out of bearer tokens, tolerate \
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
            "token_type is neither Bearer nor DPoP; if you know the server's other type, tolerate \
             Leniency::AnyTokenType",
        )),
    }
}

fn read_expires_in(member: Member<'_>, leniencies: Leniencies) -> Result<Option<Duration>, Error> {
    let seconds = match member {
        Member::Absent => return Ok(None),
        Member::Unsigned(seconds) => Some(seconds),
        // `as` cuts the fraction and saturates.
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
            let tokens = tokens
                .ok_or_else(|| Error::invalid("scope is an array that holds other values than texts"))?;
            Ok(Some(Scope::from_text(tokens.join(" "))))
        }
        Member::Array(_) => Err(Error::invalid(
            "scope is an array; if the server always sends one, tolerate Leniency::ScopeArray",
        )),
        _ => Err(Error::invalid("scope is no text")),
    }
}

/// Reads a detail of a refusal. One of the wrong kind is dropped, so that it does not hide the refusal.
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
        let context = TokenContext {
            leniencies: Leniencies::default(),
            issued_to: IssuedTo::default(),
            requested_scope: None,
            resources: Vec::new(),
            ends_together: false,
            invalid_grant_codes: None,
        };
        let response = Response::new(200, [("content-type", "application/json")], body.as_bytes());
        super::read(response, &context).map_err(|unread| unread.error)
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
        assert_eq!(read(r#"{"error":""}"#).unwrap_err().kind(), crate::error::ErrorKind::Invalid);
    }
}
