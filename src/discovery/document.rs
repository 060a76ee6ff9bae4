//! The document of an authorization server (RFC 8414 §2), and its reader.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use crate::answer;
use crate::error::Error;
use crate::server::{
    AuthorizationServer, MtlsAliases, parse_authorization_endpoint, parse_end_session_endpoint,
    parse_endpoint,
};
use crate::text::json::{Extras, Member};
use crate::text::uri::Endpoint;

/// The members of a document that have a fixed kind, in the order in which [`read`] takes them apart.
pub(super) const NAMES: &[&str; 28] = &[
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "device_authorization_endpoint",
    "introspection_endpoint",
    "pushed_authorization_request_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
    "jwks_uri",
    "userinfo_endpoint",
    "end_session_endpoint",
    "scopes_supported",
    "response_types_supported",
    "grant_types_supported",
    "token_endpoint_auth_methods_supported",
    "revocation_endpoint_auth_methods_supported",
    "introspection_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "revocation_endpoint_auth_signing_alg_values_supported",
    "introspection_endpoint_auth_signing_alg_values_supported",
    MTLS_ENDPOINT_ALIASES,
    "code_challenge_methods_supported",
    "id_token_signing_alg_values_supported",
    "authorization_response_iss_parameter_supported",
    REQUIRES_PUSHED,
    REQUIRES_SIGNED,
    CLIENT_ID_METADATA_DOCUMENT,
    SETTINGS,
];

pub(super) const MTLS_ENDPOINT_ALIASES: &str = "mtls_endpoint_aliases";

pub(super) const REQUIRES_PUSHED: &str = "require_pushed_authorization_requests";

pub(super) const REQUIRES_SIGNED: &str = "require_signed_request_object";

pub(super) const CLIENT_ID_METADATA_DOCUMENT: &str = "client_id_metadata_document_supported";

/// The member for the settings of this crate that RFC 8414 does not define. Only a stored document may hold
/// it: a server must not switch on its own leniencies.
pub(super) const SETTINGS: &str = "oauth2_proto";

/// A document as read. The caller checks the issuer and the settings before it adds them to the server.
pub(super) struct Document<'a> {
    pub(super) server: AuthorizationServer,
    pub(super) issuer: Option<String>,
    pub(super) settings: Member<'a>,
}

