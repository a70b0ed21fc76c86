//! `/workers`, to the byte.

use steward_gateway::{ListShape, Options, TranscodeOptions};
use steward_proto::transcode::v1::*;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::fake::Fake;
use super::{answer, ask, error, read, refusal, send};

const PATH: &str = "/api/v1/workers";

fn worker(worker_id: i32, state: WorkerState, action: OfflineAction) -> Worker {
    Worker {
        worker_id,
        worker_name: format!("w{worker_id}"),
        worker_type: WorkerType::Qsv.into(),
        support_vr: worker_id == 2,
        state: state.into(),
        offline_action: action.into(),
        ..Worker::default()
    }
}

fn registered() -> Fake {
    Fake::default().answering(RegisterWorkerResponse { worker_id: 1, ..RegisterWorkerResponse::default() })
}

#[tokio::test]
async fn registered_worker_learns_its_id() {
    let fake = registered();
    for body in [
        r#"{"worker_name":"w1","worker_type":0,"support_vr":1}"#,
        r#"{"worker_name":"w1","worker_type":"0","support_vr":true,"unknown":[{}]}"#,
        r#"{"worker_name":"w1","worker_type":0.4,"support_vr":0.5}"#,
    ] {
        let expected = answer(201, r#"{"code":201,"data":{"worker_id":1},"message":"注册成功"}"#);
        assert_eq!(ask(&fake.router(), "POST", PATH, body).await, expected, "{body}");
    }
    let expected = RegisterWorkerRequest {
        worker_name: "w1".to_owned(),
        worker_type: WorkerType::Cpu.into(),
        support_vr: true,
        ..RegisterWorkerRequest::default()
    };
    assert_eq!(fake.asked::<RegisterWorkerRequest>(), [expected.clone(), expected.clone(), expected]);
}

#[tokio::test]
async fn worker_that_is_online_is_a_conflict_that_names_it() {
    let fake = Fake::refusing(refusal(Code::AlreadyExists, "WORKER_ONLINE"));
    let body = r#"{"worker_name":"w1","worker_type":0,"support_vr":0}"#;
    assert_eq!(ask(&fake.router(), "POST", PATH, body).await, error(409, "Worker w1 已在线，注册失败"));
}

#[tokio::test]
async fn incomplete_registration_is_refused_before_a_wrong_one() {
    let fake = Fake::default();
    let long = format!(r#"{{"worker_name":"{}","worker_type":0,"support_vr":0}}"#, "é".repeat(256));
    for (body, message, field) in [
        ("{}", "参数不完整", "worker_name"),
        (r#"{"worker_name":"","worker_type":0,"support_vr":0}"#, "参数不完整", "worker_name"),
        (r#"{"worker_name":[],"worker_type":0,"support_vr":0}"#, "参数不完整", "worker_name"),
        (r#"{"worker_name":"w","worker_type":null,"support_vr":0}"#, "参数不完整", "worker_type"),
        (r#"{"worker_name":5,"worker_type":9}"#, "参数不完整", "support_vr"),
        (r#"{"worker_name":5,"worker_type":0,"support_vr":0}"#, "参数类型错误", "worker_name"),
        (r#"{"worker_name":"w","worker_type":4,"support_vr":0}"#, "参数类型错误", "worker_type"),
        (r#"{"worker_name":"w","worker_type":-1,"support_vr":0}"#, "参数类型错误", "worker_type"),
        (r#"{"worker_name":"w","worker_type":"cpu","support_vr":0}"#, "参数类型错误", "worker_type"),
        (r#"{"worker_name":"w","worker_type":1e300,"support_vr":0}"#, "参数类型错误", "worker_type"),
        (r#"{"worker_name":"w","worker_type":0,"support_vr":2}"#, "参数类型错误", "support_vr"),
        (r#"{"worker_name":"w","worker_type":0,"support_vr":{"a":1}}"#, "参数类型错误", "support_vr"),
        (&long, "参数类型错误", "worker_name"),
    ] {
        let response = send(&fake.router(), "POST", PATH, &[], body.to_owned()).await;
        assert_eq!(response.headers()["x-error-field"], field, "{body}");
        assert_eq!(read(response).await, error(400, message), "{body}");
    }
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn name_of_255_characters_is_taken() {
    let body = format!(r#"{{"worker_name":"{}","worker_type":0,"support_vr":0}}"#, "é".repeat(255));
    assert!(ask(&registered().router(), "POST", PATH, body).await.starts_with("201 "));
}

fn listing() -> Fake {
    Fake::default().answering(ListWorkersResponse {
        workers: vec![
            worker(1, WorkerState::Busy, OfflineAction::Unspecified),
            worker(2, WorkerState::Draining, OfflineAction::Shutdown),
            worker(3, WorkerState::Offline, OfflineAction::Offline),
        ],
        total_size: 3,
        ..ListWorkersResponse::default()
    })
}

const ROWS: &str = concat!(
    r#"[{"offline_action":null,"status":1,"support_vr":0,"worker_id":1,"worker_name":"w1","worker_type":2},"#,
    r#"{"offline_action":"shutdown","status":1,"support_vr":1,"worker_id":2,"worker_name":"w2","worker_type":2},"#,
    r#"{"offline_action":"offline","status":0,"support_vr":0,"worker_id":3,"worker_name":"w3","worker_type":2}]"#
);

#[tokio::test]
async fn list_is_an_array_of_all_workers() {
    let fake = listing();
    let pagination = r#"{"current_page":1,"has_next":false,"has_prev":false,"pages":1,"per_page":20,"total":3}"#;
    let expected = format!(r#"{{"code":200,"data":{ROWS},"message":"获取成功","pagination":{pagination}}}"#);
    assert_eq!(ask(&fake.router(), "GET", PATH, "").await, answer(200, &expected));
    assert_eq!(fake.asked::<ListWorkersRequest>(), [ListWorkersRequest::default()]);
}

#[tokio::test]
async fn list_is_an_object_on_request() {
    let fake = listing();
    let transcode = TranscodeOptions { list_shape: ListShape::Object, ..TranscodeOptions::default() };
    let router = fake.router_with(Options { transcode, ..Options::default() }, CancellationToken::new());
    let pagination = r#"{"current_page":2,"has_next":true,"has_prev":true,"pages":3,"per_page":1,"total":3}"#;
    let data = format!(r#"{{"pagination":{pagination},"workers":{ROWS}}}"#);
    let expected = format!(r#"{{"code":200,"data":{data},"message":"获取成功"}}"#);
    assert_eq!(ask(&router, "GET", "/api/v1/workers?page=2&per_page=1", "").await, answer(200, &expected));
}

#[tokio::test]
async fn list_is_paged_when_either_is_given() {
    for (query, page, page_size) in
        [("page=2", 2, 20), ("per_page=5", 1, 5), ("page=0&per_page=5000", 1, 1000), ("page=x", 1, 20)]
    {
        let fake = listing();
        ask(&fake.router(), "GET", &format!("{PATH}?{query}"), "").await;
        let expected = ListWorkersRequest { page, page_size, ..ListWorkersRequest::default() };
        assert_eq!(fake.asked::<ListWorkersRequest>(), [expected], "{query}");
    }
}

#[tokio::test]
async fn one_worker_has_no_command() {
    let found = worker(2, WorkerState::Paused, OfflineAction::Shutdown);
    let fake = Fake::default().answering(GetWorkerResponse { worker: Some(found) });
    let row = r#"{"status":1,"support_vr":1,"worker_id":2,"worker_name":"w2","worker_type":2}"#;
    let expected = answer(200, &format!(r#"{{"code":200,"data":{row},"message":"获取成功"}}"#));
    assert_eq!(ask(&fake.router(), "GET", "/api/v1/workers/2", "").await, expected);
    assert_eq!(fake.asked::<GetWorkerRequest>(), [GetWorkerRequest { worker_id: 2 }]);
}

#[tokio::test]
async fn worker_that_is_not_there_is_told_everywhere() {
    let fake = Fake::refusing(refusal(Code::NotFound, "WORKER_NOT_FOUND"));
    for id in ["7", "0", "99999999999"] {
        for (method, path, body) in [
            ("GET", "", ""),
            ("PUT", "", "{}"),
            ("PUT", "", r#"{"worker_type":99}"#),
            ("DELETE", "", ""),
            ("POST", "/offline", r#"{"action":"offline"}"#),
            ("DELETE", "/offline", ""),
        ] {
            let path = format!("{PATH}/{id}{path}");
            assert_eq!(ask(&fake.router(), method, &path, body).await, error(404, "Worker不存在"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn change_keeps_what_is_absent() {
    let fake = Fake::default().answering(UpdateWorkerResponse::default());
    let expected = answer(200, r#"{"code":200,"message":"更新成功"}"#);
    for body in ["{}", r#"{"worker_name":"n","worker_type":3,"support_vr":1}"#] {
        assert_eq!(ask(&fake.router(), "PUT", "/api/v1/workers/2", body).await, expected);
    }
    let nothing = UpdateWorkerRequest { worker_id: 2, ..UpdateWorkerRequest::default() };
    let all = UpdateWorkerRequest {
        worker_name: Some("n".to_owned()),
        worker_type: Some(WorkerType::Vpu.into()),
        support_vr: Some(true),
        ..nothing.clone()
    };
    assert_eq!(fake.asked::<UpdateWorkerRequest>(), [nothing, all]);
}

#[tokio::test]
async fn wrong_change_is_refused_only_of_a_worker_that_is_there() {
    let fake = Fake::default().answering(GetWorkerResponse { worker: Some(Worker::default()) });
    for (body, message) in [
        (r#"{"worker_name":null}"#, "参数不完整"),
        (r#"{"worker_name":""}"#, "参数不完整"),
        (r#"{"worker_type":null}"#, "参数不完整"),
        (r#"{"worker_type":4}"#, "参数类型错误"),
        (r#"{"support_vr":7}"#, "参数类型错误"),
    ] {
        assert_eq!(ask(&fake.router(), "PUT", "/api/v1/workers/2", body).await, error(400, message), "{body}");
    }
    assert!(fake.asked::<UpdateWorkerRequest>().is_empty());
    let taken = Fake::refusing(refusal(Code::AlreadyExists, "WORKER_EXISTS"));
    let body = r#"{"worker_name":"w9"}"#;
    assert_eq!(ask(&taken.router(), "PUT", "/api/v1/workers/2", body).await, error(409, "Worker w9 已存在"));
}

#[tokio::test]
async fn deleted_worker_is_confirmed() {
    let fake = Fake::default().answering(DeleteWorkerResponse::default());
    let expected = answer(200, r#"{"code":200,"message":"删除成功"}"#);
    assert_eq!(ask(&fake.router(), "DELETE", "/api/v1/workers/2", "").await, expected);
    assert_eq!(fake.asked::<DeleteWorkerRequest>(), [DeleteWorkerRequest { worker_id: 2 }]);
}

#[tokio::test]
async fn heartbeat_is_confirmed_and_carries_nothing() {
    let pending_action = OfflineAction::Shutdown.into();
    let fake = Fake::default().answering(HeartbeatResponse { pending_action, ..HeartbeatResponse::default() });
    let expected = answer(200, r#"{"code":200,"message":"心跳更新成功"}"#);
    for body in [r#"{"worker_name":"w1","worker_id":1}"#, r#"{"worker_name":"w1","worker_id":"1"}"#] {
        assert_eq!(ask(&fake.router(), "POST", "/api/v1/workers/heartbeat", body).await, expected);
    }
    let expected = HeartbeatRequest { worker_id: 1, worker_name: "w1".to_owned() };
    assert_eq!(fake.asked::<HeartbeatRequest>(), [expected.clone(), expected]);
}

#[tokio::test]
async fn heartbeat_of_nobody_is_refused() {
    let fake = Fake::refusing(refusal(Code::NotFound, "WORKER_NOT_FOUND"));
    for (body, code, message) in [
        ("{}", 400, "参数不完整"),
        (r#"{"worker_name":"w1","worker_id":0}"#, 400, "参数不完整"),
        (r#"{"worker_name":"","worker_id":1}"#, 400, "参数不完整"),
        (r#"{"worker_name":"w1","worker_id":[1]}"#, 400, "参数类型错误"),
        (r#"{"worker_name":"w1","worker_id":"abc"}"#, 404, "Worker不存在"),
        (r#"{"worker_name":"w1","worker_id":-1}"#, 404, "Worker不存在"),
        (r#"{"worker_name":"w1","worker_id":1e12}"#, 404, "Worker不存在"),
        (r#"{"worker_name":"w1","worker_id":7}"#, 404, "Worker不存在"),
    ] {
        let answered = ask(&fake.router(), "POST", "/api/v1/workers/heartbeat", body).await;
        assert_eq!(answered, error(code, message), "{body}");
    }
}

#[tokio::test]
async fn worker_is_told_to_go_and_to_stay() {
    let fake = Fake::default()
        .answering(SetWorkerOfflineResponse::default())
        .answering(CancelWorkerOfflineResponse::default());
    let path = "/api/v1/workers/2/offline";
    for action in ["offline", "shutdown"] {
        let body = format!(r#"{{"action":"{action}"}}"#);
        let expected = answer(200, r#"{"code":200,"message":"下线指令已发送"}"#);
        assert_eq!(ask(&fake.router(), "POST", path, body).await, expected);
    }
    let expected = answer(200, r#"{"code":200,"message":"下线指令已取消"}"#);
    assert_eq!(ask(&fake.router(), "DELETE", path, "").await, expected);
    let actions: Vec<_> = fake.asked::<SetWorkerOfflineRequest>().iter().map(SetWorkerOfflineRequest::action).collect();
    assert_eq!(actions, [OfflineAction::Offline, OfflineAction::Shutdown]);
    assert_eq!(fake.asked::<CancelWorkerOfflineRequest>(), [CancelWorkerOfflineRequest { worker_id: 2 }]);
}

#[tokio::test]
async fn wrong_action_is_refused_before_anybody_is_asked() {
    let fake = Fake::default();
    for body in ["{}", r#"{"action":"stop"}"#, r#"{"action":null}"#, r#"{"action":1}"#, r#"{"action":"OFFLINE"}"#] {
        for path in ["/api/v1/workers/2/offline", "/api/v1/workers/0/offline"] {
            assert_eq!(ask(&fake.router(), "POST", path, body).await, error(400, "无效的下线动作"), "{body}");
        }
    }
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn workers_are_counted() {
    let fake = Fake::default().answering(GetWorkerStatsResponse { active: 1, idle: 2, offline: 3 });
    let expected = r#"{"code":200,"data":{"active":1,"idle":2,"offline":3},"message":"success"}"#;
    assert_eq!(ask(&fake.router(), "GET", "/api/v1/workers/stats", "").await, answer(200, expected));
}
