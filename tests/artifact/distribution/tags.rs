//! Tags, and what is deleted by them and by digest.

use serde_json::json;

use super::manifests::{plain, prepare, text};
use super::table::{Algorithm, Table, json};
use crate::common::http::Answer;
use crate::layout::MANIFEST;

const TAGS: [&str; 5] = ["alpha", "beta", "gamma", "v1.0", "v1.1"];

pub(super) async fn check(table: &mut Table, algorithm: Algorithm) {
    table.area(format!("tags by {}", algorithm.name()));
    let image = format!("p1/img/tags-{}", algorithm.name());
    prepare(table, &image, algorithm).await;
    let manifest = text(&plain(algorithm, "tagged"));
    for tag in TAGS.iter().rev() {
        let answer = put(table, &image, tag, &manifest).await;
        table.row(&format!("push of {tag}"), &answer, &[201]);
    }
    listed(table, &image, "", &TAGS, None).await;
    listed(table, &image, "?n=2", &TAGS[..2], Some("beta")).await;
    listed(table, &image, "?n=2&last=beta", &TAGS[2..4], Some("v1.0")).await;
    listed(table, &image, "?n=2&last=v1.0", &TAGS[4..], None).await;
    listed(table, &image, "?n=5", &TAGS, None).await;
    listed(table, &image, "?n=0", &[], None).await;
    listed(table, &image, "?n=100&last=gamma", &TAGS[3..], None).await;
    // What is not there has its place among the others all the same.
    listed(table, &image, "?last=c", &TAGS[2..], None).await;
    listed(table, &image, "?last=zzz", &[], None).await;
    for n in ["-1", "x", "1e9"] {
        let answer = table.ask("GET", &format!("/v2/{image}/tags/list?n={n}"), &[], b"").await;
        table.row(&format!("n={n}"), &answer, &[400]);
    }
    followed(table, &image).await;

    let named = text(&plain(algorithm, "named"));
    let digest = algorithm.of(&named);
    let answer = put(table, &image, &format!("{digest}?tag=more&tag=most"), &named).await;
    table.row("push by digest with tags", &answer, &[201]);
    table.holds("the tags are told", answer.header("oci-tag") == Some("more"), answer.header("oci-tag"));
    for tag in ["more", "most"] {
        let answer = table.ask("GET", &format!("/v2/{image}/manifests/{tag}"), &[], b"").await;
        table.row(&format!("read of {tag}"), &answer, &[200]);
        table.header(&format!("read of {tag}"), &answer, "docker-content-digest", &digest);
        table.holds(&format!("{tag} is what was pushed"), answer.body == named, answer.body.len());
    }
    let answer = put(table, &image, &format!("{}?tag=-bad", algorithm.of(&manifest)), &manifest).await;
    table.row("push by digest with a bad tag", &answer, &[400]);

    let moved = text(&plain(algorithm, "moved"));
    let answer = put(table, &image, "alpha", &moved).await;
    table.row("push of a tag that is there", &answer, &[201]);
    let answer = table.ask("GET", &format!("/v2/{image}/manifests/alpha"), &[], b"").await;
    table.holds("the tag has moved", answer.body == moved, answer.body.len());
}

async fn put(table: &Table, image: &str, reference: &str, manifest: &[u8]) -> Answer {
    table.ask("PUT", &format!("/v2/{image}/manifests/{reference}"), &[("Content-Type", MANIFEST)], manifest).await
}

async fn listed(table: &mut Table, image: &str, query: &str, expected: &[&str], next: Option<&str>) {
    let answer = table.ask("GET", &format!("/v2/{image}/tags/list{query}"), &[], b"").await;
    let row = format!("list {query:?}");
    table.row(&row, &answer, &[200]);
    let fits = json(&answer) == json!({ "name": image, "tags": expected });
    table.holds(&format!("{row}: names"), fits, answer.text());
    let link = answer.header("link");
    let fits = match next {
        None => link.is_none(),
        Some(last) => {
            link.is_some_and(|link| link.contains(&format!("last={last}>")) && link.ends_with("rel=\"next\""))
        }
    };
    table.holds(&format!("{row}: link"), fits, link);
}

/// Links lead to all names, each once.
async fn followed(table: &mut Table, image: &str) {
    let mut path = format!("/v2/{image}/tags/list?n=2");
    let mut seen = Vec::new();
    for _ in 0..TAGS.len() {
        let answer = table.ask("GET", &path, &[], b"").await;
        seen.extend(json(&answer)["tags"].as_array().cloned().unwrap_or_default());
        let next = answer.header("link").and_then(|link| link.strip_prefix('<')?.split_once('>'));
        let Some((next, _)) = next else { break };
        next.clone_into(&mut path);
    }
    table.holds("all pages", json!(seen) == json!(TAGS), seen);
}

pub(super) async fn check_deletes(table: &mut Table, algorithm: Algorithm) {
    table.area(format!("deletes by {}", algorithm.name()));
    let image = format!("p1/img/deletes-{}", algorithm.name());
    prepare(table, &image, algorithm).await;
    let manifest = text(&plain(algorithm, "deleted"));
    let digest = algorithm.of(&manifest);
    put(table, &image, &digest, &manifest).await;
    for tag in ["one", "two"] {
        // A tag that is pushed alone names what the registry's own algorithm makes of it.
        let answer = put(table, &image, &format!("{digest}?tag={tag}"), &manifest).await;
        table.row(&format!("push of {tag}"), &answer, &[201]);
    }
    let answer = table.ask("DELETE", &format!("/v2/{image}/manifests/one"), &[], b"").await;
    table.row("delete of a tag", &answer, &[202]);
    for (reference, status) in [("one", 404), ("two", 200), (&*digest, 200)] {
        for method in ["GET", "HEAD"] {
            let answer = table.ask(method, &format!("/v2/{image}/manifests/{reference}"), &[], b"").await;
            table.row(&format!("{method} of {reference} then"), &answer, &[status]);
        }
    }
    listed(table, &image, "", &["two"], None).await;
    let answer = table.ask("DELETE", &format!("/v2/{image}/manifests/{digest}"), &[], b"").await;
    table.row("delete of a manifest", &answer, &[202]);
    for reference in ["two", &*digest] {
        for method in ["GET", "HEAD", "DELETE"] {
            let answer = table.ask(method, &format!("/v2/{image}/manifests/{reference}"), &[], b"").await;
            table.row(&format!("{method} of {reference} after all"), &answer, &[404]);
        }
    }
    let answer = table.ask("GET", &format!("/v2/{image}/tags/list"), &[], b"").await;
    let tags = &json(&answer)["tags"];
    table.holds("no tags are left", answer.status == 404 || *tags == json!([]), tags);
    let blob = format!("/v2/{image}/blobs/{}", algorithm.of(b"{}"));
    let answer = table.ask("DELETE", &blob, &[], b"").await;
    table.row("delete of what it consisted of", &answer, &[202]);
    let answer = table.ask("HEAD", &blob, &[], b"").await;
    table.row("it is gone", &answer, &[404]);
    let answer = put(table, &image, "again", &manifest).await;
    table.row("push of a manifest without its blob", &answer, &[400, 404]);
}
