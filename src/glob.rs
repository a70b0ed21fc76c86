//! Patterns of names and paths.

use regex::{Regex, RegexBuilder};

/// How much memory a compiled pattern may take, in bytes.
const MAX_COMPILED_BYTES: usize = 1 << 20;
/// What makes a pattern of a text.
const SIGNS: [char; 2] = ['*', '?'];

/// A pattern: `*` stands for anything but a slash, `?` for one character but a slash, `**` for anything, and `**/` also
/// for no folder at all.
#[derive(Clone, Debug)]
pub(crate) struct Glob(Regex);

impl Glob {
    /// Reads a pattern. The error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        compile(&expression(text)).map(Glob).map_err(|_| "is too large a pattern".to_owned())
    }

    /// Reads a text that may be a pattern; `None`: it is the name of something.
    pub(crate) fn parse_if_any(text: &str) -> Result<Option<Self>, String> {
        is_glob(text).then(|| Glob::parse(text)).transpose()
    }

    /// Whether all of a text is what it stands for.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// Whether a text is a pattern at all.
pub(crate) fn is_glob(text: &str) -> bool {
    text.contains(SIGNS)
}

/// The folder that all matches of a pattern of paths are in: up to the last slash before the first sign of a pattern.
pub(crate) fn folder_of(pattern: &str) -> &str {
    let literal = pattern.find(SIGNS).map_or(pattern, |at| &pattern[..at]);
    match literal.rfind('/') {
        Some(0) | None => "/",
        Some(at) => &literal[..at],
    }
}

/// Compiles a regular expression that has to match the whole of a text.
pub(crate) fn whole(expression: &str) -> Result<Regex, String> {
    compile(&format!("^(?:{expression})$")).map_err(|error| error.to_string())
}

fn compile(expression: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(expression).size_limit(MAX_COMPILED_BYTES).build()
}

fn expression(glob: &str) -> String {
    let mut expression = "(?s)^".to_owned();
    let mut rest = glob;
    let mut begins_part = true;
    while let Some(next) = rest.chars().next() {
        let (taken, meaning) = match next {
            '*' if begins_part && rest.starts_with("**/") => (3, "(?:.*/)?".to_owned()),
            // More of them stand for no more than two.
            '*' if rest.starts_with("**") => (rest.len() - rest.trim_start_matches('*').len(), ".*".to_owned()),
            '*' => (1, "[^/]*".to_owned()),
            '?' => (1, "[^/]".to_owned()),
            other => (other.len_utf8(), regex::escape(other.encode_utf8(&mut [0; 4]))),
        };
        expression.push_str(&meaning);
        begins_part = rest[..taken].ends_with('/');
        rest = &rest[taken..];
    }
    expression.push('$');
    expression
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_stands_for_whole_texts() {
        let table = [
            ("*.txt", &["a.txt", ".txt"][..], &["a.txt.gz", "d/a.txt", "atxt"][..]),
            ("**.txt", &["a.txt", "d/a.txt"], &["a.txt2"]),
            ("**/a.txt", &["a.txt", "d/a.txt", "d/e/a.txt"], &["ba.txt", "d/ba.txt"]),
            ("d/**/a", &["d/a", "d/e/a", "d/e/f/a"], &["d", "da", "e/d/a"]),
            ("/d/**/*.txt", &["/d/a.txt", "/d/x/y/a.txt"], &["/dx/a.txt"]),
            ("d/*", &["d/a", "d/"], &["d/e/a", "d"]),
            ("d/**", &["d/a", "d/e/a"], &["e/d/a"]),
            ("/d/?.txt", &["/d/a.txt", "/d/ä.txt"], &["/d/ab.txt", "/d//.txt", "/d/.txt"]),
            ("docker://team/*", &["docker://team/app"], &["docker://team/app/base"]),
            ("docker://team/**", &["docker://team/app/base"], &["docker://other/app"]),
            ("a+(b)[c].\\d", &["a+(b)[c].\\d"], &["a+(b)[c]1d", "aa(b)[c].\\d"]),
            ("v1****z", &["v1z", "v1/2/z"], &["v1"]),
            ("ä*", &["ä", "äö", "ä\nö"], &["a"]),
        ];
        for (glob, ours, others) in table {
            let parsed = Glob::parse(glob).expect("a glob");
            for text in ours {
                assert!(parsed.matches(text), "{glob} {text}");
            }
            for text in others {
                assert!(!parsed.matches(text), "{glob} {text}");
            }
        }
    }

    #[test]
    fn a_name_is_no_pattern() {
        assert!(Glob::parse_if_any("docker://team/[a]{b}").expect("a name").is_none());
        assert!(Glob::parse_if_any("docker://team/a?").expect("a glob").is_some());
    }

    #[test]
    fn the_longest_patterns_there_may_be_are_read() {
        for sign in ["**/", "**", "*", "?", "*a", "ä"] {
            assert!(Glob::parse(&sign.repeat(512 / sign.len())).is_ok(), "{sign}");
        }
    }

    #[test]
    fn a_pattern_is_looked_for_below_its_fixed_part() {
        assert_eq!(folder_of("/dir/sub/*.txt"), "/dir/sub");
        assert_eq!(folder_of("/dir/su*/x"), "/dir");
        assert_eq!(folder_of("/*"), "/");
        assert_eq!(folder_of("**"), "/");
    }

    #[test]
    fn a_regular_expression_has_to_match_all_of_it() {
        assert!(whole("v1|v2").expect("an expression").is_match("v2"));
        assert!(!whole("v1|v2").expect("an expression").is_match("v22"));
        assert!(whole("(").is_err());
        assert!(whole("(a{1000}){1000}").is_err());
    }
}
