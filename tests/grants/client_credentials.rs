//! The client credentials grant, without a `Session`.

use std::time::{Duration, SystemTime};

use oauth2_proto::error::ErrorKind;
use oauth2_proto::{Advice, AuthorizationServer, Client, ClientAuth, Response, Secret};

use crate::responses::json;
use crate::support::{client, client_of, server};

/// The RFC's client, with the example's credentials.
#[track_caller]
fn rfc_client() -> Client {
    let server =
        AuthorizationServer::without_authorization_endpoint("https://server.example.com/token").unwrap();
    Client::new(server, "s6BhdRkqt3", ClientAuth::basic("gX1fBat3bV")).unwrap()
}

#[test]
fn rfc6749_section_4_4_2_the_request() {
    let client = rfc_client();
    let call = client.client_credentials().start(SystemTime::UNIX_EPOCH).unwrap();
    let request = call.request();
    assert_eq!((request.method(), request.url()), ("POST", "https://server.example.com/token"));
    assert_eq!(request.header("authorization"), Some("Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"));
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(request.body(), "grant_type=client_credentials");
}

#[test]
fn rfc6749_section_4_4_3_the_response() {
    let body = r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"example","expires_in":3600,
        "example_parameter":"example_value"}"#;
    let server = AuthorizationServer::without_authorization_endpoint("https://server.example.com/token")
        .unwrap()
        .tolerate(oauth2_proto::server::Leniency::AnyTokenType);
    let client = Client::new(server, "s6BhdRkqt3", ClientAuth::basic("gX1fBat3bV")).unwrap();
    let tokens = client.client_credentials().start(SystemTime::UNIX_EPOCH).unwrap().read(json(body)).unwrap();
    assert_eq!(tokens.access_token().expose(), "2YotnFZFEjr1zCsicMWpAA");
    assert_eq!(tokens.token_type().to_string(), "\"example\"");
    assert_eq!(tokens.expires_in(), Some(Duration::from_secs(3600)));
    assert_eq!(tokens.extra("example_parameter").unwrap(), "example_value");
    assert!(tokens.refresh_token().is_none());
}

/// The response SHOULD NOT bring a refresh token. One that comes takes nothing away.
#[test]
fn rfc6749_section_4_4_3_a_refresh_token_in_the_answer_is_shown() {
    let body = r#"{"access_token":"fake","token_type":"Bearer","refresh_token":"fake-refresh"}"#;
    let tokens =
        client().client_credentials().start(SystemTime::UNIX_EPOCH).unwrap().read(json(body)).unwrap();
    assert_eq!(tokens.access_token().expose(), "fake");
    assert_eq!(tokens.refresh_token().map(Secret::expose), Some("fake-refresh"));
}

#[test]
fn scopes_resources_and_parameters_are_sent() {
    let client = client();
    let call = client
        .client_credentials()
        .scopes(["a", "b"])
        .resource("https://api.example/")
        .resource("https://other.example/")
        .parameter("audience", "https://api.example/v2?x=1&y")
        .start(SystemTime::UNIX_EPOCH)
        .unwrap();
    assert_eq!(
        call.request().body(),
        "grant_type=client_credentials&scope=a+b&resource=https%3A%2F%2Fapi.example%2F\
         &resource=https%3A%2F%2Fother.example%2F&audience=https%3A%2F%2Fapi.example%2Fv2%3Fx%3D1%26y"
    );
    let tokens = call.read(json(r#"{"access_token":"fake","token_type":"Bearer","scope":"a"}"#)).unwrap();
    assert_eq!(tokens.missing_scopes().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn rfc6749_section_4_4_a_public_client_is_refused() {
    let client = Client::new(server(), "fake-client", ClientAuth::none()).unwrap();
    let error = client.client_credentials().start(SystemTime::UNIX_EPOCH).unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Misuse, Advice::FixConfiguration));
    assert!(error.to_string().contains("ClientAuth::basic"), "{error}");
    let post = Client::new(server(), "fake-client", ClientAuth::post("fake-secret")).unwrap();
    let call = post.client_credentials().start(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(
        call.request().body(),
        "grant_type=client_credentials&client_id=fake-client&client_secret=fake-secret"
    );
}

#[test]
fn misuse_makes_no_request() {
    let client = client_of(
        AuthorizationServer::new("https://as.example/authorize", "https://as.example/token?tenant=7")
            .unwrap(),
    );
    for (parameters, says) in [
        (&[("scope", "a")] as &[_], "`scopes`"),
        (&[("resource", "https://api.example")], "`resource`"),
        (&[("grant_type", "password")], "this crate sets"),
        (&[("client_id", "other")], "this crate sets"),
        (&[("client_secret", "fake")], "this crate sets"),
        (&[("client_assertion", "fake")], "this crate sets"),
        (&[("client_assertion_type", "fake")], "this crate sets"),
        (&[("", "x")], "section 8.2"),
        (&[("a b", "x")], "section 8.2"),
        (&[("a=b&scope", "x")], "section 8.2"),
        (&[("ä", "x")], "section 8.2"),
        (&[("audience", "a"), ("x", "y"), ("audience", "b")], "twice"),
        (&[("tenant", "8")], "counting the token endpoint's query"),
    ] {
        let request = parameters
            .iter()
            .fold(client.client_credentials(), |request, (name, value)| request.parameter(name, value));
        let error = request.start(SystemTime::UNIX_EPOCH).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains(says), "{parameters:?}: {error}");
    }
    for name in ["audience", "A-z.0_9"] {
        assert!(
            client.client_credentials().parameter(name, "x").start(SystemTime::UNIX_EPOCH).is_ok(),
            "{name}"
        );
    }
    for error in [
        client.client_credentials().scopes(["a b"]).start(SystemTime::UNIX_EPOCH).unwrap_err(),
        client
            .client_credentials()
            .resource("https://api.example/#x")
            .start(SystemTime::UNIX_EPOCH)
            .unwrap_err(),
        client_of(server().grant_types_supported(["refresh_token"]))
            .client_credentials()
            .start(SystemTime::UNIX_EPOCH)
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
    }
}

/// A program that obeys blindly must not send anybody to sign in: there is no user.
#[test]
fn no_error_asks_for_a_user() {
    let client = client_of(server().invalid_grant_codes(["bad_client"]));
    let call = client.client_credentials().start(SystemTime::UNIX_EPOCH).unwrap();
    for (status, body, advice) in [
        (400, r#"{"error":"invalid_grant"}"#, Advice::FixConfiguration),
        (400, r#"{"error":"bad_client"}"#, Advice::FixConfiguration),
        (400, r#"{"error":"login_required"}"#, Advice::FixConfiguration),
        // Auth0 says so of a client that has no grant for the audience.
        (403, r#"{"error":"access_denied"}"#, Advice::FixConfiguration),
        (401, r#"{"error":"invalid_client"}"#, Advice::FixConfiguration),
        (400, r#"{"error":"expired_code"}"#, Advice::Stop),
        (400, "", Advice::Stop),
        (503, r#"{"error":"invalid_grant"}"#, Advice::RetryLater),
        (400, r#"{"error":"temporarily_unavailable"}"#, Advice::RetryLater),
    ] {
        let none: [(&str, &str); 0] = [];
        let error = call.read(Response::new(status, none, body.as_bytes())).unwrap_err();
        assert_eq!(error.advice(), advice, "{status} {body}: {error}");
        assert!(!error.to_string().contains("sign in"), "{error}");
    }
}
