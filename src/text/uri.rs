//! Addresses and other URIs (RFC 3986): one type for each kind, each with one parser.
//!
//! Configured text and stored text go through the same parser. For a text that it does not accept it returns
//! [`Refused`], to which the calling function adds the kind of text.

mod api;

pub(crate) use self::api::ApiAddress;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use url::{Host, Url};

use crate::text::foreign::{Foreign, ForeignAddress};
use crate::text::form;

/// The URL of an endpoint: a web address whose query decodes to UTF-8.
#[derive(Clone)]
pub(crate) struct Endpoint(Arc<str>);

impl Endpoint {
    /// Parses an endpoint; its query must contain no parameter named in `reserved`.
    pub(crate) fn parse(text: &str, reserved: &[&str]) -> Result<Self, Refused> {
        refuse_parameters(text, parse_server_address(text)?.query, reserved)?;
        Ok(Self(text.into()))
    }

    /// Wraps a constant that a test of its module has parsed.
    pub(crate) fn constant(text: &'static str) -> Self {
        Self(text.into())
    }

    /// Returns the text, shared.
    pub(crate) fn to_shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the decoded parameters of the query.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let (parts, _) = Parts::split(&self.0);
        form::pairs(parts.query.unwrap_or_default()).flatten()
    }

    /// Returns the form in which endpoints are compared: scheme and host in lower case, without the scheme's
    /// default port, and `/` for an empty path (RFC 3986 §6.2.2.1 and §6.2.3). The rest stays byte for byte.
    pub(crate) fn normalized(&self) -> String {
        let (parts, _) = Parts::split(&self.0);
        let query = parts.query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{}{query}", parts.origin(), parts.path_or_slash())
    }
}

/// Hides the query, which may hold a secret of the server's configuration.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&ForeignAddress(&self.0), f)
    }
}

/// An issuer identifier: a web address without a query (RFC 8414 §2).
#[derive(Clone)]
pub(crate) struct Issuer(String);

impl Issuer {
    pub(crate) fn parse(text: &str) -> Result<Self, Refused> {
        if parse_server_address(text)?.query.is_some() {
            return Err(Refused::new(text, "has a query; leave it out"));
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A redirect URI: an absolute URI without user information (RFC 6749 §3.1.2). It is `https`, `http` to a
/// loopback address (RFC 9700 §2.6), or has the scheme of an app (RFC 8252 §7.1).
pub(crate) struct RedirectUri<'a>(Cow<'a, str>);

impl<'a> RedirectUri<'a> {
    /// Parses a redirect URI; its query must contain no parameter named in `reserved`, because the server
    /// appends those to it.
    pub(crate) fn parse(text: impl Into<Cow<'a, str>>, reserved: &[&str]) -> Result<Self, Refused> {
        let text = text.into();
        let uri = parse_absolute_uri(&text)?;
        if !uri.is_web() && NO_APP.iter().any(|known| uri.scheme.eq_ignore_ascii_case(known)) {
            let why = "has a scheme that leads to no app; use https, http to a loopback address, or a scheme of \
                       your app, such as com.example.app";
            return Err(Refused::new(&text, why));
        }
        if uri.scheme.eq_ignore_ascii_case("http") {
            // A browser resolves every name under localhost to itself (RFC 6761 §6.3).
            parse_web_address(&text, |name| name == "localhost" || name.ends_with(".localhost"))?;
        }
        if uri.has_user_information() {
            return Err(Refused::new(&text, USER_INFORMATION));
        }
        refuse_parameters(&text, uri.query, reserved)?;
        Ok(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the browser hands the callback to a program on the user's device: the host is a
    /// loopback address, or the scheme is an app's.
    pub(crate) fn stays_on_the_device(&self) -> bool {
        let (uri, _) = Parts::split(&self.0);
        !uri.is_web() || uri.is_loopback()
    }

    pub(crate) fn into_owned(self) -> RedirectUri<'static> {
        RedirectUri(Cow::Owned(self.0.into_owned()))
    }
}

impl fmt::Debug for RedirectUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&ForeignAddress(&self.0), f)
    }
}

/// The address of a client ID metadata document: a server address that is `https` and has a path beyond `/`.
#[derive(Clone)]
pub(crate) struct DocumentUrl(String);

