//! TLS and client certificates on every port.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use steward_proto::volume::v1::CreateVolumeRequest;
use steward_proto::volume::v1::volume_service_client::VolumeServiceClient;
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinSet;

use crate::authority::{Authority, Identity, replace};
use crate::client::{Client, ask_on, is_healthy, run, text};
use crate::common::server::{Server, Setup};
use crate::common::wait::{eventually, within};

async fn start(authority: &Authority, tls: &str, more: &str) -> Server {
    Setup::default().config(more).config(&authority.section(tls)).restic_listen().start().await
}

fn acquire(server: &Server) -> [String; 2] {
    [server.grpc_address().to_string(), "steward.lock.v1.LockService/Acquire".to_owned()]
}

const LOCK: &str = r#"{"key": {"type": "pull", "resource_id": "a"}, "owner": "NODEA"}"#;

#[tokio::test]
async fn grpcurl_and_curl_speak_tls_on_every_port() {
    let authority = Authority::new();
    let server =
        start(&authority, "ports = { grpc = 'off', http = 'off', restic = 'off', nbd = 'optional' }", "").await;
    let ca = authority.file("ca-cert.pem");
    let [address, method] = acquire(&server);
    let refused = "a call without a certificate is refused where certificates are the only way to sign in";
    let Some(called) = run("grpcurl", &["-cacert", &ca, "-d", LOCK, &address, &method]).await else { return };
    assert!(String::from_utf8_lossy(&called.stderr).contains("Unauthenticated"), "{refused}: {called:?}");
    let plain = run("grpcurl", &["-plaintext", "-max-time", "5", &address, "list"]).await.expect("it is there");
    assert!(!plain.status.success(), "there is nothing without TLS");
    let listed = run("grpcurl", &["-cacert", &ca, &address, "list"]).await.expect("it is there");
    assert!(text(&listed).contains("steward.lock.v1.LockService"));
    for port in [server.http(), server.restic()] {
        let url = format!("https://{}/healthz", port.0);
        for version in ["--http1.1", "--http2"] {
            let answer = run("curl", &["--silent", "--show-error", version, "--cacert", &ca, &url]).await;
            assert_eq!(text(&answer.expect("curl is there")), "ok\n");
        }
    }
    let raw = Client::grpc(&authority, None).shake(server.grpc_address()).await.expect("a handshake");
    assert_eq!(raw.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let old = Client::http(&authority, None).shake(server.grpc_address()).await;
    old.expect_err("HTTP/1.1 is not spoken for gRPC");
}

#[tokio::test]
async fn a_port_can_stay_plain() {
    let authority = Authority::new();
    let (cert, key) = (authority.file("cert.pem"), authority.file("key.pem"));
    let config = format!("[tls]\ncert = {cert:?}\nkey = {key:?}\n[tls.ports]\ngrpc = 'plain'\nrestic = 'plain'");
    let server = Setup::default().config(&config).restic_listen().start().await;
    assert!(is_healthy(server.channel()).await, "prior knowledge of HTTP/2 does");
    assert_eq!(server.restic().get("/healthz").await.status, 200);
    let client = Client::http(&authority, None);
    assert_eq!(client.ask(server.http().0, "GET", "/healthz").await.expect("an answer"), 200);
    let [address, method] = acquire(&server);
    let Some(called) = run("grpcurl", &["-plaintext", "-d", LOCK, &address, &method]).await else { return };
    assert!(text(&called).contains("ACQUIRE_STATUS_GRANTED"));
}

#[tokio::test]
async fn who_has_no_good_certificate_gets_no_further_than_the_port_says() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let ports = "clients = 'required'\nports = { http = 'optional', restic = 'off' }";
    let server = start(&authority, ports, "").await;
    let (good, expired, wrong) = (authority.client("alice"), authority.expired("alice"), stranger.client("alice"));
    // With whom: whether gRPC, HTTP and the port of repositories serve them.
    for (who, identity, served) in [
        ("nobody", None, [false, true, true]),
        ("alice", Some(&good), [true, true, true]),
        ("alice of long ago", Some(&expired), [false, false, true]),
        ("another authority's alice", Some(&wrong), [false, false, true]),
    ] {
        let (grpc, http) = (Client::grpc(&authority, identity), Client::http(&authority, identity));
        let asked =
            async |address: SocketAddr| http.ask(address, "GET", "/healthz").await.is_ok_and(|code| code == 200);
        let (http, restic) = (server.http().0, server.restic().0);
        assert_eq!(
            [grpc.is_served(server.grpc_address()).await, asked(http).await, asked(restic).await],
            served,
            "{who}"
        );
    }
}

