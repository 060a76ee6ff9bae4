//! The discovery of a protected resource (RFC 9728 §3 and §5).

use std::fmt;

use serde_json::Value;

use crate::answer;
use crate::call::{Call, Readable, Reply, Response, sealed};
use crate::discovery::addresses::{Search, well_known};
use crate::error::Error;
use crate::text::foreign::ForeignAddress;
use crate::text::json::Extras;
use crate::text::uri::{Endpoint, Issuer, Refused, split_address};

/// The search for the metadata of a protected resource, such as an API or an MCP server.
///
/// The addresses are asked in this order, as MCP requires:
///
/// 1. the `resource_metadata` of a challenge (RFC 9728 §5.1), if [`from_challenge`](Self::from_challenge) has
///    one,
/// 2. `/.well-known/oauth-protected-resource/path` (RFC 9728 §3.1),
/// 3. `/.well-known/oauth-protected-resource`, for a resource with a path or a query (MCP).
///
/// Use it like a [`ServerDiscovery`](crate::discovery::ServerDiscovery):
///
/// ```
/// use oauth2_proto::{Error, Request, Response};
/// use oauth2_proto::discovery::{ProtectedResource, ResourceDiscovery};
///
/// fn discover(
///     mut discovery: ResourceDiscovery,
///     send: impl Fn(&Request) -> Response<'static>,
/// ) -> Result<ProtectedResource, Error> {
///     loop {
///         let call = discovery.call();
///         match call.read(send(call.request())) {
///             Ok(resource) => return Ok(resource),
///             Err(error) => discovery.next_address(error)?,
///         }
///     }
/// }
/// ```
///
/// # What a document must be
///
/// The `resource` in it is the URL that was asked for, byte for byte, whether the address is from a challenge
/// or made of the URL (RFC 9728 §3.3). Only the document at the third address, which is the well-known one of
/// the origin, may name the origin instead, such as `https://api.example`, with or without the slash. Each of
/// its `authorization_servers` is a sound issuer. `signed_metadata` is not read.
///
/// # What your program decides
///
/// A challenge comes from the server that was called, which may be hostile: it chooses an address that your
/// program sends a GET to, and through the document the authorization servers. The crate refuses everything
/// but `https` (and `http` to loopback addresses), user information and redirects, and a loopback address
/// that the challenge or the document of a resource elsewhere names. If your program runs where it can reach
/// more than its user can, restrict the addresses that your HTTP client may reach, too. Which of the
/// authorization servers to use, and whether to trust it with a user, is your decision (RFC 9728 §7.6).
pub struct ResourceDiscovery {
    search: Search<ResourceMetadata>,
    /// The address whose document may be of the whole origin.
    root: Option<String>,
}

impl ResourceDiscovery {
    /// Starts the search for the metadata of the resource with this identifier, the URL that is called.
    ///
    /// # Errors
    ///
    /// Misuse, if the identifier is not `https` (or `http` to a loopback address) or has user information or
    /// a fragment (RFC 9728 §1.2).
    pub fn new(resource: &str) -> Result<Self, Error> {
        Self::from_challenge(resource, None)
    }

