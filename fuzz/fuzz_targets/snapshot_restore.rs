//! A snapshot is stored as the same again, a session that goes on from it never waits for what is over, and a form that is
//! damaged is refused without quoting its tokens.
//!
//! Input: a line with the seconds that have passed since the tests' time, then the stored form, JSON.
#![no_main]

use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use oauth2_proto::{RefreshPolicy, Response, Session, Snapshot, Step};
use oauth2_proto_fuzz::{assert_hides, client, lines, now, server};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Some(([seconds], stored)) = lines(data) else { return };
    // Some centuries before the year 9999, where time ends.
    let time = now() + Duration::from_secs(seconds.parse::<u32>().unwrap_or_default().into());
    if let Ok(snapshot) = serde_json::from_slice::<Snapshot>(stored) {
        check_stored(&snapshot, stored);
        go_on(snapshot, time);
    }
    if let Ok(value) = serde_json::from_slice::<Value>(stored) {
        assert_hides(value, &["access_token", "refresh_token"], |stored| {
            match serde_json::from_str::<Snapshot>(stored) {
                Ok(snapshot) => format!("{snapshot:?}"),
                Err(error) => error.to_string(),
            }
        });
    }
});

fn check_stored(snapshot: &Snapshot, given: &[u8]) {
    let stored = serde_json::to_string(snapshot).unwrap();
    let restored: Snapshot = serde_json::from_str(&stored).expect("what we stored");
    assert_eq!(serde_json::to_string(&restored).unwrap(), stored);
    assert_eq!(restored.revision(), snapshot.revision());

    let stored: Value = serde_json::from_str(&stored).unwrap();
    let mut given: Value = serde_json::from_slice(given).expect("it was read as a snapshot");
    if let Some(members) = given.as_object_mut()
        && matches!(members["state"].as_str(), Some("quiet" | "refused"))
    {
        // There they say nothing.
        members["since"] = 0.into();
        members["until"] = 0.into();
    }
    assert!(!given.is_object() || given == stored, "{given} became {stored}");
}

/// Saves and refreshes as it says, and hears nothing from the server.
fn go_on(snapshot: Snapshot, mut now: SystemTime) {
    let client = client(server());
    let mut session = Session::restore(snapshot, RefreshPolicy::default(), now);
    for _ in 0..12 {
        let token = session.access_token(now).cloned();
        match session.poll(now) {
            Step::Save(save) => {
                assert_eq!(save.expected_revision(), session.revision());
                session.saved(save);
            }
            Step::Send { until } => {
                assert!(now < until);
                // Perhaps the tokens are not this client's.
                let Ok(call) = session.send(&client, now) else { return };
                let call = call.expect("it says so");
                let answer = Response::new(503, [("", "")], b"");
                session.received(call, answer, now).expect_err("that is no success");
            }
            Step::Rest(Some(until)) | Step::Wait(until) => {
                assert!(now < until, "{session:?} waits for what is over");
                now = until;
            }
            Step::Rest(None) => return assert!(token.is_some(), "{session:?} rests without a token"),
            Step::Reauthorize(_) => return,
        }
        let usable = session.access_token(now);
        assert!(usable.is_none() || usable == token.as_ref() || token.is_none(), "another token");
    }
}
