//! The answer to an authentication: tokens, and who signed in (OpenID Connect Core §3.1.3.3).

use std::time::SystemTime;

use crate::call::{Call, Readable, Reply, Response, sealed};
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::jose::Verification;
use crate::oidc::id_token::{Against, IdToken, Nonce};
use crate::oidc::pending::ExpectedIdToken;
use crate::token::TokenResponse;
use crate::token::reader::TokenContext;

/// The tokens of a sign-in, and its checked ID token; made by [`Call::authenticate`].
///
/// `Debug` shows no personal data.
#[derive(Debug)]
pub struct Authentication {
    tokens: TokenResponse,
    id_token: IdToken,
}

impl Authentication {
    /// Returns the tokens.
    pub fn tokens(&self) -> &TokenResponse {
        &self.tokens
    }

    /// Returns the ID token, which says who signed in.
    pub fn id_token(&self) -> &IdToken {
        &self.id_token
    }

    /// Returns both.
    pub fn into_parts(self) -> (TokenResponse, IdToken) {
        (self.tokens, self.id_token)
    }
}

impl Call<Authentication> {
    /// Reads the response, and checks its ID token (OpenID Connect Core §3.1.3.7).
    ///
    /// If the server has a new key, fetch the keys and read the same response, of which you kept a clone,
    /// again: [`KeySet`](crate::jose::KeySet) shows how.
    ///
    /// # Errors
    ///
    /// - The errors of [`Call::read`] for a token response.
    /// - Invalid: there is no ID token, or a part of it is missing or malformed.
    /// - Suspect: a part of it has a wrong value. Use no token of this answer.
    ///
    /// [`Error::reason`] names the part.
    pub fn authenticate(
        &self,
        response: Response<'_>,
        verification: &Verification<'_>,
        now: SystemTime,
    ) -> Result<Authentication, Error> {
        self.read_by(response, |response| self.context.read(response, verification, now))
    }
}

/// The context that the reader of an authentication needs.
pub struct AuthenticationContext {
    pub(super) tokens: TokenContext,
    pub(super) client: Client,
    pub(super) expected: ExpectedIdToken,
}

impl AuthenticationContext {
    fn read(
        &self,
        response: Response<'_>,
        verification: &Verification<'_>,
        now: SystemTime,
    ) -> Result<Authentication, Error> {
        let tokens = TokenResponse::read(response, &self.tokens).map_err(|error| match error.kind() {
            ErrorKind::Invalid => error.about("response"),
            _ => error,
        })?;
        let unchecked = tokens.id_token().ok_or_else(|| {
            Error::invalid("there is no id_token (OpenID Connect Core section 3.1.3.3)").about("id_token")
        })?;
        let against = Against {
            nonce: Nonce::Sent(&self.expected.nonce),
            max_age: self.expected.max_age,
            previous: None,
        };
        let id_token = unchecked.check_against(&against, &self.client, verification, now)?;
        Ok(Authentication { tokens, id_token })
    }
}

impl Reply for Authentication {}

impl sealed::Reply for Authentication {
    type Context = AuthenticationContext;
}
