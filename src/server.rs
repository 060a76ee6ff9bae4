//! An authorization server as data: where it is, what it supports, and how far it strays.

use std::borrow::Cow;
use std::sync::Arc;

use url::{Host, Url};

use crate::error::Error;
use crate::text::foreign::{Foreign, ForeignAddress};
use crate::text::form;

/// An authorization server: its endpoints and what it supports, named as in RFC 8414 §2.
///
/// What is not said is not held against the server: without a list of grant types every grant is tried.
#[derive(Clone, Debug)]
pub struct AuthorizationServer {
    pub(crate) name: Cow<'static, str>,
    pub(crate) issuer: Option<String>,
    pub(crate) authorization_endpoint: String,
    pub(crate) token_endpoint: String,
    pub(crate) grant_types_supported: Option<Vec<Cow<'static, str>>>,
    pub(crate) token_endpoint_auth_methods_supported: Option<Vec<Cow<'static, str>>>,
    pub(crate) code_challenge_methods_supported: Option<Vec<Cow<'static, str>>>,
    pub(crate) authorization_response_iss_parameter_supported: bool,
    pub(crate) https_redirect_uris_only: bool,
    pub(crate) access_tokens_end_with_refresh: bool,
    pub(crate) invalid_grant_codes: Option<Arc<[String]>>,
    pub(crate) refresh_repeats_scope: bool,
    pub(crate) refresh_repeats_resources: bool,
    pub(crate) leniencies: Leniencies,
}

impl AuthorizationServer {
    /// A server by its two endpoints.
    ///
    /// # Errors
    ///
    /// Misuse, if an endpoint is not `https` (or `http` to a loopback address), holds user information or
    /// a fragment, writes its host in an unusual way (such as `127.1`) or with signs that no name of the DNS has, or
    /// brings a parameter of the protocol in its query (RFC 6749 §3.1 and §3.2), or a `response_mode` other than
    /// `query` and `form_post`.
    pub fn new(authorization_endpoint: &str, token_endpoint: &str) -> Result<Self, Error> {
        check_endpoint("authorization endpoint", authorization_endpoint, AUTHORIZATION_PARAMETERS)?;
        let mut parameters = form::pairs(query_of(authorization_endpoint)).flatten();
        if parameters.any(|(name, value)| name == "response_mode" && !is_response_mode(&value)) {
            return Err(Error::misuse(format!(
                "the authorization endpoint {} asks for a response_mode other than query and form_post",
                ForeignAddress(authorization_endpoint)
            )));
        }
        check_endpoint("token endpoint", token_endpoint, TOKEN_PARAMETERS)?;
        Ok(Self::unchecked(authorization_endpoint.to_owned(), token_endpoint.to_owned()))
    }

    /// For endpoints that are known to be sound.
    pub(crate) fn unchecked(authorization_endpoint: String, token_endpoint: String) -> Self {
        Self {
            name: "the server".into(),
            issuer: None,
            authorization_endpoint,
            token_endpoint,
            grant_types_supported: None,
            token_endpoint_auth_methods_supported: None,
            code_challenge_methods_supported: None,
            authorization_response_iss_parameter_supported: false,
            https_redirect_uris_only: false,
            access_tokens_end_with_refresh: false,
            invalid_grant_codes: None,
            refresh_repeats_scope: false,
            refresh_repeats_resources: false,
            leniencies: Leniencies::default(),
        }
    }

    /// The server's issuer identifier; an `iss` in a callback must then be identical to it (RFC 9207 §2.4).
    ///
    /// Set it for every server that has one: it is what stops a mix-up of two servers (RFC 9700 §4.4).
    ///
    /// # Errors
    ///
    /// Misuse, if it is not `https` (or `http` to a loopback address) or has user information, a query or
    /// a fragment (RFC 8414 §2).
    pub fn issuer(mut self, issuer: &str) -> Result<Self, Error> {
        let url = check_web_address("issuer", issuer)?;
        if url.query().is_some() {
            return Err(Error::misuse(format!(
                "the issuer {} has a query, which RFC 8414 section 2 forbids",
                ForeignAddress(issuer)
            )));
        }
        self.issuer = Some(issuer.to_owned());
        Ok(self)
    }

    /// Says that the server sends `iss` with every callback, so that one without it is refused
    /// (RFC 9207 §2.4). It needs an [`issuer`](Self::issuer) to compare with.
    pub fn authorization_response_iss_parameter_supported(mut self, supported: bool) -> Self {
        self.authorization_response_iss_parameter_supported = supported;
        self
    }

