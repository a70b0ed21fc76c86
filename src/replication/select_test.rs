use proptest::prelude::*;
use steward_proto::replication::v1::{Config, PackageConstraint, PathConstraint};

use super::*;

fn package(constraint: &PackageConstraint) -> PackageRule {
    PackageRule::of(constraint).expect("a constraint that parses")
}

fn path(path: &str, regexes: &[&str]) -> PathRule {
    let path_regex = regexes.iter().map(|&regex| regex.to_owned()).collect();
    PathRule::of(&PathConstraint { path: path.to_owned(), path_regex }).expect("a constraint that parses")
}

#[test]
fn a_task_without_constraints_is_about_the_whole_repository() {
    let selection = Selection::of(&Config::default()).unwrap();
    assert!(matches!(selection, Selection::Whole));
    assert!(selection.has_path("/a") && selection.has_package("docker://a"));
}

#[test]
fn packages_are_named_by_key_glob_or_regular_expression() {
    let keyed = |key: &str| PackageConstraint { package_key: key.to_owned(), ..PackageConstraint::default() };
    let by_regex = |key: &str, regex: &str| PackageConstraint { package_regex: vec![regex.to_owned()], ..keyed(key) };
    for (constraint, key, matches) in [
        (keyed("docker://nginx"), "docker://nginx", true),
        (keyed("docker://nginx"), "docker://nginx2", false),
        (keyed("docker://team/*"), "docker://team/app", true),
        (keyed("docker://team/*"), "docker://team", false),
        (by_regex("", "docker://n.*"), "docker://nginx", true),
        (by_regex("", "n.*"), "docker://nginx", false),
        (by_regex("docker://t/*", ".*-prod"), "docker://t/a-prod", true),
        (by_regex("docker://t/*", ".*-prod"), "docker://t/a-test", false),
        (keyed(""), "docker://nginx", false),
    ] {
        assert_eq!(package(&constraint).matches(key), matches, "{constraint:?} and {key}");
    }
}

#[test]
fn versions_are_in_a_range_as_semantic_versions_are() {
    for (range, version, matches) in [
        (">=1.2, <2", "1.2.0", true),
        (">=1.2, <2", "v1.9.3", true),
        (">=1.2, <2", "1.2", true),
        (">=1.2, <2", "2.0.0", false),
        (">=1.2, <2", "latest", false),
        (">=1.2, <2", "1.3.0-rc1", false),
        ("^1.2", "v1.4+build", true),
        ("~1.2", "1.3.0", false),
        ("*", "7", true),
        ("1", "1.2.3.4", false),
    ] {
        let rule = package(&PackageConstraint { semver_range: range.to_owned(), ..PackageConstraint::default() });
        assert_eq!(rule.lets_through(version), matches, "{range} and {version}");
    }
}

#[test]
fn listed_versions_are_taken_whatever_else_is_said() {
    let rule = package(&PackageConstraint {
        versions: vec!["old".to_owned()],
        version_regex: vec!["v.*".to_owned()],
        newest: 1,
        ..PackageConstraint::default()
    });
    assert!(rule.lets_through("old") && !rule.lets_through("v1") && !rule.wants_newest());
}

#[test]
fn files_are_named_by_path_folder_or_glob() {
    for (rule, file, matches) in [
        (path("/a.txt", &[]), "/a.txt", true),
        (path("a.txt", &[]), "/a.txt", true),
        (path("/a.txt", &[]), "/a.txt.bak", false),
        (path("/dir/", &[]), "/dir/x/y", true),
        (path("/dir", &[]), "/dirx/y", false),
        (path("/", &[]), "/any/thing", true),
        (path("", &[r".*\.txt"]), "/dir/a.txt", true),
        (path("", &[r".*\.txt"]), "/dir/a.bin", false),
        (path("/dir/*.txt", &[]), "/dir/a.txt", true),
        (path("/dir/*.txt", &[]), "/dir/x/a.txt", false),
    ] {
        assert_eq!(rule.matches(file), matches, "{rule:?} and {file}");
    }
}

#[test]
fn a_constraint_that_does_not_parse_is_named() {
    let config = Config {
        package_constraints: vec![PackageConstraint { semver_range: "about 1".into(), ..Default::default() }],
        ..Config::default()
    };
    assert!(Selection::of(&config).unwrap_err().contains("about 1"));
}

proptest! {
    #[test]
    fn the_newest_are_those_that_sorting_would_give(times in proptest::collection::vec(0..50_i128, 0..60), limit in 1..12_usize) {
        let mut newest = Newest::new(limit);
        let mut all: Vec<(i128, String)> =
            times.iter().enumerate().map(|(number, &time)| (time, format!("v{number}"))).collect();
        for (time, name) in &all {
            newest.add(*time, name);
        }
        all.sort_by(|a, b| b.cmp(a));
        let expected: HashSet<String> = all.into_iter().take(limit).map(|(_, name)| name).collect();
        prop_assert_eq!(newest.names(), expected);
    }

    #[test]
    fn a_folder_has_exactly_what_is_below_it(parts in proptest::collection::vec("[a-c]{1,2}", 1..4), more in "[a-c/]{0,4}") {
        let folder = format!("/{}", parts.join("/"));
        let file = format!("{folder}{more}");
        let rule = path(&folder, &[]);
        prop_assert_eq!(rule.matches(&file), more.is_empty() || more.starts_with('/'));
        let around = rule.folder();
        prop_assert!(file.starts_with(around));
    }

    #[test]
    fn what_a_glob_of_paths_matches_is_in_its_folder(pattern in "/[a-b*?/]{0,6}", file in "/[a-b/]{0,6}") {
        let rule = path(&pattern, &[]);
        if rule.matches(&file) {
            let folder = rule.folder().trim_end_matches('/');
            prop_assert!(file == folder || file.starts_with(&format!("{folder}/")) , "{:?} {}", rule, file);
        }
    }

    #[test]
    fn no_text_is_too_strange(key: String, version: String, pattern: String) {
        let constraint = PackageConstraint { package_key: key.clone(), ..PackageConstraint::default() };
        if let Ok(rule) = PackageRule::of(&constraint) {
            let _ = rule.matches(&pattern);
            let _ = rule.lets_through(&version);
        }
        let _ = is_inside(&VersionReq::STAR, &version);
        if let Ok(rule) = PathRule::of(&PathConstraint { path: pattern, path_regex: Vec::new() }) {
            let _ = rule.matches(&key);
        }
    }
}
