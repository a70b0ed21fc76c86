//! Images that go out and come in.

use std::fs;
use std::io::Write as _;

use bytes::Bytes;
use pb::read_volume_response::Part as Read;
use pb::write_volume_request::Part as Write;

use super::*;

fn sent(part: Read) -> pb::ReadVolumeResponse {
    pb::ReadVolumeResponse { part: Some(part) }
}

fn start(size_bytes: u64) -> pb::ReadVolumeResponse {
    sent(Read::Start(pb::ReadStart { size_bytes, data_bytes: 0 }))
}

fn data(offset: u64, byte: u8) -> pb::VolumeData {
    pb::VolumeData { offset, data: Bytes::from(vec![byte; 4096]) }
}

fn zeros(offset: u64, length: u64) -> pb::Extent {
    pb::Extent { offset, length, is_zero: true }
}

#[tokio::test]
async fn a_volume_becomes_a_file_with_holes() {
    let fake = Fake::with(|state| {
        let end = (1 << 20) - 4096;
        state.reads = vec![start(1 << 20), sent(Read::Data(data(0, 7))), sent(Read::Zeros(zeros(4096, end)))];
    });
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image");
    let file = path.to_str().unwrap();
    let text = said(&fake, &["export", "/vm/a@x", file]).await;
    assert_eq!(text, format!("/vm/a@x is in {file}: 1.0 MiB, 4.0 KiB of it data\n"));
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.len() == 1 << 20 && bytes[..4096] == [7; 4096] && bytes[4096..].iter().all(|byte| *byte == 0));
    assert_eq!(fake.asked::<pb::ReadVolumeRequest>()[0].snapshot, "x");
    let error = failure(&fake, &["export", "/vm/a", file]).await;
    assert_eq!(error, format!("cannot write {file}: it is there already; --force replaces it"));
    let told = objects_of(&said(&fake, &["export", "/vm/a", file, "--force", "--json"]).await);
    assert_eq!(told[0], serde_json::json!({"size_bytes": 1 << 20, "data_bytes": 4096}));
}

#[tokio::test]
async fn an_export_that_breaks_off_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image");
    for reads in [vec![], vec![start(8192)], vec![start(8192), sent(Read::Data(data(0, 7)))]] {
        let fake = Fake::with(|state| state.reads = reads);
        failure(&fake, &["export", "/vm/a", path.to_str().unwrap()]).await;
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

/// 8 MiB of which one block is not zeros.
fn image() -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&[7; 4096]).unwrap();
    file.as_file().set_len(8 << 20).unwrap();
    file
}

#[tokio::test]
async fn an_image_becomes_a_volume_without_its_zeros() {
    let fake = Fake::with(|state| state.minimum = 1 << 30);
    let file = image();
    let shown = file.path().to_str().unwrap();
    let text = said(&fake, &["import", shown, "/vm/new", "--label", "a=b", "--as", "alice"]).await;
    // The server makes none as short as the image.
    assert_eq!(text, format!("{shown} is in /vm/new: 1.0 GiB, 4.0 KiB of data\n"));
    let name = pb::VolumeName { path: "/vm/new".to_owned(), id: 0 };
    let expected = [
        Write::Start(pb::WriteStart { user: "alice".to_owned(), volume: Some(name) }),
        Write::Data(data(0, 7)),
        Write::Zeros(zeros(4096, (8 << 20) - 4096)),
    ];
    fake.look(|state| {
        assert_eq!(state.written, [expected.to_vec()]);
        assert_eq!(state.volumes[0].labels["a"], "b");
    });
}

#[tokio::test]
async fn an_image_that_does_not_fit_is_not_sent() {
    let fake = Fake::with(|state| {
        with_disks(state);
        state.volumes[0].size_bytes = 1 << 20;
    });
    let file = image();
    let shown = file.path().to_str().unwrap();
    let error = failure(&fake, &["import", shown, "/vm/a"]).await;
    assert_eq!(error, format!("{shown} has 8.0 MiB, more than the 1.0 MiB of /vm/a"));
    let error = failure(&fake, &["import", "/not/there", "/vm/a"]).await;
    assert!(error.starts_with("cannot read /not/there: "), "{error}");
    assert!(fake.look(|state| state.written.is_empty()));
}
