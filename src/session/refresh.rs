//! The refresh of a [`Session`](crate::Session): a reply that only the session reads.

use crate::call::{Reply, Response, sealed};
use crate::grants::client_credentials;
use crate::grants::refresh::RefreshContext;
use crate::session::record::Generation;
use crate::text::secret::Secret;
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

/// The request for the next tokens.
pub(crate) enum Sent {
    Refresh(RefreshContext),
    ClientCredentials(TokenContext),
}

impl Sent {
    /// Reads the response.
    pub(super) fn read(&self, response: Response<'_>) -> Result<TokenResponse, Unread> {
        match self {
            Self::Refresh(context) => context.read(response),
            Self::ClientCredentials(context) => client_credentials::read(response, context),
        }
    }

    /// Returns the refresh token that was sent.
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
}