impl DocumentUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, Refused> {
        let address = parse_server_address(text)?;
        if !address.scheme.eq_ignore_ascii_case("https") {
            return Err(Refused::new(text, "must be https, also on loopback addresses"));
        }
        match address.path {
            "" | "/" => Err(Refused::new(text, "has no path beyond /; host the document at one of its own")),
            _ => Ok(Self(text.to_owned())),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DocumentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&ForeignAddress(&self.0), f)
    }
}

/// A resource that a token is for: an absolute URI (RFC 8707 §2).
#[derive(Clone, PartialEq)]
pub(crate) struct Resource<'a>(Cow<'a, str>);

impl<'a> Resource<'a> {
    pub(crate) fn parse(text: impl Into<Cow<'a, str>>) -> Result<Self, Refused> {
        let text = text.into();
        parse_absolute_uri(&text)?;
        Ok(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_owned(self) -> Resource<'static> {
        Resource(Cow::Owned(self.0.into_owned()))
    }
}

impl AsRef<str> for Resource<'_> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// The syntax of a URN (RFC 8141) without the optional components, which are no part of the name.
pub(crate) enum Urn {}

impl Urn {
    /// Refuses a text that is not `urn:`, a namespace of 2 to 32 letters, digits and inner hyphens, `:`, and
    /// a name of the characters of a path (RFC 8141 §2).
    pub(crate) fn check(text: &str) -> Result<(), Refused> {
        let refuse = || {
            Refused::new(
                text,
                "is no URN; write it as urn:namespace:name, and percent-encode other characters",
            )
        };
        let (uri, rest) = Parts::split(text);
        let is_plain = rest.is_empty() && uri.authority.is_none() && uri.query.is_none();
        let (namespace, name) = uri.path.split_once(':').ok_or_else(refuse)?;
        let is_namespace = (2..=32).contains(&namespace.len())
            && namespace.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !namespace.starts_with('-')
            && !namespace.ends_with('-');
        let is_name = !name.is_empty() && !name.starts_with('/') && !name.contains(['[', ']']);
        let is_escape = |part: &str| part.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
        let is_encoded = name.split('%').skip(1).all(is_escape);
        match uri.scheme.eq_ignore_ascii_case("urn") && is_plain && is_namespace && is_name && is_encoded {
            true => Ok(()),
            false => Err(refuse()),
        }
    }
}

/// The address of a page that a person opens on another device (RFC 8628 §3.2): a web address, which may be
/// `http` anywhere and may have a fragment, because only a browser opens it.
#[derive(Clone)]
pub(crate) struct PageAddress(String);

impl PageAddress {
    pub(crate) fn parse(text: impl Into<String>) -> Result<Self, Refused> {
        let text = text.into();
        let (address, fragment) = text.split_once('#').unwrap_or((&text, ""));
        parse_host(parse_absolute_uri(address)?, address)?;
        match fragment.bytes().all(is_uri_character) {
            true => Ok(Self(text)),
            false => Err(Refused::new(&text, FOREIGN_CHARACTER)),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Hides the query and the fragment, which may hold the user code.
impl fmt::Debug for PageAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&ForeignAddress(&self.0), f)
    }
}

/// The refusal of a text by a parser: the text, escaped for display and without secrets, and what is wrong
/// with it.
///
/// Its `Display` continues a sentence that begins with the kind of text, such as "the redirect URI ".
#[derive(Debug)]
pub(crate) struct Refused(String);

impl Refused {
    fn new(address: &str, why: impl fmt::Display) -> Self {
        Self(format!("{} {why}", ForeignAddress(address)))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Splits the text of an endpoint or issuer into its origin (scheme and authority), its path, and its query
/// with the question mark.
pub(crate) fn split_address(address: &str) -> (&str, &str, &str) {
    let (Parts { scheme, authority, path, .. }, _) = Parts::split(address);
    let origin = scheme.len() + "://".len() + authority.unwrap_or_default().len();
    let (origin, rest) = address.split_at_checked(origin).unwrap_or((address, ""));
    let (path, query) = rest.split_at_checked(path.len()).unwrap_or((rest, ""));
    (origin, path, query)
}

/// Returns an address without query and fragment, in the form that a proof of possession names it (`htu`, RFC
/// 9449 §4.2): scheme and host in lower case, no default port, and a path of at least `/`.
pub(crate) fn without_query(text: &str) -> Result<String, Refused> {
    let address = text.split_once('#').map_or(text, |(address, _)| address);
    let address = parse_web_address(address, |name| name == "localhost")?;
    Ok(format!("{}{}", address.origin(), address.path_or_slash()))
}

/// Returns whether a text is a URI with a scheme (RFC 3986 §3).
pub(crate) fn is_uri(text: &str) -> bool {
    let (uri, fragment) = text.split_once('#').unwrap_or((text, ""));
    let is_escape = |part: &str| part.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    parse_absolute_uri(uri).is_ok()
        && fragment.bytes().all(is_uri_character)
        && text.split('%').skip(1).all(is_escape)
}

/// Returns whether an address leads to the machine of this program, and comes from elsewhere: a loopback
/// address that an answer of the web address `named_by` names.
pub(crate) fn leads_home(address: &str, named_by: &str) -> bool {
    let is_loopback = |address| Parts::split(address).0.is_loopback();
    is_loopback(address) && !is_loopback(named_by)
}

/// Parses an address that requests are sent to: a web address whose path has no dot segments.
///
/// `Url` removes those (RFC 3986 §5.2.4), also where they are escaped, and `http` sends them as they are.
fn parse_server_address(text: &str) -> Result<Parts<'_>, Refused> {
    // A server program resolves names under localhost by the DNS, and may be led elsewhere.
    let address = parse_web_address(text, |name| name == "localhost")?;
    match address.path.split('/').any(is_dot_segment) {
        true => Err(Refused::new(text, "has a path with . or .. in it; write the path that is meant")),
        false => Ok(address),
    }
}

/// Parses a web address: `https`, or `http` to a loopback address; no user information, no fragment.
fn parse_web_address(text: &str, is_loopback_name: fn(&str) -> bool) -> Result<Parts<'_>, Refused> {
    let (address, host) = parse_host(parse_absolute_uri(text)?, text)?;
    let loopback = match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => is_loopback_name(&name),
    };
    match loopback || address.scheme.eq_ignore_ascii_case("https") {
        true => Ok(address),
        false => Err(Refused::new(text, "must be https; http is for loopback addresses only")),
    }
}

