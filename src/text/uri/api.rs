//! Addresses of APIs: only those that every server reads in the same way, because a token goes there.

use std::fmt;

use crate::text::foreign::ForeignAddress;
use crate::text::form::{self, hex_value};
use crate::text::uri::{Issuer, Refused, parse_server_address};

/// The address of an API or of one of its resources: a web address whose path means the same to every server.
#[derive(Clone)]
pub(crate) struct ApiAddress {
    origin: String,
    path: String,
}

impl ApiAddress {
    /// Parses the address that a request goes to.
    pub(crate) fn parse(text: &str) -> Result<Self, Refused> {
        let parts = parse_server_address(text)?;
        if leads_elsewhere(parts.path) {
            let why = "has a path that a server may read as another one, by escaped dots, slashes or control \
                       characters; write the path that is meant";
            return Err(Refused::new(text, why));
        }
        if parts.query.into_iter().flat_map(form::pairs).flatten().any(|(name, _)| name == "access_token") {
            let why = "has access_token in its query, where logs keep it; remove it (RFC 6750 section 2.3)";
            return Err(Refused::new(text, why));
        }
        Ok(Self { origin: parts.origin(), path: parts.path_or_slash().to_owned() })
    }

    /// Wraps a constant origin in its normal form.
    pub(crate) fn constant(origin: &'static str) -> Self {
        Self { origin: origin.to_owned(), path: "/".to_owned() }
    }

    /// Parses the address that requests begin with.
    pub(crate) fn parse_base(text: &str) -> Result<Self, Refused> {
        Issuer::parse(text)?;
        Self::parse(text)
    }

    /// Returns whether this address has the base's origin, and a path that begins with all segments of the
    /// base's.
    pub(crate) fn is_under(&self, base: &Self) -> bool {
        let beyond = self.path.strip_prefix(base.path.trim_end_matches('/'));
        self.origin == base.origin && beyond.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for ApiAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&ForeignAddress(&format!("{}{}", self.origin, self.path)), f)
    }
}

impl fmt::Debug for ApiAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns whether a server may find a dot segment or a control character in a path, because it undoes
/// escapes before it splits the path, undoes them repeatedly, takes `\` or a character that looks like a dot
/// or a slash for one, or ends a segment before its parameters.
fn leads_elsewhere(path: &str) -> bool {
    // Servers and proxies undo escapes up to three times.
    const ROUNDS: usize = 3;
    let once = undo_escapes(path.as_bytes());
    // Bytes that are no UTF-8 may be a longer spelling of a dot or a slash.
    if std::str::from_utf8(&once).is_err() {
        return true;
    }
    let plain = ascii_lookalikes(&(1..ROUNDS).fold(once, |path, _| undo_escapes(&path)));
    let is_dots = |segment: &[u8]| {
        let name = segment.split(|byte| matches!(byte, b';' | b'?' | b'#')).next().unwrap_or_default();
        matches!(name.trim_ascii(), b"." | b"..")
    };
    plain.iter().any(u8::is_ascii_control) || plain.split(|byte| matches!(byte, b'/' | b'\\')).any(is_dots)
}

/// Replaces the characters that the compatibility forms of Unicode and the tables of Windows turn into dots
/// and slashes by these.
fn ascii_lookalikes(path: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\u{ff0e}' | '\u{fe52}' | '\u{2024}' => plain.push(b'.'),
                '\u{2025}' => plain.extend(b".."),
                '\u{ff0f}' | '\u{2044}' | '\u{2215}' | '\u{ff3c}' | '\u{fe68}' => plain.push(b'/'),
                other => plain.extend(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        plain.extend(chunk.invalid());
    }
    plain
}

/// Undoes the escapes of a path (RFC 3986 §2.1) once, and those of four digits that some servers read, too.
fn undo_escapes(mut path: &[u8]) -> Vec<u8> {
    let character = |digits: &[u8]| {
        let digits = digits.iter().map(|byte| hex_value(*byte).map(u32::from));
        digits.reduce(|number, digit| Some(number? << 4 | digit?)).flatten().and_then(char::from_u32)
    };
    let mut plain = Vec::with_capacity(path.len());
    while let Some((first, rest)) = path.split_first() {
        if let [b'%', b'u' | b'U', digits @ ..] = path
            && let Some((digits, after)) = digits.split_at_checked(4)
            && let Some(character) = character(digits)
        {
            plain.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
            path = after;
            continue;
        }
        let escape = match rest {
            [high, low, after @ ..] if *first == b'%' => {
                hex_value(*high).zip(hex_value(*low)).map(|it| (it, after))
            }
            _ => None,
        };
        match escape {
            Some(((high, low), after)) => {
                plain.push(high << 4 | low);
                path = after;
            }
            None => {
                plain.push(*first);
                path = rest;
            }
        }
    }
    plain
}
