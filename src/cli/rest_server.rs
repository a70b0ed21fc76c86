//! `steward rest-server`: the flags of restic's rest-server 0.14.
//!
//! Quirk: flags that are on or off may be given a value (`--append-only=false`), and of a flag that is given twice the
//! last one counts, as in Go.
//! Quirk: a flag with an empty value is one that was not given, and a size below zero is no limit.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, Parser};

use crate::config::{Config, Error, Listen, TlsVersion};
use crate::server::{MetricsAccess, RestServerOptions};

/// Serves backup repositories as restic's rest-server does, with its flags.
///
/// When it is told to stop, what is running has 5 minutes to finish (`server.shutdown_deadline`). Settings that have no
/// flag here come from the environment, such as `STEWARD_RESTIC__UNDELETE=7d`, or from a file.
#[derive(Clone, Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "they are rest-server's flags")]
#[command(name = "rest-server", version, disable_version_flag = true, args_override_self = true, mut_args(as_in_go))]
pub struct RestServerArgs {
    /// The directory of the repositories. [default: `restic` in the directory for temporary files]
    #[arg(long, value_name = "DIR", value_parser = path_or_nothing())]
    path: Option<PathBuf>,
    /// Where to listen: `:8000`, `host:port`, or `unix:/path`; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = ":8000")]
    listen: Listen,
    /// Ask nobody who they are.
    #[arg(long)]
    no_auth: bool,
    /// Let nobody delete anything but locks.
    #[arg(long, action = ArgAction::SetTrue)]
    append_only: Option<bool>,
    /// Let users at the repositories below their own names alone.
    #[arg(long, action = ArgAction::SetTrue)]
    private_repos: Option<bool>,
    /// The file of users and hashes of their passwords. [default: `.htpasswd` in the directory of the repositories]
    #[arg(long, value_name = "FILE", value_parser = path_or_nothing())]
    htpasswd_file: Option<PathBuf>,
    /// A header in which a proxy names the user; passwords are not asked for then.
    #[arg(long, value_name = "HEADER")]
    proxy_auth_username: Option<String>,
    /// The address or network of a proxy that may name the user and the client's address, or `unix`. Can be given
    /// several times. [default: with --proxy-auth-username this machine]
    #[arg(long, value_name = "ADDR")]
    trusted_proxy: Vec<String>,
    /// How many bytes all repositories may have together; 0: no limit.
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    max_size: Option<i64>,
    /// Speak TLS.
    #[arg(long)]
    tls: bool,
    /// The certificate. [default: `public_key` in the directory of the repositories]
    #[arg(long, value_name = "FILE", value_parser = path_or_nothing())]
    tls_cert: Option<PathBuf>,
    /// Its private key. [default: `private_key` in the directory of the repositories]
    #[arg(long, value_name = "FILE", value_parser = path_or_nothing())]
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
    #[arg(long, action = ArgAction::SetTrue)]
    no_verify_upload: Option<bool>,
    /// Log requests in Apache's combined form to a file, or to standard output with `-`.
    #[arg(long, value_name = "FILE")]
    log: Option<String>,
    /// Let the group read and write files.
    #[arg(long, action = ArgAction::SetTrue)]
    group_accessible_repos: Option<bool>,
    /// Log more.
    #[arg(long)]
    debug: bool,
    /// A TOML file with settings of Steward; flags are stronger.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Does nothing.
    #[arg(long, value_name = "FILE")]
    cpu_profile: Option<PathBuf>,
    /// Print version
    #[arg(long, short, action = ArgAction::Version)]
    version: Option<bool>,
}

/// What is running at shutdown may be a large upload, which rest-server waits for.
const DEFAULTS: [(&str, &str); 1] = [("server.shutdown_deadline", "5m")];
/// Flags that are settings too: when they are not given, the setting counts.
const SETTINGS: [&str; 4] = ["append_only", "private_repos", "no_verify_upload", "group_accessible_repos"];

/// A flag that is on or off may have a value.
fn as_in_go(arg: Arg) -> Arg {
    if !matches!(arg.get_action(), ArgAction::SetTrue) {
        return arg;
    }
    let is_setting = SETTINGS.contains(&arg.get_id().as_str());
    let arg = arg
        .action(ArgAction::Set)
        .value_parser(switch)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .value_name("BOOL");
    if is_setting { arg } else { arg.default_value("false").hide_default_value(true) }
}

