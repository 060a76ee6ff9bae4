//! The [`Client`]: where every operation starts.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::call::Request;
use crate::client_auth::{ClientAuth, Method};
use crate::error::Error;
use crate::server::AuthorizationServer;
use crate::text::form;
use crate::text::scope::Scope;
use crate::text::secret::Secret;
use crate::token::reader::TokenContext;

/// A client that is registered at one authorization server.
///
/// It is immutable and cheap to share; everything that changes lives in the values that it makes.
#[derive(Clone)]
pub struct Client {
    pub(crate) server: AuthorizationServer,
    client_id: String,
    auth: ClientAuth,
    /// The `Authorization` header of every token request.
    authorization: Option<Secret>,
    /// The part of the authorization URL that is the same for each.
    pub(crate) authorization_url_start: String,
    pub(crate) identity: [u8; 32],
    /// A digest of where a refresh token goes and for whom. What else is said about the server may change while
    /// an authorization lives.
    pub(crate) issued_to: IssuedTo,
}

impl Client {
    /// A client by its server, its `client_id` and how it authenticates itself.
    ///
    /// # Errors
    ///
    /// - Misuse: the server does not support this authentication, or the `client_id` is empty.
    /// - Unsupported: the server lists its code challenge methods, and `S256` is not among them.
    pub fn new(
        server: AuthorizationServer,
        client_id: impl Into<String>,
        auth: ClientAuth,
    ) -> Result<Self, Error> {
        let client_id = client_id.into();
        if client_id.is_empty() {
            return Err(Error::misuse("the client_id is empty"));
        }
        server.check_auth_method(auth.method())?;
        if let Some(methods) = &server.code_challenge_methods_supported
            && !methods.iter().any(|method| method == "S256")
        {
            return Err(Error::unsupported(
                "PKCE with S256, without which this crate starts no authorization",
            ));
        }
        if server.authorization_response_iss_parameter_supported && server.issuer.is_none() {
            return Err(Error::misuse(
                "the server is said to send iss, but there is no issuer to compare it with; set \
                 AuthorizationServer::issuer",
            ));
        }
        if matches!(auth, ClientAuth(Method::BasicUnencoded(_))) && client_id.contains(':') {
            return Err(Error::misuse(
                "a client_id with a colon cannot be sent unencoded in Basic (RFC 7617 section 2)",
            ));
        }
        Ok(Self {
            authorization: auth.authorization(&client_id),
            authorization_url_start: authorization_url_start(&server.authorization_endpoint, &client_id),
            identity: identity(&server, &client_id),
            issued_to: IssuedTo(digest([&server.token_endpoint, &client_id])),
            server,
            client_id,
            auth,
        })
    }

    /// A request to the token endpoint with this client's authentication (RFC 6749 §2.3 and §3.2).
    pub(crate) fn token_request(
        &self,
        parameters: &[(&str, &str)],
        resources: &[impl AsRef<str>],
    ) -> Request {
        let credentials: &[(&str, &str)] = match &self.auth.0 {
            Method::Basic(_) | Method::BasicUnencoded(_) => &[],
            Method::Post(secret) => &[("client_id", &self.client_id), ("client_secret", secret.expose())],
            Method::None => &[("client_id", &self.client_id)],
        };
        let resources = resources.iter().map(|resource| ("resource", resource.as_ref()));
        let pairs = || {
            let pairs = parameters.iter().chain(credentials).copied().chain(resources.clone());
            pairs.filter(|(_, value)| !value.is_empty())
        };
        let mut body = String::with_capacity(pairs().map(|(name, value)| form::room_for(name, value)).sum());
        pairs().for_each(|(name, value)| form::push_pair(&mut body, name, value));
        Request::form_post(&self.server.token_endpoint, body, self.authorization.as_ref())
    }

    /// Returns what the reader of a token response must know about a request of this client.
    pub(crate) fn token_context(
        &self,
        requested_scope: Option<Scope>,
        resources: Vec<String>,
    ) -> TokenContext {
        TokenContext {
            leniencies: self.server.leniencies,
            issued_to: self.issued_to,
            requested_scope,
            resources,
            ends_together: self.server.access_tokens_end_with_refresh,
            invalid_grant_codes: self.server.invalid_grant_codes.clone(),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.server)
            .field("client_id", &self.client_id)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

/// The client that tokens are issued to: a digest of its token endpoint and `client_id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IssuedTo(pub(crate) [u8; 16]);

/// The endpoint with its own query, and the parameters that do not change from one request to the next.
fn authorization_url_start(endpoint: &str, client_id: &str) -> String {
    let (address, query) = endpoint.split_once('?').unwrap_or((endpoint, ""));
    let mut query = query.to_owned();
    form::push_pair(&mut query, "response_type", "code");
    form::push_pair(&mut query, "client_id", client_id);
    form::push_pair(&mut query, "code_challenge_method", "S256");
    format!("{address}?{query}")
}

/// A digest of what decides where a code comes from, where it goes and who redeems it, so that a pending
/// authorization can be held to the client that started it without carrying all of it along.
fn identity(server: &AuthorizationServer, client_id: &str) -> [u8; 32] {
    let issuer = server.issuer.as_deref().unwrap_or_default();
    sha256([issuer, &server.authorization_endpoint, &server.token_endpoint, client_id])
}

/// Half of a SHA-256 over texts that stay apart, which is enough to tell things apart.
pub(crate) fn digest<const N: usize>(parts: [&str; N]) -> [u8; 16] {
    sha256(parts).as_chunks().0.first().copied().unwrap_or_default()
}

fn sha256<const N: usize>(parts: [&str; N]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        // No part can hold this byte: it never stands in UTF-8.
        hash.update([0xff]);
    }
    hash.finalize().into()
}
