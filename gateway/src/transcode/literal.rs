//! What Python writes into JSON that is none.

use std::borrow::Cow;

const LITERALS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// Replaces what Python writes for numbers that JSON has not, outside of strings, by `null`.
pub(super) fn replace_no_numbers(text: &str) -> Cow<'_, str> {
    if !LITERALS.iter().any(|literal| text.contains(literal)) {
        return Cow::Borrowed(text);
    }
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['"', 'N', 'I', '-']) {
        let (before, token) = rest.split_at(start);
        replaced.push_str(before);
        rest = if let Some(after) = LITERALS.iter().find_map(|literal| token.strip_prefix(literal)) {
            replaced.push_str("null");
            after
        } else {
            let (other, after) = token.split_at(measure(token));
            replaced.push_str(other);
            after
        };
    }
    replaced.push_str(rest);
    Cow::Owned(replaced)
}

/// The length of the string at the start of `token`, up to the end if it has none of its own; that of any other
/// character is 1.
fn measure(token: &str) -> usize {
    let Some(content) = token.strip_prefix('"') else { return 1 };
    let mut is_escaped = false;
    let end = content.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(token.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn numbers_that_json_has_not_are_null() {
        for (text, expected) in [
            (r#"{"a":NaN,"b":[Infinity,-Infinity],"c": NaN }"#, r#"{"a":null,"b":[null,null],"c": null }"#),
            ("NaN", "null"),
            (r#"{"a":-1,"b":Infinity}"#, r#"{"a":-1,"b":null}"#),
        ] {
            assert_eq!(replace_no_numbers(text), expected);
        }
    }

    #[test]
    fn strings_stay_as_they_are() {
        for text in
            [r#"{"NaN":"a NaN b","c":"-Infinity"}"#, r#""\"NaN""#, r#""é\\\"NaN""#, r#""NaN"#, r#""NaN\"#, r#""\"#]
        {
            assert_eq!(replace_no_numbers(text), text);
        }
        assert_eq!(replace_no_numbers(r#"{"a\\":NaN,"NaN":NaN}"#), r#"{"a\\":null,"NaN":null}"#);
    }

    #[test]
    fn what_is_no_json_either_way_stays_none() {
        for text in ["{NaN:1}", "-NaN", "--Infinity", "1NaN", "NaN1", "NaNNaN", "nan", "Inf"] {
            assert!(serde_json::from_str::<Value>(&replace_no_numbers(text)).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn json_stays_as_it_is(text in r#"(NaN|-?Infinity|\\|"|é|-){0,12}"#) {
            let json = Value::String(text).to_string();
            prop_assert_eq!(replace_no_numbers(&json), json.as_str());
        }

        #[test]
        fn nothing_panics(text in r#"(NaN|-?Infinity|\\|"|é|-|[{}:,]){0,20}"#) {
            replace_no_numbers(&text);
        }
    }
}
