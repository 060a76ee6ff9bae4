//! What is restored from a store is stored as the same again, and a form that is damaged is refused without
//! quoting its secrets.
//!
//! Input: the stored form, JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth2_proto::PendingAuthorization;
use oauth2_proto_fuzz::assert_shows_safely;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    if let Ok(pending) = serde_json::from_slice::<PendingAuthorization>(data) {
        let stored = serde_json::to_string(&pending).unwrap();
        let restored: PendingAuthorization = serde_json::from_str(&stored).expect("what we stored");
        assert_eq!(serde_json::to_string(&restored).unwrap(), stored);
        assert!(!pending.state().is_empty());
        let _ = pending.expires_at();

        let stored: Value = serde_json::from_str(&stored).unwrap();
        if let Ok(Value::Object(given)) = serde_json::from_slice(data) {
            for (name, value) in stored.as_object().unwrap() {
                // An absent member that has a default is written out.
                assert!(given.get(name).is_none_or(|given| given == value), "{name} changed");
            }
        }
    }
    if let Ok(value) = serde_json::from_slice::<Value>(data) {
        check_error(value);
    }
});

/// Restores the same form with other secrets: whoever reads the error cannot tell the two apart.
///
/// That holds for every input, where a search for the secret would stumble over one like `damaged`.
fn check_error(one: Value) {
    let mut other = one.clone();
    match &mut other {
        Value::Object(members) => {
            members.get_mut("state").map(mask);
            members.get_mut("code_verifier").map(mask);
        }
        // Perhaps the whole form, encoded twice.
        text => mask(text),
    }
    let error = |value: Value| match serde_json::from_str::<PendingAuthorization>(&value.to_string()) {
        Ok(pending) => format!("{pending:?}"),
        Err(error) => {
            assert_shows_safely(&error.to_string());
            error.to_string()
        }
    };
    assert_eq!(error(one), error(other));
}

/// Replaces letters and digits, which keeps the length and what the form allows.
fn mask(value: &mut Value) {
    if let Value::String(text) = value {
        *text = text.replace(|sign: char| sign.is_ascii_alphanumeric(), "x");
    }
}
