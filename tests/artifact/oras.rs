//! oras.

use std::fs;

use serde_json::Value;

use crate::registry::Registry;
use crate::tool::Tool;

#[tokio::test]
async fn artifact_has_a_referrer_that_is_found_by_its_type() {
    let Some(oras) = Tool::find("oras", "artifact_has_a_referrer_that_is_found_by_its_type") else { return };
    let registry = Registry::start().await;
    let image = registry.image("notes:1.0");
    fs::write(oras.home().join("notes.txt"), "some notes").unwrap();
    fs::write(oras.home().join("signature.txt"), "signed").unwrap();
    let push = ["push", "--plain-http", "--artifact-type", "application/vnd.steward.notes", &image, "notes.txt"];
    oras.ok(&push).await;
    let subject = registry.digest("notes", "1.0").await.expect("it was pushed");

    let attach = ["attach", "--plain-http", "--artifact-type", "application/vnd.steward.signature", &image];
    oras.ok(&[&attach[..], &["signature.txt"]].concat()).await;
    for (r#type, expected) in [("application/vnd.steward.signature", 1), ("application/vnd.steward.sbom", 0)] {
        let discover = ["discover", "--plain-http", "--format", "json", "--artifact-type", r#type, &image];
        let found: Value = serde_json::from_str(&oras.ok(&discover).await).expect("JSON");
        let found = found["manifests"].as_array().cloned().unwrap_or_default();
        assert_eq!(found.len(), expected, "{type}: {found:?}");
    }
    // It used the interface for it, and not the tag that stands in for one.
    assert_eq!(registry.tags("notes").await, ["1.0"]);

    let pulled = oras.home().join("pulled");
    let pulled = pulled.to_str().expect("UTF-8");
    oras.ok(&["pull", "--plain-http", "--output", pulled, &image]).await;
    assert_eq!(fs::read_to_string(oras.home().join("pulled/notes.txt")).unwrap(), "some notes");

    // A copy takes what refers to it along.
    let copy = registry.image("copy/of/notes:1.0");
    oras.ok(&["cp", "--recursive", "--from-plain-http", "--to-plain-http", &image, &copy]).await;
    let referrers = registry.ask("GET", "copy/of/notes", &format!("referrers/{subject}")).await;
    let referrers: Value = serde_json::from_slice(&referrers.body).expect("JSON");
    assert_eq!(referrers["manifests"][0]["artifactType"], "application/vnd.steward.signature");
}
