//! What was acknowledged is there after a crash; and what a crash leaves behind stops nobody.

use std::path::{Path, PathBuf};

use futures::future::join_all;
use steward_proto::lock::v1::{Grant, LockKey, Outcome};

use crate::common::program;
use crate::common::server::{Server, Setup};
use crate::common::wait::eventually;
use crate::operability::metric;
use crate::vocabulary::{Locks, acquire, pull, release};

const ROUNDS: usize = 50;
const CLIENTS: usize = 8;

/// What a client was told last about one of its locks.
#[derive(Debug)]
enum Told {
    Held(Grant),
    Released(Grant),
    Succeeded(Grant),
    /// The release was on its way when the server died.
    Unanswered,
}

/// Takes one new lock after the other, gives some back, until the server dies.
async fn work_until_it_dies(locks: Locks, name: String) -> Vec<(LockKey, Told)> {
    let mut facts = Vec::new();
    for number in 0_usize.. {
        let key = pull(&format!("{name}-{number}"));
        let Ok(answer) = locks.acquire(acquire(&key, &name)).await else { return facts };
        let grant = answer.grant.expect("the lock is new, so it is granted");
        let outcome = [None, Some(Outcome::Released), Some(Outcome::Succeeded)][number % 3];
        let Some(outcome) = outcome else {
            facts.push((key, Told::Held(grant)));
            continue;
        };
        let Ok(_) = locks.release(release(&grant, outcome)).await else {
            facts.push((key, Told::Unanswered));
            return facts;
        };
        let is_success = outcome == Outcome::Succeeded;
        facts.push((key, if is_success { Told::Succeeded(grant) } else { Told::Released(grant) }));
    }
    facts
}

async fn assert_kept(locks: &Locks, key: &LockKey, told: &Told) {
    let lock = locks.get(key).await;
    match told {
        Told::Held(grant) => {
            assert_eq!(lock.holders, [Grant { grant_id: String::new(), ..grant.clone() }], "{key:?}");
            assert!(locks.is_current(key, grant.fencing_token).await, "{key:?}");
        }
        Told::Released(grant) => {
            assert_eq!((lock.holder_count, lock.completion), (0, None), "{key:?}");
            assert!(!locks.is_current(key, grant.fencing_token).await, "{key:?}");
        }
        Told::Succeeded(grant) => {
            let completion = lock.completion.unwrap_or_else(|| panic!("the success of {key:?} is lost"));
            assert_eq!((completion.fencing_token, lock.holder_count), (grant.fencing_token, 0), "{key:?}");
        }
        Told::Unanswered => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_acknowledged_is_lost_in_fifty_crashes_under_load() {
    let mut server = Setup::default().config("[lock]\ncompleted_retention = \"1h\"").start().await;
    let mut facts = Vec::new();
    let (mut checked, mut newest_token) = (0, 0);
    for round in 0..ROUNDS {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| tokio::spawn(work_until_it_dies(Locks::of(&server), format!("r{round}-c{number}"))))
            .collect();
        // Each round dies at another moment of its work.
        let locks = Locks::of(&server);
        let last = pull(&format!("r{round}-c0-{}", 3 * (round % 17)));
        eventually("there is some load", async || (locks.get(&last).await.holder_count > 0).then_some(())).await;

        server.kill9().await;
        let told = join_all(clients).await.into_iter().flat_map(|client| client.expect("a client ends"));
        let told: Vec<_> = told.collect();
        server.restart().await;

        let locks = Locks::of(&server);
        for (key, told) in &told {
            assert_kept(&locks, key, told).await;
        }
        checked += told.len();
        facts.extend(told);
        let again = locks.hold(acquire(&pull("again-and-again"), &format!("round-{round}"))).await;
        assert!(again.fencing_token > newest_token, "tokens grow over crashes");
        newest_token = again.fencing_token;
        locks.give_back(&again, Outcome::Failed).await;
    }
    assert!(checked > ROUNDS * CLIENTS, "there was something to lose: {checked}");
    let locks = Locks::of(&server);
    for (key, told) in &facts {
        assert_kept(&locks, key, told).await;
    }
}

/// The directory of the database below the data directory.
fn database(data: &Path) -> PathBuf {
    let mut places = vec![data.to_owned()];
    while let Some(place) = places.pop() {
        if place.join("db").is_file() {
            return place;
        }
        let entries = std::fs::read_dir(&place).expect("a directory");
        places.extend(entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir()));
    }
    panic!("there is no database under {}", data.display());
}

