//! Codes, statuses, texts and headers of what is refused, for all APIs with the envelope.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::BASE;
use crate::artifact::fake::Fake;
use crate::enveloped::{ask, ask_with, expect_without_call, invalid, refused, refusing, unreadable};
use crate::restic::refusal;

const CHINESE: &[&str] = &["Accept-Language: zh-CN,zh;q=0.9,en;q=0.8"];
const BUSY: (&str, &str) = ("System service is busy, please try again later", "系统繁忙，请稍后再试");

#[tokio::test]
async fn reasons_have_codes_statuses_and_texts() {
    let path = format!("{BASE}/delete/p/r/t");
    for (reason, status, code, english, chinese) in [
        ("PARAMETER_MISSING", 400, 250_103, "Parameter [x] is missing", "参数[x]缺失"),
        ("PARAMETER_EMPTY", 400, 250_104, "Parameter [x] should not be empty", "参数[x]不能为空"),
        ("PARAMETER_INVALID", 400, 250_105, "Parameter [x] is invalid", "参数[x]无效"),
        ("EXECUTION_NOT_FOUND", 400, 250_108, "Resource [x] not found", "资源[x]不存在"),
        ("NOT_RUN_ONCE", 400, 250_112, "Method not allowed, reason: x", "不支持的操作, 原因: x"),
        ("PROJECT_NOT_EMPTY", 400, 250_113, "Access denied: x", "访问被拒绝: x"),
        ("CLUSTER_UNREACHABLE", 400, 250_301, "remote cluster [x] connect error", "远程集群[x]连接失败"),
        ("CLUSTER_TLS", 400, 250_302, "remote cluster ssl error", "远程集群SSL证书错误"),
        ("TASK_RUNNING", 400, 250_303, "task status invalid", "任务状态不正确"),
        ("EXECUTION_ENDED", 400, 250_303, "task status invalid", "任务状态不正确"),
        ("TASK_DISABLED", 400, 250_304, "task enables is false", "任务状态已停用"),
        ("CLUSTER_EXISTS", 400, 250_305, "cluster node [x] is existed", "集群节点[x]已存在"),
        ("CLUSTER_NOT_FOUND", 400, 250_306, "cluster node [x] is not found", "集群节点[x]不存在"),
        ("CENTER_EXISTS", 400, 250_309, "cluster center node is existed", "集群中心节点已存在"),
        ("TASK_NOT_FOUND", 400, 250_310, "replica task [x] not found", "任务[x]未找到"),
        ("DIGEST_MISMATCH", 400, 251_003, "Failed to check artifact x digest", "校验构件x摘要失败"),
        ("PROJECT_NOT_FOUND", 404, 251_004, "Project [x] not found", "项目[x]不存在"),
        ("PROJECT_EXISTS", 400, 251_005, "Project [x] existed", "项目[x]已存在"),
        ("REPOSITORY_NOT_FOUND", 404, 251_006, "Repository [x] not found", "仓库[x]不存在"),
        ("REPOSITORY_EXISTS", 400, 251_007, "Repository [x] existed", "仓库[x]已存在"),
        ("REPOSITORY_NOT_EMPTY", 400, 251_008, "Repository [x] contains artifacts", "仓库[x]中存在构件"),
        ("FILE_NOT_FOUND", 404, 251_010, "Node [x] not found", "节点[x]不存在"),
        ("FILE_EXISTS", 400, 251_012, "Node [x] existed", "节点[x]已存在"),
        ("FILE_CONFLICT", 400, 251_013, "Node [x] conflict", "已存在同名文件，且不允许覆盖"),
        ("PACKAGE_NOT_FOUND", 404, 251_017, "Package [x] not found", "制品包[x]不存在"),
        // Quirk: the second place stays as it is.
        ("VERSION_NOT_FOUND", 404, 251_019, "Package version [x-{1}] not found", "制品包版本[x]不存在"),
        (
            "TOO_MANY_TASKS",
            400,
            250_112,
            "Method not allowed, reason: in own words",
            "不支持的操作, 原因: in own words",
        ),
        ("INTERNAL", 500, 250_102, BUSY.0, BUSY.1),
        ("SOMETHING_NEW", 500, 250_102, BUSY.0, BUSY.1),
    ] {
        // The code of the call says nothing where the reason is known.
        let router = refusing(Code::Internal, reason).router();
        assert_eq!(ask(&router, "DELETE", &path, "").await, refused(status, code, english), "{reason}");
        let answer = ask_with(&router, "DELETE", &path, CHINESE, "").await;
        assert_eq!(answer, refused(status, code, chinese), "{reason}");
    }
}

