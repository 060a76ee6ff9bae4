//! Which signatures are accepted.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::jose::{Algorithm, LocalVerifier, PublicKey, Verifier};
use serde_json::{Value, json};

use crate::{Sample, decoded, public_key, sample, samples};

#[test]
fn the_signatures_that_rfcs_publish_are_verified_with_their_own_key_and_message() {
    let samples = samples();
    for one in &samples {
        let verifies = |key: &PublicKey, message: &[u8]| {
            LocalVerifier.verifies(one.algorithm, key, message, &one.signature)
        };
        assert!(verifies(&one.public_key(), &one.message), "{}", one.source);
        for other in samples.iter().filter(|other| other.source != one.source) {
            assert!(!verifies(&one.public_key(), &other.message), "{}, {}", one.source, other.source);
            if one.public_key() != other.public_key() {
                assert!(!verifies(&other.public_key(), &one.message), "{}, {}", one.source, other.source);
            }
        }
    }
}

/// The order of the group of P-256 (FIPS 186-4 appendix D.1.2.3).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

#[test]
fn rfc7518_section_3_4_a_signature_of_es256_is_two_numbers_of_the_group_side_by_side() {
    let sample = sample(Algorithm::ES256);
    let (r, s) = sample.signature.split_at(32);
    let zero = [0; 32];
    let one = std::array::from_fn::<u8, 32, _>(|index| u8::from(index == 31));
    // Both numbers have their highest bit set, so DER puts a zero before each.
    let der = [&[0x30, 70, 2, 33, 0], r, &[2, 33, 0], s].concat();
    refuses(
        &sample,
        [
            ("r = 0", [&zero, s].concat()),
            ("s = 0", [r, &zero].concat()),
            ("both are 0", [zero, zero].concat()),
            ("both are 1", [one, one].concat()),
            ("r = n", [&ORDER, s].concat()),
            ("s = n", [r, &ORDER].concat()),
            ("r is over n", [&[0xff; 32], s].concat()),
            ("s is over n", [r, &[0xff; 32]].concat()),
            ("the halves are exchanged", [s, r].concat()),
            ("r in little-endian bytes", [r.iter().rev().copied().collect(), s.to_vec()].concat()),
            ("DER", der),
            ("cut off", sample.signature[..63].to_vec()),
            ("half of it", r.to_vec()),
            ("a zero before it", [&[0], r, s].concat()),
            ("a zero after it", [r, s, &[0]].concat()),
            ("three numbers", [r, s, s].concat()),
            ("nothing", Vec::new()),
            ("long", vec![1; 100_000]),
        ],
    );
}

#[test]
fn rfc8032_section_5_1_7_a_signature_of_ed25519_has_one_form() {
    let sample = sample(Algorithm::EdDSA);
    let (r, s) = sample.signature.split_at(32);
    let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0;
    // s + L, which is the same number in the group.
    let more = s.iter().zip(&order).map(|(one, other)| {
        carry = u16::from(*one) + u16::from(*other) + (carry >> 8);
        carry.to_le_bytes()[0]
    });
    let more: Vec<u8> = more.collect();
    let mut flipped = sample.signature.clone();
    flipped[0] ^= 1;
    let mut top = sample.signature.clone();
    top[63] |= 0x80;
    refuses(
        &sample,
        [
            ("s + L", [r, &more].concat()),
            ("another r", flipped),
            ("the highest bit of s", top),
            ("r = 0", [&[0; 32], s].concat()),
            ("s = 0", [r, &[0; 32]].concat()),
            ("zeros", vec![0; 64]),
            ("the halves are exchanged", [s, r].concat()),
            ("cut off", sample.signature[..63].to_vec()),
            ("a zero after it", [r, s, &[0]].concat()),
            ("nothing", Vec::new()),
        ],
    );
}

