//! `GetCloneTasks`, `GetCloneTaskList` and `CleanCloneTask`.

use steward_proto::volume::v1::*;

use super::fake::Fake;
use super::{TIME, UUID, ask, coded, done, list, malformed, not_found, refusal};

const TYPES: [i32; 2] = [OperationType::Clone as i32, OperationType::Rollback as i32];

fn clone() -> Operation {
    Operation {
        uuid: UUID.to_owned(),
        r#type: OperationType::Clone.into(),
        state: OperationState::MetaInstalled.into(),
        owner: "curve".to_owned(),
        source: "snap-uuid".to_owned(),
        target: "/clone1".to_owned(),
        lazy: true,
        create_time: Some(TIME),
        progress_percent: 42,
        ..Operation::default()
    }
}

/// The row of [`clone`], with what depends on the state.
fn row(lazy: bool, next_step: u64, progress: u64, status: u64, r#type: u64) -> Vec<String> {
    [
        "\"File\" : \"/clone1\"".to_owned(),
        "\"FileType\" : 1".to_owned(),
        format!("\"IsLazy\" : {lazy}"),
        format!("\"NextStep\" : {next_step}"),
        format!("\"Progress\" : {progress}"),
        "\"Src\" : \"snap-uuid\"".to_owned(),
        format!("\"TaskStatus\" : {status}"),
        format!("\"TaskType\" : {type}"),
        "\"Time\" : 1696761378914477".to_owned(),
        format!("\"UUID\" : \"{UUID}\""),
        "\"User\" : \"curve\"".to_owned(),
    ]
    .to_vec()
}

fn one(row: &[String]) -> String {
    let row: Vec<&str> = row.iter().map(String::as_str).collect();
    list("TaskInfos", &[&row], 1)
}

