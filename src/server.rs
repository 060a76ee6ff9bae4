//! An authorization server as data: its endpoints, what it supports, and its accepted deviations.

mod aliases;
mod endpoints;
mod leniency;
mod supported;

pub use self::leniency::Leniency;

pub(crate) use self::aliases::MtlsAliases;
pub(crate) use self::endpoints::{
    AUTHORIZATION_PARAMETERS, END_SESSION_ENDPOINT, LOGOUT_PARAMETERS, PUSHED_ENDPOINT, is_response_mode,
    parse_authorization_endpoint, parse_end_session_endpoint, parse_endpoint,
};
pub(crate) use self::leniency::Leniencies;

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::Error;
use crate::text::foreign::Foreign;
use crate::text::json::Extras;
use crate::text::uri::{Endpoint, Issuer};

/// An authorization server: its endpoints and what it supports, named as in RFC 8414 §2.
///
/// An unset list means unknown: every value is tried.
///
/// [`discovery`](crate::discovery) reads a server from the metadata that it publishes. To store a server,
/// serialize it: its form is the document of RFC 8414 §2, with the settings that are not in this RFC under
/// `oauth2_proto`. Deserialize only what you stored or wrote yourself, because such a document can set any
/// leniency.
///
/// ```
/// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, server::Leniency};
///
/// # fn main() -> Result<(), oauth2_proto::Error> {
/// let server = AuthorizationServer::new(
///     "https://as.example/authorize",
///     "https://as.example/token",
/// )?
/// .issuer("https://as.example")?
/// .authorization_response_iss_parameter_supported(true)
/// .token_endpoint_auth_methods_supported(["client_secret_basic"])
/// .tolerate(Leniency::ScopeComma);
///
/// // What the server does not support is refused before any request exists.
/// let error = Client::new(server, "client-id", ClientAuth::none()).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "misuse: the server supports the client authentication methods \
///      \"client_secret_basic\", not none; use ClientAuth::basic"
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AuthorizationServer {
    pub(crate) name: Cow<'static, str>,
    pub(crate) issuer: Option<Issuer>,
    pub(crate) authorization_endpoint: Option<Endpoint>,
    pub(crate) token_endpoint: Endpoint,
    pub(crate) device_authorization_endpoint: Option<Endpoint>,
    pub(crate) introspection_endpoint: Option<Endpoint>,
    pub(crate) pushed_authorization_request_endpoint: Option<Endpoint>,
    pub(crate) registration_endpoint: Option<Endpoint>,
    pub(crate) revocation_endpoint: Option<Endpoint>,
    pub(crate) jwks_uri: Option<Endpoint>,
    pub(crate) userinfo_endpoint: Option<Endpoint>,
    pub(crate) end_session_endpoint: Option<Endpoint>,
    pub(crate) id_token_signing_alg_values_supported: Option<Vec<Cow<'static, str>>>,
    pub(crate) grant_types_supported: Option<Vec<Cow<'static, str>>>,
    pub(crate) token_endpoint_auth_methods_supported: Option<Vec<Cow<'static, str>>>,
    pub(crate) revocation_endpoint_auth_methods_supported: Option<Vec<Cow<'static, str>>>,
    pub(crate) introspection_endpoint_auth_methods_supported: Option<Vec<Cow<'static, str>>>,
    pub(crate) token_endpoint_auth_signing_alg_values_supported: Option<Vec<Cow<'static, str>>>,
    pub(crate) revocation_endpoint_auth_signing_alg_values_supported: Option<Vec<Cow<'static, str>>>,
    pub(crate) introspection_endpoint_auth_signing_alg_values_supported: Option<Vec<Cow<'static, str>>>,
    pub(crate) mtls_endpoint_aliases: Option<Arc<MtlsAliases>>,
    pub(crate) code_challenge_methods_supported: Option<Vec<Cow<'static, str>>>,
    pub(crate) authorization_response_iss_parameter_supported: bool,
    pub(crate) require_pushed_authorization_requests: bool,
    pub(crate) require_signed_request_object: bool,
    pub(crate) client_id_metadata_document_supported: Option<bool>,
    pub(crate) https_redirect_uris_only: bool,
    /// What to do at a server that is known to have no revocation endpoint.
    pub(crate) instead_of_revocation: Option<Cow<'static, str>>,
    pub(crate) access_tokens_end_with_refresh: bool,
    pub(crate) invalid_grant_codes: Option<Arc<[String]>>,
    pub(crate) refresh_repeats_scope: bool,
    pub(crate) refresh_repeats_resources: bool,
    pub(crate) leniencies: Leniencies,
    /// The members of the server's document that are none of the fields above.
    pub(crate) extras: Option<Arc<Extras>>,
}

