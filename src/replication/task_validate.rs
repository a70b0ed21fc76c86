//! What a task has to be, as far as that can be told from itself. Each check fails with the name by which the older API
//! knows the field.

use jiff::tz::TimeZone;
use semver::VersionReq;
use steward_proto::replication::v1::{
    Config, ConflictStrategy, ErrorStrategy, PackageConstraint, PathConstraint, RegistryTarget, ReplicaObjectType,
    ReplicaType, schedule,
};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::error::Error;
use crate::glob::{self, is_glob};
use crate::schedule::{Schedule, Syntax};

const MAX_CONSTRAINTS: usize = 256;
/// How many versions the constraints of a task have together.
const MAX_VERSIONS: usize = 1000;
const MAX_REGEXES: usize = 256;
const MAX_REGEX_BYTES: usize = 512;
const MAX_RANGE_BYTES: usize = 256;
const MAX_PACKAGE_BYTES: usize = 512;
const MAX_PATH_BYTES: usize = 400;
const MAX_TAG_BYTES: usize = 128;
const MAX_DESCRIPTION_BYTES: usize = 1024;
const MAX_ZONE_BYTES: usize = 64;
const MAX_PARALLELISM: u32 = 16;
pub(super) const MAX_USERNAME_BYTES: usize = 256;
/// Tokens of clouds are long. What is sealed has to fit into the record of the task.
const MAX_PASSWORD_BYTES: usize = 2560;
const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;
const MAX_CERTIFICATES: usize = 64;

/// When a scheduled task runs, as its record has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) cron: String,
    pub(super) time_zone: String,
    pub(super) at_us: u64,
}

/// What becomes of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It is new, or is changed by creating it again.
    Create,
    /// The same of one that runs once.
    CreateRunOnce,
    /// It is changed.
    Update,
}

/// Checks a text that people wrote.
pub(super) fn text(arg: &'static str, text: &str, max: usize) -> Result<(), Error> {
    if text.len() > max {
        return Err(Error::invalid(arg, format!("has {} bytes; the limit is {max}", text.len())));
    }
    if text.contains(|char: char| char.is_control() && !matches!(char, '\n' | '\t')) {
        return Err(Error::invalid(arg, "has a control character"));
    }
    Ok(())
}

/// The same, without line breaks.
pub(super) fn line(arg: &'static str, line: &str, max: usize) -> Result<(), Error> {
    text(arg, line, max)?;
    if line.contains(char::is_control) {
        return Err(Error::invalid(arg, "has a control character"));
    }
    Ok(())
}

/// A letter or `_`, then letters, digits, `-` and `_`: 2 to 128 bytes. What is wrong is called by its value.
pub(super) fn name(name: &str) -> Result<(), Error> {
    let (first, rest) = name.as_bytes().split_first().map_or((b' ', &[][..]), |(first, rest)| (*first, rest));
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_name =
        (first.is_ascii_alphabetic() || first == b'_') && (1..=127).contains(&rest.len()) && rest.iter().all(is_inner);
    if is_name {
        return Ok(());
    }
    let shown: String = name.chars().take(256).collect();
    Err(Error::invalid(shown, "is not a name: a letter or _, then letters, digits, - and _; 2 to 128 bytes"))
}

/// The type that a task is to have; nothing: as before.
pub(super) fn replica_type(config: &Config, purpose: Purpose) -> Result<Option<ReplicaType>, Error> {
    let invalid = || Error::invalid("replicaType", "is not a type that such a task may have");
    let wanted = ReplicaType::try_from(config.replica_type).map_err(|_| invalid())?;
    match (wanted, purpose) {
        (ReplicaType::Unspecified, Purpose::Create) => Ok(Some(ReplicaType::RealTime)),
        (ReplicaType::Unspecified | ReplicaType::RunOnce, Purpose::CreateRunOnce) => Ok(Some(ReplicaType::RunOnce)),
        (ReplicaType::Unspecified, Purpose::Update) => Ok(None),
        (ReplicaType::Scheduled | ReplicaType::RealTime, Purpose::Create | Purpose::Update)
        | (ReplicaType::RunOnce, Purpose::Update) => Ok(Some(wanted)),
        (ReplicaType::RunOnce, Purpose::Create)
        | (ReplicaType::Scheduled | ReplicaType::RealTime, Purpose::CreateRunOnce) => Err(invalid()),
    }
}

/// The credentials and certificates for a registry, not its URL.
pub(super) fn registry(registry: &RegistryTarget) -> Result<(), Error> {
    line("username", &registry.username, MAX_USERNAME_BYTES)?;
    line("password", registry.password.as_deref().unwrap_or_default(), MAX_PASSWORD_BYTES)?;
    certificate(&registry.certificate)
}