    /// Starts the search after a challenge: with the value of its parameter `resource_metadata`, if it has
    /// one.
    ///
    /// ```
    /// use oauth2_proto::discovery::ResourceDiscovery;
    ///
    /// let asked = "https://api.example/mcp";
    /// let named = Some("https://meta.example/api");
    /// let discovery = ResourceDiscovery::from_challenge(asked, named)?;
    /// assert_eq!(discovery.call().request().url(), "https://meta.example/api");
    ///
    /// let discovery = ResourceDiscovery::from_challenge(asked, None)?;
    /// let well_known = "https://api.example/.well-known/oauth-protected-resource/mcp";
    /// assert_eq!(discovery.call().request().url(), well_known);
    /// # Ok::<(), oauth2_proto::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - The errors of [`new`](Self::new) for the requested URL.
    /// - Invalid: the address in the challenge is unsound, as a relative one is. [`new`](Self::new) goes on
    ///   without it.
    /// - Suspect: it is a loopback address, and the resource is elsewhere.
    pub fn from_challenge(requested_url: &str, resource_metadata: Option<&str>) -> Result<Self, Error> {
        let requested = Endpoint::parse(requested_url, &[])
            .map_err(|refused| Error::misuse(format!("the resource {refused} (RFC 9728 section 1.2)")))?;
        let named = resource_metadata.map(|url| check_challenge(url, requested_url)).transpose()?;
        let (origin, path, query) = split_address(requested_url);
        let root = well_known(origin, SUFFIX);
        let has_more = !matches!((path, query), ("" | "/", ""));
        let of_path = well_known(requested_url, SUFFIX);
        let first = named.map_or_else(|| of_path.clone(), str::to_owned);
        let mut rest = vec![of_path, root.clone()];
        rest.dedup();
        rest.retain(|url| *url != first);
        // A document that the challenge names must be of the requested URL, even at the root's address.
        let root = Some(root).filter(|root| has_more && named != Some(root));
        let context = ResourceContext { requested, is_root: false, accepts_parent: false };
        Ok(Self { search: Search::new(first, rest, context), root })
    }

    /// Accepts the document of a parent of the requested URL: one with the same origin, and a path whose
    /// segments the requested path begins with.
    ///
    /// RFC 9728 §3.3 forbids this for the address in a challenge, and for the one made of the URL. Many MCP
    /// servers name their origin there, and clients of MCP accept it. The token is then for the parent:
    /// whoever operates the requested path can use it at every other path below that parent.
    pub fn accept_parent(mut self) -> Self {
        self.search.call.context.accepts_parent = true;
        self
    }

    /// Returns the call for the current address: a GET without credentials.
    ///
    /// After a failure to send it, send it again, or give up.
    pub fn call(&self) -> &Call<ResourceMetadata> {
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
        self.search.next(error)?;
        self.mark_root();
        Ok(())
    }

    /// Goes on to the next address after any error, for a server that fails with 500 where it has no
    /// document.
    ///
    /// # Errors
    ///
    /// The most telling error of all addresses, if this was the last one. If it is one that was skipped,
    /// begin the discovery again later.
    pub fn skip_address(&mut self, error: Error) -> Result<(), Error> {
        self.search.skip(error)?;
        self.mark_root();
        Ok(())
    }

    fn mark_root(&mut self) {
        let call = &mut self.search.call;
        call.context.is_root = self.root.as_deref() == Some(call.request().url());
    }
}

const SUFFIX: &str = "oauth-protected-resource";

/// Checks the address that a challenge names.
fn check_challenge<'a>(url: &'a str, requested_url: &str) -> Result<&'a str, Error> {
    let of_challenge =
        |refused: Refused| Error::invalid(format!("the challenge's resource_metadata {refused}"));
    Endpoint::parse(url, &[]).map_err(of_challenge)?;
    answer::check_host("the challenge's resource_metadata", url, "the resource", requested_url)?;
    Ok(url)
}

/// The metadata of a protected resource (RFC 9728 §2).
#[derive(Clone, Debug)]
pub struct ProtectedResource {
    resource: Endpoint,
    authorization_servers: Vec<Issuer>,
    scopes_supported: Option<Vec<String>>,
    bearer_methods_supported: Option<Vec<String>>,
    extras: Extras,
}

impl ProtectedResource {
    /// Returns the resource identifier: the `resource` of requests for a token (RFC 8707 §2).
    pub fn resource(&self) -> &str {
        self.resource.as_str()
    }

    /// Returns the issuers of the authorization servers whose tokens this resource accepts, for
    /// [`ServerDiscovery::new`](crate::discovery::ServerDiscovery::new).
    ///
    /// Registrations, credentials and tokens are for one of them. Store them with its issuer: if a resource
    /// moves to another server, they do not move with it.
    pub fn authorization_servers(&self) -> impl Iterator<Item = &str> {
        self.authorization_servers.iter().map(Issuer::as_str)
    }

