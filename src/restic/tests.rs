//! The commands on a tree of their own, with a clock that is moved by hand.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::create::Missing;
use super::delete::Which;
use super::error::Error;
use super::name::{Kind, ObjectId, ObjectName, RepositoryPath};
use super::publish::{MAX_LOCKS, Stored};
use super::range::Range;
use super::repositories::{Repositories, Settings};
use super::verify::{Event, Finding, Mode, Problem};
use crate::clock::{Clock as _, ManualClock};
use crate::config;

struct Tree {
    home: TempDir,
    clock: Arc<ManualClock>,
    repositories: Repositories,
}

impl Tree {
    async fn new(change: impl FnOnce(&mut config::Restic)) -> Self {
        Self::at(tempfile::tempdir().unwrap(), change).await
    }

    async fn at(home: TempDir, change: impl FnOnce(&mut config::Restic)) -> Self {
        let mut restic = config::Restic::default();
        change(&mut restic);
        let clock = Arc::new(ManualClock::new());
        // After the times that the file system gives.
        clock.advance(Duration::from_hours(10 * 365 * 24));
        let settings = Settings { root: home.path().to_owned(), restic };
        let clock_of_repositories = Arc::clone(&clock) as Arc<dyn crate::clock::Clock>;
        let repositories =
            Repositories::open(settings, clock_of_repositories, CancellationToken::new(), TaskTracker::new()).await;
        Tree { home, clock, repositories: repositories.unwrap() }
    }

    async fn upload(&self, object: ObjectName, content: &[u8]) -> Result<Stored, Error> {
        let size = content.len() as u64;
        let mut upload = self.repositories.begin_upload(None, &path(), object, Some(size), Missing::Create).await?;
        for chunk in content.chunks(3) {
            upload.accept(Bytes::copy_from_slice(chunk)).await?;
        }
        upload.finish(size).await
    }

    async fn content(&self, object: ObjectName) -> Result<Vec<u8>, Error> {
        let mut download = self.repositories.read(None, &path(), object, Range::Whole).await?;
        let mut content = Vec::new();
        while let Some(piece) = download.pieces.next().await {
            content.extend_from_slice(&piece?);
        }
        Ok(content)
    }

    async fn delete(&self, object: ObjectName) -> Result<bool, Error> {
        self.repositories.delete(None, &path(), object).await
    }

    async fn listed(&self, kind: Kind) -> Vec<ObjectId> {
        let repository = self.repositories.require(&path()).await.unwrap();
        let place = super::repositories::Place::start(kind);
        let (entries, rest) = self.repositories.next_batch(&repository, place).await.unwrap();
        assert!(rest.is_none(), "few enough for one batch");
        entries.into_iter().map(|entry| entry.id).collect()
    }

    async fn account(&self) -> super::ledger::Account {
        let repository = self.repositories.require(&path()).await.unwrap();
        repository.counted().await;
        repository.account()
    }

    async fn verify(&self, mode: Mode) -> Vec<Finding> {
        let mut events = self.repositories.verify(None, &path(), mode).await.unwrap();
        let mut findings = Vec::new();
        while let Some(event) = events.recv().await {
            match event {
                Event::Finding(finding) => findings.push(finding),
                Event::Progress(_) => {}
                Event::Done(progress) => {
                    assert_eq!(progress.findings, findings.len() as u64);
                    return findings;
                }
                Event::Failed(error) => panic!("{error}"),
            }
        }
        panic!("the verification did not end");
    }

    fn file(&self, object: ObjectName) -> PathBuf {
        self.repositories.layout(&path()).object(object)
    }
}

fn path() -> RepositoryPath {
    RepositoryPath::parse("alice/laptop").unwrap()
}

fn named(kind: Kind, content: &[u8]) -> ObjectName {
    ObjectName::Blob(kind, ObjectId(Sha256::digest(content).into()))
}

const PACK: &[u8] = b"a pack of blobs";

