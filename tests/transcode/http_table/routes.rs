use crate::common::wait::eventually;
use crate::vocabulary::api::Api;
use crate::vocabulary::farm::Farm;
use crate::vocabulary::programs;

#[tokio::test]
async fn what_is_not_there_is_said_in_json() {
    let farm = Farm::start().await;
    let api = farm.api();
    api.register("w1").await;
    for path in ["/workers/abc", "/workers/-1", "/workers/1/", "/nothing", "/workers/1/nothing", "/videos/abc", ""] {
        api.get(path).await.says(404, "接口不存在");
    }
}

#[tokio::test]
async fn what_cannot_be_done_there_is_said_in_json() {
    let farm = Farm::start().await;
    let api = farm.api();
    let rows = [
        ("DELETE", "/workers"),
        ("PUT", "/workers"),
        ("PATCH", "/workers/1"),
        ("POST", "/workers/1"),
        ("GET", "/workers/1/offline"),
        ("GET", "/workers/heartbeat"),
        ("DELETE", "/tasks"),
        ("POST", "/videos"),
        ("DELETE", "/videos/1"),
        ("PATCH", "/logs"),
    ];
    for (method, path) in rows {
        let reply = api.call(method, path, "").await;
        let is_known = matches!((method, path), ("GET", "/workers/heartbeat"));
        assert!(reply.status == 405 || is_known && reply.status == 404, "{method} {path}: {}", reply.json);
        assert_eq!(reply.json["code"], reply.status, "{method} {path}");
    }
    let task = "/tasks/00000000-0000-4000-8000-000000000000";
    for method in ["DELETE", "PUT", "POST"] {
        assert_eq!(api.call(method, task, "").await.status, 405, "{method}");
    }
}

#[tokio::test]
async fn browsers_of_every_origin_may_ask() {
    let farm = Farm::start().await;
    let headers = [("Origin", "http://ui.example"), ("Access-Control-Request-Method", "PATCH")];
    let asked = farm.http().request("OPTIONS", "/api/v1/tasks", &headers, b"").await;
    assert!(asked.status == 200 || asked.status == 204, "{asked:?}");
    assert_eq!(asked.header("access-control-allow-origin"), Some("*"));
    let answer = farm.http().request("GET", "/api/v1/tasks", &headers[..1], b"").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("*")));
    let refused = farm.http().request("GET", "/api/v1/tasks/none", &headers[..1], b"").await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (404, Some("*")));
}

#[tokio::test]
async fn a_gateway_whose_server_is_away_says_so_in_json_and_finds_it_again() {
    let mut farm = Farm::start().await;
    let (_gateway, port) = programs::gateway(&farm, "gateway").await;
    let api = Api(port);
    let worker = api.register("w1").await;

    farm.kill9().await;

    for (method, path) in [("GET", "/workers"), ("GET", "/tasks"), ("GET", "/videos"), ("GET", "/logs")] {
        let reply = api.call(method, path, "").await;
        assert!((500..600).contains(&reply.status), "{path}: {}", reply.json);
        assert_eq!(reply.json["code"], reply.status, "{path}");
    }
    farm.restart().await;
    eventually("it finds its server again", async || {
        let reply = api.beat("w1", worker).await;
        (reply.status == 200).then_some(())
    })
    .await;
}
