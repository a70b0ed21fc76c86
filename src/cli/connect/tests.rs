use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use clap::Parser as _;
use tempfile::TempDir;
use tonic::service::Interceptor as _;

use super::environment::Environment;
use super::settings::{Layer, settle};
use super::*;
use crate::cli::sign_in::{Secret, token_of};

#[derive(Debug, clap::Parser)]
struct TestCommand {
    #[command(flatten)]
    client: ClientArgs,
}

fn parse(arguments: &[&str]) -> Result<TestCommand, clap::Error> {
    TestCommand::try_parse_from([&["test"], arguments].concat())
}

/// What a server is told of who asks; `None` without a password.
fn told(server: &Server) -> Option<String> {
    let mut sign_in = server.credentials().ok()?;
    let request = sign_in.call(tonic::Request::new(())).unwrap();
    let value = request.metadata().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    Some(value.unwrap_or_default())
}

fn home(profiles: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("steward")).unwrap();
    let path = home.path().join("steward/profile.toml");
    std::fs::write(&path, profiles).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    home
}

#[expect(clippy::unnecessary_wraps, reason = "so the tests read as the calls do")]
fn address(text: &str) -> Option<Address> {
    Some(Address::parse(text).unwrap())
}

const ALICE: &str = "Basic YWxpY2U6Z2VoZWlt";

#[test]
fn a_password_in_the_address_is_refused_and_not_shown() {
    for url in ["http://alice:geheim@host:1", "alice:geheim@host", "http://alice@host", "ftp://a:geheim@host/"] {
        let error = parse(&["--server", url]).unwrap_err().to_string();
        assert!(error.contains("--user") && !error.contains("geheim"), "{error}");
    }
}

#[test]
fn the_password_comes_from_a_file_and_is_not_shown() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "geheim\nmore\n").unwrap();
    let path = file.path().to_str().unwrap();
    let command = parse(&["--server", "localhost:1", "--user", "alice", "--password-file", path]).unwrap();
    assert!(!format!("{command:?}").contains("geheim") && !format!("{command:?}").contains("YWxp"));
    assert_eq!(told(command.client.server()).as_deref(), Some(ALICE));
    assert!(parse(&["--user", "a:b"]).is_err());
    let error = parse(&["--password-file", "/nowhere/at/all"]).unwrap_err().to_string();
    assert!(error.contains("/nowhere/at/all"), "{error}");
}

#[test]
fn a_token_is_said_or_in_a_file_and_is_never_shown() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "geheim.token \nmore\n").unwrap();
    let in_file = format!("@{}", file.path().display());
    for token in ["geheim.token", &in_file] {
        let command = parse(&["--server", "localhost:1", "--token", token]).unwrap();
        assert!(!format!("{command:?}").contains("geheim"), "{command:?}");
        assert_eq!(told(command.client.server()).as_deref(), Some("Bearer geheim.token"));
    }
    for wrong in ["geheim geheim", "gehéim", "", "@/nowhere/at/all"] {
        let error = parse(&["--token", wrong]).unwrap_err().to_string();
        assert!(error.contains("--token") && !error.contains("geh"), "{error}");
    }
}

#[test]
fn what_is_nearer_counts_more() {
    let home = home("[default]\nserver = \"c:1\"\ntoken = \"profile\"\n[bob]\nuser = \"bob\"\npassword = \"b\"\n");
    let xdg = ("XDG_CONFIG_HOME", home.path().to_str().unwrap());
    let settled = |flags, environment: &Environment| {
        let server = settle(flags, None, environment).unwrap();
        (server.address.url.clone(), told(&server))
    };
    let token = |text: &str| Some(format!("Bearer {text}"));

    let profile = Environment::of([xdg]);
    let variables = Environment::of([xdg, ("STEWARD_SERVER", "c:1"), ("STEWARD_TOKEN", "variable")]);
    let user = Environment::of([xdg, ("STEWARD_USER", "alice"), ("STEWARD_PASSWORD", "geheim")]);
    assert_eq!(settled(Layer::default(), &profile), ("http://c:1".to_owned(), token("profile")));
    assert_eq!(settled(Layer::default(), &variables), ("http://c:1".to_owned(), token("variable")));
    assert_eq!(settled(Layer::default(), &user).1.as_deref(), Some(ALICE));
    let flags = Layer { token: token_of("flag").ok(), ..Layer::default() };
    assert_eq!(settled(flags, &variables), ("http://c:1".to_owned(), token("flag")));
    let flags = Layer { user: Some("alice".to_owned()), ..Layer::default() };
    assert_eq!(settled(flags, &user).1.as_deref(), Some(ALICE), "a flag and a variable together");
    let flags = Layer { user: Some("alice".to_owned()), ..Layer::default() };
    let bob = Environment::of([xdg, ("STEWARD_PROFILE", "bob")]);
    assert_eq!(settled(flags, &bob).1, None, "bob's password is not alice's");
}

