//! The endpoints of a server: how their addresses are read, and which parameters they must not bring.

use crate::error::Error;
use crate::server::AuthorizationServer;
use crate::text::foreign::ForeignAddress;
use crate::text::uri::Endpoint;

impl AuthorizationServer {
    /// Returns an endpoint that not every server has; `what` is its name in a message.
    pub(crate) fn require<'a>(
        &self,
        endpoint: &'a Option<Endpoint>,
        what: &str,
    ) -> Result<&'a Endpoint, Error> {
        endpoint.as_ref().ok_or_else(|| {
            self.unsound_endpoint(what).unwrap_or_else(|| {
                Error::misuse(format!(
                    "{} has no {what}, as far as AuthorizationServer knows; set it",
                    self.name
                ))
            })
        })
    }

    /// Returns the address of an endpoint for clients that present a certificate, if the server has one (RFC
    /// 8705 §5); `what` is the endpoint's name in a message.
    pub(crate) fn mtls_alias(&self, what: &str) -> Result<Option<&Endpoint>, Error> {
        self.mtls_endpoint_aliases.as_ref().map_or(Ok(None), |aliases| aliases.of(what))
    }

    /// Returns where a client sends its token requests.
    pub(crate) fn token_endpoint_for(&self, presents_certificate: bool) -> Result<&Endpoint, Error> {
        let alias = if presents_certificate { self.mtls_alias("token endpoint")? } else { None };
        Ok(alias.unwrap_or(&self.token_endpoint))
    }

    /// Returns all endpoints with their names of RFC 8414 §2.
    pub(crate) fn endpoints(&self) -> [(&'static str, Option<&Endpoint>); 10] {
        [
            ("authorization_endpoint", self.authorization_endpoint.as_ref()),
            ("token_endpoint", Some(&self.token_endpoint)),
            ("device_authorization_endpoint", self.device_authorization_endpoint.as_ref()),
            ("introspection_endpoint", self.introspection_endpoint.as_ref()),
            ("pushed_authorization_request_endpoint", self.pushed_authorization_request_endpoint.as_ref()),
            ("registration_endpoint", self.registration_endpoint.as_ref()),
            ("revocation_endpoint", self.revocation_endpoint.as_ref()),
            ("jwks_uri", self.jwks_uri.as_ref()),
            ("userinfo_endpoint", self.userinfo_endpoint.as_ref()),
            ("end_session_endpoint", self.end_session_endpoint.as_ref()),
        ]
    }

    /// Returns what is wrong with an endpoint that the server's document names, and that was left out because
    /// of it.
    fn unsound_endpoint(&self, what: &str) -> Option<Error> {
        let url = self.extras.as_ref()?.get(&what.replace(' ', "_"))?.as_str()?;
        let reserved = if what == END_SESSION_ENDPOINT { LOGOUT_PARAMETERS } else { TOKEN_PARAMETERS };
        let refused = Endpoint::parse(url, reserved).err()?;
        Some(Error::misuse(format!("the {what} in the server's metadata {refused}")))
    }
}

/// Parses an authorization endpoint.
pub(crate) fn parse_authorization_endpoint(url: &str) -> Result<Endpoint, Error> {
    let endpoint = Endpoint::parse(url, AUTHORIZATION_PARAMETERS)
        .map_err(|refused| Error::misuse(format!("the authorization endpoint {refused}")))?;
    check_response_mode(&endpoint)?;
    Ok(endpoint)
}

/// Parses an endpoint that takes a form or JSON by POST; `what` is its name in a message.
pub(crate) fn parse_endpoint(what: &str, url: &str) -> Result<Endpoint, Error> {
    Endpoint::parse(url, TOKEN_PARAMETERS).map_err(|refused| Error::misuse(format!("the {what} {refused}")))
}

/// Parses an end session endpoint.
pub(crate) fn parse_end_session_endpoint(url: &str) -> Result<Endpoint, Error> {
    Endpoint::parse(url, LOGOUT_PARAMETERS)
        .map_err(|refused| Error::misuse(format!("the {END_SESSION_ENDPOINT} {refused}")))
}

/// Refuses an authorization endpoint whose own query asks for a response that the page can read.
fn check_response_mode(endpoint: &Endpoint) -> Result<(), Error> {
    match endpoint.parameters().any(|(name, value)| name == "response_mode" && !is_response_mode(&value)) {
        false => Ok(()),
        true => Err(Error::misuse(format!(
            "the authorization endpoint {} has a response_mode other than query and form_post; remove it",
            ForeignAddress(endpoint.as_str())
        ))),
    }
}

/// Returns whether only the program receives the response. A response in a fragment or a message is open to
/// every script of the page (RFC 9700 §4.1.2 and §4.17).
pub(crate) fn is_response_mode(mode: &str) -> bool {
    matches!(mode, "query" | "form_post")
}

/// The name in messages of the pushed authorization request endpoint.
pub(crate) const PUSHED_ENDPOINT: &str = "pushed authorization request endpoint";

/// The parameters of an authorization request that this crate sets or excludes. Neither an endpoint's query
/// nor an extra parameter may contain them.
pub(crate) const AUTHORIZATION_PARAMETERS: &[&str] = &[
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    // Both replace the checked parameters of the request with unchecked ones.
    "request",
    "request_uri",
    // The thumbprint of the client's own key (RFC 9449 §10).
    "dpop_jkt",
    // These are secrets, which a URL must not hold.
    "code_verifier",
    "client_secret",
    // Only client authentication brings these, with a pushed request.
    "client_assertion",
    "client_assertion_type",
];

