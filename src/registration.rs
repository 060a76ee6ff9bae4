//! Ways for a client to become known to a server: dynamic registration (RFC 7591) and its management (RFC
//! 7592), or a client ID metadata document (draft-ietf-oauth-client-id-metadata-document).
//!
//! [`register`] sends [`ClientMetadata`] and returns a [`Registered`]: store it, make a
//! [`Client`](crate::Client) from it, and read, update or delete it at the server:
//!
//! ```
//! use oauth2_proto::{AuthorizationServer, Response};
//! use oauth2_proto::registration::{self, ClientMetadata, Registered};
//!
//! # fn main() -> Result<(), oauth2_proto::Error> {
//! let server = AuthorizationServer::new(
//!     "https://as.example/authorize",
//!     "https://as.example/token",
//! )?
//! .issuer("https://as.example")?
//! .registration_endpoint("https://as.example/register")?;
//! let metadata = ClientMetadata::new()
//!     .client_name("Fake App")
//!     .redirect_uris(["http://127.0.0.1/callback"])
//!     .token_endpoint_auth_method("none")
//!     .scopes(["read", "write"]);
//! let call = registration::register(&server, &metadata).start()?;
//! assert_eq!(
//!     call.request().body(),
//!     r#"{"application_type":"native","client_name":"Fake App","#.to_owned()
//!         + r#""redirect_uris":["http://127.0.0.1/callback"],"#
//!         + r#""scope":"read write","token_endpoint_auth_method":"none"}"#
//! );
//!
//! let json = [("content-type", "application/json")];
//! let body = br#"{"client_id":"fake-client","scope":"read"}"#;
//! let registered = call.read(Response::new(201, json, body))?;
//! // The server may change what was asked for.
//! assert_eq!(registered.changed(), ["scope"]);
//!
//! // Store it as a secret. It belongs to the issuer that it was registered at.
//! let stored = serde_json::to_string(&registered).unwrap();
//! let registered: Registered = serde_json::from_str(&stored).unwrap();
//! let client = registered.client(server)?;
//! # Ok(())
//! # }
//! ```
//!
//! A server that takes client ID metadata documents needs no registration: host
//! [`ClientMetadata::document`] at an address of yours, and use [`ClientIdUrl::client`].

mod document;
mod manage;
mod metadata;
mod reader;
mod registered;
mod stored;

pub use self::document::ClientIdUrl;
pub use self::manage::Deletion;
pub use self::metadata::{ApplicationType, ClientMetadata};
pub use self::registered::{Registered, SecretExpiry};

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::call::{Call, Request};
use crate::client_auth::authorization_header;
use crate::error::Error;
use crate::registration::reader::RegistrationContext;
use crate::registration::registered::RegisteredAt;
use crate::server::AuthorizationServer;
use crate::text::json::Extras;
use crate::text::secret::Secret;
use crate::token::check_token;

/// Starts a registration of a client with this metadata (RFC 7591 §3).
pub fn register<'a>(
    server: &'a AuthorizationServer,
    metadata: &'a ClientMetadata,
) -> RegistrationRequest<'a> {
    RegistrationRequest { server, metadata, initial_access_token: None }
}

/// A registration about to be sent (RFC 7591 §3.1); made by [`register`].
#[must_use = "call `start` to make the request"]
pub struct RegistrationRequest<'a> {
    server: &'a AuthorizationServer,
    metadata: &'a ClientMetadata,
    initial_access_token: Option<&'a Secret>,
}

impl<'a> RegistrationRequest<'a> {
    /// Sets the access token of a server that lets only some developers register (RFC 7591 §1.2 and §3).
    pub fn initial_access_token(mut self, token: &'a Secret) -> Self {
        self.initial_access_token = Some(token);
        self
    }

    /// Makes the request.
    ///
    /// # Errors
    ///
    /// Misuse: the server has no registration endpoint or does not support a grant type or the client
    /// authentication of the metadata, the initial access token is empty or holds control characters, or
    /// the metadata has one of the faults that [`ClientMetadata`] lists.
    pub fn start(self) -> Result<Call<Registered>, Error> {
        let endpoint = self.server.require(&self.server.registration_endpoint, "registration endpoint")?;
        let asked = self.metadata.over(Extras::default())?;
        check_supported(self.server, &asked)?;
        let authorization = match self.initial_access_token {
            Some(token) => {
                check_token("initial access token", token.expose())?;
                Some(bearer(token))
            }
            None => None,
        };
        let request = Request::json("POST", endpoint.to_shared(), to_json(&asked)?, authorization);
        let context =
            RegistrationContext { at: RegisteredAt::of(self.server), asked: Some(asked), previous: None };
        Ok(Call::new(request, context))
    }
}

impl fmt::Debug for RegistrationRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrationRequest").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

/// Refuses metadata that asks for what the server is known not to support.
fn check_supported(server: &AuthorizationServer, asked: &Extras) -> Result<(), Error> {
    if let Some(method) = asked.get(metadata::AUTH_METHOD).and_then(|method| method.as_str()) {
        server.check_auth_method(method)?;
    }
    metadata::grant_types(asked).try_for_each(|grant_type| server.check_grant_type(grant_type))
}

/// Builds the `Authorization` header of a bearer token (RFC 6750 §2.1).
fn bearer(token: &Secret) -> Arc<Secret> {
    Arc::new(authorization_header("Bearer", token))
}

/// Writes members as a JSON object.
fn to_json(members: &Extras) -> Result<String, Error> {
    serde_json::to_string(&Members(members))
        .map_err(|_| Error::misuse("a member of the client metadata cannot be written as JSON"))
}

/// Members that are written as an object. [`Extras`] has no `Serialize`, because a derive in your program
/// could then store a token by accident.
struct Members<'a>(&'a Extras);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        target.collect_map(self.0.iter())
    }
}
