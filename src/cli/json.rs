//! What the JSON of all commands has in common.

/// The value `name` of an enum as a word: `LOCK_MODE_SHARED` → `shared`.
pub(crate) fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_no_prefix() {
        assert_eq!(word("LOCK_MODE_SHARED", "LOCK_MODE_"), "shared");
    }
}
