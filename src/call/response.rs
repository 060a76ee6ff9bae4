//! An HTTP response as plain data.

use std::fmt;

use zeroize::Zeroize;

use super::request::FORM;
use crate::dpop;
use crate::error::retry_after::RetryAfter;

pub(crate) const RESPONSE_LIMIT: usize = 1 << 20;

/// An HTTP response as plain data.
#[derive(Clone)]
pub struct Response<'a> {
    pub(crate) status: u16,
    body: Body<'a>,
    pub(crate) retry_after: Option<RetryAfter>,
    /// Only a text that can stand in a proof (RFC 9449 §8.1).
    pub(crate) dpop_nonce: Option<String>,
    /// True if the content type is a form or any text, which [`Leniency::FormEncoded`] reads as a form.
    ///
    /// [`Leniency::FormEncoded`]: crate::server::Leniency::FormEncoded
    pub(crate) may_be_form: bool,
}

impl<'a> Response<'a> {
    /// Takes the status, the header pairs and the decompressed body from an HTTP client.
    ///
    /// ```
    /// use oauth2_proto::Response;
    ///
    /// let headers = [("content-type", "application/json"), ("retry-after", "120")];
    /// let response = Response::new(503, headers, b"{}");
    /// assert_eq!(format!("{response:?}").contains("503"), true);
    /// ```
    pub fn new<N: AsRef<str>, V: AsRef<[u8]>>(
        status: u16,
        headers: impl IntoIterator<Item = (N, V)>,
        body: &'a [u8],
    ) -> Self {
        let body = Body::Borrowed(body);
        let mut response = Self { status, body, retry_after: None, dpop_nonce: None, may_be_form: false };
        for (name, value) in headers {
            let (name, value) = (name.as_ref(), value.as_ref());
            let text = || std::str::from_utf8(value).ok();
            if name.eq_ignore_ascii_case("retry-after") {
                // Skip unreadable values: another header may hold a readable one.
                response.retry_after = response.retry_after.or(text().and_then(RetryAfter::parse));
            } else if name.eq_ignore_ascii_case("dpop-nonce") {
                let nonce = text().filter(|nonce| dpop::is_nonce(nonce)).map(str::to_owned);
                response.dpop_nonce = response.dpop_nonce.or(nonce);
            } else if name.eq_ignore_ascii_case("content-type") {
                let label = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
                let kind = label.split(|byte| *byte == b'/').next().unwrap_or_default();
                response.may_be_form =
                    label.eq_ignore_ascii_case(FORM.as_bytes()) || kind.eq_ignore_ascii_case(b"text");
            }
        }
        response
    }

    /// Returns the status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Copies the body, so that a function that sends a request can return the response. The copy is wiped on
    /// drop.
    pub fn into_owned(self) -> Response<'static> {
        Response { body: Body::Owned(self.body().to_vec()), ..self }
    }

    pub(crate) fn body(&self) -> &[u8] {
        match &self.body {
            Body::Borrowed(bytes) => bytes,
            Body::Owned(bytes) => bytes,
        }
    }
}

/// The body of a response, which may hold tokens.
#[derive(Clone)]
enum Body<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
}

impl Drop for Body<'_> {
    fn drop(&mut self) {
        if let Self::Owned(bytes) = self {
            bytes.as_mut_slice().zeroize();
        }
    }
}

impl fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("body", &format_args!("[{} bytes, redacted]", self.body().len()))
            .finish_non_exhaustive()
    }
}

/// Converts from the `http` crate's response.
#[cfg(feature = "http")]
impl<'a, B: AsRef<[u8]>> From<&'a http::Response<B>> for Response<'a> {
    fn from(response: &'a http::Response<B>) -> Self {
        Self::new(response.status().as_u16(), response.headers(), response.body().as_ref())
    }
}
