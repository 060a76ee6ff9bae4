//! What is to be done next for a [`Session`](crate::Session).

use std::fmt;
use std::time::SystemTime;

use crate::session::record::Snapshot;

/// What is to be done next for a [`Session`](crate::Session); made by [`Session::poll`](crate::Session::poll).
#[derive(Debug)]
#[must_use = "a step is to be taken"]
pub enum Step {
    /// Nothing, before this time; without one, nothing until the API rejects the token.
    Idle(Option<SystemTime>),
    /// Store this before anything else, then call [`Session::saved`](crate::Session::saved) or [`Session::adopt`](crate::Session::adopt).
    Save(Save),
    /// Call [`Session::send`](crate::Session::send) and send what it gives.
    Send {
        /// By when the answer must be in; then give up and call [`Session::no_response`](crate::Session::no_response).
        until: SystemTime,
    },
    /// Nothing, before this time: another holder is refreshing, our own request is under way, or a pause is
    /// running. Meanwhile, load the snapshot from the store now and then and call [`Session::adopt`](crate::Session::adopt).
    Wait(SystemTime),
    /// The user must sign in again; then call [`Session::reauthorized`](crate::Session::reauthorized). Another
    /// holder may be the one to do so: look into the store now and then, as for `Wait`.
    Reauthorize(Reason),
}

/// Why the user must sign in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The server refused the refresh token for good; it was revoked, used twice, or is too old.
    Refused,
    /// The access token is of no use any more, and there is no refresh token.
    NoRefreshToken,
    /// Refreshing failed [`attempts`](crate::RefreshPolicy::max_attempts) times in a row. The refresh token may still be
    /// good: [`Session::resume`](crate::Session::resume) tries again.
    GaveUp,
}

impl std::error::Error for Reason {}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "the server refused the refresh token",
            Self::NoRefreshToken => "the access token is used up and there is no refresh token",
            Self::GaveUp => "refreshing failed too many times in a row",
        })
    }
}

/// A compare-and-swap for the caller's store.
#[derive(Debug)]
#[must_use = "what is not saved is lost"]
pub struct Save {
    pub(crate) snapshot: Snapshot,
}

impl Save {
    /// What to store.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The revision that the store must have for this to be stored; 0 if it must have none.
    pub fn expected_revision(&self) -> u64 {
        self.snapshot.0.revision.saturating_sub(1)
    }
}

/// The reader of a [`Call`](crate::Call) whose response is for [`Session::received`](crate::Session::received)
/// alone, so that tokens cannot be used before they are saved.
#[derive(Debug)]
pub struct SessionRefresh(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_what_happened() {
        for (reason, says) in [
            (Reason::Refused, "refused"),
            (Reason::NoRefreshToken, "no refresh token"),
            (Reason::GaveUp, "too many times"),
        ] {
            assert!(reason.to_string().contains(says), "{reason}");
        }
    }
}
