//! The ID token of a refresh (OpenID Connect Core §12.2).

use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::Verification;
use oauth2_proto::oidc::IdToken;
use oauth2_proto::{Error, RefreshPolicy, Secret, Session, Step};
use serde_json::{Value, json};

use crate::support::now;
use crate::{NONCE, answer, authenticate, body, call, changed, claims, client, token};

/// Checks the ID token of a refresh against that of a sign-in.
fn refreshed(first: &Value, second: &Value) -> Result<IdToken, Error> {
    let previous = authenticate(first, now()).unwrap().to_previous();
    let response = body(&token(second));
    let refresh = client().refresh(&Secret::new("fake-refresh")).start(now()).unwrap();
    let tokens = refresh.read(answer(200, &response)).unwrap();
    let unchecked = tokens.id_token().unwrap();
    unchecked.check_refreshed(&previous, &client(), &Verification::left_to_tls(), now())
}

#[test]
fn openid_core_section_12_2_a_refresh_brings_the_same_user() {
    let first = changed(claims(), "auth_time", json!(1_699_999_000));
    for (name, value, reason) in [
        ("exp", json!(1_700_000_900), None),
        ("nonce", json!(NONCE), None),
        ("nonce", Value::Null, None),
        ("auth_time", Value::Null, None),
        ("aud", json!(["fake-client"]), None),
        ("aud", json!(["fake-client", "fake-client"]), Some("azp")),
        ("sub", json!("fake-other"), Some("sub")),
        ("nonce", json!("of another sign-in"), Some("nonce")),
        ("auth_time", json!(1_699_999_001), Some("auth_time")),
        ("iss", json!("https://other.example"), Some("iss")),
    ] {
        let error = refreshed(&first, &changed(first.clone(), name, value.clone())).err();
        assert_eq!(error.as_ref().and_then(Error::reason), reason, "{name} {value}");
        assert!(error.is_none_or(|error| error.kind() == ErrorKind::Suspect));
    }
    let others =
        changed(changed(first.clone(), "aud", json!(["fake-client", "a"])), "azp", json!("fake-client"));
    assert_eq!(refreshed(&first, &others).unwrap_err().reason(), Some("aud"));
    let reordered = changed(others.clone(), "aud", json!(["a", "fake-client"]));
    assert!(refreshed(&others, &reordered).is_ok());
}

#[test]
fn a_session_hands_the_id_token_out_to_be_checked() {
    let client = client();
    let response = body(&token(&claims()));
    let read = call(&client).authenticate(answer(200, &response), &Verification::left_to_tls(), now());
    let (tokens, id_token) = read.unwrap().into_parts();
    let mut session = Session::new(tokens, RefreshPolicy::default(), now());
    let mut at = now();
    let refresh = loop {
        match session.poll(at) {
            Step::Save(save) => session.saved(save),
            Step::Idle(Some(later)) => at = later,
            Step::Send { .. } => break session.send(&client, at).unwrap().unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let other_user = changed(claims(), "sub", json!("planted-other"));
    let extras = session.received(refresh, answer(200, &body(&token(&other_user))), at).unwrap();
    assert!(extras.get("id_token").is_none());
    assert!(!format!("{extras:?}").contains("planted"));
    let unchecked = extras.id_token().unwrap();
    let previous = id_token.to_previous();
    let checked = unchecked.check_refreshed(&previous, &client, &Verification::left_to_tls(), at);
    let error = checked.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (ErrorKind::Suspect, Some("sub")));
    assert!(!error.to_string().contains("planted"));
}