/// The name of the end session endpoint in a message.
pub(crate) const END_SESSION_ENDPOINT: &str = "end session endpoint";

/// The parameters of a logout that this crate sets (OpenID Connect RP-Initiated Logout §2). Neither an
/// endpoint's query nor an extra parameter may contain them.
pub(crate) const LOGOUT_PARAMETERS: &[&str] =
    &["id_token_hint", "client_id", "post_logout_redirect_uri", "state"];

/// The parameters of a request to another endpoint that its query must not contain.
const TOKEN_PARAMETERS: &[&str] = &[
    "grant_type",
    "response_type",
    "code",
    "redirect_uri",
    "state",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
    "code_verifier",
    "refresh_token",
    "scope",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "token",
    "token_type_hint",
    "device_code",
    "assertion",
    "subject_token",
    "actor_token",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn endpoints_are_https_or_loopback_and_bring_nothing_of_ours() {
        for (endpoint, sound) in [
            ("https://as.example/token", true),
            ("HTTPS://as.example/token?tenant=a%20b", true),
            ("http://127.0.0.1:8080/token", true),
            ("http://127.8.9.1/token", true),
            ("http://[::1]:8080/token", true),
            ("http://localhost/token", true),
            ("http://as.example/token", false),
            ("http://127.0.0.1.evil.example/token", false),
            ("http://localhost.evil.example/token", false),
            ("https://user:pass@as.example/token", false),
            ("https://@as.example/token", false),
            ("https://as.example/token#", false),
            ("https://as.example/to ken", false),
            ("https://as.example\\@evil.example/token", false),
            ("https://as.exa\tmple/token", false),
            (" https://as.example/token", false),
            ("https:as.example/token", false),
            ("https:///as.example/token", false),
            ("https://", false),
            ("https://as.example:99999/token", false),
            ("//as.example/token", false),
            ("/token", false),
            ("", false),
            ("ftp://as.example/token", false),
            ("javascript:alert(1)//as.example", false),
            ("javascript://as.example/%0aalert(1)", false),
            ("https://as.example/token?client%5Fid=other", false),
            ("https://as.example/token?x=%FF", false),
            ("https://ás.example/token", false),
            ("https://as.example/a/../token", false),
            ("https://as.example/a/./token", false),
            ("https://as.example/..", false),
            ("https://as.example/.?a=b", false),
            ("https://as.example/a/%2e%2E/token", false),
            ("https://as.example/a/.%2e?a=b", false),
            ("https://as.example/%2E", false),
            ("https://as.example/a..b/.well-known/...", true),
            ("https://as.example/token?a=/../", true),
            ("https://..", false),
            ("https://./token", false),
            ("https://.as.example/token", false),
            ("https://as..example/token", false),
            ("https://as.example../token", false),
            ("https://as.example./token", true),
            ("http://as.localhost/token", false),
        ] {
            let server = AuthorizationServer::new("https://as.example/authorize", endpoint);
            assert_eq!(server.is_ok(), sound, "{endpoint}");
            if let Err(error) = server {
                assert_eq!(error.kind(), ErrorKind::Misuse, "{endpoint}");
            }
        }
    }

    #[test]
    fn an_http_endpoint_is_told_who_may_use_http() {
        for (endpoint, says) in [("http://as.example/token", true), ("ftp://as.example/token", false)] {
            let error = AuthorizationServer::new("https://as.example/authorize", endpoint).unwrap_err();
            assert_eq!(error.to_string().contains("loopback"), says, "{error}");
        }
    }

    #[test]
    fn rfc8414_section_2_an_issuer_has_no_query() {
        let server = || AuthorizationServer::new("https://as.example/a", "https://as.example/t").unwrap();
        assert!(server().issuer("https://as.example/tenant/").is_ok());
        for issuer in [
            "https://as.example/a/..",
            "https://as.example?",
            "https://as.example/#",
            "http://as.example",
            "as.example",
        ] {
            assert!(server().issuer(issuer).is_err(), "{issuer}");
        }
    }

    #[test]
    fn an_endpoint_that_was_left_out_of_a_document_says_why_when_it_is_needed() {
        let server: AuthorizationServer = serde_json::from_str(
            r#"{"token_endpoint":"https://as.example/t",
                "registration_endpoint":"http://as.example/r?key=planted"}"#,
        )
        .unwrap();
        let why = |endpoint: &Option<Endpoint>, what| server.require(endpoint, what).unwrap_err().to_string();
        assert_eq!(
            why(&server.registration_endpoint, "registration endpoint"),
            "misuse: the registration endpoint in the server's metadata \"http://as.example/r\"… must be \
             https; http is for loopback addresses only"
        );
        assert_eq!(
            why(&server.revocation_endpoint, "revocation endpoint"),
            "misuse: the server has no revocation endpoint, as far as AuthorizationServer knows; set it"
        );
        let server = server.clone().registration_endpoint("https://as.example/r").unwrap();
        assert!(server.require(&server.registration_endpoint, "registration endpoint").is_ok());
    }
}
