//! How a lock is named on the command line.

use steward_proto::lock::v1 as pb;

use crate::cli::console::printable;

const DEFAULT_TYPE: &str = "lock";

/// `TYPE/RESOURCE`, split at the first slash; without a slash the type is `lock`.
pub(super) fn parse(text: &str) -> Result<pb::LockKey, String> {
    let (r#type, resource_id) = text.split_once('/').unwrap_or((DEFAULT_TYPE, text));
    if r#type.is_empty() || resource_id.is_empty() {
        return Err("neither the type nor the resource may be empty; write TYPE/RESOURCE or RESOURCE".to_owned());
    }
    Ok(pb::LockKey { r#type: r#type.to_owned(), resource_id: resource_id.to_owned() })
}

/// As it is given on the command line.
pub(super) fn text(key: &pb::LockKey) -> String {
    format!("{}/{}", printable(&key.r#type), printable(&key.resource_id))
}

/// The same, when the key may be missing from an answer.
pub(super) fn text_or_unknown(key: Option<&pb::LockKey>) -> String {
    key.map_or_else(|| "?".to_owned(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(r#type: &str, resource_id: &str) -> pb::LockKey {
        pb::LockKey { r#type: r#type.to_owned(), resource_id: resource_id.to_owned() }
    }

    #[test]
    fn a_key_is_split_at_the_first_slash() {
        assert_eq!(parse("pull/sha256:abc"), Ok(key("pull", "sha256:abc")));
        assert_eq!(parse("delete/library/nginx:1/x"), Ok(key("delete", "library/nginx:1/x")));
    }

    #[test]
    fn without_a_slash_the_type_is_lock() {
        assert_eq!(parse("backup"), Ok(key("lock", "backup")));
    }

    #[test]
    fn empty_parts_are_refused() {
        for wrong in ["", "/", "/a", "pull/"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_key_is_written_as_it_is_read() {
        assert_eq!(text(&parse("pull/a/b").unwrap()), "pull/a/b");
    }
}
