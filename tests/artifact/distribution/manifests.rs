//! Manifests of all kinds.

use serde_json::{Value, json};

use super::table::{Algorithm, Table, bytes, location};
use crate::layout::{INDEX, MANIFEST};

const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// As long as a registry has to take.
const LONGEST: usize = 4 << 20;

/// The image of the rows of an algorithm.
pub(super) fn image(algorithm: Algorithm) -> String {
    format!("p1/img/kinds-{}", algorithm.name())
}

pub(super) fn descriptor(media_type: &str, algorithm: Algorithm, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": algorithm.of(content), "size": content.len() })
}

/// An image without anything in it but what makes it one of its kind.
pub(super) fn plain(algorithm: Algorithm, seed: &str) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, algorithm, b"{}"),
        "layers": [descriptor(LAYER, algorithm, &layer(algorithm))],
        "annotations": { "org.example.seed": seed },
    })
}

fn layer(algorithm: Algorithm) -> Vec<u8> {
    bytes(&format!("layer {}", algorithm.name()), 5000)
}

/// Pushes what the manifests of an image consist of.
pub(super) async fn prepare(table: &mut Table, image: &str, algorithm: Algorithm) {
    table.push(image, &algorithm.of(b"{}"), b"{}").await;
    let layer = layer(algorithm);
    table.push(image, &algorithm.of(&layer), &layer).await;
}

pub(super) fn text(manifest: &Value) -> Vec<u8> {
    // As people write them, so that whoever writes them anew is found out.
    serde_json::to_vec_pretty(manifest).expect("JSON")
}

pub(super) async fn check(table: &mut Table, algorithm: Algorithm) {
    table.area(format!("manifests by {}", algorithm.name()));
    let image = image(algorithm);
    prepare(table, &image, algorithm).await;
    let one = text(&plain(algorithm, "one"));
    let index = json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [descriptor(MANIFEST, algorithm, &one)],
    });
    let index = text(&index);
    for (kind, media_type, content) in [("image", MANIFEST, one), ("index", INDEX, index.clone())] {
        round(table, algorithm, kind, media_type, &content).await;
    }
    for (kind, media_type, manifest) in kinds(algorithm, &index) {
        round(table, algorithm, kind, media_type, &text(&manifest)).await;
    }
    let mut large = plain(algorithm, "large");
    large["annotations"]["org.example.padding"] = json!("");
    let padding = LONGEST - text(&large).len();
    large["annotations"]["org.example.padding"] = json!("x".repeat(padding));
    let large = text(&large);
    table.holds("a large manifest is large", large.len() == LONGEST, large.len());
    round(table, algorithm, "large", MANIFEST, &large).await;
}

fn kinds(algorithm: Algorithm, index: &[u8]) -> Vec<(&'static str, &'static str, Value)> {
    let with = |seed: &str, name: &str, value: Value| {
        let mut manifest = plain(algorithm, seed);
        manifest[name] = value;
        manifest
    };
    let empty = descriptor(EMPTY, algorithm, b"{}");
    let mut data = empty.clone();
    data["data"] = json!("e30=");
    let mut artifact = with("artifact", "artifactType", json!("application/vnd.example.artifact"));
    artifact["config"] = empty;
    let nested = descriptor(INDEX, algorithm, index);
    let mut foreign = descriptor(FOREIGN, algorithm, b"never uploaded");
    foreign["urls"] = json!(["https://store.example.com/never-uploaded"]);
    let mut without = artifact.clone();
    without["layers"] = json!([artifact["config"]]);
    let missing = descriptor(MANIFEST, algorithm, b"a subject that is not there");
    let mut docker = with("docker", "mediaType", json!(DOCKER));
    docker["config"]["mediaType"] = json!("application/vnd.docker.container.image.v1+json");
    let list = json!({ "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [] });
    let mut untyped = plain(algorithm, "untyped");
    untyped.as_object_mut().expect("an object").remove("mediaType");
    vec![
        ("nested index", INDEX, json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [nested] })),
        ("empty index", INDEX, json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] })),
        ("artifact", MANIFEST, artifact),
        ("artifact of nothing", MANIFEST, without),
        ("custom fields", MANIFEST, with("custom", "org.example", json!({ "deep": [1, null, { "x": "y" }] }))),
        ("data", MANIFEST, with("data", "config", data)),
        ("no layers", MANIFEST, with("none", "layers", json!([]))),
        ("layers that are not distributed", MANIFEST, with("foreign", "layers", json!([foreign]))),
        ("a missing subject", MANIFEST, with("subject", "subject", missing)),
        ("docker image", DOCKER, docker),
        ("docker list", DOCKER_LIST, list),
        ("no media type", MANIFEST, untyped),
    ]
}

