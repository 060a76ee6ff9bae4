//! The stored form of a session: what is read, what is refused, and with which words.

mod support;

#[path = "support/holders.rs"]
mod holders;

use holders::{DUE, Store, policy, refresh, save, send, signed_in, step, usable};
use oauth2_proto::{Secret, Session, Snapshot, token::TokenType};
use serde_json::{Value, json};
use std::time::Duration;
use support::{later, now};

/// Version 1 with everything in it. It is read forever; whoever changes the form makes version 2 and leaves this.
const VERSION_1: &str = r#"{"version":1,"authorization":"AAECAwQFBgcICQoLDA0ODw","client":"QrJ-j3WdzCWGB13qg5FKQA","revision":7,
    "generation":2,"access_token":"fake-access-2","token_type":"Bearer","refresh_token":"fake-refresh-2",
    "scope":"export:read export:write","issued_at":1700000000000,"expires_at":1700003600000,
    "refresh_at":1700001800000,"attempts":3,"state":"backoff","since":1700000000000,"until":1700001234567}"#;

fn restore(text: &str) -> Result<Snapshot, serde_json::Error> {
    serde_json::from_str(text)
}

fn stored(member: &str, value: Value) -> String {
    let mut stored: Value = serde_json::from_str(VERSION_1).unwrap();
    stored[member] = value;
    stored.to_string()
}

#[test]
fn version_1_is_read_forever() {
    let snapshot = restore(VERSION_1).unwrap();
    assert_eq!(snapshot.revision(), 7);
    let mut session = Session::restore(snapshot, policy(), now());
    assert_eq!(session.revision(), 7);
    assert_eq!(usable(&session, now()), Some("fake-access-2"));
    assert_eq!(session.token_type(), &TokenType::Bearer);
    assert_eq!(session.granted_scopes().collect::<Vec<_>>(), ["export:read", "export:write"]);
    assert_eq!(session.expires_at(), Some(later(3600)));
    assert_eq!(step(&mut session, now()), "wait 1234.567");
    // It goes on with the refresh token, at the client that it belongs to.
    let mut store = Store { revision: 7, text: VERSION_1.to_owned() };
    assert!(save(&mut session, &mut store, later(1235)));
    assert_eq!(store.value()["attempts"], 4);
    let call = send(&mut session, later(1235));
    assert_eq!(call.request().body(), "grant_type=refresh_token&refresh_token=fake-refresh-2");
}

#[test]
fn each_state_of_version_1_is_read_forever() {
    for (state, time, expected) in [
        ("quiet", 0, "rest 1800"),
        ("quiet", 1800, "save over 7"),
        ("claimed", 0, "wait 1239.567"),
        ("backoff", 0, "wait 1234.567"),
        ("refused", 0, "reauthorize Refused"),
    ] {
        let snapshot = restore(&stored("state", state.into())).unwrap();
        let mut session =
            Session::restore(snapshot, policy().claim_duration(Duration::from_secs(2000)), now());
        assert_eq!(step(&mut session, later(time)), expected, "{state}");
    }
    let mut least: Value = serde_json::from_str(VERSION_1).unwrap();
    for member in ["refresh_token", "scope", "expires_at", "refresh_at"] {
        least[member] = Value::Null;
    }
    least["state"] = "quiet".into();
    least["token_type"] = "N_A".into();
    let mut session = Session::restore(restore(&least.to_string()).unwrap(), policy(), now());
    assert_eq!((step(&mut session, now()), session.expires_at()), ("rest".to_owned(), None));
    assert_eq!(session.token_type(), &TokenType::Other("N_A".to_owned()));
    assert_eq!(session.granted_scopes().count(), 0);
    session.access_token_rejected(&Secret::new("fake-access-2"));
    assert_eq!(step(&mut session, later(600)), "reauthorize NoRefreshToken");
}

#[test]
fn what_is_stored_is_read_as_the_same() {
    let mut store = Store::default();
    let mut stored = Vec::new();
    let mut session = signed_in(&mut store);
    stored.push(store.text.clone());
    refresh(&mut session, &mut store, 1, later(DUE));
    stored.push(store.text.clone());
    save(&mut session, &mut store, later(3600));
    stored.push(store.text.clone());
    let call = send(&mut session, later(3600));
    session.no_response(call, later(3601));
    save(&mut session, &mut store, later(3601));
    stored.push(store.text.clone());
    for text in stored {
        assert_eq!(serde_json::to_string(&restore(&text).unwrap()).unwrap(), text);
        // A store that keeps JSON as values, and one that adds spaces.
        let value: Value = serde_json::from_str(&text).unwrap();
        let snapshot: Snapshot = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_string(&snapshot).unwrap(), text);
        let spaced = serde_json::to_string_pretty(&value).unwrap();
        assert_eq!(serde_json::to_string(&restore(&spaced).unwrap()).unwrap(), text);
    }
}

