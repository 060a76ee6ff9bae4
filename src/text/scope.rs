//! A list of scope tokens (RFC 6749 §3.3), kept as it travels: one text with spaces.

use std::fmt;

use crate::error::Error;
use crate::text::foreign::Foreign;

#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Scope(String);

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Foreign(&self.0), f)
    }
}

impl Scope {
    /// Adds the tokens of a caller.
    pub(crate) fn extend(&mut self, tokens: impl IntoIterator<Item = impl AsRef<str>>) -> Result<(), Error> {
        for token in tokens {
            let token = token.as_ref();
            if token.is_empty() || !token.bytes().all(is_scope_character) {
                return Err(Error::misuse(format!(
                    "the scope {} is not one token of RFC 6749 section 3.3: give each scope by itself, in \
                     visible ASCII without \" and \\",
                    Foreign(token)
                )));
            }
            if self.0.is_empty() {
                // One allocation for what most callers ask for.
                self.0.reserve(64);
            } else {
                self.0.push(' ');
            }
            self.0.push_str(token);
        }
        Ok(())
    }

    /// What a server or a store said, which need not keep to the characters.
    pub(crate) fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|token| !token.is_empty())
    }

    /// The tokens that another list lacks.
    pub(crate) fn beyond<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        self.tokens().filter(|token| other.tokens().all(|known| known != *token))
    }
}

fn is_scope_character(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6749_section_3_3_characters() {
        for byte in 0..=0x7f_u8 {
            let token = char::from(byte).to_string();
            let allowed = matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert_eq!(Scope::default().extend([&token]).is_ok(), allowed, "{token:?}");
        }
        assert!(Scope::default().extend(["größe"]).is_err());
        assert!(Scope::default().extend([""]).is_err());
        assert!(Scope::default().extend(["read write"]).is_err());
    }

    #[test]
    fn tokens_are_joined_and_split_in_their_order() {
        let mut scope = Scope::default();
        scope.extend(["b", "a"]).unwrap();
        scope.extend(["c"]).unwrap();
        assert_eq!(scope.as_str(), "b a c");
        assert_eq!(Scope::from_text(" b  a ").tokens().collect::<Vec<_>>(), ["b", "a"]);
    }
}
