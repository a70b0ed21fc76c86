//! What an operator needs: signs of life, numbers, logs, an orderly end.

use std::net::SocketAddr;
use std::path::Path;

use steward_proto::lock::v1::{Outcome, WatchRequest};
use tokio::process::Command;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1alpha::ServerReflectionRequest;
use tonic_reflection::pb::v1alpha::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1alpha::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1alpha::server_reflection_response::MessageResponse;

use crate::common::http::{HttpPort, Next};
use crate::common::process::{Launch, Process, STEWARD};
use crate::common::server::{Server, Setup};
use crate::common::wait::{eventually, within};
use crate::legacy::{Api, Ending, GRANTED, INCOMPLETE, NOT_RELEASED, QUEUED, SKIPPED, STATUS_DONE, UNLOCKED, body};
use crate::vocabulary::{AcquireWords as _, Locks, acquire, pull};

async fn steward(args: &[&str], env: &[(&str, &str)]) -> std::process::Output {
    let run = Command::new(STEWARD).args(args).envs(env.iter().copied()).kill_on_drop(true).output();
    within("the command ends", run).await.expect("the binary can be started")
}

#[tokio::test]
async fn a_server_that_serves_is_healthy_and_ready() {
    let server = Server::start().await;
    assert_eq!(server.http().get("/healthz").await.status, 200);
    assert_eq!(server.http().get("/readyz").await.status, 200);
}

#[tokio::test]
async fn grpc_health_says_that_each_service_serves() {
    let server = Server::start().await;
    let mut health = HealthClient::new(server.channel());
    for service in ["", "steward.lock.v1.LockService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = within("an answer", health.check(request)).await.expect("the service is known").into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
    let unknown = HealthCheckRequest { service: "steward.unknown.v1.Nothing".to_owned() };
    let answer = within("an answer", health.check(unknown)).await;
    assert_eq!(answer.expect_err("there is none").code(), Code::NotFound);
}

#[tokio::test]
async fn older_clients_find_the_services_by_the_older_reflection() {
    let server = Server::start().await;
    let mut reflection = ServerReflectionClient::new(server.channel());
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };

    let answers = within("an answer", reflection.server_reflection_info(futures::stream::iter([request]))).await;
    let answer = within("an answer", answers.expect("it is served").into_inner().message()).await;

    let answer = answer.expect("an answer").expect("one answer for one request").message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("not a list: {answer:?}") };
    assert!(list.service.iter().any(|service| service.name == "steward.lock.v1.LockService"), "{list:?}");
}

/// The sum of all samples of a metric, or `None` when there is none.
pub(crate) async fn metric(server: &Server, name: &str) -> Option<f64> {
    let page = server.http().get("/metrics").await;
    assert_eq!(page.status, 200);
    let samples = page.text().lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let is_this = rest.starts_with(' ') || rest.starts_with('{');
        is_this.then(|| rest.rsplit(' ').next()?.parse::<f64>().ok()).flatten()
    });
    samples.map(Some).fold(None, |sum, sample| Some(sum.unwrap_or_default() + sample.unwrap_or_default()))
}

async fn see_metric(server: &Server, name: &str, is_right: impl Fn(f64) -> bool) {
    let what = format!("{name} is right");
    eventually(&what, || async { metric(server, name).await.filter(|value| is_right(*value)) }).await;
}

