//! A response without a success status never yields tokens. Its error gives consistent advice, and shows
//! neither control characters nor secrets of the request.
//!
//! Input: lines with the status, the client authentication (`b`asic, basic `u`nencoded, `p`ost),
//! `Retry-After` and `DPoP-Nonce`, then the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth2_proto::{Advice, Client, ClientAuth, Response, error::ErrorKind};
use oauth2_proto_fuzz::{
    CLIENT_SECRET, CODE, WITHHELD, assert_shows_safely, code_call, json_object, lines, now, server,
};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Some(([status, auth, retry_after, nonce], body)) = lines(data) else { return };
    let Ok(status) = status.parse::<u16>() else { return };
    if (200..=299).contains(&status) {
        return;
    }
    let auth = match auth {
        "u" => ClientAuth::basic_unencoded(CLIENT_SECRET),
        "p" => ClientAuth::post(CLIENT_SECRET),
        _ => ClientAuth::basic(CLIENT_SECRET),
    };
    let call = code_call(&Client::new(server(), "fake-client", auth).unwrap());
    let headers = [("Retry-After", retry_after), ("DPoP-Nonce", nonce)];
    let error = call.read(Response::new(status, headers, body)).expect_err("tokens without success");

    assert_eq!(error.status(), Some(status));
    let failing = matches!(status, 408 | 421 | 425 | 429)
        || (matches!(status, 500..=599) && !matches!(status, 501 | 505));
    assert!(!failing || error.advice() == Advice::RetryLater, "{status}: {:?}", error.advice());
    match error.retry_after(now()) {
        Some(pause) => {
            assert_eq!(error.advice(), Advice::RetryLater);
            let written = retry_after.parse::<u64>().ok().map(|seconds| seconds.min((1 << 31) - 1));
            assert!(written.is_none_or(|seconds| pause.as_secs() == seconds), "{pause:?} for {retry_after}");
        }
        None => assert!(
            error.advice() != Advice::RetryLater
                || retry_after.parse::<u64>().is_err()
                || retry_after.contains('+')
        ),
    }
    match error.kind() {
        ErrorKind::Refused => {
            let shown = error.code().expect("a refusal has a code");
            // A damaged object can be a refusal, too.
            if let Some(object) = json_object(body) {
                // The code is the server's, unless it repeats a secret of the request.
                let code = object.get("error").and_then(Value::as_str).expect("a refusal has a code");
                assert!([code, WITHHELD].contains(&shown));
            }
            assert!(error.dpop_nonce().is_none_or(|known| known == nonce));
        }
        ErrorKind::Invalid => {
            assert_eq!((error.code(), error.description(), error.uri()), (None, None, None));
            assert_eq!(error.dpop_nonce(), None);
            assert!(failing || error.advice() == Advice::Stop);
        }
        kind => panic!("a response is never {kind:?}"),
    }

    assert_shows_safely(&error.to_string());
    let form = call.request().form();
    let verifier = form.iter().find(|(name, _)| name == "code_verifier").unwrap().1.as_str();
    let shown = [Some(&*error.to_string()), error.code(), error.description(), error.uri()]
        .map(Option::unwrap_or_default)
        .join("\n");
    let extras: String = error.extras().map(|(name, value)| format!("{name}\n{}", texts(value))).collect();
    for secret in [CODE, CLIENT_SECRET, verifier] {
        assert!(!extras.contains(secret), "a secret in {extras}");
        assert!(!shown.contains(secret) && !format!("{error:?}").contains(secret), "a secret in {shown}");
    }
    // Parts are checked for the verifier only: the other two contain common words. Case is ignored.
    let shown = shown.to_lowercase();
    for part in verifier.to_lowercase().as_bytes().windows(8).map(|part| str::from_utf8(part).unwrap()) {
        assert!(!shown.contains(part), "a part of a secret in {shown}");
    }
});

/// Returns the texts of a value. In its JSON form, the letter of an escape could complete a secret by chance.
fn texts(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text}\n"),
        Value::Array(values) => values.iter().map(texts).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| format!("{name}\n{}", texts(value))).collect()
        }
        other => format!("{other}\n"),
    }
}
