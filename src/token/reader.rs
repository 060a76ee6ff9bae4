//! The reader of token responses (RFC 6749 §5.1) and error responses (§5.2).

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;

use crate::call::{Context, RESPONSE_LIMIT, Response};
use crate::error::{Error, Refusal};
use crate::server::{Leniencies, Leniency};
use crate::text::form;
use crate::text::json::{self, Extras, Member};
use crate::text::scope::Scope;
use crate::text::secret::{Secret, is_printable};
use crate::text::time::{LONGEST, digits};
use crate::token::{TokenResponse, TokenType};

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
pub(crate) fn read(response: Response<'_>, context: &Context) -> Result<TokenResponse, Error> {
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
        issued_to: context.issued_to,
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
            issued_to: crate::client::IssuedTo([0; 16]),
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
        assert_eq!(read(r#"{"error":""}"#).unwrap_err().kind(), crate::error::ErrorKind::Invalid);
    }
}
