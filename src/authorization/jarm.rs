//! Signed authorization responses (JWT Secured Authorization Response Mode for OAuth 2.0, JARM).

use std::time::SystemTime;

use crate::authorization::callback::{Callback, Verdict};
use crate::authorization::pending::PendingAuthorization;
use crate::authorization::request::AuthorizationRequest;
use crate::call::Call;
use crate::client::Client;
use crate::error::{Error, Refusal};
use crate::jose::claims::{self, malformed, wrong};
use crate::jose::{Jwt, Verification};
use crate::text::json::Member;
use crate::text::secret::{Text, same};
use crate::token::TokenResponse;

impl AuthorizationRequest<'_> {
    /// Asks for a signed response (JARM §2.3): `query.jwt`, or `form_post.jwt` after
    /// [`form_post`](Self::form_post). Only
    /// [`receive_signed`](crate::PendingAuthorization::receive_signed) takes the callback then, and it takes
    /// no other.
    ///
    /// The request is misuse if the server's issuer is not set, or if the server lists its response modes
    /// without this one.
    pub fn signed_response(mut self) -> Self {
        self.signed_response = true;
        self
    }

    /// Makes the response mode one of a signed response.
    pub(super) fn ask_for_signed_response(&mut self) -> Result<(), Error> {
        claims::expected_issuer(self.client)?;
        let set = self.parameters.iter_mut().find(|(name, _)| *name == "response_mode");
        let mut listed = self.client.server.metadata().response_modes_supported().into_iter().flatten();
        let mode = match set.as_ref().map(|(_, mode)| &**mode) {
            Some("form_post") => "form_post.jwt",
            // For a code, `jwt` is the same mode (JARM §2.3.4), and some servers list it alone.
            None | Some("query") if listed.any(|mode| mode == "jwt") => "jwt",
            None | Some("query") => "query.jwt",
            // `check_parameters` judges it.
            Some(_) => return Ok(()),
        };
        self.client.server.check_listed("response modes", "response_modes_supported", mode)?;
        match set {
            Some((_, value)) => *value = mode.into(),
            None => self.parameters.push(("response_mode", mode.into())),
        }
        Ok(())
    }
}

