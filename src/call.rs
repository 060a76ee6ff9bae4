//! A request as plain data, a response as plain data, and the [`Call`] that ties the two together.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::client::IssuedTo;
use crate::error::Error;
use crate::error::retry_after::RetryAfter;
use crate::server::Leniencies;
use crate::text::form;
use crate::text::scope::Scope;
use crate::text::secret::Secret;

/// One request to the authorization server, and the only reader of its response.
///
/// Send [`request`](Call::request) with any HTTP client and hand what comes back to
/// [`finish`](Call::read). After an error whose [`retry`](Error::advice) says
/// [`Later`](crate::Advice::RetryLater) the same call can be sent and finished again; the call of a
/// [`Session`](crate::Session) is sent once.
pub struct Call<T> {
    request: Request,
    pub(crate) context: Context,
    reply: PhantomData<fn() -> T>,
}

/// What reading a response needs to know about the request.
pub(crate) struct Context {
    pub(crate) leniencies: Leniencies,
    pub(crate) issued_to: IssuedTo,
    /// `None` for a refresh that leaves the scopes as they are.
    pub(crate) requested_scope: Option<Scope>,
    /// Stays in force when the response brings no other (RFC 6749 §6).
    pub(crate) refresh_token: Option<Secret>,
    /// For which attempt of a session it is sent.
    pub(crate) attempt: Option<Attempt>,
}

/// A refresh of a [`Session`](crate::Session), told apart from its earlier and later ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) authorization: [u8; 16],
    /// Of the snapshot that holds the claim.
    pub(crate) revision: u64,
    /// Of the tokens that are replaced.
    pub(crate) generation: u64,
    /// Milliseconds of Unix time.
    pub(crate) sent_at: u64,
}

impl<T> Call<T> {
    pub(crate) fn new(request: Request, context: Context) -> Self {
        Self { request, context, reply: PhantomData }
    }

    /// The same call with another reader.
    pub(crate) fn with_reader<U>(self) -> Call<U> {
        Call::new(self.request, self.context)
    }

    /// The request to send.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The request, to be changed: for a parameter that a server wants beside the standard ones, or to
    /// test how a server takes a wrong one.
    pub fn request_mut(&mut self) -> &mut Request {
        &mut self.request
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("request", &self.request).finish_non_exhaustive()
    }
}

/// An HTTP request as plain data: method, URL, headers and body.
///
/// `Debug` hides the body and every header value that is not a constant. Two things about sending it
/// are easy to get wrong, so the request says them itself: [`follow_redirects`](Request::follow_redirects)
/// and [`response_limit`](Request::response_limit).
#[derive(Clone)]
pub struct Request {
    method: Cow<'static, str>,
    url: String,
    headers: Vec<(Cow<'static, str>, HeaderValue)>,
    body: Secret,
}

#[derive(Clone)]
enum HeaderValue {
    Constant(&'static str),
    Secret(Secret),
}

impl Request {
    /// A request without headers and body; for those who put one together by hand.
    pub fn new(method: impl Into<Cow<'static, str>>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), headers: Vec::new(), body: Secret::new("") }
    }

    /// A form sent by POST (RFC 6749 §3.2).
    pub(crate) fn form_post(url: &str, body: String, authorization: Option<&Secret>) -> Self {
        let mut headers = Vec::with_capacity(3);
        headers.push(("content-type".into(), HeaderValue::Constant(FORM)));
        headers.push(("accept".into(), HeaderValue::Constant("application/json")));
        if let Some(value) = authorization {
            headers.push(("authorization".into(), HeaderValue::Secret(value.clone())));
        }
        Self { method: "POST".into(), url: url.to_owned(), headers, body: Secret::new(body) }
    }

    /// The method: `POST` for every request that this crate makes.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The absolute URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Names in lower case and values; `Content-Length` and `Host` are left to the HTTP client.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (&**name, value.text()))
    }

    /// The value of one header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body, which holds secrets: form-encoded text.
    pub fn body(&self) -> &str {
        self.body.expose()
    }

    /// The body taken apart into decoded pairs.
    pub fn form(&self) -> Vec<(String, String)> {
        serde_urlencoded::from_str(self.body()).unwrap_or_default()
    }

    /// Always false: a redirect would carry the body and the credentials to another address, so a
    /// client that follows redirects must be told not to. Hand the 3xx response to [`Call::read`].
    pub fn follow_redirects(&self) -> bool {
        false
    }

    /// How many bytes of the response's body to read at the most, after decompression: 1 MiB.
    ///
    /// A longer body is refused by [`Call::read`], so a client that stops after one byte more saves its
    /// memory and loses nothing.
    pub fn response_limit(&self) -> usize {
        RESPONSE_LIMIT
    }

    /// Changes the method.
    pub fn set_method(&mut self, method: impl Into<Cow<'static, str>>) {
        self.method = method.into();
    }

    /// Changes the URL.
    pub fn set_url(&mut self, url: impl Into<String>) {
        self.url = url.into();
    }

    /// Sets a header, in place of one of the same name.
    pub fn set_header(&mut self, name: &str, value: impl Into<Secret>) {
        self.remove_header(name);
        self.headers.push((name.to_ascii_lowercase().into(), HeaderValue::Secret(value.into())));
    }

