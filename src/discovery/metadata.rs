//! A view of the metadata of an authorization server (RFC 8414 §2).

use std::borrow::Cow;

use serde_json::Value;

use crate::server::AuthorizationServer;
use crate::text::uri::{Endpoint, Issuer};

/// A view of the metadata of an [`AuthorizationServer`], made by [`AuthorizationServer::metadata`].
///
/// ```
/// use oauth2_proto::AuthorizationServer;
///
/// let server: AuthorizationServer = serde_json::from_str(
///     r#"{"issuer":"https://as.example","token_endpoint":"https://as.example/token",
///         "scopes_supported":["read"],"x_vendor":{"tier":1}}"#,
/// )
/// .unwrap();
/// let metadata = server.metadata();
/// assert_eq!(metadata.token_endpoint(), "https://as.example/token");
/// assert_eq!(metadata.authorization_endpoint(), None);
/// assert!(metadata.scopes_supported().unwrap().eq(["read"]));
/// assert!(metadata.grant_types_supported().is_none());
/// assert_eq!(metadata.get("x_vendor").unwrap()["tier"], 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Metadata<'a>(&'a AuthorizationServer);

impl AuthorizationServer {
    /// Returns a view of this server's metadata, under the names of RFC 8414 §2.
    pub fn metadata(&self) -> Metadata<'_> {
        Metadata(self)
    }
}

