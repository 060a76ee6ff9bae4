//! Access tokens in use: the header of a request to an API, and the demands in the API's answer.
//!
//! - [`ProtectedApi`] makes the `Authorization` header, for the addresses that the token is for and no
//!   others.
//! - [`Challenges`] reads `WWW-Authenticate`, and its [`verdict`](Challenges::verdict) says what to do.
//! - [`StepUp`] turns a demand for more scopes or a stronger sign-in into the next authorization request.
//!
//! ```
//! use oauth2_proto::challenge::{Challenges, ProtectedApi, StepUp, StepUpPolicy, Verdict};
//! # use oauth2_proto::{Client, ClientAuth, Entropy, TokenResponse, pleo};
//! # use std::time::SystemTime;
//! # fn main() -> Result<(), oauth2_proto::Error> {
//! # let client = Client::new(pleo::staging(), "client-id", ClientAuth::basic("fake"))?;
//! # let json = r#"{"access_token":"fake-1","token_type":"Bearer","scope":"users:read"}"#;
//! # let tokens = TokenResponse::for_test(&client, json)?;
//! let api = ProtectedApi::new(["https://api.example/v1"])?;
//! let url = "https://api.example/v1/vendors";
//! let header = api.authorization(tokens.token_type(), tokens.access_token(), url)?;
//! assert_eq!(header.expose(), "Bearer fake-1"); // send it as `Authorization`
//!
//! // The API answers.
//! let status = 403;
//! let headers = [(
//!     "WWW-Authenticate",
//!     r#"Bearer error="insufficient_scope", scope="vendors:read""#,
//! )];
//!
//! let policy = StepUpPolicy::within(["users:read", "vendors:read"]);
//! let mut step_up = StepUp::default(); // keep it with the user's session
//! let challenges = Challenges::from_headers(headers);
//! match challenges.verdict(status, true) {
//!     Verdict::Unrelated => println!("read the answer"),
//!     Verdict::Rejected => println!("report it to the session, and send once more"),
//!     Verdict::SignIn(_) => println!("send the user to the authorization server"),
//!     Verdict::StepUp(challenge) => {
//!         step_up.demanded(challenge, tokens.granted_scopes(), &policy)?;
//!         let request = client.authorize("https://app.example/callback");
//!         let (url, _) = request.step_up(&step_up)
//! #           .start_with(Entropy::from_bytes([1; 128]), SystemTime::UNIX_EPOCH)?;
//! #       /*
//!             .start(now)?;
//! #       */
//!         assert!(url.contains("scope=users%3Aread+vendors%3Aread"));
//!     }
//!     Verdict::NewProof => println!("send once more, with a new DPoP proof"),
//!     Verdict::FixRequest | Verdict::Forbidden => println!("report it to an operator"),
//! }
//! # Ok(())
//! # }
//! ```

mod api;
mod parse;
mod step_up;
mod verdict;

pub use self::api::ProtectedApi;
pub use self::step_up::{StepUp, StepUpPolicy};
pub use self::verdict::Verdict;

use std::fmt;
use std::time::Duration;

use crate::error::echo::{PlainCode, PlainWords};
use crate::text::scope;
use crate::text::time::LONGEST;

/// The challenges of an API's answer: its header lines `WWW-Authenticate`, read in full (RFC 9110 §11.6.1).
///
/// One line may hold several challenges, and an answer several lines. Scheme and parameter names are in lower
/// case, values as they were sent, without quotes and escapes. A broken challenge is dropped with the rest of
/// its line, because half a demand may mean the opposite of the whole one. The challenges before it and the
/// other lines stay.
///
/// `Debug` shows plain words only, because an API may repeat the token that it rejects.
///
/// ```
/// use oauth2_proto::challenge::Challenges;
///
/// let challenges = Challenges::parse([
///     r#"Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple""#,
///     r#"Bearer realm="example", error="invalid_token""#,
/// ]);
/// let schemes: Vec<_> = challenges.iter().map(|challenge| challenge.scheme()).collect();
/// assert_eq!(schemes, ["newauth", "basic", "bearer"]);
/// let newauth = challenges.find("Newauth").unwrap();
/// assert_eq!(newauth.param("title"), Some(r#"Login to "apps""#));
/// assert_eq!(challenges.bearer().unwrap().error(), Some("invalid_token"));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Challenges(Vec<Challenge>);

