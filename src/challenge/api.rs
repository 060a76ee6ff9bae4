//! The header of a request to an API.

use std::fmt;

use crate::challenge::parse::is_token_character;
use crate::client_auth::authorization_header;
use crate::dpop::{BoundRequest, DpopKey};
use crate::error::Error;
use crate::text::foreign::Foreign;
use crate::text::secret::Secret;
use crate::text::uri::ApiAddress;
use crate::token::{NEEDS_A_PROOF, TokenType};

/// The API that a token is for: the addresses that it may be sent to ([`pleo`](crate::pleo) has Pleo's).
///
/// A bearer token works for whoever has it, so a token that is sent to a wrong address is lost (RFC 6750
/// §5.2). Your program may take URLs from links, pages or users: ask for the header for each of them. Only
/// addresses under a base of this API get one.
///
/// ```
/// use oauth2_proto::challenge::ProtectedApi;
/// use oauth2_proto::{Secret, token::TokenType};
///
/// let api = ProtectedApi::new(["https://api.example/v1"])?;
/// let token = Secret::new("fake-token");
/// let url = "https://api.example/v1/me";
/// let header = api.authorization(&TokenType::Bearer, &token, url)?;
/// assert_eq!(header.expose(), "Bearer fake-token");
///
/// let url = "https://api.example.evil.example/v1/me";
/// let error = api.authorization(&TokenType::Bearer, &token, url).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "misuse: the address \"https://api.example.evil.example/v1/me\" is not under a \
///      base of this API; send the token to no other address, or add a base to \
///      ProtectedApi::new"
/// );
/// # Ok::<(), oauth2_proto::Error>(())
/// ```
#[derive(Clone)]
pub struct ProtectedApi(Vec<ApiAddress>);

