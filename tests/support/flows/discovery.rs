//! The metadata that servers and resources publish.

use libtest_mimic::Failed;
use oauth2_proto::discovery::{ProtectedResource, ResourceDiscovery, ServerDiscovery};
use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Error, Response};

use super::{Flow, authorize, check, receive, send};
use crate::browser::Browser;
use crate::foreign::Facts;

pub const FLOWS: &[Flow] = &[
    Flow {
        title: "a server is found by its issuer",
        is_offered: |facts| facts.metadata_url.is_some(),
        run: server_metadata,
    },
    Flow {
        title: "a server is found at OpenID's address",
        is_offered: |facts| facts.wider.openid_configuration,
        run: openid_configuration,
    },
    Flow {
        title: "a resource names its server",
        is_offered: |facts| facts.wider.api.is_some(),
        run: resource_metadata,
    },
];

/// RFC 8414 §3: the metadata says what the set-up knows, and suffices for a sign-in.
fn server_metadata(facts: &Facts) -> Result<(), Failed> {
    let server = discover(issuer(facts)?)?;
    let metadata = server.metadata();
    let endpoints = [
        ("authorization", metadata.authorization_endpoint(), Some(&facts.authorization_endpoint)),
        ("token", Some(metadata.token_endpoint()), Some(&facts.token_endpoint)),
        ("revocation", metadata.revocation_endpoint(), facts.revocation_endpoint.as_ref()),
        ("introspection", metadata.introspection_endpoint(), facts.introspection_endpoint.as_ref()),
        ("registration", metadata.registration_endpoint(), facts.wider.registration_endpoint.as_ref()),
    ];
    for (name, found, expected) in endpoints {
        let expected = expected.map(String::as_str);
        check(found == expected, format!("{name} endpoint: {found:?}, and not {expected:?}"))?;
    }
    sign_in(server.clone(), facts)?;

    // The address of another issuer has no document, or one that names its own.
    let other = format!("{}/fake-tenant", issuer(facts)?);
    check(discover(&other).is_err(), "another issuer has this server's metadata")
}

/// OpenID Connect Discovery §4: the same, where RFC 8414's address has nothing.
fn openid_configuration(facts: &Facts) -> Result<(), Failed> {
    sign_in(discover_openid(facts)?, facts)
}

/// RFC 9728 §3: the resource's own address leads to its authorization server.
fn resource_metadata(facts: &Facts) -> Result<(), Failed> {
    let api = facts.wider.api.as_deref().ok_or("there is no resource")?;
    let resource = discover_resource(ResourceDiscovery::new(api)?)?;
    check(resource.resource() == api, format!("it is {:?}", resource.resource()))?;
    let supported: Vec<_> = resource.scopes_supported().into_iter().flatten().collect();
    check(supported.contains(&facts.scopes[0].as_str()), format!("with the scopes {supported:?}"))?;
    let methods: Vec<_> = resource.bearer_methods_supported().into_iter().flatten().collect();
    check(methods == ["header"], format!("with tokens in {methods:?}"))?;
    let servers: Vec<_> = resource.authorization_servers().collect();
    check(servers == [issuer(facts)?], format!("with the servers {servers:?}"))?;
    sign_in(discover(servers[0])?, facts)
}

pub fn issuer(facts: &Facts) -> Result<&str, Failed> {
    Ok(facts.issuer.as_deref().ok_or("there is no issuer")?)
}

/// The server with this issuer identifier.
pub fn discover(issuer: &str) -> Result<AuthorizationServer, Error> {
    walk(ServerDiscovery::new(issuer)?.require_pkce_announced())
}

/// The server as OpenID's address describes it.
pub fn discover_openid(facts: &Facts) -> Result<AuthorizationServer, Failed> {
    let mut discovery = ServerDiscovery::new(issuer(facts)?)?.require_pkce_announced();
    let no_headers: [(&str, &str); 0] = [];
    match discovery.call().read(Response::new(404, no_headers, b"")) {
        Ok(_) => return Err("an empty 404 is no metadata".into()),
        Err(error) => discovery.next_address(error)?,
    }
    Ok(walk(discovery)?)
}

fn walk(mut discovery: ServerDiscovery) -> Result<AuthorizationServer, Error> {
    loop {
        match send(discovery.call()) {
            Ok(server) => return Ok(server),
            Err(error) => discovery.next_address(error)?,
        }
    }
}

/// The metadata of a resource.
pub fn discover_resource(mut discovery: ResourceDiscovery) -> Result<ProtectedResource, Error> {
    loop {
        match send(discovery.call()) {
            Ok(resource) => return Ok(resource),
            Err(error) => discovery.next_address(error)?,
        }
    }
}

/// Signs in at a server that is known by its metadata alone.
fn sign_in(server: AuthorizationServer, facts: &Facts) -> Result<(), Failed> {
    let auth = ClientAuth::basic(facts.client_secret.as_str());
    let client = Client::new(server, facts.client_id.as_str(), auth)?;
    let (url, mut pending) = authorize(&client, facts)?;
    let callback = Browser::new().sign_in(&url, &facts.redirect_uris[0])?;
    send(&receive(&client, &mut pending, &callback)?).map(drop).map_err(Failed::from)
}
