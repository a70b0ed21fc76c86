//! How much one caller may ask at a time, in the form of each API, and how little that is to others.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use steward_proto::lock::v1::lock_service_client::LockServiceClient;
use steward_proto::lock::v1::{GetRequest, LockKey, WatchRequest, WatchResponse};
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::common::http::{Answer, HttpPort};
use crate::common::server::{Server, Setup};
use crate::common::wait::{eventually, within};
use crate::common::{temporary, users};

/// The SHA-1 of "secret", as htpasswd writes it.
const SECRET: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

/// A server that knows alice and bob.
async fn start(limits: &str) -> Server {
    let home = temporary::directory();
    let file = home.path().join("users");
    std::fs::write(&file, format!("alice:{SECRET}\nbob:{SECRET}\n")).expect("written");
    let auth = format!("[auth]\nhtpasswd = {:?}\n[server]\nopen_metrics = true", file.display().to_string());
    Setup::default().config(&auth).config(limits).restic_listen().start_in(home).await
}

/// A server that asks nobody, and believes a proxy on this machine.
async fn start_open(limits: &str) -> Server {
    let auth = "[auth]\ntrusted_proxies = [\"127.0.0.1\"]";
    Setup::default().config(auth).config(limits).restic_listen().start().await
}

fn basic(user: &str) -> String {
    users::basic(user, "secret")
}

