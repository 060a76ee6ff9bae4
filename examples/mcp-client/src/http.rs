//! Does the HTTP that the crate leaves to the program.

#[path = "../../support/http.rs"]
mod ureq_client;

use std::time::SystemTime;

use oauth2_proto::call::{Call, Readable};
use oauth2_proto::{Advice, Client, Error, Request, Response};

pub use ureq_client::{follow, is_loopback};

use crate::Failure;

/// Sends a call, and reads its answer.
pub fn read<R: Readable>(call: &Call<R>) -> Result<Result<R::Output, Error>, Failure> {
    let answer = send(call.request())?;
    Ok(call.read(Response::new(answer.status(), answer.headers(), answer.body())))
}

/// Sends a token request of a client, and once more if the server wants its nonce in the proof (RFC 9449 §8).
pub fn read_tokens<R: Readable>(
    client: &Client,
    mut call: Call<R>,
) -> Result<Result<R::Output, Error>, Failure> {
    loop {
        match read(&call)? {
            Err(error) if error.dpop_nonce().is_some() && error.advice() == Advice::RetryLater => {
                call.renew(client, SystemTime::now())?;
            }
            outcome => return Ok(outcome),
        }
    }
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
