//! The refresh of an access token as a plain call (RFC 6749 §6).

use std::fmt;
use std::time::SystemTime;

use crate::call::{Call, Readable, Reply, Response, sealed};
use crate::client::Client;
use crate::error::Error;
use crate::text::secret::Secret;
use crate::token::reader::{self, TokenContext, Unread};
use crate::token::wanted::Wanted;
use crate::token::{TokenResponse, check_token};

impl Client {
    /// Starts a refresh (RFC 6749 §6).
    ///
    /// A server that rotates refresh tokens may revoke the authorization when one is used twice: make sure
    /// that nobody else refreshes with this token, and store the new tokens before you use them. A
    /// [`Session`](crate::Session) does both.
    ///
    /// ```
    /// use oauth2_proto::{Client, ClientAuth, Secret, pleo};
    /// use std::time::SystemTime;
    ///
    /// let auth = ClientAuth::basic("fake-secret");
    /// let client = Client::new(pleo::staging(), "client-id", auth)?;
    /// let token = Secret::new("fake-refresh");
    /// let call = client.refresh(&token).scopes(["export:read"]).start(SystemTime::now())?;
    /// assert_eq!(
    ///     call.request().body(),
    ///     "grant_type=refresh_token&refresh_token=fake-refresh&scope=export%3Aread"
    /// );
    /// # Ok::<(), oauth2_proto::Error>(())
    /// ```
    pub fn refresh<'a>(&'a self, refresh_token: &'a Secret) -> RefreshRequest<'a> {
        RefreshRequest { client: self, refresh_token, wanted: Wanted::default() }
    }
}

/// A refresh about to be sent (RFC 6749 §6); made by [`Client::refresh`].
#[must_use = "call `start` to make the request"]
pub struct RefreshRequest<'a> {
    client: &'a Client,
    refresh_token: &'a Secret,
    wanted: Wanted<'a>,
}

impl<'a> RefreshRequest<'a> {
    /// Asks for fewer scopes than were granted. Without this call the scopes stay. The server refuses more
    /// scopes than it granted.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.wanted.add_scopes(scopes);
        self
    }

    /// Names a resource that the new access token is for (RFC 8707 §2.2); repeatable.
    pub fn resource(mut self, resource: &'a str) -> Self {
        self.wanted.add_resource(resource);
        self
    }

    /// Makes the request.
    ///
    /// # Errors
    ///
    /// Misuse: the server does not support the refresh token grant, the refresh token is empty or holds
    /// control characters (such as the line break of a file), or a scope or a resource is not well-formed.
    pub fn start(self, now: SystemTime) -> Result<Call<Refresh>, Error> {
        self.start_as(now, |context| context)
    }

    /// Makes the request with another [`Reply`], which adds to the context.
    pub(crate) fn start_as<R: Reply>(
        mut self,
        now: SystemTime,
        context: impl FnOnce(RefreshContext) -> R::Context,
    ) -> Result<Call<R>, Error> {
        self.wanted.check()?;
        self.client.server.check_grant_type("refresh_token")?;
        check_token("refresh token", self.refresh_token.expose())?;
        let parameters = [
            ("grant_type", "refresh_token"),
            ("refresh_token", self.refresh_token.expose()),
            ("scope", self.wanted.scope.as_str()),
        ];
        let request = self.client.token_request(&parameters, self.wanted.resource_parameters(), now)?;
        let tokens = self.wanted.into_context(self.client);
        Ok(Call::new(request, context(RefreshContext { tokens, refresh_token: self.refresh_token.clone() })))
    }
}

/// The [`Reply`] to a refresh, which is read as a [`TokenResponse`].
///
/// The refresh token that was sent stays in force where the response brings no other (RFC 6749 §6), so
/// [`TokenResponse::refresh_token`] returns one in either case.
#[derive(Debug)]
pub enum Refresh {}

/// The context that the reader of a refresh needs.
pub struct RefreshContext {
    pub(crate) tokens: TokenContext,
    pub(crate) refresh_token: Secret,
}

impl RefreshContext {
    /// Reads the response to a refresh.
    pub(crate) fn read(&self, response: Response<'_>) -> Result<TokenResponse, Unread> {
        Ok(reader::read(response, &self.tokens)?.refreshed_by(&self.refresh_token))
    }
}

impl Reply for Refresh {}

impl sealed::Reply for Refresh {
    type Context = RefreshContext;
}

impl Readable for Refresh {
    type Output = TokenResponse;

    fn read(response: Response<'_>, context: &RefreshContext) -> Result<TokenResponse, Error> {
        context.read(response).map_err(|unread| unread.error)
    }
}

impl fmt::Debug for RefreshRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshRequest").field("scope", &self.wanted.scope).finish_non_exhaustive()
    }
}
