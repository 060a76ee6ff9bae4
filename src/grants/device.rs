//! The sign-in of a device without a browser or a keyboard: the user opens a page on another device and types
//! a short code there, while this device polls for the tokens (RFC 8628).
//!
//! 1. [`Client::device_authorization`] asks for the codes.
//! 2. The program shows [`verification_uri`](PendingDevice::verification_uri) and
//!    [`user_code`](PendingDevice::user_code).
//! 3. A [`PendingDevice`] says when to poll, makes each request and reads its answer.
//!
//! This program lacks only an HTTP client and a screen. It may stop at any point and continue later from the
//! stored form of the `PendingDevice`:
//!
//! ```
//! use oauth2_proto::grants::device::{PendingDevice, Step};
//! use oauth2_proto::{Client, Request, Response, TokenResponse};
//! use std::time::SystemTime;
//!
//! # type Answer = (u16, Vec<(String, Vec<u8>)>, Vec<u8>);
//! # type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
//! # trait Http { fn send(&self, request: &Request, until: SystemTime) -> Option<Answer>; }
//! # trait Screen { fn show(&self, device: &PendingDevice); }
//! # fn now() -> SystemTime { SystemTime::UNIX_EPOCH }
//! # fn sleep_until(_: SystemTime) {}
//! fn sign_in(
//!     client: &Client,
//!     http: &dyn Http,
//!     screen: &dyn Screen,
//! ) -> Outcome<TokenResponse> {
//!     let call = client.device_authorization().scopes(["export:read"]).start(SystemTime::now())?;
//!     let answer = http.send(call.request(), now()).ok_or("no answer")?;
//!     let (status, headers, body) = answer;
//!     let authorization = call.read(Response::new(status, headers, &body))?;
//!     let mut device = authorization.begin(now());
//!
//!     // "Open https://as.example/device and type WDJB-MJHT", and a QR code if there is a
//!     // complete address. The code is shown even then (RFC 8628 §3.3.1).
//!     screen.show(&device);
//!
//!     loop {
//!         match device.poll(now()) {
//!             // Sleep a minute at most: the clock may be set.
//!             Step::Wait { until } => sleep_until(until),
//!             Step::Send { until } => {
//!                 let Some(call) = device.send(client, now())? else { continue };
//!                 match http.send(call.request(), until) {
//!                     Some((status, headers, body)) => {
//!                         let response = Response::new(status, headers, &body);
//!                         // An error is the end: the user declined, or the code is dead.
//!                         if let Some(tokens) = device.received(call, response, now())? {
//!                             return Ok(tokens);
//!                         }
//!                     }
//!                     None => device.no_response(call, now()),
//!                 }
//!             }
//!             Step::Ended(end) => return Err(end.into()),
//!         }
//!     }
//! }
//! ```
//!
//! An async program has the same shape, with an `await` where this one blocks:
//!
//! ```
//! # use oauth2_proto::grants::device::{PendingDevice, Step};
//! # use oauth2_proto::{Client, Request, Response, TokenResponse};
//! # use std::time::SystemTime;
//! # type Answer = (u16, Vec<(String, Vec<u8>)>, Vec<u8>);
//! # type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
//! # async fn send(_: &Request, _: SystemTime) -> Option<Answer> { None }
//! # fn now() -> SystemTime { SystemTime::UNIX_EPOCH }
//! # async fn sleep_until(_: SystemTime) {}
//! async fn tokens(client: &Client, device: &mut PendingDevice) -> Outcome<TokenResponse> {
//!     loop {
//!         match device.poll(now()) {
//!             Step::Wait { until } => sleep_until(until).await,
//!             Step::Send { until } => {
//!                 let Some(call) = device.send(client, now())? else { continue };
//!                 match send(call.request(), until).await {
//!                     Some((status, headers, body)) => {
//!                         let response = Response::new(status, headers, &body);
//!                         if let Some(tokens) = device.received(call, response, now())? {
//!                             return Ok(tokens);
//!                         }
//!                     }
//!                     None => device.no_response(call, now()),
//!                 }
//!             }
//!             Step::Ended(end) => return Err(end.into()),
//!         }
//!     }
//! }
//! ```

mod answer;
mod pending;
mod step;
mod stored;

pub use self::pending::{DevicePoll, PendingDevice};
pub use self::step::{End, Step};

use std::fmt;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::call::Call;
use crate::client::{Client, StartedBy};
use crate::error::Error;
use crate::grants::device::answer::{DeviceContext, UserCode};
use crate::text::scope::Scope;
use crate::text::secret::Secret;
use crate::text::uri::{PageAddress, Resource};
use crate::token::Extras;
use crate::token::wanted::Wanted;

impl Client {
    /// Asks for a code that the user types on another device (RFC 8628 §3.1). The [module](self) shows the
    /// whole sign-in.
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, Client, ClientAuth};
    /// use std::time::SystemTime;
    ///
    /// let token_endpoint = "https://as.example/token";
    /// let server = AuthorizationServer::without_authorization_endpoint(token_endpoint)?
    ///     .device_authorization_endpoint("https://as.example/device_authorization")?;
    /// let client = Client::new(server, "client-id", ClientAuth::none())?;
    /// let call = client.device_authorization().scopes(["export:read"]).start(SystemTime::now())?;
    /// assert_eq!(call.request().url(), "https://as.example/device_authorization");
    /// assert_eq!(call.request().body(), "scope=export%3Aread&client_id=client-id");
    /// # Ok::<(), oauth2_proto::Error>(())
    /// ```
    pub fn device_authorization(&self) -> DeviceAuthorizationRequest<'_> {
        DeviceAuthorizationRequest { client: self, wanted: Wanted::default() }
    }
}

