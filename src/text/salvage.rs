//! A tolerant reader of one JSON object, for bodies that `serde_json` refuses.
//!
//! The server of a broken success has rotated the refresh token, so losing that token ends the authorization.
//! The reader tracks texts, escapes and brackets only, in one pass and without recursion. It never guesses
//! where a member begins: the first byte that no JSON has there ends it.

use serde_json::{Map, Value};

use crate::text::json::{self, Extras, Member, Wiped};

/// The maximum depth of nesting in a body, including the object itself.
pub(crate) const MAX_DEPTH: u32 = 128;

/// Reads an object like [`json::read`], and skips each other member whose name or value is unreadable,
/// because of stray bytes, broken escapes or broken numbers.
///
/// Returns the extras and, if anything else is damaged, a description of the damage that does not quote the
/// body. `members` then holds the members before the damage.
pub(crate) fn read<'a, const N: usize>(
    body: &'a [u8],
    names: &'static [&'static str; N],
    members: &mut [Member<'a>; N],
) -> (Extras, Option<&'static str>) {
    *members = [const { Member::Absent }; N];
    let mut extras = Extras::default();
    let mut seen = [false; N];
    let mut scanner = Scanner { body: json::without_mark(body), at: 0, flaw: None };
    let mut next = scanner.first_member();
    loop {
        let (name, value) = match next {
            Ok(Some(member)) => member,
            Ok(None) => return (extras, scanner.flaw),
            Err(damage) => return (extras, Some(damage)),
        };
        let name: Option<String> = json::read_alone(name);
        let known = name.as_ref().and_then(|name| names.iter().position(|known| known == name));
        match (known.and_then(|index| members.get_mut(index).zip(seen.get_mut(index))), name) {
            (Some((member, seen)), _) => member.set(value.map_or(Member::Unreadable, read_member), seen),
            (None, Some(name)) => {
                if let Some(value) = value.ok().and_then(read_value) {
                    extras.insert(name, value);
                }
            }
            (None, None) => {}
        }
        next = value.and_then(|_| scanner.next_member());
    }
}

/// Reads the value of a known member.
fn read_member(value: &[u8]) -> Member<'_> {
    let unreadable =
        if value.starts_with(b"\"") { Member::Unreadable } else { Member::Other(Wiped::default()) };
    json::read_alone(value).unwrap_or(unreadable)
}

/// Reads the value of another member, without recursion.
fn read_value(value: &[u8]) -> Option<Value> {
    let mut open = Vec::new();
    let value = Scanner { body: value, at: 0, flaw: None }.build(&mut open);
    open.iter_mut().for_each(Open::wipe);
    value
}

/// An array or an object whose end is to come.
enum Open {
    Array(Vec<Value>),
    /// Its members, and the name of the next one.
    Object(Map<String, Value>, String),
}

impl Open {
    fn wipe(&mut self) {
        match self {
            Self::Array(values) => values.iter_mut().for_each(json::wipe),
            Self::Object(members, _) => members.values_mut().for_each(json::wipe),
        }
    }
}

pub(crate) const NO_OBJECT: &str = "the body is not a JSON object";
const CUT_OFF: &str = "the JSON object in the body is cut off";
const BROKEN: &str = "the JSON object in the body is broken";
const TOO_DEEP: &str = "the JSON object in the body is nested too deeply";
const TRAILING: &str = "the body is a JSON object followed by something else";
const NO_VALUE: &str = "the JSON object in the body holds a word that is no JSON";
const CONTROL: &str = "the JSON object in the body holds a control character";

struct Scanner<'a> {
    body: &'a [u8],
    at: usize,
    /// Damage that leaves the places of all members known.
    flaw: Option<&'static str>,
}

/// The name of a member, and its value or its damage.
type RawMember<'a> = (&'a [u8], Result<&'a [u8], &'static str>);

impl<'a> Scanner<'a> {
    fn first_member(&mut self) -> Result<Option<RawMember<'a>>, &'static str> {
        match self.skip_space() {
            Some(b'{') => self.at += 1,
            _ => return Err(NO_OBJECT),
        }
        match self.skip_space() {
            Some(b'}') => self.end(),
            _ => self.member().map(Some),
        }
    }

    fn next_member(&mut self) -> Result<Option<RawMember<'a>>, &'static str> {
        match self.skip_space() {
            Some(b'}') => self.end(),
            Some(b',') => {
                self.at += 1;
                self.skip_space();
                self.member().map(Some)
            }
            Some(_) => Err(BROKEN),
            None => Err(CUT_OFF),
        }
    }

    fn end(&mut self) -> Result<Option<RawMember<'a>>, &'static str> {
        self.at += 1;
        if self.skip_space().is_some() { Err(TRAILING) } else { Ok(None) }
    }

    fn member(&mut self) -> Result<RawMember<'a>, &'static str> {
        let name = self.text()?;
        let value = match self.skip_space() {
            Some(b':') => {
                self.at += 1;
                self.value()
            }
            Some(_) => Err(BROKEN),
            None => Err(CUT_OFF),
        };
        Ok((name, value))
    }

