//! Client authentication (RFC 6749 §2.3): secrets, assertions that a key signs (RFC 7523), and TLS
//! certificates (RFC 8705).
//!
//! [`ClientAuth`] has a constructor for each method. A key signs in this process, or elsewhere: see
//! [`jose`](crate::jose).

mod assertion;
mod signing;

pub use self::signing::Signing;

pub(crate) use self::assertion::Assertion;
pub(crate) use self::signing::Signatures;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::authorization::Entropy;
use crate::client_auth::assertion::Assertions;
use crate::error::Error;
use crate::jose::SigningKey;
use crate::text::form;
use crate::text::secret::Secret;

/// The way in which a client authenticates itself at the token endpoint and at every other endpoint that asks
/// for it (RFC 6749 §2.3).
///
/// A discovered server says which ways it supports:
/// [`supports_auth_method`](crate::discovery::Metadata::supports_auth_method).
///
/// | method | constructor | sent | asks for |
/// |---|---|---|---|
/// | `client_secret_basic` | [`basic`](Self::basic) | the secret, in a header | a secret |
/// | `client_secret_post` | [`post`](Self::post) | the secret, in the body | a secret |
/// | `client_secret_jwt` | [`client_secret_jwt`](Self::client_secret_jwt) | an assertion | a secret of 32 bytes |
/// | `private_key_jwt` | [`private_key_jwt`](Self::private_key_jwt) | an assertion | a key that the server knows |
/// | `tls_client_auth` | [`tls_client_auth`](Self::tls_client_auth) | the `client_id` | a certificate of an authority |
/// | `self_signed_tls_client_auth` | [`self_signed_tls_client_auth`](Self::self_signed_tls_client_auth) | the `client_id` | a certificate that the server knows |
/// | `none` | [`none`](Self::none) | the `client_id` | nothing |
///
/// An empty secret is allowed (RFC 6749 §2.3.1): HTTP Basic sends it as such, and a body leaves it out.
///
/// ```
/// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Secret};
/// use std::time::SystemTime;
///
/// # fn main() -> Result<(), oauth2_proto::Error> {
/// let server = AuthorizationServer::new(
///     "https://as.example/authorize",
///     "https://as.example/token",
/// )?;
/// for (auth, header, body) in [
///     // The secret is form-encoded first: s%26t.
///     (ClientAuth::basic("s&t"), Some("Basic aWQ6cyUyNnQ="), ""),
///     (ClientAuth::basic_unencoded("s&t"), Some("Basic aWQ6cyZ0"), ""),
///     (ClientAuth::post("s&t"), None, "&client_id=id&client_secret=s%26t"),
///     (ClientAuth::tls_client_auth(), None, "&client_id=id"),
///     (ClientAuth::self_signed_tls_client_auth(), None, "&client_id=id"),
///     (ClientAuth::none(), None, "&client_id=id"),
/// ] {
///     let client = Client::new(server.clone(), "id", auth)?;
///     let call = client.refresh(&Secret::new("fake")).start(SystemTime::now())?;
///     assert_eq!(call.request().header("authorization"), header);
///     let refresh = "grant_type=refresh_token&refresh_token=fake";
///     assert_eq!(call.request().body(), format!("{refresh}{body}"));
/// }
///
/// // An assertion is made for each request, is valid for a minute, and names this server.
/// let server = server.issuer("https://as.example")?;
/// let auth = ClientAuth::client_secret_jwt("fake-secret-of-32-octets-exactly")?;
/// let client = Client::new(server, "id", auth)?;
/// let call = client.refresh(&Secret::new("fake")).start(SystemTime::now())?;
/// let form = call.request().form();
/// let names: Vec<&str> = form.iter().map(|(name, _)| name.as_str()).collect();
/// assert_eq!(
///     names[2..],
///     ["client_id", "client_assertion_type", "client_assertion"]
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ClientAuth(pub(crate) Method);

#[derive(Clone, Debug)]
pub(crate) enum Method {
    Basic(Secret),
    BasicUnencoded(Secret),
    Post(Secret),
    Assertion(Box<Assertions>),
    Tls { is_self_signed: bool },
    None,
}

