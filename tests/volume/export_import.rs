//! Whole images, into volumes and out of them.

use std::fs;

use crate::command::{volume, volume_ok, volume_with_input};
use crate::common::temporary;
use crate::tool::Tool;
use crate::vocabulary::{MIB, Volumes, digest, noise, small};
use crate::wire::Nbd;

/// An image with data at its beginning, in the middle and at its end, and holes between.
fn image() -> Vec<u8> {
    let mut image = vec![0; 16 << 20];
    image[..100_000].copy_from_slice(&noise(1, 100_000));
    image[5_000_000..6_000_000].copy_from_slice(&noise(2, 1_000_000));
    let end = image.len() - 4096;
    image[end..].copy_from_slice(&noise(3, 4096));
    image
}

#[tokio::test]
async fn an_image_goes_through_pipes_and_comes_back_as_it_was() {
    let server = small().start().await;
    let image = image();

    let imported = volume_with_input(&server, &["import", "-", "/a", "--size", "16M"], image.clone()).await;

    assert_eq!(imported.code, Some(0), "{imported:?}");
    let exported = volume_ok(&server, &["export", "/a", "-"]).await;
    assert_eq!(digest(&exported.bytes), digest(&image));
    let usage = Volumes::of(&server).usage("/a").await;
    assert!(usage.used_bytes < 3 * MIB, "zeros take no space: {usage:?}");
}

#[tokio::test]
async fn an_image_goes_through_files_with_its_holes() {
    let server = small().start().await;
    let (directory, image) = (temporary::directory(), image());
    let (source, target) = (directory.path().join("source.img"), directory.path().join("target.img"));
    let (source_name, target_name) = (source.to_str().expect("UTF-8"), target.to_str().expect("UTF-8"));
    fs::write(&source, &image).expect("a file can be written");
    volume_ok(&server, &["import", source_name, "/a"]).await;
    let volumes = Volumes::of(&server);
    assert_eq!(volumes.get("/a").await.size_bytes, 16 * MIB);
    volumes.snapshot("/a@s").await;
    let mut device = Nbd::open(&server, "/a").await;
    device.write(0, &noise(9, MIB)).await;
    device.close().await;

    volume_ok(&server, &["export", "/a@s", target_name]).await;

    assert_eq!(digest(&fs::read(&target).expect("it is there")), digest(&image));
    let taken = std::os::unix::fs::MetadataExt::blocks(&fs::metadata(&target).expect("it is there")) * 512;
    assert!(taken < 3 * MIB, "it has holes: {taken}");
    let again = volume(&server, &["export", "/a", target_name]).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert_eq!(digest(&fs::read(&target).expect("it is there")), digest(&image), "it is as it was");
    volume_ok(&server, &["export", "/a", target_name, "--force"]).await;
    assert!(fs::read(&target).expect("it is there")[..1 << 20] == noise(9, MIB));
    let left: Vec<_> = fs::read_dir(directory.path()).expect("a directory").flatten().collect();
    assert_eq!(left.len(), 2, "nothing is left beside: {left:?}");
}

#[tokio::test]
async fn an_import_that_cannot_be_harms_nothing() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", MIB).await;
    let mut device = Nbd::open(&server, "/a").await;
    device.write(0, &noise(1, MIB)).await;
    let in_use = volume_with_input(&server, &["import", "-", "/a"], noise(2, MIB)).await;
    assert_eq!(in_use.code, Some(1), "{in_use:?}");
    assert!(device.read(0, 1 << 20).await == noise(1, MIB));
    device.close().await;
    for args in [&["import", "/nowhere.img", "/b"][..], &["export", "/nowhere", "-"], &["export", "/a@nothing", "-"]] {
        let said = volume(&server, args).await;
        assert_eq!(said.code, Some(1), "{args:?}: {said:?}");
        assert!(!said.err.is_empty() && said.bytes.is_empty());
    }
    assert!(volumes.find("/b").await.is_none());
}

#[tokio::test]
async fn qemu_img_reads_what_was_imported_and_writes_what_is_exported() {
    let Some(qemu_img) = Tool::find("qemu-img", "export_import::qemu_img") else { return };
    let server = small().start().await;
    let directory = temporary::directory();
    let path = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
    fs::write(path("source.img"), image()).expect("a file can be written");
    volume_ok(&server, &["import", &path("source.img"), "/a"]).await;
    let uri = crate::tool::uri(&server, "/a");
    qemu_img.ok(&["compare", "-f", "raw", "-F", "raw", &path("source.img"), &uri]).await;
    qemu_img.ok(&["convert", "-f", "raw", "-O", "qcow2", &uri, &path("copy.qcow2")]).await;
    Volumes::of(&server).create("/b", 16 * MIB).await;
    let other = crate::tool::uri(&server, "/b");
    qemu_img.ok(&["convert", "-n", "-f", "qcow2", "-O", "raw", &path("copy.qcow2"), &other]).await;
    let exported = volume_ok(&server, &["export", "/b", "-"]).await;
    assert_eq!(digest(&exported.bytes), digest(&image()));
}