    fn value(&mut self) -> Result<&'a [u8], &'static str> {
        match self.skip_space() {
            Some(b'"') => self.text(),
            Some(b'{' | b'[') => self.container(),
            Some(_) => Ok(self.bare()),
            None => Err(CUT_OFF),
        }
    }

    /// Scans a number or a literal.
    fn bare(&mut self) -> &'a [u8] {
        let start = self.at;
        while self.peek().is_some_and(is_bare) {
            self.at += 1;
        }
        let word = self.since(start);
        let is_number =
            || word.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        if word.is_empty() || !(matches!(word, b"true" | b"false" | b"null") || is_number()) {
            self.flaw = Some(NO_VALUE);
        }
        word
    }

    /// Scans an array or an object. Beyond the maximum depth it only counts the brackets.
    fn container(&mut self) -> Result<&'a [u8], &'static str> {
        let start = self.at;
        let mut depth = 1;
        // The kinds of the open brackets, the innermost one last: 1 is an object.
        let mut kinds = 0_u128;
        loop {
            match self.peek().ok_or(CUT_OFF)? {
                b'"' => {
                    self.text()?;
                    continue;
                }
                byte if is_bare(byte) => {
                    self.bare();
                    continue;
                }
                bracket @ (b'{' | b'[') => {
                    depth += 1;
                    match depth > MAX_DEPTH {
                        true => self.flaw = Some(TOO_DEEP),
                        false => kinds = kinds << 1 | u128::from(bracket == b'{'),
                    }
                }
                bracket @ (b'}' | b']') => {
                    if depth <= MAX_DEPTH {
                        if kinds & 1 != u128::from(bracket == b'}') {
                            return Err(BROKEN);
                        }
                        kinds >>= 1;
                    }
                    depth -= 1;
                }
                byte if is_space(byte) || matches!(byte, b',' | b':') => {}
                _ => return Err(BROKEN),
            }
            self.at += 1;
            if depth == 1 {
                return Ok(self.since(start));
            }
        }
    }

    /// Builds the value that the scanner stands before. `open` holds what is not finished.
    fn build(&mut self, open: &mut Vec<Open>) -> Option<Value> {
        loop {
            let mut value = match self.skip_space()? {
                b'[' if open.len() < MAX_DEPTH as usize => {
                    self.at += 1;
                    if self.skip_space()? != b']' {
                        open.push(Open::Array(Vec::new()));
                        continue;
                    }
                    self.at += 1;
                    Value::Array(Vec::new())
                }
                b'{' if open.len() < MAX_DEPTH as usize => {
                    self.at += 1;
                    if self.skip_space()? != b'}' {
                        open.push(Open::Object(Map::new(), self.build_name()?));
                        continue;
                    }
                    self.at += 1;
                    Value::Object(Map::new())
                }
                b'"' => json::read_value(self.text().ok()?)?,
                _ => json::read_value(self.bare())?,
            };
            // Close what ends after this value.
            loop {
                let Some(innermost) = open.last_mut() else { return Some(value) };
                let end = match innermost {
                    Open::Array(values) => {
                        values.push(value);
                        b']'
                    }
                    Open::Object(members, name) => {
                        if let Some(mut replaced) = members.insert(std::mem::take(name), value) {
                            json::wipe(&mut replaced);
                        }
                        b'}'
                    }
                };
                match self.skip_space()? {
                    b',' => {
                        self.at += 1;
                        if let Open::Object(_, name) = innermost {
                            *name = self.build_name()?;
                        }
                        break;
                    }
                    byte if byte == end => self.at += 1,
                    _ => return None,
                }
                value = match open.pop()? {
                    Open::Array(mut values) => {
                        values.shrink_to_fit();
                        Value::Array(values)
                    }
                    Open::Object(members, _) => Value::Object(members),
                };
            }
        }
    }

    fn build_name(&mut self) -> Option<String> {
        self.skip_space();
        let name = json::read_alone(self.text().ok()?)?;
        (self.skip_space()? == b':').then(|| self.at += 1)?;
        Some(name)
    }

    /// Scans a text with its quotes.
    fn text(&mut self) -> Result<&'a [u8], &'static str> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => self.at += 1,
            Some(_) => return Err(BROKEN),
            None => return Err(CUT_OFF),
        }
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(self.since(start));
                }
                Some(b'\\') => self.at += 2,
                Some(byte) => {
                    if byte < b' ' {
                        self.flaw = Some(CONTROL);
                    }
                    self.at += 1;
                }
                None => return Err(CUT_OFF),
            }
        }
    }

    fn skip_space(&mut self) -> Option<u8> {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
        self.peek()
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn since(&self, start: usize) -> &'a [u8] {
        self.body.get(start..self.at).unwrap_or_default()
    }
}

/// Returns whether a byte can be a part of a number or a literal, also of those that JSON does not know.
fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
