//! What every store has to do. An implementation runs all of it with [`behaviours!`].

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;

use super::embedded::EmbeddedStore;
use super::journal::{Limits, MemoryJournal};
use super::key::{KeyBuilder, Table};
use super::memory::MemoryBackend;
use super::{ChangeKind, ChangeSet, CommitError, Error, Key, KeyRange, Op, Revision, Store, Txn};

/// Opens a store, and opens what it kept again.
pub(crate) trait Harness {
    type Store: Store;
    /// Opens the store with a journal of `history` revisions. The one opened before is dropped by then.
    fn open(&mut self, history: u64) -> Arc<Self::Store>;
}

#[derive(Default)]
pub(crate) struct Memory {
    kept: Option<(Arc<MemoryBackend>, Arc<MemoryJournal>)>,
}

impl Harness for Memory {
    type Store = EmbeddedStore<Arc<MemoryBackend>, Arc<MemoryJournal>>;

    fn open(&mut self, history: u64) -> Arc<Self::Store> {
        let new = || (Arc::default(), Arc::new(MemoryJournal::new(history)));
        let (backend, journal) = self.kept.get_or_insert_with(new).clone();
        Arc::new(EmbeddedStore::open(backend, journal).expect("a memory store opens"))
    }
}

pub(crate) struct Sled {
    directory: tempfile::TempDir,
}

impl Default for Sled {
    fn default() -> Self {
        Sled { directory: tempfile::tempdir().expect("a temporary directory") }
    }
}

impl Harness for Sled {
    type Store = super::sled::SledStore;

    fn open(&mut self, history: u64) -> Arc<Self::Store> {
        let history = Limits { revisions: history, bytes: 1 << 30 };
        let options = super::sled::Options { cache_bytes: 1 << 20, history };
        // sled's own threads let go of the file a moment after the database was dropped.
        for _ in 0..1000 {
            match super::sled::open(self.directory.path(), options) {
                Err(Error::Closed(reason)) if reason.contains("could not acquire lock") => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                result => return Arc::new(result.expect("a sled store opens")),
            }
        }
        panic!("sled never lets go of the file")
    }
}

/// Makes a test of each behaviour for the harness that the expression gives.
macro_rules! behaviours {
    ($harness:expr) => {
        $crate::store::suite::behaviours!($harness;
            a_commit_is_read_back_with_its_revision,
            a_failed_precondition_changes_nothing,
            of_two_decisions_on_one_state_one_wins,
            a_range_is_scanned_in_order_and_in_pages,
            what_was_committed_is_there_after_reopening,
            a_watch_from_the_past_sees_every_change_once,
            a_watch_resumes_after_reopening,
            an_emitted_change_reaches_watches_and_leaves_no_record,
            a_slow_watch_misses_nothing_and_delays_nobody,
            a_compacted_revision_is_refused_by_name,
            a_commit_arrives_at_a_watch_whole,
            a_transaction_beyond_the_limits_is_refused,
            counting_from_many_tasks_loses_nothing,
        );
    };
    ($harness:expr; $($name:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                $crate::store::suite::$name(&mut $harness).await;
            }
        )*
    };
}
pub(crate) use behaviours;

fn key(name: &str) -> Key {
    KeyBuilder::new(Table::Lock).text_start(name).build()
}

fn put(name: &str, value: &str) -> Txn {
    let mut txn = Txn::default();
    txn.put(key(name), value.to_owned());
    txn
}

async fn value(store: &impl Store, name: &str) -> Option<Bytes> {
    store.get(&key(name)).await.expect("a readable store").map(|record| record.value)
}

pub(crate) async fn a_commit_is_read_back_with_its_revision(harness: &mut impl Harness) {
    let store = harness.open(100);
    let first = store.commit(put("a", "1")).await.expect("a commit");
    let second = store.commit(put("b", "2")).await.expect("a commit");
    assert_eq!(second, first.next());
    let record = store.get(&key("a")).await.expect("a readable store").expect("a record");
    assert_eq!((record.value.as_ref(), record.revision), (&b"1"[..], first));

    let mut txn = Txn::default();
    txn.delete(key("a"));
    store.commit(txn).await.expect("a commit");
    assert_eq!(value(&*store, "a").await, None);
    assert_eq!(value(&*store, "b").await, Some(Bytes::from("2")));
}

