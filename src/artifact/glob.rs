//! Globs over paths.

use regex::Regex;

/// The longest glob, in bytes.
const MAX_GLOB: usize = 256;

/// A pattern of paths: `*` stands for anything but a slash, `**` for anything, and `**/` also for no folder at all.
#[derive(Clone, Debug)]
pub(super) struct Glob(Regex);

impl Glob {
    /// Reads a glob. The error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_GLOB {
            return Err(format!("has {} bytes; the limit is {MAX_GLOB}", text.len()));
        }
        Regex::new(&expression(text)).map(Glob).map_err(|_| "cannot be read".to_owned())
    }

    /// Whether all of a path is what it stands for.
    pub(super) fn matches(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
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
    fn a_glob_stands_for_whole_paths() {
        let table = [
            ("*.txt", &["a.txt", ".txt"][..], &["a.txt.gz", "d/a.txt", "atxt"][..]),
            ("**.txt", &["a.txt", "d/a.txt"], &["a.txt2"]),
            ("**/a.txt", &["a.txt", "d/a.txt", "d/e/a.txt"], &["ba.txt", "d/ba.txt"]),
            ("d/**/a", &["d/a", "d/e/a", "d/e/f/a"], &["d", "da", "e/d/a"]),
            ("d/*", &["d/a", "d/"], &["d/e/a", "d"]),
            ("d/**", &["d/a", "d/e/a"], &["e/d/a"]),
            ("a+(b)[c]?.\\d", &["a+(b)[c]?.\\d"], &["a+(b)[c]x.1"]),
            ("v1****z", &["v1z", "v1/2/z"], &["v1"]),
            ("ä*", &["ä", "äö"], &["a"]),
        ];
        for (glob, ours, others) in table {
            let parsed = Glob::parse(glob).expect("a glob");
            for path in ours {
                assert!(parsed.matches(path), "{glob} {path}");
            }
            for path in others {
                assert!(!parsed.matches(path), "{glob} {path}");
            }
        }
        assert!(Glob::parse(&"a".repeat(257)).is_err());
        assert!(Glob::parse(&"**/".repeat(85)).is_ok());
    }
}
