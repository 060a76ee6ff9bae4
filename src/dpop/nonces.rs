//! The nonces that servers have sent (RFC 9449 §8 and §9).

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::text::uri::split_address;

/// The newest nonce of each origin; the origin that was silent for the longest time is forgotten first.
#[derive(Default)]
pub(super) struct Nonces(Mutex<VecDeque<(String, String)>>);

impl Nonces {
    /// Returns the nonce for a request to an address.
    pub(super) fn of(&self, htu: &str) -> Option<String> {
        let (origin, ..) = split_address(htu);
        let nonces = self.lock();
        nonces.iter().find(|(known, _)| known == origin).map(|(_, nonce)| nonce.clone())
    }

    /// Adopts the nonce of an answer from an address.
    pub(super) fn learn(&self, htu: &str, nonce: &str) {
        // Other texts cannot be nonces, and would not be accepted in a proof (RFC 9449 §8.1).
        let is_sound = (1..=MAX_NONCE).contains(&nonce.len()) && nonce.bytes().all(is_nonce_character);
        if !is_sound {
            return;
        }
        let (origin, ..) = split_address(htu);
        let mut nonces = self.lock();
        nonces.retain(|(known, _)| known != origin);
        nonces.truncate(MAX_ORIGINS - 1);
        nonces.push_front((origin.to_owned(), nonce.to_owned()));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(String, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether a byte may stand in a nonce: `NQCHAR` of RFC 6749 appendix A.
fn is_nonce_character(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

const MAX_NONCE: usize = 1024;

const MAX_ORIGINS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9449_section_8_2_the_newest_nonce_of_each_origin_counts() {
        let nonces = Nonces::default();
        nonces.learn("https://as.example/token", "fake-1");
        nonces.learn("https://rs.example/items", "fake-2");
        nonces.learn("https://as.example/other", "fake-3");
        for (htu, nonce) in [
            ("https://as.example/token", Some("fake-3")),
            ("https://rs.example/", Some("fake-2")),
            ("https://as.example:8443/token", None),
            ("http://as.example/token", None),
        ] {
            assert_eq!(nonces.of(htu).as_deref(), nonce, "{htu}");
        }
        for unsound in ["", "a b", "a\"b", "a\\b", "a\n", "ä", &"a".repeat(1025)] {
            nonces.learn("https://as.example/token", unsound);
            assert_eq!(nonces.of("https://as.example/token").as_deref(), Some("fake-3"), "{unsound}");
        }
    }

    #[test]
    fn the_number_of_origins_is_bounded() {
        let nonces = Nonces::default();
        for index in 0..200 {
            nonces.learn(&format!("https://{index}.example/"), "fake");
        }
        let known = (0..200).filter(|index| nonces.of(&format!("https://{index}.example/")).is_some());
        assert_eq!(known.collect::<Vec<_>>(), (200 - MAX_ORIGINS..200).collect::<Vec<_>>());
    }
}
