//! A shelf in memory, for tests. Keeps the contract of [`Shelf`] as a real one does.

use std::collections::BTreeMap;

use async_trait::async_trait;
use steward_proto::transcode::v1::LogLevel;
use tokio::sync::watch;

use super::shelf::{BATCH, Found, Known, MARKS, Recorded, Shelf, Twin};
use crate::error::Failure;

/// What is on it.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) videos: BTreeMap<i32, (Found, bool)>,
    pub(super) reports: Vec<String>,
    /// How each whole scan ended.
    pub(super) ends: Vec<Option<String>>,
    /// How many files were recorded.
    pub(super) recorded: usize,
}

#[derive(Debug, Default)]
pub(super) struct FakeShelf(pub(super) watch::Sender<State>);

impl State {
    fn find(&self, path: &str) -> Option<(i32, &Found, bool)> {
        let mut videos = self.videos.iter();
        videos.find(|(_, (found, _))| found.path == path).map(|(id, (found, exists))| (*id, found, *exists))
    }

    /// The paths of the videos that are there.
    pub(super) fn paths(&self) -> Vec<&str> {
        let mut paths: Vec<&str> =
            self.videos.values().filter(|(_, exists)| *exists).map(|(found, _)| found.path.as_str()).collect();
        paths.sort_unstable();
        paths
    }

    fn record(&mut self, found: Found) -> (i32, Recorded) {
        self.recorded += 1;
        let (id, what) = match (self.find(&found.path), found.moved_from) {
            (Some((id, before, true)), _) if *before == found => (id, Recorded::Unchanged),
            (Some((id, ..)), _) => (id, Recorded::Changed),
            (None, Some(id)) => (id, Recorded::Moved),
            (None, None) => (i32::try_from(self.videos.len()).unwrap() + 1, Recorded::Added),
        };
        self.videos.insert(id, (found, true));
        (id, what)
    }

    fn mark(&mut self, ids: &[i32], exists: bool) {
        assert!(ids.len() <= MARKS);
        for id in ids {
            self.videos.get_mut(id).expect("a known video").1 = exists;
        }
    }
}

impl FakeShelf {
    pub(super) fn state(&self) -> State {
        self.0.borrow().clone()
    }

    /// Returns once the state is such.
    pub(super) async fn until(&self, is_such: impl FnMut(&State) -> bool) {
        let _ = self.0.subscribe().wait_for(is_such).await.expect("the shelf lives");
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut result = None;
        self.0.send_modify(|state| result = Some(change(state)));
        result.expect("it was just called")
    }
}

#[async_trait]
impl Shelf for FakeShelf {
    fn lookup(&self, path: &str) -> Option<Known> {
        let state = self.0.borrow();
        let (id, found, exists) = state.find(path)?;
        Some(Known { id, size_bytes: found.size_bytes, modify_nanos: found.modify_nanos, exists })
    }

    fn path(&self, id: i32) -> Option<String> {
        self.0.borrow().videos.get(&id).map(|(found, _)| found.path.clone())
    }

    fn existing(&self, library: &str) -> Vec<i32> {
        let state = self.0.borrow();
        let is_of = |found: &Found| found.path.split_once('/').is_some_and(|(name, _)| name == library);
        state.videos.iter().filter(|(_, (found, exists))| *exists && is_of(found)).map(|(id, _)| *id).collect()
    }

    fn twins(&self, fingerprint: &[u8; 16]) -> Vec<Twin> {
        let state = self.0.borrow();
        let same = state.videos.iter().filter(|(_, (found, _))| found.fingerprint == *fingerprint);
        same.map(|(id, (found, exists))| Twin { id: *id, path: found.path.clone(), exists: *exists }).collect()
    }

    async fn record(&self, library: &str, found: Vec<Found>) -> Result<Vec<(i32, Recorded)>, Failure> {
        assert!((1..=BATCH).contains(&found.len()));
        assert!(found.iter().all(|found| found.path.starts_with(&format!("{library}/"))));
        Ok(self.change(|state| found.into_iter().map(|found| state.record(found)).collect()))
    }

    async fn mark_missing(&self, _: &str, ids: Vec<i32>) -> Result<(), Failure> {
        self.change(|state| state.mark(&ids, false));
        Ok(())
    }

    async fn mark_present(&self, _: &str, ids: Vec<i32>) -> Result<(), Failure> {
        self.change(|state| state.mark(&ids, true));
        Ok(())
    }

    async fn report(&self, _: LogLevel, message: String) {
        self.change(|state| state.reports.push(message));
    }

    async fn scan_ended(&self, _: &str, error: Option<String>) {
        self.change(|state| state.ends.push(error));
    }
}
