//! A registration: the credentials of a client at one server (RFC 7591 §3.2.1).

use std::fmt;
use std::time::SystemTime;

use serde_json::Value;

use crate::client::Client;
use crate::client_auth::ClientAuth;
use crate::error::Error;
use crate::registration::metadata::AUTH_ALGORITHM;
use crate::server::AuthorizationServer;
use crate::text::foreign::{Foreign, ForeignAddress};
use crate::text::json::Extras;
use crate::text::secret::Secret;
use crate::text::time::{END, system_time};
use crate::text::uri::{Endpoint, Issuer, split_address};

/// A client as a server registered it (RFC 7591 §3.2.1).
///
/// It serializes; the stored form holds the client secret and the registration access token, so store it as a
/// secret, under the [`issuer`](Self::issuer) of the server. Every later version of this crate reads it.
/// Replace it with each value that the calls of [`read`](Self::read) and [`update`](Self::update) return: the
/// server may have replaced the secret or the token (RFC 7592 §2.1). [The module](super) shows an example.
///
/// A second registration is another client. Two processes that register at the same time agree on the one
/// that is stored first, and drop the other. After another registration, the tokens and sign-ins of the
/// earlier `client_id` are refused, so let those users sign in again.
#[derive(Clone)]
pub struct Registered {
    pub(super) at: RegisteredAt,
    pub(super) client_id: String,
    pub(super) client_secret: Option<Secret>,
    /// How the client authenticates itself; `None` means the default.
    pub(super) method: Option<String>,
    pub(super) management: Option<Management>,
    pub(super) changed: Vec<String>,
    /// The members as answered, without the secrets.
    pub(super) metadata: Extras,
}

/// The expiry of a client secret (RFC 7591 §3.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretExpiry {
    /// The secret does not expire.
    Never,
    /// The secret expires at this time, at the latest in the year 9999.
    At(SystemTime),
    /// The server does not say; a secret that has expired shows as `invalid_client`.
    Unknown,
}

