//! The pending authorization: a sign-in whose user is away in the browser.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::authorization::callback::{Callback, Expected, Verdict};
use crate::authorization::pkce::CodeVerifier;
use crate::call::Call;
use crate::client::{Client, StartedBy};
use crate::error::Error;
use crate::text::scope::Scope;
use crate::text::secret::ShortSecret;
use crate::text::time::{system_time, unix_seconds};
use crate::text::uri::{Issuer, RedirectUri, Resource};
use crate::token::TokenResponse;

/// A sign-in that waits for its callback. Store it while the user is away in the browser.
///
/// Keep it **with the user's browser session** (a server-side session, or an encrypted cookie), never in a
/// store that any browser can reach by a `state` alone: this binds the answer to the browser that asked
/// (RFC 6749 §10.12). It is serialisable with serde; the form is versioned and holds the code verifier, so
/// it is a secret.
///
/// [`receive`](PendingAuthorization::receive) changes nothing unless it succeeds, so a forged callback does
/// not end the real sign-in. A success consumes the code verifier: neither this value nor a copy serialised
/// after it makes a second token request. A copy stored earlier would, so remove it from the store when
/// `receive` succeeds.
///
/// ```
/// use oauth2_proto::{Client, ClientAuth, Entropy, PendingAuthorization, pleo};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new(pleo::staging(), "client-id", ClientAuth::basic("fake"))?;
/// let now = std::time::SystemTime::UNIX_EPOCH;
/// let request = client.authorize("https://app.example/callback").scopes(["export:read"]);
/// let (_url, pending) = request.start_with(Entropy::from_bytes([1; 128]), now)?;
///
/// // Into the user's session, and out of it when the browser comes back.
/// let stored: String = serde_json::to_string(&pending)?;
/// let mut pending: PendingAuthorization = serde_json::from_str(&stored)?;
/// assert_eq!(pending.state(), "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE");
/// assert_eq!(pending.expires_at(), now + PendingAuthorization::LIFETIME);
///
/// let callback = "code=fake-code&state=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
/// let call = pending.receive(&client, callback, now)?;
/// assert_eq!(
///     call.request().body(),
///     "grant_type=authorization_code&code=fake-code\
///      &redirect_uri=https%3A%2F%2Fapp.example%2Fcallback\
///      &code_verifier=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"
/// );
/// assert!(serde_json::to_string(&pending).is_err(), "a code is used once");
/// # Ok(())
/// # }
/// ```
pub struct PendingAuthorization {
    pub(super) started_by: StartedBy,
    /// Seconds of Unix time, like `expires_at`.
    pub(super) started_at: u64,
    pub(super) expires_at: u64,
    pub(super) state: ShortSecret,
    /// `None` once a callback was accepted.
    pub(super) verifier: Option<CodeVerifier>,
    pub(super) redirect_uri: RedirectUri<'static>,
    pub(super) scope: Scope,
    pub(super) resources: Vec<Resource<'static>>,
    /// Whether the response must be signed.
    pub(super) signed_response: bool,
}

impl PendingAuthorization {
    /// The time that the user has to come back, unless
    /// [`lifetime`](crate::authorization::AuthorizationRequest::lifetime) sets another time: 10 minutes.
    pub const LIFETIME: Duration = Duration::from_secs(600);

    /// The accepted clock skew: the clock, which may be another machine's, may be behind the start by 60
    /// seconds.
    pub const CLOCK_SKEW: Duration = Duration::from_secs(60);

