//! The identifiers of what this client signs (`jti`, RFC 7519 §4.1.7).

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::authorization::Entropy;
use crate::text::time::unix_nanoseconds;

/// A source of identifiers that do not repeat, from random bytes that are drawn once.
///
/// Each identifier is a SHA-256 over the random bytes, a count and the time, so it is as unpredictable as the
/// random bytes. The count tells apart what one process signs, and the time what its copies sign after a
/// fork.
pub(crate) struct Ids {
    seed: Zeroizing<[u8; 32]>,
    count: AtomicUsize,
}

impl Ids {
    pub(crate) fn new(entropy: &Entropy) -> Self {
        Self { seed: Zeroizing::new(*entropy.id()), count: AtomicUsize::new(0) }
    }

    /// Returns the next identifier: 43 characters of base64url, which are 256 bits.
    pub(crate) fn next(&self, now: SystemTime) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed) as u64;
        let mut hash = Sha256::new();
        hash.update(*self.seed);
        hash.update(count.to_be_bytes());
        hash.update(unix_nanoseconds(now).to_be_bytes());
        URL_SAFE_NO_PAD.encode(hash.finalize())
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn rfc9449_section_4_2_no_identifier_comes_twice_and_each_has_256_bits() {
        let now = SystemTime::UNIX_EPOCH;
        let ids = Ids::new(&Entropy::from_bytes([1; 128]));
        // The same random bytes after a fork, a moment later.
        let forked = Ids::new(&Entropy::from_bytes([1; 128]));
        let other = Ids::new(&Entropy::from_bytes([2; 128]));
        let later = now + Duration::from_nanos(1);
        let all = [ids.next(now), ids.next(now), forked.next(later), other.next(now)];
        for (index, id) in all.iter().enumerate() {
            assert_eq!(id.len(), 43);
            assert!(!all[..index].contains(id), "{index}");
        }
        assert_eq!(Ids::new(&Entropy::from_bytes([1; 128])).next(now), all[0]);
    }
}
