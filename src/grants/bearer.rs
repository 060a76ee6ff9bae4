//! The JWT bearer grant (RFC 7523 §2.1).

use std::fmt;
use std::time::SystemTime;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::grants::reply::Grant;
use crate::text::secret::Secret;
use crate::token::check_token;
use crate::token::wanted::Wanted;

impl Client {
    /// Redeems a JWT that another party signed, such as an identity provider, for an access token (RFC 7523
    /// §2.1).
    ///
    /// The client authenticates itself as in every request; with [`none`](crate::ClientAuth::none) it sends
    /// its `client_id` (RFC 7521 §4.1). For an identity assertion, use [`redeem`](Self::redeem). Add a
    /// parameter that a server wants, such as `requested_token_use` of Entra, with
    /// [`request_mut`](Call::request_mut).
    ///
    /// After the advice [`Reauthorize`](crate::Advice::Reauthorize), obtain a new assertion.
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Secret};
    /// use std::time::SystemTime;
    ///
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// let server =
    ///     AuthorizationServer::without_authorization_endpoint("https://as.example/token")?;
    /// let client = Client::new(server, "client-id", ClientAuth::none())?;
    /// let assertion = Secret::new("fake.jwt.assertion");
    /// let call = client.jwt_bearer(&assertion).start(SystemTime::now())?;
    /// assert_eq!(
    ///     call.request().body(),
    ///     "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer\
    ///      &assertion=fake.jwt.assertion&client_id=client-id"
    /// );
    /// # Ok(())
    /// # }
    /// ```
    pub fn jwt_bearer<'a>(&'a self, assertion: &'a Secret) -> JwtBearerRequest<'a> {
        JwtBearerRequest { client: self, assertion, wanted: Wanted::default() }
    }
}

/// A JWT bearer request about to be sent (RFC 7523 §2.1); made by [`Client::jwt_bearer`].
#[must_use = "call `start` to make the request"]
pub struct JwtBearerRequest<'a> {
    client: &'a Client,
    assertion: &'a Secret,
    wanted: Wanted<'a>,
}

impl<'a> JwtBearerRequest<'a> {
    /// Asks for scopes, each passed by itself (RFC 6749 §3.3); repeatable.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.wanted.add_scopes(scopes);
        self
    }

    /// Names a resource that the access token is for (RFC 8707 §2.2); repeatable.
    pub fn resource(mut self, resource: &'a str) -> Self {
        self.wanted.add_resource(resource);
        self
    }

    /// Makes the request.
    ///
    /// # Errors
    ///
    /// Misuse: the server does not support the JWT bearer grant, the assertion is empty or holds control
    /// characters (such as the line break of a file), or a scope or a resource is not well-formed.
    pub fn start(mut self, now: SystemTime) -> Result<Call<Grant>, Error> {
        self.wanted.check()?;
        self.client.server.check_grant_type(GRANT_TYPE)?;
        check_token("assertion", self.assertion.expose())?;
        let parameters = [
            ("grant_type", GRANT_TYPE),
            ("assertion", self.assertion.expose()),
            ("scope", self.wanted.scope.as_str()),
        ];
        let request = self.client.token_request(&parameters, self.wanted.resource_parameters(), now)?;
        Ok(Call::new(request, self.wanted.into_context(self.client)))
    }
}

/// The name of the grant (RFC 7523 §2.1).
pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

impl fmt::Debug for JwtBearerRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtBearerRequest").field("scope", &self.wanted.scope).finish_non_exhaustive()
    }
}
