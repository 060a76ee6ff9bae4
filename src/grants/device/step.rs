//! The steps that a pending device asks for.

use std::fmt;
use std::time::SystemTime;

use crate::error::{Advice, Error};

/// The next thing to do for a [`PendingDevice`](super::PendingDevice); returned by
/// [`PendingDevice::poll`](super::PendingDevice::poll).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "do what the step says"]
pub enum Step {
    /// Wait until this time, and poll again.
    Wait {
        /// The time to poll again.
        until: SystemTime,
    },
    /// Call [`PendingDevice::send`](super::PendingDevice::send) and send its call.
    Send {
        /// The time until which the answer may arrive. After that, call
        /// [`PendingDevice::no_response`](super::PendingDevice::no_response).
        until: SystemTime,
    },
    /// Stop: there is nothing more to poll for.
    Ended(End),
}

/// The reason why a [`PendingDevice`](super::PendingDevice) has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// The tokens were delivered by [`received`](super::PendingDevice::received).
    Granted,
    /// The user said no (`access_denied`). Only the user starts again, if they want to.
    Declined,
    /// The time is over, by the clock or by the server's word (`expired_token`). Start again when the user
    /// asks for it, not at once (RFC 8628 §3.5).
    Expired,
    /// The server refused the poll for another reason, or its answer was malformed.
    /// [`last_error`](super::PendingDevice::last_error) says which, and what to do.
    Failed,
}

impl End {
    /// Returns the end that follows from an error that stops the polls.
    pub(super) fn of(error: &Error) -> Self {
        match (error.advice(), error.code()) {
            (Advice::Declined, _) => Self::Declined,
            (_, Some("expired_token")) => Self::Expired,
            _ => Self::Failed,
        }
    }
}

impl std::error::Error for End {}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Granted => "the tokens were delivered; a device code works once",
            Self::Declined => "the user declined",
            Self::Expired => "the time to type the code is over; the user may start again",
            Self::Failed => "the server stopped the sign-in; its last error says why",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_says_what_happened() {
        for (end, says) in [
            (End::Granted, "delivered"),
            (End::Declined, "declined"),
            (End::Expired, "time"),
            (End::Failed, "stopped"),
        ] {
            assert!(end.to_string().contains(says), "{end}");
        }
    }
}
