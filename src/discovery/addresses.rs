//! The addresses at which a document may be, and the choice among the errors of all.

use std::fmt;
use std::vec;

use crate::error::{Advice, Error, ErrorKind};
use crate::text::foreign::ForeignAddress;
use crate::text::salvage::NO_OBJECT;
use crate::text::uri::split_address;

/// Inserts a well-known path between host and path, and removes the slash that ends the path. A query stays
/// at the end (RFC 8414 §3.1, RFC 9728 §3.1).
pub(super) fn well_known(identifier: &str, suffix: &str) -> String {
    let (origin, path, query) = split_address(identifier);
    let path = path.strip_suffix('/').unwrap_or(path);
    format!("{origin}/.well-known/{suffix}{path}{query}")
}

/// The addresses that are still to be asked, and the most telling error so far.
pub(super) struct Addresses {
    rest: vec::IntoIter<String>,
    told: Option<Error>,
}

impl Addresses {
    pub(super) fn new(rest: Vec<String>) -> Self {
        Self { rest: rest.into_iter(), told: None }
    }

    /// Returns the next address after an error that says that there is no usable document here.
    pub(super) fn next(&mut self, error: Error) -> Result<String, Error> {
        match error.advice() {
            Advice::RetryLater => Err(error),
            _ => self.skip(error),
        }
    }

    /// Returns the next address; if there is none, the most telling error.
    pub(super) fn skip(&mut self, error: Error) -> Result<String, Error> {
        let told = match self.told.take() {
            Some(told) if weight(&told) >= weight(&error) => told,
            _ => error,
        };
        self.told = Some(told.clone());
        self.rest.next().ok_or(told)
    }
}

/// Returns how much an error says: that a document is not to be trusted, that it lacks something, that it is
/// malformed, that there may be one, or that there is none.
fn weight(error: &Error) -> u8 {
    let is_success = matches!(error.status(), Some(200..=299));
    match error.kind() {
        ErrorKind::Suspect => 5,
        ErrorKind::Unsupported => 4,
        // The page of an application that answers every address.
        _ if is_success && error.message() == NO_OBJECT => 2,
        _ if is_success => 3,
        _ if error.status() == Some(404) => 0,
        _ => 1,
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for url in self.rest.as_slice() {
            list.entry(&format_args!("{}", ForeignAddress(url)));
        }
        list.finish()
    }
}