pub(crate) async fn a_failed_precondition_changes_nothing(harness: &mut impl Harness) {
    let store = harness.open(100);
    let old = store.commit(put("a", "1")).await.expect("a commit");
    store.commit(put("a", "2")).await.expect("a commit");
    for (name, expected) in [("a", Some(old)), ("a", None), ("absent", Some(old))] {
        let mut txn = put("b", "never");
        txn.expect(key(name), expected);
        let result = store.commit(txn).await;
        assert!(matches!(result, Err(CommitError::Conflict(conflict)) if conflict == key(name)));
    }
    assert_eq!(value(&*store, "b").await, None);
}

pub(crate) async fn of_two_decisions_on_one_state_one_wins(harness: &mut impl Harness) {
    let store = harness.open(100);
    let base = store.commit(put("a", "0")).await.expect("a commit");
    let attempt = |value: &str| {
        let mut txn = put("a", value);
        txn.expect(key("a"), Some(base));
        store.commit(txn)
    };
    let (first, second) = tokio::join!(attempt("1"), attempt("2"));
    assert!(first.is_ok() != second.is_ok());
}

pub(crate) async fn a_range_is_scanned_in_order_and_in_pages(harness: &mut impl Harness) {
    let store = harness.open(100);
    for name in ["m/3", "m/1", "n", "m/2", "l"] {
        store.commit(put(name, name)).await.expect("a commit");
    }
    let mut range = KeyRange::prefix(&key("m/"));
    let mut seen = Vec::new();
    loop {
        let page = store.scan(range.clone(), 2).await.expect("a readable store");
        assert!(page.records.len() <= 2);
        seen.extend(page.records.iter().map(|(key, _)| key.clone()));
        if !page.has_more {
            break;
        }
        range = range.after(seen.last().expect("a page that has more is not empty"));
    }
    assert_eq!(seen, [key("m/1"), key("m/2"), key("m/3")]);
}

pub(crate) async fn what_was_committed_is_there_after_reopening(harness: &mut impl Harness) {
    let store = harness.open(100);
    let mut last = Revision::default();
    for number in 0..50 {
        last = store.commit(put(&format!("k{number}"), "v")).await.expect("a commit");
    }
    drop(store);

    let store = harness.open(100);
    assert_eq!(store.revision(), last);
    for number in 0..50 {
        assert!(value(&*store, &format!("k{number}")).await.is_some());
    }
    assert_eq!(store.commit(put("more", "v")).await.expect("a commit"), last.next());
}

async fn take(store: &impl Store, from: Revision, count: usize) -> Vec<ChangeSet> {
    let watch = store.watch(key(""), from);
    watch.take(count).map(|set| set.expect("a change that is kept")).collect().await
}

pub(crate) async fn a_watch_from_the_past_sees_every_change_once(harness: &mut impl Harness) {
    let store = harness.open(1000);
    let from = store.commit(put("before", "0")).await.expect("a commit");
    for number in 0..20 {
        store.commit(put("a", &number.to_string())).await.expect("a commit");
    }
    let watch = store.watch(key("a"), from);
    for number in 20..40 {
        store.commit(put("a", &number.to_string())).await.expect("a commit");
        store.commit(put("elsewhere", "x")).await.expect("a commit");
    }
    let seen: Vec<ChangeSet> = watch.take(40).map(|set| set.expect("a change")).collect().await;
    let values: Vec<String> = seen
        .iter()
        .flat_map(|set| &set.changes)
        .map(|change| match &change.kind {
            ChangeKind::Put(value) => String::from_utf8_lossy(value).into_owned(),
            ChangeKind::Delete | ChangeKind::Emit(_) => panic!("only puts were made"),
        })
        .collect();
    assert_eq!(values, (0..40).map(|number: u32| number.to_string()).collect::<Vec<_>>());
    assert!(seen.is_sorted_by(|a, b| a.revision < b.revision));
}

pub(crate) async fn a_watch_resumes_after_reopening(harness: &mut impl Harness) {
    let store = harness.open(1000);
    store.commit(put("a", "1")).await.expect("a commit");
    let seen = take(&*store, Revision(0), 1).await[0].revision;
    store.commit(put("a", "2")).await.expect("a commit");
    drop(store);

    let store = harness.open(1000);
    store.commit(put("a", "3")).await.expect("a commit");
    let sets = take(&*store, seen, 2).await;
    assert_eq!(sets.iter().map(|set| set.revision.0).collect::<Vec<_>>(), [seen.0 + 1, seen.0 + 2]);
}