#[test]
fn a_profile_is_for_its_own_server_unless_the_command_line_names_it() {
    let home = home("[default]\nserver = \"c:1\"\ntoken = \"profile\"\n[lab]\nserver = \"l:1\"\ntoken = \"lab\"\n");
    let xdg = ("XDG_CONFIG_HOME", home.path().to_str().unwrap());
    let asked = |server, flag: Option<&str>, environment: &Environment| {
        let flags = Layer { server: address(server), ..Layer::default() };
        told(&settle(flags, flag.map(str::to_owned), environment).unwrap()).unwrap()
    };
    let none = Environment::of([xdg]);
    assert_eq!(asked("http://c:1", None, &none), "Bearer profile");
    assert_eq!(asked("http://d:1", None, &none), "");
    assert_eq!(asked("http://d:1", Some("default"), &none), "Bearer profile");
    let lab = Environment::of([xdg, ("STEWARD_PROFILE", "lab")]);
    assert_eq!(asked("http://l:1", None, &lab), "Bearer lab");
    assert_eq!(asked("http://d:1", None, &lab), "", "the variable may have been set for something else");
    assert_eq!(asked("http://d:1", Some("lab"), &lab), "Bearer lab");
    let both = Environment::of([xdg, ("STEWARD_PROFILE", "lab"), ("STEWARD_SERVER", "d:1")]);
    assert_eq!(told(&settle(Layer::default(), None, &both).unwrap()).as_deref(), Some(""));
    let error = settle(Layer::default(), Some("absent".to_owned()), &none).unwrap_err();
    assert!(error.contains("absent") && error.contains("profile.toml"), "{error}");
}

#[test]
fn what_contradicts_itself_is_refused() {
    let nothing = Environment::default();
    let layer = || Layer { source: "the command line", ..Layer::default() };
    let token = || Some(Secret::new("geheim"));
    for (flags, told) in [
        (Layer { token: token(), user: Some("alice".to_owned()), ..layer() }, "one is enough"),
        (Layer { server: address("a:1"), ca: Some("/ca.pem".into()), ..layer() }, "https://"),
        (Layer { server: address("https://a:1"), cert: Some("/c".into()), ..layer() }, "without its key"),
        (Layer { server: address("https://a:1"), key: Some("/k".into()), ..layer() }, "without its certificate"),
        (Layer { server: address("https://a:1"), ca: Some("/nowhere.pem".into()), ..layer() }, "/nowhere.pem"),
    ] {
        let error = settle(flags, None, &nothing).unwrap_err();
        assert!(error.contains(told) && !error.contains("geheim"), "{error}");
    }
    let wrong = Environment::of([("STEWARD_TOKEN", "geheim geheim")]);
    let error = settle(layer(), None, &wrong).unwrap_err();
    assert!(error.contains("STEWARD_TOKEN") && !error.contains("geheim"), "{error}");
}

#[tokio::test]
async fn an_absent_server_is_named() {
    // Bound and dropped: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for scheme in ["http", "https"] {
        let flags = Layer { server: address(&format!("{scheme}://127.0.0.1:{port}")), ..Layer::default() };
        let server = settle(flags, None, &Environment::default()).unwrap();
        let error = server.connect().await.unwrap_err();
        assert!(matches!(&error, Error::Unreachable { cause, .. } if cause.contains("refused")), "{error}");
    }
}
