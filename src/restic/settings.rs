//! What a repository has that restic's layout has no place for: a small file inside of it.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files::{self, Sharing};
use crate::clock::Timestamp;

/// `<repository>/.steward/repository.toml`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct RepositorySettings {
    /// Who created it, to whose quota it counts; empty: nobody known.
    pub(super) owner: String,
    /// When it was created, or first seen: nanoseconds since 1970, UTC.
    pub(super) create_nanos: i64,
    /// How many bytes it may have; 0: no quota of its own.
    pub(super) max_bytes: u64,
}

impl RepositorySettings {
    /// Reads the settings; `None` when the repository has none yet.
    pub(super) fn load(path: &Path) -> io::Result<Option<Self>> {
        let Some(text) = files::optional(std::fs::read_to_string(path))? else { return Ok(None) };
        let settings = toml::from_str(&text);
        settings.map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Writes the settings so that they last.
    pub(super) fn save(&self, path: &Path, sharing: Sharing) -> io::Result<()> {
        let text = toml::to_string(self).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        sharing.replace(path, text.as_bytes())
    }

    pub(super) fn create_time(&self) -> Timestamp {
        Timestamp::from_nanos(self.create_nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_back_as_they_were_saved_and_damage_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("own/repository.toml");
        assert_eq!(RepositorySettings::load(&path).unwrap(), None);
        let settings = RepositorySettings { owner: "alice".to_owned(), create_nanos: 5, max_bytes: 1 << 40 };
        settings.save(&path, Sharing::Private).unwrap();
        assert_eq!(RepositorySettings::load(&path).unwrap(), Some(settings));
        std::fs::write(&path, "max_bytes = \"many\"").unwrap();
        assert!(RepositorySettings::load(&path).is_err());
    }
}
