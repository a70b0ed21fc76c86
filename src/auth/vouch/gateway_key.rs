//! The file of keys that a gateway and its server share.

use std::fs::File;
use std::path::Path;

use ring::hmac;

use crate::auth::Error;
use crate::private_file;

/// How many characters a key has at least.
const SHORTEST_KEY: usize = 32;

/// Keys; the first signs, all are believed, so that a new one can be put in front of the old.
pub(super) struct Keys(Vec<hmac::Key>);

impl Keys {
    /// One a line. A file that others may use is refused.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |problem: String| Error::GatewayKey { path: path.to_owned(), problem };
        let text = File::open(path).and_then(private_file::read).map_err(|error| wrong(error.to_string()))?;
        Keys::parse(&text).map_err(wrong)
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            // What the line says stays unsaid: it may be a key all the same.
            if line.len() < SHORTEST_KEY {
                return Err(format!("line {} is too short for a key: {SHORTEST_KEY} characters at least", index + 1));
            }
            keys.push(hmac::Key::new(hmac::HMAC_SHA256, line.as_bytes()));
        }
        if keys.is_empty() { Err("it has no key".to_owned()) } else { Ok(Keys(keys)) }
    }

    pub(super) fn sign(&self, message: &[u8]) -> hmac::Tag {
        hmac::sign(&self.0[0], message)
    }

    /// Takes the same time wherever the signature is wrong.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.iter().any(|key| hmac::verify(key, message, signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn with(text: &str, mode: u32) -> Result<Keys, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        Keys::read(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_that_others_may_use_or_that_has_no_key_is_refused_and_not_shown() {
        let key = "k".repeat(32);
        assert!(with(&key, 0o600).is_ok() && with(&key, 0o400).is_ok());
        for (text, mode) in [(&key[..], 0o640), (&key, 0o604), ("geheim", 0o600), ("", 0o600), ("\n\n", 0o600)] {
            let Err(error) = with(text, mode) else { panic!("{text:?} with {mode:o} is of no use") };
            assert!(
                error.contains("auth.gateway_key") && !error.contains("geheim") && !error.contains("kkk"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_first_key_signs_and_all_are_believed() {
        let keys = |text: &str| Keys::parse(text).unwrap();
        let (old, new) = ("o".repeat(32), "n".repeat(32));
        let (before, after) = (keys(&old), keys(&format!("{new}\n\n{old}\n")));
        assert!(after.verify(b"word", before.sign(b"word").as_ref()));
        assert!(!before.verify(b"word", after.sign(b"word").as_ref()));
        assert!(!after.verify(b"other", before.sign(b"word").as_ref()) && !after.verify(b"word", b""));
    }
}
