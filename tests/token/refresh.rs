//! A single refresh, without a `Session`.

use oauth2_proto::{Client, ClientAuth, Secret, error::ErrorKind};
use std::time::SystemTime;

use crate::responses::json;
use crate::support::{client, client_of, server};

#[test]
fn rfc6749_section_6_a_refresh_without_a_new_refresh_token_keeps_the_old_one() {
    let client = client();
    let call = client.refresh(&Secret::new("fake-refresh-1")).start(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(call.request().body(), "grant_type=refresh_token&refresh_token=fake-refresh-1");

    let kept = call.read(json(r#"{"access_token":"fake-2","token_type":"Bearer"}"#)).unwrap();
    assert_eq!(kept.refresh_token().map(Secret::expose), Some("fake-refresh-1"));
    assert!(!kept.refresh_token_is_new());

    let body = r#"{"access_token":"fake-2","token_type":"Bearer","refresh_token":"fake-refresh-2"}"#;
    let rotated = call.read(json(body)).unwrap();
    assert_eq!(rotated.refresh_token().map(Secret::expose), Some("fake-refresh-2"));
    assert!(rotated.refresh_token_is_new());
}

#[test]
fn rfc6749_section_6_the_client_authenticates_at_a_refresh_too() {
    for (auth, header, credentials) in [
        (ClientAuth::basic("fake"), Some("Basic ZmFrZS1jbGllbnQ6ZmFrZQ=="), ""),
        (ClientAuth::post("fake"), None, "&client_id=fake-client&client_secret=fake"),
        (ClientAuth::none(), None, "&client_id=fake-client"),
    ] {
        let client = Client::new(server(), "fake-client", auth).unwrap();
        let call = client.refresh(&Secret::new("fake-refresh")).start(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(call.request().header("authorization"), header);
        let body = format!("grant_type=refresh_token&refresh_token=fake-refresh{credentials}");
        assert_eq!(call.request().body(), body);
    }
}

#[test]
fn rfc6749_section_6_a_refresh_that_asks_for_nothing_misses_nothing() {
    let client = client();
    let token = Secret::new("fake-refresh");
    let silent = r#"{"access_token":"fake","token_type":"Bearer"}"#;
    let named = r#"{"access_token":"fake","token_type":"Bearer","scope":"export:read"}"#;
    let scopes = |body, asked: &[&str]| {
        let tokens = client
            .refresh(&token)
            .scopes(asked)
            .start(SystemTime::UNIX_EPOCH)
            .unwrap()
            .read(json(body))
            .unwrap();
        [tokens.granted_scopes().count(), tokens.missing_scopes().count(), tokens.extra_scopes().count()]
    };
    assert_eq!(scopes(silent, &[]), [0, 0, 0]);
    assert_eq!(scopes(named, &[]), [1, 0, 0]);
    assert_eq!(scopes(named, &["export:write"]), [1, 1, 1]);
}

/// The refresh may ask for more than was ever granted, and silence then grants no more.
#[test]
fn rfc6749_section_6_silence_about_scopes_grants_none_at_a_refresh() {
    let client = client();
    let token = Secret::new("fake-refresh");
    for scope in ["", r#","scope":"""#, r#","scope":" ""#, r#","scope":null"#] {
        let body = format!(r#"{{"access_token":"fake","token_type":"Bearer"{scope}}}"#);
        let call =
            client.refresh(&token).scopes(["admin", "export:read"]).start(SystemTime::UNIX_EPOCH).unwrap();
        let tokens = call.read(json(&body)).unwrap();
        assert_eq!(tokens.granted_scopes().count(), 0, "{body}");
        assert_eq!(tokens.missing_scopes().chain(tokens.extra_scopes()).count(), 0, "{body}");
        assert!(tokens.require_scopes().is_ok(), "{body}");
    }
}

#[test]
fn a_refresh_may_ask_for_less() {
    let client = client();
    let token = Secret::new("fake-refresh");
    let call = client
        .refresh(&token)
        .scopes(["export:read"])
        .resource("https://api.example/")
        .start(SystemTime::UNIX_EPOCH)
        .unwrap();
    assert_eq!(
        call.request().body(),
        "grant_type=refresh_token&refresh_token=fake-refresh&scope=export%3Aread\
         &resource=https%3A%2F%2Fapi.example%2F"
    );
    for misuse in [
        client.refresh(&token).scopes(["a b"]).start(SystemTime::UNIX_EPOCH),
        client.refresh(&token).resource("not absolute").start(SystemTime::UNIX_EPOCH),
        client.refresh(&Secret::new("")).start(SystemTime::UNIX_EPOCH),
        client.refresh(&Secret::new("fake-refresh-token\n")).start(SystemTime::UNIX_EPOCH),
    ] {
        assert_eq!(misuse.unwrap_err().kind(), ErrorKind::Misuse);
    }
    let no_refresh = client_of(server().grant_types_supported(["authorization_code"]));
    let message = no_refresh.refresh(&token).start(SystemTime::UNIX_EPOCH).unwrap_err().to_string();
    let told = "supports the grant types \"authorization_code\", not refresh_token";
    assert!(message.contains(told), "{message}");
}
