//! An HTTP request as plain data.

mod secrets;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::call::RESPONSE_LIMIT;
use crate::dpop::DpopKey;
use crate::error::{Advice, Error};
use crate::text::foreign::ForeignAddress;
use crate::text::form;
use crate::text::secret::Secret;

/// An HTTP request as plain data: method, URL, headers and body.
///
/// `Debug` hides the body, the query of the URL and every header value that is not a constant. Before you
/// send it, set up your HTTP client as [`follow_redirects`](Request::follow_redirects) and
/// [`response_limit`](Request::response_limit) say.
///
/// ```
/// use oauth2_proto::Request;
///
/// let mut request = Request::new("POST", "https://as.example/token");
/// request.set_form([("grant_type", "refresh_token"), ("scope", "a b")]).unwrap();
/// request.push_form("tenant", "7");
/// assert_eq!(request.body(), "grant_type=refresh_token&scope=a+b&tenant=7");
///
/// request.set_form_parameter("scope", "a");
/// request.remove_form_parameter("tenant");
/// assert_eq!(request.body(), "grant_type=refresh_token&scope=a");
/// assert_eq!(request.form()[1], ("scope".to_owned(), "a".to_owned()));
/// ```
#[derive(Clone)]
pub struct Request {
    method: Cow<'static, str>,
    url: Arc<str>,
    /// All headers but `authorization`.
    headers: Cow<'static, [(Cow<'static, str>, HeaderValue)]>,
    /// The header `authorization`, which all requests of a client share.
    authorization: Option<Arc<Secret>>,
    body: Secret,
    /// True if form-encoding changed the credentials of HTTP Basic, which some servers do not expect.
    pub(crate) credentials_are_encoded: bool,
    /// The key of the client, which takes the nonces of the answers.
    dpop: Option<DpopKey>,
}

#[derive(Clone)]
enum HeaderValue {
    Constant(&'static str),
    Secret(Secret),
}

impl Request {
    /// Makes a request without headers and body, to put together by hand.
    pub fn new(method: impl Into<Cow<'static, str>>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into().into(),
            headers: Cow::Borrowed(&[]),
            authorization: None,
            body: Secret::new(""),
            credentials_are_encoded: false,
            dpop: None,
        }
    }

    /// Makes a form that is sent by POST (RFC 6749 §3.2).
    pub(crate) fn form_post(url: Arc<str>, body: String, authorization: Option<Arc<Secret>>) -> Self {
        Self {
            method: "POST".into(),
            url,
            headers: Cow::Borrowed(FORM_HEADERS),
            authorization,
            body: Secret::new(body),
            credentials_are_encoded: false,
            dpop: None,
        }
    }

