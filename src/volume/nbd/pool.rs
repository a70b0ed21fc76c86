//! The threads that wait for the disk, for all connections.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};

use super::execute::{Outcome, Served};
use super::in_flight::Place;
use super::output::Output;
use super::problem::Problem;
use super::request::Request;
use crate::volume::device::Wait;

/// The threads that wait for the disk. What waits for them is bounded by each connection.
pub(super) struct Pool {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

/// A request that was checked, and what it takes to answer it.
pub(super) struct Job {
    pub(super) served: Arc<Served>,
    pub(super) request: Request,
    pub(super) place: Place,
}

impl Pool {
    /// Starts the threads. They end when a [`CloseOnDrop`] is dropped.
    pub(super) fn start(threads: usize) -> io::Result<(Arc<Self>, Vec<JoinHandle<()>>)> {
        let pool = Arc::new(Pool { queue: Mutex::default(), changed: Condvar::new() });
        let start = |number: usize| {
            let pool = Arc::clone(&pool);
            thread::Builder::new().name(format!("nbd-disk-{number}")).spawn(move || pool.work())
        };
        let started: io::Result<Vec<_>> = (0..threads.max(1)).map(start).collect();
        if started.is_err() {
            pool.close();
        }
        Ok((pool, started?))
    }

    /// Has a job done, here and now if the threads have ended.
    pub(super) fn submit(&self, job: Job) {
        let mut queue = self.queue.lock();
        if queue.is_closed {
            drop(queue);
            return job.run();
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.changed.notify_one();
    }

    /// Ends the threads, once nothing waits for them.
    fn close(&self) {
        self.queue.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            job.run();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.is_closed {
                return None;
            }
            self.changed.wait(&mut queue);
        }
    }
}

/// Ends the threads when it is dropped.
pub(super) struct CloseOnDrop(pub(super) Arc<Pool>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Job {
    fn run(self) {
        let Job { served, request, place } = self;
        let mut out = Output::default();
        let done = catch_unwind(AssertUnwindSafe(|| {
            let mut send = |out: &mut Output| served.writer.post(out.take(), None);
            served.execute(&request, &mut out, Wait::Allowed, &mut send)
        }));
        let sent = match done {
            Ok(Ok(Outcome::Done)) => served.writer.post(out.take(), Some(place)),
            Ok(Ok(Outcome::Rest(_))) | Err(_) => {
                tracing::error!(export = served.session.name, ?request, "a device failed in a way it must not");
                let mut out = Output::default();
                served.refuse(&request, Problem::IO, &mut out);
                served.writer.post(out.take(), Some(place))
            }
            Ok(Err(error)) => Err(error),
        };
        if let Err(error) = sent {
            tracing::trace!(%error, "the client is gone");
        }
    }
}