#[tokio::test]
async fn an_object_is_stored_listed_read_and_deleted() {
    let tree = Tree::new(|_| {}).await;
    let object = named(Kind::Data, PACK);
    let stored = tree.upload(object, PACK).await.unwrap();
    assert_eq!((stored.size, stored.already_existed), (15, false));
    assert_eq!(tree.content(object).await.unwrap(), PACK);
    let ObjectName::Blob(_, id) = object else { unreachable!() };
    assert_eq!(tree.listed(Kind::Data).await, [id]);
    assert_eq!((tree.account().await.objects, tree.account().await.bytes), (1, 15));

    assert!(tree.delete(object).await.unwrap());
    assert!(!tree.delete(object).await.unwrap());
    assert!(matches!(tree.content(object).await, Err(Error::NotFound(_))));
    assert_eq!(tree.account().await.bytes, 0);
}

#[tokio::test]
async fn what_is_not_what_its_name_says_leaves_nothing() {
    let tree = Tree::new(|_| {}).await;
    let object = named(Kind::Data, b"something else");
    assert!(matches!(tree.upload(object, PACK).await, Err(Error::ContentMismatch { .. })));
    assert!(tree.listed(Kind::Data).await.is_empty());
    assert!(!tree.file(object).exists());

    let mut upload = tree
        .repositories
        .begin_upload(None, &path(), named(Kind::Data, PACK), Some(15), Missing::Create)
        .await
        .unwrap();
    upload.accept(Bytes::from_static(&PACK[..9])).await.unwrap();
    assert!(matches!(upload.finish(9).await, Err(Error::BrokenOff { .. })));
    assert!(tree.listed(Kind::Data).await.is_empty());
    assert_eq!(tree.account().await.reserved, 0);
}

#[tokio::test]
async fn the_same_object_again_is_a_success_and_another_config_is_not() {
    let tree = Tree::new(|_| {}).await;
    let object = named(Kind::Index, PACK);
    for already_existed in [false, true] {
        assert_eq!(tree.upload(object, PACK).await.unwrap().already_existed, already_existed);
        assert_eq!(tree.upload(ObjectName::Config, b"secret").await.unwrap().already_existed, already_existed);
    }
    assert!(matches!(tree.upload(ObjectName::Config, b"other!").await, Err(Error::Exists { .. })));
    assert!(matches!(tree.upload(object, b"not it").await, Err(Error::ContentMismatch { .. })));
    assert_eq!(tree.content(ObjectName::Config).await.unwrap(), b"secret");
    assert_eq!(tree.account().await.objects, 2);
}

#[tokio::test]
async fn uploads_of_one_object_at_a_time_all_succeed_and_one_stores_it() {
    let tree = Tree::new(|_| {}).await;
    let object = named(Kind::Data, PACK);
    let uploads = futures::future::join_all((0..8).map(|_| tree.upload(object, PACK))).await;
    let stored = uploads.into_iter().filter(|stored| !stored.as_ref().unwrap().already_existed);
    assert_eq!(stored.count(), 1);
    assert_eq!((tree.account().await.objects, tree.account().await.bytes), (1, 15));
}

#[tokio::test]
async fn what_others_do_to_the_tree_is_seen() {
    let tree = Tree::new(|_| {}).await;
    let (ours, theirs) = (named(Kind::Data, PACK), named(Kind::Data, b"theirs"));
    tree.upload(ours, PACK).await.unwrap();
    tree.account().await;
    std::fs::create_dir_all(tree.file(theirs).parent().unwrap()).unwrap();
    std::fs::write(tree.file(theirs), b"theirs").unwrap();
    assert_eq!(tree.content(theirs).await.unwrap(), b"theirs");
    assert!(tree.repositories.stat(None, &path(), theirs).await.is_ok());
    assert_eq!(tree.listed(Kind::Data).await.len(), 2);
    assert_eq!(tree.account().await.bytes, 21);

    std::fs::remove_file(tree.file(ours)).unwrap();
    assert!(matches!(tree.content(ours).await, Err(Error::NotFound(_))));
    assert_eq!(tree.listed(Kind::Data).await.len(), 1);
    assert_eq!(tree.account().await.bytes, 6);
}