    /// Removes a header, whatever the case of its name.
    pub fn remove_header(&mut self, name: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    /// Sets the body.
    pub fn set_body(&mut self, body: impl Into<Secret>) {
        self.body = body.into();
    }

    /// Sets the body to a form: any pairs, or a structure with plain members.
    ///
    /// # Errors
    ///
    /// Misuse, if the value cannot be a form, as a nested structure cannot.
    pub fn set_form(&mut self, form: impl Serialize) -> Result<(), Error> {
        let body = serde_urlencoded::to_string(form)
            .map_err(|_| Error::misuse("a form is a list of pairs or a flat structure"))?;
        self.body = Secret::new(body);
        Ok(())
    }

    /// Adds a parameter to a form body.
    pub fn push_form(&mut self, name: &str, value: &str) {
        let mut body =
            String::with_capacity(self.body().len() + form::room_for("", name) + form::room_for("", value));
        body.push_str(self.body());
        let mut escaped_name = String::new();
        form::push_escaped(&mut escaped_name, name);
        form::push_pair(&mut body, &escaped_name, value);
        self.body = Secret::new(body);
    }
}

impl Request {
    /// What a server could echo in an error text and nobody may see there, as it was sent and decoded.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let is_secret =
            |name: &str| matches!(name, "code" | "code_verifier" | "refresh_token" | "client_secret");
        let form = self.body().split('&').filter_map(|pair| pair.split_once('='));
        let form = form.filter(|(name, _)| form::unescape(name).is_some_and(|name| is_secret(&name)));
        let sent = form.map(|(_, value)| Secret::new(value));
        let mut secrets: Vec<Secret> = sent.collect();
        if let Some((_, credentials)) = self.header("authorization").and_then(|value| value.split_once(' ')) {
            secrets.push(Secret::new(credentials));
            secrets.extend(basic_secret(credentials));
        }
        let decoded = secrets.iter().filter_map(|sent| form::unescape(sent.expose()).map(Secret::new));
        let decoded: Vec<Secret> = decoded.collect();
        secrets.extend(decoded);
        secrets
    }
}

/// The client secret in the credentials of HTTP Basic, as it was escaped.
fn basic_secret(credentials: &str) -> Option<Secret> {
    let pair = Secret::new(String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?);
    pair.expose().split_once(':').map(|(_, secret)| Secret::new(secret))
}

impl HeaderValue {
    fn text(&self) -> &str {
        match self {
            Self::Constant(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(text) => fmt::Debug::fmt(text, f),
            Self::Secret(secret) => fmt::Debug::fmt(secret, f),
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &self.headers)
            .field("body", &self.body)
            .finish()
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

pub(crate) const RESPONSE_LIMIT: usize = 1 << 20;

/// An HTTP response as plain data.
#[derive(Clone)]
pub struct Response<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    pub(crate) retry_after: Option<RetryAfter>,
    pub(crate) dpop_nonce: Option<String>,
    /// Labelled as a form or as plain text, which a lenient reader may take for a form.
    pub(crate) may_be_form: bool,
}

impl<'a> Response<'a> {
    /// Takes what HTTP clients have: the status, the header pairs and the body as bytes, already
    /// decompressed.
    pub fn new<N: AsRef<str>, V: AsRef<[u8]>>(
        status: u16,
        headers: impl IntoIterator<Item = (N, V)>,
        body: &'a [u8],
    ) -> Self {
        let mut response = Self { status, body, retry_after: None, dpop_nonce: None, may_be_form: false };
        for (name, value) in headers {
            let (name, value) = (name.as_ref(), value.as_ref());
            let text = || std::str::from_utf8(value).ok();
            if name.eq_ignore_ascii_case("retry-after") {
                // One that cannot be read hides no other.
                response.retry_after = response.retry_after.or(text().and_then(RetryAfter::parse));
            } else if name.eq_ignore_ascii_case("dpop-nonce") {
                response.dpop_nonce = response.dpop_nonce.or(text().map(str::to_owned));
            } else if name.eq_ignore_ascii_case("content-type") {
                let label = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
                response.may_be_form =
                    label.eq_ignore_ascii_case(FORM.as_bytes()) || label.eq_ignore_ascii_case(b"text/plain");
            }
        }
        response
    }
}

impl fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("body", &format_args!("[{} bytes, redacted]", self.body.len()))
            .finish_non_exhaustive()
    }
}

/// The `http` crate's request; secret header values are marked sensitive, and the body stays a secret.
///
/// One line makes the body what an HTTP client takes: `request.map(|body| body.expose().to_owned())` gives a
/// `Request<String>`, which `reqwest` and `ureq` take as it is; for `hyper` end in `.expose().to_owned().into()`
/// instead, which gives a `Request<Bytes>` or a `Request<Full<Bytes>>`.
#[cfg(feature = "http")]
impl TryFrom<&Request> for http::Request<Secret> {
    type Error = http::Error;

    fn try_from(request: &Request) -> Result<Self, http::Error> {
        let mut builder = http::Request::builder().method(request.method()).uri(request.url());
        for (name, value) in &request.headers {
            let mut header = http::HeaderValue::try_from(value.text())?;
            header.set_sensitive(matches!(value, HeaderValue::Secret(_)));
            builder = builder.header(&**name, header);
        }
        builder.body(request.body.clone())
    }
}

/// The `http` crate's response.
#[cfg(feature = "http")]
impl<'a, B: AsRef<[u8]>> From<&'a http::Response<B>> for Response<'a> {
    fn from(response: &'a http::Response<B>) -> Self {
        Self::new(response.status().as_u16(), response.headers(), response.body().as_ref())
    }
}
