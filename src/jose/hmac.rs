//! HMAC with SHA-256 (RFC 2104), for `HS256` (RFC 7518 §3.2).

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The name of the algorithm, whose key is the client secret.
pub(crate) const HS256: &str = "HS256";

/// Computes the HMAC of a message.
pub(crate) fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = Zeroizing::new([0; BLOCK]);
    if key.len() > BLOCK {
        let digest = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(key)));
        block.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    } else {
        block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    }
    let hash = |pad: u8, message: &[u8]| -> [u8; 32] {
        let padded = Zeroizing::new(block.map(|byte| byte ^ pad));
        Sha256::new().chain_update(padded.as_slice()).chain_update(message).finalize().into()
    };
    hash(0x5c, &hash(0x36, message))
}

/// The block of SHA-256 in bytes.
const BLOCK: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::form::hex_value;

    /// Decodes hexadecimal digits.
    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().as_chunks().0.iter();
        digits.map(|[high, low]| hex_value(*high).unwrap() << 4 | hex_value(*low).unwrap()).collect()
    }

    #[test]
    fn rfc4231_section_4_test_cases() {
        let long_key = vec![0xaa; 131];
        let counting: Vec<u8> = (1..=25).collect();
        for (key, message, mac) in [
            (
                vec![0x0b; 20],
                b"Hi There".to_vec(),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?".to_vec(),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 20],
                vec![0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (counting, vec![0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
            (
                long_key.clone(),
                b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                long_key,
                b"This is a test using a larger than block-size key and a larger than block-size data. The key \
                  needs to be hashed before being used by the HMAC algorithm."
                    .to_vec(),
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ] {
            assert_eq!(hmac_sha256(&key, &message).to_vec(), bytes(mac));
        }
        // The truncated one.
        let mac = hmac_sha256(&[0x0c; 20], b"Test With Truncation");
        assert_eq!(mac[..16].to_vec(), bytes("a3b6167473100ee06e0c796c2955552b"));
    }

    /// The bound between a key as it is and a digest of it (RFC 2104 §2); made with Python's `hmac`.
    #[test]
    fn rfc2104_section_2_a_key_as_long_as_a_block_is_taken_as_it_is() {
        let mac = hmac_sha256(&[0xaa; BLOCK], b"fake message");
        assert_eq!(mac.to_vec(), bytes("9394e624b7cbfb992567e88006efff7b0963fb1f5f55840ab496a13c4f0a1382"));
    }
}
