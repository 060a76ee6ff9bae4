//! Signatures that are really made, keys that change, and attacks on both.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::jose::{Algorithm, KeySet, PublicKey, Verification, Verifier};
use oauth2_proto::oidc::IdToken;
use oauth2_proto::{Advice, Error};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    UnparsedPublicKey,
};
use ring::{hmac, signature};
use serde_json::{Value, json};

use crate::support::{later, now};
use crate::{answer, body, call, changed, claims, client};

/// A key of the server, or of an attacker.
enum Key {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    fn p256() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::P256(EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap())
    }

    fn ed25519(seed: u8) -> Self {
        Self::Ed25519(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    fn jwk(&self, kid: Option<&str>) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": encode(x), "y": encode(y)})
            }
            Self::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": encode(pair.public_key().as_ref())})
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::P256(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with this header and these claims.
    fn token(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(self.sign(message.as_bytes())))
    }
}

fn message(header: &Value, claims: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}", part(header), part(claims))
}

struct Ring;

impl Verifier for Ring {
    fn verifies(&self, algorithm: Algorithm, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let member = |name| key.member(name).unwrap_or_default();
        let (algorithm, bytes): (&dyn signature::VerificationAlgorithm, _) = match algorithm {
            Algorithm::ES256 => (&ECDSA_P256_SHA256_FIXED, [vec![4], member("x"), member("y")].concat()),
            Algorithm::EdDSA | Algorithm::Ed25519 => (&ED25519, member("x")),
            _ => return false,
        };
        UnparsedPublicKey::new(algorithm, bytes).verify(message, signature).is_ok()
    }
}

fn keys(keys: &[Value]) -> KeySet {
    KeySet::from_json(&json!({"keys": keys}).to_string(), now()).unwrap()
}

fn read(token: &str, keys: &KeySet) -> Result<IdToken, Error> {
    let response = body(token);
    let read = call(&client()).authenticate(answer(200, &response), &Verification::by(keys, &Ring), now());
    read.map(|authentication| authentication.into_parts().1)
}

/// The token must be refused as suspect, for this reason.
#[track_caller]
fn refuses(token: &str, keys: &KeySet, reason: &str) {
    let error = read(token, keys).unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Suspect, Advice::Stop), "{error}");
    assert_eq!(error.reason(), Some(reason), "{error}");
}

#[test]
fn openid_core_section_3_1_3_7_rule_6_the_signature_is_the_servers() {
    let (server, attacker) = (Key::p256(), Key::p256());
    let keys = keys(&[server.jwk(Some("fake-1"))]);
    let header = json!({"alg": "ES256", "kid": "fake-1"});
    let token = server.token(&header, &claims());
    assert_eq!(read(&token, &keys).unwrap().subject(), "fake-user");

    refuses(&attacker.token(&header, &claims()), &keys, "signature");
    let admin = message(&header, &changed(claims(), "sub", json!("fake-admin")));
    let (_, signature) = token.rsplit_once('.').unwrap();
    refuses(&format!("{admin}.{signature}"), &keys, "signature");
    let cut = token.len() - 2;
    refuses(&token[..cut], &keys, "signature");
}

#[test]
fn rfc8725_section_2_1_a_public_key_is_no_secret() {
    let server = Key::p256();
    let jwk = server.jwk(Some("fake-1"));
    let keys = keys(std::slice::from_ref(&jwk));
    let public = [jwk["x"].as_str().unwrap().as_bytes().to_vec(), jwk.to_string().into_bytes()];
    for secret in public {
        for alg in ["HS256", "HS384", "HS512", "hs256"] {
            let message = message(&json!({"alg": alg, "kid": "fake-1"}), &claims());
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
            refuses(&format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag)), &keys, "alg");
        }
    }
    for alg in ["none", "None", "nOnE", "NONE"] {
        let message = message(&json!({"alg": alg}), &claims());
        refuses(&format!("{message}."), &keys, "alg");
        refuses(&format!("{message}.ZmFrZQ"), &keys, "alg");
    }
}

