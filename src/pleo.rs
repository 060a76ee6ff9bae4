//! Pleo's authorization servers, as data.
//!
//! Pleo offers the authorization code grant with PKCE (`S256` only) and refresh, and authenticates clients
//! by `client_secret_basic` only. Access and refresh tokens are opaque; a refresh replaces both, and every
//! earlier one dies at once. Scopes look like `export:read`.

use std::borrow::Cow;

use crate::challenge::ProtectedApi;
use crate::error::Error;
use crate::server::AuthorizationServer;
use crate::text::uri::{Endpoint, Issuer};

/// Describes Pleo's staging environment, `https://auth.staging.pleo.io`.
///
/// ```
/// use oauth2_proto::{Client, ClientAuth, pleo};
///
/// assert!(Client::new(pleo::staging(), "client-id", ClientAuth::basic("fake")).is_ok());
/// let post = ClientAuth::post("fake");
/// let error = Client::new(pleo::staging(), "client-id", post).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "misuse: Pleo supports the client authentication methods \"client_secret_basic\", \
///      not client_secret_post"
/// );
/// ```
pub fn staging() -> AuthorizationServer {
    pleo(AuthorizationServer::with_endpoints(
        Some(Endpoint::constant("https://auth.staging.pleo.io/oauth/authorize")),
        Endpoint::constant("https://auth.staging.pleo.io/oauth/token"),
    ))
}

/// Describes Pleo's production environment, `https://auth.pleo.io`, where a redirect URI must be `https`.
///
/// ```
/// use oauth2_proto::{Client, ClientAuth, Entropy, pleo};
///
/// # fn main() -> Result<(), oauth2_proto::Error> {
/// let client = Client::new(pleo::production(), "client-id", ClientAuth::basic("fake"))?;
/// let request = client.authorize("http://127.0.0.1:3000/callback");
/// let now = std::time::SystemTime::UNIX_EPOCH;
/// let error = request.start_with(Entropy::from_bytes([1; 128]), now).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "misuse: the redirect URI \"http://127.0.0.1:3000/callback\" is not https, \
///      and Pleo takes no other"
/// );
/// # Ok(())
/// # }
/// ```
pub fn production() -> AuthorizationServer {
    pleo(AuthorizationServer::with_endpoints(
        Some(Endpoint::constant("https://auth.pleo.io/oauth/authorize")),
        Endpoint::constant("https://auth.pleo.io/oauth/token"),
    ))
    .https_redirect_uris_only()
}

/// Describes a stand-in for Pleo at another base URL, for tests.
///
/// ```
/// use oauth2_proto::{Client, ClientAuth, Secret, pleo};
///
/// # fn main() -> Result<(), oauth2_proto::Error> {
/// let server = pleo::at("http://127.0.0.1:8080")?;
/// let client = Client::new(server, "client-id", ClientAuth::basic("fake"))?;
/// let call = client.refresh(&Secret::new("fake-refresh-token")).start()?;
/// assert_eq!(call.request().url(), "http://127.0.0.1:8080/oauth/token");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Misuse, if the base is not `https` (or `http` to a loopback address), or has user information, a query
/// or a fragment.
pub fn at(base: &str) -> Result<AuthorizationServer, Error> {
    // A base URL has the syntax of an issuer: a web address that a path can be appended to.
    Issuer::parse(base).map_err(|refused| Error::misuse(format!("the base URL {refused}")))?;
    let base = base.trim_end_matches('/');
    AuthorizationServer::new(&format!("{base}/oauth/authorize"), &format!("{base}/oauth/token")).map(pleo)
}

/// Describes the API that staging's tokens are for, `https://external.staging.pleo.io`.
///
/// ```
/// use oauth2_proto::{Secret, pleo, token::TokenType};
///
/// let api = pleo::staging_api();
/// let (token, url) = (Secret::new("fake-token"), "https://external.staging.pleo.io/v1/vendors");
/// let header = api.authorization(&TokenType::Bearer, &token, url)?;
/// assert_eq!(header.expose(), "Bearer fake-token");
/// # Ok::<(), oauth2_proto::Error>(())
/// ```
pub fn staging_api() -> ProtectedApi {
    ProtectedApi::constant("https://external.staging.pleo.io")
}

