//! What is written on files.

use std::collections::{BTreeMap, HashMap};

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use steward_proto::artifact::v1 as pb;

use super::{Repositories, nodes};
use crate::envelope::{Asked, Body, Path, Refusal, read_json};

type Place = Path<(String, String, String)>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Saved {
    #[serde(default)]
    metadata: Option<HashMap<String, Value>>,
    #[serde(default)]
    node_metadata: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    key: String,
    value: Value,
}

/// Quirk: values may be numbers and truths; they are kept as texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Truth(bool),
    Number(serde_json::Number),
}

impl Value {
    fn into_text(self) -> String {
        match self {
            Value::Text(text) => text,
            Value::Truth(truth) => truth.to_string(),
            Value::Number(number) => number.to_string(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Deleted {
    key_list: Vec<String>,
}

/// Handles `GET /metadata/{project}/{repository}/{path}`.
pub(super) async fn get(State(repositories): State<Repositories>, Path(place): Place, asked: Asked) -> Response {
    let found = nodes::find(&repositories, &asked, place).await;
    let metadata = found.map(|file| file.metadata.into_iter().collect::<BTreeMap<_, _>>());
    asked.answer(&repositories.times, metadata)
}

/// Handles `POST /metadata/{project}/{repository}/{path}`.
pub(super) async fn save(
    State(repositories): State<Repositories>,
    Path(place): Place,
    asked: Asked,
    body: Body,
) -> Response {
    let saved = async {
        let saved: Saved = read_json(body)?;
        let listed = saved.node_metadata.into_iter().flatten().map(|entry| (entry.key, entry.value));
        let entries = saved.metadata.into_iter().flatten().chain(listed);
        let metadata = entries.map(|(key, value)| (key, value.into_text())).collect();
        change(&repositories, &asked, place, metadata, Vec::new()).await
    };
    asked.done(&repositories.times, saved.await)
}

/// Handles `DELETE /metadata/{project}/{repository}/{path}`.
pub(super) async fn delete(
    State(repositories): State<Repositories>,
    Path(place): Place,
    asked: Asked,
    body: Body,
) -> Response {
    let deleted = async {
        let Deleted { key_list } = read_json(body)?;
        change(&repositories, &asked, place, HashMap::new(), key_list).await
    };
    asked.done(&repositories.times, deleted.await)
}

async fn change(
    repositories: &Repositories,
    asked: &Asked,
    (project, repository, path): (String, String, String),
    metadata: HashMap<String, String>,
    delete_keys: Vec<String>,
) -> Result<(), Refusal> {
    let path = format!("/{path}");
    let message = pb::UpdateFileMetadataRequest { project, repository, path, metadata, delete_keys };
    let call = Repositories::call(asked, "UpdateFileMetadata");
    let changed = call.run(repositories.artifacts.clone().update_file_metadata(call.request(message))).await;
    changed.map(|_| ()).map_err(|failure| Refusal::of(&failure))
}
