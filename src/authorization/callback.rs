//! The authorization response (RFC 6749 §4.1.2, RFC 9207), and the verdict on it.

use std::borrow::Cow;
use std::fmt;

use crate::error::{Error, Refusal};
use crate::text::foreign::ForeignAddress;
use crate::text::form;
use crate::text::secret::{Text, same};

/// The authorization response, as the redirect URI received it.
///
/// A `&str` converts into one as a query. All of these are the same callback:
///
/// ```
/// use oauth2_proto::{Callback, Client, ClientAuth, Entropy, pleo};
///
/// # fn main() -> Result<(), oauth2_proto::Error> {
/// let client = Client::new(pleo::staging(), "client-id", ClientAuth::basic("fake"))?;
/// let now = std::time::SystemTime::UNIX_EPOCH;
/// let state = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
/// let query = format!("code=fake%20code&state={state}");
/// let url = format!("https://app.example/callback?{query}#fragment");
///
/// for callback in [
///     Callback::from(query.as_str()),
///     Callback::query(&query),
///     Callback::url(&url),
///     Callback::form(&query),
///     Callback::pairs([("code", "fake code"), ("state", state)]),
/// ] {
///     let request = client.authorize("https://app.example/callback");
///     let (_, mut pending) = request.start_with(Entropy::from_bytes([1; 128]), now)?;
///     let call = pending.receive(&client, callback, now)?;
///     assert!(call.request().body().contains("&code=fake+code&"));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Callback<'a>(Source<'a>);

#[derive(Clone)]
enum Source<'a> {
    Query(&'a str),
    Pairs(Vec<(&'a str, &'a str)>),
}

impl<'a> Callback<'a> {
    /// Takes the query of the redirect URI, still encoded, with or without its `?`.
    pub fn query(query: &'a str) -> Self {
        let query = query.strip_prefix('?').unwrap_or(query);
        Self(Source::Query(before_fragment(query)))
    }

    /// Takes the whole URL that the browser was sent to, or its path and query; ignores a fragment.
    ///
    /// The part before the `?` is not compared with the redirect URI: behind a proxy that ends TLS, maps a
    /// port or strips a path, a program sees another address than the browser, and would refuse honest
    /// callbacks. `state` ties a callback to its request, and `iss` to its server.
    ///
    /// If you use several servers and one of them sends no `iss`, give each a redirect URI of its own and
    /// keep their pending authorizations apart: the handler of one redirect URI must [`receive`] with none
    /// of another server's (RFC 9700 §4.4.2.2, RFC 8252 §8.10).
    ///
    /// [`receive`]: crate::PendingAuthorization::receive
    pub fn url(url: &'a str) -> Self {
        let url = before_fragment(url);
        Self(Source::Query(url.split_once('?').map_or("", |(_, query)| query)))
    }

    /// Takes the body of the form that the browser posts, still encoded, after a request with
    /// [`form_post`](crate::authorization::AuthorizationRequest::form_post) (OAuth 2.0 Form Post Response
    /// Mode §2). Where your web framework has decoded the form, use [`pairs`](Self::pairs).
    ///
    /// A page of the authorization server posts this form, so it comes from another site, and the browser
    /// leaves out the cookies with `SameSite=Lax` or `Strict`: the user's session cookie is usually missing.
    /// Find the pending authorization by a cookie of its own, with `SameSite=None; Secure; HttpOnly`, which
    /// is set when the authorization starts and gives no other access. Never look it up by `state` alone,
    /// which would accept the callback of another browser (RFC 6749 §10.12). If your framework refuses posts
    /// from other sites, exempt this one address from that check.
    pub fn form(body: &'a str) -> Self {
        Self(Source::Query(body))
    }

    /// Takes decoded pairs, as a web framework has them, from a query or from a form sent by POST.
    ///
    /// Give every pair, in order: a map would hide that a parameter is repeated, which is an attack.
    pub fn pairs(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(Source::Pairs(pairs.into_iter().collect()))
    }

