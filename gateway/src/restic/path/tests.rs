use proptest::prelude::*;
use steward_proto::restic::v1::{ObjectKey, ObjectType};

use super::{Error, Target, parse, parse_shared};

const NAME: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const TYPES: [(&str, ObjectType); 5] = [
    ("data", ObjectType::Data),
    ("index", ObjectType::Index),
    ("keys", ObjectType::Key),
    ("locks", ObjectType::Lock),
    ("snapshots", ObjectType::Snapshot),
];

fn repository(path: &str) -> Target {
    Target::Repository(path.to_owned())
}

fn config(repository: &str) -> Target {
    let key =
        ObjectKey { repository: repository.to_owned(), r#type: ObjectType::Config.into(), ..ObjectKey::default() };
    Target::Object(key)
}

fn object(repository: &str, r#type: ObjectType) -> Target {
    Target::Object(ObjectKey { repository: repository.to_owned(), r#type: r#type.into(), name: NAME.to_owned() })
}

#[test]
fn repositories_of_any_depth_are_read() {
    for (path, expected) in [
        ("/", ""),
        ("/a/", "a"),
        ("/a/b/", "a/b"),
        ("/a/b/c/d/e/f/g/", "a/b/c/d/e/f/g"),
        ("/restic/", "restic"),
        ("/a%20b/%E4%BB%93%E5%BA%93/", "a b/仓库"),
        ("/仓库/", "仓库"),
        ("/%2541/", "%41"),
        ("/a+b/", "a+b"),
        ("/DATA/Config/", "DATA/Config"),
        ("/.hidden/...", ".hidden/..."),
    ] {
        let path = if path.ends_with('/') { path.to_owned() } else { format!("{path}/") };
        assert_eq!(parse(&path), Ok(repository(expected)), "{path}");
        assert_eq!(parse(&format!("{path}config")), Ok(config(expected)), "{path}");
        for (segment, r#type) in TYPES {
            assert_eq!(parse(&format!("{path}{segment}/")), Ok(Target::List(expected.to_owned(), r#type)), "{path}");
            assert_eq!(parse(&format!("{path}{segment}/{NAME}")), Ok(object(expected, r#type)), "{path}");
        }
    }
}

#[test]
fn escapes_are_read_once_wherever_they_are() {
    assert_eq!(parse("/%64ata/"), Ok(Target::List(String::new(), ObjectType::Data)));
    assert_eq!(parse("/conf%69g"), Ok(config("")));
    assert_eq!(parse(&format!("/keys/%30{}", &NAME[1..])), Ok(object("", ObjectType::Key)));
    assert_eq!(parse_shared("/%72estic/%64ata/"), Some(Ok(Target::List(String::new(), ObjectType::Data))));
}

#[test]
fn wrong_paths_are_told_apart() {
    let long = "x".repeat(256);
    let deep = format!("/{}", "x/".repeat(201));
    for (path, expected) in [
        ("", Error::NotAbsolute),
        ("*", Error::NotAbsolute),
        ("//", Error::BadSegment),
        ("//config", Error::BadSegment),
        ("/a//config", Error::BadSegment),
        ("/./config", Error::BadSegment),
        ("/../config", Error::BadSegment),
        ("/a/%2e%2E/config", Error::BadSegment),
        ("/a/.%2e/", Error::BadSegment),
        ("/a%2fb/", Error::BadSegment),
        ("/a%5Cb/", Error::BadSegment),
        ("/a\\b/", Error::BadSegment),
        ("/a%00/", Error::BadSegment),
        ("/a%0a/", Error::BadSegment),
        ("/a%7f/", Error::BadSegment),
        ("/a%C2%85/", Error::BadSegment),
        ("/.steward/", Error::BadSegment),
        ("/.stewardship/config", Error::BadSegment),
        ("/a/.htpasswd/", Error::BadSegment),
        ("/.htpasswd", Error::BadSegment),
        ("/a%/", Error::BadEscape),
        ("/a%4/", Error::BadEscape),
        ("/a%zz/", Error::BadEscape),
        ("/a%+1/", Error::BadEscape),
        ("/a%ff/", Error::BadEscape),
        ("/data", Error::NoSlash),
        ("/a/b", Error::NoSlash),
        ("/config/", Error::UnknownType("config".to_owned())),
        ("/config/foo", Error::UnknownType("config".to_owned())),
        ("/data/foobar", Error::BadName),
        ("/data/%2e%2e", Error::BadSegment),
        ("/data/../config", Error::TooDeep),
        ("/data//", Error::TooDeep),
        (&format!("/data/{NAME}/"), Error::TooDeep),
        (&format!("/data/{}", NAME.to_uppercase()), Error::BadName),
        (&format!("/data/{NAME}0"), Error::BadName),
        (&format!("/data/{}", &NAME[1..]), Error::BadName),
        (&format!("/{long}/"), Error::TooLong),
        (&deep, Error::TooLong),
        (&"/x".repeat(10_000), Error::TooLong),
        (&"/".repeat(10_000), Error::TooLong),
    ] {
        assert_eq!(parse(path), Err(expected), "{path}");
    }
}

#[test]
fn longest_paths_are_read_even_if_all_is_escaped() {
    let escaped = "%78".repeat(200);
    let all = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
    let (name, snapshots) = (all(NAME), all("snapshots"));
    let target = parse(&format!("/{escaped}/{}/{snapshots}/{name}", "%78".repeat(199)));
    let expected = format!("{}/{}", "x".repeat(200), "x".repeat(199));
    assert_eq!(target, Ok(object(&expected, ObjectType::Snapshot)));
}

#[test]
fn shared_port_has_the_root_repository_and_others_below_restic() {
    for (shared, alone) in [
        ("/", "/"),
        ("/config", "/config"),
        ("/data/", "/data/"),
        ("/data", "/data"),
        ("/data/x/y", "/data/x/y"),
        ("/config/", "/config/"),
        ("/restic/", "/"),
        ("/restic/config", "/config"),
        ("/restic/a/b/locks/", "/a/b/locks/"),
        ("/restic/lock/", "/lock/"),
        ("/restic/restic/", "/restic/"),
        ("/restic/../config", "/../config"),
        ("/restic//config", "//config"),
    ] {
        assert_eq!(parse_shared(shared), Some(parse(alone)), "{shared}");
    }
    assert_eq!(parse_shared("/restic"), Some(Err(Error::NoSlash)));
}

#[test]
fn shared_port_knows_what_is_not_its_own() {
    for path in [
        "",
        "*",
        "/bogus",
        "/bogus/a/b",
        "/bogus/a/",
        "//",
        "//config",
        "//lock",
        "/lock/",
        "/lock/x",
        "/Lock/x",
        "/unlock/",
        "/infer/",
        "/api/x",
        "/v2/",
        "/repository/x",
        "/generic/x",
        "/SnapshotCloneService/x",
    ] {
        assert_eq!(parse_shared(path), None, "{path}");
    }
    for (path, expected) in [
        ("/bogus/", Error::UnknownType("bogus".to_owned())),
        ("/bogus/x", Error::UnknownType("bogus".to_owned())),
        ("/Data/", Error::UnknownType("Data".to_owned())),
        ("/../config", Error::BadSegment),
        ("/%2e%2e/config", Error::BadSegment),
        ("/%zz/", Error::BadEscape),
    ] {
        assert_eq!(parse_shared(path), Some(Err(expected)), "{path}");
    }
    assert_eq!(Error::UnknownType("bogus".to_owned()).to_string(), "Invalid type: bogus");
}

/// Writes a path as a client could: every byte that `escape` says, and all that must be, escaped.
fn print(target: &Target, escape: impl Fn(u8) -> bool) -> String {
    let escaped = |text: &str| -> String {
        let escape = |byte: u8| {
            if escape(byte) || !byte.is_ascii_graphic() || b"%/?#".contains(&byte) {
                format!("%{byte:02X}")
            } else {
                char::from(byte).to_string()
            }
        };
        text.bytes().map(escape).collect()
    };
    let directory = |path: &str| -> String {
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        format!("/{}", segments.map(|segment| escaped(segment) + "/").collect::<Vec<_>>().concat())
    };
    let segment = |r#type| TYPES.iter().find(|(_, other)| *other == r#type).map_or("config", |(segment, _)| segment);
    match target {
        Target::Repository(path) => directory(path),
        Target::List(path, r#type) => format!("{}{}/", directory(path), segment(*r#type)),
        Target::Object(key) if key.name.is_empty() => format!("{}config", directory(&key.repository)),
        Target::Object(key) => {
            format!("{}{}/{}", directory(&key.repository), segment(key.r#type()), escaped(&key.name))
        }
    }
}

prop_compose! {
    fn any_path()(segments in prop::collection::vec("[a-zA-Z0-9 %?#+.~é仓]{1,12}", 0..6)) -> String {
        let is_plain = |segment: &String| !matches!(segment.as_str(), "." | ".." | "config" | "data" | "index" | "keys" | "locks");
        segments.into_iter().filter(is_plain).collect::<Vec<_>>().join("/")
    }
}

fn any_target() -> impl Strategy<Value = Target> {
    let any_type = || prop::sample::select(TYPES.map(|(_, r#type)| r#type).to_vec());
    prop_oneof![
        any_path().prop_map(Target::Repository),
        any_path().prop_map(|path| config(&path)),
        (any_path(), any_type()).prop_map(|(path, r#type)| Target::List(path, r#type)),
        (any_path(), any_type(), "[0-9a-f]{64}").prop_map(|(repository, r#type, name)| {
            Target::Object(ObjectKey { repository, r#type: r#type.into(), name })
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_printed_is_read(target in any_target(), escaped: u8) {
        prop_assert_eq!(parse(&print(&target, |byte| byte % 7 == escaped % 8)), Ok(target));
    }

    #[test]
    fn nothing_panics_and_repositories_stay_inside(path in "(/|%2[eEfF]|\\.|%5c|%00|data|config|restic|[^/]){0,40}") {
        for target in [Some(parse(&path)), parse_shared(&path)].into_iter().flatten().flatten() {
            let repository = match target {
                Target::Repository(path) | Target::List(path, _) => path,
                Target::Object(key) => key.repository,
            };
            prop_assert!(!repository.contains(['\0', '\\']));
            let is_inside = |segment: &str| !matches!(segment, "" | "." | "..");
            prop_assert!(repository.is_empty() || repository.split('/').all(is_inside), "{repository}");
        }
    }
}
