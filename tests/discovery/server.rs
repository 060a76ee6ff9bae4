//! The discovery of authorization servers.

use oauth2_proto::discovery::{Metadata, ServerDiscovery};
use oauth2_proto::error::ErrorKind;
use oauth2_proto::{Advice, Client, ClientAuth, Error};
use serde_json::{Value, json};

use crate::{answer, document, read, read_document, server_addresses};

/// Passes the error of each answer to the discovery, and returns the one that it gives back.
#[track_caller]
fn given_back(mut discovery: ServerDiscovery, answers: &[(u16, &str)]) -> Error {
    for (status, body) in answers {
        let error = discovery.call().read(answer(*status, body)).unwrap_err();
        if let Err(error) = discovery.next_address(error) {
            return error;
        }
    }
    panic!("there is an address left: {discovery:?}")
}

fn tenant() -> ServerDiscovery {
    ServerDiscovery::new("https://as.example/tenant").unwrap()
}

fn without(mut document: Value, name: &str) -> Value {
    document.as_object_mut().unwrap().remove(name).unwrap();
    document
}

fn with(mut document: Value, name: &str, value: Value) -> Value {
    document[name] = value;
    document
}

#[test]
fn rfc8414_section_3_1_an_issuer_with_a_path_has_three_addresses_and_one_without_has_two() {
    for issuer in ["https://as.example/a/b", "https://as.example/a/b/"] {
        assert_eq!(
            server_addresses(issuer),
            [
                "https://as.example/.well-known/oauth-authorization-server/a/b",
                "https://as.example/.well-known/openid-configuration/a/b",
                "https://as.example/a/b/.well-known/openid-configuration",
            ]
        );
    }
    for issuer in ["https://as.example:8443", "https://as.example:8443/"] {
        assert_eq!(
            server_addresses(issuer),
            [
                "https://as.example:8443/.well-known/oauth-authorization-server",
                "https://as.example:8443/.well-known/openid-configuration",
            ]
        );
    }
}

#[test]
fn the_address_of_a_document_is_no_issuer() {
    for address in [
        "https://as.example/.well-known/oauth-authorization-server",
        "https://as.example/.well-known/oauth-authorization-server/tenant",
        "https://as.example/tenant/.well-known/openid-configuration",
    ] {
        let refused = ServerDiscovery::new(address).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!(
                "misuse: the issuer {address:?} is the address of a metadata document; pass the issuer that the \
                 document names"
            )
        );
    }
    assert!(ServerDiscovery::new("https://as.example/well-known/tenant").is_ok());
}

#[test]
fn a_discovery_shows_its_address_and_which_are_left() {
    let shown = format!("{:?}", tenant());
    assert!(shown.starts_with("ServerDiscovery { call: "), "{shown}");
    for url in ["oauth-authorization-server/tenant", "openid-configuration/tenant", "tenant/.well-known"] {
        assert!(shown.contains(url), "{shown}");
    }
}

#[test]
fn rfc8414_section_3_1_a_document_is_asked_for_by_get_without_credentials() {
    let discovery = tenant();
    let request = discovery.call().request();
    assert_eq!((request.method(), request.body()), ("GET", ""));
    assert!(request.headers().eq([("accept", "application/json")]));
}

