//! The programs that people have, against a server that asks for TLS and for who they are: by a password, by a token
//! and by a certificate.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::authority::{Authority, Identity};
use crate::common::program::ROOT;
use crate::common::server::{Server, Setup};
use crate::common::users::htpasswd;
use crate::layout::Layout;
use crate::shell::{Said, Shell};
use crate::tool::Tool;

const RIGHTS: &str = "
root    *        *            admin
alice   lock     pull/alice/* read,write
alice   restic   {user}       read,write
alice   artifact alice        admin
*       artifact public       read
";

/// A server of which alice has a part, and three ways in which she says who she is.
struct Site {
    authority: Authority,
    alice: Identity,
    server: Server,
    token: String,
}

impl Site {
    async fn start() -> Self {
        let authority = Authority::new();
        let users = htpasswd(Path::new(&authority.file("")), &[("alice", "wonder"), ("root", "toor")]);
        let config = format!("[auth]\nhtpasswd = {users:?}\nrights = '''{RIGHTS}'''");
        let tls = authority.section("clients = 'optional'");
        let server = Setup::default().config(&config).config(&tls).restic_listen().start().await;
        let alice = authority.client("alice");
        let mut site = Site { authority, alice, server, token: String::new() };
        site.token = site.new_token().await;
        site
    }

    fn ca(&self) -> String {
        self.authority.file("ca-cert.pem")
    }

    /// A token for all that alice may do.
    async fn new_token(&self) -> String {
        let made = self.steward(&["token", "create", "--json"], &["--user", "alice"]).await;
        assert_eq!(made.code, Some(0), "{made:?}");
        let made: Value = serde_json::from_str(&made.out).expect("JSON");
        made["secret"].as_str().expect("a token").to_owned()
    }

    async fn steward(&self, command: &[&str], who: &[&str]) -> Said {
        let url = format!("https://localhost:{}", self.server.grpc_address().port());
        let shell = Shell::new().with("STEWARD_PASSWORD", "wonder");
        shell.steward(&[command, &["--server", &url, "--ca", &self.ca()], who].concat()).await
    }

    fn grpc(&self) -> String {
        format!("localhost:{}", self.server.grpc_address().port())
    }

    /// What she says in a header: her password or her token.
    fn headers(&self) -> [(&'static str, String); 2] {
        [("a password", "Basic YWxpY2U6d29uZGVy".to_owned()), ("a token", format!("Bearer {}", self.token))]
    }

    /// What stands for her password where a program knows nothing else.
    fn passwords(&self) -> [(&'static str, &str); 2] {
        [("a password", "wonder"), ("a token", &self.token)]
    }
}

fn script() -> PathBuf {
    Path::new(ROOT).join("tests/auth/python/client.py")
}

#[tokio::test]
async fn a_generated_client_takes_its_own_locks_and_no_others() {
    let Some(python) = Tool::find("python", "a_generated_client_takes_its_own_locks_and_no_others") else { return };
    let site = Site::start().await;
    let (script, protos) = (script(), Path::new(ROOT).join("proto"));
    let (script, protos) = (script.to_str().expect("UTF-8"), protos.to_str().expect("UTF-8"));
    let (address, ca, cert, key) = (site.grpc(), site.ca(), site.alice.cert(), site.alice.key());
    let base = [script, protos, &address, &ca];
    let hers = ["alice/python ACQUIRE_STATUS_GRANTED", "bob/python PERMISSION_DENIED"];

    for (way, header) in &site.headers() {
        let told = python.ok(&[&base[..], &["--authorization", header]].concat()).await;
        assert_eq!(told.lines().collect::<Vec<_>>(), hers, "{way}");
    }
    let told = python.ok(&[&base[..], &["--cert", &cert, "--key", &key]].concat()).await;
    assert_eq!(told.lines().collect::<Vec<_>>(), hers, "a certificate");
    for header in [&[][..], &["--authorization", "Basic YWxpY2U6d3Jvbmc="], &["--authorization", "Bearer nothing"]] {
        let told = python.ok(&[&base[..], header].concat()).await;
        let refused = ["alice/python UNAUTHENTICATED", "bob/python UNAUTHENTICATED"];
        assert_eq!(told.lines().collect::<Vec<_>>(), refused, "{header:?}");
    }
}

#[tokio::test]
async fn grpcurl_takes_its_own_locks_and_no_others() {
    let Some(grpcurl) = Tool::find("grpcurl", "grpcurl_takes_its_own_locks_and_no_others") else { return };
    let site = Site::start().await;
    let (address, ca, cert, key) = (site.grpc(), site.ca(), site.alice.cert(), site.alice.key());
    let headers = site.headers().map(|(_, header)| format!("authorization: {header}"));
    let ways = [&["-H", &headers[0]][..], &["-H", &headers[1]], &["-cert", &cert, "-key", &key]];
    for way in ways {
        let call = |owner: &str| {
            let lock = format!(r#"{{"key": {{"type": "pull", "resource_id": "{owner}/a"}}, "owner": "alice"}}"#);
            let end = ["-d".to_owned(), lock, address.clone(), "steward.lock.v1.LockService/Acquire".to_owned()];
            [&["-cacert", &ca][..], way].concat().into_iter().map(str::to_owned).chain(end).collect::<Vec<_>>()
        };
        assert!(grpcurl.ok(&call("alice")).await.contains("ACQUIRE_STATUS_GRANTED"), "{way:?}");
        assert!(grpcurl.fails(&call("bob")).await.contains("PermissionDenied"), "{way:?}");
    }
}

#[tokio::test]
async fn skopeo_pushes_and_pulls_what_its_user_may() {
    let Some(skopeo) = Tool::find("skopeo", "skopeo_pushes_and_pulls_what_its_user_may") else { return };
    let site = Site::start().await;
    let as_root = Shell::new().with("STEWARD_PASSWORD", "toor");
    let url = format!("https://{}", site.grpc());
    for project in ["alice", "bob"] {
        let repository = format!("{project}/img");
        for what in [&["project", "create", project][..], &["repo", "create", &repository, "--type", "oci"]] {
            let server = ["--server", &url, "--ca", &site.ca(), "--user", "root"];
            let made = as_root.steward(&[&["artifact"], what, &server].concat()).await;
            assert_eq!(made.code, Some(0), "{made:?}");
        }
    }
    // The names under which it looks for certificates in a directory.
    let (trust, certified) = (skopeo.home().join("trust"), skopeo.home().join("certified"));
    for directory in [&trust, &certified] {
        fs::create_dir(directory).expect("a directory can be made");
        fs::copy(site.ca(), directory.join("ca.crt")).expect("a file can be copied");
    }
    fs::copy(site.alice.cert(), certified.join("client.cert")).expect("a file can be copied");
    fs::copy(site.alice.key(), certified.join("client.key")).expect("a file can be copied");
    let registry = format!("docker://localhost:{}", site.server.http().0.port());

    let mut ways: Vec<(&str, &Path, Option<String>)> = Vec::new();
    for (way, password) in site.passwords() {
        ways.push((way, &trust, Some(format!("alice:{password}"))));
    }
    ways.push(("a certificate", &certified, None));
    for (way, certificates, creds) in &ways {
        let option = |side: &str| {
            let mut options = vec![format!("--{side}cert-dir={}", certificates.display())];
            options.extend(creds.iter().map(|creds| format!("--{side}creds={creds}")));
            options
        };
        let copy = |options: Vec<String>, from: &str, to: &str| {
            let start = ["--insecure-policy", "copy", "--preserve-digests"].map(str::to_owned);
            start.into_iter().chain(options).chain([from.to_owned(), to.to_owned()]).collect::<Vec<_>>()
        };
        let layout = Layout::image(&[way.as_bytes()]);
        let (image, local) = (format!("{registry}/alice/img/web:1.0"), format!("oci:{}:latest", layout.path()));
        skopeo.ok(&copy(option("dest-"), &local, &image)).await;

        let pulled = skopeo.home().join(way.replace(' ', "-"));
        skopeo.ok(&copy(option("src-"), &image, &format!("dir:{}", pulled.display()))).await;
        assert_eq!(fs::read(pulled.join("manifest.json")).expect("it was pulled"), layout.content, "{way}");

        let foreign = format!("{registry}/bob/img/web:1.0");
        let refused = skopeo.fails(&copy(option("dest-"), &local, &foreign)).await;
        assert!(refused.contains("403"), "{way}: {refused}");
    }
    let stranger = ["inspect", &format!("--cert-dir={}", trust.display()), &format!("{registry}/alice/img/web:1.0")];
    skopeo.fails(&stranger).await;
    let untrusting = ["inspect", "--creds=alice:wonder", &format!("{registry}/alice/img/web:1.0")];
    assert!(skopeo.fails(&untrusting).await.contains("x509"), "it does not trust the authority by itself");
}

#[tokio::test]
async fn restic_keeps_its_backups_in_repositories_of_its_own() {
    let Some(restic) = Tool::find("restic", "restic_keeps_its_backups_in_repositories_of_its_own") else { return };
    let site = Site::start().await;
    let (data, passphrase) = (restic.home().join("data"), restic.home().join("passphrase"));
    fs::create_dir(&data).expect("a directory can be made");
    fs::write(data.join("file"), "what matters").expect("a file can be written");
    fs::write(&passphrase, "of the repository").expect("a file can be written");
    let port = site.server.restic().0.port();
    let common = ["--no-cache", "--cacert", &site.ca(), "--password-file", passphrase.to_str().expect("UTF-8")];
    for (number, (way, password)) in site.passwords().into_iter().enumerate() {
        let url = |owner: &str| format!("rest:https://alice:{password}@localhost:{port}/{owner}/{number}/");
        let run = |owner: &str, command: &[&str]| {
            let url = url(owner);
            [&common[..], &["-r", &url], command].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        restic.ok(&run("alice", &["init"])).await;
        restic.ok(&run("alice", &["backup", data.to_str().expect("UTF-8")])).await;
        let checked = restic.ok(&run("alice", &["check", "--read-data"])).await;
        assert!(checked.contains("no errors were found"), "{way}: {checked}");
        restic.fails(&run("bob", &["init"])).await;
    }
}

#[tokio::test]
async fn curl_reads_over_http_what_its_user_may() {
    let Some(curl) = Tool::find("curl", "curl_reads_over_http_what_its_user_may") else { return };
    let site = Site::start().await;
    let (ca, cert, key) = (site.ca(), site.alice.cert(), site.alice.key());
    let url = |owner: &str| format!("https://localhost:{}/restic/{owner}/a/?create=true", site.server.http().0.port());
    let headers = site.headers().map(|(_, header)| format!("Authorization: {header}"));
    let ways = [&["-H", &headers[0]][..], &["-H", &headers[1]], &["--cert", &cert, "--key", &key]];
    let status = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "--cacert", &ca];
    for way in ways {
        for version in ["--http1.1", "--http2"] {
            let post = async |owner: &str| curl.ok(&[&status[..], way, &[version, &url(owner)]].concat()).await;
            assert_eq!([post("alice").await, post("bob").await], ["200", "403"], "{way:?} {version}");
        }
    }
    assert_eq!(curl.ok(&[&status[..], &[&url("alice")]].concat()).await, "401", "a stranger");
}

#[tokio::test]
async fn the_commands_do_what_their_user_may() {
    let site = Site::start().await;
    let (cert, key) = (site.alice.cert(), site.alice.key());
    let ways = [&["--user", "alice"][..], &["--token", &site.token], &["--cert", &cert, "--key", &key]];
    for (number, way) in ways.iter().enumerate() {
        let own = site.steward(&["restic", "create", &format!("alice/{number}")], way).await;
        assert_eq!(own.code, Some(0), "{own:?}");
        let foreign = site.steward(&["restic", "create", &format!("bob/{number}")], way).await;
        assert!(foreign.code == Some(1) && foreign.err.contains("PERMISSION_DENIED"), "{foreign:?}");
    }
}
