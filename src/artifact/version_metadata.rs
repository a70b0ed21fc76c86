//! What owners write on versions.

use std::collections::HashMap;

use super::error::Error;

/// The most keys of a version.
const MAX_KEYS: usize = 64;
/// The most bytes of all keys and values of a version together.
const MAX_BYTES: usize = 2048;

/// Metadata with some keys written and some taken away.
pub(super) fn write_metadata(
    mut metadata: HashMap<String, String>,
    written: &HashMap<String, String>,
    taken: &[String],
) -> Result<HashMap<String, String>, Error> {
    for key in taken {
        metadata.remove(key);
    }
    metadata.extend(written.iter().map(|(key, value)| (key.clone(), value.clone())));
    check_metadata(&metadata)?;
    Ok(metadata)
}

/// Refuses metadata that is too much for a version.
pub(super) fn check_metadata(metadata: &HashMap<String, String>) -> Result<(), Error> {
    let refuse = |problem: String| Err(Error::invalid("metadata", problem));
    if metadata.len() > MAX_KEYS {
        return refuse(format!("has {} keys; the limit is {MAX_KEYS}", metadata.len()));
    }
    if metadata.contains_key("") {
        return refuse("has an empty key".to_owned());
    }
    let bytes: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > MAX_BYTES {
        return refuse(format!("has {bytes} bytes together; the limit is {MAX_BYTES}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn keys_are_written_and_taken_away_up_to_the_limits() {
        let old = map(&[("a", "1"), ("b", "2")]);
        let new = write_metadata(old.clone(), &map(&[("c", "3"), ("a", "4")]), &["b".to_owned()]).unwrap();
        assert_eq!(new, map(&[("a", "4"), ("c", "3")]));
        let many: HashMap<String, String> = (0..65).map(|key| (key.to_string(), String::new())).collect();
        for bad in [map(&[("", "x")]), map(&[("k", &"x".repeat(2048))]), many] {
            let refused = write_metadata(old.clone(), &bad, &[]);
            assert!(matches!(refused, Err(Error::Invalid { field: "metadata", .. })));
        }
    }
}
