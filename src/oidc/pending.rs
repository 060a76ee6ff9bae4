//! The pending authentication: a sign-in whose user is away in the browser, and its stored form.

use std::fmt;
use std::time::SystemTime;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::authorization::{Callback, PendingAuthorization};
use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::jose::Verification;
use crate::oidc::authentication::{Authentication, AuthenticationContext};
use crate::text::secret::{self, Secret, ShortSecret};
use crate::token::TokenResponse;

/// A sign-in with an ID token that waits for its callback. Store it while the user is away in the browser.
///
/// It is a [`PendingAuthorization`] that also remembers the `nonce`, and is kept like one: with the user's
/// browser session. It is serialisable with serde; the form is versioned and holds the code verifier, so it
/// is a secret.
pub struct PendingAuthentication {
    pub(super) authorization: PendingAuthorization,
    pub(super) expected: ExpectedIdToken,
}

/// The values that the ID token of an authentication must hold; made by
/// [`AuthenticationRequest::prepare`](crate::oidc::AuthenticationRequest::prepare).
pub struct ExpectedIdToken {
    pub(super) nonce: ShortSecret,
    /// The maximum age of the sign-in in seconds.
    pub(super) max_age: Option<u64>,
}

impl ExpectedIdToken {
    /// Adds these values to the pending authorization of the same request.
    pub fn of(self, authorization: PendingAuthorization) -> PendingAuthentication {
        PendingAuthentication { authorization, expected: self }
    }
}

impl PendingAuthentication {
    /// Checks the callback and, if it answers this request with a code, makes the token request.
    /// [`Call::authenticate`](crate::Call::authenticate) reads its answer.
    ///
    /// `client` must be the one that started the authentication.
    ///
    /// # Errors
    ///
    /// The errors of [`PendingAuthorization::receive`].
    pub fn receive<'a>(
        &mut self,
        client: &Client,
        callback: impl Into<Callback<'a>>,
        now: SystemTime,
    ) -> Result<Call<Authentication>, Error> {
        let call = self.authorization.receive(client, callback, now)?;
        Ok(self.expecting_id_token(call, client))
    }

    /// Checks a signed callback, and makes the token request, for an authentication that asked for a [signed
    /// response](crate::authorization::AuthorizationRequest::signed_response).
    ///
    /// # Errors
    ///
    /// The errors of [`PendingAuthorization::receive_signed`].
    pub fn receive_signed<'a>(
        &mut self,
        client: &Client,
        callback: impl Into<Callback<'a>>,
        verification: &Verification<'_>,
        now: SystemTime,
    ) -> Result<Call<Authentication>, Error> {
        let call = self.authorization.receive_signed(client, callback, verification, now)?;
        Ok(self.expecting_id_token(call, client))
    }

    fn expecting_id_token(&self, call: Call<TokenResponse>, client: &Client) -> Call<Authentication> {
        let nonce = ShortSecret::Given(Secret::new(self.expected.nonce.expose()));
        let expected = ExpectedIdToken { nonce, max_age: self.expected.max_age };
        call.with_reply(|tokens| AuthenticationContext { tokens, client: client.clone(), expected })
    }

    /// Returns the `state` that was sent. It distinguishes several sign-ins of one browser session.
    pub fn state(&self) -> &str {
        self.authorization.state()
    }

    /// Returns the time from which on the callback is too late, at most the end of the year 9999.
    pub fn expires_at(&self) -> SystemTime {
        self.authorization.expires_at()
    }
}

/// Fails after a callback was accepted: a used authorization must not come back from a store.
impl Serialize for PendingAuthentication {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        Stored {
            authentication_version: VERSION,
            nonce: self.expected.nonce.expose(),
            max_age: self.expected.max_age,
            authorization: &self.authorization,
        }
        .serialize(target)
    }
}

impl<'de> Deserialize<'de> for PendingAuthentication {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        // The format's own error may quote what it found, such as the verifier.
        let not_stored = || {
            D::Error::custom(
                "not a stored pending authentication, a damaged one, or one of another version of the crate; let the \
                 user start again",
            )
        };
        let restored = Restored::deserialize(source).map_err(|_| not_stored())?;
        if restored.authentication_version != VERSION || restored.nonce.expose().is_empty() {
            return Err(not_stored());
        }
        let expected =
            ExpectedIdToken { nonce: ShortSecret::Given(restored.nonce), max_age: restored.max_age };
        Ok(Self { authorization: restored.authorization, expected })
    }
}

#[derive(Serialize)]
struct Stored<'a> {
    authentication_version: u32,
    nonce: &'a str,
    max_age: Option<u64>,
    authorization: &'a PendingAuthorization,
}

#[derive(Deserialize)]
struct Restored {
    authentication_version: u32,
    #[serde(deserialize_with = "secret::deserialize")]
    nonce: Secret,
    max_age: Option<u64>,
    authorization: PendingAuthorization,
}

/// The version of the stored form.
const VERSION: u32 = 1;

impl fmt::Debug for PendingAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingAuthentication")
            .field("authorization", &self.authorization)
            .field("max_age", &self.expected.max_age)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ExpectedIdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpectedIdToken").field("max_age", &self.max_age).finish_non_exhaustive()
    }
}
