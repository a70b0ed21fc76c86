//! What a configuration must not say.

use std::time::Duration;

use super::{Auth, Config, Listen, Oidc, Port, Restic, Transcode};
use crate::auth::is_user_name;
use crate::auth::rights::Table;

/// A setting that cannot be used, with its place.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file or a variable cannot be read as configuration.
    #[error("configuration: {0}")]
    Unreadable(#[from] config::ConfigError),
    /// A value is out of its range.
    #[error("configuration: {setting}: {problem}")]
    Invalid {
        /// Which.
        setting: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The server would be open to other machines.
    #[error(
        "{setting} is {address}, which other machines can reach, and there is no authentication: \
         bind a loopback address, {remedy}, or say --insecure"
    )]
    Exposed {
        /// Which address setting.
        setting: &'static str,
        /// Its value.
        address: Listen,
        /// What would ask callers who they are.
        remedy: &'static str,
    },
    /// The server would be open to other machines, and nobody could do anything.
    #[error(
        "{setting} is {address}, which other machines can reach, and nothing says who may do what: \
         bind a loopback address, set auth.rights or auth.rights_file, or say --insecure"
    )]
    WithoutRights {
        /// Which address setting.
        setting: &'static str,
        /// Its value.
        address: Listen,
    },
}

/// The longest time that a duration setting may have.
const LONGEST: Duration = Duration::from_hours(365 * 24);
/// Attempts beyond this are a mistake.
const MAX_ATTEMPTS: i32 = 1000;
/// Each is a process.
const MAX_PROBES: usize = 256;
/// More often would only cost.
const SHORTEST_SWEEP: Duration = Duration::from_millis(100);
/// Each takes memory, and there can be no more than connections have streams.
const MAX_WATCHERS: usize = 1_000_000;

impl Transcode {
    fn check(&self) -> Result<(), Error> {
        let invalid = |setting, problem: &str| Err(Error::Invalid { setting, problem: problem.to_owned() });
        if self.heartbeat_timeout.is_zero() {
            return invalid("transcode.heartbeat_timeout", "has to be longer than nothing");
        }
        if self.heartbeat_interval.is_zero() || self.heartbeat_interval >= self.heartbeat_timeout {
            return invalid(
                "transcode.heartbeat_interval",
                "has to be between nothing and transcode.heartbeat_timeout",
            );
        }
        if self.retry_backoff_max < self.retry_backoff {
            return invalid("transcode.retry_backoff_max", "is shorter than transcode.retry_backoff");
        }
        if self.ffprobe.as_os_str().is_empty() {
            return invalid("transcode.ffprobe", "has to name a program");
        }
        if !self.library_roots.iter().all(|root| root.is_absolute()) {
            return invalid("transcode.library_roots", "have to be absolute paths");
        }
        if self.sweep_interval < SHORTEST_SWEEP {
            return invalid("transcode.sweep_interval", "has to be 100 milliseconds at least");
        }
        if !(1..=MAX_ATTEMPTS).contains(&self.max_attempts) {
            return invalid("transcode.max_attempts", "has to be between 1 and 1000");
        }
        if !(1..=MAX_PROBES).contains(&self.probes) {
            return invalid("transcode.probes", "has to be between 1 and 256");
        }
        if self.probe_timeout.is_zero() {
            return invalid("transcode.probe_timeout", "has to be longer than nothing");
        }
        if self.max_watchers > MAX_WATCHERS {
            return invalid("transcode.max_watchers", "is too many");
        }
        let is_visible = |character: char| character.is_ascii_graphic();
        if !self.cors_origin.chars().all(is_visible) {
            return invalid("transcode.cors_origin", "has to be `*`, an origin, or nothing");
        }
        Ok(())
    }
}

impl Config {
    /// Says what is wrong with it, if anything.
    pub fn check(&self) -> Result<(), Error> {
        self.check_settings()?;
        self.check_addresses()
    }

