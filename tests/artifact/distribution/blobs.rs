//! Blobs: pushed at once, read, mounted and deleted.

use super::table::{Algorithm, Table, bytes, ending, location};

const IMAGE: &str = "p1/img/c1";
const OTHER: &str = "p1/img/c2";

pub(super) async fn check(table: &mut Table, algorithm: Algorithm) {
    table.area(format!("blobs by {}", algorithm.name()));
    let content = bytes(&format!("blob {}", algorithm.name()), 2048);
    let digest = algorithm.of(&content);
    let path = format!("/v2/{IMAGE}/blobs/{digest}");
    for method in ["GET", "HEAD"] {
        let answer = table.ask(method, &path, &[], b"").await;
        table.row(&format!("{method} of an unknown blob"), &answer, &[404]);
    }
    push_at_once(table, algorithm, "a blob", &content).await;
    push_at_once(table, algorithm, "a blob that is there", &content).await;
    for (what, content) in [("an empty blob", &b""[..]), ("an empty object", b"{}")] {
        push_at_once(table, algorithm, what, content).await;
        push_in_two(table, algorithm, what, content).await;
    }
    push_in_two(table, algorithm, "a blob in two steps", &bytes(algorithm.name(), 3 << 20)).await;
    read(table, &path, &digest, &content).await;
    refused(table, algorithm).await;

    let answer = table.ask("DELETE", &path, &[], b"").await;
    table.row("delete", &answer, &[202]);
    for method in ["GET", "HEAD", "DELETE"] {
        let answer = table.ask(method, &path, &[], b"").await;
        table.row(&format!("{method} of a deleted blob"), &answer, &[404]);
    }
    push_at_once(table, algorithm, "a blob that was deleted", &content).await;
}

async fn push_at_once(table: &mut Table, algorithm: Algorithm, what: &str, content: &[u8]) {
    let digest = algorithm.of(content);
    let path = format!("/v2/{IMAGE}/blobs/uploads/?digest={digest}");
    let answer = table.ask("POST", &path, &[("Content-Type", "application/octet-stream")], content).await;
    table.row(&format!("push of {what}"), &answer, &[201]);
    table.header(&format!("push of {what}"), &answer, "docker-content-digest", &digest);
    is_at(table, what, &location(&answer), content).await;
}

async fn push_in_two(table: &mut Table, algorithm: Algorithm, what: &str, content: &[u8]) {
    let answer = table.ask("POST", &format!("/v2/{IMAGE}/blobs/uploads/"), &[], b"").await;
    table.row(&format!("begin of {what}"), &answer, &[202]);
    let path = ending(&location(&answer), &algorithm.of(content));
    let answer = table.ask("PUT", &path, &[("Content-Type", "application/octet-stream")], content).await;
    table.row(&format!("end of {what}"), &answer, &[201]);
    is_at(table, what, &location(&answer), content).await;
}

/// A row: these bytes are there.
pub(super) async fn is_at(table: &mut Table, what: &str, path: &str, content: &[u8]) {
    let answer = table.ask("GET", path, &[], b"").await;
    table.row(&format!("{what} can be read"), &answer, &[200]);
    table.holds(&format!("{what} is what was sent"), answer.body == content, answer.body.len());
}

async fn read(table: &mut Table, path: &str, digest: &str, content: &[u8]) {
    let answer = table.ask("HEAD", path, &[], b"").await;
    table.row("HEAD", &answer, &[200]);
    table.header("HEAD", &answer, "content-length", "2048");
    table.header("HEAD", &answer, "docker-content-digest", digest);
    for (range, first, last) in [
        ("500-1499", 500, 1499),
        ("500-", 500, 2047),
        ("-500", 1548, 2047),
        ("0-0", 0, 0),
        ("2000-5000", 2000, 2047),
        ("-5000", 0, 2047),
    ] {
        let answer = table.ask("GET", path, &[("Range", &format!("bytes={range}"))], b"").await;
        table.row(&format!("range {range}"), &answer, &[206]);
        table.header(&format!("range {range}"), &answer, "content-range", &format!("bytes {first}-{last}/2048"));
        let fits = answer.body == content[first..=last];
        table.holds(&format!("range {range} is what was sent"), fits, answer.body.len());
    }
    for range in ["500-0", "5000-10000", "2048-", "-0"] {
        let answer = table.ask("GET", path, &[("Range", &format!("bytes={range}"))], b"").await;
        table.row(&format!("range {range}"), &answer, &[416]);
    }
    let tag = format!("\"{digest}\"");
    let answer = table.ask("GET", path, &[("If-None-Match", &tag)], b"").await;
    table.row("read of what is known", &answer, &[304]);
}

