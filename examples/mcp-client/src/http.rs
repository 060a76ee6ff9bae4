//! Does the HTTP that the crate leaves to the program.

#[path = "../../support/http.rs"]
mod ureq_client;

use oauth2_proto::call::{Call, Readable};
use oauth2_proto::{Error, Request, Response};

pub use ureq_client::{follow, is_loopback};

use crate::Failure;

/// Sends a call, and reads its answer.
pub fn read<R: Readable>(call: &Call<R>) -> Result<Result<R::Output, Error>, Failure> {
    let answer = send(call.request())?;
    Ok(call.read(Response::new(answer.status(), answer.headers(), answer.body())))
}

/// Sends a request without following a redirect.
pub fn send(request: &Request) -> Result<Answer, Failure> {
    Ok(Answer(ureq_client::send(request)?))
}

/// An answer, whatever its status.
pub struct Answer(ureq_client::Answer);

impl Answer {
    pub fn status(&self) -> u16 {
        self.0.0
    }

    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.1.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// Returns the text of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers();
        let (_, value) = headers.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    pub fn body(&self) -> &[u8] {
        &self.0.2
    }
}