    /// Makes a form of these pairs, whose names need no escaping. Leaves out a parameter with an empty value.
    pub(crate) fn form_of<'a>(
        url: Arc<str>,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)> + Clone,
        authorization: Option<Arc<Secret>>,
    ) -> Self {
        let pairs = || pairs.clone().into_iter().filter(|(_, value)| !value.is_empty());
        let mut body = String::with_capacity(pairs().map(|(name, value)| form::room_for(name, value)).sum());
        pairs().for_each(|(name, value)| form::push_pair(&mut body, name, value));
        Self::form_post(url, body, authorization)
    }

    /// Makes a request without a body that asks for JSON.
    pub(crate) fn without_body(
        method: &'static str,
        url: Arc<str>,
        authorization: Option<Arc<Secret>>,
    ) -> Self {
        let headers = Cow::Borrowed(ACCEPT_JSON);
        Self { method: method.into(), headers, ..Self::form_post(url, String::new(), authorization) }
    }

    /// Makes a request whose body is JSON.
    pub(crate) fn json(
        method: &'static str,
        url: Arc<str>,
        body: String,
        authorization: Option<Arc<Secret>>,
    ) -> Self {
        let headers = Cow::Borrowed(JSON_HEADERS);
        Self { method: method.into(), headers, ..Self::form_post(url, body, authorization) }
    }

    /// Sets the proof of possession (RFC 9449 §4.1).
    pub(crate) fn set_proof(&mut self, proof: Secret) {
        self.set_header(PROOF, proof);
    }

    /// Returns whether there is a proof of possession (RFC 9449 §4.1).
    pub(crate) fn has_proof(&self) -> bool {
        self.header(PROOF).is_some()
    }

    /// Returns the key that takes the nonces of the answers.
    pub(crate) fn dpop(&self) -> Option<&DpopKey> {
        self.dpop.as_ref()
    }

    /// Sets the key that takes the nonces of the answers.
    pub(crate) fn set_dpop(&mut self, key: Option<&DpopKey>) {
        self.dpop = key.cloned();
    }

    /// Returns the method: `POST` for every request with a form.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Returns the absolute URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the headers: names in lower case, and values, with `authorization` at the end. The HTTP client
    /// adds `Content-Length` and `Host`.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let authorization = self.authorization.iter().map(|value| (AUTHORIZATION, value.expose()));
        self.headers.iter().map(|(name, value)| (&**name, value.text())).chain(authorization)
    }

    /// Returns the value of one header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns the body: a form, or JSON in [`registration`](crate::registration). It holds secrets.
    pub fn body(&self) -> &str {
        self.body.expose()
    }

    /// Returns the decoded pairs of a form body.
    pub fn form(&self) -> Vec<(String, String)> {
        serde_urlencoded::from_str(self.body()).unwrap_or_default()
    }

    /// Returns whether to follow redirects: never, because a redirect would carry the body and the
    /// credentials to another address. Hand the 3xx response to [`Call::read`](crate::Call::read).
    pub fn follow_redirects(&self) -> bool {
        false
    }

    /// Returns the maximum length of a response body after decompression, in bytes: 1 MiB.
    ///
    /// [`Call::read`](crate::Call::read) refuses a longer body, so the HTTP client may stop after one byte
    /// more.
    pub fn response_limit(&self) -> usize {
        RESPONSE_LIMIT
    }

    /// Changes the method.
    pub fn set_method(&mut self, method: impl Into<Cow<'static, str>>) {
        self.method = method.into();
    }

    /// Changes the URL.
    pub fn set_url(&mut self, url: impl Into<String>) {
        self.url = url.into().into();
    }

    /// Sets a header, and replaces one of the same name.
    pub fn set_header(&mut self, name: &str, value: impl Into<Secret>) {
        self.remove_header(name);
        let (name, value) = (name.to_ascii_lowercase(), value.into());
        if name == AUTHORIZATION {
            self.authorization = Some(Arc::new(value));
        } else {
            self.headers.to_mut().push((name.into(), HeaderValue::Secret(value)));
        }
    }

    /// Removes a header, whatever the case of its name.
    pub fn remove_header(&mut self, name: &str) {
        if name.eq_ignore_ascii_case(AUTHORIZATION) {
            self.authorization = None;
        } else {
            self.headers.to_mut().retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        }
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

    /// Sets a parameter of a form body: replaces its value in place, or adds the parameter at the end.
    /// Repetitions of it are removed; the other parameters stay byte for byte.
    pub fn set_form_parameter(&mut self, name: &str, value: &str) {
        if !self.replace_form_parameter(name, Some(value)) {
            self.push_form(name, value);
        }
    }

    /// Removes a parameter of a form body, and its repetitions. The other parameters stay byte for byte.
    pub fn remove_form_parameter(&mut self, name: &str) {
        self.replace_form_parameter(name, None);
    }

    /// Replaces the first pair of this name, or removes it, and removes the others. Returns whether there was
    /// one.
    fn replace_form_parameter(&mut self, name: &str, value: Option<&str>) -> bool {
        let room = value.map_or(0, |value| form::room_for("", name) + form::room_for("", value));
        let mut body = String::with_capacity(self.body().len() + room);
        let mut value = value;
        let mut is_found = false;
        let mut is_first = true;
        for pair in self.body().split('&') {
            let known = pair.split_once('=').map_or(pair, |(known, _)| known);
            let is_named = form::unescape(known).is_some_and(|known| known == name);
            is_found |= is_named;
            let replacement = if is_named { value.take() } else { None };
            if is_named && replacement.is_none() {
                continue;
            }
            if !std::mem::take(&mut is_first) {
                body.push('&');
            }
            match replacement {
                Some(value) => {
                    form::push_escaped(&mut body, name);
                    body.push('=');
                    form::push_escaped(&mut body, value);
                }
                None => body.push_str(pair),
            }
        }
        self.body = Secret::new(body);
        is_found
    }
}

