//! A list of scope tokens (RFC 6749 §3.3), kept as it travels: one text with spaces.

use std::collections::BTreeSet;
use std::fmt;

use crate::text::foreign::Foreign;

/// The scopes of a request or of a grant.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Scope(String);

impl Scope {
    /// Parses a list that this crate put together from tokens.
    pub(crate) fn parse(text: String) -> Result<Self, Refused> {
        if !text.is_empty() {
            text.split(' ').try_for_each(|token| ScopeToken::parse(token).map(|_| ()))?;
        }
        Ok(Self(text))
    }

    /// Takes a server's list as it is: it may hold other characters and more spaces.
    pub(crate) fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Parses and adds tokens; those before the first that is refused stay.
    pub(crate) fn extend(
        &mut self,
        tokens: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<(), Refused> {
        tokens.into_iter().try_for_each(|token| {
            self.push(ScopeToken::parse(token.as_ref())?);
            Ok(())
        })
    }

    /// Adds the tokens that are not there yet; skips texts that are no tokens.
    pub(crate) fn add_missing<'a>(&mut self, tokens: impl IntoIterator<Item = &'a str>) {
        let before = std::mem::take(self);
        let mut known = BTreeSet::new();
        for token in before.tokens().chain(tokens.into_iter().map(|token| token as &str)) {
            if let Ok(token) = ScopeToken::parse(token)
                && known.insert(token.0)
            {
                self.push(token);
            }
        }
    }

    fn push(&mut self, token: ScopeToken<'_>) {
        if self.0.is_empty() {
            // Room for a few scopes, so that most requests allocate once.
            self.0.reserve(64);
        } else {
            self.0.push(' ');
        }
        self.0.push_str(token.0);
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|token| !token.is_empty())
    }

    /// Returns the tokens that `other` lacks.
    pub(crate) fn beyond<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        self.tokens().filter(|token| other.tokens().all(|known| known != *token))
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Foreign(&self.0), f)
    }
}

/// One scope: visible ASCII without `"` and `\` (RFC 6749 §3.3).
struct ScopeToken<'a>(&'a str);

impl<'a> ScopeToken<'a> {
    fn parse(text: &'a str) -> Result<Self, Refused> {
        if text.is_empty() || !text.bytes().all(is_scope_character) {
            return Err(Refused(Foreign(text).to_string()));
        }
        Ok(Self(text))
    }
}

/// A text that is not one scope token; its `Display` continues a sentence that begins with "the scope ".
#[derive(Debug)]
pub(crate) struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is not one token of RFC 6749 section 3.3; give each scope by itself, in visible ASCII \
             without \" and \\",
            self.0
        )
    }
}

/// Returns whether a scope may hold this byte (RFC 6749 §3.3).
pub(crate) fn is_scope_character(byte: u8) -> bool {
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
    fn a_list_is_parsed_as_it_was_put_together() {
        for (text, sound) in
            [("", true), ("a", true), ("b a:c", true), (" ", false), ("a  b", false), ("a\nb", false)]
        {
            assert_eq!(Scope::parse(text.to_owned()).is_ok(), sound, "{text:?}");
        }
    }

    #[test]
    fn a_union_keeps_the_order_and_holds_each_token_once() {
        let mut scope = Scope::from_text("b a");
        scope.add_missing(["a", "c", "ö", "", "c d", "b", "c"]);
        assert_eq!(scope.as_str(), "b a c");
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
