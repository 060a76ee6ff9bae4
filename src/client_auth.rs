//! Client authentication (RFC 6749 §2.3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::text::form;
use crate::text::secret::Secret;

/// The way in which a client authenticates itself at the token endpoint (RFC 6749 §2.3).
///
/// A discovered server says which ways it supports:
/// [`supports_auth_method`](crate::discovery::Metadata::supports_auth_method).
///
/// An empty secret is allowed (RFC 6749 §2.3.1): HTTP Basic sends it as such, and a body leaves it out.
///
/// ```
/// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Secret};
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
///     (ClientAuth::none(), None, "&client_id=id"),
/// ] {
///     let client = Client::new(server.clone(), "id", auth)?;
///     let call = client.refresh(&Secret::new("fake")).start()?;
///     assert_eq!(call.request().header("authorization"), header);
///     let refresh = "grant_type=refresh_token&refresh_token=fake";
///     assert_eq!(call.request().body(), format!("{refresh}{body}"));
/// }
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
    None,
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

    /// Uses `none`: a public client sends its `client_id` only.
    pub fn none() -> Self {
        Self(Method::None)
    }

    /// Returns the name in `token_endpoint_auth_methods_supported` (RFC 8414 §2).
    pub(crate) fn method(&self) -> &'static str {
        match self.0 {
            Method::Basic(_) | Method::BasicUnencoded(_) => "client_secret_basic",
            Method::Post(_) => "client_secret_post",
            Method::None => "none",
        }
    }

    /// Returns the client secret, for the methods that have one.
    pub(crate) fn secret(&self) -> Option<&Secret> {
        match &self.0 {
            Method::Basic(secret) | Method::BasicUnencoded(secret) | Method::Post(secret) => Some(secret),
            Method::None => None,
        }
    }

    /// Returns whether form-encoding changes the credentials of HTTP Basic.
    pub(crate) fn encodes(&self, client_id: &str) -> bool {
        let is_plain = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'-' | b'.' | b'_'))
        };
        match &self.0 {
            Method::Basic(secret) => !(is_plain(client_id) && is_plain(secret.expose())),
            Method::BasicUnencoded(_) | Method::Post(_) | Method::None => false,
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
            Method::Post(_) | Method::None => return None,
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