/// A device authorization request about to be sent (RFC 8628 §3.1); made by [`Client::device_authorization`].
#[must_use = "call `start` to make the request"]
pub struct DeviceAuthorizationRequest<'a> {
    client: &'a Client,
    wanted: Wanted<'a>,
}

impl<'a> DeviceAuthorizationRequest<'a> {
    /// Asks for scopes, each passed by itself (RFC 6749 §3.3); repeatable.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.wanted.add_scopes(scopes);
        self
    }

    /// Names a resource that the access token is for (RFC 8707 §2); repeatable. Each poll names it, too.
    pub fn resource(mut self, resource: &'a str) -> Self {
        self.wanted.add_resource(resource);
        self
    }

    /// Makes the request. Its body has the `client_id` even where a header authenticates the client, as RFC
    /// 8628 §3.1 defines it.
    ///
    /// # Errors
    ///
    /// Misuse: the server has no
    /// [device authorization endpoint](crate::AuthorizationServer::device_authorization_endpoint), it is
    /// known not to support this grant, or a scope or a resource is not well-formed.
    pub fn start(mut self, now: SystemTime) -> Result<Call<DeviceAuthorization>, Error> {
        let Self { client, wanted } = &mut self;
        wanted.check()?;
        let server = &client.server;
        let endpoint =
            client.endpoint(&server.device_authorization_endpoint, "device authorization endpoint")?;
        server.check_grant_type(GRANT_TYPE)?;
        let parameters = [("client_id", client.client_id_for_body()), ("scope", wanted.scope.as_str())];
        let request = client.request(endpoint, &parameters, wanted.resource_parameters(), now)?;
        let context = DeviceContext {
            started_by: client.started_by,
            scope: wanted.requested_scope(),
            resources: self.wanted.into_resources(),
        };
        Ok(Call::new(request, context))
    }
}

impl fmt::Debug for DeviceAuthorizationRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceAuthorizationRequest")
            .field("scope", &self.wanted.scope)
            .finish_non_exhaustive()
    }
}

/// The codes that the server issued, and the address at which the user types one (RFC 8628 §3.2).
///
/// What the user sees is safe to show as plain text: codes of visible characters, and sound web addresses. A
/// page in HTML still escapes them. Neither the codes nor the query of an address is in `Debug`.
///
/// ```
/// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Response};
/// use std::time::{Duration, SystemTime};
///
/// # let token_endpoint = "https://as.example/token";
/// # let server = AuthorizationServer::without_authorization_endpoint(token_endpoint)?
/// #     .device_authorization_endpoint("https://as.example/device_authorization")?;
/// # let client = Client::new(server, "client-id", ClientAuth::none())?;
/// let call = client.device_authorization().start(SystemTime::now())?;
/// let body = br#"{"device_code":"fake-device-code","user_code":"WDJB-MJHT",
///     "verification_uri":"https://as.example/device","expires_in":1800}"#;
/// let json = [("content-type", "application/json")];
/// let authorization = call.read(Response::new(200, json, body))?;
/// assert_eq!(authorization.user_code(), "WDJB-MJHT");
/// assert_eq!(authorization.verification_uri(), "https://as.example/device");
/// assert_eq!(authorization.interval(), Duration::from_secs(5));
///
/// let now = SystemTime::UNIX_EPOCH;
/// let device = authorization.begin(now);
/// assert_eq!(device.expires_at(), now + Duration::from_secs(1800));
/// # Ok::<(), oauth2_proto::Error>(())
/// ```
pub struct DeviceAuthorization {
    started_by: StartedBy,
    scope: Option<Scope>,
    resources: Vec<Resource<'static>>,
    device_code: Secret,
    user_code: UserCode,
    verification_uri: PageAddress,
    verification_uri_complete: Option<PageAddress>,
    expires_in: Duration,
    interval: Duration,
    extras: Extras,
}

impl DeviceAuthorization {
    /// Returns the code that the user types at [`verification_uri`](Self::verification_uri).
    pub fn user_code(&self) -> &str {
        &self.user_code.0
    }

    /// Returns the address that the user opens: `https` or `http`, short enough to type.
    pub fn verification_uri(&self) -> &str {
        self.verification_uri.as_str()
    }

    /// Returns the address that contains the user code, for a link or a QR code. Show the
    /// [`user_code`](Self::user_code) even then: the user compares it with the one on the page (RFC 8628
    /// §3.3.1).
    pub fn verification_uri_complete(&self) -> Option<&str> {
        self.verification_uri_complete.as_ref().map(PageAddress::as_str)
    }

    /// Returns the lifetime of both codes, which begins with the answer, in whole seconds, at most 2³¹ − 1.
    pub fn expires_in(&self) -> Duration {
        self.expires_in
    }

    /// Returns the pause before each poll, in whole seconds; 5 if the server names none or 0.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Returns a member that this crate does not read, such as `message` of Entra. Escape it before you show
    /// it.
    pub fn extra(&self, name: &str) -> Option<&Value> {
        self.extras.get(name)
    }

    /// Returns all members that this crate does not read.
    pub fn extras(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.extras.iter()
    }

    /// Begins to wait for the user; `now` is the time at which the answer arrived.
    pub fn begin(self, now: SystemTime) -> PendingDevice {
        PendingDevice::begin(self, now)
    }
}

impl fmt::Debug for DeviceAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceAuthorization")
            .field("verification_uri", &self.verification_uri)
            .field("expires_in", &self.expires_in)
            .field("interval", &self.interval)
            .field("scope", &self.scope)
            .field("extras", &self.extras)
            .finish_non_exhaustive()
    }
}

/// The name of the grant (RFC 8628 §3.4).
pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