/// Describes the API that production's tokens are for, `https://external.pleo.io`.
pub fn production_api() -> ProtectedApi {
    ProtectedApi::constant("https://external.pleo.io")
}

fn pleo(server: AuthorizationServer) -> AuthorizationServer {
    let only = |supported: &[&'static str]| Some(supported.iter().copied().map(Cow::Borrowed).collect());
    AuthorizationServer {
        name: "Pleo".into(),
        grant_types_supported: only(&["authorization_code", "refresh_token"]),
        token_endpoint_auth_methods_supported: only(&["client_secret_basic"]),
        code_challenge_methods_supported: only(&["S256"]),
        access_tokens_end_with_refresh: true,
        ..server
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, ClientAuth};

    #[test]
    fn the_endpoints_follow_from_the_base() {
        for (server, base) in [
            (staging(), "https://auth.staging.pleo.io"),
            (production(), "https://auth.pleo.io"),
            (at("http://127.0.0.1:8080").unwrap(), "http://127.0.0.1:8080"),
            (at("http://127.0.0.1:8080/").unwrap(), "http://127.0.0.1:8080"),
        ] {
            let authorization_endpoint = server.authorization_endpoint.unwrap();
            assert_eq!(authorization_endpoint.as_str(), format!("{base}/oauth/authorize"));
            assert_eq!(server.token_endpoint.as_str(), format!("{base}/oauth/token"));
            // `Endpoint::constant` took on trust what `new` accepts.
            let endpoints = [&authorization_endpoint, &server.token_endpoint].map(Endpoint::as_str);
            AuthorizationServer::new(endpoints[0], endpoints[1]).unwrap();
        }
    }

    #[test]
    fn a_token_goes_to_the_api_of_its_own_environment() {
        let token = crate::Secret::new("fake-token");
        for (api, base, other) in [
            (staging_api(), "https://external.staging.pleo.io", "https://external.pleo.io"),
            (production_api(), "https://external.pleo.io", "https://external.staging.pleo.io"),
        ] {
            let header = |base: &str| {
                api.authorization(&crate::token::TokenType::Bearer, &token, &format!("{base}/v1"))
            };
            assert!(header(base).is_ok() && header(other).is_err(), "{base}");
            // `constant` took on trust what `new` accepts.
            assert_eq!(format!("{api:?}"), format!("{:?}", ProtectedApi::new([base]).unwrap()));
        }
    }

    #[test]
    fn a_base_is_a_plain_address() {
        for base in
            ["http://auth.pleo.io", "https://auth.pleo.io?x=1", "https://a@auth.pleo.io", "auth.pleo.io", ""]
        {
            assert!(at(base).is_err(), "{base}");
        }
    }

    #[test]
    fn what_pleo_supports_is_known_before_any_request() {
        let server = staging();
        for (grant_type, supported) in
            [("authorization_code", true), ("refresh_token", true), ("client_credentials", false)]
        {
            assert_eq!(server.check_grant_type(grant_type).is_ok(), supported, "{grant_type}");
        }
        assert_eq!(server.code_challenge_methods_supported, Some(vec!["S256".into()]));
    }

    #[test]
    fn any_other_client_authentication_is_misuse_that_names_the_right_one() {
        for auth in [ClientAuth::post("fake"), ClientAuth::none()] {
            let message = Client::new(staging(), "fake-client", auth).unwrap_err().to_string();
            assert!(
                message.contains("Pleo supports") && message.contains("client_secret_basic"),
                "{message}"
            );
        }
        assert!(Client::new(staging(), "fake-client", ClientAuth::basic("fake")).is_ok());
    }

    #[test]
    fn production_wants_an_https_redirect_uri() {
        let now = std::time::UNIX_EPOCH;
        for (server, redirect_uri, accepted) in [
            (production(), "https://app.example/cb", true),
            (production(), "http://127.0.0.1:3000/cb", false),
            (production(), "com.example.app:/cb", false),
            (staging(), "http://127.0.0.1:3000/cb", true),
        ] {
            let client = Client::new(server, "fake-client", ClientAuth::basic("fake")).unwrap();
            let started =
                client.authorize(redirect_uri).start_with(crate::Entropy::from_bytes([1; 128]), now);
            assert_eq!(started.is_ok(), accepted, "{redirect_uri}");
        }
    }
}