#[tokio::test]
async fn what_is_in_the_way_is_told() {
    let status = refusal(Code::FailedPrecondition, "FILE_CONFLICT", "/d is a folder");
    let router = Fake::default().refusing("*", status).router();
    let answer = ask(&router, "GET", "/repository/api/node/detail/p/r/d", "").await;
    assert_eq!(answer, refused(400, 251_013, "Node [/d is a folder] conflict"));
}

#[tokio::test]
async fn texts_are_english_for_all_that_are_not_simplified_chinese() {
    let router = refusing(Code::NotFound, "TASK_NOT_FOUND").router();
    for (wish, expected) in
        [("zh-CN", "任务[x]未找到"), ("zh-TW", "replica task [x] not found"), ("fr", "replica task [x] not found")]
    {
        let header = format!("Accept-Language: {wish}");
        let answer = ask_with(&router, "DELETE", &format!("{BASE}/delete/p/r/t"), &[&header], "").await;
        assert_eq!(answer, refused(400, 250_310, expected), "{wish}");
    }
}

#[tokio::test]
async fn changes_are_refused_in_words_of_their_own() {
    let config = r#"{"name":"t","registry":"h.test","pathConstraints":null}"#;
    let body = format!(r#"{{"configs":[{config}]}}"#);
    let once = r#"{"name":"t","registry":"h.test","pathConstraints":["/a"]}"#;
    for (path, body) in [
        (format!("{BASE}/create/p/r"), body.as_str()),
        (format!("{BASE}/update/p/r/t"), config),
        (format!("{BASE}/create/runOnceTask/p/r"), once),
    ] {
        let running = refusing(Code::FailedPrecondition, "TASK_RUNNING").router();
        let expected = refused(400, 250_308, "task [x] disable update");
        assert_eq!(ask(&running, "POST", &path, body).await, expected, "{path}");
        let forbidden = refusing(Code::InvalidArgument, "TARGET_FORBIDDEN").router();
        assert_eq!(ask(&forbidden, "POST", &path, body).await, invalid("url"), "{path}");
    }
}

#[tokio::test]
async fn refusals_that_the_call_tells_say_what_to_do_next() {
    let path = format!("{BASE}/info/p/r");
    let own = |code, reason| refusal(code, reason, "in own words");
    let busy = |status: &str| format!("{status} 250102 \"{}\"\nnull", BUSY.0);
    let unknown = "401 (www-authenticate: Basic realm=\"Authentication Required\") 250114 \
                   \"Failed to authenticate: Unauthorized\"\nnull";
    for (status, expected) in [
        (own(Code::Unauthenticated, "UNAUTHENTICATED"), unknown.to_owned()),
        (Status::unauthenticated("secret"), unknown.to_owned()),
        (own(Code::PermissionDenied, "PERMISSION_DENIED"), refused(403, 250_113, "Access denied: in own words")),
        (Status::permission_denied("secret"), refused(403, 250_113, "Access denied: ")),
        (own(Code::Unavailable, "SHUTTING_DOWN"), busy("503 (retry-after: 1)")),
        (Status::unavailable("secret"), busy("503 (retry-after: 1)")),
        (Status::deadline_exceeded("secret"), busy("504")),
        (own(Code::ResourceExhausted, "TOO_MANY_WATCHERS"), busy("429 (retry-after: 1)")),
        (own(Code::ResourceExhausted, "TOO_MANY_ATTEMPTS"), busy("429 (retry-after: 10)")),
        (own(Code::ResourceExhausted, "TOO_MANY_CALLS"), busy("429 (retry-after: 1)")),
        (own(Code::ResourceExhausted, "DISK_FULL"), busy("507")),
        (Status::unknown("secret"), busy("500")),
    ] {
        let router = Fake::default().refusing("*", status.clone()).router();
        assert_eq!(ask(&router, "GET", &path, "").await, expected, "{status:?}");
        let path = "/repository/api/project/list";
        assert_eq!(ask(&router, "GET", path, "").await, expected, "{status:?}");
    }
}

#[tokio::test]
async fn fields_are_told_by_the_names_that_clients_know() {
    for (field, name) in [
        ("project", "projectId"),
        ("repository", "repoName"),
        ("target.path", "fullPath"),
        ("display_name", "displayName"),
    ] {
        let mut details = ErrorDetails::with_error_info("INVALID_ARGUMENT", "steward", []);
        details.add_bad_request_violation(field, "is wrong");
        let status = Status::with_error_details(Code::InvalidArgument, "no", details);
        let router = Fake::default().refusing("*", status).router();
        assert_eq!(ask(&router, "GET", &format!("{BASE}/info/p/r"), "").await, invalid(name));
    }
}

#[tokio::test]
async fn paths_of_nothing_are_not_found() {
    let router = Fake::default().router();
    for path in [
        "/replication/api",
        "/replication/api/",
        "/replication/api/x",
        "/replication/api/remote/distribution/create/p",
        "/replication/api/remote/distribution/info/p/r/t/x",
        "/replication/api/cluster",
        "/replication/api/task/list",
        "/repository/api",
        "/repository/api/",
        "/repository/api/node/detail/p",
        "/repository/api/x/y",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let expected = refused(404, 250_130, &format!("Request url[{path}] not found"));
            assert_eq!(ask(&router, method, path, "").await, expected, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn paths_that_are_no_text_are_not_found() {
    for path in ["/repository/api/node/detail/p/r/%FF", "/replication/api/remote/distribution/info/p/%FF"] {
        let expected = refused(404, 250_130, &format!("Request url[{path}] not found"));
        expect_without_call("GET", path, "", &expected).await;
    }
}

#[tokio::test]
async fn methods_of_nothing_are_refused() {
    let router = Fake::default().router();
    for (method, path, allow) in [
        ("GET", format!("{BASE}/create/p/r"), "POST"),
        ("PUT", format!("{BASE}/update/p/r/t"), "POST"),
        ("POST", format!("{BASE}/info/p/r/t"), "GET,HEAD"),
        ("GET", format!("{BASE}/delete/p/r/t"), "DELETE"),
        ("GET", format!("{BASE}/toggle/status/p/r/t"), "POST"),
        ("GET", format!("{BASE}/execute/runOnceTask/p/r?name=t"), "POST"),
        ("POST", format!("{BASE}/get/runOnceTaskStatus/p/r?name=t"), "GET,HEAD"),
        ("DELETE", "/replication/api/cluster/tryConnect?name=t".to_owned(), "POST,GET,HEAD"),
        ("PUT", "/repository/api/project/create".to_owned(), "POST"),
        ("PUT", "/repository/api/metadata/p/r/a".to_owned(), "GET,HEAD,POST,DELETE"),
    ] {
        let answer = ask(&router, method, &path, "").await;
        let message = format!("Method not allowed, reason: Request method '{method}' not supported");
        let expected = format!("405 (allow: {allow}) 250112 \"{message}\"\nnull");
        assert_eq!(answer, expected, "{method} {path}");
    }
}

#[tokio::test]
async fn longest_body_is_a_mebibyte() {
    let router = Fake::default().router();
    let body = format!(r#"{{"configs":[]}}{}"#, " ".repeat(1024 * 1024));
    assert_eq!(ask(&router, "POST", &format!("{BASE}/create/p/r"), &body).await, unreadable());
}
