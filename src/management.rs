//! Revocation (RFC 7009), which ends a token at the server, and introspection (RFC 7662), which asks about
//! one.
//!
//! [`Client::revoke`](crate::Client::revoke) ends a token for good. Call it at a disconnect or a sign-out,
//! with the refresh token that [`Keeper::end`](crate::keeper::Keeper::end) or
//! [`Session::refresh_token`](crate::Session::refresh_token) returns: most servers then end the access tokens
//! of the same sign-in, too (RFC 7009 §2.1).
//!
//! ```
//! use oauth2_proto::management::TokenKind;
//! use oauth2_proto::{Advice, AuthorizationServer, Client, ClientAuth, Response, Secret};
//! use std::time::SystemTime;
//!
//! # fn main() -> Result<(), oauth2_proto::Error> {
//! let server = AuthorizationServer::new(
//!     "https://as.example/authorize",
//!     "https://as.example/token",
//! )?
//! .revocation_endpoint("https://as.example/revoke")?;
//! let client = Client::new(server, "client-id", ClientAuth::basic("fake-secret"))?;
//!
//! // After `keeper.end(key)`, which returns the refresh token:
//! let token = Secret::new("fake-refresh-token");
//! let call = client.revoke(&token).hint(TokenKind::RefreshToken).start(SystemTime::now())?;
//! assert_eq!(call.request().url(), "https://as.example/revoke");
//! assert_eq!(
//!     call.request().body(),
//!     "token=fake-refresh-token&token_type_hint=refresh_token"
//! );
//!
//! // The server is overloaded: the token still works, so send the same call again.
//! let busy = Response::new(503, [("retry-after", "10")], b"");
//! assert_eq!(call.read(busy).unwrap_err().advice(), Advice::RetryLater);
//! // Any success means that the token is dead, whatever the body says.
//! call.read(Response::new(200, [("content-type", "text/html")], b"<p>Bye</p>"))?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Client::introspect`](crate::Client::introspect) asks whether a token works, and for whom. A program that
//! calls an API does not need it: the API answers 401 when the token is dead. Use it in programs that accept
//! tokens from others, and for facts that a server tells in no other way, such as the company that
//! [`pleo::subject_urn`](crate::pleo::subject_urn) returns.

mod introspection;
mod revocation;

pub use self::introspection::{Introspection, IntrospectionRequest};
pub use self::revocation::{Revocation, RevocationRequest};

use crate::error::Error;
use crate::text::secret::Secret;
use crate::token::check_token;

/// The kind of a token, in the words of `token_type_hint` (RFC 7009 §2.1).
///
/// It is not a [`TokenType`](crate::token::TokenType), which says how to send an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenKind {
    /// An access token.
    AccessToken,
    /// A refresh token.
    RefreshToken,
}

impl TokenKind {
    fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::RefreshToken => "refresh_token",
        }
    }
}

/// Returns the parameters of a revocation or an introspection, which are the same.
fn parameters(token: &Secret, kind: Option<TokenKind>) -> Result<[(&str, &str); 2], Error> {
    check_token("token", token.expose())?;
    Ok([("token", token.expose()), ("token_type_hint", kind.map_or("", TokenKind::name))])
}