/// Certificates in PEM that can be trusted.
pub(super) fn certificate(pem: &str) -> Result<(), Error> {
    let invalid = |problem: String| Error::invalid("certificate", problem);
    if pem.is_empty() {
        return Ok(());
    }
    if pem.len() > MAX_CERTIFICATE_BYTES {
        return Err(invalid(format!("has {} bytes; the limit is {MAX_CERTIFICATE_BYTES}", pem.len())));
    }
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| invalid(format!("is not in PEM: {error}")))?;
        roots.add(certificate).map_err(|error| invalid(format!("is not a certificate: {error}")))?;
        if roots.len() > MAX_CERTIFICATES {
            return Err(invalid(format!("has more than {MAX_CERTIFICATES} certificates")));
        }
    }
    if roots.is_empty() { Err(invalid("has no certificate in PEM".to_owned())) } else { Ok(()) }
}

/// The constraints: fills in what they are about, and how paths are written.
pub(super) fn constraints(config: &mut Config, is_run_once: bool, is_registry: bool) -> Result<(), Error> {
    let wanted = ReplicaObjectType::try_from(config.object_type)
        .map_err(|_| Error::invalid("replicaObjectType", "is not a type of objects"))?;
    let is_empty = config.package_constraints.is_empty() && config.path_constraints.is_empty();
    match wanted {
        ReplicaObjectType::Unspecified if is_empty && is_run_once => {
            return Err(Error::invalid("Package or path", "neither is there"));
        }
        ReplicaObjectType::Repository => {
            config.package_constraints.clear();
            config.path_constraints.clear();
        }
        ReplicaObjectType::Package if config.package_constraints.is_empty() => {
            return Err(Error::Empty("packageConstraints"));
        }
        ReplicaObjectType::Path if config.path_constraints.is_empty() => return Err(Error::Empty("pathConstraints")),
        ReplicaObjectType::Unspecified | ReplicaObjectType::Package | ReplicaObjectType::Path => {}
    }
    count("packageConstraints", config.package_constraints.len(), MAX_CONSTRAINTS)?;
    count("pathConstraints", config.path_constraints.len(), MAX_CONSTRAINTS)?;
    let versions = config.package_constraints.iter().map(|constraint| constraint.versions.len()).sum();
    count("versions", versions, MAX_VERSIONS)?;
    for constraint in &config.package_constraints {
        package(constraint, is_registry)?;
    }
    for constraint in &mut config.path_constraints {
        path(constraint)?;
    }
    let about = match (config.package_constraints.is_empty(), config.path_constraints.is_empty()) {
        (true, true) => ReplicaObjectType::Repository,
        (false, true) => ReplicaObjectType::Package,
        (_, false) => ReplicaObjectType::Path,
    };
    config.object_type = about.into();
    Ok(())
}

fn count(arg: &'static str, count: usize, max: usize) -> Result<(), Error> {
    if count > max { Err(Error::invalid(arg, format!("has {count} entries; the limit is {max}"))) } else { Ok(()) }
}

fn package(constraint: &PackageConstraint, is_registry: bool) -> Result<(), Error> {
    if constraint.package_key.trim().is_empty() && constraint.package_regex.is_empty() {
        return Err(Error::Empty("packageKey"));
    }
    line("packageKey", &constraint.package_key, MAX_PACKAGE_BYTES)?;
    for version in &constraint.versions {
        if version.trim().is_empty() {
            return Err(Error::Empty("versions"));
        }
        line("versions", version, MAX_TAG_BYTES)?;
    }
    target_versions(constraint, is_registry)?;
    regexes("packageRegex", &constraint.package_regex)?;
    regexes("versionRegex", &constraint.version_regex)?;
    if !constraint.semver_range.is_empty() {
        line("semverRange", &constraint.semver_range, MAX_RANGE_BYTES)?;
        VersionReq::parse(&constraint.semver_range)
            .map_err(|error| Error::invalid("semverRange", format!("is not a range of versions: {error}")))?;
    }
    Ok(())
}

/// What one version of one image is called at a registry.
fn target_versions(constraint: &PackageConstraint, is_registry: bool) -> Result<(), Error> {
    if constraint.target_versions.is_empty() {
        return Ok(());
    }
    let invalid = |problem: &str| Err(Error::invalid("targetVersions", problem));
    let key = &constraint.package_key;
    let is_image = key.starts_with("docker://") || key.starts_with("oci://");
    if !is_registry {
        return invalid("are for registries alone");
    }
    if constraint.versions.len() != 1 {
        return invalid("are for one version alone");
    }
    if !is_image || is_glob(key) || !constraint.package_regex.is_empty() {
        return invalid("are for one image alone");
    }
    count("targetVersions", constraint.target_versions.len(), MAX_CONSTRAINTS)?;
    if !constraint.target_versions.iter().all(|tag| is_tag(tag)) {
        return invalid("have one that is not a tag");
    }
    Ok(())
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= MAX_TAG_BYTES
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

fn path(constraint: &mut PathConstraint) -> Result<(), Error> {
    if constraint.path.trim().is_empty() {
        return Err(Error::Empty("path"));
    }
    if !constraint.path.starts_with('/') {
        constraint.path.insert(0, '/');
    }
    line("path", &constraint.path, MAX_PATH_BYTES)?;
    if constraint.path.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(Error::invalid("path", "goes up"));
    }
    regexes("pathRegex", &constraint.path_regex)
}

