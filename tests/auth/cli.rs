//! The commands against a server that speaks TLS and asks who they are.

use crate::authority::{Authority, Identity};
use crate::common::server::{Server, Setup};
use crate::overheard::Overheard;
use crate::shell::Shell;

/// A file of users: alice, whose password is `secret`.
const USERS: &str = "alice:$2y$04$CCCCCCCCCCCCCCCCCCCCC.4K7lyz.nKATbsiu/RcZjqWyDNnj87qG\n";

/// A server of which everybody has repositories of their own alone.
struct Site {
    authority: Authority,
    alice: Identity,
    server: Server,
    url: String,
}

impl Site {
    async fn start() -> Self {
        let authority = Authority::new();
        let users = authority.file("users");
        std::fs::write(&users, USERS).expect("a file can be written");
        let config = format!("[auth]\nhtpasswd = {users:?}\n[restic]\nprivate_repositories = true");
        let tls = authority.section("clients = 'optional'");
        let server = Setup::default().config(&config).config(&tls).start().await;
        let url = format!("https://localhost:{}", server.grpc_address().port());
        let alice = authority.client("alice");
        Site { authority, alice, server, url }
    }

    fn ca(&self) -> String {
        self.authority.file("ca-cert.pem")
    }
}

#[tokio::test]
async fn a_command_signs_in_by_a_password_or_a_certificate_from_anywhere() {
    let site = Site::start().await;
    let (url, ca, cert, key) = (&site.url, &site.ca(), &site.alice.cert(), &site.alice.key());
    let files = Shell::new();
    let password = files.file("password", "secret\n");
    let password = password.to_str().expect("UTF-8");
    let flags = ["--server", url, "--ca", ca];
    let by_variables = || Shell::new().with("STEWARD_SERVER", url).with("STEWARD_CA", ca).with("STEWARD_USER", "alice");
    let profiles = format!(
        "[default]\nserver = {url:?}\nca = {ca:?}\nuser = \"alice\"\npassword_file = {password:?}\n\
         [certified]\nserver = {url:?}\nca = {ca:?}\ncert = {cert:?}\nkey = {key:?}\n"
    );
    let by_profile = || Shell::new().with_profiles(&profiles);
    let with_certificate = [&flags[..], &["--cert", cert, "--key", key]].concat();
    let with_password = [&flags[..], &["--user", "alice", "--password-file", password]].concat();

    let spelling = format!("{url}/");
    let respelled = ["--server", &spelling];
    let means: [(&str, Shell, &[&str]); 8] = [
        ("a password", Shell::new(), &with_password),
        ("a certificate", Shell::new(), &with_certificate),
        ("a password in the environment", by_variables().with("STEWARD_PASSWORD", "secret"), &[]),
        ("a flag before the environment", by_variables().with("STEWARD_PASSWORD", "wrong"), &with_password),
        ("the usual profile", by_profile(), &[]),
        ("a profile by its name", by_profile(), &["--profile", "certified"]),
        ("a profile in the environment", by_profile().with("STEWARD_PROFILE", "certified"), &[]),
        ("another spelling of the server", by_profile(), &respelled),
    ];
    for (index, (means, shell, args)) in means.iter().enumerate() {
        let repository = format!("alice/{index}");
        let own = shell.steward(&[&["restic", "create", &repository][..], args].concat()).await;
        assert_eq!(own.code, Some(0), "{means}: {own:?}");
        let foreign = shell.steward(&[&["restic", "create", "bob/a"][..], args].concat()).await;
        assert_eq!(foreign.code, Some(1), "{means}: {foreign:?}");
        assert!(!own.err.contains("warning"), "nothing goes in clear: {own:?}");
    }
}

