//! Calls as services and callers meet them.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use steward_gateway::{Chunks, Direct, Pieces};
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

use super::upload::Upload;
use super::{LimitLayer, Limits};
use crate::auth::{Grants, Identity};
use crate::config;

const MIB: usize = 1024 * 1024;

/// With a MiB for each user, and nothing else.
fn narrow(config: &mut config::Limits) {
    config.bytes_in_flight = MIB as u64;
}

fn limits(change: impl FnOnce(&mut config::Limits)) -> Limits {
    let mut config = config::Limits { memory: 0, wait: Duration::from_millis(20), ..config::Limits::default() };
    change(&mut config);
    Limits::from_config(&config)
}

fn message(length: usize) -> Bytes {
    let prefix = u32::try_from(length).expect("a length").to_be_bytes();
    [&[0][..], &prefix, &vec![7; length]].concat().into()
}

/// A body of what is sent.
fn body() -> (mpsc::UnboundedSender<Bytes>, Body) {
    let (sender, mut frames) = mpsc::unbounded_channel();
    let frames = stream::poll_fn(move |cx| frames.poll_recv(cx));
    (sender, Body::new(StreamBody::new(frames.map(|bytes| Ok::<_, Status>(Frame::data(bytes))))))
}

fn whole(bytes: Bytes) -> Body {
    Body::new(StreamBody::new(stream::iter([Ok::<_, Status>(Frame::data(bytes))])))
}

fn request(user: &str, body: Body) -> http::Request<Body> {
    let mut request = http::Request::new(body);
    let caller = Identity { user: Some(user.to_owned()), ..Identity::default() };
    request.extensions_mut().insert(Grants::everything_for(caller));
    request
}

async fn call<S>(service: &S, request: http::Request<Body>) -> http::Response<Body>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible> + Clone,
{
    let Ok(response) = service.clone().oneshot(request).await;
    response
}

/// What became of a call, as its head tells.
fn outcome(response: &http::Response<Body>) -> Result<(), (Code, String)> {
    match Status::from_header_map(response.headers()) {
        None => Ok(()),
        Some(status) => Err(told(&status)),
    }
}

fn told(status: &Status) -> (Code, String) {
    let details = status.get_error_details();
    assert!(details.retry_info().is_some_and(|info| info.retry_delay.is_some()), "{status:?}");
    let info = details.error_info().expect("a reason");
    assert_eq!(info.domain, "steward");
    (status.code(), format!("{} of {}", info.reason, info.metadata["scope"]))
}

fn refused(reason: &str) -> Result<(), (Code, String)> {
    Err((Code::ResourceExhausted, reason.to_owned()))
}

/// Reads a request to its end and answers.
async fn read(request: http::Request<Upload>) -> Result<http::Response<Body>, Infallible> {
    match request.into_body().collect().await {
        Ok(_) => Ok(http::Response::new(Body::empty())),
        Err(_) => Ok(Status::internal("the request broke off").into_http()),
    }
}

#[tokio::test]
async fn a_stream_is_open_until_its_end() {
    let (sender, answer) = body();
    let answers = std::sync::Arc::new(parking_lot::Mutex::new(vec![Body::empty(), answer]));
    let service = service_fn(move |_: http::Request<Upload>| {
        let answer = answers.lock().pop().unwrap_or_default();
        async { Ok::<_, Infallible>(http::Response::new(answer)) }
    });
    let service = LimitLayer::new(limits(|config| config.concurrent = 1)).layer(service);
    let mut stream = call(&service, request("alice", Body::empty())).await;
    assert_eq!(outcome(&stream), Ok(()));
    let second = call(&service, request("alice", Body::empty())).await;
    assert_eq!(outcome(&second), refused("TOO_MANY_CALLS of user"));
    assert_eq!(outcome(&call(&service, request("bob", Body::empty())).await), Ok(()));
    drop(sender);
    assert!(stream.body_mut().frame().await.is_none(), "it ends");
    assert_eq!(outcome(&call(&service, request("alice", Body::empty())).await), Ok(()));
}

#[tokio::test]
async fn a_burst_passes_and_the_next_is_told_when_to_come_again() {
    let limits = limits(|config| (config.requests_per_second, config.burst) = (1, 3));
    let service = LimitLayer::new(limits).layer(service_fn(read));
    for _ in 0..3 {
        assert_eq!(outcome(&call(&service, request("alice", Body::empty())).await), Ok(()));
    }
    let fourth = call(&service, request("alice", Body::empty())).await;
    assert_eq!(outcome(&fourth), refused("TOO_MANY_REQUESTS of user"));
    assert_eq!(outcome(&call(&service, request("bob", Body::empty())).await), Ok(()));
}

