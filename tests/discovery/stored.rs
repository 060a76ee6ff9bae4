//! The stored form of an authorization server: the document of RFC 8414.

use oauth2_proto::server::Leniency;
use oauth2_proto::{
    AuthorizationServer, Client, ClientAuth, Error, RefreshPolicy, Response, Session, Snapshot, Step, pleo,
};
use serde_json::{Value, json};

use crate::support::{client_of, entropy, later, now, start, token_call};
use crate::{document, read_document};

fn stored(server: &AuthorizationServer) -> Value {
    serde_json::to_value(server).unwrap()
}

/// Stores a server, and reads it back by way of text and of a value.
#[track_caller]
fn restored(server: &AuthorizationServer) -> AuthorizationServer {
    let document = stored(server);
    let restored: AuthorizationServer = serde_json::from_str(&document.to_string()).unwrap();
    assert_eq!(stored(&restored), document);
    assert_eq!(format!("{restored:?}"), format!("{server:?}"));
    serde_json::from_value(document).unwrap()
}

#[track_caller]
fn refused(document: &Value) -> String {
    serde_json::from_value::<AuthorizationServer>(document.clone()).unwrap_err().to_string()
}

#[test]
fn rfc8414_section_2_a_server_is_stored_as_its_document() {
    let server = AuthorizationServer::new("https://as.example/authorize", "https://as.example/token")
        .unwrap()
        .issuer("https://as.example")
        .unwrap()
        .device_authorization_endpoint("https://as.example/device")
        .unwrap()
        .introspection_endpoint("https://as.example/introspect")
        .unwrap()
        .pushed_authorization_request_endpoint("https://as.example/par")
        .unwrap()
        .registration_endpoint("https://as.example/register")
        .unwrap()
        .revocation_endpoint("https://as.example/revoke")
        .unwrap()
        .grant_types_supported(["authorization_code"])
        .token_endpoint_auth_methods_supported(["none"])
        .code_challenge_methods_supported(["S256"])
        .authorization_response_iss_parameter_supported(true)
        .require_pushed_authorization_requests(true)
        .require_signed_request_object(true);
    assert_eq!(
        stored(&server),
        json!({
            "issuer": "https://as.example",
            "authorization_endpoint": "https://as.example/authorize",
            "token_endpoint": "https://as.example/token",
            "device_authorization_endpoint": "https://as.example/device",
            "introspection_endpoint": "https://as.example/introspect",
            "pushed_authorization_request_endpoint": "https://as.example/par",
            "registration_endpoint": "https://as.example/register",
            "revocation_endpoint": "https://as.example/revoke",
            "grant_types_supported": ["authorization_code"],
            "token_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
            "require_pushed_authorization_requests": true,
            "require_signed_request_object": true,
        })
    );
    restored(&server);
    let bare = AuthorizationServer::without_authorization_endpoint("https://as.example/token").unwrap();
    assert_eq!(stored(&bare), json!({ "token_endpoint": "https://as.example/token" }));
    restored(&bare);
}

#[test]
fn what_no_specification_names_is_kept_under_one_member() {
    let server = AuthorizationServer::new("https://as.example/authorize", "https://as.example/token")
        .unwrap()
        .https_redirect_uris_only()
        .access_tokens_end_with_refresh()
        .refresh_repeats_scope()
        .refresh_repeats_resources()
        .invalid_grant_codes(["bad_refresh_token"]);
    let server = [
        Leniency::MissingTokenType,
        Leniency::AnyTokenType,
        Leniency::ScopeArray,
        Leniency::ScopeComma,
        Leniency::FormEncoded,
        Leniency::ZeroMeansNeverExpires,
        Leniency::NegativeMeansNeverExpires,
    ]
    .into_iter()
    .fold(server, AuthorizationServer::tolerate);
    assert_eq!(
        stored(&server)["oauth2_proto"],
        json!({
            "https_redirect_uris_only": true,
            "access_tokens_end_with_refresh": true,
            "refresh_repeats_scope": true,
            "refresh_repeats_resources": true,
            "invalid_grant_codes": ["bad_refresh_token"],
            "tolerate": [
                "missing_token_type",
                "any_token_type",
                "scope_array",
                "scope_comma",
                "form_encoded",
                "zero_means_never_expires",
                "negative_means_never_expires",
            ],
        })
    );
    restored(&server);
    let one = AuthorizationServer::new("https://as.example/authorize", "https://as.example/token").unwrap();
    restored(&one.tolerate(Leniency::ScopeComma).invalid_grant_codes([] as [&str; 0]));
}

#[test]
fn a_stored_pleo_behaves_as_pleo() {
    for server in [pleo::staging(), pleo::production(), pleo::at("http://127.0.0.1:8080").unwrap()] {
        let restored = restored(&server);
        let misuse = |server: AuthorizationServer| {
            Client::new(server, "fake-client", ClientAuth::post("fake")).unwrap_err().to_string()
        };
        assert_eq!(misuse(restored.clone()), misuse(server.clone()));
        assert!(misuse(restored.clone()).contains("Pleo"));
        let starts = |server: AuthorizationServer| {
            let request = client_of(server);
            let request = request.authorize("http://127.0.0.1:3000/callback");
            request.start_with(entropy(), now()).map(|(url, _)| url).map_err(|error: Error| error.to_string())
        };
        assert_eq!(starts(restored), starts(server));
    }
}

