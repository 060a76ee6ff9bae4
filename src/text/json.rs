//! A reader of one JSON object: its known members, each at most once, and all others.
//!
//! The errors of a `#[derive(Deserialize)]` quote the body, which may hold a token, and its way to collect
//! the other members copies every value twice.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use zeroize::{Zeroize, Zeroizing};

use crate::text::foreign::Foreign;
use crate::text::secret::{Secret, Text};

/// The value of a known member.
#[derive(Debug)]
pub(crate) enum Member<'a> {
    /// Missing, or `null`.
    Absent,
    Text(Text<'a>),
    Unsigned(u64),
    /// A negative integer of at most 64 bits.
    Negative(i64),
    /// A number with a fraction or an exponent, or too large for 64 bits.
    Float(f64),
    Array(Vec<Value>),
    /// A member that is there more than once.
    Repeated,
    /// A text that is cut off or cannot be decoded, or a member without a value.
    Unreadable,
    /// A boolean, an object or a broken number, which no known member may be.
    Other(Wiped),
}

/// The members of a response that this crate does not read, such as `patient`.
///
/// `Debug` shows their names only, and their texts are wiped on drop. The `id_token` of a token response is
/// not among them: [`id_token`](Self::id_token) returns what checks it.
#[derive(Clone, Default)]
pub struct Extras {
    members: Map<String, Value>,
    pub(crate) id_token: Option<Box<WithheldIdToken>>,
}

/// The `id_token` of a token response. Nobody gets it before it is checked.
#[derive(Clone)]
pub(crate) struct WithheldIdToken {
    /// `None` if the member is no text.
    pub(crate) token: Option<Secret>,
    /// The access token that came with it.
    pub(crate) access_token: Secret,
}

impl Extras {
    /// Returns the value of a member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// Returns all members.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.members.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Removes a member.
    pub(crate) fn remove(&mut self, name: &str) {
        if let Some(mut removed) = self.members.remove(name) {
            wipe(&mut removed);
        }
    }

    /// Takes the `id_token` out of the members of a token response.
    pub(crate) fn withhold_id_token(&mut self, access_token: &Secret) {
        let token = match self.members.remove("id_token") {
            None | Some(Value::Null) => return,
            Some(Value::String(token)) => Some(Secret::new(token)),
            Some(mut value) => {
                wipe(&mut value);
                None
            }
        };
        self.id_token = Some(Box::new(WithheldIdToken { token, access_token: access_token.clone() }));
    }

    /// Adds a member; the last of the same name stays.
    pub(crate) fn insert(&mut self, name: String, value: Value) {
        if let Some(mut replaced) = self.members.insert(name, value) {
            wipe(&mut replaced);
        }
    }
}

/// Reads an object: the values of these `names` into `members`, in the same order, and all others into the
/// extras.
///
/// Skips one byte-order mark. Returns `None` for anything but a sound object; `members` then holds a part of
/// it.
pub(crate) fn read<'a, const N: usize>(
    body: &'a [u8],
    names: &'static [&'static str; N],
    members: &mut [Member<'a>; N],
) -> Option<Extras> {
    // One check of the whole body; given bytes, `serde_json` would check each text by itself.
    let body = std::str::from_utf8(without_mark(body)).ok()?;
    let mut reader = serde_json::Deserializer::from_str(body);
    let extras = (&mut reader).deserialize_map(Object { names, members }).ok()?;
    reader.end().ok()?;
    Some(extras)
}

/// Reads an object of any format, as [`read`] does with JSON.
pub(crate) fn read_from<'de, D: Deserializer<'de>, const N: usize>(
    source: D,
    names: &'static [&'static str; N],
    members: &mut [Member<'de>; N],
) -> Result<Extras, D::Error> {
    source.deserialize_map(Object { names, members })
}

/// Skips one byte-order mark.
pub(crate) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Returns whether a body is JSON of at most 128 levels, and each of its texts and numbers can be read.
pub(crate) fn is_sound(body: &[u8]) -> bool {
    let body = std::str::from_utf8(without_mark(body));
    body.is_ok_and(|body| serde_json::from_str::<Sound>(body).is_ok())
}

/// A value that is read in full and kept nowhere. `IgnoredAny` reads neither escapes nor numbers.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

/// Reads a value of any kind that stands alone.
pub(crate) fn read_value(json: &[u8]) -> Option<Value> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = PlainSeed { levels: LEVELS }.deserialize(&mut reader).ok()?.value;
    reader.end().ok()?;
    Some(value)
}

/// Reads a text, a number or a known member that stands alone.
pub(crate) fn read_alone<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Option<T> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = T::deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(value)
}

