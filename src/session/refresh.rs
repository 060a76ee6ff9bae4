//! The call of a [`Session`] for its next tokens, and its reply, which only the session reads.

use std::time::SystemTime;

use crate::call::{Call, Reply, Response, sealed};
use crate::client::Client;
use crate::error::Error;
use crate::grants;
use crate::grants::refresh::RefreshContext;
use crate::session::Session;
use crate::session::record::{Generation, Terms};
use crate::session::source::Source;
use crate::text::scope::Scope;
use crate::text::secret::Secret;
use crate::text::uri::Resource;
use crate::token::TokenResponse;
use crate::token::reader::{TokenContext, Unread};

/// The [`Reply`] to a refresh of a [`Session`](crate::Session), or to its client credentials request. Only
/// [`Session::received`](crate::Session::received) reads it, so that no token is used before it is saved.
#[derive(Debug)]
pub enum SessionRefresh {}

impl Reply for SessionRefresh {}

impl sealed::Reply for SessionRefresh {
    type Context = SessionContext;
}

/// The context that a session needs to read the answer to its refresh.
pub struct SessionContext {
    pub(crate) sent: Sent,
    pub(crate) attempt: Attempt,
}

/// The request that was sent for the next tokens.
pub(crate) enum Sent {
    Refresh(RefreshContext),
    ClientCredentials(TokenContext),
}

impl Sent {
    /// Reads the response.
    pub(super) fn read(&self, response: Response<'_>) -> Result<TokenResponse, Unread> {
        match self {
            Self::Refresh(context) => context.read(response),
            Self::ClientCredentials(context) => grants::client_credentials::read(response, context),
        }
    }

    /// Returns the refresh token in the request, if it is a refresh.
    pub(crate) fn refresh_token(&self) -> Option<&Secret> {
        match self {
            Self::Refresh(context) => Some(&context.refresh_token),
            Self::ClientCredentials(_) => None,
        }
    }
}

/// Identifies one refresh of one session among the earlier and later ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) authorization: [u8; 16],
    /// The revision of the snapshot that holds the claim.
    pub(crate) revision: u64,
    /// The generation of the tokens to replace.
    pub(crate) generation: Generation,
    /// Milliseconds of Unix time.
    pub(crate) sent_at: u64,
    /// True if the server has asked for a nonce, and this request has it.
    pub(crate) has_nonce: bool,
}

impl Session {
    /// Makes the call for the next tokens; `None` if only a sign-in brings some.
    pub(super) fn call(
        &self,
        client: &Client,
        attempt: Attempt,
        now: SystemTime,
    ) -> Result<Option<Call<SessionRefresh>>, Error> {
        let terms = &self.record.terms;
        match &self.record.source {
            Source::SignIn => Ok(None),
            Source::RefreshToken(token) => refresh(client, token, terms, attempt, now).map(Some),
            Source::ClientCredentials => client_credentials(client, terms, attempt, now).map(Some),
        }
    }
}

fn refresh(
    client: &Client,
    refresh_token: &Secret,
    terms: &Terms,
    attempt: Attempt,
    now: SystemTime,
) -> Result<Call<SessionRefresh>, Error> {
    let mut request = client.refresh(refresh_token);
    if client.server.refresh_repeats_scope {
        request = request.scopes(terms.asked_scope.iter().flat_map(Scope::tokens));
    }
    if client.server.refresh_repeats_resources {
        request =
            terms.asked_resources.iter().map(Resource::as_str).fold(request, |it, one| it.resource(one));
    }
    request.start_as(now, |context| SessionContext { sent: Sent::Refresh(context), attempt })
}

fn client_credentials(
    client: &Client,
    terms: &Terms,
    attempt: Attempt,
    now: SystemTime,
) -> Result<Call<SessionRefresh>, Error> {
    let request = client.client_credentials().scopes(terms.asked_scope.iter().flat_map(Scope::tokens));
    let resources = terms.asked_resources.iter().map(Resource::as_str);
    let request = resources.fold(request, |request, resource| request.resource(resource));
    let parameters = terms.asked_parameters.iter();
    let request = parameters.fold(request, |request, (name, value)| request.parameter(name, value.expose()));
    request.start_as(now, |context| SessionContext { sent: Sent::ClientCredentials(context), attempt })
}
