//! Clients whose TLS connections present a certificate (RFC 8705).

use oauth2_proto::error::ErrorKind;
use oauth2_proto::{
    AuthorizationServer, Client, ClientAuth, RefreshPolicy, Secret, Session, Step, TokenResponse,
};
use serde_json::{Value, json};

use crate::keys::{assertion, client, local_key, parameter, server};
use crate::operations;
use crate::support::{client_of, entropy, later, now};

const NAMES: [&str; 5] = [
    "token_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "device_authorization_endpoint",
    "pushed_authorization_request_endpoint",
];

fn alias(endpoint: &str) -> String {
    format!("https://mtls.as.example/{endpoint}?tenant=a")
}

/// The server with an alias of each endpoint.
#[track_caller]
fn with_aliases() -> AuthorizationServer {
    NAMES.into_iter().fold(server(), |server, name| server.mtls_endpoint_alias(name, &alias(name)).unwrap())
}

#[test]
fn rfc8705_section_2_every_request_names_the_client_and_holds_no_secret() {
    for auth in [ClientAuth::tls_client_auth(), ClientAuth::self_signed_tls_client_auth()] {
        let client = client(auth);
        for (operation, _, start) in operations::ALL {
            let request = start(&|| client.clone()).unwrap();
            assert_eq!(parameter(&request, "client_id").as_deref(), Some("fake-client"), "{operation}");
            assert_eq!(request.header("authorization"), None, "{operation}");
            for name in ["client_secret", "client_assertion", "client_assertion_type"] {
                assert_eq!(parameter(&request, name), None, "{operation}");
            }
        }
    }
}

#[test]
fn rfc8705_section_5_a_client_with_a_certificate_prefers_the_aliases_at_every_endpoint() {
    let with_certificate = |auth| {
        let client = Client::new(with_aliases(), "fake-client", auth).unwrap();
        client.presents_certificate().unwrap()
    };
    for client in [
        Client::new(with_aliases(), "fake-client", ClientAuth::tls_client_auth()).unwrap(),
        Client::new(with_aliases(), "fake-client", ClientAuth::self_signed_tls_client_auth()).unwrap(),
        // Section 4: the tokens of a public client are bound, too.
        with_certificate(ClientAuth::none()),
        with_certificate(ClientAuth::private_key_jwt(local_key())),
    ] {
        for (operation, endpoint, start) in operations::ALL {
            let request = match start(&|| client.clone()) {
                // A public client has no credentials to ask for tokens with.
                Err(error) if *operation == "client credentials" => {
                    assert!(error.to_string().contains("authenticates with none"), "{error}");
                    continue;
                }
                request => request.unwrap(),
            };
            assert_eq!(request.url(), alias(endpoint), "{operation}");
        }
        // The browser, which has no certificate, keeps the address.
        let (url, _) = client.authorize("https://app.example/callback").start_with(entropy(), now()).unwrap();
        assert!(url.starts_with("https://as.example/authorize?"), "{url}");
    }
    for client in [client_of(with_aliases()), client(ClientAuth::tls_client_auth())] {
        for (operation, _, start) in operations::ALL {
            let request = start(&|| client.clone()).unwrap();
            assert!(request.url().starts_with("https://as.example/"), "{operation}");
        }
    }
}

/// RFC 8705 leaves the audience of an assertion as it is.
#[test]
fn rfc8705_section_5_an_assertion_at_an_alias_is_for_the_issuer() {
    let auth = ClientAuth::private_key_jwt(local_key());
    let client = Client::new(with_aliases(), "fake-client", auth).unwrap().presents_certificate().unwrap();
    let mut call = client.client_credentials().start(now()).unwrap();
    assert_eq!(assertion(call.request()).1["aud"], "https://as.example");
    call.renew(&client, later(1)).unwrap();
    assert_eq!(call.request().url(), alias("token_endpoint"));
}

