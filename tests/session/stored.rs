//! The stored form of a session: the forms that are read, those that are refused, and the messages.

use std::time::Duration;

use oauth2_proto::{Secret, Session, Snapshot, session::TroubleKind, token::TokenType};
use serde_json::{Value, json};

use crate::bound::key;
use crate::steps::*;
use crate::store::Store;
use crate::support::{client, client_of, later, now, server};

/// Version 1 with every member. Keep it as it is: a change of the form is version 2.
const VERSION_1: &str = r#"{"version":1,"authorization":"AAECAwQFBgcICQoLDA0ODw","client":"QrJ-j3WdzCWGB13qg5FKQA","revision":7,
    "generation":2,"access_token":"fake-access-2","token_type":"Bearer","refresh_token":"fake-refresh-2",
    "scope":"export:read export:write","issued_at":1700000000000,"expires_at":1700003600000,
    "refresh_at":1700001800000,"attempts":3,"state":"backoff","since":1700000000000,"until":1700001234567}"#;

/// The last millisecond that is stored.
const END_OF_9999: u64 = 253_402_300_799_999;

fn restore(text: &str) -> Result<Snapshot, serde_json::Error> {
    serde_json::from_str(text)
}

#[track_caller]
fn stored(member: &str, value: Value) -> String {
    let mut stored: Value = serde_json::from_str(VERSION_1).unwrap();
    stored[member] = value;
    stored.to_string()
}

#[test]
fn version_1_is_read_forever() {
    let snapshot = restore(VERSION_1).unwrap();
    assert_eq!(snapshot.revision(), 7);
    let mut session = Session::restore(&client(), snapshot, policy(), now()).unwrap();
    assert_eq!(session.revision(), 7);
    assert_eq!(usable(&session, now()), Some("fake-access-2"));
    assert_eq!(session.token_type(), &TokenType::Bearer);
    assert_eq!(session.granted_scopes().collect::<Vec<_>>(), ["export:read", "export:write"]);
    assert_eq!(session.expires_at(), Some(later(EXPIRY)));
    assert_eq!(step(&mut session, now()), "wait 1234.567");
    // It continues with the refresh token, at the client the tokens were issued to.
    let mut store = Store { revision: 7, text: VERSION_1.to_owned() };
    let after_the_pause = later(1235);
    save(&mut session, &mut store, after_the_pause);
    assert_eq!(store.value()["attempts"], 4);
    let call = send(&mut session, after_the_pause);
    assert_eq!(call.request().body(), "grant_type=refresh_token&refresh_token=fake-refresh-2");
}

#[test]
fn each_state_of_version_1_is_read_forever() {
    for (state, time, expected) in [
        ("quiet", 0, "idle 1800"),
        ("quiet", DUE, "save over 7"),
        ("claimed", 0, "wait 1239.567"),
        ("backoff", 0, "wait 1234.567"),
        ("refused", 0, "reauthorize Refused"),
    ] {
        let snapshot = restore(&stored("state", state.into())).unwrap();
        let mut session =
            Session::restore(&client(), snapshot, policy().claim_duration(Duration::from_secs(2000)), now())
                .unwrap();
        assert_eq!(step(&mut session, later(time)), expected, "{state}");
    }
    let mut least: Value = serde_json::from_str(VERSION_1).unwrap();
    for member in ["refresh_token", "scope", "expires_at", "refresh_at"] {
        least[member] = Value::Null;
    }
    least["state"] = "quiet".into();
    least["token_type"] = "N_A".into();
    let mut session =
        Session::restore(&client(), restore(&least.to_string()).unwrap(), policy(), now()).unwrap();
    assert_eq!((step(&mut session, now()), session.expires_at()), ("idle".to_owned(), None));
    assert_eq!(session.token_type(), &TokenType::Other("N_A".to_owned()));
    assert_eq!(session.granted_scopes().count(), 0);
    session.access_token_rejected(&Secret::new("fake-access-2"));
    assert_eq!(step(&mut session, later(600)), "reauthorize NoRefreshToken");
}

