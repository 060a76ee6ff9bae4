//! Revocation (RFC 7009) and introspection (RFC 7662): the mirror of `src/management`.

#[path = "../../examples/support/server.rs"]
mod embedded;
#[path = "../support/responses.rs"]
mod responses;
#[allow(dead_code, reason = "this program needs a part of it")]
#[path = "../support/mod.rs"]
mod support;

mod answers;
mod embedded_server;
mod introspection;
mod revocation;
mod vectors;

use oauth2_proto::management::{Introspection, Revocation};
use oauth2_proto::{AuthorizationServer, Call, Client, Secret};
use std::time::SystemTime;

/// A server with both endpoints.
#[track_caller]
fn server() -> AuthorizationServer {
    let server = support::server().revocation_endpoint("https://as.example/revoke").unwrap();
    server.introspection_endpoint("https://as.example/introspect").unwrap()
}

#[track_caller]
fn client() -> Client {
    support::client_of(server())
}

#[track_caller]
fn revocation() -> Call<Revocation> {
    client().revoke(&Secret::new("fake-token")).start(SystemTime::UNIX_EPOCH).unwrap()
}

#[track_caller]
fn introspection() -> Call<Introspection> {
    client().introspect(&Secret::new("fake-token")).start(SystemTime::UNIX_EPOCH).unwrap()
}
