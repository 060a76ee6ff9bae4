//! A reader of one JSON object: its known members, each at most once, and all others.
//!
//! The errors of a `#[derive(Deserialize)]` quote the body, which may hold a token, and its way to collect
//! the other members copies every value twice.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use crate::text::foreign::Foreign;

/// The value of a known member.
#[derive(Debug)]
pub(crate) enum Member<'a> {
    /// Missing, or `null`.
    Absent,
    Text(Cow<'a, str>),
    Unsigned(u64),
    /// A number with a sign, a fraction or an exponent, or too large for 64 bits.
    Float(f64),
    Array(Vec<Value>),
    /// A member that is there more than once.
    Repeated,
    /// A boolean, a negative integer or an object, which no known member may be.
    Other(Wiped),
}

/// The members of a response that this crate does not read, such as an `id_token`.
///
/// `Debug` shows their names only, and their texts are wiped on drop.
#[derive(Clone, Default)]
pub struct Extras(pub(crate) Map<String, Value>);

impl Extras {
    /// Returns the value of a member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Returns all members.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Adds a member; the last of the same name stays.
    pub(crate) fn insert(&mut self, name: String, value: Value) {
        if let Some(mut replaced) = self.0.insert(name, value) {
            wipe(&mut replaced);
        }
    }
}

/// Reads an object: the values of these `names` into `members`, in the same order, and all others into the
/// extras.
///
/// Skips one byte-order mark. `Err` says what is wrong without quoting the body.
pub(crate) fn read<'a, const N: usize>(
    body: &'a [u8],
    names: &'static [&'static str; N],
    members: &mut [Member<'a>; N],
) -> Result<Extras, &'static str> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    // One check of the whole body; given bytes, `serde_json` would check each text by itself.
    let body = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8")?;
    let mut reader = serde_json::Deserializer::from_str(body);
    let extras = (&mut reader)
        .deserialize_map(Object { names, members })
        .map_err(|_| "the body is not a JSON object")?;
    reader.end().map_err(|_| "the body is a JSON object followed by something else")?;
    Ok(extras)
}

/// U+FEFF in UTF-8.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

struct Object<'m, 'de, const N: usize> {
    names: &'static [&'static str; N],
    members: &'m mut [Member<'de>; N],
}

impl<'de, const N: usize> Visitor<'de> for Object<'_, 'de, N> {
    type Value = Extras;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Extras, A::Error> {
        let mut seen = [false; N];
        let mut extras = Extras::default();
        while let Some(key) = map.next_key_seed(KeySeed { names: self.names })? {
            match key {
                Key::Known(index) => {
                    let value = map.next_value()?;
                    if let (Some(member), Some(seen)) = (self.members.get_mut(index), seen.get_mut(index)) {
                        *member = if *seen { Member::Repeated } else { value };
                        *seen = true;
                    }
                }
                Key::Other(name) => {
                    extras.0.insert(name, map.next_value()?);
                }
            }
        }
        Ok(extras)
    }
}

enum Key {
    Known(usize),
    Other(String),
}

struct KeySeed {
    names: &'static [&'static str],
}

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Key, D::Error> {
        source.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Key, E> {
        Ok(match self.names.iter().position(|known| *known == name) {
            Some(index) => Key::Known(index),
            None => Key::Other(name.to_owned()),
        })
    }
}

impl<'de> Deserialize<'de> for Member<'de> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(MemberVisitor)
    }
}

struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Member<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Member::Absent)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Member::Other(Wiped(value.into())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Member::Unsigned(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Member::Other(Wiped(number.into())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Member::Float(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Member::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Member::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Member::Array(values))
    }

    /// Takes an object, or a number: with `serde_json`'s feature `arbitrary_precision`, which any crate of a
    /// program can switch on for all, a number that is no 64-bit integer comes as a map that only the types
    /// of `serde_json` can read.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let value = Wiped(Value::deserialize(MapAccessDeserializer::new(map))?);
        Ok(value.0.as_f64().map_or(Member::Other(value), Member::Float))
    }
}

impl Drop for Extras {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

/// Shows the names only: a value may be a token that this crate does not know, such as an `id_token`.
impl fmt::Debug for Extras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 20;
        let names = self.0.keys().take(MOST).map(|name| (Foreign(name), "[redacted]"));
        let mut map = f.debug_map();
        map.entries(names);
        if self.0.len() > MOST { map.finish_non_exhaustive() } else { map.finish() }
    }
}

/// A value whose texts are wiped on drop.
pub(crate) struct Wiped(Value);

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl fmt::Debug for Wiped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wiped([redacted])")
    }
}