/// Checks that an absolute URI is `https` or `http`, has no user information, and names a host that means the
/// same to all clients.
///
/// `Url` is as forgiving as a browser: it drops tabs, turns `\` into `/`, takes `https:host`, and reads
/// 127.1, 0x7f000001 and localhos%74 as loopback addresses. Other HTTP clients read such an address in
/// another way, so only one that means the same to all is accepted.
fn parse_host<'a>(address: Parts<'a>, text: &str) -> Result<(Parts<'a>, Host<String>), Refused> {
    let refuse = |why: &str| Err(Refused::new(text, why));
    if !address.is_web() {
        return refuse("must be an https URL");
    }
    if address.has_user_information() {
        return refuse(USER_INFORMATION);
    }
    let Ok(url) = Url::parse(text) else {
        return refuse("has a host or a port that cannot be read; write it as https://host:port/path");
    };
    let (host, _) = split_port(address.authority.unwrap_or_default());
    if let Some(meant) = url.host_str()
        && !meant.eq_ignore_ascii_case(host)
    {
        return refuse(&format!("has a host that means {meant}; write that"));
    }
    match url.host() {
        // `Url` takes other characters too, some of which are commands to a shell.
        Some(Host::Domain(name)) if !name.bytes().all(is_host_character) => {
            refuse("has a host that is no name of the DNS; use letters, digits, - . _ only")
        }
        Some(Host::Domain(name)) if has_empty_label(name) => {
            refuse("has a host with nothing between two dots, or before the first; correct it")
        }
        Some(host) => Ok((address, host.to_owned())),
        None => refuse("has no host"),
    }
}

/// Parses an absolute URI without a fragment: a scheme, then something (RFC 3986 §4.3).
fn parse_absolute_uri(text: &str) -> Result<Parts<'_>, Refused> {
    let refuse = |why: &str| Err(Refused::new(text, why));
    let (uri, rest) = Parts::split(text);
    let names_something = match uri.authority {
        Some(authority) => !uri.is_web() || !authority.is_empty(),
        None => !uri.is_web() && (!uri.path.is_empty() || uri.query.is_some()),
    };
    if uri.scheme.is_empty() || !names_something {
        refuse("is not an absolute URI; begin it with a scheme, as in https://host/path")
    } else if rest.is_empty() {
        Ok(uri)
    } else if text.contains('#') {
        refuse("has a fragment; leave out the # and what follows it")
    } else {
        refuse(FOREIGN_CHARACTER)
    }
}

