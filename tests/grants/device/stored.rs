//! The stored form, by which a program stops and continues.

use oauth2_proto::grants::device::{End, PendingDevice, Step};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

use super::*;
use crate::support::later;

#[track_caller]
fn restart(device: &PendingDevice) -> PendingDevice {
    serde_json::from_str(&serde_json::to_string(device).unwrap()).unwrap()
}

#[test]
fn a_program_that_is_restarted_goes_on_where_it_stopped() {
    let mut device = device();
    assert_waits(&mut device, 1, 5);
    let mut device = restart(&device);
    assert_eq!(device.user_code(), "WDJB-MJHT");
    assert_eq!(device.verification_uri(), "https://example.com/device");
    assert_eq!(device.verification_uri_complete(), Some("https://example.com/device?user_code=WDJB-MJHT"));
    assert_eq!(device.expires_at(), later(LIFETIME));
    assert_waits(&mut device, 4, 5);
    let call = send(&mut device, 5);
    receive(&mut device, call, (400, SLOW_DOWN), 5).unwrap();
    let call = send(&mut device, 15);
    device.no_response(call, later(16));

    // The longer interval, the pause after the failure and the count are kept.
    let mut device = restart(&device);
    assert_eq!((device.interval(), device.failures()), (Duration::from_secs(10), 1));
    assert_waits(&mut device, 17, 36);
    let call = send(&mut device, 36);
    let tokens = receive(&mut device, call, (200, TOKENS), 37).unwrap().unwrap();
    assert_eq!(tokens.granted_scopes().collect::<Vec<_>>(), ["example_scope"]);
}

#[test]
fn a_request_that_was_in_flight_counts_as_unanswered_and_is_not_repeated_at_once() {
    let mut device = device();
    let call = send(&mut device, 5);
    let mut restored = restart(&device);
    assert_waits(&mut restored, 6, 10);
    // The answer to that request still counts.
    assert!(receive(&mut restored, call, (200, TOKENS), 7).unwrap().is_some());
}

#[test]
fn resources_and_the_client_are_kept() {
    let client = client();
    let call = client
        .device_authorization()
        .resource("https://api.example/a")
        .start(SystemTime::UNIX_EPOCH)
        .unwrap();
    let device = call.read(json(ANSWER)).unwrap().begin(later(0));
    let mut device = restart(&device);
    let call = send(&mut device, 5);
    assert!(call.request().body().ends_with("resource=https%3A%2F%2Fapi.example%2Fa"));
    let other = Client::new(server(), "another", ClientAuth::none()).unwrap();
    assert!(restart(&device).send(&other, later(60)).is_err());
}

#[test]
fn an_ended_one_is_not_stored() {
    for (status, body) in [(200, TOKENS), (400, r#"{"error":"access_denied"}"#)] {
        let mut device = device();
        let call = send(&mut device, 5);
        let _ = receive(&mut device, call, (status, body), 5);
        let error = serde_json::to_string(&device).unwrap_err();
        assert!(error.to_string().contains("has ended"), "{error}");
    }
    let mut device = device();
    assert_eq!(device.poll(later(LIFETIME)), Step::Ended(End::Expired));
    assert!(serde_json::to_string(&device).is_err());
}

/// Later versions of the crate read this form for good.
const VERSION_1: &str = r#"{"version":1,"client":"wvpRHb5k8ZMRQ7hzsS6RyfE21PvJ78Um3_ZxbKu3da4","device_code":"GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS","user_code":"WDJB-MJHT","verification_uri":"https://example.com/device","verification_uri_complete":"https://example.com/device?user_code=WDJB-MJHT","scope":"example_scope","resources":[],"started_at":1700000000000,"lifetime":1800000,"interval":10000,"pause_since":1700000016000,"pause":20000,"waited":15000,"polls":2,"failures":1}"#;

#[test]
fn version_1_is_read_for_good() {
    let mut device: PendingDevice = serde_json::from_str(VERSION_1).unwrap();
    assert_eq!(serde_json::to_string(&device).unwrap(), VERSION_1);
    assert_waits(&mut device, 35, 36);
    send(&mut device, 36);
}

#[test]
fn a_damaged_form_is_refused_without_quoting_a_secret() {
    let stored: Value = serde_json::from_str(VERSION_1).unwrap();
    for (member, value, says) in [
        ("version", json!(0), "not a stored device authorization"),
        ("version", json!(2), "the form of version 2"),
        ("version", json!("planted"), "not a stored device authorization"),
        ("client", json!("planted"), "client of"),
        ("device_code", json!(""), "not a stored device authorization"),
        ("device_code", json!("planted\n"), "device_code of"),
        ("device_code", json!(["planted"]), "not a stored device authorization"),
        ("user_code", json!(""), "user_code of"),
        ("user_code", json!("\u{202e}planted"), "user_code of"),
        ("verification_uri", json!("javascript:planted"), "verification_uri of"),
        ("verification_uri_complete", json!("javascript:planted"), "verification_uri_complete of"),
        ("scope", json!("planted\""), "scope of"),
        ("resources", json!(["planted"]), "a resource of"),
        ("interval", json!(0), "interval of"),
        ("interval", json!(999), "interval of"),
        ("interval", json!(20001), "interval of"),
        ("pause", json!(9999), "interval of"),
        ("lifetime", json!(-1), "not a stored device authorization"),
    ] {
        let mut damaged = stored.clone();
        damaged[member] = value.clone();
        let error =
            serde_json::from_str::<PendingDevice>(&damaged.to_string()).expect_err(member).to_string();
        assert!(error.contains(says) && !error.contains("planted"), "{member} {value}: {error}");
        assert!(error.contains("let the user start again"), "{error}");
    }
    for other in ["[]", "null", "{}", "\"planted\"", r#"{"version":1}"#, r#"{"version":7}"#] {
        let error = serde_json::from_str::<PendingDevice>(other).unwrap_err().to_string();
        assert!(error.contains("not a stored device authorization") && !error.contains("planted"), "{error}");
    }
}

/// Whatever a store holds, every wait is bounded by a pause or by the lifetime.
#[test]
fn restored_times_are_bounded() {
    let stored: Value = serde_json::from_str(VERSION_1).unwrap();
    let with = |changes: &[(&str, u64)]| {
        let mut stored = stored.clone();
        changes.iter().for_each(|(member, value)| stored[*member] = (*value).into());
        serde_json::from_str::<PendingDevice>(&stored.to_string()).unwrap()
    };
    let mut from_the_future = with(&[("pause_since", u64::MAX), ("started_at", u64::MAX)]);
    assert_waits(&mut from_the_future, 100, 120);
    assert_eq!(from_the_future.expires_at(), later(100 + LIFETIME));
    let mut endless = with(&[("pause", u64::MAX)]);
    assert_waits(&mut endless, 20, LIFETIME);
    assert_eq!(endless.poll(later(LIFETIME)), Step::Ended(End::Expired));
    let mut waited = with(&[("waited", LIFETIME * 1000)]);
    assert_eq!(waited.poll(later(20)), Step::Ended(End::Expired));
    let mut largest = with(&[("waited", u64::MAX - 1), ("lifetime", u64::MAX), ("polls", u64::MAX)]);
    let call = send(&mut largest, 36);
    receive(&mut largest, call, (400, PENDING), 36).unwrap();
}
