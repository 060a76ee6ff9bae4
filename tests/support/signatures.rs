//! Keys of the tests that sign, and what verifies signatures: on `ring`, so that they need no feature.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use libtest_mimic::Failed;
use oauth2_proto::jose::{Algorithm, PublicKey, Signer, SignerError, Verifier};
use ring::rand::SystemRandom;
use ring::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Value, json};

/// A key in this process.
pub struct Key {
    algorithm: Algorithm,
    pair: Pair,
    public_key: PublicKey,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl Key {
    /// Reads a private JSON Web Key for ES256 or EdDSA.
    pub fn from_jwk(jwk: &str) -> Result<Self, Failed> {
        let mut members: Value = serde_json::from_str(jwk)?;
        let d = members.as_object_mut().and_then(|members| members.remove("d"));
        let d = URL_SAFE_NO_PAD.decode(d.as_ref().and_then(Value::as_str).ok_or("there is no d")?)?;
        let public_key = PublicKey::from_jwk(&members.to_string())?;
        let (algorithm, pair) = match point(&public_key) {
            Some(point) => {
                let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                let random = SystemRandom::new();
                let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &d, &point, &random)?;
                (Algorithm::ES256, Pair::P256(pair))
            }
            None => {
                let x = public_key.member("x").unwrap_or_default();
                (Algorithm::EdDSA, Pair::Ed25519(Ed25519KeyPair::from_seed_and_public_key(&d, &x)?))
            }
        };
        Ok(Self { algorithm, pair, public_key })
    }

    /// Reads a private key in PKCS #8 for ES256, RS256 or PS256.
    pub fn from_pem(pem: &str, algorithm: Algorithm) -> Result<Self, Failed> {
        let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(der)?;
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (pair, jwk) = match algorithm {
            Algorithm::ES256 => {
                let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                let pair = EcdsaKeyPair::from_pkcs8(algorithm, &der, &SystemRandom::new())?;
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let jwk = json!({"kty": "EC", "crv": "P-256", "x": part(x), "y": part(y)});
                (Pair::P256(pair), jwk)
            }
            _ => {
                let pair = RsaKeyPair::from_pkcs8(&der)?;
                let RsaPublicKeyComponents::<Vec<u8>> { n, e } = pair.public().into();
                (Pair::Rsa(Box::new(pair)), json!({"kty": "RSA", "n": part(&n), "e": part(&e)}))
            }
        };
        Ok(Self { algorithm, pair, public_key: PublicKey::from_jwk(&jwk.to_string())? })
    }
}

impl Signer for Key {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::P256(pair) => {
                let signature = pair.sign(&random, message).map_err(|error| error.to_string())?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let padding: &dyn signature::RsaEncoding = match self.algorithm {
                    Algorithm::PS256 => &signature::RSA_PSS_SHA256,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, message, &mut signature).map_err(|error| error.to_string())?;
                Ok(signature)
            }
        }
    }
}

/// Verifies what others sign.
pub struct Ring;

impl Verifier for Ring {
    fn verifies(&self, algorithm: Algorithm, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let rsa = |parameters| match (key.member("n"), key.member("e")) {
            (Some(n), Some(e)) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
            _ => false,
        };
        match algorithm {
            Algorithm::RS256 => rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::PS256 => rsa(&signature::RSA_PSS_2048_8192_SHA256),
            Algorithm::ES256 => point(key).is_some_and(|point| {
                let key = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point);
                key.verify(message, signature).is_ok()
            }),
            Algorithm::EdDSA | Algorithm::Ed25519 => key.member("x").is_some_and(|x| {
                UnparsedPublicKey::new(&signature::ED25519, x).verify(message, signature).is_ok()
            }),
            _ => false,
        }
    }
}

/// The uncompressed point of an elliptic curve's key (SEC 1 §2.3.3).
fn point(key: &PublicKey) -> Option<Vec<u8>> {
    let (x, y) = (key.member("x")?, key.member("y")?);
    Some([&[4], x.as_slice(), y.as_slice()].concat())
}