#[test]
fn rfc8017_section_8_a_signature_of_rsa_is_as_long_as_the_modulus_and_less_than_it() {
    for algorithm in [Algorithm::RS256, Algorithm::PS384] {
        let sample = sample(algorithm);
        let n = decoded(sample.jwk["n"].as_str().unwrap());
        let mut flipped = sample.signature.clone();
        flipped[255] ^= 1;
        let one = (0..256).map(|index| u8::from(index == 255)).collect();
        refuses(
            &sample,
            [
                ("zeros", vec![0; 256]),
                ("one", one),
                ("the modulus", n.clone()),
                ("over the modulus", vec![0xff; 256]),
                ("s + n", plus(&sample.signature, &n)),
                ("another last bit", flipped),
                ("cut off", sample.signature[..255].to_vec()),
                ("a zero before it", [&[0], sample.signature.as_slice()].concat()),
                ("a zero after it", [sample.signature.as_slice(), &[0]].concat()),
                ("nothing", Vec::new()),
                ("long", vec![1; 100_000]),
            ],
        );
    }
}

/// Both signatures are by the key of RFC 7520 section 4.2, made with another library.
#[test]
fn rfc7518_section_3_5_the_salt_is_as_long_as_the_digest() {
    let sample = sample(Algorithm::PS384);
    let verifies = |signature: &str| {
        LocalVerifier.verifies(sample.algorithm, &sample.public_key(), &sample.message, &decoded(signature))
    };
    assert!(verifies(SALT_48));
    assert!(!verifies(SALT_0));
    assert!(!verifies(SALT_32));
}

#[test]
fn a_key_that_is_no_key_or_is_for_something_else_verifies_nothing() {
    let p256 = sample(Algorithm::ES256);
    let rsa = sample(Algorithm::RS256);
    let ed25519 = sample(Algorithm::EdDSA);
    let with = |sample: &Sample, name: &str, value: Value| {
        let mut jwk = sample.jwk.clone();
        jwk[name] = value;
        jwk
    };
    let zeros = |length: usize| json!(URL_SAFE_NO_PAD.encode(vec![0; length]));
    // `from_jwk` refuses an exponent of 1, even numbers, and an exponent as long as the modulus.
    for (sample, jwk) in [
        (&p256, with(&p256, "x", zeros(32))),
        (&p256, with(&p256, "y", p256.jwk["x"].clone())),
        (&p256, with(&p256, "use", json!("enc"))),
        (&p256, with(&p256, "alg", json!("ES384"))),
        (&p256, with(&p256, "key_ops", json!(["deriveKey"]))),
        (&p256, rsa.jwk.clone()),
        (&p256, ed25519.jwk.clone()),
        (&ed25519, with(&ed25519, "x", json!(URL_SAFE_NO_PAD.encode([0xff; 32])))),
        (&ed25519, p256.jwk.clone()),
        (&rsa, with(&rsa, "e", json!("Aw"))),
        (&rsa, with(&rsa, "e", json!("__________8"))),
        (&rsa, with(&rsa, "n", json!(URL_SAFE_NO_PAD.encode([0xff; 2048])))),
        (&rsa, with(&rsa, "alg", json!("PS256"))),
    ] {
        let key = public_key(&jwk);
        assert!(!LocalVerifier.verifies(sample.algorithm, &key, &sample.message, &sample.signature), "{jwk}");
    }
    // With a key of order 1, s = 0 fits every message where a library permits it.
    let neutral: Vec<u8> = (0..32).map(|index| u8::from(index == 0)).collect();
    let key = public_key(&with(&ed25519, "x", json!(URL_SAFE_NO_PAD.encode(&neutral))));
    let signature = [neutral, vec![0; 32]].concat();
    assert!(!LocalVerifier.verifies(Algorithm::EdDSA, &key, b"any message", &signature));
}