impl<'a> Metadata<'a> {
    /// Returns the issuer identifier.
    pub fn issuer(&self) -> Option<&'a str> {
        self.0.issuer.as_ref().map(Issuer::as_str)
    }

    /// Returns the authorization endpoint.
    pub fn authorization_endpoint(&self) -> Option<&'a str> {
        self.0.authorization_endpoint.as_ref().map(Endpoint::as_str)
    }

    /// Returns the token endpoint.
    pub fn token_endpoint(&self) -> &'a str {
        self.0.token_endpoint.as_str()
    }

    /// Returns the device authorization endpoint (RFC 8628 §4).
    pub fn device_authorization_endpoint(&self) -> Option<&'a str> {
        self.0.device_authorization_endpoint.as_ref().map(Endpoint::as_str)
    }

    /// Returns the introspection endpoint.
    pub fn introspection_endpoint(&self) -> Option<&'a str> {
        self.0.introspection_endpoint.as_ref().map(Endpoint::as_str)
    }

    /// Returns the pushed authorization request endpoint (RFC 9126 §5).
    pub fn pushed_authorization_request_endpoint(&self) -> Option<&'a str> {
        self.0.pushed_authorization_request_endpoint.as_ref().map(Endpoint::as_str)
    }

    /// Returns the registration endpoint.
    pub fn registration_endpoint(&self) -> Option<&'a str> {
        self.0.registration_endpoint.as_ref().map(Endpoint::as_str)
    }

    /// Returns the revocation endpoint.
    pub fn revocation_endpoint(&self) -> Option<&'a str> {
        self.0.revocation_endpoint.as_ref().map(Endpoint::as_str)
    }

    /// Returns the address of the server's public keys.
    pub fn jwks_uri(&self) -> Option<&'a str> {
        self.0.jwks_uri.as_ref().map(Endpoint::as_str)
    }

    /// Returns the UserInfo endpoint (OpenID Connect Discovery §3).
    pub fn userinfo_endpoint(&self) -> Option<&'a str> {
        self.0.userinfo_endpoint.as_ref().map(Endpoint::as_str)
    }

    /// Returns the end session endpoint (OpenID Connect RP-Initiated Logout §2.1).
    pub fn end_session_endpoint(&self) -> Option<&'a str> {
        self.0.end_session_endpoint.as_ref().map(Endpoint::as_str)
    }

    /// Returns the algorithms of the server's ID tokens; `None` means unknown.
    pub fn id_token_signing_alg_values_supported(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        texts(&self.0.id_token_signing_alg_values_supported)
    }

    /// Returns the scopes; `None` means unknown. The server may support others, too.
    pub fn scopes_supported(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        self.list("scopes_supported")
    }

    /// Returns the response types; `None` means unknown.
    pub fn response_types_supported(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        self.list("response_types_supported")
    }

    /// Returns the response modes; `None` means unknown.
    pub fn response_modes_supported(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        self.list("response_modes_supported")
    }

    /// Returns the algorithms of signed authorization requests (RFC 9101 §10.5); `None` means unknown.
    pub fn request_object_signing_alg_values_supported(
        &self,
    ) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        self.list("request_object_signing_alg_values_supported")
    }

    /// Returns the algorithms of signed authorization responses (JARM §4); `None` means unknown.
    pub fn authorization_signing_alg_values_supported(
        &self,
    ) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        self.list("authorization_signing_alg_values_supported")
    }

    /// Returns the grant types; `None` means unknown.
    pub fn grant_types_supported(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        texts(&self.0.grant_types_supported)
    }

    /// Returns the client authentication methods; `None` means unknown.
    pub fn token_endpoint_auth_methods_supported(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        texts(&self.0.token_endpoint_auth_methods_supported)
    }

    /// Returns the client authentication methods at the revocation endpoint; `None` means unknown.
    pub fn revocation_endpoint_auth_methods_supported(
        &self,
    ) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        texts(&self.0.revocation_endpoint_auth_methods_supported)
    }

    /// Returns the client authentication methods at the introspection endpoint; `None` means unknown.
    pub fn introspection_endpoint_auth_methods_supported(
        &self,
    ) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        texts(&self.0.introspection_endpoint_auth_methods_supported)
    }

    /// Returns the algorithms of assertions that authenticate a client; `None` means unknown.
    pub fn token_endpoint_auth_signing_alg_values_supported(
        &self,
    ) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        texts(&self.0.token_endpoint_auth_signing_alg_values_supported)
    }

    /// Returns the algorithms of assertions at the revocation endpoint; `None` means unknown.
    pub fn revocation_endpoint_auth_signing_alg_values_supported(
        &self,
    ) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        texts(&self.0.revocation_endpoint_auth_signing_alg_values_supported)
    }

    /// Returns the algorithms of assertions at the introspection endpoint; `None` means unknown.
    pub fn introspection_endpoint_auth_signing_alg_values_supported(
        &self,
    ) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        texts(&self.0.introspection_endpoint_auth_signing_alg_values_supported)
    }

    /// Returns the address of an endpoint, such as `token_endpoint`, for clients that present a certificate
    /// (RFC 8705 §5).
    pub fn mtls_endpoint_alias(&self, endpoint: &str) -> Option<&'a str> {
        let mut aliases = self.0.mtls_endpoint_aliases.as_deref()?.iter();
        aliases.find(|(name, _)| *name == endpoint).map(|(_, alias)| alias.as_str())
    }

    /// Returns the code challenge methods; `None` means that PKCE is not announced.
    pub fn code_challenge_methods_supported(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        texts(&self.0.code_challenge_methods_supported)
    }

    /// Returns whether the server sends `iss` with every callback (RFC 9207 §3).
    pub fn authorization_response_iss_parameter_supported(&self) -> bool {
        self.0.authorization_response_iss_parameter_supported
    }

    /// Returns whether the server takes pushed authorization requests only (RFC 9126 §5).
    pub fn require_pushed_authorization_requests(&self) -> bool {
        self.0.require_pushed_authorization_requests
    }

    /// Returns whether the server takes signed authorization requests only (RFC 9101 §10.5).
    pub fn require_signed_request_object(&self) -> bool {
        self.0.require_signed_request_object
    }

    /// Returns whether the server takes the URL of a client ID metadata document as `client_id` (draft
    /// client-id-metadata-document §5).
    pub fn client_id_metadata_document_supported(&self) -> bool {
        self.0.client_id_metadata_document_supported == Some(true)
    }

    /// Returns whether to try this grant type: `false` only where the server lists its grant types and this
    /// one is not among them.
    pub fn supports_grant_type(&self, grant_type: &str) -> bool {
        self.0.check_grant_type(grant_type).is_ok()
    }

    /// Returns whether to try this client authentication at the token endpoint: `false` only where the server
    /// lists its methods and this one is not among them.
    ///
    /// Choose the client's authentication, and what to register, by what a discovered server supports:
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, Client, ClientAuth};
    ///
    /// fn auth(server: &AuthorizationServer, secret: &str) -> ClientAuth {
    ///     match server.metadata().supports_auth_method("client_secret_basic") {
    ///         true => ClientAuth::basic(secret),
    ///         false => ClientAuth::post(secret),
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// let server = AuthorizationServer::new(
    ///     "https://as.example/authorize",
    ///     "https://as.example/token",
    /// )?;
    /// assert!(server.metadata().supports_grant_type("refresh_token"));
    ///
    /// let server = server.token_endpoint_auth_methods_supported(["client_secret_post"]);
    /// assert!(!server.metadata().supports_auth_method("none"));
    /// let auth = auth(&server, "fake-secret");
    /// assert!(Client::new(server, "client-id", auth).is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn supports_auth_method(&self, method: &str) -> bool {
        self.0.check_auth_method(method).is_ok()
    }

    /// Returns a member of the server's document that this crate does not act on, such as `claims_supported`
    /// or `ui_locales_supported`, as the server sent it. A member that is `null` is absent.
    ///
    /// The value is unchecked. It may be an endpoint that was left out because its address is unsound.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.extras.as_deref()?.get(name)
    }

    fn list(&self, name: &str) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        Some(self.get(name)?.as_array()?.iter().filter_map(Value::as_str))
    }
}

fn texts<'a>(list: &'a Option<Vec<Cow<'static, str>>>) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
    Some(list.as_ref()?.iter().map(|text| &**text))
}