#[tokio::test]
async fn a_command_that_is_not_let_in_says_why_and_shows_nothing() {
    let site = Site::start().await;
    let (url, ca) = (&site.url, &site.ca());
    let stranger = Authority::new();
    let mallory = stranger.client("alice");
    let (strange_ca, cert, key) = (stranger.file("ca-cert.pem"), mallory.cert(), mallory.key());
    let plain = format!("http://localhost:{}", site.server.grpc_address().port());
    let lazy = || Shell::new().with("STEWARD_USER", "alice");
    let wrong = || lazy().with("STEWARD_PASSWORD", "geheim");
    let cases: [(Shell, &[&str], &str); 8] = [
        (Shell::new(), &["--server", url, "--ca", ca], "UNAUTHENTICATED"),
        (lazy(), &["--server", url, "--ca", ca], "no password"),
        (wrong(), &["--server", url, "--ca", ca], "wrong"),
        (wrong(), &["--server", url], "not trusted"),
        (wrong(), &["--server", url, "--ca", &strange_ca], "not trusted"),
        (Shell::new(), &["--server", url, "--ca", ca, "--cert", &cert, "--key", &key], "cannot reach"),
        (wrong(), &["--server", &plain], "cannot reach"),
        (wrong(), &["--server", &plain, "--ca", ca], "https://"),
    ];
    for (shell, args, told) in cases {
        let said = shell.steward(&[&["restic", "list"][..], args].concat()).await;
        assert!(said.code != Some(0) && said.err.contains(told), "{told}: {said:?}");
        assert!(!format!("{said:?}").contains("geheim") && said.out.is_empty(), "{said:?}");
    }
    assert!(!site.server.log().contains("geheim"));
}

#[tokio::test]
async fn a_token_comes_from_the_nearest_place_that_has_one() {
    let overheard = Overheard::start().await;
    let url = &overheard.url();
    let profiles =
        format!("[default]\nserver = {url:?}\ntoken = \"of-the-profile\"\n[filed]\ntoken_file = \"token\"\n");
    let shell = || {
        let shell = Shell::new().with_profiles(&profiles);
        shell.file("steward/token", "of-a-file\nmore\n");
        shell
    };
    let at_home = shell();
    let file = format!("@{}", at_home.home().join("steward/token").display());
    let cases: [(Shell, &[&str], &str); 7] = [
        (shell(), &[], "Bearer of-the-profile"),
        (shell(), &["--profile", "filed", "--server", url], "Bearer of-a-file"),
        (shell().with("STEWARD_TOKEN", "of-a-variable"), &[], "Bearer of-a-variable"),
        (shell().with("STEWARD_TOKEN", &file), &[], "Bearer of-a-file"),
        (shell().with("STEWARD_TOKEN", "of-a-variable"), &["--token", "of-a-flag"], "Bearer of-a-flag"),
        (shell().with("STEWARD_TOKEN", "of-a-variable"), &["--token", &file], "Bearer of-a-file"),
        (shell().with("STEWARD_PASSWORD", "secret"), &["--user", "alice"], "Basic YWxpY2U6c2VjcmV0"),
    ];
    for (shell, args, expected) in cases {
        let said = shell.steward(&[&["lock", "list"][..], args].concat()).await;
        assert_eq!(said.code, Some(1), "nobody is served there: {said:?}");
        assert_eq!(overheard.last("authorization").as_deref(), Some(expected), "{args:?}");
        assert!(!format!("{said:?}").contains("of-a") && !said.err.contains("secret"), "{said:?}");
    }
    // What is kept for one server is not shown to another.
    let other = Overheard::start().await;
    shell().steward(&["lock", "list", "--server", &other.url()]).await;
    assert_eq!((other.count(), other.last("authorization")), (1, None));
}

#[tokio::test]
async fn neither_help_nor_errors_show_a_secret() {
    let shell = || Shell::new().with("STEWARD_TOKEN", "geheim").with("STEWARD_PASSWORD", "geheim");
    for args in [
        &["lock", "list", "--help"][..],
        &["worker", "--help"],
        &["lock", "list", "--user", "alice"],
        &["lock", "list", "--token", "geheim geheim"],
        &["lock", "list", "--server", "http://alice:geheim@localhost"],
        &["lock", "list", "--profile", "absent"],
        &["lock", "list", "--token"],
    ] {
        let said = shell().steward(args).await;
        assert!(!format!("{said:?}").contains("geheim"), "{said:?}");
        let is_help = args.contains(&"--help");
        assert_eq!(said.code == Some(0), is_help, "{said:?}");
        assert!(!is_help || (said.out.contains("STEWARD_TOKEN") && said.out.contains("--ca")), "{said:?}");
    }
    let open = shell().with_profiles("[default]\ntoken = \"geheim\"\n");
    let file = open.home().join("steward/profile.toml");
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("a mode can be set");
    let said = open.steward(&["lock", "list"]).await;
    assert!(said.code == Some(2) && said.err.contains("600") && !said.err.contains("geheim"), "{said:?}");
}
