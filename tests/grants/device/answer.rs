//! The answer to a device authorization request (RFC 8628 §3.2).

use std::time::{Duration, SystemTime};

use oauth2_proto::grants::device::DeviceAuthorization;
use oauth2_proto::{Advice, Error, Response, error::ErrorKind};
use serde_json::{Value, json};

use super::{ANSWER, client};
use crate::support::later;

fn read(status: u16, body: &str) -> Result<DeviceAuthorization, Error> {
    let call = client().device_authorization().start(SystemTime::UNIX_EPOCH).unwrap();
    call.read(Response::new(status, [("content-type", "application/json")], body.as_bytes()))
}

/// The answer of RFC 8628 §3.2 with another value of one member; `Null` counts as absent.
fn with(member: &str, value: impl Into<Value>) -> String {
    let mut answer: Value = serde_json::from_str(ANSWER).unwrap();
    answer[member] = value.into();
    answer.to_string()
}

#[track_caller]
fn assert_invalid(body: &str, says: &str) {
    let error = read(200, body).expect_err(body);
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Invalid, Advice::Stop), "{body}");
    assert!(error.to_string().contains(says), "{error}");
    assert!(!error.to_string().contains("planted"), "{error}");
}

#[test]
fn rfc8628_section_3_2_the_example_answer() {
    let authorization = read(200, ANSWER).unwrap();
    assert_eq!(authorization.user_code(), "WDJB-MJHT");
    assert_eq!(authorization.verification_uri(), "https://example.com/device");
    let complete = authorization.verification_uri_complete();
    assert_eq!(complete, Some("https://example.com/device?user_code=WDJB-MJHT"));
    assert_eq!(authorization.expires_in(), Duration::from_secs(1800));
    assert_eq!(authorization.interval(), Duration::from_secs(5));
    assert_eq!(authorization.extras().count(), 0);

    let device = authorization.begin(later(0));
    assert_eq!(device.user_code(), "WDJB-MJHT");
    assert_eq!(device.verification_uri(), "https://example.com/device");
    assert_eq!(device.verification_uri_complete(), Some("https://example.com/device?user_code=WDJB-MJHT"));
    assert_eq!((device.expires_at(), device.interval()), (later(1800), Duration::from_secs(5)));
}

#[test]
fn device_cases() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../../vectors/device.json")).unwrap();
    for case in &cases {
        let id = case["id"].as_str().unwrap();
        let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
        match (case["expect"].get("ok"), read(status, case["body"].as_str().unwrap())) {
            (Some(expected), Ok(authorization)) => {
                // The device code is in the stored form and in a poll, and nowhere else.
                let found = json!({
                    "user_code": authorization.user_code(),
                    "verification_uri": authorization.verification_uri(),
                    "verification_uri_complete": authorization.verification_uri_complete(),
                    "expires_in": authorization.expires_in().as_secs(),
                    "interval": authorization.interval().as_secs(),
                    "device_code": serde_json::to_value(authorization.begin(later(0))).unwrap()["device_code"],
                });
                assert_eq!(&found, expected, "{id}");
            }
            (None, Err(error)) => {
                let expected = &case["expect"]["error"];
                let kind = match expected["class"].as_str() {
                    Some("refused") => ErrorKind::Refused,
                    Some("invalid") => ErrorKind::Invalid,
                    other => panic!("{id}: unknown class {other:?}"),
                };
                assert_eq!(error.kind(), kind, "{id}: {error}");
                assert_eq!(error.code(), expected["code"].as_str(), "{id}");
                assert_eq!(error.status().map(u64::from), expected["status"].as_u64(), "{id}");
            }
            (_, result) => panic!("{id}: {result:?}"),
        }
    }
    assert_eq!(cases.len(), 22);
}

#[test]
fn rfc8628_section_3_2_numbers_in_the_forms_that_servers_use() {
    for (value, interval) in [
        (json!(null), 5),
        (json!(0), 5),
        (json!("0"), 5),
        (json!(0.9), 5),
        (json!(1), 1),
        (json!("7"), 7),
        (json!(6.9), 6),
        (json!(1e30), 2_147_483_647),
    ] {
        let authorization = read(200, &with("interval", value.clone())).unwrap();
        assert_eq!(authorization.interval().as_secs(), interval, "{value}");
    }
    for (value, lifetime) in
        [(json!(0), 0), (json!("1801"), 1801), (json!(99.5), 99), (json!(u64::MAX), 2_147_483_647)]
    {
        let authorization = read(200, &with("expires_in", value.clone())).unwrap();
        assert_eq!(authorization.expires_in().as_secs(), lifetime, "{value}");
    }
    for wrong in [json!(-1), json!("planted"), json!(""), json!(true), json!([5]), json!({})] {
        assert_invalid(&with("interval", wrong.clone()), "interval is no number of seconds");
        assert_invalid(&with("expires_in", wrong), "expires_in is no number of seconds");
    }
}