#[tokio::test]
async fn a_tree_is_adopted_with_or_without_its_saved_index() {
    let mut tree = Tree::new(|_| {}).await;
    let object = named(Kind::Data, PACK);
    tree.upload(object, PACK).await.unwrap();
    tree.upload(ObjectName::Config, b"config").await.unwrap();
    for save in [false, true] {
        if save {
            tree.listed(Kind::Data).await;
            tree.repositories.require(&path()).await.unwrap().save_index().unwrap();
        }
        tree = Tree::at(tree.home, |_| {}).await;
        assert_eq!((tree.account().await.objects, tree.account().await.bytes), (2, 21), "saved: {save}");
        assert_eq!(tree.listed(Kind::Data).await.len(), 1);
    }
    // What others made belongs to the user whose name it begins with.
    std::fs::remove_dir_all(tree.home.path().join("alice/laptop/.steward")).unwrap();
    let tree = Tree::at(tree.home, |_| {}).await;
    assert_eq!((tree.account().await.owner.as_str(), tree.account().await.objects), ("alice", 2));
}

#[tokio::test]
async fn quotas_refuse_before_anything_is_written_and_count_after_a_restart() {
    let tree = Tree::new(|restic| restic.max_bytes = 20).await;
    tree.upload(named(Kind::Data, PACK), PACK).await.unwrap();
    let more =
        tree.repositories.begin_upload(None, &path(), named(Kind::Data, b"123456"), Some(6), Missing::Create).await;
    assert!(matches!(more, Err(Error::QuotaExceeded { limit: 20, used: 15, .. })));
    // Without a length the bytes are counted as they come.
    let mut upload = tree
        .repositories
        .begin_upload(None, &path(), named(Kind::Data, b"123456"), None, Missing::Create)
        .await
        .unwrap();
    upload.accept(Bytes::from_static(b"12345")).await.unwrap();
    assert!(matches!(upload.accept(Bytes::from_static(b"6")).await, Err(Error::QuotaExceeded { .. })));
    drop(upload);
    assert_eq!(tree.upload(named(Kind::Data, b"12345"), b"12345").await.unwrap().size, 5);

    let tree = Tree::at(tree.home, |restic| restic.max_bytes = 20).await;
    let more = tree.repositories.begin_upload(None, &path(), named(Kind::Data, b"1"), Some(1), Missing::Create).await;
    assert!(matches!(more, Err(Error::QuotaExceeded { used: 20, .. })));
}

#[tokio::test]
async fn a_deleted_object_comes_back_until_its_window_has_passed() {
    let window = Duration::from_hours(7 * 24);
    let tree = Tree::new(|restic| restic.undelete = window).await;
    let (first, second) = (named(Kind::Data, PACK), named(Kind::Snapshot, b"snapshot"));
    for (object, content) in [(first, PACK), (second, b"snapshot")] {
        tree.upload(object, content).await.unwrap();
        tree.delete(object).await.unwrap();
        assert!(matches!(tree.content(object).await, Err(Error::NotFound(_))));
    }
    let account = tree.account().await;
    assert_eq!((account.bytes, account.deleted), (0, 23));

    // A restart knows of them, too.
    let tree = Tree::at(tree.home, |restic| restic.undelete = window).await;
    let only_first = Which { object: Some(first), ..Which::default() };
    assert_eq!(tree.repositories.undelete(None, &path(), only_first).await.unwrap(), (1, 15));
    assert_eq!(tree.content(first).await.unwrap(), PACK);
    assert_eq!(tree.account().await.deleted, 8);

    let repository = tree.repositories.require(&path()).await.unwrap();
    super::delete::sweep(&repository, tree.clock.now()).unwrap();
    assert_eq!(tree.account().await.deleted, 8, "not yet");
    tree.clock.advance(window);
    super::delete::sweep(&repository, tree.clock.now()).unwrap();
    assert_eq!(tree.account().await.deleted, 0);
    assert_eq!(tree.repositories.undelete(None, &path(), Which::default()).await.unwrap(), (0, 0));
}

