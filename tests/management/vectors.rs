//! Cases with expected verdicts, collected from the specifications and from real servers.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::management::Introspection;
use oauth2_proto::{Advice, Error, Response};
use serde_json::{Value, json};

use crate::{introspection, revocation};

#[test]
fn rfc7662_section_2_2_introspection_responses() {
    let cases = vectors(include_str!("../vectors/introspection.json"));
    for case in &cases {
        let (expected, read) = (&case["expect"], introspection().read(response(case, &body(case))));
        match read {
            Ok(answer) => check_members(case, &expected["ok"], &answer),
            Err(error) => check_error(case, &expected["error"], &error),
        }
    }
    assert_eq!(cases.len(), 13);
}

#[test]
fn rfc7009_section_2_2_revocation_responses() {
    let cases = vectors(include_str!("../vectors/revocation.json"));
    for case in &cases {
        let (expected, read) = (&case["expect"], revocation().read(response(case, &body(case))));
        match read {
            Ok(()) => assert!(expected["ok"].is_object(), "{}", case["id"]),
            Err(error) => check_error(case, &expected["error"], &error),
        }
    }
    assert_eq!(cases.len(), 10);
}

/// RFC 7009 §2.2.1 and RFC 7662 §2.3 take over the error responses of RFC 6749 §5.2. Only the advice to sign
/// in again does not apply, because no sign-in changes these answers.
#[test]
fn rfc6749_section_5_2_error_responses_of_both_endpoints() {
    let cases = vectors(include_str!("../vectors/error_responses.json"));
    for case in &cases {
        let body = body(case);
        let mut expected = case["expect"].clone();
        if expected["retry"] == "reauthorize" {
            expected["retry"] = "never".into();
        }
        check_error(case, &expected, &introspection().read(response(case, &body)).unwrap_err());
        match (revocation().read(response(case, &body)), case["status"].as_u64().unwrap()) {
            (Err(error), _) => check_error(case, &expected, &error),
            (Ok(()), status) => assert!(matches!(status, 200..=299), "{}", case["id"]),
        }
    }
    assert_eq!(cases.len(), 67);
}

#[track_caller]
fn vectors(json: &str) -> Vec<Value> {
    serde_json::from_str(json).unwrap()
}

#[track_caller]
fn response<'a>(case: &Value, body: &'a [u8]) -> Response<'a> {
    let headers = case["headers"].as_array().unwrap().iter();
    let headers = headers.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
    Response::new(u16::try_from(case["status"].as_u64().unwrap()).unwrap(), headers, body)
}

#[track_caller]
fn body(case: &Value) -> Vec<u8> {
    if let Some(text) = case["body"].as_str() {
        return text.into();
    }
    if let Some(text) = case["body_base64"].as_str() {
        return STANDARD.decode(text).unwrap();
    }
    let parts = case["body_parts"].as_array().unwrap().iter();
    let parts = parts.map(|part| part[0].as_str().unwrap().repeat(part[1].as_u64().unwrap() as usize));
    parts.collect::<String>().into()
}

/// Compares everything that is reported with what is expected, except for members beyond RFC 7662.
#[track_caller]
fn check_members(case: &Value, expected: &Value, answer: &Introspection) {
    let seconds = |time: SystemTime| json!(time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
    let scopes: Vec<_> = answer.scopes().collect();
    let reported = [
        ("active", Some(json!(answer.is_active()))),
        ("scope", (!scopes.is_empty()).then(|| json!(scopes))),
        ("client_id", answer.client_id().map(|text| json!(text))),
        ("username", answer.username().map(|text| json!(text))),
        ("token_type", answer.token_type().map(|text| json!(text))),
        ("exp", answer.expires_at().map(seconds)),
        ("iat", answer.issued_at().map(seconds)),
        ("nbf", answer.not_before().map(seconds)),
        ("sub", answer.subject().map(|text| json!(text))),
        ("aud", (!answer.audience().is_empty()).then(|| json!(answer.audience()))),
        ("iss", answer.issuer().map(|text| json!(text))),
        ("jti", answer.token_id().map(|text| json!(text))),
    ];
    let reported: BTreeMap<_, _> =
        reported.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let mut expected: BTreeMap<String, Value> = serde_json::from_value(expected.clone()).unwrap();
    let extras = expected.remove("extras").unwrap_or_else(|| json!({}));
    assert_eq!(reported, expected, "{}", case["id"]);
    for (name, value) in extras.as_object().unwrap() {
        assert_eq!(answer.extra(name), Some(value), "{}", case["id"]);
    }
}

/// Compares an error with what is expected of it; what an expectation does not name is not compared.
#[track_caller]
fn check_error(case: &Value, expected: &Value, error: &Error) {
    let kind = match error.kind() {
        ErrorKind::Refused => "refused",
        ErrorKind::Invalid => "invalid",
        other => panic!("{}: {other:?}", case["id"]),
    };
    let advice = match error.advice() {
        Advice::RetryLater => "later",
        Advice::Reauthorize => "reauthorize",
        Advice::FixConfiguration => "fix-config",
        Advice::Declined => "declined",
        Advice::Stop => "never",
        Advice::KeepWaiting => panic!("{}: only callbacks say this", case["id"]),
    };
    let received_at = Duration::from_secs(case["received_at"].as_u64().unwrap_or_default());
    let retry_after = error.retry_after(SystemTime::UNIX_EPOCH + received_at);
    let number = |duration: Duration| json!(duration.as_secs());
    let reported = [
        ("class", json!(kind)),
        ("status", json!(error.status())),
        ("code", json!(error.code())),
        ("description", json!(error.description())),
        ("uri", json!(error.uri())),
        ("retry", json!(advice)),
        ("retry_after", json!(retry_after.map(number))),
        ("dpop_nonce", json!(error.dpop_nonce())),
        ("interval", json!(error.interval().map(number))),
    ];
    for (name, reported) in reported {
        match &expected[name] {
            // An error response expects nothing that it does not name.
            Value::Null if case["expect"]["error"].is_null() => {
                assert!(reported.is_null(), "{} {name}", case["id"])
            }
            Value::Null => {}
            Value::Object(bound) => {
                assert!(reported.as_u64() >= bound["at_least"].as_u64(), "{} {name}", case["id"])
            }
            expected => assert_eq!(&reported, expected, "{} {name}", case["id"]),
        }
    }
}
