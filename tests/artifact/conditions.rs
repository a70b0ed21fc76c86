//! Files that are stored only if what their clients know still holds.

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::registry::Registry;

const CLIENTS: u8 = 20;
const PATH: &str = "/generic/p1/gen/dir/a.txt";

/// Has many put a file at once, each with bytes of its own. Returns the bytes of those who were not refused.
async fn put_at_once(registry: &Registry, first: u8, condition: (&'static str, String)) -> Vec<Vec<u8>> {
    let (http, all_have_begun) = (registry.http(), Arc::new(Barrier::new(CLIENTS.into())));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (condition, all_have_begun) = (condition.clone(), Arc::clone(&all_have_begun));
        clients.spawn(async move {
            let content = vec![first + client; 10_000];
            let mut connection = http.connect().await;
            all_have_begun.wait().await;
            let answer = connection.request("PUT", PATH, &[(condition.0, &condition.1)], &content).await;
            assert!([200, 412].contains(&answer.status), "{}", answer.text());
            (answer.status == 200).then_some(content)
        });
    }
    clients.join_all().await.into_iter().flatten().collect()
}

#[tokio::test]
async fn of_many_who_put_a_file_under_the_same_condition_one_does() {
    let registry = Registry::start().await;
    let http = registry.http();
    let repository = br#"{"projectId":"p1","name":"gen","type":"GENERIC","category":"LOCAL","public":false}"#;
    let json = [("Content-Type", "application/json")];
    let created = http.request("POST", "/repository/api/repo/create", &json, repository).await;
    assert_eq!(created.status, 200, "{}", created.text());

    let stored = put_at_once(&registry, 0, ("If-None-Match", "*".to_owned())).await;
    let read = http.get(PATH).await;
    assert_eq!(stored, std::slice::from_ref(&read.body));

    let known = read.header("etag").expect("a tag").to_owned();
    let stored = put_at_once(&registry, 100, ("If-Match", known.clone())).await;
    let read = http.get(PATH).await;
    assert_eq!(stored, std::slice::from_ref(&read.body));

    let refused = http.request("DELETE", PATH, &[("If-Match", &known)], b"").await;
    assert_eq!(refused.status, 412, "{}", refused.text());
    let now = read.header("etag").expect("a tag");
    let deleted = http.request("DELETE", PATH, &[("If-Match", now)], b"").await;
    assert_eq!(deleted.status, 200, "{}", deleted.text());
}
