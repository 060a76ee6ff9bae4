//! Pushed authorization requests: the request goes to the server directly, and the browser brings a reference
//! to it (RFC 9126).

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::answer;
use crate::authorization::pending::PendingAuthorization;
use crate::authorization::pkce::Entropy;
use crate::authorization::request::{AuthorizationRequest, Way, short_url};
use crate::call::{Call, Readable, Reply, Request, Response, sealed};
use crate::client::Client;
use crate::error::Error;
use crate::server::PUSHED_ENDPOINT;
use crate::text::form;
use crate::text::uri::{self, Endpoint};

impl AuthorizationRequest<'_> {
    /// Pushes the request to the server (RFC 9126 §2): returns the request to send, and the pending
    /// authorization. The browser then brings a reference only, so the user can neither read nor change the
    /// request, and the server knows that it comes from this client.
    ///
    /// Store the pending authorization before you send the browser to
    /// [`PushedAuthorization::url`]. If the push fails for good, drop it.
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Entropy, Response};
    /// use std::time::{Duration, SystemTime};
    ///
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// let server = AuthorizationServer::new(
    ///     "https://as.example/authorize",
    ///     "https://as.example/token",
    /// )?
    /// .pushed_authorization_request_endpoint("https://as.example/par")?;
    /// let client = Client::new(server, "client-id", ClientAuth::basic("fake-secret"))?;
    /// let now = SystemTime::now();
    ///
    /// let (call, pending) = client
    ///     .authorize("https://app.example/callback")
    ///     .scopes(["read"])
    ///     .push_with(Entropy::from_bytes([1; 128]), now)?;
    /// assert_eq!(call.request().url(), "https://as.example/par");
    ///
    /// // The example of RFC 9126 §2.2.
    /// let body = br#"{"request_uri":"urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c",
    ///     "expires_in":60}"#;
    /// let pushed = call.read(Response::new(201, [("content-type", "application/json")], body))?;
    /// assert_eq!(
    ///     pushed.url(),
    ///     "https://as.example/authorize?client_id=client-id&request_uri=\
    ///      urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3A6esc_11ACC5bwc014ltc14eY22c"
    /// );
    /// assert_eq!(pushed.expires_in(), Duration::from_secs(60));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of `start`. Misuse, too, if the server has no pushed authorization request endpoint.
    #[cfg(feature = "os-random")]
    pub fn push(self, now: SystemTime) -> Result<(Call<PushedAuthorization>, PendingAuthorization), Error> {
        self.push_with(Entropy::from_os()?, now)
    }

    /// Like `push`, with your own random bytes.
    ///
    /// # Errors
    ///
    /// The errors of `push`.
    pub fn push_with(
        self,
        entropy: Entropy,
        now: SystemTime,
    ) -> Result<(Call<PushedAuthorization>, PendingAuthorization), Error> {
        if self.key.is_some() {
            return self.prepare_with(entropy, now)?.sign()?.push(now);
        }
        let client = self.client;
        client.server.check_request(Way { is_pushed: true, is_signed: false })?;
        let endpoints = Endpoints::of(client)?;
        let begun = self.begin(&entropy, now)?;
        let request = begun.with_parameters(|all| {
            // The client authentication brings `client_id`.
            let others = all.filter(|(name, _)| *name != "client_id");
            let others: Vec<_> = others.map(|(name, value)| (form::escaped(name), value)).collect();
            endpoints.request(others.iter().map(|(name, value)| (name.as_str(), *value)), now)
        })?;
        Ok((endpoints.call(request), begun.into_pending()))
    }
}

/// The endpoints of a pushed request.
pub(super) struct Endpoints<'a> {
    client: &'a Client,
    pushed: &'a Endpoint,
    authorization: &'a Endpoint,
}

impl<'a> Endpoints<'a> {
    /// Returns both, or says which the server lacks.
    pub(super) fn of(client: &'a Client) -> Result<Self, Error> {
        let server = &client.server;
        Ok(Self {
            client,
            pushed: client.endpoint(&server.pushed_authorization_request_endpoint, PUSHED_ENDPOINT)?,
            authorization: server.require(&server.authorization_endpoint, "authorization endpoint")?,
        })
    }

    /// Makes a request with the client authentication of the token endpoint and `client_id` (RFC 9126 §2.1).
    /// Each name must need no escaping.
    pub(super) fn request<'b>(
        &self,
        parameters: impl Iterator<Item = (&'b str, &'b str)> + Clone,
        now: SystemTime,
    ) -> Result<Request, Error> {
        let client_id = [("client_id", self.client.client_id_for_body())];
        self.client.request(self.pushed, &client_id, parameters, now)
    }

    pub(super) fn call(&self, request: Request) -> Call<PushedAuthorization> {
        let url_start = short_url(self.authorization, self.client.client_id());
        Call::new(request, PushedContext { url_start })
    }
}

/// The server's reference to a pushed request (RFC 9126 §2.2).
///
/// Send the browser to [`url`](Self::url) at once, and once: the server takes a reference a single time (RFC
/// 9126 §4). For another try, start another authorization.
#[derive(Clone)]
pub struct PushedAuthorization {
    url: String,
    request_uri: String,
    expires_in: Duration,
}

impl PushedAuthorization {
    /// Returns the URL for the user's browser: the authorization endpoint with `client_id` and `request_uri`
    /// (RFC 9126 §4).
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the reference (`request_uri`).
    pub fn request_uri(&self) -> &str {
        &self.request_uri
    }

    /// Returns how long the reference lives from the answer on (`expires_in`); most are gone after a minute.
    /// The user must reach the server in this time, and may then take longer.
    pub fn expires_in(&self) -> Duration {
        self.expires_in
    }
}

/// The context that the reader of a pushed request's answer needs.
pub struct PushedContext {
    /// The URL for the browser up to `request_uri`.
    url_start: String,
}

impl Reply for PushedAuthorization {}

impl sealed::Reply for PushedAuthorization {
    type Context = PushedContext;
}

impl Readable for PushedAuthorization {
    type Output = Self;

    fn read(response: Response<'_>, context: &PushedContext) -> Result<Self, Error> {
        let (members, _) = answer::read(&response, NAMES).map_err(Error::without_grant)?;
        let [request_uri, expires_in] = members;
        let request_uri =
            answer::text("request_uri", request_uri)?.ok_or_else(|| answer::missing("request_uri"))?;
        if !uri::is_uri(&request_uri) {
            return Err(Error::invalid("request_uri is no URI with a scheme (RFC 9126 section 2.2)"));
        }
        let expires_in =
            answer::seconds("expires_in", expires_in)?.ok_or_else(|| answer::missing("expires_in"))?;
        let room = context.url_start.len() + form::room_for("request_uri", &request_uri);
        let mut url = String::with_capacity(room);
        url.push_str(&context.url_start);
        form::push_pair(&mut url, "request_uri", &request_uri);
        Ok(Self { url, request_uri, expires_in })
    }
}

/// Hides the reference, which is as good as the request.
impl fmt::Debug for PushedAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushedAuthorization").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

const NAMES: &[&str; 2] = &["request_uri", "expires_in"];
