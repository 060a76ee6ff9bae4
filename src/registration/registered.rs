//! A registration: the credentials of a client at one server, and how to manage them (RFC 7592).

use std::fmt;
use std::time::SystemTime;

use serde_json::Value;

use crate::call::{Call, Request};
use crate::client::Client;
use crate::client_auth::ClientAuth;
use crate::error::Error;
use crate::registration::metadata::{AUTH_METHOD, ClientMetadata, ISSUED};
use crate::registration::reader::{Deletion, RegistrationContext};
use crate::registration::{bearer, to_json};
use crate::server::AuthorizationServer;
use crate::text::foreign::{Foreign, ForeignAddress};
use crate::text::json::Extras;
use crate::text::secret::Secret;
use crate::text::time::{END, system_time};
use crate::text::uri::{Endpoint, Issuer, split_address};

/// A client as a server registered it (RFC 7591 §3.2.1).
///
/// It serializes; the stored form holds the client secret and the registration access token, so store it as
/// a secret, by the issuer of the server. Every later version of this crate reads it. Replace it by each new
/// value that [`read`](Self::read) and [`update`](Self::update) bring: the server may have replaced the
/// secret or the token (RFC 7592 §2.1). The module has [an example](super).
///
/// A second registration is another client. Two processes that register at the same time agree on the one
/// that is stored first, and drop the other. After another registration, the tokens and sign-ins of the earlier
/// `client_id` are refused, so let those users sign in again.
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

/// When a client secret ends (RFC 7591 §3.2.1).
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

    /// Makes the client.
    ///
    /// # Errors
    ///
    /// - Misuse: `server` is another one than the client is registered at. The issuers decide if both are
    ///   known, and otherwise the token endpoints, where the credentials are sent. If only `server` has an
    ///   issuer, all its endpoints that take the credentials must have the token endpoint's origin.
    /// - Misuse: this crate does not have the [method](Self::token_endpoint_auth_method), or the server gave
    ///   no secret for it. [`update`](Self::update) it to another one.
    /// - The errors of [`Client::new`].
    pub fn client(&self, server: AuthorizationServer) -> Result<Client, Error> {
        self.at.check(&server)?;
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
                    "the client is registered for the client authentication {}, which a registration cannot set \
                     up; use Client::new, or register it for client_secret_basic, client_secret_post or none",
                    Foreign(other)
                )));
            }
        };
        Client::new(server, self.client_id.as_str(), auth)
    }

    /// Starts to read the registration from the server (RFC 7592 §2.1).
    ///
    /// What the answer leaves out of the credentials stays as it is here: the client secret, its expiry, and
    /// the address and token that manage the registration. After an answer that is refused or cannot be read,
    /// this value stays in force. After status 401 the registration is most likely gone: register again.
    ///
    /// # Errors
    ///
    /// Misuse, if the server does not offer to manage the registration.
    ///
    /// The answer is suspect if it is the registration of another client.
    pub fn read(&self) -> Result<Call<Self>, Error> {
        let Management { uri, token } = self.management()?;
        let request = Request::without_body("GET", uri.to_shared(), Some(bearer(token)));
        Ok(Call::new(request, self.context(None)))
    }

    /// Starts to update the registration (RFC 7592 §2.2).
    ///
    /// An update replaces all members, so it sends those that the server answered with the `metadata` in
    /// their place. To remove a member, set it to `null`. The rest is as for [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// Misuse, if the server does not offer to manage the registration, or the metadata has one of the faults
    /// that [`ClientMetadata`] lists.
    pub fn update(&self, metadata: &ClientMetadata) -> Result<Call<Self>, Error> {
        let Management { uri, token } = self.management()?;
        let mut answered = Extras::default();
        let kept = self.metadata.iter().filter(|(name, value)| !ISSUED.contains(name) && !value.is_null());
        kept.for_each(|(name, value)| answered.insert(name.to_owned(), value.clone()));
        // An update without the method would ask for the default.
        if let Some(method) = &self.method {
            answered.insert(AUTH_METHOD.to_owned(), method.as_str().into());
        }
        let asked = metadata.over(answered)?;
        let mut sent = asked.clone();
        sent.insert("client_id".to_owned(), self.client_id.as_str().into());
        if let Some(secret) = &self.client_secret {
            sent.insert("client_secret".to_owned(), secret.expose().into());
        }
        let request = Request::json("PUT", uri.to_shared(), to_json(&sent)?, Some(bearer(token)));
        Ok(Call::new(request, self.context(Some(asked))))
    }

    /// Starts to delete the registration (RFC 7592 §2.3). The server then ends its tokens, too.
    ///
    /// # Errors
    ///
    /// Misuse, if the server does not offer to manage the registration.
    pub fn delete(&self) -> Result<Call<Deletion>, Error> {
        let Management { uri, token } = self.management()?;
        Ok(Call::new(Request::without_body("DELETE", uri.to_shared(), Some(bearer(token))), ()))
    }

    fn management(&self) -> Result<&Management, Error> {
        self.management.as_ref().ok_or_else(|| {
            Error::misuse(
                "the server gave no registration_client_uri with a registration_access_token, so it does not \
                 offer to manage the registration (RFC 7592 section 3)",
            )
        })
    }

    fn context(&self, asked: Option<Extras>) -> RegistrationContext {
        RegistrationContext { at: self.at.clone(), asked, previous: Some(Box::new(self.clone())) }
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
    fn check(&self, server: &AuthorizationServer) -> Result<(), Error> {
        let (what, ours, theirs) = match (&self.issuer, &server.issuer) {
            (Some(ours), Some(theirs)) if ours.as_str() == theirs.as_str() => return Ok(()),
            (Some(ours), Some(theirs)) => ("issuer", ours.as_str(), theirs.as_str()),
            (ours, theirs) if self.token_endpoint.normalized() == server.token_endpoint.normalized() => {
                match foreign_endpoint(server).filter(|_| ours.is_none() && theirs.is_some()) {
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
fn foreign_endpoint(server: &AuthorizationServer) -> Option<&Endpoint> {
    let origin = |endpoint: &Endpoint| split_address(&endpoint.normalized()).0.to_owned();
    let others =
        [&server.device_authorization_endpoint, &server.introspection_endpoint, &server.revocation_endpoint];
    others.into_iter().flatten().find(|endpoint| origin(endpoint) != origin(&server.token_endpoint))
}

pub(super) const EXPIRES_AT: &str = "client_secret_expires_at";

pub(super) const ISSUED_AT: &str = "client_id_issued_at";