impl Member<'_> {
    /// Returns the value of a member that is no text.
    pub(crate) fn into_value(self) -> Option<Value> {
        match self {
            Self::Absent | Self::Text(_) | Self::Repeated => None,
            Self::Unsigned(number) => Some(number.into()),
            Self::Float(number) => Some(number.into()),
            Self::Array(values) => Some(values.into()),
            Self::Other(mut value) => Some(std::mem::take(&mut value.0)),
        }
    }
}

impl Extras {
    /// Replaces the members that `is_secret` finds in their texts, numbers and names: a value by the note, a member
    /// whose name is one by nothing. All go where the members are many, which bounds the number of calls.
    pub(crate) fn redact(&mut self, is_secret: impl Fn(&str) -> bool, note: &str) {
        const MOST: usize = 64;
        let joined = |values: &[(&str, &Value)]| {
            let each = |take: &mut dyn FnMut(&str)| {
                values.iter().for_each(|(name, value)| {
                    take(name);
                    visit_texts(value, take);
                });
            };
            let mut length = 0;
            each(&mut |text| length += text.len() + 1);
            // It never grows, which would leave a copy behind.
            let mut joined = String::with_capacity(length);
            each(&mut |text| {
                joined.push_str(text);
                joined.push('\n');
            });
            Zeroizing::new(joined)
        };
        let all: Vec<_> = self.iter().collect();
        if all.is_empty() || !is_secret(&joined(&all)) {
            return;
        }
        if all.len() > MOST {
            *self = Self::default();
            return;
        }
        self.0.retain(|name, value| {
            if is_secret(&joined(&[("", value)])) {
                wipe(value);
                *value = note.into();
            }
            !is_secret(name)
        });
    }
}

/// Visits all texts, numbers and names in a value.
fn visit_texts(value: &Value, take: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => take(text),
        Value::Number(number) => take(&number.to_string()),
        Value::Array(values) => values.iter().for_each(|value| visit_texts(value, take)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            take(name);
            visit_texts(value, take);
        }),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Wipes every text in a value; recurses 128 levels at most, the limit of the reader.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str; 2] = &["a", "b"];

    fn read(body: &str) -> Result<([Member<'_>; 2], Extras), &'static str> {
        let mut members = [Member::Absent, Member::Absent];
        let extras = super::read(body.as_bytes(), NAMES, &mut members)?;
        Ok((members, extras))
    }

    #[test]
    fn known_members_come_in_the_order_asked_for() {
        let ([a, b], extras) = read(r#"{"b":1,"x":[2],"a":"t"}"#).unwrap();
        assert!(matches!(a, Member::Text(Cow::Borrowed("t"))) && matches!(b, Member::Unsigned(1)));
        assert_eq!(extras.0.get("x"), Some(&serde_json::json!([2])));
    }

    #[test]
    fn a_repeated_member_is_told_even_if_one_is_null() {
        for body in [r#"{"a":1,"a":1}"#, r#"{"a":null,"a":1}"#, r#"{"a":1,"\u0061":1,"b":2}"#] {
            let ([a, _], _) = read(body).unwrap();
            assert!(matches!(a, Member::Repeated), "{body}");
        }
    }

    #[test]
    fn messages_do_not_quote_the_body() {
        for body in ["{\"a\":marked}", "\"marked\"", "{\"a\":1}marked", "marked", "[\"marked\"]"] {
            assert!(!read(body).unwrap_err().contains("marked"), "{body}");
        }
    }

    #[test]
    fn of_many_members_some_names_are_printed_and_that_there_are_more() {
        for (number, ends) in [(1, "}"), (20, "}"), (21, "..}")] {
            let members: Vec<_> = (0..number).map(|index| format!("\"x{index}\":1")).collect();
            let (_, extras) = read(&format!("{{{}}}", members.join(","))).unwrap();
            let shown = format!("{extras:?}");
            assert_eq!(shown.matches("[redacted]").count(), number.min(20), "{shown}");
            assert!(shown.ends_with(ends) && shown.contains("..") == (number > 20), "{shown}");
        }
    }

    #[test]
    fn every_text_in_a_value_is_wiped() {
        let mut value = serde_json::json!({"a": "fake", "b": ["fake", {"c": "fake"}], "d": 1});
        wipe(&mut value);
        assert_eq!(value, serde_json::json!({"a": "", "b": ["", {"c": ""}], "d": 1}));
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(&deep(100)).is_ok());
        assert!(read(&deep(1000)).is_err());
    }
}
