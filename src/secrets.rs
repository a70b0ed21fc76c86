//! Secrets that have to be kept, such as passwords for registries: encrypted with a key from a file.
//!
//! Sealed bytes are a format number, the id of the key, a nonce by chance, and AES-256-GCM's ciphertext and tag. What
//! is not secret of them, and whose secret it is, is authenticated with the rest.

mod key_file;

use std::io;
use std::path::Path;
use std::sync::Arc;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::store::key::digest;

/// The first byte of what is sealed.
const FORMAT: u8 = 1;
/// How long the id of a key is, in bytes.
const ID_BYTES: usize = 4;
/// What stands in front of the ciphertext, in bytes.
const HEAD_BYTES: usize = 1 + ID_BYTES + NONCE_LEN;

/// How many bytes a secret takes more when it is sealed.
pub const SEAL_BYTES: usize = HEAD_BYTES + 16;

/// Encrypts and decrypts. Clones share the keys.
#[derive(Clone)]
pub struct Secrets(Arc<Keys>);

/// A secret cannot be decrypted: another key, or damaged bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored secret cannot be decrypted: the key is another one, or it is damaged")]
pub struct Undecipherable;

struct Keys {
    /// Encrypts.
    sealing: SecretKey,
    /// Only decrypt: keys of former times.
    former: Vec<SecretKey>,
}

struct SecretKey {
    id: [u8; ID_BYTES],
    cipher: LessSafeKey,
}

impl Secrets {
    /// With the keys in a file, one a line in base64: the first encrypts, all decrypt. A file that is not there is made, with
    /// a key by chance, for its owner alone; one that others may read is refused.
    pub fn open(key_file: &Path) -> io::Result<Self> {
        Self::with_keys(&key_file::open(key_file)?)
    }

    fn with_keys(keys: &[[u8; 32]]) -> io::Result<Self> {
        let mut keys = keys.iter().map(SecretKey::new);
        let none = || io::Error::new(io::ErrorKind::InvalidData, "it has no key");
        let sealing = keys.next().ok_or_else(none)??;
        let former = keys.collect::<io::Result<_>>()?;
        Ok(Secrets(Arc::new(Keys { sealing, former })))
    }

    /// With keys that tests make up, each of one byte again and again.
    #[cfg(test)]
    pub(crate) fn of_tests(keys: &[u8]) -> Self {
        let keys: Vec<_> = keys.iter().map(|byte| [*byte; 32]).collect();
        Self::with_keys(&keys).expect("keys")
    }

    /// Encrypts a secret. `context` says whose it is: what is sealed for one is not opened for another.
    pub fn seal(&self, context: &str, secret: &str) -> io::Result<Vec<u8>> {
        let key = &self.0.sealing;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce)?;
        let mut sealed = Vec::with_capacity(secret.len() + SEAL_BYTES);
        sealed.push(FORMAT);
        sealed.extend(key.id);
        sealed.extend(nonce);
        let associated = Aad::from(digest(&[&sealed, context.as_bytes()]));
        let mut content = secret.as_bytes().to_vec();
        let encrypted =
            key.cipher.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), associated, &mut content);
        encrypted.map_err(|_| io::Error::other("it is too long to be encrypted"))?;
        sealed.extend(content);
        Ok(sealed)
    }

    /// Decrypts it again.
    pub fn open_sealed(&self, context: &str, sealed: &[u8]) -> Result<String, Undecipherable> {
        let (head, content) = sealed.split_at_checked(HEAD_BYTES).ok_or(Undecipherable)?;
        let (&format, rest) = head.split_first().ok_or(Undecipherable)?;
        let (id, nonce) = rest.split_first_chunk::<ID_BYTES>().ok_or(Undecipherable)?;
        if format != FORMAT {
            return Err(Undecipherable);
        }
        let associated = digest(&[head, context.as_bytes()]);
        let Keys { sealing, former } = &*self.0;
        for key in std::iter::once(sealing).chain(former).filter(|key| key.id == *id) {
            let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Undecipherable)?;
            let mut content = content.to_vec();
            if let Ok(secret) = key.cipher.open_in_place(nonce, Aad::from(associated), &mut content) {
                return String::from_utf8(secret.to_vec()).map_err(|_| Undecipherable);
            }
        }
        Err(Undecipherable)
    }
}

impl SecretKey {
    fn new(bytes: &[u8; 32]) -> io::Result<Self> {
        let [a, b, c, d, ..] = digest(&[b"steward secret key", bytes]);
        let cipher = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| io::Error::other("a key is of no use"))?;
        Ok(SecretKey { id: [a, b, c, d], cipher: LessSafeKey::new(cipher) })
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(keys: &[u8]) -> Secrets {
        Secrets::of_tests(keys)
    }

    #[test]
    fn a_secret_is_opened_as_it_was_sealed_and_never_looks_the_same_twice() {
        let secrets = secrets(&[1]);
        let first = secrets.seal("task a", "pässword").unwrap();
        let second = secrets.seal("task a", "pässword").unwrap();
        assert_ne!(first, second);
        assert_eq!(first.len(), "pässword".len() + SEAL_BYTES);
        assert!(!first.windows(4).any(|part| part == b"word"));
        assert_eq!(secrets.open_sealed("task a", &first).as_deref(), Ok("pässword"));
        let empty = secrets.seal("task a", "").unwrap();
        assert_eq!(secrets.open_sealed("task a", &empty).as_deref(), Ok(""));
    }

    #[test]
    fn what_is_sealed_for_one_is_not_opened_for_another() {
        let secrets = secrets(&[1]);
        let sealed = secrets.seal("task a", "password").unwrap();
        assert_eq!(secrets.open_sealed("task b", &sealed), Err(Undecipherable));
    }

    #[test]
    fn not_one_byte_can_be_changed_or_left_out() {
        let secrets = secrets(&[1]);
        let sealed = secrets.seal("task a", "password").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(secrets.open_sealed("task a", &changed), Err(Undecipherable), "byte {at}");
            assert_eq!(secrets.open_sealed("task a", &sealed[..at]), Err(Undecipherable), "{at} bytes");
        }
    }

    #[test]
    fn a_new_key_in_front_seals_and_the_former_one_still_opens() {
        let (before, after) = (secrets(&[1]), secrets(&[2, 1]));
        let old = before.seal("task a", "password").unwrap();
        let new = after.seal("task a", "password").unwrap();
        assert_eq!(after.open_sealed("task a", &old).as_deref(), Ok("password"));
        assert_eq!(after.open_sealed("task a", &new).as_deref(), Ok("password"));
        assert_eq!(before.open_sealed("task a", &new), Err(Undecipherable));
        assert_eq!(secrets(&[2]).open_sealed("task a", &old), Err(Undecipherable));
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?}", secrets(&[7])), "Secrets");
    }
}
