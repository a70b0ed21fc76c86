//! libnbd's tools, QEMU's and fio, over the socket and over TCP.

use serde_json::Value;

use crate::common::temporary;
use crate::common::wait::eventually;
use crate::scrub::assert_clean;
use crate::tool::{Tool, uri};
use crate::vocabulary::{KIB, MIB, Volumes, noise, small};
use crate::wire::Nbd;

#[tokio::test]
async fn nbdinfo_sees_sizes_flags_and_what_is_allocated() {
    let Some(nbdinfo) = Tool::find("nbdinfo", "nbd::nbdinfo") else { return };
    let server = small().nbd_listen().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", 16 * MIB).await;
    let mut device = Nbd::open(&server, "/a").await;
    device.write(MIB, &noise(1, MIB)).await;
    device.write(4 * MIB, &noise(2, 64 * KIB)).await;
    device.zero(4 * MIB, 4096).await;
    volumes.snapshot("/a@s").await;
    let info = async |uri: &str| {
        let shown: Value = serde_json::from_str(&nbdinfo.ok(&["--json", uri]).await).expect("JSON");
        shown["exports"][0].clone()
    };
    for uri in [uri(&server, "/a"), format!("nbd://{}/a", server.nbd())] {
        let export = info(&uri).await;
        assert_eq!(export["export-size"], 16 * MIB, "{uri}");
        assert_eq!(export["is_read_only"], false);
        for flag in ["can_flush", "can_fua", "can_trim", "can_zero", "can_multi_conn", "can_df", "can_cache"] {
            assert_eq!(export[flag], true, "{flag} {export}");
        }
        let contexts = export["contexts"].as_array().expect("contexts");
        assert!(contexts.contains(&"base:allocation".into()) && contexts.contains(&"steward:depth".into()), "{export}");
    }
    let snapshot = info(&uri(&server, "/a@s")).await;
    assert_eq!((&snapshot["is_read_only"], &snapshot["export-size"]), (&true.into(), &(16 * MIB).into()));

    let map = async |name: &str| {
        let map: Value =
            serde_json::from_str(&nbdinfo.ok(&["--map", "--json", &uri(&server, name)]).await).expect("JSON");
        let extents = map.as_array().expect("extents").iter();
        extents.map(|e| (e["offset"].as_u64(), e["length"].as_u64(), e["type"].as_u64())).collect::<Vec<_>>()
    };
    let extent = |offset, length, kind| (Some(offset), Some(length), Some(kind));
    let expected = [
        extent(0, MIB, 3),
        extent(MIB, MIB, 0),
        extent(2 * MIB, 2 * MIB, 3),
        extent(4 * MIB, 4096, 3),
        extent(4 * MIB + 4096, 64 * KIB - 4096, 0),
        extent(4 * MIB + 64 * KIB, 12 * MIB - 64 * KIB, 3),
    ];
    for name in ["/a", "/a@s"] {
        // Zeros that were written may be told apart from what was never written, or not.
        let found = map(name).await;
        let data = |extents: &[(Option<u64>, Option<u64>, Option<u64>)]| {
            extents.iter().filter(|extent| extent.2 == Some(0)).copied().collect::<Vec<_>>()
        };
        assert_eq!(data(&found), data(&expected), "{name}: {found:?}");
        assert!(found.iter().all(|extent| matches!(extent.2, Some(0 | 2 | 3))), "{found:?}");
    }
    let listed = nbdinfo.ok(&["--list", &format!("nbd+unix:///?socket={}", server.nbd_socket().display())]).await;
    assert!(listed.contains("/a"), "{listed}");
}

#[tokio::test]
async fn qemu_io_reads_what_it_wrote() {
    let Some(qemu_io) = Tool::find("qemu-io", "nbd::qemu_io") else { return };
    let server = small().nbd_listen().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", 64 * MIB).await;
    for uri in [uri(&server, "/a"), format!("nbd://{}/a", server.nbd())] {
        let commands = [
            "write -P 0x11 0 1M",
            "write -P 0x22 777 12345",
            "read -P 0x22 777 12345",
            "read -P 0x11 0 777",
            "read -P 0x11 13122 100",
            "write -f -P 0x33 32M 64k",
            "discard 0 512k",
            "read -P 0 0 512k",
            "write -z 512k 256k",
            "read -P 0 512k 256k",
            "write -z -u 768k 4k",
            "read -P 0 768k 4k",
            "read -P 0x11 772k 100k",
            "aio_write -P 0x44 40M 1M",
            "aio_read 0 1M",
            "aio_flush",
            "flush",
            "read -P 0x44 40M 1M",
            "discard 1000 10000",
        ];
        let words: Vec<&str> =
            ["-f", "raw"].into_iter().chain(commands.iter().flat_map(|c| ["-c", c])).chain([uri.as_str()]).collect();
        let said = qemu_io.ok(&words).await;
        assert!(!said.contains("failed") && !said.contains("error"), "{said}");
    }
    volumes.snapshot("/a@s").await;
    let refused = qemu_io.run(&["-f", "raw", "-c", "write 0 4k", &uri(&server, "/a@s")]).await;
    assert_ne!(refused.code, Some(0), "{refused:?}");
    qemu_io.ok(&["-r", "-f", "raw", "-c", "read -P 0x33 32M 64k", &uri(&server, "/a@s")]).await;
}