#[test]
fn a_stored_form_is_read_and_written_unchanged() {
    let mut store = Store::default();
    let mut stored = Vec::new();
    let mut session = signed_in(&mut store);
    stored.push(store.text.clone());
    refresh(&mut session, &mut store, 1, later(DUE));
    stored.push(store.text.clone());
    save(&mut session, &mut store, later(EXPIRY));
    stored.push(store.text.clone());
    let call = send(&mut session, later(EXPIRY));
    session.no_response(call, later(EXPIRY + 1));
    save(&mut session, &mut store, later(EXPIRY + 1));
    stored.push(store.text.clone());
    for text in stored {
        assert_eq!(serde_json::to_string(&restore(&text).unwrap()).unwrap(), text);
        // A store may keep JSON as values, and may add spaces.
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
    newer["version"] = 5.into();
    newer["new_member"] = "fake-access-2".into();
    for text in [
        stored("version", 5.into()),
        stored("version", 0.into()),
        stored("version", u32::MAX.into()),
        stored("new_member", "fake-refresh-2".into()),
        newer.to_string(),
    ] {
        let error = restore(&text).unwrap_err().to_string();
        assert!(error.contains("keep it as it is") && error.contains("version"), "{error}");
        assert!(!error.contains("fake-"), "{error}");
    }
    let error = restore(&stored("version", 5.into())).unwrap_err().to_string();
    assert!(error.contains("version 5") && error.contains("version 1 to 4"), "{error}");
}

#[test]
fn a_damaged_form_is_refused_without_quoting_a_secret() {
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
    // Cut at many places.
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
                json!(END_OF_9999 + 1),
                json!(u64::MAX),
                json!("1700000000000"),
                json!(null),
                json!(1e300),
            ],
        ),
        ("expires_at", vec![json!(-1), json!(END_OF_9999 + 1), json!(null), json!("fake-access-2")]),
        ("refresh_at", vec![json!(-1), json!(END_OF_9999 + 1), json!(null)]),
        ("attempts", vec![json!(-1), json!(u64::from(u32::MAX) + 1), json!(null)]),
        ("state", vec![json!(""), json!("Quiet"), json!("fake-access-2"), json!(null), json!(1)]),
        ("since", vec![json!(-1), json!(1_700_001_234_568_u64), json!(null)]),
        ("until", vec![json!(0), json!(END_OF_9999 + 1), json!(u64::MAX), json!(null)]),
    ] {
        damaged.extend(values.into_iter().map(|value| stored(member, value)));
        let mut absent: Value = serde_json::from_str(VERSION_1).unwrap();
        absent.as_object_mut().unwrap().remove(member).unwrap();
        damaged.push(absent.to_string());
    }
    // A session from a refresh token lacks an access token until its first refresh, and nothing else.
    let before_its_first_refresh = |member: &str, value: Value| {
        let mut stored: Value = serde_json::from_str(VERSION_1).unwrap();
        for (member, value) in
            [("access_token", json!("")), ("expires_at", stored["issued_at"].clone()), (member, value)]
        {
            stored[member] = value;
        }
        stored.to_string()
    };
    assert!(restore(&before_its_first_refresh("access_token", json!(""))).is_ok());
    let most = i64::MAX.unsigned_abs();
    for member in ["revision", "generation"] {
        assert!(restore(&stored(member, most.into())).is_ok(), "{member}");
        damaged.push(stored(member, (most + 1).into()));
    }
    damaged.extend([
        before_its_first_refresh("refresh_token", json!("")),
        before_its_first_refresh("token_type", json!("")),
        before_its_first_refresh("access_token", json!("\n")),
        // Version 1 had no end.
        stored("state", json!("ended")),
    ]);
    for text in damaged {
        let error = restore(&text).map(|_| text).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("fake-"), "{shown}");
    }
}

#[test]
fn stored_times_are_bounded() {
    for (state, latest) in
        [("claimed", later(DUE + LONGEST_CLAIM + SKEW)), ("backoff", later(DUE + DAY + LONGEST_BACKOFF))]
    {
        let mut store = Store::default();
        drop(claimed(&mut store));
        store.set("state", state.into());
        store.set("since", ((1_700_000_000 + DUE) * 1000).into());
        store.set("until", END_OF_9999.into());
        let mut session = store.holder(later(DUE));
        assert_eq!(end_of_wait(&mut session, later(DUE)), latest, "{state}");
        assert!(step(&mut session, latest).starts_with("save"), "{state}");
    }
    let mut store = Store::default();
    signed_in(&mut store);
    store.set("refresh_at", END_OF_9999.into());
    assert_eq!(step(&mut store.holder(now()), now()), "idle 3600");
}

