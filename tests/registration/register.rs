//! Registrations and their answers (RFC 7591 §3).

use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::{Algorithm, PublicKey, SigningKey};
use oauth2_proto::registration::{self, ClientMetadata, SecretExpiry};
use oauth2_proto::{Advice, AuthorizationServer, ClientAuth, Entropy, Secret};
use serde_json::{Value, json as value};
use std::time::SystemTime;

use crate::support::{
    anonymous_server, at, json, management, metadata, misuse, register_at, registered, secret, server,
};

#[test]
fn rfc7591_section_3_1_the_example_is_sent_as_json_with_the_initial_access_token() {
    let server = AuthorizationServer::new("https://server.example.com/a", "https://server.example.com/token")
        .unwrap()
        .registration_endpoint("https://server.example.com/register")
        .unwrap();
    let metadata = ClientMetadata::new()
        .redirect_uris(["https://client.example.org/callback", "https://client.example.org/callback2"])
        .client_name("My Example Client")
        .member("client_name#ja-Jpan-JP", "クライアント名")
        .token_endpoint_auth_method("client_secret_basic")
        .logo_uri("https://client.example.org/logo.png")
        .jwks_uri("https://client.example.org/my_public_keys.jwks")
        .member("example_extension_parameter", "example_value");
    let token = Secret::new("ey23f2.adfj230.af32-developer321");
    let call = registration::register(&server, &metadata).initial_access_token(&token).start().unwrap();

    let request = call.request();
    assert_eq!((request.method(), request.url()), ("POST", "https://server.example.com/register"));
    assert_eq!(
        request.headers().collect::<Vec<_>>(),
        [
            ("content-type", "application/json"),
            ("accept", "application/json"),
            ("authorization", "Bearer ey23f2.adfj230.af32-developer321"),
        ]
    );
    assert_eq!(
        serde_json::from_str::<Value>(request.body()).unwrap(),
        value!({
            "redirect_uris": [
                "https://client.example.org/callback",
                "https://client.example.org/callback2",
            ],
            "client_name": "My Example Client",
            "client_name#ja-Jpan-JP": "クライアント名",
            "token_endpoint_auth_method": "client_secret_basic",
            "logo_uri": "https://client.example.org/logo.png",
            "jwks_uri": "https://client.example.org/my_public_keys.jwks",
            "example_extension_parameter": "example_value",
            "application_type": "web",
        })
    );
    let open = registration::register(&server, &metadata).start().unwrap();
    assert_eq!(open.request().header("authorization"), None);
}

#[test]
fn rfc7591_section_3_1_1_a_software_statement_may_hold_the_redirect_uris() {
    let metadata = ClientMetadata::new()
        .software_statement(&Secret::new("fake.software.statement"))
        .scopes(["read", "write"]);
    let call = registration::register(&server(), &metadata).start().unwrap();
    assert_eq!(
        call.request().body(),
        r#"{"scope":"read write","software_statement":"fake.software.statement"}"#
    );
}

#[test]
fn what_the_server_does_not_offer_is_refused_before_a_request_exists() {
    let closed =
        AuthorizationServer::new("https://as.example/authorize", "https://as.example/token").unwrap();
    misuse(registration::register(&closed, &metadata()).start(), "no registration endpoint");
    let posts = server().token_endpoint_auth_methods_supported(["client_secret_post"]);
    misuse(
        registration::register(&posts, &metadata().token_endpoint_auth_method("none")).start(),
        "client authentication methods \"client_secret_post\", not none",
    );
    assert!(registration::register(&posts, &metadata()).start().is_ok());
    let codes = server().grant_types_supported(["authorization_code"]);
    misuse(
        registration::register(&codes, &metadata().grant_types(["authorization_code", "refresh_token"]))
            .start(),
        "not refresh_token",
    );
    for token in ["", "fake-token\n"] {
        let token = Secret::new(token);
        let request = registration::register(&codes, &metadata()).initial_access_token(&token).start();
        misuse(request, "initial access token");
    }
}