    /// The same for a gateway on its own, which has no users: its server has to ask for them.
    pub(super) fn check_settings(&self) -> Result<(), Error> {
        self.check_ranges()?;
        self.transcode.check()?;
        let problems = [
            self.volumes.problem(),
            self.artifacts.problem(),
            self.replication.problem(),
            self.tls.problem(),
            self.gateway.upstream.problem(),
            self.auth.oidc.as_ref().and_then(Oidc::problem),
            self.audit.problem(),
            self.limits.problem(),
        ];
        if let Some((setting, problem)) = problems.into_iter().flatten().next() {
            return Err(Error::Invalid { setting, problem: problem.to_owned() });
        }
        if self.volumes.nbd_require_tls && self.tls.cert.is_some() && self.tls.clients_of(Port::Nbd).is_none() {
            let problem = "is plain, and volumes.nbd_require_tls asks for TLS".to_owned();
            return Err(Error::Invalid { setting: "tls.ports.nbd", problem });
        }
        self.auth.check()?;
        if self.names_two_key_files() {
            let problem = "is another file than secrets.key_file, whose older name it is".to_owned();
            return Err(Error::Invalid { setting: "replication.key_file", problem });
        }
        Ok(())
    }

    /// The first address of a gateway on its own that other machines can reach, and its setting.
    pub fn exposed_by_gateway(&self) -> Option<(&'static str, Listen)> {
        let addresses = [("server.http", Some(self.server.http.into())), ("restic.listen", self.restic.listen.clone())];
        let addresses = addresses.into_iter().filter_map(|(setting, address)| Some((setting, address?)));
        addresses.into_iter().find(|(_, address)| address.is_exposed())
    }

    /// Callers have to say who they are: by a password, through a proxy, or by a certificate.
    pub fn asks_for_users(&self) -> bool {
        self.auth.is_asked_for() || self.tls.asks_for_certificates()
    }

    fn check_ranges(&self) -> Result<(), Error> {
        let invalid = |setting, problem: &str| Err(Error::Invalid { setting, problem: problem.to_owned() });
        for (setting, value) in [
            ("lock.completed_retention", self.lock.completed_retention),
            ("lock.claim_timeout", self.lock.claim_timeout),
            ("lock.default_ttl", self.lock.default_ttl),
            ("server.shutdown_deadline", self.server.shutdown_deadline),
            ("server.request_timeout", self.server.request_timeout),
            ("gateway.body_idle_timeout", self.gateway.body_idle_timeout),
            ("restic.undelete", self.restic.undelete),
            ("artifacts.upload_retention", self.artifacts.upload_retention),
            ("artifacts.sweep_after", self.artifacts.sweep_after),
            ("artifacts.change_retention", self.artifacts.change_retention),
            ("replication.execution_retention", self.replication.execution_retention),
            ("replication.maker_groups_for", self.replication.maker_groups_for),
            ("replication.connect_timeout", self.replication.connect_timeout),
            ("replication.idle_timeout", self.replication.idle_timeout),
            ("restic.min_age", self.restic.min_age),
            ("transcode.heartbeat_timeout", self.transcode.heartbeat_timeout),
            ("transcode.heartbeat_interval", self.transcode.heartbeat_interval),
            ("transcode.task_stall_timeout", self.transcode.task_stall_timeout),
            ("transcode.retry_backoff", self.transcode.retry_backoff),
            ("transcode.retry_backoff_max", self.transcode.retry_backoff_max),
            ("transcode.scan_interval", self.transcode.scan_interval),
            ("transcode.stable_for", self.transcode.stable_for),
            ("transcode.probe_timeout", self.transcode.probe_timeout),
            ("transcode.trash_retention", self.transcode.trash_retention),
            ("transcode.log_retention", self.transcode.log_retention),
            ("transcode.task_retention", self.transcode.task_retention),
            ("transcode.sweep_interval", self.transcode.sweep_interval),
            ("volumes.trash_retention", self.volumes.trash_retention),
            ("volumes.operation_retention", self.volumes.operation_retention),
        ] {
            if value > LONGEST {
                return invalid(setting, "is longer than a year");
            }
        }
        if self.lock.claim_timeout.is_zero() {
            return invalid("lock.claim_timeout", "has to be longer than 0");
        }
        if self.store.history == 0 {
            return invalid("store.history", "has to be at least 1");
        }
        if self.server.max_connections == 0 {
            return invalid("server.max_connections", "has to be at least 1");
        }
        if self.server.hosts.iter().any(|host| host.is_empty() || host.contains([':', '/', '*'])) {
            return invalid("server.hosts", "has to be names alone, without ports");
        }
        if self.gateway.body_idle_timeout.is_zero() {
            return invalid("gateway.body_idle_timeout", "has to be longer than 0");
        }
        self.restic.check()
    }

