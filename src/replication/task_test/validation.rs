//! What a task has to be, with the reasons and the names that the older API answers.

use steward_proto::replication::v1::{self as api, Config, ReplicaObjectType, ReplicaType, schedule, target};

use super::world::{World, cluster, config, package, path, refusal, registry, scheduled};
use crate::clock::Clock as _;
use crate::replication::access::Maker;
use crate::replication::error::Error;
use crate::replication::settings::{PrivateTargets, Settings};
use crate::replication::target::TargetError;

fn certificate() -> String {
    rcgen::generate_simple_self_signed(vec!["registry.example.org".to_owned()]).unwrap().cert.pem()
}

fn with_registry(change: impl Fn(&mut api::RegistryTarget)) -> Config {
    let mut config = config("mirror");
    let Some(target::Target::Registry(registry)) = config.target.as_mut().unwrap().target.as_mut() else {
        unreachable!("it is a registry");
    };
    change(registry);
    config
}

fn with_package(change: impl Fn(&mut api::PackageConstraint)) -> Config {
    let mut constraint = package("docker://nginx", &[], &[]);
    change(&mut constraint);
    Config { package_constraints: vec![constraint], ..config("mirror") }
}

fn with_settings(settings: api::Settings) -> Config {
    Config { settings: Some(settings), ..config("mirror") }
}

fn cron(expression: &str) -> schedule::When {
    schedule::When::Cron(expression.to_owned())
}

fn at(world: &World, seconds: i64) -> schedule::When {
    let now = world.clock.now().nanos() / 1_000_000_000;
    schedule::When::At(prost_types::Timestamp { seconds: now + seconds, nanos: 0 })
}