#[test]
fn rfc7591_section_3_2_1_the_client_is_read_with_all_members_but_the_secrets() {
    let registered = registered(
        r#"{"client_id":"fake-client","client_secret":"fake-secret","client_secret_expires_at":"1700000000",
            "client_id_issued_at":1600000000.9,"token_endpoint_auth_method":"client_secret_post",
            "redirect_uris":["https://app.example/callback"],"x":{"y":[1]}}"#,
    );
    assert_eq!((registered.client_id(), secret(&registered)), ("fake-client", Some("fake-secret")));
    assert_eq!(registered.client_secret_expiry(), SecretExpiry::At(at(1_700_000_000)));
    for (now, is_expired) in [(1_699_999_999, false), (1_700_000_000, true), (1_700_000_001, true)] {
        assert_eq!(registered.is_secret_expired(at(now)), is_expired, "{now}");
    }
    assert_eq!(
        registered.members().map(|(name, value)| (name, value.clone())).collect::<Vec<_>>(),
        [
            ("client_id", value!("fake-client")),
            ("client_id_issued_at", value!(1_600_000_000)),
            ("client_secret_expires_at", value!(1_700_000_000)),
            ("redirect_uris", value!(["https://app.example/callback"])),
            ("token_endpoint_auth_method", value!("client_secret_post")),
            ("x", value!({"y": [1]})),
        ]
    );
    assert_eq!(registered.get("x"), Some(&value!({"y": [1]})));
    assert_eq!(registered.get("client_secret"), None);
    assert_eq!(management(&registered), None);
}

