//! The metadata of a client (RFC 7591 §2).

use oauth2_proto::Secret;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::PublicKey;
use oauth2_proto::registration::{self, ApplicationType, ClientIdUrl, ClientMetadata};
use serde_json::{Value, json};

use crate::support::{managed, metadata, server};

#[test]
fn rfc7591_section_2_each_member_has_its_name() {
    let metadata = ClientMetadata::new()
        .redirect_uris(["https://app.example/a", "https://app.example/b"])
        .token_endpoint_auth_method("none")
        .grant_types(["authorization_code", "refresh_token"])
        .response_types(["code"])
        .client_name("Fake App")
        .client_uri("https://app.example/")
        .logo_uri("https://app.example/logo")
        .scopes(["read", "write"])
        .contacts(["a@app.example"])
        .tos_uri("https://app.example/tos")
        .policy_uri("https://app.example/policy")
        .jwks_uri("https://app.example/jwks")
        .software_id("fake-software")
        .software_version("1.0")
        .software_statement(&Secret::new("fake.software.statement"))
        .application_type(ApplicationType::Web)
        .member("default_max_age", 3600);
    assert_eq!(
        serde_json::to_value(&metadata).unwrap(),
        json!({
            "redirect_uris": ["https://app.example/a", "https://app.example/b"],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "client_name": "Fake App",
            "client_uri": "https://app.example/",
            "logo_uri": "https://app.example/logo",
            "scope": "read write",
            "contacts": ["a@app.example"],
            "tos_uri": "https://app.example/tos",
            "policy_uri": "https://app.example/policy",
            "jwks_uri": "https://app.example/jwks",
            "software_id": "fake-software",
            "software_version": "1.0",
            "software_statement": "fake.software.statement",
            "application_type": "web",
            "default_max_age": 3600,
        })
    );
    let replaced =
        serde_json::to_value(metadata.client_name("Other").member("contacts", Value::Null)).unwrap();
    assert_eq!((&replaced["client_name"], replaced.get("contacts")), (&json!("Other"), None));
}

#[test]
fn mcp_the_application_type_follows_from_the_redirect_uris_unless_it_is_set() {
    for (uris, derived) in [
        (vec!["https://app.example/cb"], "web"),
        (vec!["https://127.0.0.1.app.example/cb", "HTTPS://localhost.app.example/cb"], "web"),
        (vec!["http://127.0.0.1/cb"], "native"),
        (vec!["http://127.8.9.1:51004/cb"], "native"),
        (vec!["http://[::1]:8080/cb"], "native"),
        (vec!["http://localhost:3000/cb"], "native"),
        (vec!["http://app.localhost/cb"], "native"),
        (vec!["https://LOCALHOST:3000/cb"], "native"),
        (vec!["com.example.app:/cb"], "native"),
        (vec!["https://app.example/cb", "http://127.0.0.1/cb"], "native"),
    ] {
        let metadata = ClientMetadata::new().redirect_uris(uris.clone());
        assert_eq!(serde_json::to_value(&metadata).unwrap()["application_type"], derived, "{uris:?}");
        for (set, sent) in [(ApplicationType::Web, "web"), (ApplicationType::Native, "native")] {
            let metadata = metadata.clone().application_type(set);
            assert_eq!(serde_json::to_value(&metadata).unwrap()["application_type"], sent, "{uris:?}");
        }
    }
    let machine = ClientMetadata::new().grant_types(["client_credentials"]);
    assert_eq!(serde_json::to_value(&machine).unwrap(), json!({"grant_types": ["client_credentials"]}));
}

#[test]
fn rfc7591_section_2_and_rfc8705_section_2_1_2_the_metadata_of_a_client_with_a_key_or_a_certificate() {
    let key = |kid: &str| {
        PublicKey::from_jwk(
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","alg":"EdDSA"}"#,
        )
        .unwrap()
        .with_key_id(kid)
    };
    let with_key = ClientMetadata::new()
        .grant_types(["client_credentials"])
        .token_endpoint_auth_method("private_key_jwt")
        .token_endpoint_auth_signing_alg("EdDSA")
        .jwks([&key("fake-1"), &key("fake-2")]);
    let jwk = |kid: &str| {
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": kid,
            "alg": "EdDSA", "use": "sig"})
    };
    assert_eq!(
        serde_json::to_value(&with_key).unwrap(),
        json!({
            "grant_types": ["client_credentials"],
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": "EdDSA",
            "jwks": {"keys": [jwk("fake-1"), jwk("fake-2")]},
        })
    );
    let with_certificate = ClientMetadata::new()
        .grant_types(["client_credentials"])
        .token_endpoint_auth_method("tls_client_auth")
        .tls_client_auth_subject_dn("CN=fake-client,O=Fake");
    assert_eq!(
        serde_json::to_value(&with_certificate).unwrap(),
        json!({
            "grant_types": ["client_credentials"],
            "token_endpoint_auth_method": "tls_client_auth",
            "tls_client_auth_subject_dn": "CN=fake-client,O=Fake",
        })
    );
}

