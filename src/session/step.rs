//! The steps that a [`Session`](crate::Session) asks for.

use std::fmt;
use std::time::SystemTime;

use crate::session::stored::Snapshot;

/// The next thing to do for a [`Session`](crate::Session); returned by
/// [`Session::poll`](crate::Session::poll).
#[derive(Debug)]
#[must_use = "do what the step says"]
pub enum Step {
    /// Do nothing before this time; without a time, nothing before the API rejects the access token.
    Idle(Option<SystemTime>),
    /// Store the snapshot before anything else, then call [`Session::saved`](crate::Session::saved) or, if
    /// the store refused it, [`Session::adopt`](crate::Session::adopt).
    Save(Save),
    /// Call [`Session::send`](crate::Session::send) and send its call.
    Send {
        /// The time until which the answer may arrive. After that, call
        /// [`Session::no_response`](crate::Session::no_response).
        until: SystemTime,
    },
    /// Wait until this time. Until then, load the snapshot from the store now and then and call
    /// [`Session::adopt`](crate::Session::adopt).
    Wait {
        /// The latest time to poll again.
        until: SystemTime,
        /// The reason for the wait.
        reason: WaitReason,
    },
    /// Ask the user to sign in again, then call [`Session::reauthorized`](crate::Session::reauthorized).
    /// Another holder may do so: load the snapshot from the store now and then, as for `Wait`.
    ///
    /// [Client credentials](crate::Session#client-credentials) have no user: tell an operator, and call
    /// [`Session::resume`](crate::Session::resume) when the cause is fixed.
    Reauthorize(Reason),
}

/// The event that a [`Session`](crate::Session) waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitReason {
    /// The answer to our own request.
    OurRequest,
    /// Another holder's refresh.
    AnotherHolder,
    /// The end of a pause. If a refresh failed, [`Session::trouble`](crate::Session::trouble) says what
    /// happened.
    Pause,
    /// A holder with the client that the tokens were issued to: this holder's has another token endpoint or
    /// `client_id`, so it cannot refresh. If the token endpoint has moved, call
    /// [`Session::rebind`](crate::Session::rebind).
    AnotherClient,
    /// A holder with the key that the tokens are bound to (RFC 9449): this holder's client has another key,
    /// or none. Give it that key ([`Client::dpop`](crate::Client::dpop)), let the user sign in again or, if
    /// the key of a client with credentials was replaced, call [`Session::rebind`](crate::Session::rebind).
    AnotherKey,
}

/// The reason why the user must sign in again or, for [client
/// credentials](crate::Session#client-credentials), why the client stopped asking for tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The server refused the refresh token for good: it was revoked, used twice, or is too old. Client
    /// credentials never end for this reason.
    Refused,
    /// The access token is unusable, and there is no refresh token, or the server is known not to support the
    /// grant that would replace it.
    NoRefreshToken,
    /// Refreshing failed [`max_attempts`](crate::RefreshPolicy::max_attempts) times in a row, or the server
    /// refused without naming a cause [`max_unclear_refusals`](crate::RefreshPolicy::max_unclear_refusals)
    /// times. [`Session::trouble`](crate::Session::trouble) says what happened. Nothing is erased, and
    /// [`Session::resume`](crate::Session::resume) tries again. For client credentials, an operator must fix
    /// the registration first, because no user can sign in.
    GaveUp,
    /// The program ended the authorization by [`Session::end`](crate::Session::end).
    Ended,
    /// The user has not signed in: nothing is stored. Only a [`keeper`](crate::keeper) says so, because a
    /// session begins with a sign-in.
    NotSignedIn,
}

impl std::error::Error for Reason {}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "the server refused the refresh token; the user must sign in again",
            Self::NoRefreshToken => {
                "the access token has expired and there is no refresh token; the user must sign in again"
            }
            Self::GaveUp => "refreshing failed too many times; resume it or let the user sign in again",
            Self::Ended => "the authorization was ended; the user must sign in again",
            Self::NotSignedIn => {
                "nothing is stored under this key; the user must sign in, or for tokens of the client's own the \
                 program calls start_from_client_credentials"
            },
        })
    }
}

/// A compare-and-swap to carry out in your store.
#[derive(Clone, Debug)]
#[must_use = "store the snapshot, or its tokens are lost"]
pub struct Save {
    pub(crate) snapshot: Snapshot,
    /// True if this holder makes the claim in the snapshot.
    pub(crate) claims: bool,
}

impl Save {
    /// Returns the snapshot to store.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Returns the revision that the store must hold to accept this save; 0 if it must hold nothing.
    pub fn expected_revision(&self) -> u64 {
        self.snapshot.0.revision.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_what_happened() {
        for (reason, says) in [
            (Reason::Refused, "refused"),
            (Reason::NoRefreshToken, "no refresh token"),
            (Reason::GaveUp, "too many times"),
            (Reason::Ended, "ended"),
            (Reason::NotSignedIn, "nothing is stored"),
        ] {
            assert!(reason.to_string().contains(says), "{reason}");
        }
    }
}