    /// The grant types that the server supports, such as `authorization_code`.
    pub fn grant_types_supported(mut self, grant_types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.grant_types_supported = Some(owned(grant_types));
        self
    }

    /// The client authentication methods that the server supports, such as `client_secret_basic`.
    pub fn token_endpoint_auth_methods_supported(
        mut self,
        methods: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.token_endpoint_auth_methods_supported = Some(owned(methods));
        self
    }

    /// The code challenge methods that the server supports; without `S256` among them no client is made.
    pub fn code_challenge_methods_supported(
        mut self,
        methods: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.code_challenge_methods_supported = Some(owned(methods));
        self
    }

    /// Refuses redirect URIs that are not `https`.
    pub fn https_redirect_uris_only(mut self) -> Self {
        self.https_redirect_uris_only = true;
        self
    }

    /// Says that the server ends an access token together with the refresh token beside it: at once when that is
    /// used, and when that dies. Pleo's does.
    ///
    /// A [`Session`](crate::Session) then gives no access token from the moment when its refresh is sent until the
    /// new tokens are saved, and none after the refresh token was refused.
    pub fn access_tokens_end_with_refresh(mut self) -> Self {
        self.access_tokens_end_with_refresh = true;
        self
    }

    /// Names error codes of the token endpoint that mean `invalid_grant` at this server, such as GitHub's
    /// `bad_refresh_token`. Each then advises [`Reauthorize`](crate::Advice::Reauthorize).
    ///
    /// ```
    /// use oauth2_proto::AuthorizationServer;
    ///
    /// let server = AuthorizationServer::new(
    ///     "https://github.com/login/oauth/authorize",
    ///     "https://github.com/login/oauth/access_token",
    /// )?
    /// .invalid_grant_codes(["bad_refresh_token"]);
    /// # Ok::<(), oauth2_proto::Error>(())
    /// ```
    pub fn invalid_grant_codes(mut self, codes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.invalid_grant_codes = Some(codes.into_iter().map(Into::into).collect());
        self
    }

    /// Says that a refresh must repeat the scopes of the authorization request, as Entra's must. A
    /// [`Session`](crate::Session) then does.
    pub fn refresh_repeats_scope(mut self) -> Self {
        self.refresh_repeats_scope = true;
        self
    }

    /// Says that a refresh must repeat the resources of the authorization request (RFC 8707 §2.2), as MCP servers
    /// want. A [`Session`](crate::Session) then does.
    pub fn refresh_repeats_resources(mut self) -> Self {
        self.refresh_repeats_resources = true;
        self
    }

    /// Tolerates one way in which the server strays from the specifications.
    pub fn tolerate(mut self, leniency: Leniency) -> Self {
        self.leniencies.0 |= 1 << leniency as u8;
        self
    }

    /// Says no to a grant type that the server is known not to support.
    pub(crate) fn check_grant_type(&self, grant_type: &str) -> Result<(), Error> {
        self.check_supported("grant types", self.grant_types_supported.as_deref(), grant_type)
    }

    /// Says no to a client authentication method that the server is known not to support.
    pub(crate) fn check_auth_method(&self, method: &str) -> Result<(), Error> {
        self.check_supported(
            "client authentication methods",
            self.token_endpoint_auth_methods_supported.as_deref(),
            method,
        )
    }

    fn check_supported(
        &self,
        what: &str,
        supported: Option<&[Cow<'static, str>]>,
        wanted: &str,
    ) -> Result<(), Error> {
        match supported {
            Some(supported) if !supported.iter().any(|known| known == wanted) => Err(Error::misuse(format!(
                "{} supports the {what} {}, not {wanted}",
                self.name,
                supported.join(" and ")
            ))),
            _ => Ok(()),
        }
    }
}

/// One way in which servers are known to stray, tolerated only where it is asked for by
/// [`AuthorizationServer::tolerate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Leniency {
    /// A token response without `token_type` is taken for `Bearer`.
    MissingTokenType,
    /// A `token_type` other than `Bearer` and `DPoP` is handed through; RFC 6749 §7.1 says not to use one
    /// that is not understood.
    AnyTokenType,
    /// `scope` may be an array of strings.
    ScopeArray,
    /// `scope` may be separated by commas.
    ScopeComma,
    /// A token response or error may be form-encoded, if it is labelled as a form or as plain text.
    FormEncoded,
    /// `expires_in` of 0 means that the token does not expire, instead of that it is of no use.
    ZeroMeansNeverExpires,
}

/// A set of [`Leniency`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Leniencies(u8);