async fn refused(table: &mut Table, algorithm: Algorithm) {
    let claimed = algorithm.of(b"something else");
    let answer = table.ask("POST", &format!("/v2/{IMAGE}/blobs/uploads/?digest={claimed}"), &[], b"a lie").await;
    table.row("push with a wrong digest", &answer, &[400]);
    let begun = table.ask("POST", &format!("/v2/{IMAGE}/blobs/uploads/"), &[], b"").await;
    let answer = table.ask("PUT", &ending(&location(&begun), &claimed), &[], b"a lie").await;
    table.row("end with a wrong digest", &answer, &[400]);
    let answer = table.ask("HEAD", &format!("/v2/{IMAGE}/blobs/{claimed}"), &[], b"").await;
    table.row("what was claimed is not there", &answer, &[404]);

    let long = format!("{}:{}", algorithm.name(), "a".repeat(6000));
    let upper = claimed.replace(char::is_alphabetic, "A");
    let garbage = ["", "sha256:", "sha256:baddigeststring", "nonsense", "md5:d41d8cd98f00b204e9800998ecf8427e"];
    let garbage = garbage.into_iter().chain(["sha256:%2e%2e%2f%2e%2e%2fx", "%00", "sha512:%ff%fe", &long, &upper]);
    for digest in garbage {
        let shown = &digest[..digest.len().min(40)];
        let begun = table.ask("POST", &format!("/v2/{IMAGE}/blobs/uploads/"), &[], b"").await;
        let answer = table.ask("PUT", &ending(&location(&begun), digest), &[], b"abc").await;
        table.row(&format!("end with {shown:?}"), &answer, &[400, 414]);
        for method in ["GET", "HEAD", "DELETE"] {
            let answer = table.ask(method, &format!("/v2/{IMAGE}/blobs/{digest}"), &[], b"").await;
            table.row(&format!("{method} of {shown:?}"), &answer, &[400, 404, 414]);
        }
        if !digest.is_empty() {
            let path = format!("/v2/{IMAGE}/blobs/uploads/?digest={digest}");
            let answer = table.ask("POST", &path, &[], b"abc").await;
            table.row(&format!("push with {shown:?}"), &answer, &[400, 414]);
        }
    }
}

pub(super) async fn check_mounts(table: &mut Table, algorithm: Algorithm) {
    table.area(format!("mounts by {}", algorithm.name()));
    let content = bytes(&format!("mounted {}", algorithm.name()), 4096);
    let digest = algorithm.of(&content);
    let mount = format!("/v2/{OTHER}/blobs/uploads/?mount={digest}&from={}", IMAGE.replace('/', "%2F"));
    let answer = table.ask("POST", &mount, &[], b"").await;
    table.row("mount of a missing blob", &answer, &[202]);
    // What was begun instead can be used.
    let ended = table.ask("PUT", &ending(&location(&answer), &digest), &[], &content).await;
    table.row("upload after a mount that failed", &ended, &[201]);
    let answer = table.ask("DELETE", &location(&ended), &[], b"").await;
    table.row("delete of it", &answer, &[202]);

    table.push(IMAGE, &digest, &content).await;
    let answer = table.ask("GET", &format!("/v2/{OTHER}/blobs/{digest}"), &[], b"").await;
    table.row("a blob of another image", &answer, &[404]);
    let answer = table.ask("POST", &mount, &[], b"").await;
    table.row("mount", &answer, &[201]);
    table.header("mount", &answer, "docker-content-digest", &digest);
    is_at(table, "what is mounted", &location(&answer), &content).await;

    let anonymous = format!("/v2/p1/img/c3/blobs/uploads/?mount={digest}");
    let answer = table.ask("POST", &anonymous, &[], b"").await;
    table.row("mount from anywhere", &answer, &[201]);
    for from in ["p1/img/none", "nobody/has/this", "short", "UPPER/x/y", "%00"] {
        let missing = algorithm.of(from.as_bytes());
        let path = format!("/v2/{OTHER}/blobs/uploads/?mount={missing}&from={from}");
        let answer = table.ask("POST", &path, &[], b"").await;
        table.row(&format!("mount from {from:?}"), &answer, &[202]);
    }
    // What one image gives up stays in the other.
    let answer = table.ask("DELETE", &format!("/v2/{IMAGE}/blobs/{digest}"), &[], b"").await;
    table.row("delete of what is mounted elsewhere", &answer, &[202]);
    is_at(table, "the mounted one", &format!("/v2/{OTHER}/blobs/{digest}"), &content).await;
}