/// A verifier without P-384 must not take its signature for one of another curve.
#[test]
fn an_algorithm_that_is_not_there_accepts_nothing() {
    let coordinate = |length| URL_SAFE_NO_PAD.encode(vec![1; length]);
    for (algorithm, curve, length) in [(Algorithm::ES384, "P-384", 48), (Algorithm::ES512, "P-521", 66)] {
        let coordinate = coordinate(length);
        let key = json!({"kty": "EC", "crv": curve, "x": coordinate, "y": coordinate});
        assert!(!LocalVerifier.verifies(algorithm, &public_key(&key), b"message", &vec![1; 2 * length]));
    }
}

#[track_caller]
fn refuses<const N: usize>(sample: &Sample, signatures: [(&str, Vec<u8>); N]) {
    let key = sample.public_key();
    for (what, signature) in signatures {
        assert!(!LocalVerifier.verifies(sample.algorithm, &key, &sample.message, &signature), "{what}");
    }
}

/// Adds numbers in big-endian bytes; a carry beyond the first gets a byte of its own.
fn plus(one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut sum: Vec<u8> = Vec::new();
    let mut carry = 0;
    for (one, other) in one.iter().zip(other).rev() {
        carry = u16::from(*one) + u16::from(*other) + (carry >> 8);
        sum.push(carry.to_le_bytes()[0]);
    }
    sum.extend((carry >> 8 > 0).then_some(1));
    sum.reverse();
    sum
}

fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

const SALT_0: &str = "bwOrJVMBUJZNZngSHWOOjFVnnjqrCv2_Er81PVCpbNMqr6lo29plwjD8Wm0lS6wN3VzO72xj-PzEC4sD06E4_SiPTW-RF6Dq\
    qEUyF1sy-x2iGwew4hzunBxyFp8dXBGSsZy2GbDaGnPyB2En4y7GCuFVpe1EiTjQvs4ULbHmzbyvgDjY6Xwr9ZdN268ASVIt\
    Sw7dCI0i8bf3A2tOf203ZHNR6Xd-bptVbn-IM7KzWUWR0mBU-JwRM9a3yV6DwzfDD6wEfdTEVjFcll1bXtOJLa9ZOCRzk2Mt\
    buJgCIHKog0uVoQShqeIuwNOGvgaLEn5N-BWXJsxr0ZQIn-6uLK0Og";
const SALT_32: &str = "VAK9vTLoyUeK0Z_OvrZcGA8brB4zJssmPSUtedprjDIBjsBAob_Ig1Z40SMxoPZ-2QAZ1CFA6GCFUjLGSCrEXt2rZTW8SqI3\
    6lYaail-j23JqImqgoM7Ek5WjTIezMFSNwOylP8uGlb-necjXytDb72OLpOax65WN_Rg55MydM2BzHpz2rO8n4-RbAIeeOfr\
    1mr7Yrm37ssYAcqCbd89FkJYldaGrEfQ5CHGzi9XJAdsM33dS_k0I56n3FTnGoguGpiKWmgMKPhpvGS8L8aNfG6AFgJagODK\
    SObxT9SlBcL6ak6BYPBuTxt_tCv93blmSIE-N25PhyQD-e7HSIYKsg";
const SALT_48: &str = "Dw_E6BckEdJ5p0qVJjYnzeUCIvtwzIY7ZuLqhc6w7gotozQHjoi8FQxTNVTtmoI3e-RktCcnigE2JOYlWqA0QkFRHyHNKEzQ\
    hpLx6yk0Szbz-zl8o1hf2bDq1piv-b3z4pEeqjzCP6nop0DWqH-X8Kt2PvF0CQeKuxWI4iTdeUaKhglTDGeUVdBirsqnGiX_\
    mA92EEGVXh1Rp1r0Z6WMhigQCVvozfRfB5_VOWpyYxMbIzxHad5_umaaFwCJacfsyeiQr6R5t75vLDIakLqn-oW7H_iHEd7T\
    TmR0gv2kDictaDrQl5d25D68MGSMRp_xxsM4MQxBhwPMh8t1yeJkng";