#[test]
fn unsound_metadata_is_a_misuse_wherever_it_is_used() {
    let client_id = ClientIdUrl::new("https://app.example/client.json").unwrap();
    for (metadata, says) in [
        (
            metadata().redirect_uris(["https://app.example/cb#x"]),
            "the redirect URI \"https://app.example/cb\"… has a fragment",
        ),
        (metadata().redirect_uris(["http://app.example/cb"]), "must be https"),
        (metadata().redirect_uris(["https://app.example/cb?state=x"]), "has the parameter \"state\""),
        (metadata().redirect_uris(["javascript:alert(1)"]), "leads to no app"),
        (
            metadata().member("redirect_uris", json!(["https://app.example/cb", 1])),
            "redirect_uris is no list of texts",
        ),
        (metadata().member("redirect_uris", "https://app.example/cb"), "redirect_uris is no list of texts"),
        (metadata().member("grant_types", "authorization_code"), "grant_types is no list of texts"),
        (metadata().member("grant_types", json!([1])), "grant_types is no list of texts"),
        (metadata().member("token_endpoint_auth_method", 1), "token_endpoint_auth_method is no text"),
        (
            metadata().member("token_endpoint_auth_signing_alg", json!(["ES256"])),
            "token_endpoint_auth_signing_alg is no text",
        ),
        (metadata().scopes(["read write"]), "the scope \"read write\""),
        (metadata().scopes(["a\"b"]).scopes(["read"]), "the scope \"a\\\"b\""),
        (metadata().member("scope", "read  write"), "the scope \"\""),
        (metadata().member("scope", json!(["read"])), "scope is no text"),
        (
            metadata().jwks_uri("https://app.example/jwks").member("jwks", json!({"keys": []})),
            "both jwks and jwks_uri",
        ),
        (metadata().member("jwks", json!({"keys": [{"kty": "EC", "d": "fake"}]})), "private key"),
        (metadata().member("jwks", json!({"kty": "EC", "d": "fake"})), "private key"),
        (metadata().member("jwks", "https://app.example/jwks"), "jwks is no set of keys"),
        (metadata().member("jwks", json!([{"kty": "EC"}])), "jwks is no set of keys"),
        (metadata().member("jwks", json!({"kty": "EC"})), "jwks is no set of keys"),
        (metadata().member("jwks", json!({"keys": ["fake"]})), "jwks is no set of keys"),
        (metadata().member("client_id", "fake-client"), "client_id, which only the server gives"),
        (metadata().member("client_secret", "fake-secret"), "client_secret, which only the server gives"),
        (metadata().member("client_secret_expires_at", 0), "client_secret_expires_at, which"),
        (metadata().member("client_id_issued_at", 0), "client_id_issued_at, which"),
        (metadata().member("registration_access_token", "fake"), "registration_access_token, which"),
        (
            metadata().member("registration_client_uri", "https://as.example"),
            "registration_client_uri, which",
        ),
        (metadata().member("redirect_uris", json!([])), "no redirect_uris"),
        (metadata().member("redirect_uris", Value::Null), "no redirect_uris"),
        (metadata().redirect_uris([""; 0]).grant_types(["authorization_code"]), "no redirect_uris"),
    ] {
        let errors = [
            registration::register(&server(), &metadata).start().err().unwrap(),
            managed().update(&metadata).err().unwrap(),
            metadata.document(&client_id).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
        let error = serde_json::to_string(&metadata).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn rfc7591_section_2_grants_without_a_browser_need_no_redirect_uri() {
    let machine = ClientMetadata::new().grant_types(["client_credentials"]);
    assert!(registration::register(&server(), &machine).start().is_ok());
    assert!(registration::register(&server(), &ClientMetadata::new()).start().is_err());
}
