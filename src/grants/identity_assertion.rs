//! The identity assertion grant, in two steps (draft-ietf-oauth-identity-assertion-authz-grant §4): the
//! user's identity provider issues an assertion for another server, and that server takes it for an access
//! token.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::call::{Call, Readable, Reply, Response, sealed};
use crate::client::Client;
use crate::error::Error;
use crate::grants::exchange::{ExchangedToken, TokenExchangeRequest};
use crate::grants::reply::Grant;
use crate::grants::{bearer, token_type};
use crate::text::foreign::ForeignAddress;
use crate::text::scope::Scope;
use crate::text::secret::Secret;
use crate::text::uri::{Issuer, Resource};
use crate::token::TokenType;
use crate::token::reader::TokenContext;

impl Client {
    /// Asks the user's identity provider for an assertion that another authorization server takes: the first
    /// step of the identity assertion grant (draft-ietf-oauth-identity-assertion-authz-grant §4.3), which
    /// MCP calls enterprise-managed authorization.
    ///
    /// Call it on the client of the identity provider, with the ID token of the user's sign-in there.
    /// `audience` is the issuer identifier of the other server. Then [`redeem`](Self::redeem) the assertion
    /// with the client of that server:
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Response, Secret};
    /// use std::time::SystemTime;
    ///
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// let client = |server: AuthorizationServer, client_id| {
    ///     Client::new(server, client_id, ClientAuth::basic("fake-secret"))
    /// };
    /// let json = [("content-type", "application/json")];
    ///
    /// // 1. At the identity provider.
    /// let provider =
    ///     AuthorizationServer::without_authorization_endpoint("https://idp.example/token")?;
    /// let provider = client(provider, "id-at-the-provider")?;
    /// let id_token = Secret::new("fake.id.token");
    /// let call = provider
    ///     .identity_assertion(&id_token, "https://as.example/")
    ///     .resource("https://api.example/")
    ///     .scopes(["chat.read"])
    ///     .start(SystemTime::now())?;
    /// let body = br#"{"access_token":"fake.id.jag","token_type":"N_A","expires_in":300,
    ///     "issued_token_type":"urn:ietf:params:oauth:token-type:id-jag"}"#;
    /// let assertion = call.read(Response::new(200, json, body))?;
    ///
    /// // 2. At the server of the API.
    /// let server =
    ///     AuthorizationServer::without_authorization_endpoint("https://as.example/token")?
    ///         .issuer("https://as.example/")?;
    /// let call = client(server, "id-at-the-server")?.redeem(&assertion, SystemTime::UNIX_EPOCH)?;
    /// let body = br#"{"access_token":"fake","token_type":"Bearer","expires_in":3600}"#;
    /// let tokens = call.read(Response::new(200, json, body))?;
    /// assert_eq!(tokens.granted_scopes().collect::<Vec<_>>(), ["chat.read"]);
    ///
    /// // The client of another server refuses the assertion.
    /// let provider =
    ///     AuthorizationServer::without_authorization_endpoint("https://idp.example/token")?
    ///         .issuer("https://idp.example")?;
    /// assert!(client(provider, "id-at-the-provider")?.redeem(&assertion, SystemTime::UNIX_EPOCH).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn identity_assertion<'a>(
        &'a self,
        subject_token: &'a Secret,
        audience: &'a str,
    ) -> IdentityAssertionRequest<'a> {
        let exchange = self
            .token_exchange(subject_token, token_type::ID_TOKEN)
            .requested_token_type(token_type::ID_JAG)
            .audience(audience);
        IdentityAssertionRequest { exchange, audience }
    }

    /// Redeems an identity assertion for an access token: the second step of the identity assertion grant
    /// (draft-ietf-oauth-identity-assertion-authz-grant §4.4), which is a JWT bearer grant.
    ///
    /// Call it on the client of the server that the assertion is for. The assertion names the scopes and
    /// resources, so the request does not. After [`Reauthorize`](crate::Advice::Reauthorize), ask the
    /// identity provider for a new assertion.
    ///
    /// # Errors
    ///
    /// Misuse: the assertion is for another server than this one, the
    /// [`issuer`](crate::AuthorizationServer::issuer) of this one is not set, or the server does not support
    /// the JWT bearer grant. [`jwt_bearer`](Self::jwt_bearer) sends an assertion to any server.
    pub fn redeem(&self, assertion: &IdentityAssertion, now: SystemTime) -> Result<Call<Grant>, Error> {
        self.server.check_grant_type(bearer::GRANT_TYPE)?;
        // Any server that gets the assertion can try to redeem it, so only the right one may get it.
        let issuer = self.server.issuer.as_ref().map(Issuer::as_str).ok_or_else(|| {
            Error::misuse(format!(
                "the identity assertion is for the server {}, and the issuer of this client's server is not set; \
                 set AuthorizationServer::issuer",
                ForeignAddress(&assertion.audience)
            ))
        })?;
        if issuer != assertion.audience {
            return Err(Error::misuse(format!(
                "the identity assertion is for the server {}, and this client's server is {}; redeem it with \
                 the client of the server that it is for",
                ForeignAddress(&assertion.audience),
                ForeignAddress(issuer)
            )));
        }
        let parameters = [("grant_type", bearer::GRANT_TYPE), ("assertion", assertion.assertion.expose())];
        let request = self.token_request(&parameters, std::iter::empty(), now)?;
        Ok(Call::new(request, self.token_context(assertion.scope.clone(), assertion.resources.clone())))
    }
}