/// The audience of an assertion, which is the server that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Audience {
    /// The server's issuer identifier, which no other server takes (draft-ietf-oauth-rfc7523bis §4).
    Issuer,
    /// The token endpoint's address, which older servers want (RFC 7523 §3).
    TokenEndpoint,
}

impl ClientAuth {
    /// Uses `client_secret_basic`: HTTP Basic, with both halves form-encoded first (RFC 6749 §2.3.1).
    pub fn basic(client_secret: impl Into<Secret>) -> Self {
        Self(Method::Basic(client_secret.into()))
    }

    /// Uses `client_secret_basic` without form-encoding, for a server that does not decode the two halves.
    ///
    /// It differs from [`basic`](Self::basic) only where the id or the secret holds other characters than
    /// letters, digits and `* - . _`.
    pub fn basic_unencoded(client_secret: impl Into<Secret>) -> Self {
        Self(Method::BasicUnencoded(client_secret.into()))
    }

    /// Uses `client_secret_post`: id and secret in the body, which RFC 6749 §2.3.1 does not recommend.
    pub fn post(client_secret: impl Into<Secret>) -> Self {
        Self(Method::Post(client_secret.into()))
    }

    /// Uses `private_key_jwt`: a short-lived assertion that a key of this client signs (RFC 7523 §2.2, OpenID
    /// Connect Core §9).
    ///
    /// The assertion is for the server's [`issuer`](crate::AuthorizationServer::issuer), which must be set;
    /// [`assertion_audience`](Self::assertion_audience) names another audience. [`jose`](crate::jose) shows
    /// how to make a key. A server that sees an assertion again refuses it, so
    /// [renew](crate::Call::renew) a call before you send it again.
    pub fn private_key_jwt(key: SigningKey) -> Self {
        Self(Method::Assertion(Box::new(Assertions::of_key(key))))
    }

    /// Uses `client_secret_jwt`: a short-lived assertion that is signed with the client secret by `HS256`
    /// (OpenID Connect Core §9). Takes random bytes from the operating system.
    ///
    /// # Errors
    ///
    /// Misuse: the secret is shorter than 32 bytes (RFC 7518 §3.2), or the operating system has no random
    /// bytes.
    #[cfg(feature = "os-random")]
    pub fn client_secret_jwt(client_secret: impl Into<Secret>) -> Result<Self, Error> {
        Self::client_secret_jwt_with(client_secret, Entropy::from_os()?)
    }

    /// Like `client_secret_jwt`, with your own random bytes.
    ///
    /// # Errors
    ///
    /// Misuse: the secret is shorter than 32 bytes (RFC 7518 §3.2).
    pub fn client_secret_jwt_with(client_secret: impl Into<Secret>, entropy: Entropy) -> Result<Self, Error> {
        Ok(Self(Method::Assertion(Box::new(Assertions::of_secret(client_secret.into(), &entropy)?))))
    }

    /// Uses `tls_client_auth`: the TLS connection of your HTTP client presents a certificate of a known
    /// authority, and the request names the client (RFC 8705 §2.1).
    ///
    /// Requests go to the server's [addresses for such
    /// connections](crate::AuthorizationServer::mtls_endpoint_alias), where it has them.
    pub fn tls_client_auth() -> Self {
        Self(Method::Tls { is_self_signed: false })
    }

    /// Uses `self_signed_tls_client_auth`: the TLS connection of your HTTP client presents a certificate that
    /// is registered for this client, and the request names the client (RFC 8705 §2.2). Otherwise it is like
    /// [`tls_client_auth`](Self::tls_client_auth).
    pub fn self_signed_tls_client_auth() -> Self {
        Self(Method::Tls { is_self_signed: true })
    }

    /// Sets the audience of assertions; without this call it is [`Audience::Issuer`]. The other methods have
    /// none, and stay as they are.
    pub fn assertion_audience(mut self, audience: Audience) -> Self {
        if let Method::Assertion(assertions) = &mut self.0 {
            assertions.audience = audience;
        }
        self
    }

