//! The authentication request (OpenID Connect Core §3.1.2.1).

use std::fmt;
use std::time::SystemTime;

use crate::authorization::{AuthorizationRequest, Entropy};
use crate::error::Error;
use crate::jose::claims::expected_issuer;
use crate::oidc::pending::{Expected, PendingAuthentication};
use crate::text::secret::ShortSecret;
use crate::text::time::digits;

/// An authorization request that asks for an ID token, about to be started; made by
/// [`AuthorizationRequest::openid`].
///
/// The [module](crate::oidc) has an example.
#[must_use = "an authentication is started by `start`"]
pub struct AuthenticationRequest<'a>(AuthorizationRequest<'a>);

impl<'a> AuthenticationRequest<'a> {
    pub(crate) fn new(request: AuthorizationRequest<'a>) -> Self {
        Self(request)
    }

    /// Returns the URL for the user's browser, and the pending authentication to keep until the browser comes
    /// back.
    ///
    /// Takes random bytes from the operating system, for the code verifier, the `state` and the `nonce`.
    ///
    /// # Errors
    ///
    /// The errors of [`AuthorizationRequest::start`]. Misuse, too, if the issuer of the server is not set, the
    /// request holds a `nonce` already, or its `max_age` is no number.
    #[cfg(feature = "os-random")]
    pub fn start(self, now: SystemTime) -> Result<(String, PendingAuthentication), Error> {
        self.start_with(Entropy::from_os()?, now)
    }

    /// Like `start`, with your own random bytes.
    ///
    /// # Errors
    ///
    /// The errors of `start`.
    pub fn start_with(
        self,
        entropy: Entropy,
        now: SystemTime,
    ) -> Result<(String, PendingAuthentication), Error> {
        let (request, expected) = self.prepare(&entropy)?;
        let (url, authorization) = request.start_with(entropy, now)?;
        Ok((url, PendingAuthentication { authorization, expected }))
    }

    /// Adds the nonce. Returns the request to start, and what its ID token must hold.
    pub(crate) fn prepare(self, entropy: &Entropy) -> Result<(AuthorizationRequest<'a>, Expected), Error> {
        let Self(mut request) = self;
        expected_issuer(request.client())?;
        let max_age = request.parameter_value("max_age").map(|seconds| {
            digits(seconds).ok_or_else(|| {
                Error::misuse("max_age is no number of seconds (OpenID Connect Core section 3.1.2.1)")
            })
        });
        let expected =
            Expected { nonce: ShortSecret::from_random(entropy.nonce()), max_age: max_age.transpose()? };
        request.set_nonce(expected.nonce.expose());
        Ok((request, expected))
    }
}

impl fmt::Debug for AuthenticationRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuthenticationRequest").field(&self.0).finish()
    }
}
