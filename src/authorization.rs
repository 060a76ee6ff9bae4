//! From the authorization request to the checked response (RFC 6749 §4.1).

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::call::{Call, Context};
use crate::callback::{self, Callback, Expected, RESPONSE_PARAMETERS};
use crate::client::Client;
use crate::error::{Error, Foreign, ForeignAddress, Retry};
use crate::form;
use crate::pkce::{CodeVerifier, Entropy};
use crate::scope::Scope;
use crate::secret::{self, Secret, ShortSecret};
use crate::server::{
    AUTHORIZATION_PARAMETERS, check_resources, check_web_address, is_absolute_uri, is_response_mode, query_of,
};
use crate::time::{system_time, unix_seconds};
use crate::token::TokenResponse;

impl Client {
    /// Starts an authorization (RFC 6749 §4.1.1) that comes back to `redirect_uri`, which is sent byte for
    /// byte as given.
    pub fn authorize<'a>(&'a self, redirect_uri: &'a str) -> AuthorizationRequest<'a> {
        AuthorizationRequest {
            client: self,
            redirect_uri,
            scope: Scope::default(),
            parameters: Vec::new(),
            resources: Vec::new(),
            lifetime: PendingAuthorization::LIFETIME,
            misuse: None,
        }
    }
}

/// An authorization request about to be started; made by [`Client::authorize`].
#[must_use = "an authorization is started by `start`"]
pub struct AuthorizationRequest<'a> {
    client: &'a Client,
    redirect_uri: &'a str,
    scope: Scope,
    parameters: Vec<(&'a str, &'a str)>,
    resources: Vec<&'a str>,
    lifetime: Duration,
    misuse: Option<Error>,
}

impl<'a> AuthorizationRequest<'a> {
    /// Asks for scopes, each a token of its own (RFC 6749 §3.3); repeatable.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        if let Err(error) = self.scope.extend(scopes) {
            self.misuse.get_or_insert(error);
        }
        self
    }

    /// Adds a parameter that this crate does not set itself, such as `prompt`; of `response_mode` only `query` and
    /// `form_post` are taken.
    pub fn parameter(mut self, name: &'a str, value: &'a str) -> Self {
        self.parameters.push((name, value));
        self
    }

    /// Names a resource that the access token is for (RFC 8707 §2.1); repeatable, and repeated in the
    /// token request.
    pub fn resource(mut self, resource: &'a str) -> Self {
        self.resources.push(resource);
        self
    }

    /// How long the user may take to come back, in whole seconds, in place of
    /// [`PendingAuthorization::LIFETIME`].
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Makes the URL for the user's browser, and what must be kept until the browser comes back.
    ///
    /// The verifier and the `state` are made from the operating system's random bytes.
    ///
    /// # Errors
    ///
    /// Misuse, if the redirect URI is not absolute or not one that the server takes, is `http` to another address
    /// than a loopback one, holds user information or has a parameter of the response in its query; if a scope,
    /// a resource or a parameter is not well-formed; or if a parameter is one that this crate sets or the authorization endpoint brings.
    #[cfg(feature = "os-random")]
    pub fn start(self, now: SystemTime) -> Result<(String, PendingAuthorization), Error> {
        self.start_with(Entropy::from_os()?, now)
    }

    /// The same with random bytes of the caller's.
    ///
    /// # Errors
    ///
    /// As for `start`.
    pub fn start_with(
        self,
        entropy: Entropy,
        now: SystemTime,
    ) -> Result<(String, PendingAuthorization), Error> {
        self.check()?;
        let state = ShortSecret::from_random(&entropy.state);
        let verifier = CodeVerifier::from_random(&entropy.verifier);
        let url = self.url(state.expose(), |url| verifier.push_challenge(url));
        let started_at = unix_seconds(now);
        let pending = PendingAuthorization {
            client: self.client.identity,
            started_at,
            expires_at: started_at.saturating_add(self.lifetime.as_secs()),
            state,
            verifier: Some(verifier),
            redirect_uri: self.redirect_uri.to_owned(),
            scope: self.scope,
            resources: self.resources.iter().map(|resource| (*resource).to_owned()).collect(),
        };
        Ok((url, pending))
    }

    fn check(&self) -> Result<(), Error> {
        if let Some(misuse) = &self.misuse {
            return Err(misuse.clone());
        }
        let server = &self.client.server;
        server.check_grant_type("authorization_code")?;
        if server.https_redirect_uris_only && !self.redirect_uri.starts_with("https://") {
            return Err(Error::misuse(format!(
                "{} takes https redirect URIs only, not {}",
                server.name,
                ForeignAddress(self.redirect_uri)
            )));
        }
        check_redirect_uri(self.redirect_uri)?;
        check_resources(&self.resources)?;
        let endpoint = || form::pairs(query_of(&server.authorization_endpoint)).flatten();
        for (index, (name, value)) in self.parameters.iter().enumerate() {
            let why = if name.is_empty() {
                "has no name"
            } else if AUTHORIZATION_PARAMETERS.contains(name) {
                "is one that this crate sets or keeps out"
            } else if *name == "resource" {
                "has a method of its own, which also puts it into the token request"
            } else if *name == "response_mode" && !is_response_mode(value) {
                "asks for an answer that is open to the page: only query and form_post are not"
            } else if self.parameters.iter().take(index).any(|(earlier, _)| earlier == name) {
                "is there twice, which RFC 6749 section 3.1 forbids"
            } else if endpoint().any(|(own, _)| own == *name) {
                "is in the authorization endpoint's own query, and RFC 6749 section 3.1 forbids it twice"
            } else {
                continue;
            };
            return Err(Error::misuse(format!("the extra parameter {} {why}", Foreign(name))));
        }
        Ok(())
    }

    fn url(&self, state: &str, push_challenge: impl FnOnce(&mut String)) -> String {
        let start = &self.client.authorization_url_start;
        let resources = self.resources.iter().map(|resource| ("resource", *resource));
        let others = || resources.clone().chain(self.parameters.iter().copied());

        // Room for everything, so that the URL is built in one allocation: an escape has three bytes, and the
        // names, the state and the challenge fit into what is added.
        let others_length: usize = others().map(|(name, value)| name.len() + value.len() + 2).sum();
        let escaped = self.redirect_uri.len() + self.scope.as_str().len() + others_length;
        let mut url = String::with_capacity(start.len() + 3 * escaped + 192);
        url.push_str(start);
        url.push_str("&redirect_uri=");
        form::push_escaped(&mut url, self.redirect_uri);
        if !self.scope.as_str().is_empty() {
            url.push_str("&scope=");
            form::push_escaped(&mut url, self.scope.as_str());
        }
        url.push_str("&state=");
        form::push_escaped(&mut url, state);
        url.push_str("&code_challenge=");
        push_challenge(&mut url);
        for (name, value) in others() {
            url.push('&');
            form::push_escaped(&mut url, name);
            url.push('=');
            form::push_escaped(&mut url, value);
        }
        url
    }
}