pub(crate) async fn an_emitted_change_reaches_watches_and_leaves_no_record(harness: &mut impl Harness) {
    let store = harness.open(100);
    let mut txn = Txn::default();
    txn.emit(key("event"), "happened");
    store.commit(txn).await.expect("a commit");
    let sets = take(&*store, Revision(0), 1).await;
    assert_eq!(sets[0].changes[0].kind, ChangeKind::Emit("happened".into()));
    assert_eq!(value(&*store, "event").await, None);
}

pub(crate) async fn a_slow_watch_misses_nothing_and_delays_nobody(harness: &mut impl Harness) {
    let store = harness.open(10_000);
    let mut slow = store.watch(key(""), Revision(0));
    store.commit(put("a", "first")).await.expect("a commit");
    slow.next().await.expect("a running watch").expect("a change");
    for _ in 0..2000 {
        store.commit(put("a", "x")).await.expect("a commit that nobody delays");
    }
    let rest: Vec<u64> = slow.take(2000).map(|set| set.expect("a change").revision.0).collect().await;
    assert_eq!(rest, (2..=2001).collect::<Vec<_>>());
}

pub(crate) async fn a_compacted_revision_is_refused_by_name(harness: &mut impl Harness) {
    let store = harness.open(20);
    let large = || Txn { ops: vec![Op::Put(key("a"), Bytes::from(vec![b'x'; 4000])); 100], ..Txn::default() };
    // How soon the past is dropped is the store's affair; that it is, is not.
    let (asked, floor) = loop {
        store.commit(large()).await.expect("a commit");
        assert!(store.revision() < Revision(1000), "nothing is ever compacted");
        match store.watch(key("a"), Revision(0)).next().await {
            Some(Ok(set)) => assert_eq!(set.revision, Revision(1)),
            Some(Err(Error::Compacted { asked, floor })) => break (asked, floor),
            other => panic!("expected a change or a refusal, got {other:?}"),
        }
    };
    assert_eq!(asked, Revision(0));
    // What is being dropped at this moment may still move the floor, up to what is to be kept.
    let mut from = floor;
    loop {
        assert!(store.revision().0 - from.0 >= 20);
        match store.watch(key("a"), from).next().await {
            Some(Err(Error::Compacted { floor, .. })) => from = floor,
            Some(Ok(set)) => break assert_eq!(set.revision, from.next()),
            other => panic!("expected a change, got {other:?}"),
        }
    }
}

pub(crate) async fn a_commit_arrives_at_a_watch_whole(harness: &mut impl Harness) {
    let store = harness.open(100);
    let mut txn = Txn::default();
    for number in 0..100 {
        txn.put(key(&format!("part{number}")), vec![b'x'; 4000]);
    }
    let live = store.watch(key("part"), Revision(0));
    store.commit(txn).await.expect("a commit");
    let past = store.watch(key("part"), Revision(0));
    for mut watch in [live, past] {
        let set = watch.next().await.expect("a running watch").expect("a change");
        assert_eq!(set.changes.len(), 100);
    }
}

pub(crate) async fn a_transaction_beyond_the_limits_is_refused(harness: &mut impl Harness) {
    let store = harness.open(100);
    let many = Txn { ops: vec![Op::Delete(key("a")); 101], ..Txn::default() };
    let large = put("a", &"x".repeat(4097));
    let long_key = put(&"k".repeat(480), "v");
    for txn in [Txn::default(), many, large, long_key] {
        assert!(matches!(store.commit(txn).await, Err(CommitError::Store(Error::Refused(_)))));
    }
    assert_eq!(store.revision(), Revision(0));
}

pub(crate) async fn counting_from_many_tasks_loses_nothing(harness: &mut impl Harness) {
    let store = harness.open(1000);
    let tasks = (0..8).map(|_| tokio::spawn(count(Arc::clone(&store))));
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("a task that ends well");
    }
    assert_eq!(value(&*store, "counter").await.map(|value| value.len()), Some(200));
}

async fn count_one_up(store: &impl Store) -> Result<super::Step<()>, Error> {
    let record = store.get(&key("counter")).await?;
    let old = record.as_ref().map_or(0, |record| record.value.len());
    let mut txn = put("counter", &"x".repeat(old + 1));
    txn.expect(key("counter"), record.map(|record| record.revision));
    Ok(super::Step::Commit(txn, ()))
}

async fn count(store: Arc<impl Store>) {
    for _ in 0..25 {
        super::update(&*store, "counter", || count_one_up(&*store)).await.expect("a commit in the end");
    }
}
