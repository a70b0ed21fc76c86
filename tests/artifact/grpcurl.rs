//! `grpcurl`, which knows nothing but what the server's reflection tells it.

use serde_json::{Value, json};

use crate::layout::digest;
use crate::registry::Registry;
use crate::tool::Tool;

const SERVICE: &str = "steward.artifact.v1.ArtifactService";
/// `some bytes`, as JSON has bytes.
const BYTES: &str = "c29tZSBieXRlcw==";

async fn call(grpcurl: &Tool, registry: &mut Registry, method: &str, messages: &[Value]) -> Value {
    let sent: Vec<String> = messages.iter().map(Value::to_string).collect();
    let address = registry.server().grpc_address().to_string();
    let said = grpcurl.ok(&["-plaintext", "-d", &sent.join("\n"), &address, &format!("{SERVICE}/{method}")]).await;
    let answers = serde_json::Deserializer::from_str(&said).into_iter::<Value>();
    let answers: Vec<Value> = answers.map(|answer| answer.expect("JSON")).collect();
    if answers.len() == 1 { answers[0].clone() } else { Value::Array(answers) }
}

#[tokio::test]
async fn a_blob_is_uploaded_and_read_from_a_shell() {
    let Some(grpcurl) = Tool::find("grpcurl", "a_blob_is_uploaded_and_read_from_a_shell") else { return };
    let mut registry = Registry::start().await;
    let address = registry.server().grpc_address().to_string();
    let described = grpcurl.ok(&["-plaintext", &address, "describe", SERVICE]).await;
    assert!(described.contains("rpc PutManifest") && described.contains("// "), "{described}");

    let name = json!({"project": "p1", "repository": "img", "image": "app"});
    let digest = digest(b"some bytes");
    let blob = json!({"name": name, "digest": digest});
    let begun = call(&grpcurl, &mut registry, "StartUpload", &[json!({"target": name})]).await;
    let id = begun["upload"]["id"].as_str().expect("an id").to_owned();
    let write = [
        json!({"start": {"uploadId": id, "offset": "0", "target": name}}),
        json!({"chunk": BYTES}),
        json!({"finish": {"size": "10"}}),
    ];
    let written = call(&grpcurl, &mut registry, "WriteUpload", &write).await;
    assert_eq!(written["upload"]["offset"], "10", "{written}");
    let finish = json!({"uploadId": id, "target": name, "digest": digest});
    call(&grpcurl, &mut registry, "FinishUpload", &[finish]).await;
    let found = call(&grpcurl, &mut registry, "GetBlob", std::slice::from_ref(&blob)).await;
    assert_eq!(found["blob"]["size"], "10", "{found}");
    let read = call(&grpcurl, &mut registry, "DownloadBlob", std::slice::from_ref(&blob)).await;
    assert_eq!(read[1]["chunk"], BYTES, "{read}");
    // What grpcurl has brought is what other programs see.
    let seen = registry.ask("GET", "app", &format!("blobs/{digest}")).await;
    assert_eq!(seen.parts(), (200, "some bytes"));

    let request = json!({"name": name, "reference": "latest"}).to_string();
    let refused = grpcurl.fails(&["-plaintext", "-d", &request, &address, &format!("{SERVICE}/GetManifest")]).await;
    assert!(refused.contains("NotFound") && refused.contains("ErrorInfo"), "{refused}");
}
