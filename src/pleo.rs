//! Pleo's authorization servers, as data.
//!
//! Pleo offers the authorization code grant with PKCE (`S256` only), refresh and introspection, and
//! authenticates clients by `client_secret_basic` only. Access and refresh tokens are opaque; a refresh
//! replaces both, and every earlier one dies at once. Scopes look like `export:read`.

use std::borrow::Cow;

use serde_json::Value;

use crate::authorization::AuthorizationRequest;
use crate::challenge::ProtectedApi;
use crate::error::Error;
use crate::management::Introspection;
use crate::server::AuthorizationServer;
use crate::text::uri::{Endpoint, Issuer, Refused, Urn};

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
///      not client_secret_post; use ClientAuth::basic"
/// );
/// ```
pub fn staging() -> AuthorizationServer {
    pleo(
        Endpoint::constant("https://auth.staging.pleo.io/oauth/authorize"),
        Endpoint::constant("https://auth.staging.pleo.io/oauth/token"),
        Endpoint::constant("https://auth.staging.pleo.io/oauth/token/introspect"),
    )
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
    pleo(
        Endpoint::constant("https://auth.pleo.io/oauth/authorize"),
        Endpoint::constant("https://auth.pleo.io/oauth/token"),
        Endpoint::constant("https://auth.pleo.io/oauth/token/introspect"),
    )
    .https_redirect_uris_only()
}

/// Describes a stand-in for Pleo at another base URL, for tests.
///
/// ```
/// use oauth2_proto::{Client, ClientAuth, Secret, pleo};
/// use std::time::SystemTime;
///
/// # fn main() -> Result<(), oauth2_proto::Error> {
/// let server = pleo::at("http://127.0.0.1:8080")?;
/// let client = Client::new(server, "client-id", ClientAuth::basic("fake"))?;
/// let call = client.refresh(&Secret::new("fake-refresh-token")).start(SystemTime::now())?;
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
    let refuse = |refused: Refused| Error::misuse(format!("the base URL {refused}"));
    // A base URL has the syntax of an issuer: a web address that a path can be appended to.
    Issuer::parse(base).map_err(refuse)?;
    let base = base.trim_end_matches('/');
    let endpoint = |path: &str| Endpoint::parse(&format!("{base}{path}"), &[]).map_err(refuse);
    Ok(pleo(endpoint("/oauth/authorize")?, endpoint("/oauth/token")?, endpoint("/oauth/token/introspect")?))
}

/// Asks for an authorization of one subject, such as a company, by its URN; without this call, Pleo's page
/// decides.
///
/// ```
/// use oauth2_proto::{Client, ClientAuth, Entropy, pleo};
///
/// # fn main() -> Result<(), oauth2_proto::Error> {
/// let client = Client::new(pleo::staging(), "client-id", ClientAuth::basic("fake"))?;
/// let request = client.authorize("https://app.example/callback").scopes(["users:read"]);
/// let request = pleo::subject(request, "urn:pleo:company:17")?;
/// let now = std::time::SystemTime::UNIX_EPOCH;
/// let (url, _pending) = request.start_with(Entropy::from_bytes([1; 128]), now)?;
/// assert!(url.ends_with("&urn_pleo_params_oauth_subject=urn%3Apleo%3Acompany%3A17"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Misuse, if the text is no URN: `urn:`, a namespace, `:` and a name in it (RFC 8141 §2), without the
/// optional components that begin with `?` or `#`.
pub fn subject<'a>(
    request: AuthorizationRequest<'a>,
    urn: &'a str,
) -> Result<AuthorizationRequest<'a>, Error> {
    Urn::check(urn).map_err(|refused| Error::misuse(format!("the subject {refused}")))?;
    Ok(request.parameter("urn_pleo_params_oauth_subject", urn))
}

/// Returns the URN of the subject that a token is for; Pleo adds it to the answer to
/// [`Client::introspect`](crate::Client::introspect).
pub fn subject_urn(introspection: &Introspection) -> Option<&str> {
    introspection.extra("urn:pleo:params:oauth:subject_urn").and_then(Value::as_str)
}

/// Describes the API that staging's tokens are for, `https://external.staging.pleo.io`.
///
/// ```
/// use oauth2_proto::{Secret, pleo, token::TokenType};
///
/// let api = pleo::staging_api();
/// let token = Secret::new("fake-token");
/// let url = "https://external.staging.pleo.io/v1/vendors";
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

