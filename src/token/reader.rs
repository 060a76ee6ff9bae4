//! The reader of token responses (RFC 6749 §5.1) and error responses (§5.2).

use std::sync::Arc;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::call::{RESPONSE_LIMIT, Response};
use crate::client::{Client, Holder};
use crate::error::{Advice, Error, Refusal};
use crate::server::{Leniencies, Leniency};
use crate::text::form;
use crate::text::json::{self, Extras, Member};
use crate::text::salvage;
use crate::text::scope::Scope;
use crate::text::secret::{Secret, is_printable};
use crate::text::time::{LONGEST, digits};
use crate::text::uri::Resource;
use crate::token::{Parameters, Requested, TokenResponse, TokenType};

/// The context that the reader of a token response needs.
pub struct TokenContext {
    pub(crate) leniencies: Leniencies,
    pub(crate) holder: Arc<Holder>,
    /// The scope in force where the response names none (RFC 6749 §5.1).
    pub(crate) requested_scope: Option<Scope>,
    /// The resources that the request named (RFC 8707 §2.2).
    pub(crate) resources: Vec<Resource<'static>>,
    /// [`AuthorizationServer::access_tokens_end_with_refresh`](crate::AuthorizationServer).
    pub(crate) ends_together: bool,
    /// [`AuthorizationServer::invalid_grant_codes`](crate::AuthorizationServer).
    pub(crate) invalid_grant_codes: Option<Arc<[String]>>,
    /// The added parameters of a client credentials request; `None` for any other grant.
    pub(crate) client_credentials: Option<Parameters>,
}

