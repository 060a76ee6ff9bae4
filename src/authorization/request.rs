//! The authorization request (RFC 6749 §4.1.1).

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use crate::authorization::callback::RESPONSE_PARAMETERS;
use crate::authorization::pending::PendingAuthorization;
use crate::authorization::pkce::{CodeVerifier, Entropy};
use crate::authorization::{jarm, signed};
use crate::challenge::StepUp;
use crate::client::Client;
use crate::error::Error;
use crate::jose::SigningKey;
use crate::oidc::AuthenticationRequest;
use crate::server::{AUTHORIZATION_PARAMETERS, AuthorizationServer, is_response_mode};
use crate::text::foreign::{Foreign, ForeignAddress};
use crate::text::form;
use crate::text::secret::ShortSecret;
use crate::text::time::unix_seconds;
use crate::text::uri::{Endpoint, RedirectUri};
use crate::token::wanted::Wanted;

impl Client {
    /// Starts an authorization (RFC 6749 §4.1.1) that comes back to `redirect_uri`, which is sent byte for
    /// byte as given.
    pub fn authorize<'a>(&'a self, redirect_uri: &'a str) -> AuthorizationRequest<'a> {
        AuthorizationRequest {
            client: self,
            redirect_uri,
            wanted: Wanted::default(),
            parameters: Vec::new(),
            lifetime: PendingAuthorization::LIFETIME,
            key: None,
            is_authentication: false,
            signed_response: false,
        }
    }
}

/// An authorization request about to be started; made by [`Client::authorize`].
///
/// ```
/// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Entropy};
/// use std::time::{Duration, SystemTime};
///
/// # fn main() -> Result<(), oauth2_proto::Error> {
/// let server = AuthorizationServer::new(
///     "https://as.example/authorize",
///     "https://as.example/token",
/// )?;
/// let client = Client::new(server, "client-id", ClientAuth::none())?;
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
///
/// let (url, pending) = client
///     .authorize("com.example.app:/callback")
///     .scopes(["read", "write"])
///     .resource("https://api.example/")
///     .prompt(["login"])
///     .lifetime(Duration::from_secs(300))
///     .start_with(Entropy::from_bytes([1; 128]), now)?;
/// assert_eq!(
///     url,
///     "https://as.example/authorize?response_type=code&client_id=client-id\
///      &code_challenge_method=S256&redirect_uri=com.example.app%3A%2Fcallback\
///      &scope=read+write&state=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\
///      &code_challenge=VtX6czP210fbQsI5QH5dpMMvTHnzXQkrE0_TWkAtnFw\
///      &resource=https%3A%2F%2Fapi.example%2F&prompt=login"
/// );
/// assert_eq!(pending.expires_at(), now + Duration::from_secs(300));
///
/// let relative = client.authorize("/callback");
/// let error = relative.start_with(Entropy::from_bytes([1; 128]), now).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "misuse: the redirect URI \"/callback\" is not an absolute URI; \
///      begin it with a scheme, as in https://host/path"
/// );
/// # Ok(())
/// # }
/// ```
#[must_use = "an authorization is started by `start`"]
pub struct AuthorizationRequest<'a> {
    pub(super) client: &'a Client,
    redirect_uri: &'a str,
    pub(super) wanted: Wanted<'a>,
    pub(super) parameters: Vec<(&'a str, Cow<'a, str>)>,
    pub(super) lifetime: Duration,
    /// The key that signs the request.
    pub(super) key: Option<&'a SigningKey>,
    /// True if the callback brings an ID token, which is checked.
    is_authentication: bool,
    /// True if the response is to be signed, too.
    pub(super) signed_response: bool,
}

