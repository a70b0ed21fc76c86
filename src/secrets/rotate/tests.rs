use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::*;
use crate::secrets::expect_generation;
use crate::store::suite::{self, Harness as _};
use crate::store::tx::Tx;
use crate::store::{CommitError, Error, Key, KeyRange, Step, Table, Txn, update};

const RECORDS: usize = 20;

/// Stored secrets that survive the process, and a key file.
struct World {
    store: Arc<dyn Store>,
    directory: tempfile::TempDir,
}

/// Seals records anew until it may no more.
struct Records {
    secrets: Secrets,
    store: Arc<dyn Store>,
    /// How many records may still be sealed.
    left: AtomicUsize,
}

fn key(number: usize) -> Key {
    Key::from_bytes([&[Table::Cluster as u8][..], format!("{number:04}").as_bytes()].concat())
}

fn context(key: &Key) -> String {
    format!("{key}")
}

fn password(key: &Key) -> String {
    format!("password of {key}")
}

async fn stored(store: &dyn Store) -> Vec<(Key, Bytes)> {
    let page = store.scan(KeyRange::prefix(&Key::table(Table::Cluster)), 1000).await.unwrap();
    page.records.into_iter().map(|(key, record)| (key, record.value)).collect()
}

#[async_trait]
impl Holder for Records {
    async fn seal_anew(&self) -> Result<SealedAnew, Failure> {
        let mut anew = SealedAnew::default();
        for (key, sealed) in stored(&*self.store).await {
            if !self.secrets.is_current(&sealed) {
                if self.left.fetch_sub(1, Ordering::Relaxed) == 0 {
                    return Err(Failure::new(Category::Unavailable, "CRASH", "the power is gone"));
                }
                let Ok(secret) = self.secrets.open_sealed(&context(&key), &sealed) else {
                    anew.note_unreadable(key.to_string());
                    continue;
                };
                let again = self.secrets.seal(&context(&key), &secret).unwrap();
                let put = || async {
                    let mut tx = Tx::new(&*self.store);
                    tx.bytes(&key).await?;
                    tx.put_bytes(key.clone(), again.clone());
                    Ok::<_, Error>(tx.answer(()))
                };
                update(&*self.store, "a record", put).await?;
            }
            anew.sealed += 1;
        }
        Ok(anew)
    }
}

impl World {
    async fn new() -> Self {
        let world = World { store: suite::Memory::default().open(1000), directory: tempfile::tempdir().unwrap() };
        let secrets = world.opened();
        for number in 0..RECORDS {
            world.put(&secrets, &key(number)).await.unwrap();
        }
        world
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("secrets.key")
    }

    /// As the next process opens it.
    fn opened(&self) -> Secrets {
        Secrets::open(&self.file()).unwrap()
    }

    fn keys_in_file(&self) -> usize {
        key_file::read_again(&self.file()).unwrap().len()
    }

    async fn put(&self, secrets: &Secrets, key: &Key) -> Result<(), CommitError> {
        self.commit(self.prepared(secrets, key).await).await
    }

    /// A transaction that stores the secret of a key, as commands make it.
    async fn prepared(&self, secrets: &Secrets, key: &Key) -> Txn {
        let mut tx = Tx::new(&*self.store);
        expect_generation(&mut tx).await.unwrap();
        tx.put_bytes(key.clone(), secrets.seal(&context(key), &password(key)).unwrap());
        let Step::Commit(txn, ()) = tx.answer(()) else { panic!("it is a change") };
        txn
    }

    async fn commit(&self, txn: Txn) -> Result<(), CommitError> {
        self.store.commit(txn).await.map(drop)
    }

    async fn rotate(&self, secrets: &Secrets, left: usize) -> Result<Rotated, Failure> {
        let records = Records { secrets: secrets.clone(), store: Arc::clone(&self.store), left: left.into() };
        secrets.rotate(&*self.store, &[Arc::new(records)]).await
    }

    async fn assert_all_open(&self, secrets: &Secrets, when: &str) {
        for (key, sealed) in stored(&*self.store).await {
            assert_eq!(secrets.open_sealed(&context(&key), &sealed), Ok(password(&key)), "{when}: {key}");
        }
    }
}

#[tokio::test]
async fn a_rotation_leaves_one_key_that_is_new_and_opens_all() {
    let world = World::new().await;
    let (secrets, before) = (world.opened(), world.opened());
    let rotated = world.rotate(&secrets, usize::MAX).await.unwrap();
    assert_eq!((rotated.anew.sealed, rotated.keys, world.keys_in_file()), (RECORDS as u64, 1, 1));
    world.assert_all_open(&world.opened(), "with the new key").await;
    world.assert_all_open(&secrets, "in the process that did it").await;
    for (key, sealed) in stored(&*world.store).await {
        assert!(before.open_sealed(&context(&key), &sealed).is_err(), "the former key opens nothing more");
    }
    assert_ne!(secrets.derive("tokens"), before.derive("tokens"));
    assert!(secrets.derive_all("tokens").contains(&before.derive("tokens")), "for a while");
}

#[tokio::test]
async fn a_crash_at_any_record_loses_nothing_and_the_next_rotation_finishes() {
    let world = World::new().await;
    for left in 0..RECORDS {
        // What a process that ends here leaves behind is the file and the store.
        assert!(world.rotate(&world.opened(), left).await.is_err());
        world.assert_all_open(&world.opened(), &format!("after {left} records")).await;
    }
    assert_eq!(world.keys_in_file(), RECORDS + 1);
    let finished = world.rotate(&world.opened(), usize::MAX).await.unwrap();
    assert_eq!((finished.anew.sealed, world.keys_in_file()), (RECORDS as u64, 1));
    world.assert_all_open(&world.opened(), "after all").await;
}

#[tokio::test]
async fn what_was_sealed_before_a_rotation_is_not_stored_behind_its_back() {
    let world = World::new().await;
    let secrets = world.opened();
    let late = world.prepared(&secrets, &key(RECORDS)).await;
    world.rotate(&secrets, usize::MAX).await.unwrap();
    assert!(matches!(world.commit(late).await, Err(CommitError::Conflict(_))));
    world.put(&secrets, &key(RECORDS)).await.expect("the second attempt seals with the new key");
    world.assert_all_open(&world.opened(), "the late one too").await;
}

#[tokio::test]
async fn what_no_key_opens_is_named_and_keeps_the_former_keys() {
    let world = World::new().await;
    let foreign = Secrets::of_tests(&[9]);
    world.put(&foreign, &key(3)).await.unwrap();
    let secrets = world.opened();
    let rotated = world.rotate(&secrets, usize::MAX).await.unwrap();
    assert_eq!((rotated.anew.unreadable_count, rotated.keys, world.keys_in_file()), (1, 2, 2));
    assert_eq!(rotated.anew.unreadable, [key(3).to_string()]);
    world.put(&secrets, &key(3)).await.expect("it is said again");
    assert_eq!(world.rotate(&secrets, usize::MAX).await.unwrap().keys, 1);
    world.assert_all_open(&world.opened(), "in the end").await;
}

#[tokio::test]
async fn a_key_file_that_is_gone_is_an_error_and_changes_nothing() {
    let world = World::new().await;
    let secrets = world.opened();
    let moved = Path::new(&world.file()).with_extension("moved");
    std::fs::rename(world.file(), &moved).unwrap();
    assert!(world.rotate(&secrets, usize::MAX).await.is_err());
    world.assert_all_open(&secrets, "with the keys in memory").await;
    assert!(!world.file().exists());
}