impl fmt::Debug for AuthorizationRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("redirect_uri", &self.redirect_uri)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// RFC 6749 §3.1.2 and RFC 9700 §2.6, and that a callback to it can be read: the server appends its parameters to the
/// query.
fn check_redirect_uri(uri: &str) -> Result<(), Error> {
    if !is_absolute_uri(uri) {
        return Err(Error::misuse(format!(
            "the redirect URI {} is not an absolute URI without a fragment (RFC 6749 section 3.1.2)",
            ForeignAddress(uri)
        )));
    }
    if uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:")) {
        check_web_address("redirect URI", uri)?;
    }
    // Most hold neither sign, and one pass without an early exit finds that soonest.
    if !uri.bytes().fold(false, |found, byte| found | (byte == b'@') | (byte == b'?')) {
        return Ok(());
    }
    let authority = uri.split_once(':').and_then(|(_, rest)| rest.strip_prefix("//")).unwrap_or_default();
    if authority.split(['/', '?']).next().is_some_and(|authority| authority.contains('@')) {
        return Err(Error::misuse("the redirect URI holds user information"));
    }
    for pair in form::pairs(query_of(uri)) {
        let Some((name, _)) = pair else {
            return Err(Error::misuse("the query of the redirect URI is not UTF-8"));
        };
        if RESPONSE_PARAMETERS.contains(&&*name) {
            return Err(Error::misuse(format!(
                "the query of the redirect URI holds {name}, a parameter of the server's response"
            )));
        }
    }
    Ok(())
}

