//! What owners write on files.

use std::collections::HashMap;

use super::error::Error;
use crate::fields::Fields;

/// How many keys there may be.
const MAX_KEYS: usize = 64;
/// How long keys and values may be together, in bytes.
const MAX_BYTES: usize = 2048;

/// Keys in lower case, and their values.
pub(super) type Metadata = HashMap<String, String>;

impl Fields {
    /// What to write; keys come in any case.
    pub(super) fn metadata(&mut self, field: &'static str, given: HashMap<String, String>) -> Metadata {
        if given.len() > MAX_KEYS {
            self.reject(field, format!("has more than {MAX_KEYS} keys"));
            return Metadata::new();
        }
        let mut metadata = Metadata::with_capacity(given.len());
        for (key, value) in given {
            let key = key.to_ascii_lowercase();
            if let Some(problem) = problem(&key, &value) {
                self.reject(field, problem);
            } else if metadata.insert(key.clone(), value).is_some() {
                self.reject(field, format!("has the key {key:?} twice"));
            }
        }
        if let Err(problem) = check_size(&metadata) {
            self.reject(field, problem);
        }
        metadata
    }
}

/// Writes some keys and takes others away.
pub(super) fn update(metadata: &mut Metadata, written: &Metadata, deleted: &[String]) -> Result<(), Error> {
    for key in deleted {
        metadata.remove(&key.to_ascii_lowercase());
    }
    metadata.extend(written.iter().map(|(key, value)| (key.clone(), value.clone())));
    check_size(metadata).map_err(|problem| Error::invalid("metadata", problem))
}

fn problem(key: &str, value: &str) -> Option<String> {
    let is_known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if key.is_empty() || !key.bytes().all(is_known) {
        let shown: String = key.chars().take(64).collect();
        return Some(format!("has the key {shown:?}; letters, digits, `.`, `_` and `-` are known"));
    }
    value.chars().any(char::is_control).then(|| format!("has a control character under {key:?}"))
}

fn check_size(metadata: &Metadata) -> Result<(), String> {
    if metadata.len() > MAX_KEYS {
        return Err(format!("has more than {MAX_KEYS} keys"));
    }
    let bytes: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > MAX_BYTES { Err(format!("has {bytes} bytes; the limit is {MAX_BYTES}")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn read(given: HashMap<String, String>) -> Result<Metadata, Error> {
        let mut fields = Fields::default();
        let metadata = fields.metadata("metadata", given);
        Error::check(fields).map(|()| metadata)
    }

    #[test]
    fn keys_are_kept_in_lower_case() {
        assert_eq!(read(of(&[("Build-No", "7 Ä")])).expect("metadata"), of(&[("build-no", "7 Ä")]));
    }

    #[test]
    fn metadata_has_bounds() {
        let many = |count: usize| (0..count).map(|number| (format!("k{number}"), "v".to_owned())).collect();
        assert!(read(many(64)).is_ok());
        assert!(read(many(65)).is_err());
        assert!(read(many(10_000)).is_err());
        assert!(read(of(&[("k", &"v".repeat(2047))])).is_ok());
        assert!(read(of(&[("k", &"v".repeat(2048))])).is_err());
        for (key, value) in [("", "v"), ("a b", "v"), ("ä", "v"), ("a/b", "v"), ("k", "line\nline"), ("k", "\0")] {
            assert!(read(of(&[(key, value)])).is_err(), "{key:?} {value:?}");
        }
        assert!(read(of(&[("K", "v"), ("k", "w")])).is_err(), "which one counts?");
    }

    #[test]
    fn an_update_keeps_the_bounds_too() {
        let mut metadata = of(&[("a", "1"), ("b", "2")]);
        update(&mut metadata, &of(&[("c", "3")]), &["A".to_owned(), "none".to_owned()]).expect("room");
        assert_eq!(metadata, of(&[("b", "2"), ("c", "3")]));
        assert!(update(&mut metadata, &of(&[("d", &"v".repeat(2045))]), &[]).is_err());
    }
}
