//! Why a keeper has no token, or could not save.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::{Advice, Error};
use crate::jose::SignerError;
use crate::session::{Reason, Session, Trouble, TroubleKind, WaitReason};
use crate::text::time::{system_time, unix};

/// The reason why a keeper has no access token, or could not save.
///
/// ```
/// use oauth2_proto::{Advice, keeper::KeeperError};
///
/// fn page(error: &KeeperError) -> &'static str {
///     match error.advice() {
///         Advice::Reauthorize => "Connect your account",
///         Advice::RetryLater => "We cannot reach Pleo at the moment",
///         _ => "Something is wrong on our side",
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum KeeperError {
    /// The user must sign in, for the first time or again. Send them to the authorization server and hand the
    /// new tokens to the keeper. If the client asks for its own tokens under this key,
    /// [`NotSignedIn`](Reason::NotSignedIn) means that nobody has called
    /// [`start_from_client_credentials`](crate::keeper::Keeper::start_from_client_credentials).
    SignIn(Reason),
    /// The client asks for its own tokens under this key, so no user can sign in, and it gets none before you
    /// act. After [`GaveUp`](Reason::GaveUp), fix the client's registration or what it asks for, then call
    /// [`resume`](crate::keeper::Keeper::resume).
    NoUser {
        /// What ended the requests.
        reason: Reason,
        /// The failed requests so far, if any.
        trouble: Option<Box<Trouble>>,
    },
    /// There is no token now, and there may be one later. Show "connection trouble" to the user.
    NotNow {
        /// The time from which on it may help to ask again.
        until: SystemTime,
        /// The event that the keeper waits for.
        reason: WaitReason,
        /// The failed refreshes so far, if any.
        trouble: Option<Box<Trouble>>,
    },
    /// The store failed. The keeper still has what it could not save, and tries again at your next call at
    /// the latest.
    Store(Arc<dyn StdError + Send + Sync>),
    /// A key did not sign, so nothing was sent. The keeper asks for the signature again at your next call,
    /// and other processes refresh meanwhile. Check the key and the service that holds it.
    Signing(Arc<dyn StdError + Send + Sync>),
    /// The program uses the keeper wrongly; for example, the tokens were issued to another client. Fix the
    /// program or its configuration.
    Misuse(Error),
    /// Your store or your runtime has panicked. The keeper still serves the other keys, and tries this one
    /// when you ask again. A blocking keeper passes the panic on to the caller instead.
    Panicked,
    /// The driver was dropped or has panicked, so nothing carries out the errands. Run
    /// [`Driver::run`](crate::keeper::Driver::run) for as long as you use the keeper.
    Stopped,
}

impl KeeperError {
    /// Refuses the stored session if the program started from another source under this key: its tokens give
    /// the access of somebody else.
    pub(super) fn check_source(stored: Option<Session>, has_user: bool) -> Result<(), Self> {
        match stored {
            Some(session) if session.has_user() != has_user => {
                Err(Self::Misuse(Error::misuse(match has_user {
                    true => "the tokens under this key are the client's own; use another key for this user",
                    false => "the tokens under this key are a user's; use another key for the client's own",
                })))
            }
            _ => Ok(()),
        }
    }
}

impl KeeperError {
    /// Returns what to do; a program can obey it without inspecting anything else.
    ///
    /// - [`Reauthorize`](Advice::Reauthorize): let the user sign in.
    /// - [`RetryLater`](Advice::RetryLater): show "connection trouble", and ask again later. The keeper
    ///   refreshes only when somebody asks.
    /// - [`FixConfiguration`](Advice::FixConfiguration): report the message to an operator.
    /// - [`Stop`](Advice::Stop): the program is broken or shutting down.
    pub fn advice(&self) -> Advice {
        match self {
            Self::SignIn(_) => Advice::Reauthorize,
            Self::NoUser { .. } => Advice::FixConfiguration,
            Self::NotNow { trouble: Some(trouble), .. } if trouble.kind() == TroubleKind::ClientRejected => {
                Advice::FixConfiguration
            }
            Self::NotNow { .. } | Self::Store(_) | Self::Signing(_) => Advice::RetryLater,
            Self::Misuse(error) => error.advice(),
            Self::Panicked | Self::Stopped => Advice::Stop,
        }
    }

    pub(super) fn store(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Store(error.into().into())
    }

    /// Makes the error of a signature that was not made. An error of this crate says what the program does
    /// wrong.
    pub(super) fn signing(error: SignerError) -> Self {
        match error.downcast::<Error>() {
            Ok(misuse) => Self::Misuse(*misuse),
            Err(error) => Self::Signing(error.into()),
        }
    }
}

impl fmt::Display for KeeperError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignIn(reason) => reason.fmt(f),
            Self::NoUser { reason, trouble } => {
                f.write_str(match reason {
                    Reason::Ended => "the program ended the client's own tokens",
                    Reason::NoRefreshToken => "this client cannot ask for tokens of its own at this server",
                    _ => {
                        "the server keeps refusing the client's own requests; check its registration and what it \
                         asks for, then resume"
                    }
                })?;
                trouble.as_ref().map_or(Ok(()), |trouble| write!(f, "; {trouble}"))
            }
            Self::NotNow { until, reason, trouble } => {
                let until = httpdate::fmt_http_date(system_time(unix(*until)));
                write!(f, "no access token now; ask again at {until}, because ")?;
                f.write_str(match reason {
                    WaitReason::OurRequest => "a refresh is under way",
                    WaitReason::AnotherHolder => "another holder refreshes",
                    WaitReason::Pause => "a pause runs",
                    WaitReason::AnotherClient => "the tokens were issued to another client",
                    WaitReason::AnotherKey => "the tokens are bound to another key",
                })?;
                trouble.as_ref().map_or(Ok(()), |trouble| write!(f, "; {trouble}"))
            }
            Self::Store(error) => write!(f, "the store failed: {error}"),
            Self::Signing(error) => write!(f, "the key did not sign, so nothing was sent: {error}"),
            Self::Misuse(error) => error.fmt(f),
            Self::Panicked => f.write_str("the store or the runtime has panicked"),
            Self::Stopped => f.write_str("the keeper's driver was dropped; spawn Driver::run"),
        }
    }
}

/// `Display` shows the cause, so `source` returns the source of the cause.
impl StdError for KeeperError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Store(error) | Self::Signing(error) => error.source(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error with a cause.
    #[derive(Debug)]
    struct Fault(Option<&'static Fault>);

    impl fmt::Display for Fault {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(if self.0.is_some() { "the query failed" } else { "the disk is full" })
        }
    }

    impl StdError for Fault {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            self.0.map(|cause| cause as &dyn StdError)
        }
    }

    /// A log that prints an error and its sources prints each cause once.
    #[test]
    fn each_cause_is_there_once() {
        let fault = || Fault(Some(&Fault(None)));
        for error in [KeeperError::store(fault()), KeeperError::signing(fault().into())] {
            assert!(error.to_string().ends_with(": the query failed"), "{error}");
            assert_eq!(error.source().unwrap().to_string(), "the disk is full");
        }
        assert!(KeeperError::Stopped.source().is_none());
    }
}
