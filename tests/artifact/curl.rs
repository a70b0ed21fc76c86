//! curl, with files.

use std::fs;

use sha2::{Digest as _, Sha256};

use crate::registry::Registry;
use crate::tool::Tool;

const LENGTH: usize = 64 << 20;

#[tokio::test]
async fn a_file_is_put_read_in_parts_and_deleted() {
    let Some(curl) = Tool::find("curl", "a_file_is_put_read_in_parts_and_deleted") else { return };
    let registry = Registry::start().await;
    let base = format!("http://{}", registry.address());
    let repository = r#"{"projectId":"p1","name":"gen","type":"GENERIC","category":"LOCAL","public":false}"#;
    let create = format!("{base}/repository/api/repo/create");
    curl.ok(&["-sSf", &create, "-H", "Content-Type: application/json", "-d", repository]).await;

    let content: Vec<u8> = (0..LENGTH).map(|position| (position * position % 253).to_le_bytes()[0]).collect();
    fs::write(curl.home().join("in"), &content).unwrap();
    let sha256 = format!("{:x}", Sha256::digest(&content));
    let url = format!("{base}/generic/p1/gen/some/file.bin");
    let is_wrong = ["-H", "X-BKREPO-SHA256: 0000000000000000000000000000000000000000000000000000000000000000"];
    let put = ["-T", "in", &url, "-H", "X-BKREPO-META-Author: me"];
    let (status, body) = ask(&curl, &[&put[..], &is_wrong].concat()).await;
    assert!(status == 400 && body.contains("251003"), "{status} {body}");
    let (status, _) = ask(&curl, &["-I", &url]).await;
    assert_eq!(status, 404, "nothing is there of what was wrong");

    let right = format!("X-BKREPO-SHA256: {sha256}");
    let (status, body) = ask(&curl, &[&put[..], &["-H", &right]].concat()).await;
    assert!(status == 200 && body.contains(&sha256), "{status} {body}");
    let (status, body) = ask(&curl, &put).await;
    assert!(status == 400 && body.contains("251012"), "{status} {body}");
    let (status, body) = ask(&curl, &[&put[..], &["-H", "X-BKREPO-OVERWRITE: true"]].concat()).await;
    assert_eq!(status, 200, "{body}");
    // Of a length that is not known before.
    let (status, body) = ask(&curl, &["-T", "in", &format!("{url}.2"), "-H", "Transfer-Encoding: chunked"]).await;
    assert!(status == 200 && body.contains(&sha256), "{status} {body}");

    curl.ok(&["-sSf", "-o", "out", &url]).await;
    assert!(fs::read(curl.home().join("out")).unwrap() == content, "all of it is read");
    for (range, first, last) in [("0-0", 0, 0), ("1000-1999", 1000, 1999), ("-7", LENGTH - 7, LENGTH - 1)] {
        let (status, _) = ask(&curl, &["-r", range, "-o", "part", &url]).await;
        assert_eq!(status, 206, "{range}");
        assert!(fs::read(curl.home().join("part")).unwrap() == content[first..=last], "{range}");
    }
    let (status, _) = ask(&curl, &["-r", "99999999-", &url]).await;
    assert_eq!(status, 416);
    // As somebody goes on with what broke off.
    fs::write(curl.home().join("out"), &content[..LENGTH / 3]).unwrap();
    curl.ok(&["-sSf", "-C", "-", "-o", "out", &url]).await;
    assert!(fs::read(curl.home().join("out")).unwrap() == content, "the rest is read");

    let (status, headers) = ask(&curl, &["-I", &url]).await;
    let headers = headers.to_lowercase();
    assert_eq!(status, 200, "{headers}");
    for header in [
        format!("content-length: {LENGTH}"),
        format!("x-checksum-sha256: {sha256}"),
        format!("etag: \"{sha256}\""),
        "x-checksum-md5: ".to_owned(),
        "x-checksum-crc64ecma: ".to_owned(),
        "last-modified: ".to_owned(),
        "accept-ranges: bytes".to_owned(),
    ] {
        assert!(headers.contains(&header), "{header} in {headers}");
    }
    let (status, body) = ask(&curl, &["-H", &format!("If-None-Match: \"{sha256}\""), &url]).await;
    assert_eq!((status, &*body), (304, ""));
    let (status, body) = ask(&curl, &[&format!("{base}/repository/api/metadata/p1/gen/some/file.bin")]).await;
    assert!(status == 200 && body.contains("author"), "{body}");

    for (method, expected) in [("DELETE", 200), ("DELETE", 404), ("GET", 404)] {
        let (status, body) = ask(&curl, &["-X", method, &url]).await;
        assert_eq!(status, expected, "{method}: {body}");
    }
    let (status, _) = ask(&curl, &["-o", "out", &format!("{url}.2")]).await;
    assert_eq!(status, 200, "the same bytes stay under another path");
    for path in ["../../etc/passwd", "a%00b", "%2e%2e/%2e%2e/x", &"a/".repeat(4000)] {
        let (status, _) =
            ask(&curl, &["--path-as-is", "-d", "x", "-X", "PUT", &format!("{base}/generic/p1/gen/{path}")]).await;
        assert!((400..500).contains(&status), "{path:.30}: {status}");
    }
}

/// The status and what is written of an answer.
async fn ask(curl: &Tool, args: &[&str]) -> (u16, String) {
    let said = curl.ok(&[&["-sS", "-w", "\n%{http_code}"], args].concat()).await;
    let (body, status) = said.rsplit_once('\n').expect("a status behind the body");
    (status.parse().expect("a status is a number"), body.to_owned())
}
