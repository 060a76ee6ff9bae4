//! Keys that tokens are bound to, and the proofs that they sign, taken apart.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::Entropy;
use oauth2_proto::dpop::DpopKey;
use oauth2_proto::jose::{Algorithm, PublicKey, Signer, SignerError, SigningKey};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Two public keys, the first of which is RFC 9449's.
const JWKS: [&str; 2] = [
    r#"{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#,
    r#"{"kty":"EC","crv":"P-256","x":"3JUkGITNscFIwqkYwRy9Sd_9WIuGwpiZWebsbPE-J_o",
        "y":"udm6bDX6RW9W3EVI37MI9LfJ6IS4kq2dAIXW8HBDI8g"}"#,
];

#[track_caller]
pub fn public_key(number: usize) -> PublicKey {
    PublicKey::from_jwk(JWKS[number]).unwrap()
}

/// A key that signs in this process.
#[track_caller]
pub fn key(number: usize) -> DpopKey {
    DpopKey::new(SigningKey::new_with(Fake(public_key(number)), entropy()).unwrap())
}

/// A key that signs elsewhere.
#[track_caller]
pub fn remote_key(number: usize) -> DpopKey {
    DpopKey::new(SigningKey::remote_with(Algorithm::ES256, public_key(number), entropy()).unwrap())
}

fn entropy() -> Entropy {
    Entropy::from_bytes([5; 128])
}

/// Signs with what anybody can compute.
struct Fake(PublicKey);

impl Signer for Fake {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }

    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(signature(message))
    }
}

/// The fake signature of a message.
pub fn signature(message: &[u8]) -> Vec<u8> {
    Sha256::digest(message).repeat(2)
}

/// A proof whose signature is right, taken apart.
#[derive(Debug)]
pub struct Proof {
    pub header: Value,
    pub claims: Value,
}

impl Proof {
    #[track_caller]
    pub fn parse(jwt: &str) -> Self {
        let (message, signed) = jwt.rsplit_once('.').unwrap();
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        assert_eq!(decode(signed), signature(message.as_bytes()));
        let (header, claims) = message.split_once('.').unwrap();
        let json = |part: &str| serde_json::from_slice(&decode(part)).unwrap();
        let proof = Self { header: json(header), claims: json(claims) };
        assert_eq!(proof.header["typ"], "dpop+jwt");
        proof
    }

    pub fn nonce(&self) -> Option<&str> {
        self.claims["nonce"].as_str()
    }

    #[track_caller]
    pub fn id(&self) -> &str {
        self.claims["jti"].as_str().unwrap()
    }
}
