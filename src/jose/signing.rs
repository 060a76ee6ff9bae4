//! What this client signs: JSON Web Tokens in compact form (RFC 7515 §7.1, RFC 7519).

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::authorization::Entropy;
use crate::error::{Error, ErrorKind};
use crate::jose::ids::Ids;
use crate::jose::{Algorithm, PublicKey};
use crate::text::foreign::Foreign;
use crate::text::secret::Secret;

/// The error of a [`Signer`]; its text is shown, so it must hold no secret.
pub type SignerError = Box<dyn std::error::Error + Send + Sync>;

/// A private key that signs in this process.
///
/// The [module](crate::jose) shows one. Hold the key in memory that is wiped on drop, and print it nowhere.
///
/// Sign at once: a [keeper](crate::keeper) serves nobody else meanwhile. A key that is asked over a network,
/// or in a device that may hang, is [remote](SigningKey::remote).
pub trait Signer: Send + Sync {
    /// Returns the algorithm of the signatures.
    fn algorithm(&self) -> Algorithm;

    /// Returns the public key, whose `kid` names it to the server.
    fn public_key(&self) -> &PublicKey;

    /// Signs a message: the signature in the form of RFC 7518 §3, which for ECDSA is `r` and `s` side by side
    /// (not DER).
    ///
    /// # Errors
    ///
    /// Your own error. No request is made then, and nothing else changes.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError>;
}

/// A key of this client, which signs here or elsewhere; a clone is the same key.
///
/// It also makes the identifiers of what it signs (`jti`, RFC 7519 §4.1.7) from random bytes that it takes
/// once, when it is made.
#[derive(Clone)]
pub struct SigningKey(Arc<Inner>);

struct Inner {
    place: Place,
    ids: Ids,
}

enum Place {
    Here(Box<dyn Signer>),
    Remote { algorithm: Algorithm, public_key: PublicKey },
}

impl SigningKey {
    /// Takes a key that signs in this process, and random bytes from the operating system.
    ///
    /// # Errors
    ///
    /// Misuse: the algorithm needs another kind of key, or the operating system has no random bytes.
    #[cfg(feature = "os-random")]
    pub fn new(signer: impl Signer + 'static) -> Result<Self, Error> {
        Self::new_with(signer, Entropy::from_os()?)
    }

    /// Like `new`, with your own random bytes.
    ///
    /// # Errors
    ///
    /// Misuse: the algorithm needs another kind of key.
    pub fn new_with(signer: impl Signer + 'static, entropy: Entropy) -> Result<Self, Error> {
        Self::at(Place::Here(Box::new(signer)), &entropy)
    }

    /// Names a key that signs elsewhere, behind async code for example, and takes random bytes from the
    /// operating system. [`Client::signing`](crate::Client::signing) says what to sign with it.
    ///
    /// # Errors
    ///
    /// The errors of `new`.
    #[cfg(feature = "os-random")]
    pub fn remote(algorithm: Algorithm, public_key: PublicKey) -> Result<Self, Error> {
        Self::remote_with(algorithm, public_key, Entropy::from_os()?)
    }

    /// Like `remote`, with your own random bytes.
    ///
    /// # Errors
    ///
    /// Misuse: the algorithm needs another kind of key.
    pub fn remote_with(algorithm: Algorithm, public_key: PublicKey, entropy: Entropy) -> Result<Self, Error> {
        Self::at(Place::Remote { algorithm, public_key }, &entropy)
    }

    fn at(place: Place, entropy: &Entropy) -> Result<Self, Error> {
        let key = Self(Arc::new(Inner { place, ids: Ids::new(entropy) }));
        key.public_key().must_fit(key.algorithm())?;
        Ok(key)
    }

    /// Returns the algorithm of the signatures.
    pub fn algorithm(&self) -> Algorithm {
        match &self.0.place {
            Place::Here(signer) => signer.algorithm(),
            Place::Remote { algorithm, .. } => *algorithm,
        }
    }

    /// Returns the public key.
    pub fn public_key(&self) -> &PublicKey {
        match &self.0.place {
            Place::Here(signer) => signer.public_key(),
            Place::Remote { public_key, .. } => public_key,
        }
    }

    /// Returns whether the key signs in this process.
    pub(crate) fn signs_here(&self) -> bool {
        matches!(self.0.place, Place::Here(_))
    }

    /// Returns an identifier for what is signed next.
    pub(crate) fn next_id(&self, now: SystemTime) -> String {
        self.0.ids.next(now)
    }

    /// Returns what is to be signed: a header of this type that names the key, and claims.
    pub(crate) fn unsigned(&self, typ: &str, claims: &impl Serialize) -> Result<Unsigned, Error> {
        let kid = self.public_key().key_id();
        Unsigned::new(self, &Header { typ, alg: self.algorithm().name(), kid, jwk: None }, claims)
    }

