//! The client credentials grant (RFC 6749 §4.4).

use std::fmt;
use std::time::SystemTime;

use crate::call::{Call, Readable, Reply, Response, sealed};
use crate::client::Client;
use crate::error::Error;
use crate::grants::added::Added;
use crate::text::scope::Scope;
use crate::text::uri::Resource;
use crate::token::reader::{self, TokenContext, Unread};
use crate::token::wanted::Wanted;
use crate::token::{Parameters, TokenResponse};

impl Client {
    /// Asks for an access token for the client itself, without a user (RFC 6749 §4.4).
    ///
    /// For a program that runs longer than one token lives, let a [keeper](crate::keeper) or a
    /// [`Session`](crate::Session) make these requests: see
    /// [`Session::from_client_credentials`](crate::Session::from_client_credentials).
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Response};
    /// use std::time::SystemTime;
    ///
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// let server =
    ///     AuthorizationServer::without_authorization_endpoint("https://as.example/token")?;
    /// let client = Client::new(server, "client-id", ClientAuth::basic("fake-secret"))?;
    /// let call = client.client_credentials().scopes(["reports:read"]).start(SystemTime::now())?;
    /// assert_eq!(call.request().body(), "grant_type=client_credentials&scope=reports%3Aread");
    ///
    /// let json = [("content-type", "application/json")];
    /// let body = br#"{"access_token":"fake","token_type":"Bearer","expires_in":3600}"#;
    /// let tokens = call.read(Response::new(200, json, body))?;
    /// assert_eq!(tokens.access_token().expose(), "fake");
    /// assert_eq!(tokens.granted_scopes().collect::<Vec<_>>(), ["reports:read"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn client_credentials(&self) -> ClientCredentialsRequest<'_> {
        ClientCredentialsRequest { client: self, wanted: Wanted::default(), added: Added::default() }
    }

    /// Refuses a client that cannot ask for its own tokens.
    pub(crate) fn check_own_tokens(&self) -> Result<(), Error> {
        self.server.check_grant_type(GRANT_TYPE)?;
        match self.is_public() {
            false => Ok(()),
            true => Err(Error::misuse(
                "client credentials are for clients with credentials (RFC 6749 section 4.4), and this one \
                 authenticates with none; use ClientAuth::basic, for example",
            )),
        }
    }
}

/// A client credentials request about to be sent (RFC 6749 §4.4.2); made by [`Client::client_credentials`].
#[must_use = "call `start` to make the request"]
pub struct ClientCredentialsRequest<'a> {
    client: &'a Client,
    wanted: Wanted<'a>,
    added: Added<'a>,
}

impl<'a> ClientCredentialsRequest<'a> {
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

    /// Adds a parameter that this crate does not set itself, such as the `audience` of Auth0. A session
    /// repeats it in each request, and stores it with the tokens.
    pub fn parameter(mut self, name: &'a str, value: &'a str) -> Self {
        self.added.push(name, value);
        self
    }

    /// Makes the request.
    ///
    /// # Errors
    ///
    /// Misuse, if
    ///
    /// - the client authenticates with [`none`](crate::ClientAuth::none), because this grant is for
    ///   confidential clients only;
    /// - the server does not support the client credentials grant;
    /// - a scope or a resource is not well-formed;
    /// - a parameter has a name that RFC 6749 §8.2 does not allow, is given twice, is one that this crate
    ///   sets, or is in the token endpoint's own query.
    pub fn start(self, now: SystemTime) -> Result<Call<ClientCredentials>, Error> {
        self.start_as(now, |context| context)
    }

    /// Makes the request with another [`Reply`], which adds to the context.
    pub(crate) fn start_as<R: Reply>(
        mut self,
        now: SystemTime,
        context: impl FnOnce(TokenContext) -> R::Context,
    ) -> Result<Call<R>, Error> {
        self.check(self.client)?;
        let Self { client, wanted, added } = self;
        let parameters = [("grant_type", GRANT_TYPE), ("scope", wanted.scope.as_str())];
        let request =
            client.token_request(&parameters, wanted.resource_parameters().chain(added.iter()), now)?;
        let tokens = wanted.into_context(client);
        // Unlike a refresh, this request ends no earlier token.
        let own = Some(added.to_owned());
        let tokens = TokenContext { client_credentials: own, ends_together: false, ..tokens };
        Ok(Call::new(request, context(tokens)))
    }

    pub(crate) fn client(&self) -> &'a Client {
        self.client
    }

    /// Returns the scopes, resources and parameters that `client` asks for each time.
    pub(crate) fn into_asked(mut self, client: &Client) -> Result<Asked, Error> {
        if client.holder.issued_to != self.client.holder.issued_to {
            return Err(Error::misuse(
                "this client credentials request is another client's, because the token endpoint or the \
                 client_id differs; begin it with the client that will send it",
            ));
        }
        self.check(client)?;
        Ok(Asked {
            scope: self.wanted.requested_scope(),
            parameters: self.added.to_owned(),
            resources: self.wanted.into_resources(),
        })
    }

    fn check(&mut self, client: &Client) -> Result<(), Error> {
        self.wanted.check()?;
        client.check_own_tokens()?;
        self.added.check(client)
    }
}

/// The name of the grant (RFC 6749 §4.4.2).
pub(crate) const GRANT_TYPE: &str = "client_credentials";

/// The scopes, resources and parameters of a client credentials request.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) scope: Option<Scope>,
    pub(crate) resources: Vec<Resource<'static>>,
    pub(crate) parameters: Parameters,
}

/// The [`Reply`] to a client credentials request, which is read as a [`TokenResponse`].
///
/// There is no user, so no error asks for one: where another grant has the advice
/// [`Reauthorize`](crate::Advice::Reauthorize) or [`Declined`](crate::Advice::Declined), this one has
/// [`FixConfiguration`](crate::Advice::FixConfiguration).
///
/// The response should bring no refresh token (RFC 6749 §4.4.3). [`TokenResponse::refresh_token`] returns the
/// one that some servers send, but it is of no use: ask for another access token in the same way. A
/// [`Session`](crate::Session) neither stores nor sends it.
#[derive(Debug)]
pub enum ClientCredentials {}

impl Reply for ClientCredentials {}

impl sealed::Reply for ClientCredentials {
    type Context = TokenContext;
}

impl Readable for ClientCredentials {
    type Output = TokenResponse;

    fn read(response: Response<'_>, context: &TokenContext) -> Result<TokenResponse, Error> {
        read(response, context).map_err(|unread| unread.error)
    }
}

/// Reads the response to a client credentials request.
pub(crate) fn read(response: Response<'_>, context: &TokenContext) -> Result<TokenResponse, Unread> {
    match reader::read(response, context) {
        // The refresh token is of no use, so its lifetime must not end a session.
        Ok(mut tokens) => {
            tokens.refresh_token_expires_in = None;
            Ok(tokens)
        }
        Err(unread) => Err(Unread { error: unread.error.without_user(), refresh_token: None, ..unread }),
    }
}

impl fmt::Debug for ClientCredentialsRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentialsRequest").field("scope", &self.wanted.scope).finish_non_exhaustive()
    }
}