    /// Returns the `state`, decoded, to find the pending authorization of a browser with several tabs; `None`
    /// if it is missing, repeated or not UTF-8.
    ///
    /// Finding is not checking: look among the pending authorizations of this browser only, and
    /// [`receive`](crate::PendingAuthorization::receive) with the one that is found. It compares `state`
    /// again, and everything else.
    ///
    /// ```
    /// use oauth2_proto::{Callback, PendingAuthorization};
    ///
    /// fn of_tab<'a>(
    ///     pending: &'a mut [PendingAuthorization],
    ///     callback: &Callback<'_>,
    /// ) -> Option<&'a mut PendingAuthorization> {
    ///     let state = callback.state()?;
    ///     pending.iter_mut().find(|pending| pending.state() == state)
    /// }
    ///
    /// assert_eq!(Callback::query("code=fake&state=a%20b").state().as_deref(), Some("a b"));
    /// assert_eq!(Callback::query("code=fake&state=a&state=b").state(), None);
    /// ```
    pub fn state(&self) -> Option<Cow<'a, str>> {
        let mut states = self.known_parameters().filter(|(name, _)| *name == "state");
        let (_, state) = states.next()?;
        if states.next().is_none() { state } else { None }
    }

    /// Returns the one parameter of a signed response (JARM §2.3), still unchecked. Ignores unknown ones, and
    /// an `iss` that is this issuer.
    pub(super) fn signed_response(&self, issuer: &str) -> Result<Text<'a>, Error> {
        let mut response = None;
        let mut has_others = false;
        for (name, value) in self.known_parameters() {
            let value = value.ok_or_else(|| not_utf8(name).about(RESPONSE))?;
            match name {
                RESPONSE => has_others |= response.replace(value).is_some(),
                "iss" => has_others |= value != issuer,
                "error_uri" => {}
                _ => has_others = true,
            }
        }
        let error = match response {
            Some(response) if !has_others => return Ok(response.into()),
            None if !has_others && self.is_address() => Error::no_callback(ADDRESS),
            None if !has_others => Error::no_callback("the callback has no signed response"),
            _ => Error::suspect(
                "the callback has other parameters than one signed response, which was asked for (JARM section 2.4)",
            ),
        };
        Err(error.about(RESPONSE))
    }

    /// Returns the parameters that are read or refused, in order; the value is `None` where it is not UTF-8.
    /// Ignores unknown ones, whatever their bytes (RFC 6749 §4.1.2).
    fn known_parameters(&self) -> impl Iterator<Item = (&'static str, Option<Cow<'a, str>>)> {
        let (query, pairs) = match &self.0 {
            Source::Query(query) => (*query, &[][..]),
            Source::Pairs(pairs) => ("", pairs.as_slice()),
        };
        let encoded = query.split('&').filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((known(&form::unescape(name)?)?, form::unescape(value)))
        });
        let decoded =
            pairs.iter().filter_map(|(name, value)| Some((known(name)?, Some(Cow::Borrowed(*value)))));
        encoded.chain(decoded)
    }

    /// Returns whether a query looks like an address: `://`, or a path, stands where a name would.
    fn is_address(&self) -> bool {
        let Source::Query(query) = &self.0 else { return false };
        let before = query.split_once('?').map_or(*query, |(before, _)| before);
        !before.contains(['=', '&']) && (before.starts_with('/') || before.contains("://"))
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

/// The values a callback must match.
pub(crate) struct Expected<'a> {
    pub(crate) state: &'a [u8],
    /// `None` means that `iss` is ignored.
    pub(crate) issuer: Option<&'a str>,
    pub(crate) iss_required: bool,
}

/// The verdict on a callback.
pub(crate) enum Verdict<'a> {
    /// Not ours: it answers another request, comes from another server, or was tampered with.
    Forged(Error),
    /// Our request was granted, with this code.
    Code(Text<'a>),
    /// Our request was refused.
    Refused(Error),
    /// Neither a code nor an error; the real callback may still come.
    Broken(Error),
}