#[tokio::test]
async fn what_has_come_of_a_message_counts_until_the_service_asks_for_more() {
    let service = LimitLayer::new(limits(narrow)).layer(service_fn(read));
    let (first, first_body) = body();
    let mut waiting = Box::pin(call(&service, request("alice", first_body)));
    first.send(message(MIB - 5).slice(..100)).expect("sent");
    assert!(futures::poll!(&mut waiting).is_pending());
    let other = call(&service, request("alice", whole(message(10)))).await;
    assert_eq!(outcome(&other), Ok(()), "what is only announced takes no room");
    first.send(message(MIB - 5).slice(100..MIB - 1)).expect("sent");
    assert!(futures::poll!(&mut waiting).is_pending());
    let second = call(&service, request("alice", whole(message(10)))).await;
    assert_eq!(outcome(&second), refused("TOO_MANY_BYTES of user"));
    assert_eq!(outcome(&call(&service, request("bob", whole(message(10)))).await), Ok(()));
    first.send(message(MIB - 5).slice(MIB - 1..)).expect("sent");
    assert!(futures::poll!(&mut waiting).is_pending(), "the service waits for the next one");
    assert_eq!(outcome(&call(&service, request("alice", whole(message(10)))).await), Ok(()));
    for _ in 0..5 {
        first.send(message(3 * MIB)).expect("sent");
    }
    drop(first);
    assert_eq!(outcome(&waiting.await), Ok(()), "what is too large passes alone");
}

#[tokio::test]
async fn the_last_message_counts_until_the_call_is_answered() {
    let (answer, may_answer) = tokio::sync::watch::channel(false);
    let service = service_fn(move |request: http::Request<Upload>| {
        let mut may_answer = may_answer.clone();
        async move {
            let is_small = request.into_body().collect().await.is_ok_and(|body| body.to_bytes().len() < 100);
            if !is_small {
                may_answer.wait_for(|may| *may).await.expect("somebody says so");
            }
            Ok::<_, Infallible>(http::Response::new(Body::empty()))
        }
    });
    let service = LimitLayer::new(limits(narrow)).layer(service);
    let mut large = Box::pin(call(&service, request("alice", whole(message(MIB - 5)))));
    assert!(futures::poll!(&mut large).is_pending());
    let mut small = Box::pin(call(&service, request("alice", whole(message(1)))));
    assert!(futures::poll!(&mut small).is_pending(), "it waits first");
    answer.send(true).expect("somebody waits");
    assert_eq!((outcome(&large.await), outcome(&small.await)), (Ok(()), Ok(())));
}

#[tokio::test]
async fn an_answer_that_nobody_takes_counts() {
    let service = service_fn(async |_: http::Request<Upload>| {
        Ok::<_, Infallible>(http::Response::new(whole(message(600 * 1024))))
    });
    let service = LimitLayer::new(limits(narrow)).layer(service);
    let mut first = call(&service, request("alice", Body::empty())).await;
    let mut second = call(&service, request("alice", Body::empty())).await;
    assert!(first.body_mut().frame().await.expect("a frame").expect("bytes").is_data());
    let trailers = second.body_mut().frame().await.expect("a frame").expect("trailers").into_trailers();
    let status = Status::from_header_map(&trailers.expect("trailers")).expect("a status");
    assert_eq!(told(&status), (Code::ResourceExhausted, "TOO_MANY_BYTES of user".to_owned()));
    assert!(second.body_mut().frame().await.is_none());
    assert!(first.body_mut().frame().await.is_none(), "all of it is taken");
    let mut third = call(&service, request("alice", Body::empty())).await;
    assert!(third.body_mut().frame().await.expect("a frame").expect("bytes").is_data());
}

/// Takes an upload that passes its messages by.
async fn take_chunks(request: http::Request<Upload>) -> Result<http::Response<Body>, Infallible> {
    let mut chunks = request.extensions().get::<Direct<Chunks>>().and_then(Direct::take).expect("chunks");
    while chunks.next().await.is_some() {}
    read(request).await
}

fn upload(user: &str) -> (mpsc::UnboundedSender<Bytes>, http::Request<Body>) {
    let (sender, mut chunks) = mpsc::unbounded_channel();
    let chunks: Chunks = stream::poll_fn(move |cx| chunks.poll_recv(cx)).boxed();
    let mut request = request(user, whole(message(10)));
    request.extensions_mut().insert(Direct::of(chunks));
    (sender, request)
}

#[tokio::test]
async fn an_upload_over_http_takes_room_in_memory_as_long_as_bytes_come() {
    let limits = limits(|config| config.memory = 2 * MIB as u64);
    let service = LimitLayer::new(limits).layer(service_fn(take_chunks));
    let ((first, first_request), (second, second_request)) = (upload("alice"), upload("bob"));
    let mut first_call = Box::pin(call(&service, first_request));
    assert!(futures::poll!(&mut first_call).is_pending());
    first.send(Bytes::from_static(&[7; 100])).expect("it is taken");
    second.send(Bytes::from_static(&[7; 100])).expect("it waits");
    let second_call = call(&service, second_request).await;
    assert_eq!(outcome(&second_call), refused("TOO_MANY_BYTES of server"));
    drop(first);
    assert_eq!(outcome(&first_call.await), Ok(()));
    let (third, third_request) = upload("bob");
    drop(third);
    assert_eq!(outcome(&call(&service, third_request).await), Ok(()));
}