#[test]
fn rfc8725_section_3_1_a_key_is_for_its_own_algorithm() {
    let (curve, edwards) = (Key::p256(), Key::ed25519(7));
    let keys = keys(&[curve.jwk(Some("fake-1")), edwards.jwk(Some("fake-2"))]);
    assert!(read(&edwards.token(&json!({"alg": "EdDSA", "kid": "fake-2"}), &claims()), &keys).is_ok());
    assert!(read(&edwards.token(&json!({"alg": "Ed25519", "kid": "fake-2"}), &claims()), &keys).is_ok());
    refuses(&curve.token(&json!({"alg": "RS256", "kid": "fake-1"}), &claims()), &keys, "kid");
    refuses(&curve.token(&json!({"alg": "EdDSA", "kid": "fake-1"}), &claims()), &keys, "kid");
    refuses(&edwards.token(&json!({"alg": "ES256", "kid": "fake-2"}), &claims()), &keys, "kid");
    refuses(&edwards.token(&json!({"alg": "ES256"}), &claims()), &keys, "signature");
}

#[test]
fn rfc7515_section_4_1_3_a_token_brings_no_key_of_its_own() {
    let (server, attacker) = (Key::p256(), Key::p256());
    let keys = keys(&[server.jwk(Some("fake-1"))]);
    for header in [
        json!({"alg": "ES256", "jwk": attacker.jwk(Some("fake-1"))}),
        json!({"alg": "ES256", "kid": "fake-1", "jwk": attacker.jwk(None)}),
        json!({"alg": "ES256", "kid": "fake-1", "jku": "https://evil.example/keys"}),
        json!({"alg": "ES256", "kid": "fake-1", "x5u": "https://evil.example/key.pem"}),
    ] {
        refuses(&attacker.token(&header, &claims()), &keys, "signature");
        assert!(read(&server.token(&header, &claims()), &keys).is_ok());
    }
    refuses(&attacker.token(&json!({"alg": "ES256", "kid": "../fake-1"}), &claims()), &keys, "kid");
}

#[test]
fn openid_core_section_10_1_without_a_key_id_each_key_that_fits_is_tried() {
    let [one, two, three] = [Key::ed25519(1), Key::ed25519(2), Key::ed25519(3)];
    let keys = keys(&[one.jwk(Some("fake-1")), two.jwk(None), Key::p256().jwk(None)]);
    let header = json!({"alg": "EdDSA"});
    assert!(read(&one.token(&header, &claims()), &keys).is_ok());
    assert!(read(&two.token(&header, &claims()), &keys).is_ok());
    refuses(&three.token(&header, &claims()), &keys, "signature");
    refuses(&one.token(&json!({"alg": "EdDSA", "kid": "fake-2"}), &claims()), &keys, "signature");
}

/// A server changes its key while users sign in, and an attacker names keys that never were.
#[test]
fn openid_core_section_10_1_1_a_new_key_is_fetched_and_a_forged_one_at_most_twice() {
    let (old, new) = (Key::ed25519(1), Key::ed25519(2));
    let client = client();
    let mut keys = keys(&[old.jwk(Some("fake-old"))]);
    let signed_by_old = old.token(&json!({"alg": "EdDSA", "kid": "fake-old"}), &claims());
    let signed_by_new = new.token(&json!({"alg": "EdDSA", "kid": "fake-new"}), &claims());
    let forged = new.token(&json!({"alg": "EdDSA", "kid": "fake-never"}), &claims());
    assert!(read(&signed_by_old, &keys).is_ok());

    // The server changed its key right after it was asked.
    let error = read(&signed_by_new, &keys).unwrap_err();
    assert_eq!(error.reason(), Some("kid"));
    let fetch = keys.fetch_again(&error, &client, later(1)).unwrap().unwrap();
    assert_eq!(keys.asked_at(), later(1));
    let set = json!({"keys": [old.jwk(Some("fake-old")), new.jwk(Some("fake-new"))]}).to_string();
    keys = fetch.read(answer(200, &set)).unwrap();
    assert!(read(&signed_by_new, &keys).is_ok() && read(&signed_by_old, &keys).is_ok());

    let error = read(&forged, &keys).unwrap_err();
    let mut fetches = Vec::new();
    for second in 1..1_000 {
        if let Some(fetch) = keys.fetch_again(&error, &client, later(second)).unwrap() {
            fetches.push(second);
            keys = fetch.read(answer(200, &set)).unwrap();
        }
    }
    assert_eq!(fetches, [301, 302, 602, 603, 903, 904], "twice in five minutes");

    // The old key is withdrawn.
    let set = json!({"keys": [new.jwk(Some("fake-new"))]}).to_string();
    keys = client.fetch_keys(later(4_000)).unwrap().read(answer(200, &set)).unwrap();
    refuses(&signed_by_old, &keys, "kid");
}
