//! The token response (RFC 6749 §5.1).

mod details;
pub(crate) mod reader;
pub(crate) mod wanted;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::call::{Readable, Reply, Response, sealed};
use crate::client::{Client, Holder};
use crate::error::Error;
use crate::text::foreign::Foreign;
use crate::text::scope::Scope;
use crate::text::secret::{Secret, is_sound};
use crate::text::uri::Resource;
use crate::token::reader::TokenContext;

pub use self::details::AuthorizationDetail;
pub use crate::text::json::Extras;

/// The tokens that the token endpoint granted, and what it said about them (RFC 6749 §5.1).
///
/// `Debug` shows the token type, the lifetime, the scopes and which of them are missing, and of other members
/// only the names. [`require_scopes`](Self::require_scopes) refuses tokens that lack a requested scope.
#[derive(Clone)]
pub struct TokenResponse {
    access_token: Secret,
    token_type: TokenType,
    expires_in: Option<Duration>,
    refresh_token: Option<Secret>,
    refresh_token_is_new: bool,
    scope: Option<Scope>,
    requested: Requested,
    /// True if the tokens come from a refresh.
    is_refresh: bool,
    /// The lifetime of the refresh token from the response on, where the server announces one.
    pub(crate) refresh_token_expires_in: Option<Duration>,
    /// The resources that the request named.
    pub(crate) resources: Vec<Resource<'static>>,
    /// True if the server ends an access token together with its refresh token.
    pub(crate) ends_together: bool,
    /// The parameters that were added to a client credentials request; `None` for any other grant.
    pub(crate) client_credentials: Option<Parameters>,
    extras: Extras,
    /// The client the tokens were issued to.
    pub(crate) holder: Arc<Holder>,
}

/// Parameters that a program adds to a request, by name.
pub(crate) type Parameters = Vec<(String, Secret)>;

/// The scopes that a request named.
#[derive(Clone)]
enum Requested {
    Nothing,
    /// Those in the response, which most servers repeat as they were.
    AsGranted,
    Other(Scope),
    /// Those that were sent, with commas, and the same without, to compare with the granted ones.
    WithCommas(Box<(Scope, Scope)>),
}

/// An access token together with its type; returned by a [keeper](crate::keeper).
///
/// Send it as its type says: [`ProtectedApi`](crate::challenge::ProtectedApi) takes both, and
/// [`bearer`](Self::bearer) serves an HTTP client that writes the header itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    secret: Secret,
    token_type: TokenType,
}

/// The type of an access token, which says how to send it (RFC 6749 §7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenType {
    /// A bearer token, sent as `Authorization: Bearer …` (RFC 6750 §2.1).
    Bearer,
    /// A token that is sent with a proof of possession (RFC 9449 §7.1), as
    /// [`ProtectedApi::bound_request`](crate::challenge::ProtectedApi::bound_request) does.
    DPoP,
    /// `N_A`: no access token. Only a token exchange issues one (RFC 8693 §2.2.1).
    NotApplicable,
    /// Another type, sent as the server's documentation says. Only
    /// [`Leniency::AnyTokenType`](crate::server::Leniency::AnyTokenType) accepts one.
    Other(String),
}

impl TokenResponse {
    /// Returns the access token. It is opaque to clients (RFC 9068 §6). Send it in a header, never in a URL.
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// Returns the type of the access token, which says how to send it.
    pub fn token_type(&self) -> &TokenType {
        &self.token_type
    }

    /// Returns the lifetime of the access token from the response on, in whole seconds; `None` where the
    /// server names none.
    ///
    /// It is at most 2³¹ − 1 seconds, about 68 years, so adding it to the current time does not overflow.
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    /// Returns the refresh token to keep: the one in this response or, where a refresh brought none, the one
    /// that was sent, which then stays in force (RFC 6749 §6).
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// Returns whether this response brought the refresh token. If so, forget every earlier one.
    pub fn refresh_token_is_new(&self) -> bool {
        self.refresh_token_is_new
    }

    /// Returns the granted scopes: those in the response or, where it names none, those requested (RFC 6749
    /// §5.1).
    ///
    /// After a refresh it returns those in the response only. Where that names none, the scopes stay as they
    /// were, which may be fewer than the refresh asked for (RFC 6749 §6). The server chose the texts; escape
    /// them before you show them.
    pub fn granted_scopes(&self) -> impl Iterator<Item = &str> {
        self.granted().into_iter().flat_map(Scope::tokens)
    }

