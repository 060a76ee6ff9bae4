//! New keys.

use oauth2_proto::Entropy;
use oauth2_proto::jose::{Algorithm, LocalKey, LocalVerifier, Signer, Verifier};

use crate::assert_misuse;

#[test]
fn a_new_key_comes_from_its_random_bytes_and_can_be_stored() {
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA, Algorithm::Ed25519] {
        let make = |byte| LocalKey::generate_with(algorithm, Entropy::from_bytes([byte; 128])).unwrap();
        let key = make(1);
        assert_eq!(key.public_key(), make(1).public_key());
        assert_ne!(key.public_key(), make(2).public_key());
        let stored = key.to_pem().unwrap();
        let read = LocalKey::from_pem(stored.expose(), algorithm).unwrap();
        let signature = read.sign(b"message").unwrap();
        assert!(LocalVerifier.verifies(algorithm, key.public_key(), b"message", &signature));
    }
}

#[cfg(feature = "os-random")]
#[test]
fn no_two_new_keys_are_the_same() {
    let make = || LocalKey::generate(Algorithm::ES256).unwrap();
    assert_ne!(make().public_key(), make().public_key());
}

#[test]
fn no_key_is_made_for_rsa_or_an_algorithm_that_is_not_there() {
    for algorithm in [Algorithm::RS256, Algorithm::PS512, Algorithm::ES384, Algorithm::ES512] {
        let made = LocalKey::generate_with(algorithm, Entropy::from_bytes([1; 128]));
        assert_misuse(&made.unwrap_err(), "pass ES256, EdDSA or Ed25519", "");
    }
}