#[tokio::test]
async fn each_field_is_refused_by_the_name_that_the_older_api_has_for_it() {
    let world = World::new();
    let strings = |count: usize| (0..count).map(|number| format!("v{number}")).collect::<Vec<_>>();
    let constraints = |count: usize| vec![package("docker://nginx", &[], &[]); count];
    let object = |kind: ReplicaObjectType| Config { object_type: kind.into(), ..config("mirror") };
    let long_name = "n".repeat(129);
    let table: Vec<(Config, &str, &str)> = vec![
        (config("9bad"), "PARAMETER_INVALID", "9bad"),
        (config("a"), "PARAMETER_INVALID", "a"),
        (config(""), "PARAMETER_INVALID", ""),
        (config("a.b"), "PARAMETER_INVALID", "a.b"),
        (config(&long_name), "PARAMETER_INVALID", &long_name),
        (Config { target: None, ..config("mirror") }, "PARAMETER_INVALID", "registry"),
        (with_registry(|registry| registry.registry.clear()), "PARAMETER_INVALID", "registry"),
        (Config { target: cluster("", "p9", "gen9"), ..config("mirror") }, "PARAMETER_INVALID", "registry"),
        (Config { target: cluster("nowhere", "p9", "gen9"), ..config("mirror") }, "CLUSTER_NOT_FOUND", "nowhere"),
        (with_registry(|registry| registry.registry = "ftp://h.example.org".into()), "PARAMETER_INVALID", "url"),
        (with_registry(|registry| registry.registry = "http://localhost:5000".into()), "PARAMETER_INVALID", "url"),
        (with_registry(|registry| registry.registry = "http://h.example.org\r\n".into()), "PARAMETER_INVALID", "url"),
        (with_registry(|registry| registry.registry = "http://169.254.169.254/".into()), "TARGET_FORBIDDEN", "url"),
        (with_registry(|registry| registry.certificate = "no PEM".into()), "PARAMETER_INVALID", "certificate"),
        (
            with_registry(|registry| {
                registry.certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into();
            }),
            "PARAMETER_INVALID",
            "certificate",
        ),
        (with_registry(|registry| registry.username = "u".repeat(257)), "PARAMETER_INVALID", "username"),
        (with_registry(|registry| registry.password = Some("p".repeat(2561))), "PARAMETER_INVALID", "password"),
        (Config { replica_type: 9, ..config("mirror") }, "PARAMETER_INVALID", "replicaType"),
        (Config { replica_type: ReplicaType::RunOnce.into(), ..config("mirror") }, "PARAMETER_INVALID", "replicaType"),
        (object(ReplicaObjectType::Package), "PARAMETER_EMPTY", "packageConstraints"),
        (object(ReplicaObjectType::Path), "PARAMETER_EMPTY", "pathConstraints"),
        (Config { object_type: 7, ..config("mirror") }, "PARAMETER_INVALID", "replicaObjectType"),
        (
            Config { package_constraints: constraints(257), ..config("mirror") },
            "PARAMETER_INVALID",
            "packageConstraints",
        ),
        (
            Config { path_constraints: vec![path("/a"); 257], ..config("mirror") },
            "PARAMETER_INVALID",
            "pathConstraints",
        ),
        (with_package(|package| package.package_key.clear()), "PARAMETER_EMPTY", "packageKey"),
        (with_package(|package| package.package_key = "k".repeat(513)), "PARAMETER_INVALID", "packageKey"),
        (with_package(|package| package.versions = vec![" ".into()]), "PARAMETER_EMPTY", "versions"),
        (with_package(|package| package.versions = strings(1001)), "PARAMETER_INVALID", "versions"),
        (with_package(|package| package.version_regex = vec!["(".into()]), "PARAMETER_INVALID", "versionRegex"),
        (
            with_package(|package| package.version_regex = vec![r"\w{999}{99}".into()]),
            "PARAMETER_INVALID",
            "versionRegex",
        ),
        (with_package(|package| package.package_regex = vec!["[".into()]), "PARAMETER_INVALID", "packageRegex"),
        (with_package(|package| package.semver_range = "newest".into()), "PARAMETER_INVALID", "semverRange"),
        (with_package(|package| package.target_versions = strings(1)), "PARAMETER_INVALID", "targetVersions"),
        (Config { path_constraints: vec![path("")], ..config("mirror") }, "PARAMETER_EMPTY", "path"),
        (Config { path_constraints: vec![path("/a/../b")], ..config("mirror") }, "PARAMETER_INVALID", "path"),
        (with_settings(api::Settings { rate_limit: -1, ..api::Settings::default() }), "PARAMETER_INVALID", "rateLimit"),
        (
            with_settings(api::Settings { parallelism: 17, ..api::Settings::default() }),
            "PARAMETER_INVALID",
            "parallelism",
        ),
        (
            with_settings(api::Settings { conflict_strategy: 9, ..api::Settings::default() }),
            "PARAMETER_INVALID",
            "conflictStrategy",
        ),
        (
            with_settings(api::Settings { error_strategy: 9, ..api::Settings::default() }),
            "PARAMETER_INVALID",
            "errorStrategy",
        ),
        (Config { description: "d".repeat(1025), ..config("mirror") }, "PARAMETER_INVALID", "description"),
        (scheduled("mirror", cron(" ")), "PARAMETER_EMPTY", "cronExpression"),
        (scheduled("mirror", cron("bad")), "PARAMETER_INVALID", "cronExpression"),
        (scheduled("mirror", at(&world, 0)), "PARAMETER_INVALID", "executeTime"),
        (scheduled("mirror", at(&world, -60)), "PARAMETER_INVALID", "executeTime"),
    ];
    for (config, reason, arg) in table {
        let shown = format!("{config:?}");
        assert_eq!(refusal(world.create(vec![config]).await), (reason.to_owned(), arg.to_owned()), "{shown:.200}");
    }
    assert!(world.rows(crate::store::Table::ReplicaTask).await.is_empty());
    assert!(world.rows(crate::store::Table::ReplicaConfig).await.is_empty());
}

#[tokio::test]
async fn versions_at_the_target_are_for_one_version_of_one_image_at_a_registry() {
    let world = World::new();
    let with = |constraint| Config { package_constraints: vec![constraint], ..config("mirror") };
    for constraint in [
        package("docker://nginx", &[], &["1.2"]),
        package("docker://nginx", &["1.1", "1.2"], &["1.3"]),
        package("docker://team/*", &["1.1"], &["1.2"]),
        package("npm://nginx", &["1.1"], &["1.2"]),
        package("docker://nginx", &["1.1"], &["no tag"]),
        package("docker://nginx", &["1.1"], &[""]),
    ] {
        let refused = refusal(world.create(vec![with(constraint)]).await);
        assert_eq!(refused, ("PARAMETER_INVALID".to_owned(), "targetVersions".to_owned()));
    }
    for key in ["docker://nginx", "oci://nginx"] {
        world.create(vec![with(package(key, &["1.1"], &["1.2", "latest"]))]).await.expect("a task");
    }
}

