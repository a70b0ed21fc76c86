//! Users and rights are replaced again and again while others work: nobody who may all along is refused, and who may
//! not any more is, soon.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use steward_proto::lock::v1::ListRequest;
use steward_proto::lock::v1::lock_service_client::LockServiceClient;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::Code;

use crate::common::server::{Server, Setup};
use crate::common::users::line;
use crate::common::wait::eventually;
use crate::common::{temporary, users};

/// How many clients work, half of them over each wire.
const CLIENTS: usize = 32;
/// How often everything is replaced.
const ROUNDS: usize = 40;
/// How many calls go by, at least, between two replacements.
const CALLS_BETWEEN: u64 = 64;

/// Files of users and of rights.
struct Files {
    directory: TempDir,
    /// The lines of those who stay. Another salt would be another password, which each would have to prove anew.
    clients: String,
    guest: String,
}

impl Files {
    fn new() -> Self {
        let clients = (0..CLIENTS).map(|number| line(&client(number), "p")).collect();
        let files = Files { directory: temporary::directory(), clients, guest: line("guest", "p") };
        files.write_users(true);
        files.write_rights(true);
        files
    }

    fn users(&self) -> PathBuf {
        self.directory.path().join("users")
    }

    fn rights(&self) -> PathBuf {
        self.directory.path().join("rights")
    }

    /// All clients; and one more, perhaps.
    fn write_users(&self, with_guest: bool) {
        let guest = if with_guest { &*self.guest } else { "" };
        replace(&self.users(), &format!("{guest}{}", self.clients));
    }

    /// Rights for all clients, in one way or another; and for one more, perhaps.
    fn write_rights(&self, with_guest: bool) {
        let mut lines = String::from("# who area resource rights\n");
        let client_lines = |number| format!("{0} lock * admin\n{0} admin * read\n", client(number));
        lines.extend((0..CLIENTS).map(client_lines));
        if with_guest {
            lines += "guest lock * read\n";
        }
        replace(&self.rights(), &lines);
    }

    fn settings(&self) -> String {
        let (users, rights) = (self.users().display().to_string(), self.rights().display().to_string());
        format!("[auth]\nhtpasswd = {users:?}\nrights_file = {rights:?}\n")
    }
}

fn client(number: usize) -> String {
    format!("client-{number}")
}

/// As those do who want it to be there whole or not at all.
fn replace(file: &Path, content: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, content).expect("a file can be written");
    std::fs::rename(new, file).expect("a file can be replaced");
}

fn basic(user: &str) -> String {
    users::basic(user, "p")
}

async fn grpc(locks: &mut LockServiceClient<tonic::transport::Channel>, user: &str) -> Code {
    let request = users::signed(&basic(user), ListRequest::default());
    locks.list(request).await.map_or_else(|status| status.code(), |_| Code::Ok)
}

/// What the clients do meanwhile.
#[derive(Debug, Default)]
struct Work {
    is_over: AtomicBool,
    calls: AtomicU64,
}

impl Work {
    /// Whether one more call is to be made.
    fn goes_on_with_one_more(&self) -> bool {
        self.calls.fetch_add(1, Ordering::Relaxed);
        !self.is_over.load(Ordering::Relaxed)
    }

    async fn goes_on(&self) {
        let target = self.calls.load(Ordering::Relaxed) + CALLS_BETWEEN;
        let is_there = async || (self.calls.load(Ordering::Relaxed) >= target).then_some(());
        eventually("the clients go on", is_there).await;
    }
}

fn start_clients(server: &Server, work: &Arc<Work>) -> JoinSet<Result<(), String>> {
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (work, user) = (Arc::clone(work), client(number));
        let (mut locks, port) = (LockServiceClient::new(server.channel()), server.http());
        clients.spawn(async move {
            if number % 2 == 0 {
                while work.goes_on_with_one_more() {
                    let code = grpc(&mut locks, &user).await;
                    if code != Code::Ok {
                        return Err(format!("{user} over gRPC: {code:?}"));
                    }
                }
                return Ok(());
            }
            let authorization = basic(&user);
            let mut connection = port.connect().await;
            while work.goes_on_with_one_more() {
                let answer = connection.request("GET", "/metrics", &[("Authorization", &authorization)], b"").await;
                if answer.status != 200 {
                    return Err(format!("{user} over HTTP: {}", answer.status));
                }
            }
            Ok(())
        });
    }
    clients
}

#[tokio::test]
async fn users_and_rights_are_replaced_under_load_and_not_one_call_fails_that_may_be_made() {
    let files = Files::new();
    let server = Setup::default().config(&files.settings()).start().await;
    let mut guest = LockServiceClient::new(server.channel());
    assert_eq!(grpc(&mut guest, "guest").await, Code::Ok);
    // One after the other: many first logins at a time from one address are held to be guesses.
    for number in 0..CLIENTS {
        assert_eq!(grpc(&mut guest, &client(number)).await, Code::Ok);
    }
    let work = Arc::new(Work::default());
    let mut clients = start_clients(&server, &work);

    for round in 0..ROUNDS {
        // Sometimes the one that makes the difference is the user, and sometimes the right.
        let (is_user, may_read) = (round % 4 != 1, round % 4 != 3);
        files.write_users(is_user);
        files.write_rights(may_read);
        if round % 3 == 0 {
            let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw).expect("a process id");
            kill_process(pid, Signal::HUP).expect("a living process can be told");
        }
        work.goes_on().await;
        if round % 10 == 9 {
            let wanted = match (is_user, may_read) {
                (true, true) => Code::Ok,
                (false, _) => Code::Unauthenticated,
                (true, false) => Code::PermissionDenied,
            };
            let is_so = || {
                let mut guest = guest.clone();
                async move { (grpc(&mut guest, "guest").await == wanted).then_some(()) }
            };
            eventually("the guest is let in or not", is_so).await;
        }
    }
    work.is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client").expect("no call fails");
    }
    println!("{} calls went by while {ROUNDS} times everything was replaced", work.calls.load(Ordering::Relaxed));
}
