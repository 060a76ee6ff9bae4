//! The source of a session's next tokens: a refresh token, or the client's own credentials.

use crate::client::Holder;
use crate::text::secret::Secret;
use crate::token::TokenResponse;

/// The source of the next tokens.
#[derive(Clone)]
pub(crate) enum Source {
    /// The user's next sign-in, because there is no refresh token.
    SignIn,
    /// A refresh (RFC 6749 §6).
    RefreshToken(Secret),
    /// A client credentials request, which needs no user (RFC 6749 §4.4). The terms of the record hold its
    /// scopes, resources and parameters.
    ClientCredentials,
}

impl Source {
    /// Returns the source after a token response. A refresh token of client credentials is of no use.
    pub(crate) fn of(tokens: &TokenResponse) -> Self {
        match &tokens.client_credentials {
            Some(_) => Self::ClientCredentials,
            None => tokens.refresh_token().cloned().into(),
        }
    }

    pub(crate) fn refresh_token(&self) -> Option<&Secret> {
        match self {
            Self::RefreshToken(token) => Some(token),
            Self::SignIn | Self::ClientCredentials => None,
        }
    }

    /// Returns whether this holder's client can ask for the next tokens.
    pub(crate) fn serves(&self, holder: &Holder) -> bool {
        match self {
            Self::SignIn => false,
            Self::RefreshToken(_) => holder.refreshes,
            Self::ClientCredentials => holder.has_own_tokens,
        }
    }
}

impl From<Option<Secret>> for Source {
    fn from(refresh_token: Option<Secret>) -> Self {
        refresh_token.map_or(Self::SignIn, Self::RefreshToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Session;

    /// A program may keep a million sessions.
    #[test]
    fn a_source_takes_no_more_room_than_a_refresh_token() {
        assert_eq!(size_of::<Source>(), size_of::<Secret>());
        assert!(size_of::<Session>() <= 256, "{}", size_of::<Session>());
    }
}