impl<'a> AuthorizationRequest<'a> {
    /// Asks for scopes, each passed by itself (RFC 6749 §3.3); repeatable.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.wanted.add_scopes(scopes);
        self
    }

    /// Adds a parameter that has no method of its own, such as `ui_locales`; of `response_mode` only `query`
    /// and `form_post` are accepted.
    pub fn parameter(mut self, name: &'a str, value: &'a str) -> Self {
        self.parameters.push((name, Cow::Borrowed(value)));
        self
    }

    /// Names a resource that the access token is for (RFC 8707 §2.1); repeatable, and repeated in the
    /// token request.
    pub fn resource(mut self, resource: &'a str) -> Self {
        self.wanted.add_resource(resource);
        self
    }

    /// Asks for what an API demanded: adds the scopes of a [`StepUp`] that are not there yet, and its
    /// `acr_values` and `max_age` (RFC 9470 §4). Call it after [`scopes`](Self::scopes).
    pub fn step_up(mut self, step_up: &'a StepUp) -> Self {
        self.wanted.scope.add_missing(step_up.scopes());
        step_up.parameters().fold(self, |request, (name, value)| request.parameter(name, value))
    }

    /// Asks for an ID token, too (OpenID Connect Core §3.1.2.1): adds the scope `openid`, and the `nonce`
    /// that ties the ID token to this request. Call it last.
    ///
    /// The [`oidc`](crate::oidc) module has an example.
    pub fn openid(mut self) -> AuthenticationRequest<'a> {
        self.wanted.scope.add_missing([OPENID]);
        self.is_authentication = true;
        AuthenticationRequest::new(self)
    }

    pub(crate) fn client(&self) -> &'a Client {
        self.client
    }

    /// Returns the value of a parameter that was added.
    pub(crate) fn parameter_value(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }

    /// Adds the nonce of an ID token.
    pub(crate) fn set_nonce(&mut self, nonce: &str) {
        self.parameters.push(("nonce", Cow::Owned(nonce.to_owned())));
    }

    /// Sets how long the user may take to come back, in whole seconds, instead of
    /// [`PendingAuthorization::LIFETIME`].
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Returns the URL for the user's browser, and the pending authorization to keep until the browser comes
    /// back.
    ///
    /// Takes random bytes from the operating system, for the code verifier and the `state`.
    ///
    /// # Errors
    ///
    /// Misuse, if
    ///
    /// - the redirect URI is not absolute, is `http` to an address other than a loopback one, has a scheme
    ///   that leads to no app (such as `javascript`), holds user information or a fragment, or has a
    ///   parameter of the response in its query; or the server takes `https` only, and it is not;
    /// - a scope, a resource or the value of another method is not well-formed;
    /// - a parameter has no name, is given twice (also once by its method and once by
    ///   [`parameter`](Self::parameter)), is one that this crate sets or excludes, or is in the
    ///   authorization endpoint's own query;
    /// - the scope `openid` is among the scopes, and [`openid`](Self::openid) was not called;
    /// - the server does not support the authorization code grant, or takes pushed or signed requests only
    ///   ([`push`](Self::push), [`signed`](Self::signed));
    /// - the request is [`signed`](Self::signed), and [`prepare`](Self::prepare) would refuse it or the key
    ///   signs elsewhere.
    #[cfg(feature = "os-random")]
    pub fn start(self, now: SystemTime) -> Result<(String, PendingAuthorization), Error> {
        self.start_with(Entropy::from_os()?, now)
    }

    /// Like `start`, with your own random bytes.
    ///
    /// `start` needs the feature `os-random` (on by default): if the compiler does not find `start`, the
    /// feature is off.
    ///
    /// # Errors
    ///
    /// The errors of `start`.
    pub fn start_with(
        self,
        entropy: Entropy,
        now: SystemTime,
    ) -> Result<(String, PendingAuthorization), Error> {
        if self.key.is_some() {
            return self.prepare_with(entropy, now)?.sign()?.start();
        }
        self.client.server.check_request(Way::BROWSER)?;
        let begun = self.begin(&entropy, now)?;
        let url = begun.request.url(begun.state.expose(), begun.verifier.short_challenge().expose());
        Ok((url, begun.into_pending()))
    }

    /// Checks everything, and draws what is random. Whichever way the request takes, it begins here.
    pub(super) fn begin(mut self, entropy: &Entropy, now: SystemTime) -> Result<Begun<'a>, Error> {
        self.wanted.check()?;
        if !self.is_authentication && self.wanted.scope.tokens().any(|scope| scope == OPENID) {
            return Err(Error::misuse(
                "the scope openid asks for an ID token, which only AuthorizationRequest::openid() checks; call it \
                 before `start`, or leave the scope out",
            ));
        }
        let server = &self.client.server;
        server.check_grant_type("authorization_code")?;
        server.require(&server.authorization_endpoint, "authorization endpoint")?;
        let redirect_uri = self.parse_redirect_uri()?;
        if self.signed_response {
            self.ask_for_signed_response()?;
        }
        self.check_parameters()?;
        if let Some(key) = &self.client.dpop {
            // The code serves the holder of this key only (RFC 9449 §10).
            self.parameters.insert(0, ("dpop_jkt", key.thumbprint().into()));
        }

        let (state, verifier) = entropy.state_and_verifier();
        Ok(Begun {
            started_at: unix_seconds(now),
            state: ShortSecret::from_random(state),
            verifier: CodeVerifier::from_random(verifier),
            redirect_uri: redirect_uri.into_owned(),
            request: self,
        })
    }

    /// Returns all parameters of the request, without those that are empty, which count as absent (RFC 6749
    /// §3.1).
    fn parameters<'b>(
        &'b self,
        state: &'b str,
        challenge: &'b str,
    ) -> impl Iterator<Item = (&'b str, &'b str)> {
        let ours = [
            ("response_type", "code"),
            ("client_id", self.client.client_id()),
            ("code_challenge_method", "S256"),
            ("redirect_uri", self.redirect_uri),
            ("scope", self.wanted.scope.as_str()),
            ("state", state),
            ("code_challenge", challenge),
        ];
        let added = self.parameters.iter().map(|(name, value)| (*name, &**value));
        let all = ours.into_iter().chain(self.wanted.resource_parameters()).chain(added);
        all.filter(|(_, value)| !value.is_empty())
    }

    fn parse_redirect_uri(&self) -> Result<RedirectUri<'a>, Error> {
        let server = &self.client.server;
        if server.https_redirect_uris_only && !self.redirect_uri.starts_with("https://") {
            return Err(Error::misuse(format!(
                "the redirect URI {} is not https, and {} takes no other",
                ForeignAddress(self.redirect_uri),
                server.name
            )));
        }
        RedirectUri::parse(self.redirect_uri, RESPONSE_PARAMETERS)
            .map_err(|refused| Error::misuse(format!("the redirect URI {refused}")))
    }

    fn check_parameters(&self) -> Result<(), Error> {
        for (index, (name, value)) in self.parameters.iter().enumerate() {
            let earlier = self.parameters.get(..index).unwrap_or_default();
            if let Some(why) = self.why_refused(name, value, earlier) {
                return Err(Error::misuse(format!("the extra parameter {} {why}", Foreign(name))));
            }
        }
        Ok(())
    }

    /// Returns why an extra parameter must not be sent after the `earlier` ones; `None` if it may be sent.
    fn why_refused(&self, name: &str, value: &str, earlier: &[(&str, Cow<'_, str>)]) -> Option<&'static str> {
        let is_same = |known: &str| known == name;
        let endpoint = self.client.server.authorization_endpoint.iter();
        let mut endpoint = endpoint.flat_map(Endpoint::parameters);
        match name {
            "" => Some("has no name; give it one"),
            "resource" => Some("has a method of its own, `resource`, which adds it to the token request too"),
            "response_mode" if !(is_response_mode(value) || self.signed_response && jarm::is_mode(value)) => {
                Some(match jarm::is_mode(value) {
                    true => "asks for a signed response; call `signed_response` instead",
                    false => "asks for a response that the page can read; use query or form_post",
                })
            }
            "request" | "request_uri" => {
                Some("is set by `signed`, `publish` or `push`; call one of them instead")
            }
            _ if AUTHORIZATION_PARAMETERS.contains(&name) => {
                Some("is one that this crate sets or keeps out; remove it")
            }
            _ if self.key.is_some()
                && let Some(why) = signed::why_refused(name, value) =>
            {
                Some(why)
            }
            _ if earlier.iter().any(|(known, _)| is_same(known)) => {
                Some("is there twice, which RFC 6749 section 3.1 forbids; remove one")
            }
            _ if endpoint.any(|(known, _)| is_same(&known)) => {
                Some("is in the authorization endpoint's query too, which RFC 6749 section 3.1 forbids")
            }
            _ => None,
        }
    }

    fn url(&self, state: &str, challenge: &str) -> String {
        let start = &self.client.authorization_url_start;
        let (redirect_uri, scope) = (self.redirect_uri, self.wanted.scope.as_str());
        let resources = self.wanted.resources.iter().map(|resource| ("resource", resource.as_str()));
        let others =
            || resources.clone().chain(self.parameters.iter().map(|(name, value)| (*name, &**value)));

        // Room for the case in which every byte is escaped, so that the URL is built in one allocation.
        let others_room = others().map(|(name, value)| form::room_for("", name) + form::room_for("", value));
        let room = form::room_for("redirect_uri", redirect_uri)
            + form::room_for("scope", scope)
            + form::room_for("state", state)
            + form::room_for("code_challenge", challenge)
            + others_room.sum::<usize>();
        let mut url = String::with_capacity(start.len() + room);
        url.push_str(start);
        form::push_pair(&mut url, "redirect_uri", redirect_uri);
        if !scope.is_empty() {
            form::push_pair(&mut url, "scope", scope);
        }
        form::push_pair(&mut url, "state", state);
        form::push_pair(&mut url, "code_challenge", challenge);
        for (name, value) in others() {
            url.push('&');
            form::push_escaped(&mut url, name);
            url.push('=');
            form::push_escaped(&mut url, value);
        }
        url
    }
}

/// A request that was checked, with its random values.
pub(super) struct Begun<'a> {
    pub(super) request: AuthorizationRequest<'a>,
    /// Seconds of Unix time.
    pub(super) started_at: u64,
    state: ShortSecret,
    verifier: CodeVerifier,
    redirect_uri: RedirectUri<'static>,
}

impl Begun<'_> {
    /// Hands all parameters of the request to `use_them`, without those that are empty.
    pub(super) fn with_parameters<T>(
        &self,
        use_them: impl FnOnce(&mut dyn Iterator<Item = (&str, &str)>) -> T,
    ) -> T {
        let challenge = self.verifier.short_challenge();
        use_them(&mut self.request.parameters(self.state.expose(), challenge.expose()))
    }

    pub(super) fn into_pending(self) -> PendingAuthorization {
        let mut request = self.request;
        PendingAuthorization {
            started_by: request.client.started_by,
            started_at: self.started_at,
            expires_at: self.started_at.saturating_add(request.lifetime.as_secs()),
            state: self.state,
            verifier: Some(self.verifier),
            redirect_uri: self.redirect_uri,
            scope: std::mem::take(&mut request.wanted.scope),
            resources: request.wanted.into_resources(),
            signed_response: request.signed_response,
        }
    }
}

