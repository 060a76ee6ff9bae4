//! The logout that this program begins (OpenID Connect RP-Initiated Logout).

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::authorization::{Callback, Entropy};
use crate::client::Client;
use crate::error::Error;
use crate::server::{END_SESSION_ENDPOINT, LOGOUT_PARAMETERS};
use crate::text::foreign::{Foreign, ForeignAddress};
use crate::text::form;
use crate::text::secret::{self, Secret, ShortSecret, same};
use crate::text::uri::{Endpoint, RedirectUri};

impl Client {
    /// Signs the user out at the server, in the browser (OpenID Connect RP-Initiated Logout §2).
    ///
    /// End your own session of the user first, and revoke its refresh token. Give the server the
    /// [ID token](crate::oidc::IdToken::as_secret), even if it has expired: without it, the server asks the
    /// user.
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Entropy, Secret};
    ///
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// let server = AuthorizationServer::new(
    ///     "https://as.example/authorize",
    ///     "https://as.example/token",
    /// )?
    /// .end_session_endpoint("https://as.example/logout")?;
    /// let client = Client::new(server, "client-id", ClientAuth::none())?;
    /// let id_token = Secret::new("fake.id.token");
    ///
    /// let (url, pending) = client
    ///     .logout()
    ///     .id_token_hint(&id_token)
    ///     .post_logout_redirect_uri("https://app.example/bye")
    ///     .start_with(Entropy::from_bytes([1; 128]))?;
    /// assert_eq!(
    ///     url,
    ///     "https://as.example/logout?id_token_hint=fake.id.token\
    ///      &post_logout_redirect_uri=https%3A%2F%2Fapp.example%2Fbye\
    ///      &state=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"
    /// );
    ///
    /// // The browser comes back.
    /// pending.receive("state=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE")?;
    /// assert!(pending.receive("state=guessed").is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn logout(&self) -> LogoutRequest<'_> {
        LogoutRequest {
            client: self,
            id_token_hint: None,
            names_client: false,
            redirect_uri: None,
            parameters: Vec::new(),
        }
    }
}

/// A logout about to be started; made by [`Client::logout`].
#[must_use = "a logout is started by `start`"]
pub struct LogoutRequest<'a> {
    client: &'a Client,
    id_token_hint: Option<&'a Secret>,
    names_client: bool,
    redirect_uri: Option<&'a str>,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> LogoutRequest<'a> {
    /// Names the user by the ID token of the sign-in, which then stands in the browser's URL.
    pub fn id_token_hint(mut self, id_token: &'a Secret) -> Self {
        self.id_token_hint = Some(id_token);
        self
    }

    /// Names this client, which a server needs for the redirect if it gets no ID token.
    pub fn with_client_id(mut self) -> Self {
        self.names_client = true;
        self
    }

    /// Asks the server to send the browser back to this address, which must be registered. A `state` comes
    /// back with it.
    pub fn post_logout_redirect_uri(mut self, redirect_uri: &'a str) -> Self {
        self.redirect_uri = Some(redirect_uri);
        self
    }

    /// Adds a parameter that has no method of its own, such as `ui_locales` or `logout_hint`.
    pub fn parameter(mut self, name: &'a str, value: &'a str) -> Self {
        self.parameters.push((name, value));
        self
    }

    /// Returns the URL for the user's browser, and the pending logout to keep with the browser's session
    /// until it comes back. Nothing in it depends on the time.
    ///
    /// Takes random bytes from the operating system, for the `state`.
    ///
    /// # Errors
    ///
    /// Misuse, if
    ///
    /// - the server has no end session endpoint;
    /// - there is an address to come back to, and neither an ID token nor the client is named;
    /// - that address breaks the rules of a redirect URI, or has `state` in its query;
    /// - a parameter has no name, is given twice, is one that this crate sets, or is in the endpoint's own
    ///   query.
    #[cfg(feature = "os-random")]
    pub fn start(self) -> Result<(String, PendingLogout), Error> {
        self.start_with(Entropy::from_os()?)
    }

    /// Like `start`, with your own random bytes.
    ///
    /// # Errors
    ///
    /// The errors of `start`.
    pub fn start_with(self, entropy: Entropy) -> Result<(String, PendingLogout), Error> {
        let (state, _) = entropy.state_and_verifier();
        let state = self.redirect_uri.map(|_| ShortSecret::from_random(state));
        let url = self.url(state.as_ref().map(ShortSecret::expose))?;
        Ok((url, PendingLogout { state }))
    }

    fn url(&self, state: Option<&str>) -> Result<String, Error> {
        let server = &self.client.server;
        let endpoint = server.require(&server.end_session_endpoint, END_SESSION_ENDPOINT)?;
        self.check_redirect_uri()?;
        self.check_parameters(endpoint)?;
        let standard = [
            ("id_token_hint", self.id_token_hint.map(Secret::expose)),
            ("client_id", self.names_client.then_some(self.client.client_id())),
            ("post_logout_redirect_uri", self.redirect_uri),
            ("state", state),
        ];
        let standard = standard.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let pairs = standard.chain(self.parameters.iter().copied());

        let mut url = endpoint.as_str().to_owned();
        let mut separator = match url.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        for (name, value) in pairs {
            url.push_str(std::mem::replace(&mut separator, "&"));
            form::push_escaped(&mut url, name);
            url.push('=');
            form::push_escaped(&mut url, value);
        }
        Ok(url)
    }

    fn check_redirect_uri(&self) -> Result<(), Error> {
        let Some(redirect_uri) = self.redirect_uri else { return Ok(()) };
        RedirectUri::parse(redirect_uri, &["state"])
            .map_err(|refused| Error::misuse(format!("the post-logout redirect URI {refused}")))?;
        match self.id_token_hint.is_some() || self.names_client {
            true => Ok(()),
            false => Err(Error::misuse(format!(
                "the server cannot check the post-logout redirect URI {}; name the client by id_token_hint or \
                 with_client_id (RP-Initiated Logout section 3)",
                ForeignAddress(redirect_uri)
            ))),
        }
    }

    fn check_parameters(&self, endpoint: &Endpoint) -> Result<(), Error> {
        for (index, (name, _)) in self.parameters.iter().enumerate() {
            let mut earlier = self.parameters.get(..index).unwrap_or_default().iter();
            let why = match *name {
                "" => "has no name; give it one",
                name if LOGOUT_PARAMETERS.contains(&name) => "is one that this crate sets; remove it",
                name if earlier.any(|(known, _)| *known == name) => "is there twice; remove one",
                name if endpoint.parameters().any(|(known, _)| known == name) => {
                    "is in the end session endpoint's query too; remove one"
                }
                _ => continue,
            };
            return Err(Error::misuse(format!("the extra parameter {} {why}", Foreign(name))));
        }
        Ok(())
    }
}

