//! What a server answers that wants to know who asks: the headers `WWW-Authenticate`.

use std::collections::HashMap;

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// How many challenges and parameters are read.
const MAX_PARTS: usize = 32;

/// A way to say who one is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Challenge {
    /// Its scheme, in lower case: `basic`, `bearer`.
    pub(super) scheme: String,
    parameters: HashMap<String, String>,
}

impl Challenge {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// All of an answer.
    pub(super) fn all(headers: &HeaderMap) -> Vec<Challenge> {
        let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        texts.flat_map(read).take(MAX_PARTS).collect()
    }
}

/// Reads `Scheme name="value", name=value, Scheme …`.
fn read(text: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = text;
    for _ in 0..MAX_PARTS {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        if word.is_empty() {
            break;
        }
        let Some(value) = behind.trim_start().strip_prefix('=') else {
            challenges.push(Challenge { scheme: word.to_ascii_lowercase(), ..Challenge::default() });
            rest = behind;
            continue;
        };
        let (value, behind) = value_of(value.trim_start());
        if let Some(challenge) = challenges.last_mut() {
            challenge.parameters.insert(word.to_ascii_lowercase(), value);
        }
        rest = behind;
    }
    challenges
}

/// A value, in quotes or not, and what is behind it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, behind) = text.split_at(text.find([',', ' ', '\t']).unwrap_or(text.len()));
        return (value.to_owned(), behind);
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            letter => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn challenges_are_read_as_servers_write_them() {
        let bearer = read(
            r#"Bearer realm="https://auth.example/token",service="registry, one",scope="repository:a/b:pull,push""#,
        );
        assert_eq!(bearer.len(), 1);
        assert_eq!(bearer[0].scheme, "bearer");
        assert_eq!(bearer[0].parameter("realm"), Some("https://auth.example/token"));
        assert_eq!(bearer[0].parameter("service"), Some("registry, one"));
        assert_eq!(bearer[0].parameter("scope"), Some("repository:a/b:pull,push"));
        let both = read(r#"Basic realm="a \"b\"", Bearer realm=x"#);
        assert_eq!(both[0].parameter("realm"), Some("a \"b\""));
        assert_eq!((both[1].scheme.as_str(), both[1].parameter("realm")), ("bearer", Some("x")));
        assert_eq!(read("Negotiate")[0].scheme, "negotiate");
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd_to_be_read(text in ".{0,200}") {
            read(&text);
        }
    }
}