#[tokio::test]
async fn an_object_is_protected_while_it_is_young() {
    let century = Duration::from_hours(100 * 365 * 24);
    let tree = Tree::new(|restic| restic.min_age = century).await;
    let (pack, lock) = (named(Kind::Data, PACK), named(Kind::Lock, b"lock"));
    tree.upload(pack, PACK).await.unwrap();
    tree.upload(lock, b"lock").await.unwrap();
    assert!(matches!(tree.delete(pack).await, Err(Error::TooYoung { .. })));
    assert!(tree.delete(lock).await.unwrap());
    tree.clock.advance(century);
    assert!(tree.delete(pack).await.unwrap());
}

#[tokio::test]
async fn a_verification_finds_what_is_wrong_and_a_repair_brings_back_what_it_can() {
    let tree = Tree::new(|restic| restic.undelete = Duration::from_hours(1)).await;
    let (good, bad, gone) = (named(Kind::Data, PACK), named(Kind::Data, b"bad"), named(Kind::Index, b"gone"));
    for (object, content) in [(good, PACK), (bad, b"bad"), (gone, b"gone"), (ObjectName::Config, b"config")] {
        tree.upload(object, content).await.unwrap();
    }
    assert_eq!(tree.verify(Mode::Look).await, []);

    // A deleted copy of the object that will be damaged.
    tree.delete(bad).await.unwrap();
    tree.upload(bad, b"bad").await.unwrap();
    std::fs::write(tree.file(bad), b"BAD").unwrap();
    std::fs::remove_file(tree.file(gone)).unwrap();
    std::fs::write(tree.file(good).with_file_name("stranger"), b"?").unwrap();
    let problems = |findings: Vec<Finding>| {
        let mut problems: Vec<_> = findings.iter().map(|f| (f.problem, f.object, f.repaired, f.restored)).collect();
        problems.sort_unstable_by_key(|(problem, ..)| *problem as u8);
        problems
    };
    assert_eq!(
        problems(tree.verify(Mode::Look).await),
        [
            (Problem::Damaged, Some(bad), false, false),
            (Problem::Missing, Some(gone), false, false),
            (Problem::Foreign, None, false, false),
        ]
    );
    assert_eq!(
        problems(tree.verify(Mode::Repair).await),
        [
            (Problem::Damaged, Some(bad), true, true),
            (Problem::Missing, Some(gone), true, false),
            (Problem::Foreign, None, false, false),
        ]
    );
    assert_eq!(tree.content(bad).await.unwrap(), b"bad");
    assert_eq!(problems(tree.verify(Mode::Look).await), [(Problem::Foreign, None, false, false)]);
}

