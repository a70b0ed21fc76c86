//! A gateway on its own: TLS in both directions, and who its callers are to the server.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use steward_proto::lock::v1::lock_service_client::LockServiceClient;
use steward_proto::lock::v1::{GetRequest, ListRequest, LockKey};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::{Code, Request};

use crate::authority::{Authority, Identity, replace};
use crate::client::Client;
use crate::common::http::HttpPort;
use crate::common::process::{Launch, Process};
use crate::common::server::{Server, Setup};
use crate::common::temporary;
use crate::common::users::htpasswd;
use crate::common::wait::{eventually, within};
use crate::layout::Layout;
use crate::overheard::Overheard;
use crate::shell::Shell;
use crate::tool::Tool;

/// alice, whose password is `secret`.
const USERS: &str = "alice:$2y$04$CCCCCCCCCCCCCCCCCCCCC.4K7lyz.nKATbsiu/RcZjqWyDNnj87qG\n";
const ALICE: (&str, &str) = ("authorization", "Basic YWxpY2U6c2VjcmV0");
const IDENTITY: &str = "x-steward-identity";

/// A gateway, and what it needs.
pub(crate) struct Gateway {
    _process: Process,
    pub(crate) http: SocketAddr,
    _home: TempDir,
}

impl Gateway {
    pub(crate) async fn start(config: &str, args: &[&str]) -> Self {
        let (process, http, home) = Self::start_at("127.0.0.1:0", config, args).await;
        Gateway { _process: process, http: http.expect("it serves"), _home: home }
    }

    /// Starts one on an address; the one that it says it listens on is missing when it gives up.
    async fn start_at(address: &str, config: &str, args: &[&str]) -> (Process, Option<SocketAddr>, TempDir) {
        let home = temporary::directory();
        let file = home.path().join("gateway.toml");
        fs::write(&file, config).expect("a file can be written");
        let file = file.to_str().expect("UTF-8");
        let args = [&["gateway", "--http", address, "--config", file], args].concat();
        let launch = Launch { args: args.iter().map(Into::into).collect(), ..Launch::default() };
        let mut process = Process::spawn(&launch, &home.path().join("log"));
        let http = process.listening("http").await;
        (process, http, home)
    }
}

/// The key that gateway and server share.
fn gateway_key(authority: &Authority) -> String {
    let file = authority.file("gateway.key");
    fs::write(&file, "a key that only the two of them know\n").expect("a file can be written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode can be set");
    file
}

/// A server whose callers all show certificates, and are asked for passwords too.
async fn start_server(authority: &Authority) -> Server {
    let (users, key) = (authority.file("users"), gateway_key(authority));
    fs::write(&users, USERS).expect("a file can be written");
    let config = format!("[auth]\nhtpasswd = {users:?}\ngateway_key = {key:?}\n[restic]\nprivate_repositories = true");
    let ports = "clients = 'required'\nports = { http = 'off' }";
    Setup::default().config(&config).config(&authority.section(ports)).start().await
}

/// A gateway that speaks TLS with its callers, who may show certificates.
async fn start_gateway(authority: &Authority, upstream: &str, with_key: bool, shown: Option<&Identity>) -> Gateway {
    let mut config = authority.section("clients = 'optional'");
    if with_key {
        config.extend(["[auth]\n".to_owned(), format!("gateway_key = {:?}\n", gateway_key(authority))]);
    }
    let ca = authority.file("ca-cert.pem");
    let mut args = vec!["--upstream", upstream];
    if upstream.starts_with("https") {
        args.extend(["--upstream-ca", &ca]);
    }
    let pair = shown.map(|identity| (identity.cert(), identity.key()));
    if let Some((cert, key)) = &pair {
        args.extend(["--upstream-cert", cert, "--upstream-key", key]);
    }
    Gateway::start(&config, &args).await
}

fn upstream_of(server: &Server) -> String {
    format!("https://localhost:{}", server.grpc_address().port())
}

