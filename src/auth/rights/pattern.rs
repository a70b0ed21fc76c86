//! Patterns of resources and of those as whom somebody acts.

use std::fmt;

use memchr::memmem;

/// The longest pattern, in bytes.
const MAX_BYTES: usize = 1024;
/// Stands for the name of the caller.
const USER: &str = "{user}";

/// A pattern: `*` stands for any characters, slashes too, and `{user}` for the caller. It also covers everything that is
/// below what it stands for: `a/b` covers `a/b/c`. The pattern `/` covers everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Without slashes at its ends.
    text: String,
    /// Whether the caller's name is in it.
    has_user: bool,
}

impl Pattern {
    /// Reads a pattern. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a pattern is missing".to_owned());
        }
        if text.len() > MAX_BYTES {
            return Err(format!("a pattern is longer than {MAX_BYTES} bytes"));
        }
        if text.chars().any(|character| character.is_control() || character.is_whitespace()) {
            return Err(format!("the pattern {text:?} has a space or a control character in it"));
        }
        if text.replace(USER, "").contains(['{', '}']) {
            return Err(format!("the pattern {text:?} has braces, and only {USER} is known"));
        }
        let text = without_slashes(text).to_owned();
        Ok(Pattern { has_user: text.contains(USER), text })
    }

    /// Whether it covers a resource, which has no slashes at its ends, when `user` asks. Without a user, nothing is
    /// covered by a pattern with `{user}` in it.
    pub(super) fn covers(&self, resource: &str, user: Option<&str>) -> bool {
        if self.text.is_empty() {
            return true;
        }
        if !self.has_user {
            return covers(self.text.as_bytes(), resource.as_bytes());
        }
        user.is_some_and(|user| covers(self.text.replace(USER, user).as_bytes(), resource.as_bytes()))
    }

    /// Whether it covers a resource or may cover something below it, when `user` asks.
    pub(super) fn reaches_into(&self, resource: &str, user: Option<&str>) -> bool {
        if self.covers(resource, user) || resource.is_empty() {
            return user.is_some() || !self.has_user;
        }
        let below = format!("{resource}/");
        if !self.has_user {
            return begins(self.text.as_bytes(), below.as_bytes());
        }
        user.is_some_and(|user| begins(self.text.replace(USER, user).as_bytes(), below.as_bytes()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.text.is_empty() { "/" } else { &self.text })
    }
}

/// A resource or a pattern without slashes at its ends.
pub(in crate::auth) fn without_slashes(mut text: &str) -> &str {
    while let Some(rest) = text.strip_prefix('/').or_else(|| text.strip_suffix('/')) {
        text = rest;
    }
    text
}

/// Whether a pattern stands for all of a text or for something that it is below. What is between two stars takes the first
/// place that it can, so that each byte is looked at a few times, whatever pattern a caller has made up.
fn covers(pattern: &[u8], text: &[u8]) -> bool {
    let mut parts = pattern.split(|byte| *byte == b'*');
    let (first, last) = (parts.next().unwrap_or_default(), parts.next_back());
    let Some(rest) = text.strip_prefix(first) else { return false };
    let Some(last) = last else { return rest.is_empty() || rest[0] == b'/' };
    let mut rest = rest;
    for part in parts {
        let Some(at) = memmem::find(rest, part) else { return false };
        rest = &rest[at + part.len()..];
    }
    // What is behind the last star ends where the text does, or one of the things that it is below.
    rest.ends_with(last) || memchr::memchr_iter(b'/', rest).any(|end| rest[..end].ends_with(last))
}

