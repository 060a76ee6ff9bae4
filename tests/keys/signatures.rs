//! What the keys sign.

use oauth2_proto::jose::{Algorithm, LocalKey, LocalVerifier, Signer, Verifier};

use crate::{sample, samples};

/// RFC 6979 appendix A.2.5, RFC 7515 appendix A.2, RFC 7520 section 4.1, RFC 8037 appendix A.4.
#[test]
fn a_signature_without_randomness_is_the_one_that_the_rfc_publishes() {
    let mut repeated = 0;
    for sample in samples() {
        let signature = sample.key().sign(&sample.message).unwrap();
        assert_eq!(signature == sample.signature, sample.repeats, "{}", sample.source);
        repeated += usize::from(sample.repeats);
    }
    assert_eq!(repeated, 4);
}

#[test]
fn rfc7518_section_3_1_each_algorithm_signs_what_is_verified_by_this_algorithm_only() {
    let rsa = sample(Algorithm::RS256).jwk.to_string();
    let p256 = sample(Algorithm::ES256).jwk.to_string();
    let ed25519 = sample(Algorithm::EdDSA).jwk.to_string();
    for (jwk, algorithms, length) in [
        (
            &rsa,
            &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ][..],
            256,
        ),
        (&p256, &[Algorithm::ES256], 64),
        // Two names of one algorithm (RFC 9864).
        (&ed25519, &[Algorithm::EdDSA], 64),
        (&ed25519, &[Algorithm::Ed25519], 64),
    ] {
        for algorithm in algorithms {
            let key = LocalKey::from_jwk(jwk, *algorithm).unwrap();
            assert_eq!(key.algorithm(), *algorithm);
            let signature = key.sign(b"message").unwrap();
            assert_eq!(signature.len(), length, "{algorithm}");
            for other in algorithms {
                let is_signature = LocalVerifier.verifies(*other, key.public_key(), b"message", &signature);
                assert_eq!(is_signature, other == algorithm, "{algorithm} as {other}");
            }
            assert!(!LocalVerifier.verifies(*algorithm, key.public_key(), b"Message", &signature));
        }
    }
}

/// Two signatures of RSASSA-PSS share no salt, also if they are of the same message.
#[test]
fn rfc7518_section_3_5_each_signature_has_a_salt_of_its_own() {
    let jwk = sample(Algorithm::RS256).jwk.to_string();
    let key = LocalKey::from_jwk(&jwk, Algorithm::PS256).unwrap();
    let [one, another] = [(); 2].map(|()| key.sign(b"message").unwrap());
    assert_ne!(one, another);
    // A program that starts again repeats its first signature: the salt is derived from key, count and message.
    assert_eq!(LocalKey::from_jwk(&jwk, Algorithm::PS256).unwrap().sign(b"message").unwrap(), one);
    assert_ne!(LocalKey::from_jwk(&jwk, Algorithm::PS256).unwrap().sign(b"another").unwrap(), one);
}
