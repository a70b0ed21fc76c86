//! Nobody ever holds a lock together with somebody else, whatever happens to the server.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use steward_proto::lock::v1::{AcquireStatus, Grant, LockKey, Outcome};
use tonic::Status;

use crate::common::server::Server;
use crate::common::wait::eventually;
use crate::vocabulary::{AcquireWords as _, Locks, acquire, pull, refusal, release};

const CLIENTS: usize = 32;
const KEYS: usize = 4;
const HOW_LONG: Duration = Duration::from_secs(20);

/// Who is in which critical section, as the clients themselves see it. A client stays inside from the moment it is
/// told that it holds the lock until it begins to give it back, whatever the server does in between.
#[derive(Debug, Default)]
struct Registry {
    inside: Mutex<HashMap<String, Inside>>,
    entries: AtomicU64,
}

#[derive(Clone, Debug, Default)]
struct Inside {
    owner: Option<String>,
    newest_token: i64,
}

impl Registry {
    fn enter(&self, grant: &Grant) {
        let mut inside = self.inside.lock();
        let section = inside.entry(grant.key.clone().expect("a key").resource_id).or_default();
        assert_eq!(section.owner, None, "{} enters where somebody is", grant.owner);
        assert!(grant.fencing_token > section.newest_token, "tokens only grow: {grant:?} after {section:?}");
        *section = Inside { owner: Some(grant.owner.clone()), newest_token: grant.fencing_token };
        self.entries.fetch_add(1, Ordering::Relaxed);
    }

    fn leave(&self, grant: &Grant) {
        let mut inside = self.inside.lock();
        let section = inside.get_mut(&grant.key.as_ref().expect("a key").resource_id).expect("it was entered");
        assert_eq!(section.owner.take().as_ref(), Some(&grant.owner));
    }
}

/// A client that takes one lock again and again, and believes nothing that it was not told.
struct Client {
    locks: Locks,
    key: LockKey,
    owner: String,
    registry: Arc<Registry>,
    turns: Arc<AtomicU32>,
}

impl Client {
    async fn run(self, end: Instant) {
        while Instant::now() < end {
            let grant = self.take().await;
            self.registry.enter(&grant);
            self.work(&grant).await;
            self.registry.leave(&grant);
            self.give_back(&grant).await;
            self.turns.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Asks until it is told that it holds the lock.
    async fn take(&self) -> Grant {
        eventually("the client has its turn", async || {
            let answer = self.locks.acquire(acquire(&self.key, &self.owner).block()).await;
            let answer = self.unless_away(answer)?;
            assert_eq!(answer.status(), AcquireStatus::Granted);
            answer.grant
        })
        .await
    }

    /// While it holds the lock, its token is the newest: the server must not have given out another one.
    async fn work(&self, grant: &Grant) {
        for _ in 0..2 {
            let request = steward_proto::lock::v1::CheckFencingTokenRequest {
                key: grant.key.clone(),
                fencing_token: grant.fencing_token,
            };
            let answer = self.locks.client.clone().check_fencing_token(request).await;
            if let Some(answer) = self.unless_away(answer) {
                assert!(answer.into_inner().is_current, "{} was overtaken while it worked", self.owner);
            }
        }
    }

    /// Gives the lock back until it is told that it is given back. An answer may have got lost in the crash: then the
    /// grant is found gone.
    async fn give_back(&self, grant: &Grant) {
        eventually("the lock is given back", async || {
            let answer = self.locks.release(release(grant, Outcome::Failed)).await;
            match answer {
                Ok(_) => Some(()),
                Err(status) if status.code() == tonic::Code::FailedPrecondition => {
                    assert_eq!(refusal(Err::<(), _>(status)).1, "NOT_HOLDER");
                    Some(())
                }
                Err(_) => self.unless_away::<()>(answer.map(|_| ())),
            }
        })
        .await;
    }

    /// `None` when the server is away; any other error fails the test.
    fn unless_away<T>(&self, answer: Result<T, Status>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(status) => {
                let is_away = matches!(status.code(), tonic::Code::Unavailable | tonic::Code::Unknown)
                    || status.code() == tonic::Code::Cancelled
                    || status.code() == tonic::Code::Internal && std::error::Error::source(&status).is_some();
                assert!(is_away, "{}: {status:?}", self.owner);
                None
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_clients_are_ever_inside_even_when_the_server_is_killed_in_the_middle() {
    let mut server = Server::start().await;
    let registry = Arc::new(Registry::default());
    let start = Instant::now();
    let mut clients = Vec::new();
    let mut turns = Vec::new();
    for number in 0..CLIENTS {
        let client = Client {
            locks: Locks::of(&server),
            key: pull(&format!("sha256:key-{}", number % KEYS)),
            owner: format!("client-{number}"),
            registry: Arc::clone(&registry),
            turns: Arc::default(),
        };
        turns.push(Arc::clone(&client.turns));
        clients.push(tokio::spawn(client.run(start + HOW_LONG)));
    }
    let entries = || registry.entries.load(Ordering::Relaxed);

    eventually("half of the time is over", async || (start.elapsed() > HOW_LONG / 2).then_some(())).await;
    let before = entries();
    server.kill9().await;
    server.restart().await;

    for client in clients {
        client.await.expect("a client saw nothing wrong");
    }
    assert!(before > 100, "there was something to break: {before}");
    assert!(entries() > before + 100, "work went on after the crash: {before}, then {}", entries());
    let turns: Vec<u32> = turns.iter().map(|turns| turns.load(Ordering::Relaxed)).collect();
    assert!(turns.iter().all(|turns| *turns > 0), "everybody had a turn: {turns:?}");
}
