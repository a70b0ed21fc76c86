//! What refers to a manifest.

use serde_json::{Value, json};

use super::manifests::{descriptor, plain, prepare, text};
use super::table::{Algorithm, Table, json};
use crate::layout::{INDEX, MANIFEST};

const SIGNATURE: &str = "application/vnd.example.signature";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A row: there are none, and that is an answer.
pub(super) async fn none(table: &mut Table, row: &str, path: &str) {
    let answer = table.ask("GET", path, &[], b"").await;
    table.row(row, &answer, &[200]);
    table.header(row, &answer, "content-type", INDEX);
    let expected = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] });
    table.holds(&format!("{row}: nothing"), json(&answer) == expected, json(&answer));
}

pub(super) async fn check(table: &mut Table, algorithm: Algorithm) {
    table.area(format!("referrers by {}", algorithm.name()));
    let image = format!("p1/img/referred-{}", algorithm.name());
    prepare(table, &image, algorithm).await;
    let subject = text(&plain(algorithm, "subject"));
    let digest = algorithm.of(&subject);
    let path = format!("/v2/{image}/referrers/{digest}");
    none(table, "before there is anything", &path).await;

    let mut typed = plain(algorithm, "typed");
    typed["artifactType"] = json!(SIGNATURE);
    let untyped = plain(algorithm, "untyped");
    let index = json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "artifactType": "application/vnd.example.index",
        "manifests": [],
        "annotations": { "org.example.seed": "index" },
    });
    let referrers = [(MANIFEST, typed, SIGNATURE), (MANIFEST, untyped, CONFIG)];
    let referrers = referrers.into_iter().chain([(INDEX, index, "application/vnd.example.index")]);
    let referrers: Vec<_> = referrers
        .map(|(media_type, mut manifest, artifact_type)| {
            manifest["subject"] = descriptor(MANIFEST, algorithm, &subject);
            (media_type, manifest, artifact_type)
        })
        .collect();
    let mut expected: Vec<Value> = Vec::new();
    for (media_type, manifest, artifact_type) in &referrers {
        let content = text(manifest);
        let by_digest = format!("/v2/{image}/manifests/{}", algorithm.of(&content));
        let answer = table.ask("PUT", &by_digest, &[("Content-Type", media_type)], &content).await;
        table.row("push of a referrer", &answer, &[201]);
        // Though there is no such subject yet.
        table.header("push of a referrer", &answer, "oci-subject", &digest);
        let mut entry = descriptor(media_type, algorithm, &content);
        entry["artifactType"] = json!(artifact_type);
        entry["annotations"] = manifest["annotations"].clone();
        expected.push(entry);
    }
    listed(table, "all of them", &path, &expected).await;
    let by_digest = format!("/v2/{image}/manifests/{digest}");
    let answer = table.ask("PUT", &by_digest, &[("Content-Type", MANIFEST)], &subject).await;
    table.row("push of the subject", &answer, &[201]);
    listed(table, "with the subject", &path, &expected).await;

    let filtered = format!("{path}?artifactType={}", SIGNATURE.replace('/', "%2F"));
    let answer = listed(table, "of one type", &filtered, &expected[..1]).await;
    table.header("of one type", &answer, "oci-filters-applied", "artifactType");
    // Not every client escapes it.
    for written in [CONFIG, &CONFIG.replace('+', "%2B")] {
        let filtered = format!("{path}?artifactType={written}");
        listed(table, "of the type of a configuration", &filtered, &expected[1..2]).await;
    }
    none(table, "of no type", &format!("{path}?artifactType=application/vnd.example.none")).await;
    for garbage in ["sha256:baddigeststring", "nonsense"] {
        let answer = table.ask("GET", &format!("/v2/{image}/referrers/{garbage}"), &[], b"").await;
        table.row(&format!("of {garbage}"), &answer, &[400, 404]);
    }
    let first = expected[0]["digest"].as_str().unwrap_or_default();
    let answer = table.ask("DELETE", &format!("/v2/{image}/manifests/{first}"), &[], b"").await;
    table.row("delete of a referrer", &answer, &[202]);
    listed(table, "without the deleted one", &path, &expected[1..]).await;
}

/// A row: these are listed, in whatever order.
async fn listed(table: &mut Table, row: &str, path: &str, expected: &[Value]) -> crate::common::http::Answer {
    let answer = table.ask("GET", path, &[], b"").await;
    table.row(row, &answer, &[200]);
    table.header(row, &answer, "content-type", INDEX);
    let list = json(&answer);
    let entries = list["manifests"].as_array().cloned().unwrap_or_default();
    let is_there = expected.iter().all(|entry| entries.contains(entry));
    table.holds(&format!("{row}: entries"), is_there && entries.len() == expected.len(), &list);
    answer
}