impl<'a> Verdict<'a> {
    /// Judges a callback. Checks its origin first, so that nothing in a forged one has an effect.
    pub(crate) fn on(callback: &Callback<'a>, expected: &Expected<'_>) -> Self {
        let mut parameters = Parameters::default();
        for (name, value) in callback.known_parameters() {
            match value {
                Some(value) => parameters.take(name, value),
                None => return Self::Broken(not_utf8(name)),
            }
        }
        if let Err(why) = parameters.check_origin(expected) {
            // The address precedes the name of the first parameter, so that one is not found.
            let is_lost = parameters.state.is_none() && callback.is_address();
            return Self::Forged(Error::suspect(if is_lost { ADDRESS.into() } else { why }));
        }
        match (parameters.code, parameters.error) {
            (Some(_), Some(_)) => {
                Self::Forged(Error::suspect("the callback has both a code and an error; a server sends one"))
            }
            (Some(code), None) if !code.is_empty() => Self::Code(code.into()),
            (None, Some(error)) if !error.is_empty() => Self::Refused(Error::refused_by_callback(Refusal {
                code: Some(error.into_owned()),
                description: parameters.error_description.map(Cow::into_owned),
                uri: parameters.error_uri.map(Cow::into_owned),
                ..Refusal::default()
            })),
            (None, None) if callback.is_address() => Self::Broken(Error::no_callback(ADDRESS)),
            _ => Self::Broken(Error::no_callback("the callback has neither a code nor an error")),
        }
    }
}

/// The parameters of a callback, decoded.
#[derive(Default)]
struct Parameters<'a> {
    code: Option<Cow<'a, str>>,
    state: Option<Cow<'a, str>>,
    iss: Option<Cow<'a, str>>,
    error: Option<Cow<'a, str>>,
    error_description: Option<Cow<'a, str>>,
    error_uri: Option<Cow<'a, str>>,
    response: Option<Cow<'a, str>>,
    /// A parameter that came more than once.
    repeated: Option<&'static str>,
    /// A parameter that carries tokens or another kind of response through the browser.
    front_channel: Option<&'static str>,
}

impl<'a> Parameters<'a> {
    /// Records one known parameter.
    fn take(&mut self, name: &'static str, value: Cow<'a, str>) {
        let slot = match name {
            "code" => &mut self.code,
            "state" => &mut self.state,
            "iss" => &mut self.iss,
            "error" => &mut self.error,
            "error_description" => &mut self.error_description,
            "error_uri" => &mut self.error_uri,
            "response" => {
                self.front_channel = Some(name);
                &mut self.response
            }
            _ => {
                self.front_channel = Some(name);
                return;
            }
        };
        if slot.replace(value).is_some() {
            self.repeated = Some(name);
        }
    }

    /// Checks that the callback answers our request and comes from the server that we asked, in the way that
    /// we asked for; `Err` says why not.
    fn check_origin(&self, expected: &Expected<'_>) -> Result<(), Cow<'static, str>> {
        if let Some(name) = self.repeated {
            return Err(format!("the parameter {name} is repeated").into());
        }
        match &self.state {
            Some(state) if same(state.as_bytes(), expected.state) => {}
            Some(_) => return Err("state is not the one that was sent; this answers another request".into()),
            None => return Err("state is missing; nothing ties this callback to our request".into()),
        }
        match (&self.iss, expected.issuer) {
            (Some(iss), Some(issuer)) if iss != issuer => {
                return Err(format!(
                    "iss is {}, and the issuer that the user was sent to is {} (RFC 9207 section 2.4); if this \
                     server writes itself so, check AuthorizationServer::issuer",
                    ForeignAddress(iss),
                    ForeignAddress(issuer)
                )
                .into());
            }
            (None, Some(_)) if expected.iss_required => {
                return Err(
                    "iss is missing, and this server is said to send it always (RFC 9207 section 2.4); \
                            if it does not, check \
                            AuthorizationServer::authorization_response_iss_parameter_supported"
                        .into(),
                );
            }
            _ => {}
        }
        match self.front_channel {
            Some(name) => Err(format!("{name} came through the browser, which was not asked for").into()),
            None => Ok(()),
        }
    }
}

fn not_utf8(name: &str) -> Error {
    Error::no_callback(format!("the parameter {name} is not UTF-8"))
}

/// The parameter that holds a signed response (JARM §2.3.1).
const RESPONSE: &str = "response";

const ADDRESS: &str =
    "the callback is a whole URL, or a path, where a query is expected; pass it by Callback::url";

/// The parameters of a callback that are read or refused; the query of a redirect URI must contain none.
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

/// Returns the entry of [`RESPONSE_PARAMETERS`] that equals `name`.
fn known(name: &str) -> Option<&'static str> {
    RESPONSE_PARAMETERS.iter().copied().find(|known| *known == name)
}

fn before_fragment(text: &str) -> &str {
    text.split_once('#').map_or(text, |(before, _)| before)
}