impl Challenges {
    /// Reads the values of all `WWW-Authenticate` lines of an answer, each as it was sent.
    ///
    /// Reads at most 64 KiB, and skips a line that goes beyond. Reads a value that is not UTF-8 as ISO
    /// 8859-1, the encoding of earlier HTTP (RFC 9110 §5.5), so that a description stays readable. No value
    /// that a program acts on may hold such characters.
    pub fn parse<V: AsRef<[u8]>>(values: impl IntoIterator<Item = V>) -> Self {
        let mut reader = Reader::default();
        values.into_iter().for_each(|value| reader.read_line(value.as_ref()));
        Self(reader.challenges)
    }

    /// Reads the challenges among all headers of an answer, given as pairs of name and value.
    ///
    /// ```
    /// use oauth2_proto::challenge::Challenges;
    ///
    /// let headers = [("content-length", "0"), ("www-authenticate", "Bearer")];
    /// assert!(Challenges::from_headers(headers).bearer().is_some());
    /// ```
    pub fn from_headers<N: AsRef<str>, V: AsRef<[u8]>>(headers: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut reader = Reader::default();
        for (name, value) in headers {
            if name.as_ref().eq_ignore_ascii_case("www-authenticate") {
                reader.read_line(value.as_ref());
            }
        }
        Self(reader.challenges)
    }

    /// Returns all challenges, in the order of the header lines.
    pub fn iter(&self) -> impl Iterator<Item = &Challenge> {
        self.0.iter()
    }

    /// Returns the first challenge of a scheme, whatever the case of its name.
    pub fn find(&self, scheme: &str) -> Option<&Challenge> {
        self.iter().find(|challenge| challenge.scheme.eq_ignore_ascii_case(scheme))
    }

    /// Returns the first challenge that asks for a bearer token (RFC 6750 §3).
    pub fn bearer(&self) -> Option<&Challenge> {
        self.find("bearer")
    }

    /// Returns the first challenge that asks for a token with a proof of possession (RFC 9449 §7.1).
    pub fn dpop(&self) -> Option<&Challenge> {
        self.find("dpop")
    }
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_some(f, &self.0)
    }
}

/// One challenge: a scheme with either parameters or a single value (RFC 9110 §11.3).
///
/// The methods that return one parameter return nothing if it is there twice: a server and a proxy in front
/// of it may each have added one.
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    params: Vec<(String, String)>,
    token68: Option<String>,
}

impl Challenge {
    /// Returns the scheme in lower case, such as `bearer`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns all parameters in their order: names in lower case, and values. A name may be there twice.
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.params.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the single value that some schemes have instead of parameters, such as `Negotiate`.
    pub fn token68(&self) -> Option<&str> {
        self.token68.as_deref()
    }