impl Request {
    /// Returns the part of the configuration that may explain the server's error.
    pub(super) fn hint(&self, error: &Error, status: u16) -> Option<Cow<'static, str>> {
        let is_about_the_client = match error.code() {
            Some(code) => code == "invalid_client",
            None => status == 401,
        };
        if is_about_the_client && self.credentials_are_encoded && error.advice() != Advice::RetryLater {
            return Some(
                "the client_id or the secret holds other characters than A-Z a-z 0-9 * - . _, which many servers \
                 want as they are: try ClientAuth::basic_unencoded"
                    .into(),
            );
        }
        if error.code() == Some("invalid_client") && self.body().contains("client_assertion=") {
            return Some(
                "the server may not know the key, its clock may differ, or it wants its token endpoint as the audience \
                 of an assertion: see ClientAuth::assertion_audience"
                    .into(),
            );
        }
        if error.code() == Some("invalid_request") && self.body().contains("subject_token=") {
            return Some(
                "a token exchange is refused so, too, if the server does not accept the subject token (RFC 8693 section \
                 2.2.2), for example because it is too old: try a new one, once"
                    .into(),
            );
        }
        // Web frameworks answer an unknown path with these statuses, and some of them with their own error in
        // JSON.
        if error.advice() == Advice::Stop && matches!(status, 300..=399 | 404 | 405 | 410) {
            let address = ForeignAddress(&self.url);
            return Some(format!("the endpoint's address {address} may be wrong").into());
        }
        None
    }
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
            .field("url", &format_args!("{}", ForeignAddress(&self.url)))
            .field("headers", &self.headers)
            .field("authorization", &self.authorization)
            .field("body", &self.body)
            .finish()
    }
}

const AUTHORIZATION: &str = "authorization";

/// The header of a proof of possession (RFC 9449 §4.1).
const PROOF: &str = "dpop";

/// The media type of a form.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

const ACCEPT_JSON: &[(Cow<'static, str>, HeaderValue)] =
    &[(Cow::Borrowed("accept"), HeaderValue::Constant("application/json"))];

const JSON_HEADERS: &[(Cow<'static, str>, HeaderValue)] = &[
    (Cow::Borrowed("content-type"), HeaderValue::Constant("application/json")),
    (Cow::Borrowed("accept"), HeaderValue::Constant("application/json")),
];

const FORM_HEADERS: &[(Cow<'static, str>, HeaderValue)] = &[
    (Cow::Borrowed("content-type"), HeaderValue::Constant(FORM)),
    (Cow::Borrowed("accept"), HeaderValue::Constant("application/json")),
];

/// Converts into the `http` crate's request: secret header values are marked sensitive, and the body stays a
/// secret.
///
/// Then convert the body into the type of your HTTP client: `request.map(|body| body.expose().to_owned())`
/// gives a `Request<String>`, which `reqwest` and `ureq` take. For `hyper`, `.expose().to_owned().into()`
/// gives a `Request<Bytes>` or a `Request<Full<Bytes>>`.
#[cfg(feature = "http")]
impl TryFrom<&Request> for http::Request<Secret> {
    type Error = http::Error;

    fn try_from(request: &Request) -> Result<Self, http::Error> {
        let mut builder = http::Request::builder().method(request.method()).uri(request.url());
        let authorization = request.authorization.iter().map(|value| (AUTHORIZATION, value.expose(), true));
        let others = request.headers.iter().map(|(name, value)| {
            let is_secret = matches!(value, HeaderValue::Secret(_));
            (&**name, value.text(), is_secret)
        });
        for (name, value, is_secret) in others.chain(authorization) {
            let mut header = http::HeaderValue::try_from(value)?;
            header.set_sensitive(is_secret);
            builder = builder.header(name, header);
        }
        builder.body(request.body.clone())
    }
}
