//! What belongs to somebody else, in every area.

use regex::Regex;
use serde_json::{Value, json};
use steward_proto::transcode::v1::library_service_client::LibraryServiceClient;
use steward_proto::transcode::v1::video_service_client::VideoServiceClient;
use steward_proto::transcode::v1::{Library, PutLibraryRequest, RegisterVideosRequest, Rules, Video, VideoStatus};

use crate::common::http::Answer;
use crate::common::server::Server;
use crate::common::users::{basic, signed};
use crate::layout;

const CONFIG: &[u8] = b"{}";

/// Names: what stands for each, one that is there, and one that is not.
pub(super) struct Seeds {
    names: Vec<(&'static str, String, String)>,
}

impl Seeds {
    /// Makes one of everything, as somebody who may.
    pub(super) async fn plant(server: &Server) -> Self {
        let mut seeds = Seeds { names: Vec::new() };
        for (name, present, absent) in [
            ("lock", "sha256:hidden", "sha256:absent"),
            ("backups", "hidden-backups", "absent-backups"),
            ("project", "hidden-project", "absent-project"),
            ("image-repository", "hidden-images", "absent-images"),
            ("file", "hidden-folder/a", "absent-folder/a"),
            ("image", "hidden-image", "absent-image"),
            ("tag", "hidden-tag", "absent-tag"),
            ("task-name", "hidden_task", "absent_task"),
            ("run", "hidden_run", "absent_run"),
            ("cluster", "hidden_cluster", "absent_cluster"),
            ("worker", "hidden-worker", "absent-worker"),
            ("volume", "/hidden-volume", "/absent-volume"),
        ] {
            seeds.name(name, present, absent);
        }
        seeds.name("registry", &format!("http://{}", server.http().0), "http://127.0.0.1:1");
        seeds.name("grpc", &server.grpc_url(), "http://127.0.0.1:1");
        let hexadecimal = |content: &[u8]| layout::digest(content).replace("sha256:", "");
        seeds.name("object", &hexadecimal(b"an object"), &hexadecimal(b"another one"));
        seeds.name("digest", &layout::digest(CONFIG), &layout::digest(b"another one"));
        let by = Planter(server);
        seeds.plant_lock_and_backups(&by).await;
        seeds.plant_artifacts(&by).await;
        seeds.plant_replication(&by).await;
        seeds.plant_farm(&by).await;
        seeds.plant_volume(&by).await;
        seeds
    }

    fn name(&mut self, name: &'static str, present: &str, absent: &str) {
        self.names.push((name, present.to_owned(), absent.to_owned()));
    }

