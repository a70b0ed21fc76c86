//! `Limit` and `Offset`, the same for every list.

use steward_proto::volume::v1::*;

use super::fake::Fake;
use super::{UUID, ask, list};

#[tokio::test]
async fn pages_are_asked_for_by_number() {
    for (query, expected) in [
        ("", (10, 0)),
        ("&Limit=20&Offset=40", (20, 40)),
        ("&Limit=10Offset=0", (10, 0)),
        ("&Limit=&Offset=", (10, 0)),
        ("&Limit=0&Offset=7", (1, 7)),
        ("&Limit=-1", (1000, 0)),
        ("&Offset=-1", (10, u64::MAX)),
    ] {
        let fake = Fake::default();
        ask(&fake.router(), &format!("ListFile&User=u&Dir=/{query}")).await;
        let message = fake.only::<ListVolumesRequest>();
        assert_eq!((message.page_size, message.skip), expected, "{query}");

        let fake = Fake::default();
        ask(&fake.router(), &format!("GetFileSnapshotInfo&User=u&File=/a{query}")).await;
        let message = fake.only::<ListSnapshotsRequest>();
        assert_eq!((message.page_size, message.skip), expected, "{query}");

        let fake = Fake::default();
        ask(&fake.router(), &format!("GetCloneTasks&User=u{query}")).await;
        let message = fake.only::<ListOperationsRequest>();
        assert_eq!((message.page_size, message.skip), expected, "{query}");
    }
}

#[tokio::test]
async fn limit_of_nothing_is_null_with_the_count() {
    let answer = ListVolumesResponse { volumes: vec![Volume::default()], total_size: 7, ..Default::default() };
    let router = Fake::default().answering(answer).router();
    assert_eq!(ask(&router, "ListFile&User=u&Dir=/&Limit=0").await, list("FileInfos", &[], 7));
}

#[tokio::test]
async fn single_rows_are_paged_too() {
    let fake = Fake::default()
        .answering(GetVolumeResponse { volume: Some(Volume::default()) })
        .answering(GetSnapshotResponse { snapshot: Some(Snapshot::default()) })
        .answering(GetOperationResponse {
            operation: Some(Operation { r#type: OperationType::Clone.into(), ..Operation::default() }),
        });
    for page in ["Limit=0", "Offset=1"] {
        for (query, key) in [
            ("ListFile&User=u&File=/a".to_owned(), "FileInfos"),
            (format!("GetFileSnapshotInfo&User=u&UUID={UUID}"), "Snapshots"),
            (format!("GetCloneTasks&User=u&UUID={UUID}"), "TaskInfos"),
        ] {
            assert_eq!(ask(&fake.router(), &format!("{query}&{page}")).await, list(key, &[], 1), "{query} {page}");
        }
    }
}

#[tokio::test]
async fn long_pages_are_gathered_from_several() {
    let answer =
        |count| ListVolumesResponse { volumes: vec![Volume::default(); count], total_size: 1003, ..Default::default() };
    let fake = Fake::default().answering(answer(1000)).answering(answer(3));
    let answered = ask(&fake.router(), "ListFile&User=u&Dir=/&Limit=5000").await;
    assert_eq!(answered.matches("\"File\" :").count(), 1003);
    let pages: Vec<_> = fake.asked::<ListVolumesRequest>().iter().map(|page| (page.skip, page.page_size)).collect();
    assert_eq!(pages, [(0, 1000), (1000, 1000)]);
}

#[tokio::test]
async fn answers_have_a_limit() {
    let answer =
        ListVolumesResponse { volumes: vec![Volume::default(); 1000], total_size: 1_000_000, ..Default::default() };
    let fake = Fake::default().answering(answer);
    let answered = ask(&fake.router(), "ListFile&User=u&Dir=/&Limit=-1").await;
    assert_eq!(answered.matches("\"File\" :").count(), 10_000);
    assert_eq!(fake.count(), 10);
}
