//! A restored snapshot serializes to the same form, in version 2, 3 for client credentials, or 4 for tokens that
//! are bound to a key. Only the right client restores a session from it; the session uses the token only while
//! it is valid, and never waits for a past time. A damaged form is refused without quoting its tokens.
//!
//! Input: a line with the seconds that have passed since `now()`, then the stored form, JSON.
#![no_main]

use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use oauth2_proto::{RefreshPolicy, Response, Session, Snapshot, Step};
use oauth2_proto_fuzz::{assert_hides, client, lines, now, server};
use serde_json::{Map, Value, json};

/// The stored digest of the client's token endpoint and `client_id`.
const CLIENT: &str = "QrJ-j3WdzCWGB13qg5FKQA";

fuzz_target!(|data: &[u8]| {
    let Some(([seconds], stored)) = lines(data) else { return };
    // Stays centuries before the year 9999, the crate's latest time.
    let time = now() + Duration::from_secs(seconds.parse::<u32>().unwrap_or_default().into());
    if let Ok(snapshot) = serde_json::from_slice::<Snapshot>(stored) {
        simulate(check_stored(&snapshot, stored), snapshot, time);
    }
    if let Ok(value) = serde_json::from_slice::<Value>(stored) {
        assert_hides(
            value,
            &[("access_token", 5), ("refresh_token", 7)],
            |stored| match serde_json::from_str::<Snapshot>(stored) {
                Ok(snapshot) => format!("{snapshot:?}"),
                Err(error) => error.to_string(),
            },
        );
    }
});

/// Checks that the snapshot serializes to the same form, or to the same in a later version; returns its
/// members.
fn check_stored(snapshot: &Snapshot, given: &[u8]) -> Value {
    let stored = serde_json::to_string(snapshot).unwrap();
    let restored: Snapshot = serde_json::from_str(&stored).expect("the stored form is valid");
    assert_eq!(serde_json::to_string(&restored).unwrap(), stored);
    assert_eq!(restored.revision(), snapshot.revision());

    let stored: Value = serde_json::from_str(&stored).unwrap();
    let mut given: Value = serde_json::from_slice(given).expect("it was read as a snapshot");
    if let Some(members) = given.as_object_mut() {
        upgrade(members);
        assert_eq!(given, stored);
    }
    stored
}

/// Turns a form of any version into what this version writes for it.
fn upgrade(members: &mut Map<String, Value>) {
    if let Some(client) = members.remove("client") {
        members.insert("issued_to".to_owned(), client);
    }
    let issued_at = members["issued_at"].clone();
    if members["version"] == 1 && members["expires_at"] == issued_at {
        // Version 1 kept the pause after a token that was dead on arrival as the time of its refresh.
        // A wrong clock may have stored any time, so the pause is at most an hour.
        let refresh_at = members["refresh_at"].take().as_u64().unwrap_or_default();
        let since = issued_at.as_u64().unwrap_or_default();
        if members["state"] == "quiet" && refresh_at > since {
            members["state"] = "backoff".into();
            members["since"] = issued_at;
            members["until"] = refresh_at.min(since + 3_600_000).into();
        }
    }
    let version = match (members.contains_key("bound_to"), members.contains_key("client_credentials")) {
        (true, _) => 4,
        (false, true) => 3,
        (false, false) => 2,
    };
    members["version"] = version.into();
    let trouble = members.entry("trouble").or_insert(Value::Null);
    if let Some([since, failures, unclear, kind, status, code]) = trouble.as_array().map(Vec::as_slice) {
        *trouble = json!({
            "since": since, "failures": failures, "unclear_refusals": unclear,
            "kind": kind, "status": status, "code": code,
        });
    }
    if let Some(trouble) = trouble.as_object_mut() {
        trouble.entry("status").or_insert(Value::Null);
        trouble.entry("code").or_insert(Value::Null);
    }
    for name in ["refresh_token_expires_at", "asked_scope"] {
        members.entry(name).or_insert(Value::Null);
    }
    members.entry("signed_in_at").or_insert(0.into());
    members.entry("asked_resources").or_insert(json!([]));
    members.entry("ends_together").or_insert(false.into());
    if matches!(members["state"].as_str(), Some("quiet" | "refused" | "ended")) {
        // These states have no times: both members are ignored.
        members["since"] = 0.into();
        members["until"] = 0.into();
    }
}

/// Carries out the session's steps, with a server that answers 503.
fn simulate(stored: Value, snapshot: Snapshot, mut now: SystemTime) {
    let client = client(server());
    let restored = Session::restore(&client, snapshot, RefreshPolicy::default(), now);
    // The client has no key.
    let is_ours = stored["issued_to"] == CLIENT && stored.get("bound_to").is_none();
    assert_eq!(restored.is_ok(), is_ours, "{restored:?}");
    let Ok(mut session) = restored else { return };
    for _ in 0..12 {
        let token = session.access_token(now).map(|token| token.expose().to_owned());
        if let Some(token) = &token {
            assert!(!token.is_empty() && stored["access_token"] == **token, "another token");
            assert!(stored["state"] != "ended", "the token of an ended authorization");
            assert!(stored["state"] != "refused" || stored["ends_together"] == false, "it ended too");
            // The server issued a token that was dead on arrival.
            let was_dead = stored["expires_at"] == stored["issued_at"] && stored["refresh_at"].is_null();
            assert!(!was_dead, "a token that was never valid");
            let unix = now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
            assert!(stored["expires_at"].as_u64().is_none_or(|end| unix < end.into()), "an expired token");
        }
        match session.poll(now) {
            Step::Save(save) => {
                assert_eq!(save.expected_revision(), session.revision());
                session.saved(save);
            }
            Step::Send { until } => {
                assert!(now < until);
                let call = session.send(&client, now).expect("it is the right client");
                let call = call.expect("poll returned Send");
                let answer = Response::new(503, [("", "")], b"");
                session.received(call, answer, now).expect_err("503 is no success");
            }
            Step::Idle(Some(until)) | Step::Wait { until, .. } => {
                assert!(now < until, "{session:?} waits for a past time");
                now = until;
            }
            Step::Idle(None) => return assert!(token.is_some(), "{session:?} is idle without a token"),
            Step::Reauthorize(_) => return,
        }
    }
}
