//! `POST` of objects that comes to its end.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{iter, repeat_with};
use steward_gateway::Options;
use steward_proto::restic::v1::{ObjectKey, ObjectType, UploadStart};
use tonic::Code;

use super::fake::{Fake, Received, Script, Uploads};
use super::{NAME, empty, error, refusal, send, written};

const CHUNK: usize = 256 * 1024;

fn path() -> String {
    format!("/a/b/data/{NAME}")
}

fn key(r#type: ObjectType, name: &str) -> ObjectKey {
    ObjectKey { repository: "a/b".to_owned(), r#type: r#type.into(), name: name.to_owned() }
}

/// A body of frames as they could come from a connection.
fn frames(frames: Vec<Vec<u8>>) -> Body {
    Body::from_stream(iter(frames).map(|frame| Ok::<_, std::io::Error>(Bytes::from(frame))))
}

async fn post(fake: &Fake, path: &str, headers: &[&str], body: Body) -> String {
    written(send(&fake.alone(), "POST", path, headers, body).await).await
}

#[tokio::test]
async fn object_is_passed_on_in_chunks_and_finished() {
    let content: Vec<u8> = (0..3_000_001_u32).map(|number| number.to_le_bytes()[0]).collect();
    for frame in [1_000_000, 8192, 3_000_001, CHUNK, CHUNK + 1] {
        for (announced, is_direct) in [(true, false), (false, false), (true, true), (false, true)] {
            let fake = Fake::new(Script { is_direct, ..Script::default() });
            let length = format!("Content-Length: {}", content.len());
            let headers: &[&str] = if announced { &[&length] } else { &[] };
            let body = frames(content.chunks(frame).map(<[u8]>::to_vec).collect());
            assert_eq!(post(&fake, &path(), headers, body).await, empty(200));
            let size = announced.then_some(3_000_001);
            let expected = Received {
                start: Some(UploadStart { key: Some(key(ObjectType::Data, NAME)), size }),
                content: content.clone(),
                longest_chunk: frame.min(CHUNK),
                finish: Some(3_000_001),
            };
            let uploads = fake.asked(|asked| asked.uploads.clone());
            assert!(uploads == [expected], "{frame} {announced} {is_direct}");
        }
    }
}

#[tokio::test]
async fn empty_object_and_config_are_finished_too() {
    for is_direct in [false, true] {
        let fake = Fake::new(Script { is_direct, ..Script::default() });
        assert_eq!(post(&fake, "/a/b/config", &["Content-Length: 0"], Body::empty()).await, empty(200));
        let expected = Received {
            start: Some(UploadStart { key: Some(key(ObjectType::Config, "")), size: Some(0) }),
            finish: Some(0),
            ..Received::default()
        };
        assert_eq!(fake.asked(|asked| asked.uploads.clone()), [expected]);
    }
}

#[tokio::test]
async fn existing_object_is_a_200_once_all_of_it_was_read() {
    let fake = Fake::new(Script { uploads: Uploads::Exists, ..Script::default() });
    let (body, read) = counted(64);
    assert_eq!(post(&fake, &path(), &[], body).await, empty(200));
    assert_eq!(read.lock().unwrap().clone(), 64);
}

#[tokio::test]
async fn refused_object_is_read_to_its_end_all_the_same() {
    let status = refusal(Code::ResourceExhausted, "QUOTA_EXCEEDED", "no room");
    let fake = Fake::new(Script { uploads: Uploads::Refuse(status), ..Script::default() });
    let (body, read) = counted(64);
    assert_eq!(post(&fake, &path(), &[], body).await, error(507, "no room"));
    while *read.lock().unwrap() < 64 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fake.asked(|asked| asked.uploads[0].finish), None);
}

#[tokio::test]
async fn body_of_a_wrong_request_is_read_to_its_end_too() {
    let fake = Fake::new(Script::default());
    for (method, path) in [("POST", "/data/foobar"), ("PUT", "/config"), ("POST", "/")] {
        let (body, read) = counted(64);
        send(&fake.alone(), method, path, &[], body).await;
        while *read.lock().unwrap() < 64 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn object_over_the_cap_is_refused() {
    let fake = Fake::new(Script::default());
    let router = fake.alone_with(Options { max_upload_bytes: 100_000, ..Options::default() });
    let message = "object is longer than this server takes";

    let at_the_cap = send(&router, "POST", &path(), &[], vec![0; 100_000]).await;
    assert_eq!(written(at_the_cap).await, empty(200));

    let announced = send(&router, "POST", &path(), &["Content-Length: 100001"], frames(vec![vec![0; 100_001]])).await;
    assert_eq!(written(announced).await, error(413, message));
    assert_eq!(fake.asked(|asked| asked.uploads.len()), 1);

    let (body, read) = counted(1024);
    let endless = send(&router, "POST", &path(), &[], body).await;
    assert_eq!(written(endless).await, error(413, message));
    let received = fake.asked(|asked| asked.uploads[1].clone());
    assert!(received.content.len() <= 100_000, "{}", received.content.len());
    assert_eq!(received.finish, None);
    // No more of it is thrown away than could have been taken.
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert!(*read.lock().unwrap() < 40, "{}", read.lock().unwrap());
}

/// A body of so many frames of 8 KiB, and how many of them were read.
fn counted(frames: usize) -> (Body, Arc<Mutex<usize>>) {
    let read = Arc::new(Mutex::new(0));
    let count = Arc::clone(&read);
    let stream = repeat_with(move || {
        *count.lock().unwrap() += 1;
        Ok::<_, std::io::Error>(Bytes::from_static(&[0; 8192]))
    });
    (Body::from_stream(stream.take(frames)), read)
}