/// An authorization that the user has been sent away for: what must survive the browser's trip.
///
/// Keep it **with the user's browser session** (a server-side session, or an encrypted cookie), never in a
/// store that any browser can reach by a `state` alone: that is what binds the answer to the browser that
/// asked (RFC 6749 §10.12). It is serialisable with serde; the form is versioned and holds the code verifier,
/// so it is a secret.
///
/// [`receive`](PendingAuthorization::receive) changes nothing unless it succeeds, so a forged callback does
/// not end the real sign-in. After a success the code verifier is gone: neither the same value nor a copy
/// serialised from then on makes a second token request. A copy that was stored earlier would, so remove it
/// from the store together with a success.
pub struct PendingAuthorization {
    client: [u8; 32],
    /// Seconds of Unix time, like `expires_at`.
    started_at: u64,
    expires_at: u64,
    state: ShortSecret,
    /// Gone once a callback was accepted.
    verifier: Option<CodeVerifier>,
    redirect_uri: String,
    scope: Scope,
    resources: Vec<String>,
}

impl PendingAuthorization {
    /// How long the user may take to come back unless
    /// [`lifetime`](AuthorizationRequest::lifetime) says otherwise: 10 minutes.
    pub const LIFETIME: Duration = Duration::from_secs(600);

    /// How far the clock may have gone back since the start (on another machine, say): 60 seconds.
    pub const CLOCK_SKEW: Duration = Duration::from_secs(60);

    /// Takes the callback, and makes the token request if the callback is the answer to this request.
    ///
    /// `client` must be the one that started the authorization.
    ///
    /// # Errors
    ///
    /// - Misuse: the client is another one, or a callback was accepted before.
    /// - Suspect: `state` or `iss` is not what it must be, a parameter is there twice, a token came through
    ///   the browser, or there are both a code and an error. Or the authorization is too old, and
    ///   [`Error::retry`] says [`Reauthorize`](Retry::Reauthorize).
    /// - Invalid: there is neither a code nor an error, or the text is not UTF-8.
    /// - Refused: the server or the user said no; [`Error::code`] says why (RFC 6749 §4.1.2.1).
    ///
    /// Where [`Error::retry`] says [`KeepWaiting`](Retry::KeepWaiting), the real callback may still come.
    pub fn receive<'a>(
        &mut self,
        client: &Client,
        callback: impl Into<Callback<'a>>,
        now: SystemTime,
    ) -> Result<Call<TokenResponse>, Error> {
        if self.client != client.identity {
            return Err(Error::misuse(
                "this authorization was started by another client: issuer, an endpoint or client_id differ",
            ));
        }
        let Some(verifier) = &self.verifier else {
            return Err(Error::misuse(USED));
        };
        let expected = Expected {
            state: self.state.expose(),
            issuer: client.server.issuer.as_deref(),
            iss_required: client.server.authorization_response_iss_parameter_supported,
        };
        let code = callback::check(&callback.into(), &expected);
        // The age comes last, so that a forged callback never ends the user's wait.
        if !matches!(&code, Err(error) if error.retry() == Retry::KeepWaiting) {
            self.check_age(now)?;
        }
        let code = code?;
        let parameters = [
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("code_verifier", verifier.expose()),
        ];
        let context = Context {
            leniencies: client.server.leniencies,
            refresher: client.refresher,
            requested_scope: Some(std::mem::take(&mut self.scope)),
            refresh_token: None,
            attempt: None,
        };
        let call = client.token_request(&parameters, &self.resources, context);
        self.verifier = None;
        Ok(call)
    }

    /// The `state` that was sent, to tell several authorizations of one browser session apart.
    pub fn state(&self) -> &str {
        self.state.expose()
    }

    /// When it is too late for the callback; the end of the year 9999 where it is later still.
    pub fn expires_at(&self) -> SystemTime {
        system_time(self.expires_at.saturating_mul(1000))
    }

    fn check_age(&self, now: SystemTime) -> Result<(), Error> {
        let now = unix_seconds(now);
        if now >= self.expires_at {
            return Err(Error::expired("the callback came too late for this authorization"));
        }
        if now.saturating_add(Self::CLOCK_SKEW.as_secs()) < self.started_at {
            return Err(Error::expired("the clock stands before the start of this authorization"));
        }
        Ok(())
    }
}

const USED: &str = "a callback was accepted for this authorization before; a code is used once";

impl fmt::Debug for PendingAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingAuthorization")
            .field("started_at", &self.started_at)
            .field("expires_at", &self.expires_at)
            .field("redirect_uri", &self.redirect_uri)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// The version of the serialised form.
const VERSION: u32 = 1;

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
    resources: &'a [String],
}

/// Every member may be absent, so that a form of another version is told apart by its version.
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
        }
    }
}