/// Version 2 with everything in it. Every later version reads it: a change of the form is another version.
const VERSION_2: &str = r#"{"version":2,"authorization":"AAECAwQFBgcICQoLDA0ODw","issued_to":"QrJ-j3WdzCWGB13qg5FKQA","revision":7,
    "generation":4294967298,"signed_in_at":1699990000000,"access_token":"fake-access-2","token_type":"Bearer",
    "refresh_token":"fake-refresh-2","refresh_token_expires_at":1700086400000,"scope":"export:read export:write",
    "asked_scope":"export:read export:write users:read","asked_resources":["https://api.example/"],"ends_together":true,
    "issued_at":1700000000000,"expires_at":1700003600000,"refresh_at":1700001800000,"attempts":3,
    "trouble":{"since":1700000000000,"failures":5,"unclear_refusals":2,"kind":"unclear_refusal","status":400,
    "code":"invalid_request"},"state":"backoff","since":1700000000000,"until":1700001234567}"#;

#[test]
fn version_2_is_read_forever_and_written_as_it_was() {
    let snapshot = restore(VERSION_2).unwrap();
    let written: Value = serde_json::to_value(&snapshot).unwrap();
    assert_eq!(written, serde_json::from_str::<Value>(VERSION_2).unwrap());
    let mut session = Session::restore(&client(), snapshot, policy(), now()).unwrap();
    assert_eq!(step(&mut session, now()), "wait 1234.567");
    let trouble = session.trouble().unwrap();
    assert_eq!((trouble.since(), trouble.failures(), trouble.status()), (now(), 5, Some(400)));
    assert_eq!((trouble.kind(), trouble.code()), (TroubleKind::UnclearRefusal, Some("invalid_request")));
    let mut store = Store { revision: 7, text: VERSION_2.to_owned() };
    let mut session = store.holder(later(1235));
    save(&mut session, &mut store, later(1235));
    let repeating = client_of(server().refresh_repeats_scope().refresh_repeats_resources());
    let call = session.send(&repeating, later(1235)).unwrap().unwrap();
    assert_eq!(
        call.request().body(),
        "grant_type=refresh_token&refresh_token=fake-refresh-2\
         &scope=export%3Aread+export%3Awrite+users%3Aread&resource=https%3A%2F%2Fapi.example%2F"
    );
}

#[test]
fn each_state_of_version_2_is_read_forever() {
    for (state, time, expected) in [
        ("quiet", 0, "idle 1800"),
        ("claimed", 0, "wait 1239.567"),
        ("backoff", 1235, "save over 7"),
        ("refused", 0, "reauthorize Refused"),
        ("ended", 0, "reauthorize Ended"),
    ] {
        let mut stored: Value = serde_json::from_str(VERSION_2).unwrap();
        stored["state"] = state.into();
        let snapshot = restore(&stored.to_string()).unwrap();
        let written = serde_json::to_value(&snapshot).unwrap();
        assert_eq!(written["state"], state);
        let policy = policy().claim_duration(Duration::from_secs(2000));
        let mut session = Session::restore(&client(), snapshot, policy, now()).unwrap();
        assert_eq!(step(&mut session, later(time)), expected, "{state}");
    }
    let damaged = |member: &str, value: Value| {
        let mut stored: Value = serde_json::from_str(VERSION_2).unwrap();
        stored[member] = value;
        restore(&stored.to_string()).unwrap_err().to_string()
    };
    let trouble = |member: &str, value: Value| {
        let mut trouble = serde_json::from_str::<Value>(VERSION_2).unwrap()["trouble"].clone();
        trouble[member] = value;
        trouble
    };
    for error in [
        damaged("asked_resources", json!(["not a resource"])),
        damaged("signed_in_at", json!(u64::MAX)),
        damaged("refresh_token_expires_at", json!(u64::MAX)),
        damaged("trouble", trouble("kind", json!("planted"))),
        damaged("trouble", trouble("code", json!("line\nbreak"))),
        damaged("trouble", trouble("code", json!("x".repeat(101)))),
        damaged("trouble", trouble("since", json!(u64::MAX))),
        damaged("trouble", trouble("planted", json!(1))),
    ] {
        assert!(error.contains("keep it as it is"), "{error}");
    }
}

