//! The message of an [`Error`]: one line that says what was wrong, where, and what to change.

use std::fmt;

use crate::error::echo::{PlainCode, PlainWords};
use crate::error::{Advice, Error, ErrorKind};

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.write_str(match inner.kind {
            ErrorKind::Misuse => "misuse",
            ErrorKind::Unsupported => "unsupported by the server",
            ErrorKind::Refused => "refused by the server",
            ErrorKind::Invalid => "not a valid answer",
            ErrorKind::Suspect => "suspicious answer",
        })?;
        if let Some(status) = inner.status {
            write!(f, " (HTTP status {status})")?;
        }
        write!(f, ": {}", inner.message)?;
        if let Some(code) = &inner.refusal.code {
            write!(f, "{}", PlainCode(code))?;
        }
        if let Some(description) = &inner.refusal.description {
            write!(f, ", {}", PlainWords(description))?;
        }
        f.write_str(match (inner.advice, inner.kind) {
            (_, ErrorKind::Misuse | ErrorKind::Unsupported) | (Advice::Stop, _) => "",
            (Advice::KeepWaiting, _) => "; keep waiting for the real callback",
            (Advice::RetryLater, _) if inner.refusal.asks_for_nonce() => {
                "; renew the request with the nonce of this answer, and send it at once"
            }
            (Advice::RetryLater, _) => "; try again later",
            (Advice::Reauthorize, _) => "; the user must sign in again",
            (Advice::Declined, _) => "; the user may start again if they want to",
            (Advice::FixConfiguration, _) => "; check the client's configuration and registration",
        })?;
        match &inner.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
