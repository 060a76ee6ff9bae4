//! The introspection of a token (RFC 7662).

use std::time::{Duration, SystemTime};

use oauth2_proto::error::ErrorKind;
use oauth2_proto::management::{Introspection, TokenKind};
use oauth2_proto::server::Leniency;
use oauth2_proto::{Advice, AuthorizationServer, Client, ClientAuth, Error, Response, Secret};
use serde_json::{Value, json};

use crate::responses::json as answer;
use crate::{client, introspection, server, support};

#[track_caller]
fn read(body: &Value) -> Result<Introspection, Error> {
    introspection().read(answer(&body.to_string()))
}

/// The error of an answer with `active` and this member.
#[track_caller]
fn refused(name: &str, value: &str) -> String {
    let body = format!(r#"{{"active":true,"{name}":{value}}}"#);
    let error = introspection().read(answer(&body)).unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Invalid, Advice::Stop), "{body}");
    error.to_string()
}

fn unix(seconds: u64) -> Option<SystemTime> {
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

#[test]
fn rfc7662_section_2_1_the_example_with_an_access_token() {
    let server = support::server().introspection_endpoint("https://server.example.com/introspect").unwrap();
    let (token, own) = (Secret::new("2YotnFZFEjr1zCsicMWpAA"), Secret::new("23410913-abewfq.123483"));
    for auth in [ClientAuth::none(), ClientAuth::post("fake+secret"), ClientAuth::basic("fake+secret")] {
        let client = Client::new(server.clone(), "fake-client", auth).unwrap();
        let call = client.introspect(&token).authorize_with(&own).start(SystemTime::UNIX_EPOCH).unwrap();
        let request = call.request();
        assert_eq!((request.method(), request.url()), ("POST", "https://server.example.com/introspect"));
        assert_eq!(request.header("accept"), Some("application/json"));
        assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(request.header("authorization"), Some("Bearer 23410913-abewfq.123483"));
        assert_eq!(request.body(), "token=2YotnFZFEjr1zCsicMWpAA");
        // The client's credentials are not at fault where none were sent.
        let error = call.read(Response::new(401, [("a", "b")], b"")).unwrap_err();
        assert!(!error.to_string().contains("basic_unencoded"), "{error}");
    }
}

#[test]
fn rfc7662_section_2_1_the_example_with_client_authentication() {
    let server = support::server().introspection_endpoint("https://server.example.com/introspect").unwrap();
    let client = Client::new(server, "s6BhdRkqt3", ClientAuth::basic("gX1fBat3bV")).unwrap();
    let token = Secret::new("mF_9.B5f-4.1JqM");
    let call = client.introspect(&token).hint(TokenKind::AccessToken).start(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(call.request().header("authorization"), Some("Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"));
    assert_eq!(call.request().body(), "token=mF_9.B5f-4.1JqM&token_type_hint=access_token");
}

#[test]
fn rfc7662_section_2_2_the_example() {
    let token = read(&json!({
        "active": true,
        "client_id": "l238j323ds-23ij4",
        "username": "jdoe",
        "scope": "read write dolphin",
        "sub": "Z5O3upPC88QrAjx00dis",
        "aud": "https://protected.example.net/resource",
        "iss": "https://server.example.com/",
        "exp": 1_419_356_238,
        "iat": 1_419_350_238,
        "extension_field": "twenty-seven"
    }))
    .unwrap();
    assert!(token.is_active());
    assert_eq!((token.client_id(), token.username()), (Some("l238j323ds-23ij4"), Some("jdoe")));
    assert_eq!(token.scopes().collect::<Vec<_>>(), ["read", "write", "dolphin"]);
    assert_eq!(token.subject(), Some("Z5O3upPC88QrAjx00dis"));
    assert_eq!(token.audience(), ["https://protected.example.net/resource"]);
    assert_eq!(token.issuer(), Some("https://server.example.com/"));
    assert_eq!((token.expires_at(), token.issued_at()), (unix(1_419_356_238), unix(1_419_350_238)));
    assert_eq!((token.not_before(), token.token_type(), token.token_id()), (None, None, None));
    assert_eq!(token.extra("extension_field"), Some(&json!("twenty-seven")));
    assert!(token.extras().eq([("extension_field", &json!("twenty-seven"))]));
    assert_eq!((token.extra("other"), token.extra("username")), (None, None));
}

#[test]
fn rfc7662_section_2_2_of_an_inactive_token_nothing_else_is_reported() {
    let everything = json!({
        "active": false, "scope": "read", "client_id": "a", "username": "b", "token_type": "Bearer", "exp": 1,
        "iat": 2, "nbf": 3, "sub": "c", "aud": ["d"], "iss": "e", "jti": "f", "other": "g"
    });
    // Members of the wrong kind do not count either.
    let wrong = json!({"active": false, "scope": 1, "exp": "x", "aud": {}, "sub": []});
    for body in [json!({"active": false}), everything, wrong] {
        let token = read(&body).unwrap();
        assert!(!token.is_active());
        assert_eq!((token.scopes().count(), token.audience().len()), (0, 0));
        assert_eq!((token.expires_at(), token.issued_at(), token.not_before()), (None, None, None));
        assert_eq!((token.client_id(), token.username(), token.subject()), (None, None, None));
        assert_eq!((token.token_type(), token.issuer(), token.token_id()), (None, None, None));
        assert_eq!(token.extra("other"), None);
    }
}

#[test]
fn rfc7662_section_2_2_active_is_a_boolean_and_nothing_else_passes_as_one() {
    for active in
        ["\"true\"", "\"false\"", "1", "0", "1.0", "[true]", "{}", "{\"active\":true}", "\"\"", "tru"]
    {
        let body = format!(r#"{{"active":{active}}}"#);
        let error = introspection().read(answer(&body)).unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Invalid, Some(200)), "{body}");
    }
    for body in ["{}", r#"{"active":null}"#, r#"{"Active":true}"#, r#"{"active":null,"scope":"a"}"#] {
        let message = introspection().read(answer(body)).unwrap_err().to_string();
        assert!(message.contains("there is no active"), "{message}");
    }
}

#[test]
fn a_member_of_the_wrong_kind_is_named_and_not_repeated() {
    for name in ["client_id", "username", "token_type", "sub", "iss", "jti"] {
        for value in ["7", "true", "[\"planted\"]", "{\"planted\":1}"] {
            let message = refused(name, value);
            assert!(message.contains(name) && !message.contains("planted"), "{message}");
        }
    }
    for value in ["7", "true", "{}", "[1]", "[\"planted\",null]", "[[\"planted\"]]"] {
        let message = refused("aud", value);
        assert!(message.contains("aud") && !message.contains("planted"), "{message}");
    }
    for name in ["exp", "iat", "nbf"] {
        for value in ["\"planted\"", "\"1419356238\"", "true", "[1]", "{}", "\"\""] {
            let message = refused(name, value);
            assert!(message.contains(name) && !message.contains("planted"), "{message}");
        }
    }
    for value in ["7", "true", "{}", "[\"planted\"]"] {
        let message = refused("scope", value);
        assert!(message.contains("scope") && !message.contains("planted"), "{message}");
    }
}

#[test]
fn rfc7519_section_2_a_time_is_a_number_and_an_extreme_one_counts_as_the_nearest_that_exists() {
    let last_second = 253_402_300_799;
    for (number, seconds) in [
        ("0", 0),
        ("-1", 0),
        ("-9223372036854775808", 0),
        ("-0.5", 0),
        ("-1e300", 0),
        ("1.9", 1),
        ("1e3", 1000),
        ("253402300798", 253_402_300_798),
        ("253402300800", last_second),
        // A thousand times this number is 0 in 64 bits.
        ("2305843009213693952", last_second),
        ("18446744073709551615", last_second),
        ("99999999999999999999999", last_second),
        ("1e308", last_second),
    ] {
        for name in ["exp", "iat", "nbf"] {
            let token =
                introspection().read(answer(&format!(r#"{{"active":true,"{name}":{number}}}"#))).unwrap();
            let times =
                [("exp", token.expires_at()), ("iat", token.issued_at()), ("nbf", token.not_before())];
            for (known, time) in times {
                let time = time.map(|time| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
                assert_eq!(time, (known == name).then_some(seconds), "{name} {number}");
            }
        }
    }
}

#[test]
fn what_says_nothing_is_absent() {
    for value in [json!(null), json!("")] {
        let token = read(&json!({
            "active": true, "scope": value, "client_id": value, "username": value, "token_type": value,
            "sub": value, "aud": value, "iss": value, "jti": value
        }))
        .unwrap();
        assert_eq!((token.scopes().count(), token.audience().len()), (0, 0));
        assert_eq!((token.client_id(), token.username(), token.subject()), (None, None, None));
        assert_eq!((token.token_type(), token.issuer(), token.token_id()), (None, None, None));
    }
    assert!(read(&json!({"active": true, "aud": []})).unwrap().audience().is_empty());
    assert_eq!(
        read(&json!({"active": true, "scope": " a  b "})).unwrap().scopes().collect::<Vec<_>>(),
        ["a", "b"]
    );
}

#[test]
fn deviations_in_scopes_that_the_server_is_known_for_are_accepted() {
    let read = |server: AuthorizationServer, scope: &str| {
        let call = support::client_of(server)
            .introspect(&Secret::new("fake-token"))
            .start(SystemTime::UNIX_EPOCH)
            .unwrap();
        let token = call.read(answer(&format!(r#"{{"active":true,"scope":{scope}}}"#)))?;
        Ok::<_, Error>(token.scopes().map(str::to_owned).collect::<Vec<_>>())
    };
    let array = server().tolerate(Leniency::ScopeArray);
    assert_eq!(read(array, r#"["a","b"]"#).unwrap(), ["a", "b"]);
    assert!(read(server(), r#"["a","b"]"#).unwrap_err().to_string().contains("Leniency::ScopeArray"));
    let comma = server().tolerate(Leniency::ScopeComma);
    assert_eq!(read(comma, r#""a,b""#).unwrap(), ["a", "b"]);
    assert_eq!(read(server(), r#""a,b""#).unwrap(), ["a,b"]);
}

#[test]
fn rfc7662_section_2_3_errors_are_those_of_rfc6749_section_5_2() {
    for (status, body, kind, advice) in [
        (401, r#"{"error":"invalid_client"}"#, ErrorKind::Refused, Advice::FixConfiguration),
        // An error wins over everything, also in a success.
        (200, r#"{"active":true,"error":"invalid_client"}"#, ErrorKind::Refused, Advice::FixConfiguration),
        (200, r#"{"active":true,"error":7}"#, ErrorKind::Invalid, Advice::Stop),
        (401, "", ErrorKind::Invalid, Advice::Stop),
        (400, r#"{"active":true}"#, ErrorKind::Invalid, Advice::Stop),
        (302, r#"{"active":true}"#, ErrorKind::Invalid, Advice::Stop),
        (503, r#"{"active":true}"#, ErrorKind::Invalid, Advice::RetryLater),
    ] {
        let error = introspection().read(Response::new(status, [("a", "b")], body.as_bytes())).unwrap_err();
        assert_eq!((error.kind(), error.advice(), error.status()), (kind, advice, Some(status)), "{body}");
    }
    assert!(read(&json!({"active": true, "error": null})).unwrap().is_active());
    assert!(read(&json!({"active": true, "error": ""})).unwrap().is_active());
    // Any success is one.
    assert!(
        introspection().read(Response::new(203, [("a", "b")], br#"{"active":true}"#)).unwrap().is_active()
    );
}

#[test]
fn the_endpoint_is_https() {
    for endpoint in
        ["http://as.example/introspect", "https://as.example/introspect?token=x", "https://as.example/#", ""]
    {
        let error = support::server().introspection_endpoint(endpoint).unwrap_err();
        assert!(error.to_string().starts_with("misuse: the introspection endpoint "), "{error}");
    }
}

#[test]
fn no_request_is_made_for_what_cannot_work() {
    let client_of = support::client_of;
    let (token, broken) = (Secret::new("fake-token"), Secret::new("fake-token\n"));
    let message = client_of(support::server())
        .introspect(&token)
        .start(SystemTime::UNIX_EPOCH)
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "misuse: the server has no introspection endpoint, as far as AuthorizationServer knows; set it"
    );
    let other = server().introspection_endpoint_auth_methods_supported(["Bearer"]);
    let message =
        client_of(other.clone()).introspect(&token).start(SystemTime::UNIX_EPOCH).unwrap_err().to_string();
    assert!(
        message.contains("of the introspection endpoint \"Bearer\", not client_secret_basic"),
        "{message}"
    );
    assert!(client_of(other).introspect(&token).authorize_with(&token).start(SystemTime::UNIX_EPOCH).is_ok());
    let some = server()
        .introspection_endpoint_auth_methods_supported(["client_secret_basic"])
        .revocation_endpoint_auth_methods_supported(["none"]);
    assert!(client_of(some).introspect(&token).start(SystemTime::UNIX_EPOCH).is_ok());

    for broken in [&broken, &Secret::new("")] {
        let message = client().introspect(broken).start(SystemTime::UNIX_EPOCH).unwrap_err().to_string();
        assert!(message.starts_with("misuse: the token is empty or holds control characters"), "{message}");
        let message = client()
            .introspect(&token)
            .authorize_with(broken)
            .start(SystemTime::UNIX_EPOCH)
            .unwrap_err()
            .to_string();
        assert!(message.starts_with("misuse: the access token that authorizes the request is"), "{message}");
    }
}

#[test]
fn what_is_printed_names_neither_the_user_nor_the_token() {
    let token = read(&json!({
        "active": true, "client_id": "planted-1", "username": "planted-2", "token_type": "planted-3",
        "sub": "planted-4", "aud": "planted-5", "iss": "planted-6", "jti": "planted-7", "other": "planted-8",
        "scope": "read", "exp": 1
    }))
    .unwrap();
    let shown = format!("{token:?} {:?}", token.clone());
    assert!(!shown.contains("planted"), "{shown}");
    assert!(
        shown.contains("is_active: true") && shown.contains("\"read\"") && shown.contains("\"other\""),
        "{shown}"
    );
    let request = client();
    let token = Secret::new("planted");
    let shown = format!(
        "{:?} {:?}",
        request.introspect(&token).authorize_with(&token).hint(TokenKind::AccessToken),
        request.revoke(&token).hint(TokenKind::RefreshToken)
    );
    assert!(
        !shown.contains("planted") && shown.contains("AccessToken") && shown.contains("RefreshToken"),
        "{shown}"
    );
}
