use serde_json::{Value, json};

use super::{is_time, keys};
use crate::vocabulary::farm::Farm;

#[tokio::test]
async fn a_task_is_shown_with_exactly_these_fields() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(1).await;
    let worker = api.register("w1").await;
    let id = api.claim(worker).await;

    let list = api.get("/tasks").await;
    assert_eq!((list.status, &list.json["message"]), (200, &json!("success")));
    let row = &list.data()[0];
    let expected = [
        ("task_id", json!(id)),
        ("video_path", json!("lib/video-00000.mp4")),
        ("dest_path", json!(null)),
        ("worker_id", json!(worker)),
        ("worker_name", json!("w1")),
        ("progress", json!(0.0)),
        ("status", json!(0)),
        ("elapsed_time", json!(0)),
        ("remaining_time", json!(null)),
        ("error_message", json!(null)),
        ("end_time", json!(null)),
    ];
    for (key, value) in &expected {
        assert_eq!(row.get(*key), Some(value), "{key} in {row}");
    }
    is_time(&row["start_time"]);
    let alone = api.get(&format!("/tasks/{id}")).await;
    let alone = alone.brings(200, "获取成功");
    for (key, value) in expected.iter().filter(|(key, _)| !key.ends_with("_time") || key.starts_with("elapsed")) {
        assert_eq!(alone.get(*key), Some(value), "{key} in {alone}");
    }
    assert!(alone["progress"].is_f64(), "the progress is written as a float: {alone}");
}

#[tokio::test]
async fn the_pages_of_no_tasks_are_none() {
    let farm = Farm::start().await;
    let list = farm.api().get("/tasks").await;
    assert_eq!(keys(&list.json), ["code", "data", "message", "pagination"]);
    assert_eq!(list.data(), &json!([]));
    let none = json!({"total": 0, "pages": 0, "current_page": 1, "per_page": 20, "has_next": false, "has_prev": false});
    assert_eq!(list.json["pagination"], none);
}

#[tokio::test]
async fn only_a_uuid_names_a_task() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(1).await;
    let worker = api.register("w1").await;
    api.claim(worker).await;
    for odd in ["1", "0", "abc", "00000000-0000-0000-0000-000000000000", "%00", "a%20b", "%E4%BB%BB"] {
        api.get(&format!("/tasks/{odd}")).await.says(404, "任务不存在");
        let body = json!({"worker_id": worker, "progress": 1, "status": 1});
        api.update(odd, &body).await.says(404, "任务不存在");
    }
}

/// Seven tasks: 0 and 1 created, 2 and 3 running, 4 and 5 completed, 6 failed.
async fn seven(farm: &Farm) -> Vec<String> {
    let api = farm.api();
    farm.waiting(7).await;
    let worker = api.register("w1").await;
    let mut tasks = Vec::new();
    for _ in 0..7 {
        tasks.push(api.claim(worker).await);
    }
    for (task, progress) in tasks[2..4].iter().zip([70.5, 20.25]) {
        api.progress(task, worker, progress).await;
    }
    for task in &tasks[4..6] {
        api.complete(task, worker).await;
    }
    api.fail(&tasks[6], worker, "no").await;
    tasks
}

#[tokio::test]
async fn statuses_filter_in_both_spellings_and_what_is_no_number_does_not() {
    let farm = Farm::start().await;
    let tasks = seven(&farm).await;
    let listed = async |query: &str| -> Vec<usize> {
        let rows = farm.api().rows(&format!("/tasks?{query}")).await;
        let place = |row: &Value| tasks.iter().position(|id| row["task_id"] == id.as_str()).expect("a task");
        let mut places: Vec<_> = rows.iter().map(place).collect();
        places.sort_unstable();
        places
    };
    let all: Vec<usize> = (0..7).collect();
    assert_eq!(listed("status[]=0").await, [0, 1]);
    assert_eq!(listed("status%5B%5D=0").await, [0, 1]);
    assert_eq!(listed("status[]=0&status%5b%5d=3").await, [0, 1, 6]);
    assert_eq!(listed("status[]=1&status[]=1").await, [2, 3]);
    assert_eq!(listed("status[]=2&status[]=x").await, [4, 5]);
    assert_eq!(listed("status[]=7").await, [] as [usize; 0]);
    for ignored in ["status=0", "status[0]=0", "status[]=x", "status[]=", "status[]=undefined&status[]=1.5", ""] {
        assert_eq!(listed(ignored).await, all, "{ignored}");
    }
}

#[tokio::test]
async fn tasks_are_sorted_as_asked_and_otherwise_the_newest_first() {
    let farm = Farm::start().await;
    let tasks = seven(&farm).await;
    let listed = async |query: &str| -> Vec<usize> {
        let rows = farm.api().rows(&format!("/tasks?{query}")).await;
        rows.iter().map(|row| tasks.iter().position(|id| row["task_id"] == id.as_str()).expect("a task")).collect()
    };
    let newest = [6, 5, 4, 3, 2, 1, 0];
    for query in ["", "sort_by=start_time", "order=desc", "sort_by=metadata", "sort_by=__init__", "sort_by=query"] {
        assert_eq!(listed(query).await, newest, "{query}");
    }
    for query in ["order=asc", "order=DESC", "order=", "sort_by=start_time&order=up", "sort_by=nothing&order=asc"] {
        assert_eq!(listed(query).await, [0, 1, 2, 3, 4, 5, 6], "{query}");
    }
    assert_eq!(listed("sort_by=progress&status[]=1").await, [2, 3]);
    assert_eq!(listed("sort_by=progress&order=asc&status[]=1").await, [3, 2]);
    assert_eq!(listed("sort_by=status").await, [6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(listed("sort_by=status&order=asc").await, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(listed("sort_by=video_path&order=asc").await, [0, 1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn tasks_come_in_pages() {
    let farm = Farm::start().await;
    let tasks = seven(&farm).await;
    let api = farm.api();
    let page = async |query: &str| {
        let reply = api.get(&format!("/tasks?{query}")).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.json);
        let rows = reply.data().as_array().expect("an array").iter();
        let ids: Vec<_> = rows.map(|row| row["task_id"].as_str().expect("a string").to_owned()).collect();
        (ids, reply.json["pagination"].clone())
    };
    let (ids, pagination) = page("page=2&per_page=3&order=asc").await;
    assert_eq!(ids, tasks[3..6]);
    let second = json!({"total": 7, "pages": 3, "current_page": 2, "per_page": 3, "has_next": true, "has_prev": true});
    assert_eq!(pagination, second);
    let (ids, pagination) = page("page=3&per_page=3&order=asc").await;
    assert_eq!((ids.as_slice(), &pagination["has_next"]), (&tasks[6..], &json!(false)));

    let (ids, pagination) = page("page=50&per_page=3").await;
    let past = json!({"total": 7, "pages": 3, "current_page": 50, "per_page": 3, "has_next": false, "has_prev": true});
    assert_eq!((ids, pagination), (Vec::new(), past));
    for odd in ["page=0", "page=-1", "page=x", "per_page=0", "per_page=-2", "per_page=ten", "page=1.5"] {
        let (ids, pagination) = page(odd).await;
        assert_eq!(
            (ids.len(), &pagination["current_page"], &pagination["per_page"]),
            (7, &json!(1), &json!(20)),
            "{odd}"
        );
    }
    let (_, pagination) = page("per_page=5000").await;
    assert_eq!(pagination["per_page"], 1000, "a page has an end");
    page("page=9223372036854775807&per_page=1000").await;
    page("page=99999999999999999999999").await;
}
