//! A grant by its name.

use oauth2_proto::Advice;
use oauth2_proto::error::ErrorKind;
use std::time::SystemTime;

use crate::responses::json;
use crate::support::{client, client_of, server};

#[test]
fn rfc6749_section_4_5_the_request() {
    let client = client();
    let call = client
        .extension_grant("urn:ietf:params:oauth:grant-type:saml2-bearer")
        .parameter("assertion", "PHNhbWxwOl fake+/=")
        .scopes(["a"])
        .resource("https://api.example/")
        .start(SystemTime::UNIX_EPOCH)
        .unwrap();
    assert_eq!(
        call.request().body(),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Asaml2-bearer&scope=a\
         &assertion=PHNhbWxwOl+fake%2B%2F%3D&resource=https%3A%2F%2Fapi.example%2F"
    );
    let tokens = call.read(json(r#"{"access_token":"fake","token_type":"Bearer"}"#)).unwrap();
    assert_eq!(tokens.granted_scopes().collect::<Vec<_>>(), ["a"]);
    let refused = call.read(json(r#"{"error":"invalid_grant"}"#)).unwrap_err();
    assert_eq!(refused.advice(), Advice::Reauthorize);
}

#[test]
fn a_grant_that_this_crate_has_or_forbids_is_refused() {
    let client = client();
    for (grant_type, says) in [
        ("password", "RFC 9700 section 2.4"),
        ("Password", "RFC 9700 section 2.4"),
        ("implicit", "RFC 9700 section 2.1.2"),
        ("authorization_code", "Client::authorize"),
        ("refresh_token", "Client::refresh"),
        ("client_credentials", "Client::client_credentials"),
        ("urn:ietf:params:oauth:grant-type:jwt-bearer", "Client::jwt_bearer"),
        ("urn:ietf:params:oauth:grant-type:token-exchange", "Client::token_exchange"),
        ("urn:ietf:params:oauth:grant-type:device_code", "Client::device_authorization"),
        ("", "is empty"),
        (" password", "no URI has"),
        ("pass\nword", "no URI has"),
        ("größe", "no URI has"),
        ("urn:example:<grant>", "no URI has"),
    ] {
        let error = client.extension_grant(grant_type).start(SystemTime::UNIX_EPOCH).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse, "{grant_type:?}");
        assert!(error.to_string().contains(says), "{grant_type:?}: {error}");
    }
    for grant_type in ["urn:openid:params:grant-type:ciba", "https://as.example/grant", "fb_exchange_token"] {
        assert!(client.extension_grant(grant_type).start(SystemTime::UNIX_EPOCH).is_ok(), "{grant_type}");
    }
}

#[test]
fn misuse_makes_no_request() {
    let client = client();
    let grant = "urn:example:grant";
    for error in [
        client
            .extension_grant(grant)
            .parameter("grant_type", "password")
            .start(SystemTime::UNIX_EPOCH)
            .unwrap_err(),
        client.extension_grant(grant).parameter("scope", "a").start(SystemTime::UNIX_EPOCH).unwrap_err(),
        client
            .extension_grant(grant)
            .parameter("client_secret", "fake")
            .start(SystemTime::UNIX_EPOCH)
            .unwrap_err(),
        client
            .extension_grant(grant)
            .parameter("a", "1")
            .parameter("a", "2")
            .start(SystemTime::UNIX_EPOCH)
            .unwrap_err(),
        client.extension_grant(grant).scopes(["a\"b"]).start(SystemTime::UNIX_EPOCH).unwrap_err(),
        client.extension_grant(grant).resource("#").start(SystemTime::UNIX_EPOCH).unwrap_err(),
        client_of(server().grant_types_supported(["urn:example:other"]))
            .extension_grant(grant)
            .start(SystemTime::UNIX_EPOCH)
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
    }
    assert!(
        client_of(server().grant_types_supported([grant]))
            .extension_grant(grant)
            .start(SystemTime::UNIX_EPOCH)
            .is_ok()
    );
}
