//! JSON as Jackson's pretty printer writes it: objects over lines, arrays in line, a space before and behind colons.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Prints a value.
pub(super) fn print(value: &impl Serialize) -> Vec<u8> {
    let mut printed = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut printed, Jackson::default());
    value.serialize(&mut serializer).expect("the answers are structs of texts, numbers and maps with texts as keys");
    printed
}

#[derive(Debug, Default)]
struct Jackson {
    depth: usize,
    has_entries: bool,
}

impl Jackson {
    fn new_line(&self, writer: &mut (impl io::Write + ?Sized)) -> io::Result<()> {
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(b"  "))
    }
}

impl Formatter for Jackson {
    fn begin_array_value<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b" " } else { b", " })
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b" ]")
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        self.has_entries = false;
        writer.write_all(b"{")
    }

    fn begin_object_key<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        self.new_line(writer)
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b" : ")
    }

    fn end_object_value<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_entries = true;
        Ok(())
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        if self.has_entries {
            self.new_line(writer)?;
        } else {
            writer.write_all(b" ")?;
        }
        writer.write_all(b"}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_looks_like_jacksons() {
        let value = json!({"a": [], "b": {}, "c": [1, {"d": null}, {"e": {}}], "f": {"g": "x"}});
        let expected = "{\n  \"a\" : [ ],\n  \"b\" : { },\n  \"c\" : [ 1, {\n    \"d\" : null\n  }, {\n    \"e\" : { }\n  } ],\n  \
                        \"f\" : {\n    \"g\" : \"x\"\n  }\n}";
        assert_eq!(String::from_utf8(print(&value)).expect("UTF-8"), expected);
    }
}