    /// Returns the scopes that were requested and not granted; none where nothing was requested, or where the
    /// response to a refresh names no scopes.
    pub fn missing_scopes(&self) -> impl Iterator<Item = &str> {
        let requested = self.compared().zip(self.granted());
        requested.into_iter().flat_map(|(requested, granted)| requested.beyond(granted))
    }

    /// Returns the scopes that were granted and not requested; none where nothing was requested.
    pub fn extra_scopes(&self) -> impl Iterator<Item = &str> {
        let requested = self.compared().zip(self.granted());
        requested.into_iter().flat_map(|(requested, granted)| granted.beyond(requested))
    }

    /// Refuses tokens that lack a requested scope, as the server may grant fewer (RFC 6749 §3.3).
    ///
    /// Call it where your program needs all scopes that it asks for.
    ///
    /// ```
    /// # use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Response, Secret};
    /// # use std::time::SystemTime;
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// # let server =
    /// #     AuthorizationServer::new("https://as.example/authorize", "https://as.example/token")?;
    /// # let client = Client::new(server, "client-id", ClientAuth::none())?;
    /// let token = Secret::new("fake-refresh-token");
    /// let call = client.refresh(&token).scopes(["orders:read", "orders:write"]).start(SystemTime::now())?;
    /// let body = br#"{"access_token":"fake","token_type":"Bearer","scope":"orders:read"}"#;
    /// let json = [("content-type", "application/json")];
    /// let tokens = call.read(Response::new(200, json, body))?;
    ///
    /// let missing = tokens.require_scopes().unwrap_err();
    /// assert_eq!(missing.to_string(), "the server did not grant the scopes \"orders:write\"");
    /// // The tokens are good for the other scopes.
    /// assert_eq!(missing.into_tokens().granted_scopes().collect::<Vec<_>>(), ["orders:read"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`MissingScopes`], if there are [`missing_scopes`](Self::missing_scopes); it holds the tokens.
    pub fn require_scopes(self) -> Result<Self, MissingScopes> {
        if self.missing_scopes().next().is_none() { Ok(self) } else { Err(MissingScopes(Box::new(self))) }
    }

    /// Returns the `scope` member; `None` where the response has none, which means as requested.
    pub fn scope(&self) -> Option<impl Iterator<Item = &str>> {
        self.scope.as_ref().map(Scope::tokens)
    }

    /// Returns a member that this crate does not read, such as `patient`. The `id_token` is not among them:
    /// it is [checked](Self::id_token) first.
    pub fn extra(&self, name: &str) -> Option<&Value> {
        self.extras.get(name)
    }

    /// Returns all members that this crate does not read.
    pub fn extras(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.extras.iter()
    }

    pub(crate) fn known_extras(&self) -> &Extras {
        &self.extras
    }

    /// Takes out the members that this crate does not read.
    pub(crate) fn take_extras(&mut self) -> Extras {
        std::mem::take(&mut self.extras)
    }

    /// Returns the scopes that the request named.
    pub(crate) fn requested_scope(&self) -> Option<&Scope> {
        match &self.requested {
            Requested::Nothing => None,
            Requested::AsGranted => self.scope.as_ref(),
            Requested::Other(scope) => Some(scope),
            Requested::WithCommas(scopes) => Some(&scopes.0),
        }
    }

    /// Turns the response into one to a refresh: the refresh token that was sent stays if the response
    /// brought no other, and a missing scope means no change (RFC 6749 §6).
    pub(crate) fn refreshed_by(mut self, sent: &Secret) -> Self {
        self.refresh_token.get_or_insert_with(|| sent.clone());
        self.is_refresh = true;
        self
    }

    /// Returns the scopes that are known to be granted. In the response to a refresh, a list without a scope
    /// counts as absent: a refresh does not end all scopes.
    pub(crate) fn granted(&self) -> Option<&Scope> {
        match self.is_refresh {
            true => self.scope.as_ref().filter(|scope| scope.tokens().next().is_some()),
            false => self.scope.as_ref().or(self.compared()),
        }
    }

