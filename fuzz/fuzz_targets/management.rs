//! Any success revokes a token, and nothing else does. An introspection is read exactly if a model of the
//! rules accepts it, and its members equal those that another JSON reader finds. Of an inactive token nothing
//! else is reported, and no printed text depends on the user or the token.
//!
//! Input: lines with the status and a letter for each leniency, then the body.
#![no_main]

use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use oauth2_proto::management::Introspection;
use oauth2_proto::{Error, Response, Secret, server::Leniency};
use oauth2_proto_fuzz::{assert_hides, assert_shows_safely, client, json_object, lines, server};
use serde_json::{Map, Value};

/// The members that may name the user or the token, or be as good as the token.
const HIDDEN: [(&str, usize); 8] = [
    ("client_id", 0),
    ("username", 0),
    ("token_type", 0),
    ("sub", 0),
    ("aud", 0),
    ("iss", 0),
    ("jti", 0),
    ("other", 0),
];

fuzz_target!(|data: &[u8]| {
    let Some(([status, options], body)) = lines(data) else { return };
    let Ok(status) = status.parse() else { return };
    let mut server = server().revocation_endpoint("https://as.example/revoke").unwrap();
    server = server.introspection_endpoint("https://as.example/introspect").unwrap();
    for (letter, leniency) in [('a', Leniency::ScopeArray), ('c', Leniency::ScopeComma)] {
        if options.contains(letter) {
            server = server.tolerate(leniency);
        }
    }
    let client = client(server);
    let token = Secret::new("fake-token");
    let is_success = (200..=299).contains(&status);
    let headers = [("content-type", "application/json")];

    let revocation = client.revoke(&token).start(SystemTime::UNIX_EPOCH).unwrap();
    match revocation.read(Response::new(status, headers, body)) {
        Ok(()) => assert!(is_success),
        Err(error) => {
            assert!(!is_success && error.status() == Some(status));
            assert_shows_safely(&error.to_string());
        }
    }

    let introspection = client.introspect(&token).start(SystemTime::UNIX_EPOCH).unwrap();
    let read = |body: &[u8]| introspection.read(Response::new(status, headers, body));
    let object = json_object(body);
    match (read(body), &object) {
        (Ok(answer), object) => {
            assert!(is_success, "read with status {status}");
            // Without a sound object, the damage is in a member that is not known.
            if let Some(object) = object {
                check(&answer, object, options);
            }
        }
        (Err(error), _) => {
            assert_eq!(error.status(), Some(status));
            assert_shows_safely(&error.to_string());
        }
    }
    if let Some(object) = object {
        // Serialized again, so that no member is repeated.
        let accepted = read(&serde_json::to_vec(&object).unwrap()).is_ok();
        assert_eq!(accepted, is_success && is_acceptable(&object, options), "{object:?}");
        let show = |body: &str| show(read(body.as_bytes()));
        assert_hides(Value::Object(object), &HIDDEN, show);
    }
});

fn show(answer: Result<Introspection, Error>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => error.to_string(),
    }
}

/// Returns whether the members form an introspection, by the rules and the chosen leniencies.
fn is_acceptable(object: &Map<String, Value>, options: &str) -> bool {
    let member = |name: &str| object.get(name).unwrap_or(&Value::Null);
    let says_nothing = match member("error") {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.is_empty(),
    };
    let are_texts =
        |value: &Value| value.as_array().is_some_and(|values| values.iter().all(Value::is_string));
    let is_text = |name: &str| member(name).is_null() || member(name).is_string();
    let is_time = |name: &str| member(name).is_null() || member(name).is_number();
    says_nothing
        && match member("active") {
            Value::Bool(false) => true,
            Value::Bool(true) => {
                let is_list = options.contains('a') && are_texts(member("scope"));
                ["client_id", "username", "token_type", "sub", "iss", "jti"].into_iter().all(is_text)
                    && ["exp", "iat", "nbf"].into_iter().all(is_time)
                    && (is_text("aud") || are_texts(member("aud")))
                    && (is_text("scope") || is_list)
            }
            _ => false,
        }
}

/// Compares an answer with what another JSON reader finds.
fn check(answer: &Introspection, object: &Map<String, Value>, options: &str) {
    let nothing = Value::Null;
    let is_active = object["active"].as_bool().unwrap();
    assert_eq!(answer.is_active(), is_active);
    let member = |name: &str| object.get(name).filter(|_| is_active).unwrap_or(&nothing);
    let text = |name: &str| member(name).as_str().filter(|text| !text.is_empty());
    assert_eq!(answer.client_id(), text("client_id"));
    assert_eq!(answer.username(), text("username"));
    assert_eq!(answer.token_type(), text("token_type"));
    assert_eq!(answer.subject(), text("sub"));
    assert_eq!(answer.issuer(), text("iss"));
    assert_eq!(answer.token_id(), text("jti"));
    for (name, time) in
        [("exp", answer.expires_at()), ("iat", answer.issued_at()), ("nbf", answer.not_before())]
    {
        let read = time.map(|time| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
        let expected = member(name).as_f64().map(|seconds| (seconds as u64).min(253_402_300_799));
        assert_eq!(read, expected, "{name}");
    }
    let audience: Vec<&str> = match member("aud") {
        Value::Array(values) => values.iter().map(|value| value.as_str().unwrap()).collect(),
        value => value.as_str().filter(|text| !text.is_empty()).into_iter().collect(),
    };
    assert_eq!(answer.audience(), audience);
    let scope = match member("scope") {
        Value::Array(values) => {
            values.iter().map(|value| value.as_str().unwrap()).collect::<Vec<_>>().join(" ")
        }
        value if options.contains('c') => value.as_str().unwrap_or_default().replace(',', " "),
        value => value.as_str().unwrap_or_default().to_owned(),
    };
    let scopes = scope.split(' ').filter(|scope| !scope.is_empty());
    assert_eq!(answer.scopes().collect::<Vec<_>>(), scopes.collect::<Vec<_>>());
    assert_eq!(answer.extra("other"), object.get("other").filter(|_| is_active));
}
