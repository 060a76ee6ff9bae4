//! The authorization request (RFC 6749 §4.1.1).

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::authorization::callback::RESPONSE_PARAMETERS;
use crate::authorization::pending::PendingAuthorization;
use crate::authorization::pkce::{CodeVerifier, Entropy};
use crate::client::Client;
use crate::error::Error;
use crate::server::{
    AUTHORIZATION_PARAMETERS, check_resources, check_web_address, is_absolute_uri, is_response_mode, query_of,
};
use crate::text::foreign::{Foreign, ForeignAddress};
use crate::text::form;
use crate::text::scope::Scope;
use crate::text::secret::ShortSecret;
use crate::text::time::unix_seconds;

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
        let (state, verifier) = entropy.state_and_verifier();
        let state = ShortSecret::from_random(state);
        let verifier = CodeVerifier::from_random(verifier);
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
pub(crate) fn check_redirect_uri(uri: &str) -> Result<(), Error> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AuthorizationServer, ClientAuth, error::ErrorKind};
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
            serde_json::from_str(include_str!("../../tests/vectors/authorize_urls.json")).unwrap();
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