#[tokio::test]
async fn one_caller_has_a_quarter_of_the_memory_at_most_and_the_rest_is_for_others() {
    let limits = limits(|config| config.memory = 8 * MIB as u64);
    let service = LimitLayer::new(limits).layer(service_fn(read));
    let begun: Vec<_> = (0..2)
        .map(|_| {
            let (sender, body) = body();
            sender.send(message(MIB).slice(..MIB)).expect("sent");
            (sender, Box::pin(call(&service, request("alice", body))))
        })
        .collect();
    let (senders, mut calls): (Vec<_>, Vec<_>) = begun.into_iter().unzip();
    for call in &mut calls {
        assert!(futures::poll!(call).is_pending(), "its end has not come");
    }
    let third = call(&service, request("alice", whole(message(10)))).await;
    assert_eq!(outcome(&third), refused("TOO_MANY_BYTES of user"));
    assert_eq!(outcome(&call(&service, request("bob", whole(message(MIB)))).await), Ok(()));
    drop(senders);
    futures::future::join_all(calls).await;
    assert_eq!(outcome(&call(&service, request("alice", whole(message(10)))).await), Ok(()));
}

#[tokio::test]
async fn uploads_over_http_of_one_caller_leave_memory_for_those_of_others() {
    let limits = limits(|config| config.memory = 5 * MIB as u64);
    let service = LimitLayer::new(limits).layer(service_fn(take_chunks));
    let (first, first_request) = upload("alice");
    let mut first_call = Box::pin(call(&service, first_request));
    assert!(futures::poll!(&mut first_call).is_pending());
    let (_second, second_request) = upload("alice");
    assert_eq!(outcome(&call(&service, second_request).await), refused("TOO_MANY_BYTES of user"));
    let (third, third_request) = upload("bob");
    drop(third);
    assert_eq!(outcome(&call(&service, third_request).await), Ok(()));
    drop(first);
    assert_eq!(outcome(&first_call.await), Ok(()));
}

#[tokio::test]
async fn who_waits_for_memory_takes_what_it_needs_of_its_own_once() {
    let limits = limits(|config| {
        (config.bytes_in_flight, config.memory, config.wait) = (2 * MIB as u64, MIB as u64, Duration::from_mins(1));
    });
    let service = LimitLayer::new(limits).layer(service_fn(read));
    let (first, first_body) = body();
    let mut first_call = Box::pin(call(&service, request("alice", first_body)));
    first.send(message(MIB - 5).slice(..MIB - 1)).expect("it is taken");
    assert!(futures::poll!(&mut first_call).is_pending());
    let (second, second_body) = body();
    let mut second_call = Box::pin(call(&service, request("bob", second_body)));
    second.send(message(MIB - 5)).expect("it waits");
    for _ in 0..3 {
        assert!(futures::poll!(&mut second_call).is_pending());
    }
    let mut third_call = Box::pin(call(&service, request("bob", whole(message(MIB - 5)))));
    assert!(futures::poll!(&mut third_call).is_pending(), "there is room for it among bob's own");
    drop((first, second));
    assert_eq!(outcome(&first_call.await), Ok(()));
    let both = futures::future::join(second_call, third_call).await;
    assert_eq!((outcome(&both.0), outcome(&both.1)), (Ok(()), Ok(())));
}

#[tokio::test]
async fn a_download_over_http_counts_and_is_open_until_its_end() {
    let piece = || Ok::<_, Status>(Bytes::from(vec![7; 700 * 1024]));
    let service = service_fn(move |request: http::Request<Upload>| async move {
        let direct = request.extensions().get::<Direct<Pieces>>().expect("a place for pieces");
        direct.leave(stream::iter([piece(), piece()]).boxed());
        Ok::<_, Infallible>(http::Response::new(Body::empty()))
    });
    let limits = limits(|config| (config.bytes_in_flight, config.concurrent) = (MIB as u64, 2));
    let service = LimitLayer::new(limits).layer(service);
    let download = async || {
        let direct = Direct::<Pieces>::default();
        let mut request = request("alice", Body::empty());
        request.extensions_mut().insert(direct.clone());
        let response = call(&service, request).await;
        outcome(&response).map(|()| direct.take().expect("pieces"))
    };
    let (mut first, mut second) = (download().await.expect("pieces"), download().await.expect("pieces"));
    assert!(first.next().await.expect("a piece").is_ok());
    let third = download().await;
    assert_eq!(third.map(|_| ()), refused("TOO_MANY_CALLS of user"));
    let status = second.next().await.expect("an end").expect_err("there is no room");
    assert_eq!(told(&status), (Code::ResourceExhausted, "TOO_MANY_BYTES of user".to_owned()));
    drop(second);
    assert!(first.next().await.expect("a piece").is_ok());
    assert!(first.next().await.is_none());
    drop(first);
    let mut fourth = download().await.expect("pieces");
    assert!(fourth.next().await.expect("a piece").is_ok());
}
