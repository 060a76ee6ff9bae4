//! The stored form of an authorization server: the document of RFC 8414 §2, and what only this crate knows.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::document::{
    CLIENT_ID_METADATA_DOCUMENT, MTLS_ENDPOINT_ALIASES, NAMES, REQUIRES_PUSHED, REQUIRES_SIGNED, SETTINGS,
    read,
};
use crate::error::Error;
use crate::server::{AuthorizationServer, Leniency, UNNAMED};
use crate::text::json::{self, Member};
use crate::text::secret::is_printable;
use crate::text::uri::Endpoint;

/// Writes the document of RFC 8414 §2, with the settings that this RFC does not define under `oauth2_proto`.
impl Serialize for AuthorizationServer {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        let lists = [
            ("grant_types_supported", &self.grant_types_supported),
            ("token_endpoint_auth_methods_supported", &self.token_endpoint_auth_methods_supported),
            ("revocation_endpoint_auth_methods_supported", &self.revocation_endpoint_auth_methods_supported),
            (
                "introspection_endpoint_auth_methods_supported",
                &self.introspection_endpoint_auth_methods_supported,
            ),
            (
                "token_endpoint_auth_signing_alg_values_supported",
                &self.token_endpoint_auth_signing_alg_values_supported,
            ),
            (
                "revocation_endpoint_auth_signing_alg_values_supported",
                &self.revocation_endpoint_auth_signing_alg_values_supported,
            ),
            (
                "introspection_endpoint_auth_signing_alg_values_supported",
                &self.introspection_endpoint_auth_signing_alg_values_supported,
            ),
            ("code_challenge_methods_supported", &self.code_challenge_methods_supported),
            ("id_token_signing_alg_values_supported", &self.id_token_signing_alg_values_supported),
        ];
        let mut document = target.serialize_map(None)?;
        if let Some(issuer) = &self.issuer {
            document.serialize_entry("issuer", issuer.as_str())?;
        }
        let endpoints = self.endpoints().map(|(name, endpoint)| (name, endpoint.map(Endpoint::as_str)));
        for (name, endpoint) in endpoints {
            if let Some(url) = endpoint {
                document.serialize_entry(name, url)?;
            }
        }
        for (name, list) in lists {
            if let Some(list) = list {
                document.serialize_entry(name, list)?;
            }
        }
        if let Some(aliases) = &self.mtls_endpoint_aliases {
            let known = aliases.iter().map(|(name, alias)| (name, Value::from(alias.as_str())));
            let others = aliases.others.iter().map(|(name, value)| (name, value.clone()));
            let members: BTreeMap<&str, Value> = known.chain(others).collect();
            document.serialize_entry(MTLS_ENDPOINT_ALIASES, &members)?;
        }
        if self.authorization_response_iss_parameter_supported {
            document.serialize_entry("authorization_response_iss_parameter_supported", &true)?;
        }
        for (name, required) in [
            (REQUIRES_PUSHED, self.require_pushed_authorization_requests),
            (REQUIRES_SIGNED, self.require_signed_request_object),
        ] {
            if required {
                document.serialize_entry(name, &true)?;
            }
        }
        if let Some(takes) = self.client_id_metadata_document_supported {
            document.serialize_entry(CLIENT_ID_METADATA_DOCUMENT, &takes)?;
        }
        for (name, value) in self.extras.iter().flat_map(|extras| extras.iter()) {
            // The endpoint was left out as unsound, and then set by hand.
            let is_replaced = endpoints.iter().any(|(known, endpoint)| *known == name && endpoint.is_some());
            if !is_replaced {
                document.serialize_entry(name, value)?;
            }
        }
        let settings = settings(self);
        if !settings.is_empty() {
            document.serialize_entry(SETTINGS, &settings)?;
        }
        document.end()
    }
}