impl Registered {
    /// Returns the issuer identifier of the server that registered the client, to find the stored
    /// registration of a server; `None` if the server's issuer was not set.
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, registration::Registered};
    ///
    /// fn of<'a>(stored: &'a [Registered], server: &AuthorizationServer) -> Option<&'a Registered> {
    ///     let issuer = server.metadata().issuer()?;
    ///     stored.iter().find(|registered| registered.issuer() == Some(issuer))
    /// }
    /// # use oauth2_proto::Response;
    /// # use oauth2_proto::registration::{ClientMetadata, register};
    /// #
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// # let server = |host| {
    /// #     AuthorizationServer::new(&format!("{host}/authorize"), &format!("{host}/token"))?
    /// #         .issuer(host)?
    /// #         .registration_endpoint(&format!("{host}/register"))
    /// # };
    /// # let metadata = ClientMetadata::new().redirect_uris(["https://app.example/callback"]);
    /// # let body = br#"{"client_id":"fake-client","token_endpoint_auth_method":"none"}"#;
    /// # let json = [("content-type", "application/json")];
    /// # let registered = |host| {
    /// #     register(&server(host)?, &metadata).start()?.read(Response::new(201, json, body))
    /// # };
    /// # let stored = [registered("https://as.example")?, registered("https://other.example")?];
    /// # let found = of(&stored, &server("https://other.example")?).unwrap();
    /// # assert_eq!(found.issuer(), Some("https://other.example"));
    /// # assert!(of(&stored, &server("https://third.example")?).is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn issuer(&self) -> Option<&str> {
        self.at.issuer.as_ref().map(Issuer::as_str)
    }

    /// Returns the client's identifier at this server.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns the client secret; a public client has none.
    pub fn client_secret(&self) -> Option<&Secret> {
        self.client_secret.as_ref()
    }

    /// Returns when the client secret expires.
    pub fn client_secret_expiry(&self) -> SecretExpiry {
        match self.seconds(EXPIRES_AT) {
            None => SecretExpiry::Unknown,
            Some(0) => SecretExpiry::Never,
            Some(seconds) => SecretExpiry::At(system_time(seconds.min(END / 1000) * 1000)),
        }
    }

    /// Returns whether the client secret is known to have expired. If so, [`read`](Self::read) the
    /// registration, which may bring a new one, or register again.
    pub fn is_secret_expired(&self, now: SystemTime) -> bool {
        matches!(self.client_secret_expiry(), SecretExpiry::At(end) if end <= now)
    }

    /// Returns how the client authenticates itself: as the server answered, or else as was asked for, or else
    /// `client_secret_basic` (RFC 7591 §2). The server chose the text; escape it before you show it.
    pub fn token_endpoint_auth_method(&self) -> &str {
        self.method.as_deref().unwrap_or("client_secret_basic")
    }

    /// Returns the names of the members that the server answered with another value than was asked for,
    /// sorted; the order of lists and of scopes does not count (RFC 7591 §3.2.1).
    ///
    /// A member that the answer leaves out is not among them, because many servers answer a part of what they
    /// registered; [`get`](Self::get) tells whether one was answered.
    pub fn changed(&self) -> &[String] {
        &self.changed
    }

    /// Returns a member as the server answered it, such as `scope`. The credentials and the address that
    /// manages them are not among them. Times are numbers of seconds since 1970, however they were written.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.metadata.get(name)
    }

    /// Returns all members that [`get`](Self::get) returns.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.metadata.iter()
    }

    /// Returns the address at which the registration is managed (RFC 7592 §3); `None` if the server does not
    /// offer that, or gave no token for it.
    pub fn registration_client_uri(&self) -> Option<&str> {
        self.management.as_ref().map(|management| management.uri.as_str())
    }

    /// Returns the token that manages the registration (RFC 7592 §3); `None` where
    /// [`registration_client_uri`](Self::registration_client_uri) is.
    pub fn registration_access_token(&self) -> Option<&Secret> {
        self.management.as_ref().map(|management| &management.token)
    }

    /// Makes the client. It knows no time, so ask [`is_secret_expired`](Self::is_secret_expired) first.
    ///
    /// # Errors
    ///
    /// - Misuse: `server` is another one than the client is registered at. The issuers decide if both are
    ///   known, and otherwise the token endpoints, where the credentials are sent. If only `server` has an
    ///   issuer, all its endpoints that take the credentials must have the token endpoint's origin.
    /// - Misuse: the client is registered for another [method](Self::token_endpoint_auth_method) than
    ///   `client_secret_basic`, `client_secret_post` and `none`; [`client_with`](Self::client_with) takes it.
    /// - Misuse: the server gave no secret for the method. [`update`](Self::update) it to another one.
    /// - The errors of [`Client::new`].
    pub fn client(&self, server: AuthorizationServer) -> Result<Client, Error> {
        self.at.check(&server, false)?;
        let method = self.token_endpoint_auth_method();
        let secret = || {
            self.client_secret.clone().ok_or_else(|| {
                Error::misuse(format!(
                    "the server gave no client_secret, and the client is registered for {}; register it for \
                     none, or update it",
                    Foreign(method)
                ))
            })
        };
        let auth = match method {
            "client_secret_basic" => ClientAuth::basic(secret()?),
            "client_secret_post" => ClientAuth::post(secret()?),
            "none" => ClientAuth::none(),
            other => {
                return Err(Error::misuse(format!(
                    "the client is registered for the client authentication {}, for which a registration holds no \
                     key; pass it to Registered::client_with, or register the client for client_secret_basic, \
                     client_secret_post or none",
                    Foreign(other)
                )));
            }
        };
        Client::new(server, self.client_id.as_str(), auth)
    }

    /// Makes the client with a key or a certificate of yours, or with another use of the secret: `auth` must
    /// be of the [method](Self::token_endpoint_auth_method) that the client is registered for.
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Error};
    /// use oauth2_proto::{jose::SigningKey, registration::Registered};
    ///
    /// fn client(
    ///     registered: &Registered,
    ///     server: AuthorizationServer,
    ///     key: SigningKey,
    /// ) -> Result<Client, Error> {
    ///     registered.client_with(server, ClientAuth::private_key_jwt(key))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// - Misuse: `server` is another one than the client is registered at; see [`client`](Self::client).
    /// - Misuse: the client is registered for another method, or for another algorithm of its assertions.
    /// - The errors of [`Client::new`].
    pub fn client_with(&self, server: AuthorizationServer, auth: ClientAuth) -> Result<Client, Error> {
        self.at.check(&server, auth.presents_certificate())?;
        let method = self.token_endpoint_auth_method();
        if auth.method() != method {
            return Err(Error::misuse(format!(
                "the client is registered for the client authentication {}, not {}; pass a ClientAuth of that \
                 method, or update the registration",
                Foreign(method),
                auth.method()
            )));
        }
        if let (Some(algorithm), Some(registered)) =
            (auth.algorithm(), self.metadata.get(AUTH_ALGORITHM).and_then(Value::as_str))
            && algorithm != registered
        {
            return Err(Error::misuse(format!(
                "the client is registered for assertions of {}, not {algorithm}; pass a key of that algorithm, or \
                 update the registration",
                Foreign(registered)
            )));
        }
        Client::new(server, self.client_id.as_str(), auth)
    }

    /// Returns a time as it was answered: seconds since 1970.
    pub(super) fn seconds(&self, name: &str) -> Option<u64> {
        self.metadata.get(name).and_then(Value::as_u64)
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered")
            .field("at", &self.at)
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret)
            .field("client_secret_expiry", &self.client_secret_expiry())
            .field("token_endpoint_auth_method", &Foreign(self.token_endpoint_auth_method()))
            .field("management", &self.management)
            .field("changed", &self.changed)
            .field("metadata", &self.metadata)
            .finish()
    }
}