impl AuthorizationServer {
    /// Describes a server by its two endpoints, which requests use as they are written here.
    ///
    /// # Errors
    ///
    /// Misuse, if an endpoint
    ///
    /// - is not `https` (or `http` to a loopback address),
    /// - holds user information or a fragment,
    /// - writes its host in an unusual way (such as `127.1`), with characters that no DNS name has, or with
    ///   an empty label,
    /// - has `.` or `..` as a part of its path, which HTTP clients read in different ways,
    /// - has a parameter of the protocol in its query (RFC 6749 §3.1 and §3.2), or a `response_mode` other
    ///   than `query` and `form_post`.
    pub fn new(authorization_endpoint: &str, token_endpoint: &str) -> Result<Self, Error> {
        let authorization_endpoint = parse_authorization_endpoint(authorization_endpoint)?;
        let token_endpoint = parse_endpoint("token endpoint", token_endpoint)?;
        Ok(Self::with_endpoints(Some(authorization_endpoint), token_endpoint))
    }

    /// Describes a server without an authorization endpoint, for grants that need no browser. A client of it
    /// refuses to start an authorization.
    ///
    /// # Errors
    ///
    /// The errors of [`new`](Self::new) for the token endpoint.
    pub fn without_authorization_endpoint(token_endpoint: &str) -> Result<Self, Error> {
        Ok(Self::with_endpoints(None, parse_endpoint("token endpoint", token_endpoint)?))
    }

    pub(crate) fn with_endpoints(authorization_endpoint: Option<Endpoint>, token_endpoint: Endpoint) -> Self {
        Self {
            name: UNNAMED.into(),
            issuer: None,
            authorization_endpoint,
            token_endpoint,
            device_authorization_endpoint: None,
            introspection_endpoint: None,
            pushed_authorization_request_endpoint: None,
            registration_endpoint: None,
            revocation_endpoint: None,
            jwks_uri: None,
            userinfo_endpoint: None,
            end_session_endpoint: None,
            id_token_signing_alg_values_supported: None,
            grant_types_supported: None,
            token_endpoint_auth_methods_supported: None,
            revocation_endpoint_auth_methods_supported: None,
            introspection_endpoint_auth_methods_supported: None,
            token_endpoint_auth_signing_alg_values_supported: None,
            revocation_endpoint_auth_signing_alg_values_supported: None,
            introspection_endpoint_auth_signing_alg_values_supported: None,
            mtls_endpoint_aliases: None,
            code_challenge_methods_supported: None,
            authorization_response_iss_parameter_supported: false,
            require_pushed_authorization_requests: false,
            require_signed_request_object: false,
            client_id_metadata_document_supported: None,
            https_redirect_uris_only: false,
            instead_of_revocation: None,
            access_tokens_end_with_refresh: false,
            invalid_grant_codes: None,
            refresh_repeats_scope: false,
            refresh_repeats_resources: false,
            leniencies: Leniencies::default(),
            extras: None,
        }
    }

    /// Sets the server's issuer identifier, which an `iss` in a callback must equal (RFC 9207 §2.4).
    ///
    /// Set the issuer of every server that has one: the comparison stops a mix-up of two servers (RFC 9700
    /// §4.4).
    ///
    /// # Errors
    ///
    /// Misuse, if it is not `https` (or `http` to a loopback address) or has user information, a query or
    /// a fragment (RFC 8414 §2).
    pub fn issuer(mut self, issuer: &str) -> Result<Self, Error> {
        let issuer = Issuer::parse(issuer)
            .map_err(|refused| Error::misuse(format!("the issuer {refused} (RFC 8414 section 2)")))?;
        self.issuer = Some(issuer);
        Ok(self)
    }

