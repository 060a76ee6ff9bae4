//! A private key is read or refused as the caller's fault, and no printed text repeats it. A key that was read
//! signs what the verifier accepts, and is the same after it was written. No input is a signature of another
//! key.
//!
//! Input: a line with an algorithm, and a PEM file or a private JSON Web Key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::{Algorithm, LocalKey, LocalVerifier, Signer, Verifier};
use oauth2_proto_fuzz::{assert_shows_safely, entropy};

fuzz_target!(|text: &str| {
    let Some((algorithm, text)) = text.split_once('\n') else { return };
    let Some(algorithm) = Algorithm::from_name(algorithm) else { return };
    for read in [LocalKey::from_pem(text, algorithm), LocalKey::from_jwk(text, algorithm)] {
        match read {
            Ok(key) => check(&key, text),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Misuse);
                assert_shows_safely(&error.to_string());
            }
        }
    }
    if let Ok(key) = LocalKey::generate_with(algorithm, entropy()) {
        assert!(!LocalVerifier.verifies(algorithm, key.public_key(), b"message", text.as_bytes()));
    }
});

fn check(key: &LocalKey, text: &str) {
    let algorithm = key.algorithm();
    let signature = key.sign(b"message").unwrap();
    assert!(LocalVerifier.verifies(algorithm, key.public_key(), b"message", &signature));
    assert!(!LocalVerifier.verifies(algorithm, key.public_key(), b"Message", &signature));
    let written = key.to_pem().unwrap();
    let read = LocalKey::from_pem(written.expose(), algorithm).unwrap();
    assert_eq!(read.public_key().thumbprint(), key.public_key().thumbprint());
    let printed = format!("{key:?}");
    assert_shows_safely(&printed);
    for line in written.expose().lines().chain(text.lines()).filter(|line| line.len() > 30) {
        assert!(!printed.contains(line));
    }
}
