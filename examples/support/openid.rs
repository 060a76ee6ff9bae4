//! The OpenID part of the embedded server: its metadata, its keys, ID tokens, claims about the user, and the
//! sign-out. It needs the feature `keys`.

#![allow(dead_code, reason = "each file that includes this one uses a part of it")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use oauth2_proto::Error;
use oauth2_proto::jose::{Algorithm, LocalKey, LocalVerifier, Signer, Verifier};
use oxide_auth::frontends::simple::extensions::{AccessTokenAddon, AccessTokenRequest, AddonResult};
use oxide_auth::frontends::simple::extensions::{AuthorizationAddon, AuthorizationRequest};
use oxide_auth::primitives::grant::{Grant, GrantExtension, Value as Kept};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::server::{AuthorizationServer, HttpRequest, HttpResponse, Part};

/// The lifetime of an ID token.
const LIFETIME: Duration = Duration::from_secs(300);

/// The OpenID part of the server. All of its signatures are of `ES256`; a provider on the internet must offer
/// `RS256`, too (OpenID Connect Discovery §3).
pub struct OpenId {
    /// The server publishes each of them, and signs with the last one.
    keys: Mutex<Vec<LocalKey>>,
    /// The addresses to which the browser may go after the sign-out, compared as text.
    post_logout_redirect_uris: Vec<String>,
}

impl OpenId {
    /// Makes a key. An error says that the operating system has no random bytes.
    pub fn new(post_logout_redirect_uris: impl IntoIterator<Item = String>) -> Result<Arc<Self>, Error> {
        let openid = Self {
            keys: Mutex::default(),
            post_logout_redirect_uris: post_logout_redirect_uris.into_iter().collect(),
        };
        openid.change_key()?;
        Ok(Arc::new(openid))
    }

    /// Signs with a new key from now on. The earlier ones stay published (OpenID Connect Core §10.1.1).
    pub fn change_key(&self) -> Result<(), Error> {
        let mut keys = self.keys();
        let name = format!("fake-key-{}", keys.len() + 1);
        keys.push(LocalKey::generate(Algorithm::ES256)?.with_key_id(name));
        Ok(())
    }

    fn keys(&self) -> MutexGuard<'_, Vec<LocalKey>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the JWK set (RFC 7517 §5).
    fn key_set(&self) -> Value {
        let keys: Vec<Value> = self.keys().iter().map(|key| key.public_key().to_jwk()).collect();
        json!({ "keys": keys })
    }