#[tokio::test]
async fn nbdcopy_copies_both_ways_and_between_volumes() {
    let Some(nbdcopy) = Tool::find("nbdcopy", "nbd::nbdcopy") else { return };
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    for path in ["/a", "/b"] {
        volumes.create(path, 32 * MIB).await;
    }
    let directory = temporary::directory();
    let (source, target) = (directory.path().join("source"), directory.path().join("target"));
    let mut image = noise(1, 32 * MIB);
    image[3 << 20..9 << 20].fill(0);
    std::fs::write(&source, &image).expect("a file can be written");
    nbdcopy.ok(&[source.to_str().expect("UTF-8"), &uri(&server, "/a")]).await;
    nbdcopy.ok(&["--flush", &uri(&server, "/a"), &uri(&server, "/b")]).await;
    nbdcopy.ok(&["--connections=4", &uri(&server, "/b"), target.to_str().expect("UTF-8")]).await;
    assert!(std::fs::read(&target).expect("it is there") == image);
    let used = volumes.usage("/b").await.used_bytes;
    assert!(used < 28 * MIB, "zeros take no space: {used}");
}

#[tokio::test]
async fn qemu_img_knows_and_converts_and_compares_volumes() {
    let Some(qemu_img) = Tool::find("qemu-img", "nbd::qemu_img") else { return };
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    for path in ["/a", "/b"] {
        volumes.create(path, 32 * MIB).await;
    }
    let mut device = Nbd::open(&server, "/a").await;
    device.write(5 * MIB, &noise(1, 3 * MIB)).await;
    device.close().await;
    let info: Value =
        serde_json::from_str(&qemu_img.ok(&["info", "--output=json", &uri(&server, "/a")]).await).expect("JSON");
    assert_eq!(info["virtual-size"], 32 * MIB);
    qemu_img.ok(&["convert", "-n", "-f", "raw", "-O", "raw", &uri(&server, "/a"), &uri(&server, "/b")]).await;
    qemu_img.ok(&["compare", "-f", "raw", "-F", "raw", &uri(&server, "/a"), &uri(&server, "/b")]).await;
    let map: Value =
        serde_json::from_str(&qemu_img.ok(&["map", "--output=json", "-f", "raw", &uri(&server, "/b")]).await)
            .expect("JSON");
    let data = map.as_array().expect("extents").iter().filter(|extent| extent["data"] == true);
    let data: Vec<_> = data.map(|extent| (extent["start"].as_u64(), extent["length"].as_u64())).collect();
    assert_eq!(data, [(Some(5 * MIB), Some(3 * MIB))]);
}

#[tokio::test]
async fn fio_verifies_what_four_jobs_write_under_snapshots_and_a_flatten() {
    let Some(fio) = Tool::find("fio", "nbd::fio") else { return };
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/base", 64 * MIB).await;
    let mut device = Nbd::open(&server, "/base").await;
    for piece in 0..64 {
        device.write(piece * MIB, &noise(piece, MIB)).await;
    }
    device.close().await;
    volumes.snapshot("/base@s").await;
    volumes.clone_of("/base@s", "/a").await;
    let directory = temporary::directory();
    let uri = format!("--uri={}", uri(&server, "/a"));
    let state = format!("--aux-path={}", directory.path().display());
    let job = fio.start(&[
        "--name=verify",
        "--ioengine=nbd",
        &uri,
        &state,
        "--rw=randwrite",
        "--bs=4k",
        "--size=12M",
        "--numjobs=4",
        "--offset_increment=16M",
        "--iodepth=16",
        "--verify=crc32c",
        "--do_verify=1",
        "--fsync=64",
        "--verify_fatal=1",
        "--group_reporting",
    ]);
    let flatten = volumes.start_to_flatten("/a", 32 * MIB).await.expect("an operation");
    for number in 0..3 {
        eventually("a snapshot can be made", async || volumes.try_snapshot(&format!("/base@x{number}")).await.ok())
            .await;
    }

    let said = crate::tool::ended(job).await;

    assert_eq!(said.code, Some(0), "{said:?}");
    volumes.wait(&flatten.uuid).await;
    // What the jobs did not write is the parent's.
    let mut device = Nbd::open(&server, "/a").await;
    for piece in [12, 15, 28, 47, 60, 63] {
        assert!(device.read(piece * MIB, 1 << 20).await == noise(piece, MIB), "piece {piece}");
    }
    device.close().await;
    assert_clean(&volumes).await;
}
