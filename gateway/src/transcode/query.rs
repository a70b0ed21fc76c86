//! Query strings as the original read them.
//!
//! Quirk: a field that has several values is written with brackets, `status[]=0&status[]=1`, escaped or not; without
//! them it is another field.
//! Quirk: a broken escape is taken as it is written.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use steward_proto::transcode::v1::SortOrder;

/// The pairs of a query string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (unescape(name), unescape(value)))
                .collect(),
        )
    }

    /// The first value of a field.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// All values of a field.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The first value as an integer, if it is one.
    pub(super) fn whole(&self, name: &str) -> Option<i64> {
        whole(self.first(name)?)
    }

    /// The first value as a finite number, if it is one.
    pub(super) fn fraction(&self, name: &str) -> Option<f64> {
        self.first(name)?.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// The values that are integers.
    pub(super) fn wholes(&self, name: &str) -> Vec<i64> {
        self.all(name).filter_map(whole).collect()
    }

    /// The direction: downwards by default, and else for exactly one word.
    pub(super) fn order(&self) -> SortOrder {
        match self.first("order") {
            None | Some("desc") => SortOrder::Desc,
            Some(_) => SortOrder::Asc,
        }
    }
}

/// The states that a filter of numbers asks for; `None` when it has some and none means anything, so that nothing can
/// match.
pub(super) fn states(numbers: &[i64], convert: impl Fn(i64) -> Vec<i32>) -> Option<Vec<i32>> {
    let mut states: Vec<i32> = numbers.iter().flat_map(|number| convert(*number)).collect();
    // However often each is asked for.
    states.sort_unstable();
    states.dedup();
    (numbers.is_empty() || !states.is_empty()).then_some(states)
}

/// An integer; one that no 64 bits hold is as great as can be.
fn whole(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX }))
}

fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut unescaped = Vec::with_capacity(bytes.len());
    let mut place = 0;
    while let Some(&byte) = bytes.get(place) {
        let escape = if byte == b'%' { bytes.get(place + 1..place + 3).and_then(escaped) } else { None };
        unescaped.push(escape.unwrap_or(if byte == b'+' { b' ' } else { byte }));
        place += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&unescaped).into_owned()
}

fn escaped(digits: &[u8]) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(digit(digits[0])? << 4 | digit(digits[1])?)
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_read_escaped_or_not() {
        for (query, expected) in [
            ("status[]=0&status[]=1", vec!["0", "1"]),
            ("status%5B%5D=0&status%5b%5d=1", vec!["0", "1"]),
            ("status=0&status[0]=1&Status[]=2", vec![]),
            ("status[]=a+b%2Bc&&status[]", vec!["a b+c", ""]),
            ("status[]=%E8%A7%86&status[]=%FF", vec!["视", "\u{fffd}"]),
            ("status[]=100%&status[]=%zz&status[]=%4", vec!["100%", "%zz", "%4"]),
            ("", vec![]),
        ] {
            assert_eq!(Query::parse(query).all("status[]").collect::<Vec<_>>(), expected, "{query}");
        }
    }

    #[test]
    fn what_is_no_integer_is_none() {
        for (text, expected) in [
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("+7", Some(7)),
            ("-7", Some(-7)),
            ("007", Some(7)),
            ("99999999999999999999", Some(i64::MAX)),
            ("-99999999999999999999", Some(i64::MIN)),
            ("", None),
            ("-", None),
            ("1.5", None),
            ("undefined", None),
            ("٣", None),
        ] {
            assert_eq!(whole(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_query_panics(query in "([a-z]|%[0-9a-fA-F]{0,2}|=|&|\\[\\]|.){0,40}") {
            Query::parse(&query).wholes("status[]");
        }
    }

    #[test]
    fn each_state_is_asked_for_once() {
        let convert = |number| if number == 7 { vec![] } else { vec![4, 3] };
        assert_eq!(states(&[1, 7, 1], convert), Some(vec![3, 4]));
        assert_eq!(states(&[7], convert), None);
        assert_eq!(states(&[], convert), Some(vec![]));
    }

    #[test]
    fn only_exactly_desc_and_nothing_are_downwards() {
        for (query, expected) in [
            ("", SortOrder::Desc),
            ("order=desc", SortOrder::Desc),
            ("order=DESC", SortOrder::Asc),
            ("order=", SortOrder::Asc),
            ("order=asc&order=desc", SortOrder::Asc),
        ] {
            assert_eq!(Query::parse(query).order(), expected, "{query}");
        }
    }
}