#[test]
fn times_are_read_as_servers_write_them() {
    for (written, expiry) in [
        ("0", Some(SecretExpiry::Never)),
        ("\"0\"", Some(SecretExpiry::Never)),
        ("null", Some(SecretExpiry::Unknown)),
        ("2893276800", Some(SecretExpiry::At(at(2_893_276_800)))),
        ("1.5", Some(SecretExpiry::At(at(1)))),
        ("1e300", Some(SecretExpiry::At(at(253_402_300_799)))),
        ("\"99999999999999999999999\"", Some(SecretExpiry::At(at(253_402_300_799)))),
        ("-1", None),
        ("-0.5", None),
        ("\"-1\"", None),
        ("\"\"", None),
        ("\"soon\"", None),
        ("true", None),
        ("[0]", None),
    ] {
        for name in ["client_secret_expires_at", "client_id_issued_at"] {
            let answer = format!(r#"{{"client_id":"fake-client","{name}":{written}}}"#);
            match (expiry, register_at(&server(), &metadata(), &answer)) {
                (Some(expiry), Ok(registered)) if name == "client_secret_expires_at" => {
                    assert_eq!(registered.client_secret_expiry(), expiry, "{answer}");
                }
                (Some(_), Ok(_)) => {}
                (None, Err(error)) => assert_eq!(error.kind(), ErrorKind::Invalid, "{answer}: {error}"),
                (_, result) => panic!("{answer}: {result:?}"),
            }
        }
    }
}

#[test]
fn members_of_the_wrong_kind_are_refused_and_null_is_absent() {
    for (name, wrong) in [
        ("client_secret", vec!["\"\"", "1", "[]", "\"a\\nb\""]),
        ("token_endpoint_auth_method", vec!["\"\"", "1", "[\"none\"]"]),
        ("redirect_uris", vec!["\"https://app.example\"", "[1]", "{}"]),
        ("registration_access_token", vec!["\"\"", "1", "\"a\\u0000\""]),
        (
            "registration_client_uri",
            vec![
                "\"\"",
                "1",
                "\"/register\"",
                "\"http://as.example/r\"",
                "\"https://u@as.example/r\"",
                "\"javascript:1\"",
            ],
        ),
    ] {
        for value in &wrong {
            let answer = format!(r#"{{"client_id":"fake-client","{name}":{value}}}"#);
            let error = register_at(&server(), &metadata(), &answer).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{answer}");
            assert!(error.to_string().contains(name), "{error}");
        }
        let answer = format!(r#"{{"client_id":"fake-client","{name}":null}}"#);
        assert!(register_at(&server(), &metadata(), &answer).is_ok(), "{answer}");
        let answer = format!(r#"{{"client_id":"fake-client","{name}":"a","{name}":"a"}}"#);
        assert!(register_at(&server(), &metadata(), &answer).is_err(), "{answer}");
    }
    for answer in [r#"{"client_id":""}"#, r#"{"client_id":7}"#, r#"{"client_id":null}"#, "[]", "", "{"] {
        let error = register_at(&server(), &metadata(), answer).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Invalid, Advice::Stop), "{answer}");
    }
}

#[test]
fn rfc7592_section_3_an_address_and_a_token_together_manage_the_registration() {
    for (members, expected) in [
        (
            r#","registration_access_token":"fake-token","registration_client_uri":"https://as.example/r?client_id=a""#,
            Some(("fake-token", "https://as.example/r?client_id=a")),
        ),
        (r#","registration_client_uri":"https://as.example/r""#, None),
        (r#","registration_access_token":"fake-token""#, None),
        ("", None),
    ] {
        let registered = registered(&format!(r#"{{"client_id":"fake-client"{members}}}"#));
        assert_eq!(management(&registered), expected);
        let calls =
            [registered.read().is_ok(), registered.delete().is_ok(), registered.update(&metadata()).is_ok()];
        assert_eq!(calls, [expected.is_some(); 3], "{members}");
    }
    misuse(registered(r#"{"client_id":"fake-client"}"#).read(), "does not offer to manage");
}

#[test]
fn rfc7591_section_3_2_1_what_the_server_changed_is_named_in_order() {
    let asked = metadata()
        .scopes(["read", "write"])
        .grant_types(["authorization_code", "refresh_token"])
        .contacts(["a@app.example"])
        .member("jwks", value!({"keys": []}))
        .token_endpoint_auth_method("none");
    for (answered, changed) in [
        (r#""scope":"write  read ","grant_types":["refresh_token","authorization_code"]"#, vec![]),
        (
            r#""scope":["write","read"],"grant_types":["authorization_code","refresh_token","refresh_token"]"#,
            vec![],
        ),
        (r#""jwks":{"keys":[]},"client_name":"Fake App","unasked":1,"client_uri":null"#, vec![]),
        (r#""scope":null,"client_name":null,"contacts":null"#, vec![]),
        (r#""scope":"read""#, vec!["scope"]),
        (r#""scope":"read write admin""#, vec!["scope"]),
        (r#""scope":1,"grant_types":"authorization_code refresh_token""#, vec!["grant_types", "scope"]),
        (
            r#""token_endpoint_auth_method":"client_secret_basic","client_name":"Fake  App","application_type":"native",
               "redirect_uris":[],"jwks":{"keys":[{}]},"contacts":["A@app.example"]"#,
            vec![
                "application_type",
                "client_name",
                "contacts",
                "jwks",
                "redirect_uris",
                "token_endpoint_auth_method",
            ],
        ),
    ] {
        let answer = format!(r#"{{"client_id":"fake-client",{answered}}}"#);
        assert_eq!(register_at(&server(), &asked, &answer).unwrap().changed(), changed, "{answered}");
    }
}

#[test]
fn rfc7591_section_2_the_authentication_is_answered_or_asked_for_or_the_default() {
    for (asked, answered, method) in [
        (None, None, "client_secret_basic"),
        (Some("none"), None, "none"),
        (None, Some("client_secret_post"), "client_secret_post"),
        (Some("none"), Some("client_secret_post"), "client_secret_post"),
    ] {
        let asked = asked.into_iter().fold(metadata(), ClientMetadata::token_endpoint_auth_method);
        let answer = value!({"client_id": "fake-client", "token_endpoint_auth_method": answered}).to_string();
        let registered = register_at(&server(), &asked, &answer).unwrap();
        assert_eq!(registered.token_endpoint_auth_method(), method);
    }
}

#[test]
fn the_client_authenticates_itself_as_registered() {
    for (method, header, body) in [
        ("client_secret_basic", Some("Basic ZmFrZS1jbGllbnQ6ZmFrZS1zZWNyZXQ="), ""),
        ("client_secret_post", None, "&client_id=fake-client&client_secret=fake-secret"),
        ("none", None, "&client_id=fake-client"),
    ] {
        let registered = registered(&format!(
            r#"{{"client_id":"fake-client","client_secret":"fake-secret","token_endpoint_auth_method":"{method}"}}"#
        ));
        let client = registered.client(server()).unwrap();
        let call = client.refresh(&Secret::new("fake-refresh")).start(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(call.request().header("authorization"), header);
        let refresh = "grant_type=refresh_token&refresh_token=fake-refresh";
        assert_eq!(call.request().body(), format!("{refresh}{body}"));
    }
    for (method, says) in [
        ("private_key_jwt", "\"private_key_jwt\""),
        ("client_secret_basic", "no client_secret"),
        ("client_secret_post", "no client_secret"),
        ("x\\u001b[2J", "\"x\\u{1b}[2J\""),
    ] {
        let registered =
            registered(&format!(r#"{{"client_id":"fake-client","token_endpoint_auth_method":"{method}"}}"#));
        misuse(registered.client(server()), says);
    }
    let basic = server().token_endpoint_auth_methods_supported(["client_secret_basic"]);
    let public =
        registered(r#"{"client_id":"fake-client","token_endpoint_auth_method":"none"}"#).client(basic);
    misuse(public, "not none");
}

#[test]
fn credentials_stay_with_the_issuer_that_they_were_registered_at() {
    let answer = r#"{"client_id":"fake-client","token_endpoint_auth_method":"none"}"#;
    let other = |token_endpoint: &str| {
        AuthorizationServer::new("https://as.example/authorize", token_endpoint).unwrap()
    };
    let issuer = |server: AuthorizationServer, issuer: &str| server.issuer(issuer).unwrap();
    let (token, moved) = ("https://as.example/token", "https://as.example/v2/token");
    for (at, with, is_same) in [
        (server(), server(), true),
        (server(), issuer(other(moved), "https://as.example"), true),
        (server(), issuer(other(token), "https://as.example/"), false),
        (server(), issuer(other(token), "https://evil.example"), false),
        (server(), other("HTTPS://AS.example:443/token"), true),
        (server(), other(moved), false),
        (anonymous_server(), other(token), true),
        (anonymous_server(), other(moved), false),
        (anonymous_server(), issuer(other(token), "https://as.example"), true),
        (anonymous_server(), issuer(other(moved), "https://as.example"), false),
    ] {
        let registered = register_at(&at, &metadata(), answer).unwrap();
        let stored = serde_json::to_string(&registered).unwrap();
        let restored: registration::Registered = serde_json::from_str(&stored).unwrap();
        for registered in [registered, restored] {
            assert_eq!(registered.client(with.clone()).is_ok(), is_same, "{at:?} {with:?}");
        }
    }
    let stranger = issuer(other(token), "https://evil.example");
    misuse(
        register_at(&server(), &metadata(), answer).unwrap().client(stranger),
        "the issuer \"https://as.example\", not \"https://evil.example\"",
    );
}

#[test]
fn a_client_with_a_key_or_a_certificate_is_made_with_what_the_program_holds() {
    let key = || {
        let public_key = PublicKey::from_jwk(
            r#"{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
                "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#,
        );
        let entropy = Entropy::from_bytes([1; 128]);
        let key = SigningKey::remote_with(Algorithm::ES256, public_key.unwrap(), entropy).unwrap();
        ClientAuth::private_key_jwt(key)
    };
    let secret = || {
        let entropy = Entropy::from_bytes([1; 128]);
        ClientAuth::client_secret_jwt_with("fake-secret-of-32-octets-exactly", entropy).unwrap()
    };
    let registered = |method: &str, more: &str| {
        registered(&format!(r#"{{"client_id":"fake-client","token_endpoint_auth_method":"{method}"{more}}}"#))
    };
    let es256 = r#","token_endpoint_auth_signing_alg":"ES256""#;
    let es384 = r#","token_endpoint_auth_signing_alg":"ES384""#;
    for (registered, auth) in [
        (registered("private_key_jwt", ""), key()),
        (registered("private_key_jwt", es256), key()),
        (registered("client_secret_jwt", ""), secret()),
        (registered("tls_client_auth", es384), ClientAuth::tls_client_auth()),
        (registered("self_signed_tls_client_auth", ""), ClientAuth::self_signed_tls_client_auth()),
        (registered("none", ""), ClientAuth::none()),
    ] {
        let client = registered.client_with(server(), auth).unwrap();
        assert_eq!(client.client_id(), "fake-client");
    }
    for (registered, auth, says) in [
        (registered("private_key_jwt", es384), key(), "assertions of \"ES384\", not ES256"),
        (registered("client_secret_jwt", es256), secret(), "assertions of \"ES256\", not HS256"),
        (registered("private_key_jwt", ""), ClientAuth::none(), "\"private_key_jwt\", not none"),
        (registered("tls_client_auth", ""), key(), "\"tls_client_auth\", not private_key_jwt"),
        (registered("none", ""), key(), "\"none\", not private_key_jwt"),
        (
            registered("tls_client_auth", ""),
            ClientAuth::self_signed_tls_client_auth(),
            "not self_signed_tls_client_auth",
        ),
    ] {
        misuse(registered.client_with(server(), auth), says);
    }
    misuse(registered("private_key_jwt", "").client(server()), "Registered::client_with");
    let elsewhere = server().issuer("https://evil.example").unwrap();
    misuse(registered("private_key_jwt", "").client_with(elsewhere, key()), "the issuer");
}

/// The alias takes the tokens of a client with a certificate, and nothing of the others.
#[test]
fn tokens_go_to_no_alias_of_a_server_that_borrows_the_token_endpoint() {
    let answer =
        |method: &str| format!(r#"{{"client_id":"fake-client","token_endpoint_auth_method":"{method}"}}"#);
    let borrowing: AuthorizationServer = serde_json::from_str(
        r#"{"issuer":"https://evil.example","token_endpoint":"https://as.example/token",
            "mtls_endpoint_aliases":{"token_endpoint":"https://evil.example/token"}}"#,
    )
    .unwrap();
    for (method, auth, is_refused) in [
        ("tls_client_auth", ClientAuth::tls_client_auth(), true),
        ("self_signed_tls_client_auth", ClientAuth::self_signed_tls_client_auth(), true),
        ("none", ClientAuth::none(), false),
    ] {
        let registered = register_at(&anonymous_server(), &metadata(), &answer(method)).unwrap();
        let client = registered.client_with(borrowing.clone(), auth);
        assert_eq!(client.is_err(), is_refused, "{method}");
        client.err().into_iter().for_each(|error| misuse::<()>(Err(error), "the origin"));
    }
}

/// A registration at a server that was set up by hand, without an issuer. The document of another server
/// names the same token endpoint, and its own endpoints for revocation and the like.
#[test]
fn credentials_go_to_no_other_endpoint_of_a_server_that_borrows_the_token_endpoint() {
    let answer = r#"{"client_id":"fake-client","client_secret":"fake-secret"}"#;
    let registered = register_at(&anonymous_server(), &metadata(), answer).unwrap();
    let borrowing = |more: &str, origin: &str| -> AuthorizationServer {
        let document = format!(
            r#"{{"issuer":"https://evil.example","token_endpoint":"https://as.example/token",
                "{more}":"{origin}/x"}}"#
        );
        serde_json::from_str(&document).unwrap()
    };
    for endpoint in ["revocation_endpoint", "introspection_endpoint", "device_authorization_endpoint"] {
        let server = borrowing(endpoint, "https://evil.example");
        misuse(
            registered.client(server),
            "the origin \"https://as.example/token\", not \"https://evil.example/x\"",
        );
        assert!(registered.client(borrowing(endpoint, "HTTPS://AS.example:443")).is_ok(), "{endpoint}");
    }
    // By hand, it is your word.
    let by_hand = anonymous_server().revocation_endpoint("https://other.example/revoke").unwrap();
    assert!(registered.client(by_hand).is_ok());
}

#[test]
fn rfc7591_section_3_2_2_an_error_is_refused_whatever_the_status() {
    for status in [400, 401, 200, 201] {
        let call = registration::register(&server(), &metadata()).start().unwrap();
        let answer =
            r#"{"client_id":"fake-client","error":"invalid_redirect_uri","error_description":"not allowed"}"#;
        let error = call.read(json(status, answer)).unwrap_err();
        assert_eq!(
            (error.kind(), error.code(), error.description(), error.advice()),
            (ErrorKind::Refused, Some("invalid_redirect_uri"), Some("not allowed"), Advice::Stop),
            "{status}"
        );
    }
}
