//! `steward rest-server`: the flags of restic's rest-server 0.14.
//!
//! Quirk: flags that are on or off may be given a value (`--append-only=false`), and of a flag that is given twice the
//! last one counts, as in Go.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Parser};

use crate::config::{Config, Error, Listen, TlsVersion};
use crate::server::{MetricsAccess, RestServerOptions};

/// Serves backup repositories as restic's rest-server does, with its flags.
#[derive(Clone, Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "they are rest-server's flags")]
#[command(name = "rest-server", version, disable_version_flag = true, args_override_self = true, mut_args(as_in_go))]
pub struct RestServerArgs {
    /// The directory of the repositories. [default: `restic` in the directory for temporary files]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// Where to listen: `:8000`, `host:port`, or `unix:/path`; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = ":8000")]
    listen: Listen,
    /// Ask nobody who they are.
    #[arg(long)]
    no_auth: bool,
    /// Let nobody delete anything but locks.
    #[arg(long)]
    append_only: bool,
    /// Let users at the repositories below their own names alone.
    #[arg(long)]
    private_repos: bool,
    /// The file of users and hashes of their passwords. [default: `.htpasswd` in the directory of the repositories]
    #[arg(long, value_name = "FILE")]
    htpasswd_file: Option<PathBuf>,
    /// A header in which a proxy names the user; passwords are not asked for then.
    #[arg(long, value_name = "HEADER")]
    proxy_auth_username: Option<String>,
    /// How many bytes all repositories may have together; 0: no limit.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    max_size: u64,
    /// Speak TLS.
    #[arg(long)]
    tls: bool,
    /// The certificate. [default: `public_key` in the directory of the repositories]
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Its private key. [default: `private_key` in the directory of the repositories]
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// The oldest version of TLS that is spoken.
    #[arg(long, value_name = "VERSION", default_value = "1.2")]
    tls_min_ver: TlsVersion,
    /// Serve metrics at /metrics.
    #[arg(long)]
    prometheus: bool,
    /// Serve them to anybody.
    #[arg(long)]
    prometheus_no_auth: bool,
    /// Do not compare what is uploaded with its name.
    #[arg(long)]
    no_verify_upload: bool,
    /// Log requests in Apache's combined form to a file, or to standard output with `-`.
    #[arg(long, value_name = "FILE")]
    log: Option<String>,
    /// Let the group read and write files.
    #[arg(long)]
    group_accessible_repos: bool,
    /// Log more.
    #[arg(long)]
    debug: bool,
    /// Does nothing.
    #[arg(long, value_name = "FILE")]
    cpu_profile: Option<PathBuf>,
    /// Print version
    #[arg(long, short, action = ArgAction::Version)]
    version: Option<bool>,
}

/// A flag that is on or off may have a value.
fn as_in_go(arg: Arg) -> Arg {
    if !matches!(arg.get_action(), ArgAction::SetTrue) {
        return arg;
    }
    arg.action(ArgAction::Set)
        .value_parser(switch)
        .num_args(0..=1)
        .require_equals(true)
        .default_value("false")
        .default_missing_value("true")
        .value_name("BOOL")
        .hide_default_value(true)
}

fn switch(value: &str) -> Result<bool, String> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("is neither true nor false".to_owned()),
    }
}

/// The name that the program was called by is rest-server's.
pub fn is_called_by(program: &OsStr) -> bool {
    Path::new(program).file_name() == Some(OsStr::new("rest-server"))
}

impl RestServerArgs {
    /// As the server takes them. Settings that rest-server has no flag for come from the environment.
    pub fn load(self) -> Result<(Config, RestServerOptions), Error> {
        let mut config = Config::load(None, Vec::new())?;
        let path = self.path.unwrap_or_else(|| std::env::temp_dir().join("restic"));
        if !self.no_auth {
            match self.proxy_auth_username.filter(|header| !header.is_empty()) {
                Some(header) => config.auth.proxy_header = Some(header),
                None => config.auth.htpasswd = Some(self.htpasswd_file.unwrap_or_else(|| path.join(".htpasswd"))),
            }
        }
        // What rest-server calls --no-auth is the word that Steward asks for.
        config.server.insecure = self.no_auth;
        if self.tls {
            config.tls.cert = Some(self.tls_cert.unwrap_or_else(|| path.join("public_key")));
            config.tls.key = Some(self.tls_key.unwrap_or_else(|| path.join("private_key")));
            config.tls.min_version = self.tls_min_ver;
        }
        if self.debug {
            "debug".clone_into(&mut config.log.filter);
        }
        config.log.access = self.log.filter(|file| !file.is_empty()).or(config.log.access);
        config.restic.path = Some(path);
        config.restic.listen = Some(self.listen.clone());
        config.restic.append_only |= self.append_only;
        config.restic.private_repositories |= self.private_repos;
        config.restic.group_accessible |= self.group_accessible_repos;
        config.restic.verify_uploads &= !self.no_verify_upload;
        if self.max_size > 0 {
            config.restic.max_bytes = self.max_size;
        }
        config.check()?;
        let metrics = match (self.prometheus, self.prometheus_no_auth || self.no_auth) {
            (false, _) => MetricsAccess::Off,
            (true, false) => MetricsAccess::Users { are_private: self.private_repos },
            (true, true) => MetricsAccess::Anyone,
        };
        Ok((config, RestServerOptions { listen: self.listen, metrics }))
    }

    /// What was said and cannot be done.
    pub fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if self.cpu_profile.is_some() {
            warnings.push("--cpu-profile does nothing here");
        }
        if !self.tls && (self.tls_cert.is_some() || self.tls_key.is_some()) {
            warnings.push("--tls-cert and --tls-key do nothing without --tls");
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
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
        for (name, is_rest_server) in [("/usr/bin/rest-server", true), ("rest-server", true), ("rest-server/x", false)]
        {
            assert_eq!(is_called_by(OsStr::new(name)), is_rest_server, "{name}");
        }
    }
}
