//! The stored form of a pending authorization: the forms that are read, and those that are refused.

use oauth2_proto::{AuthorizationServer, PendingAuthorization};

use crate::support::{client, client_of, later, start};

#[test]
fn a_pending_authorization_survives_its_store() {
    let client = client();
    let (_, pending) = start(&client);
    let stored = serde_json::to_value(&pending).unwrap();
    let mut restored: PendingAuthorization = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(serde_json::to_value(&restored).unwrap(), stored);
    assert_eq!(restored.expires_at(), later(600));
    let callback = format!("code=fake&state={}", pending.state());
    let call = restored.receive(&client, callback.as_str(), later(10)).unwrap();
    assert!(call.request().body().contains("code_verifier=BwcHBwcH"));
}

#[test]
fn a_stored_form_that_is_not_understood_says_so() {
    let stored = serde_json::to_value(start(&client()).1).unwrap();
    let changed = |member: &str, value: serde_json::Value| {
        let mut stored = stored.clone();
        stored[member] = value;
        serde_json::from_value::<PendingAuthorization>(stored).unwrap_err().to_string()
    };
    assert!(changed("version", 3.into()).contains("version 3"));
    assert!(changed("version", 2.into()).contains("signed_response"));
    assert!(changed("signed_response", true.into()).contains("signed_response"));
    for (member, value) in [
        ("state", ""),
        ("code_verifier", "short"),
        ("redirect_uri", "/callback"),
        ("client", "AAAA"),
        ("client", "?"),
    ] {
        let message = changed(member, value.into());
        assert!(message.contains(member) && message.contains("start again"), "{message}");
    }
}

#[test]
fn other_json_is_not_a_stored_pending_authorization() {
    let tokens = r#"{"version":2,"revision":7,"refresh_token":"planted","state":{"claimed":1}}"#;
    for text in [
        "{}",
        "[]",
        "null",
        "7",
        "\"planted\"",
        r#"{"version":0}"#,
        r#"{"version":1}"#,
        r#"{"version":7}"#,
        r#"{"version":-1}"#,
        r#"{"version":"1"}"#,
        r#"{"version":99999999999999999999}"#,
        r#"{"state":"planted","code_verifier":"planted"}"#,
        r#"{"version":1,"state":{"planted":1},"code_verifier":"planted"}"#,
        r#"{"version":1,"code_verifier":["planted"]}"#,
        r#"[1,"planted"]"#,
        r#"{"error":"not found"}"#,
        tokens,
        "{",
        "",
        &"[".repeat(100_000),
    ] {
        let message = serde_json::from_str::<PendingAuthorization>(text).unwrap_err().to_string();
        assert!(message.contains("not a stored pending authorization"), "{text:.99}: {message}");
        assert!(!message.contains("planted") && !message.contains("version"), "{text:.99}: {message}");
    }
}

/// Version 1 as it was written before 0.1, which every later version reads. The digest in the second is over
/// the endpoints as configured, as the first programs wrote it.
#[test]
fn version_1_is_read_for_good() {
    let server = |authorize, token| AuthorizationServer::new(authorize, token).unwrap();
    for (digest, server) in [
        (
            "GZXvq0WWteDZzQiO7fCD1wY_tH8MGb72yAzVL3YPkXg",
            server("https://as.example/authorize", "https://as.example/token"),
        ),
        (
            "UvbZYJUlsHM22mgqhe_Jx7tx9a4XIvCm3sm-WLhqoBM",
            server("HTTPS://AS.example:443", "https://as.example:443/token"),
        ),
    ] {
        let stored = format!(
            r#"{{"version":1,"client":"{digest}","started_at":1700000000,"expires_at":1700000600,
            "state":"CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk",
            "code_verifier":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
            "redirect_uri":"https://app.example/callback","scope":"export:read export:write",
            "resources":["https://api.example/"]}}"#
        );
        let mut pending: PendingAuthorization = serde_json::from_str(&stored).unwrap();
        assert_eq!(pending.expires_at(), later(600));
        assert_eq!(
            serde_json::to_value(&pending).unwrap(),
            serde_json::from_str::<serde_json::Value>(&stored).unwrap()
        );
        let callback = "code=fake&state=CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk";
        let other =
            client_of(AuthorizationServer::new("https://as.example/a", "https://as.example/t").unwrap());
        assert!(pending.receive(&other, callback, later(10)).is_err());
        let call = pending.receive(&client_of(server), callback, later(10)).unwrap();
        assert_eq!(
            call.request().body(),
            "grant_type=authorization_code&code=fake&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback\
             &code_verifier=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc&resource=https%3A%2F%2Fapi.example%2F"
        );
    }
}
