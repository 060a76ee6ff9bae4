//! Cases with expected verdicts, collected from the specifications and from real servers.

use oauth2_proto::error::ErrorKind;
use oauth2_proto::registration::{self, ClientMetadata, Registered, SecretExpiry};
use oauth2_proto::{Advice, Error, Response};
use serde_json::{Value, json};

use crate::support::{anonymous_server, at, management, secret};

#[test]
fn rfc7591_and_rfc7592_registrations_and_client_id_metadata_documents() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../vectors/registration.json")).unwrap();
    for case in &cases {
        match case["kind"].as_str().unwrap() {
            "client-id-url" => {
                check_verdict(case, registration::ClientIdUrl::new(text(case, "client_id")).map(|_| ()))
            }
            "client-id-document" => {
                let client_id = registration::ClientIdUrl::new(text(case, "client_id")).unwrap();
                check_verdict(case, client_id.check(&case["document"].to_string()));
            }
            _ => check_answer(case),
        }
    }
    assert_eq!(cases.len(), 39);
}

#[track_caller]
fn check_verdict(case: &Value, result: Result<(), Error>) {
    match (text(case, "expect"), result) {
        ("ok", Ok(())) => {}
        ("misuse", Err(error)) => assert_eq!(error.kind(), ErrorKind::Misuse, "{}: {error}", case["id"]),
        (expected, result) => panic!("{}: expected {expected}, got {result:?}", case["id"]),
    }
}

#[track_caller]
fn check_answer(case: &Value) {
    let id = &case["id"];
    let now = at(case["now"].as_u64().unwrap());
    let answered = answer(case).map(|registered| match registered {
        Some(registered) => report(&registered, now),
        None => json!({}),
    });
    match (case["expect"].get("ok"), answered) {
        (Some(expected), Ok(answered)) => assert_eq!(&answered, expected, "{id}"),
        (None, Err(error)) => check_error(id, &case["expect"]["error"], now, &error),
        (_, answered) => panic!("{id}: expected {}, got {answered:?}", case["expect"]),
    }
}

/// Sends what a case asks for, and reads its response.
#[track_caller]
fn answer(case: &Value) -> Result<Option<Registered>, Error> {
    let metadata = case["requested"].as_object().into_iter().flatten();
    let metadata =
        metadata.fold(ClientMetadata::new(), |metadata, (name, value)| metadata.member(name, value.clone()));
    let headers = case["headers"].as_array().unwrap().iter();
    let headers = headers.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
    let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
    let response = Response::new(status, headers, text(case, "body").as_bytes());
    let known = || {
        let anyone = ClientMetadata::new().redirect_uris(["https://app.example.com/cb"]);
        let registered = case["registered"].to_string();
        let call = registration::register(&anonymous_server(), &anyone).start().unwrap();
        call.read(Response::new(201, [("a", "b")], registered.as_bytes())).unwrap()
    };
    match text(case, "operation") {
        "register" => {
            registration::register(&anonymous_server(), &metadata).start().unwrap().read(response).map(Some)
        }
        "read" => known().read().unwrap().read(response).map(Some),
        "update" => known().update(&metadata).unwrap().read(response).map(Some),
        "delete" => known().delete().unwrap().read(response).map(|()| None),
        other => panic!("unknown operation {other}"),
    }
}

/// What a registration says, in the words of the cases.
fn report(registered: &Registered, now: std::time::SystemTime) -> Value {
    let number = |name| registered.get(name).cloned().unwrap_or_default();
    let expires_at = match registered.client_secret_expiry() {
        SecretExpiry::Unknown => Value::Null,
        SecretExpiry::Never => json!(0),
        SecretExpiry::At(time) => {
            json!(time.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs())
        }
    };
    json!({
        "client_id": registered.client_id(),
        "client_secret": secret(registered),
        "client_secret_expires_at": expires_at,
        "secret_expired": registered.is_secret_expired(now),
        "client_id_issued_at": number("client_id_issued_at"),
        "token_endpoint_auth_method": registered.token_endpoint_auth_method(),
        "management": management(registered).map(|(token, uri)| json!({"uri": uri, "token": token})),
        "changed": registered.changed(),
    })
}

#[track_caller]
fn check_error(id: &Value, expect: &Value, now: std::time::SystemTime, error: &Error) {
    let kind = match text(expect, "class") {
        "refused" => ErrorKind::Refused,
        "invalid" => ErrorKind::Invalid,
        "suspect" => ErrorKind::Suspect,
        other => panic!("unknown class {other}"),
    };
    assert_eq!(error.kind(), kind, "{id}: {error}");
    if let Some(status) = expect["status"].as_u64() {
        assert_eq!(error.status().map(u64::from), Some(status), "{id}");
    }
    assert_eq!(error.code(), expect["code"].as_str(), "{id}");
    assert_eq!(error.description(), expect["description"].as_str(), "{id}");
    let advice = match expect["retry"].as_str() {
        Some("later") => Advice::RetryLater,
        Some("never") | None => Advice::Stop,
        Some(other) => panic!("unknown advice {other}"),
    };
    assert_eq!(error.advice(), advice, "{id}");
    let retry_after = error.retry_after(now).map(|delay| delay.as_secs());
    assert_eq!(retry_after, expect["retry_after"].as_u64(), "{id}");
}

#[track_caller]
fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_else(|| panic!("{case} has no text {name}"))
}
