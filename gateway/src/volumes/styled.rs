//! JSON as the styled writer of jsoncpp lays it out.
//!
//! Quirk: tabs, ` : ` behind a key, and what has an inside starts on a line of its own, behind a space that stays.
//! Quirk: a list without entries is `null`, because it was never made a list.
//! Quirk: what is not ASCII is escaped, as UTF-16; a slash and DEL are not.

use std::collections::BTreeMap;
use std::fmt::Write;

/// A value to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(u64),
    Flag(bool),
    List(Vec<Object>),
}

/// Values by key. They are written in the order of the bytes of the keys.
pub(super) type Object = BTreeMap<&'static str, Value>;

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Writes an object with a newline behind it.
pub(super) fn write(object: &Object) -> String {
    let mut text = String::new();
    write_object(&mut text, object, 0);
    text.push('\n');
    text
}

fn write_object(text: &mut String, object: &Object, depth: usize) {
    text.push('{');
    for (place, (key, value)) in object.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        new_line(text, depth + 1);
        write_text(text, key);
        text.push_str(" : ");
        write_value(text, value, depth + 1);
    }
    new_line(text, depth);
    text.push('}');
}

fn write_value(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Text(value) => write_text(text, value),
        Value::Number(value) => text.push_str(&value.to_string()),
        Value::Flag(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::List(objects) if objects.is_empty() => text.push_str("null"),
        Value::List(objects) => write_list(text, objects, depth),
    }
}

fn write_list(text: &mut String, objects: &[Object], depth: usize) {
    new_line(text, depth);
    text.push('[');
    for (place, object) in objects.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        new_line(text, depth + 1);
        write_object(text, object, depth + 1);
    }
    new_line(text, depth);
    text.push(']');
}

fn write_text(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            ' '..='\u{7f}' => text.push(character),
            _ => write_escaped(text, character),
        }
    }
    text.push('"');
}

fn write_escaped(text: &mut String, character: char) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        write!(text, "\\u{unit:04x}").expect("a string takes everything");
    }
}

fn new_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n('\t', depth));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn layout_is_that_of_jsoncpp() {
        let entry = |name: &str| Object::from([("User", Value::from("u")), ("File", Value::from(name))]);
        let object = Object::from([
            ("TotalCount", Value::Number(u64::MAX)),
            ("FileInfos", Value::List(vec![entry("/a"), entry("/b")])),
            ("Code", Value::from("0")),
            ("Readonly", Value::Flag(false)),
        ]);
        let expected = concat!(
            "{\n\t\"Code\" : \"0\",\n\t\"FileInfos\" : \n\t[\n",
            "\t\t{\n\t\t\t\"File\" : \"/a\",\n\t\t\t\"User\" : \"u\"\n\t\t},\n",
            "\t\t{\n\t\t\t\"File\" : \"/b\",\n\t\t\t\"User\" : \"u\"\n\t\t}\n",
            "\t],\n\t\"Readonly\" : false,\n\t\"TotalCount\" : 18446744073709551615\n}\n",
        );
        assert_eq!(write(&object), expected);
        let object = Object::from([("FileInfos", Value::List(vec![]))]);
        assert_eq!(write(&object), "{\n\t\"FileInfos\" : null\n}\n");
    }

    #[test]
    fn texts_are_escaped_as_jsoncpp_escapes_them() {
        for (text, expected) in [
            ("/a b", "/a b"),
            ("\"\\", r#"\"\\"#),
            ("\u{8}\u{c}\n\r\t", r"\b\f\n\r\t"),
            ("\0\u{1f}\u{7f}", "\\u0000\\u001f\u{7f}"),
            ("é卷\u{ffff}", r"\u00e9\u5377\uffff"),
            ("😀", r"\ud83d\ude00"),
        ] {
            assert_eq!(write(&Object::from([("a", Value::from(text))])), format!("{{\n\t\"a\" : \"{expected}\"\n}}\n"));
        }
    }

    proptest! {
        #[test]
        fn every_text_can_be_read_again(text in "\\PC{0,20}|(?s:.{0,20})") {
            let written = write(&Object::from([("a", Value::from(text.as_str()))]));
            let read: serde_json::Value = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(read["a"].as_str(), Some(text.as_str()));
        }
    }
}
