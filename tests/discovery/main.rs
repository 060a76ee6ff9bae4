//! The metadata of authorization servers and protected resources: the mirror of `src/discovery`.

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

mod attacks;
mod resource;
mod server;
mod stored;
mod vectors;

use oauth2_proto::discovery::{ProtectedResource, ResourceDiscovery, ServerDiscovery};
use oauth2_proto::{AuthorizationServer, Error, Response};
use serde_json::{Value, json};

/// A JSON answer.
pub fn answer(status: u16, body: &str) -> Response<'static> {
    Response::new(status, [("content-type", "application/json")], body.as_bytes()).into_owned()
}

/// The document of a server whose endpoints are below its issuer.
pub fn document(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
    })
}

/// Reads a document at the first address.
pub fn read(discovery: &ServerDiscovery, document: &Value) -> Result<AuthorizationServer, Error> {
    discovery.call().read(answer(200, &document.to_string()))
}

/// Reads a document of `https://as.example`.
pub fn read_document(document: &Value) -> Result<AuthorizationServer, Error> {
    read(&ServerDiscovery::new("https://as.example").unwrap(), document)
}

/// Reads a resource's document at the current address.
pub fn read_resource(discovery: &ResourceDiscovery, document: &Value) -> Result<ProtectedResource, Error> {
    discovery.call().read(answer(200, &document.to_string()))
}

/// The addresses of a server's discovery, in their order.
#[track_caller]
pub fn server_addresses(issuer: &str) -> Vec<String> {
    let mut discovery = ServerDiscovery::new(issuer).unwrap();
    addresses(|| {
        let call = discovery.call();
        let (url, error) = (call.request().url().to_owned(), call.read(answer(404, "")).unwrap_err());
        (url, discovery.next_address(error).is_ok())
    })
}

/// The addresses of a resource's discovery, in their order.
#[track_caller]
pub fn resource_addresses(mut discovery: ResourceDiscovery) -> Vec<String> {
    addresses(|| {
        let call = discovery.call();
        let (url, error) = (call.request().url().to_owned(), call.read(answer(404, "")).unwrap_err());
        (url, discovery.next_address(error).is_ok())
    })
}

/// The addresses that `ask` asks, one for each call, until it says that there is no other.
#[track_caller]
fn addresses(mut ask: impl FnMut() -> (String, bool)) -> Vec<String> {
    let mut addresses = Vec::new();
    for _ in 0..MORE_THAN_ALL {
        let (url, goes_on) = ask();
        addresses.push(url);
        if !goes_on {
            return addresses;
        }
    }
    panic!("a discovery that does not end: {addresses:?}")
}

/// A number of addresses that no discovery has.
const MORE_THAN_ALL: usize = 10;