    /// Checks the callback and, if it answers this request with a code, makes the token request.
    ///
    /// `client` must be the one that started the authorization.
    ///
    /// # Errors
    ///
    /// - Misuse: the client is another one, a callback was accepted before, or the authorization asked for a
    ///   signed response ([`receive_signed`](Self::receive_signed)). Or a key of the client did not sign
    ///   ([`Client::signing`]), and the same callback is accepted with a signed client.
    /// - Suspect: `state` or `iss` does not match, a parameter is repeated, a token came through the browser,
    ///   or there are both a code and an error. Or a code came after the authorization has expired, and
    ///   [`Error::advice`] says [`Reauthorize`](crate::Advice::Reauthorize).
    /// - Invalid: there is neither a code nor an error, or one of the parameters that are read is not UTF-8.
    /// - Refused: the server or the user said no; [`Error::code`] says why (RFC 6749 §4.1.2.1).
    ///
    /// Where [`Error::advice`] says [`KeepWaiting`](crate::Advice::KeepWaiting), the real callback may still
    /// come.
    pub fn receive<'a>(
        &mut self,
        client: &Client,
        callback: impl Into<Callback<'a>>,
        now: SystemTime,
    ) -> Result<Call<TokenResponse>, Error> {
        self.check_receiver(client)?;
        if self.signed_response {
            return Err(Error::misuse(
                "this authorization asked for a signed response; call `receive_signed`",
            ));
        }
        let expected = Expected {
            state: self.state.as_bytes(),
            issuer: client.server.issuer.as_ref().map(Issuer::as_str),
            iss_required: client.server.authorization_response_iss_parameter_supported,
        };
        self.obey(Verdict::on(&callback.into(), &expected), client, now)
    }

    /// Checks that this client started the authorization, and that no callback was accepted before.
    pub(super) fn check_receiver(&self, client: &Client) -> Result<(), Error> {
        if !client.has_started(self.started_by) {
            return Err(Error::misuse(
                "this authorization was started by another client: issuer, an endpoint or client_id differ; \
                 receive its callback with that one",
            ));
        }
        match self.verifier {
            Some(_) => Ok(()),
            None => Err(Error::misuse(USED)),
        }
    }

    /// Does what the verdict on a callback says.
    ///
    /// Only a code meets the age check: a forged or broken callback must not end the user's wait, and a user
    /// who said no, however late, must not be sent back.
    pub(super) fn obey(
        &mut self,
        verdict: Verdict<'_>,
        client: &Client,
        now: SystemTime,
    ) -> Result<Call<TokenResponse>, Error> {
        match verdict {
            Verdict::Forged(error) | Verdict::Broken(error) | Verdict::Refused(error) => Err(error),
            Verdict::Code(code) => {
                self.check_age(now)?;
                self.token_request(client, &code, now)
            }
        }
    }

    /// Returns the `state` that was sent. It distinguishes several authorizations of one browser session.
    pub fn state(&self) -> &str {
        self.state.expose()
    }

    /// Returns the time from which on the callback is too late, at most the end of the year 9999.
    pub fn expires_at(&self) -> SystemTime {
        system_time(self.expires_at.saturating_mul(1000))
    }

    /// Makes the token request (RFC 6749 §4.1.3), which takes the code verifier.
    fn token_request(
        &mut self,
        client: &Client,
        code: &str,
        now: SystemTime,
    ) -> Result<Call<TokenResponse>, Error> {
        let verifier = self.verifier.as_ref().ok_or_else(|| Error::misuse(USED))?;
        let parameters = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("code_verifier", verifier.expose()),
        ];
        let resources = self.resources.iter().map(|resource| ("resource", resource.as_str()));
        let request = client.token_request(&parameters, resources, now)?;
        self.verifier = None;
        let scope = Some(std::mem::take(&mut self.scope));
        let resources = std::mem::take(&mut self.resources);
        Ok(Call::new(request, client.token_context(scope, resources)))
    }

    /// Refuses a callback after the lifetime, or long before the start.
    fn check_age(&self, now: SystemTime) -> Result<(), Error> {
        let now = unix_seconds(now);
        if now >= self.expires_at {
            return Err(Error::expired("the callback came too late for this authorization"));
        }
        if now.saturating_add(Self::CLOCK_SKEW.as_secs()) < self.started_at {
            return Err(Error::expired("the clock is set to a time before this authorization was started"));
        }
        Ok(())
    }
}

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

pub(super) const USED: &str =
    "a callback was accepted for this authorization before, and a code is used once; start another";