impl Leniencies {
    pub(crate) fn has(self, leniency: Leniency) -> bool {
        self.0 & 1 << leniency as u8 != 0
    }
}

/// The parameters of an authorization request that are this crate's alone: neither an endpoint's query nor
/// an extra parameter may bring them. The last four would take the request, or a secret, past its checks.
pub(crate) const AUTHORIZATION_PARAMETERS: &[&str] = &[
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
    "code_verifier",
    "client_secret",
];

/// The same for a token request.
const TOKEN_PARAMETERS: &[&str] = &[
    "grant_type",
    "code",
    "redirect_uri",
    "code_verifier",
    "refresh_token",
    "scope",
    "client_id",
    "client_secret",
];

fn owned(names: impl IntoIterator<Item = impl Into<String>>) -> Vec<Cow<'static, str>> {
    names.into_iter().map(|name| Cow::Owned(name.into())).collect()
}

fn check_endpoint(what: &str, endpoint: &str, reserved: &[&str]) -> Result<(), Error> {
    let url = check_web_address(what, endpoint)?;
    for pair in form::pairs(url.query().unwrap_or_default()) {
        match pair {
            Some((name, _)) if !reserved.contains(&&*name) => {}
            Some((name, _)) => {
                return Err(Error::misuse(format!(
                    "the {what} {} already holds the parameter {}, which this crate sets",
                    ForeignAddress(endpoint),
                    Foreign(&name)
                )));
            }
            None => {
                return Err(Error::misuse(format!(
                    "the query of the {what} {} is not UTF-8",
                    ForeignAddress(endpoint)
                )));
            }
        }
    }
    Ok(())
}

/// What stands after the `?` of an address that is known to have no fragment.
pub(crate) fn query_of(uri: &str) -> &str {
    uri.split_once('?').map_or("", |(_, query)| query)
}

/// Whether an answer in this mode goes to the program alone: in a fragment, or as a message, it is open to whatever else
/// runs in the page (RFC 9700 §4.1.2 and §4.17).
pub(crate) fn is_response_mode(mode: &str) -> bool {
    matches!(mode, "query" | "form_post")
}

/// `https`, or `http` to a loopback address; no user information, no fragment.
///
/// `Url` is as forgiving as a browser: it drops tabs, turns `\` into `/` and takes `https:host`. What it
/// makes of an address and what another HTTP client makes of it must be the same, so anything that
/// needs such forgiveness is refused first.
pub(crate) fn check_web_address(what: &str, address: &str) -> Result<Url, Error> {
    let refuse = |why: &str| Err(Error::misuse(format!("the {what} {} {why}", ForeignAddress(address))));
    let Some((scheme, after)) = address.split_once("://") else {
        return refuse("is not an absolute http or https URL");
    };
    if !is_uri(address) || after.starts_with('/') {
        return refuse("is not a URL");
    }
    if address.contains('#') {
        return refuse("has a fragment");
    }
    let authority = after.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return refuse("holds user information");
    }
    let Ok(url) = Url::parse(address) else {
        return refuse("is not a URL");
    };
    // `Url` takes 127.1, 0x7f000001 and localhos%74 for loopback addresses.
    let host_as_written = match authority.strip_prefix('[').and_then(|after| after.find(']')) {
        Some(length) => authority.get(..length + 2).unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    if let Some(host) = url.host_str()
        && !host.eq_ignore_ascii_case(host_as_written)
    {
        return refuse(&format!("has a host that means {host}; write that"));
    }
    // A name of the DNS has no other signs, and some of these are commands to a shell.
    let is_sound = |host: &str| {
        host.bytes().all(|byte| matches!(byte, b'-' | b'.' | b'_') || byte.is_ascii_alphanumeric())
    };
    if !host_as_written.starts_with('[') && !is_sound(host_as_written) {
        return refuse("has a host that is no name of the DNS");
    }
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return refuse("has no host"),
    };
    match scheme.to_ascii_lowercase().as_str() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        "http" => refuse("must be https; http is for loopback addresses only"),
        _ => refuse("must be https"),
    }
}

/// RFC 8707 §2: a resource is an absolute URI without a fragment.
pub(crate) fn check_resources(resources: &[impl AsRef<str>]) -> Result<(), Error> {
    match resources.iter().map(AsRef::as_ref).find(|resource| !is_absolute_uri(resource)) {
        None => Ok(()),
        Some(resource) => Err(Error::misuse(format!(
            "the resource {} is not an absolute URI without a fragment (RFC 8707 section 2)",
            ForeignAddress(resource)
        ))),
    }
}