/// Reads a server that was serialized, or that you wrote as a document of RFC 8414 §2 yourself. Its token
/// endpoint is required, and its endpoints must obey the rules of [`AuthorizationServer::new`].
///
/// Use [`ServerDiscovery`](crate::discovery::ServerDiscovery) for a document from a server: it compares the
/// issuer, and takes no leniency from the document.
impl<'de> Deserialize<'de> for AuthorizationServer {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let mut members = [const { Member::Absent }; NAMES.len()];
        // The format's own error may quote what it found, such as a key in an address.
        let extras = json::read_from(source, NAMES, &mut members).map_err(|_| {
            D::Error::custom("an authorization server is an object, and this is none, or a broken one")
        })?;
        let refused =
            |error: Error| D::Error::custom(format!("in the authorization server: {}", error.message()));
        let stored = read(members, extras).map_err(refused)?;
        let server = match stored.issuer {
            Some(issuer) => stored.server.issuer(&issuer).map_err(refused)?,
            None => stored.server,
        };
        with_settings(server, stored.settings).map_err(refused)
    }
}

/// Returns the settings that differ from those of a new server.
fn settings(server: &AuthorizationServer) -> Map<String, Value> {
    let mut settings = Map::new();
    if server.name != UNNAMED {
        settings.insert("name".to_owned(), (*server.name).into());
    }
    if let Some(instead) = &server.instead_of_revocation {
        settings.insert("instead_of_revocation".to_owned(), (**instead).into());
    }
    for (name, value) in [
        ("https_redirect_uris_only", server.https_redirect_uris_only),
        ("access_tokens_end_with_refresh", server.access_tokens_end_with_refresh),
        ("refresh_repeats_scope", server.refresh_repeats_scope),
        ("refresh_repeats_resources", server.refresh_repeats_resources),
    ] {
        if value {
            settings.insert(name.to_owned(), true.into());
        }
    }
    if let Some(codes) = &server.invalid_grant_codes {
        settings.insert("invalid_grant_codes".to_owned(), codes.to_vec().into());
    }
    let tolerated = Leniency::ALL.into_iter().filter(|leniency| server.leniencies.has(*leniency));
    let tolerated: Vec<&str> = tolerated.map(Leniency::name).collect();
    if !tolerated.is_empty() {
        settings.insert("tolerate".to_owned(), tolerated.into());
    }
    settings
}

/// Applies stored settings.
///
/// # Errors
///
/// Invalid: a setting is unknown or of the wrong kind. Ignoring it could drop a check.
fn with_settings(
    mut server: AuthorizationServer,
    settings: Member<'_>,
) -> Result<AuthorizationServer, Error> {
    let settings = match settings {
        Member::Absent => return Ok(server),
        settings => settings.into_value(),
    };
    let Some(Value::Object(settings)) = settings else {
        return Err(Error::invalid("oauth2_proto is no object, or there twice"));
    };
    for (name, value) in settings {
        if !apply(&mut server, &name, &value) {
            return Err(Error::invalid(
                "oauth2_proto holds a setting or a value that this version of the crate does not know",
            ));
        }
    }
    Ok(server)
}

/// Applies one stored setting. Returns whether its name and its value are known.
fn apply(server: &mut AuthorizationServer, name: &str, value: &Value) -> bool {
    match (name, value) {
        // Messages show both as they are.
        ("name" | "instead_of_revocation", Value::String(text)) if !is_printable(text) => return false,
        ("name", Value::String(name)) => server.name = Cow::Owned(name.clone()),
        ("instead_of_revocation", Value::String(instead)) => {
            server.instead_of_revocation = Some(Cow::Owned(instead.clone()));
        }
        ("https_redirect_uris_only", Value::Bool(value)) => server.https_redirect_uris_only = *value,
        ("access_tokens_end_with_refresh", Value::Bool(value)) => {
            server.access_tokens_end_with_refresh = *value;
        }
        ("refresh_repeats_scope", Value::Bool(value)) => server.refresh_repeats_scope = *value,
        ("refresh_repeats_resources", Value::Bool(value)) => server.refresh_repeats_resources = *value,
        ("invalid_grant_codes", codes) => {
            let Some(codes) = list(codes) else { return false };
            server.invalid_grant_codes = Some(codes.into());
        }
        ("tolerate", names) => {
            let known = |name: String| Leniency::ALL.into_iter().find(|leniency| leniency.name() == name);
            let leniencies = list(names).and_then(|names| names.into_iter().map(known).collect());
            let Some::<Vec<_>>(leniencies) = leniencies else { return false };
            leniencies.into_iter().for_each(|leniency| server.leniencies.insert(leniency));
        }
        _ => return false,
    }
    true
}

/// Returns the texts of a list that holds nothing else.
fn list(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}
