//! A sound response yields tokens exactly if a model of the rules accepts it, and a damaged one only if it
//! begins as an object or a form. The tokens equal those that another JSON reader finds, and no printed text
//! depends on a secret.
//!
//! Input: lines with the status, the content type and a letter for each leniency (and `r` for a refresh),
//! then the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth2_proto::{Response, Secret, TokenResponse};
use oauth2_proto_fuzz::{
    assert_shows_safely, check_printing, client, code_call, is_no_error, is_token_response, json_object,
    lines, seconds, server, tolerating,
};
use serde_json::{Map, Value};
use std::time::SystemTime;
use url::form_urlencoded;

fuzz_target!(|data: &[u8]| {
    let Some(([status, content_type, options], body)) = lines(data) else { return };
    let Ok(status) = status.parse() else { return };
    let client = client(tolerating(server(), options));
    let old_refresh_token = options.contains('r').then(|| Secret::new("fake-old-refresh-token"));
    let refresh =
        old_refresh_token.as_ref().map(|token| client.refresh(token).start(SystemTime::UNIX_EPOCH).unwrap());
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
        assert_eq!(
            accepted,
            (200..=299).contains(&status) && is_token_response(&object, options, &["bearer", "dpop"]),
            "{object:?}"
        );
        check_printing(read, &object, &[]);
    }
});

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
