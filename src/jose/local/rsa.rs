//! RSA signatures (RFC 7518 §3.3 and §3.5), blinded without a generator of the operating system.

use std::sync::atomic::{AtomicUsize, Ordering};

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BoxedUint, Pkcs1v15Sign, PrivateKey, Pss};
use sha2::{Digest, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use crate::jose::{Algorithm, PublicKey, SignerError, hmac_sha256};

/// An RSA key, and what its blinding is derived from.
pub(super) struct RsaKey {
    key: PrivateKey,
    /// A digest of the private exponent.
    seed: Zeroizing<[u8; 32]>,
    count: AtomicUsize,
}

impl RsaKey {
    pub(super) fn new(key: PrivateKey) -> Self {
        let exponent = Zeroizing::new(key.d().to_be_bytes());
        let seed = Zeroizing::new(Sha256::digest(&*exponent).into());
        Self { key, seed, count: AtomicUsize::new(0) }
    }

    /// Takes the numbers of a JSON Web Key, in big-endian bytes; `None` if they make no sound key.
    pub(super) fn from_numbers(n: &[u8], e: &[u8], d: &[u8], p: &[u8], q: &[u8]) -> Option<Self> {
        // No private number has more bits than the modulus.
        let bits = u32::try_from(n.len()).ok()?.checked_mul(8).filter(|bits| *bits <= MAX_BITS)?;
        let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, bits).ok();
        let primes = vec![number(p)?, number(q)?];
        PrivateKey::from_components(number(n)?, number(e)?, number(d)?, primes).ok().map(Self::new)
    }

    pub(super) fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Returns `n` and `e` in big-endian bytes without leading zeros.
    pub(super) fn public_numbers(&self) -> (Vec<u8>, Vec<u8>) {
        let bytes = |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect();
        (bytes(&self.key.n_bytes()), bytes(&self.key.e_bytes()))
    }

    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let mut random = self.random(message);
        let key = &self.key;
        let signature = match algorithm {
            Algorithm::RS256 => {
                key.sign_with_rng(&mut random, Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message))
            }
            Algorithm::RS384 => {
                key.sign_with_rng(&mut random, Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message))
            }
            Algorithm::RS512 => {
                key.sign_with_rng(&mut random, Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message))
            }
            Algorithm::PS256 => {
                key.sign_with_rng(&mut random, Pss::<Sha256>::new(), &Sha256::digest(message))
            }
            Algorithm::PS384 => {
                key.sign_with_rng(&mut random, Pss::<Sha384>::new(), &Sha384::digest(message))
            }
            Algorithm::PS512 => {
                key.sign_with_rng(&mut random, Pss::<Sha512>::new(), &Sha512::digest(message))
            }
            other => return Err(format!("{other} is no algorithm of an RSA key").into()),
        };
        Ok(signature?)
    }

    /// Seeds a generator for one signature, which nobody without the private key can predict. The count tells
    /// apart two signatures of one message.
    fn random(&self, message: &[u8]) -> ChaCha20Rng {
        let count = self.count.fetch_add(1, Ordering::Relaxed) as u64;
        let counted = [count.to_be_bytes().as_slice(), message].concat();
        let seed = Zeroizing::new(hmac_sha256(&*self.seed, &counted));
        ChaCha20Rng::from_seed(*seed)
    }
}

/// Returns `Some` if the signature is the key's.
pub(super) fn verify(algorithm: Algorithm, key: &PublicKey, message: &[u8], signature: &[u8]) -> Option<()> {
    let [n, e] = ["n", "e"].map(|name| key.member(name));
    let number = |bytes: Option<Vec<u8>>| {
        let bytes = bytes?;
        BoxedUint::from_be_slice(&bytes, u32::try_from(bytes.len()).ok()?.checked_mul(8)?).ok()
    };
    // This refuses a long modulus, and an exponent that would take long.
    let key = rsa::PublicKey::new(number(n)?, number(e)?).ok()?;
    match algorithm {
        Algorithm::RS256 => key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message), signature),
        Algorithm::RS384 => key.verify(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message), signature),
        Algorithm::RS512 => key.verify(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message), signature),
        Algorithm::PS256 => key.verify(Pss::<Sha256>::new(), &Sha256::digest(message), signature),
        Algorithm::PS384 => key.verify(Pss::<Sha384>::new(), &Sha384::digest(message), signature),
        Algorithm::PS512 => key.verify(Pss::<Sha512>::new(), &Sha512::digest(message), signature),
        _ => return None,
    }
    .ok()
}

/// The longest modulus that the library takes.
const MAX_BITS: u32 = 8192;
