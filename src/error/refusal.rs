//! The error response (RFC 6749 §5.2), and the advice that follows from its code.

use std::fmt;
use std::time::Duration;

use crate::error::Advice;
use crate::error::echo::{PlainCode, PlainWords};
use crate::text::json::Extras;

/// The members of an error response (RFC 6749 §5.2), the nonce of RFC 9449 §8, and the `interval` of some
/// servers.
#[derive(Clone, Default)]
pub(crate) struct Refusal {
    pub(crate) code: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) uri: Option<String>,
    pub(crate) dpop_nonce: Option<String>,
    pub(crate) interval: Option<Duration>,
    /// The other members of the response, also where it has no code.
    pub(crate) extras: Extras,
}

impl Refusal {
    /// Returns the advice that follows from the code, where nothing more is known about the request.
    pub(super) fn advice(&self) -> Advice {
        match self.code() {
            "access_denied" => Advice::Declined,
            "invalid_grant"
            | "expired_token"
            | "interaction_required"
            | "login_required"
            | "account_selection_required"
            | "consent_required" => Advice::Reauthorize,
            "invalid_request"
            | "invalid_client"
            | "unauthorized_client"
            | "unsupported_grant_type"
            | "invalid_scope"
            | "invalid_target"
            | "invalid_dpop_proof"
            | "unsupported_token_type" => Advice::FixConfiguration,
            "server_error" | "temporarily_unavailable" | "authorization_pending" | "slow_down" => {
                Advice::RetryLater
            }
            _ if self.asks_for_nonce() => Advice::RetryLater,
            _ => Advice::Stop,
        }
    }

    /// Returns whether the request may succeed with the nonce that came with the refusal (RFC 9449 §8).
    pub(super) fn asks_for_nonce(&self) -> bool {
        self.code() == "use_dpop_nonce" && self.dpop_nonce.is_some()
    }

    /// Returns the advice that follows from the code of a callback. The user was just asked, so a missing
    /// consent means that they declined (OpenID Connect Core §3.1.2.6). The two `user_cancelled` codes are
    /// LinkedIn's and Apple's.
    pub(super) fn advice_of_callback(&self) -> Advice {
        match self.code() {
            "consent_required" | "user_cancelled_login" | "user_cancelled_authorize" => Advice::Declined,
            // RFC 6749 §4.1.2.1: the server does not give codes to this client.
            "unsupported_response_type" => Advice::FixConfiguration,
            _ => self.advice(),
        }
    }

    /// Returns the advice that follows from the code of a poll with a device code, in place of this one.
    /// Every code but two ends the polls (RFC 8628 §3.5), and the user may start again.
    ///
    /// The codes that no specification has are Entra's, GitHub's and django-oauth-toolkit's.
    pub(super) fn advice_of_device_poll(&self, advice: Advice) -> Advice {
        match self.code() {
            "authorization_declined" => Advice::Declined,
            "server_error"
            | "temporarily_unavailable"
            | "bad_verification_code"
            | "incorrect_device_code"
            | "device_not_found" => Advice::Reauthorize,
            _ if advice == Advice::Stop && self.is_of_spent_code() => Advice::Reauthorize,
            _ => advice,
        }
    }

    /// Returns whether the code says that an authorization code is spent or unknown, in the words of servers
    /// that do not use `invalid_grant` for it. Another authorization code comes with a new sign-in.
    pub(super) fn is_of_spent_code(&self) -> bool {
        SPENT_CODE.contains(&self.code())
    }

    fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }
}

/// Codes that several servers use. One of a single server, such as GitHub's `bad_verification_code`, belongs
/// in `AuthorizationServer::invalid_grant_codes`.
const SPENT_CODE: &[&str] = &[
    "invalid_code",
    "expired_code",
    "used_code",
    "code_expired",
    "code_used",
    "code_already_used",
    "code_not_found",
    "invalid_auth_code",
    "invalid_authorization_code",
    "expired_authorization_code",
    "authorization_code_expired",
    "authorization_code_used",
    "authorization_code_already_used",
    "authorization_code_not_found",
];

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("code", &self.code.as_deref().map(PlainCode))
            .field("description", &self.description.as_deref().map(PlainWords))
            .field("uri", &self.uri.as_deref().map(PlainWords))
            .field("interval", &self.interval)
            .field("extras", &self.extras)
            .finish_non_exhaustive()
    }
}