/// A request for an identity assertion, about to be sent (draft-ietf-oauth-identity-assertion-authz-grant
/// §4.3); made by [`Client::identity_assertion`].
#[must_use = "call `start` to make the request"]
pub struct IdentityAssertionRequest<'a> {
    exchange: TokenExchangeRequest<'a>,
    audience: &'a str,
}

impl<'a> IdentityAssertionRequest<'a> {
    /// Sets the type of the subject token, if it is no ID token: [`token_type::SAML2`], or
    /// [`token_type::REFRESH_TOKEN`] where the identity provider takes that.
    pub fn subject_token_type(mut self, subject_token_type: &'a str) -> Self {
        self.exchange.subject_token_type = subject_token_type;
        self
    }

    /// Names the API that the access token will be for, by its URI (RFC 8707 §2); repeatable.
    pub fn resource(mut self, resource: &'a str) -> Self {
        self.exchange = self.exchange.resource(resource);
        self
    }

    /// Asks for scopes at that API, each passed by itself (RFC 6749 §3.3); repeatable.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.exchange = self.exchange.scopes(scopes);
        self
    }

    /// Makes the request.
    ///
    /// # Errors
    ///
    /// Misuse: the identity provider does not support token exchange; the subject token, its type or the
    /// audience is empty or holds control characters; or a scope or a resource is not well-formed.
    pub fn start(self, now: SystemTime) -> Result<Call<IdentityAssertion>, Error> {
        let audience = self.audience.to_owned();
        let (request, tokens) = self.exchange.into_parts(now)?;
        Ok(Call::new(request, AssertionContext { tokens, audience }))
    }
}

/// An assertion of a user's identity for one other authorization server, an ID-JAG
/// (draft-ietf-oauth-identity-assertion-authz-grant §3). [`Client::redeem`] turns it into an access token.
///
/// It is no access token, so no API takes it. It expires within minutes, and some servers take it only once.
#[derive(Clone)]
pub struct IdentityAssertion {
    assertion: Secret,
    audience: String,
    expires_in: Option<Duration>,
    scope: Option<Scope>,
    resources: Vec<Resource<'static>>,
}

impl IdentityAssertion {
    /// Returns the issuer identifier of the server that the assertion is for.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Returns the lifetime of the assertion, which begins with the response, in whole seconds; `None` if the
    /// identity provider names none.
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    /// Returns the scopes that the assertion names: those in the response or, where it names none, those
    /// requested. They may be fewer than were asked for.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope.iter().flat_map(Scope::tokens)
    }

    /// Returns the assertion itself, a JWT.
    pub fn assertion(&self) -> &Secret {
        &self.assertion
    }
}

/// The context that the reader of an identity assertion needs.
pub struct AssertionContext {
    tokens: TokenContext,
    audience: String,
}

impl Reply for IdentityAssertion {}

impl sealed::Reply for IdentityAssertion {
    type Context = AssertionContext;
}

impl Readable for IdentityAssertion {
    type Output = Self;

    fn read(response: Response<'_>, context: &AssertionContext) -> Result<Self, Error> {
        let exchanged = ExchangedToken::read(response, &context.tokens)?;
        if exchanged.issued_token_type() != token_type::ID_JAG {
            return Err(Error::invalid("the issued_token_type is not that of an identity assertion"));
        }
        if *exchanged.token_type() != TokenType::NotApplicable {
            return Err(Error::invalid("the token_type of an identity assertion is not N_A"));
        }
        Ok(Self {
            assertion: exchanged.token().clone(),
            audience: context.audience.clone(),
            expires_in: exchanged.expires_in(),
            scope: exchanged.granted().cloned(),
            resources: context.tokens.resources.clone(),
        })
    }
}

impl fmt::Debug for IdentityAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityAssertion")
            .field("assertion", &self.assertion)
            .field("audience", &format_args!("{}", ForeignAddress(&self.audience)))
            .field("expires_in", &self.expires_in)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for IdentityAssertionRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityAssertionRequest")
            .field("audience", &format_args!("{}", ForeignAddress(self.audience)))
            .finish_non_exhaustive()
    }
}
