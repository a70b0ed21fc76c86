//! Who may call what, as the option `access` of each method says.

use std::sync::LazyLock;

use hashbrown::HashMap;

pub use crate::auth::v1::{Area, Right};

/// What a caller has to be allowed for one method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The path of its calls: `/steward.lock.v1.LockService/Acquire`.
    pub path: &'static str,
    /// What is needed. The first is what the method is about.
    pub needs: &'static [Need],
    /// As whom the caller acts; without parts, as itself.
    pub identity: &'static [Part],
    /// The service asks for the right itself, because it has to look the resource up first or shows only what the
    /// caller may see.
    pub by_service: bool,
}

/// One right that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// In which area.
    pub area: Area,
    /// Which.
    pub right: Right,
    /// For which resource; without parts, for the area as a whole.
    pub resource: &'static [Part],
}

/// A part of a text that is made of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Stands for itself.
    Text(&'static str),
    /// A text of the request: the numbers of its field and of those that it is in, the outermost first.
    Field(&'static [u32]),
}

include!(concat!(env!("OUT_DIR"), "/access.rs"));

/// Nobody who calls chooses these paths, so that a fast hash is good enough.
static BY_PATH: LazyLock<HashMap<&'static str, &'static Access>> =
    LazyLock::new(|| METHODS.iter().map(|method| (method.path, method)).collect());

/// What the method of a path needs; `None` when there is no such method.
pub fn find(path: &str) -> Option<&'static Access> {
    BY_PATH.get(path).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_found_by_its_path() {
        assert!(METHODS.len() > 150);
        for method in METHODS {
            assert_eq!(find(method.path), Some(method));
        }
        assert_eq!(find("/steward.lock.v1.LockService/Nothing"), None);
    }

    #[test]
    fn a_resource_is_made_of_the_fields_that_the_protocol_names() {
        let acquire = find("/steward.lock.v1.LockService/Acquire").expect("a method");
        let [need] = acquire.needs else { panic!("{acquire:?}") };
        assert_eq!((need.area, need.right), (Area::Lock, Right::Write));
        assert_eq!(need.resource, [Part::Field(&[1, 1]), Part::Text("/"), Part::Field(&[1, 2])]);
        assert_eq!(acquire.identity, [Part::Field(&[2])]);
    }
}