#[test]
fn rfc8414_section_3_2_example() {
    let discovery = ServerDiscovery::new("https://server.example.com").unwrap();
    let body = r#"{"issuer":"https://server.example.com",
        "authorization_endpoint":"https://server.example.com/authorize",
        "token_endpoint":"https://server.example.com/token",
        "token_endpoint_auth_methods_supported":["client_secret_basic","private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported":["RS256","ES256"],
        "userinfo_endpoint":"https://server.example.com/userinfo",
        "jwks_uri":"https://server.example.com/jwks.json",
        "registration_endpoint":"https://server.example.com/register",
        "scopes_supported":["openid","profile","email","address","phone","offline_access"],
        "response_types_supported":["code","code token"],
        "service_documentation":"http://server.example.com/service_documentation.html",
        "ui_locales_supported":["en-US","en-GB","en-CA","fr-FR","fr-CA"]}"#;
    let server = discovery.call().read(answer(200, body)).unwrap();
    let metadata = server.metadata();
    assert_eq!(metadata.issuer(), Some("https://server.example.com"));
    assert_eq!(metadata.authorization_endpoint(), Some("https://server.example.com/authorize"));
    assert_eq!(metadata.token_endpoint(), "https://server.example.com/token");
    assert_eq!(metadata.registration_endpoint(), Some("https://server.example.com/register"));
    assert_eq!(metadata.scopes_supported().unwrap().last(), Some("offline_access"));
    assert!(metadata.response_types_supported().unwrap().eq(["code", "code token"]));
    assert_eq!(metadata.jwks_uri(), Some("https://server.example.com/jwks.json"));
    assert_eq!(metadata.userinfo_endpoint(), Some("https://server.example.com/userinfo"));
    assert_eq!(metadata.end_session_endpoint(), None);
    assert_eq!(metadata.get("ui_locales_supported").unwrap()[0], "en-US");
    assert!(metadata.get("token_endpoint").is_none(), "it has a method");
    for auth in [ClientAuth::basic("fake"), ClientAuth::post("fake")] {
        let is_listed = format!("{auth:?}").contains("Basic");
        assert_eq!(Client::new(server.clone(), "fake-client", auth).is_ok(), is_listed);
    }
}

#[test]
fn openid_connect_discovery_section_4_2_example() {
    let discovery = ServerDiscovery::new("https://server.example.com").unwrap();
    let body = r#"{"issuer":"https://server.example.com",
        "authorization_endpoint":"https://server.example.com/connect/authorize",
        "token_endpoint":"https://server.example.com/connect/token",
        "token_endpoint_auth_methods_supported":["client_secret_basic","private_key_jwt"],
        "userinfo_endpoint":"https://server.example.com/connect/userinfo",
        "check_session_iframe":"https://server.example.com/connect/check_session",
        "jwks_uri":"https://server.example.com/jwks.json",
        "registration_endpoint":"https://server.example.com/connect/register",
        "response_types_supported":["code","code id_token","id_token","id_token token"],
        "subject_types_supported":["public","pairwise"],
        "claims_parameter_supported":true}"#;
    let server = discovery.call().read(answer(200, body)).unwrap();
    assert_eq!(server.metadata().token_endpoint(), "https://server.example.com/connect/token");
    assert_eq!(server.metadata().get("claims_parameter_supported"), Some(&json!(true)));
}