/// The address and the token that manage a registration (RFC 7592 §3).
#[derive(Clone, Debug)]
pub(super) struct Management {
    pub(super) uri: Endpoint,
    pub(super) token: Secret,
}

/// The server that a client is registered at.
#[derive(Clone, Debug)]
pub(super) struct RegisteredAt {
    pub(super) issuer: Option<Issuer>,
    pub(super) token_endpoint: Endpoint,
}

impl RegisteredAt {
    pub(super) fn of(server: &AuthorizationServer) -> Self {
        Self { issuer: server.issuer.clone(), token_endpoint: server.token_endpoint.clone() }
    }

    /// Refuses another server: its issuer differs or, if one of the two has none, its token endpoint, where
    /// the credentials are sent. A server with an issuer that is not known here could name this token
    /// endpoint and, for other requests with the credentials, endpoints of its own.
    fn check(&self, server: &AuthorizationServer, presents_certificate: bool) -> Result<(), Error> {
        let (what, ours, theirs) = match (&self.issuer, &server.issuer) {
            (Some(ours), Some(theirs)) if ours.as_str() == theirs.as_str() => return Ok(()),
            (Some(ours), Some(theirs)) => ("issuer", ours.as_str(), theirs.as_str()),
            (ours, theirs) if self.token_endpoint.normalized() == server.token_endpoint.normalized() => {
                match foreign_endpoint(server, presents_certificate)
                    .filter(|_| ours.is_none() && theirs.is_some())
                {
                    Some(foreign) => ("origin", self.token_endpoint.as_str(), foreign.as_str()),
                    None => return Ok(()),
                }
            }
            _ => ("token endpoint", self.token_endpoint.as_str(), server.token_endpoint.as_str()),
        };
        Err(Error::misuse(format!(
            "the client is registered at the server with the {what} {}, not {}; register it there, too",
            ForeignAddress(ours),
            ForeignAddress(theirs)
        )))
    }
}

/// Returns an endpoint that takes the credentials, too, and has another origin than the token endpoint.
fn foreign_endpoint(server: &AuthorizationServer, presents_certificate: bool) -> Option<&Endpoint> {
    let origin = |endpoint: &Endpoint| split_address(&endpoint.normalized()).0.to_owned();
    let others = [
        &server.device_authorization_endpoint,
        &server.introspection_endpoint,
        &server.pushed_authorization_request_endpoint,
        &server.revocation_endpoint,
    ];
    let aliases = server.mtls_endpoint_aliases.iter().filter(|_| presents_certificate);
    let aliases = aliases.flat_map(|aliases| aliases.iter()).map(|(_, alias)| alias);
    others
        .into_iter()
        .flatten()
        .chain(aliases)
        .find(|endpoint| origin(endpoint) != origin(&server.token_endpoint))
}

pub(super) const EXPIRES_AT: &str = "client_secret_expires_at";

pub(super) const ISSUED_AT: &str = "client_id_issued_at";