fn key() -> LockKey {
    LockKey { r#type: "pull".to_owned(), resource_id: "sha256:a".to_owned() }
}

fn request<M>(user: &str, message: M) -> Request<M> {
    users::signed(&basic(user), message)
}

/// A stream that stays open.
async fn watch(server: &Server, user: &str) -> Streaming<WatchResponse> {
    let message = WatchRequest { key: Some(key()), ..WatchRequest::default() };
    let mut client = LockServiceClient::new(server.channel());
    let opened = within("a watch", client.watch(request(user, message))).await;
    opened.expect("it is opened").into_inner()
}

async fn get(server: &Server, user: &str) -> Result<(), Status> {
    let mut client = LockServiceClient::new(server.channel());
    let message = GetRequest { key: Some(key()), ..GetRequest::default() };
    within("an answer", client.get(request(user, message))).await.map(|_| ())
}

struct Route {
    method: &'static str,
    path: &'static str,
    body: &'static str,
    /// What a caller is told who asks too much.
    told: &'static str,
}

const LOCK: &str = r#"{"type":"pull","resource_id":"sha256:a","node_id":"me"}"#;
const PLAIN: &str = "Too Many Requests\n";
const FARM: &str = r#"{"code":429,"message":"请求过多，请稍后重试"}"#;
const RESTIC: &str = r#"{"error":"too many calls at a time of one user; try again later"}"#;
const OCI: &str = r#"{"code":"TOOMANYREQUESTS","message":"too many calls at a time of one user; try again later""#;
const ENVELOPE: &str = "System service is busy, please try again later";
const VOLUMES: &str = r#""Code" : "-20""#;

const fn route(method: &'static str, path: &'static str, body: &'static str, told: &'static str) -> Route {
    Route { method, path, body, told }
}

const ROUTES: [Route; 24] = [
    route("POST", "/lock", LOCK, PLAIN),
    route("POST", "/unlock", LOCK, PLAIN),
    route("GET", "/lock/status?type=pull&resource_id=a", "", PLAIN),
    route("GET", "/lock/subscribe?type=pull&resource_id=a", "", PLAIN),
    route("GET", "/api/v1/workers", "", FARM),
    route("POST", "/api/v1/workers/heartbeat", r#"{"worker_id":1,"worker_name":"w"}"#, FARM),
    route("GET", "/api/v1/tasks/stats", "", FARM),
    route("GET", "/api/v1/videos", "", FARM),
    route("GET", "/api/v1/logs", "", FARM),
    route("GET", "/api/v2/events", "", FARM),
    route("GET", "/SnapshotCloneService?Version=1.5&Action=ListFile&User=u&Dir=/", "", VOLUMES),
    route("GET", "/SnapshotCloneService?Version=1.5&Action=GetCloneTasks&User=u", "", VOLUMES),
    route("GET", "/v2/", "", OCI),
    route("GET", "/v2/p/r/image/tags/list", "", OCI),
    route("PUT", "/v2/p/r/image/manifests/latest", "{}", OCI),
    route("POST", "/v2/p/r/image/blobs/uploads/", "", OCI),
    route("GET", "/generic/p/r/file", "", ENVELOPE),
    route("PUT", "/generic/p/r/file", "content", ENVELOPE),
    route("GET", "/repository/api/project/list", "", ENVELOPE),
    route("GET", "/replication/api/remote/distribution/info/p/r", "", ENVELOPE),
    route("GET", "/replication/api/cluster/list", "", ENVELOPE),
    route("GET", "/config", "", RESTIC),
    route("GET", "/restic/repository/keys/", "", RESTIC),
    route("POST", "/restic/repository/config", "content", RESTIC),
];

impl Route {
    async fn ask(&self, port: HttpPort, user: &str) -> Answer {
        let credentials = basic(user);
        let headers = [("Authorization", credentials.as_str()), ("Content-Type", "application/json")];
        port.request(self.method, self.path, &headers, self.body.as_bytes()).await
    }
}

#[tokio::test]
async fn each_api_says_in_its_own_form_that_it_is_too_much() {
    let server = start("[limits.users.alice]\nconcurrent = 1").await;
    let watch = watch(&server, "alice").await;
    for route in &ROUTES {
        let answer = route.ask(server.http(), "alice").await;
        let said = (answer.status, answer.header("retry-after"));
        assert_eq!(said, (429, Some("1")), "{} {}: {}", route.method, route.path, answer.text());
        assert!(answer.text().contains(route.told), "{} {}: {}", route.method, route.path, answer.text());
        if !route.path.contains("subscribe") && !route.path.contains("events") {
            let status = route.ask(server.http(), "bob").await.status;
            assert!(status != 429, "{} {}: another user is not concerned", route.method, route.path);
        }
    }
    let head = server.http().request("HEAD", "/config", &[("Authorization", &basic("alice"))], b"").await;
    assert_eq!((head.status, head.header("retry-after")), (429, Some("1")));
    let repository = route("GET", "/repository/keys/", "", RESTIC);
    let answer = repository.ask(server.restic(), "alice").await;
    assert_eq!((answer.status, answer.text()), (429, RESTIC), "the port of repositories alone");

    let status = get(&server, "alice").await.expect_err("it is too much");
    let details = status.get_error_details();
    let info = details.error_info().expect("a reason");
    assert_eq!((status.code(), info.reason.as_str()), (Code::ResourceExhausted, "TOO_MANY_CALLS"));
    assert_eq!((info.domain.as_str(), info.metadata["scope"].as_str()), ("steward", "user"));
    let retry_delay = details.retry_info().and_then(|info| info.retry_delay);
    assert_eq!(retry_delay, Some(Duration::from_secs(1)));
    get(&server, "bob").await.expect("another user is not concerned");

    let metrics = server.http().get("/metrics").await;
    let line = r#"steward_limits_refused_total{limit="calls",scope="user"} "#;
    let refused = metrics.text().lines().find_map(|each| each.strip_prefix(line)?.parse::<usize>().ok());
    assert!(refused.is_some_and(|refused| refused >= ROUTES.len() + 3), "{}", metrics.text());
    assert!(metrics.text().contains(r#"steward_limits_calls{scope="user"} 1"#), "{}", metrics.text());
    assert!(!metrics.text().contains("alice"), "names are nobody's business");

    drop(watch);
    eventually("the stream is over", async || get(&server, "alice").await.ok()).await;
}

#[tokio::test]
async fn one_who_hammers_takes_nothing_from_another() {
    const CLIENTS: usize = 64;
    const CALLS: usize = 20;
    const BURST: usize = 50;
    let server = start("[limits]\nrequests_per_second = 1\nburst = 50\nconcurrent = 20").await;
    let started = Instant::now();
    let status = route("GET", "/lock/status?type=pull&resource_id=a", "", "");
    let port = server.http();
    for user in ["alice", "bob"] {
        assert_eq!(status.ask(port, user).await.status, 200, "they are known from now on");
    }
    let hammer = stream::iter(0..CLIENTS).map(|_| async {
        let (mut connection, credentials) = (port.connect().await, basic("alice"));
        let mut taken = 0;
        for _ in 0..CALLS {
            let answer = connection.request("GET", status.path, &[("Authorization", &credentials)], b"").await;
            assert!(matches!(answer.status, 200 | 429), "{}", answer.status);
            taken += usize::from(answer.status == 200);
        }
        taken
    });
    let hammer = hammer.buffer_unordered(CLIENTS).fold(0, async |sum, taken| sum + taken);
    let other = async {
        for _ in 0..BURST / 2 {
            assert_eq!(status.ask(port, "bob").await.status, 200, "bob has a share of his own");
        }
    };
    let (taken, ()) = tokio::join!(hammer, other);
    let seconds = usize::try_from(started.elapsed().as_secs()).expect("a test ends") + 1;
    assert!(taken <= BURST + seconds, "{taken} of {} in {seconds} s", CLIENTS * CALLS);
}

#[tokio::test]
async fn callers_without_a_name_count_by_their_address() {
    let server = start_open("[limits]\naddress_concurrent = 1").await;
    let subscription = "/lock/subscribe?type=pull&resource_id=sha256:a";
    let mut connection = server.http().connect().await;
    let from_here = [("X-Forwarded-For", "192.0.2.1"), ("Accept", "text/event-stream")];
    let head = crate::common::http::head("GET", subscription, &from_here);
    connection.send_bytes(head.as_bytes()).await.expect("sent");
    assert_eq!(connection.read_head().await.status, 200, "the stream is open");

    let ask = async |address: &str| {
        let headers = [("X-Forwarded-For", address)];
        server.http().request("GET", "/lock/status?type=pull&resource_id=a", &headers, b"").await
    };
    let refused = ask("192.0.2.1").await;
    assert_eq!((refused.status, refused.header("retry-after"), refused.text()), (429, Some("1"), PLAIN));
    assert_eq!(ask("192.0.2.2").await.status, 200);
    assert_eq!(
        server.http().get("/lock/status?type=pull&resource_id=a").await.status,
        200,
        "this machine has no limit"
    );
    let metrics = server.http().get("/metrics").await;
    let line = r#"steward_limits_refused_total{limit="calls",scope="address"} 1"#;
    assert!(metrics.text().contains(line), "{}", metrics.text());
    drop(connection);
    eventually("the stream is over", async || (ask("192.0.2.1").await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn uploads_larger_than_the_bytes_that_may_be_under_way_pass_one_after_the_other() {
    let server = start("[limits]\nbytes_in_flight = 1048576\nmemory = 1048576\nwait = \"1m\"").await;
    let (port, credentials) = (server.restic(), basic("alice"));
    let headers = [("Authorization", credentials.as_str())];
    let created = port.request("POST", "/?create=true", &headers, b"").await;
    assert_eq!(created.status, 200);
    let stored = stream::iter(0..4u8).map(|number| async move {
        let bytes = vec![number; 5 * 1024 * 1024];
        let digest = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
        let name = digest.iter().fold(String::new(), |name, byte| name + &format!("{byte:02x}"));
        let path = format!("/data/{name}");
        let credentials = basic("alice");
        let headers = [("Authorization", credentials.as_str())];
        let stored = port.request("POST", &path, &headers, &bytes).await;
        assert_eq!(stored.status, 200, "{}", stored.text());
        let read = port.request("GET", &path, &headers, b"").await;
        assert!(read.status == 200 && read.body == bytes);
    });
    stored.buffer_unordered(4).collect::<()>().await;
    for scope in ["user", "server"] {
        let line = format!("steward_limits_bytes{{scope=\"{scope}\"}} 0\n");
        let is_free = async || server.http().get("/metrics").await.text().contains(&line).then_some(());
        eventually("nothing is under way any more", is_free).await;
    }
}

#[tokio::test]
async fn all_ports_together_have_only_so_many_connections() {
    let server = start_open("[server]\nmax_connections = 3").await;
    let mut first = Vec::new();
    for _ in 0..3 {
        let mut connection = server.http().connect().await;
        assert_eq!(connection.request("GET", "/healthz", &[], b"").await.status, 200);
        first.push(connection);
    }
    let mut waiting = server.restic().connect().await;
    let mut answered = Box::pin(waiting.request("GET", "/healthz", &[], b""));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut answered).await;
    early.expect_err("it waits for another one to end");
    first.pop();
    assert_eq!(answered.await.status, 200);
}
