//! Requests that are wrong, and what they are told.

use std::collections::HashMap;

use super::*;

fn violations(error: Error) -> Vec<String> {
    match error {
        Error::Violations(violations) => violations.into_iter().map(|(field, _)| field).collect(),
        other => panic!("not about fields: {other:?}"),
    }
}

fn new_target(path: &str) -> api::FileTarget {
    api::FileTarget {
        project: "p1".to_owned(),
        repository: "r1".to_owned(),
        path: path.to_owned(),
        ..api::FileTarget::default()
    }
}

#[test]
fn every_wrong_field_of_a_file_is_named() {
    let target = api::FileTarget {
        project: String::new(),
        repository: String::new(),
        path: "/a/../b".to_owned(),
        metadata: HashMap::from([("ü".to_owned(), String::new())]),
        expire_time: convert::when(5),
        only_if_sha256: "abc".to_owned(),
        overwrite: false,
        ttl: None,
    };
    let start = api::FileStart { target: Some(target), sha256: "x".repeat(64), md5: "5".to_owned(), size: -1 };
    let error = put(start, 10, 100).expect_err("nothing of it is right");
    assert_eq!(
        violations(error),
        ["sha256", "md5", "size", "path", "metadata", "only_if_sha256", "expire_time", "project", "repository"]
    );
    let missing = put(api::FileStart::default(), 10, 100).expect_err("no target");
    assert_eq!(violations(missing), ["target"]);
}

#[test]
fn a_file_is_read_with_all_that_belongs_to_it() {
    let target = api::FileTarget { expire_time: convert::when(11), ..new_target("a.txt") };
    let start = api::FileStart { target: Some(target), sha256: "AB".repeat(32), md5: String::new(), size: 7 };
    let (put, expected) = put(start.clone(), 10, 100).expect("a file");
    assert_eq!((put.place.path.as_str(), put.expire_us), ("/a.txt", 11));
    assert_eq!(expected, Expected { sha256: "ab".repeat(32), md5: String::new(), size: 7 });
    assert!(matches!(super::put(start, 10, 6), Err(Error::TooLarge { limit: 6, .. })));
}

#[test]
fn an_upload_has_to_be_whole_and_of_the_right_bytes() {
    let expected = Expected { sha256: Digest::of(Algorithm::Sha256, b"abc").hex(), md5: "1".repeat(32), size: 3 };
    assert!(expected.check_size(3, 3).is_ok());
    assert!(matches!(expected.check_size(4, 3), Err(Error::UploadBrokenOff(_))));
    assert!(matches!(expected.check_size(4, 4), Err(Error::UploadBrokenOff(_))), "another size was announced");
    assert!(matches!(expected.check_size(-1, 3), Err(Error::Invalid { field: "finish.size", .. })));
    let kept = |content: &[u8], md5: &str| Kept {
        digest: Digest::of(Algorithm::Sha256, content),
        size: 3,
        md5: md5.repeat(32),
        crc64ecma: String::new(),
    };
    assert!(expected.check("/a", &kept(b"abc", "1")).is_ok());
    for wrong in [kept(b"abd", "1"), kept(b"abc", "2")] {
        assert!(matches!(expected.check("/a", &wrong), Err(Error::DigestMismatch { .. })));
    }
}

#[test]
fn only_a_sha256_is_committed() {
    for (digest, is_right) in [
        (Digest::of(Algorithm::Sha256, b"").to_string(), true),
        (Digest::of(Algorithm::Sha512, b"").to_string(), false),
        (String::new(), false),
        ("sha256:xyz".to_owned(), false),
    ] {
        let request = api::CommitFileRequest {
            target: Some(new_target("/a")),
            digest: digest.clone(),
            md5: String::new(),
            crc64ecma: "18446744073709551615".to_owned(),
        };
        match commit(request, 0) {
            Ok(_) => assert!(is_right, "{digest}"),
            Err(error) => {
                assert!(!is_right, "{digest}");
                assert_eq!(violations(error), ["digest"]);
            }
        }
    }
}

#[test]
fn of_many_paths_each_wrong_one_is_named() {
    let request = api::StatFilesRequest {
        project: "p1".to_owned(),
        repository: "r1".to_owned(),
        paths: ["/a", "", "/b", "/x/"].map(str::to_owned).to_vec(),
    };
    assert_eq!(violations(paths(&request).expect_err("two are wrong")), ["paths[1]", "paths[3]"]);
    let many = api::StatFilesRequest { paths: vec!["/a".to_owned(); 1001], ..request };
    assert_eq!(violations(paths(&many).expect_err("too many")), ["paths"]);
}

#[test]
fn lists_and_deletions_name_their_fields() {
    let request = api::ListFilesRequest {
        folder: "/a//b".to_owned(),
        page_size: -1,
        page_token: "?".to_owned(),
        pattern: "*".repeat(300),
        ..api::ListFilesRequest::default()
    };
    let error = list(request).expect_err("nothing of it is right");
    assert_eq!(violations(error), ["page_size", "page_token", "folder", "pattern", "project", "repository"]);
    let request = api::UpdateFileMetadataRequest {
        project: "p1".to_owned(),
        repository: "r1".to_owned(),
        path: "/".to_owned(),
        metadata: HashMap::from([("K".to_owned(), "v".repeat(3000))]),
        delete_keys: vec!["k".to_owned(); 65],
    };
    assert_eq!(violations(metadata(request).expect_err("wrong")), ["path", "metadata", "delete_keys"]);
    let request =
        api::DeleteFileRequest { project: "p/1".to_owned(), repository: "r1".to_owned(), ..Default::default() };
    assert_eq!(violations(delete(request).expect_err("wrong")), ["path"]);
}
