//! The pending authorization: what must survive the browser's trip.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::authorization::callback::{self, Callback, Expected};
use crate::authorization::pkce::CodeVerifier;
use crate::call::Call;
use crate::client::Client;
use crate::error::{Advice, Error};
use crate::text::scope::Scope;
use crate::text::secret::ShortSecret;
use crate::text::time::{system_time, unix_seconds};
use crate::token::TokenResponse;

/// An authorization that the user has been sent away for: what must survive the browser's trip.
///
/// Keep it **with the user's browser session** (a server-side session, or an encrypted cookie), never in a
/// store that any browser can reach by a `state` alone: that is what binds the answer to the browser that
/// asked (RFC 6749 §10.12). It is serialisable with serde; the form is versioned and holds the code verifier,
/// so it is a secret.
///
/// [`receive`](PendingAuthorization::receive) changes nothing unless it succeeds, so a forged callback does
/// not end the real sign-in. After a success the code verifier is gone: neither the same value nor a copy
/// serialised from then on makes a second token request. A copy that was stored earlier would, so remove it
/// from the store together with a success.
pub struct PendingAuthorization {
    pub(super) client: [u8; 32],
    /// Seconds of Unix time, like `expires_at`.
    pub(super) started_at: u64,
    pub(super) expires_at: u64,
    pub(super) state: ShortSecret,
    /// Gone once a callback was accepted.
    pub(super) verifier: Option<CodeVerifier>,
    pub(super) redirect_uri: String,
    pub(super) scope: Scope,
    pub(super) resources: Vec<String>,
}

impl PendingAuthorization {
    /// How long the user may take to come back unless
    /// [`lifetime`](AuthorizationRequest::lifetime) says otherwise: 10 minutes.
    pub const LIFETIME: Duration = Duration::from_secs(600);

    /// How far the clock may have gone back since the start (on another machine, say): 60 seconds.
    pub const CLOCK_SKEW: Duration = Duration::from_secs(60);

    /// Takes the callback, and makes the token request if the callback is the answer to this request.
    ///
    /// `client` must be the one that started the authorization.
    ///
    /// # Errors
    ///
    /// - Misuse: the client is another one, or a callback was accepted before.
    /// - Suspect: `state` or `iss` is not what it must be, a parameter is there twice, a token came through
    ///   the browser, or there are both a code and an error. Or the authorization is too old, and
    ///   [`Error::advice`] says [`Reauthorize`](Advice::Reauthorize).
    /// - Invalid: there is neither a code nor an error, or the text is not UTF-8.
    /// - Refused: the server or the user said no; [`Error::code`] says why (RFC 6749 §4.1.2.1).
    ///
    /// Where [`Error::advice`] says [`KeepWaiting`](Advice::KeepWaiting), the real callback may still come.
    pub fn receive<'a>(
        &mut self,
        client: &Client,
        callback: impl Into<Callback<'a>>,
        now: SystemTime,
    ) -> Result<Call<TokenResponse>, Error> {
        if self.client != client.identity {
            return Err(Error::misuse(
                "this authorization was started by another client: issuer, an endpoint or client_id differ",
            ));
        }
        let Some(verifier) = &self.verifier else {
            return Err(Error::misuse(USED));
        };
        let expected = Expected {
            state: self.state.expose(),
            issuer: client.server.issuer.as_deref(),
            iss_required: client.server.authorization_response_iss_parameter_supported,
        };
        let code = callback::check(&callback.into(), &expected);
        // The age comes last, so that a forged callback never ends the user's wait.
        if !matches!(&code, Err(error) if error.advice() == Advice::KeepWaiting) {
            self.check_age(now)?;
        }
        let code = code?;
        let parameters = [
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("code_verifier", verifier.expose()),
        ];
        let request = client.token_request(&parameters, &self.resources);
        self.verifier = None;
        Ok(Call::new(
            request,
            client.token_context(Some(std::mem::take(&mut self.scope)), std::mem::take(&mut self.resources)),
        ))
    }

    /// The `state` that was sent, to tell several authorizations of one browser session apart.
    pub fn state(&self) -> &str {
        self.state.expose()
    }

    /// When it is too late for the callback; the end of the year 9999 where it is later still.
    pub fn expires_at(&self) -> SystemTime {
        system_time(self.expires_at.saturating_mul(1000))
    }

    fn check_age(&self, now: SystemTime) -> Result<(), Error> {
        let now = unix_seconds(now);
        if now >= self.expires_at {
            return Err(Error::expired("the callback came too late for this authorization"));
        }
        if now.saturating_add(Self::CLOCK_SKEW.as_secs()) < self.started_at {
            return Err(Error::expired("the clock stands before the start of this authorization"));
        }
        Ok(())
    }
}

pub(super) const USED: &str = "a callback was accepted for this authorization before; a code is used once";

impl fmt::Debug for PendingAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingAuthorization")
            .field("started_at", &self.started_at)
            .field("expires_at", &self.expires_at)
            .field("redirect_uri", &self.redirect_uri)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
