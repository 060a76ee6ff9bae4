//! The identifiers of token types (RFC 8693 §3), for a token exchange.

/// An access token that the authorization server issued.
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A refresh token that the authorization server issued.
pub const REFRESH_TOKEN: &str = "urn:ietf:params:oauth:token-type:refresh_token";

/// An ID token (OpenID Connect Core §2).
pub const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// A base64url-encoded SAML 1.1 assertion.
pub const SAML1: &str = "urn:ietf:params:oauth:token-type:saml1";

/// A base64url-encoded SAML 2.0 assertion.
pub const SAML2: &str = "urn:ietf:params:oauth:token-type:saml2";

/// A JWT of any use.
pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// An identity assertion for another server (draft-ietf-oauth-identity-assertion-authz-grant §4.3).
/// [`Client::identity_assertion`](crate::Client::identity_assertion) asks for one.
pub const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

/// All of these types.
pub(super) const ALL: &[&str] = &[ACCESS_TOKEN, REFRESH_TOKEN, ID_TOKEN, SAML1, SAML2, JWT, ID_JAG];
