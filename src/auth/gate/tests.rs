use std::convert::Infallible;
use std::sync::Arc;

use prost::Message;
use steward_proto::artifact::v1::{ImageName, MountBlobRequest};
use steward_proto::lock::v1::{AcquireRequest, ListRequest, LockKey};
use tonic::Code;
use tonic::body::Body;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::auth::first_message::Reading;
use crate::auth::rights::Table;
use crate::auth::{Identity, Trail};

const ACQUIRE: &str = "/steward.lock.v1.LockService/Acquire";
const LIST: &str = "/steward.lock.v1.LockService/List";
const MOUNT: &str = "/steward.artifact.v1.ArtifactService/MountBlob";

fn grants(table: &str, trail: Trail) -> Grants {
    let caller = Identity { user: Some("a".to_owned()), ..Identity::default() };
    Grants::by(caller, Some(Arc::new(Table::parse(table).unwrap())), trail)
}

fn call(path: &str, message: &impl Message) -> http::Request<Body> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = http_body_util::Full::from([&[0][..], &length, &message].concat());
    http::Request::post(path).body(Body::new(body)).unwrap()
}

fn acquire(resource_id: &str, owner: &str) -> http::Request<Body> {
    let key = LockKey { r#type: "pull".to_owned(), resource_id: resource_id.to_owned() };
    call(ACQUIRE, &AcquireRequest { key: Some(key), owner: owner.to_owned(), ..AcquireRequest::default() })
}

/// What the gate answers to a call for a service that looks at its rights.
async fn pass(mut request: http::Request<Body>, grants: &Grants) -> Result<(), Status> {
    request.extensions_mut().insert(grants.clone());
    let gate = GateLayer.layer(service_fn(async |request: http::Request<Body>| {
        let mut taking = tonic::Request::new(());
        *taking.extensions_mut() = request.extensions().clone();
        Grants::of(&taking).expect("the gate keeps them");
        Ok::<_, Infallible>(http::Response::new(Body::empty()))
    }));
    let Ok(response) = gate.oneshot(request).await;
    Status::from_header_map(response.headers()).map_or(Ok(()), Err)
}

/// The outcome, and the resource that was asked for first.
async fn passed(table: &str, request: http::Request<Body>) -> (Code, String) {
    let trail = Trail::kept();
    let outcome = pass(request, &grants(table, trail.clone())).await;
    (outcome.map_or_else(|status| status.code(), |()| Code::Ok), trail.resource().to_owned())
}

#[tokio::test]
async fn a_call_passes_when_its_caller_has_the_right_for_its_resource_and_its_name() {
    for (table, resource, owner, code) in [
        ("a lock pull/x write", "x", "a", Code::Ok),
        ("a lock pull/x write", "x", "", Code::Ok),
        ("a lock pull/x write", "y", "a", Code::PermissionDenied),
        ("a lock pull/x read", "x", "a", Code::PermissionDenied),
        ("a volume pull/x write", "x", "a", Code::PermissionDenied),
        ("a lock pull/x write", "x", "b", Code::PermissionDenied),
        ("a lock pull/x write as b", "x", "b", Code::Ok),
        ("", "x", "a", Code::PermissionDenied),
    ] {
        let (outcome, asked_for) = passed(table, acquire(resource, owner)).await;
        assert_eq!(outcome, code, "{table} {resource} {owner}");
        assert_eq!(asked_for, format!("pull/{resource}"));
        let begun = Reading::of(acquire(resource, owner).into_body(), 1000).await.unwrap();
        let acting_as = text(access::find(ACQUIRE).unwrap().identity, &mut Texts::new(begun.message())).unwrap();
        assert_eq!(acting_as, owner);
    }
}

#[tokio::test]
async fn all_that_a_method_needs_has_to_be_allowed() {
    let image = |repository: &str| {
        Some(ImageName { project: "p".to_owned(), repository: repository.to_owned(), image: String::new() })
    };
    let request =
        || call(MOUNT, &MountBlobRequest { name: image("to"), from: image("from"), ..MountBlobRequest::default() });
    assert_eq!(passed("a artifact p/to write", request()).await.0, Code::PermissionDenied);
    assert_eq!(passed("a artifact p/to write\na artifact p/from read", request()).await.0, Code::Ok);
}

#[tokio::test]
async fn a_service_that_asks_itself_is_called_for_those_who_have_the_right_for_something() {
    let list = || call(LIST, &ListRequest::default());
    assert_eq!(passed("a lock pull/x read", list()).await.0, Code::Ok);
    assert_eq!(passed("a lock pull/x append", list()).await.0, Code::PermissionDenied);
    let grants = grants("a lock pull/x read", Trail::default());
    let access = access::find(LIST);
    assert_eq!(hold_back(access, &grants).unwrap_err().code(), Code::Internal, "nobody has asked");
    let mut request = tonic::Request::new(());
    request.extensions_mut().insert(grants.clone());
    Grants::of(&request).unwrap();
    hold_back(access, &grants).unwrap();
}

#[tokio::test]
async fn what_nobody_has_declared_is_refused() {
    let everything = "a * * admin";
    for (path, code) in [
        ("/steward.lock.v1.LockService/Steal", Code::Unimplemented),
        ("/another.Service/Call", Code::Unimplemented),
        ("/grpc.health.v1.Health/Check", Code::Ok),
    ] {
        assert_eq!(passed(everything, call(path, &ListRequest::default())).await.0, code, "{path}");
    }
}

#[tokio::test]
async fn what_is_too_long_is_refused_before_anybody_looks_for_it() {
    let (table, long) = ("a lock * write", "x".repeat(MAX_NAME_BYTES));
    assert_eq!(passed(table, acquire(&long, "a")).await.0, Code::InvalidArgument);
    assert_eq!(passed(table, acquire(&long[..MAX_NAME_BYTES - "pull/".len()], "a")).await.0, Code::Ok);
    assert_eq!(passed(table, acquire("x", &format!("{long}y"))).await.0, Code::InvalidArgument);
    let huge = "x".repeat(MAX_MESSAGE_BYTES);
    assert_eq!(passed(table, acquire(&huge, "a")).await.0, Code::OutOfRange);
    let refused = pass(acquire(&long[..4000], "a"), &grants("", Trail::default())).await.unwrap_err();
    assert!(refused.code() == Code::PermissionDenied && refused.message().len() < 400, "{}", refused.message().len());
}
