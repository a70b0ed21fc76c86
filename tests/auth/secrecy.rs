//! Secrets are planted wherever a server takes one, and are looked for in everything that it says, at the most talkative.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use steward_proto::auth::v1::RotateSecretsRequest;
use steward_proto::auth::v1::secret_service_client::SecretServiceClient;
use steward_proto::lock::v1::ListRequest;
use steward_proto::lock::v1::lock_service_client::LockServiceClient;
use steward_proto::replication::v1 as api;
use steward_proto::replication::v1::cluster_service_client::ClusterServiceClient;
use steward_proto::replication::v1::replication_service_client::ReplicationServiceClient;
use tokio::process::Command;
use tonic::Status;

use crate::common::certificates::Certificates;
use crate::common::process::STEWARD;
use crate::common::server::{Server, Setup};
use crate::common::temporary;
use crate::common::users::{basic, htpasswd, signed};
use crate::common::wait::{eventually, within};
use crate::issuer::{Issuer, Key};

const RIGHT: &str = "marker-of-the-right-password";
const WRONG: &str = "marker-of-a-wrong-password";
const CLUSTER: &str = "marker-of-the-password-of-a-cluster";
const CLUSTER_KEY: &str = "marker-of-the-key-of-a-cluster";
const REGISTRY: &str = "marker-of-the-password-of-a-registry";
const IN_URL: &str = "marker-of-a-password-in-a-url";
const BAD_TOKEN: &str = "marker.of-a.token";
const LEASE: &str = "marker-of-the-token-of-a-lease";

/// A server that says all it can say.
struct World {
    server: Server,
    certificates: Certificates,
    issuer: Issuer,
    token: String,
    /// What it answered, and what commands printed.
    answers: String,
}

impl World {
    async fn start() -> Self {
        let home = temporary::directory();
        let users = htpasswd(home.path(), &[("alice", RIGHT)]);
        let (certificates, key) = (Certificates::new(), Key::new("one"));
        let issuer = Issuer::start(&[&key]).await;
        let access = home.path().join("access.log").display().to_string();
        let config = format!(
            "[auth]\nhtpasswd = {users:?}\n{}\n[log]\nfilter = \"trace\"\naccess = {access:?}\n",
            issuer.settings()
        );
        let server = Setup::default().config(&config).start_in(home).await;
        let token = key.token(issuer.url(), "alice", &json!({}));
        World { server, certificates, issuer, token, answers: String::new() }
    }

    fn note<T: std::fmt::Debug>(&mut self, answer: &Result<T, Status>) {
        self.answers.extend([format!("{answer:?}\n")]);
    }

    async fn sign_in(&mut self) {
        let token = self.token.clone();
        for authorization in [
            basic("alice", RIGHT),
            basic("alice", WRONG),
            basic("nobody", WRONG),
            format!("Bearer {token}"),
            format!("Bearer {token}x"),
            format!("Bearer {BAD_TOKEN}"),
            format!("Digest {WRONG}"),
        ] {
            let mut locks = LockServiceClient::new(self.server.channel());
            let answer = locks.list(signed(&authorization, ListRequest::default())).await;
            self.note(&answer);
            let headers = [("Authorization", &*authorization)];
            for path in ["/metrics", "/lock", "/restic/alice/", "/v2/", "/repository/api/project/list"] {
                let answer = self.server.http().request("GET", path, &headers, b"").await;
                self.answers += &String::from_utf8_lossy(&answer.body);
                self.answers.extend([format!("{answer:?}\n")]);
            }
        }
    }

    /// A worker sends the token of its lease in the query.
    async fn move_bytes(&mut self) {
        let authorization = basic("alice", RIGHT);
        for path in ["source", "result"] {
            let path =
                format!("/api/v1/stream/{path}/0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9?worker_id=1&lease_token={LEASE}");
            let headers = [("Authorization", &*authorization), ("Referer", &format!("http://a/?lease_token={LEASE}"))];
            let answer = self.server.http().request("GET", &path, &headers, b"").await;
            self.answers.extend([format!("{answer:?}\n")]);
        }
    }

