//! What a user can be called.

use std::sync::LazyLock;

use regex::Regex;

/// Longer than any mail address.
const MAX_BYTES: usize = 255;

static PATTERN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[\p{L}0-9@._-]+$").expect("the pattern is fixed, and a test matches it"));

/// Whether a user can be called so. Names become parts of paths, so no name has a slash or is made of dots alone.
pub fn is_user_name(name: &str) -> bool {
    // Asked for every call that comes with a name: most are as plain as can be, and the pattern takes its time.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@._-".contains(&byte);
    let has_shape = if name.is_ascii() { name.bytes().all(is_plain) } else { PATTERN.is_match(name) };
    name.len() <= MAX_BYTES && has_shape && name.bytes().any(|byte| byte != b'.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_letters_of_any_script_digits_and_a_few_signs() {
        for name in ["a", "A.b-c_d@example.org", "übel", "王小明", "0", ".a", "a.."] {
            assert!(is_user_name(name), "{name}");
        }
        for name in ["", ".", "..", "...", "a/b", "a b", "a\n", "a\0", "a:b", "a\\b", "Ⅷ", "٣", "a%2f", "\u{301}a"] {
            assert!(!is_user_name(name), "{name:?}");
        }
        assert!(!is_user_name(&"a".repeat(MAX_BYTES + 1)));
    }

    proptest! {
        #[test]
        fn plain_names_are_what_the_pattern_says(name in "[ -~]{1,8}") {
            prop_assert_eq!(is_user_name(&name), PATTERN.is_match(&name) && name.bytes().any(|byte| byte != b'.'));
        }

        #[test]
        fn a_name_is_one_plain_part_of_a_path(name: String) {
            if is_user_name(&name) {
                let parts: Vec<_> = std::path::Path::new(&name).components().collect();
                prop_assert!(matches!(parts.as_slice(), [std::path::Component::Normal(part)] if *part == name.as_str()));
            }
        }
    }
}
