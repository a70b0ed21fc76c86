//! Listing locks.

use steward_proto::lock::v1::{ListRequest, ListResponse, LockKey, Outcome};
use tonic::Code;

use crate::common::server::Server;
use crate::common::wait::within;
use crate::vocabulary::{Locks, acquire, pull, refusal};

async fn list(locks: &Locks, request: ListRequest) -> ListResponse {
    let answer = within("a page", locks.client.clone().list(request)).await;
    answer.expect("a page").into_inner()
}

fn names(page: &ListResponse) -> Vec<&str> {
    page.locks.iter().map(|lock| lock.key.as_ref().expect("a key").resource_id.as_str()).collect()
}

#[tokio::test]
async fn locks_are_found_by_type_prefix_and_owner() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    locks.hold(acquire(&pull("sha256:a1"), "A")).await;
    locks.hold(acquire(&pull("sha256:a2"), "B")).await;
    locks.hold(acquire(&pull("md5:a3"), "A")).await;
    locks.hold(acquire(&LockKey { r#type: "update".to_owned(), resource_id: "sha256:u".to_owned() }, "A")).await;
    let done = locks.hold(acquire(&pull("sha256:done"), "A")).await;
    locks.give_back(&done, Outcome::Succeeded).await;
    let pulls = ListRequest { r#type: "pull".to_owned(), ..ListRequest::default() };
    let layers = ListRequest { resource_id_prefix: "sha256:".to_owned(), ..pulls.clone() };
    let of_a = ListRequest { owner: "A".to_owned(), ..ListRequest::default() };

    assert_eq!(list(&locks, ListRequest::default()).await.total_size, 5);
    assert_eq!(names(&list(&locks, pulls).await), ["md5:a3", "sha256:a1", "sha256:a2", "sha256:done"]);
    assert_eq!(names(&list(&locks, layers.clone()).await), ["sha256:a1", "sha256:a2", "sha256:done"]);
    let held = list(&locks, ListRequest { held_only: true, ..layers.clone() }).await;
    assert_eq!(names(&held), ["sha256:a1", "sha256:a2"]);
    let of_a = list(&locks, of_a).await;
    assert_eq!((names(&of_a), of_a.total_size), (vec!["md5:a3", "sha256:a1", "sha256:u"], 3));
    assert!(of_a.locks.iter().all(|lock| lock.holders[0].grant_id.is_empty()), "the id is the holder's secret");
    let nothing = list(&locks, ListRequest { owner: "B".to_owned(), resource_id_prefix: "md5".to_owned(), ..layers });
    assert_eq!(names(&nothing.await), Vec::<&str>::new());
}

#[tokio::test]
async fn a_lock_that_nobody_uses_is_not_listed() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let grant = locks.hold(acquire(&pull("sha256:gone"), "A")).await;
    locks.give_back(&grant, Outcome::Released).await;
    assert_eq!(list(&locks, ListRequest::default()).await, ListResponse::default());
    let idle = locks.get(&pull("sha256:gone")).await;
    assert_eq!((idle.holder_count, idle.waiter_count, idle.completion), (0, 0, None));
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    for number in 0..25 {
        locks.hold(acquire(&pull(&format!("sha256:{number:02}")), "A")).await;
    }
    let mut seen = Vec::new();
    let mut request = ListRequest { r#type: "pull".to_owned(), page_size: 10, ..ListRequest::default() };
    for (expected, total) in [(10, 25), (10, 0), (5, 0)] {
        let page = list(&locks, request.clone()).await;
        assert_eq!((page.locks.len(), page.total_size), (expected, total));
        seen.extend(names(&page).into_iter().map(str::to_owned));
        request.page_token = page.next_page_token;
    }
    assert_eq!(request.page_token, "", "that was the last");
    assert_eq!(seen, (0..25).map(|number| format!("sha256:{number:02}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_page_token_that_was_never_given_is_refused() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let request = ListRequest { page_token: "nonsense".to_owned(), ..ListRequest::default() };
    let answer = within("an answer", locks.client.clone().list(request)).await;
    assert_eq!(refusal(answer), (Code::InvalidArgument, "INVALID_ARGUMENT".to_owned()));
}

#[tokio::test]
async fn a_prefix_needs_a_type() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let request = ListRequest { resource_id_prefix: "sha256:".to_owned(), ..ListRequest::default() };
    let answer = within("an answer", locks.client.clone().list(request)).await;
    assert_eq!(crate::vocabulary::wrong_fields(answer), ["resource_id_prefix"]);
}
