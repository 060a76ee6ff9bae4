//! The meaning of an API's answer for the token, decided from its status and its challenges.

use crate::challenge::{Challenge, Challenges};

/// The meaning of an API's answer for the token; a program can obey it without inspecting anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Read the answer as the API's documentation says; it says nothing about the token. This includes
    /// success, and an API that is overloaded or broken.
    Unrelated,
    /// Send the user to the authorization server: the request had no token and needs one.
    ///
    /// The challenge, if there is one, may name the API's metadata, which leads to its authorization server
    /// ([`Challenge::resource_metadata`]), and the scopes to ask for ([`Challenge::scopes`]).
    SignIn(Option<&'a Challenge>),
    /// Report the token to [`Session::access_token_rejected`](crate::Session::access_token_rejected), or to
    /// the keeper's method of that name, get the next one and send the request once more.
    ///
    /// A loop gives up where the API rejects that one too: a token that is new and rejected is for another
    /// API.
    Rejected,
    /// Send the user to the authorization server with the demand that
    /// [`StepUp::demanded`](crate::challenge::StepUp::demanded) takes from this challenge: the token is good,
    /// and lacks scopes (RFC 6750 §3.1) or a stronger or newer authentication of the user (RFC 9470 §3).
    ///
    /// A refresh does not help.
    StepUp(&'a Challenge),
    /// Send the request once more with a new proof of possession, which holds the `DPoP-Nonce` of this answer
    /// (RFC 9449 §9). The token is good: do not refresh it.
    ///
    /// [`BoundRequest::received`](crate::dpop::BoundRequest::received) takes the nonce, and says whether this
    /// was the first time: there is one retry.
    NewProof,
    /// Change the program: the request is malformed (RFC 6750 §3.1), for example by a second token.
    FixRequest,
    /// Give up: the token does not permit the request, and the API does not say which scopes would help.
    /// Compare the granted scopes with the API's documentation.
    Forbidden,
}

impl Challenges {
    /// Returns what the answer with this status means for the token; `had_token` says whether the request had
    /// one.
    ///
    /// The error code of the first challenge for a bearer token or a DPoP token decides, with the statuses
    /// 400, 401 and 403; then the status does.
    ///
    /// ```
    /// use oauth2_proto::challenge::{Challenges, Verdict};
    ///
    /// let challenges = Challenges::parse([r#"Bearer error="invalid_token""#]);
    /// assert_eq!(challenges.verdict(401, true), Verdict::Rejected);
    /// assert_eq!(challenges.verdict(503, true), Verdict::Unrelated);
    /// assert_eq!(Challenges::default().verdict(401, false), Verdict::SignIn(None));
    /// ```
    pub fn verdict(&self, status: u16, had_token: bool) -> Verdict<'_> {
        let challenge = self.of_oauth();
        let verdict = match (status, challenge.and_then(Challenge::error)) {
            (400 | 401 | 403, Some("invalid_token")) => Verdict::Rejected,
            (400 | 401 | 403, Some("insufficient_scope" | "insufficient_user_authentication")) => {
                challenge.map_or(Verdict::Forbidden, Verdict::StepUp)
            }
            (401, Some("use_dpop_nonce")) if self.ask_for_nonce() => Verdict::NewProof,
            (400 | 401 | 403, Some("invalid_request" | "invalid_dpop_proof")) => Verdict::FixRequest,
            (401, _) => Verdict::Rejected,
            (403, _) => Verdict::Forbidden,
            _ => Verdict::Unrelated,
        };
        match verdict {
            Verdict::Rejected | Verdict::StepUp(_) if !had_token => Verdict::SignIn(challenge),
            verdict => verdict,
        }
    }

    /// Returns whether the API wants a nonce in the proof of possession (RFC 9449 §9).
    pub(crate) fn ask_for_nonce(&self) -> bool {
        let mut of_proofs = self.iter().filter(|challenge| challenge.scheme() == "dpop");
        of_proofs.any(|challenge| challenge.error() == Some("use_dpop_nonce"))
    }

    /// Returns the most informative challenge for an access token: the first with an error, or else the first
    /// with the address of the metadata.
    fn of_oauth(&self) -> Option<&Challenge> {
        let of_oauth = || self.iter().filter(|challenge| matches!(challenge.scheme(), "bearer" | "dpop"));
        of_oauth()
            .find(|challenge| challenge.error().is_some())
            .or_else(|| of_oauth().find(|challenge| challenge.resource_metadata().is_some()))
            .or_else(|| of_oauth().next())
    }
}
