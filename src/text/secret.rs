//! Values that are never printed and are wiped when they are dropped.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A token, code, client secret or other text that must not leak.
///
/// `Debug` shows `Secret([redacted])`, there is no `Display`, equality takes the same time wherever
/// the texts differ, and the memory is wiped on drop. [`expose`](Secret::expose) is the only way to
/// the text, so a search for it finds every place where a secret leaves this crate.
///
/// Wiped are the buffer of each `Secret`, and so each token, code and password that this crate keeps, the
/// body and the secret headers of a [`Request`](crate::Request), the texts of a response that had to be
/// decoded (for escapes in JSON or in a form), and the texts of [`Extras`](crate::token::Extras). Not wiped
/// are:
///
/// - the body of a response and the `String` behind [`expose`](Secret::expose)'s copies, which are yours;
/// - the buffer in which `serde_json` undoes the escapes of a JSON text, and the values of a JSON document
///   that turns out to be broken;
/// - the places in memory that a value was moved from, as moving copies it;
/// - the texts of [`Error`](crate::Error), and the clones of a `Value` that you make.
///
/// ```
/// use oauth2_proto::Secret;
///
/// let secret = Secret::new("fake-secret");
/// assert_eq!(format!("{secret:?}"), "Secret([redacted])");
/// assert_eq!(secret.expose(), "fake-secret");
/// ```
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, for the request that needs it and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Wipes the whole buffer, as two slices: `zeroize` wipes a slice of bytes faster than a `String`.
impl Drop for Secret {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0).into_bytes();
        buffer.as_mut_slice().zeroize();
        buffer.spare_capacity_mut().zeroize();
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        same(self.expose().as_bytes(), other.expose().as_bytes())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

/// Returns whether two texts are the same bytes, in a time that depends on their lengths only.
///
/// Compares eight bytes at a time: `subtle` goes byte by byte, which makes the callback 15 % slower in
/// `cargo bench --bench compare`.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    let (one_words, one_rest) = one.as_chunks();
    let (other_words, other_rest) = other.as_chunks();
    let words = one_words.iter().zip(other_words);
    let equal = words.fold(one_rest.ct_eq(other_rest), |equal, (one, other)| {
        equal & u64::from_ne_bytes(*one).ct_eq(&u64::from_ne_bytes(*other))
    });
    one.len() == other.len() && equal.into()
}

/// Returns whether a text can be a token: it is not empty, and no control character in it can break a header.
pub(crate) fn is_sound(text: &str) -> bool {
    !text.is_empty() && is_printable(text)
}

/// Returns whether a text holds no control characters, of ASCII and beyond.
///
/// Looks for visible ASCII first, in one pass without an early exit, because most tokens are: going character
/// by character makes the token response 10 % slower in `cargo bench --bench compare`.
pub(crate) fn is_printable(text: &str) -> bool {
    text.bytes().fold(true, |is_visible, byte| is_visible & matches!(byte, b' '..=b'~'))
        || !text.chars().any(char::is_control)
}

/// Reads a secret for `#[serde(deserialize_with)]`.
///
/// There is no `impl Deserialize`, because a derive in your program could then store a secret by accident.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<Secret, D::Error> {
    String::deserialize(source).map(Secret::new)
}

/// A text from a callback or a body: a part of it or, if it had to be decoded, a copy that is wiped on drop.
pub(crate) enum Text<'a> {
    Borrowed(&'a str),
    Owned(Secret),
}

impl<'a> Text<'a> {
    pub(crate) fn into_secret(self) -> Secret {
        match self {
            Self::Borrowed(text) => Secret::new(text),
            Self::Owned(secret) => secret,
        }
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Borrowed(text),
            Cow::Owned(text) => Self::Owned(Secret::new(text)),
        }
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(secret) => secret.expose(),
        }
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text([redacted])")
    }
}

/// A code verifier or a `state`: 43 characters in place if this crate made it, and otherwise on the heap.
///
/// Stored in place, so that the start of an authorization keeps its budget of three allocations.
pub(crate) enum ShortSecret {
    Made([u8; 43]),
    Given(Secret),
}

impl ShortSecret {
    /// Encodes 32 random bytes as 43 characters of base64url, the form that RFC 7636 §4.1 recommends.
    pub(crate) fn from_random(random: &[u8; 32]) -> Self {
        let mut text = [b'-'; 43];
        // It fails only if the buffer is too small, and 32 bytes are 43 characters.
        let _ = URL_SAFE_NO_PAD.encode_slice(random, &mut text);
        Self::Made(text)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Made(text) => text,
            Self::Given(secret) => secret.expose().as_bytes(),
        }
    }

    pub(crate) fn expose(&self) -> &str {
        match self {
            Self::Made(text) => std::str::from_utf8(text).unwrap_or_default(),
            Self::Given(secret) => secret.expose(),
        }
    }
}

impl Drop for ShortSecret {
    fn drop(&mut self) {
        if let Self::Made(text) = self {
            text.as_mut_slice().zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let printed = format!("{:?} {:#?}", Secret::new("marked"), Some(Secret::new("marked")));
        assert!(!printed.contains("marked"), "{printed}");
    }

    #[test]
    fn equality_is_by_text() {
        assert_eq!(Secret::new("a"), Secret::from("a"));
        assert_ne!(Secret::new("a"), Secret::new("ab"));
        assert_ne!(Secret::new("a"), Secret::new("b"));
    }

    #[test]
    fn random_bytes_become_43_characters() {
        let secret = ShortSecret::from_random(&[0xff; 32]);
        assert_eq!(secret.expose(), "__________________________________________8");
    }
}
