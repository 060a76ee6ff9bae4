//! The grammar of `WWW-Authenticate` (RFC 9110 §11.6.1).

use crate::challenge::Challenge;

/// Reads the challenges of one header line up to the first broken one, in linear time.
///
/// A comma separates both challenges and the parameters of one, so only what follows a name tells which it
/// is: a parameter has `=`, and the scheme of the next challenge has a space, a comma or the end.
pub(super) fn read_line(line: &[u8], challenges: &mut Vec<Challenge>) {
    let rest = &mut &*line;
    skip_separators(rest);
    let mut next = Some(take_while(rest, is_token_character)).filter(|scheme| !scheme.is_empty());
    while let Some(scheme) = next {
        let Some((challenge, following)) = read_challenge(scheme, rest) else { return };
        challenges.push(challenge);
        next = following;
    }
}

/// Reads what follows a scheme. Returns the challenge and the next scheme, if there is one; `None` if the
/// challenge is broken.
fn read_challenge<'a>(scheme: &[u8], rest: &mut &'a [u8]) -> Option<(Challenge, Option<&'a [u8]>)> {
    let mut challenge = Challenge { scheme: to_lower_case(scheme), params: Vec::new(), token68: None };
    let mut takes_params = !take_while(rest, |byte| byte == b' ').is_empty();
    if takes_params && let Some(token68) = take_token68(rest) {
        challenge.token68 = Some(to_text(token68.to_vec()));
        takes_params = false;
    }
    // The first parameter follows a space, each other element a comma.
    let mut may_begin = takes_params;
    loop {
        let is_separated = skip_separators(rest);
        if rest.is_empty() {
            return Some((challenge, None));
        }
        if !is_separated && !may_begin {
            return None;
        }
        may_begin = false;
        let name = take_while(rest, is_token_character);
        let after_name = *rest;
        take_while(rest, is_blank);
        let is_param = takes_params && !name.is_empty() && skip(rest, b'=');
        if !is_param {
            *rest = after_name;
            // A name that begins no parameter is the scheme of the next challenge, or this one is broken.
            let ends = !takes_params || (is_separated && !name.is_empty() && ends_scheme(after_name));
            return ends.then_some((challenge, Some(name).filter(|name| !name.is_empty())));
        }
        take_while(rest, is_blank);
        challenge.params.push((to_lower_case(name), to_text(take_value(rest)?)));
    }
}

/// Takes a single value if it stands alone (RFC 9110 §11.2).
fn take_token68<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let before = *rest;
    let letters = take_while(rest, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
    });
    let padding = take_while(rest, |byte| byte == b'=');
    if !letters.is_empty() && ends_element(rest) {
        return before.get(..letters.len() + padding.len());
    }
    *rest = before;
    None
}

/// Takes the value of a parameter: a token or a quoted text, whose escapes it undoes.
fn take_value(rest: &mut &[u8]) -> Option<Vec<u8>> {
    if !skip(rest, b'"') {
        let token = take_while(rest, is_token_character);
        return (!token.is_empty()).then(|| token.to_vec());
    }
    let mut text = Vec::new();
    loop {
        let (mut first, mut others) = rest.split_first()?;
        if *first == b'"' {
            *rest = others;
            return Some(text);
        }
        if *first == b'\\' {
            (first, others) = others.split_first()?;
        }
        // An escape does not make a control character valid.
        if first.is_ascii_control() && *first != b'\t' {
            return None;
        }
        text.push(*first);
        *rest = others;
    }
}

/// Skips blanks and commas, between which list elements may be empty (RFC 9110 §5.6.1). Returns whether there
/// was a comma.
fn skip_separators(rest: &mut &[u8]) -> bool {
    take_while(rest, |byte| is_blank(byte) || byte == b',').contains(&b',')
}

fn ends_scheme(after: &[u8]) -> bool {
    after.starts_with(b" ") || ends_element(after)
}

fn ends_element(mut after: &[u8]) -> bool {
    take_while(&mut after, is_blank);
    after.is_empty() || after.starts_with(b",")
}

/// Takes the bytes at the start that are of one kind.
fn take_while<'a>(rest: &mut &'a [u8], is_of_kind: impl Fn(u8) -> bool) -> &'a [u8] {
    let end = rest.iter().position(|byte| !is_of_kind(*byte)).unwrap_or(rest.len());
    let (taken, others) = rest.split_at_checked(end).unwrap_or((rest, &[]));
    *rest = others;
    taken
}

/// Skips one byte; returns whether it was there.
fn skip(rest: &mut &[u8], wanted: u8) -> bool {
    let others = rest.strip_prefix(&[wanted]);
    *rest = others.unwrap_or(rest);
    others.is_some()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Returns whether a token may hold this byte (RFC 9110 §5.6.2).
pub(super) fn is_token_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn to_lower_case(token: &[u8]) -> String {
    token.iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect()
}

/// Reads UTF-8, and any other bytes as ISO 8859-1, in which every byte is the character of its number.
fn to_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| error.as_bytes().iter().map(|byte| char::from(*byte)).collect())
}
