//! The stored form of a registration.

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::registration::registered::{Management, Registered, RegisteredAt};
use crate::registration::to_json;
use crate::server::parse_endpoint;
use crate::text::json::Extras;
use crate::text::salvage;
use crate::text::secret::{self, Secret, is_printable};
use crate::text::uri::{Endpoint, Issuer};

impl Serialize for Registered {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        let metadata = Secret::new(to_json(&self.metadata).map_err(S::Error::custom)?);
        let management = self.management.as_ref();
        Stored {
            version: VERSION,
            issuer: self.at.issuer.as_ref().map_or("", Issuer::as_str),
            token_endpoint: self.at.token_endpoint.as_str(),
            client_id: &self.client_id,
            client_secret: self.client_secret.as_ref().map_or("", Secret::expose),
            token_endpoint_auth_method: self.method.as_deref().unwrap_or_default(),
            registration_client_uri: management.map_or("", |management| management.uri.as_str()),
            registration_access_token: management.map_or("", |management| management.token.expose()),
            changed: &self.changed,
            metadata: metadata.expose(),
        }
        .serialize(target)
    }
}

impl<'de> Deserialize<'de> for Registered {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        // The format's own error may quote what it found, such as the client secret.
        let not_stored =
            || D::Error::custom("not a stored registration, or a damaged one; register the client again");
        let restored = Restored::deserialize(source).map_err(|_| not_stored())?;
        // Other JSON may have a version, too; every registration has a client_id.
        if restored.version == 0 || restored.client_id.is_empty() {
            return Err(not_stored());
        }
        if restored.version != VERSION {
            return Err(D::Error::custom(format!(
                "this registration has the form of version {}, and this version of the crate reads version \
                 {VERSION}; update the crate, or register the client again",
                restored.version
            )));
        }
        let damaged = |what: &str| {
            D::Error::custom(format!(
                "{what} of the stored registration is damaged; register the client again"
            ))
        };
        let issuer = match restored.issuer.as_str() {
            "" => None,
            issuer => Some(Issuer::parse(issuer).map_err(|_| damaged("issuer"))?),
        };
        let token_endpoint = parse_endpoint("token endpoint", &restored.token_endpoint);
        let uri = match restored.registration_client_uri.as_str() {
            "" => None,
            uri => Some(Endpoint::parse(uri, &[]).map_err(|_| damaged("registration_client_uri"))?),
        };
        let token =
            given(restored.registration_access_token).map_err(|()| damaged("registration_access_token"));
        let management = match (uri, token?) {
            (Some(uri), Some(token)) => Some(Management { uri, token }),
            (None, None) => None,
            (Some(_), None) => return Err(damaged("registration_access_token")),
            (None, Some(_)) => return Err(damaged("registration_client_uri")),
        };
        Ok(Self {
            at: RegisteredAt {
                issuer,
                token_endpoint: token_endpoint.map_err(|_| damaged("token_endpoint"))?,
            },
            client_id: restored.client_id,
            client_secret: given(restored.client_secret).map_err(|()| damaged("client_secret"))?,
            method: Some(restored.token_endpoint_auth_method).filter(|method| !method.is_empty()),
            management,
            changed: restored.changed,
            metadata: read_metadata(&restored.metadata).ok_or_else(|| damaged("metadata"))?,
        })
    }
}

/// Reads a secret; an empty one counts as absent.
fn given(secret: Secret) -> Result<Option<Secret>, ()> {
    match secret.expose() {
        "" => Ok(None),
        text if is_printable(text) => Ok(Some(secret)),
        _ => Err(()),
    }
}

/// Reads the metadata by the reader that took it from the answer, which bounds the nesting.
fn read_metadata(metadata: &Secret) -> Option<Extras> {
    match salvage::read(metadata.expose().as_bytes(), &[], &mut []) {
        (metadata, None) => Some(metadata),
        (_, Some(_)) => None,
    }
}

/// Absent texts are empty, and the metadata is JSON in a text, so that formats without names and kinds of
/// values can hold it, too.
#[derive(Serialize)]
struct Stored<'a> {
    version: u32,
    issuer: &'a str,
    token_endpoint: &'a str,
    client_id: &'a str,
    client_secret: &'a str,
    token_endpoint_auth_method: &'a str,
    registration_client_uri: &'a str,
    registration_access_token: &'a str,
    changed: &'a [String],
    metadata: &'a str,
}

/// Every member has a default, so that a form of another version fails on its version and not on its members.
/// No form has version 0.
#[derive(Deserialize)]
#[serde(default)]
struct Restored {
    version: u32,
    issuer: String,
    token_endpoint: String,
    client_id: String,
    #[serde(deserialize_with = "secret::deserialize")]
    client_secret: Secret,
    token_endpoint_auth_method: String,
    registration_client_uri: String,
    #[serde(deserialize_with = "secret::deserialize")]
    registration_access_token: Secret,
    changed: Vec<String>,
    #[serde(deserialize_with = "secret::deserialize")]
    metadata: Secret,
}

impl Default for Restored {
    fn default() -> Self {
        Self {
            version: 0,
            issuer: String::new(),
            token_endpoint: String::new(),
            client_id: String::new(),
            client_secret: Secret::new(""),
            token_endpoint_auth_method: String::new(),
            registration_client_uri: String::new(),
            registration_access_token: Secret::new(""),
            changed: Vec::new(),
            metadata: Secret::new(""),
        }
    }
}

/// The version of the stored form.
const VERSION: u32 = 1;