#[test]
fn rfc8628_section_3_2_required_members_are_required() {
    for member in ["device_code", "user_code", "verification_uri", "expires_in"] {
        assert_invalid(&with(member, json!(null)), &format!("there is no {member}"));
    }
    for (member, wrong) in [
        ("device_code", json!("")),
        ("device_code", json!("planted\n")),
        ("device_code", json!(1)),
        ("user_code", json!(["planted"])),
        ("verification_uri", json!(["planted"])),
        ("verification_uri_complete", json!(["planted"])),
    ] {
        assert_invalid(&with(member, wrong), member);
    }
}

#[test]
fn an_empty_address_counts_as_absent() {
    let authorization = read(200, &with("verification_uri_complete", "")).unwrap();
    assert_eq!(authorization.verification_uri_complete(), None);
    let mut answer: Value = serde_json::from_str(&with("verification_uri", "")).unwrap();
    assert_invalid(&answer.to_string(), "there is no verification_uri");
    answer["verification_url"] = "https://as.example/alias".into();
    let authorization = read(200, &answer.to_string()).unwrap();
    assert_eq!(authorization.verification_uri(), "https://as.example/alias");
}

/// A program shows the addresses and may open one, and the code is typed by a person.
#[test]
fn rfc8628_section_6_1_what_the_user_sees_can_be_shown() {
    for code in ["WDJB-MJHT", "019-450-730", "0a44l90h", "WDJB MJHT", "\u{416}\u{416}\u{416}4", "<b>&\"'"] {
        assert_eq!(read(200, &with("user_code", code)).unwrap().user_code(), code);
    }
    let long = "A".repeat(128);
    assert_eq!(read(200, &with("user_code", long.as_str())).unwrap().user_code(), long);
    for code in [
        "",
        " ",
        "AB\nCD",
        "AB\tCD",
        "AB\u{0}CD",
        "AB\u{1b}[31mCD",
        "AB\u{7f}",
        "AB\u{85}CD",
        "\u{202e}TJHM-BJDW",
        "AB\u{2066}CD",
        "AB\u{200b}CD",
        "AB\u{3164}CD",
        "\u{115f}\u{1160}\u{ffa0}",
        "AB\u{2028}CD",
        "AB\u{a0}CD",
        "\u{feff}ABCD",
        "AB\u{e0041}CD",
        &"A".repeat(129),
    ] {
        assert_invalid(&with("user_code", code), "user_code");
    }
    for address in [
        "javascript:alert(1)",
        "data:text/html,fake",
        "file:///etc/fake",
        "ms-settings:fake",
        "/device",
        "https://as.example@evil.example/device?planted",
        "https://as.example/\u{202e}ecived",
        "https://as.example/device\n",
        "https://as.example/de vice",
        &format!("https://as.example/{}", "a".repeat(2048)),
    ] {
        assert_invalid(&with("verification_uri", address), "the verification_uri ");
        assert_invalid(
            &with("verification_uri_complete", address),
            "the verification_uri_complete is no text",
        );
    }
    assert_invalid(&with("verification_uri_complete", "ftp://as.example/planted"), "sound https or http");
    let long = format!("https://as.example/{}", "a".repeat(2048 - 19));
    for address in ["http://192.0.2.1/device", "https://as.example/#/device?code=A", &long] {
        assert_eq!(read(200, &with("verification_uri", address)).unwrap().verification_uri(), address);
    }
}

#[test]
fn a_refused_character_is_shown_escaped() {
    let error = read(200, &with("user_code", "\u{202e}planted")).unwrap_err();
    assert!(error.to_string().contains("\\u{202e}") && !error.to_string().contains('\u{202e}'), "{error}");
}

#[test]
fn a_member_that_is_there_twice_leaves_open_which_one_counts() {
    for member in
        ["user_code", "verification_uri", "verification_url", "verification_uri_complete", "interval"]
    {
        let body = ANSWER.replacen('{', &format!("{{\"{member}\":\"a\",\"{member}\":\"a\","), 1);
        assert_invalid(&body, member);
    }
}

#[test]
fn other_members_can_be_read() {
    let authorization = read(200, &with("message", "Open the page")).unwrap();
    assert_eq!(authorization.extra("message").unwrap(), "Open the page");
    assert_eq!(authorization.extras().count(), 1);
}