    /// Returns what is to be signed: a header of this type that holds the public key (RFC 7515 §4.1.3), and
    /// claims.
    pub(crate) fn unsigned_with_key(&self, typ: &str, claims: &impl Serialize) -> Result<Unsigned, Error> {
        let jwk = Some(self.public_key());
        Unsigned::new(self, &Header { typ, alg: self.algorithm().name(), kid: None, jwk }, claims)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm())
            .field("public_key", self.public_key())
            .finish_non_exhaustive()
    }
}

/// A token that lacks its signature: sign [`message`](Self::message) with the key, and hand the signature
/// back.
pub struct Unsigned {
    key: SigningKey,
    message: Secret,
}

impl Unsigned {
    fn new(key: &SigningKey, header: &Header<'_>, claims: &impl Serialize) -> Result<Self, Error> {
        Ok(Self { key: key.clone(), message: message(header, claims)? })
    }

    /// Returns the bytes to sign: header and claims in base64url, with a dot between them (RFC 7515 §5.1).
    pub fn message(&self) -> &[u8] {
        self.message.expose().as_bytes()
    }

    /// Returns the key to sign with.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Adds a signature, in the form of RFC 7518 §3.
    pub(crate) fn signed(&self, signature: &[u8]) -> Result<Secret, Error> {
        let length = self.key.public_key().signature_length();
        if signature.len() != length {
            return Err(Error::misuse(format!(
                "the signature has {} bytes, and one of {} has {length}; for ECDSA, pass r and s side by side \
                 instead of DER (RFC 7518 section 3.4)",
                signature.len(),
                self.key.algorithm()
            )));
        }
        Ok(jwt(&self.message, signature))
    }

    /// Signs in this process.
    pub(crate) fn sign(&self) -> Result<Secret, Error> {
        self.sign_here().map_err(signer_failed)
    }

    /// Like `sign`, with the signer's own error. An error of this crate is the fault of the program.
    pub(crate) fn sign_here(&self) -> Result<Secret, SignerError> {
        match &self.key.0.place {
            Place::Here(signer) => Ok(self.signed(&signer.sign(self.message())?)?),
            Place::Remote { .. } => Err(Error::misuse(
                "the key signs elsewhere; call Client::signing, have its messages signed, and make the request \
                 with the client that it returns",
            )
            .into()),
        }
    }
}

/// Returns the error of a start whose signer failed.
pub(crate) fn signer_failed(error: SignerError) -> Error {
    match error.downcast::<Error>() {
        Ok(misuse) if misuse.kind() == ErrorKind::Misuse => *misuse,
        Ok(error) => Error::misuse(format!("the signer failed: {}", Foreign(&error.to_string()))),
        Err(error) => Error::misuse(format!("the signer failed: {}", Foreign(&error.to_string()))),
    }
}

impl fmt::Debug for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsigned").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The header of a token (RFC 7515 §4.1).
#[derive(Serialize)]
pub(crate) struct Header<'a> {
    pub(crate) typ: &'a str,
    pub(crate) alg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) jwk: Option<&'a PublicKey>,
}

/// Returns the bytes to sign (RFC 7515 §5.1).
pub(crate) fn message(header: &Header<'_>, claims: &impl Serialize) -> Result<Secret, Error> {
    let part = |json: serde_json::Result<Vec<u8>>| {
        // Only texts, numbers and lists are written, which always succeeds.
        json.map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(|_| Error::misuse("the claims are no JSON"))
    };
    let (header, claims) = (part(serde_json::to_vec(header))?, part(serde_json::to_vec(claims))?);
    Ok(Secret::new(format!("{header}.{claims}")))
}

/// Joins a message and its signature (RFC 7515 §7.1).
pub(crate) fn jwt(message: &Secret, signature: &[u8]) -> Secret {
    let message = message.expose();
    let mut jwt = String::with_capacity(message.len() + 1 + signature.len().div_ceil(3) * 4);
    jwt.push_str(message);
    jwt.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut jwt);
    Secret::new(jwt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn rfc7518_section_3_4_a_signature_has_the_length_of_its_algorithm() {
        let cases: Vec<Value> =
            serde_json::from_str(include_str!("../../tests/vectors/dpop_proof.json")).unwrap();
        let cases: Vec<_> = cases.iter().filter(|case| case["kind"] == "assemble").collect();
        for case in &cases {
            let key = PublicKey::from_jwk(
                r#"{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
                    "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#,
            );
            let entropy = Entropy::from_bytes([1; 128]);
            let key = SigningKey::remote_with(Algorithm::ES256, key.unwrap(), entropy).unwrap();
            let message = Secret::new(case["signing_input"].as_str().unwrap());
            let signature = case["signature_base64"].as_str().unwrap();
            let signature = base64::engine::general_purpose::STANDARD.decode(signature).unwrap();
            let signed = Unsigned { key, message }.signed(&signature);
            match case["expect"]["ok"]["jwt"].as_str() {
                Some(jwt) => assert_eq!(signed.unwrap().expose(), jwt),
                None => assert_eq!(signed.unwrap_err().kind(), crate::error::ErrorKind::Misuse),
            }
        }
        assert_eq!(cases.len(), 2);
    }
}
