//! Labels on the command line: `env=prod` sets one, `env-` removes it.

use std::collections::{BTreeMap, HashMap};

/// A change of one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Set(String, String),
    Remove(String),
}

/// Parses `env=prod`.
pub(super) fn parse(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("not a label; write it as env=prod".to_owned()),
    }
}

/// Parses `env=prod` or `env-`.
pub(super) fn parse_change(text: &str) -> Result<Change, String> {
    if let Ok((key, value)) = parse(text) {
        return Ok(Change::Set(key, value));
    }
    let key = text.strip_suffix('-').filter(|key| !key.is_empty() && !key.contains('='));
    key.map(|key| Change::Remove(key.to_owned()))
        .ok_or_else(|| "not a change of a label; write it as env=prod or env-".to_owned())
}

/// Makes the changes, in their order.
pub(super) fn apply(labels: &mut HashMap<String, String>, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Set(key, value) => drop(labels.insert(key.clone(), value.clone())),
            Change::Remove(key) => drop(labels.remove(key)),
        }
    }
}

/// In an order that does not change from call to call.
pub(super) fn sorted(labels: HashMap<String, String>) -> BTreeMap<String, String> {
    labels.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_set_and_removed() {
        let mut labels = HashMap::from([("env".to_owned(), "prod".to_owned()), ("a".to_owned(), "b".to_owned())]);
        let changes: Vec<_> = ["env=test=1", "a-", "new="].map(|text| parse_change(text).unwrap()).into();
        apply(&mut labels, &changes);
        let expected = [("env", "test=1"), ("new", "")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(sorted(labels), BTreeMap::from(expected));
    }

    #[test]
    fn what_is_no_label_is_refused() {
        for wrong in ["", "env", "=prod", "-"] {
            assert!(parse_change(wrong).is_err(), "{wrong:?}");
        }
        assert!(parse("env-").is_err());
    }
}
