//! The JWT bearer grant.

use oauth2_proto::error::ErrorKind;
use oauth2_proto::{Advice, AuthorizationServer, Client, ClientAuth, Response, Secret};
use std::time::SystemTime;

use crate::responses::json;
use crate::support::{client, client_of, server};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

#[test]
fn rfc7523_section_4_the_request() {
    let server =
        AuthorizationServer::without_authorization_endpoint("https://as.example.com/token.oauth2").unwrap();
    let client = Client::new(server, "fake-client", ClientAuth::basic("fake-secret")).unwrap();
    let assertion = Secret::new("eyJhbGciOiJFUzI1NiIsImtpZCI6IjE2In0.fake.fake");
    let call = client.jwt_bearer(&assertion).start(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(call.request().url(), "https://as.example.com/token.oauth2");
    assert_eq!(
        call.request().body(),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer\
         &assertion=eyJhbGciOiJFUzI1NiIsImtpZCI6IjE2In0.fake.fake"
    );
}

#[test]
fn rfc7521_section_4_1_scope_may_be_asked_for_and_the_client_is_named() {
    let client = Client::new(server(), "fake-client", ClientAuth::none()).unwrap();
    let assertion = Secret::new("fake.jwt.assertion");
    let call = client
        .jwt_bearer(&assertion)
        .scopes(["a", "b"])
        .resource("https://api.example/")
        .start(SystemTime::UNIX_EPOCH)
        .unwrap();
    let pairs = [
        ("grant_type", GRANT_TYPE),
        ("assertion", "fake.jwt.assertion"),
        ("scope", "a b"),
        ("client_id", "fake-client"),
        ("resource", "https://api.example/"),
    ];
    assert_eq!(call.request().form(), pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let tokens = call.read(json(r#"{"access_token":"fake","token_type":"Bearer"}"#)).unwrap();
    assert_eq!(tokens.granted_scopes().collect::<Vec<_>>(), ["a", "b"]);
}

/// RFC 7521 §4.1.1 gives `invalid_grant` to an assertion that is not valid or has expired.
#[test]
fn rfc7521_section_4_1_1_invalid_grant_asks_for_another_assertion() {
    let client = client();
    let call = client.jwt_bearer(&Secret::new("fake.jwt.assertion")).start(SystemTime::UNIX_EPOCH).unwrap();
    let none: [(&str, &str); 0] = [];
    let body = br#"{"error":"invalid_grant","error_description":"Audience validation failed"}"#;
    let error = call.read(Response::new(400, none, body)).unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Refused, Advice::Reauthorize));
}

#[test]
fn misuse_makes_no_request() {
    let client = client();
    let assertion = Secret::new("fake.jwt.assertion");
    for error in [
        client.jwt_bearer(&Secret::new("")).start(SystemTime::UNIX_EPOCH).unwrap_err(),
        client.jwt_bearer(&Secret::new("fake.jwt\n")).start(SystemTime::UNIX_EPOCH).unwrap_err(),
        client.jwt_bearer(&assertion).scopes([""]).start(SystemTime::UNIX_EPOCH).unwrap_err(),
        client.jwt_bearer(&assertion).resource("api").start(SystemTime::UNIX_EPOCH).unwrap_err(),
        client_of(server().grant_types_supported(["refresh_token"]))
            .jwt_bearer(&assertion)
            .start(SystemTime::UNIX_EPOCH)
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
    }
    assert!(
        client_of(server().grant_types_supported([GRANT_TYPE]))
            .jwt_bearer(&assertion)
            .start(SystemTime::UNIX_EPOCH)
            .is_ok()
    );
}
