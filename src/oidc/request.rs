//! The authentication request (OpenID Connect Core §3.1.2.1).

use std::fmt;
use std::time::SystemTime;

use crate::authorization::{AuthorizationRequest, Entropy, PushedAuthorization, UnsignedAuthorization};
use crate::call::Call;
use crate::error::Error;
use crate::jose::claims::expected_issuer;
use crate::oidc::pending::{ExpectedIdToken, PendingAuthentication};
use crate::text::secret::{Secret, ShortSecret};
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
    /// The errors of [`AuthorizationRequest::start`]. Misuse, too, if the issuer of the server is not set,
    /// the request holds a `nonce` already, or its `max_age` is no number.
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
        let (request, expected) = self.with_nonce(&entropy)?;
        let (url, authorization) = request.start_with(entropy, now)?;
        Ok((url, expected.of(authorization)))
    }

    /// Pushes the request to the server (RFC 9126 §2), like [`AuthorizationRequest::push`].
    ///
    /// # Errors
    ///
    /// The errors of [`start`](Self::start) and of [`AuthorizationRequest::push`].
    #[cfg(feature = "os-random")]
    pub fn push(self, now: SystemTime) -> Result<(Call<PushedAuthorization>, PendingAuthentication), Error> {
        self.push_with(Entropy::from_os()?, now)
    }

    /// Like `push`, with your own random bytes.
    ///
    /// # Errors
    ///
    /// The errors of `push`.
    pub fn push_with(
        self,
        entropy: Entropy,
        now: SystemTime,
    ) -> Result<(Call<PushedAuthorization>, PendingAuthentication), Error> {
        let (request, expected) = self.with_nonce(&entropy)?;
        let (call, authorization) = request.push_with(entropy, now)?;
        Ok((call, expected.of(authorization)))
    }

    /// Returns the URL for the user's browser, the signed request to publish at `request_uri`, and the
    /// pending authentication, like [`AuthorizationRequest::publish`].
    ///
    /// # Errors
    ///
    /// The errors of [`start`](Self::start) and of [`AuthorizationRequest::publish`].
    #[cfg(feature = "os-random")]
    pub fn publish(
        self,
        request_uri: &str,
        now: SystemTime,
    ) -> Result<(String, Secret, PendingAuthentication), Error> {
        self.publish_with(request_uri, Entropy::from_os()?, now)
    }

    /// Like `publish`, with your own random bytes.
    ///
    /// # Errors
    ///
    /// The errors of `publish`.
    pub fn publish_with(
        self,
        request_uri: &str,
        entropy: Entropy,
        now: SystemTime,
    ) -> Result<(String, Secret, PendingAuthentication), Error> {
        let (request, expected) = self.with_nonce(&entropy)?;
        let (url, request_object, authorization) = request.publish_with(request_uri, entropy, now)?;
        Ok((url, request_object, expected.of(authorization)))
    }

    /// Returns the request as it is to be signed, for a key that signs elsewhere, like
    /// [`AuthorizationRequest::prepare`]; and what its ID token must hold.
    ///
    /// ```
    /// use oauth2_proto::jose::SigningKey;
    /// use oauth2_proto::{Client, oidc::PendingAuthentication};
    /// use std::time::SystemTime;
    ///
    /// # async fn kms_signs(_: &[u8]) -> Result<Vec<u8>, oauth2_proto::Error> { Ok(vec![7; 64]) }
    /// # async fn example(
    /// #     client: &Client,
    /// #     key: &SigningKey,
    /// # ) -> Result<(String, PendingAuthentication), oauth2_proto::Error> {
    /// let request = client.authorize("https://app.example/callback").signed(key).openid();
    /// let (prepared, expected) = request.prepare(SystemTime::now())?;
    /// let signature = kms_signs(prepared.unsigned().message()).await?;
    /// let (url, authorization) = prepared.signed(&signature)?.start()?;
    /// let pending = expected.of(authorization);
    /// # Ok((url, pending))
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`start`](Self::start) and of [`AuthorizationRequest::prepare`].
    #[cfg(feature = "os-random")]
    pub fn prepare(self, now: SystemTime) -> Result<(UnsignedAuthorization<'a>, ExpectedIdToken), Error> {
        self.prepare_with(Entropy::from_os()?, now)
    }

    /// Like `prepare`, with your own random bytes.
    ///
    /// # Errors
    ///
    /// The errors of `prepare`.
    pub fn prepare_with(
        self,
        entropy: Entropy,
        now: SystemTime,
    ) -> Result<(UnsignedAuthorization<'a>, ExpectedIdToken), Error> {
        let (request, expected) = self.with_nonce(&entropy)?;
        Ok((request.prepare_with(entropy, now)?, expected))
    }

    /// Adds the nonce. Returns the request to start, and what its ID token must hold.
    fn with_nonce(self, entropy: &Entropy) -> Result<(AuthorizationRequest<'a>, ExpectedIdToken), Error> {
        let Self(mut request) = self;
        expected_issuer(request.client())?;
        let max_age = request.parameter_value("max_age").map(|seconds| {
            digits(seconds).ok_or_else(|| {
                Error::misuse("max_age is no number of seconds (OpenID Connect Core section 3.1.2.1)")
            })
        });
        let nonce = ShortSecret::from_random(entropy.nonce());
        request.set_nonce(nonce.expose());
        Ok((request, ExpectedIdToken { nonce, max_age: max_age.transpose()? }))
    }
}

impl fmt::Debug for AuthenticationRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuthenticationRequest").field(&self.0).finish()
    }
}