impl Member<'_> {
    /// Sets a member, and marks one that is set again.
    pub(crate) fn set(&mut self, value: Self, seen: &mut bool) {
        *self = if *seen { Self::Repeated } else { value };
        *seen = true;
    }
}

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
                        member.set(value, seen);
                    }
                }
                Key::Other(name) => {
                    extras.insert(name, map.next_value_seed(PlainSeed { levels: LEVELS })?.value);
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
        Ok(Member::Negative(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Member::Float(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Member::Text(Text::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Member::Text(Text::Owned(Secret::new(text))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(PlainSeed { levels: LEVELS })? {
            values.push(value.value);
        }
        Ok(Member::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let value = Wiped(read_map(map, LEVELS)?);
        Ok(value.0.as_f64().map_or(Member::Other(value), Member::Float))
    }
}

/// The maximum depth of nesting inside a member, because each level needs a part of the stack. The reader in
/// [`salvage`](crate::text::salvage) takes deeper bodies.
const LEVELS: usize = 16;

/// Reads a value of any kind, whose names are ordinary texts.
///
/// `Value` treats some private names of `serde_json` as instructions if another crate of the program enables
/// a feature. With `raw_value` one of them makes `Value` parse a text, with a new limit on nesting.
#[derive(Clone, Copy)]
struct PlainSeed {
    /// The number of levels of nesting that may follow.
    levels: usize,
}

struct Plain {
    value: Value,
    /// True for a text that the source passed as an owned string. `serde_json` does so with the digits of a
    /// number, and with no text of a document.
    is_given_away: bool,
}

impl From<Value> for Plain {
    fn from(value: Value) -> Self {
        Self { value, is_given_away: false }
    }
}

impl<'de> DeserializeSeed<'de> for PlainSeed {
    type Value = Plain;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Plain, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PlainSeed {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Plain, E> {
        Ok(Value::Null.into())
    }

    fn visit_bool<E>(self, value: bool) -> Result<Plain, E> {
        Ok(Value::from(value).into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Plain, E> {
        Ok(Value::from(number).into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Plain, E> {
        Ok(Value::from(number).into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Plain, E> {
        Ok(Value::from(number).into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Plain, E> {
        Ok(Value::from(text).into())
    }

    fn visit_string<E>(self, text: String) -> Result<Plain, E> {
        Ok(Plain { value: Value::from(text), is_given_away: true })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Plain, A::Error> {
        let inner = self.inner()?;
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(inner)? {
            values.push(value.value);
        }
        // A list of one value has room for four, each of which is 16 times as long as its text can be.
        values.shrink_to_fit();
        Ok(Value::from(values).into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Plain, A::Error> {
        Ok(read_map(map, self.levels)?.into())
    }
}

impl PlainSeed {
    fn inner<E: Error>(self) -> Result<Self, E> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| E::custom("too many levels"))?;
        Ok(Self { levels })
    }
}

/// Reads an object, or a number: with `serde_json`'s feature `arbitrary_precision` a number that is no 64-bit
/// integer comes as a map of its digits, which counts as a level.
fn read_map<'de, A: MapAccess<'de>>(mut map: A, levels: usize) -> Result<Value, A::Error> {
    const DIGITS: &str = "$serde_json::private::Number";
    let inner = PlainSeed { levels }.inner()?;
    let mut members = Map::new();
    while let Some(name) = map.next_key::<String>()? {
        let Plain { value, is_given_away } = map.next_value_seed(inner)?;
        match value {
            Value::String(digits) if is_given_away && name == DIGITS => {
                let number = read_alone::<Number>(digits.as_bytes());
                return number.map(Value::from).ok_or_else(|| A::Error::custom("no number"));
            }
            value => {
                members.insert(name, value);
            }
        }
    }
    Ok(members.into())
}

impl Drop for Extras {
    fn drop(&mut self) {
        self.members.values_mut().for_each(wipe);
    }
}

/// Shows the names only: a value may be a token that this crate does not know.
impl fmt::Debug for Extras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 20;
        let withheld = self.id_token.iter().map(|_| "id_token");
        let names = withheld.chain(self.members.keys().map(String::as_str).take(MOST));
        let mut map = f.debug_map();
        map.entries(names.map(|name| (Foreign(name), "[redacted]")));
        if self.members.len() > MOST { map.finish_non_exhaustive() } else { map.finish() }
    }
}

/// A value whose texts are wiped on drop.
#[derive(Default)]
pub(crate) struct Wiped(Value);

impl Member<'_> {
    /// Returns whether the value says "nothing": it is missing, `false`, 0, or an empty text, list or object.
    pub(crate) fn says_nothing(&self) -> bool {
        match self {
            Self::Absent | Self::Unsigned(0) => true,
            Self::Text(text) => text.is_empty(),
            Self::Array(values) => values.is_empty(),
            Self::Other(Wiped(value)) => {
                *value == Value::Bool(false) || value.as_object().is_some_and(Map::is_empty)
            }
            _ => false,
        }
    }
}

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

/// The error of a member that is of another kind than it should be.
pub(crate) struct WrongKind;

impl Member<'_> {
    /// Reads a list of texts.
    pub(crate) fn into_texts(self) -> Result<Option<Vec<String>>, WrongKind> {
        match self {
            Self::Absent => Ok(None),
            Self::Array(values) => {
                let texts = values.into_iter().map(|value| match value {
                    Value::String(text) => Ok(text),
                    _ => Err(WrongKind),
                });
                texts.collect::<Result<_, _>>().map(Some)
            }
            _ => Err(WrongKind),
        }
    }

    /// Reads a date: a JSON number of seconds since 1970, whose fraction is cut off (`NumericDate`, RFC 7519
    /// §2). A date before 1970 counts as 1970.
    pub(crate) fn into_date(self) -> Result<Option<u64>, WrongKind> {
        match self {
            Self::Absent => Ok(None),
            Self::Unsigned(seconds) => Ok(Some(seconds)),
            Self::Negative(_) => Ok(Some(0)),
            // `as` cuts the fraction and saturates.
            Self::Float(seconds) => Ok(Some(seconds as u64)),
            _ => Err(WrongKind),
        }
    }

    /// Returns the value of a member that is no text.
    pub(crate) fn into_value(self) -> Option<Value> {
        match self {
            Self::Absent | Self::Text(_) | Self::Repeated | Self::Unreadable => None,
            Self::Unsigned(number) => Some(number.into()),
            Self::Negative(number) => Some(number.into()),
            Self::Float(number) => Some(number.into()),
            Self::Array(values) => Some(values.into()),
            Self::Other(mut value) => Some(std::mem::take(&mut value.0)),
        }
    }
}

impl Extras {
    /// Removes members that are `null`, and those that [`read`] would refuse: values nested too deeply.
    pub(crate) fn keep_storable(&mut self) {
        // A number may count as a level, see `read_map`.
        self.members.retain(|_, value| {
            let keeps = !value.is_null() && is_within(value, LEVELS - 1);
            if !keeps {
                wipe(value);
            }
            keeps
        });
    }

    /// Replaces each value in which `is_secret` finds a secret by the note, and removes each member whose
    /// name is one. Removes all of more than 64 members if one holds a secret, which bounds the number of
    /// calls.
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
            // A buffer that grows would leave a copy behind.
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
        self.members.retain(|name, value| {
            if is_secret(&joined(&[("", value)])) {
                wipe(value);
                *value = note.into();
            }
            !is_secret(name)
        });
    }
}

/// Returns whether a value has at most this many levels of lists and objects.
fn is_within(value: &Value, levels: usize) -> bool {
    let below = levels.checked_sub(1);
    match value {
        Value::Array(values) => {
            below.is_some_and(|levels| values.iter().all(|value| is_within(value, levels)))
        }
        Value::Object(members) => {
            below.is_some_and(|levels| members.values().all(|value| is_within(value, levels)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// Visits all texts, numbers and names in a value.
pub(crate) fn visit_texts(value: &Value, take: &mut dyn FnMut(&str)) {
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
pub(crate) fn wipe(value: &mut Value) {
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

    fn read(body: &str) -> Option<([Member<'_>; 2], Extras)> {
        let mut members = [Member::Absent, Member::Absent];
        let extras = super::read(body.as_bytes(), NAMES, &mut members)?;
        Some((members, extras))
    }

    #[test]
    fn known_members_come_in_the_order_asked_for() {
        let ([a, b], extras) = read(r#"{"b":1,"x":[2],"a":"t"}"#).unwrap();
        assert!(matches!(a, Member::Text(Text::Borrowed("t"))) && matches!(b, Member::Unsigned(1)));
        assert_eq!(extras.get("x"), Some(&serde_json::json!([2])));
    }

    #[test]
    fn a_repeated_member_is_told_even_if_one_is_null() {
        for body in [r#"{"a":1,"a":1}"#, r#"{"a":null,"a":1}"#, r#"{"a":1,"\u0061":1,"b":2}"#] {
            let ([a, _], _) = read(body).unwrap();
            assert!(matches!(a, Member::Repeated), "{body}");
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
    fn deep_nesting_is_left_to_the_slow_reader() {
        let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(&deep(LEVELS)).is_some());
        assert!(read(&deep(LEVELS + 2)).is_none());
    }
}