impl Client {
    /// Returns the context that the reader of a token response needs.
    pub(crate) fn token_context(
        &self,
        requested_scope: Option<Scope>,
        resources: Vec<Resource<'static>>,
    ) -> TokenContext {
        TokenContext {
            leniencies: self.server.leniencies,
            holder: self.holder.clone(),
            requested_scope,
            resources,
            ends_together: self.server.access_tokens_end_with_refresh,
            invalid_grant_codes: self.server.invalid_grant_codes.clone(),
            client_credentials: None,
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

/// The shape of the body of an answer without tokens.
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
        let text = json::without_mark(body).trim_ascii();
        match text.first() {
            None => Self::Empty,
            // A damaged object still counts; the braces of a template do not.
            Some(b'{')
                if matches!(
                    text.get(1..).unwrap_or_default().trim_ascii_start().first(),
                    Some(b'"' | b'}')
                ) =>
            {
                Self::Json
            }
            Some(b'"') => Self::Json,
            Some(_) if serde_json::from_slice::<IgnoredAny>(text).is_ok() => Self::Json,
            Some(_) => Self::Other,
        }
    }
}

/// Reads a response of the token endpoint.
pub(crate) fn read(response: Response<'_>, context: &TokenContext) -> Result<TokenResponse, Unread> {
    let unread = |error: Error, shape: Shape| Unread { error, refresh_token: None, shape };
    let shape = || Shape::of(response.body());
    if let Err(error) = check_envelope(&response) {
        let is_read = response.body().len() <= RESPONSE_LIMIT;
        return Err(unread(error, if is_read { shape() } else { Shape::Other }));
    }
    let mut members = [const { Member::Absent }; 8];
    let (extras, damage) = parse(&response, context.leniencies, &mut members);
    let is_whole = damage.is_none();
    let damage = damage.map(Error::invalid).or_else(|| find_repeated(NAMES, &members));
    let [access_token, token_type, expires_in, refresh_token, scope, error, description, uri] = members;
    let is_success = matches!(response.status, 200..=299);

    if !error.says_nothing() {
        // An `error` that is not a text is no refusal, so the server may have rotated to the new refresh
        // token.
        let is_refusal = matches!(error, Member::Text(_) | Member::Unreadable | Member::Repeated);
        let rotated_to = (is_success && !is_refusal).then_some(refresh_token);
        let members = ErrorMembers { description, uri, dpop_nonce: response.dpop_nonce.clone(), extras };
        return Err(Unread {
            error: damage
                .unwrap_or_else(|| read_refusal(error, members, context.invalid_grant_codes.as_deref())),
            refresh_token: rotated_to.and_then(|token| read_token("refresh_token", token).ok().flatten()),
            shape: if is_whole { Shape::JsonError } else { shape() },
        });
    }
    if !is_success {
        let error = damage.unwrap_or_else(|| Error::invalid(NO_OAUTH_ERROR));
        return Err(unread(if is_whole { error.with_extras(extras) } else { error }, shape()));
    }

    // After a success the server has rotated to the new refresh token, whatever else is unreadable.
    let (refresh_token, unreadable) = match read_token("refresh_token", refresh_token) {
        Ok(refresh_token) => (refresh_token, None),
        Err(error) => (None, Some(error)),
    };
    let read_access = || {
        let access_token = read_token("access_token", access_token)?;
        Ok(Access {
            token: access_token.ok_or_else(|| Error::invalid("there is no access_token"))?,
            token_type: read_token_type(token_type, context)?,
            expires_in: read_expires_in(expires_in, context.leniencies)?,
            scope: read_scope(scope, context.leniencies)?,
        })
    };
    match damage.or(unreadable).map_or_else(read_access, Err) {
        Ok(access) => Ok(access.into_response(refresh_token, extras, context)),
        Err(error) => Err(Unread { error, refresh_token, shape: shape() }),
    }
}

/// Reads the failure that an answer of another endpoint reports, in the form of RFC 6749 §5.2: any answer
/// that is no success, and a success with an `error`. Returns `None` for any other success.
pub(crate) fn read_failure(response: &Response<'_>) -> Option<Error> {
    if let Err(error) = check_envelope(response) {
        return Some(error);
    }
    let ([error, description, uri], extras, damage) = read_object(response.body(), FAILURE_NAMES);
    let is_success = matches!(response.status, 200..=299);
    match (error.says_nothing(), damage) {
        (true, _) if is_success => None,
        (_, Some(damage)) => Some(damage),
        (true, None) => Some(Error::invalid(NO_OAUTH_ERROR).with_extras(extras)),
        (false, None) => {
            let members = ErrorMembers { description, uri, dpop_nonce: response.dpop_nonce.clone(), extras };
            Some(read_refusal(error, members, None))
        }
    }
}

/// Reads one object: the values of these `names`, in the same order, all other members, and what is wrong
/// with the whole, which may be that one of the `names` is there twice.
pub(crate) fn read_object<'a, const N: usize>(
    body: &'a [u8],
    names: &'static [&'static str; N],
) -> ([Member<'a>; N], Extras, Option<Error>) {
    let mut members = [const { Member::Absent }; N];
    let (extras, damage) = match json::read(body, names, &mut members) {
        Some(extras) => (extras, None),
        None => salvage::read(body, names, &mut members),
    };
    let damage = damage.map(Error::invalid).or_else(|| find_repeated(names, &members));
    (members, extras, damage)
}

/// Returns the error of a known member that is there twice.
fn find_repeated(names: &[&str], members: &[Member<'_>]) -> Option<Error> {
    let repeated = names.iter().zip(members).find(|(_, member)| matches!(member, Member::Repeated));
    repeated.map(|(name, _)| Error::invalid(format!("the member {name} is there twice")))
}

/// Refuses a body that is too long, and a redirect.
fn check_envelope(response: &Response<'_>) -> Result<(), Error> {
    if response.body().len() > RESPONSE_LIMIT {
        return Err(Error::invalid("the body is longer than 1 MiB"));
    }
    match response.status {
        300..=399 => Err(Error::invalid("it is a redirect, which this crate never follows")),
        _ => Ok(()),
    }
}

const NO_OAUTH_ERROR: &str = "there is no OAuth error in it, and the HTTP status is not a success";

/// Returns whether a member is missing or an empty text, which is neither an error code nor a token type (RFC
/// 6749 appendix A.7 and A.13).
fn is_empty(member: &Member<'_>) -> bool {
    match member {
        Member::Absent => true,
        Member::Text(text) => text.is_empty(),
        _ => false,
    }
}

/// The access token of a success, with its properties.
pub(crate) struct Access {
    pub(crate) token: Secret,
    pub(crate) token_type: TokenType,
    pub(crate) expires_in: Option<Duration>,
    pub(crate) scope: Option<Scope>,
}

impl Access {
    /// Adds the rest of the response and what is known of the request.
    pub(crate) fn into_response(
        self,
        refresh_token: Option<Secret>,
        mut extras: Extras,
        context: &TokenContext,
    ) -> TokenResponse {
        extras.withhold_id_token(&self.token);
        TokenResponse {
            access_token: self.token,
            token_type: self.token_type,
            expires_in: self.expires_in,
            refresh_token_is_new: refresh_token.is_some(),
            refresh_token,
            requested: requested(context, self.scope.as_ref()),
            scope: self.scope,
            is_refresh: false,
            refresh_token_expires_in: read_refresh_token_expires_in(&extras),
            resources: context.resources.clone(),
            ends_together: context.ends_together,
            client_credentials: context.client_credentials.clone(),
            extras,
            holder: context.holder.clone(),
        }
    }
}

/// The members of an error response other than its code.
struct ErrorMembers<'a> {
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

/// The members of an error response (RFC 6749 §5.2).
const FAILURE_NAMES: &[&str; 3] = &["error", "error_description", "error_uri"];

/// Parses a body into the known members, which start absent. Returns all others, and the damage to the body
/// as a whole.
fn parse<'a>(
    response: &'a Response<'_>,
    leniencies: Leniencies,
    members: &mut [Member<'a>; 8],
) -> (Extras, Option<&'static str>) {
    if leniencies.has(Leniency::FormEncoded) && response.may_be_form && is_no_document(response.body()) {
        (parse_form(response.body(), members), None)
    } else if let Some(extras) = json::read(response.body(), NAMES, members) {
        (extras, None)
    } else {
        salvage::read(response.body(), NAMES, members)
    }
}

/// Parses a form-encoded body, which some servers send in place of JSON. Skips other parameters that are not
/// UTF-8.
fn parse_form<'a>(body: &'a [u8], members: &mut [Member<'a>; 8]) -> Extras {
    let mut extras = Extras::default();
    for (name, value) in form::parts(body) {
        let Some(name) = name else { continue };
        match (NAMES.iter().zip(members.iter_mut()).find(|(known, _)| **known == name), value) {
            (Some((_, member @ Member::Absent)), Some(value)) => *member = Member::Text(value.into()),
            (Some((_, member @ Member::Absent)), None) => *member = Member::Unreadable,
            (Some((_, member)), _) => *member = Member::Repeated,
            (None, Some(value)) => extras.insert(name.into_owned(), Value::String(value.into_owned())),
            (None, None) => {}
        }
    }
    extras
}

/// Returns whether a body can be a form: it does not begin as JSON or as a page does.
fn is_no_document(body: &[u8]) -> bool {
    let text = json::without_mark(body).trim_ascii_start();
    !matches!(text.first(), Some(b'{' | b'[' | b'"' | b'<'))
}

fn read_refusal(
    error: Member<'_>,
    mut members: ErrorMembers<'_>,
    invalid_grant_codes: Option<&[String]>,
) -> Error {
    let code = match error {
        Member::Text(code) => code,
        other => {
            if let Some(value) = other.into_value() {
                members.extras.insert("error".to_owned(), value);
            }
            return Error::invalid("the member error is no error code").with_extras(members.extras);
        }
    };
    let interval = members.extras.get("interval").and_then(Value::as_u64);
    let is_invalid_grant = invalid_grant_codes.iter().copied().flatten().any(|it| **it == *code);
    let refusal = Refusal {
        code: Some(code.to_owned()),
        description: lenient_text(members.description),
        uri: lenient_text(members.uri),
        dpop_nonce: members.dpop_nonce,
        interval: interval.map(|seconds| Duration::from_secs(seconds).min(LONGEST)),
        extras: members.extras,
    };
    if is_invalid_grant { Error::refused_as(refusal, Advice::Reauthorize) } else { Error::refused(refusal) }
}

/// Reads the announced lifetime of the refresh token, which no specification defines; 0 means none.
fn read_refresh_token_expires_in(extras: &Extras) -> Option<Duration> {
    let member =
        ["refresh_token_expires_in", "refresh_expires_in"].into_iter().find_map(|name| extras.get(name))?;
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
pub(crate) fn read_token(name: &str, member: Member<'_>) -> Result<Option<Secret>, Error> {
    match member {
        Member::Absent => Ok(None),
        Member::Text(text) if text.is_empty() => Ok(None),
        Member::Text(text) if is_printable(&text) => Ok(Some(text.into_secret())),
        _ => Err(Error::invalid(format!("{name} is no text or holds control characters"))),
    }
}

/// Reads the type of an access token. A client with a key takes no other tokens than those that are bound to
/// it (RFC 9449 §5).
pub(crate) fn read_token_type(member: Member<'_>, context: &TokenContext) -> Result<TokenType, Error> {
    match read_any_token_type(member, context.leniencies)? {
        TokenType::DPoP => Ok(TokenType::DPoP),
        _ if context.holder.bound_to.is_some() => Err(Error::invalid(
            "token_type is not DPoP, and this client has a key that its tokens are to be bound to; if the server \
             does not support DPoP, use a client without Client::dpop",
        )),
        other => Ok(other),
    }
}

fn read_any_token_type(member: Member<'_>, leniencies: Leniencies) -> Result<TokenType, Error> {
    if is_empty(&member) {
        return match leniencies.has(Leniency::MissingTokenType) {
            true => Ok(TokenType::Bearer),
            false => Err(Error::invalid(
                "there is no token_type; if the server leaves it out of bearer tokens, tolerate \
                 Leniency::MissingTokenType",
            )),
        };
    }
    match member {
        Member::Text(text) if text.eq_ignore_ascii_case("bearer") => Ok(TokenType::Bearer),
        Member::Text(text) if text.eq_ignore_ascii_case("dpop") => Ok(TokenType::DPoP),
        Member::Text(text) if !is_printable(&text) => {
            Err(Error::invalid("token_type holds control characters"))
        }
        Member::Text(text) if leniencies.has(Leniency::AnyTokenType) => Ok(TokenType::Other(text.to_owned())),
        _ => Err(Error::invalid(
            "token_type is neither Bearer nor DPoP; if you know the server's other type, tolerate \
             Leniency::AnyTokenType",
        )),
    }
}

pub(crate) fn read_expires_in(member: Member<'_>, leniencies: Leniencies) -> Result<Option<Duration>, Error> {
    let seconds = match member {
        Member::Absent => return Ok(None),
        Member::Unsigned(seconds) => Some(seconds),
        // `as` cuts the fraction and saturates.
        Member::Float(seconds) if seconds >= 0.0 => Some(seconds as u64),
        Member::Text(text) if !is_negative(&text) => digits(&text),
        Member::Text(_) | Member::Negative(_) | Member::Float(_) => {
            return match leniencies.has(Leniency::NegativeMeansNeverExpires) {
                true => Ok(None),
                false => Err(Error::invalid(
                    "expires_in is negative; if the server means that the token never expires, tolerate \
                     Leniency::NegativeMeansNeverExpires",
                )),
            };
        }
        _ => None,
    };
    match seconds {
        None => Err(Error::invalid("expires_in is no number of seconds")),
        Some(0) if leniencies.has(Leniency::ZeroMeansNeverExpires) => Ok(None),
        Some(seconds) => Ok(Some(Duration::from_secs(seconds).min(LONGEST))),
    }
}

/// Returns whether a text is a negative integer.
fn is_negative(text: &str) -> bool {
    text.strip_prefix('-').and_then(digits).is_some_and(|seconds| seconds > 0)
}

/// Returns the requested scopes; copies them only if the granted ones are others.
fn requested(context: &TokenContext, granted: Option<&Scope>) -> Requested {
    match &context.requested_scope {
        None => Requested::Nothing,
        Some(scope) if granted == Some(scope) => Requested::AsGranted,
        Some(scope) if context.leniencies.has(Leniency::ScopeComma) && scope.as_str().contains(',') => {
            let compared = Scope::from_text(scope.as_str().replace(',', " "));
            Requested::WithCommas(Box::new((scope.clone(), compared)))
        }
        Some(scope) => Requested::Other(scope.clone()),
    }
}

pub(crate) fn read_scope(member: Member<'_>, leniencies: Leniencies) -> Result<Option<Scope>, Error> {
    match member {
        Member::Absent => Ok(None),
        Member::Text(text) if leniencies.has(Leniency::ScopeComma) => {
            Ok(Some(Scope::from_text(text.replace(',', " "))))
        }
        Member::Text(text) => Ok(Some(Scope::from_text(&*text))),
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

/// Reads a detail of a refusal. Skips an unreadable one, because the refusal is more important.
fn lenient_text(member: Member<'_>) -> Option<String> {
    match member {
        Member::Text(text) => Some(text.to_owned()).filter(|text| !text.is_empty()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::AuthorizationServer;

    fn read(body: &str) -> Result<TokenResponse, Error> {
        read_as(200, "application/json", body.as_bytes()).map_err(|unread| unread.error)
    }

    /// Reads a body; a form is tolerated where it is labelled as one.
    fn read_as(status: u16, label: &str, body: &[u8]) -> Result<TokenResponse, Unread> {
        let server = AuthorizationServer::new("https://as.example/a", "https://as.example/t").unwrap();
        let context = TokenContext {
            leniencies: server.tolerate(Leniency::FormEncoded).leniencies,
            holder: Arc::default(),
            requested_scope: None,
            resources: Vec::new(),
            ends_together: false,
            invalid_grant_codes: None,
            client_credentials: None,
        };
        super::read(Response::new(status, [("content-type", label)], body), &context)
    }

    /// Returns the refresh token that is rescued from a success without usable tokens, whose body holds a
    /// stray byte for each `¤`.
    #[track_caller]
    fn rescued(label: &str, body: &str) -> Option<String> {
        let mut bytes = Vec::new();
        for (index, part) in body.split('¤').enumerate() {
            bytes.extend((index > 0).then_some(0xe9));
            bytes.extend(part.as_bytes());
        }
        for status in [400, 403, 502] {
            let of_a_failure = read_as(status, label, &bytes).err().and_then(|unread| unread.refresh_token);
            assert!(of_a_failure.is_none(), "{status} {body}");
        }
        let unread = match read_as(200, label, &bytes) {
            Ok(tokens) => panic!("{body}: {tokens:?}"),
            Err(unread) => unread,
        };
        let other_success = read_as(202, label, &bytes).err().and_then(|unread| unread.refresh_token);
        assert_eq!(other_success, unread.refresh_token, "{body}");
        unread.refresh_token.map(|token| token.expose().to_owned())
    }

    #[test]
    fn the_new_refresh_token_of_a_broken_success_is_kept() {
        let deep = format!(r#"{{"x":{}{},"refresh_token":"new"}}"#, "[".repeat(1000), "]".repeat(1000));
        for body in [
            r#"{"refresh_token":"new"}"#,
            r#"{"refresh_token":"new""#,
            r#"{"refresh_token":"new","#,
            r#"{"refresh_token":"new","access_tok"#,
            r#"{"refresh_token":"new","access_token":"fa"#,
            r#"{"refresh_token":"new"}trailing"#,
            r#"{"refresh_token":"new"}{"refresh_token":"evil"}"#,
            r#"{"refresh_token":"new"garbage"refresh_token":"evil"}"#,
            r#"{"refresh_token":"new" "x":1}"#,
            r#"{"refresh_token" : "new" , 'x':1}"#,
            r#"{"x":NaN,"refresh_token":"new"}"#,
            r#"{"x":,"refresh_token":"new"}"#,
            "{\"x\":\"a\nb\",\"refresh_token\":\"new\"}",
            r#"{"access_token":"caf¤","refresh_token":"new","token_type":"Bearer"}"#,
            r#"{"access_token":"\q","refresh_token":"new","token_type":"Bearer"}"#,
            r#"{"access_token":"fake","token_type":"Bearer","expires_in":01,"refresh_token":"new"}"#,
            r#"{"access_token":"fake","access_token":"fake","token_type":"Bearer","refresh_token":"new"}"#,
            r#"{"re\u0066resh\u005ftoken":"n\u0065w","x":}"#,
            r#"{"error":"","refresh_token":"new""#,
            r#"{"error":null,"refresh_token":"new""#,
            r#"{"error":0,"refresh_token":"new"}"#,
            r#"{"error":false,"refresh_token":"new"}"#,
            r#"{"error":{"a":"b"},"refresh_token":"new"}"#,
            r#"{"error":["a"],"refresh_token":"new","#,
            &deep,
            "\u{feff} {\"refresh_token\":\"new\"",
        ] {
            assert_eq!(rescued("application/json", body).as_deref(), Some("new"), "{body}");
        }
    }

    #[test]
    fn a_refresh_token_is_taken_only_where_it_stands_whole_at_the_top() {
        let deep = format!(r#"{}"refresh_token":"evil"{}"#, "{\"x\":".repeat(200), "}".repeat(200));
        for body in [
            r#"{"refresh_token":"ev"#,
            r#"{"refresh_token":"evil\""#,
            r#"{"refresh_token":"evil\"#,
            r#"{"refresh_token":"evil\q"}"#,
            r#"{"refresh_token":"evil¤"}"#,
            r#"{"refresh_token":"evil\u0007"}"#,
            r#"{"refresh_token":"evil\ud800"}"#,
            "{\"refresh_token\":\"ev\nil\"}",
            r#"{"refresh_token":"evil","refresh_token":"evil"}"#,
            r#"{"refresh_token":"evil","refresh\u005ftoken":null}"#,
            r#"{"refresh_token":["evil"]}"#,
            r#"{"refresh_token":""}"#,
            r#"{"refresh_token":evil}"#,
            r#"{"refresh_token"}"#,
            r#"{"x":"\"refresh_token\":\"evil\""#,
            r#"{"x":"\"refresh_token\":\"evil\"}"#,
            r#"{"x":"\\\",\"refresh_token\":\"evil\"}"#,
            r#"{"x":"{\"refresh_token\":\"evil\"}"}"#,
            r#"{"x":{"refresh_token":"evil"}"#,
            r#"{"x":{"refresh_token":"evil"}}"#,
            r#"{"x":{"y":"}","refresh_token":"evil"}"#,
            r#"{"x":["]","refresh_token","evil"]"#,
            r#"{"x":["]",{"refresh_token":"evil"}]"#,
            r#"{"x":[1}],"refresh_token":"evil"}"#,
            r#"{"x":{]},"refresh_token":"evil"}"#,
            r#"{"x":1}},"refresh_token":"evil"}"#,
            r#"{"x":"unescaped"quotes","refresh_token":"evil"}"#,
            r#"{"x":'y,"refresh_token":"evil",z'}"#,
            r#"{"x":{'y':'}',"refresh_token":"evil"}}"#,
            r#"{"x":{'y':'},"refresh_token":"evil"}"#,
            r#"{"x":/*,"refresh_token":"evil"*/1}"#,
            "{\"x\":\u{201c}y,\"refresh_token\":\"evil\"\u{201d}}",
            r#"[{"refresh_token":"evil"}]"#,
            r#""{\"refresh_token\":\"evil\"}""#,
            r#"x{"refresh_token":"evil"}"#,
            r#"{{"refresh_token":"evil"}"#,
            r#"<script>{"refresh_token":"evil"}</script>"#,
            r#"{"error":"invalid_grant","refresh_token":"evil""#,
            r#"{"refresh_token":"evil","error":"invalid_grant"}"#,
            r#"{"refresh_token":"evil","error":"inv"#,
            r#"{"refresh_token":"evil","error":"#,
            r#"{"refresh_token":"evil","error""#,
            r#"{"refresh_token":"evil","error":"caf¤"}"#,
            r#"{"refresh_token":"evil","error":"","error":"x"}"#,
            &deep,
        ] {
            assert_eq!(rescued("application/json", body), None, "{body}");
        }
    }

    #[test]
    fn the_new_refresh_token_of_a_broken_form_is_kept() {
        for (body, token) in [
            ("refresh_token=new&access_token=fake&token_type=Bearer&expires_in=x", Some("new")),
            ("refresh_token=n%65w&access_token=%EF&token_type=Bearer", Some("new")),
            ("scope=caf¤&refresh_token=new&access_token=fake&token_type=Bearer", Some("new")),
            ("access_token=fake&access_token=fake&token_type=Bearer&refresh_token=new", Some("new")),
            ("refresh_token=new&error=", Some("new")),
            ("refresh_token=evil&error=x", None),
            ("refresh_token=evil&error=%EF", None),
            ("refresh_token=evil%EF", None),
            ("refresh_token=evil&refresh_token=evil", None),
            ("refresh_token=evil%07", None),
            ("x=refresh_token%3Devil", None),
            ("x=%26refresh_token=evil", None),
            ("<p>&refresh_token=evil&", None),
            (r#""&refresh_token=evil&""#, None),
        ] {
            assert_eq!(rescued("text/html", body).as_deref(), token, "{body}");
        }
    }

    #[test]
    fn the_shape_of_an_answer_without_tokens() {
        for (body, shape) in [
            ("", Shape::Empty),
            (" \u{feff}", Shape::Other),
            (r#"{"error":"x"}"#, Shape::JsonError),
            (r#"{"error":7}"#, Shape::JsonError),
            (r#"{"error":"x","x":01}"#, Shape::JsonError),
            (r#"{"error":""}"#, Shape::Json),
            (r#"{"error":null}"#, Shape::Json),
            (r#"{"error":"x""#, Shape::Json),
            ("[]", Shape::Json),
            ("7", Shape::Json),
            ("<p>", Shape::Other),
            ("no", Shape::Other),
        ] {
            for status in [200, 400] {
                let unread = read_as(status, "application/json", body.as_bytes()).err().unwrap();
                assert_eq!(unread.shape, shape, "{status} {body}");
            }
        }
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
