//! Secrets that have to be kept, such as passwords for registries: encrypted with a key from a file.
//!
//! Sealed bytes are a format number, the id of the key, a nonce by chance, and AES-256-GCM's ciphertext and tag. What
//! is not secret of them, and whose secret it is, is authenticated with the rest.
//!
//! - `key_file` has the keys.
//! - `generation` keeps out what was sealed with a key that is about to go.
//! - `rotate` puts a new key in the place of all others; `service` is its face.

mod generation;
mod key_file;
mod rotate;
mod service;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;

pub(crate) use self::generation::expect_generation;
pub use self::rotate::{Holder, Rotated, SealedAnew};
pub use self::service::SecretServer;
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
pub struct Secrets(Arc<Parts>);

/// A secret cannot be decrypted: another key, or damaged bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored secret cannot be decrypted: the key is another one, or it is damaged")]
pub struct Undecipherable;

struct Parts {
    file: PathBuf,
    keys: RwLock<Arc<Keys>>,
    /// Held by whoever changes the keys.
    changing: tokio::sync::Mutex<()>,
}

struct Keys {
    /// Encrypts.
    sealing: Arc<SecretKey>,
    /// Only decrypt: keys of former times.
    former: Vec<Arc<SecretKey>>,
}

struct SecretKey {
    id: KeyId,
    cipher: LessSafeKey,
    /// Makes keys for other purposes.
    derivation: hmac::Key,
}

type KeyId = [u8; ID_BYTES];

impl Secrets {
    /// With the keys in a file, one a line in base64: the first encrypts, all decrypt. A file that is not there is made, with
    /// a key by chance, for its owner alone; one that others may read is refused.
    pub fn open(key_file: &Path) -> io::Result<Self> {
        let keys = Keys::new(&key_file::open(key_file)?)?;
        if !keys.former.is_empty() {
            let former = keys.former.len();
            tracing::info!(
                former,
                "the key file has keys of former times; `steward secrets rotate` does away with them"
            );
        }
        Ok(Self::with_keys(key_file, keys))
    }

    fn with_keys(file: &Path, keys: Keys) -> Self {
        let (keys, changing) = (RwLock::new(Arc::new(keys)), tokio::sync::Mutex::default());
        Secrets(Arc::new(Parts { file: file.to_owned(), keys, changing }))
    }

    /// With keys that tests make up, each of one byte again and again.
    #[cfg(test)]
    pub(crate) fn of_tests(keys: &[u8]) -> Self {
        let keys: Vec<_> = keys.iter().map(|byte| [*byte; 32]).collect();
        Self::with_keys(Path::new("/nowhere"), Keys::new(&keys).expect("keys"))
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.0.keys.read())
    }

    /// Encrypts a secret. `context` says whose it is: what is sealed for one is not opened for another. What is to be
    /// stored is sealed after [`expect_generation`], in the same transaction.
    pub fn seal(&self, context: &str, secret: &str) -> io::Result<Vec<u8>> {
        let keys = self.keys();
        let key = &keys.sealing;
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
        let id = key_id(sealed).ok_or(Undecipherable)?;
        let nonce = &head[1 + ID_BYTES..];
        let associated = digest(&[head, context.as_bytes()]);
        for key in self.keys().all().filter(|key| key.id == id) {
            let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Undecipherable)?;
            let mut content = content.to_vec();
            if let Ok(secret) = key.cipher.open_in_place(nonce, Aad::from(associated), &mut content) {
                return String::from_utf8(secret.to_vec()).map_err(|_| Undecipherable);
            }
        }
        Err(Undecipherable)
    }

    /// Whether it was sealed with the key that seals now.
    pub(crate) fn is_current(&self, sealed: &[u8]) -> bool {
        key_id(sealed) == Some(self.keys().sealing.id)
    }

    /// A key for another purpose, such as signing: always the same for a label, until the keys are rotated. It tells
    /// nothing of the key that it is made of.
    pub fn derive(&self, label: &str) -> [u8; 32] {
        self.keys().sealing.derive(label)
    }

    /// The keys of [`Secrets::derive`] since the server was started, the present one first: what was signed before a
    /// rotation can be verified for a while.
    pub fn derive_all(&self, label: &str) -> Vec<[u8; 32]> {
        self.keys().all().map(|key| key.derive(label)).collect()
    }
}

/// Which key something was sealed with.
fn key_id(sealed: &[u8]) -> Option<KeyId> {
    let (&format, rest) = sealed.split_first()?;
    rest.first_chunk().copied().filter(|_| format == FORMAT)
}

impl Keys {
    fn new(keys: &[[u8; 32]]) -> io::Result<Self> {
        let mut keys = keys.iter().map(|bytes| SecretKey::new(bytes).map(Arc::new));
        let none = || io::Error::new(io::ErrorKind::InvalidData, "it has no key");
        let sealing = keys.next().ok_or_else(none)??;
        let former = keys.collect::<io::Result<_>>()?;
        Ok(Keys { sealing, former })
    }

    fn all(&self) -> impl Iterator<Item = &Arc<SecretKey>> {
        std::iter::once(&self.sealing).chain(&self.former)
    }
}

impl SecretKey {
    fn new(bytes: &[u8; 32]) -> io::Result<Self> {
        let [a, b, c, d, ..] = digest(&[b"steward secret key", bytes]);
        let cipher = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| io::Error::other("a key is of no use"))?;
        let for_derivation = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), b"steward derived keys");
        let derivation = hmac::Key::new(hmac::HMAC_SHA256, for_derivation.as_ref());
        Ok(SecretKey { id: [a, b, c, d], cipher: LessSafeKey::new(cipher), derivation })
    }

    fn derive(&self, label: &str) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(hmac::sign(&self.derivation, label.as_bytes()).as_ref());
        key
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
    fn a_derived_key_is_the_same_for_its_label_and_for_nothing_else() {
        let (one, both) = (secrets(&[1]), secrets(&[2, 1]));
        assert_eq!(one.derive("tokens"), secrets(&[1]).derive("tokens"));
        assert_ne!(one.derive("tokens"), one.derive("cookies"));
        assert_ne!(one.derive("tokens"), [1; 32]);
        assert_ne!(both.derive("tokens"), one.derive("tokens"));
        assert_eq!(both.derive_all("tokens"), [both.derive("tokens"), one.derive("tokens")]);
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?}", secrets(&[7])), "Secrets");
    }
}
