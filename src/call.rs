//! Requests and responses as plain data, and the [`Call`] that ties one of each together.

mod request;
mod response;

pub use self::request::Request;
pub(crate) use self::response::RESPONSE_LIMIT;
pub use self::response::Response;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use crate::client::Client;
use crate::error::Error;
use crate::error::retry_after::RetryAfter;

/// One request to the authorization server, and the only reader of its response.
///
/// Send [`request`](Call::request) with any HTTP client and hand the response to [`read`](Call::read). The
/// type parameter is the [`Reply`]: a `Call<TokenResponse>` redeems a code, a
/// [`Call<Refresh>`](crate::grants::Refresh) a refresh token.
///
/// After an error whose [`advice`](Error::advice) is [`RetryLater`](crate::Advice::RetryLater), send and read
/// the same call again; a client with keys calls [`renew`](Call::renew) first. The call of a
/// [`Session`](crate::Session) is sent once, and read by [`Session::received`](crate::Session::received).
///
/// One function sends every call, whatever its reply:
///
/// ```
/// use oauth2_proto::{Call, Error, Request, Response, call::Readable};
///
/// fn send<R: Readable>(
///     call: &Call<R>,
///     http: impl Fn(&Request) -> (u16, Vec<u8>),
/// ) -> Result<R::Output, Error> {
///     let (status, body) = http(call.request());
///     let headers = [("content-type", "application/json")];
///     call.read(Response::new(status, headers, &body))
/// }
/// ```
pub struct Call<R: Reply> {
    request: Request,
    /// The context that the reader of the response needs.
    pub(crate) context: R::Context,
    /// True once the server has asked for another nonce, which it may do once.
    has_asked_for_nonce: AtomicBool,
}

/// A kind of reply that a [`Call`] can have; only this crate implements it.
pub trait Reply: sealed::Reply {}

/// A [`Reply`] that [`Call::read`] returns.
///
/// [`SessionRefresh`](crate::session::SessionRefresh) is not readable: only its session reads it, so that no
/// token is used before it is saved.
pub trait Readable: Reply {
    /// The type that [`Call::read`] returns.
    type Output;

    /// Reads a response to a request with this context.
    #[doc(hidden)]
    fn read(response: Response<'_>, context: &Self::Context) -> Result<Self::Output, Error>;
}

/// Keeps other crates from implementing [`Reply`].
pub(crate) mod sealed {
    pub trait Reply {
        /// The context that the reader of the response needs.
        type Context;
    }
}

impl<R: Reply> Call<R> {
    pub(crate) fn new(request: Request, context: R::Context) -> Self {
        Self { request, context, has_asked_for_nonce: AtomicBool::new(false) }
    }

    /// Returns the same request with another reply.
    pub(crate) fn with_reply<S: Reply>(self, context: impl FnOnce(R::Context) -> S::Context) -> Call<S> {
        Call::new(self.request, context(self.context))
    }

    /// Returns the request to send.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Returns the request for changes: add a parameter that a server wants, or test a server with a wrong
    /// one.
    pub fn request_mut(&mut self) -> &mut Request {
        &mut self.request
    }

    /// Signs the request anew for another attempt, by the client that made it: a new assertion (RFC 7523 §3),
    /// and a new proof with the newest nonce of the server (RFC 9449 §7.3 and §8).
    ///
    /// A server refuses an assertion or a proof that it has seen before, so call `renew` before you send a
    /// call again. A call without signatures stays as it is.
    ///
    /// Where the server asked for a nonce (`use_dpop_nonce`), send the renewed call at once, without a pause.
    /// If it asks again, the advice is [`Stop`](crate::Advice::Stop): a second nonce helps no more than the
    /// first.
    ///
    /// # Errors
    ///
    /// Misuse: a key of the client signs elsewhere ([`Client::signing`]), its signer failed, or another
    /// client made the call, which one with another key for proofs ([`Client::dpop`]) is, too. Then nothing
    /// changes.
    pub fn renew(&mut self, client: &Client, now: SystemTime) -> Result<(), Error> {
        client.renew(&mut self.request, now)
    }

    /// Adopts the nonce in a response, whatever its status (RFC 9449 §8.2).
    pub(crate) fn learn_nonce(&self, response: &Response<'_>) {
        if let (Some(key), Some(nonce)) = (self.request.dpop(), &response.dpop_nonce) {
            key.learn(self.request.url(), nonce);
        }
    }

    /// Returns whether the answer asks for a proof with the nonce that it brought (RFC 9449 §8).
    pub(crate) fn asks_for_nonce(&self, error: &Error) -> bool {
        self.request.dpop().is_some() && self.request.has_proof() && error.asks_for_nonce()
    }

    /// Reads the response by a reader, and completes its error.
    pub(crate) fn read_by<'r, T>(
        &self,
        response: Response<'r>,
        read: impl FnOnce(Response<'r>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.learn_nonce(&response);
        let Response { status, retry_after, .. } = response;
        read(response).map_err(|error| {
            let error = self.complete(error, status, retry_after);
            let is_asked_again =
                self.asks_for_nonce(&error) && self.has_asked_for_nonce.swap(true, Ordering::Relaxed);
            if is_asked_again { error.in_vain() } else { error }
        })
    }

    /// Completes the error of a reader: adds the status and the `Retry-After`, withholds the server's texts
    /// that repeat a secret of this request, and adds a hint at the configuration.
    pub(crate) fn complete(&self, error: Error, status: u16, retry_after: Option<RetryAfter>) -> Error {
        let error = error.redact(self.request.secrets()).with_response(status, retry_after);
        let hint = self.request.hint(&error, status);
        error.with_hint(hint)
    }
}

impl<R: Readable> Call<R> {
    /// Reads the response.
    ///
    /// # Errors
    ///
    /// - Refused: the server answered with an OAuth error, whatever the HTTP status (RFC 6749 §5.2).
    /// - Invalid: the response is neither the reply nor an OAuth error. A proxy's page is an example.
    ///
    /// [`Error::advice`] says whether to send the call again.
    pub fn read(&self, response: Response<'_>) -> Result<R::Output, Error> {
        self.read_by(response, |response| R::read(response, &self.context))
    }
}

impl<R: Reply> fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("request", &self.request).finish_non_exhaustive()
    }
}
