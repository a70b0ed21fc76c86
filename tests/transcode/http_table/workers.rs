use serde_json::json;

use super::all_say;
use crate::vocabulary::farm::Farm;

#[tokio::test]
async fn a_registration_needs_a_name_a_type_and_whether_it_takes_vr() {
    let farm = Farm::start().await;
    let incomplete = [
        r"{}",
        r#"{"worker_type":0,"support_vr":0}"#,
        r#"{"worker_name":"","worker_type":0,"support_vr":0}"#,
        r#"{"worker_name":null,"worker_type":0,"support_vr":0}"#,
        r#"{"worker_name":"w"}"#,
        r#"{"worker_name":"w","worker_type":0}"#,
        r#"{"worker_name":"w","support_vr":0}"#,
        r#"{"worker_name":"w","worker_type":null,"support_vr":0}"#,
        r#"{"worker_name":"w","worker_type":0,"support_vr":null}"#,
        // What is missing is told before what is wrong.
        r#"{"worker_name":"","worker_type":99,"support_vr":7}"#,
    ];
    all_say(&farm.api(), "POST", "/workers", &incomplete, 400, "参数不完整").await;
}

#[tokio::test]
async fn a_registration_with_wrong_types_or_ranges_is_refused() {
    let farm = Farm::start().await;
    let long = format!(r#"{{"worker_name":"{}","worker_type":0,"support_vr":0}}"#, "n".repeat(256));
    let wrong = [
        r#"{"worker_name":"w","worker_type":4,"support_vr":0}"#,
        r#"{"worker_name":"w","worker_type":-1,"support_vr":0}"#,
        r#"{"worker_name":"w","worker_type":99,"support_vr":0}"#,
        r#"{"worker_name":"w","worker_type":1e300,"support_vr":0}"#,
        r#"{"worker_name":"w","worker_type":"cpu","support_vr":0}"#,
        r#"{"worker_name":"w","worker_type":[0],"support_vr":0}"#,
        r#"{"worker_name":"w","worker_type":{},"support_vr":0}"#,
        r#"{"worker_name":"w","worker_type":0,"support_vr":2}"#,
        r#"{"worker_name":"w","worker_type":0,"support_vr":"yes"}"#,
        r#"{"worker_name":["w"],"worker_type":0,"support_vr":0}"#,
        r#"{"worker_name":{"a":1},"worker_type":0,"support_vr":0}"#,
        &long,
    ];
    all_say(&farm.api(), "POST", "/workers", &wrong, 400, "参数类型错误").await;
    assert_eq!(farm.api().rows("/workers").await, [] as [serde_json::Value; 0], "nobody was registered");
}

#[tokio::test]
async fn numbers_may_come_as_floats_booleans_and_strings_of_digits() {
    let farm = Farm::start().await;
    let api = farm.api();
    let forms = [("0", "0"), ("1.0", "true"), ("0.6", "1"), (r#""2""#, r#""0""#), ("true", "false"), ("3", "0.0")];
    for (number, (worker_type, support_vr)) in forms.iter().enumerate() {
        let body = format!(
            r#"{{"worker_name":"w{number}","worker_type":{worker_type},"support_vr":{support_vr},"unknown":[{{}}]}}"#
        );
        let reply = api.call("POST", "/workers", &body).await;
        assert_eq!(reply.status, 201, "{body}: {}", reply.json);
    }

    let seen = api.rows("/workers").await;

    let seen: Vec<_> = seen.iter().map(|row| (&row["worker_type"], &row["support_vr"])).collect();
    let expected = [(0, 0), (1, 1), (1, 1), (2, 0), (1, 0), (3, 0)].map(|(a, b)| (json!(a), json!(b)));
    assert_eq!(seen, expected.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_name_of_255_characters_of_any_script_is_taken() {
    let farm = Farm::start().await;
    let name = "节".repeat(255);
    let id = farm.api().register(&name).await;
    assert_eq!(farm.api().worker(id).await["worker_name"], name);
}

#[tokio::test]
async fn a_worker_that_is_online_keeps_its_name() {
    let farm = Farm::start().await;
    let api = farm.api();
    assert_eq!(api.register("w1").await, 1, "ids begin at 1");
    let body = r#"{"worker_name":"w1","worker_type":1,"support_vr":0}"#;
    api.call("POST", "/workers", body).await.says(409, "Worker w1 已在线，注册失败");
    assert_eq!(api.worker(1).await["worker_type"], 0, "nothing changed");
}

#[tokio::test]
async fn a_worker_is_shown_with_exactly_these_fields() {
    let farm = Farm::start().await;
    let api = farm.api();
    let id = api.register_as("w1", 3, 1).await;
    let row = json!({
        "worker_id": id, "worker_name": "w1", "worker_type": 3, "support_vr": 1, "status": 1, "offline_action": null
    });
    let mut alone = row.clone();
    alone.as_object_mut().expect("an object").remove("offline_action");

    let list = api.get("/workers").await;
    assert_eq!(list.json["pagination"]["total"], 1);
    assert_eq!(list.json["data"], json!([row]));
    assert_eq!((&list.json["code"], &list.json["message"]), (&json!(200), &json!("获取成功")));
    api.get(&format!("/workers/{id}")).await.is(200, &json!({"code": 200, "message": "获取成功", "data": alone}));
    api.get("/workers/2").await.says(404, "Worker不存在");
}

#[tokio::test]
async fn a_change_asks_first_who_it_is_about() {
    let farm = Farm::start().await;
    let api = farm.api();
    let (one, two) = (api.register("one").await, api.register("two").await);
    let path = format!("/workers/{one}");

    api.call("PUT", "/workers/77", r#"{"worker_name":null}"#).await.says(404, "Worker不存在");
    all_say(&api, "PUT", &path, &[r#"{"worker_name":null}"#], 400, "参数不完整").await;
    let wrong = [r#"{"worker_type":4}"#, r#"{"support_vr":2}"#, r#"{"worker_type":"x"}"#, r#"{"worker_name":[1]}"#];
    all_say(&api, "PUT", &path, &wrong, 400, "参数类型错误").await;
    api.call("PUT", &path, r#"{"worker_name":"two"}"#).await.says(409, "Worker two 已存在");
    let unchanged = json!({"worker_id": one, "worker_name": "one", "worker_type": 0, "support_vr": 0, "status": 1});
    assert_eq!(api.worker(one).await, unchanged);

    all_say(&api, "PUT", &path, &["{}", r#"{"worker_name":"one"}"#, r#"{"unknown":1}"#], 200, "更新成功").await;
    assert_eq!(api.worker(one).await, unchanged);
    api.call("PUT", &path, r#"{"worker_type":2}"#).await.says(200, "更新成功");
    api.call("PUT", &path, r#"{"worker_name":"new","support_vr":1}"#).await.says(200, "更新成功");
    let changed = json!({"worker_id": one, "worker_name": "new", "worker_type": 2, "support_vr": 1, "status": 1});
    assert_eq!(api.worker(one).await, changed);
    assert_eq!(api.worker(two).await["worker_name"], "two");
}

#[tokio::test]
async fn a_deleted_worker_is_gone_and_its_task_failed_but_kept() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(1).await;
    let id = api.register("w1").await;
    let task = api.claim(id).await;

    api.call("DELETE", &format!("/workers/{id}"), "").await.says(200, "删除成功");

    api.call("DELETE", &format!("/workers/{id}"), "").await.says(404, "Worker不存在");
    api.get(&format!("/workers/{id}")).await.says(404, "Worker不存在");
    let task = api.task(&task).await;
    assert_eq!((&task["status"], &task["worker_name"], &task["worker_id"]), (&json!(3), &json!("w1"), &json!(id)));
    assert_ne!(api.register("w1").await, id, "an id is not used twice");
}

#[tokio::test]
async fn a_heartbeat_asks_for_both_then_for_the_pair() {
    let farm = Farm::start().await;
    let api = farm.api();
    api.register("w1").await;
    let incomplete = [
        "{}",
        r#"{"worker_id":1}"#,
        r#"{"worker_name":"w1"}"#,
        r#"{"worker_id":0,"worker_name":"w1"}"#,
        r#"{"worker_id":1,"worker_name":""}"#,
        r#"{"worker_id":null,"worker_name":"w1"}"#,
        r#"{"worker_id":1,"worker_name":null}"#,
    ];
    all_say(&api, "POST", "/workers/heartbeat", &incomplete, 400, "参数不完整").await;
    let nobody = [
        r#"{"worker_id":2,"worker_name":"w1"}"#,
        r#"{"worker_id":1,"worker_name":"w2"}"#,
        r#"{"worker_id":1,"worker_name":"W1"}"#,
        r#"{"worker_id":-1,"worker_name":"w1"}"#,
    ];
    all_say(&api, "POST", "/workers/heartbeat", &nobody, 404, "Worker不存在").await;
    let living = [r#"{"worker_id":1,"worker_name":"w1"}"#, r#"{"worker_id":"1","worker_name":"w1","more":[]}"#];
    all_say(&api, "POST", "/workers/heartbeat", &living, 200, "心跳更新成功").await;
}

#[tokio::test]
async fn without_a_page_all_workers_are_listed_and_with_one_that_page() {
    let farm = Farm::start().await;
    let api = farm.api();
    for number in 1..=25 {
        api.register(&format!("w{number}")).await;
    }
    let ids = async |query: &str| -> Vec<i64> {
        let rows = api.rows(&format!("/workers{query}")).await;
        rows.iter().map(|row| row["worker_id"].as_i64().expect("a number")).collect()
    };

    assert_eq!(ids("").await, (1..=25).collect::<Vec<_>>());
    assert_eq!(ids("?page=1").await, (1..=20).collect::<Vec<_>>());
    assert_eq!(ids("?page=2").await, (21..=25).collect::<Vec<_>>());
    assert_eq!(ids("?per_page=3").await, [1, 2, 3]);
    assert_eq!(ids("?page=3&per_page=10").await, [21, 22, 23, 24, 25]);
    assert_eq!(ids("?page=9&per_page=10").await, [] as [i64; 0]);
    for odd in ["?page=0&per_page=10", "?page=-4&per_page=10", "?page=x&per_page=10", "?page=&per_page=10"] {
        assert_eq!(ids(odd).await, (1..=10).collect::<Vec<_>>(), "{odd}");
    }
    let page = api.get("/workers?page=2&per_page=10").await;
    let expected =
        json!({"total": 25, "pages": 3, "current_page": 2, "per_page": 10, "has_next": true, "has_prev": true});
    assert_eq!(page.json["pagination"], expected);
}
