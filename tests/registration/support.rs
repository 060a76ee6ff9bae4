//! A server, metadata, and registrations at it.

use std::time::{Duration, SystemTime};

use oauth2_proto::error::ErrorKind;
use oauth2_proto::registration::{self, ClientMetadata, Registered};
use oauth2_proto::{AuthorizationServer, Error, Response};

pub const MANAGEMENT: &str = "https://as.example/register?client_id=fake-client";

pub fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A server without an issuer, with a registration endpoint.
#[track_caller]
pub fn anonymous_server() -> AuthorizationServer {
    AuthorizationServer::new("https://as.example/authorize", "https://as.example/token")
        .unwrap()
        .registration_endpoint("https://as.example/register")
        .unwrap()
}

#[track_caller]
pub fn server() -> AuthorizationServer {
    anonymous_server().issuer("https://as.example").unwrap()
}

pub fn metadata() -> ClientMetadata {
    ClientMetadata::new().client_name("Fake App").redirect_uris(["https://app.example/callback"])
}

pub fn json(status: u16, body: &str) -> Response<'_> {
    Response::new(status, [("content-type", "application/json")], body.as_bytes())
}

/// Registers the metadata at the server, which answers with these members.
#[track_caller]
pub fn register_at(
    server: &AuthorizationServer,
    metadata: &ClientMetadata,
    answer: &str,
) -> Result<Registered, Error> {
    registration::register(server, metadata).start().unwrap().read(json(201, answer))
}

#[track_caller]
pub fn registered(answer: &str) -> Registered {
    register_at(&server(), &metadata(), answer).unwrap()
}

/// A registration with a secret, which can be managed.
#[track_caller]
pub fn managed() -> Registered {
    registered(&format!(
        r#"{{"client_id":"fake-client","client_secret":"fake-secret","client_secret_expires_at":1700000000,
            "client_id_issued_at":1600000000,"registration_access_token":"fake-token",
            "registration_client_uri":"{MANAGEMENT}","client_name":"Fake App","scope":"read",
            "tos_uri":null,"redirect_uris":["https://app.example/callback"]}}"#
    ))
}

/// The result is a misuse whose message contains this text.
#[track_caller]
pub fn misuse<T>(result: Result<T, Error>, says: &str) {
    let error = result.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

/// The token and the address that manage a registration.
pub fn management(registered: &Registered) -> Option<(&str, &str)> {
    let token = registered.registration_access_token()?;
    Some((token.expose(), registered.registration_client_uri()?))
}

pub fn secret(registered: &Registered) -> Option<&str> {
    registered.client_secret().map(|secret| secret.expose())
}