#[tokio::test]
async fn a_certificate_names_the_user() {
    let authority = Authority::new();
    for (names, user) in [("cn", "alice"), ("uri", "robot-alice")] {
        let more = format!("[auth]\ncertificates = '{names}'\n[restic]\nprivate_repositories = true");
        let server = start(&authority, "clients = 'optional'", &more).await;
        let alice = authority.client("alice");
        let (client, nobody) = (Client::http(&authority, Some(&alice)), Client::http(&authority, None));
        for (port, prefix) in [(server.http(), "/restic"), (server.restic(), "")] {
            let create = |owner: &str| format!("{prefix}/{owner}/{names}/?create=true");
            let own = client.ask(port.0, "POST", &create(user)).await.expect("an answer");
            assert_eq!(own, 200, "{names}: it is {user}'s");
            let foreign = client.ask(port.0, "POST", &create("bob")).await.expect("an answer");
            assert!([401, 403].contains(&foreign), "{names}: {foreign}");
            let unknown = nobody.ask(port.0, "POST", &create(user)).await.expect("an answer");
            assert_eq!(unknown, 401, "who shows no certificate is nobody");
        }
        let (ca, address) = (authority.file("ca-cert.pem"), server.grpc_address().to_string());
        for (owner, told) in [(user, None), ("bob", Some("PermissionDenied"))] {
            let request = format!(r#"{{"path": "{owner}/over-grpc"}}"#);
            let method = "steward.restic.v1.ObjectService/CreateRepository";
            let (cert, key) = (alice.cert(), alice.key());
            // A header says nothing of who somebody is.
            let claim = "x-client-user: bob";
            let args = ["-cacert", &ca, "-cert", &cert, "-key", &key, "-H", claim, "-d", &request, &address, method];
            let Some(called) = run("grpcurl", &args).await else { return };
            let errors = String::from_utf8_lossy(&called.stderr);
            assert_eq!(called.status.success(), told.is_none(), "{errors}");
            assert!(told.is_none_or(|told| errors.contains(told)), "{errors}");
        }
    }
}

/// How often certificates are replaced under load.
const ROUNDS: usize = 4;

/// Asks again and again, on connections of its own and on one that it keeps, until it is told to stop; returns how
/// often.
async fn keep_asking(client: Client, server: [SocketAddr; 2], stop: Arc<AtomicBool>, begun: Arc<AtomicUsize>) -> usize {
    let [grpc, http] = server;
    let mut kept = client.shake(http).await.expect("a handshake");
    let (mut count, modern) = (0, client.with_protocols(&["h2"]));
    let channel = modern.channel(grpc).await.expect("a channel");
    while !stop.load(Ordering::Relaxed) {
        // The body of four bytes is what `ask_on` leaves, so the kept connection asks for what has none.
        assert_eq!(ask_on(&mut kept, "HEAD", "/healthz").await.expect("an answer"), 200);
        assert_eq!(client.ask(http, "GET", "/healthz").await.expect("an answer"), 200);
        assert!(is_healthy(channel.clone()).await);
        assert!(modern.is_served(grpc).await);
        count += 1;
        begun.fetch_max(count, Ordering::Relaxed);
    }
    count
}

#[tokio::test]
async fn certificates_that_are_replaced_under_load_drop_no_request() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = start(&authority, "clients = 'required'", "").await;
    let ports = [server.grpc_address(), server.http().0];
    let alice = authority.client("alice");
    // It knows the authority as it is now: the file has others in it soon.
    let visitor = Client::http(&authority, Some(&alice));
    let (stop, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut load = JoinSet::new();
    for _ in 0..4 {
        let client = Client::http(&authority, Some(&alice));
        load.spawn(keep_asking(client, ports, Arc::clone(&stop), Arc::clone(&begun)));
    }
    eventually("there is load", async || (begun.load(Ordering::Relaxed) > 0).then_some(())).await;
    // It trusts the authority of the server, but its certificate is another one's.
    let mixed = authority.file("mixed");
    copy_identity(&authority, &other.client("bob"), &mixed);
    let bob = Client::http(&authority, Some(&Identity { directory: PathBuf::from(&mixed) }));
    bob.ask(ports[1], "GET", "/healthz").await.expect_err("nobody knows who signed it");
    for round in 0..ROUNDS {
        let [first, knows_bob] = [round % 4 < 2, round % 2 == 0];
        let before = server_certificate(&visitor, ports[1]).await;
        authority.renew_server();
        let others = if knows_bob { other.pem() } else { String::new() };
        let authorities = if first { others + &authority.pem() } else { authority.pem() + &others };
        replace(authority.file("ca-cert.pem").as_ref(), &authorities);

        let is_known = async || bob.ask(ports[1], "GET", "/healthz").await.is_ok();
        eventually("bob is known or not", async || (is_known().await == knows_bob).then_some(())).await;
        let renewed = async || {
            let now = server_certificate(&visitor, ports[1]).await;
            (now != before).then_some(())
        };
        eventually("the new certificate is served", renewed).await;
    }
    stop.store(true, Ordering::Relaxed);
    let asked = within("the load ends", load.join_all()).await;
    assert!(asked.iter().all(|count| *count > 0), "{asked:?}");
}

#[tokio::test]
async fn a_connection_ends_when_the_authority_of_its_certificate_goes() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = start(&authority, "clients = 'optional'", "").await;
    let [grpc, http] = [server.grpc_address(), server.http().0];
    let mixed = authority.file("mixed");
    copy_identity(&authority, &other.client("bob"), &mixed);
    let [alice, bob] = [authority.client("alice"), Identity { directory: PathBuf::from(&mixed) }];
    replace(authority.file("ca-cert.pem").as_ref(), &(authority.pem() + &other.pem()));
    let bob = Client::http(&authority, Some(&bob));
    eventually("bob is known", async || bob.ask(http, "GET", "/healthz").await.ok()).await;
    let (alice, nobody) = (Client::http(&authority, Some(&alice)), Client::http(&authority, None));
    let mut kept = Vec::new();
    for client in [&alice, &bob, &nobody] {
        let mut connection = client.shake(http).await.expect("a handshake");
        assert_eq!(ask_on(&mut connection, "HEAD", "/healthz").await.expect("an answer"), 200);
        kept.push(connection);
    }
    let channel = alice.with_protocols(&["h2"]).channel(grpc).await.expect("a channel");
    assert!(is_healthy(channel.clone()).await);

    replace(authority.file("ca-cert.pem").as_ref(), &other.pem());

    eventually("alice's channel has ended", async || (!is_healthy(channel.clone()).await).then_some(())).await;
    let [of_alice, of_bob, of_nobody] = &mut kept[..] else { panic!("three connections") };
    within("alice's connection ends", of_alice.read_u8()).await.expect_err("the server has hung up");
    for others in [of_bob, of_nobody] {
        assert_eq!(ask_on(others, "HEAD", "/healthz").await.expect("an answer"), 200, "others go on");
    }
    alice.ask(http, "GET", "/healthz").await.expect_err("alice is not known any more");
}