#[tokio::test]
async fn an_object_of_many_pieces_is_read_whole_and_in_part() {
    let tree = Tree::new(|_| {}).await;
    let content: Vec<u8> = (0..1_000_000_u32).flat_map(|n| n.to_le_bytes()[..3].to_vec()).collect();
    let object = named(Kind::Data, &content);
    let size = content.len() as u64;
    let mut upload = tree.repositories.begin_upload(None, &path(), object, None, Missing::Create).await.unwrap();
    for chunk in content.chunks(100_000) {
        upload.accept(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    upload.finish(size).await.unwrap();
    assert!(tree.content(object).await.unwrap() == content);
    let range = Range::Offsets { first: 123_456, last: Some(2_345_678) };
    let mut download = tree.repositories.read(None, &path(), object, range).await.unwrap();
    let mut part = Vec::new();
    while let Some(piece) = download.pieces.next().await {
        part.extend_from_slice(&piece.unwrap());
    }
    assert!(part == content[123_456..=2_345_678]);
}

#[tokio::test]
async fn a_stored_object_that_rotted_is_replaced_when_it_is_sent_again() {
    let tree = Tree::new(|_| {}).await;
    let object = named(Kind::Data, PACK);
    tree.upload(object, PACK).await.unwrap();
    // Of the same size: found when all bytes have come, which are then needed once more.
    std::fs::write(tree.file(object), b"A PACK OF BLOBS").unwrap();
    assert!(matches!(tree.upload(object, PACK).await, Err(Error::Busy { .. })));
    assert!(!tree.upload(object, PACK).await.unwrap().already_existed);
    // Of another size: found at once, and replaced.
    std::fs::write(tree.file(object), b"short").unwrap();
    assert!(!tree.upload(object, PACK).await.unwrap().already_existed);
    assert_eq!(tree.content(object).await.unwrap(), PACK);
    assert_eq!((tree.account().await.objects, tree.account().await.bytes), (1, 15));
    assert_eq!(std::fs::read_dir(tree.home.path().join("alice/laptop/.steward/damaged")).unwrap().count(), 2);
}

#[tokio::test]
async fn a_directory_of_many_objects_is_listed_in_batches() {
    let tree = Tree::new(|_| {}).await;
    let (repository, _) = tree.repositories.create(None, &path()).await.unwrap();
    for number in 0..5000_u32 {
        let id = ObjectId(Sha256::digest(number.to_be_bytes()).into());
        std::fs::write(tree.file(ObjectName::Blob(Kind::Index, id)), b"").unwrap();
    }
    let mut place = Some(super::repositories::Place::start(Kind::Index));
    let mut ids = Vec::new();
    while let Some(from) = place {
        let (entries, next) = tree.repositories.next_batch(&repository, from).await.unwrap();
        assert!(entries.len() <= 2000);
        ids.extend(entries.into_iter().map(|entry| entry.id));
        place = next;
    }
    assert_eq!(ids.len(), 5000);
    assert!(ids.is_sorted());
}

#[tokio::test]
async fn a_repository_that_is_removed_is_gone_and_can_be_made_again() {
    let tree = Tree::new(|restic| restic.max_bytes = 20).await;
    tree.upload(named(Kind::Data, PACK), PACK).await.unwrap();
    std::fs::remove_dir_all(tree.home.path().join("alice")).unwrap();
    let repository = tree.repositories.require(&path()).await.unwrap();
    repository.save_index().unwrap();
    assert!(!tree.home.path().join("alice").exists(), "nothing of it comes back by itself");
    assert!(tree.repositories.close_if_gone(&repository).await.unwrap());
    assert!(tree.repositories.require(&path()).await.is_err());
    assert!(!tree.upload(named(Kind::Data, PACK), PACK).await.unwrap().already_existed);
    assert_eq!(tree.account().await.bytes, 15);
}

#[tokio::test]
async fn a_lock_is_small() {
    let tree = Tree::new(|_| {}).await;
    let large = vec![7; 64 * 1024 + 1];
    assert!(matches!(tree.upload(named(Kind::Lock, &large), &large).await, Err(Error::TooLarge { limit: 65_536 })));
}

#[tokio::test]
async fn a_repository_has_so_many_locks_and_no_more() {
    let tree = Tree::new(|_| {}).await;
    let first = named(Kind::Lock, b"first");
    tree.upload(first, b"first").await.unwrap();
    for number in 1..MAX_LOCKS {
        std::fs::write(tree.file(named(Kind::Lock, number.to_string().as_bytes())), "").unwrap();
    }
    assert_eq!(tree.listed(Kind::Lock).await.len(), MAX_LOCKS);

    let refused = tree.upload(named(Kind::Lock, b"more"), b"more").await;

    assert!(matches!(refused, Err(Error::TooManyLocks { limit: MAX_LOCKS, .. })), "{refused:?}");
    assert!(tree.upload(first, b"first").await.unwrap().already_existed, "it is none more");
    tree.upload(named(Kind::Data, PACK), PACK).await.unwrap();
    // Nobody has told of it.
    std::fs::remove_file(tree.file(first)).unwrap();
    tree.upload(named(Kind::Lock, b"more"), b"more").await.unwrap();
}
