//! Proof of possession: tokens that only the holder of a key can use (DPoP, RFC 9449).
//!
//! A [`DpopKey`] belongs to a [`Client`](crate::Client): each token request then holds a proof, which the key
//! signs, and the server binds the tokens to the key.

mod nonces;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::dpop::nonces::Nonces;
use crate::error::Error;
use crate::jose::{SigningKey, Unsigned};
use crate::text::secret::Secret;
use crate::text::time::unix_seconds;
use crate::text::uri;

/// A key that tokens are bound to, with the nonces that servers have sent; a clone is the same key.
///
/// The newest `DPoP-Nonce` of each server goes into the next proof for it (RFC 9449 §8.2). The key remembers
/// them, so share one `DpopKey` among all who use its tokens.
#[derive(Clone)]
pub struct DpopKey(Arc<Inner>);

struct Inner {
    key: SigningKey,
    nonces: Nonces,
}

/// The claims of a proof (RFC 9449 §4.2).
#[derive(Serialize)]
struct Claims<'a> {
    jti: &'a str,
    htm: &'a str,
    htu: &'a str,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

impl DpopKey {
    /// Binds tokens to a key.
    pub fn new(key: SigningKey) -> Self {
        Self(Arc::new(Inner { key, nonces: Nonces::default() }))
    }

    /// Returns the thumbprint of the public key, which a server knows the tokens' key by (RFC 9449 §6.1).
    pub fn thumbprint(&self) -> String {
        self.key().public_key().thumbprint()
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.0.key
    }

    /// Returns the bytes of the thumbprint.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.key().public_key().digest()
    }

    /// Returns the proof of a token request, without its signature (RFC 9449 §5).
    pub(crate) fn token_proof(&self, endpoint: &str, now: SystemTime) -> Result<Unsigned, Error> {
        self.proof("POST", endpoint, None, now)
    }

    /// Returns a proof without its signature (RFC 9449 §4.2).
    pub(crate) fn proof(
        &self,
        method: &str,
        url: &str,
        access_token: Option<&Secret>,
        now: SystemTime,
    ) -> Result<Unsigned, Error> {
        let htu =
            uri::without_query(url).map_err(|refused| Error::misuse(format!("the address {refused}")))?;
        let ath = access_token.map(|token| URL_SAFE_NO_PAD.encode(Sha256::digest(token.expose())));
        let nonce = self.0.nonces.of(&htu);
        let claims = Claims {
            jti: &self.key().next_id(now),
            htm: method,
            htu: &htu,
            iat: unix_seconds(now),
            ath: ath.as_deref(),
            nonce: nonce.as_deref(),
        };
        self.key().unsigned_with_key("dpop+jwt", &claims)
    }

    /// Adopts the nonce of an answer from this address (RFC 9449 §8.2).
    pub(crate) fn learn(&self, url: &str, nonce: &str) {
        if let Ok(htu) = uri::without_query(url) {
            self.0.nonces.learn(&htu, nonce);
        }
    }
}

impl fmt::Debug for DpopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopKey").field("key", self.key()).finish_non_exhaustive()
    }
}