#[tokio::test]
async fn what_is_wrong_is_found_in_the_order_of_the_older_api() {
    let world = World::new();
    world.reach.down.lock().insert("http://127.0.0.1:5055", TargetError::Unreachable("refused".into()));
    let bad_plan = scheduled("mirror", cron("bad"));
    assert_eq!(refusal(world.create(vec![bad_plan]).await), ("CLUSTER_UNREACHABLE".into(), "p/img/mirror".into()));
    assert_eq!(refusal(world.create(vec![config("9bad")]).await), ("PARAMETER_INVALID".into(), "9bad".into()));
    let elsewhere = world.replication.create_tasks("p", "nowhere", vec![config("9bad")], &Maker::default()).await;
    assert_eq!(refusal(elsewhere), ("REPOSITORY_NOT_FOUND".into(), "nowhere".into()));
    assert!(world.create(Vec::new()).await.expect("nothing to do").is_empty());
    world.reach.down.lock().insert("http://127.0.0.1:5055", TargetError::Tls("not trusted".into()));
    assert_eq!(refusal(world.create(vec![config("mirror")]).await), ("CLUSTER_TLS".into(), "p/img/mirror".into()));
}

#[tokio::test]
async fn constraints_decide_what_a_task_is_about_and_defaults_are_filled_in() {
    let world = World::new();
    let (packages, paths) = (vec![package("docker://nginx", &[], &[])], vec![path("a.txt")]);
    for (given, with_packages, with_paths, expected) in [
        (ReplicaObjectType::Unspecified, false, false, ReplicaObjectType::Repository),
        (ReplicaObjectType::Unspecified, true, false, ReplicaObjectType::Package),
        (ReplicaObjectType::Unspecified, true, true, ReplicaObjectType::Path),
        (ReplicaObjectType::Repository, true, true, ReplicaObjectType::Repository),
    ] {
        let wanted = Config {
            object_type: given.into(),
            package_constraints: if with_packages { packages.clone() } else { Vec::new() },
            path_constraints: if with_paths { paths.clone() } else { Vec::new() },
            ..config("mirror")
        };
        let task = world.create_one(wanted).await.expect("a task").config.expect("a config");
        assert_eq!(task.object_type(), expected);
        let is_all = expected == ReplicaObjectType::Repository;
        assert_eq!(task.package_constraints.is_empty() && task.path_constraints.is_empty(), is_all);
        assert!(task.path_constraints.iter().all(|path| path.path == "/a.txt"));
        let settings = task.settings.expect("settings");
        assert_eq!(settings.conflict_strategy(), api::ConflictStrategy::Skip);
        assert_eq!(settings.error_strategy(), api::ErrorStrategy::Continue);
        assert_eq!((task.replica_type, task.enabled), (ReplicaType::RealTime.into(), Some(true)));
    }
}

#[tokio::test]
async fn a_registry_without_a_scheme_is_spoken_to_as_it_can_be() {
    let world = World::new();
    let url_of = |task: &api::Task| match task.config.clone().unwrap().target.unwrap().target {
        Some(target::Target::Registry(registry)) => registry.registry,
        other => panic!("{other:?}"),
    };
    let wanted = |name| Config { target: registry("127.0.0.1:5055/mirror", None), ..config(name) };
    assert_eq!(url_of(&world.create_one(wanted("first")).await.unwrap()), "https://127.0.0.1:5055/mirror");
    world.reach.down.lock().insert("https://", TargetError::Unreachable("no TLS there".into()));
    assert_eq!(url_of(&world.create_one(wanted("second")).await.unwrap()), "http://127.0.0.1:5055/mirror");
    // An untrusted certificate is no reason to send a password without any.
    world.reach.down.lock().insert("https://", TargetError::Tls("not trusted".into()));
    assert!(matches!(world.create_one(wanted("third")).await, Err(Error::Tls { .. })));
}

#[tokio::test]
async fn certificates_that_can_be_trusted_are_kept() {
    let world = World::new();
    let pem = certificate();
    let both = format!("{pem}{}", certificate());
    let task = world.create_one(with_registry(|registry| registry.certificate.clone_from(&both))).await.unwrap();
    let Some(target::Target::Registry(registry)) = task.config.unwrap().target.unwrap().target else { panic!() };
    assert_eq!(registry.certificate, both);
}

#[tokio::test]
async fn a_target_that_this_server_must_not_reach_is_refused_by_itself() {
    let world = World::with(Settings { private_targets: PrivateTargets::Refused, ..Settings::default() });
    assert_eq!(refusal(world.create(vec![config("mirror")]).await), ("TARGET_FORBIDDEN".into(), "url".into()));
    assert!(world.reach.asked.lock().is_empty(), "nobody was asked");
}
