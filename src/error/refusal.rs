//! The error response (RFC 6749 §5.2), and the advice that follows from its code.

use std::fmt;
use std::time::Duration;

use crate::error::Advice;
use crate::error::echo::{PlainCode, PlainWords};

/// The members of an error response (RFC 6749 §5.2), the nonce of RFC 9449 §8, and the `interval` of some servers.
#[derive(Clone, Default)]
pub(crate) struct Refusal {
    pub(crate) code: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) uri: Option<String>,
    pub(crate) dpop_nonce: Option<String>,
    pub(crate) interval: Option<Duration>,
}

impl Refusal {
    /// Returns the advice that follows from the code.
    pub(super) fn advice(&self) -> Advice {
        match self.code.as_deref().unwrap_or_default() {
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
            "use_dpop_nonce" if self.dpop_nonce.is_some() => Advice::RetryLater,
            _ => Advice::Stop,
        }
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("code", &self.code.as_deref().map(PlainCode))
            .field("description", &self.description.as_deref().map(PlainWords))
            .field("uri", &self.uri.as_deref().map(PlainWords))
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}