    /// Sets the device authorization endpoint (RFC 8628 §3.1), which
    /// [`Client::device_authorization`](crate::Client::device_authorization) needs.
    ///
    /// # Errors
    ///
    /// The errors of [`new`](Self::new) for an endpoint.
    pub fn device_authorization_endpoint(mut self, url: &str) -> Result<Self, Error> {
        self.device_authorization_endpoint = Some(parse_endpoint("device authorization endpoint", url)?);
        Ok(self)
    }

    /// Sets the introspection endpoint (RFC 7662 §2), which
    /// [`Client::introspect`](crate::Client::introspect) needs.
    ///
    /// # Errors
    ///
    /// The errors of [`new`](Self::new) for an endpoint.
    pub fn introspection_endpoint(mut self, url: &str) -> Result<Self, Error> {
        self.introspection_endpoint = Some(parse_endpoint("introspection endpoint", url)?);
        Ok(self)
    }

    /// Sets the pushed authorization request endpoint (RFC 9126 §2), which
    /// [`AuthorizationRequest::push`](crate::authorization::AuthorizationRequest::push) needs.
    ///
    /// # Errors
    ///
    /// The errors of [`new`](Self::new) for an endpoint.
    pub fn pushed_authorization_request_endpoint(mut self, url: &str) -> Result<Self, Error> {
        self.pushed_authorization_request_endpoint = Some(parse_endpoint(PUSHED_ENDPOINT, url)?);
        Ok(self)
    }

    /// Sets the registration endpoint (RFC 7591 §3), which [`registration`](crate::registration) needs.
    ///
    /// # Errors
    ///
    /// The errors of [`new`](Self::new) for an endpoint.
    pub fn registration_endpoint(mut self, url: &str) -> Result<Self, Error> {
        self.registration_endpoint = Some(parse_endpoint("registration endpoint", url)?);
        Ok(self)
    }

    /// Sets the revocation endpoint (RFC 7009 §2), which [`Client::revoke`](crate::Client::revoke) needs.
    ///
    /// # Errors
    ///
    /// The errors of [`new`](Self::new) for an endpoint.
    pub fn revocation_endpoint(mut self, url: &str) -> Result<Self, Error> {
        self.revocation_endpoint = Some(parse_endpoint("revocation endpoint", url)?);
        Ok(self)
    }

    /// Sets the address of the server's public keys (RFC 8414 §2), which
    /// [`Client::fetch_keys`](crate::Client::fetch_keys) needs.
    ///
    /// # Errors
    ///
    /// The errors of [`new`](Self::new) for an endpoint.
    pub fn jwks_uri(mut self, url: &str) -> Result<Self, Error> {
        self.jwks_uri = Some(parse_endpoint("jwks_uri", url)?);
        Ok(self)
    }

    /// Sets the UserInfo endpoint (OpenID Connect Core §5.3), which [`Client::userinfo`] needs.
    ///
    /// # Errors
    ///
    /// The errors of [`new`](Self::new) for an endpoint.
    ///
    /// [`Client::userinfo`]: crate::Client::userinfo
    pub fn userinfo_endpoint(mut self, url: &str) -> Result<Self, Error> {
        self.userinfo_endpoint = Some(parse_endpoint("userinfo endpoint", url)?);
        Ok(self)
    }

    /// Sets the end session endpoint (OpenID Connect RP-Initiated Logout §2.1), which [`Client::logout`]
    /// needs.
    ///
    /// # Errors
    ///
    /// The errors of [`new`](Self::new) for an endpoint; its query must have no parameter of a logout.
    ///
    /// [`Client::logout`]: crate::Client::logout
    pub fn end_session_endpoint(mut self, url: &str) -> Result<Self, Error> {
        self.end_session_endpoint = Some(parse_end_session_endpoint(url)?);
        Ok(self)
    }

    /// Lists the algorithms of the server's ID tokens, such as `RS256` (OpenID Connect Discovery §3); an ID
    /// token with another one is refused.
    pub fn id_token_signing_alg_values_supported(
        mut self,
        algorithms: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.id_token_signing_alg_values_supported = Some(owned(algorithms));
        self
    }