    fn check_addresses(&self) -> Result<(), Error> {
        if self.server.insecure {
            return Ok(());
        }
        // Over NBD nobody signs in but with a certificate.
        let exposed = self.volumes.nbd.iter().find(|address| address.is_exposed());
        if let Some(address) = exposed.filter(|_| !self.tls.requires_certificates(Port::Nbd)) {
            let remedy = "require client certificates there (tls.clients)";
            return Err(Error::Exposed { setting: "volumes.nbd", address: address.clone(), remedy });
        }
        if let Some(address) = exposed.filter(|_| !self.auth.has_rights()) {
            return Err(Error::WithoutRights { setting: "volumes.nbd", address: address.clone() });
        }
        let remedy = "set auth.htpasswd, ask for client certificates (tls.clients)";
        let addresses = [
            ("server.grpc", Some(self.server.grpc.into())),
            ("server.http", Some(self.server.http.into())),
            ("restic.listen", self.restic.listen.clone()),
        ];
        for (setting, address) in addresses {
            match address.filter(Listen::is_exposed) {
                Some(address) if !self.asks_for_users() => {
                    return Err(Error::Exposed { setting, address, remedy });
                }
                Some(address) if !self.auth.has_rights() => return Err(Error::WithoutRights { setting, address }),
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}

impl Restic {
    fn check(&self) -> Result<(), Error> {
        let invalid = |setting, problem: String| Err(Error::Invalid { setting, problem });
        if self.max_object_bytes == 0 {
            return invalid("restic.max_object_bytes", "has to be at least 1".to_owned());
        }
        if self.max_watchers > MAX_WATCHERS {
            return invalid("restic.max_watchers", format!("is more than {MAX_WATCHERS}"));
        }
        if let Some(name) = self.users.keys().find(|name| !is_user_name(name)) {
            return invalid("restic.users", format!("nobody can be called {name:?}"));
        }
        Ok(())
    }
}

impl Auth {
    /// Callers have to say who they are, whatever the ports ask for.
    pub fn is_asked_for(&self) -> bool {
        let has_proxy = self.proxy_header.is_some() || self.gateway_key.is_some();
        self.htpasswd.is_some() || has_proxy || self.oidc.is_some() || self.has_rights()
    }

    /// Callers may do only what somebody has allowed them.
    pub fn has_rights(&self) -> bool {
        !self.rights.is_empty() || self.rights_file.is_some()
    }

    fn check(&self) -> Result<(), Error> {
        let problem = match (self.rights.is_empty(), &self.rights_file) {
            (false, Some(_)) => "and auth.rights_file are one too many".to_owned(),
            _ => match Table::parse(&self.rights) {
                Ok(_) => return Ok(()),
                Err(problem) => problem,
            },
        };
        Err(Error::Invalid { setting: "auth.rights", problem })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn load(flags: &[(&'static str, &str)]) -> Result<Config, Error> {
        Config::load(None, flags.iter().map(|(setting, value)| (*setting, (*value).to_owned())).collect())
    }

    #[test]
    fn an_address_that_others_can_reach_needs_a_word_or_authentication() {
        for (setting, address) in [("server.http", "0.0.0.0:0"), ("server.grpc", "[::]:0"), ("restic.listen", ":0")] {
            let refused = load(&[(setting, address), ("server.insecure", "false")]);
            assert!(matches!(refused, Err(Error::Exposed { setting: of, .. }) if of == setting), "{refused:?}");
            load(&[(setting, address), ("server.insecure", "true")]).expect("it was said");
            for asked in [("auth.htpasswd", "/users"), ("auth.proxy_header", "X-User")] {
                let refused = load(&[(setting, address), asked]);
                assert!(
                    matches!(refused, Err(Error::WithoutRights { setting: of, .. }) if of == setting),
                    "{refused:?}"
                );
                load(&[(setting, address), asked, ("auth.rights", "a * * admin")]).expect("callers are asked");
                load(&[(setting, address), asked, ("auth.rights_file", "/rights")]).expect("callers are asked");
            }
        }
        load(&[("restic.listen", "unix:/run/restic.sock")]).expect("nobody else can reach it");
        let exposed = load(&[("volumes.nbd", "unix:/run/nbd.sock, 0.0.0.0:10809"), ("auth.htpasswd", "/users")]);
        assert!(matches!(exposed, Err(Error::Exposed { setting: "volumes.nbd", .. })), "{exposed:?}");
        assert!(load(&[("volumes.nbd", "")]).expect("nowhere").volumes.nbd.is_empty());
    }

    #[test]
    fn a_gateway_needs_no_users_of_its_own() {
        let load = |flags: &[(&'static str, &str)]| {
            let flags = flags.iter().map(|(setting, value)| (*setting, (*value).to_owned())).collect();
            Config::load_gateway(None, flags)
        };
        for (setting, address) in [("server.http", "0.0.0.0:0"), ("restic.listen", ":0")] {
            let exposed = load(&[(setting, address)]).expect("its server asks").exposed_by_gateway();
            assert_eq!(exposed.map(|(setting, _)| setting), Some(setting));
        }
        assert_eq!(load(&[("server.grpc", "0.0.0.0:0")]).expect("it is not served").exposed_by_gateway(), None);
        assert!(load(&[("gateway.body_idle_timeout", "0s")]).is_err());
    }

    #[test]
    fn client_certificates_are_a_way_to_ask_who_somebody_is() {
        let tls = [("tls.cert", "/cert.pem"), ("tls.key", "/key.pem"), ("tls.client_ca", "/ca.pem")];
        let rights = [("auth.rights", "* * * read")];
        let with = |more: &[(&'static str, &'static str)]| load(&[&tls[..], &rights[..], more].concat());
        with(&[("server.http", "0.0.0.0:0"), ("tls.clients", "optional")]).expect("callers are asked");
        let refused = with(&[("volumes.nbd", "0.0.0.0:10809"), ("tls.clients", "optional")]);
        assert!(refused.expect_err("some are not").to_string().contains("tls.clients"));
        with(&[("volumes.nbd", "0.0.0.0:10809"), ("tls.ports.nbd", "required")]).expect("all are");
        let plain = [("volumes.nbd_require_tls", "true"), ("tls.ports.nbd", "plain"), ("tls.clients", "required")];
        assert!(with(&plain).expect_err("a contradiction").to_string().contains("tls.ports.nbd"));
    }

    #[test]
    fn settings_of_repositories_that_make_no_sense_are_refused_and_named() {
        for (setting, value, told) in [
            ("restic.undelete", "9000h", "restic.undelete"),
            ("restic.min_age", "9000h", "restic.min_age"),
            ("restic.max_object_bytes", "0", "restic.max_object_bytes"),
            ("restic.max_watchers", "1000001", "restic.max_watchers"),
            ("gateway.body_idle_timeout", "0s", "gateway.body_idle_timeout"),
        ] {
            let error = load(&[(setting, value)]).expect_err(setting).to_string();
            assert!(error.contains(told), "{error}");
        }
        let mut config = Config::default();
        config.restic.users.insert("a/b".to_owned(), super::super::ResticUser::default());
        assert!(config.check().expect_err("no name").to_string().contains("a/b"));
    }

    #[test]
    fn the_key_file_has_an_older_name_too() {
        let of = |flags: &[(&'static str, &str)]| load(flags).expect("a configuration").key_file();
        assert_eq!(of(&[("store.data", "/data")]), Path::new("/data/secrets.key"));
        for setting in ["secrets.key_file", "replication.key_file"] {
            assert_eq!(of(&[(setting, "/keys")]), Path::new("/keys"));
        }
        let two = load(&[("secrets.key_file", "/keys"), ("replication.key_file", "/other")]);
        assert!(two.expect_err("two files").to_string().contains("replication.key_file"));
    }

    #[test]
    fn a_table_of_rights_that_makes_no_sense_is_refused_with_its_line() {
        let error = load(&[("auth.rights", "a lock * read\na lock * fly")]).expect_err("no right").to_string();
        assert!(error.contains("auth.rights: line 2: \"fly\""), "{error}");
        let both = [("auth.rights", "a lock * read"), ("auth.rights_file", "/rights")];
        assert!(load(&both).expect_err("two tables").to_string().contains("auth.rights_file"));
    }

    #[test]
    fn a_certificate_without_its_key_is_refused_and_named() {
        for (given, missing) in [
            ("tls.cert", "tls.key"),
            ("tls.key", "tls.cert"),
            ("gateway.upstream.cert", "gateway.upstream.key"),
            ("gateway.upstream.key", "gateway.upstream.cert"),
        ] {
            let error = load(&[(given, "/file.pem")]).expect_err("half a pair").to_string();
            assert!(error.contains(&format!("{missing}: is missing")), "{error}");
        }
        load(&[("tls.cert", "/cert.pem"), ("tls.key", "/key.pem")]).expect("a pair");
    }
}
