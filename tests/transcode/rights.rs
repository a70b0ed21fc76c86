//! Two tenants on one farm: each has a library and a worker, and knows of nothing else.

use std::path::Path;

use steward_proto::transcode::v1::claim_task_response::Result as Claim;
use steward_proto::transcode::v1::session_request::Message as Says;
use steward_proto::transcode::v1::session_response::Message as Hears;
use steward_proto::transcode::v1::{
    CreateLogRequest, GetTaskRequest, GetTaskStatsRequest, GetVideoRequest, HeartbeatRequest, Hello, Library,
    ListLogsRequest, ListTasksRequest, ListVideosRequest, ListWorkersRequest, LogLevel, PutLibraryRequest,
    RegisterVideosRequest, RetryTaskRequest, Rules, SessionRequest, SetWorkerOfflineRequest, TaskProgress, TaskStatus,
};
use tokio_stream::StreamExt as _;
use tonic::Code;

use crate::common::server::{Server, Setup};
use crate::common::users::{basic, by};
use crate::common::wait::within;
use crate::common::{temporary, users};
use crate::vocabulary::farm::waiting;
use crate::vocabulary::native::{Native, claim, cpu, good, refusal, report};

const TABLE: &str = r"
admin * / admin
alice transcode library/films read,write
bob transcode library/clips read,write
carol transcode library/carol admin
w1 transcode worker/w1 read,write
w2 transcode worker/w2 read,write
";

/// A server with a video of each tenant. The password of everybody is the name.
async fn start() -> Server {
    start_with(|_| String::new()).await
}

/// The same with settings of the farm, which may name its home.
async fn start_with(farm: impl FnOnce(&Path) -> String) -> Server {
    let home = temporary::directory();
    let auth = users::settings(home.path(), &["admin", "alice", "bob", "carol", "w1", "w2"], TABLE);
    let config = format!("{auth}[transcode]\n{}\n", farm(home.path()));
    let directories = ["films", "clips"].map(|name| (name, home.path().join(name)));
    let server = Setup::default().config(&config).start_in(home).await;
    for (name, path) in directories {
        std::fs::create_dir(&path).expect("a directory can be made");
        good(Native(server.channel()).libraries().put_library(by("admin", library(name, &path))).await);
    }
    server
}

fn library(name: &str, path: &Path) -> PutLibraryRequest {
    let path = path.to_str().expect("UTF-8").to_owned();
    let scan_interval = Some(prost_types::Duration::default());
    let rules = Some(Rules::default());
    PutLibraryRequest {
        library: Some(Library { name: name.to_owned(), path, scan_interval, rules, ..Library::default() }),
    }
}

fn videos(path: &str) -> RegisterVideosRequest {
    RegisterVideosRequest { videos: vec![waiting(path)] }
}

fn denied() -> (Code, String) {
    (Code::PermissionDenied, "PERMISSION_DENIED".to_owned())
}

fn missing(what: &str) -> (Code, String) {
    (Code::NotFound, format!("{what}_NOT_FOUND"))
}

