//! Server texts that repeat a secret of a registration or of its management.

use oauth2_proto::Secret;
use oauth2_proto::registration::{self, ClientMetadata};
use serde_json::json as value;

use crate::support::{json, metadata, register_at, registered, server};

const WITHHELD: &str = "[withheld: it repeats a secret of the request]";

#[test]
fn secrets_in_a_json_body_are_withheld_and_public_metadata_is_not() {
    let metadata = metadata()
        .software_statement(&Secret::new("planted.statement"))
        .member("vendor_key", value!({"deep": ["planted-vendor-key"]}))
        .member("vendor_tag", "planned")
        .member("client_name#fr", "Fausse Application");
    let answer = r#"{"client_id":"fake-client","client_secret":"planted-secret","registration_access_token":"planted-token",
        "registration_client_uri":"https://as.example/r"}"#;
    let managed = register_at(&server(), &metadata, answer).unwrap();
    let token = Secret::new("planted-initial-token");
    let register = registration::register(&server(), &metadata).initial_access_token(&token).start().unwrap();
    let update = managed.update(&metadata).unwrap();
    let read = managed.read().unwrap();

    for (call, secrets) in [
        (&register, vec!["planted-initial-token", "planted.statement", "planted-vendor-key"]),
        (&update, vec!["planted-secret", "planted-token", "planted.statement", "planted-vendor-key"]),
        (&read, vec!["planted-token"]),
    ] {
        for secret in secrets {
            let body = value!({"error": "invalid_client_metadata", "error_description": format!("bad {secret}!"),
                "state": secret});
            let error = call.read(json(400, &body.to_string())).unwrap_err();
            assert_eq!(
                (error.code(), error.description()),
                (Some("invalid_client_metadata"), Some(WITHHELD))
            );
            assert_eq!(error.extra("state"), Some(&value!(WITHHELD)));
            assert!(!format!("{error} {error:?}").contains("planted"), "{error:?}");
        }
        for harmless in
            ["https://app.example/callback is not allowed", "Fausse Application", "fake-client", "planned"]
        {
            let body = value!({"error": "invalid_redirect_uri", "error_description": harmless});
            let error = call.read(json(400, &body.to_string())).unwrap_err();
            assert_eq!(error.description(), Some(harmless));
        }
    }
}

#[test]
fn every_text_of_a_short_secret_counts_and_only_longer_texts_of_unknown_members() {
    let metadata = ClientMetadata::new()
        .redirect_uris(["https://app.example/cb"])
        .software_statement(&Secret::new("stm7"))
        .member("unknown", "8letters")
        .member("other", "7letter");
    let call = registration::register(&server(), &metadata).start().unwrap();
    for (text, is_withheld) in [("stm7", true), ("8letters", true), ("7letter", false)] {
        let body = value!({"error": "invalid_client_metadata", "error_description": text});
        let error = call.read(json(400, &body.to_string())).unwrap_err();
        assert_eq!(error.description() == Some(WITHHELD), is_withheld, "{text}");
    }
}

#[test]
fn a_body_that_the_caller_broke_counts_as_one_secret() {
    let mut call = registration::register(&server(), &metadata()).start().unwrap();
    call.request_mut().set_body(" {\"client_name\":\"planted name\"");
    let error = call.read(json(400, r#"{"error":"invalid_request","error_description":"a planted name"}"#));
    assert_eq!(error.unwrap_err().description(), Some(WITHHELD));

    call.request_mut().set_body(" \n{\"client_secret\":\"planted-s\",\"client_name\":\"Public Name\"}");
    for (text, is_withheld) in [("planted-s", true), ("Public Name", false)] {
        let body = value!({"error": "invalid_request", "error_description": text}).to_string();
        let error = call.read(json(400, &body)).unwrap_err();
        assert_eq!(error.description() == Some(WITHHELD), is_withheld, "{text}");
    }
}

/// An update repeats what the server answered, so the server decides how much there is to find in its error.
#[test]
fn an_error_after_an_update_of_a_large_registration_is_read_in_a_time_by_its_length() {
    let members: String = (0..8_000).map(|number| format!(r#","a{number}":"value-{number:08}""#)).collect();
    let uris =
        r#""registration_access_token":"fake-token","registration_client_uri":"https://as.example/register""#;
    let answer = format!(
        r#"{{"client_id":"fake-client","client_secret":"planted-secret",{uris},
            "redirect_uris":["https://app.example/callback"]{members}}}"#
    );
    let registered = registered(&answer);
    let call = registered.update(&metadata()).unwrap();
    let texts: String = (0..20_000).map(|number| format!("x{number} ")).collect();
    for told in ["planted-secret", "value-00007999", "nothing"] {
        let body = format!(r#"{{"error":"a","error_description":"{texts}{told}","m":"{texts}"}}"#);
        let error = call.read(json(400, &body)).unwrap_err();
        // Superlinear work would take many minutes; no time is measured.
        let is_withheld = error.description().is_some_and(|it| it.starts_with("[withheld"));
        assert_eq!(is_withheld, told != "nothing", "{told}");
    }
}
