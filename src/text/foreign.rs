//! Text from outside, escaped for display.

use std::fmt;

/// Text from outside, quoted, escaped and cut for display.
pub(crate) struct Foreign<'a>(pub(crate) &'a str);

impl fmt::Display for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 300;
        match self.0.char_indices().nth(LONGEST) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}…", self.0.get(..end).unwrap_or_default()),
        }
    }
}

impl fmt::Debug for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An address for display, without the parts that may hold a secret: user information, query, fragment.
pub(crate) struct ForeignAddress<'a>(pub(crate) &'a str);

impl fmt::Display for ForeignAddress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.find(['?', '#']).unwrap_or(self.0.len());
        let before = self.0.get(..end).unwrap_or_default();
        let start = before.rfind('@').unwrap_or_default();
        if start > 0 {
            f.write_str("…")?;
        }
        write!(f, "{}", Foreign(before.get(start..).unwrap_or_default()))?;
        if end < self.0.len() { f.write_str("…") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_a_secret() {
        for (address, shown) in [
            ("https://as.example/token", "\"https://as.example/token\""),
            ("https://user:fake@as.example/token", "…\"@as.example/token\""),
            ("https://as.example/cb?key=fake", "\"https://as.example/cb\"…"),
            ("https://as.example/cb#access_token=fake@x", "\"https://as.example/cb\"…"),
            ("https://a@b:fake@as.example?@", "…\"@as.example\"…"),
            ("", "\"\""),
        ] {
            assert_eq!(ForeignAddress(address).to_string(), shown);
        }
    }
}