    /// Returns the scopes; `None` means unknown. The resource may support others, too.
    pub fn scopes_supported(&self) -> Option<impl Iterator<Item = &str>> {
        Some(self.scopes_supported.as_ref()?.iter().map(String::as_str))
    }

    /// Returns the ways to send a bearer token: `header`, `body`, `query` (RFC 6750 §2); `None` means
    /// unknown.
    pub fn bearer_methods_supported(&self) -> Option<impl Iterator<Item = &str>> {
        Some(self.bearer_methods_supported.as_ref()?.iter().map(String::as_str))
    }

    /// Returns a member that has no method here, such as `dpop_bound_access_tokens_required`, as the resource
    /// sent it. A member that is `null` is absent.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.extras.get(name)
    }
}

/// The [`Reply`] that is read as a [`ProtectedResource`].
#[derive(Debug)]
pub enum ResourceMetadata {}

/// The context that the reader of a resource's metadata needs.
#[derive(Clone)]
pub struct ResourceContext {
    requested: Endpoint,
    /// True if the document may be of the whole origin.
    is_root: bool,
    accepts_parent: bool,
}

impl ResourceContext {
    /// Returns whether a document of this resource may be used for the requested one.
    fn accepts(&self, resource: &str) -> bool {
        let (origin, _, _) = split_address(self.requested.as_str());
        let is_of_origin = || self.is_root && resource.strip_suffix('/').unwrap_or(resource) == origin;
        resource == self.requested.as_str()
            || is_of_origin()
            || self.accepts_parent && self.is_below(resource)
    }

    /// Returns whether the requested URL is below this one. Compares origins in their normal form, and paths
    /// byte for byte.
    fn is_below(&self, parent: &str) -> bool {
        let Ok(parent) = Endpoint::parse(parent, &[]) else { return false };
        let (parent, requested) = (parent.normalized(), self.requested.normalized());
        let (origin, path, query) = split_address(&parent);
        let (requested_origin, requested_path, _) = split_address(&requested);
        let below = requested_path.strip_prefix(path.strip_suffix('/').unwrap_or(path));
        origin == requested_origin
            && query.is_empty()
            && below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    }
}

impl Reply for ResourceMetadata {}

impl sealed::Reply for ResourceMetadata {
    type Context = ResourceContext;
}

impl Readable for ResourceMetadata {
    type Output = ProtectedResource;

    fn read(response: Response<'_>, context: &ResourceContext) -> Result<ProtectedResource, Error> {
        let ([resource, servers, scopes, bearer_methods], mut extras) =
            answer::read(&response, NAMES).map_err(Error::without_grant)?;
        let resource = answer::text("resource", resource)?.ok_or_else(|| answer::missing("resource"))?;
        if !context.accepts(&resource) {
            return Err(Error::untrusted(format!(
                "the document is of the resource {}, not of {}, so it must not be used (RFC 9728 section 3.3)",
                ForeignAddress(&resource),
                ForeignAddress(context.requested.as_str())
            )));
        }
        let servers = answer::texts("authorization_servers", servers)?.unwrap_or_default();
        for server in &servers {
            let asked = context.requested.as_str();
            answer::check_host("the authorization server", server, "the resource", asked)?;
        }
        let servers = servers.iter().map(|issuer| Issuer::parse(issuer)).collect::<Result<_, _>>();
        extras.keep_storable();
        Ok(ProtectedResource {
            resource: Endpoint::parse(&resource, &[])
                .map_err(|refused| Error::invalid(format!("the resource {refused}")))?,
            authorization_servers: servers
                .map_err(|refused| Error::invalid(format!("the authorization server {refused}")))?,
            scopes_supported: answer::texts("scopes_supported", scopes)?,
            bearer_methods_supported: answer::texts("bearer_methods_supported", bearer_methods)?,
            extras,
        })
    }
}

/// The members of a document that have a fixed kind.
const NAMES: &[&str; 4] =
    &["resource", "authorization_servers", "scopes_supported", "bearer_methods_supported"];

impl fmt::Debug for ResourceDiscovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.search.fmt("ResourceDiscovery", f)
    }
}