/// Whether a text is an absolute URI without a fragment: a scheme, then something (RFC 3986 §4.3).
pub(crate) fn is_absolute_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let scheme_is_sound = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    let names_something = match rest.strip_prefix("//") {
        Some(authority) if is_web => !authority.is_empty() && !authority.starts_with(['/', '?']),
        None if is_web => false,
        _ => !rest.is_empty(),
    };
    scheme_is_sound && names_something && !rest.contains('#') && is_uri(rest)
}

/// Whether a text holds nothing but what RFC 3986 §2 lets a URI hold.
fn is_uri(text: &str) -> bool {
    text.bytes().all(|byte| {
        byte.is_ascii_graphic()
            && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn endpoints_are_https_or_loopback_and_bring_nothing_of_ours() {
        for (endpoint, sound) in [
            ("https://as.example/token", true),
            ("HTTPS://as.example/token?tenant=a%20b", true),
            ("http://127.0.0.1:8080/token", true),
            ("http://127.8.9.1/token", true),
            ("http://[::1]:8080/token", true),
            ("http://localhost/token", true),
            ("http://as.example/token", false),
            ("http://127.0.0.1.evil.example/token", false),
            ("http://localhost.evil.example/token", false),
            ("https://user:pass@as.example/token", false),
            ("https://@as.example/token", false),
            ("https://as.example/token#", false),
            ("https://as.example/to ken", false),
            ("https://as.example\\@evil.example/token", false),
            ("https://as.exa\tmple/token", false),
            (" https://as.example/token", false),
            ("https:as.example/token", false),
            ("https:///as.example/token", false),
            ("https://", false),
            ("https://as.example:99999/token", false),
            ("//as.example/token", false),
            ("/token", false),
            ("", false),
            ("ftp://as.example/token", false),
            ("javascript:alert(1)//as.example", false),
            ("javascript://as.example/%0aalert(1)", false),
            ("https://as.example/token?client%5Fid=other", false),
            ("https://as.example/token?x=%FF", false),
            ("https://ás.example/token", false),
        ] {
            let server = AuthorizationServer::new("https://as.example/authorize", endpoint);
            assert_eq!(server.is_ok(), sound, "{endpoint}");
            if let Err(error) = server {
                assert_eq!(error.kind(), ErrorKind::Misuse, "{endpoint}");
            }
        }
    }

    #[test]
    fn an_http_endpoint_is_told_who_may_use_http() {
        for (endpoint, says) in [("http://as.example/token", true), ("ftp://as.example/token", false)] {
            let error = AuthorizationServer::new("https://as.example/authorize", endpoint).unwrap_err();
            assert_eq!(error.to_string().contains("loopback"), says, "{error}");
        }
    }

    #[test]
    fn rfc8414_section_2_an_issuer_has_no_query() {
        let server = || AuthorizationServer::new("https://as.example/a", "https://as.example/t").unwrap();
        assert!(server().issuer("https://as.example/tenant/").is_ok());
        for issuer in ["https://as.example?", "https://as.example/#", "http://as.example", "as.example"] {
            assert!(server().issuer(issuer).is_err(), "{issuer}");
        }
    }

    #[test]
    fn redirect_and_resource_uris_are_absolute() {
        for (uri, absolute) in [
            ("https://app.example/cb", true),
            ("https://app.example", true),
            ("http://127.0.0.1:51004/cb?a=b", true),
            ("com.example.app:/oauth2redirect", true),
            ("com.example.app:///oauth2redirect", true),
            ("urn:example:resource", true),
            ("urn:ietf:wg:oauth:2.0:oob", true),
            ("https://app.example/cb#", false),
            ("https:///cb", false),
            ("https:cb", false),
            ("https://", false),
            ("/cb", false),
            ("cb", false),
            ("", false),
            (":cb", false),
            ("1a:b", false),
            ("app:", false),
            ("https://app.example/c b", false),
            ("https://app.example/é", false),
            ("https://app.example/\n", false),
        ] {
            assert_eq!(is_absolute_uri(uri), absolute, "{uri:?}");
        }
    }

    #[test]
    fn leniencies_are_apart() {
        let server = AuthorizationServer::unchecked(String::new(), String::new())
            .tolerate(Leniency::ScopeComma)
            .tolerate(Leniency::ScopeComma);
        assert!(server.leniencies.has(Leniency::ScopeComma));
        assert!(!server.leniencies.has(Leniency::ScopeArray));
        assert!(!server.leniencies.has(Leniency::MissingTokenType));
    }
}