/// Builds a server from the members of its document.
///
/// # Errors
///
/// Invalid: a member is of the wrong kind, there is no token endpoint, or the address of the token or the
/// authorization endpoint is unsound.
pub(super) fn read<'a>(members: [Member<'a>; 28], mut extras: Extras) -> Result<Document<'a>, Error> {
    let [
        issuer,
        authorization_endpoint,
        token_endpoint,
        device_authorization_endpoint,
        introspection_endpoint,
        pushed_authorization_request_endpoint,
        registration_endpoint,
        revocation_endpoint,
        jwks_uri,
        userinfo_endpoint,
        end_session_endpoint,
        scopes,
        response_types,
        grant_types,
        auth_methods,
        revocation_auth_methods,
        introspection_auth_methods,
        auth_algorithms,
        revocation_auth_algorithms,
        introspection_auth_algorithms,
        mtls_aliases,
        challenge_methods,
        id_token_algorithms,
        sends_iss,
        requires_pushed,
        requires_signed,
        takes_client_documents,
        settings,
    ] = members;
    extras.keep_storable();
    let issuer = answer::text("issuer", issuer)?;
    let authorization_endpoint = answer::text("authorization_endpoint", authorization_endpoint)?
        .map(|url| parse_authorization_endpoint(&url).map_err(Error::of_answer))
        .transpose()?;
    let token_endpoint =
        answer::text("token_endpoint", token_endpoint)?.ok_or_else(|| answer::missing("token_endpoint"))?;
    let token_endpoint = parse_endpoint("token endpoint", &token_endpoint).map_err(Error::of_answer)?;
    let mut server = AuthorizationServer::with_endpoints(authorization_endpoint, token_endpoint);
    for (name, member, endpoint) in [
        (
            "device_authorization_endpoint",
            device_authorization_endpoint,
            &mut server.device_authorization_endpoint,
        ),
        ("introspection_endpoint", introspection_endpoint, &mut server.introspection_endpoint),
        (
            "pushed_authorization_request_endpoint",
            pushed_authorization_request_endpoint,
            &mut server.pushed_authorization_request_endpoint,
        ),
        ("registration_endpoint", registration_endpoint, &mut server.registration_endpoint),
        ("revocation_endpoint", revocation_endpoint, &mut server.revocation_endpoint),
        ("jwks_uri", jwks_uri, &mut server.jwks_uri),
        ("userinfo_endpoint", userinfo_endpoint, &mut server.userinfo_endpoint),
    ] {
        let parse = |url: &str| parse_endpoint(name, url);
        *endpoint = optional_endpoint(name, member, parse, &mut extras)?;
    }
    server.end_session_endpoint = optional_endpoint(
        "end_session_endpoint",
        end_session_endpoint,
        parse_end_session_endpoint,
        &mut extras,
    )?;
    for (name, member) in [("scopes_supported", scopes), ("response_types_supported", response_types)] {
        if let Some(list) = answer::texts(name, member)? {
            extras.insert(name.to_owned(), list.into());
        }
    }
    for (name, member, list) in [
        ("grant_types_supported", grant_types, &mut server.grant_types_supported),
        (
            "token_endpoint_auth_methods_supported",
            auth_methods,
            &mut server.token_endpoint_auth_methods_supported,
        ),
        (
            "revocation_endpoint_auth_methods_supported",
            revocation_auth_methods,
            &mut server.revocation_endpoint_auth_methods_supported,
        ),
        (
            "introspection_endpoint_auth_methods_supported",
            introspection_auth_methods,
            &mut server.introspection_endpoint_auth_methods_supported,
        ),
        (
            "token_endpoint_auth_signing_alg_values_supported",
            auth_algorithms,
            &mut server.token_endpoint_auth_signing_alg_values_supported,
        ),
        (
            "revocation_endpoint_auth_signing_alg_values_supported",
            revocation_auth_algorithms,
            &mut server.revocation_endpoint_auth_signing_alg_values_supported,
        ),
        (
            "introspection_endpoint_auth_signing_alg_values_supported",
            introspection_auth_algorithms,
            &mut server.introspection_endpoint_auth_signing_alg_values_supported,
        ),
        ("code_challenge_methods_supported", challenge_methods, &mut server.code_challenge_methods_supported),
        (
            "id_token_signing_alg_values_supported",
            id_token_algorithms,
            &mut server.id_token_signing_alg_values_supported,
        ),
    ] {
        let texts = answer::texts(name, member)?;
        *list = texts.map(|texts| texts.into_iter().map(Cow::Owned).collect());
    }
    server.mtls_endpoint_aliases = mtls_endpoint_aliases(mtls_aliases)?.map(Arc::new);
    server.authorization_response_iss_parameter_supported =
        answer::boolean("authorization_response_iss_parameter_supported", sends_iss)?.unwrap_or_default();
    server.require_pushed_authorization_requests =
        answer::boolean(REQUIRES_PUSHED, requires_pushed)?.unwrap_or_default();
    server.require_signed_request_object =
        answer::boolean(REQUIRES_SIGNED, requires_signed)?.unwrap_or_default();
    server.client_id_metadata_document_supported =
        answer::boolean(CLIENT_ID_METADATA_DOCUMENT, takes_client_documents)?;
    server.extras = Some(Arc::new(extras)).filter(|extras| extras.iter().next().is_some());
    Ok(Document { server, issuer, settings })
}

/// Reads an endpoint that a server may lack. One with an unsound address counts as missing, and its text is
/// kept among the other members: `AuthorizationServer::require` then says what is wrong with it.
fn optional_endpoint(
    name: &str,
    member: Member<'_>,
    parse: impl Fn(&str) -> Result<Endpoint, Error>,
    extras: &mut Extras,
) -> Result<Option<Endpoint>, Error> {
    match member {
        Member::Absent => Ok(None),
        Member::Text(url) => match parse(&url) {
            Ok(endpoint) => Ok(Some(endpoint)),
            Err(_) => {
                extras.insert(name.to_owned(), (*url).into());
                Ok(None)
            }
        },
        _ => Err(Error::invalid(format!("{name} is no text, or there twice"))),
    }
}

/// Reads the addresses of endpoints for clients that present a certificate (RFC 8705 §5).
fn mtls_endpoint_aliases(member: Member<'_>) -> Result<Option<MtlsAliases>, Error> {
    let members = match member {
        Member::Absent => return Ok(None),
        member => match member.into_value() {
            Some(Value::Object(members)) => members,
            _ => return Err(Error::invalid("mtls_endpoint_aliases is no object, or there twice")),
        },
    };
    let mut aliases = MtlsAliases::default();
    for (name, value) in members {
        let known = MtlsAliases::NAMES.into_iter().find(|known| *known == name);
        match (known, &value) {
            (_, Value::Null) => {}
            (Some(known), Value::String(url)) => match parse_endpoint(known, url) {
                Ok(alias) => aliases.set(known, alias),
                // `MtlsAliases::of` says what is wrong with it.
                Err(_) => aliases.others.insert(name, value),
            },
            (Some(known), _) => {
                return Err(Error::invalid(format!("{known} in mtls_endpoint_aliases is no text")));
            }
            (None, Value::String(_)) => aliases.others.insert(name, value),
            // No address.
            (None, _) => {}
        }
    }
    Ok(Some(aliases))
}
