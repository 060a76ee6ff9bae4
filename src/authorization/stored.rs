//! The stored form of a pending authorization.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::authorization::callback::RESPONSE_PARAMETERS;
use crate::authorization::pending::{PendingAuthorization, USED};
use crate::authorization::pkce::CodeVerifier;
use crate::client::StartedBy;
use crate::text::scope::Scope;
use crate::text::secret::{self, Secret, ShortSecret};
use crate::text::uri::{RedirectUri, Resource};

/// Fails after a callback was accepted: a used authorization must not come back from a store.
impl Serialize for PendingAuthorization {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        let verifier = self.verifier.as_ref().ok_or(S::Error::custom(USED))?;
        Stored {
            version: if self.signed_response { SIGNED_VERSION } else { VERSION },
            client: URL_SAFE_NO_PAD.encode(self.started_by.0),
            started_at: self.started_at,
            expires_at: self.expires_at,
            state: self.state.expose(),
            code_verifier: verifier.expose(),
            redirect_uri: self.redirect_uri.as_str(),
            scope: self.scope.as_str(),
            resources: self.resources.iter().map(Resource::as_str).collect(),
            signed_response: self.signed_response,
        }
        .serialize(target)
    }
}

impl<'de> Deserialize<'de> for PendingAuthorization {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        // The format's own error may quote what it found, such as the verifier.
        let not_stored = || {
            D::Error::custom("not a stored pending authorization, or a damaged one; let the user start again")
        };
        let restored = Restored::deserialize(source).map_err(|_| not_stored())?;
        // Other JSON may have a version, too; every pending authorization has a verifier.
        if restored.version == 0 || restored.code_verifier.expose().is_empty() {
            return Err(not_stored());
        }
        if !matches!(restored.version, VERSION | SIGNED_VERSION) {
            return Err(D::Error::custom(format!(
                "this pending authorization has the form of version {}, and this version of the crate reads \
                 versions {VERSION} and {SIGNED_VERSION}; let the user start again",
                restored.version
            )));
        }
        let damaged = |what: &str| {
            D::Error::custom(format!(
                "{what} of the stored pending authorization is damaged; let the user start again"
            ))
        };
        if restored.signed_response != (restored.version == SIGNED_VERSION) {
            return Err(damaged("signed_response"));
        }
        let started_by =
            URL_SAFE_NO_PAD.decode(&restored.client).ok().and_then(|bytes| bytes.try_into().ok());
        let state = Some(restored.state).filter(|state| !state.expose().is_empty());
        let verifier = CodeVerifier::new(restored.code_verifier.expose());
        let redirect_uri = RedirectUri::parse(restored.redirect_uri, RESPONSE_PARAMETERS);
        let resources = restored.resources.into_iter().map(Resource::parse).collect::<Result<_, _>>();
        Ok(Self {
            started_by: started_by.map(StartedBy).ok_or_else(|| damaged("client"))?,
            started_at: restored.started_at,
            expires_at: restored.expires_at,
            state: state.map(ShortSecret::Given).ok_or_else(|| damaged("state"))?,
            verifier: Some(verifier.map_err(|_| damaged("code_verifier"))?),
            redirect_uri: redirect_uri.map_err(|_| damaged("redirect_uri"))?,
            scope: Scope::parse(restored.scope).map_err(|_| damaged("scope"))?,
            resources: resources.map_err(|_| damaged("a resource"))?,
            signed_response: restored.signed_response,
        })
    }
}

#[derive(Serialize)]
struct Stored<'a> {
    version: u32,
    client: String,
    started_at: u64,
    expires_at: u64,
    state: &'a str,
    code_verifier: &'a str,
    redirect_uri: &'a str,
    scope: &'a str,
    resources: Vec<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    signed_response: bool,
}

/// Every member has a default, so that a form of another version fails on its version and not on its members.
/// No form has version 0.
#[derive(Deserialize)]
#[serde(default)]
struct Restored {
    version: u32,
    client: String,
    started_at: u64,
    expires_at: u64,
    #[serde(deserialize_with = "secret::deserialize")]
    state: Secret,
    #[serde(deserialize_with = "secret::deserialize")]
    code_verifier: Secret,
    redirect_uri: String,
    scope: String,
    resources: Vec<String>,
    signed_response: bool,
}

impl Default for Restored {
    fn default() -> Self {
        Self {
            version: 0,
            client: String::new(),
            started_at: 0,
            expires_at: 0,
            state: Secret::new(""),
            code_verifier: Secret::new(""),
            redirect_uri: String::new(),
            scope: String::new(),
            resources: Vec::new(),
            signed_response: false,
        }
    }
}

/// The version of the stored form.
const VERSION: u32 = 1;

/// The version of an authorization whose response must be signed. An earlier version of the crate refuses it,
/// and would otherwise take a response without a signature.
const SIGNED_VERSION: u32 = 2;
