//! `application/x-www-form-urlencoded`, as RFC 6749 appendix B requires.
//!
//! Writing escapes everything but `A-Z a-z 0-9 * - . _` and turns a space into `+`; reading refuses what
//! is not UTF-8 instead of replacing it, because a replaced character would change a code or a state.
//! The crate has its own writer so that a body with secrets is built in one buffer, which is wiped
//! afterwards; tests and a fuzz target compare it with the `url` crate.

use std::borrow::Cow;

use zeroize::Zeroize;

/// Appends `&name=value`, without the `&` at the start and after another; `name` must need no escaping.
pub(crate) fn push_pair(out: &mut String, name: &str, value: &str) {
    if !matches!(out.as_bytes().last(), None | Some(b'&')) {
        out.push('&');
    }
    out.push_str(name);
    out.push('=');
    push_escaped(out, value);
}

/// Appends a value, escaped: copies the runs of literal bytes, and escapes each byte between them.
pub(crate) fn push_escaped(out: &mut String, value: &str) {
    let mut start = 0;
    for (index, byte) in value.bytes().enumerate() {
        if is_literal(byte) {
            continue;
        }
        // A run that is not empty is ASCII, so it begins and ends between two characters.
        out.push_str(value.get(start..index).unwrap_or_default());
        push_escape(out, byte);
        start = index + 1;
    }
    out.push_str(value.get(start..).unwrap_or_default());
}

/// Returns a name or a value, escaped.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_escaped(&mut out, text);
    out
}

fn push_escape(out: &mut String, byte: u8) {
    if byte == b' ' {
        out.push('+');
    } else {
        out.push('%');
        out.push(hex_digit(byte >> 4));
        out.push(hex_digit(byte & 15));
    }
}

/// Returns the maximum number of bytes that `push_pair` appends. A buffer with this room never grows, and so
/// leaves no copy of a secret behind.
pub(crate) fn room_for(name: &str, value: &str) -> usize {
    let escaped = value.len().saturating_mul(3);
    name.len().saturating_add(escaped).saturating_add(2)
}

/// Decodes the pairs of a query or body, in order; `None` for a pair that is not UTF-8.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = Option<(Cow<'_, str>, Cow<'_, str>)>> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((unescape(name)?, unescape(value)?))
    })
}

/// Decodes the names and values of a body that may hold other bytes than text, in order; `None` for a name or
/// a value that is not UTF-8.
pub(crate) fn parts(body: &[u8]) -> impl Iterator<Item = (Option<Cow<'_, str>>, Option<Cow<'_, str>>)> {
    let decode = |part| std::str::from_utf8(part).ok().and_then(unescape);
    body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        (decode(halves.next().unwrap_or_default()), decode(halves.next().unwrap_or_default()))
    })
}

/// Decodes a name or a value; `None` if it is not UTF-8. A `%` without two hex digits stays as it is.
pub(crate) fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| matches!(byte, b'+' | b'%')) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after_escape @ ..]) => match (hex_value(*high), hex_value(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = after_escape;
                }
                _ => bytes.push(byte),
            },
            _ => bytes.push(byte),
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => Some(Cow::Owned(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            None
        }
    }
}

fn is_literal(byte: u8) -> bool {
    LITERAL.get(usize::from(byte)) == Some(&true)
}

/// Marks the bytes that are written without an escape.
#[expect(clippy::indexing_slicing, reason = "the compiler runs it, so an index out of bounds does not build")]
const LITERAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'-' | b'.' | b'_');
        byte += 1;
    }
    table
};

fn hex_digit(nibble: u8) -> char {
    char::from(*b"0123456789ABCDEF".get(usize::from(nibble)).unwrap_or(&b'0'))
}

/// Returns the value of a hex digit.
pub(crate) fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use url::form_urlencoded;

    #[test]
    fn rfc6749_appendix_b_example() {
        assert_eq!(escaped(" %&+£€"), "+%25%26%2B%C2%A3%E2%82%AC");
    }

    #[test]
    fn a_pair_is_joined_only_where_something_stands_before_it() {
        for (before, after) in [("", "a=1"), ("x=y", "x=y&a=1"), ("x=?", "x=?&a=1"), ("q&", "q&a=1")] {
            let mut out = before.to_owned();
            push_pair(&mut out, "a", "1");
            assert_eq!(out, after);
        }
    }

    #[test]
    fn a_pair_that_is_not_utf8_is_reported() {
        for text in ["%FF=x", "x=%FF", "x=%E2%82"] {
            assert_eq!(pairs(text).next(), Some(None), "{text}");
        }
    }

    #[test]
    fn a_broken_escape_stays_as_it_is() {
        for text in ["%", "%4", "%zz", "%%41"] {
            let read: Vec<_> = pairs(text).flatten().map(|(name, _)| name.into_owned()).collect();
            let theirs: Vec<_> =
                form_urlencoded::parse(text.as_bytes()).map(|(name, _)| name.into_owned()).collect();
            assert_eq!(read, theirs, "{text}");
        }
    }

    proptest! {
        #[test]
        fn writing_agrees_with_url(value: String) {
            let theirs: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
            prop_assert_eq!(escaped(&value), theirs);
        }

        #[test]
        fn what_was_written_is_read_back_in_the_room_that_was_promised(value: String) {
            let mut out = String::new();
            push_pair(&mut out, "name", &value);
            prop_assert!(out.len() <= room_for("name", &value));
            let read: Vec<_> = pairs(&out).collect();
            prop_assert_eq!(read, vec![Some(("name".into(), value.into()))]);
        }

        #[test]
        fn reading_agrees_with_url_where_the_text_is_utf8(text in "[a-z%+&=0-9A-F]{0,40}") {
            let ours: Option<Vec<_>> = pairs(&text).collect();
            if let Some(ours) = ours {
                let theirs: Vec<_> = form_urlencoded::parse(text.as_bytes()).collect();
                prop_assert_eq!(ours, theirs);
            }
        }
    }
}