    /// Returns the value of a parameter, whatever the case of its name; `None` if it is missing or there
    /// twice.
    ///
    /// The API chose the text: escape it before you show it.
    ///
    /// ```
    /// use oauth2_proto::challenge::Challenges;
    ///
    /// let challenges = Challenges::parse([r#"Bearer realm="a", error=x, error=y"#]);
    /// let bearer = challenges.bearer().unwrap();
    /// assert_eq!((bearer.param("Realm"), bearer.param("error")), (Some("a"), None));
    /// assert_eq!(bearer.params().last(), Some(("error", "y")));
    /// ```
    pub fn param(&self, name: &str) -> Option<&str> {
        let mut values = self.params().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// Returns the error code, such as `invalid_token` (RFC 6750 §3.1).
    pub fn error(&self) -> Option<&str> {
        self.param("error")
    }

    /// Returns the explanation for developers (RFC 6750 §3); escape it before you show it.
    pub fn error_description(&self) -> Option<&str> {
        self.param("error_description")
    }

    /// Returns the name of the protected area (RFC 9110 §11.5).
    pub fn realm(&self) -> Option<&str> {
        self.param("realm")
    }

    /// Returns the scopes that the request needs (RFC 6750 §3); none if the parameter is missing, is there
    /// twice, or holds a character that no scope has.
    ///
    /// Ask for them at a first sign-in, unless your program has its own list.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.tokens("scope", scope::is_scope_character)
    }

    /// Returns the address of the API's metadata (RFC 9728 §5.1), for a discovery that checks it.
    pub fn resource_metadata(&self) -> Option<&str> {
        self.param("resource_metadata")
    }

    /// Returns the ways to authenticate that the API accepts, the preferred one first (RFC 9470 §3); none if
    /// the parameter is missing, is there twice, or holds other characters than visible ASCII.
    pub fn acr_values(&self) -> impl Iterator<Item = &str> {
        self.tokens("acr_values", |byte| byte.is_ascii_graphic())
    }

    /// Returns the maximum age of the user's authentication, in whole seconds, at most 2³¹ − 1 (RFC 9470 §3).
    /// `None` if the parameter is missing, is there twice, or is no number.
    pub fn max_age(&self) -> Option<Duration> {
        let digits = self.param("max_age")?;
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // Fails only for a number beyond 64 bits.
        is_number.then(|| digits.parse().map_or(LONGEST, |seconds| Duration::from_secs(seconds).min(LONGEST)))
    }

    /// Returns the items of a space-separated list; none if it holds a character of another kind.
    fn tokens(&self, name: &str, is_of_kind: fn(u8) -> bool) -> impl Iterator<Item = &str> {
        let list = self.param(name).filter(|list| list.bytes().all(|byte| byte == b' ' || is_of_kind(byte)));
        list.unwrap_or_default().split(' ').filter(|token| !token.is_empty())
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Param<'a>(&'a (String, String));

        impl fmt::Debug for Param<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let (name, value) = self.0;
                write!(f, "{}={}", PlainCode(name), PlainWords(value))
            }
        }

        struct Params<'a>(&'a [(String, String)]);

        impl fmt::Debug for Params<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                debug_some(f, self.0.iter().map(Param))
            }
        }

        f.debug_struct("Challenge")
            .field("scheme", &PlainCode(&self.scheme))
            .field("params", &Params(&self.params))
            .field("token68", &self.token68.as_ref().map(|_| "[redacted]"))
            .finish()
    }
}

/// Shows the first 20 items, and whether there are more.
fn debug_some(
    f: &mut fmt::Formatter<'_>,
    items: impl IntoIterator<Item = impl fmt::Debug, IntoIter: ExactSizeIterator>,
) -> fmt::Result {
    const MAX_SHOWN: usize = 20;
    let items = items.into_iter();
    let are_more = items.len() > MAX_SHOWN;
    let mut list = f.debug_list();
    list.entries(items.take(MAX_SHOWN));
    if are_more { list.finish_non_exhaustive() } else { list.finish() }
}

/// The challenges that were read, and the length of their lines in bytes.
#[derive(Default)]
struct Reader {
    challenges: Vec<Challenge>,
    taken: usize,
}

/// The maximum length of all lines together, in bytes. HTTP servers and clients have limits from 8 KiB on.
const MAX_LENGTH: usize = 64 << 10;

impl Reader {
    fn read_line(&mut self, line: &[u8]) {
        if line.len() <= MAX_LENGTH - self.taken {
            self.taken += line.len();
            parse::read_line(line, &mut self.challenges);
        }
    }
}