#[tokio::test]
async fn what_a_crash_while_opening_leaves_behind_does_not_stop_the_server() {
    let mut server = Server::start().await;
    let locks = Locks::of(&server);
    let held = locks.hold(acquire(&pull("sha256:kept"), "A")).await;
    server.kill9().await;
    let left_behind = database(&server.data()).join("snap.1.generating");
    std::fs::write(&left_behind, b"half a snapshot").expect("it can be planted");

    server.restart().await;

    assert!(locks.is_current(&pull("sha256:kept"), held.fencing_token).await);
    assert!(!left_behind.exists());
}

#[tokio::test]
async fn a_second_process_on_the_same_directory_is_refused_and_told_who_has_it() {
    let server = Server::start().await;

    let output = Setup::default().refused(server.home()).await;

    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains(server.data().to_str().expect("UTF-8")), "which directory: {message}");
    assert!(message.contains(&server.pid().to_string()), "which process: {message}");
    Locks::of(&server).hold(acquire(&pull("sha256:alive"), "A")).await;
}

/// A server whose flushes of the database are written down.
struct Traced {
    server: Server,
    trace: PathBuf,
}

impl Traced {
    async fn start() -> Option<Self> {
        let strace = program::find("strace", "crash::flushes")?;
        let home = tempfile::tempdir().expect("a temporary directory");
        let trace = home.path().join("trace");
        // With -D the server is our child, and strace is beside it.
        let mut wrapper = vec![strace.into_os_string()];
        wrapper.extend(["-D", "-f", "-y", "-e", "trace=fsync,fdatasync", "-o"].map(Into::into));
        wrapper.push(trace.clone().into_os_string());
        let server = Setup::default().under(wrapper).start_in(home).await;
        Some(Traced { server, trace })
    }

    /// Ends the server and counts the flushes of its journal.
    async fn flushes(mut self) -> u32 {
        assert!(self.server.terminate().await.success());
        let lines = eventually("the trace is complete", async || {
            let text = std::fs::read_to_string(&self.trace).ok()?;
            text.contains("+++ exited with 0 +++").then_some(text)
        })
        .await;
        let is_flush = |line: &&str| line.contains("fdatasync(") && line.contains(".journal>");
        u32::try_from(lines.lines().filter(is_flush).count()).expect("not so many")
    }
}

/// Flushes beside those for changes: at the start and at the end.
const OTHER_FLUSHES: u32 = 5;

#[tokio::test]
async fn every_change_of_one_client_is_flushed_by_itself() {
    const PAIRS: u32 = 50;
    let Some(traced) = Traced::start().await else { return };
    let locks = Locks::of(&traced.server);
    for number in 0..PAIRS {
        let grant = locks.hold(acquire(&pull(&format!("sha256:{number}")), "A")).await;
        locks.give_back(&grant, Outcome::Released).await;
    }

    let flushes = traced.flushes().await;

    let changes = 2 * PAIRS;
    assert!((changes..=changes + OTHER_FLUSHES).contains(&flushes), "{flushes} flushes for {changes} changes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_changes_of_many_clients_share_their_flushes() {
    const MANY: u32 = 64;
    const PAIRS: u32 = 20;
    let Some(traced) = Traced::start().await else { return };
    let locks = Locks::of(&traced.server);
    let clients = (0..MANY).map(|client| {
        let locks = locks.clone();
        tokio::spawn(async move {
            for number in 0..PAIRS {
                let grant = locks.hold(acquire(&pull(&format!("sha256:{client}-{number}")), "A")).await;
                locks.give_back(&grant, Outcome::Released).await;
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.expect("a client ends");
    }

    let count = async |name: &str| metric(&traced.server, name).await.expect("it is measured");
    let (commits, groups) = (count("steward_store_commits_total").await, count("steward_store_flushes_total").await);

    let flushes = traced.flushes().await;

    assert!(commits >= f64::from(2 * MANY * PAIRS) && groups < commits, "{groups} groups of {commits} commits");
    assert!((f64::from(flushes) - groups).abs() < 0.5, "{flushes} flushes for {groups} groups");
}