#[tokio::test]
async fn each_tenant_sees_its_library_and_each_worker_is_itself() {
    let server = start().await;
    let native = Native(server.channel());
    let film = good(native.videos().register_videos(by("alice", videos("films/a.mp4"))).await).ids[0];
    assert_eq!(refusal(native.videos().register_videos(by("bob", videos("films/b.mp4"))).await), denied());

    let id = film;
    good(native.videos().get_video(by("alice", GetVideoRequest { id })).await);
    assert_eq!(refusal(native.videos().get_video(by("bob", GetVideoRequest { id })).await), missing("VIDEO"));
    let listed = good(native.videos().list_videos(by("bob", ListVideosRequest::default())).await);
    assert_eq!((listed.videos.len(), listed.total_size), (0, 0));

    assert_eq!(refusal(native.workers().register_worker(by("w2", cpu("w1"))).await), denied());
    let worker_id = good(native.workers().register_worker(by("w1", cpu("w1"))).await).worker_id;
    let beat = HeartbeatRequest { worker_id, worker_name: "w1".to_owned() };
    good(native.workers().heartbeat(by("w1", beat.clone())).await);
    assert_eq!(refusal(native.workers().heartbeat(by("w2", beat)).await), missing("WORKER"));
    assert_eq!(refusal(native.tasks().claim_task(by("w2", claim(worker_id))).await), missing("WORKER"));
    let workers = good(native.workers().list_workers(by("w2", ListWorkersRequest::default())).await);
    assert_eq!((workers.workers.len(), workers.total_size), (0, 0));

    let claimed = good(native.tasks().claim_task(by("w1", claim(worker_id))).await).result;
    let Some(Claim::Task(task)) = claimed else { panic!("there is work, and yet: {claimed:?}") };
    let get = GetTaskRequest { task_id: task.task_id.clone() };
    for user in ["alice", "w1"] {
        good(native.tasks().get_task(by(user, get.clone())).await);
    }
    for user in ["bob", "w2"] {
        assert_eq!(refusal(native.tasks().get_task(by(user, get.clone())).await), missing("TASK"), "{user}");
    }
    for (user, count) in [("alice", 1), ("bob", 0), ("admin", 1)] {
        let tasks = good(native.tasks().list_tasks(by(user, ListTasksRequest::default())).await);
        assert_eq!((tasks.tasks.len(), tasks.total_size), (count, i32::try_from(count).expect("few")), "{user}");
    }
    let running = report(&task, TaskStatus::Running, 5.0);
    assert_eq!(refusal(native.tasks().update_task(by("w2", running.clone())).await), missing("TASK"));
    good(native.tasks().update_task(by("w1", running)).await);
    let retry = RetryTaskRequest { task_id: task.task_id.clone(), ..Default::default() };
    assert_eq!(refusal(native.tasks().retry_task(by("w1", retry.clone())).await), denied());
    assert_eq!(refusal(native.tasks().retry_task(by("bob", retry)).await), missing("TASK"));

    let mut line = CreateLogRequest { task_id: task.task_id, log_message: "mine".to_owned(), ..Default::default() };
    line.set_log_level(LogLevel::Info);
    assert_eq!(refusal(native.logs().create_log(by("w2", line.clone())).await), missing("TASK"));
    good(native.logs().create_log(by("w1", line)).await);
    let logs = good(native.logs().list_logs(by("bob", ListLogsRequest::default())).await);
    assert_eq!((logs.logs.len(), logs.total_size), (0, 0));
    let logs = good(native.logs().list_logs(by("alice", ListLogsRequest::default())).await);
    assert!(logs.logs.iter().any(|log| log.log_message == "mine"), "{logs:?}");
    assert_eq!(refusal(native.tasks().get_task_stats(by("alice", GetTaskStatsRequest::default())).await), denied());

    let go = SetWorkerOfflineRequest { worker_id, action: 1, ..Default::default() };
    assert_eq!(refusal(native.workers().set_worker_offline(by("w2", go)).await), missing("WORKER"));
    good(native.workers().set_worker_offline(by("w1", go)).await);
}

#[tokio::test]
async fn a_session_tells_no_more_of_the_task_of_another_worker_than_of_none() {
    let server = start().await;
    let native = Native(server.channel());
    good(native.videos().register_videos(by("alice", videos("films/a.mp4"))).await);
    let worker_id = good(native.workers().register_worker(by("w1", cpu("w1"))).await).worker_id;
    let claimed = good(native.tasks().claim_task(by("w1", claim(worker_id))).await).result;
    let Some(Claim::Task(task)) = claimed else { panic!("there is work, and yet: {claimed:?}") };

    let nobodys = "6e3a0a43-7c0a-4f2c-9d43-2d2a0f8b1c55";
    let told = [(&task.task_id, task.lease_token.as_str()), (&task.task_id, nobodys), (&nobodys.to_owned(), nobodys)];
    let says = told.map(|(task_id, lease_token)| {
        let (task_id, lease_token) = (task_id.clone(), lease_token.to_owned());
        Says::Progress(TaskProgress { task_id, lease_token, progress: 50.0, ..Default::default() })
    });
    let hello = Says::Hello(Hello { worker: Some(cpu("w2")), running: Vec::new() });
    let says = std::iter::once(hello).chain(says).map(|message| SessionRequest { seq: 0, message: Some(message) });
    // It stays open while it is listened to.
    let says = tokio_stream::iter(says.collect::<Vec<_>>()).chain(tokio_stream::pending());
    let mut hears = good(native.workers().session(by("w2", says)).await);
    let mut reasons = Vec::new();
    while reasons.len() < told.len() {
        let message = within("an answer", hears.message()).await.expect("it goes on").expect("it goes on").message;
        if let Some(Hears::LeaseLost(lost)) = message {
            reasons.push(lost.reason);
        }
    }
    assert_eq!(reasons, vec!["there is no such task of this worker"; told.len()]);
    let task = good(native.tasks().get_task(by("w1", GetTaskRequest { task_id: task.task_id })).await).task;
    assert!(task.expect("a task").progress < 50.0);
}

