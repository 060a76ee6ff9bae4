//! Signatures of others, checked in this process.

use p256::ecdsa::signature::Verifier as _;

use super::rsa;
use crate::jose::{Algorithm, PublicKey, Verifier};

/// Checks signatures of `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `EdDSA` and `Ed25519`
/// in this process, on the libraries of [`LocalKey`](crate::jose::LocalKey).
///
/// It accepts no signature of `ES384` and `ES512`, and none of an RSA key longer than 8192 bits. An ECDSA
/// signature is `r` and `s` side by side (RFC 7518 §3.4), the salt of RSASSA-PSS is as long as the digest
/// (§3.5), and a key of Ed25519 with a small order, under which one signature fits many messages, verifies
/// nothing. What is checked is public, so the time that it takes tells nothing.
///
/// ```
/// use oauth2_proto::jose::{KeySet, LocalVerifier, Verification};
///
/// # fn example(keys: &KeySet) {
/// let verification = Verification::by(keys, &LocalVerifier);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalVerifier;

impl Verifier for LocalVerifier {
    fn verifies(&self, algorithm: Algorithm, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        key.fits(algorithm)
            && match algorithm {
                Algorithm::ES256 => p256(key, message, signature),
                Algorithm::EdDSA | Algorithm::Ed25519 => ed25519(key, message, signature),
                Algorithm::ES384 | Algorithm::ES512 => None,
                _ => rsa::verify(algorithm, key, message, signature),
            }
            .is_some()
    }
}

/// Returns `Some` if the signature is the key's.
fn p256(key: &PublicKey, message: &[u8], signature: &[u8]) -> Option<()> {
    let point = [vec![UNCOMPRESSED], key.member("x")?, key.member("y")?].concat();
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).ok()?;
    key.verify(message, &p256::ecdsa::Signature::from_slice(signature).ok()?).ok()
}

/// Returns `Some` if the signature is the key's.
fn ed25519(key: &PublicKey, message: &[u8], signature: &[u8]) -> Option<()> {
    let key = key.member("x")?.try_into().ok()?;
    let key = ed25519_dalek::VerifyingKey::from_bytes(&key).ok()?;
    key.verify_strict(message, &ed25519_dalek::Signature::from_slice(signature).ok()?).ok()
}

/// The first byte of a point whose coordinates both follow (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;
