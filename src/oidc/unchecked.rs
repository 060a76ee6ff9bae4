//! An ID token that nobody has checked yet.

use std::fmt;
use std::time::SystemTime;

use crate::client::Client;
use crate::error::Error;
use crate::jose::Verification;
use crate::oidc::id_token::{Against, IdToken, Nonce, PreviousIdToken};
use crate::text::json::{Extras, WithheldIdToken};
use crate::token::TokenResponse;

/// An ID token that nobody has checked yet: its only use is the check.
///
/// [`TokenResponse::id_token`] and [`Extras::id_token`] return it.
#[derive(Clone, Copy)]
pub struct UncheckedIdToken<'a>(&'a WithheldIdToken);

impl TokenResponse {
    /// Returns the ID token, to check it; `None` where the response has none.
    ///
    /// The tokens of a sign-in with [`openid`](crate::authorization::AuthorizationRequest::openid) come with
    /// a checked one already.
    pub fn id_token(&self) -> Option<UncheckedIdToken<'_>> {
        self.known_extras().id_token()
    }
}

impl Extras {
    /// Returns the ID token of a token response, to check it; `None` where the response has none.
    pub fn id_token(&self) -> Option<UncheckedIdToken<'_>> {
        self.id_token.as_deref().map(UncheckedIdToken)
    }
}

impl UncheckedIdToken<'_> {
    /// Checks the ID token of a grant that sends no nonce, such as a device authorization (OpenID Connect
    /// Core §3.1.3.7). `client` is the one that the tokens were issued to.
    ///
    /// After a refresh, call [`check_refreshed`](Self::check_refreshed): this method accepts any user.
    ///
    /// # Errors
    ///
    /// The errors of [`Call::authenticate`](crate::Call::authenticate); here a nonce is a wrong value.
    /// Misuse: the issuer of the server is not set.
    pub fn check(
        self,
        client: &Client,
        verification: &Verification<'_>,
        now: SystemTime,
    ) -> Result<IdToken, Error> {
        let against = Against { nonce: Nonce::NotSent, max_age: None, previous: None };
        self.check_against(&against, client, verification, now)
    }

    /// Checks the ID token of a refresh: it must be of the same user and the same sign-in as the previous one
    /// (OpenID Connect Core §12.2). `previous` is a checked [`&IdToken`](IdToken), or the
    /// [`&PreviousIdToken`](PreviousIdToken) that you stored.
    ///
    /// Store the tokens of the refresh before you check, because the server may have replaced the refresh
    /// token; a session and a keeper do.
    ///
    /// ```
    /// use oauth2_proto::jose::Verification;
    /// use oauth2_proto::oidc::{IdToken, PreviousIdToken};
    /// use oauth2_proto::{Client, Error, token::Extras};
    /// use std::time::SystemTime;
    ///
    /// /// Checks the ID token that a session received, if there is one.
    /// fn checked(
    ///     extras: &Extras,
    ///     previous: &PreviousIdToken,
    ///     client: &Client,
    ///     now: SystemTime,
    /// ) -> Result<Option<IdToken>, Error> {
    ///     let Some(unchecked) = extras.id_token() else { return Ok(None) };
    ///     let verification = Verification::left_to_tls();
    ///     unchecked.check_refreshed(previous, client, &verification, now).map(Some)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`Call::authenticate`](crate::Call::authenticate). If
    /// [`KeySet::fetch_again`](crate::jose::KeySet::fetch_again) has a call for one, the server may have
    /// changed its keys: fetch them and check again. If another one is suspect, the tokens of this refresh
    /// may be another user's: end the session.
    pub fn check_refreshed(
        self,
        previous: impl Into<PreviousIdToken>,
        client: &Client,
        verification: &Verification<'_>,
        now: SystemTime,
    ) -> Result<IdToken, Error> {
        let previous = previous.into();
        let nonce = Nonce::MayBe(previous.nonce.as_deref());
        let against = Against { nonce, max_age: None, previous: Some(&previous) };
        self.check_against(&against, client, verification, now)
    }

    pub(super) fn check_against(
        self,
        against: &Against<'_>,
        client: &Client,
        verification: &Verification<'_>,
        now: SystemTime,
    ) -> Result<IdToken, Error> {
        let WithheldIdToken { token, access_token } = self.0;
        let token =
            token.as_ref().ok_or_else(|| Error::invalid("the id_token is no text").about("id_token"))?;
        IdToken::read(token, access_token, against, client, verification, now)
    }
}

impl fmt::Debug for UncheckedIdToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UncheckedIdToken([redacted])")
    }
}
