//! Patterns of names and paths: `*` stands for anything but a slash, `**` for anything, `?` for one character but a
//! slash.

use regex::{Regex, RegexBuilder};

/// How much memory a compiled pattern may take, in bytes.
const MAX_COMPILED_BYTES: usize = 1 << 20;

/// Whether a text is a pattern at all.
pub(super) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// The pattern as a regular expression for the whole text.
pub(super) fn glob(pattern: &str) -> Result<Regex, String> {
    let mut expression = String::from("(?s)^");
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        let (matched, len) = match next {
            // Also no folder at all.
            '*' if rest.starts_with("**/") => ("(?:.*/)?", 3),
            '*' if rest.starts_with("**") => (".*", 2),
            '*' => ("[^/]*", 1),
            '?' => ("[^/]", 1),
            _ => {
                expression.push_str(&regex::escape(&rest[..next.len_utf8()]));
                rest = &rest[next.len_utf8()..];
                continue;
            }
        };
        expression.push_str(matched);
        rest = &rest[len..];
    }
    expression.push('$');
    compile(&expression)
}

/// A regular expression that has to match the whole of a text.
pub(super) fn whole(expression: &str) -> Result<Regex, String> {
    compile(&format!("^(?:{expression})$"))
}

fn compile(expression: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(expression).size_limit(MAX_COMPILED_BYTES).build();
    built.map_err(|error| error.to_string())
}

/// The folder that all matches of a pattern of paths are in: up to the last slash before the first sign of a pattern.
pub(super) fn folder_of(pattern: &str) -> &str {
    let literal = pattern.find(['*', '?']).map_or(pattern, |at| &pattern[..at]);
    match literal.rfind('/') {
        Some(0) | None => "/",
        Some(at) => &literal[..at],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_in_its_folder_and_two_do_not() {
        for (pattern, text, matches) in [
            ("docker://team/*", "docker://team/app", true),
            ("docker://team/*", "docker://team/app/base", false),
            ("docker://team/**", "docker://team/app/base", true),
            ("/dir/**/*.txt", "/dir/a.txt", true),
            ("/dir/**/*.txt", "/dir/x/y/a.txt", true),
            ("/dir/**/*.txt", "/dirx/a.txt", false),
            ("/dir/?.txt", "/dir/a.txt", true),
            ("/dir/?.txt", "/dir/ab.txt", false),
            ("/a+b(c)/*", "/a+b(c)/d", true),
            ("/a+b(c)/*", "/aab(c)/d", false),
            ("/*", "/line\nbreak", true),
        ] {
            assert_eq!(glob(pattern).unwrap().is_match(text), matches, "{pattern} and {text}");
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
        assert!(whole("v1|v2").unwrap().is_match("v2"));
        assert!(!whole("v1|v2").unwrap().is_match("v22"));
        assert!(whole("(").is_err());
        assert!(whole("(a{1000}){1000}").is_err());
    }
}
