//! The server's responses, read without trust and described without secrets.

use std::fmt;

use oauth2_proto::Secret;
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::check::{Outcome, Seen, found};

/// An HTTP response of an endpoint that the client calls directly.
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Value>,
}

impl Answer {
    /// Reads a response, and keeps the body only if it is a JSON object.
    pub fn new((status, headers, body): crate::http::Answer) -> Self {
        Self { status, headers, body: serde_json::from_slice(&body).ok().filter(Value::is_object) }
    }

    /// Returns the first header with this lower-case name, if its value is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        std::str::from_utf8(value).ok()
    }

    /// Returns whether the body is a JSON object with the media type of one.
    pub fn is_json(&self) -> bool {
        let label = self.header("content-type").unwrap_or_default();
        let label = label.split(';').next().unwrap_or_default().trim();
        self.body.is_some() && label.eq_ignore_ascii_case("application/json")
    }

    pub fn member(&self, name: &str) -> Option<&Value> {
        self.body.as_ref()?.get(name)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.member(name)?.as_str().filter(|text| !text.is_empty())
    }

    pub fn access_token(&self) -> Option<Secret> {
        self.text("access_token").map(Secret::new)
    }

    pub fn refresh_token(&self) -> Option<Secret> {
        self.text("refresh_token").map(Secret::new)
    }

    /// Returns whether `Cache-Control` contains `no-store`.
    pub fn is_not_stored(&self) -> bool {
        let values = self.headers.iter().filter(|(name, _)| name == "cache-control");
        let mut values = values.filter_map(|(_, value)| std::str::from_utf8(value).ok());
        values.any(|value| value.split(',').any(|word| word.trim().eq_ignore_ascii_case("no-store")))
    }

    /// Returns whether there is a challenge for HTTP Basic.
    pub fn challenges_basic(&self) -> bool {
        let challenge = self.header("www-authenticate").unwrap_or_default();
        challenge.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"))
    }

    /// Describes `Cache-Control`.
    pub fn cache_control(&self) -> &'static str {
        match (self.header("cache-control"), self.is_not_stored()) {
            (_, true) => "Cache-Control: no-store",
            (Some(_), false) => "Cache-Control without no-store",
            (None, false) => "no Cache-Control",
        }
    }

    /// Finds whether the server issued tokens.
    pub fn granted(&self) -> Outcome {
        found(self.access_token().is_some(), self.to_string())
    }

    /// Finds whether the server refused the request with a 4xx status and without tokens.
    pub fn refused(&self) -> Outcome {
        found(self.access_token().is_none() && matches!(self.status, 400..=499), self.to_string())
    }

    /// Finds whether the server refused the request, whatever the error code and the status that carries it.
    pub fn denied(&self) -> Outcome {
        let is_refusal = matches!(self.status, 400..=499) || self.text("error").is_some();
        found(self.access_token().is_none() && is_refusal, self.to_string())
    }

    /// Finds whether a scope was refused, or omitted from the granted scope.
    pub fn does_not_grant(&self, scope: &str, granted: &'static str) -> Outcome {
        match (self.access_token(), self.text("scope")) {
            (None, _) => self.refused(),
            (Some(_), None) => found(false, "granted, without a scope, which means every requested scope"),
            (Some(_), Some(text)) => match text.split(' ').any(|token| token == scope) {
                true => found(false, granted),
                false => found(true, "omitted from the scope"),
            },
        }
    }

    /// Finds whether the server refused the request with one of these error codes.
    pub fn refused_as(&self, codes: &[&str]) -> Outcome {
        let right = self.text("error").is_some_and(|code| codes.contains(&code));
        match self.refused()? {
            Seen::Holds(_) => found(
                right,
                if right { self.to_string() } else { format!("{self}, not {}", codes.join(" or ")) },
            ),
            other => Ok(other),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.text("error"), self.access_token()) {
            (Some(code), _) => write!(f, "{} {}", self.status, harmless(code)),
            (None, Some(_)) => write!(f, "{} with tokens", self.status),
            (None, None) if self.body.is_some() => write!(f, "{} with a JSON object", self.status),
            (None, None) => write!(f, "{} without a JSON object", self.status),
        }
    }
}

