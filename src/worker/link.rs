//! Where tasks leave what they have to say, and the session takes it from.

use parking_lot::Mutex;
use steward_proto::transcode::v1 as pb;
use tokio::sync::{Notify, watch};

use super::outbox::Outbox;

/// Longer messages are cut by the server.
const MESSAGE_CHARACTERS: usize = 1023;

/// An outbox that tasks and the session share.
#[derive(Debug)]
pub(super) struct Link {
    outbox: Mutex<Outbox>,
    wake: Notify,
    unacknowledged: watch::Sender<usize>,
}

impl Link {
    pub(super) fn new() -> Self {
        Link { outbox: Mutex::default(), wake: Notify::new(), unacknowledged: watch::Sender::new(0) }
    }

    pub(super) fn hold(&self, task_id: &str, lease_token: &str) {
        self.change(|outbox| outbox.hold(task_id, lease_token));
    }

    pub(super) fn drop_task(&self, task_id: &str) {
        self.change(|outbox| outbox.drop_task(task_id));
    }

    pub(super) fn finish(&self, mut finished: pb::TaskFinished) {
        finished.error_message = cut(&finished.error_message);
        self.change(|outbox| outbox.finish(finished));
    }

    pub(super) fn log(&self, task_id: &str, level: pb::LogLevel, text: &str) {
        let line = pb::LogLine { task_id: task_id.to_owned(), log_level: level.into(), log_message: cut(text) };
        self.change(|outbox| outbox.log(line));
    }

    pub(super) fn progress(&self, progress: pb::TaskProgress) {
        self.change(|outbox| outbox.progress(progress));
    }

    pub(super) fn ready(&self, ready: pb::Ready) {
        self.change(|outbox| outbox.ready(ready));
    }

    pub(super) fn rewind(&self) {
        self.change(Outbox::rewind);
    }

    pub(super) fn acknowledge(&self, seq: u64) {
        self.change(|outbox| outbox.acknowledge(seq));
    }

    pub(super) fn next(&self) -> Option<pb::SessionRequest> {
        self.outbox.lock().next()
    }

    pub(super) fn has_more(&self) -> bool {
        self.outbox.lock().has_more()
    }

    pub(super) fn running(&self) -> Vec<pb::HeldTask> {
        self.outbox.lock().running()
    }

    /// Returns when there may be more to say. For one caller at a time.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Returns when the server has everything for good.
    pub(super) async fn settled(&self) {
        // The sender lives as long as the link that is borrowed here.
        let _ = self.unacknowledged.subscribe().wait_for(|count| *count == 0).await;
    }

    fn change(&self, change: impl FnOnce(&mut Outbox)) {
        let mut outbox = self.outbox.lock();
        change(&mut outbox);
        self.unacknowledged.send_replace(outbox.unacknowledged());
        self.wake.notify_one();
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MESSAGE_CHARACTERS).collect()
}
