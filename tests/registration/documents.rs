//! Client ID metadata documents (draft-ietf-oauth-client-id-metadata-document).

use oauth2_proto::discovery::ServerDiscovery;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::registration::ClientIdUrl;
use oauth2_proto::{AuthorizationServer, ClientAuth, Response, Secret};
use serde_json::{Value, json};
use std::time::SystemTime;

use crate::support::{metadata, misuse, server};

#[track_caller]
fn client_id() -> ClientIdUrl {
    ClientIdUrl::new("https://app.example/client.json").unwrap()
}

#[test]
fn draft_section_3_the_address_is_https_with_a_path() {
    for (url, sound) in [
        ("https://app.example/client.json", true),
        ("https://app.example:8443/a/client", true),
        ("https://app.example/client?v=1", true),
        ("https://app.example/a..b/.client", true),
        ("https://app.example/client/", true),
        ("http://127.0.0.1/client.json", false),
        ("http://localhost:3000/client.json", false),
        ("https://app.example?client", false),
        ("https://app.example/?client", false),
        ("https://app.example/client#", false),
        ("https://@app.example/client", false),
        ("https://app.example/a/%2e%2E/client", false),
        ("https://app.example/%2e/client", false),
        ("https://app.example/client/..", false),
        ("https://app.example/cli ent", false),
        ("com.example.app:/client", false),
        ("/client", false),
        ("", false),
    ] {
        match ClientIdUrl::new(url) {
            Ok(client_id) => assert!(sound && client_id.as_str() == url, "{url}"),
            Err(error) => assert!(!sound && error.kind() == ErrorKind::Misuse, "{url}: {error}"),
        }
    }
    misuse(ClientIdUrl::new("http://127.0.0.1/client.json"), "must be https");
    misuse(ClientIdUrl::new("https://app.example/"), "no path beyond /");
}

#[test]
fn draft_section_4_a_document_names_its_address_and_no_method_with_a_secret() {
    let document: Value = serde_json::from_str(&metadata().document(&client_id()).unwrap()).unwrap();
    assert_eq!(
        document,
        json!({
            "client_id": "https://app.example/client.json",
            "client_name": "Fake App",
            "redirect_uris": ["https://app.example/callback"],
            "token_endpoint_auth_method": "none",
            "application_type": "web",
        })
    );
    let with_key =
        metadata().token_endpoint_auth_method("private_key_jwt").jwks_uri("https://app.example/jwks");
    let document: Value = serde_json::from_str(&with_key.document(&client_id()).unwrap()).unwrap();
    assert_eq!(document["token_endpoint_auth_method"], "private_key_jwt");
    for method in ["client_secret_basic", "client_secret_post", "client_secret_jwt"] {
        misuse(metadata().token_endpoint_auth_method(method).document(&client_id()), "needs a secret");
    }
}

#[test]
fn draft_section_4_1_a_document_holds_no_secret() {
    let check = |members: &str| {
        client_id().check(&format!(r#"{{"client_id":"https://app.example/client.json"{members}}}"#))
    };
    for members in [
        "",
        r#","client_secret":null,"token_endpoint_auth_method":null"#,
        r#","jwks":{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},1]}"#,
        r#","jwks":{}"#,
    ] {
        assert!(check(members).is_ok(), "{members}");
    }
    for (members, says) in [
        (r#","client_secret":"planted""#, "a secret"),
        (r#","client_secret_expires_at":0"#, "a secret"),
        (r#","registration_access_token":"planted""#, "a secret"),
        (r#","token_endpoint_auth_method":"client_secret_jwt""#, "needs a secret"),
        (r#","token_endpoint_auth_method":["none"]"#, "needs a secret"),
        (r#","token_endpoint_auth_method":"none","token_endpoint_auth_method":"none""#, "twice"),
        (r#","client_id":"https://app.example/client.json""#, "client_id twice"),
        (r#","jwks":{"keys":[{"kty":"EC"},{"kty":"EC","d":"planted"}]}"#, "private key"),
        (r#","jwks":{"keys":[{"kty":"RSA","oth":[]}]}"#, "private key"),
        (r#","jwks":{"kty":"EC","d":"planted"}"#, "private key"),
        (r#","jwks":{"keys":[{"kty":"oct","k":"planted"}]}"#, "private key"),
    ] {
        misuse(check(members), says);
        assert!(!check(members).unwrap_err().to_string().contains("planted"));
    }
    for document in ["", "[]", "{", r#"{"client_id":1}"#, "null"] {
        misuse(client_id().check(document), "the client ID metadata document");
    }
    let with_key = metadata().member("jwks", json!({"keys": [{"kty": "EC", "d": "planted"}]}));
    misuse(with_key.document(&client_id()), "private key");
}

#[test]
fn draft_section_6_the_user_is_sent_only_to_a_server_that_takes_documents() {
    let taking = server().client_id_metadata_document_supported(true);
    let client = client_id().client(taking.clone(), ClientAuth::none()).unwrap();
    let call = client.refresh(&Secret::new("fake-refresh")).start(SystemTime::UNIX_EPOCH).unwrap();
    assert!(call.request().body().ends_with("&client_id=https%3A%2F%2Fapp.example%2Fclient.json"));

    let refusing = server().client_id_metadata_document_supported(false);
    misuse(client_id().client(refusing, ClientAuth::none()), "does not take");
    misuse(client_id().client(server(), ClientAuth::none()), "does not say");
    for auth in [
        ClientAuth::basic("fake-secret"),
        ClientAuth::basic_unencoded("fake-secret"),
        ClientAuth::post("fake-secret"),
    ] {
        misuse(client_id().client(taking.clone(), auth), "cannot have a client secret");
    }
    let basic = taking.token_endpoint_auth_methods_supported(["client_secret_basic"]);
    misuse(client_id().client(basic, ClientAuth::none()), "not none");
}

#[test]
fn draft_section_6_the_metadata_of_a_discovered_server_says_whether_it_takes_documents() {
    for (says, is_taken) in [(json!(true), true), (json!(false), false), (Value::Null, false)] {
        let discovery = ServerDiscovery::new("https://as.example").unwrap();
        let document = json!({
            "issuer": "https://as.example",
            "authorization_endpoint": "https://as.example/authorize",
            "token_endpoint": "https://as.example/token",
            "response_types_supported": ["code"],
            "client_id_metadata_document_supported": says,
        });
        let body = document.to_string();
        let response = Response::new(200, [("content-type", "application/json")], body.as_bytes());
        let server = discovery.call().read(response).unwrap();
        assert_eq!(server.metadata().client_id_metadata_document_supported(), is_taken);
        assert_eq!(client_id().client(server.clone(), ClientAuth::none()).is_ok(), is_taken);
        let restored: AuthorizationServer =
            serde_json::from_str(&serde_json::to_string(&server).unwrap()).unwrap();
        assert_eq!(client_id().client(restored, ClientAuth::none()).is_ok(), is_taken);
    }
}

#[test]
fn an_address_is_printed_without_its_query() {
    let client_id = ClientIdUrl::new("https://app.example/client?key=planted").unwrap();
    assert_eq!(format!("{client_id:?}"), "\"https://app.example/client\"…");
}
