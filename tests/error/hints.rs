//! The hints at the configuration in messages, where the server's answer has none.

use oauth2_proto::{AuthorizationServer, Client, ClientAuth, Error, Response, Secret};
use std::time::SystemTime;

use crate::support::{server, token_call};

const ENCODING: &str = "ClientAuth::basic_unencoded";
const ADDRESS: &str = "the endpoint's address \"https://as.example/token\"";

#[track_caller]
fn answer(client: &Client, status: u16, body: &str) -> Error {
    let json = [("content-type", "application/json")];
    token_call(client).read(Response::new(status, json, body.as_bytes())).unwrap_err()
}

#[test]
fn refused_credentials_that_encoding_changed_name_the_other_way() {
    for (id, auth, told) in [
        ("fake-client", ClientAuth::basic("fake+secret/="), true),
        ("fake-client", ClientAuth::basic("fake secret"), true),
        ("fake-client", ClientAuth::basic("fake~secret"), true),
        ("fake-client", ClientAuth::basic("größe"), true),
        ("fake:client@example", ClientAuth::basic("fake"), true),
        ("fake-client", ClientAuth::basic("AZaz09*-._"), false),
        ("fake-client", ClientAuth::basic(""), false),
        ("fake-client", ClientAuth::basic_unencoded("fake%2Bsecret+"), false),
        ("fake-client", ClientAuth::post("fake+secret"), false),
        ("fake+client", ClientAuth::none(), false),
    ] {
        let client = Client::new(server(), id, auth).unwrap();
        for (status, body, is_about_the_client) in [
            (401, r#"{"error":"invalid_client"}"#, true),
            (400, r#"{"error":"invalid_client","error_description":"no"}"#, true),
            (200, r#"{"error":"invalid_client"}"#, true),
            (401, "", true),
            (401, "<html>", true),
            (401, r#"{"error":"invalid_grant"}"#, false),
            (400, r#"{"error":"invalid_grant"}"#, false),
            (400, "", false),
            (503, r#"{"error":"invalid_client"}"#, false),
        ] {
            let message = answer(&client, status, body).to_string();
            assert_eq!(message.contains(ENCODING), told && is_about_the_client, "{id}: {status} {message}");
            assert!(!message.contains("secret/") && !message.contains("größe"), "{message}");
        }
    }
}

#[test]
fn an_answer_of_another_address_names_the_one_that_was_asked() {
    let server =
        AuthorizationServer::new("https://as.example/authorize", "https://as.example/token?key=planted");
    let client = Client::new(server.unwrap(), "fake-client", ClientAuth::none()).unwrap();
    for (status, body, told) in [
        (404, "<html>not here</html>", true),
        (404, "", true),
        (404, r#"{"message":"no such route"}"#, true),
        (404, r#"{"status":404,"error":"Not Found","path":"/token"}"#, true),
        (404, r#"{"error":{"message":"no such route"}}"#, true),
        (405, "", true),
        (410, "gone", true),
        (302, "", true),
        (308, "<html>", true),
        (404, r#"{"error":"invalid_grant"}"#, false),
        (404, r#"{"error":"invalid_request"}"#, false),
        (400, "<html>", false),
        (403, "", false),
        (408, "", false),
        (503, "<html>", false),
        (200, "<html>", false),
    ] {
        let error = answer(&client, status, body);
        let message = error.to_string();
        assert_eq!(message.contains(ADDRESS), told, "{status} {body}: {message}");
        assert!(message.contains(&status.to_string()), "{message}");
        assert!(!format!("{message} {error:?}").contains("planted"), "{message} {error:?}");
    }
}

/// RFC 8693 gives a stale subject token and a wrong request one code; only the message can tell both.
#[test]
fn rfc8693_section_2_2_2_a_refused_exchange_names_the_subject_token_as_a_cause() {
    let client = crate::support::client();
    let token = Secret::new("fake-token");
    let read = |status, body: &[u8]| {
        let call = client
            .token_exchange(&token, "urn:ietf:params:oauth:token-type:access_token")
            .start(SystemTime::UNIX_EPOCH);
        call.unwrap().read(Response::new(status, [("a", "b")], body)).unwrap_err().to_string()
    };
    assert!(read(400, br#"{"error":"invalid_request"}"#).contains("try a new one, once"));
    assert!(!read(400, br#"{"error":"invalid_target"}"#).contains("new one"));
    let refresh = client.refresh(&token).start(SystemTime::UNIX_EPOCH).unwrap();
    let error =
        refresh.read(Response::new(400, [("a", "b")], br#"{"error":"invalid_request"}"#)).unwrap_err();
    assert!(!error.to_string().contains("new one"), "{error}");
}