fn regexes(arg: &'static str, expressions: &[String]) -> Result<(), Error> {
    count(arg, expressions.len(), MAX_REGEXES)?;
    for expression in expressions {
        if expression.len() > MAX_REGEX_BYTES {
            return Err(Error::invalid(arg, format!("has {} bytes; the limit is {MAX_REGEX_BYTES}", expression.len())));
        }
        glob::whole(expression)
            .map_err(|error| Error::invalid(arg, format!("{expression:?} is not a regular expression: {error}")))?;
    }
    Ok(())
}

/// The settings but for the schedule: fills in what a task that says nothing does.
pub(super) fn settings(config: &mut Config, is_run_once: bool) -> Result<(), Error> {
    text("description", &config.description, MAX_DESCRIPTION_BYTES)?;
    let settings = config.settings.get_or_insert_default();
    if settings.rate_limit < 0 {
        return Err(Error::invalid("rateLimit", "is negative"));
    }
    if settings.parallelism > MAX_PARALLELISM {
        return Err(Error::invalid("parallelism", format!("is more than {MAX_PARALLELISM}")));
    }
    let conflict = ConflictStrategy::try_from(settings.conflict_strategy)
        .map_err(|_| Error::invalid("conflictStrategy", "is not a strategy"))?;
    let error = ErrorStrategy::try_from(settings.error_strategy)
        .map_err(|_| Error::invalid("errorStrategy", "is not a strategy"))?;
    if conflict == ConflictStrategy::Unspecified {
        let usual = if is_run_once { ConflictStrategy::Overwrite } else { ConflictStrategy::Skip };
        settings.conflict_strategy = usual.into();
    }
    if error == ErrorStrategy::Unspecified {
        let usual = if is_run_once { ErrorStrategy::FastFail } else { ErrorStrategy::Continue };
        settings.error_strategy = usual.into();
    }
    Ok(())
}

/// The schedule. A time may be over only if it is the one that was known before: the task may have run then.
pub(super) fn plan(config: &Config, server_zone: &TimeZone, now_us: u64, known_us: u64) -> Result<Plan, Error> {
    let Some(schedule) = config.settings.as_ref().and_then(|settings| settings.schedule.as_ref()) else {
        return Ok(Plan::default());
    };
    if schedule.time_zone.len() > MAX_ZONE_BYTES {
        return Err(Error::invalid("timeZone", format!("has more than {MAX_ZONE_BYTES} bytes")));
    }
    let time_zone = schedule.time_zone.clone();
    match &schedule.when {
        None | Some(schedule::When::Immediately(_)) => {
            zone(&time_zone, server_zone)?;
            Ok(Plan::default())
        }
        Some(schedule::When::At(time)) => {
            zone(&time_zone, server_zone)?;
            let at_us = micros(time).ok_or_else(|| Error::invalid("executeTime", "is out of range"))?;
            if at_us <= now_us && at_us != known_us {
                return Err(Error::invalid("executeTime", "is over"));
            }
            Ok(Plan { at_us, ..Plan::default() })
        }
        Some(schedule::When::Cron(cron)) => {
            if cron.trim().is_empty() {
                return Err(Error::Empty("cronExpression"));
            }
            let plan = Plan { cron: cron.trim().to_owned(), time_zone, at_us: 0 };
            plan.schedule(server_zone, now_us)?;
            Ok(plan)
        }
    }
}

fn zone(name: &str, server_zone: &TimeZone) -> Result<TimeZone, Error> {
    if name.is_empty() {
        return Ok(server_zone.clone());
    }
    TimeZone::get(name).map_err(|_| Error::invalid("timeZone", format!("{name:?} is not a time zone")))
}

fn micros(time: &prost_types::Timestamp) -> Option<u64> {
    let nanos = u64::try_from(time.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    let micros = u64::try_from(time.seconds).ok()?.checked_mul(1_000_000)?.checked_add(nanos / 1000)?;
    // As far as the clock goes, and never the 0 that says there is none.
    (1..=u64::try_from(i64::MAX / 1000).ok()?).contains(&micros).then_some(micros)
}

impl Plan {
    /// The cron expression, read.
    pub(super) fn schedule(&self, server_zone: &TimeZone, now_us: u64) -> Result<Schedule, Error> {
        let zone = zone(&self.time_zone, server_zone)?;
        let schedule = Schedule::parse(&self.cron, Syntax::QuartzOrCron, zone, now_us);
        schedule.map_err(|problem| Error::invalid("cronExpression", problem))
    }

    /// When it is due first after `now_us`; 0: never.
    pub(super) fn next_us(&self, server_zone: &TimeZone, now_us: u64) -> u64 {
        match (self.cron.is_empty(), self.at_us) {
            (true, 0) => now_us,
            (true, at_us) => at_us,
            (false, _) => {
                let schedule = self.schedule(server_zone, now_us).ok();
                schedule.and_then(|schedule| schedule.next(now_us)).unwrap_or(0)
            }
        }
    }
}