    /// Returns the requested scopes to compare with the granted ones.
    fn compared(&self) -> Option<&Scope> {
        match &self.requested {
            Requested::WithCommas(scopes) => Some(&scopes.1),
            _ => self.requested_scope(),
        }
    }
}

/// Tokens that lack a requested scope; made by [`TokenResponse::require_scopes`].
///
/// `Display` names the missing scopes.
#[derive(Clone, Debug)]
pub struct MissingScopes(Box<TokenResponse>);

impl MissingScopes {
    /// Returns the tokens, which are good for the scopes that were granted.
    pub fn into_tokens(self) -> TokenResponse {
        *self.0
    }
}

impl fmt::Display for MissingScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing: Vec<_> = self.0.missing_scopes().collect();
        write!(f, "the server did not grant the scopes {}", Foreign(&missing.join(" ")))
    }
}

impl std::error::Error for MissingScopes {}

impl TokenResponse {
    /// Makes a token response for tests of your own code. `json` is the body of a server's answer to a token
    /// request of `client` that names no scope.
    ///
    /// The body is read like a server's answer, with the leniencies of the client's server. This function
    /// cannot replace a sign-in: only a checked callback makes a token request.
    ///
    /// ```
    /// use oauth2_proto::{Client, ClientAuth, RefreshPolicy, Session, TokenResponse, pleo};
    /// use std::time::{Duration, SystemTime};
    ///
    /// let auth = ClientAuth::basic("fake-secret");
    /// let client = Client::new(pleo::staging(), "client-id", auth)?;
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
    /// The errors of [`Call::read`](crate::Call::read).
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
        reader::read(response, context).map_err(|unread| unread.error.of_code_exchange())
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
            .field("missing_scopes", &self.missing_scopes().map(Foreign).collect::<Vec<_>>())
            .field("extras", &self.extras)
            .finish_non_exhaustive()
    }
}

impl AccessToken {
    pub(crate) fn new(secret: Secret, token_type: TokenType) -> Self {
        Self { secret, token_type }
    }

    /// Returns the token: for a request to an API together with its type, or to introspect or revoke it.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Returns the type, which says how to send the token.
    pub fn token_type(&self) -> &TokenType {
        &self.token_type
    }

    /// Returns the token for the header `Authorization: Bearer …` of an HTTP client (RFC 6750 §2.1).
    ///
    /// # Errors
    ///
    /// Misuse: the token is of another type, so that this header would give away a token that is bound to a
    /// key.
    pub fn bearer(&self) -> Result<&Secret, Error> {
        self.token_type.must_be_bearer()?;
        Ok(&self.secret)
    }
}

impl TokenType {
    /// Refuses a token that is not sent by a header `Authorization: Bearer …` alone.
    pub(crate) fn must_be_bearer(&self) -> Result<(), Error> {
        Err(match self {
            Self::Bearer => return Ok(()),
            Self::DPoP => Error::misuse(NEEDS_A_PROOF),
            Self::NotApplicable => Error::misuse(
                "a token of type N_A is no access token, so no API takes it (RFC 8693 section 2.2.1)",
            ),
            Self::Other(_) => Error::misuse(format!(
                "a token of type {self} is sent as the server's documentation says; if that is a header with a \
                 scheme, call authorization_as (RFC 6749 section 7.1)"
            )),
        })
    }

    /// Returns the name that the specifications or the server use.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Bearer => "Bearer",
            Self::DPoP => "DPoP",
            Self::NotApplicable => "N_A",
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
            Self::Bearer | Self::DPoP | Self::NotApplicable => f.write_str(self.name()),
            Self::Other(name) => write!(f, "{}", Foreign(name)),
        }
    }
}

/// Says that a header alone does not serve a token that is bound to a key.
pub(crate) const NEEDS_A_PROOF: &str =
    "a DPoP token needs a proof of possession with each request (RFC 9449 section 7.1); call bound_request";

/// Refuses a token, or another text of a request, that would be left out or was read from a file with its
/// line break; `what` is its name in the message.
pub(crate) fn check_token(what: &str, text: &str) -> Result<(), Error> {
    match is_sound(text) {
        true => Ok(()),
        false => Err(Error::misuse(format!(
            "the {what} is empty or holds control characters; pass it without the line break of a file"
        ))),
    }
}