/// Whether a pattern stands for anything that begins with a text. Up to its first `*` all has to agree: from there on,
/// something is found that does.
fn begins(pattern: &[u8], text: &[u8]) -> bool {
    let fixed = pattern.iter().position(|byte| *byte == b'*').unwrap_or(pattern.len());
    if fixed < pattern.len() && fixed <= text.len() {
        // What is behind the star ends anywhere behind the text.
        return pattern[..fixed] == text[..fixed];
    }
    pattern[..fixed].starts_with(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn covered(pattern: &str, resource: &str) -> bool {
        Pattern::parse(pattern).unwrap().covers(resource, Some("alice"))
    }

    #[test]
    fn a_pattern_covers_what_it_stands_for_and_what_is_below() {
        for (pattern, resource) in [
            ("*", ""),
            ("/", ""),
            ("/", "a/b"),
            ("*", "a/b"),
            ("a", "a"),
            ("a", "a/b/c"),
            ("/a/", "a"),
            ("a*", "abc/d"),
            ("a*c", "a/b/c"),
            ("a*c", "abc/d"),
            ("*/b", "a/b"),
            ("*b*b", "abab"),
            ("{user}", "alice/x"),
            ("home-{user}/*", "home-alice/x"),
            ("pull/sha256:*", "pull/sha256:00"),
        ] {
            assert!(covered(pattern, resource), "{pattern} {resource}");
        }
        for (pattern, resource) in [
            ("a", ""),
            ("a", "ab"),
            ("a", "b/a"),
            ("a/b", "a"),
            ("a/*", "a"),
            ("*b", "abc"),
            ("{user}", "alicex"),
            ("{user}", "bob"),
            ("{user}/*", "{user}/x"),
        ] {
            assert!(!covered(pattern, resource), "{pattern} {resource}");
        }
        assert!(!Pattern::parse("{user}").unwrap().covers("", None));
    }

    #[test]
    fn a_pattern_reaches_into_what_has_something_that_it_covers() {
        let reaches = |pattern: &str, resource| Pattern::parse(pattern).unwrap().reaches_into(resource, Some("alice"));
        for (pattern, resource) in [
            ("/", "a"),
            ("a", "a"),
            ("a", "a/b"),
            ("a/b/c", "a"),
            ("a/b/c", "a/b"),
            ("a/*", "a"),
            ("*/c", "a/b"),
            ("a*d", "abc"),
            ("{user}/x", "alice"),
            ("a/b", ""),
        ] {
            assert!(reaches(pattern, resource), "{pattern} {resource}");
        }
        for (pattern, resource) in [("a/b", "b"), ("ab/c", "a"), ("a/b/c", "a/c"), ("b*", "a"), ("{user}/x", "bob")] {
            assert!(!reaches(pattern, resource), "{pattern} {resource}");
        }
        assert!(!Pattern::parse("{user}/x").unwrap().reaches_into("", None));
    }

    #[test]
    fn a_pattern_that_was_made_to_take_long_does_not() {
        // With each byte of the pattern tried at each place again, this would take minutes.
        let pattern = format!("*{}b*{}c", "a".repeat(500), "a".repeat(500));
        assert!(!covered(&pattern, &"a".repeat(4 << 20)));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for odd in ["", "a b", "a\n", "{group}", "a}", "{use", &"a".repeat(MAX_BYTES + 1)] {
            assert!(Pattern::parse(odd).is_err(), "{odd:?}");
        }
        assert_eq!(Pattern::parse("//").unwrap().to_string(), "/");
    }

    proptest! {
        #[test]
        fn it_reaches_into_all_that_is_above_what_it_covers(
            pattern in "[ab/*]{1,8}", resource in "[ab]/[ab/]{0,8}", cut in 0_usize..10,
        ) {
            let resource = resource.trim_matches('/');
            if covered(&pattern, resource) {
                let slashes: Vec<usize> = resource.match_indices('/').map(|(at, _)| at).collect();
                let above = slashes.get(cut % slashes.len().max(1)).map_or(resource, |at| &resource[..*at]);
                prop_assert!(Pattern::parse(&pattern).unwrap().reaches_into(above, Some("alice")));
            }
        }

        #[test]
        fn it_agrees_with_a_regular_expression(pattern in "[ab/*]{1,8}", resource in "[ab/]{0,10}") {
            let trimmed = pattern.trim_matches('/');
            let resource = resource.trim_matches('/');
            let expression = regex::Regex::new(&format!("^{}(/.*)?$", trimmed.replace('*', ".*"))).unwrap();
            prop_assert_eq!(covered(&pattern, resource), trimmed.is_empty() || expression.is_match(resource));
        }
    }
}
