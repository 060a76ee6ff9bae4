//! What the browser brings back (RFC 6749 §4.1.2, RFC 9207), and the order in which it is believed.

use std::borrow::Cow;
use std::fmt;

use crate::error::{Error, Refusal};
use crate::text::form;
use crate::text::secret::{Secret, same};

/// The authorization response, as the redirect URI received it.
///
/// A `&str` converts into one and is taken for a query.
#[derive(Clone)]
pub struct Callback<'a>(Source<'a>);

#[derive(Clone)]
enum Source<'a> {
    Query(&'a str),
    Pairs(Vec<(&'a str, &'a str)>),
}

impl<'a> Callback<'a> {
    /// The query of the redirect URI, still encoded, with or without its `?`.
    pub fn query(query: &'a str) -> Self {
        let query = query.strip_prefix('?').unwrap_or(query);
        Self(Source::Query(before_fragment(query)))
    }

    /// The whole URL that the browser was sent to, or its path and query; its fragment is never read.
    ///
    /// What stands before the `?` is not compared with the redirect URI: a proxy that ends TLS, maps a port or
    /// strips a path shows a program another address than the browser's, and honest callbacks would be
    /// refused. What ties a callback to its request is `state`, and to its server `iss`.
    ///
    /// For several servers of which one sends no `iss`, give each a redirect URI of its own and keep their
    /// pending authorizations apart: the handler of one redirect URI must [`receive`] with none of another
    /// server's (RFC 9700 §4.4.2.2, RFC 8252 §8.10).
    ///
    /// [`receive`]: crate::PendingAuthorization::receive
    pub fn url(url: &'a str) -> Self {
        let url = before_fragment(url);
        Self(Source::Query(url.split_once('?').map_or("", |(_, query)| query)))
    }

    /// Decoded pairs, as a web framework or a form sent by POST has them.
    ///
    /// Give every pair in its order: a map would hide that a parameter came twice, which is an attack.
    pub fn pairs(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(Source::Pairs(pairs.into_iter().collect()))
    }
}

impl<'a> From<&'a str> for Callback<'a> {
    fn from(query: &'a str) -> Self {
        Self::query(query)
    }
}

impl fmt::Debug for Callback<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback([redacted])")
    }
}

/// What a callback is held to.
pub(crate) struct Expected<'a> {
    pub(crate) state: &'a str,
    /// Without an issuer there is nothing to compare `iss` with, and it is ignored.
    pub(crate) issuer: Option<&'a str>,
    pub(crate) iss_required: bool,
}

/// The code of a callback that is the answer to our request, and nothing else.
pub(crate) fn check(callback: &Callback<'_>, expected: &Expected<'_>) -> Result<Secret, Error> {
    let parameters = Parameters::collect(callback)?;
    if let Some(name) = parameters.repeated {
        return Err(Error::suspect(format!("the parameter {name} is there more than once")));
    }
    match &parameters.state {
        Some(state) if same(state, expected.state) => {}
        Some(_) => {
            return Err(Error::suspect(
                "state is not the one that was sent, so this answers another request or is forged",
            ));
        }
        None => {
            return Err(Error::suspect("state is missing, so nothing says that this answers our request"));
        }
    }
    match (&parameters.iss, expected.issuer) {
        (Some(iss), Some(issuer)) if iss != issuer => {
            return Err(Error::suspect(
                "iss is not the issuer that the user was sent to (RFC 9207 section 2.4)",
            ));
        }
        (None, Some(_)) if expected.iss_required => {
            return Err(Error::suspect(
                "iss is missing although the server says that it always sends it (RFC 9207 section 2.4)",
            ));
        }
        _ => {}
    }
    if let Some(name) = parameters.front_channel {
        return Err(Error::suspect(format!("{name} came through the browser, which was not asked for")));
    }
    match (parameters.code, parameters.error) {
        (Some(_), Some(_)) => Err(Error::suspect("there is a code and an error")),
        (Some(code), None) if !code.is_empty() => Ok(Secret::new(code)),
        (None, Some(error)) if !error.is_empty() => Err(Error::refused(Refusal {
            code: Some(error.into_owned()),
            description: parameters.error_description.map(Cow::into_owned),
            uri: parameters.error_uri.map(Cow::into_owned),
            ..Refusal::default()
        })),
        _ => Err(Error::no_callback("the callback has neither a code nor an error")),
    }
}

#[derive(Default)]
struct Parameters<'a> {
    code: Option<Cow<'a, str>>,
    state: Option<Cow<'a, str>>,
    iss: Option<Cow<'a, str>>,
    error: Option<Cow<'a, str>>,
    error_description: Option<Cow<'a, str>>,
    error_uri: Option<Cow<'a, str>>,
    response: Option<Cow<'a, str>>,
    /// The name of a parameter that must be unique and is not.
    repeated: Option<&'static str>,
    /// The name of a parameter that carries tokens or a response of another kind.
    front_channel: Option<&'static str>,
}

impl<'a> Parameters<'a> {
    fn collect(callback: &Callback<'a>) -> Result<Self, Error> {
        let mut parameters = Self::default();
        match &callback.0 {
            Source::Query(query) => {
                for pair in form::pairs(query) {
                    let (name, value) = pair.ok_or_else(|| Error::no_callback("the query is not UTF-8"))?;
                    parameters.take(&name, value);
                }
            }
            Source::Pairs(pairs) => {
                pairs.iter().for_each(|(name, value)| parameters.take(name, Cow::Borrowed(value)));
            }
        }
        Ok(parameters)
    }

    fn take(&mut self, name: &str, value: Cow<'a, str>) {
        let (name, slot) = match name {
            "code" => ("code", &mut self.code),
            "state" => ("state", &mut self.state),
            "iss" => ("iss", &mut self.iss),
            "error" => ("error", &mut self.error),
            "error_description" => ("error_description", &mut self.error_description),
            "error_uri" => ("error_uri", &mut self.error_uri),
            "response" => {
                self.front_channel = Some("response");
                ("response", &mut self.response)
            }
            "access_token" => {
                self.front_channel = Some("access_token");
                return;
            }
            "id_token" => {
                self.front_channel = Some("id_token");
                return;
            }
            _ => return,
        };
        if slot.replace(value).is_some() {
            self.repeated = Some(name);
        }
    }
}

/// The parameters of a callback that are read or refused, none of which a redirect URI may bring along.
pub(crate) const RESPONSE_PARAMETERS: &[&str] = &[
    "code",
    "state",
    "iss",
    "error",
    "error_description",
    "error_uri",
    "response",
    "access_token",
    "id_token",
];

fn before_fragment(text: &str) -> &str {
    text.split_once('#').map_or(text, |(before, _)| before)
}