    /// Sets the address of an endpoint for clients that present a certificate (RFC 8705 §5). A client that
    /// [does](crate::Client::presents_certificate) sends its requests there, in place of the endpoint's own
    /// address.
    ///
    /// `endpoint` is the member of `mtls_endpoint_aliases`: `token_endpoint`, `revocation_endpoint`,
    /// `introspection_endpoint`, `device_authorization_endpoint`, `pushed_authorization_request_endpoint` or
    /// `userinfo_endpoint`.
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Secret};
    /// use std::time::SystemTime;
    ///
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// let server = AuthorizationServer::new(
    ///     "https://as.example/authorize",
    ///     "https://as.example/token",
    /// )?
    /// .mtls_endpoint_alias("token_endpoint", "https://mtls.as.example/token")?;
    /// for (auth, url) in [
    ///     (ClientAuth::tls_client_auth(), "https://mtls.as.example/token"),
    ///     (ClientAuth::basic("fake-secret"), "https://as.example/token"),
    /// ] {
    ///     let client = Client::new(server.clone(), "client-id", auth)?;
    ///     let call = client.refresh(&Secret::new("fake")).start(SystemTime::now())?;
    ///     assert_eq!(call.request().url(), url);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - Misuse: no client of this crate sends a request to an endpoint of this name.
    /// - The errors of [`new`](Self::new) for an endpoint.
    pub fn mtls_endpoint_alias(mut self, endpoint: &str, url: &str) -> Result<Self, Error> {
        let Some(name) = MtlsAliases::NAMES.into_iter().find(|name| *name == endpoint) else {
            return Err(Error::misuse(format!(
                "{} is no endpoint that a client with a certificate sends requests to; use {}",
                Foreign(endpoint),
                MtlsAliases::NAMES.join(", ")
            )));
        };
        let alias = parse_endpoint(&format!("alias of the {}", name.replace('_', " ")), url)?;
        let mut aliases = self.mtls_endpoint_aliases.as_deref().cloned().unwrap_or_default();
        aliases.set(name, alias);
        self.mtls_endpoint_aliases = Some(Arc::new(aliases));
        Ok(self)
    }

    /// States whether the server sends `iss` with every callback; if so, a callback without it is refused
    /// (RFC 9207 §2.4). This needs an [`issuer`](Self::issuer) to compare with.
    pub fn authorization_response_iss_parameter_supported(mut self, supported: bool) -> Self {
        self.authorization_response_iss_parameter_supported = supported;
        self
    }

    /// States whether the server takes pushed authorization requests only (RFC 9126 §5); if so, the `start`
    /// of an authorization is refused, and its `push` is the way.
    pub fn require_pushed_authorization_requests(mut self, required: bool) -> Self {
        self.require_pushed_authorization_requests = required;
        self
    }

    /// States whether the server takes signed authorization requests only (RFC 9101 §10.5); if so, a request
    /// that is not [`signed`](crate::authorization::AuthorizationRequest::signed) is refused.
    pub fn require_signed_request_object(mut self, required: bool) -> Self {
        self.require_signed_request_object = required;
        self
    }

    /// States whether the server takes the address of a client ID metadata document as `client_id`
    /// (draft-ietf-oauth-client-id-metadata-document), which
    /// [`ClientIdUrl::client`](crate::registration::ClientIdUrl::client) needs.
    pub fn client_id_metadata_document_supported(mut self, supported: bool) -> Self {
        self.client_id_metadata_document_supported = Some(supported);
        self
    }

    /// Lists the grant types that the server supports, such as `authorization_code`.
    pub fn grant_types_supported(mut self, grant_types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.grant_types_supported = Some(owned(grant_types));
        self
    }

    /// Lists the client authentication methods that the server supports, such as `client_secret_basic`.
    pub fn token_endpoint_auth_methods_supported(
        mut self,
        methods: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.token_endpoint_auth_methods_supported = Some(owned(methods));
        self
    }

    /// Lists the client authentication methods that the server supports at its revocation endpoint (RFC 8414
    /// §2); a client that authenticates in another way refuses to revoke.
    pub fn revocation_endpoint_auth_methods_supported(
        mut self,
        methods: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.revocation_endpoint_auth_methods_supported = Some(owned(methods));
        self
    }

    /// Lists the client authentication methods that the server supports at its introspection endpoint (RFC
    /// 8414 §2); a client that authenticates in another way refuses to introspect.
    pub fn introspection_endpoint_auth_methods_supported(
        mut self,
        methods: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.introspection_endpoint_auth_methods_supported = Some(owned(methods));
        self
    }

    /// Lists the algorithms of assertions that the server accepts at its token endpoint, such as `ES256` (RFC
    /// 8414 §2); [`Client::new`](crate::Client::new) refuses a key with another one.
    pub fn token_endpoint_auth_signing_alg_values_supported(
        mut self,
        algorithms: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.token_endpoint_auth_signing_alg_values_supported = Some(owned(algorithms));
        self
    }

    /// Lists the algorithms of assertions that the server accepts at its revocation endpoint (RFC 8414 §2); a
    /// client whose key has another one refuses to revoke.
    pub fn revocation_endpoint_auth_signing_alg_values_supported(
        mut self,
        algorithms: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.revocation_endpoint_auth_signing_alg_values_supported = Some(owned(algorithms));
        self
    }

    /// Lists the algorithms of assertions that the server accepts at its introspection endpoint (RFC 8414
    /// §2); a client whose key has another one refuses to introspect.
    pub fn introspection_endpoint_auth_signing_alg_values_supported(
        mut self,
        algorithms: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.introspection_endpoint_auth_signing_alg_values_supported = Some(owned(algorithms));
        self
    }

    /// Lists the code challenge methods that the server supports; [`Client::new`](crate::Client::new) needs
    /// `S256` among them.
    pub fn code_challenge_methods_supported(
        mut self,
        methods: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.code_challenge_methods_supported = Some(owned(methods));
        self
    }

    /// Refuses redirect URIs that are not `https`.
    pub fn https_redirect_uris_only(mut self) -> Self {
        self.https_redirect_uris_only = true;
        self
    }

    /// States that the server ends an access token together with its refresh token: at once when the refresh
    /// token is used, and when it is revoked. Pleo's server does.
    ///
    /// A [`Session`](crate::Session) then gives no access token from the moment when its refresh is sent
    /// until the new tokens are saved, and none after the refresh token was refused.
    pub fn access_tokens_end_with_refresh(mut self) -> Self {
        self.access_tokens_end_with_refresh = true;
        self
    }

    /// Names error codes of the token endpoint that mean `invalid_grant` at this server, such as GitHub's
    /// `bad_refresh_token`. Each then has the advice [`Reauthorize`](crate::Advice::Reauthorize).
    ///
    /// At a code exchange, this advice is built in for codes that name a spent or unknown authorization code,
    /// such as `invalid_code`, `code_expired` and `code_already_used`.
    ///
    /// ```
    /// use oauth2_proto::AuthorizationServer;
    ///
    /// let server = AuthorizationServer::new(
    ///     "https://github.com/login/oauth/authorize",
    ///     "https://github.com/login/oauth/access_token",
    /// )?
    /// .invalid_grant_codes(["bad_refresh_token"]);
    /// # Ok::<(), oauth2_proto::Error>(())
    /// ```
    pub fn invalid_grant_codes(mut self, codes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.invalid_grant_codes = Some(codes.into_iter().map(Into::into).collect());
        self
    }

    /// States that a refresh must repeat the scopes of the authorization request, as Entra requires. A
    /// [`Session`](crate::Session) then repeats them.
    pub fn refresh_repeats_scope(mut self) -> Self {
        self.refresh_repeats_scope = true;
        self
    }

    /// States that a refresh must repeat the resources of the authorization request (RFC 8707 §2.2), as MCP
    /// servers require. A [`Session`](crate::Session) then repeats them.
    pub fn refresh_repeats_resources(mut self) -> Self {
        self.refresh_repeats_resources = true;
        self
    }

    /// Accepts one deviation of the server from the specifications.
    pub fn tolerate(mut self, leniency: Leniency) -> Self {
        self.leniencies.insert(leniency);
        self
    }
}

/// The name in messages of a server without another.
pub(crate) const UNNAMED: &str = "the server";

fn owned(names: impl IntoIterator<Item = impl Into<String>>) -> Vec<Cow<'static, str>> {
    names.into_iter().map(|name| Cow::Owned(name.into())).collect()
}