#[test]
fn a_pending_authorization_and_a_session_survive_a_stored_server() {
    for server in [
        pleo::staging(),
        AuthorizationServer::new("HTTPS://AS.example?t=a%20b", "https://as.example:443/Token")
            .unwrap()
            .issuer("https://AS.example/tenant/")
            .unwrap(),
        read_document(&document("https://as.example")).unwrap(),
    ] {
        let (client, restored) = (client_of(server.clone()), client_of(restored(&server)));
        let (_, mut pending) = start(&client);
        let callback = format!("code=fake-code&state={}", pending.state());
        pending.receive(&restored, callback.as_str(), now()).unwrap();

        let body =
            br#"{"access_token":"fake-1","token_type":"Bearer","expires_in":3600,"refresh_token":"fake-2"}"#;
        let tokens = token_call(&client).read(Response::new(200, [("a", "b")], body)).unwrap();
        let mut session = Session::new(tokens, RefreshPolicy::default(), now());
        let Step::Save(save) = session.poll(now()) else { panic!() };
        let snapshot = serde_json::to_string(save.snapshot()).unwrap();
        let snapshot: Snapshot = serde_json::from_str(&snapshot).unwrap();
        let mut session = Session::restore(&restored, snapshot, RefreshPolicy::default(), now()).unwrap();
        let due = later(4000);
        let Step::Save(claim) = session.poll(due) else { panic!() };
        session.saved(claim);
        let Step::Send { .. } = session.poll(due) else { panic!() };
        assert!(session.send(&restored, due).unwrap().is_some());
    }
}

#[test]
fn a_discovered_server_is_stored_with_the_members_that_the_crate_does_not_read() {
    let mut document = document("https://as.example");
    for (name, value) in [
        ("scopes_supported", json!(["read", "write"])),
        ("client_id_metadata_document_supported", json!(false)),
        ("jwks_uri", json!("https://as.example/jwks")),
        ("x_vendor", json!({ "a": [1, 2.5, { "b": "c" }] })),
        ("registration_endpoint", json!("http://as.example/register")),
    ] {
        document[name] = value;
    }
    let server = read_document(&document).unwrap();
    assert_eq!(stored(&server), document);
    let restored = restored(&server);
    assert_eq!(restored.metadata().registration_endpoint(), None);

    // An endpoint that was unsound is replaced by hand.
    let replaced = restored.registration_endpoint("https://as.example/register").unwrap();
    assert_eq!(stored(&replaced)["registration_endpoint"], "https://as.example/register");
    let text = serde_json::to_string(&replaced).unwrap();
    assert_eq!(text.matches("registration_endpoint").count(), 1, "{text}");
}

#[test]
fn a_document_from_a_server_switches_on_no_leniency() {
    for settings in [
        json!({ "tolerate": ["any_token_type"], "name": "Pleo", "invalid_grant_codes": ["x"] }),
        json!({ "unknown": 1 }),
        json!(7),
        json!("text"),
    ] {
        let mut hostile = document("https://as.example");
        hostile["oauth2_proto"] = settings;
        let server = read_document(&hostile).unwrap();
        assert_eq!(stored(&server), document("https://as.example"));
        assert_eq!(server.metadata().get("oauth2_proto"), None);
    }
}

#[test]
fn an_unknown_setting_is_not_ignored() {
    for settings in [
        json!({ "unknown": true }),
        json!({ "https_redirect_uris_only": "true" }),
        json!({ "access_tokens_end_with_refresh": 1 }),
        json!({ "refresh_repeats_scope": [] }),
        json!({ "refresh_repeats_resources": null }),
        json!({ "tolerate": ["everything"] }),
        json!({ "name": "Pleo\nforged line" }),
        json!({ "instead_of_revocation": "\u{1b}[2J" }),
        json!({ "tolerate": "scope_comma" }),
        json!({ "invalid_grant_codes": [1] }),
        json!({ "name": 1 }),
        json!([]),
        json!("text"),
    ] {
        let mut document = document("https://as.example");
        document["oauth2_proto"] = settings.clone();
        assert!(refused(&document).contains("oauth2_proto"), "{settings}");
    }
    let mut off = document("https://as.example");
    off["oauth2_proto"] = json!({ "https_redirect_uris_only": false, "tolerate": [] });
    let server: AuthorizationServer = serde_json::from_value(off).unwrap();
    assert_eq!(stored(&server), document("https://as.example"));
}

#[test]
fn a_stored_server_is_held_to_the_rules_of_a_hand_written_one() {
    for (name, value, says) in [
        ("token_endpoint", json!("http://as.example/token"), "must be https"),
        ("token_endpoint", json!(null), "no token_endpoint"),
        ("authorization_endpoint", json!("https://as.example/a#b"), "fragment"),
        ("issuer", json!("https://as.example?a"), "query"),
        ("issuer", json!(7), "issuer"),
        ("grant_types_supported", json!("code"), "grant_types_supported"),
        ("authorization_response_iss_parameter_supported", json!("yes"), "neither true nor false"),
    ] {
        let mut document = document("https://as.example");
        document[name] = value;
        let error = refused(&document);
        assert!(error.contains(says) && !error.contains("answer"), "{error}");
    }
    for document in [json!([]), json!("text"), json!(7), json!(null)] {
        assert!(refused(&document).contains("is an object"));
    }
    assert!(serde_json::from_str::<AuthorizationServer>(r#"{"token_endpoint":"https://as.ex"#).is_err());
}

#[test]
fn what_is_nested_too_deeply_to_be_stored_is_left_out() {
    for (levels, kept) in [(1, true), (15, true), (16, false), (100, false)] {
        let mut deep = json!(1);
        for _ in 0..levels / 2 {
            deep = json!({ "a": [deep] });
        }
        if levels % 2 == 1 {
            deep = json!([deep]);
        }
        let mut document = document("https://as.example");
        document["deep"] = deep;
        let server = read_document(&document).unwrap();
        assert_eq!(server.metadata().get("deep").is_some(), kept, "{levels}");
        restored(&server);
    }
}
