//! The audit: who changed what, who was not let, and what of it survives.

use std::fs;
use std::process::{Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use steward_proto::audit::v1 as api;
use steward_proto::audit::v1::audit_service_client::AuditServiceClient;
use steward_proto::lock::v1::lock_service_client::LockServiceClient;
use steward_proto::lock::v1::{AcquireRequest, LockKey};
use steward_proto::volume::v1::export_service_client::ExportServiceClient;
use steward_proto::volume::v1::volume_service_client::VolumeServiceClient;
use steward_proto::volume::v1::{CreateVolumeRequest, OpenExportRequest, VolumeName};
use tempfile::TempDir;
use tokio::process::Command;
use tonic::Request;
use tonic::transport::Channel;

use crate::authority::Authority;
use crate::client::Client;
use crate::common::process::STEWARD;
use crate::common::server::{Server, Setup};
use crate::common::users::{basic, htpasswd};
use crate::common::wait::{eventually, within};
use crate::common::{program, temporary, users};

const PASSWORD: &str = "planted-password-of-alice";
const WRONG: &str = "planted-wrong-password";

/// A server that asks for passwords.
async fn start(further: &str) -> Server {
    let home = temporary::directory();
    setup(&home, further).start_in(home).await
}

fn setup(home: &TempDir, further: &str) -> Setup {
    Server::setup()
        .config(&format!("[auth]\nhtpasswd = {:?}\n{further}", htpasswd(home.path(), &[("alice", PASSWORD)])))
}

/// A request of alice.
fn signed<T>(message: T) -> Request<T> {
    users::signed(&basic("alice", PASSWORD), message)
}

fn audit(server: &Server) -> AuditServiceClient<Channel> {
    AuditServiceClient::new(server.channel())
}

/// All entries, the oldest first.
async fn entries(server: &Server) -> Vec<api::AuditEntry> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let order = api::EntryOrder::OldestFirst.into();
        let request = api::ListEntriesRequest { page_size: 1000, page_token, order, filter: None };
        let answer = audit(server).list_entries(signed(request)).await.expect("a list").into_inner();
        all.extend(answer.entries);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

/// Waits for an entry; one that no answer waits for comes a moment later.
async fn entry(server: &Server, what: &str, is_it: impl Fn(&api::AuditEntry) -> bool) -> api::AuditEntry {
    let look = async || entries(server).await.into_iter().find(|entry| is_it(entry));
    eventually(what, look).await
}

async fn run(program: &mut Command) -> Output {
    within("the program ends", program.stdin(Stdio::null()).kill_on_drop(true).output())
        .await
        .expect("it can be started")
}

#[tokio::test]
async fn a_change_by_curl_is_an_entry_in_every_area() {
    let server = start("").await;
    let http = server.http();
    for (area, method, path, body) in [
        ("lock", "POST", "/lock", r#"{"type":"pull","resource_id":"sha256:a","node_id":"me"}"#),
        ("restic", "POST", "/restic/alice/?create=true", ""),
        ("transcode", "POST", "/api/v1/workers", r#"{"worker_name":"w","worker_type":0,"support_vr":0}"#),
        ("artifact", "POST", "/repository/api/project/create", r#"{"name":"p1","displayName":"p1"}"#),
        ("volume", "GET", "/SnapshotCloneService?Action=DeleteSnapshot&Version=1.5&User=u&File=/a&Name=s", ""),
        ("replication", "DELETE", "/replication/api/cluster/delete/0a1b2c3d4e5f60718293a4b5c6d7e8f9", ""),
    ] {
        let url = format!("http://{}{path}", http.0);
        let id = format!("request-of-{area}");
        let Some(curl) = program::find("curl", "a_change_by_curl_is_an_entry_in_every_area") else { return };
        let mut command = Command::new(curl);
        command.args(["-sS", "-X", method, "-u", &format!("alice:{PASSWORD}"), "-H", &format!("x-request-id: {id}")]);
        command.args(["-H", "Content-Type: application/json", "-d", body, &url]);
        let output = run(&mut command).await;
        assert!(output.status.success(), "{output:?}");
        let is_it = |entry: &api::AuditEntry| entry.request_id == id && entry.area == area;
        let entry = entry(&server, &format!("an entry of {area}: {output:?}"), is_it).await;
        assert_eq!((entry.user.as_str(), entry.proof.as_str()), ("alice", "password"), "{entry:?}");
        assert_eq!((entry.address.as_str(), entry.count), ("127.0.0.1", 1), "{entry:?}");
        assert!(!entry.outcome.is_empty() && entry.time.is_some() && entry.duration.is_some(), "{entry:?}");
    }
}

#[tokio::test]
async fn a_change_by_grpcurl_is_an_entry_in_every_area() {
    let server = start("").await;
    let address = server.grpc_address().to_string();
    for (service, method, request) in [
        ("lock.v1.LockService", "Acquire", json!({"key": {"type": "pull", "resourceId": "sha256:b"}, "owner": "me"})),
        ("restic.v1.ObjectService", "CreateRepository", json!({"path": "alice/laptop"})),
        ("transcode.v1.WorkerService", "RegisterWorker", json!({"workerName": "w", "workerType": "WORKER_TYPE_CPU"})),
        ("artifact.v1.ArtifactService", "CreateProject", json!({"name": "p1"})),
        ("volume.v1.VolumeService", "MakeDirectory", json!({"path": "/vm"})),
        ("replication.v1.ClusterService", "DeleteCluster", json!({"id": "0a1b2c3d4e5f60718293a4b5c6d7e8f9"})),
    ] {
        let Some(grpcurl) = program::find("grpcurl", "a_change_by_grpcurl_is_an_entry_in_every_area") else { return };
        let authorization = format!("authorization: {}", basic("alice", PASSWORD));
        let request = request.to_string();
        let path = format!("steward.{service}/{method}");
        let mut command = Command::new(grpcurl);
        command.args(["-plaintext", "-H", &authorization, "-H", &format!("x-request-id: {method}")]);
        command.args(["-d", &request, &address, &path]);
        let output = run(&mut command).await;
        let is_it = |entry: &api::AuditEntry| entry.request_id == method;
        let entry = entry(&server, &format!("an entry of {path}: {output:?}"), is_it).await;
        let label = path.rsplit('.').next().expect("a service and a method");
        assert_eq!((entry.method.as_str(), entry.area.as_str()), (label, service.split('.').next().expect("an area")));
        assert_eq!((entry.user.as_str(), entry.address.as_str()), ("alice", "127.0.0.1"), "{entry:?}");
        assert_eq!(entry.outcome == "OK", output.status.success(), "{entry:?} {output:?}");
        if method == "Acquire" {
            assert_eq!((entry.right.as_str(), entry.resource.as_str()), ("write", "pull/sha256:b"), "{entry:?}");
        }
    }
}

#[tokio::test]
async fn failed_logins_are_entries_and_many_of_one_second_are_few() {
    let server = start("").await;
    let attempts: i64 = 5;
    for _ in 0..attempts {
        let headers = [("Authorization", basic("alice", WRONG))];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = server.http().request("POST", "/restic/alice/?create=true", &headers, b"").await;
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    let refused = async || {
        let refused = entries(&server).await.into_iter().filter(|entry| entry.outcome == "UNAUTHENTICATED");
        let refused: Vec<_> = refused.collect();
        let sum: i64 = refused.iter().map(|entry| entry.count).sum();
        (sum == attempts).then_some(refused)
    };
    let refused = eventually("all attempts are counted", refused).await;
    assert!(refused.iter().all(|entry| entry.user == "alice" && entry.address == "127.0.0.1"), "{refused:?}");
}

#[tokio::test]
async fn who_is_not_let_read_the_metrics_is_an_entry_with_name_and_address() {
    let server = start("trusted_proxies = ['127.0.0.1']\nrights = 'alice admin audit read'").await;
    for (password, status, outcome) in [(WRONG, 401, "UNAUTHENTICATED"), (PASSWORD, 403, "PERMISSION_DENIED")] {
        let authorization = basic("alice", password);
        let headers = [("Authorization", authorization.as_str()), ("X-Forwarded-For", "192.0.2.7")];
        let metrics = server.http().request("GET", "/metrics", &headers, b"").await;
        assert_eq!(metrics.status, status);
        assert_eq!(metrics.header("www-authenticate").is_some(), status == 401);
        let is_it = |entry: &api::AuditEntry| entry.method == "Http/Metrics" && entry.outcome == outcome;
        let refused = entry(&server, "the metrics were refused", is_it).await;
        assert_eq!((refused.user.as_str(), refused.address.as_str()), ("alice", "192.0.2.7"), "{refused:?}");
    }
}

#[tokio::test]
async fn who_is_not_let_do_something_is_an_entry() {
    let server = start("[restic.users.alice]\naccess = \"read\"\n").await;
    let headers = [("Authorization", basic("alice", PASSWORD))];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = server.http().request("POST", "/restic/alice/?create=true", &headers, b"").await;
    assert_eq!(answer.status, 403, "{answer:?}");
    let entry = entry(&server, "a refusal", |entry| entry.outcome == "PERMISSION_DENIED").await;
    assert_eq!((entry.user.as_str(), entry.method.as_str()), ("alice", "ObjectService/CreateRepository"), "{entry:?}");
}

#[tokio::test]
async fn what_was_answered_before_a_kill_is_in_the_log_and_numbers_go_on() {
    let mut server = start("").await;
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let mut locks = LockServiceClient::new(server.channel());
        for number in 0..30 {
            let resource_id = format!("{round}-{number}");
            let key = Some(LockKey { r#type: "pull".to_owned(), resource_id: resource_id.clone() });
            let mut request = signed(AcquireRequest { key, owner: "me".to_owned(), ..AcquireRequest::default() });
            request.metadata_mut().insert("x-request-id", resource_id.parse().expect("ASCII"));
            locks.acquire(request).await.expect("a free lock");
            acknowledged.push(resource_id);
        }
        server.restart().await;
    }
    let entries = entries(&server).await;
    let written: Vec<&str> =
        entries.iter().filter(|entry| entry.method == "LockService/Acquire").map(|entry| &*entry.request_id).collect();
    assert_eq!(written, acknowledged);
    assert!(entries.iter().map(|entry| entry.number).eq(1..=i64::try_from(entries.len()).expect("few")));
    let starts = entries.iter().filter(|entry| entry.method == "Server/Start").count();
    let stops = entries.iter().filter(|entry| entry.method == "Server/Stop").count();
    assert_eq!((starts, stops), (4, 0));
}

#[tokio::test]
async fn starts_reloads_and_stops_of_the_server_are_entries() {
    let mut server = start("").await;
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, Signal::HUP).expect("a signal");
    entry(&server, "a reload", |entry| entry.method == "Server/Reload").await;
    assert!(server.terminate().await.success());
    server.restart().await;
    // The server is ready while its start is still written.
    let methods = eventually("the second start is entered", async || {
        let methods = entries(&server).await.into_iter().map(|entry| entry.method);
        let methods: Vec<String> = methods.filter(|method| method.starts_with("Server/")).collect();
        (methods.len() == 4).then_some(methods)
    })
    .await;
    assert_eq!(methods, ["Server/Start", "Server/Reload", "Server/Stop", "Server/Start"]);
}

#[tokio::test]
async fn old_entries_go_and_the_log_stays_small() {
    let server = start("[audit]\nmax_bytes = 65536\n").await;
    let mut locks = LockServiceClient::new(server.channel());
    for number in 0..800 {
        let key = Some(LockKey { r#type: "pull".to_owned(), resource_id: number.to_string() });
        let request = signed(AcquireRequest { key, owner: "me".to_owned(), ..AcquireRequest::default() });
        locks.acquire(request).await.expect("a free lock");
    }
    let size = || {
        let files = fs::read_dir(server.data().join("audit")).expect("a directory");
        // A file may go while it is looked at.
        files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).sum::<u64>()
    };
    eventually("old files are removed", async || (size() <= 80 * 1024).then_some(())).await;
    let entries = entries(&server).await;
    assert!(entries[0].number > 1, "{:?}", entries[0]);
    let last = entries.last().expect("an entry").number;
    assert!(entries.iter().map(|entry| entry.number).eq(entries[0].number..=last));
    let request = api::WatchEntriesRequest { from_number: 1, ..api::WatchEntriesRequest::default() };
    let refused = audit(&server).watch_entries(signed(request)).await.expect_err("it is gone");
    assert_eq!(refused.code(), tonic::Code::OutOfRange);
}

#[tokio::test]
async fn a_tail_that_follows_goes_on_over_a_restart_and_misses_nothing() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let mut server = start("").await;
    let mut tail = Command::new(STEWARD);
    tail.args(["audit", "tail", "-f", "-n", "0", "--json", "--method", "LockService", "--server", &server.grpc_url()]);
    tail.args(["--user", "alice"]).env("STEWARD_PASSWORD", PASSWORD);
    let mut tail = tail.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("it can be started");
    let mut lines = BufReader::new(tail.stdout.take().expect("a pipe")).lines();
    // It has begun when its call is there.
    entry_of_watch(&server).await;
    let mut seen = Vec::new();
    for round in 0..3 {
        let mut locks = LockServiceClient::new(server.channel());
        for number in 0..5 {
            let resource_id = format!("{round}-{number}");
            let key = Some(LockKey { r#type: "pull".to_owned(), resource_id: resource_id.clone() });
            let mut request = signed(AcquireRequest { key, owner: "me".to_owned(), ..AcquireRequest::default() });
            request.metadata_mut().insert("x-request-id", resource_id.parse().expect("ASCII"));
            locks.acquire(request).await.expect("a free lock");
        }
        for number in 0..5 {
            let line = within("an entry", lines.next_line()).await.expect("text").expect("it goes on");
            let shown: Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!(shown["request_id"], format!("{round}-{number}"), "{shown}");
            seen.push(shown["number"].as_i64().expect("a number"));
        }
        server.restart().await;
    }
    assert!(seen.is_sorted());
}

/// Waits until a watch of the audit is open.
async fn entry_of_watch(server: &Server) {
    let look = async || {
        let headers = [("Authorization", basic("alice", PASSWORD))];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let metrics = server.http().request("GET", "/metrics", &headers, b"").await;
        let is_open = metrics
            .text()
            .lines()
            .any(|line| line.starts_with("steward_grpc_requests_total") && line.contains("AuditService/WatchEntries"));
        is_open.then_some(())
    };
    eventually("the watch is open", look).await;
}

#[tokio::test]
async fn no_secret_gets_into_the_files() {
    let server = start("").await;
    let headers = [("Authorization", basic("alice", PASSWORD)), ("X-Secret", "planted-header".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let wrong = basic("alice", WRONG);
    let as_name = basic("planted password", "as a name");
    for authorization in [&wrong, &as_name] {
        let headers = [("Authorization", authorization.as_str())];
        server.http().request("POST", "/lock", &headers, b"{}").await;
    }
    let cluster = json!({
        "name": "c1", "url": "http://127.0.0.1:1", "username": "u", "password": "planted-cluster-password", "type": "REMOTE",
    });
    server.http().request("POST", "/replication/api/cluster/create", &headers, cluster.to_string().as_bytes()).await;
    let body = r#"{"type":"pull","resource_id":"sha256:a","node_id":"me","extra":"planted-body"}"#;
    server.http().request("POST", "/lock", &headers, body.as_bytes()).await;
    entry(&server, "the lock", |entry| entry.method == "LockService/Acquire" && entry.outcome == "OK").await;
    for file in fs::read_dir(server.data().join("audit")).expect("a directory") {
        let content = fs::read(file.expect("a file").path()).expect("readable");
        let text = String::from_utf8_lossy(&content);
        assert!(text.contains("LockService/Acquire") && !text.contains("planted"), "{text}");
        for encoded in [basic("alice", PASSWORD), wrong.clone(), as_name.clone()] {
            assert!(!text.contains(encoded.trim_start_matches("Basic ")), "{text}");
        }
    }
}

#[tokio::test]
async fn volumes_over_nbd_are_entries() {
    let Some(nbdinfo) = program::find("nbdinfo", "volumes_over_nbd_are_entries") else { return };
    let server = Server::start().await;
    let create = ["volume", "create", "/disk", "--size", "1G", "--server", &server.grpc_url()];
    let output = run(Command::new(STEWARD).args(create)).await;
    assert!(output.status.success(), "{output:?}");
    for name in ["disk", "nothing"] {
        let url = format!("nbd+unix:///{name}?socket={}", server.nbd_socket().display());
        let output = run(Command::new(&nbdinfo).arg(&url)).await;
        assert_eq!(output.status.success(), name == "disk", "{output:?}");
    }
    let opened = entry(&server, "it was closed", |entry| entry.method == "Nbd/Close").await;
    assert_eq!((opened.resource.as_str(), opened.area.as_str()), ("/disk", "volume"), "{opened:?}");
    let refused =
        entry(&server, "the other was refused", |entry| entry.method == "Nbd/Open" && entry.outcome != "OK").await;
    assert_eq!((refused.resource.as_str(), refused.outcome.as_str()), ("nothing", "NOT_FOUND"), "{refused:?}");
}

#[tokio::test]
async fn over_nbd_entries_name_who_has_a_certificate_or_for_whom_the_export_is_and_nothing_tells_its_id() {
    let Some(nbdinfo) = program::find("nbdinfo", "over_nbd_entries_name_who_has_a_certificate") else { return };
    let authority = Authority::new();
    let (alice, bob) = (authority.client("alice"), authority.client("bob"));
    let config = format!("[volumes]\nmin_size = 4096\n{}", authority.section("clients = 'optional'"));
    let server = Setup::default().config(&config).nbd_listen().start().await;
    let channel = Client::grpc(&authority, Some(&alice)).channel(server.grpc_address()).await.expect("a channel");
    let create = CreateVolumeRequest { path: "/a".to_owned(), size_bytes: 1 << 20, ..CreateVolumeRequest::default() };
    VolumeServiceClient::new(channel.clone()).create_volume(create).await.expect("a volume");
    let volume = Some(VolumeName { path: "/a".to_owned(), id: 0 });
    let open = OpenExportRequest { volume, read_only: true, ..OpenExportRequest::default() };
    let opened = ExportServiceClient::new(channel.clone()).open_export(open).await.expect("an export");
    let id = opened.into_inner().export.expect("an export").uuid;
    let (of_bob, address) = (bob.directory.display(), server.nbd());
    for url in [format!("nbds://{address}/a?tls-certificates={of_bob}"), format!("nbd://{address}/export:{id}")] {
        let output = run(Command::new(&nbdinfo).args(["--size", &url])).await;
        assert!(output.status.success(), "{output:?}");
    }
    let closed = async || {
        let filter = Some(api::EntryFilter { method: "Nbd/Close".to_owned(), ..api::EntryFilter::default() });
        let order = api::EntryOrder::OldestFirst.into();
        let request = api::ListEntriesRequest { filter, order, ..api::ListEntriesRequest::default() };
        let answer = AuditServiceClient::new(channel.clone()).list_entries(request).await.expect("a list");
        Some(answer.into_inner().entries).filter(|entries| entries.len() == 2)
    };
    let closed = eventually("both are closed", closed).await;
    let told: Vec<_> = closed
        .iter()
        .map(|entry| [&entry.user, &entry.proof, &entry.right, &entry.resource].map(|text| &**text))
        .collect();
    let shown = format!("export:{}…", &id[..8]);
    assert_eq!(told, [["bob", "certificate", "write", "/a"], ["alice", "export", "read", &shown]]);
    let log = server.log();
    assert!(log.contains(&shown) && !log.contains(&id), "{log}");
}
