//! JSON as Go's `encoding/json` reads and writes it.
//!
//! Quirk: only the first JSON value is read; what follows it is ignored.
//! Quirk: keys match without regard to case, by Unicode's simple folding (`ſ` is an `s`, the Kelvin sign is a `k`).
//! Quirk: the last of several equal keys wins, except that `null` never changes anything.
//! Quirk: unknown keys are skipped, but their values have to be JSON.
//! Quirk: what is not UTF-8, and a `\u` escape of half a surrogate pair, becomes U+FFFD.
//! Quirk: written strings escape `<`, `>`, `&` and the two Unicode line separators.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::Serialize;

/// The known fields of a JSON object. What is absent keeps its default.
pub(crate) trait Fields: Default {
    /// Reads the next value of `object` into the field with the lower-case `name`, or [`skip`]s it when no field has it.
    fn read<'de, M: MapAccess<'de>>(&mut self, name: &str, object: &mut M) -> Result<(), M::Error>;
}

/// Decodes the first JSON value in `body`: an object, or `null` for an object without fields.
pub(crate) fn decode<T: Fields>(body: &[u8]) -> serde_json::Result<T> {
    let text = String::from_utf8_lossy(body);
    let text = replace_lone_surrogates(&text);
    let mut deserializer = serde_json::Deserializer::from_str(&text);
    let object = Option::<Object<T>>::deserialize(&mut deserializer)?;
    Ok(object.map(|Object(fields)| fields).unwrap_or_default())
}

/// Reads the next value of `object` into `field`; `null` leaves it as it is.
pub(crate) fn read_into<'de, T, M>(field: &mut T, object: &mut M) -> Result<(), M::Error>
where
    T: Deserialize<'de>,
    M: MapAccess<'de>,
{
    if let Some(value) = object.next_value::<Option<T>>()? {
        *field = value;
    }
    Ok(())
}

/// Passes over the next value of `object`.
pub(crate) fn skip<'de, M: MapAccess<'de>>(object: &mut M) -> Result<(), M::Error> {
    object.next_value::<IgnoredAny>().map(|_| ())
}

/// Writes `value` as compact JSON. It has to be made of structs, strings, numbers and booleans.
pub(crate) fn encode(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("structs of plain values always serialize");
    if !json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return json;
    }
    // None of these is part of JSON's own syntax, so all of them are inside strings.
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

struct Object<T>(T);

impl<'de, T: Fields> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Fields> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut object: M) -> Result<Self::Value, M::Error> {
        let mut fields = T::default();
        while let Some(key) = object.next_key::<String>()? {
            fields.read(&fold(&key), &mut object)?;
        }
        Ok(Object(fields))
    }
}

fn fold(key: &str) -> String {
    key.chars()
        .map(|character| match character {
            'ſ' => 's',
            '\u{212a}' => 'k',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

/// Replaces the escapes that `serde_json` refuses: half a surrogate pair without the other half.
pub(crate) fn replace_lone_surrogates(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('\\') {
        let (before, escape) = rest.split_at(start);
        replaced.push_str(before);
        let (length, is_lone) = measure_escape(escape);
        let (escape, after) = escape.split_at(length);
        replaced.push_str(if is_lone { "\\ufffd" } else { escape });
        rest = after;
    }
    replaced.push_str(rest);
    Cow::Owned(replaced)
}

/// Answers the length of the escape at the start of `text`, and whether it is half a surrogate pair.
fn measure_escape(text: &str) -> (usize, bool) {
    match code_unit(text) {
        None => (text.chars().take(2).map(char::len_utf8).sum(), false),
        Some(0xd800..=0xdbff) => match code_unit(&text[6..]) {
            Some(0xdc00..=0xdfff) => (12, false),
            _ => (6, true),
        },
        Some(0xdc00..=0xdfff) => (6, true),
        Some(_) => (6, false),
    }
}

fn code_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    // Parsing alone would accept a sign.
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn written_strings_are_escaped_as_go_escapes_them() {
        assert_eq!(
            encode(&"a<b>&\u{2028}\u{2029}锁\u{1}\n\"\\"),
            r#""a\u003cb\u003e\u0026\u2028\u2029锁\u0001\n\"\\""#
        );
        assert_eq!(encode(&"成功获得锁"), "\"成功获得锁\"");
    }
}
