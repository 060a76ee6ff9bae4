//! What the token endpoint granted (RFC 6749 §5.1).

pub(crate) mod reader;

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::call::{Call, Response};
use crate::client::IssuedTo;
use crate::error::Error;
use crate::text::json::Extras;
use crate::text::scope::Scope;
use crate::text::secret::Secret;

impl Call<TokenResponse> {
    /// Reads the response: the tokens, or why there are none (RFC 6749 §5).
    ///
    /// # Errors
    ///
    /// - Refused: the server answered with an OAuth error, whatever the HTTP status.
    /// - Invalid: the response is no token response and no OAuth error; a page of a proxy, for example.
    ///
    /// In both cases [`Error::advice`] says whether to send the call again.
    pub fn read(&self, response: Response<'_>) -> Result<TokenResponse, Error> {
        let Response { status, retry_after, .. } = response;
        reader::read(response, &self.context)
            .map_err(|error| error.redact(self.request().secrets()).with_response(status, retry_after))
    }
}

/// What the token endpoint granted.
///
/// `Debug` shows the type, lifetime and scopes, and the names of other members, but no value of theirs.
#[derive(Clone)]
pub struct TokenResponse {
    access_token: Secret,
    token_type: TokenType,
    expires_in: Option<Duration>,
    refresh_token: Option<Secret>,
    refresh_token_is_new: bool,
    scope: Option<Scope>,
    requested_scope: Option<Scope>,
    extras: Extras,
    pub(crate) issued_to: IssuedTo,
}

/// How an access token is to be used (RFC 6749 §7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenType {
    /// As a bearer token, `Authorization: Bearer …` (RFC 6750 §2.1).
    Bearer,
    /// With a proof of possession (RFC 9449 §7.1).
    DPoP,
    /// As the server's own documentation says; only with [`Leniency::AnyTokenType`](crate::server::Leniency::AnyTokenType).
    Other(String),
}

impl TokenResponse {
    /// The access token; it is opaque (RFC 9068 §6) and goes into a header, never into a URL.
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// How the access token is to be used.
    pub fn token_type(&self) -> &TokenType {
        &self.token_type
    }

    /// The access token's lifetime from now on, in whole seconds; `None` where the server does not say.
    ///
    /// It is at most 2³¹ − 1 seconds, about 68 years, so that a time that it is added to does not overflow.
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    /// The refresh token to keep: the one in this response or, where a refresh brought none, the one that
    /// was just used, which then stays in force (RFC 6749 §6).
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// Whether this response brought the refresh token, so that every earlier one must be forgotten.
    pub fn refresh_token_is_new(&self) -> bool {
        self.refresh_token_is_new
    }

    /// The scopes that were granted: those in the response or, where it names none, those requested
    /// (RFC 6749 §5.1).
    ///
    /// After a refresh that asked for no scopes and an answer that names none there are none here: the scopes
    /// stay as they were (RFC 6749 §6). They are the server's words; escape them before you show them.
    pub fn granted_scopes(&self) -> impl Iterator<Item = &str> {
        self.granted().into_iter().flat_map(Scope::tokens)
    }

    /// The scopes that were requested and not granted; none where nothing was requested.
    pub fn missing_scopes(&self) -> impl Iterator<Item = &str> {
        let requested = self.requested_scope.as_ref().zip(self.granted());
        requested.into_iter().flat_map(|(requested, granted)| requested.beyond(granted))
    }

    /// The scopes that were granted and not requested; none where nothing was requested.
    pub fn extra_scopes(&self) -> impl Iterator<Item = &str> {
        let requested = self.requested_scope.as_ref().zip(self.granted());
        requested.into_iter().flat_map(|(requested, granted)| granted.beyond(requested))
    }

    /// The `scope` member as such: `None` where the response has none, which means as requested.
    pub fn scope(&self) -> Option<impl Iterator<Item = &str>> {
        self.scope.as_ref().map(Scope::tokens)
    }

    /// A member that this crate does not know, such as `id_token`.
    pub fn extra(&self, name: &str) -> Option<&Value> {
        self.extras.0.get(name)
    }

    /// All members that this crate does not know.
    pub fn extras(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.extras.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(crate) fn granted(&self) -> Option<&Scope> {
        self.scope.as_ref().or(self.requested_scope.as_ref())
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
    /// The name that the specifications or the server give it.
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