/// Returns an error code if it has the form of the RFCs' codes, and a placeholder otherwise: any other
/// text may repeat a secret.
pub fn harmless(code: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    if code.len() <= 40 && code.bytes().all(is_plain) { code } else { "an unusual error code" }
}

/// The end of an authorization request.
pub enum End {
    /// The browser was sent to a redirect URI.
    Redirect(Callback),
    /// The server answered with a page; its status is known unless a person used the browser.
    Page(Option<u16>),
}

/// The authorization response that the browser carried to a redirect URI.
pub struct Callback {
    pub url: String,
    query: Vec<(String, String)>,
    fragment: Vec<(String, String)>,
}

impl Callback {
    pub fn new(url: &str) -> Self {
        let parsed = Url::parse(url).ok();
        let pairs = |text: Option<&str>| {
            form_urlencoded::parse(text.unwrap_or_default().as_bytes()).into_owned().collect()
        };
        let (query, fragment) = match &parsed {
            Some(parsed) => (parsed.query(), parsed.fragment()),
            None => (None, None),
        };
        Self { url: url.to_owned(), query: pairs(query), fragment: pairs(fragment) }
    }

    /// Returns all values of a parameter in the query, the place of an authorization response.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.query.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// Returns all values of a parameter in the part that carries the response: the query or, where the query
    /// has neither a code nor an error, the fragment.
    pub fn all_in_response(&self, name: &str) -> Vec<&str> {
        let is_response = |(name, _): &(String, String)| matches!(name.as_str(), "code" | "error");
        match self.query.iter().any(is_response) {
            true => self.all(name),
            false => {
                let pairs = self.fragment.iter().filter(|(known, _)| known == name);
                pairs.map(|(_, value)| value.as_str()).collect()
            }
        }
    }

    /// Returns the value of a parameter that occurs once in the query.
    pub fn one(&self, name: &str) -> Option<&str> {
        match self.all(name)[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// Returns whether the query or the fragment contains a code or a token.
    pub fn grants(&self) -> bool {
        let both = self.query.iter().chain(&self.fragment);
        both.map(|(name, _)| name.as_str()).any(|name| matches!(name, "code" | "access_token" | "id_token"))
    }

    /// Returns whether the fragment contains a part of the response.
    pub fn uses_fragment(&self) -> bool {
        self.fragment.iter().any(|(name, _)| matches!(name.as_str(), "code" | "access_token" | "error"))
    }
}

impl End {
    pub fn callback(&self) -> Option<&Callback> {
        match self {
            Self::Redirect(callback) => Some(callback),
            Self::Page(_) => None,
        }
    }

    /// Finds whether the server issued neither a code nor a token.
    pub fn refused(&self) -> Outcome {
        match self {
            Self::Redirect(callback) => found(!callback.grants(), self.to_string()),
            Self::Page(status) => found(!status.is_some_and(|status| status >= 500), self.to_string()),
        }
    }

    /// Finds whether the server issued a code in the query.
    pub fn granted(&self) -> Outcome {
        found(self.callback().is_some_and(|callback| callback.one("code").is_some()), self.to_string())
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redirect(callback) => match callback.one("error") {
                Some(code) => write!(f, "redirect with {}", harmless(code)),
                None if callback.one("code").is_some() => f.write_str("redirect with a code"),
                None if callback.grants() => f.write_str("redirect with a code or a token out of place"),
                None if callback.uses_fragment() => f.write_str("redirect with an error in the fragment"),
                None => f.write_str("redirect with neither a code nor an error"),
            },
            Self::Page(Some(status)) => write!(f, "page with status {status}"),
            Self::Page(None) => f.write_str("page of the server"),
        }
    }
}
