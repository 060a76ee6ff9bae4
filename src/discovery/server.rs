//! The discovery of an authorization server (RFC 8414 §3, OpenID Connect Discovery §4).

use std::fmt;

use crate::answer;
use crate::call::{Call, Readable, Reply, Response, sealed};
use crate::discovery::addresses::{Search, well_known};
use crate::discovery::document;
use crate::error::Error;
use crate::server::AuthorizationServer;
use crate::text::foreign::ForeignAddress;
use crate::text::uri::{Issuer, split_address};

/// The search for the metadata of an authorization server, at one address after the other.
///
/// An issuer with a path has three addresses, which are asked in this order:
///
/// 1. `/.well-known/oauth-authorization-server/path` (RFC 8414 §3.1),
/// 2. `/.well-known/openid-configuration/path` (RFC 8414 §5),
/// 3. `/path/.well-known/openid-configuration` (OpenID Connect Discovery §4.1).
///
/// An issuer without a path has the first two.
///
/// ```
/// use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Error, Request, Response};
/// use oauth2_proto::discovery::ServerDiscovery;
///
/// fn discover(
///     issuer: &str,
///     send: impl Fn(&Request) -> Response<'static>,
/// ) -> Result<AuthorizationServer, Error> {
///     let mut discovery = ServerDiscovery::new(issuer)?;
///     loop {
///         let call = discovery.call();
///         match call.read(send(call.request())) {
///             Ok(server) => return Ok(server),
///             Err(error) => discovery.next_address(error)?,
///         }
///     }
/// }
///
/// # fn main() -> Result<(), oauth2_proto::Error> {
/// let server = discover("https://as.example/tenant", |request| match request.url() {
///     "https://as.example/tenant/.well-known/openid-configuration" => {
///         let json = [("content-type", "application/json")];
///         let body = br#"{"issuer":"https://as.example/tenant",
///             "authorization_endpoint":"https://as.example/tenant/authorize",
///             "token_endpoint":"https://as.example/tenant/token",
///             "response_types_supported":["code"]}"#;
///         Response::new(200, json, body)
///     }
///     _ => Response::new(404, [("content-type", "text/html")], b""),
/// })?;
/// assert_eq!(server.metadata().token_endpoint(), "https://as.example/tenant/token");
/// let client = Client::new(server, "client-id", ClientAuth::none())?;
/// # Ok(())
/// # }
/// ```
///
/// # What a document must be
///
/// The issuer in it is the one that was asked for, byte for byte: a slash more is another issuer (RFC 8414
/// §3.3). It has a token endpoint, and an authorization endpoint unless the grant types in it do without one;
/// both must obey the rules of [`AuthorizationServer::new`]. If it lists response types or code challenge
/// methods, `code` and `S256` are among them.
///
/// Another endpoint with an unsound address is left out; the operation that needs it then says what is wrong.
/// `signed_metadata` is not read.
///
/// The defaults of RFC 8414 §2 are not applied: many servers leave out `grant_types_supported` and
/// `token_endpoint_auth_methods_supported`, and support more than the defaults. An absent list means unknown.
/// If a list is there and wrong, replace it by the methods of [`AuthorizationServer`].
///
/// # What your program decides
///
/// Whoever names the issuer chooses an address that your program sends a GET to, and the document chooses
/// those of the later requests. If this is not you, restrict the addresses that your HTTP client may reach,
/// or it can be led into your own network. The crate refuses everything but `https`, and `http` to loopback
/// addresses, and a loopback address in the document of a server elsewhere. It follows no redirects.
pub struct ServerDiscovery {
    search: Search<ServerMetadata>,
}

impl ServerDiscovery {
    /// Starts the search for the server with this issuer identifier.
    ///
    /// # Errors
    ///
    /// Misuse, if the issuer is not `https` (or `http` to a loopback address), has user information, a query
    /// or a fragment (RFC 8414 §2), or is the well-known address of the document itself.
    pub fn new(issuer: &str) -> Result<Self, Error> {
        Issuer::parse(issuer)
            .map_err(|refused| Error::misuse(format!("the issuer {refused} (RFC 8414 section 2)")))?;
        if issuer.contains("/.well-known/") {
            return Err(Error::misuse(format!(
                "the issuer {} is the address of a metadata document; pass the issuer that the document names",
                ForeignAddress(issuer)
            )));
        }
        let mut addresses = vec![well_known(issuer, "openid-configuration")];
        // RFC 8414 §3.1 and OpenID Connect Discovery §4.1: without the slash that ends the path.
        let base = issuer.strip_suffix('/').unwrap_or(issuer);
        if !split_address(base).1.is_empty() {
            addresses.push(format!("{base}/.well-known/openid-configuration"));
        }
        let asked = issuer.to_owned();
        let context = ServerContext { issuer: asked.clone(), asked, requires_pkce: false };
        let first = well_known(issuer, "oauth-authorization-server");
        Ok(Self { search: Search::new(first, addresses, context) })
    }

    /// Refuses a server that does not announce PKCE, as MCP requires (RFC 8414 §2: an absent
    /// `code_challenge_methods_supported` means that it has none). By default, the absent list passes,
    /// because large providers support `S256` without listing it.
    pub fn require_pkce_announced(mut self) -> Self {
        self.search.call.context.requires_pkce = true;
        self
    }

