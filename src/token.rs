//! What the token endpoint granted (RFC 6749 §5.1).

pub(crate) mod reader;

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::call::{Readable, Reply, Response, sealed};
use crate::client::{Client, IssuedTo};
use crate::error::Error;
use crate::text::scope::Scope;
use crate::text::secret::Secret;
use crate::text::uri::Resource;
use crate::token::reader::TokenContext;

pub use crate::text::json::Extras;

/// The tokens that the token endpoint granted, and what it said about them (RFC 6749 §5.1).
///
/// `Debug` shows the token type, the lifetime and the scopes, and of other members only the names.
#[derive(Clone)]
pub struct TokenResponse {
    access_token: Secret,
    token_type: TokenType,
    expires_in: Option<Duration>,
    refresh_token: Option<Secret>,
    refresh_token_is_new: bool,
    scope: Option<Scope>,
    requested_scope: Option<Scope>,
    /// The lifetime of the refresh token from the response on, where the server announces one.
    pub(crate) refresh_token_expires_in: Option<Duration>,
    /// The resources that the request named.
    pub(crate) resources: Vec<Resource<'static>>,
    /// Whether the server ends an access token together with the refresh token beside it.
    pub(crate) ends_together: bool,
    extras: Extras,
    /// The client the tokens were issued to.
    pub(crate) issued_to: IssuedTo,
}

/// How to use an access token (RFC 6749 §7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenType {
    /// As a bearer token, `Authorization: Bearer …` (RFC 6750 §2.1).
    Bearer,
    /// With a proof of possession (RFC 9449 §7.1).
    DPoP,
    /// As the server's documentation says. Only [`Leniency::AnyTokenType`](crate::server::Leniency::AnyTokenType)
    /// lets one through.
    Other(String),
}

impl TokenResponse {
    /// Returns the access token. It is opaque to clients (RFC 9068 §6). Send it in a header, never in a URL.
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// Returns how to use the access token.
    pub fn token_type(&self) -> &TokenType {
        &self.token_type
    }

    /// Returns the lifetime of the access token from the response on, in whole seconds; `None` where the server
    /// names none.
    ///
    /// It is at most 2³¹ − 1 seconds, about 68 years, so adding it to the current time does not overflow.
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    /// Returns the refresh token to keep: the one in this response or, where a refresh brought none, the one that
    /// was sent, which then stays in force (RFC 6749 §6).
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// Returns whether this response brought the refresh token. If so, forget every earlier one.
    pub fn refresh_token_is_new(&self) -> bool {
        self.refresh_token_is_new
    }

    /// Returns the granted scopes: those in the response or, where it names none, those requested (RFC 6749 §5.1).
    ///
    /// It returns none after a refresh that asked for none and a response that names none: then the scopes stay as
    /// they were (RFC 6749 §6). The server chose the texts; escape them before you show them.
    pub fn granted_scopes(&self) -> impl Iterator<Item = &str> {
        self.granted().into_iter().flat_map(Scope::tokens)
    }

    /// Returns the scopes that were requested and not granted; none where nothing was requested.
    pub fn missing_scopes(&self) -> impl Iterator<Item = &str> {
        let requested = self.requested_scope.as_ref().zip(self.granted());
        requested.into_iter().flat_map(|(requested, granted)| requested.beyond(granted))
    }

    /// Returns the scopes that were granted and not requested; none where nothing was requested.
    pub fn extra_scopes(&self) -> impl Iterator<Item = &str> {
        let requested = self.requested_scope.as_ref().zip(self.granted());
        requested.into_iter().flat_map(|(requested, granted)| granted.beyond(requested))
    }

    /// Returns the `scope` member; `None` where the response has none, which means as requested.
    pub fn scope(&self) -> Option<impl Iterator<Item = &str>> {
        self.scope.as_ref().map(Scope::tokens)
    }

    /// Returns a member that this crate does not read, such as `id_token`.
    pub fn extra(&self, name: &str) -> Option<&Value> {
        self.extras.0.get(name)
    }

    /// Returns all members that this crate does not read.
    pub fn extras(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.extras.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Takes out the members that this crate does not read.
    pub(crate) fn take_extras(&mut self) -> Extras {
        std::mem::take(&mut self.extras)
    }

    /// Returns the scopes that the request named.
    pub(crate) fn requested_scope(&self) -> Option<&Scope> {
        self.requested_scope.as_ref()
    }

    /// Keeps the refresh token that was sent, where the response brought no other (RFC 6749 §6).
    pub(crate) fn keep_refresh_token(&mut self, sent: &Secret) {
        self.refresh_token.get_or_insert_with(|| sent.clone());
    }

    pub(crate) fn granted(&self) -> Option<&Scope> {
        self.scope.as_ref().or(self.requested_scope.as_ref())
    }
}

impl TokenResponse {
    /// Makes a token response for tests of your own code, from the JSON that a server would answer with to a token
    /// request of `client` that names no scope.
    ///
    /// No request is made, and the text is read as a server's is: with the leniencies of the client's server, and
    /// refused where that would be. It cannot stand in for a sign-in: only a checked callback makes a token request.
    ///
    /// ```
    /// use oauth2_proto::{Client, ClientAuth, RefreshPolicy, Session, TokenResponse, pleo};
    /// use std::time::{Duration, SystemTime};
    ///
    /// let client = Client::new(pleo::staging(), "client-id", ClientAuth::basic("fake-secret"))?;
    /// let tokens = TokenResponse::for_test(
    ///     &client,
    ///     r#"{"access_token":"fake-1","token_type":"Bearer","expires_in":60,
    ///         "refresh_token":"fake-2","scope":"users:read"}"#,
    /// )?;
    /// assert_eq!(tokens.expires_in(), Some(Duration::from_secs(60)));
    ///
    /// let session = Session::new(tokens, RefreshPolicy::default(), SystemTime::UNIX_EPOCH);
    /// assert_eq!(session.granted_scopes().collect::<Vec<_>>(), ["users:read"]);
    /// # Ok::<(), oauth2_proto::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`Call::read`](crate::Call::read).
    pub fn for_test(client: &Client, json: &str) -> Result<Self, Error> {
        let response = Response::new(200, [("content-type", "application/json")], json.as_bytes());
        let read = Self::read(response, &client.token_context(None, Vec::new()));
        read.map_err(|error| error.with_response(200, None))
    }
}

impl Reply for TokenResponse {}

impl sealed::Reply for TokenResponse {
    type Context = TokenContext;
}

impl Readable for TokenResponse {
    type Output = Self;

    fn read(response: Response<'_>, context: &TokenContext) -> Result<Self, Error> {
        reader::read(response, context).map_err(|unread| unread.error)
    }
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse")
            .field("access_token", &self.access_token)
            .field("token_type", &self.token_type)
            .field("expires_in", &self.expires_in)
            .field("refresh_token", &self.refresh_token)
            .field("scope", &self.scope)
            .field("extras", &self.extras)
            .finish_non_exhaustive()
    }
}

impl TokenType {
    /// Returns the name that the specifications or the server use.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Bearer => "Bearer",
            Self::DPoP => "DPoP",
            Self::Other(name) => name,
        }
    }

    pub(crate) fn from_name(name: String) -> Self {
        match name.as_str() {
            "Bearer" => Self::Bearer,
            "DPoP" => Self::DPoP,
            _ => Self::Other(name),
        }
    }
}

impl fmt::Display for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer | Self::DPoP => f.write_str(self.name()),
            Self::Other(name) => write!(f, "{}", crate::text::foreign::Foreign(name)),
        }
    }
}
