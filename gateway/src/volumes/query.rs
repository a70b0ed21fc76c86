//! Query strings as this API reads them, and the numbers and claims in them.
//!
//! Quirk: of several values of a parameter the last one counts, also if it is empty.
//! Quirk: an empty value is none. Parameters that an action does not know are ignored.
//! Quirk: escapes in values are read, which the original left alone, but `+` is never a space. A broken escape is taken
//! as it is written. Names of parameters have no escapes.
//! Quirk: a number ends where its digits end, so `Limit=10Offset=0`, which real clients send, is 10; a negative one
//! counts back from 2^64.

use super::refusal::Refusal;

/// A query string.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(super) fn new(query: &'a str) -> Self {
        Self(query)
    }

    /// The value of a parameter that has to have one.
    pub(super) fn required(&self, name: &'static str) -> Result<String, Refusal> {
        let value = self.text(name)?;
        if value.is_empty() { Err(Refusal::malformed(name)) } else { Ok(value) }
    }

    /// The value of a parameter, or an empty text.
    pub(super) fn text(&self, name: &'static str) -> Result<String, Refusal> {
        // Names are what finds things: a doubtful one must not find something else.
        String::from_utf8(unescape(self.raw(name).unwrap_or_default())).map_err(|_| Refusal::malformed(name))
    }

    /// Tells whether a parameter is there, with or without a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// The value of a parameter as a number.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, Refusal> {
        let value = self.text(name)?;
        if value.is_empty() {
            return Ok(None);
        }
        number(&value).map(Some).ok_or(Refusal::malformed(name))
    }

    /// The value of a parameter as a claim.
    pub(super) fn flag(&self, name: &'static str) -> Result<Option<bool>, Refusal> {
        match self.text(name)?.as_str() {
            "" => Ok(None),
            "true" | "True" | "TRUE" | "1" => Ok(Some(true)),
            "false" | "False" | "FALSE" | "0" => Ok(Some(false)),
            _ => Err(Refusal::malformed(name)),
        }
    }

    fn raw(&self, name: &str) -> Option<&'a str> {
        let pairs = self.0.rsplit('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// A number as C++'s `std::stoull` reads it.
fn number(text: &str) -> Option<u64> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let magnitude: u64 = digits[..end].parse().ok()?;
    Some(if text.starts_with('-') { magnitude.wrapping_neg() } else { magnitude })
}

fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut unescaped = Vec::with_capacity(bytes.len());
    let mut place = 0;
    while let Some(&byte) = bytes.get(place) {
        let escape = if byte == b'%' { bytes.get(place + 1..place + 3).and_then(escaped) } else { None };
        unescaped.push(escape.unwrap_or(byte));
        place += if escape.is_some() { 3 } else { 1 };
    }
    unescaped
}

fn escaped(digits: &[u8]) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(digit(digits[0])? << 4 | digit(digits[1])?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_read_escaped_or_not() {
        for (query, expected) in [
            ("File=/a", "/a"),
            ("File=%2Fa%2fb", "/a/b"),
            ("File=/a+b", "/a+b"),
            ("File=/a%20b%2B", "/a b+"),
            ("File=/a=b", "/a=b"),
            ("File=/a&File=/b", "/b"),
            ("File=/a&File=", ""),
            ("File=/a&File", ""),
            ("file=/a&%46ile=/b&=c", ""),
            ("X=1&&File=100%&", "100%"),
            ("File=%zz%4&Y=2", "%zz%4"),
            ("File=%E5%8D%B7", "卷"),
            ("", ""),
        ] {
            assert_eq!(Query::new(query).text("File").ok().as_deref(), Some(expected), "{query}");
        }
        for query in ["File=%FF", "File=%E5%8D", "File=%C0%AF"] {
            assert!(Query::new(query).text("File").is_err(), "{query}");
        }
    }

    #[test]
    fn numbers_are_read_as_stoull_reads_them() {
        for (text, expected) in [
            ("10", Some(10)),
            ("  \t+10", Some(10)),
            ("10abc", Some(10)),
            ("10Offset=0", Some(10)),
            ("1.5", Some(1)),
            ("0x10", Some(0)),
            ("-0", Some(0)),
            ("-1", Some(u64::MAX)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-18446744073709551616", None),
            ("abc", None),
            ("-", None),
            ("+ 1", None),
            ("--1", None),
            ("\u{a0}1", None),
            ("٣", None),
            (" ", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }

    #[test]
    fn claims_have_four_spellings_each() {
        for (value, expected) in [
            ("true", Some(Some(true))),
            ("True", Some(Some(true))),
            ("TRUE", Some(Some(true))),
            ("1", Some(Some(true))),
            ("false", Some(Some(false))),
            ("False", Some(Some(false))),
            ("FALSE", Some(Some(false))),
            ("0", Some(Some(false))),
            ("", Some(None)),
            ("tRUE", None),
            ("yes", None),
            ("10", None),
            (" true", None),
        ] {
            assert_eq!(Query::new(&format!("Lazy={value}")).flag("Lazy").ok(), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_query_panics(query in "(Limit|=|&|%[0-9a-fA-F]{0,2}|[-+ 0-9]|\\PC){0,40}") {
            let query = Query::new(&query);
            let _ = (query.number("Limit"), query.flag("Limit"), query.required("Limit"));
        }
    }
}