    /// Returns a signed token with these claims (RFC 7515 §7.1); `None` if it cannot be signed.
    fn sign(&self, claims: &Value) -> Option<String> {
        let keys = self.keys();
        let key = keys.last()?;
        let header = json!({ "alg": key.algorithm().name(), "kid": key.public_key().key_id() });
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", part(&header), part(claims));
        let signature = key.sign(message.as_bytes()).ok()?;
        Some(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Returns whether this server has signed the token, now or earlier.
    fn has_signed(&self, token: &str) -> bool {
        let Some((message, signature)) = token.rsplit_once('.') else { return false };
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        self.keys().iter().any(|key| {
            LocalVerifier.verifies(key.algorithm(), key.public_key(), message.as_bytes(), &signature)
        })
    }

    /// Signs the user out (OpenID Connect RP-Initiated Logout §2 and §3). This server keeps no session in the
    /// browser, so there is nothing to end.
    fn log_out(&self, parameters: &HashMap<String, String>) -> HttpResponse {
        let parameter = |name| parameters.get(name).map(String::as_str);
        // Any age is accepted. A real server asks the user if there is no token.
        if !parameter("id_token_hint").is_some_and(|token| self.has_signed(token)) {
            return HttpResponse::page(400, "This sign-out cannot be trusted.");
        }
        let Some(wanted) = parameter("post_logout_redirect_uri") else {
            return HttpResponse::page(200, "You are signed out.");
        };
        let registered = self.post_logout_redirect_uris.iter().find(|uri| *uri == wanted);
        let Some(mut url) = registered.and_then(|uri| Url::parse(uri).ok()) else {
            return HttpResponse::page(400, "The address to go to is not registered.");
        };
        if let Some(state) = parameter("state") {
            url.query_pairs_mut().append_pair("state", state);
        }
        HttpResponse::page(302, "").with_header("Location", url)
    }
}

impl Part for OpenId {
    /// Answers the metadata, the keys, UserInfo and the sign-out.
    fn handle(&self, server: &AuthorizationServer, request: &HttpRequest<'_>) -> Option<HttpResponse> {
        let path = request.target.split('?').next().unwrap_or_default();
        Some(match (request.method, path) {
            ("GET", "/.well-known/openid-configuration") => {
                HttpResponse::json(200, &metadata(&request.base_url()))
            }
            ("GET", "/jwks") => HttpResponse::json(200, &self.key_set()),
            ("GET" | "POST", "/userinfo") => server.api(request, user),
            ("GET" | "POST", "/logout") => self.log_out(&request.parameters().unwrap_or_default()),
            _ => return None,
        })
    }

    /// Adds an ID token if the scope contains `openid`.
    #[allow(clippy::disallowed_methods, reason = "a server keeps its own time")]
    fn add_members(&self, issuer: &str, grant: &Grant, is_refresh: bool, body: &mut Value) {
        let kept = grant.extensions.clone().remove(self).and_then(|kept| kept.into_private_value().ok()?);
        let request: Value = kept.and_then(|kept| serde_json::from_str(&kept).ok()).unwrap_or_default();
        let access_token = body["access_token"].as_str().unwrap_or_default();
        let digest = Sha256::digest(access_token);
        let now = unix_seconds(SystemTime::now());
        let mut claims = json!({
            "iss": issuer,
            "sub": grant.owner_id,
            "aud": grant.client_id,
            "exp": now + LIFETIME.as_secs(),
            "iat": now,
            "auth_time": request["auth_time"],
            "at_hash": URL_SAFE_NO_PAD.encode(&digest[..digest.len() / 2]),
        });
        // The ID token of a refresh is not the answer to a request with a nonce (OpenID Connect Core §12.2).
        if !is_refresh && request["nonce"].is_string() {
            claims["nonce"] = request["nonce"].clone();
        }
        if has_scope(grant, "openid")
            && let Some(token) = self.sign(&claims)
        {
            body["id_token"] = token.into();
        }
    }
}

impl GrantExtension for OpenId {
    fn identifier(&self) -> &'static str {
        "openid"
    }
}

impl AuthorizationAddon for OpenId {
    /// Keeps the nonce, and the time: the owner of this server signs in anew for each request.
    #[allow(clippy::disallowed_methods, reason = "a server keeps its own time")]
    fn execute(&self, request: &dyn AuthorizationRequest) -> AddonResult {
        let auth_time = unix_seconds(SystemTime::now());
        let kept = json!({ "nonce": request.extension("nonce"), "auth_time": auth_time });
        AddonResult::Data(Kept::private(Some(kept.to_string())))
    }
}

impl AccessTokenAddon for OpenId {
    /// Keeps with the tokens what was kept with the code.
    fn execute(&self, _: &dyn AccessTokenRequest, kept: Option<Kept>) -> AddonResult {
        kept.map_or(AddonResult::Ok, AddonResult::Data)
    }
}

/// Returns the metadata of the server (OpenID Connect Discovery §3).
fn metadata(base: &str) -> Value {
    json!({
        "issuer": base,
        "authorization_endpoint": format!("{base}/oauth/authorize"),
        "token_endpoint": format!("{base}/oauth/token"),
        "introspection_endpoint": format!("{base}/oauth/token/introspect"),
        "revocation_endpoint": format!("{base}/oauth/revoke"),
        "device_authorization_endpoint": format!("{base}/oauth/device_authorization"),
        "jwks_uri": format!("{base}/jwks"),
        "userinfo_endpoint": format!("{base}/userinfo"),
        "end_session_endpoint": format!("{base}/logout"),
        "response_types_supported": ["code"],
        "grant_types_supported": [
            "authorization_code",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [Algorithm::ES256.name()],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
    })
}

/// Returns the claims about the user of an access token (OpenID Connect Core §5.4).
fn user(grant: Grant) -> Value {
    let mut claims = json!({ "sub": grant.owner_id });
    if has_scope(&grant, "email") {
        claims["email"] = "fake-user@example.com".into();
        claims["email_verified"] = true.into();
    }
    claims
}

fn has_scope(grant: &Grant, wanted: &str) -> bool {
    grant.scope.iter().any(|scope| scope == wanted)
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
