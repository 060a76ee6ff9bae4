//! Proof Key for Code Exchange (RFC 7636), always with `S256`, and the random bytes of an operation.

use std::fmt;

use rand::TryCryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::error::Error;
use crate::text::secret::{Secret, ShortSecret};

/// A code verifier: 43 to 128 characters of `A-Z a-z 0-9 - . _ ~` (RFC 7636 §4.1).
///
/// Every authorization makes its own; use this type to test an authorization server with a verifier of your
/// choice. `Debug` does not show it, and it is wiped on drop.
///
/// ```
/// use oauth2_proto::authorization::CodeVerifier;
///
/// # fn main() -> Result<(), oauth2_proto::Error> {
/// // The example of RFC 7636 appendix B.
/// let verifier = CodeVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")?;
/// assert_eq!(verifier.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
/// assert!(CodeVerifier::new("too-short").is_err());
/// # Ok(())
/// # }
/// ```
pub struct CodeVerifier(ShortSecret);

impl CodeVerifier {
    /// Checks and takes a verifier.
    ///
    /// # Errors
    ///
    /// Misuse, if the length or a character is outside RFC 7636 §4.1.
    pub fn new(verifier: &str) -> Result<Self, Error> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if matches!(verifier.len(), 43..=128) && verifier.bytes().all(unreserved) {
            Ok(Self(ShortSecret::Given(Secret::new(verifier))))
        } else {
            Err(Error::misuse(
                "the code verifier is not well-formed; it must have 43 to 128 characters, each a letter, a \
                 digit or one of - . _ ~ (RFC 7636 section 4.1)",
            ))
        }
    }

    pub(crate) fn from_random(random: &[u8; 32]) -> Self {
        Self(ShortSecret::from_random(random))
    }

    /// Returns the verifier, which only the token request may carry.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Computes the `S256` challenge: the verifier's SHA-256 in base64url (RFC 7636 §4.2).
    pub fn challenge(&self) -> String {
        self.short_challenge().expose().to_owned()
    }

    /// Computes the challenge without an allocation.
    pub(crate) fn short_challenge(&self) -> ShortSecret {
        ShortSecret::from_random(&Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for CodeVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeVerifier([redacted])")
    }
}

/// The random bytes of one operation: 128 bytes, cut into four parts of 32 bytes each for `state`, code
/// verifier, nonce and `jti`, in this order.
///
/// An operation uses the parts that it needs. It takes an `Entropy` by value, which cannot be copied and is
/// wiped on drop, so no two operations share random bytes by accident.
///
/// ```
/// use oauth2_proto::{Client, ClientAuth, Entropy, pleo};
///
/// # fn main() -> Result<(), oauth2_proto::Error> {
/// let client = Client::new(pleo::staging(), "client-id", ClientAuth::basic("fake"))?;
/// let now = std::time::SystemTime::UNIX_EPOCH;
///
/// // In a test: the first 32 bytes are 0, so is the `state`.
/// let mut block = [1; 128];
/// block[..32].fill(0);
/// let request = client.authorize("https://app.example/callback");
/// let (_url, pending) = request.start_with(Entropy::from_bytes(block), now)?;
/// assert_eq!(pending.state(), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
/// # Ok(())
/// # }
/// ```
pub struct Entropy([[u8; 32]; 4]);

impl Entropy {
    /// Takes bytes from the operating system's generator, which a forked process does not repeat.
    ///
    /// # Errors
    ///
    /// Misuse, if the operating system has none; use [`Entropy::from_rng`] or [`Entropy::from_bytes`] then.
    #[cfg(feature = "os-random")]
    pub fn from_os() -> Result<Self, Error> {
        Self::from_rng(&mut rand::rngs::SysRng).map_err(|_| {
            Error::misuse(
                "the operating system has no random bytes; pass an Entropy of your own to start_with",
            )
        })
    }

    /// Takes bytes from your own generator, which must be a cryptographic one.
    ///
    /// # Errors
    ///
    /// The generator's own error; `Infallible` for one that cannot fail.
    pub fn from_rng<R: TryCryptoRng>(rng: &mut R) -> Result<Self, R::Error> {
        let mut entropy = Self([[0; 32]; 4]);
        rng.try_fill_bytes(entropy.0.as_flattened_mut())?;
        Ok(entropy)
    }

    /// Takes your own bytes, which must come from a cryptographic generator outside tests.
    pub fn from_bytes(mut block: [u8; 128]) -> Self {
        let mut entropy = Self([[0; 32]; 4]);
        entropy.0.as_flattened_mut().copy_from_slice(&block);
        block.as_mut_slice().zeroize();
        entropy
    }

    /// Returns the bytes for `state` and for the code verifier.
    pub(crate) fn state_and_verifier(&self) -> (&[u8; 32], &[u8; 32]) {
        let [state, verifier, _nonce, _jti] = &self.0;
        (state, verifier)
    }

    /// Returns the bytes for a nonce.
    pub(crate) fn nonce(&self) -> &[u8; 32] {
        let [_state, _verifier, nonce, _jti] = &self.0;
        nonce
    }

    /// Returns the bytes for the identifiers of what a key signs.
    pub(crate) fn id(&self) -> &[u8; 32] {
        let [_state, _verifier, _nonce, jti] = &self.0;
        jti
    }
}

/// Wipes the bytes as one slice, which is faster than an array of arrays.
impl Drop for Entropy {
    fn drop(&mut self) {
        self.0.as_flattened_mut().zeroize();
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn rfc7636_appendix_b() {
        let verifier = CodeVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        assert_eq!(verifier.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn rfc7636_section_4_vectors() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../../tests/vectors/pkce.json")).unwrap();
        for case in &cases {
            let verifier = CodeVerifier::new(case["verifier"].as_str().unwrap());
            match case["challenge"].as_str() {
                Some(challenge) => assert_eq!(verifier.unwrap().challenge(), challenge, "{case}"),
                None => assert!(verifier.is_err(), "{case}"),
            }
        }
        assert_eq!(cases.len(), 19);
    }

    #[cfg(feature = "os-random")]
    #[test]
    fn the_operating_system_does_not_repeat_itself() {
        let (one, other) = (Entropy::from_os().unwrap(), Entropy::from_os().unwrap());
        let parts: Vec<_> = one.0.iter().chain(other.0.iter()).collect();
        for (index, part) in parts.iter().enumerate() {
            assert!(!parts[..index].contains(part), "{index}");
        }
    }
}