/// Fails after a callback was accepted: there is nothing left that would be worth storing.
impl Serialize for PendingAuthorization {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        let verifier = self.verifier.as_ref().ok_or(S::Error::custom(USED))?;
        Stored {
            version: VERSION,
            client: URL_SAFE_NO_PAD.encode(self.client),
            started_at: self.started_at,
            expires_at: self.expires_at,
            state: self.state.expose(),
            code_verifier: verifier.expose(),
            redirect_uri: &self.redirect_uri,
            scope: self.scope.as_str(),
            resources: &self.resources,
        }
        .serialize(target)
    }
}

impl<'de> Deserialize<'de> for PendingAuthorization {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        // A format's own error may quote what it found, and that may be the verifier.
        let restored = Restored::deserialize(source).map_err(|_| {
            D::Error::custom(
                "this is no stored pending authorization, or a damaged one; let the user start again",
            )
        })?;
        if restored.version != VERSION {
            return Err(D::Error::custom(format!(
                "this pending authorization has the form of version {}, and this version of the crate reads \
                 version {VERSION}; let the user start again",
                restored.version
            )));
        }
        let damaged = |what: &str| {
            D::Error::custom(format!(
                "{what} of the stored pending authorization is damaged; let the user start again"
            ))
        };
        let client = URL_SAFE_NO_PAD.decode(&restored.client).ok().and_then(|client| client.try_into().ok());
        let state = Some(restored.state).filter(|state| !state.expose().is_empty());
        check_resources(&restored.resources).map_err(|_| damaged("a resource"))?;
        let redirect_uri = Some(restored.redirect_uri).filter(|uri| check_redirect_uri(uri).is_ok());
        Ok(Self {
            client: client.ok_or_else(|| damaged("client"))?,
            started_at: restored.started_at,
            expires_at: restored.expires_at,
            state: state.map(ShortSecret::Given).ok_or_else(|| damaged("state"))?,
            verifier: Some(
                CodeVerifier::new(restored.code_verifier.expose()).map_err(|_| damaged("code_verifier"))?,
            ),
            redirect_uri: redirect_uri.ok_or_else(|| damaged("redirect_uri"))?,
            scope: Scope::from_text(restored.scope),
            resources: restored.resources,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AuthorizationServer, ClientAuth, ErrorKind};
    use serde_json::Value;

    fn texts(values: &Value) -> Vec<&str> {
        values.as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect()
    }

    fn pairs(values: &Value) -> Vec<(&str, &str)> {
        let pairs = values.as_array().unwrap().iter();
        pairs.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect()
    }

    /// The URL of a case, with its state and challenge in place of random ones.
    fn url_of(case: &Value) -> Result<String, Error> {
        let text = |member: &str| case[member].as_str().unwrap();
        let server = AuthorizationServer::new(text("endpoint"), "https://as.example/token")?;
        let client = Client::new(server, text("client_id"), ClientAuth::none())?;
        let mut request = client.authorize(text("redirect_uri")).scopes(texts(&case["scopes"]));
        for (name, value) in pairs(&case["extra"]) {
            request = request.parameter(name, value);
        }
        for resource in texts(&case["resource"]) {
            request = request.resource(resource);
        }
        request.check()?;
        Ok(request.url(text("state"), |url| url.push_str(text("challenge"))))
    }

    #[test]
    fn rfc6749_section_4_1_1_and_rfc7636_section_4_3_urls() {
        let cases: Vec<Value> =
            serde_json::from_str(include_str!("../tests/vectors/authorize_urls.json")).unwrap();
        for case in &cases {
            let id = &case["id"];
            match (url_of(case), case["expect"].as_str()) {
                (Err(error), Some("misuse")) => assert_eq!(error.kind(), ErrorKind::Misuse, "{id}"),
                (Ok(url), None) => {
                    let (prefix, query) = url.split_once('?').unwrap();
                    assert_eq!(Some(prefix), case["expect"]["prefix"].as_str(), "{id}");
                    let query: Option<Vec<_>> = form::pairs(query).collect();
                    let mut query = query.unwrap();
                    query.sort();
                    let expected = pairs(&case["expect"]["params"]);
                    let mut expected: Vec<_> =
                        expected.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
                    expected.sort();
                    assert_eq!(query, expected, "{id}");
                }
                (result, expected) => panic!("{id}: expected {expected:?}, got {result:?}"),
            }
        }
        assert_eq!(cases.len(), 50);
    }
}