/// Refuses a query that holds one of the `reserved` parameters, or one that is not UTF-8.
fn refuse_parameters(text: &str, query: Option<&str>, reserved: &[&str]) -> Result<(), Refused> {
    for pair in query.into_iter().flat_map(form::pairs) {
        match pair {
            None => return Err(Refused::new(text, "has a query that does not decode to UTF-8; correct it")),
            Some((name, _)) if reserved.contains(&&*name) => {
                let why = format!("has the parameter {}, which the protocol sets; remove it", Foreign(&name));
                return Err(Refused::new(text, why));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// The components of a URI without a fragment (RFC 3986 §3).
struct Parts<'a> {
    /// Empty where there is none.
    scheme: &'a str,
    /// The text between `//` and the path.
    authority: Option<&'a str>,
    path: &'a str,
    /// The text after the `?`.
    query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// Splits a text in one pass, and returns what begins with the first character that no URI has before its
    /// fragment, too. Without a scheme, this is the whole text.
    fn split(text: &'a str) -> (Self, &'a str) {
        let mut rest = text;
        let scheme = take_while(&mut rest, is_scheme_character);
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !skip(&mut rest, ":") {
            return (Self { scheme: "", authority: None, path: "", query: None }, text);
        }
        let authority = skip(&mut rest, "//")
            .then(|| take_while(&mut rest, |byte| is_uri_character(byte) && !matches!(byte, b'/' | b'?')));
        let path = take_while(&mut rest, |byte| is_uri_character(byte) && byte != b'?');
        let query = skip(&mut rest, "?").then(|| take_while(&mut rest, is_uri_character));
        (Self { scheme, authority, path, query }, rest)
    }

    fn is_web(&self) -> bool {
        ["https", "http"].iter().any(|web| self.scheme.eq_ignore_ascii_case(web))
    }

    /// Returns whether the host is this machine, for a program or for a browser.
    fn is_loopback(&self) -> bool {
        let (host, _) = split_port(self.authority.unwrap_or_default());
        match Host::parse(host.strip_suffix('.').unwrap_or(host)) {
            Ok(Host::Ipv4(address)) => address.is_loopback(),
            Ok(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
            Ok(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Err(_) => false,
        }
    }

    /// Returns scheme, host and port, in lower case and without the scheme's default port.
    fn origin(&self) -> String {
        let scheme = self.scheme.to_ascii_lowercase();
        let authority = self.authority.unwrap_or_default().to_ascii_lowercase();
        let (host, port) = split_port(&authority);
        let default_port = if scheme == "https" { 443 } else { 80 };
        match port.parse::<u16>() {
            Ok(port) if port != default_port => format!("{scheme}://{host}:{port}"),
            _ => format!("{scheme}://{host}"),
        }
    }

    fn path_or_slash(&self) -> &'a str {
        if self.path.is_empty() { "/" } else { self.path }
    }

    fn has_user_information(&self) -> bool {
        self.authority.is_some_and(|authority| authority.contains('@'))
    }
}

/// Takes the bytes at the start of a text that are of one kind of ASCII.
fn take_while<'a>(text: &mut &'a str, is_of_kind: impl Fn(u8) -> bool) -> &'a str {
    let end = text.bytes().position(|byte| !is_of_kind(byte)).unwrap_or(text.len());
    let (taken, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    *text = rest;
    taken
}

/// Skips a prefix; returns whether it was there.
fn skip(text: &mut &str, prefix: &str) -> bool {
    let rest = text.strip_prefix(prefix);
    *text = rest.unwrap_or(text);
    rest.is_some()
}

/// Splits an authority into host and port; the colons of an IPv6 address belong to its host.
fn split_port(authority: &str) -> (&str, &str) {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port),
        _ => (authority, ""),
    }
}

fn is_scheme_character(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'-' | b'.')
}

fn is_host_character(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_')
}

/// Returns whether a label of a host is empty; a dot at the end is the root of the DNS (RFC 1034 §3.1).
fn has_empty_label(host: &str) -> bool {
    host.strip_suffix('.').unwrap_or(host).split('.').any(str::is_empty)
}