#[test]
fn rfc8414_section_2_all_that_the_crate_uses_is_read() {
    let server = read_document(&json!({
        "issuer": "https://as.example",
        "authorization_endpoint": "https://as.example/authorize",
        "token_endpoint": "https://as.example/token",
        "device_authorization_endpoint": "https://as.example/device",
        "introspection_endpoint": "https://as.example/introspect",
        "registration_endpoint": "https://as.example/register",
        "revocation_endpoint": "https://as.example/revoke",
        "pushed_authorization_request_endpoint": "https://as.example/push",
        "end_session_endpoint": "https://as.example/end",
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256", "plain"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
    }))
    .unwrap();
    let metadata = server.metadata();
    assert_eq!(metadata.device_authorization_endpoint(), Some("https://as.example/device"));
    assert_eq!(metadata.introspection_endpoint(), Some("https://as.example/introspect"));
    assert_eq!(metadata.registration_endpoint(), Some("https://as.example/register"));
    assert_eq!(metadata.revocation_endpoint(), Some("https://as.example/revoke"));
    assert_eq!(metadata.pushed_authorization_request_endpoint(), Some("https://as.example/push"));
    assert_eq!(metadata.end_session_endpoint(), Some("https://as.example/end"));
    assert!(metadata.grant_types_supported().unwrap().eq(["authorization_code", "refresh_token"]));
    assert!(metadata.token_endpoint_auth_methods_supported().unwrap().eq(["none"]));
    assert!(metadata.code_challenge_methods_supported().unwrap().eq(["S256", "plain"]));
    assert!(metadata.authorization_response_iss_parameter_supported());
    assert!(metadata.client_id_metadata_document_supported());

    let metadata = read_document(&document("https://as.example")).unwrap();
    let metadata = metadata.metadata();
    assert!(
        metadata.device_authorization_endpoint().is_none() && metadata.introspection_endpoint().is_none()
    );
    assert!(metadata.registration_endpoint().is_none() && metadata.revocation_endpoint().is_none());
    assert!(metadata.scopes_supported().is_none() && metadata.grant_types_supported().is_none());
    assert!(metadata.token_endpoint_auth_methods_supported().is_none());
    assert!(!metadata.authorization_response_iss_parameter_supported());
    assert!(!metadata.client_id_metadata_document_supported());
    assert!(!metadata.require_pushed_authorization_requests());
    assert!(!metadata.require_signed_request_object());
}

#[test]
fn each_list_is_returned_under_its_own_name_and_none_is_unknown() {
    fn texts<'a>(list: Option<impl Iterator<Item = &'a str>>) -> Option<Vec<&'a str>> {
        list.map(Iterator::collect)
    }
    type Read = for<'a> fn(&Metadata<'a>) -> Option<Vec<&'a str>>;
    let lists: &[(&str, Read)] = &[
        ("scopes_supported", |it| texts(it.scopes_supported())),
        ("response_types_supported", |it| texts(it.response_types_supported())),
        ("response_modes_supported", |it| texts(it.response_modes_supported())),
        ("grant_types_supported", |it| texts(it.grant_types_supported())),
        ("code_challenge_methods_supported", |it| texts(it.code_challenge_methods_supported())),
        ("id_token_signing_alg_values_supported", |it| texts(it.id_token_signing_alg_values_supported())),
        ("request_object_signing_alg_values_supported", |it| {
            texts(it.request_object_signing_alg_values_supported())
        }),
        ("authorization_signing_alg_values_supported", |it| {
            texts(it.authorization_signing_alg_values_supported())
        }),
        ("token_endpoint_auth_methods_supported", |it| texts(it.token_endpoint_auth_methods_supported())),
        ("revocation_endpoint_auth_methods_supported", |it| {
            texts(it.revocation_endpoint_auth_methods_supported())
        }),
        ("introspection_endpoint_auth_methods_supported", |it| {
            texts(it.introspection_endpoint_auth_methods_supported())
        }),
        ("token_endpoint_auth_signing_alg_values_supported", |it| {
            texts(it.token_endpoint_auth_signing_alg_values_supported())
        }),
        ("revocation_endpoint_auth_signing_alg_values_supported", |it| {
            texts(it.revocation_endpoint_auth_signing_alg_values_supported())
        }),
        ("introspection_endpoint_auth_signing_alg_values_supported", |it| {
            texts(it.introspection_endpoint_auth_signing_alg_values_supported())
        }),
    ];
    for (name, _) in lists {
        let mut sent = document("https://as.example");
        sent.as_object_mut().unwrap().retain(|member, _| lists.iter().all(|(list, _)| list != member));
        // The two that no server may lack in its lists.
        sent[name] = json!([name, "code", "S256"]);
        let server = read_document(&sent).unwrap();
        for (other, read) in lists {
            let expected = (name == other).then(|| vec![*name, "code", "S256"]);
            assert_eq!(read(&server.metadata()), expected, "{other}");
        }
    }
}