#[tokio::test]
async fn the_metrics_count_what_happens() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let held = locks.hold(acquire(&pull("sha256:1"), "A")).await;
    locks.hold(acquire(&pull("sha256:2"), "A")).await;
    locks.queue(acquire(&pull("sha256:1"), "B")).await;
    locks.hold(acquire(&pull("sha256:3"), "A").ttl(std::time::Duration::from_millis(50))).await;
    Api::of(&server).lock("pull", "sha256:4", "A").await;

    see_metric(&server, "steward_lock_held", |held| (held - 3.0).abs() < 0.1).await;
    see_metric(&server, "steward_lock_waiting", |waiting| (waiting - 1.0).abs() < 0.1).await;
    see_metric(&server, "steward_lock_expired_total", |expired| (expired - 1.0).abs() < 0.1).await;
    see_metric(&server, "steward_store_commits_total", |commits| commits >= 6.0).await;
    see_metric(&server, "steward_store_flushes_total", |flushes| flushes >= 1.0).await;
    see_metric(&server, "steward_store_flush_seconds_count", |flushes| flushes >= 1.0).await;
    see_metric(&server, "steward_grpc_requests_total", |requests| requests >= 4.0).await;
    see_metric(&server, "steward_grpc_request_seconds_count", |requests| requests >= 4.0).await;
    see_metric(&server, "steward_http_requests_total", |requests| requests >= 1.0).await;
    see_metric(&server, "steward_http_request_seconds_count", |requests| requests >= 1.0).await;

    locks.give_back(&held, Outcome::Succeeded).await;
    see_metric(&server, "steward_lock_held", |held| (held - 2.0).abs() < 0.1).await;
    see_metric(&server, "steward_lock_waiting", |waiting| waiting.abs() < 0.1).await;
}

#[tokio::test]
async fn the_gauges_are_right_after_a_restart() {
    let mut server = Server::start().await;
    let locks = Locks::of(&server);
    for number in 0..5 {
        locks.hold(acquire(&pull(&format!("sha256:{number}")), "A")).await;
        locks.queue(acquire(&pull(&format!("sha256:{number}")), "B")).await;
    }
    server.restart().await;
    see_metric(&server, "steward_lock_held", |held| (held - 5.0).abs() < 0.1).await;
    see_metric(&server, "steward_lock_waiting", |waiting| (waiting - 5.0).abs() < 0.1).await;
}

#[tokio::test]
async fn a_request_id_over_http_is_echoed_or_made() {
    let server = Server::start().await;
    for path in ["/healthz", "/lock/status?type=pull&resource_id=sha256:r", "/lock/status", "/nowhere"] {
        let own = server.http().request("GET", path, &[("X-Request-Id", "pull-77")], b"").await;
        assert_eq!(own.header("x-request-id"), Some("pull-77"), "{path}");
        let first = server.http().get(path).await.header("x-request-id").expect("one is made").to_owned();
        let second = server.http().get(path).await.header("x-request-id").expect("one is made").to_owned();
        assert_ne!(first, second, "{path}");
    }
}

#[tokio::test]
async fn a_request_id_over_grpc_is_echoed_or_made() {
    let server = Server::start().await;
    let mut client = Locks::of(&server).client;
    let mut request = Request::new(acquire(&pull("sha256:id"), "A"));
    request.metadata_mut().insert("x-request-id", "pull-77".parse().expect("a value"));

    let own = within("an answer", client.acquire(request)).await.expect("a grant");
    let made = within("an answer", client.acquire(acquire(&pull("sha256:id"), "A"))).await.expect("a grant");
    let refused = within("an answer", client.acquire(acquire(&pull("sha256:id"), ""))).await.expect_err("a refusal");

    assert_eq!(own.metadata().get("x-request-id").expect("it is echoed"), "pull-77");
    assert!(!made.metadata().get("x-request-id").expect("one is made").is_empty());
    assert!(refused.metadata().get("x-request-id").is_some(), "errors have one too");
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_ends_in_good_order_whoever_is_connected() {
    let mut server = Server::start().await;
    let (api, locks) = (Api::of(&server), Locks::of(&server));
    let key = pull("sha256:stop");
    let mut stream = api.subscribe("pull", "sha256:stop").await;
    let mut watch = locks.watch(WatchRequest::default()).await;
    watch.snapshot().await;
    let _idle = server.http().connect().await;
    let held = locks.hold(acquire(&key, "A")).await;
    let waiting = {
        let (locks, request) = (locks.clone(), acquire(&key, "B").block());
        tokio::spawn(async move { locks.acquire(request).await })
    };
    locks.see_waiters(&key, 1).await;

    let status = server.terminate().await;

    assert_eq!(status.code(), Some(0));
    assert_eq!(within("the end of the stream", stream.next()).await, Next::Broken);
    while watch.next().await.is_ok() {}
    assert!(waiting.await.expect("the call ends").is_err(), "a wait that is cut off is not a grant");
    server.restart().await;
    assert!(locks.is_current(&key, held.fencing_token).await, "nothing was lost");
}

#[tokio::test]
async fn other_machines_are_not_served_without_authentication() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let data = home.path().join("data");
    let data = data.to_str().expect("UTF-8");
    for addresses in
        [["--grpc", "0.0.0.0:0", "--http", "127.0.0.1:0"], ["--grpc", "127.0.0.1:0", "--http", "0.0.0.0:0"]]
    {
        let output = steward(&[&["serve", "--data", data][..], &addresses].concat(), &[]).await;
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{addresses:?}");
        assert!(message.contains("--insecure"), "it says what to do: {message}");
    }
}

