//! A sound response yields tokens exactly if a model of the rules accepts it, and a damaged one only if it
//! begins as an object or a form. The tokens equal those that another JSON reader finds, and no printed text
//! depends on a secret.
//!
//! Input: lines with the status, the content type and a letter for each leniency (and `r` for a refresh),
//! then the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth2_proto::{Error, Response, Secret, TokenResponse, server::Leniency};
use oauth2_proto_fuzz::{assert_shows_safely, client, code_call, json_object, lines, server};
use serde_json::{Map, Value};
use url::form_urlencoded;

const LENIENCIES: [(char, Leniency); 7] = [
    ('m', Leniency::MissingTokenType),
    ('t', Leniency::AnyTokenType),
    ('a', Leniency::ScopeArray),
    ('c', Leniency::ScopeComma),
    ('f', Leniency::FormEncoded),
    ('z', Leniency::ZeroMeansNeverExpires),
    ('n', Leniency::NegativeMeansNeverExpires),
];

fuzz_target!(|data: &[u8]| {
    let Some(([status, content_type, options], body)) = lines(data) else { return };
    let Ok(status) = status.parse() else { return };
    let chosen = LENIENCIES.into_iter().filter(|(letter, _)| options.contains(*letter));
    let client = client(chosen.fold(server(), |server, (_, leniency)| server.tolerate(leniency)));
    let old_refresh_token = options.contains('r').then(|| Secret::new("fake-old-refresh-token"));
    let refresh = old_refresh_token.as_ref().map(|token| client.refresh(token).start().unwrap());
    let exchange = code_call(&client);
    let read = |body: &[u8]| {
        let response = Response::new(status, [("Content-Type", content_type)], body);
        match &refresh {
            Some(call) => call.read(response),
            None => exchange.read(response),
        }
    };

    let object = json_object(body);
    match read(body) {
        Ok(tokens) => {
            assert!((200..=299).contains(&status), "tokens with status {status}");
            let access_token = tokens.access_token().expose();
            assert!(!access_token.is_empty() && !access_token.contains(char::is_control));
            match &object {
                Some(object) => check_json(&tokens, object, old_refresh_token.as_ref()),
                // The damage is in a member that is not read; the raw token may hold escapes.
                None if body
                    .strip_prefix(b"\xef\xbb\xbf")
                    .unwrap_or(body)
                    .trim_ascii_start()
                    .starts_with(b"{") => {}
                None => {
                    assert!(options.contains('f'), "neither JSON nor a tolerated form");
                    let pairs = form_urlencoded::parse(body).filter(|(name, _)| name == "access_token");
                    assert_eq!(pairs.map(|(_, value)| value).collect::<Vec<_>>(), [access_token]);
                }
            }
        }
        Err(error) => {
            assert_eq!(error.status(), Some(status));
            assert_shows_safely(&error.to_string());
        }
    }
    if let Some(object) = object {
        // Serialized again, so that no member is repeated.
        let accepted = read(&serde_json::to_vec(&object).unwrap()).is_ok();
        assert_eq!(accepted, (200..=299).contains(&status) && is_acceptable(&object, options), "{object:?}");
        check_printing(read, &object);
    }
});

/// Returns whether the members form a token response, by the rules and the chosen leniencies.
fn is_acceptable(object: &Map<String, Value>, options: &str) -> bool {
    let has = |letter| options.contains(letter);
    let member = |name: &str| object.get(name).unwrap_or(&Value::Null);
    let is_token = |text: &str| !text.contains(char::is_control);

    let access_token = member("access_token").as_str().is_some_and(|text| !text.is_empty() && is_token(text));
    let refresh_token = match member("refresh_token") {
        Value::Null => true,
        Value::String(text) => is_token(text),
        _ => false,
    };
    let token_type = match member("token_type") {
        Value::Null => has('m'),
        Value::String(name) if name.is_empty() => has('m'),
        Value::String(name) => {
            ["bearer", "dpop"].contains(&&*name.to_ascii_lowercase())
                || (has('t') && !name.is_empty() && is_token(name))
        }
        _ => false,
    };
    let scope = match member("scope") {
        Value::Null | Value::String(_) => true,
        Value::Array(values) => has('a') && values.iter().all(Value::is_string),
        _ => false,
    };
    let expires_in = member("expires_in");
    let expires_in =
        expires_in.is_null() || seconds(expires_in).is_some() || (has('n') && is_negative(expires_in));
    is_no_error(member("error")) && access_token && refresh_token && token_type && scope && expires_in
}

/// Returns whether a member `error` is missing or empty.
fn is_no_error(error: &Value) -> bool {
    error.is_null() || error.as_str() == Some("")
}

fn is_negative(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_some_and(|seconds| seconds < 0.0),
        Value::String(text) => text.strip_prefix('-').is_some_and(|digits| {
            digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.bytes().any(|byte| byte != b'0')
        }),
        _ => false,
    }
}

/// Reads a number of seconds in any form that servers send.
fn seconds(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) if number.is_f64() => {
            number.as_f64().filter(|seconds| *seconds >= 0.0).map(|seconds| seconds as u64)
        }
        Value::Number(number) => number.as_u64(),
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() => {
            // A number that does not fit becomes the largest one.
            Some(text.parse().unwrap_or(u64::MAX))
        }
        _ => None,
    }
}

fn check_json(tokens: &TokenResponse, object: &Map<String, Value>, old_refresh_token: Option<&Secret>) {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    assert_eq!(text("access_token"), Some(tokens.access_token().expose()));
    assert!(object.get("error").is_none_or(is_no_error), "tokens together with an error");
    let details = object.get("authorization_details").unwrap_or(&Value::Null);
    let is_detail = |detail: &Value| detail["type"].as_str().is_some_and(|name| !name.is_empty());
    let is_sound = details.is_null() || details.as_array().is_some_and(|list| list.iter().all(is_detail));
    assert_eq!(tokens.authorization_details().is_ok(), is_sound, "{details}");
    let new_refresh_token = text("refresh_token").filter(|token| !token.is_empty());
    assert_eq!(tokens.refresh_token_is_new(), new_refresh_token.is_some());
    let refresh_token = new_refresh_token.or(old_refresh_token.map(Secret::expose));
    assert_eq!(tokens.refresh_token().map(Secret::expose), refresh_token);
    // The two differ only with the leniency that reads 0 as "never expires".
    let lifetime = tokens.expires_in().map(|lifetime| lifetime.as_secs());
    let expected = object.get("expires_in").and_then(seconds).map(|seconds| seconds.min((1 << 31) - 1));
    assert!(lifetime == expected || (lifetime, expected) == (None, Some(0)), "{lifetime:?} for {expected:?}");
    for (name, value) in tokens.extras() {
        assert_eq!(object.get(name), Some(value), "{name}");
    }
}

/// Asserts that the printed outcome is the same for a copy of the members with other secrets.
///
/// The comparison works for every input. A search for the token would fail on a token like `Bearer`, which is
/// also a word of the printed text.
fn check_printing(read: impl Fn(&[u8]) -> Result<TokenResponse, Error>, object: &Map<String, Value>) {
    let shown = ["token_type", "expires_in", "scope", "error", "error_description", "error_uri", "interval"];
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
        Ok(tokens) => format!("{tokens:?}"),
        Err(error) => format!("{error}\n{error:?}"),
    };
    assert_eq!(print(object), print(&twin));
}
