//! Who has volumes open.

use std::time::Duration;

use steward_proto::volume::v1::{CloseExportRequest, KeepExportAliveRequest, ListExportsRequest, OpenExportRequest};

use crate::common::wait::eventually;
use crate::vocabulary::{MIB, Volumes, done, duration, named, reason, refusal, small};
use crate::wire::{EPERM, Nbd};

#[tokio::test]
async fn a_connection_is_listed_with_what_went_over_it() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", MIB).await;
    let mut device = Nbd::open(&server, "/a").await;
    device.write(0, &[1; 8192]).await;
    device.read(0, 4096).await;
    let list = async || done(volumes.exports().list_exports(ListExportsRequest::default())).await.exports;
    let seen = eventually("the counters are told", async || {
        let [seen] = list().await.try_into().expect("one connection");
        ((seen.read_bytes, seen.written_bytes) == (4096, 8192)).then_some(seen)
    })
    .await;
    assert_eq!((seen.volume_path.as_str(), seen.read_only), ("/a", false));
    assert_eq!(volumes.get("/a").await.open_sessions, 1);

    device.close().await;

    eventually("it is closed", async || list().await.is_empty().then_some(())).await;
    assert_eq!(volumes.get("/a").await.open_sessions, 0);
}

#[tokio::test]
async fn an_export_keeps_its_volume_until_it_is_closed_or_forgotten() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", MIB).await;
    let open = |ttl: u64| OpenExportRequest {
        volume: named("/a"),
        ttl: Some(duration(Duration::from_secs(ttl))),
        ..Default::default()
    };
    let export = done(volumes.exports().open_export(open(60))).await.export.expect("an export");
    let socket = server.nbd_socket();
    assert!(export.uris.iter().any(|uri| uri.contains(socket.to_str().expect("UTF-8"))), "{export:?}");
    assert_eq!(reason(&volumes.delete("/a").await.expect_err("it is open")), "VOLUME_IN_USE");
    let keep = KeepExportAliveRequest { uuid: export.uuid.clone(), ..Default::default() };
    let kept = done(volumes.exports().keep_export_alive(keep.clone())).await.export.expect("an export");
    assert!(kept.expire_time.expect("a time").seconds >= export.expire_time.expect("a time").seconds);
    let close = CloseExportRequest { uuid: export.uuid.clone(), ..Default::default() };
    done(volumes.exports().close_export(close.clone())).await;
    done(volumes.exports().close_export(close)).await;
    assert_eq!(refusal(volumes.exports().keep_export_alive(keep)).await, "NOT_FOUND");

    assert_eq!(refusal(volumes.exports().open_export(open(1))).await, "INVALID_ARGUMENT");
    done(volumes.exports().open_export(open(5))).await;
    eventually("nobody keeps it alive", async || volumes.delete("/a").await.ok()).await;
}

#[tokio::test]
async fn an_exclusive_export_keeps_other_writers_out() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", MIB).await;
    let open = OpenExportRequest { volume: named("/a"), exclusive: true, ..Default::default() };
    let export = done(volumes.exports().open_export(open.clone())).await.export.expect("an export");
    assert_eq!(refusal(volumes.exports().open_export(open)).await, "VOLUME_IN_USE");
    let mut other = Nbd::open(&server, "/a").await;
    assert!(other.is_read_only());
    assert_eq!(other.try_write(0, &[1; 4096]).await.expect_err("a refusal").number(), Some(EPERM));
    other.close().await;
    let name = export.uris.iter().find_map(|uri| {
        let path = uri.strip_prefix("nbd+unix:///")?;
        Some(path.split_once("?socket")?.0.to_owned())
    });
    let name = name.expect("a URI of the socket").replace("%3F", "?").replace("%3D", "=").replace("%3A", ":");
    let mut device = Nbd::open(&server, &name).await;
    device.write(0, &[1; 4096]).await;

    let close = CloseExportRequest { uuid: export.uuid, ..Default::default() };
    done(volumes.exports().close_export(close)).await;

    assert_eq!(device.drain().await, 0, "its connections are closed");
    eventually("it is free", async || (volumes.get("/a").await.open_sessions == 0).then_some(())).await;
    Nbd::open(&server, "/a").await.write(0, &[2; 4096]).await;
}
