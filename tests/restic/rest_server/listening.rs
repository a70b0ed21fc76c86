//! Where it can be reached.

use std::net::SocketAddr;

use crate::common::rest_server::RestServer;
use crate::common::temporary;
use crate::fixture;
use crate::restic::{Files, Restic};
use crate::vocabulary::Repo;

#[tokio::test]
async fn without_a_port_it_takes_a_free_one_and_says_which() {
    for (listen, is_everywhere) in [(":0", true), ("127.0.0.1:0", false), ("localhost:0", false)] {
        let server = RestServer::open().listen(listen).start().await;
        let address: SocketAddr = server.said().parse().expect("an address");
        assert_eq!((address.ip().is_unspecified(), address.port() == 0), (is_everywhere, false), "{listen}: {address}");
        Repo::at(server.http(), "/a/").create().await;
    }
}

#[tokio::test]
async fn a_restic_comes_through_a_unix_socket_and_it_is_gone_with_the_server() {
    let Some(restic) = Restic::newest("rest_server::a_restic_comes_through_a_unix_socket") else { return };
    let home = temporary::directory();
    let socket = home.path().join("restic.sock");
    let listen = format!("unix:{}", socket.display());
    let path = home.path().join("repositories");
    let mut server = RestServer::open().listen(&listen).start_on(home, path).await;
    assert_eq!(server.said(), socket.to_str().expect("UTF-8"));
    fixture::make_in(&server.path().join("alice/laptop"));
    let restic = restic.on(format!("rest:http+unix://{}:/alice/laptop/", socket.display()));
    let data = Files::new();

    restic.backup(data.path()).await;

    // A socket that a killed server left behind is no obstacle, as it is one to the original.
    if !server.is_original() {
        server.restart().await;
    }
    restic.ok(&["check", "--read-data"]).await;
    restic.assert_restores(data.path()).await;
    assert!(server.terminate().await.success());
    assert!(!socket.exists());
}
