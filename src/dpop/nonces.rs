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

/// Returns whether a text can be a nonce (RFC 9449 §8.1): characters that need no escaping in a proof, which
/// are `NQCHAR` of RFC 6749 appendix A.
pub(crate) fn is_nonce(text: &str) -> bool {
    let is_nonce_character = |byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    (1..=MAX_NONCE).contains(&text.len()) && text.bytes().all(is_nonce_character)
}

/// The maximum length of a nonce in bytes. Servers send fewer than 200.
const MAX_NONCE: usize = 1024;

/// The maximum number of origins whose nonces are kept.
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
    }

    #[test]
    fn rfc9449_section_8_1_a_nonce_has_visible_characters_without_quotes_and_backslashes() {
        for (text, is_sound) in [
            ("eyJ7S_zG.eyJH0-Z.HX4w-7v", true),
            ("!#$%&'()*+,/:;<=>?@[]^`{|}~", true),
            (&"a".repeat(1024), true),
            (&"a".repeat(1025), false),
            ("", false),
            ("a b", false),
            ("a\"b", false),
            ("a\\b", false),
            ("a\n", false),
            ("a\u{7f}", false),
            ("ä", false),
        ] {
            assert_eq!(is_nonce(text), is_sound, "{text:?}");
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