#[test]
fn rfc8705_section_5_an_endpoint_without_an_alias_keeps_its_address_and_one_with_an_alias_only_is_there() {
    let server = server().mtls_endpoint_alias("revocation_endpoint", &alias("revocation_endpoint")).unwrap();
    let client = Client::new(server, "fake-client", ClientAuth::tls_client_auth()).unwrap();
    let token = Secret::new("fake-token");
    assert_eq!(client.revoke(&token).start(now()).unwrap().request().url(), alias("revocation_endpoint"));
    assert_eq!(
        client.introspect(&token).start(now()).unwrap().request().url(),
        "https://as.example/introspect"
    );

    let server = AuthorizationServer::without_authorization_endpoint("https://as.example/token").unwrap();
    let server =
        server.mtls_endpoint_alias("introspection_endpoint", &alias("introspection_endpoint")).unwrap();
    let tls = Client::new(server.clone(), "fake-client", ClientAuth::tls_client_auth()).unwrap();
    let call = tls.introspect(&token).start(now()).unwrap();
    assert_eq!(call.request().url(), alias("introspection_endpoint"));
    let plain = client_of(server);
    let error = plain.introspect(&token).start(now()).unwrap_err();
    assert!(error.to_string().contains("has no introspection endpoint"), "{error}");
}