/// A manifest is pushed by tag and by digest, and read by both as it was pushed.
async fn round(table: &mut Table, algorithm: Algorithm, kind: &str, media_type: &str, content: &[u8]) {
    let image = image(algorithm);
    let digest = algorithm.of(content);
    let tag = kind.replace(' ', "-");
    let typed = [("Content-Type", media_type)];
    let answer = table.ask("PUT", &format!("/v2/{image}/manifests/{digest}"), &typed, content).await;
    table.row(&format!("{kind}: push by digest"), &answer, &[201]);
    table.header(&format!("{kind}: push by digest"), &answer, "docker-content-digest", &digest);
    let by_location = table.ask("GET", &location(&answer), &[], b"").await;
    table.row(&format!("{kind}: read at its location"), &by_location, &[200]);

    let answer = table.ask("PUT", &format!("/v2/{image}/manifests/{tag}"), &typed, content).await;
    table.row(&format!("{kind}: push by tag"), &answer, &[201]);
    table.holds(&format!("{kind}: location"), answer.header("location").is_some(), "none");
    let sha256 = Algorithm::Sha256.of(content);
    for reference in [&*tag, &digest, &sha256] {
        let path = format!("/v2/{image}/manifests/{reference}");
        let accept = [("Accept", MANIFEST), ("Accept", INDEX), ("Accept", DOCKER), ("Accept", DOCKER_LIST)];
        for (method, accept) in [("GET", &accept[..]), ("HEAD", &accept), ("GET", &[])] {
            let row = format!("{kind}: {method} of {}", &reference[..reference.len().min(20)]);
            let answer = table.ask(method, &path, accept, b"").await;
            table.row(&row, &answer, &[200]);
            table.header(&row, &answer, "content-type", media_type);
            table.header(&row, &answer, "content-length", &content.len().to_string());
            let said = answer.header("docker-content-digest").unwrap_or_default();
            // Who asks for a digest is told of that one, and no other of the same bytes.
            let is_its = said == reference || reference == tag && [&*digest, &sha256].contains(&said);
            table.holds(&format!("{row}: digest"), is_its, said);
            table.holds(&format!("{row}: bytes"), method == "HEAD" || answer.body == content, answer.body.len());
        }
    }
}

pub(super) async fn check_refusals(table: &mut Table, algorithm: Algorithm) {
    table.area(format!("refused manifests by {}", algorithm.name()));
    let image = image(algorithm);
    let manifest = text(&plain(algorithm, "refused"));
    let wrong = algorithm.of(b"another");
    let other_type = [("Content-Type", INDEX)];
    let typed = [("Content-Type", MANIFEST)];
    let mut missing = plain(algorithm, "missing");
    missing["layers"] = json!([descriptor(LAYER, algorithm, b"never uploaded")]);
    let long = vec![b' '; LONGEST + 1];
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (row, reference, headers, body, statuses) in [
        ("a wrong digest", &*wrong, &typed, &manifest[..], &[400][..]),
        ("a bad digest", "sha256:baddigeststring", &typed, &manifest, &[400]),
        ("a bad tag", "-bad", &typed, &manifest, &[400, 404]),
        ("a long tag", &"t".repeat(129), &typed, &manifest, &[400, 404]),
        ("a missing layer", "missing", &typed, &text(&missing), &[400, 404]),
        ("no JSON", "none", &typed, b"this is no JSON", &[400]),
        ("nothing", "nothing", &typed, b"", &[400]),
        ("deep JSON", "deep", &typed, deep.as_bytes(), &[400]),
        ("another kind", "kind", &other_type, &manifest, &[400]),
        ("too long", "long", &typed, &long, &[413, 400]),
    ] {
        let answer = table.ask("PUT", &format!("/v2/{image}/manifests/{reference}"), headers, body).await;
        table.row(row, &answer, statuses);
    }
    for (reference, statuses) in
        [("unknown", &[404][..]), (&algorithm.of(b"unknown"), &[404]), ("sha256:baddigeststring", &[400, 404])]
    {
        for method in ["GET", "HEAD", "DELETE"] {
            let answer = table.ask(method, &format!("/v2/{image}/manifests/{reference}"), &[], b"").await;
            table.row(&format!("{method} of {reference}"), &answer, statuses);
        }
    }
}