impl PendingAuthorization {
    /// Checks a signed callback and, if it answers this request with a code, makes the token request.
    ///
    /// The authorization must have asked for a [signed
    /// response](crate::authorization::AuthorizationRequest::signed_response), and `client` must be the one
    /// that started it. Nothing in the callback counts before its signature, `iss`, `aud` and `exp` were
    /// checked (JARM §2.4).
    ///
    /// `state` is inside the signed response. With several tabs, try each pending authorization of this
    /// browser: one takes the response, and the others say [`KeepWaiting`](crate::Advice::KeepWaiting).
    ///
    /// ```
    /// use oauth2_proto::jose::Verification;
    /// use oauth2_proto::{Advice, Call, Client, Error, PendingAuthorization, TokenResponse};
    /// use std::time::SystemTime;
    ///
    /// /// Returns the outcome, and the tab that it belongs to.
    /// fn receive(
    ///     client: &Client,
    ///     tabs: &mut [PendingAuthorization],
    ///     query: &str,
    ///     verification: &Verification<'_>,
    ///     now: SystemTime,
    /// ) -> Option<(usize, Result<Call<TokenResponse>, Error>)> {
    ///     let mut last = None;
    ///     for (tab, pending) in tabs.iter_mut().enumerate() {
    ///         let outcome = pending.receive_signed(client, query, verification, now);
    ///         let waits = |error: &Error| error.advice() == Advice::KeepWaiting;
    ///         if !outcome.as_ref().is_err_and(waits) {
    ///             return Some((tab, outcome));
    ///         }
    ///         last = Some((tab, outcome));
    ///     }
    ///     last
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::reason`] names the part that is wrong.
    ///
    /// - Misuse: the client is another one, a callback was accepted before, the authorization asked for no
    ///   signed response, or the verification is [left to TLS](Verification::left_to_tls).
    /// - Suspect: the response is not signed by the server, is for another client, has expired, answers
    ///   another request, or another parameter came with it. Or a code came after the authorization has
    ///   expired, and [`Error::advice`] says [`Reauthorize`](crate::Advice::Reauthorize).
    /// - Invalid: there is no signed response, or it is malformed.
    /// - Refused: the server or the user said no; [`Error::code`] says why (RFC 6749 §4.1.2.1).
    ///
    /// Where [`Error::advice`] says [`KeepWaiting`](crate::Advice::KeepWaiting), the real callback may still
    /// come. If [`KeySet::fetch_again`](crate::jose::KeySet::fetch_again) has a call, fetch the keys and
    /// receive the same callback again.
    pub fn receive_signed<'a>(
        &mut self,
        client: &Client,
        callback: impl Into<Callback<'a>>,
        verification: &Verification<'_>,
        now: SystemTime,
    ) -> Result<Call<TokenResponse>, Error> {
        self.check_receiver(client)?;
        if !self.signed_response {
            return Err(Error::misuse(
                "this authorization asked for no signed response; call `receive`, or `signed_response` at its start",
            ));
        }
        verification.check_front_channel("a signed response")?;
        let issuer = claims::expected_issuer(client)?;
        let token = callback.into().signed_response(issuer)?;
        let jwt = Jwt::read(&token, client, verification).map_err(Error::of_callback)?;
        let verdict = self.judge(&jwt, client, verification, now).map_err(Error::of_callback)?;
        self.obey(verdict, client, now)
    }

    /// Judges a response whose signature was checked: its origin first, so that nothing in a foreign one has
    /// an effect.
    fn judge<'a>(
        &self,
        jwt: &'a Jwt,
        client: &Client,
        verification: &Verification<'_>,
        now: SystemTime,
    ) -> Result<Verdict<'a>, Error> {
        jwt.check_typ(&["oauth-authz-resp+jwt"])?;
        let ([iss, aud, exp, iat, nbf, state, code, error, description, uri, access_token, id_token], _) =
            jwt.claims(NAMES)?;
        client.server.check_signed_by(ALGORITHMS.0, ALGORITHMS.1, jwt.algorithm_name())?;
        claims::issuer(iss, client)?;
        if claims::audience(aud, client)?.iter().any(|name| name != client.client_id()) {
            return Err(wrong("aud", "names other clients, too"));
        }
        let clock = verification.clock(now);
        clock.expiry(exp)?;
        clock.past("iat", iat)?;
        clock.past("nbf", nbf)?;
        match text("state", state)? {
            Some(state) if same(state.as_bytes(), self.state.as_bytes()) => {}
            Some(_) => {
                return Err(wrong("state", "is not the one that was sent; it answers another request"));
            }
            None => return Err(wrong("state", "is missing; nothing ties it to our request")),
        }
        if ![access_token, id_token].iter().all(|token| matches!(token, Member::Absent)) {
            return Err(wrong("token", "came through the browser, which was not asked for"));
        }
        let (code, error) = (text("code", code)?, text("error", error)?);
        let refusal = Refusal {
            code: None,
            description: claims::text("error_description", description)?,
            uri: claims::text("error_uri", uri)?,
            ..Refusal::default()
        };
        match (code, error) {
            (Some(_), Some(_)) => Err(wrong("code", "stands beside an error; a server sends one")),
            (Some(code), None) if !code.is_empty() => Ok(Verdict::Code(code)),
            (None, Some(error)) if !error.is_empty() => {
                let code = Some(error.to_owned());
                Ok(Verdict::Refused(Error::refused_by_callback(Refusal { code, ..refusal })))
            }
            _ => Err(malformed("code", "is missing, and there is no error")),
        }
    }
}

/// Returns whether a response of this mode is signed, and only the program receives it.
pub(super) fn is_mode(mode: &str) -> bool {
    matches!(mode, "jwt" | "query.jwt" | "form_post.jwt")
}

fn text<'a>(name: &'static str, member: Member<'a>) -> Result<Option<Text<'a>>, Error> {
    match member {
        Member::Absent => Ok(None),
        Member::Text(text) => Ok(Some(text)),
        _ => Err(malformed(name, "is no text")),
    }
}

/// The claims that are read or refused, in the order in which [`PendingAuthorization::judge`] takes them
/// apart.
const NAMES: &[&str; 12] = &[
    "iss",
    "aud",
    "exp",
    "iat",
    "nbf",
    "state",
    "code",
    "error",
    "error_description",
    "error_uri",
    "access_token",
    "id_token",
];

/// The list of the server's algorithms (JARM §4), in a message and in its document.
const ALGORITHMS: (&str, &str) =
    ("algorithms of signed responses", "authorization_signing_alg_values_supported");