impl ProtectedApi {
    /// Makes an API from its bases, each an address like `https://api.example/v1`: a URL is under a base if
    /// scheme, host and port are the same, and its path begins with all segments of the base's path.
    ///
    /// # Errors
    ///
    /// Misuse: there is no base, or one is not `https` (or `http` to a loopback address), has user
    /// information, a query or a fragment, or a path with dot segments.
    pub fn new(bases: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, Error> {
        let bases: Vec<_> = bases
            .into_iter()
            .map(|base| ApiAddress::parse_base(base.as_ref()))
            .collect::<Result<_, _>>()
            .map_err(|refused| Error::misuse(format!("the base {refused}")))?;
        match bases.is_empty() {
            true => Err(Error::misuse("the API has no base; pass the address that its requests begin with")),
            false => Ok(Self(bases)),
        }
    }

    /// Wraps a constant origin; a test of the calling module parses it.
    pub(crate) fn constant(origin: &'static str) -> Self {
        Self(vec![ApiAddress::constant(origin)])
    }

    /// Returns the value of the header `Authorization` for a request to `url` (RFC 6750 §2.1). Send the token
    /// in this header only, never in the query (§2.3), and let the HTTP client follow no redirects with it.
    ///
    /// The tokens of a response, of a session and of a keeper name their type. Pass no other one: a token
    /// that is bound to a key ([`bound_request`](Self::bound_request)) is never sent as a bearer token.
    ///
    /// ```
    /// use oauth2_proto::challenge::ProtectedApi;
    /// use oauth2_proto::{Error, Secret, Session, TokenResponse, token::AccessToken};
    /// use std::time::SystemTime;
    ///
    /// const URL: &str = "https://api.example/v1/me";
    ///
    /// fn of_response(api: &ProtectedApi, tokens: &TokenResponse) -> Result<Secret, Error> {
    ///     api.authorization(tokens.token_type(), tokens.access_token(), URL)
    /// }
    ///
    /// fn of_session(
    ///     api: &ProtectedApi,
    ///     session: &Session,
    ///     now: SystemTime,
    /// ) -> Result<Option<Secret>, Error> {
    ///     let Some(token) = session.access_token(now) else { return Ok(None) };
    ///     api.authorization(session.token_type(), token, URL).map(Some)
    /// }
    ///
    /// fn of_keeper(api: &ProtectedApi, token: &AccessToken) -> Result<Secret, Error> {
    ///     api.authorization(token.token_type(), token.secret(), URL)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Misuse:
    ///
    /// - the URL is not under a base, or could mean another address to the API than to this crate: a path
    ///   with dot segments, however they are escaped, user information, a host that a browser would rewrite;
    /// - it has a fragment, or `access_token` in its query;
    /// - the token type is not [`TokenType::Bearer`], which a header alone does not serve
    ///   ([`authorization_as`](Self::authorization_as) names another scheme);
    /// - the token is empty or holds other characters than visible ASCII.
    pub fn authorization(
        &self,
        token_type: &TokenType,
        access_token: &Secret,
        url: &str,
    ) -> Result<Secret, Error> {
        token_type.must_be_bearer()?;
        self.header("Bearer", access_token, url)
    }

    /// Returns the value of the header `Authorization` with another scheme than `Bearer`, for a token of
    /// [`TokenType::Other`] that the API wants in this form.
    ///
    /// ```
    /// use oauth2_proto::{Secret, challenge::ProtectedApi};
    ///
    /// let api = ProtectedApi::new(["https://api.example"])?;
    /// let token = Secret::new("fake-token");
    /// let header = api.authorization_as("token", &token, "https://api.example/user")?;
    /// assert_eq!(header.expose(), "token fake-token");
    /// # Ok::<(), oauth2_proto::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Misuse: the scheme is no token of RFC 9110 §5.6.2, or is `DPoP`, which needs a proof too; or the
    /// errors of [`authorization`](Self::authorization) for URL and token.
    pub fn authorization_as(&self, scheme: &str, access_token: &Secret, url: &str) -> Result<Secret, Error> {
        if scheme.eq_ignore_ascii_case("DPoP") {
            return Err(Error::misuse(NEEDS_A_PROOF));
        }
        if scheme.is_empty() || !scheme.bytes().all(is_token_character) {
            return Err(Error::misuse(format!(
                "the scheme {} is no token of RFC 9110 section 5.6.2; use letters, digits and !#$%&'*+-.^_`|~",
                Foreign(scheme)
            )));
        }
        self.header(scheme, access_token, url)
    }

    /// Begins a request to `url` with a token of [`TokenType::DPoP`], which needs two headers: the token, and
    /// a proof that its key signs for this method and this URL (RFC 9449 §7.1). [`dpop`](crate::dpop) has an
    /// example.
    ///
    /// # Errors
    ///
    /// Misuse: the method is no token of RFC 9110 §9.1, or the errors of
    /// [`authorization`](Self::authorization) for URL and token.
    pub fn bound_request(
        &self,
        key: &DpopKey,
        access_token: &Secret,
        method: &str,
        url: &str,
    ) -> Result<BoundRequest, Error> {
        if method.is_empty() || !method.bytes().all(is_token_character) {
            return Err(Error::misuse(format!(
                "the method {} is no token of RFC 9110 section 9.1; pass it as it is sent, as in GET",
                Foreign(method)
            )));
        }
        let authorization = self.header("DPoP", access_token, url)?;
        Ok(BoundRequest::new(key, access_token, authorization, method, url))
    }

    fn header(&self, scheme: &str, access_token: &Secret, url: &str) -> Result<Secret, Error> {
        let address =
            ApiAddress::parse(url).map_err(|refused| Error::misuse(format!("the address {refused}")))?;
        if !self.0.iter().any(|base| address.is_under(base)) {
            return Err(Error::misuse(format!(
                "the address {address} is not under a base of this API; send the token to no other address, or add \
                 a base to ProtectedApi::new"
            )));
        }
        // RFC 6750 §2.1 allows fewer characters, but servers issue tokens with others, such as a colon. A
        // space would end the token.
        let token = access_token.expose();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::misuse(
                "the access token is empty, or holds a space or another character that cannot stand in the header; \
                 pass it as the server gave it",
            ));
        }
        Ok(authorization_header(scheme, access_token))
    }
}

impl fmt::Debug for ProtectedApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProtectedApi").field(&self.0).finish()
    }
}
