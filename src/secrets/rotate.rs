//! A new key in the place of all others.
//!
//! The steps, each durable before the next: the file has the new key in front of the others; nothing sealed with
//! another one can be committed any more; what is stored is sealed anew; the file has the new key alone. A crash leaves
//! a file that opens everything, and the next rotation does away with all that is left over.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Keys, SecretKey, Secrets, generation, key_file};
use crate::error::{Category, Failure};
use crate::store::Store;

/// How many former keys are kept in memory, for those who read what was sealed with one just before a rotation.
const MAX_FORMER: usize = 16;
/// How many of those that cannot be read are named.
const MAX_NAMED: usize = 100;

/// Who has stored secrets.
#[async_trait]
pub trait Holder: Send + Sync {
    /// Seals all that are not sealed with the present key anew, whatever others do meanwhile. Returns once that
    /// survives a power loss.
    async fn seal_anew(&self) -> Result<SealedAnew, Failure>;
}

/// What came of sealing anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedAnew {
    /// How many secrets are sealed with the present key now.
    pub sealed: u64,
    /// Whose secret can be decrypted with no key, and stays as it is: a hundred of them at most.
    pub unreadable: Vec<String>,
    /// How many there are.
    pub unreadable_count: u64,
}

impl SealedAnew {
    /// Notes one that cannot be decrypted.
    pub fn note_unreadable(&mut self, whose: impl Into<String>) {
        self.unreadable_count += 1;
        if self.unreadable.len() < MAX_NAMED {
            self.unreadable.push(whose.into());
        }
    }

    fn add(&mut self, other: SealedAnew) {
        self.sealed += other.sealed;
        self.unreadable_count += other.unreadable_count;
        self.unreadable.extend(other.unreadable);
        self.unreadable.truncate(MAX_NAMED);
    }
}

/// What came of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// What became of what is stored.
    pub anew: SealedAnew,
    /// How many keys the file has now: more than one only where something could not be decrypted.
    pub keys: usize,
}

impl Secrets {
    /// Makes a new key, seals with it what all holders have, and drops the others. What cannot be decrypted keeps the
    /// others in the file.
    pub async fn rotate(&self, store: &dyn Store, holders: &[Arc<dyn Holder>]) -> Result<Rotated, Failure> {
        let _alone = self.0.changing.lock().await;
        let all = self.add_key().await?;
        generation::begin_next(store).await?;
        let mut anew = SealedAnew::default();
        for holder in holders {
            anew.add(holder.seal_anew().await?);
        }
        if anew.unreadable_count > 0 {
            let (count, named) = (anew.unreadable_count, anew.unreadable.join(", "));
            tracing::warn!(count, named, "stored secrets cannot be decrypted; the former keys stay in the key file");
            return Ok(Rotated { anew, keys: all.len() });
        }
        self.write(all[..1].to_vec()).await?;
        tracing::info!(sealed = anew.sealed, "stored secrets were sealed with a new key");
        Ok(Rotated { anew, keys: 1 })
    }

    /// Puts a new key in front of those of the file and of the memory. Returns what the file has then.
    async fn add_key(&self) -> Result<Vec<[u8; 32]>, Failure> {
        let file = self.0.file.clone();
        let reading = tokio::task::spawn_blocking(move || Ok((key_file::read_again(&file)?, key_file::new_key()?)));
        let (known, new) = self.done(reading.await)?;
        let mut all = vec![new];
        all.extend(known);
        let read = self.done(Ok(Keys::new(&all)))?;
        self.write(all.clone()).await?;
        let mut keys = self.0.keys.write();
        *keys = Arc::new(read.with_former(&keys));
        Ok(all)
    }

    async fn write(&self, keys: Vec<[u8; 32]>) -> Result<(), Failure> {
        let file = self.0.file.clone();
        self.done(tokio::task::spawn_blocking(move || key_file::replace(&file, &keys)).await)
    }

    fn done<T>(&self, result: Result<io::Result<T>, tokio::task::JoinError>) -> Result<T, Failure> {
        let problem = match result {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        let message = format!("the key file {} cannot be changed: {problem}", self.0.file.display());
        tracing::error!("{message}");
        Err(Failure::new(Category::FailedPrecondition, "KEY_FILE", message))
    }
}

impl Keys {
    /// These, and those of before that are not among them.
    fn with_former(mut self, before: &Keys) -> Self {
        let kept = self.former.len().max(MAX_FORMER);
        let is_known = |key: &SecretKey| self.all().any(|known| known.id == key.id);
        let others: Vec<_> = before.all().filter(|key| !is_known(key)).map(Arc::clone).collect();
        self.former.extend(others);
        self.former.truncate(kept);
        self
    }
}

#[cfg(test)]
mod tests;
