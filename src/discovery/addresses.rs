//! The search at one address after the other, which ends with the most telling error of all.

use std::fmt;
use std::vec;

use crate::call::{Call, Reply, Request};
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

/// A search: the call for the current address, the remaining addresses, and the most telling error so far.
pub(super) struct Search<R: Reply> {
    pub(super) call: Call<R>,
    rest: vec::IntoIter<String>,
    most_telling: Option<Error>,
}

impl<R: Reply<Context: Clone>> Search<R> {
    /// Begins with the first of these addresses, and goes on to the `rest` in their order.
    pub(super) fn new(first: String, rest: Vec<String>, context: R::Context) -> Self {
        Self { call: call(first, context), rest: rest.into_iter(), most_telling: None }
    }

    /// Goes on to the next address; if there is none, gives back the most telling error. Gives back an error
    /// after which the same address should be tried again.
    pub(super) fn next(&mut self, error: Error) -> Result<(), Error> {
        match error.advice() {
            Advice::RetryLater => Err(error),
            _ => self.skip(error),
        }
    }

    /// Goes on to the next address after any error; if there is none, gives back the most telling error.
    pub(super) fn skip(&mut self, error: Error) -> Result<(), Error> {
        let most_telling = match self.most_telling.take() {
            Some(earlier) if weight(&earlier) >= weight(&error) => earlier,
            _ => error,
        };
        self.most_telling = Some(most_telling.clone());
        let url = self.rest.next().ok_or(most_telling)?;
        self.call = call(url, self.call.context.clone());
        Ok(())
    }

    /// Shows a discovery that has nothing but this search.
    pub(super) fn fmt(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("call", &self.call)
            .field("addresses", &Shown(self.rest.as_slice()))
            .finish()
    }
}

fn call<R: Reply>(url: String, context: R::Context) -> Call<R> {
    Call::new(Request::without_body("GET", url.into(), None), context)
}

/// Ranks an error by how much it says. From most to least: the document must not be trusted, it lacks
/// something, it is malformed, it is no JSON object, there may be a document, there is no document.
fn weight(error: &Error) -> u8 {
    let is_success = matches!(error.status(), Some(200..=299));
    match error.kind() {
        ErrorKind::Suspect => 5,
        ErrorKind::Unsupported => 4,
        // Some applications answer every address with their page.
        _ if is_success && error.message() == NO_OBJECT => 2,
        _ if is_success => 3,
        _ if error.status() == Some(404) => 0,
        _ => 1,
    }
}

struct Shown<'a>(&'a [String]);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for url in self.0 {
            list.entry(&format_args!("{}", ForeignAddress(url)));
        }
        list.finish()
    }
}