#[test]
fn another_version_is_refused_and_to_be_kept() {
    let mut newer: Value = serde_json::from_str(VERSION_1).unwrap();
    newer["version"] = 2.into();
    newer["new_member"] = "fake-access-2".into();
    for text in [
        stored("version", 2.into()),
        stored("version", 0.into()),
        stored("version", u32::MAX.into()),
        stored("new_member", "fake-refresh-2".into()),
        newer.to_string(),
    ] {
        let error = restore(&text).unwrap_err().to_string();
        assert!(error.contains("keep it as it is") && error.contains("version"), "{error}");
        assert!(!error.contains("fake-"), "{error}");
    }
    let error = restore(&stored("version", 2.into())).unwrap_err().to_string();
    assert!(error.contains("version 2") && error.contains("version 1"), "{error}");
}

#[test]
fn a_damaged_form_is_refused_without_quoting_a_secret() {
    let end = 253_402_300_799_999_u64;
    let digest = || json!("AAECAwQFBgcICQoLDA0ODw");
    let mut damaged = vec![
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "\"fake-access-2\"".to_owned(),
        Value::String(VERSION_1.to_owned()).to_string(),
        format!("[{VERSION_1}]"),
        VERSION_1.replace("\"revision\"", "\"access_token\":\"fake-access-2\",\"revision\""),
        format!("{VERSION_1}fake-access-2"),
    ];
    // Cut anywhere.
    damaged.extend((0..VERSION_1.len()).step_by(7).map(|end| VERSION_1[..end].to_owned()));
    for (member, values) in [
        ("version", vec![json!("1"), json!(-1), json!(1.5), json!(null), json!(u64::MAX)]),
        (
            "authorization",
            vec![json!(""), json!("AAAA"), json!("fake-access-2"), json!("A".repeat(23)), json!(7)],
        ),
        (
            "client",
            vec![json!(""), json!("+".repeat(22)), json!("AAECAwQFBgcICQoLDA0ODw=="), json!([digest()])],
        ),
        ("revision", vec![json!(u64::MAX), json!(0), json!(-1), json!("7"), json!(null), json!(1.0)]),
        ("generation", vec![json!(u64::MAX), json!(-1), json!(null), json!("fake-access-2")]),
        (
            "access_token",
            vec![
                json!(""),
                json!("fake-access-2\r\n"),
                json!(null),
                json!(["fake-access-2"]),
                json!({"fake-access-2": 1}),
                json!(7),
            ],
        ),
        ("token_type", vec![json!(""), json!("fake-type\u{7f}"), json!(null), json!(["fake-access-2"])]),
        ("refresh_token", vec![json!(""), json!(["fake-refresh-2"]), json!(7), json!(true)]),
        ("scope", vec![json!(["fake-access-2"]), json!(7)]),
        (
            "issued_at",
            vec![
                json!(-1),
                json!(end + 1),
                json!(u64::MAX),
                json!("1700000000000"),
                json!(null),
                json!(1e300),
            ],
        ),
        ("expires_at", vec![json!(-1), json!(end + 1), json!(null), json!("fake-access-2")]),
        ("refresh_at", vec![json!(-1), json!(end + 1), json!(null)]),
        ("attempts", vec![json!(-1), json!(u64::from(u32::MAX) + 1), json!(null)]),
        ("state", vec![json!(""), json!("Quiet"), json!("fake-access-2"), json!(null), json!(1)]),
        ("since", vec![json!(-1), json!(1_700_001_234_568_u64), json!(null)]),
        ("until", vec![json!(0), json!(end + 1), json!(u64::MAX), json!(null)]),
    ] {
        damaged.extend(values.into_iter().map(|value| stored(member, value)));
        let mut absent: Value = serde_json::from_str(VERSION_1).unwrap();
        absent.as_object_mut().unwrap().remove(member).unwrap();
        damaged.push(absent.to_string());
    }
    // Before its first refresh an imported session has no access token, but all else.
    let imported = |member: &str, value: Value| {
        let mut stored: Value = serde_json::from_str(VERSION_1).unwrap();
        for (member, value) in
            [("access_token", json!("")), ("expires_at", stored["issued_at"].clone()), (member, value)]
        {
            stored[member] = value;
        }
        stored.to_string()
    };
    assert!(restore(&imported("access_token", json!(""))).is_ok());
    let most = i64::MAX.unsigned_abs();
    for member in ["revision", "generation"] {
        assert!(restore(&stored(member, most.into())).is_ok(), "{member}");
        damaged.push(stored(member, (most + 1).into()));
    }
    damaged.extend([
        imported("refresh_token", json!("")),
        imported("token_type", json!("")),
        imported("access_token", json!("\n")),
    ]);
    for text in damaged {
        let error = restore(&text).map(|_| text).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("fake-"), "{shown}");
    }
}
