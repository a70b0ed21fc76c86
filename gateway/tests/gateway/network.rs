//! The same router over a network channel.

use futures::stream::try_unfold;
use steward_gateway::{Options, router};
use steward_proto::lock::v1::lock_service_server::LockServiceServer;
use steward_proto::lock::v1::{AcquireResponse, AcquireStatus};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::{Endpoint, Server};

use crate::fake::{Fake, Script, refusal};
use crate::http::{json, plain, post};

const BODY: &str = r#"{"type":"t","resource_id":"r","node_id":"A"}"#;

/// A router whose upstream is reached by TCP.
async fn over_network(fake: Fake) -> axum::Router {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    let connections = try_unfold(listener, async |listener| {
        let (connection, _) = listener.accept().await?;
        Ok::<_, std::io::Error>(Some((connection, listener)))
    });
    tokio::spawn(Server::builder().add_service(LockServiceServer::new(fake)).serve_with_incoming(connections));
    router(Endpoint::from_shared(upstream).unwrap().connect_lazy(), Options::default(), CancellationToken::new())
}

#[tokio::test]
async fn answers_are_the_same_over_the_network() {
    let status = AcquireStatus::Skipped.into();
    let acquire = Ok(AcquireResponse { status, ..AcquireResponse::default() });
    let release = Err(refusal(Code::FailedPrecondition, "NOT_HOLDER"));
    let router = over_network(Fake::new(Script { acquire, release, ..Script::default() })).await;

    let skipped = json(200, r#"{"acquired":false,"message":"操作已完成，跳过操作","skip":true}"#);
    assert_eq!(post(&router, "/lock", BODY).await, skipped);
    let refused = json(403, r#"{"message":"释放锁失败：锁不存在或不是锁的持有者","released":false}"#);
    assert_eq!(post(&router, "/unlock", BODY).await, refused);
}

#[tokio::test]
async fn unreachable_upstream_is_unavailable() {
    // Bound and closed again, so that nobody listens there.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let channel = Endpoint::from_shared(upstream).unwrap().connect_lazy();
    let router = router(channel, Options::default(), CancellationToken::new());
    assert_eq!(post(&router, "/unlock", BODY).await, plain(503, "服务暂时不可用，请稍后重试"));
}
