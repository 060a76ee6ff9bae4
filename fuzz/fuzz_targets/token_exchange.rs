//! A response to a token exchange yields a token exactly if a model of the rules accepts it; the token equals
//! the one that another JSON reader finds. An identity assertion comes of such a response only if both types
//! say so, and is then sent as it came. No printed text depends on a secret.
//!
//! Input: lines with the status and a letter for each leniency, then the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth2_proto::grants::{ExchangedToken, IdentityAssertion, token_type};
use oauth2_proto::token::TokenType;
use oauth2_proto::{Error, Response, Secret, server::Leniency};
use oauth2_proto_fuzz::{assert_shows_safely, client, json_object, lines, server};
use serde_json::{Map, Value};

const LENIENCIES: [(char, Leniency); 6] = [
    ('m', Leniency::MissingTokenType),
    ('t', Leniency::AnyTokenType),
    ('a', Leniency::ScopeArray),
    ('c', Leniency::ScopeComma),
    ('z', Leniency::ZeroMeansNeverExpires),
    ('n', Leniency::NegativeMeansNeverExpires),
];

const AUDIENCE: &str = "https://as.example/";

fuzz_target!(|data: &[u8]| {
    let Some(([status, options], body)) = lines(data) else { return };
    let Ok(status) = status.parse::<u16>() else { return };
    let chosen = LENIENCIES.into_iter().filter(|(letter, _)| options.contains(*letter));
    let server = server().issuer(AUDIENCE).unwrap();
    let client = client(chosen.fold(server, |server, (_, leniency)| server.tolerate(leniency)));
    let subject = Secret::new("fake-subject-token");
    let exchange = client.token_exchange(&subject, token_type::ACCESS_TOKEN).start().unwrap();
    let assertion = client.identity_assertion(&subject, AUDIENCE).start().unwrap();
    let headers = [("Content-Type", "application/json")];
    let read = |body: &[u8]| exchange.read(Response::new(status, headers, body));
    let read_assertion = |body: &[u8]| assertion.read(Response::new(status, headers, body));

    let (exchanged, asserted) = (read(body), read_assertion(body));
    let object = json_object(body);
    match (&exchanged, &object) {
        (Ok(exchanged), Some(object)) => check_json(exchanged, object),
        (Ok(_), None) => assert!((200..=299).contains(&status)),
        (Err(error), _) => {
            assert_eq!(error.status(), Some(status));
            assert_shows_safely(&error.to_string());
        }
    }
    check_assertion(&exchanged, &asserted);
    if let Ok(asserted) = &asserted {
        let form = client.redeem(asserted).unwrap().request().form();
        let [grant_type, sent] = form.as_slice() else { panic!("{form:?}") };
        assert_eq!(grant_type.1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
        assert_eq!(sent, &("assertion".to_owned(), asserted.assertion().expose().to_owned()));
    }
    if let Some(object) = object {
        // Serialized again, so that no member is repeated.
        let again = serde_json::to_vec(&object).unwrap();
        let accepted = read(&again);
        let is_acceptable = (200..=299).contains(&status) && is_acceptable(&object, options);
        assert_eq!(accepted.is_ok(), is_acceptable, "{object:?}");
        check_assertion(&accepted, &read_assertion(&again));
        check_printing(read, &object);
        check_printing(read_assertion, &object);
    }
});

/// Both types make an identity assertion of an exchanged token.
fn check_assertion(exchanged: &Result<ExchangedToken, Error>, asserted: &Result<IdentityAssertion, Error>) {
    let is_assertion = exchanged.as_ref().is_ok_and(|exchanged| {
        exchanged.issued_token_type() == token_type::ID_JAG
            && *exchanged.token_type() == TokenType::NotApplicable
    });
    assert_eq!(asserted.is_ok(), is_assertion);
    if let (Ok(exchanged), Ok(asserted)) = (exchanged, asserted) {
        assert_eq!((asserted.assertion(), asserted.audience()), (exchanged.token(), AUDIENCE));
        assert_eq!(asserted.expires_in(), exchanged.expires_in());
        assert!(exchanged.access_tokens().is_none());
    }
}

/// Returns whether the members form the response to a token exchange, by the rules and the chosen leniencies.
fn is_acceptable(object: &Map<String, Value>, options: &str) -> bool {
    let has = |letter| options.contains(letter);
    let member = |name: &str| object.get(name).unwrap_or(&Value::Null);
    let is_token = |text: &str| !text.contains(char::is_control);
    let is_no_error = member("error").is_null() || member("error").as_str() == Some("");
    let access_token = member("access_token").as_str().is_some_and(|text| !text.is_empty() && is_token(text));
    let issued_token_type = member("issued_token_type").as_str().is_some_and(|text| !text.is_empty());
    let refresh_token = match member("refresh_token") {
        Value::Null => true,
        Value::String(text) => is_token(text),
        _ => false,
    };
    let token_type = match member("token_type") {
        Value::Null => has('m'),
        Value::String(name) if name.is_empty() => has('m'),
        Value::String(name) => {
            ["bearer", "dpop", "n_a"].contains(&&*name.to_ascii_lowercase()) || (has('t') && is_token(name))
        }
        _ => false,
    };
    let scope = match member("scope") {
        Value::Null | Value::String(_) => true,
        Value::Array(values) => has('a') && values.iter().all(Value::is_string),
        _ => false,
    };
    let expires_in = match member("expires_in") {
        Value::Null => true,
        Value::Number(number) => has('n') || number.as_f64().is_some_and(|seconds| seconds >= 0.0),
        Value::String(text) => {
            let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let is_negative = |text: &str| is_number(text) && text.bytes().any(|byte| byte != b'0');
            is_number(text) || (has('n') && text.strip_prefix('-').is_some_and(is_negative))
        }
        _ => false,
    };
    is_no_error && access_token && issued_token_type && refresh_token && token_type && scope && expires_in
}

fn check_json(exchanged: &ExchangedToken, object: &Map<String, Value>) {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    assert_eq!(text("access_token"), Some(exchanged.token().expose()));
    assert_eq!(text("issued_token_type"), Some(exchanged.issued_token_type()));
    let refresh_token = text("refresh_token").filter(|token| !token.is_empty());
    assert_eq!(exchanged.refresh_token().map(Secret::expose), refresh_token);
    let is_none = text("token_type").is_some_and(|name| name.eq_ignore_ascii_case("n_a"));
    assert_eq!(*exchanged.token_type() == TokenType::NotApplicable, is_none);
    assert!(!is_none || exchanged.access_tokens().is_none());
    for (name, value) in exchanged.extras() {
        assert_eq!(object.get(name), Some(value), "{name}");
    }
}

/// Asserts that the printed outcome is the same for a copy of the members with other secrets.
fn check_printing<T: std::fmt::Debug>(read: impl Fn(&[u8]) -> Result<T, Error>, object: &Map<String, Value>) {
    let shown = [
        "token_type",
        "issued_token_type",
        "expires_in",
        "scope",
        "error",
        "error_description",
        "error_uri",
        "interval",
    ];
    let mut twin = object.clone();
    for (name, value) in twin.iter_mut().filter(|(name, _)| !shown.contains(&name.as_str())) {
        // An invalid token stays, because the error mentions the fault.
        let is_token = matches!(name.as_str(), "access_token" | "refresh_token");
        let sound = value.as_str().is_some_and(|text| !text.is_empty() && !text.contains(char::is_control));
        if sound || !is_token {
            *value = "fake-other-secret".into();
        }
    }
    let print = |object| match read(serde_json::to_string(object).unwrap().as_bytes()) {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{error}\n{error:?}"),
    };
    assert_eq!(print(object), print(&twin));
}