fn copy_identity(authority: &Authority, from: &Identity, to: &str) {
    fs::create_dir_all(to).expect("a directory can be made");
    for name in ["client-cert.pem", "client-key.pem"] {
        fs::copy(from.directory.join(name), format!("{to}/{name}")).expect("a file can be copied");
    }
    fs::write(format!("{to}/ca-cert.pem"), authority.pem()).expect("a file can be written");
}

async fn server_certificate(client: &Client, port: SocketAddr) -> Vec<u8> {
    let stream = client.shake(port).await.expect("a handshake");
    stream.get_ref().1.peer_certificates().expect("it shows one")[0].to_vec()
}

async fn create_volume(server: &Server, client: &Client, path: &str) {
    let channel = client.channel(server.grpc_address()).await.expect("a channel");
    let request = CreateVolumeRequest { path: path.to_owned(), size_bytes: 1 << 20, ..CreateVolumeRequest::default() };
    VolumeServiceClient::new(channel).create_volume(request).await.expect("a volume");
}

#[tokio::test]
async fn a_client_certificate_opens_volumes_by_name_over_nbd() {
    let authority = Authority::new();
    let alice = authority.client("alice");
    for (clients, is_required) in [("optional", false), ("required", true)] {
        let config = format!("[volumes]\nmin_size = 4096\n{}", authority.section(&format!("clients = '{clients}'")));
        let server = Setup::default().config(&config).nbd_listen().start().await;
        create_volume(&server, &Client::grpc(&authority, Some(&alice)), "/a").await;
        let uri = |directory: &str| format!("nbds://{}/a?tls-certificates={directory}", server.nbd());
        let with = uri(alice.directory.to_str().expect("UTF-8"));
        let Some(size) = run("nbdinfo", &["--size", &with]).await else { return };
        assert_eq!(text(&size).trim(), "1048576");
        let without = authority.file("nobody");
        fs::create_dir_all(&without).expect("a directory can be made");
        fs::write(format!("{without}/ca-cert.pem"), authority.pem()).expect("a file can be written");
        let plain = format!("nbd://{}/a", server.nbd());
        for (uri, is_told_why) in [(uri(&without), !is_required), (plain, !is_required)] {
            let refused = run("nbdinfo", &["--size", &uri]).await.expect("it is there");
            assert!(!refused.status.success(), "{uri}");
            let told = String::from_utf8_lossy(&refused.stderr);
            assert_eq!(told.contains("server policy"), is_told_why, "{uri}: {told}");
        }
        let directory = alice.directory.display();
        let tls = format!("tls-creds-x509,id=tls,dir={directory},endpoint=client,verify-peer=yes");
        let (host, port) = (server.nbd().ip(), server.nbd().port());
        let image = format!("driver=nbd,host={host},port={port},export=a,tls-creds=tls");
        let info = run("qemu-img", &["info", "--object", &tls, "--image-opts", &image]).await;
        let Some(info) = info else { return };
        assert!(text(&info).contains("virtual size: 1 MiB"), "{info:?}");
    }
}