/// A process that was started by hand, and where it serves.
async fn start(args: &[&str], home: &Path, ports: &[&str]) -> (Process, Vec<SocketAddr>) {
    let launch = Launch { args: args.iter().map(Into::into).collect(), ..Launch::default() };
    let mut process = Process::spawn(&launch, &home.join("log"));
    let mut addresses = Vec::new();
    for port in ports {
        addresses.push(process.listening(port).await.expect("it serves"));
    }
    (process, addresses)
}

#[tokio::test]
async fn other_machines_are_served_when_that_is_insisted_on() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let data = home.path().join("data");
    let args = ["serve", "--insecure", "--data", data.to_str().expect("UTF-8"), "--nbd", "", "--grpc", "0.0.0.0:0"];
    let (_process, addresses) =
        start(&[&args[..], &["--http", "0.0.0.0:0"]].concat(), home.path(), &["grpc", "http"]).await;
    let http = HttpPort(SocketAddr::from(([127, 0, 0, 1], addresses[1].port())));
    assert_eq!(http.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn port_0_picks_free_ports_and_says_which() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let data = home.path().join("data");
    let args = ["serve", "--data", data.to_str().expect("UTF-8"), "--nbd", ""];
    let args = [&args[..], &["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"]].concat();

    let (_process, addresses) = start(&args, home.path(), &["grpc", "http"]).await;

    assert!(addresses.iter().all(|address| address.port() != 0));
    assert_ne!(addresses[0], addresses[1]);
    assert_eq!(HttpPort(addresses[1]).get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let server = Server::start().await;
    let home = tempfile::tempdir().expect("a temporary directory");
    let data = home.path().join("data");
    let taken = server.grpc_address().to_string();
    let args = ["serve", "--data", data.to_str().expect("UTF-8"), "--nbd", ""];
    let args = [&args[..], &["--grpc", &taken, "--http", "127.0.0.1:0"]].concat();

    let output = steward(&args, &[]).await;

    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains(&taken), "{message}");
}

#[tokio::test]
async fn the_configuration_shows_that_flags_beat_the_environment_and_it_beats_the_file() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let file = home.path().join("steward.toml");
    let text = "[lock]\nclaim_timeout = \"11s\"\ncompleted_retention = \"12s\"\n[server]\nhttp = \"127.0.0.1:1111\"\n";
    std::fs::write(&file, text).expect("it can be written");
    let args = ["config", "print", "--config", file.to_str().expect("UTF-8"), "--http", "127.0.0.1:3333"];
    let env = [("STEWARD_LOCK__CLAIM_TIMEOUT", "22s"), ("STEWARD_SERVER__HTTP", "127.0.0.1:2222")];

    let output = steward(&args, &env).await;

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    let config: toml::Table = printed.parse().expect("it is TOML, and could be read again");
    let (lock, server) = (&config["lock"], &config["server"]);
    assert_eq!(lock["completed_retention"].as_str(), Some("12s"), "from the file");
    assert_eq!(lock["claim_timeout"].as_str(), Some("22s"), "from the environment");
    assert_eq!(server["http"].as_str(), Some("127.0.0.1:3333"), "from a flag");
    assert_eq!(lock["default_ttl"].as_str(), Some("0s"), "by default");
}

#[tokio::test]
async fn what_is_printed_can_be_read_again() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let first = steward(&["config", "print"], &[]).await.stdout;
    let file = home.path().join("steward.toml");
    std::fs::write(&file, &first).expect("it can be written");

    let second = steward(&["config", "print", "--config", file.to_str().expect("UTF-8")], &[]).await;

    assert_eq!(String::from_utf8_lossy(&second.stdout), String::from_utf8_lossy(&first));
}

