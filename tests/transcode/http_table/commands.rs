use serde_json::json;

use super::all_say;
use crate::vocabulary::farm::Farm;

#[tokio::test]
async fn the_action_is_looked_at_before_the_worker() {
    let farm = Farm::start().await;
    let api = farm.api();
    api.register("w1").await;
    let wrong = ["{}", r#"{"action":null}"#, r#"{"action":""}"#, r#"{"action":"Offline"}"#, r#"{"action":1}"#];
    for path in ["/workers/1/offline", "/workers/77/offline"] {
        all_say(&api, "POST", path, &wrong, 400, "无效的下线动作").await;
    }
    for action in ["offline", "shutdown"] {
        let body = json!({"action": action});
        api.send("POST", "/workers/77/offline", &body).await.says(404, "Worker不存在");
        api.send("POST", "/workers/1/offline", &body).await.says(200, "下线指令已发送");
        assert_eq!(api.rows("/workers").await[0]["offline_action"], action);
    }
}

#[tokio::test]
async fn a_command_can_be_taken_back_any_number_of_times() {
    let farm = Farm::start().await;
    let api = farm.api();
    api.register("w1").await;
    api.send("POST", "/workers/1/offline", &json!({"action": "offline"})).await.says(200, "下线指令已发送");
    for _ in 0..2 {
        api.call("DELETE", "/workers/1/offline", "").await.says(200, "下线指令已取消");
        assert_eq!(api.rows("/workers").await[0]["offline_action"], json!(null));
    }
    api.call("DELETE", "/workers/77/offline", "").await.says(404, "Worker不存在");
    api.ask(1).await.says(404, "没有待转码的视频");
}