#[test]
fn an_alias_is_held_to_the_rules_of_an_endpoint() {
    for (name, url, says) in [
        ("token_endpoint", "http://mtls.as.example/token", "alias of the token endpoint"),
        ("revocation_endpoint", "https://mtls.as.example/revoke#", "alias of the revocation endpoint"),
        ("token_endpoint", "https://mtls.as.example/token?client_id=other", "client_id"),
        ("token_endpoint", "https://mtls.as.example/token?client_assertion=other", "client_assertion"),
        ("authorization_endpoint", "https://mtls.as.example/authorize", "no endpoint that a client"),
        ("token", "https://mtls.as.example/token", "use token_endpoint, revocation_endpoint"),
    ] {
        let error = server().mtls_endpoint_alias(name, url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// The endpoint's own address would not ask for the certificate.
#[test]
fn an_unsound_alias_in_a_document_is_told_to_the_client_that_needs_it() {
    let document = |name: &str| -> AuthorizationServer {
        let document = json!({"token_endpoint": "https://as.example/token",
            "introspection_endpoint": "https://as.example/introspect",
            "mtls_endpoint_aliases": {name: "http://mtls.as.example/x"}});
        serde_json::from_value(document).unwrap()
    };
    let says = "in the server's metadata \"http://mtls.as.example/x\" must be https";
    let new = |name: &str, auth| Client::new(document(name), "fake-client", auth);
    let error = new("token_endpoint", ClientAuth::tls_client_auth()).unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
    let public = new("token_endpoint", ClientAuth::none()).unwrap();
    assert!(public.client_credentials().start(now()).is_err());
    assert!(public.presents_certificate().unwrap_err().to_string().contains(says));
    let client = new("introspection_endpoint", ClientAuth::tls_client_auth()).unwrap();
    let error = client.introspect(&Secret::new("fake-token")).start(now()).unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
    // A document is stored as it is, and a sound alias that is set later takes the place.
    let server = document("token_endpoint");
    assert_eq!(stored(&server)["mtls_endpoint_aliases"]["token_endpoint"], "http://mtls.as.example/x");
    let server = server.mtls_endpoint_alias("token_endpoint", &alias("token_endpoint")).unwrap();
    assert_eq!(stored(&server)["mtls_endpoint_aliases"], json!({"token_endpoint": alias("token_endpoint")}));
    assert!(Client::new(server, "fake-client", ClientAuth::tls_client_auth()).is_ok());
}

fn stored(server: &AuthorizationServer) -> Value {
    serde_json::to_value(server).unwrap()
}

#[test]
fn rfc8705_section_5_the_client_serialises_its_server_as_it_was_described() {
    let document = json!({
        "issuer": "https://as.example",
        "token_endpoint": "https://as.example/token",
        "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
        "revocation_endpoint_auth_signing_alg_values_supported": ["PS256"],
        "introspection_endpoint_auth_signing_alg_values_supported": ["EdDSA"],
        "mtls_endpoint_aliases": {
            "registration_endpoint": "https://mtls.as.example/register",
            "token_endpoint": "https://mtls.as.example/token",
        },
    });
    let server: AuthorizationServer = serde_json::from_value(document.clone()).unwrap();
    let client = Client::new(server, "fake-client", ClientAuth::tls_client_auth()).unwrap();
    assert_eq!(stored(client.server()), document);
    let metadata = client.server().metadata();
    assert_eq!(metadata.mtls_endpoint_alias("token_endpoint"), Some("https://mtls.as.example/token"));
    assert_eq!(metadata.mtls_endpoint_alias("registration_endpoint"), None);
    assert_eq!(metadata.token_endpoint(), "https://as.example/token");
    assert!(metadata.token_endpoint_auth_signing_alg_values_supported().unwrap().eq(["ES256"]));
    assert!(metadata.revocation_endpoint_auth_signing_alg_values_supported().unwrap().eq(["PS256"]));
    assert!(metadata.introspection_endpoint_auth_signing_alg_values_supported().unwrap().eq(["EdDSA"]));
}

#[test]
fn a_document_with_other_things_in_place_of_aliases_is_broken() {
    for (aliases, is_sound) in [
        (json!(null), true),
        (json!({}), true),
        (json!({"token_endpoint": null, "x": 1}), true),
        (json!([]), false),
        (json!("https://mtls.as.example"), false),
        (json!({"token_endpoint": 1}), false),
    ] {
        let document =
            json!({"token_endpoint": "https://as.example/token", "mtls_endpoint_aliases": aliases});
        let read = serde_json::from_value::<AuthorizationServer>(document);
        assert_eq!(read.is_ok(), is_sound, "{aliases}");
    }
}

/// The attack: a process whose configuration lacks the certificate. It would use up refresh tokens that the
/// server binds to the certificate (RFC 8705 §4 and §7.1).
#[test]
fn rfc8705_section_4_tokens_of_a_client_with_a_certificate_are_not_refreshed_without_it() {
    let plain = Client::new(server(), "fake-client", ClientAuth::none()).unwrap();
    let with_certificate = plain.clone().presents_certificate().unwrap();
    let error = operations::session(&with_certificate).send(&plain, later(600)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    let mut stored = operations::session(&with_certificate);
    assert!(stored.send(&with_certificate, later(600)).unwrap().is_some());

    let restore = |client: &Client, by: &Client| {
        let tokens = TokenResponse::for_test(client, TOKENS).unwrap();
        let mut session = Session::new(tokens, RefreshPolicy::default(), now());
        let Step::Save(save) = session.poll(now()) else { panic!("the tokens are saved first") };
        Session::restore(by, save.snapshot().clone(), RefreshPolicy::default(), now())
    };
    let tls = Client::new(server(), "fake-client", ClientAuth::tls_client_auth()).unwrap();
    assert!(restore(&with_certificate, &plain).is_err());
    assert!(restore(&tls, &client(ClientAuth::basic("fake-secret"))).is_err());
    assert!(
        restore(&with_certificate, &with_certificate).is_ok() && restore(&tls, &with_certificate).is_ok()
    );
    // A client that gets a certificate keeps its tokens, which the next refresh binds.
    assert!(restore(&plain, &with_certificate).is_ok());
    assert!(restore(&client(ClientAuth::basic("fake-secret")), &tls).is_ok());
    // Not so where requests go to another address then.
    let elsewhere = Client::new(with_aliases(), "fake-client", ClientAuth::tls_client_auth()).unwrap();
    assert!(restore(&plain, &elsewhere).is_err());
}

const TOKENS: &str =
    r#"{"access_token":"fake","token_type":"Bearer","expires_in":600,"refresh_token":"fake-refresh"}"#;
