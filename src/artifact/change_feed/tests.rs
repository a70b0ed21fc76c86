//! Changes, in order, for those who list and those who watch.

use std::time::Duration;

use super::super::testing::World;
use super::*;
use crate::auth::Identity;
use crate::places::Places;

const WHOSE: (&str, &str) = ("p1", "r1");

fn permit() -> Place {
    Places::new(1).take(&Identity::default()).expect("a place")
}

#[tokio::test]
async fn changes_are_listed_in_pages_behind_a_stamp() {
    let world = World::with_repository().await;
    for path in ["/a", "/b", "/c"] {
        world.put(path, b"x").await;
    }
    let first = world.artifacts.list_changes(WHOSE, 0, 2).await.expect("changes");
    assert_eq!(first.changes.iter().map(|(_, change)| change.path.as_str()).collect::<Vec<_>>(), ["/a", "/b"]);
    assert!(first.has_more);
    assert_eq!(first.last_stamp, first.changes[1].0);
    let second = world.artifacts.list_changes(WHOSE, first.last_stamp, 2).await.expect("changes");
    assert_eq!(second.changes.iter().map(|(_, change)| change.path.as_str()).collect::<Vec<_>>(), ["/c"]);
    assert!(!second.has_more && second.last_stamp >= second.changes[0].0);
    world.put("/d", b"x").await;
    let third = world.artifacts.list_changes(WHOSE, second.last_stamp, 2).await.expect("changes");
    assert_eq!(third.changes.len(), 1, "nothing comes up behind the last stamp");
    let missing = world.artifacts.list_changes(("p1", "r2"), 0, 2).await;
    assert!(matches!(missing, Err(Error::RepositoryNotFound(_))));
}

#[tokio::test]
async fn nothing_is_told_behind_a_change_that_may_still_come_up() {
    let world = World::with_repository().await;
    world.put("/a", b"x").await;
    let slow = world.artifacts.stamps.take(world.artifacts.now_us());
    world.put("/b", b"x").await;
    let before = world.artifacts.list_changes(WHOSE, 0, 10).await.expect("changes");
    assert_eq!(before.changes.len(), 1);
    assert_eq!(before.last_stamp, slow.value() - 1);
    drop(slow);
    let after = world.artifacts.list_changes(WHOSE, before.last_stamp, 10).await.expect("changes");
    assert_eq!(after.changes.len(), 1);
}

#[tokio::test]
async fn a_stamp_behind_which_changes_may_be_swept_is_refused() {
    let world = World::with_repository().await;
    world.put("/a", b"x").await;
    let last = world.artifacts.list_changes(WHOSE, 0, 10).await.expect("changes").last_stamp;
    world.clock.advance(Duration::from_hours(8 * 24));
    assert!(matches!(world.artifacts.list_changes(WHOSE, last, 10).await, Err(Error::Compacted(_))));
    let watch = world.artifacts.watch_changes(WHOSE, Some(last), permit()).await;
    assert!(matches!(watch, Err(Error::Compacted(_))));
    assert!(world.artifacts.list_changes(WHOSE, 0, 10).await.is_ok(), "from the first that is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_watch_tells_every_change_once_and_in_order_however_many_write() {
    let world = World::with_repository().await;
    world.put("/before", b"x").await;
    let mut late = world.artifacts.watch_changes(WHOSE, None, permit()).await.expect("a watch");
    let mut early = world.artifacts.watch_changes(WHOSE, Some(0), permit()).await.expect("a watch");
    let kept = world.keep(b"x").await;
    let writers = (0..8).map(|writer| {
        let (artifacts, kept) = (world.artifacts.clone(), kept.clone());
        let puts: Vec<_> = (0..50).map(|number| world.new_put(&format!("/{writer}/{number}"))).collect();
        tokio::spawn(async move {
            for put in puts {
                let same = super::super::files::Same::Replace;
                artifacts.put_file(put, kept.clone(), same, String::new()).await.expect("a file");
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut told = Vec::new();
    while told.len() < 400 {
        told.push(late.recv().await.expect("a change").expect("a watch that goes on"));
    }
    for writer in writers {
        writer.await.expect("no panic");
    }
    assert!(told.is_sorted_by(|(one, _), (two, _)| one < two), "in the order of stamps, and none twice");
    for writer in 0..8 {
        let prefix = format!("/{writer}/");
        let paths: Vec<&str> =
            told.iter().map(|(_, change)| change.path.as_str()).filter(|path| path.starts_with(&prefix)).collect();
        let expected: Vec<String> = (0..50).map(|number| format!("{prefix}{number}")).collect();
        assert_eq!(paths, expected, "what one writes one after the other is told so");
    }
    let first = early.recv().await.expect("a change").expect("a watch that goes on");
    assert_eq!(first.1.path, "/before");
    for expected in &told {
        assert_eq!(early.recv().await.expect("a change").expect("a watch that goes on"), *expected);
    }
    let listed = world.artifacts.list_changes(WHOSE, first.0, 1000).await.expect("changes");
    assert_eq!(listed.changes, told);
}

#[tokio::test]
async fn a_watch_is_woken_by_a_change_whose_stamp_is_let_go_late() {
    let world = World::with_repository().await;
    let mut watch = world.artifacts.watch_changes(WHOSE, None, permit()).await.expect("a watch");
    let slow = world.artifacts.stamps.take(world.artifacts.now_us());
    world.put("/a", b"x").await;
    tokio::task::yield_now().await;
    assert!(watch.try_recv().is_err(), "a change before it may still come up");
    drop(slow);
    assert_eq!(watch.recv().await.expect("a change").expect("it").1.path, "/a");
}

#[tokio::test]
async fn a_watch_ends_at_shutdown_and_with_its_repository() {
    let world = World::with_repository().await;
    world.repository("p1", "r2").await;
    let mut watch = world.artifacts.watch_changes(WHOSE, None, permit()).await.expect("a watch");
    let mut other = world.artifacts.watch_changes(("p1", "r2"), None, permit()).await.expect("a watch");
    world.put("/a", b"x").await;
    watch.recv().await.expect("a change").expect("it");
    let id = world.id().await;
    let delete = super::super::repositories::Delete::WithContents;
    world.artifacts.delete_repository("p1", "r1", delete).await.expect("deleted");
    // As the sweep does it.
    let swept = world.artifacts.decide("changes", |mut tx| async move {
        let found = tx.scan(KeyRange::prefix(&keys::changes_of(id)), 10).await?;
        for (key, _) in found {
            tx.delete(key);
        }
        Ok::<_, Error>(tx.answer(()))
    });
    swept.await.expect("swept");
    assert!(matches!(watch.recv().await, Some(Err(Error::RepositoryNotFound(_)))));
    assert!(watch.recv().await.is_none());
    world.shutdown.cancel();
    assert!(matches!(other.recv().await, Some(Err(Error::ShuttingDown))));
    assert!(other.recv().await.is_none());
}