#[tokio::test]
async fn a_setting_that_is_misspelt_is_named() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let output = Setup::default().config("[lock]\nclaim_timeuot = \"1s\"").refused(home.path()).await;
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("claim_timeuot"), "{message}");
}

#[tokio::test]
async fn settings_come_from_the_environment_too() {
    let server = Server::setup().env("STEWARD_LOCK__COMPLETED_RETENTION", "0s").start().await;
    let api = Api::of(&server);
    api.lock("pull", "sha256:env", "A").await;
    api.unlock("pull", "sha256:env", "A", Ending::Success).await;
    assert_eq!(api.lock("pull", "sha256:env", "B").await.parts(), GRANTED);
}

#[tokio::test]
async fn every_line_of_a_json_log_is_an_object() {
    let mut server = Server::setup().args(["--log-format", "json"]).start().await;
    let locks = Locks::of(&server);
    locks.hold(acquire(&pull("sha256:log"), "A").ttl(std::time::Duration::from_millis(20))).await;
    server.terminate().await;

    let log = server.log();

    // What people see at the start may come as it is; what is logged has a level.
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with('{')).collect();
    assert!(!lines.is_empty(), "{log}");
    for line in lines {
        let event: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        assert!(event["level"].is_string() && event["timestamp"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn the_gateway_serves_the_same_rows_from_another_process() {
    let server = Server::start().await;
    let home = tempfile::tempdir().expect("a temporary directory");
    let args = ["gateway", "--upstream", &server.grpc_url(), "--http", "127.0.0.1:0"];
    let (mut process, addresses) = start(&args, home.path(), &["http"]).await;
    let http = HttpPort(addresses[0]);
    assert_eq!(http.get("/readyz").await.status, 200);
    for prefix in ["", "/infer"] {
        let far = Api { http, prefix };
        let near = Api { http: server.http(), prefix };
        let layer = far.layer("far");
        let mut stream = far.subscribe("pull", &layer).await;

        assert_eq!(far.lock("pull", &layer, "A").await.parts(), GRANTED);
        assert_eq!(near.lock("pull", &layer, "B").await.parts(), QUEUED);
        assert_eq!(far.unlock("pull", &layer, "B", Ending::Failure).await.parts(), NOT_RELEASED);
        assert_eq!(far.unlock("pull", &layer, "A", Ending::Failure).await.parts(), UNLOCKED);
        let handed = stream.event().await;
        assert!(handed.contains(r#""node_id":"B","success":false"#), "{handed}");
        assert_eq!(near.lock("pull", &layer, "B").await.parts(), GRANTED);
        assert_eq!(near.unlock("pull", &layer, "B", Ending::Success).await.parts(), UNLOCKED);
        assert_eq!(far.lock("pull", &layer, "C").await.parts(), SKIPPED);
        assert_eq!(far.status("pull", &layer, "C").await.parts(), STATUS_DONE);
        assert_eq!(far.post("/unlock", &body("", &layer, "A", "")).await.parts(), INCOMPLETE);
        let done = stream.event().await;
        assert!(done.contains(r#""node_id":"B","success":true"#), "{done}");
    }
    process.ask_to_end();
    assert_eq!(process.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_gateway_without_its_server_is_not_ready_and_answers_all_the_same() {
    let mut server = Server::start().await;
    let home = tempfile::tempdir().expect("a temporary directory");
    let args = ["gateway", "--upstream", &server.grpc_url(), "--http", "127.0.0.1:0"];
    let (_process, addresses) = start(&args, home.path(), &["http"]).await;
    let api = Api { http: HttpPort(addresses[0]), prefix: "" };
    assert_eq!(api.lock("pull", "sha256:away", "A").await.parts(), GRANTED);

    server.kill9().await;

    let answer = api.lock("pull", "sha256:away", "A").await;
    assert!((500..600).contains(&answer.status), "{answer:?}");
    assert_eq!(api.http.get("/healthz").await.status, 200);
    assert_eq!(api.http.get("/readyz").await.status, 503);
    server.restart().await;
    eventually("it finds its server again", || async {
        (api.lock("pull", "sha256:away", "A").await.parts() == GRANTED).then_some(())
    })
    .await;
}
