//! A restored pending authorization serializes to the same form. A damaged form is refused without quoting
//! its secrets.
//!
//! Input: the stored form, JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth2_proto::PendingAuthorization;
use oauth2_proto_fuzz::assert_hides;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    if let Ok(pending) = serde_json::from_slice::<PendingAuthorization>(data) {
        let stored = serde_json::to_string(&pending).unwrap();
        let restored: PendingAuthorization = serde_json::from_str(&stored).expect("the stored form is valid");
        assert_eq!(serde_json::to_string(&restored).unwrap(), stored);
        assert!(!pending.state().is_empty());
        let _ = pending.expires_at();

        let stored: Value = serde_json::from_str(&stored).unwrap();
        if let Ok(Value::Object(given)) = serde_json::from_slice(data) {
            for (name, value) in stored.as_object().unwrap() {
                // A missing member with a default is written explicitly.
                assert!(given.get(name).is_none_or(|given| given == value), "{name} changed");
            }
        }
    }
    if let Ok(value) = serde_json::from_slice::<Value>(data) {
        assert_hides(value, &[("state", 4), ("code_verifier", 5)], |stored| {
            match serde_json::from_str::<PendingAuthorization>(stored) {
                Ok(pending) => format!("{pending:?}"),
                Err(error) => error.to_string(),
            }
        });
    }
});
