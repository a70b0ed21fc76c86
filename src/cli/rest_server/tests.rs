use super::*;

fn parse(args: &[&str]) -> Result<RestServerArgs, clap::Error> {
    RestServerArgs::try_parse_from([&["rest-server"], args].concat())
}

fn load(args: &[&str]) -> (Config, RestServerOptions) {
    parse(args).expect("flags").load().expect("a configuration")
}

#[test]
fn without_flags_it_is_what_rest_server_is() {
    let (config, options) = load(&[]);
    let path = std::env::temp_dir().join("restic");
    assert_eq!(options.listen.to_string(), ":8000");
    assert_eq!(options.metrics, MetricsAccess::Off);
    assert_eq!(config.auth.htpasswd, Some(path.join(".htpasswd")));
    assert_eq!(config.restic.path, Some(path));
    assert!(config.restic.verify_uploads && config.tls.cert.is_none() && !config.server.insecure);
}

#[test]
fn each_flag_is_a_setting() {
    let (config, options) = load(&[
        "--path=/srv/r",
        "--listen",
        "unix:/run/r.sock",
        "--append-only",
        "--private-repos",
        "--max-size",
        "17",
        "--tls",
        "--tls-key",
        "/k",
        "--tls-min-ver",
        "1.3",
        "--prometheus",
        "--no-verify-upload",
        "--log",
        "-",
        "--group-accessible-repos",
        "--debug",
        "--proxy-auth-username",
        "X-User",
    ]);
    assert_eq!(
        (options.listen.to_string().as_str(), options.metrics),
        ("unix:/run/r.sock", MetricsAccess::Users { are_private: true })
    );
    assert_eq!(config.tls.cert.as_deref(), Some(Path::new("/srv/r/public_key")));
    assert_eq!((config.tls.key.as_deref(), config.tls.min_version), (Some(Path::new("/k")), TlsVersion::V1_3));
    assert_eq!((config.auth.proxy_header.as_deref(), config.auth.htpasswd), (Some("X-User"), None));
    let restic = config.restic;
    assert!(restic.append_only && restic.private_repositories && restic.group_accessible && !restic.verify_uploads);
    assert_eq!((restic.max_bytes, restic.path.as_deref()), (17, Some(Path::new("/srv/r"))));
    assert_eq!((config.log.access.as_deref(), config.log.filter.as_str()), (Some("-"), "debug"));
}

#[test]
fn switches_take_values_as_in_go_and_the_last_word_counts() {
    let (config, options) = load(&["--no-auth", "--append-only=false", "--prometheus=1", "--append-only=T"]);
    assert!(config.restic.append_only && config.server.insecure && config.auth.htpasswd.is_none());
    assert_eq!(options.metrics, MetricsAccess::Anyone);
    assert!(load(&["--no-auth", "--no-auth=false"]).0.auth.htpasswd.is_some());
    for refused in [&["--append-only", "false"][..], &["--append-only=no"], &["repo"], &["--listen", "8000"]] {
        parse(refused).expect_err("it is no flag");
    }
    assert_eq!(parse(&["--cpu-profile", "/p"]).expect("accepted").warnings().len(), 1);
}

#[test]
fn the_program_is_known_by_the_last_part_of_its_name() {
    for (name, is_rest_server) in [("/usr/bin/rest-server", true), ("rest-server", true), ("rest-server/x", false)] {
        assert_eq!(is_called_by(OsStr::new(name)), is_rest_server, "{name}");
    }
}

#[test]
fn an_empty_value_is_no_value_and_less_than_nothing_is_no_limit() {
    let (config, _) =
        load(&["--htpasswd-file", "", "--proxy-auth-username=", "--max-size=-1", "--log", "", "--tls-cert="]);
    assert_eq!(config.auth.htpasswd, Some(std::env::temp_dir().join("restic/.htpasswd")));
    assert_eq!((config.restic.max_bytes, config.log.access, config.tls.cert), (0, None, None));
}

#[test]
fn a_certificate_without_tls_is_refused() {
    for flag in ["--tls-cert=/c", "--tls-key=/k"] {
        let error = parse(&[flag]).expect("flags").load().expect_err("plain HTTP was not meant").to_string();
        assert!(error.contains("--tls"), "{error}");
    }
}

#[test]
fn flags_are_stronger_than_the_file() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let settings = "[restic]\nappend_only = true\nprivate_repositories = true\nmax_bytes = 5\nverify_uploads = false\n\
                    [auth]\nproxy_header = \"X-Other\"\ntrusted_proxies = [\"10.0.0.1\"]\n\
                    [server]\nshutdown_deadline = \"7s\"\n";
    std::fs::write(file.path(), settings).expect("written");
    let with_file = |args: &[&str]| load(&[&["--config", file.path().to_str().expect("UTF-8")], args].concat());
    let (config, _) = with_file(&[]);
    assert!(config.restic.append_only && config.restic.private_repositories && !config.restic.verify_uploads);
    assert_eq!((config.restic.max_bytes, config.server.shutdown_deadline.as_secs()), (5, 7));
    assert_eq!((config.auth.proxy_header.as_deref(), &config.auth.htpasswd), (Some("X-Other"), &None));

    let (config, options) = with_file(&[
        "--append-only=false",
        "--private-repos=false",
        "--no-verify-upload=false",
        "--max-size=0",
        "--htpasswd-file=/users",
        "--trusted-proxy=10.0.0.2",
        "--trusted-proxy=unix",
        "--prometheus",
    ]);
    assert!(!config.restic.append_only && !config.restic.private_repositories && config.restic.verify_uploads);
    assert_eq!((config.restic.max_bytes, config.auth.proxy_header), (0, None));
    assert_eq!(config.auth.htpasswd.as_deref(), Some(Path::new("/users")));
    assert_eq!(config.auth.trusted_proxies, ["10.0.0.2", "unix"]);
    assert_eq!(options.metrics, MetricsAccess::Users { are_private: false });
    assert!(!with_file(&["--no-auth"]).0.auth.is_asked_for());
}

#[test]
fn what_runs_has_minutes_to_finish() {
    assert_eq!(load(&[]).0.server.shutdown_deadline.as_secs(), 300);
}
