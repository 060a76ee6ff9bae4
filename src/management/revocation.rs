//! The revocation of a token (RFC 7009).

use std::fmt;
use std::iter;
use std::time::SystemTime;

use crate::call::{Call, Readable, Reply, Response, sealed};
use crate::client::Client;
use crate::error::Error;
use crate::management::{TokenKind, parameters};
use crate::text::secret::Secret;
use crate::token::reader;

impl Client {
    /// Starts the revocation of a token (RFC 7009 §2.1): the server ends it. If it is a refresh token, most
    /// servers also end all access tokens of the same sign-in.
    ///
    /// The example of the [module](crate::management) shows the request and the answers.
    pub fn revoke<'a>(&'a self, token: &'a Secret) -> RevocationRequest<'a> {
        RevocationRequest { client: self, token, kind: None }
    }
}

/// A revocation about to be sent (RFC 7009 §2.1); made by [`Client::revoke`].
#[must_use = "call `start` to make the request"]
pub struct RevocationRequest<'a> {
    client: &'a Client,
    token: &'a Secret,
    kind: Option<TokenKind>,
}

impl RevocationRequest<'_> {
    /// Tells the server what kind of token it is, so that it finds the token faster. The server also looks
    /// for the other kinds.
    pub fn hint(mut self, kind: TokenKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Makes the request, with the client authentication of the token endpoint (RFC 7009 §2.1).
    ///
    /// # Errors
    ///
    /// Misuse: the server has no revocation endpoint, does not support this client authentication there or
    /// the algorithm of its key, a key of the client did not sign ([`Client::signing`]), or the token is
    /// empty or holds control characters (such as the line break of a file).
    pub fn start(self, now: SystemTime) -> Result<Call<Revocation>, Error> {
        let server = &self.client.server;
        if let (None, Some(instead)) = (&server.revocation_endpoint, &server.instead_of_revocation) {
            return Err(Error::misuse(format!("{} has no revocation endpoint; {instead}", server.name)));
        }
        let endpoint = self.client.endpoint(&server.revocation_endpoint, REVOCATION_ENDPOINT)?;
        server.check_auth_at(
            REVOCATION_ENDPOINT,
            server.revocation_endpoint_auth_methods_supported.as_deref(),
            server.revocation_endpoint_auth_signing_alg_values_supported.as_deref(),
            &self.client.auth,
        )?;
        let parameters = parameters(self.token, self.kind)?;
        Ok(Call::new(self.client.request(endpoint, &parameters, iter::empty(), now)?, ()))
    }
}

/// The [`Reply`] to a revocation: [`Call::read`] returns `Ok(())` when the token is dead.
///
/// Any 2xx says so, also for a token that the server does not know; its body is ignored (RFC 7009 §2.2). Stop
/// using the token then.
///
/// After an error the token may still work. At 503 it does (RFC 7009 §2.2.1), and the advice is
/// [`RetryLater`](crate::Advice::RetryLater): send the same call again. The code `unsupported_token_type` has
/// the advice [`FixConfiguration`](crate::Advice::FixConfiguration): the server does not revoke this kind of
/// token, so revoke the refresh token instead of the access token.
#[derive(Debug)]
pub enum Revocation {}

impl Reply for Revocation {}

impl sealed::Reply for Revocation {
    type Context = ();
}

impl Readable for Revocation {
    type Output = ();

    fn read(response: Response<'_>, (): &()) -> Result<(), Error> {
        match response.status {
            200..=299 => Ok(()),
            _ => reader::read_failure(&response).map_or(Ok(()), |error| Err(error.without_grant())),
        }
    }
}

impl fmt::Debug for RevocationRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationRequest").field("hint", &self.kind).finish_non_exhaustive()
    }
}

const REVOCATION_ENDPOINT: &str = "revocation endpoint";
