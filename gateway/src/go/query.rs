//! Query strings as Go's `url.Values` reads them.
//!
//! Quirk: `Get` answers the first of several values.
//! Quirk: a pair with a broken escape or a semicolon is dropped, and the others are still read.

/// Answers the first value of `name` in a query string, or an empty string.
pub(crate) fn first(query: &str, name: &str) -> String {
    all(query, name).next().unwrap_or_default()
}

/// Answers all values of `name` in a query string, in their order.
pub(crate) fn all(query: &str, name: &str) -> impl Iterator<Item = String> {
    query.split('&').filter_map(pair).filter(move |(key, _)| key == name).map(|(_, value)| value)
}

fn pair(segment: &str) -> Option<(String, String)> {
    if segment.contains(';') {
        return None;
    }
    let (key, value) = segment.split_once('=').unwrap_or((segment, ""));
    Some((unescape(key)?, unescape(value)?))
}

fn unescape(text: &str) -> Option<String> {
    let mut unescaped = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        unescaped.push(match byte {
            b'+' => b' ',
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            other => other,
        });
    }
    Some(String::from_utf8_lossy(&unescaped).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::{all, first};

    #[test]
    fn values_are_read_as_go_reads_them() {
        for (query, expected) in [
            ("", ""),
            ("id", ""),
            ("id=", ""),
            ("id=a", "a"),
            ("x=1&id=a&y=2", "a"),
            ("id=a&id=b", "a"),
            ("id=&id=b", ""),
            ("id=a=b", "a=b"),
            ("id=sha256%3Aab%2Fcd", "sha256:ab/cd"),
            ("id=sha256:ab/cd", "sha256:ab/cd"),
            ("id=a+b%2Bc", "a b+c"),
            ("%69d=a", "a"),
            ("ID=a", ""),
            ("id=%E9%94%81", "锁"),
            ("id=%FF", "\u{fffd}"),
            ("id=%zz", ""),
            ("id=%4", ""),
            ("id=%zz&id=b", "b"),
            ("id=a;b&id=c", "c"),
        ] {
            assert_eq!(first(query, "id"), expected, "{query}");
        }
    }

    #[test]
    fn all_values_are_read_in_their_order() {
        let values: Vec<String> = all("id=b&x=1&id=%zz&id=a&id=", "id").collect();
        assert_eq!(values, ["b", "a", ""]);
        assert_eq!(all("x=1", "id").count(), 0);
    }
}
