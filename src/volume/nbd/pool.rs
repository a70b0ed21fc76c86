//! The threads that wait for the disk, for all connections.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};

use super::execute::{self, Outcome, Sender, Served};
use super::in_flight::Place;
use super::lanes::{Kind, Lanes, Turn};
use super::output::Output;
use super::problem::Problem;
use super::request::{Command, Request};
use crate::volume::device::Wait;

/// The threads that wait for the disk. What waits for them is bounded by each connection.
pub(super) struct Pool {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    lanes: Lanes<Job>,
    is_closed: bool,
    /// How many threads wait for something to do.
    idle: usize,
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
        let threads = threads.max(1);
        let queue = Queue { lanes: Lanes::new(threads), is_closed: false, idle: 0 };
        let pool = Arc::new(Pool { queue: Mutex::new(queue), changed: Condvar::new() });
        let start = |number: usize| {
            let pool = Arc::clone(&pool);
            thread::Builder::new().name(format!("nbd-disk-{number}")).spawn(move || pool.work())
        };
        let started: io::Result<Vec<_>> = (0..threads).map(start).collect();
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
        let disk = job.served.session.disk;
        if job.is_flush() {
            queue.lanes.add_flush(disk, job);
        } else {
            queue.lanes.add(disk, job);
        }
        drop(queue);
        self.changed.notify_one();
    }

    /// Ends the threads, once nothing waits for them.
    fn close(&self) {
        self.queue.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn work(&self) {
        while let Some(turn) = self.next() {
            let done = match turn {
                Turn::One(disk, job) => {
                    job.run();
                    (disk, Kind::One)
                }
                Turn::Flush(disk, jobs) => {
                    flush(jobs);
                    (disk, Kind::Flush)
                }
            };
            self.queue.lock().lanes.finish(done.0, done.1);
        }
    }

    fn next(&self) -> Option<Turn<Job>> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(turn) = queue.lanes.next() {
                // The turn that ended before this one may have made room for more than one.
                if queue.idle > 0 && queue.lanes.may_start() {
                    self.changed.notify_one();
                }
                return Some(turn);
            }
            if queue.is_closed && queue.lanes.is_empty() {
                self.changed.notify_all();
                return None;
            }
            queue.idle += 1;
            self.changed.wait(&mut queue);
            queue.idle -= 1;
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

/// Sends without waiting for the client.
struct Posts<'a>(&'a Served);

impl Sender for Posts<'_> {
    fn send(&mut self, out: &mut Output) -> io::Result<()> {
        self.0.writer.post(out.take(), None)
    }

    /// It would have to wait for its turn. The bytes of the reply were admitted.
    fn has_parts(&self) -> bool {
        false
    }

    fn send_part(&mut self, _: &mut Output) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// One flush for all of these.
fn flush(jobs: Vec<Job>) {
    let all: Vec<&Served> = jobs.iter().map(|job| &*job.served).collect();
    let done = catch_unwind(AssertUnwindSafe(|| execute::flush(&all)));
    for job in jobs {
        let mut out = Output::default();
        match &done {
            Ok(Ok(())) => out.put_simple(job.request.cookie, 0),
            Ok(Err(error)) => job.served.fail(&job.request, error, &mut out),
            Err(_) => job.failed(&mut out),
        }
        job.send(&mut out);
    }
}

impl Job {
    /// Whether it needs nothing but a flush: the bytes of a write were written before.
    fn is_flush(&self) -> bool {
        matches!(self.request.command, Some(Command::Flush | Command::Write))
    }

    fn failed(&self, out: &mut Output) {
        tracing::error!(export = self.served.session.shown_name, request = ?self.request, "a device failed in a way it must not");
        self.served.refuse(&self.request, Problem::IO, out);
    }

    /// Sends the last part of the reply.
    fn send(self, out: &mut Output) {
        if let Err(error) = self.served.writer.post(out.take(), Some(self.place)) {
            tracing::trace!(%error, "the client is gone");
        }
    }

    fn run(self) {
        let mut out = Output::default();
        let done = catch_unwind(AssertUnwindSafe(|| {
            let mut posts = Posts(&self.served);
            self.served.execute(&self.request, &mut out, Wait::Allowed, &mut posts)
        }));
        match done {
            Ok(Ok(Outcome::Done)) => self.send(&mut out),
            Ok(Ok(Outcome::Rest(_))) | Err(_) => {
                let mut out = Output::default();
                self.failed(&mut out);
                self.send(&mut out);
            }
            Ok(Err(error)) => tracing::trace!(%error, "the client is gone"),
        }
    }
}
