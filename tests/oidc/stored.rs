//! The stored forms of a pending authentication, of an ID token and of a pending logout.

use oauth2_proto::jose::Verification;
use oauth2_proto::oidc::{PendingAuthentication, PendingLogout, PreviousIdToken};
use oauth2_proto::{Entropy, PendingAuthorization, Secret};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::support::now;
use crate::{NONCE, answer, body, claims, client, id_token, start, token};

/// Version 1, as it was first written. It is read for good.
const PENDING: &str = r#"{"authentication_version":1,
    "nonce":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","max_age":null,
    "authorization":{"version":1,"client":"@client","started_at":1700000000,"expires_at":1700000600,
        "state":"CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk",
        "code_verifier":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
        "redirect_uri":"https://app.example/callback","scope":"email openid","resources":[]}}"#;

#[test]
fn an_authentication_is_stored_while_the_user_is_away() {
    let client = client();
    let (_, pending) = start(&client);
    let stored = serde_json::to_value(&pending).unwrap();
    let digest = stored["authorization"]["client"].as_str().unwrap();
    let expected: Value = serde_json::from_str(&PENDING.replace("@client", digest)).unwrap();
    assert_eq!(stored, expected);

    let mut restored: PendingAuthentication = serde_json::from_value(stored).unwrap();
    let callback = format!("code=fake-code&state={}", restored.state());
    let call = restored.receive(&client, callback.as_str(), now()).unwrap();
    assert!(serde_json::to_value(&restored).is_err(), "a code is used once");
    let response = body(&token(&claims()));
    let read = call.authenticate(answer(200, &response), &Verification::left_to_tls(), now()).unwrap();
    assert_eq!(read.id_token().nonce(), Some(NONCE));
}

#[test]
fn a_damaged_authentication_does_not_lose_its_nonce_silently() {
    let (_, pending) = start(&client());
    let stored = serde_json::to_value(&pending).unwrap();
    refuses::<PendingAuthentication>(
        &stored,
        &[
            ("nonce", json!("")),
            ("nonce", Value::Null),
            ("nonce", json!(["planted"])),
            ("max_age", json!("planted")),
            ("authentication_version", json!(2)),
            ("authentication_version", Value::Null),
            ("authorization", json!("planted")),
        ],
    );
    // One of the two is no other.
    assert!(serde_json::from_value::<PendingAuthorization>(stored.clone()).is_err());
    assert!(serde_json::from_value::<PendingAuthentication>(stored["authorization"].clone()).is_err());
}

#[test]
fn what_a_refresh_is_compared_with_is_stored() {
    let stored = serde_json::to_value(id_token().to_previous()).unwrap();
    let expected = json!({"version": 1, "iss": "https://as.example", "sub": "fake-user",
        "aud": ["fake-client"], "auth_time": null, "nonce": NONCE});
    assert_eq!(stored, expected);
    let restored: PreviousIdToken = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!((restored.issuer(), restored.subject()), ("https://as.example", "fake-user"));
    refuses::<PreviousIdToken>(
        &stored,
        &[
            ("version", json!(2)),
            ("sub", json!(["planted"])),
            ("aud", json!("planted")),
            ("auth_time", json!("planted")),
        ],
    );
}

#[test]
fn a_logout_is_stored_while_the_user_is_away() {
    let (client, hint) = (client(), Secret::new("fake.id.token"));
    let request = client.logout().id_token_hint(&hint);
    let (_, without) = request.start_with(Entropy::from_bytes([1; 128])).unwrap();
    assert_eq!(serde_json::to_value(&without).unwrap(), json!({"logout_version": 1}));
    let request = client.logout().id_token_hint(&hint).post_logout_redirect_uri("https://app.example/bye");
    let (_, pending) = request.start_with(Entropy::from_bytes([1; 128])).unwrap();
    let stored = serde_json::to_value(&pending).unwrap();
    let state = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
    assert_eq!(stored, json!({"logout_version": 1, "state": state}));
    let restored: PendingLogout = serde_json::from_value(stored.clone()).unwrap();
    assert!(restored.receive(format!("state={state}").as_str()).is_ok());
    assert!(restored.receive("").is_err());
    refuses::<PendingLogout>(&stored, &[("logout_version", json!(2)), ("state", json!(["planted"]))]);
}

/// A stored form with another value of one member must be refused, by an error that does not quote it.
#[track_caller]
fn refuses<T: DeserializeOwned>(stored: &Value, changes: &[(&str, Value)]) {
    assert!(serde_json::from_value::<T>(stored.clone()).is_ok());
    for (name, value) in changes {
        let mut damaged = stored.clone();
        damaged[*name] = value.clone();
        let Err(error) = serde_json::from_value::<T>(damaged) else { panic!("{name}: {value} is taken") };
        assert!(!error.to_string().contains("planted"), "{error}");
    }
}
