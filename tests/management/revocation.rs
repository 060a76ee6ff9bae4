//! The revocation of a token (RFC 7009).

use std::time::{Duration, SystemTime};

use oauth2_proto::error::ErrorKind;
use oauth2_proto::management::TokenKind;
use oauth2_proto::{Advice, AuthorizationServer, Client, ClientAuth, Response, Secret};

use crate::support::now;
use crate::{client, revocation, server, support};

#[test]
fn rfc7009_section_2_1_the_example() {
    let server = support::server().revocation_endpoint("https://server.example.com/revoke").unwrap();
    let client = Client::new(server, "s6BhdRkqt3", ClientAuth::basic("gX1fBat3bV")).unwrap();
    let token = Secret::new("45ghiukldjahdnhzdauz");
    let call = client.revoke(&token).hint(TokenKind::RefreshToken).start(SystemTime::UNIX_EPOCH).unwrap();
    let request = call.request();
    assert_eq!((request.method(), request.url()), ("POST", "https://server.example.com/revoke"));
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(request.header("authorization"), Some("Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"));
    assert_eq!(request.body(), "token=45ghiukldjahdnhzdauz&token_type_hint=refresh_token");
    assert!(!request.follow_redirects());
}

#[test]
fn rfc7009_section_2_1_the_hint_is_optional_and_names_the_kind() {
    let (client, token) = (client(), Secret::new("fake-token"));
    let body = |kind: Option<TokenKind>| {
        let request = client.revoke(&token);
        let request = kind.map_or(client.revoke(&token), |kind| request.hint(kind));
        request.start(SystemTime::UNIX_EPOCH).unwrap().request().body().to_owned()
    };
    assert_eq!(body(None), "token=fake-token");
    assert_eq!(body(Some(TokenKind::AccessToken)), "token=fake-token&token_type_hint=access_token");
    assert_eq!(body(Some(TokenKind::RefreshToken)), "token=fake-token&token_type_hint=refresh_token");
}

#[test]
fn rfc7009_section_2_1_the_client_authenticates_as_at_the_token_endpoint() {
    for (auth, header, body) in [
        (ClientAuth::basic("fake"), Some("Basic ZmFrZS1jbGllbnQ6ZmFrZQ=="), "token=a+b"),
        (ClientAuth::post("fake"), None, "token=a+b&client_id=fake-client&client_secret=fake"),
        (ClientAuth::none(), None, "token=a+b&client_id=fake-client"),
    ] {
        let client = Client::new(server(), "fake-client", auth).unwrap();
        let call = client.revoke(&Secret::new("a b")).start(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!((call.request().header("authorization"), call.request().body()), (header, body));
    }
}

#[test]
fn rfc7009_section_2_the_endpoint_is_https() {
    for endpoint in
        ["http://as.example/revoke", "https://as.example/revoke?token=x", "https://as.example/#", ""]
    {
        let error = support::server().revocation_endpoint(endpoint).unwrap_err();
        assert!(error.to_string().starts_with("misuse: the revocation endpoint "), "{error}");
    }
}

#[test]
fn rfc7009_section_2_2_any_success_is_enough_and_its_body_is_ignored() {
    let long = vec![b'x'; (1 << 20) + 1];
    let bodies: [&[u8]; 6] = [
        b"",
        b"<html>Bye</html>",
        b"\xff",
        br#"{"error":"server_error"}"#,
        br#"{"error":"a","error":"b"}"#,
        &long,
    ];
    for body in bodies {
        for status in [200, 201, 202, 204, 299] {
            let answer = Response::new(status, [("content-type", "text/html")], body);
            revocation().read(answer).unwrap();
        }
    }
}

#[test]
fn rfc7009_section_2_2_1_after_503_the_token_still_lives_and_the_same_call_is_sent_again() {
    let call = revocation();
    for body in [&b""[..], b"<html>busy</html>", br#"{"error":"invalid_request"}"#] {
        let error = call.read(Response::new(503, [("retry-after", "10")], body)).unwrap_err();
        assert_eq!(error.advice(), Advice::RetryLater);
        assert_eq!(error.retry_after(now()), Some(Duration::from_secs(10)));
    }
    call.read(Response::new(200, [("a", "b")], b"")).unwrap();
}

#[test]
fn rfc7009_section_2_2_1_a_token_that_the_server_does_not_revoke_is_a_matter_of_configuration() {
    let body = br#"{"error":"unsupported_token_type","error_description":"fake-token is an access token"}"#;
    let error = revocation().read(Response::new(400, [("a", "b")], body)).unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Refused, Advice::FixConfiguration));
    assert_eq!(error.code(), Some("unsupported_token_type"));
    assert_eq!(error.description(), Some("[withheld: it repeats a secret of the request]"));
}

#[test]
fn a_short_token_is_a_secret_and_its_kind_is_none() {
    let token = Secret::new("fake7");
    let call = client().revoke(&token).hint(TokenKind::RefreshToken).start(SystemTime::UNIX_EPOCH).unwrap();
    let body =
        br#"{"error":"invalid_request","error_description":"fake7 is gone","error_uri":"no refresh_token"}"#;
    let error = call.read(Response::new(400, [("a", "b")], body)).unwrap_err();
    assert_eq!(error.description(), Some("[withheld: it repeats a secret of the request]"));
    assert_eq!(error.uri(), Some("no refresh_token"));
}

#[test]
fn only_a_success_ends_a_token() {
    for status in [0, 100, 199, 300, 302, 399, 400, 401, 404, 405, 500, 501, 502, 505, 999] {
        let bodies: [&[u8]; 4] = [b"", b"ok", br#"{"error":""}"#, br#"{"revoked":true}"#];
        for body in bodies {
            let error = revocation().read(Response::new(status, [("a", "b")], body)).unwrap_err();
            assert_eq!((error.kind(), error.status()), (ErrorKind::Invalid, Some(status)));
        }
    }
}

#[test]
fn a_wrong_address_is_named() {
    let error = revocation().read(Response::new(404, [("a", "b")], b"")).unwrap_err();
    let hint = "the endpoint's address \"https://as.example/revoke\" may be wrong";
    assert!(error.to_string().contains(hint), "{error}");
}

#[test]
fn no_request_is_made_for_what_cannot_work() {
    let start = |server: AuthorizationServer, token: &str| {
        let client = support::client_of(server);
        let result = client.revoke(&Secret::new(token)).start(SystemTime::UNIX_EPOCH);
        result.map(|call| call.request().url().to_owned()).map_err(|error| error.to_string())
    };
    assert_eq!(
        start(support::server(), "fake-token"),
        Err("misuse: the server has no revocation endpoint, as far as AuthorizationServer knows; set it"
            .into())
    );
    assert_eq!(
        start(server().revocation_endpoint_auth_methods_supported(["private_key_jwt"]), "fake-token"),
        Err("misuse: the server supports the client authentication methods of the revocation endpoint \
             \"private_key_jwt\", not client_secret_basic"
            .into())
    );
    let some = server()
        .revocation_endpoint_auth_methods_supported(["none", "client_secret_basic"])
        .introspection_endpoint_auth_methods_supported(["none"]);
    assert_eq!(start(some, "fake-token"), Ok("https://as.example/revoke".into()));
    for token in ["", "fake-token\n", "fake\0token"] {
        let message = start(server(), token).unwrap_err();
        assert!(message.starts_with("misuse: the token is empty or holds control characters"), "{message}");
    }
}
