//! Checks of bytes and records, as the tests ask for them.

use steward_proto::volume::v1::{ScrubFinding, ScrubVolumesRequest};

use crate::common::wait::within;
use crate::vocabulary::{MIB, Volumes, done, noise, small};
use crate::wire::Nbd;

/// What is found in all volumes.
pub(crate) async fn scrub(volumes: &Volumes, repair: bool) -> Vec<ScrubFinding> {
    let request = ScrubVolumesRequest { user: volumes.user.clone(), volume: None, repair };
    let mut stream = done(volumes.volumes().scrub_volumes(request)).await;
    let (mut findings, mut is_done) = (Vec::new(), false);
    while let Some(part) = within("how far it has come", stream.message()).await.expect("the scrub goes on") {
        assert_eq!(part.more_findings, 0, "few enough to be named");
        findings.extend(part.findings);
        is_done = part.done;
    }
    assert!(is_done, "it says when it is done");
    findings
}

/// Nothing is wrong. A crash leaves space behind that nobody knows of; that is no damage, and is given back.
pub(crate) async fn assert_clean(volumes: &Volumes) {
    let findings = scrub(volumes, true).await;
    let wrong: Vec<_> =
        findings.iter().filter(|finding| !["unmapped_data", "orphan_layer"].contains(&finding.kind.as_str())).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let left = scrub(volumes, false).await;
    assert!(left.is_empty(), "after a repair: {left:?}");
}

#[tokio::test]
async fn volumes_in_order_have_no_findings() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", 16 * MIB).await;
    let mut device = Nbd::open(&server, "/a").await;
    device.write(0, &noise(1, MIB)).await;
    volumes.snapshot("/a@s").await;
    device.write(MIB / 2, &noise(2, MIB)).await;
    volumes.clone_of("/a@s", "/b").await;
    volumes.flatten("/b").await;
    assert!(scrub(&volumes, false).await.is_empty(), "while it is open");
    device.close().await;
    assert!(scrub(&volumes, false).await.is_empty());
}

/// The files of layers below a server's data, by size.
fn data_files(server: &crate::common::server::Server) -> Vec<std::path::PathBuf> {
    let mut places = vec![server.data()];
    let mut files = Vec::new();
    while let Some(place) = places.pop() {
        for entry in std::fs::read_dir(place).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                places.push(path);
            } else if path.extension().is_some_and(|extension| extension == "data") {
                files.push(path);
            }
        }
    }
    files
}

#[tokio::test]
async fn a_bit_that_rots_in_a_volume_with_checksums_is_found_and_never_served() {
    let mut server = small().start().await;
    let volumes = Volumes::of(&server);
    let request = steward_proto::volume::v1::CreateVolumeRequest {
        path: "/a".to_owned(),
        size_bytes: 16 * MIB,
        checksums: true,
        ..Default::default()
    };
    done(volumes.volumes().create_volume(request)).await;
    let mut device = Nbd::open(&server, "/a").await;
    device.write(0, &noise(1, MIB)).await;
    device.close().await;
    assert!(server.terminate().await.success());
    let [file] = data_files(&server).try_into().expect("one layer");
    let mut bytes = std::fs::read(&file).expect("it can be read");
    bytes[100_000] ^= 1;
    std::fs::write(&file, &bytes).expect("it can be written");
    server.restart().await;

    let volumes = Volumes::of(&server);
    let findings = scrub(&volumes, true).await;

    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((finding.kind.as_str(), finding.is_repaired), ("checksum_mismatch", false));
    assert!((finding.offset..finding.offset + finding.length).contains(&100_000), "{finding:?}");
    let mut device = Nbd::open(&server, "/a").await;
    assert_eq!(device.try_read(98_304, 4096).await.expect_err("damaged").number(), Some(5), "EIO");
    assert!(device.read(0, 65_536).await == noise(1, MIB)[..65_536], "the rest is served");
    // What is written anew is whole again.
    device.write_through(98_304, &noise(3, 4096)).await;
    assert!(device.read(98_304, 4096).await == noise(3, 4096));
    device.close().await;
    assert!(scrub(&volumes, false).await.is_empty());
}