    /// Expects this issuer in the document, instead of the one that its address is made of.
    ///
    /// RFC 8414 §3.3 forbids this, because it lets one server speak for another. Use it only for a server
    /// that is known to differ, with the text from its documentation. The server then has this issuer, with
    /// which the `iss` of a callback is compared. If the text is no URL, as Entra's
    /// `https://login.microsoftonline.com/{tenantid}/v2.0`, the server has none, and `iss` is not compared:
    /// set the true one with [`AuthorizationServer::issuer`] where you know it.
    ///
    /// ```
    /// use oauth2_proto::discovery::ServerDiscovery;
    /// use oauth2_proto::Response;
    ///
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// let template = "https://login.microsoftonline.com/{tenantid}/v2.0";
    /// let discovery = ServerDiscovery::new("https://login.microsoftonline.com/common/v2.0")?
    ///     .issuer_differs(template);
    /// let body = format!(
    ///     r#"{{"issuer":"{template}",
    ///         "authorization_endpoint":"https://login.microsoftonline.com/common/authorize",
    ///         "token_endpoint":"https://login.microsoftonline.com/common/token"}}"#
    /// );
    /// let json = [("content-type", "application/json")];
    /// let server = discovery.call().read(Response::new(200, json, body.as_bytes()))?;
    /// assert_eq!(server.metadata().issuer(), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn issuer_differs(mut self, issuer: impl Into<String>) -> Self {
        self.search.call.context.issuer = issuer.into();
        self
    }

    /// Returns the call for the current address: a GET without credentials.
    ///
    /// After a failure to send it, send it again, or give up.
    pub fn call(&self) -> &Call<ServerMetadata> {
        &self.search.call
    }

    /// Goes on to the next address after an error of [`call`](Self::call).
    ///
    /// # Errors
    ///
    /// - The error itself, if its advice is [`RetryLater`](crate::Advice::RetryLater): send the same call
    ///   again. If the server keeps answering so, [`skip_address`](Self::skip_address) goes on.
    /// - The most telling error of all addresses, if this was the last one.
    pub fn next_address(&mut self, error: Error) -> Result<(), Error> {
        self.search.next(error)
    }

    /// Goes on to the next address after any error, for a server that fails with 500 where it has no
    /// document.
    ///
    /// # Errors
    ///
    /// The most telling error of all addresses, if this was the last one. If it is one that was skipped,
    /// begin the discovery again later.
    pub fn skip_address(&mut self, error: Error) -> Result<(), Error> {
        self.search.skip(error)
    }
}

/// The [`Reply`] that is read as the [`AuthorizationServer`] that a document describes.
#[derive(Debug)]
pub enum ServerMetadata {}

/// The context that the reader of a server's metadata needs.
#[derive(Clone)]
pub struct ServerContext {
    /// The issuer that the document must have.
    issuer: String,
    /// The issuer that the addresses of the document are made of.
    asked: String,
    requires_pkce: bool,
}

impl Reply for ServerMetadata {}

impl sealed::Reply for ServerMetadata {
    type Context = ServerContext;
}

impl Readable for ServerMetadata {
    type Output = AuthorizationServer;

    fn read(response: Response<'_>, context: &ServerContext) -> Result<AuthorizationServer, Error> {
        let (members, extras) = answer::read(&response, document::NAMES).map_err(Error::without_grant)?;
        let document = document::read(members, extras)?;
        let issuer = document.issuer.ok_or_else(|| answer::missing("issuer"))?;
        if issuer != context.issuer {
            return Err(Error::untrusted(format!(
                "the document is of the issuer {}, not of {}, so it must not be used (RFC 8414 section 3.3)",
                ForeignAddress(&issuer),
                ForeignAddress(&context.issuer)
            )));
        }
        let server = document.server;
        check_endpoints(&server)?;
        let aliases = server.mtls_endpoint_aliases.iter().flat_map(|aliases| aliases.iter());
        let aliases = aliases.map(|(_, alias)| alias);
        for endpoint in server.endpoints().iter().filter_map(|(_, endpoint)| *endpoint).chain(aliases) {
            answer::check_host("the endpoint", endpoint.as_str(), "the server", &context.asked)?;
        }
        check_support(&server, context.requires_pkce)?;
        // A template that `issuer_differs` expects is no issuer.
        Ok(AuthorizationServer { issuer: Issuer::parse(&issuer).ok(), ..server })
    }
}

/// Refuses a document without an authorization endpoint whose grant types need one. If there is no list of
/// them, the authorization code grant is among the default (RFC 8414 §2).
fn check_endpoints(server: &AuthorizationServer) -> Result<(), Error> {
    let does_without = || {
        let mut grant_types = server.metadata().grant_types_supported()?;
        Some(!grant_types.any(|grant_type| matches!(grant_type, "authorization_code" | "implicit")))
    };
    match server.authorization_endpoint.is_some() || does_without().unwrap_or(false) {
        true => Ok(()),
        false => Err(answer::missing("authorization_endpoint")),
    }
}

/// Refuses a server whose lists lack what every authorization of this crate uses.
fn check_support(server: &AuthorizationServer, requires_pkce: bool) -> Result<(), Error> {
    let metadata = server.metadata();
    let lists_s256 =
        metadata.code_challenge_methods_supported().map(|mut methods| methods.any(|method| method == "S256"));
    let lists_code = metadata.response_types_supported().map(|mut types| types.any(|kind| kind == "code"));
    match (lists_s256, lists_code) {
        (Some(false), _) => Err(Error::unsupported("S256 is not among its code_challenge_methods_supported")),
        (None, _) if requires_pkce => Err(Error::unsupported(
            "it has no code_challenge_methods_supported, so it does not announce PKCE",
        )),
        (_, Some(false)) => Err(Error::unsupported("code is not among its response_types_supported")),
        _ => Ok(()),
    }
}

impl fmt::Debug for ServerDiscovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.search.fmt("ServerDiscovery", f)
    }
}