#[test]
fn a_method_to_authenticate_is_tried_unless_a_list_leaves_it_out() {
    let mut sent = document("https://as.example");
    let server = read_document(&sent).unwrap();
    assert!(server.metadata().supports_auth_method("client_secret_basic"), "no list: unknown");
    sent["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
    let server = read_document(&sent).unwrap();
    assert!(server.metadata().supports_auth_method("client_secret_post"));
    assert!(!server.metadata().supports_auth_method("client_secret_basic"));
}

#[test]
fn a_grant_type_is_tried_unless_a_list_leaves_it_out() {
    let mut sent = document("https://as.example");
    let server = read_document(&sent).unwrap();
    assert!(server.metadata().supports_grant_type("refresh_token"), "no list: unknown");
    sent["grant_types_supported"] = json!(["authorization_code"]);
    let server = read_document(&sent).unwrap();
    assert!(server.metadata().supports_grant_type("authorization_code"));
    assert!(!server.metadata().supports_grant_type("refresh_token"));
}

#[test]
fn an_answer_without_a_document_leads_to_the_next_address() {
    let foreign = document("https://other.example").to_string();
    for (status, body) in [
        (404, ""),
        (404, r#"{"error":"not_found"}"#),
        (400, r#"{"error":"invalid_request"}"#),
        (401, ""),
        (403, "<html>"),
        (302, ""),
        (501, ""),
        (200, "<html>"),
        (200, ""),
        (200, "{}"),
        (200, r#"{"error":"not_found"}"#),
        (200, foreign.as_str()),
    ] {
        let mut discovery = tenant();
        let error = discovery.call().read(answer(status, body)).unwrap_err();
        discovery.next_address(error).unwrap();
        let url = discovery.call().request().url();
        assert_eq!(url, "https://as.example/.well-known/openid-configuration/tenant", "{status} {body}");
        let server = read(&discovery, &document("https://as.example/tenant")).unwrap();
        assert_eq!(server.metadata().issuer(), Some("https://as.example/tenant"));
    }
}

#[test]
fn a_server_in_trouble_is_asked_again_at_the_same_address() {
    for (status, body) in
        [(500, ""), (503, ""), (429, ""), (408, ""), (400, r#"{"error":"temporarily_unavailable"}"#)]
    {
        let mut discovery = tenant();
        let url = discovery.call().request().url().to_owned();
        let error = discovery.call().read(answer(status, body)).unwrap_err();
        let back = discovery.next_address(error).unwrap_err();
        assert_eq!((back.advice(), back.status()), (Advice::RetryLater, Some(status)));
        assert_eq!(discovery.call().request().url(), url);
        assert!(read(&discovery, &document("https://as.example/tenant")).is_ok(), "it came back");

        // The caller gave up on this address: the server fails wherever it has no document.
        discovery.skip_address(back).unwrap();
        assert_ne!(discovery.call().request().url(), url);
        assert!(read(&discovery, &document("https://as.example/tenant")).is_ok());
    }
}

#[test]
fn of_all_addresses_the_most_telling_error_is_given_back() {
    let suspect = document("https://as.example").to_string();
    let plain = with(document("https://as.example/tenant"), "code_challenge_methods_supported", json!([]));
    let plain = plain.to_string();
    let broken = without(document("https://as.example/tenant"), "token_endpoint").to_string();
    let (suspect, plain, broken) = ((200, &*suspect), (200, &*plain), (200, &*broken));
    let (page, missing, denied) = ((200, "<html>"), (404, ""), (403, ""));
    for (answers, kind, status, says) in [
        ([suspect, plain, missing], ErrorKind::Suspect, 200, "issuer"),
        ([missing, plain, suspect], ErrorKind::Suspect, 200, "issuer"),
        ([broken, plain, page], ErrorKind::Unsupported, 200, "S256"),
        ([page, broken, missing], ErrorKind::Invalid, 200, "token_endpoint"),
        ([broken, page, page], ErrorKind::Invalid, 200, "token_endpoint"),
        ([page, page, broken], ErrorKind::Invalid, 200, "token_endpoint"),
        ([missing, page, missing], ErrorKind::Invalid, 200, "JSON"),
        ([missing, page, denied], ErrorKind::Invalid, 200, "JSON"),
        ([denied, missing, missing], ErrorKind::Invalid, 403, "JSON"),
        ([missing, denied, missing], ErrorKind::Invalid, 403, "JSON"),
        ([missing, missing, missing], ErrorKind::Invalid, 404, "JSON"),
    ] {
        let error = given_back(tenant(), &answers);
        assert_eq!((error.kind(), error.status()), (kind, Some(status)), "{answers:?}: {error}");
        assert!(error.to_string().contains(says), "{answers:?}: {error}");
    }
}

#[test]
fn the_last_address_stays_after_it_failed() {
    let mut discovery = ServerDiscovery::new("https://as.example").unwrap();
    for _ in 0..4 {
        let error = discovery.call().read(answer(404, "")).unwrap_err();
        let _ = discovery.next_address(error);
    }
    let url = discovery.call().request().url();
    assert_eq!(url, "https://as.example/.well-known/openid-configuration");
    assert!(read(&discovery, &document("https://as.example")).is_ok());
}

#[test]
fn rfc8414_section_3_3_another_issuer_is_discarded_unless_it_is_named() {
    let discovery = ServerDiscovery::new("https://login.example/common").unwrap();
    let other = document("https://sts.example/tenant");
    let error = read(&discovery, &other).unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Suspect, Advice::Stop));
    assert!(error.to_string().contains("https://sts.example/tenant"), "{error}");

    let mut discovery = discovery.issuer_differs("https://sts.example/tenant");
    let server = read(&discovery, &other).unwrap();
    assert_eq!(server.metadata().issuer(), Some("https://sts.example/tenant"));

    // Now the document must have this issuer, at every address.
    let error = read(&discovery, &document("https://login.example/common")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Suspect);
    discovery.next_address(error).unwrap();
    assert!(read(&discovery, &other).is_ok());
}

#[test]
fn an_issuer_that_is_a_template_leaves_the_server_without_one() {
    let template = "https://login.example/{tenantid}/v2.0";
    let discovery = ServerDiscovery::new("https://login.example/common/v2.0").unwrap();
    let discovery = discovery.issuer_differs(template);
    let mut document = with(document("https://login.example"), "issuer", template.into());
    let server = read(&discovery, &document).unwrap();
    assert_eq!((server.metadata().issuer(), server.metadata().get("issuer")), (None, None));
    assert!(Client::new(server, "fake-client", ClientAuth::none()).is_ok());

    // If it announced `iss`, there would be nothing to compare it with.
    document["authorization_response_iss_parameter_supported"] = true.into();
    let server = read(&discovery, &document).unwrap();
    let error = Client::new(server.clone(), "fake-client", ClientAuth::none()).unwrap_err();
    assert!(error.to_string().contains("AuthorizationServer::issuer"), "{error}");
    let server = server.issuer("https://login.example/7/v2.0").unwrap();
    assert!(Client::new(server, "fake-client", ClientAuth::none()).is_ok());
}

#[test]
fn mcp_a_server_that_does_not_announce_pkce_is_refused_on_request() {
    let silent = without(document("https://as.example"), "code_challenge_methods_supported");
    let announced = document("https://as.example");
    let discovery = || ServerDiscovery::new("https://as.example").unwrap();
    assert!(read(&discovery(), &silent).is_ok());
    let mut strict = discovery().require_pkce_announced();
    assert!(read(&strict, &announced).is_ok());
    let error = read(&strict, &silent).unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Unsupported, Advice::FixConfiguration));
    // The other document may announce it.
    strict.next_address(error).unwrap();
    assert_eq!(read(&strict, &silent).unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(read(&strict, &announced).is_ok());
}

#[test]
fn a_server_needs_no_authorization_endpoint_if_its_grant_types_do_without() {
    let none = without(document("https://as.example"), "authorization_endpoint");
    for (grant_types, accepted) in [
        (Value::Null, false),
        (json!(["authorization_code"]), false),
        (json!(["implicit", "client_credentials"]), false),
        (json!(["client_credentials"]), true),
        (json!([]), true),
    ] {
        let document = with(none.clone(), "grant_types_supported", grant_types.clone());
        let server = read_document(&document);
        assert_eq!(server.is_ok(), accepted, "{grant_types}");
        if let Err(error) = server {
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    }
}

#[test]
fn endpoints_are_held_to_the_rules_of_hand_written_ones() {
    for url in [
        "http://as.example/x",
        "https://user@as.example/x",
        "https://as.example/x#y",
        "https://as.example/x?client_id=y",
        "https://127.1/x",
        "https://as.example/../x",
        "javascript:alert(1)",
        "/x",
        "",
    ] {
        for name in ["authorization_endpoint", "token_endpoint"] {
            let error = read_document(&with(document("https://as.example"), name, url.into())).unwrap_err();
            assert_eq!((error.kind(), error.advice()), (ErrorKind::Invalid, Advice::Stop), "{name} {url}");
        }
        for name in [
            "device_authorization_endpoint",
            "introspection_endpoint",
            "pushed_authorization_request_endpoint",
            "registration_endpoint",
            "revocation_endpoint",
        ] {
            let server = read_document(&with(document("https://as.example"), name, url.into())).unwrap();
            let metadata = server.metadata();
            let read = [
                metadata.device_authorization_endpoint(),
                metadata.introspection_endpoint(),
                metadata.pushed_authorization_request_endpoint(),
                metadata.registration_endpoint(),
                metadata.revocation_endpoint(),
            ];
            assert_eq!(read, [None; 5], "{name} {url}");
            assert_eq!(metadata.get(name).unwrap(), url, "the program can see why");
        }
    }
    let page = with(
        document("https://as.example"),
        "authorization_endpoint",
        "https://as.example/x?response_mode=fragment".into(),
    );
    assert_eq!(read_document(&page).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_member_of_the_wrong_kind_makes_the_document_invalid() {
    for name in [
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "device_authorization_endpoint",
        "introspection_endpoint",
        "pushed_authorization_request_endpoint",
        "registration_endpoint",
        "revocation_endpoint",
        "scopes_supported",
        "response_types_supported",
        "grant_types_supported",
        "token_endpoint_auth_methods_supported",
        "code_challenge_methods_supported",
        "authorization_response_iss_parameter_supported",
        "require_pushed_authorization_requests",
        "require_signed_request_object",
        "client_id_metadata_document_supported",
    ] {
        for value in [json!(7), json!({}), json!([1])] {
            let error =
                read_document(&with(document("https://as.example"), name, value.clone())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{name} {value}: {error}");
            assert!(error.to_string().contains(name), "{name}: {error}");
        }
        let text = document("https://as.example").to_string();
        let twice = text.replacen('{', &format!("{{\"{name}\":null,\"{name}\":null,"), 1);
        let discovery = ServerDiscovery::new("https://as.example").unwrap();
        let error = discovery.call().read(answer(200, &twice)).unwrap_err();
        assert!(error.to_string().contains("there twice"), "{error}");
    }
}

#[test]
fn null_is_absent() {
    let mut all = document("https://as.example");
    for name in ["revocation_endpoint", "scopes_supported", "jwks_uri", "grant_types_supported"] {
        all[name] = Value::Null;
    }
    let server = read_document(&all).unwrap();
    for name in ["revocation_endpoint", "scopes_supported", "jwks_uri", "grant_types_supported"] {
        assert_eq!(server.metadata().get(name), None, "{name}");
    }
    assert_eq!(serde_json::to_value(&server).unwrap(), document("https://as.example"));
}
