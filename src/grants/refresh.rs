//! The refresh of an access token as a plain call (RFC 6749 §6).

use std::fmt;

use crate::call::{Call, Context};
use crate::client::Client;
use crate::error::Error;
use crate::text::scope::Scope;
use crate::text::secret::{Secret, is_sound};
use crate::text::uri::Resource;
use crate::token::TokenResponse;

impl Client {
    /// Starts a refresh (RFC 6749 §6).
    ///
    /// A server that rotates refresh tokens punishes the second use of one: see to it that nobody else
    /// refreshes with this token, and store what comes back before you use it.
    pub fn refresh<'a>(&'a self, refresh_token: &'a Secret) -> RefreshRequest<'a> {
        RefreshRequest {
            client: self,
            refresh_token,
            scope: Scope::default(),
            resources: Vec::new(),
            misuse: None,
        }
    }
}

/// A refresh about to be sent (RFC 6749 §6).
#[must_use = "a refresh is made by `start`"]
pub struct RefreshRequest<'a> {
    client: &'a Client,
    refresh_token: &'a Secret,
    scope: Scope,
    resources: Vec<Resource<'a>>,
    misuse: Option<Error>,
}

impl<'a> RefreshRequest<'a> {
    /// Asks for fewer scopes than were granted; without it the scopes stay. More than were granted are
    /// refused by the server.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        if let Err(refused) = self.scope.extend(scopes) {
            self.misuse.get_or_insert_with(|| Error::misuse(format!("the scope {refused}")));
        }
        self
    }

    /// Names a resource that the new access token is for (RFC 8707 §2.2); repeatable.
    pub fn resource(mut self, resource: &'a str) -> Self {
        match Resource::parse(resource) {
            Ok(resource) => self.resources.push(resource),
            Err(refused) => {
                self.misuse.get_or_insert_with(|| Error::misuse(format!("the resource {refused}")));
            }
        }
        self
    }

    /// Makes the request.
    ///
    /// # Errors
    ///
    /// Misuse, if the server is known not to refresh, if the refresh token is empty or holds control characters (the
    /// line break of a file, say), or if a scope or a resource is not well-formed.
    pub fn start(self) -> Result<Call<TokenResponse>, Error> {
        if let Some(misuse) = self.misuse {
            return Err(misuse);
        }
        self.client.server.check_grant_type("refresh_token")?;
        check_refresh_token(self.refresh_token)?;
        let parameters = [
            ("grant_type", "refresh_token"),
            ("refresh_token", self.refresh_token.expose()),
            ("scope", self.scope.as_str()),
        ];
        let context = Context {
            leniencies: self.client.server.leniencies,
            issued_to: self.client.issued_to,
            requested_scope: Some(self.scope.clone()).filter(|scope| !scope.as_str().is_empty()),
            refresh_token: Some(self.refresh_token.clone()),
            attempt: None,
        };
        Ok(self.client.token_request(&parameters, &self.resources, context))
    }
}

/// A refresh token that nobody will take, or give back from a store, is refused before it is used.
pub(crate) fn check_refresh_token(token: &Secret) -> Result<(), Error> {
    match is_sound(token.expose()) {
        true => Ok(()),
        false => Err(Error::misuse("the refresh token is empty or holds control characters")),
    }
}

impl fmt::Debug for RefreshRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshRequest").field("scope", &self.scope).finish_non_exhaustive()
    }
}