/// Version 3 with everything in it, which only tokens of client credentials have.
const VERSION_3: &str = r#"{"version":3,"authorization":"AAECAwQFBgcICQoLDA0ODw","issued_to":"QrJ-j3WdzCWGB13qg5FKQA","revision":7,
    "generation":2,"signed_in_at":1699990000000,"access_token":"fake-access-2","token_type":"Bearer",
    "refresh_token":null,"refresh_token_expires_at":null,"scope":"reports:read",
    "asked_scope":"reports:read reports:write","asked_resources":["https://api.example/"],"ends_together":false,
    "issued_at":1700000000000,"expires_at":1700003600000,"refresh_at":1700001800000,"attempts":3,
    "trouble":{"since":1700000000000,"failures":5,"unclear_refusals":2,"kind":"unclear_refusal","status":400,
    "code":"invalid_request"},"state":"backoff","since":1700000000000,"until":1700001234567,
    "client_credentials":[["audience","https://api.example/v2"],["tenant","7"]]}"#;

#[test]
fn version_3_is_read_forever_and_written_as_it_was() {
    let snapshot = restore(VERSION_3).unwrap();
    let written: Value = serde_json::to_value(&snapshot).unwrap();
    assert_eq!(written, serde_json::from_str::<Value>(VERSION_3).unwrap());
    let mut store = Store { revision: 7, text: VERSION_3.to_owned() };
    let mut session = store.holder(later(1235));
    assert_eq!(usable(&session, later(1235)), Some("fake-access-2"));
    save(&mut session, &mut store, later(1235));
    let call = send(&mut session, later(1235));
    assert_eq!(
        call.request().body(),
        "grant_type=client_credentials&scope=reports%3Aread+reports%3Awrite\
         &resource=https%3A%2F%2Fapi.example%2F&audience=https%3A%2F%2Fapi.example%2Fv2&tenant=7"
    );
}

/// An earlier version of this crate would take the session for one without a refresh token. It knows neither
/// the version nor the member.
#[test]
fn client_credentials_are_in_version_3_and_nothing_else_is() {
    for (text, version, changes) in [
        (VERSION_3, 2, &[][..]),
        (VERSION_3, 1, &[]),
        (VERSION_2, 3, &[]),
        (VERSION_2, 2, &[("client_credentials", json!([]))]),
        (VERSION_3, 3, &[("client_credentials", Value::Null)]),
        (VERSION_3, 3, &[("client_credentials", json!([["scope", "planted"]]))]),
        (VERSION_3, 3, &[("client_credentials", json!([["grant_type", "planted"]]))]),
        (VERSION_3, 3, &[("client_credentials", json!([["a&b", "planted"]]))]),
        (VERSION_3, 3, &[("client_credentials", json!([["a", "planted"], ["a", "planted"]]))]),
        (VERSION_3, 3, &[("client_credentials", json!([["a", 7]]))]),
        (VERSION_3, 3, &[("client_credentials", json!("planted"))]),
        (VERSION_3, 3, &[("refresh_token", json!("planted"))]),
        (VERSION_3, 3, &[("asked_scope", json!("a\"b"))]),
    ] {
        let mut stored: Value = serde_json::from_str(text).unwrap();
        stored["version"] = version.into();
        for (member, value) in changes {
            stored[*member] = value.clone();
        }
        let error = restore(&stored.to_string()).unwrap_err().to_string();
        assert!(error.contains("keep it as it is") && !error.contains("planted"), "{stored}: {error}");
    }
    let mut none: Value = serde_json::from_str(VERSION_3).unwrap();
    none["client_credentials"] = json!([]);
    assert!(restore(&none.to_string()).is_ok());
}