#[tokio::test]
async fn certificates_for_trying_out_do_what_is_printed_with_them() {
    let home = crate::common::temporary::directory();
    let directory = home.path().join("certs");
    let at = |name: &str| directory.join(name).to_str().expect("UTF-8").to_owned();
    let make = async || {
        let args = ["dev-certs", directory.to_str().expect("UTF-8"), "--user", "alice"];
        let run = tokio::process::Command::new(crate::common::process::STEWARD).args(args).output();
        within("certificates are made", run).await.expect("it can be started")
    };
    let printed = text(&make().await);
    let (config, _) = printed.split_once("\n# clients").expect("both parts");
    let server = Setup::default().config(config).start().await;
    let (ca, cert, key) = (at("ca-cert.pem"), at("users/alice/client-cert.pem"), at("users/alice/client-key.pem"));
    let [address, method] = acquire(&server);
    let args = ["-cacert", &ca, "-cert", &cert, "-key", &key, "-d", LOCK, &address, &method];
    let Some(called) = run("grpcurl", &args).await else { return };
    assert!(text(&called).contains("ACQUIRE_STATUS_GRANTED"));
    let url = format!("https://localhost:{}/readyz", server.http().0.port());
    let args = ["--silent", "--show-error", "--cacert", &ca, "--cert", &cert, "--key", &key, &url];
    assert_eq!(text(&run("curl", &args).await.expect("curl is there")), "ready\n");
    let again = make().await;
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("is there already"));
}