/// A logout whose user is away in the browser; made by [`LogoutRequest::start`].
///
/// Keep it with the user's browser session. It is serialisable with serde; the form is versioned.
pub struct PendingLogout {
    /// `None` if the server was not asked to send the browser back.
    state: Option<ShortSecret>,
}

impl PendingLogout {
    /// Checks that the browser comes back from this logout: its `state` is there once, and is the one that
    /// was sent (OpenID Connect RP-Initiated Logout §3).
    ///
    /// Without a [`post_logout_redirect_uri`](LogoutRequest::post_logout_redirect_uri) no `state` was sent,
    /// so every callback passes.
    ///
    /// # Errors
    ///
    /// Suspect: it is another browser, or another logout. Your own session has ended already.
    pub fn receive<'c>(&self, callback: impl Into<Callback<'c>>) -> Result<(), Error> {
        let Some(sent) = &self.state else { return Ok(()) };
        match callback.into().state() {
            Some(state) if same(state.as_bytes(), sent.as_bytes()) => Ok(()),
            _ => Err(Error::suspect(
                "state is missing, repeated, or not the one that was sent with the logout",
            )
            .about("state")),
        }
    }
}

impl Serialize for PendingLogout {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        Stored { logout_version: VERSION, state: self.state.as_ref().map(ShortSecret::expose) }
            .serialize(target)
    }
}

impl<'de> Deserialize<'de> for PendingLogout {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        // The format's own error may quote what it found, such as the state.
        let restored = Restored::deserialize(source).ok().filter(|it| it.logout_version == VERSION);
        let restored =
            restored.ok_or_else(|| D::Error::custom("not a stored pending logout, or a damaged one"))?;
        let state = Some(restored.state).filter(|state| !state.expose().is_empty());
        Ok(Self { state: state.map(ShortSecret::Given) })
    }
}

#[derive(Serialize)]
struct Stored<'a> {
    logout_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
}

#[derive(Deserialize)]
struct Restored {
    logout_version: u32,
    #[serde(default = "empty", deserialize_with = "secret::deserialize")]
    state: Secret,
}

fn empty() -> Secret {
    Secret::new("")
}

/// The version of the stored form.
const VERSION: u32 = 1;

impl fmt::Debug for LogoutRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogoutRequest")
            .field("redirect_uri", &self.redirect_uri.map(|uri| ForeignAddress(uri).to_string()))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PendingLogout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLogout").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::{AuthorizationServer, ClientAuth};
    use serde_json::Value;

    fn pairs(values: &Value) -> Vec<(&str, &str)> {
        let pairs = values.as_array().unwrap().iter();
        pairs.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect()
    }

    /// The URL of a case, with its state in place of a random one.
    fn url_of(case: &Value) -> Result<String, Error> {
        let text = |member: &str| case[member].as_str();
        let server = AuthorizationServer::new("https://as.example/authorize", "https://as.example/token")?
            .end_session_endpoint(text("end_session_endpoint").unwrap())?;
        let client_id = text("client_id").unwrap_or("fake-client");
        let client = Client::new(server, client_id, ClientAuth::none())?;
        let hint = text("id_token_hint").map(Secret::new);
        let mut request = client.logout();
        request.id_token_hint = hint.as_ref();
        request.names_client = text("client_id").is_some();
        request.redirect_uri = text("post_logout_redirect_uri");
        request.parameters = pairs(&case["extra"]);
        request.url(text("state"))
    }

    #[test]
    fn rp_initiated_logout_section_2_urls() {
        let cases: Vec<Value> =
            serde_json::from_str(include_str!("../../tests/vectors/logout.json")).unwrap();
        let cases: Vec<_> = cases.iter().filter(|case| case["kind"] == "rp-initiated").collect();
        for case in &cases {
            let id = &case["id"];
            match (url_of(case), case["expect"].as_str()) {
                (Err(error), Some("misuse")) => assert_eq!(error.kind(), ErrorKind::Misuse, "{id}"),
                (Ok(url), None) => {
                    let (prefix, query) = url.split_once('?').unwrap_or((&url, ""));
                    assert_eq!(Some(prefix), case["expect"]["prefix"].as_str(), "{id}");
                    let query: Vec<_> = form::pairs(query).map(Option::unwrap).collect();
                    let expected = pairs(&case["expect"]["params"]);
                    let expected: Vec<_> =
                        expected.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
                    assert_eq!(query, expected, "{id}");
                }
                (result, expected) => panic!("{id}: expected {expected:?}, got {result:?}"),
            }
        }
        assert_eq!(cases.len(), 5);
    }
}
