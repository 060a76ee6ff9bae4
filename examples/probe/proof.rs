//! Proofs of possession (RFC 9449 §4), made by the crate, then changed and signed anew.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_proto::Client;
use oauth2_proto::dpop::DpopKey;
use oauth2_proto::jose::{Algorithm, PublicKey, Signer, SignerError, SigningKey};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use ring::{hmac, rand};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::SystemTime;

/// A key for ES256 that the probe makes for itself.
#[derive(Clone)]
pub struct Key(Arc<Inner>);

struct Inner {
    pair: EcdsaKeyPair,
    public_key: PublicKey,
    /// The private key's number.
    d: Vec<u8>,
}

impl Key {
    pub fn generate() -> Result<Self, String> {
        let failed = |_| "no key can be made".to_owned();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let random = SystemRandom::new();
        // Any number below the order of the curve is a private key; nearly all 32 bytes are such a number.
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(failed)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random)
            .map_err(|error| error.to_string())?;
        let point = pair.public_key().as_ref().to_vec();
        let (x, y) = (coordinate(&point, 1), coordinate(&point, 33));
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
        let public_key = PublicKey::from_jwk(&jwk.to_string()).map_err(|error| error.to_string())?;
        // RFC 5915 §3: the number comes right after its header `04 20`, which ends the first 36 bytes.
        let d = document.as_ref().get(36..68).unwrap_or_default().to_vec();
        EcdsaKeyPair::from_private_key_and_public_key(algorithm, &d, &point, &random)
            .map_err(|error| error.to_string())?;
        Ok(Self(Arc::new(Inner { pair, public_key, d })))
    }

    /// Returns a client whose requests hold proofs of this key.
    pub fn bind(&self, client: &Client) -> Result<Client, String> {
        let key = SigningKey::new(self.clone()).map_err(|error| error.to_string())?;
        Ok(client.clone().dpop(DpopKey::new(key)))
    }

    /// Returns the thumbprint (RFC 7638), by which a server knows the key.
    pub fn thumbprint(&self) -> String {
        self.0.public_key.thumbprint()
    }

    /// Returns the member of a JSON Web Key that must stay private.
    pub fn private_member(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0.d)
    }

    fn signature(&self, message: &str) -> Result<String, String> {
        let signature = self.sign(message.as_bytes()).map_err(|error| error.to_string())?;
        Ok(URL_SAFE_NO_PAD.encode(signature))
    }
}

impl Signer for Key {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }

    fn public_key(&self) -> &PublicKey {
        &self.0.public_key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let signature = self.0.pair.sign(&SystemRandom::new(), message).map_err(|error| error.to_string())?;
        Ok(signature.as_ref().to_vec())
    }
}

fn coordinate(point: &[u8], start: usize) -> String {
    URL_SAFE_NO_PAD.encode(point.get(start..start + 32).unwrap_or_default())
}

/// A proof before its signature.
pub struct Proof {
    pub header: Value,
    pub claims: Value,
}

impl Proof {
    /// Makes a proof with the crate, for a POST to this address.
    pub fn new(key: &Key, client: &Client, url: &str, nonce: Option<&str>) -> Result<Self, String> {
        let call = key.bind(client)?.client_credentials().start(SystemTime::now());
        let call = call.map_err(|error| error.to_string())?;
        let proof = call.request().header("dpop").ok_or("the crate made no proof")?;
        let mut parts = proof.split('.').map(|part| {
            let json = URL_SAFE_NO_PAD.decode(part).map_err(|error| error.to_string())?;
            serde_json::from_slice(&json).map_err(|error| error.to_string())
        });
        let mut next = || parts.next().unwrap_or(Err("the crate made no proof".to_owned()));
        let (header, mut claims): (_, Value) = (next()?, next()?);
        claims["htu"] = url.into();
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        Ok(Self { header, claims })
    }

    pub fn signed_by(&self, key: &Key) -> Result<String, String> {
        let message = self.message();
        Ok(format!("{message}.{}", key.signature(&message)?))
    }

    /// Returns the proof with `alg` none and no signature.
    pub fn unsigned(mut self) -> String {
        self.header["alg"] = "none".into();
        format!("{}.", self.message())
    }

    /// Returns the proof with a signature by a symmetric key, which it shows.
    pub fn with_symmetric_key(mut self) -> Result<String, String> {
        let key: [u8; 32] = rand::generate(&SystemRandom::new()).map_err(|error| error.to_string())?.expose();
        self.header["alg"] = "HS256".into();
        self.header["jwk"] = json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode(key) });
        let message = self.message();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), message.as_bytes());
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag)))
    }

    fn message(&self) -> String {
        let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        format!("{}.{}", part(&self.header), part(&self.claims))
    }
}