    /// Sets how long an assertion is valid, in whole seconds; without this call it is a minute. The other
    /// methods have none, and stay as they are.
    pub fn assertion_lifetime(mut self, lifetime: Duration) -> Self {
        if let Method::Assertion(assertions) = &mut self.0 {
            assertions.lifetime = lifetime;
        }
        self
    }

    /// Uses `none`: a public client sends its `client_id` only.
    pub fn none() -> Self {
        Self(Method::None)
    }

    /// Returns whether the program's connections present a certificate.
    pub(crate) fn presents_certificate(&self) -> bool {
        matches!(self.0, Method::Tls { .. })
    }

    /// Returns the name in `token_endpoint_auth_methods_supported` (RFC 8414 §2).
    pub(crate) fn method(&self) -> &'static str {
        match &self.0 {
            Method::Basic(_) | Method::BasicUnencoded(_) => "client_secret_basic",
            Method::Post(_) => "client_secret_post",
            Method::Assertion(assertions) => assertions.method(),
            Method::Tls { is_self_signed: false } => "tls_client_auth",
            Method::Tls { is_self_signed: true } => "self_signed_tls_client_auth",
            Method::None => "none",
        }
    }

    /// Returns the algorithm of this client's assertions, if it makes any.
    pub(crate) fn algorithm(&self) -> Option<&'static str> {
        self.assertions().map(Assertions::algorithm)
    }

    /// Returns the client secret, for the methods that have one.
    pub(crate) fn secret(&self) -> Option<&Secret> {
        match &self.0 {
            Method::Basic(secret) | Method::BasicUnencoded(secret) | Method::Post(secret) => Some(secret),
            Method::Assertion(assertions) => assertions.secret(),
            Method::Tls { .. } | Method::None => None,
        }
    }

    /// Returns the audience of assertions, for the methods that have some.
    pub(crate) fn audience(&self) -> Option<Audience> {
        self.assertions().map(|assertions| assertions.audience)
    }

    /// Returns the key that signs assertions, if it is not a shared secret.
    pub(crate) fn signing_key(&self) -> Option<&SigningKey> {
        self.assertions().and_then(Assertions::key)
    }

    /// Returns how this client makes assertions, if it makes any.
    pub(crate) fn assertions(&self) -> Option<&Assertions> {
        match &self.0 {
            Method::Assertion(assertions) => Some(assertions),
            _ => None,
        }
    }

    /// Returns whether form-encoding changes the credentials of HTTP Basic.
    pub(crate) fn encodes(&self, client_id: &str) -> bool {
        let is_plain = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'-' | b'.' | b'_'))
        };
        match &self.0 {
            Method::Basic(secret) => !(is_plain(client_id) && is_plain(secret.expose())),
            _ => false,
        }
    }

    /// Builds the value of the `Authorization` header, for the methods that have one.
    pub(crate) fn authorization(&self, client_id: &str) -> Option<Secret> {
        let pair = match &self.0 {
            Method::Basic(secret) => {
                let room = form::room_for(client_id, client_id) + form::room_for("", secret.expose());
                let mut pair = String::with_capacity(room);
                form::push_escaped(&mut pair, client_id);
                pair.push(':');
                form::push_escaped(&mut pair, secret.expose());
                Secret::new(pair)
            }
            Method::BasicUnencoded(secret) => Secret::new(format!("{client_id}:{}", secret.expose())),
            _ => return None,
        };
        let mut header = String::with_capacity(6 + pair.expose().len().div_ceil(3) * 4);
        header.push_str("Basic ");
        STANDARD.encode_string(pair.expose(), &mut header);
        Some(Secret::new(header))
    }
}

/// Builds the value of an `Authorization` header from a scheme and a token (RFC 9110 §11.6.2).
pub(crate) fn authorization_header(scheme: &str, token: &Secret) -> Secret {
    // A buffer that grows would leave a copy behind.
    let mut header = String::with_capacity(scheme.len() + 1 + token.expose().len());
    header.push_str(scheme);
    header.push(' ');
    header.push_str(token.expose());
    Secret::new(header)
}