/// Returns whether a segment of a path is `.` or `..`, each dot as it is or escaped.
fn is_dot_segment(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

/// Returns whether RFC 3986 §2 lets a URI hold this byte before its fragment.
pub(crate) fn is_uri_character(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
}

/// Schemes whose URIs a browser runs or shows itself, or fetches in another way than by HTTP; none of them
/// brings a callback to an app. Anything else may be the scheme of one: RFC 8252 §7.1 asks for a domain name
/// in reverse, and not every app has one.
const NO_APP: &[&str] = &[
    "about",
    "blob",
    "cid",
    "content",
    "data",
    "feed",
    "file",
    "filesystem",
    "ftp",
    "ftps",
    "geo",
    "gopher",
    "intent",
    "jar",
    "javascript",
    "jscript",
    "ldap",
    "ldaps",
    "livescript",
    "magnet",
    "mailto",
    "mhtml",
    "mocha",
    "resource",
    "sftp",
    "sms",
    "ssh",
    "tel",
    "telnet",
    "vbs",
    "vbscript",
    "view-source",
    "ws",
    "wss",
    "wyciwyg",
];

const FOREIGN_CHARACTER: &str = "holds a character that no URI has; percent-encode it";

const USER_INFORMATION: &str = "holds user information; remove what stands before the @";

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(Resource::parse(uri).is_ok(), absolute, "{uri:?}");
            assert_eq!(RedirectUri::parse(uri, &[]).is_ok(), absolute, "{uri:?}");
        }
    }

    #[test]
    fn rfc3986_section_6_spellings_of_one_endpoint_have_one_normalized_form() {
        for (spelling, normalized) in [
            ("https://as.example/token", "https://as.example/token"),
            ("HTTPS://AS.Example/token", "https://as.example/token"),
            ("https://as.example:443/token", "https://as.example/token"),
            ("https://as.example:0443/token", "https://as.example/token"),
            ("https://as.example:/token", "https://as.example/token"),
            ("https://as.example:80/token", "https://as.example:80/token"),
            ("https://as.example", "https://as.example/"),
            ("https://AS.example:8443", "https://as.example:8443/"),
            ("https://as.example/Token/%7eA?Tenant=A:443", "https://as.example/Token/%7eA?Tenant=A:443"),
            ("https://as.example?Tenant=A", "https://as.example/?Tenant=A"),
            ("http://LOCALHOST:80/token", "http://localhost/token"),
            ("http://localhost:443/token", "http://localhost:443/token"),
            ("http://[::1]/token", "http://[::1]/token"),
            ("http://[::1]:80/token", "http://[::1]/token"),
            ("https://[2001:DB8::1]:8080/token", "https://[2001:db8::1]:8080/token"),
        ] {
            let endpoint = Endpoint::parse(spelling, &[]).unwrap();
            assert_eq!(endpoint.normalized(), normalized);
            assert_eq!(endpoint.as_str(), spelling);
            assert_eq!(Endpoint::parse(normalized, &[]).unwrap().normalized(), normalized);
        }
    }

    #[test]
    fn an_address_is_split_where_its_host_and_its_path_end() {
        for (address, parts) in [
            ("https://as.example", ("https://as.example", "", "")),
            ("https://as.example/", ("https://as.example", "/", "")),
            ("http://[::1]:8080/a/b", ("http://[::1]:8080", "/a/b", "")),
            ("https://as.example/a?b=/c?d", ("https://as.example", "/a", "?b=/c?d")),
            ("https://as.example?", ("https://as.example", "", "?")),
        ] {
            assert_eq!(split_address(address), parts);
        }
    }

    #[test]
    fn an_answer_from_elsewhere_names_no_loopback_address() {
        for (address, home) in [
            ("http://127.0.0.1/a", true),
            ("http://127.9.9.9:1", true),
            ("https://127.0.0.1/", true),
            ("http://[::1]:8080/", true),
            ("https://[::ffff:127.0.0.1]/", true),
            ("http://LOCALHOST:80?a", true),
            ("https://localhost./", true),
            ("https://a.localhost", true),
            ("https://localhost.evil.example/", false),
            ("https://127.0.0.1.evil.example/", false),
            ("https://as.example/localhost", false),
            ("https://[2001:db8::1]/", false),
            ("https://as.example", false),
        ] {
            assert_eq!(leads_home(address, "https://as.example/x"), home, "{address}");
            assert!(!leads_home(address, "http://localhost:1/"), "{address}");
            assert!(!leads_home(address, "https://127.0.0.1"), "{address}");
        }
    }

    #[test]
    fn rfc8141_section_2_a_urn_is_a_namespace_and_a_name_in_it() {
        let namespaces = [2, 32, 33].map(|length| format!("urn:{}:x", "a".repeat(length)));
        for (urn, sound) in [
            ("urn:pleo:company:17", true),
            ("URN:ISBN:0451450523", true),
            ("urn:example:a123,z456", true),
            ("urn:example:1/406/47452/2", true),
            ("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", true),
            ("urn:a-b:%e2%82%AC", true),
            (&namespaces[0], true),
            (&namespaces[1], true),
            (&namespaces[2], false),
            ("urn:a:x", false),
            ("urn:-a:x", false),
            ("urn:a-:x", false),
            ("urn:a_b:x", false),
            ("urn::x", false),
            ("urn:example", false),
            ("urn:example:", false),
            ("urn:example:/a", false),
            ("urn:example:a?=x", false),
            ("urn:example:a?+x", false),
            ("urn:example:a#x", false),
            ("urn:example:a b", false),
            ("urn:example:é", false),
            ("urn:example:[a]", false),
            ("urn:example:%", false),
            ("urn:example:%4", false),
            ("urn:example:%4g", false),
            ("urn:example:%41%", false),
            ("urn:example:a\n", false),
            ("urn://example:a:b", false),
            ("uri:example:a", false),
            ("https://external.pleo.io", false),
            ("17", false),
            ("", false),
        ] {
            assert_eq!(Urn::check(urn).is_ok(), sound, "{urn:?}");
        }
    }

    #[test]
    fn a_page_address_is_http_or_https_and_means_one_host() {
        for (address, sound) in [
            ("https://as.example/device", true),
            ("https://as.example/device?user_code=WDJB-MJHT", true),
            ("https://as.example/#/device?code=A/B", true),
            ("https://as.example/a/../device", true),
            ("https://as.example:8443", true),
            ("http://as.example/device", true),
            ("http://192.0.2.1/device", true),
            ("http://[2001:db8::1]/device", true),
            ("HTTPS://AS.example/device", true),
            ("", false),
            ("as.example/device", false),
            ("//as.example/device", false),
            ("/device", false),
            ("javascript:alert(1)", false),
            ("javascript://as.example/%0aalert(1)", false),
            ("data:text/html,fake", false),
            ("file:///etc/passwd", false),
            ("ftp://as.example/device", false),
            ("https:as.example", false),
            ("https://", false),
            ("https:///device", false),
            ("https://as.example@evil.example/device", false),
            ("https://as.example\\@evil.example/device", false),
            ("https://as.example$(fake)/device", false),
            ("https://127.1/device", false),
            ("https://as.example:99999/device", false),
            ("https://\u{e1}s.example/device", false),
            ("https://as.example/\u{202e}ecived", false),
            ("https://as.example/#\u{202e}ecived", false),
            ("https://as.example/#a#b", false),
            ("https://as.example/device\n", false),
            ("https://as.example/de vice", false),
            ("https://as.example/#\x1b[2J", false),
            ("https://as.example/\"><script>", false),
            (" https://as.example/device", false),
        ] {
            assert_eq!(PageAddress::parse(address).is_ok(), sound, "{address:?}");
        }
        let page = PageAddress::parse("https://as.example/#planted").unwrap();
        assert_eq!(
            (page.as_str(), format!("{page:?}").contains("planted")),
            ("https://as.example/#planted", false)
        );
    }

    #[test]
    fn a_refusal_hides_what_may_be_a_secret() {
        for text in [
            "https://user:planted@app.example/cb",
            "https://app.example/cb?code=planted",
            "https://app.example/cb?x=%FF&y=planted",
            "https://app.example/cb#planted",
        ] {
            let refused = RedirectUri::parse(text, &["code"]).map(|_| ()).unwrap_err().to_string();
            assert!(refused.contains("app.example") && !refused.contains("planted"), "{refused}");
        }
    }
}
