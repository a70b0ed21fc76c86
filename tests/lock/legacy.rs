//! Words in which the tests speak the legacy HTTP API, and its answers to the byte.

use crate::common::http::{Answer, EventStream, HttpPort};
use crate::common::server::Server;
use crate::common::wait::eventually;

pub(crate) const GRANTED: (u16, &str) = (200, "{\"acquired\":true,\"message\":\"成功获得锁\",\"skip\":false}\n");
pub(crate) const QUEUED: (u16, &str) =
    (200, "{\"acquired\":false,\"message\":\"锁已被占用，已加入等待队列\",\"skip\":false}\n");
pub(crate) const SKIPPED: (u16, &str) =
    (200, "{\"acquired\":false,\"message\":\"操作已完成，跳过操作\",\"skip\":true}\n");
pub(crate) const UNLOCKED: (u16, &str) = (200, "{\"message\":\"成功释放锁\",\"released\":true}\n");
pub(crate) const NOT_RELEASED: (u16, &str) =
    (403, "{\"message\":\"释放锁失败：锁不存在或不是锁的持有者\",\"released\":false}\n");
pub(crate) const MALFORMED: (u16, &str) = (400, "无效的请求格式\n");
pub(crate) const INCOMPLETE: (u16, &str) = (400, "缺少必要参数\n");
pub(crate) const NO_SUBJECT: (u16, &str) = (400, "缺少必要参数: type 和 resource_id\n");
pub(crate) const NOT_FOUND: (u16, &str) = (404, "404 page not found\n");

pub(crate) const STATUS_UNKNOWN: (u16, &str) = (200, "{\"acquired\":false,\"completed\":false,\"success\":false}\n");
pub(crate) const STATUS_HELD: (u16, &str) = (200, "{\"acquired\":true,\"completed\":false,\"success\":false}\n");
pub(crate) const STATUS_DONE: (u16, &str) = (200, "{\"acquired\":false,\"completed\":true,\"success\":true}\n");

/// The API under one prefix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Api {
    pub(crate) http: HttpPort,
    pub(crate) prefix: &'static str,
}

/// How a node says that its work ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending<'a> {
    Success,
    Failure,
    /// No field `success`, and this error when it is not empty.
    Unsaid(&'a str),
}

impl Api {
    /// The routes as documented.
    pub(crate) fn of(server: &Server) -> Self {
        Api { http: server.http(), prefix: "" }
    }

    /// The routes that infer success.
    pub(crate) fn inferring(server: &Server) -> Self {
        Api { http: server.http(), prefix: "/infer" }
    }

    /// Both, each of which has to keep the whole contract.
    pub(crate) fn both(server: &Server) -> [Self; 2] {
        [Api::of(server), Api::inferring(server)]
    }

    /// The name of a layer that the other prefix does not use.
    pub(crate) fn layer(self, name: &str) -> String {
        format!("sha256:{name}{}", self.prefix.replace('/', "-"))
    }

    pub(crate) fn path(self, rest: &str) -> String {
        format!("{}{rest}", self.prefix)
    }

    pub(crate) async fn post(self, path: &str, body: &str) -> Answer {
        self.http.post(&self.path(path), body).await
    }

    pub(crate) async fn get(self, path: &str) -> Answer {
        self.http.get(&self.path(path)).await
    }

    pub(crate) async fn lock(self, kind: &str, resource: &str, node: &str) -> Answer {
        self.post("/lock", &body(kind, resource, node, "")).await
    }

    pub(crate) async fn unlock(self, kind: &str, resource: &str, node: &str, ending: Ending<'_>) -> Answer {
        let more = match ending {
            Ending::Success => r#","success":true"#.to_owned(),
            Ending::Failure => r#","success":false"#.to_owned(),
            Ending::Unsaid("") => String::new(),
            Ending::Unsaid(error) => format!(r#","error":"{error}""#),
        };
        self.post("/unlock", &body(kind, resource, node, &more)).await
    }

    pub(crate) async fn status(self, kind: &str, resource: &str, node: &str) -> Answer {
        self.get(&format!("/lock/status?type={kind}&resource_id={resource}&node_id={node}")).await
    }

    pub(crate) async fn subscribe(self, kind: &str, resource: &str) -> EventStream {
        self.http.subscribe(&self.path(&subscription(kind, resource))).await
    }

    /// Waits until a node is told that it holds the lock.
    pub(crate) async fn see_holder(self, kind: &str, resource: &str, node: &str) {
        let what = format!("{node} holds {kind} {resource}");
        let look = async || (self.status(kind, resource, node).await.parts() == STATUS_HELD).then_some(());
        eventually(&what, look).await;
    }
}

/// A request body, with more fields if `more` has any.
pub(crate) fn body(kind: &str, resource: &str, node: &str, more: &str) -> String {
    format!(r#"{{"type":"{kind}","resource_id":"{resource}","node_id":"{node}"{more}}}"#)
}

pub(crate) fn subscription(kind: &str, resource: &str) -> String {
    format!("/lock/subscribe?type={kind}&resource_id={resource}")
}