    /// A text with names of what is there.
    pub(super) fn present(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, present, _)| text.replace(&format!("<{name}>"), present))
    }

    /// The same with names of what is not there.
    pub(super) fn absent(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, _, absent)| text.replace(&format!("<{name}>"), absent))
    }

    /// An answer in which names of both kinds are alike.
    pub(super) fn blank(&self, text: &str) -> String {
        let mut names: Vec<_> =
            self.names.iter().flat_map(|(name, present, absent)| [(name, present), (name, absent)]).collect();
        // A name may be in a longer one.
        names.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        names.into_iter().fold(text.to_owned(), |text, (name, value)| {
            // A number is no part of another one.
            let edge = if value.bytes().all(|byte| byte.is_ascii_digit()) { r"\b" } else { "" };
            let value = Regex::new(&format!("{edge}{}{edge}", regex::escape(value))).expect("an expression");
            value.replace_all(&text, format!("<{name}>")).into_owned()
        })
    }

    /// A name of something that is there, if a text has one that is surely no accident.
    pub(super) fn leaked<'a>(&'a self, text: &str) -> Option<&'a str> {
        let values = self.names.iter().map(|(_, present, _)| present.as_str());
        values.into_iter().find(|value| value.contains("hidden") && text.contains(value))
    }

    async fn plant_lock_and_backups(&self, by: &Planter<'_>) {
        let of = |text: &str| self.present(text);
        by.done("POST", "/lock", &of(r#"{"type":"pull","resource_id":"<lock>","node_id":"n"}"#)).await;
        by.done("POST", &of("/restic/<backups>/?create=true"), "").await;
        by.done("POST", &of("/restic/<backups>/config"), "of a repository").await;
        by.done("POST", &of("/restic/<backups>/data/<object>"), "an object").await;
    }

    async fn plant_artifacts(&mut self, by: &Planter<'_>) {
        let of = |text: &str| self.present(text);
        let project = of(r#"{"name":"<project>","displayName":"<project>"}"#);
        by.done("POST", "/repository/api/project/create", &project).await;
        for (name, held) in [("<image-repository>", "OCI"), ("files", "GENERIC")] {
            let (project, name) = (of("<project>"), of(name));
            let body = json!({"projectId": project, "name": name, "type": held, "category": "LOCAL", "public": false});
            by.done("POST", "/repository/api/repo/create", &body.to_string()).await;
        }
        by.done("PUT", &of("/generic/<project>/files/<file>"), "bytes").await;
        let image = of("/v2/<project>/<image-repository>/<image>");
        by.done("POST", &of(&format!("{image}/blobs/uploads/?digest=<digest>")), "{}").await;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": layout::MANIFEST, "layers": [],
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": CONFIG.len(), "digest": of("<digest>")},
        });
        by.done("PUT", &of(&format!("{image}/manifests/<tag>")), &manifest.to_string()).await;
        let upload = by.done("POST", &format!("{image}/blobs/uploads/"), "").await;
        let upload = upload.header("location").and_then(|location| location.rsplit('/').next()).expect("an upload");
        let absent: String =
            upload.chars().map(|character| if character.is_ascii_digit() { '0' } else { character }).collect();
        self.name("upload", upload, &absent);
        self.name("manifest-content", &manifest.to_string(), &manifest.to_string());
    }

    async fn plant_replication(&mut self, by: &Planter<'_>) {
        let of = |text: &str| self.present(text);
        let cluster = json!({
            "name": of("<cluster>"), "url": of("<grpc>"), "username": "alice", "password": "p", "type": "STANDALONE",
        });
        by.done("POST", "/replication/api/cluster/create", &cluster.to_string()).await;
        let cluster = by.json("GET", &of("/replication/api/cluster/info?name=<cluster>"), "").await;
        let task = json!({
            "name": of("<task-name>"), "registry": of("<registry>"), "username": "alice", "password": "p", "enable": false,
        });
        let tasks = "/replication/api/remote/distribution";
        let create = of(&format!("{tasks}/create/<project>/<image-repository>"));
        by.done("POST", &create, &json!({"configs": [task]}).to_string()).await;
        let run = json!({
            "name": of("<run>"), "registry": of("<registry>"), "username": "alice", "password": "p",
            "packageName": of("<image>"), "versions": [of("<tag>")],
        });
        let create = of(&format!("{tasks}/create/runOnceTask/<project>/<image-repository>"));
        by.done("POST", &create, &run.to_string()).await;
        let id = cluster["data"]["id"].as_str().expect("an id").to_owned();
        let absent: String =
            id.chars().map(|character| if character.is_ascii_digit() { '0' } else { character }).collect();
        self.name("cluster-id", &id, &absent);
    }

    async fn plant_farm(&mut self, by: &Planter<'_>) {
        let films = by.0.home().join("films");
        std::fs::create_dir(&films).expect("a directory can be made");
        std::fs::write(films.join("a.mp4"), "a film").expect("a file can be written");
        let library = Library {
            name: "hidden-library".to_owned(),
            path: films.to_str().expect("UTF-8").to_owned(),
            scan_interval: Some(prost_types::Duration::default()),
            rules: Some(Rules::default()),
            ..Library::default()
        };
        let request = signed(&basic("alice", "p"), PutLibraryRequest { library: Some(library) });
        LibraryServiceClient::new(by.0.channel()).put_library(request).await.expect("a library");
        let video = Video {
            video_path: "hidden-library/a.mp4".to_owned(),
            codec: "h264".to_owned(),
            bitrate_k: 4000,
            size_bytes: 6,
            duration: 60.0,
            transcode_status: VideoStatus::Waiting.into(),
            exist: true,
            ..Video::default()
        };
        let request = signed(&basic("alice", "p"), RegisterVideosRequest { videos: vec![video] });
        let registered = VideoServiceClient::new(by.0.channel()).register_videos(request).await.expect("a video");
        let worker = self.present(r#"{"worker_name":"<worker>","worker_type":0,"support_vr":0}"#);
        let worker = by.json("POST", "/api/v1/workers", &worker).await["data"]["worker_id"].to_string();
        let claim = format!(r#"{{"worker_id":{worker},"worker_type":0,"support_vr":0}}"#);
        let task = by.json("POST", "/api/v1/tasks", &claim).await;
        let task = task["data"]["task_id"].as_str().expect("a task").to_owned();
        self.name("task", &task, "00000000-0000-4000-8000-000000000000");
        self.name("video", &registered.into_inner().ids[0].to_string(), "987653");
        self.name("worker-id", &worker, "987654");
    }

    async fn plant_volume(&mut self, by: &Planter<'_>) {
        let query = |query: &str| self.present(&format!("/SnapshotCloneService?Version=1.5&User=alice&{query}"));
        by.json("GET", &query("Action=CreateFile&File=<volume>&Size=1"), "").await;
        let snapshot = by.json("GET", &query("Action=CreateSnapshot&File=<volume>&Name=hidden-snapshot"), "").await;
        let snapshot = snapshot["UUID"].as_str().expect("a snapshot").to_owned();
        let clone = format!("Action=Clone&Source={snapshot}&Destination=/hidden-clone&Lazy=true");
        let clone = by.json("GET", &query(&clone), "").await["UUID"].as_str().expect("a task").to_owned();
        self.name("snapshot", &snapshot, "00000000-0000-4000-8000-000000000001");
        self.name("clone", &clone, "00000000-0000-4000-8000-000000000002");
    }
}

/// Somebody who may do everything.
struct Planter<'a>(&'a Server);

impl Planter<'_> {
    async fn done(&self, method: &str, path: &str, body: &str) -> Answer {
        let authorization = basic("alice", "p");
        let mut headers = vec![("Authorization", authorization.as_str())];
        if path.contains("/manifests/") {
            headers.push(("Content-Type", layout::MANIFEST));
        } else if body.starts_with('{') {
            headers.push(("Content-Type", "application/json"));
        }
        let answer = self.0.http().request(method, path, &headers, body.as_bytes()).await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.text());
        answer
    }

    async fn json(&self, method: &str, path: &str, body: &str) -> Value {
        let answer = self.done(method, path, body).await;
        serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{method} {path}: {}", answer.text()))
    }
}
