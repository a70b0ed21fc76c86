//! `GET /lock/subscribe` until its headers are answered.

use std::time::Duration;

use http::Method;
use steward_proto::lock::v1::{LockKey, WatchRequest};
use tonic::{Code, Status};

use crate::fake::{Fake, Script, refusal};
use crate::http::{get, plain, send};

const PATH: &str = "/lock/subscribe?type=pull&resource_id=sha256%3As";

#[tokio::test]
async fn headers_are_answered_before_any_event() {
    for path in [PATH.to_owned(), format!("/infer{PATH}")] {
        let (fake, _updates) = Fake::watched();
        let response = send(&fake.router(), Method::GET, &path, "").await;
        assert_eq!(response.status(), 200);
        let headers = response.headers();
        assert_eq!(headers["content-type"], "text/event-stream");
        assert_eq!(headers["cache-control"], "no-cache");
        assert_eq!(headers["connection"], "keep-alive");
        assert_eq!(headers.len(), 3);

        let key = LockKey { r#type: "pull".to_owned(), resource_id: "sha256:s".to_owned() };
        let expected = WatchRequest { key: Some(key), ..WatchRequest::default() };
        assert_eq!(fake.asked(|asked| asked.watch.clone()), [expected]);
    }
}

#[tokio::test]
async fn missing_parameters_are_named() {
    let router = Fake::new(Script::default()).router();
    for query in ["", "?type=t", "?resource_id=r", "?type=&resource_id=r", "?TYPE=t&resource_id=r"] {
        let answer = get(&router, &format!("/lock/subscribe{query}")).await;
        assert_eq!(answer, plain(400, "缺少必要参数: type 和 resource_id"), "{query}");
    }
}

#[tokio::test]
async fn watch_that_cannot_start_is_a_plain_error() {
    for (status, expected) in [
        (refusal(Code::ResourceExhausted, "TOO_MANY_WATCHERS"), plain(503, "订阅者过多，请稍后重试")),
        (
            refusal(Code::InvalidArgument, "INVALID_ARGUMENT"),
            plain(400, "无效的参数: type 和 resource_id 最长 1024 字节"),
        ),
        (refusal(Code::Unavailable, "SHUTTING_DOWN"), plain(503, "服务暂时不可用，请稍后重试")),
        (Status::internal("secret"), plain(500, "内部错误")),
    ] {
        let router = Fake::new(Script { watch: Err(status.clone()), ..Script::default() }).router();
        assert_eq!(get(&router, PATH).await, expected, "{status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn watch_that_does_not_start_times_out() {
    let router = Fake::new(Script { delay: Duration::from_mins(1), ..Script::default() }).router();
    assert_eq!(get(&router, PATH).await, plain(504, "请求超时"));
}
