//! The requests that use up no grant. A program obeys their advice too, and no sign-in helps with any of
//! them.

use oauth2_proto::call::Readable;
use oauth2_proto::discovery::{ResourceDiscovery, ServerDiscovery};
use oauth2_proto::registration::{self, ClientMetadata, Registered};
use oauth2_proto::{Advice, Call, Error, Response, Secret};
use std::time::SystemTime;

use crate::support::{client_of, server};

/// Reads an answer of these requests, each by its own reader.
#[track_caller]
fn answers(status: u16, body: &str) -> Vec<(&'static str, Error)> {
    let registered = r#"{"client_id":"fake-client","token_endpoint_auth_method":"none",
        "registration_access_token":"fake-token","registration_client_uri":"https://as.example/register/1"}"#;
    let server = server().registration_endpoint("https://as.example/register").unwrap();
    let server = server.introspection_endpoint("https://as.example/introspect").unwrap();
    let server = server.revocation_endpoint("https://as.example/revoke").unwrap();
    let server = server.device_authorization_endpoint("https://as.example/device").unwrap();
    let metadata = ClientMetadata::new().redirect_uris(["https://app.example/callback"]);
    let registration = registration::register(&server, &metadata).start().unwrap();
    let registered: Registered = registration.read(response(201, registered)).unwrap();
    let (client, token) = (client_of(server), Secret::new("fake-token"));
    vec![
        ("server", refused(ServerDiscovery::new("https://as.example").unwrap().call(), status, body)),
        ("resource", refused(ResourceDiscovery::new("https://api.example").unwrap().call(), status, body)),
        ("register", refused(&registration, status, body)),
        ("read", refused(&registered.read().unwrap(), status, body)),
        ("update", refused(&registered.update(&metadata).unwrap(), status, body)),
        ("delete", refused(&registered.delete().unwrap(), status, body)),
        ("revoke", refused(&client.revoke(&token).start(SystemTime::UNIX_EPOCH).unwrap(), status, body)),
        (
            "introspect",
            refused(&client.introspect(&token).start(SystemTime::UNIX_EPOCH).unwrap(), status, body),
        ),
        (
            "device",
            refused(&client.device_authorization().start(SystemTime::UNIX_EPOCH).unwrap(), status, body),
        ),
    ]
}

#[track_caller]
fn refused<R: Readable>(call: &Call<R>, status: u16, body: &str) -> Error {
    call.read(response(status, body)).map(|_| ()).unwrap_err()
}

fn response(status: u16, body: &str) -> Response<'_> {
    Response::new(status, [("content-type", "application/json")], body.as_bytes())
}

/// A program that obeys would sign the user in, ask again and get the same answer, without end. After a
/// disconnect it would connect the user again.
#[test]
fn no_answer_sends_the_user_to_sign_in() {
    for code in
        ["invalid_grant", "expired_token", "login_required", "consent_required", "interaction_required"]
    {
        for status in [400, 401, 403, 404] {
            for (what, error) in answers(status, &format!("{{\"error\":\"{code}\"}}")) {
                assert_eq!((error.advice(), error.code()), (Advice::Stop, Some(code)), "{what}: {error}");
            }
        }
        for (what, error) in answers(503, &format!("{{\"error\":\"{code}\"}}")) {
            assert_eq!(error.advice(), Advice::RetryLater, "{what}: {error}");
        }
    }
}

#[test]
fn the_other_codes_keep_their_advice() {
    for (code, advice) in [
        ("access_denied", Advice::Declined),
        ("invalid_client", Advice::FixConfiguration),
        ("temporarily_unavailable", Advice::RetryLater),
        ("invalid_token", Advice::Stop),
    ] {
        for (what, error) in answers(400, &format!("{{\"error\":\"{code}\"}}")) {
            assert_eq!(error.advice(), advice, "{what}: {error}");
        }
    }
}
