//! Private JSON Web Keys.

use oauth2_proto::jose::{Algorithm, LocalKey, PublicKey, Signer};
use serde_json::{Value, json};

use crate::{assert_misuse, sample, samples};

#[test]
fn rfc7517_section_4_a_key_keeps_its_identifier_and_writes_no_private_member() {
    for sample in samples() {
        let mut jwk = sample.jwk.clone();
        jwk["kid"] = json!("fake-key-1");
        jwk["alg"] = json!(sample.algorithm.name());
        jwk["use"] = json!("sig");
        jwk["key_ops"] = json!(["sign"]);
        let key = LocalKey::from_jwk(&jwk.to_string(), sample.algorithm).unwrap();
        assert_eq!(key.public_key().key_id(), Some("fake-key-1"));
        let written = serde_json::to_string(key.public_key()).unwrap();
        assert_eq!(PublicKey::from_jwk(&written).unwrap().thumbprint(), sample.public_key().thumbprint());
        assert!(!written.contains(sample.jwk["d"].as_str().unwrap()));
    }
}

#[test]
fn rfc7518_section_6_an_unusable_key_is_refused_and_not_repeated() {
    let with = |algorithm, name: &str, value: Value| {
        let mut jwk = sample(algorithm).jwk;
        jwk[name] = value;
        (jwk.to_string(), algorithm)
    };
    let of = |algorithm: Algorithm, name: &str| sample(algorithm).jwk[name].clone();
    let (es, ed, rs) = (Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256);
    for ((jwk, algorithm), part) in [
        ((String::new(), es), "no JSON object"),
        (("[]".to_owned(), es), "no JSON object"),
        (("{\"d\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMko".to_owned(), es), "no JSON object"),
        (("{}".to_owned(), es), "no kty"),
        ((json!({"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qz"}).to_string(), es), "the kind \"oct\""),
        ((include_str!("pem/p256.pkcs8.pem").to_owned(), es), "no JSON object"),
        (with(es, "d", Value::Null), "it is a public key"),
        (with(es, "d", json!(7)), "a d that is no text"),
        (with(es, "d", json!("=")), "d that is no base64url"),
        (with(es, "d", json!("AAAA")), "no private number of P-256"),
        (with(es, "d", json!("A".repeat(43))), "no private number of P-256"),
        (with(es, "d", json!(format!("{}8", "_".repeat(42)))), "no private number of P-256"),
        (with(es, "d", of(Algorithm::EdDSA, "d")), "belong to another key"),
        (with(es, "x", Value::Null), "has no x"),
        (with(es, "x", json!(["AyM1SysPpbyDfgZld3umj1qz"])), "a x that is no text"),
        (with(es, "y", of(Algorithm::ES256, "x")), "belong to another key"),
        (with(es, "crv", json!("P-384")), "member x that is not 48 bytes long"),
        (with(es, "crv", json!("secp256k1")), "the curve \"secp256k1\""),
        (with(es, "alg", json!("ES384")), "for something else"),
        (with(es, "use", json!("enc")), "for something else"),
        (with(es, "key_ops", json!(["deriveKey"])), "for something else"),
        ((p384().to_string(), Algorithm::ES384), "another curve than P-256"),
        ((sample(es).jwk.to_string(), rs), "this EC key"),
        ((sample(es).jwk.to_string(), ed), "this EC key"),
        (with(ed, "d", json!("AAAA")), "d that is not 32 bytes long"),
        (with(ed, "d", of(Algorithm::ES256, "d")), "belong to another key"),
        ((sample(ed).jwk.to_string(), es), "this OKP key"),
        (with(rs, "d", of(Algorithm::RS256, "p")), "no sound RSA key"),
        (with(rs, "d", of(Algorithm::RS256, "n")), "no sound RSA key"),
        (with(rs, "p", Value::Null), "has no p"),
        (with(rs, "q", Value::Null), "has no q"),
        (with(rs, "p", json!("")), "no sound RSA key"),
        (with(rs, "p", json!("AQ")), "no sound RSA key"),
        (with(rs, "p", of(Algorithm::RS256, "q")), "no sound RSA key"),
        (with(rs, "p", json!("A".repeat(100_000))), "no sound RSA key"),
        (with(rs, "q", json!({"planted": "AyM1SysPpbyDfgZld3umj1qz"})), "a q that is no text"),
        (with(rs, "n", of(Algorithm::PS384, "n")), "no sound RSA key"),
        (with(rs, "n", json!("_".repeat(1368))), "no sound RSA key"),
        (with(rs, "e", json!("Aw")), "no sound RSA key"),
        (with(rs, "e", json!("AQ")), "exponent 1"),
        (with(rs, "oth", json!([{"r": "AyM1SysPpbyDfgZld3umj1qz"}])), "more than two primes"),
        (with(rs, "alg", json!("PS256")), "for something else"),
    ] {
        let input = private_text(&jwk);
        assert_misuse(&LocalKey::from_jwk(&jwk, algorithm).unwrap_err(), part, &input);
    }
}

/// RFC 7520 section 3.2 has no key of P-384, so the numbers are made up.
fn p384() -> Value {
    let number = "A".repeat(64);
    json!({"kty": "EC", "crv": "P-384", "x": number, "y": number, "d": number})
}

/// Returns what an error must not repeat: all but the names of a kind and a curve.
fn private_text(jwk: &str) -> String {
    match serde_json::from_str::<Value>(jwk) {
        Ok(mut jwk) if jwk.is_object() => {
            for name in ["kty", "crv"] {
                jwk[name] = Value::Null;
            }
            jwk.to_string()
        }
        _ => jwk.to_owned(),
    }
}