fn pleo(
    authorization_endpoint: Endpoint,
    token_endpoint: Endpoint,
    introspection_endpoint: Endpoint,
) -> AuthorizationServer {
    let only = |supported: &[&'static str]| Some(supported.iter().copied().map(Cow::Borrowed).collect());
    AuthorizationServer {
        name: "Pleo".into(),
        grant_types_supported: only(&["authorization_code", "refresh_token"]),
        token_endpoint_auth_methods_supported: only(&["client_secret_basic"]),
        code_challenge_methods_supported: only(&["S256"]),
        access_tokens_end_with_refresh: true,
        introspection_endpoint: Some(introspection_endpoint),
        instead_of_revocation: Some("the user removes the permission in Pleo's settings".into()),
        ..AuthorizationServer::with_endpoints(Some(authorization_endpoint), token_endpoint)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

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
            let introspection_endpoint = server.introspection_endpoint.unwrap();
            assert_eq!(introspection_endpoint.as_str(), format!("{base}/oauth/token/introspect"));
            // `Endpoint::constant` took on trust what `new` accepts.
            let endpoints = [&authorization_endpoint, &server.token_endpoint].map(Endpoint::as_str);
            let server = AuthorizationServer::new(endpoints[0], endpoints[1]).unwrap();
            server.introspection_endpoint(introspection_endpoint.as_str()).unwrap();
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
    fn a_subject_is_a_urn_and_is_sent_once() {
        let client = Client::new(staging(), "fake-client", ClientAuth::basic("fake")).unwrap();
        let request = || client.authorize("https://app.example/cb");
        for subject in
            ["17", "", "pleo:company:17", "https://external.pleo.io/17", "urn:pleo:a b", "urn:pleo:"]
        {
            let message = super::subject(request(), subject).unwrap_err().to_string();
            assert!(
                message.starts_with("misuse: the subject ") && message.contains("is no URN"),
                "{message}"
            );
        }
        let twice = super::subject(request(), "urn:pleo:company:17").unwrap();
        let twice = super::subject(twice, "urn:pleo:company:18").unwrap();
        let entropy = crate::Entropy::from_bytes([1; 128]);
        let message = twice.start_with(entropy, std::time::UNIX_EPOCH).unwrap_err().to_string();
        assert!(message.contains("urn_pleo_params_oauth_subject"), "{message}");
    }

    #[test]
    fn a_subject_urn_is_a_text_of_an_active_token() {
        let client = Client::new(staging(), "fake-client", ClientAuth::basic("fake")).unwrap();
        let call = client.introspect(&"fake-token".into()).start(SystemTime::UNIX_EPOCH).unwrap();
        for (answer, subject) in [
            (r#"{"active":true,"urn:pleo:params:oauth:subject_urn":"urn:x:y"}"#, Some("urn:x:y")),
            (r#"{"active":true,"urn:pleo:params:oauth:subject_urn":17}"#, None),
            (r#"{"active":true}"#, None),
            (r#"{"active":false,"urn:pleo:params:oauth:subject_urn":"urn:x:y"}"#, None),
        ] {
            let answer = crate::Response::new(200, [("a", "b")], answer.as_bytes());
            assert_eq!(subject_urn(&call.read(answer).unwrap()), subject);
        }
    }

    #[test]
    fn revocation_is_misuse_that_says_what_the_user_does_unless_an_endpoint_is_known() {
        let client = |server| Client::new(server, "fake-client", ClientAuth::basic("fake")).unwrap();
        for server in [staging(), production(), at("http://127.0.0.1:8080").unwrap()] {
            let message = client(server.clone())
                .revoke(&"fake-token".into())
                .start(SystemTime::UNIX_EPOCH)
                .unwrap_err()
                .to_string();
            assert_eq!(
                message,
                "misuse: Pleo has no revocation endpoint; the user removes the permission in Pleo's settings"
            );
            let server = server.revocation_endpoint("https://auth.pleo.io/oauth/revoke").unwrap();
            assert!(client(server).revoke(&"fake-token".into()).start(SystemTime::UNIX_EPOCH).is_ok());
        }
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
