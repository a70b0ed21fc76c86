use futures::future::{self, FutureExt as _};

use super::*;
use crate::store::journal::MemoryJournal;
use crate::store::key::{KeyBuilder, Table};
use crate::store::memory::MemoryBackend;

type MemoryStore = EmbeddedStore<Arc<MemoryBackend>, Arc<MemoryJournal>>;

fn store() -> (MemoryStore, Arc<MemoryJournal>) {
    let journal = Arc::new(MemoryJournal::new(10_000));
    (EmbeddedStore::open(Arc::default(), Arc::clone(&journal)).unwrap(), journal)
}

fn put(number: usize) -> Txn {
    let mut txn = Txn::default();
    txn.put(KeyBuilder::new(Table::Lock).text(&number.to_string()).build(), "value".to_owned());
    txn
}

#[tokio::test]
async fn tasks_that_are_ready_share_a_flush() {
    let (store, journal) = store();
    let store = Arc::new(store);
    let commits = (0..100).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.commit(put(number)).await })
    });
    for commit in future::join_all(commits).await {
        commit.unwrap().unwrap();
    }
    assert_eq!(journal.frames(), 1);
}

#[tokio::test]
async fn a_caller_who_gives_up_has_committed_all_the_same() {
    let (store, journal) = store();
    assert!(store.commit(put(1)).now_or_never().is_none(), "it waits for the disk");
    store.settled().await.unwrap();
    assert_eq!((journal.frames(), store.revision()), (1, Revision(1)));
}

#[tokio::test]
async fn nobody_waits_for_a_caller_who_does_not_go_on() {
    let (store, journal) = store();
    let mut stuck = store.commit(put(1));
    assert!(futures::poll!(&mut stuck).is_pending());
    store.settled().await.unwrap();
    assert_eq!(journal.frames(), 1, "whoever waits for all has it committed");

    let mut stuck_too = store.commit(put(2));
    assert!(futures::poll!(&mut stuck_too).is_pending());
    store.commit(put(3)).await.unwrap();
    assert_eq!(journal.frames(), 2, "so has whoever commits later");
    assert_eq!((stuck.await.unwrap(), stuck_too.await.unwrap()), (Revision(1), Revision(2)));
}

#[tokio::test]
async fn who_asks_again_and_again_lets_others_run() {
    let (store, _) = store();
    store.commit(put(1)).await.unwrap();
    let other = tokio::spawn(async {});
    for _ in 0..10_000 {
        store.settled().await.unwrap();
    }
    assert!(other.is_finished());
}