fn switch(value: &str) -> Result<bool, String> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("is neither true nor false".to_owned()),
    }
}

fn path_or_nothing() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// What users may do where no table of rights says more.
const USERS_MAY: &str = "* restic * admin";

/// In Go, a flag that is empty is one that was not given.
fn given(path: Option<PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty())
}

fn set<T>(setting: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *setting = value;
    }
}

/// The name that the program was called by is rest-server's.
pub fn is_called_by(program: &OsStr) -> bool {
    Path::new(program).file_name() == Some(OsStr::new("rest-server"))
}

impl RestServerArgs {
    /// As the server takes them. Settings that rest-server has no flag for come from the environment or a file.
    pub fn load(self) -> Result<(Config, RestServerOptions), Error> {
        let mut config = Config::read(self.config.as_deref(), &DEFAULTS, Vec::new())?;
        let path = given(self.path.clone()).unwrap_or_else(|| std::env::temp_dir().join("restic"));
        self.set_auth(&mut config, &path);
        self.set_tls(&mut config, &path)?;
        if self.debug {
            "debug".clone_into(&mut config.log.filter);
        }
        config.log.access = self.log.filter(|file| !file.is_empty()).or(config.log.access);
        config.restic.path = Some(path);
        config.restic.listen = Some(self.listen.clone());
        set(&mut config.restic.append_only, self.append_only);
        set(&mut config.restic.private_repositories, self.private_repos);
        set(&mut config.restic.group_accessible, self.group_accessible_repos);
        set(&mut config.restic.verify_uploads, self.no_verify_upload.map(|no| !no));
        set(&mut config.restic.max_bytes, self.max_size.map(|size| u64::try_from(size).unwrap_or(0)));
        config.check()?;
        let metrics = match (self.prometheus, self.prometheus_no_auth || self.no_auth) {
            (false, _) => MetricsAccess::Off,
            (true, false) => MetricsAccess::Users { are_private: config.restic.private_repositories },
            (true, true) => MetricsAccess::Anyone,
        };
        Ok((config, RestServerOptions { listen: self.listen, metrics }))
    }

    fn set_auth(&self, config: &mut Config, path: &Path) {
        let auth = &mut config.auth;
        let header = self.proxy_auth_username.clone().filter(|header| !header.is_empty());
        let file = given(self.htpasswd_file.clone());
        if self.no_auth || header.is_some() || file.is_some() {
            (auth.proxy_header, auth.htpasswd) = (None, None);
        }
        // What rest-server calls --no-auth is the word that Steward asks for.
        config.server.insecure = self.no_auth;
        if !self.no_auth {
            match header {
                Some(header) => auth.proxy_header = Some(header),
                None if auth.is_asked_for() => {}
                None => auth.htpasswd = Some(file.unwrap_or_else(|| path.join(".htpasswd"))),
            }
            if !auth.has_rights() {
                // As with rest-server: whoever has signed in may do what its flags leave to them.
                USERS_MAY.clone_into(&mut auth.rights);
            }
        }
        if !self.trusted_proxy.is_empty() {
            auth.trusted_proxies.clone_from(&self.trusted_proxy);
        }
    }

    fn set_tls(&self, config: &mut Config, path: &Path) -> Result<(), Error> {
        let (cert, key) = (given(self.tls_cert.clone()), given(self.tls_key.clone()));
        if self.tls {
            config.tls.cert = Some(cert.unwrap_or_else(|| path.join("public_key")));
            config.tls.key = Some(key.unwrap_or_else(|| path.join("private_key")));
            config.tls.min_version = self.tls_min_ver;
        } else if cert.is_some() || key.is_some() {
            let problem = "is missing, so --tls-cert and --tls-key would do nothing".to_owned();
            return Err(Error::Invalid { setting: "--tls", problem });
        }
        Ok(())
    }

    /// What was said and cannot be done.
    pub fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if self.cpu_profile.is_some() {
            warnings.push("--cpu-profile does nothing here");
        }
        warnings
    }
}

#[cfg(test)]
mod tests;
