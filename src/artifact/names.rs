//! Names of projects and repositories.

use crate::fields::Fields;

/// The longest name of a project, in bytes.
const MAX_PROJECT: usize = 100;
/// The longest name of a repository, in bytes.
const MAX_REPOSITORY: usize = 64;

/// No new project has this name: what it has would be told from clusters nowhere in a table of rights.
const RESERVED: &str = "cluster";

impl Fields {
    /// The name of a project that is to be made.
    pub(super) fn new_project_name(&mut self, field: &'static str, name: &str) {
        if name == RESERVED {
            self.reject(field, "is reserved: `cluster/NAME` is a cluster in the table of rights");
        }
        self.project_name(field, name);
    }

    /// The name of a project.
    pub(super) fn project_name(&mut self, field: &'static str, name: &str) {
        if !is_project_name(name) {
            self.reject(field, "has to be a letter or `_`, then letters, digits, `-` and `_`; 2 to 100 bytes");
        }
    }

    /// The name of a repository that is to be made.
    pub(super) fn repository_name(&mut self, field: &'static str, name: &str) {
        if !is_repository_name(name) {
            self.reject(field, "has to be a letter or `_`, then letters, digits, `.`, `-` and `_`; 2 to 64 bytes");
        }
    }

    /// The name of something that has to be there, which says by itself what can be wrong with it.
    pub(super) fn existing(&mut self, field: &'static str, name: &str) {
        if name.is_empty() {
            self.reject(field, "is required");
        }
    }
}

/// Whether a project can have this name.
pub(super) fn is_project_name(name: &str) -> bool {
    is_name(name, MAX_PROJECT, b"-_")
}

/// Whether a repository can have this name.
pub(super) fn is_repository_name(name: &str) -> bool {
    is_name(name, MAX_REPOSITORY, b".-_")
}

fn is_name(name: &str, max: usize, marks: &[u8]) -> bool {
    let Some((first, rest)) = name.as_bytes().split_first() else { return false };
    let begins = first.is_ascii_alphabetic() || *first == b'_';
    let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || marks.contains(byte);
    begins && (2..=max).contains(&name.len()) && rest.iter().all(goes_on)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_have_the_names_that_the_contract_allows() {
        for name in ["p1", "_x", "Ab-9_z", &"a".repeat(100)] {
            assert!(is_project_name(name), "{name}");
        }
        for name in ["", "a", "9b", "-a", "a.b", "a/b", "a b", "aé", "a\0", "ab\n", &"a".repeat(101)] {
            assert!(!is_project_name(name), "{name}");
        }
    }

    #[test]
    fn a_new_project_is_not_called_as_clusters_are_in_the_table_of_rights() {
        let problems = |name: &str| {
            let mut fields = Fields::default();
            fields.new_project_name("name", name);
            fields.check().map_err(|failure| tonic::Status::from(failure).message().to_owned())
        };
        assert!(problems("cluster").unwrap_err().contains("is reserved"));
        assert!(problems("clusters").is_ok() && problems("9b").is_err());
    }

    #[test]
    fn repositories_may_have_dots_in_their_names_and_shorter_ones() {
        for name in ["r1", "_x", "a.b", "maven-2.0_x", &"a".repeat(64)] {
            assert!(is_repository_name(name), "{name}");
        }
        for name in ["", "a", ".a", "9b", "a/b", "a:b", "aé", &"a".repeat(65)] {
            assert!(!is_repository_name(name), "{name}");
        }
    }
}
