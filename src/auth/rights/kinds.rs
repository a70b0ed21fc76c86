//! The words for areas and rights, and sets of rights.

use std::fmt;

pub use steward_proto::access::{Area, Right};

/// The areas by their names.
pub(super) const AREAS: [(&str, Area); 7] = [
    ("lock", Area::Lock),
    ("transcode", Area::Transcode),
    ("artifact", Area::Artifact),
    ("replication", Area::Replication),
    ("restic", Area::Restic),
    ("volume", Area::Volume),
    ("admin", Area::Admin),
];

/// The rights by their names.
pub(super) const RIGHTS: [(&str, Right); 4] =
    [("read", Right::Read), ("append", Right::Append), ("write", Right::Write), ("admin", Right::Admin)];

/// The name of an area.
pub fn area_name(area: Area) -> &'static str {
    AREAS.iter().find(|(_, known)| *known == area).map_or("no area", |(name, _)| name)
}

/// The name of a right.
pub fn right_name(right: Right) -> &'static str {
    RIGHTS.iter().find(|(_, known)| *known == right).map_or("to sign in", |(name, _)| name)
}

/// The area of a name; `None` for `*`, which is every area.
pub(super) fn parse_area(name: &str) -> Result<Option<Area>, String> {
    if name == "*" {
        return Ok(None);
    }
    let area = AREAS.iter().find(|(known, _)| *known == name).map(|(_, area)| Some(*area));
    area.ok_or_else(|| format!("{name:?} is no area: there are {} and *", names(&AREAS)))
}

/// Reads a question: `AREA:RESOURCE:RIGHT`, of one area and one right. Resources may have colons of their own.
pub fn parse_question(text: &str) -> Result<(Area, String, Right), String> {
    let parts = text.split_once(':').and_then(|(area, rest)| Some((area, rest.rsplit_once(':')?)));
    let (area, (resource, right)) = parts.ok_or("it has to be AREA:RESOURCE:RIGHT")?;
    let area = parse_area(area)?.ok_or("it has to be about one area")?;
    let known = RIGHTS.iter().find(|(name, _)| *name == right);
    let (_, right) = known.ok_or_else(|| format!("{right:?} is no right: there are {}", names(&RIGHTS)))?;
    Ok((area, resource.to_owned(), *right))
}

fn names<T>(known: &[(&'static str, T)]) -> String {
    known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Some rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// Reads names with commas between. The error says which is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rights = Rights::default();
        for name in text.split(',').map(str::trim) {
            let found = RIGHTS.iter().find(|(known, _)| *known == name);
            let (_, right) = found.ok_or_else(|| format!("{name:?} is no right: there are {}", names(&RIGHTS)))?;
            rights = rights.with(*right);
        }
        Ok(rights)
    }

    /// With one more, and what that includes.
    #[must_use]
    pub fn with(self, right: Right) -> Self {
        Rights(
            self.0
                | match right {
                    // No rule gives these.
                    Right::Unspecified | Right::SignedIn => 0,
                    Right::Read => 0b0001,
                    Right::Append => 0b0010,
                    Right::Write => 0b0110,
                    Right::Admin => 0b1111,
                },
        )
    }

    /// Whether a right is one of them.
    pub fn include(self, right: Right) -> bool {
        let bit = match right {
            Right::Unspecified | Right::SignedIn => return false,
            Right::Read => 0b0001,
            Right::Append => 0b0010,
            Right::Write => 0b0100,
            Right::Admin => 0b1000,
        };
        self.0 & bit == bit
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The strongest says the others.
        let shown: &[Right] = match self.0 {
            0b1111 => &[Right::Admin],
            0b0111 => &[Right::Read, Right::Write],
            0b0110 => &[Right::Write],
            0b0011 => &[Right::Read, Right::Append],
            0b0010 => &[Right::Append],
            0b0001 => &[Right::Read],
            _ => &[],
        };
        let names: Vec<&str> = shown.iter().map(|right| right_name(*right)).collect();
        formatter.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_include_weaker_ones_and_read_back_as_they_are_shown() {
        for (text, read, append, write, admin) in [
            ("read", true, false, false, false),
            ("append", false, true, false, false),
            ("write", false, true, true, false),
            ("read,append", true, true, false, false),
            ("read,write", true, true, true, false),
            ("admin", true, true, true, true),
        ] {
            let rights = Rights::parse(text).unwrap();
            let includes = [Right::Read, Right::Append, Right::Write, Right::Admin].map(|right| rights.include(right));
            assert_eq!(includes, [read, append, write, admin], "{text}");
            assert_eq!(rights.to_string(), text);
        }
        assert!(Rights::parse("read,delete").unwrap_err().contains("\"delete\""));
        assert!(Rights::parse("").is_err());
    }

    #[test]
    fn a_question_is_about_one_area_and_one_right() {
        let question = parse_question("lock:pull/sha256:a:write");
        assert_eq!(question, Ok((Area::Lock, "pull/sha256:a".to_owned(), Right::Write)));
        for odd in ["", "lock:a", "*:a:read", "lock:a:read,write", "locks:a:read"] {
            assert!(parse_question(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn areas_are_known_by_name() {
        for (name, area) in AREAS {
            assert_eq!(parse_area(name), Ok(Some(area)));
            assert_eq!(area_name(area), name);
        }
        assert_eq!(parse_area("*"), Ok(None));
        assert!(parse_area("locks").unwrap_err().contains("lock, transcode"));
    }
}