#[tokio::test]
async fn task_is_shown_in_every_state() {
    use OperationState as State;
    use OperationType::{Clone, Rollback};
    for (r#type, state, lazy, expected) in [
        (Clone, State::MetaInstalled, true, row(true, 4, 5, 7, 0)),
        (Clone, State::Succeeded, true, row(true, 8, 100, 0, 0)),
        (Clone, State::Succeeded, false, row(false, 8, 100, 0, 0)),
        (Clone, State::Queued, false, row(false, 2, 42, 1, 0)),
        (Clone, State::Running, false, row(false, 2, 42, 1, 0)),
        (Clone, State::Running, true, row(true, 4, 42, 1, 0)),
        (Clone, State::Paused, true, row(true, 4, 42, 1, 0)),
        (Clone, State::Canceling, false, row(false, 2, 42, 3, 0)),
        (Clone, State::Failed, false, row(false, 2, 42, 5, 0)),
        (Clone, State::Cancelled, false, row(false, 2, 42, 5, 0)),
        (Clone, State::Retrying, false, row(false, 2, 42, 6, 0)),
        (Rollback, State::Running, false, row(false, 2, 42, 2, 1)),
        (Rollback, State::Succeeded, false, row(false, 8, 100, 0, 1)),
    ] {
        let operation = Operation { r#type: r#type.into(), state: state.into(), lazy, ..clone() };
        let fake = Fake::default().answering(GetOperationResponse { operation: Some(operation) });
        let answered = ask(&fake.router(), &format!("GetCloneTasks&User=curve&UUID={UUID}&File=/x")).await;
        assert_eq!(answered, one(&expected), "{type:?} {state:?}");
        let expected = GetOperationRequest { user: "curve".to_owned(), uuid: UUID.to_owned() };
        assert_eq!(fake.only::<GetOperationRequest>(), expected);
    }
}

#[tokio::test]
async fn task_without_a_time_and_from_a_path_says_so() {
    let operation = Operation { source: "/a".to_owned(), source_is_volume: true, create_time: None, ..clone() };
    let router = Fake::default().answering(GetOperationResponse { operation: Some(operation) }).router();
    let answered = ask(&router, "GetCloneTasks&User=curve&UUID=x").await;
    for expected in ["\"FileType\" : 0", "\"Src\" : \"/a\"", "\"Time\" : 0"] {
        assert!(answered.contains(expected), "{expected} in {answered}");
    }
}

#[tokio::test]
async fn other_operations_are_no_tasks() {
    for r#type in [OperationType::Flatten, OperationType::DeleteSnapshot, OperationType::Unspecified] {
        let operation = Operation { r#type: r#type.into(), ..clone() };
        let router = Fake::default().answering(GetOperationResponse { operation: Some(operation) }).router();
        assert_eq!(ask(&router, "GetCloneTasks&User=curve&UUID=x").await, not_found(), "{type:?}");
    }
}

#[tokio::test]
async fn tasks_of_a_user_or_a_volume_are_listed() {
    for (query, target) in [("", ""), ("&File=/clone1", "/clone1")] {
        let answer = ListOperationsResponse { operations: vec![clone()], total_size: 1, ..Default::default() };
        let fake = Fake::default().answering(answer);
        let answered = ask(&fake.router(), &format!("GetCloneTasks&User=curve{query}")).await;
        assert_eq!(answered, one(&row(true, 4, 5, 7, 0)), "{query}");
        let expected = ListOperationsRequest {
            user: "curve".to_owned(),
            types: TYPES.to_vec(),
            target: target.to_owned(),
            page_size: 10,
            ..ListOperationsRequest::default()
        };
        assert_eq!(fake.only::<ListOperationsRequest>(), expected, "{query}");
    }
}

#[tokio::test]
async fn volume_without_a_task_is_not_found_and_a_user_without_one_has_none() {
    let router = Fake::default().router();
    assert_eq!(ask(&router, "GetCloneTasks&User=curve").await, list("TaskInfos", &[], 0));
    assert_eq!(ask(&router, "GetCloneTasks&User=curve&File=/x").await, not_found());
}

#[tokio::test]
async fn all_tasks_are_listed_as_far_as_they_match() {
    let states = |states: &[OperationState]| states.iter().map(|state| i32::from(*state)).collect();
    let base = ListOperationsRequest { types: TYPES.to_vec(), page_size: 10, ..ListOperationsRequest::default() };
    for (query, expected) in [
        ("GetCloneTaskList", base.clone()),
        (
            "GetCloneTaskList&User=u&UUID=x&Source=s&Destination=/d&Limit=3&Offset=4",
            ListOperationsRequest {
                owner: "u".to_owned(),
                uuid: "x".to_owned(),
                source: "s".to_owned(),
                target: "/d".to_owned(),
                page_size: 3,
                skip: 4,
                ..base.clone()
            },
        ),
        (
            "GetCloneTaskList&Status=7&Type=0",
            ListOperationsRequest {
                types: vec![OperationType::Clone.into()],
                states: states(&[OperationState::MetaInstalled]),
                ..base.clone()
            },
        ),
        (
            "GetCloneTaskList&Status=2",
            ListOperationsRequest {
                types: vec![OperationType::Rollback.into()],
                states: states(&[OperationState::Queued, OperationState::Running, OperationState::Paused]),
                ..base.clone()
            },
        ),
    ] {
        let answer = ListOperationsResponse { operations: vec![clone()], total_size: 1, ..Default::default() };
        let fake = Fake::default().answering(answer);
        assert_eq!(ask(&fake.router(), query).await, one(&row(true, 4, 5, 7, 0)), "{query}");
        assert_eq!(fake.only::<ListOperationsRequest>(), expected, "{query}");
    }
}

#[tokio::test]
async fn filters_that_nothing_can_pass_match_nothing() {
    let answer = ListOperationsResponse { operations: vec![clone()], total_size: 1, ..Default::default() };
    let fake = Fake::default().answering(answer);
    for query in ["Status=4", "Status=x", "Type=2", "Type=x", "Status=1&Type=1"] {
        let answered = ask(&fake.router(), &format!("GetCloneTaskList&{query}")).await;
        assert_eq!(answered, list("TaskInfos", &[], 0), "{query}");
    }
}

#[tokio::test]
async fn task_is_cleaned_also_when_it_is_not_there() {
    let fake = Fake::default();
    let query = "CleanCloneTask&User=u&UUID=x";
    assert_eq!(ask(&fake.router(), query).await, done());
    let expected = DeleteOperationRequest { user: "u".to_owned(), uuid: "x".to_owned() };
    assert_eq!(fake.only::<DeleteOperationRequest>(), expected);
    fake.refuse(Some(refusal("NOT_FOUND")));
    assert_eq!(ask(&fake.router(), query).await, done());
}

#[tokio::test]
async fn errors_of_tasks_have_their_codes() {
    let fake = Fake::default();
    for (query, reason, code) in [
        ("CleanCloneTask&User=u&UUID=x", "TASK_UNFINISHED", -17),
        ("CleanCloneTask&User=u&UUID=x", "INVALID_USER", -7),
        ("GetCloneTasks&User=u&UUID=x", "NOT_FOUND", -8),
        ("GetCloneTasks&User=u&UUID=x", "INVALID_USER", -7),
    ] {
        fake.refuse(Some(refusal(reason)));
        assert_eq!(ask(&fake.router(), query).await, coded(code), "{query} {reason}");
    }
    for query in [
        "CleanCloneTask&User=u",
        "CleanCloneTask&UUID=x",
        "GetCloneTasks&UUID=x",
        "GetCloneTasks&User=u&Limit=x",
        "GetCloneTaskList&Offset=x",
    ] {
        assert_eq!(ask(&fake.router(), query).await, malformed(), "{query}");
    }
}