/// The status of the answer to a request with these headers.
async fn ask(client: &Client, address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    let mut stream = client.shake(address).await.expect("hands are shaken");
    let mut request =
        format!("{method} {path} HTTP/1.1\r\nHost: steward\r\nContent-Length: 0\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.extend([*name, ": ", *value, "\r\n"]);
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.expect("a request can be sent");
    let mut answer = Vec::new();
    let _ = within("an answer", stream.read_to_end(&mut answer)).await;
    let head = String::from_utf8_lossy(&answer);
    head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no answer: {head:?}"))
}

fn repository(owner: &str, name: &str) -> String {
    format!("/restic/{owner}/{name}/?create=true")
}

#[tokio::test]
async fn a_gateway_shows_its_certificate_to_its_server() {
    let authority = Authority::new();
    let server = start_server(&authority).await;
    let (shown, nobody) = (authority.client("gateway"), Client::http(&authority, None));
    let known = start_gateway(&authority, &upstream_of(&server), true, Some(&shown)).await;
    let unknown = start_gateway(&authority, &upstream_of(&server), true, None).await;
    let distrustful = {
        let stranger = Authority::new();
        let (ca, upstream) = (stranger.file("ca-cert.pem"), upstream_of(&server));
        let gateway = Gateway::start("", &["--upstream", &upstream, "--upstream-ca", &ca]).await;
        HttpPort(gateway.http).get("/readyz").await.status
    };
    assert_eq!(ask(&nobody, known.http, "GET", "/readyz", &[]).await, 200);
    assert_eq!(ask(&nobody, unknown.http, "GET", "/readyz", &[]).await, 503, "it shows none");
    assert_eq!(distrustful, 503, "the server's certificate is another authority's");
}

#[tokio::test]
async fn a_gateway_takes_over_a_new_certificate_when_it_connects_again() {
    let authority = Authority::new();
    let server = start_server(&authority).await;
    let (shown, nobody) = (authority.expired("gateway"), Client::http(&authority, None));
    let gateway = start_gateway(&authority, &upstream_of(&server), true, Some(&shown)).await;
    assert_eq!(ask(&nobody, gateway.http, "GET", "/readyz", &[]).await, 503);
    let good = authority.client("gateway");
    for (old, new) in [(shown.key(), good.key()), (shown.cert(), good.cert())] {
        replace(Path::new(&old), &fs::read_to_string(new).expect("a file"));
    }
    eventually("it is let in", || async {
        (ask(&nobody, gateway.http, "GET", "/readyz", &[]).await == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn callers_of_a_gateway_are_themselves_to_the_server_and_never_the_gateway() {
    let authority = Authority::new();
    let server = start_server(&authority).await;
    let shown = authority.client("gateway");
    let alice = authority.client("alice");
    let (certified, nobody) = (Client::http(&authority, Some(&alice)), Client::http(&authority, None));
    // With a key, and without one, when certificates of callers count for nothing.
    for (with_key, for_certificate) in [(true, 200), (false, 401)] {
        let gateway = start_gateway(&authority, &upstream_of(&server), with_key, Some(&shown)).await;
        let name = format!("{with_key}");
        let create = |owner: &str| repository(owner, &name);
        let by_certificate = ask(&certified, gateway.http, "POST", &create("alice"), &[]).await;
        assert_eq!(by_certificate, for_certificate, "with a key: {with_key}");
        assert_ne!(ask(&certified, gateway.http, "POST", &create("bob"), &[]).await, 200);
        let by_password = ask(&nobody, gateway.http, "POST", &create("alice"), &[ALICE]).await;
        assert_eq!(by_password, 200, "with a key: {with_key}");
        for (client, headers) in [(&nobody, &[][..]), (&nobody, &[ALICE]), (&certified, &[])] {
            let status = ask(client, gateway.http, "POST", &create("gateway"), headers).await;
            assert!([401, 403].contains(&status), "nobody is the gateway: {status}");
        }
    }
}

#[tokio::test]
async fn headers_from_outside_make_nobody_somebody() {
    let authority = Authority::new();
    let server = start_server(&authority).await;
    let (shown, mallory) = (authority.client("gateway"), authority.client("mallory"));
    let gateway = start_gateway(&authority, &upstream_of(&server), true, Some(&shown)).await;
    let (nobody, mallory) = (Client::http(&authority, None), Client::http(&authority, Some(&mallory)));
    let genuine = overhear(&authority, "alice").await;
    let spoofs: [&[(&str, &str)]; 10] = [
        &[(IDENTITY, "alice")],
        &[(IDENTITY, "-")],
        &[(IDENTITY, "1;1;AAAAAAAAAAAAAAAAAAAAAA;1;-;alice;AAAA")],
        &[(IDENTITY, &genuine)],
        &[("X-Steward-Identity", &genuine), ("X-STEWARD-IDENTITY", &genuine)],
        &[("x_steward_identity", &genuine)],
        &[("x-remote-user", "alice"), ("x-forwarded-user", "alice")],
        &[("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=127.0.0.1")],
        &[("x-forwarded-client-cert", "Subject=\"CN=alice\""), ("x-ssl-client-s-dn", "CN=alice")],
        &[("connection", "x-steward-identity"), (IDENTITY, &genuine)],
    ];
    for spoof in spoofs {
        for client in [&nobody, &mallory] {
            for port in [gateway.http, server.http().0] {
                let status = ask(client, port, "POST", &repository("alice", "spoofed"), spoof).await;
                assert!([401, 403].contains(&status), "{spoof:?} at {port}: {status}");
            }
        }
    }
}

/// What a gateway with the key says of a caller with a certificate who asks for the status of a lock.
async fn overhear(authority: &Authority, user: &str) -> String {
    let overheard = Overheard::start().await;
    let gateway = start_gateway(authority, &overheard.url(), true, None).await;
    let client = Client::http(authority, Some(&authority.client(user)));
    ask(&client, gateway.http, "GET", "/lock/status?type=pull&resource_id=a", &[(IDENTITY, "alice")]).await;
    assert_eq!(overheard.last_path().as_deref(), Some("/steward.lock.v1.LockService/Get"));
    let word = overheard.last(IDENTITY).expect("the gateway says who it is");
    assert!(word.contains(";127.0.0.1;") && word.contains(user), "{word}");
    word
}

#[tokio::test]
async fn the_word_of_a_gateway_is_believed_once_and_for_one_method() {
    let authority = Authority::new();
    let server = start_server(&authority).await;
    let nobody = authority.client("no-user-of-the-file");
    let channel = Client::grpc(&authority, Some(&nobody)).channel(server.grpc_address()).await.expect("a connection");
    let locks = LockServiceClient::new(channel);
    let is_believed = |answer: Option<Code>| answer != Some(Code::Unauthenticated);
    let get = async |word: &str| {
        let key = LockKey { r#type: "pull".to_owned(), resource_id: "a".to_owned() };
        let mut request = Request::new(GetRequest { key: Some(key), ..GetRequest::default() });
        request.metadata_mut().insert(IDENTITY, word.parse().expect("text"));
        is_believed(within("an answer", locks.clone().get(request)).await.err().map(|status| status.code()))
    };
    let list = async |word: &str| {
        let mut request = Request::new(ListRequest::default());
        request.metadata_mut().insert(IDENTITY, word.parse().expect("text"));
        is_believed(within("an answer", locks.clone().list(request)).await.err().map(|status| status.code()))
    };
    let (first, second) = (overhear(&authority, "alice").await, overhear(&authority, "alice").await);
    assert!(!list(&first).await, "another method");
    assert!(!get(&first.replace("alice", "admin")).await, "another user");
    assert!(get(&first).await);
    assert!(!get(&first).await, "the second time");
    assert!(get(&second).await, "another gateway");
}

#[tokio::test]
async fn the_metrics_of_a_gateway_are_for_this_machine_and_for_certificates() {
    let authority = Authority::new();
    let overheard = Overheard::start().await;
    let for_others = [("x-forwarded-for", "192.0.2.7")];
    let monitor = authority.client("monitor");
    let (nobody, certified) = (Client::http(&authority, None), Client::http(&authority, Some(&monitor)));
    let gateway = start_gateway(&authority, &overheard.url(), false, None).await;
    assert_eq!(ask(&nobody, gateway.http, "GET", "/metrics", &[]).await, 200);
    assert_eq!(ask(&nobody, gateway.http, "GET", "/metrics", &for_others).await, 403, "a proxy asks for somebody");
    assert_eq!(ask(&certified, gateway.http, "GET", "/metrics", &[]).await, 200);
    assert_eq!(ask(&certified, gateway.http, "GET", "/metrics", &for_others).await, 403, "a proxy with a certificate");
    let open = Gateway::start("[server]\nopen_metrics = true", &["--upstream", &overheard.url()]).await;
    let answer = HttpPort(open.http).request("GET", "/metrics", &for_others, b"").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_key_that_others_may_read_is_refused() {
    let authority = Authority::new();
    let key = gateway_key(&authority);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).expect("a mode can be set");
    let home = temporary::directory();
    let refused = Setup::default().config(&format!("[auth]\ngateway_key = {key:?}")).refused(home.path()).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("auth.gateway_key") && !said.contains("only the two"), "{said}");
}

/// A server where alice has a project and strangers may read another, and a gateway in front of it that knows nothing.
async fn start_registry() -> (Server, Gateway) {
    let home = temporary::directory();
    let users = htpasswd(home.path(), &[("alice", "wonder")]);
    let rights = "alice artifact * admin\nanonymous artifact public read";
    let config = format!("[auth]\nhtpasswd = {users:?}\nrights = {rights:?}");
    let server = Setup::default().config(&config).start_in(home).await;
    let shell = Shell::new().with("STEWARD_PASSWORD", "wonder");
    for project in ["alice", "public"] {
        let repository = format!("{project}/img");
        for what in [&["project", "create", project][..], &["repo", "create", &repository, "--type", "oci"]] {
            let who = ["--server", &server.grpc_url(), "--user", "alice"];
            let made = shell.steward(&[&["artifact"], what, &who].concat()).await;
            assert_eq!(made.code, Some(0), "{made:?}");
        }
    }
    let gateway = Gateway::start("", &["--upstream", &server.grpc_url()]).await;
    (server, gateway)
}

#[tokio::test]
async fn clients_of_images_are_asked_who_they_are_by_a_gateway_without_users() {
    let (_server, gateway) = start_registry().await;
    for path in ["/v2/", "/v2/alice/img/web/tags/list"] {
        let answer = HttpPort(gateway.http).get(path).await;
        assert_eq!(answer.status, 401, "{path}");
        let challenge = answer.header("www-authenticate").expect("how to sign in");
        assert!(challenge.starts_with("Bearer realm=\"http://steward/v2/auth\""), "{challenge}");
    }
    let alice = [("authorization", "Basic YWxpY2U6d29uZGVy")];
    assert_eq!(HttpPort(gateway.http).request("GET", "/v2/", &alice, b"").await.status, 200);
    let open = Server::start().await;
    let gateway = Gateway::start("", &["--upstream", &open.grpc_url()]).await;
    assert_eq!(HttpPort(gateway.http).get("/v2/").await.status, 200, "this server asks nobody");
}

#[tokio::test]
async fn skopeo_signs_in_through_a_gateway_without_users() {
    let Some(skopeo) = Tool::find("skopeo", "skopeo_signs_in_through_a_gateway_without_users") else { return };
    let (_server, gateway) = start_registry().await;
    let layout = Layout::image(&[b"through a gateway"]);
    let local = format!("oci:{}:latest", layout.path());
    let image = |project: &str| format!("docker://{}/{project}/img/web:1", gateway.http);
    let plain =
        ["--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--preserve-digests"];
    for project in ["alice", "public"] {
        skopeo.ok(&[&plain[..], &["--dest-creds=alice:wonder", &local, &image(project)]].concat()).await;
    }
    let target = |number: &str| format!("dir:{}", skopeo.home().join(number).display());
    skopeo.ok(&[&plain[..], &["--src-creds=alice:wonder", &image("alice"), &target("0")]].concat()).await;
    skopeo.ok(&[&plain[..], &["--src-no-creds", &image("public"), &target("1")]].concat()).await;
    for creds in ["--src-creds=alice:wrong", "--src-no-creds"] {
        skopeo.fails(&[&plain[..], &[creds, &image("alice"), &target("2")]].concat()).await;
    }
    skopeo.fails(&[&plain[..], &["--dest-no-creds", &local, &image("public")]].concat()).await;
}

#[tokio::test]
async fn a_gateway_for_other_machines_needs_a_server_that_asks_who_they_are() {
    let (asking, _gateway) = start_registry().await;
    let (_serving, http, _log) = Gateway::start_at("0.0.0.0:0", "", &["--upstream", &asking.grpc_url()]).await;
    assert!(http.is_some(), "the users and their rights are the server's");

    let open = Server::start().await;
    let (mut process, http, _home) = Gateway::start_at("0.0.0.0:0", "", &["--upstream", &open.grpc_url()]).await;
    assert_eq!(http, None);
    assert!(!process.ended().await.success());
    assert!(process.log().contains("--insecure"), "{}", process.log());
    let args = ["--insecure", "--upstream", &open.grpc_url()];
    let (_insisting, http, _log) = Gateway::start_at("0.0.0.0:0", "", &args).await;
    assert!(http.is_some(), "it was insisted on");
}

#[tokio::test]
async fn a_gateway_for_other_machines_ends_when_its_server_turns_out_to_ask_nobody() {
    let mut open = Server::start().await;
    open.kill9().await;
    let (mut process, http, _home) = Gateway::start_at("0.0.0.0:0", "", &["--upstream", &open.grpc_url()]).await;
    assert!(http.is_some(), "nobody knows yet");
    open.restart().await;
    assert!(!process.ended().await.success());
}
