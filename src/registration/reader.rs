//! The reader of registrations (RFC 7591 §3.2 and RFC 7592 §3).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::answer;
use crate::call::{Readable, Reply, Response, sealed};
use crate::error::Error;
use crate::registration::metadata::{AUTH_METHOD, REDIRECT_URIS, uses_secret};
use crate::registration::registered::{EXPIRES_AT, ISSUED_AT, Management, Registered, RegisteredAt};
use crate::text::json::{Extras, Member};
use crate::text::secret::Secret;
use crate::text::uri::Endpoint;

/// The context that the reader of a registration needs.
pub struct RegistrationContext {
    pub(super) at: RegisteredAt,
    /// The members that were sent, if any were.
    pub(super) asked: Option<Extras>,
    /// The registration that is read or updated.
    pub(super) previous: Option<Box<Registered>>,
}

impl Reply for Registered {}

impl sealed::Reply for Registered {
    type Context = RegistrationContext;
}

impl Readable for Registered {
    type Output = Self;

    fn read(response: Response<'_>, context: &RegistrationContext) -> Result<Self, Error> {
        let (members, mut metadata) = answer::read(&response, NAMES).map_err(Error::without_grant)?;
        let [client_id, client_secret, expires_at, issued_at, method, token, uri, redirect_uris] = members;
        let client_id = answer::text("client_id", client_id)?.ok_or_else(|| answer::missing("client_id"))?;
        let previous = context.previous.as_deref();
        if previous.is_some_and(|previous| previous.client_id != client_id) {
            return Err(Error::untrusted("it is the registration of another client_id"));
        }
        let client_secret = answer::secret("client_secret", client_secret)?;
        let mut expires_at = answer::unix_seconds(EXPIRES_AT, expires_at)?;
        let issued_at = answer::unix_seconds(ISSUED_AT, issued_at)?;
        let method = answer::text(AUTH_METHOD, method)?;
        let token = answer::secret("registration_access_token", token)?;
        let uri = read_address("registration_client_uri", uri)?;
        if let Some(uri) = &uri {
            let asked = context.at.token_endpoint.as_str();
            answer::check_host("registration_client_uri", uri.as_str(), "the server", asked)?;
        }
        let redirect_uris = answer::texts(REDIRECT_URIS, redirect_uris)?;

        // A server that stores a digest of the secret cannot send it again, so an answer without a secret
        // keeps it. A method without a secret ends it.
        let uses_secret = method.as_deref().is_none_or(uses_secret);
        let kept = previous.filter(|_| client_secret.is_none() && uses_secret);
        expires_at = expires_at.or(kept.and_then(|kept| kept.seconds(EXPIRES_AT)));
        let client_secret = client_secret.or(kept.and_then(|kept| kept.client_secret.clone()));

        for (name, value) in [
            ("client_id", Some(Value::from(client_id.as_str()))),
            (EXPIRES_AT, expires_at.map(Value::from)),
            (ISSUED_AT, issued_at.map(Value::from)),
            (AUTH_METHOD, method.as_deref().map(Value::from)),
            (REDIRECT_URIS, redirect_uris.map(Value::from)),
        ] {
            if let Some(value) = value {
                metadata.insert(name.to_owned(), value);
            }
        }
        let asked_method = context.asked.as_ref().and_then(|asked| asked.get(AUTH_METHOD)?.as_str());
        Ok(Self {
            at: context.at.clone(),
            client_id,
            client_secret,
            method: method
                .or(asked_method.map(str::to_owned))
                .or(previous.and_then(|previous| previous.method.clone())),
            management: management(uri, token, previous),
            changed: context.asked.as_ref().map(|asked| changed(asked, &metadata)).unwrap_or_default(),
            metadata,
        })
    }
}

/// Reads the address of an endpoint.
fn read_address(name: &str, member: Member<'_>) -> Result<Option<Endpoint>, Error> {
    let Some(url) = answer::text(name, member)? else { return Ok(None) };
    Endpoint::parse(&url, &[]).map(Some).map_err(|refused| Error::invalid(format!("{name} {refused}")))
}

/// Returns the address and the token that manage the registration; each stays where the answer has none.
fn management(
    uri: Option<Endpoint>,
    token: Option<Secret>,
    previous: Option<&Registered>,
) -> Option<Management> {
    let previous = previous.and_then(|previous| previous.management.as_ref());
    Some(Management {
        uri: uri.or(previous.map(|previous| previous.uri.clone()))?,
        token: token.or(previous.map(|previous| previous.token.clone()))?,
    })
}

/// Returns the names of the members that were answered with another value than asked for, sorted. A member
/// that the answer leaves out is not among them, because many servers answer a part of what they registered.
fn changed(asked: &Extras, answered: &Extras) -> Vec<String> {
    let changed = asked.iter().filter(|(name, asked)| match answered.get(name) {
        None | Some(Value::Null) => false,
        Some(answered) => !is_same(name, asked, answered),
    });
    let mut changed: Vec<String> = changed.map(|(name, _)| name.to_owned()).collect();
    changed.sort_unstable();
    changed
}

/// Compares two values; lists and scopes as sets.
fn is_same(name: &str, one: &Value, other: &Value) -> bool {
    match (elements(name, one), elements(name, other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// Returns the elements of a list, or the tokens of a scope, each as JSON.
fn elements(name: &str, value: &Value) -> Option<BTreeSet<String>> {
    match value {
        Value::Array(values) => Some(values.iter().map(Value::to_string).collect()),
        Value::String(text) if name == "scope" => {
            Some(text.split(' ').filter(|it| !it.is_empty()).map(|it| Value::from(it).to_string()).collect())
        }
        _ => None,
    }
}

/// The members that this crate reads, in the order in which [`Readable::read`] takes them apart.
const NAMES: &[&str; 8] = &[
    "client_id",
    "client_secret",
    EXPIRES_AT,
    ISSUED_AT,
    AUTH_METHOD,
    "registration_access_token",
    "registration_client_uri",
    REDIRECT_URIS,
];