/// The way that a request takes to the server.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) is_pushed: bool,
    pub(super) is_signed: bool,
}

impl Way {
    const BROWSER: Self = Self { is_pushed: false, is_signed: false };
}

impl AuthorizationServer {
    /// Refuses a request in a way that the server does not take (RFC 9126 §5, RFC 9101 §10.5).
    pub(super) fn check_request(&self, way: Way) -> Result<(), Error> {
        if self.require_pushed_authorization_requests && !way.is_pushed {
            return Err(Error::misuse(format!(
                "{} takes pushed authorization requests only (RFC 9126 section 5); call `push`",
                self.name
            )));
        }
        if self.require_signed_request_object && !way.is_signed {
            return Err(Error::misuse(format!(
                "{} takes signed authorization requests only (RFC 9101 section 10.5); call `signed`",
                self.name
            )));
        }
        Ok(())
    }
}

/// Returns the authorization endpoint with its own query and `client_id`, where the rest of the request goes
/// another way.
pub(super) fn short_url(endpoint: &Endpoint, client_id: &str) -> String {
    let (address, query) = endpoint.as_str().split_once('?').unwrap_or((endpoint.as_str(), ""));
    let mut query = query.to_owned();
    form::push_pair(&mut query, "client_id", client_id);
    format!("{address}?{query}")
}

/// The scope that asks for an ID token (OpenID Connect Core §3.1.2.1).
const OPENID: &str = "openid";

impl fmt::Debug for AuthorizationRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("redirect_uri", &format_args!("{}", ForeignAddress(self.redirect_uri)))
            .field("scope", &self.wanted.scope)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientAuth, error::ErrorKind};
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
        let url = request.url(text("state"), text("challenge"));
        request.start_with(Entropy::from_bytes([1; 128]), SystemTime::UNIX_EPOCH)?;
        Ok(url)
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
