//! A restored snapshot serializes to the same form. A session restored from it uses the token only while it
//! is valid, sends only with the right client, and never waits for a past time. A damaged form is refused
//! without quoting its tokens.
//!
//! Input: a line with the seconds that have passed since `now()`, then the stored form, JSON.
#![no_main]

use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use oauth2_proto::{RefreshPolicy, Response, Session, Snapshot, Step};
use oauth2_proto_fuzz::{assert_hides, client, lines, now, server};
use serde_json::Value;

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

/// Checks that the snapshot serializes to the same form, and returns its members.
fn check_stored(snapshot: &Snapshot, given: &[u8]) -> Value {
    let stored = serde_json::to_string(snapshot).unwrap();
    let restored: Snapshot = serde_json::from_str(&stored).expect("the stored form is valid");
    assert_eq!(serde_json::to_string(&restored).unwrap(), stored);
    assert_eq!(restored.revision(), snapshot.revision());

    let stored: Value = serde_json::from_str(&stored).unwrap();
    let mut given: Value = serde_json::from_slice(given).expect("it was read as a snapshot");
    if let Some(members) = given.as_object_mut()
        && matches!(members["state"].as_str(), Some("quiet" | "refused"))
    {
        // These states have no times: both members are ignored.
        members["since"] = 0.into();
        members["until"] = 0.into();
    }
    assert!(!given.is_object() || given == stored, "{given} became {stored}");
    stored
}

/// Carries out the session's steps, with a server that answers 503.
fn simulate(stored: Value, snapshot: Snapshot, mut now: SystemTime) {
    let client = client(server());
    let mut session = Session::restore(snapshot, RefreshPolicy::default(), now);
    for _ in 0..12 {
        let token = session.access_token(now).map(|token| token.expose().to_owned());
        if let Some(token) = &token {
            assert!(!token.is_empty() && stored["access_token"] == **token, "another token");
            assert!(stored["state"] != "refused" && stored["expires_at"] != stored["issued_at"]);
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
                let is_ours = stored["client"] == CLIENT;
                let sent = session.send(&client, now);
                assert_eq!(sent.is_ok(), is_ours, "{sent:?}");
                let Ok(call) = sent else { return };
                let call = call.expect("poll returned Send");
                let answer = Response::new(503, [("", "")], b"");
                session.received(call, answer, now).expect_err("503 is no success");
            }
            Step::Idle(Some(until)) | Step::Wait(until) => {
                assert!(now < until, "{session:?} waits for a past time");
                now = until;
            }
            Step::Idle(None) => return assert!(token.is_some(), "{session:?} is idle without a token"),
            Step::Reauthorize(_) => return,
        }
    }
}
