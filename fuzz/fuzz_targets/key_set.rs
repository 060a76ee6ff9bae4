//! A key set is read exactly if it is a list of at most 100 keys, and holds exactly the keys that a model of the
//! rules, on another JSON reader, finds sound. A set survives its stored form.
//!
//! Input: the body of a response.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use oauth2_proto::Response;
use oauth2_proto::jose::KeySet;
use oauth2_proto_fuzz::{assert_shows_safely, client, is_no_error, json_object, now, server};
use serde_json::{Map, Value};

fuzz_target!(|data: &[u8]| {
    let client = client(server().jwks_uri("https://as.example/keys").unwrap());
    let call = client.fetch_keys(now()).unwrap();
    let read = |body: &[u8]| call.read(Response::new(200, [("content-type", "application/json")], body));
    match read(data) {
        Ok(set) => {
            let stored = serde_json::to_string(&set).unwrap();
            assert!(serde_json::from_str::<KeySet>(&stored).unwrap() == set);
            assert!(KeySet::from_json(&stored, now()).unwrap() == set);
            assert_shows_safely(&format!("{set:?}"));
        }
        Err(error) => assert_shows_safely(&error.to_string()),
    }
    let Some(object) = json_object(data) else { return };
    // No key is nested, and the crate reads no deeper list than this.
    if object.get("keys").is_some_and(|keys| !is_within(keys, 15)) {
        return;
    }
    // Serialized again, so that no member is repeated.
    let set = read(&serde_json::to_vec(&object).unwrap());
    let keys = object.get("keys").and_then(Value::as_array).filter(|keys| keys.len() <= KeySet::MAX_KEYS);
    let is_refused = object.get("error").is_some_and(|error| !is_no_error(error));
    match (set, keys) {
        (Ok(set), Some(keys)) => {
            assert!(!is_refused);
            let sound = keys.iter().filter_map(Value::as_object).filter(|key| is_sound(key));
            let sound: Vec<_> = sound.map(|key| key.get("kid").and_then(Value::as_str)).collect();
            assert_eq!(set.keys().map(|key| key.key_id()).collect::<Vec<_>>(), sound);
        }
        (Err(_), keys) => assert!(keys.is_none() || is_refused, "{object:?}"),
        (Ok(_), None) => panic!("{object:?}"),
    }
});

/// Returns whether a key is a public one that verifies signatures of an algorithm that the crate knows.
fn is_sound(key: &Map<String, Value>) -> bool {
    const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    if PRIVATE.iter().any(|name| key.contains_key(*name)) {
        return false;
    }
    let member = |name: &str| key.get(name).unwrap_or(&Value::Null);
    let text = |name: &str| member(name).as_str().filter(|text| !text.is_empty());
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    let is_odd = |name: &str| {
        bytes(name).is_some_and(|it| it.first().is_some_and(|byte| *byte > 0) && it[it.len() - 1] % 2 == 1)
    };
    let is_modulus = |n: &[u8]| match n {
        [first, ..] => matches!(n.len() * 8 - first.leading_zeros() as usize, 2048..=16384),
        [] => false,
    };
    let has_length = |name: &str, length: usize| bytes(name).is_some_and(|bytes| bytes.len() == length);
    let algorithms: &[&str] = match (text("kty"), text("crv")) {
        (Some("EC"), Some("P-256")) if has_length("x", 32) && has_length("y", 32) => &["ES256"],
        (Some("EC"), Some("P-384")) if has_length("x", 48) && has_length("y", 48) => &["ES384"],
        (Some("EC"), Some("P-521")) if has_length("x", 66) && has_length("y", 66) => &["ES512"],
        (Some("OKP"), Some("Ed25519")) if has_length("x", 32) => &["EdDSA", "Ed25519"],
        (Some("RSA"), _)
            if is_odd("e")
                && is_odd("n")
                && bytes("e").is_some_and(|e| e != [1] && e.len() <= 8)
                && bytes("n").is_some_and(|n| is_modulus(&n)) =>
        {
            &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
        }
        _ => return false,
    };
    let is_optional_text = |name: &str| member(name).is_null() || text(name).is_some();
    let verifies = match member("key_ops") {
        Value::Array(all) => all.iter().any(|it| *it == "verify" || *it == "sign"),
        other => other.is_null(),
    };
    ["kid", "alg", "use"].into_iter().all(is_optional_text)
        && text("use").is_none_or(|it| it == "sig")
        && text("alg").is_none_or(|it| algorithms.contains(&it))
        && verifies
}

/// Returns whether a value has at most this many levels of lists and objects.
fn is_within(value: &Value, levels: usize) -> bool {
    let inner = |value: &Value| levels > 0 && is_within(value, levels - 1);
    match value {
        Value::Array(values) => values.iter().all(inner),
        Value::Object(members) => members.values().all(inner),
        _ => true,
    }
}