#[tokio::test]
async fn the_older_api_answers_in_its_envelope() {
    let server = start().await;
    let ask = async |user: &str, method: &str, path: &str, body: &str| {
        let value = basic(user, user);
        let mut headers = vec![("Content-Type", "application/json")];
        if !user.is_empty() {
            headers.push(("Authorization", &value));
        }
        let answer = server.http().request(method, &format!("/api/v1{path}"), &headers, body.as_bytes()).await;
        let json: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(json["code"].as_u64(), Some(u64::from(answer.status)), "{json}");
        (answer.status, json["message"].as_str().unwrap_or_default().to_owned())
    };
    let worker = |name: &str| format!(r#"{{"worker_name":"{name}","worker_type":0,"support_vr":0}}"#);
    assert_eq!(ask("", "POST", "/workers", &worker("w1")).await, (401, "未授权".to_owned()));
    assert_eq!(ask("w2", "POST", "/workers", &worker("w1")).await, (403, "没有权限".to_owned()));
    assert_eq!(ask("w1", "POST", "/workers", &worker("w1")).await.0, 201);
}

#[tokio::test]
async fn only_who_administers_the_farm_says_where_a_library_is() {
    let server = start().await;
    let put = async |user: &str, library: PutLibraryRequest| {
        Native(server.channel()).libraries().put_library(by(user, library)).await
    };
    let films = server.home().join("films");
    assert_eq!(refusal(put("carol", library("carol", &films)).await), denied(), "they are not hers");
    let own = server.home().join("carol");
    std::fs::create_dir(&own).expect("a directory can be made");
    assert_eq!(refusal(put("carol", library("carol", &own)).await), denied());
    good(put("admin", library("carol", &own)).await);
    good(put("carol", library("carol", &own)).await);
    assert_eq!(refusal(put("carol", library("carol", Path::new("/etc"))).await), denied());
    for kept in [server.data(), server.data().join("blobs"), server.home().to_owned(), "/".into()] {
        let refused = refusal(put("admin", library("new", &kept)).await);
        assert_eq!(refused, (Code::InvalidArgument, "INVALID_ARGUMENT".to_owned()), "{}", kept.display());
    }
}

#[tokio::test]
async fn within_the_roots_whoever_administers_a_library_says_where_it_is() {
    let server = start_with(|home| format!("library_roots = [{home:?}]")).await;
    let put = async |user: &str, library: PutLibraryRequest| {
        Native(server.channel()).libraries().put_library(by(user, library)).await
    };
    let own = server.home().join("carol");
    std::os::unix::fs::symlink("/etc", server.home().join("link")).expect("a link can be made");
    good(put("carol", library("carol", &own)).await);
    let films = server.home().join("films");
    for taken in [films.clone(), films.join("series")] {
        assert_eq!(refusal(put("carol", library("carol", &taken)).await), denied(), "{}", taken.display());
    }
    for outside in ["/etc".into(), server.home().join("link"), server.data()] {
        for (user, name) in [("carol", "carol"), ("admin", "new")] {
            let refused = refusal(put(user, library(name, &outside)).await);
            assert_eq!(refused, (Code::InvalidArgument, "INVALID_ARGUMENT".to_owned()), "{}", outside.display());
        }
    }
}
