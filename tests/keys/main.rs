//! Ready-made keys: what they are read from, what they sign, and which signatures they accept.
//!
//! Nobody uses these keys. `samples.json` holds those that RFC 6979, RFC 7515, RFC 7520 and RFC 8037 publish. The
//! files in `pem` hold the keys of RFC 7515 appendices A.2 and A.3 and of RFC 8037 appendix A.1 as OpenSSL writes
//! them, their bytes as keys of other kinds, and an RSA key that is too short.

mod flow;
mod generate;
mod jwk;
mod pem;
mod signatures;
mod verifier;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::Error;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::{Algorithm, LocalKey, PublicKey};
use serde_json::{Map, Value};

/// A key, a message and its signature, as an RFC publishes them.
struct Sample {
    source: String,
    algorithm: Algorithm,
    /// Whether each signature of the message is this one.
    repeats: bool,
    jwk: Value,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Sample {
    fn key(&self) -> LocalKey {
        LocalKey::from_jwk(&self.jwk.to_string(), self.algorithm).unwrap()
    }

    fn public_key(&self) -> PublicKey {
        public_key(&self.jwk)
    }
}

fn samples() -> Vec<Sample> {
    let samples: Vec<Value> = serde_json::from_str(include_str!("samples.json")).unwrap();
    let text = |sample: &Value, name: &str| sample[name].as_str().unwrap().to_owned();
    samples
        .into_iter()
        .map(|sample| Sample {
            source: text(&sample, "source"),
            algorithm: Algorithm::from_name(&text(&sample, "algorithm")).unwrap(),
            repeats: sample["repeats"].as_bool().unwrap(),
            jwk: sample["jwk"].clone(),
            message: text(&sample, "message").into_bytes(),
            signature: decoded(&text(&sample, "signature")),
        })
        .collect()
}

/// Returns the first sample of an algorithm.
fn sample(algorithm: Algorithm) -> Sample {
    samples().into_iter().find(|sample| sample.algorithm == algorithm).unwrap()
}

/// Returns the public members of a private key as a key.
fn public_key(jwk: &Value) -> PublicKey {
    let public = ["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "key_ops"];
    let members: Map<_, _> = public.map(|name| (name.to_owned(), jwk[name].clone())).into_iter().collect();
    PublicKey::from_jwk(&Value::Object(members).to_string()).unwrap()
}

fn decoded(base64: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(base64).unwrap()
}

/// Checks an error: the caller's fault, with this in its message and nothing of the input.
#[track_caller]
fn assert_misuse(error: &Error, part: &str, input: &str) {
    let message = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Misuse, "{message}");
    assert!(message.contains(part), "{part} is not in: {message}");
    // Any twelve characters of base64 are nine bytes of the key.
    let is_base64 =
        |text: &&str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte));
    for start in 0..input.len().saturating_sub(12) {
        if let Some(repeated) = input.get(start..start + 12).filter(is_base64) {
            assert!(!message.contains(repeated), "the message repeats {repeated}: {message}");
        }
    }
}
