//! How much memory the server keeps.

use futures::{StreamExt as _, stream};
use steward_proto::lock::v1::ListRequest;

use crate::common::server::Server;
use crate::common::wait::within;
use crate::vocabulary::{Locks, acquire, pull};

const MIB: u64 = 1024 * 1024;
/// Calls that run at the same time.
const AT_ONCE: usize = 256;

async fn hold_many(server: &Server, count: u32) {
    let locks = Locks::of(server);
    let held = stream::iter(0..count).map(|number| {
        let (locks, request) = (locks.clone(), acquire(&pull(&format!("sha256:{number:064}")), "NODEA"));
        async move { locks.hold(request).await }
    });
    held.buffer_unordered(AT_ONCE).for_each(|_| std::future::ready(())).await;
    let request = ListRequest { page_size: 1, held_only: true, ..ListRequest::default() };
    let page = within("a page", locks.client.clone().list(request)).await.expect("a page").into_inner();
    assert_eq!(page.total_size, i32::try_from(count.min(100_000)).expect("small"));
}

/// What is promised. Of a server that is not optimised its data alone are held against that: its code is several times
/// as long.
const IDLE_LIMIT: u64 = 40 * MIB;

#[tokio::test]
async fn an_idle_server_is_small() {
    let server = Server::start().await;
    let resident = if cfg!(debug_assertions) { server.proc().anonymous_bytes() } else { server.resident_bytes() };
    assert!(resident < IDLE_LIMIT, "{} KiB", resident / 1024);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_thousand_held_locks_are_small() {
    let server = Server::start().await;
    hold_many(&server, 50_000).await;
    let resident = server.resident_bytes();
    assert!(resident < 160 * MIB, "{} KiB", resident / 1024);
}

#[ignore = "takes minutes without optimisation: `scripts/bench memory` runs it"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_held_locks_fit_into_600_mib_also_after_a_restart() {
    let mut server = Server::start().await;
    println!("idle: {} MiB", server.resident_bytes() / MIB);
    hold_many(&server, 1_000_000).await;
    let resident = server.resident_bytes();
    println!("a million held locks: {} MiB", resident / MIB);
    assert!(resident < 600 * MIB, "{} KiB", resident / 1024);

    server.restart().await;

    let page = ListRequest { page_size: 1, ..ListRequest::default() };
    within("a page", Locks::of(&server).client.clone().list(page)).await.expect("a page");
    let resident = server.resident_bytes();
    println!("after a restart: {} MiB", resident / MIB);
    assert!(resident < 600 * MIB, "{} KiB", resident / 1024);
}