/// Version 4 with everything in it. Every later version reads it: a change of the form is another version.
const VERSION_4: &str = r#"{"version":4,"authorization":"AAECAwQFBgcICQoLDA0ODw","issued_to":"QrJ-j3WdzCWGB13qg5FKQA","revision":7,
    "generation":4294967298,"signed_in_at":1699990000000,"access_token":"fake-access-2","token_type":"DPoP",
    "refresh_token":"fake-refresh-2","refresh_token_expires_at":1700086400000,"scope":"export:read export:write",
    "asked_scope":"export:read export:write users:read","asked_resources":["https://api.example/"],"ends_together":true,
    "issued_at":1700000000000,"expires_at":1700003600000,"refresh_at":1700001800000,"attempts":3,
    "trouble":{"since":1700000000000,"failures":5,"unclear_refusals":2,"kind":"unclear_refusal","status":400,
    "code":"invalid_request"},"state":"backoff","since":1700000000000,"until":1700001234567,
    "bound_to":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#;

#[test]
fn version_4_is_read_forever_and_written_as_it_was() {
    let snapshot: Snapshot = serde_json::from_str(VERSION_4).unwrap();
    let written = serde_json::to_value(&snapshot).unwrap();
    assert_eq!(written, serde_json::from_str::<Value>(VERSION_4).unwrap());
    let client = client().dpop(key(0));
    let mut session = Session::restore(&client, snapshot, policy(), later(1235)).unwrap();
    assert_eq!(usable(&session, later(1235)), Some("fake-access-2"));
    let mut store = Store { revision: 7, text: VERSION_4.to_owned() };
    save(&mut session, &mut store, later(1235));
    let call = session.send(&client, later(1235)).unwrap().unwrap();
    assert!(call.request().header("dpop").is_some());
    assert_eq!(call.request().body(), "grant_type=refresh_token&refresh_token=fake-refresh-2");
}

#[test]
fn a_thumbprint_is_in_version_4_only_and_is_whole() {
    let thumbprint = json!(key(0).thumbprint());
    let damaged = |version: u64, bound_to: Option<Value>| {
        let mut stored: Value = serde_json::from_str(VERSION_4).unwrap();
        stored["version"] = version.into();
        stored.as_object_mut().unwrap().remove("bound_to");
        if let Some(bound_to) = bound_to {
            stored["bound_to"] = bound_to;
        }
        serde_json::from_value::<Snapshot>(stored).unwrap_err().to_string()
    };
    for error in [
        damaged(4, None),
        damaged(4, Some(Value::Null)),
        damaged(4, Some(json!("planted"))),
        damaged(4, Some(json!("A".repeat(44)))),
        damaged(4, Some(json!(["planted"]))),
        damaged(3, Some(thumbprint.clone())),
        damaged(2, Some(thumbprint.clone())),
        damaged(1, Some(thumbprint.clone())),
        damaged(5, Some(thumbprint)),
    ] {
        assert!(error.contains("keep it as it is") && !error.contains("planted"), "{error}");
    }
}

/// Version 1 stored a token that was never usable as one that expired when it was issued.
#[test]
fn tokens_of_version_1_that_were_never_of_use_are_replaced() {
    let issued_at = 1_700_000_000_000_u64;
    for (name, access_token, refresh_at, time, expected) in [
        ("imported", "", issued_at, 0, "save over 7"),
        ("dead on arrival", "fake-dead", issued_at + 2000, 0, "wait 2"),
        ("dead on arrival", "fake-dead", issued_at + 2000, 2, "save over 7"),
        // A clock that was years ahead stored the pause.
        ("dead on arrival, by a wrong clock", "fake-dead", issued_at + 400_000_000_000, 0, "wait 3600"),
    ] {
        let mut stored: Value = serde_json::from_str(VERSION_1).unwrap();
        stored["access_token"] = access_token.into();
        stored["expires_at"] = issued_at.into();
        stored["refresh_at"] = refresh_at.into();
        stored["state"] = "quiet".into();
        let snapshot = restore(&stored.to_string()).unwrap();
        let mut session = Session::restore(&client(), snapshot, policy(), later(time)).unwrap();
        assert_eq!(usable(&session, later(time)), None, "{name}");
        assert_eq!(step(&mut session, later(time)), expected, "{name}");
    }
}