    async fn store_secrets(&mut self) {
        let authorization = basic("alice", RIGHT);
        let cluster = api::ClusterSpec {
            name: "west".to_owned(),
            url: "http://127.0.0.1:9".to_owned(),
            username: "admin".to_owned(),
            password: Some(CLUSTER.to_owned()),
            secret_key: Some(CLUSTER_KEY.to_owned()),
            ping: Some(false),
            ..api::ClusterSpec::default()
        };
        let told = format!("{cluster:?}");
        assert!(told.contains("west") && !told.contains("marker"), "{told}");
        let mut clusters = ClusterServiceClient::new(self.server.channel());
        let in_url = api::ClusterSpec { url: format!("http://a:{IN_URL}@h.example.org"), ..cluster.clone() };
        for cluster in [cluster, in_url] {
            let request = api::CreateClusterRequest { cluster: Some(cluster) };
            let answer = clusters.create_cluster(signed(&authorization, request)).await;
            self.note(&answer);
        }
        let answer = clusters.try_connect(signed(&authorization, api::TryConnectRequest { name: "west".into() }));
        let answer = answer.await;
        self.note(&answer);
        let answer = clusters.list_clusters(signed(&authorization, api::ListClustersRequest::default())).await;
        self.note(&answer);

        for (path, body) in [
            ("/repository/api/project/create", json!({"name": "p1", "displayName": "p1"})),
            (
                "/repository/api/repo/create",
                json!({"projectId": "p1", "name": "img", "type": "DOCKER", "category": "LOCAL", "public": false}),
            ),
            (
                "/replication/api/remote/distribution/create/p1/img",
                json!({"configs": [{
                    "name": "copy", "registry": "http://127.0.0.1:9", "username": "admin", "password": REGISTRY,
                    "packageConstraints": [{"packageKey": "docker://nginx"}], "replicaType": "SCHEDULED",
                    "setting": {"executionStrategy": "CRON_EXPRESSION", "executionPlan":
                        {"executeImmediately": false, "cronExpression": "0 0 0 1 1 ?"}},
                }]}),
            ),
        ] {
            let headers = [("Authorization", &*authorization), ("Content-Type", "application/json")];
            let answer = self.server.http().request("POST", path, &headers, body.to_string().as_bytes()).await;
            self.answers += answer.text();
        }
        let mut tasks = ReplicationServiceClient::new(self.server.channel());
        let answer = tasks.list_configs(signed(&authorization, api::ListConfigsRequest::default())).await;
        self.note(&answer);
        let mut secrets = SecretServiceClient::new(self.server.channel());
        let answer = secrets.rotate_secrets(signed(&authorization, RotateSecretsRequest {})).await;
        self.note(&answer);
    }

    async fn print_config(&mut self) {
        let mut command = Command::new(STEWARD);
        command.args(["config", "print", "--config"]).arg(self.server.home().join("steward.toml"));
        command.env("STEWARD_TLS__CERT", self.certificates.cert()).env("STEWARD_TLS__KEY", self.certificates.key());
        let output = within("it prints", command.output()).await.expect("the binary can be started");
        assert!(output.status.success());
        self.answers += &String::from_utf8_lossy(&output.stdout);
    }
}

/// The lines of a file that are a secret each.
fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("a file");
    text.lines().filter(|line| line.len() > 20 && !line.starts_with("---")).map(str::to_owned).collect()
}

/// All that the files of a directory have.
fn content(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(content(&path));
        } else if path.extension().is_none_or(|extension| extension != "key") {
            all.extend(fs::read(&path).unwrap_or_default());
        }
    }
    all
}

fn assert_absent(place: &str, said: &[u8], secrets: &[String]) {
    for secret in secrets {
        let found = said.windows(secret.len()).position(|part| part == secret.as_bytes());
        if let Some(at) = found {
            let around = &said[at.saturating_sub(200)..(at + secret.len() + 50).min(said.len())];
            panic!("{place} tells {secret:?}: {}", String::from_utf8_lossy(around));
        }
    }
}

#[tokio::test]
async fn no_secret_is_in_logs_answers_metrics_or_records() {
    let mut world = World::start().await;
    let ready = async || world.server.log().contains("keys of the issuer of tokens were read").then_some(());
    eventually("the keys are there", ready).await;
    let first_key = lines(&world.server.data().join("secrets.key"));
    world.sign_in().await;
    world.store_secrets().await;
    world.move_bytes().await;
    world.print_config().await;
    let metrics =
        world.server.http().request("GET", "/metrics", &[("Authorization", &basic("alice", RIGHT))], b"").await;
    assert_eq!(metrics.status, 200);
    assert!(world.answers.contains("has_password: true") && world.answers.contains("copy"), "{}", world.answers);
    assert!(world.answers.contains("invalid") || world.answers.contains("must not have a user"), "{}", world.answers);

    let planted = [RIGHT, WRONG, CLUSTER, CLUSTER_KEY, REGISTRY, IN_URL, BAD_TOKEN, LEASE];
    let mut secrets: Vec<String> = planted.iter().map(|&secret| secret.to_owned()).collect();
    secrets.extend(["alice", "nobody"].map(|user| STANDARD.encode(format!("{user}:{WRONG}"))));
    secrets.push(STANDARD.encode(format!("alice:{RIGHT}")));
    secrets.extend(world.token.split('.').skip(1).map(str::to_owned));
    secrets.extend(lines(Path::new(&world.certificates.key())));
    secrets.extend(lines(Path::new(&world.issuer.certificates.key())));
    secrets.extend(first_key);
    secrets.extend(lines(&world.server.data().join("secrets.key")));
    secrets.extend(
        lines(&world.server.home().join("htpasswd"))
            .iter()
            .filter_map(|line| line.split_once(':').map(|(_, hash)| hash.to_owned())),
    );

    let log = world.server.log();
    assert!(log.contains("TRACE") && log.contains("login failed"), "the log says all it can");
    assert_absent("the log", log.as_bytes(), &secrets);
    assert_absent("an answer", world.answers.as_bytes(), &secrets);
    assert_absent("a metric", &metrics.body, &secrets);
    let access = fs::read(world.server.home().join("access.log")).expect("an access log");
    assert!(String::from_utf8_lossy(&access).contains("lease_token=***"));
    assert_absent("the access log", &access, &secrets);
    world.server.terminate().await;
    assert_absent("the data directory", &content(&world.server.data()), &secrets);
}
