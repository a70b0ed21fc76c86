//! Whole volumes through gRPC.

use steward_proto::volume::v1::read_volume_response::Part as ReadPart;
use steward_proto::volume::v1::write_volume_request::Part;
use steward_proto::volume::v1::{Extent, ReadVolumeRequest, VolumeData, WriteStart, WriteVolumeRequest};
use tonic::{Response, Status};

use crate::common::wait::{eventually, within};
use crate::vocabulary::{MIB, Volumes, done, named, noise, refusal, small};
use crate::wire::Nbd;

/// What a stream brings: the content, and how many bytes came as data.
async fn read(volumes: &Volumes, request: ReadVolumeRequest) -> (Vec<u8>, u64) {
    let mut stream = done(volumes.volumes().read_volume(request)).await;
    let (mut content, mut data_bytes) = (Vec::new(), 0);
    while let Some(part) = within("a part", stream.message()).await.expect("it goes on") {
        match part.part.expect("a part") {
            ReadPart::Start(_) => {}
            ReadPart::Data(data) => {
                assert!(data.data.len() <= 1 << 20, "small enough for a message");
                data_bytes += u64::try_from(data.data.len()).expect("64 bits");
                content.extend(data.data);
            }
            ReadPart::Zeros(zeros) => {
                content.resize(content.len() + usize::try_from(zeros.length).expect("64 bits"), 0);
            }
        }
    }
    (content, data_bytes)
}

async fn write(volumes: &Volumes, path: &str, parts: Vec<Part>) -> Result<Response<u64>, Status> {
    let start = Part::Start(WriteStart { user: String::new(), volume: named(path) });
    let parts: Vec<_> = [start].into_iter().chain(parts).map(|part| WriteVolumeRequest { part: Some(part) }).collect();
    let answer = volumes.volumes().write_volume(tokio_stream::iter(parts)).await?;
    Ok(Response::new(answer.into_inner().data_bytes))
}

fn data(offset: u64, data: Vec<u8>) -> Part {
    Part::Data(VolumeData { offset, data: data.into() })
}

#[tokio::test]
async fn a_volume_is_written_and_read_as_a_stream() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", 8 * MIB).await;
    let zeros = Part::Zeros(Extent { offset: 4096, length: 4096, is_zero: true });
    let parts = vec![data(0, noise(1, MIB)), data(4 * MIB, noise(2, MIB)), zeros];

    let written = done(write(&volumes, "/a", parts)).await;

    assert_eq!(written, 2 * MIB);
    let (content, data_bytes) = read(&volumes, ReadVolumeRequest { volume: named("/a"), ..Default::default() }).await;
    let mut expected = vec![0; 8 << 20];
    expected[..1 << 20].copy_from_slice(&noise(1, MIB));
    expected[4096..8192].fill(0);
    expected[4 << 20..5 << 20].copy_from_slice(&noise(2, MIB));
    assert!(content == expected);
    assert_eq!(data_bytes, 2 * MIB - 4096, "zeros do not come as data");
    let part = ReadVolumeRequest { volume: named("/a"), offset: 4 * MIB - 100, length: 1000, ..Default::default() };
    let middle = usize::try_from(4 * MIB - 100).expect("64 bits");
    assert!(read(&volumes, part).await.0 == expected[middle..middle + 1000]);
}

#[tokio::test]
async fn a_volume_in_use_is_read_as_of_one_moment_and_not_written() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", MIB).await;
    let mut device = Nbd::open(&server, "/a").await;
    device.write(0, &noise(1, MIB)).await;

    let (content, _) = read(&volumes, ReadVolumeRequest { volume: named("/a"), ..Default::default() }).await;

    assert!(content == noise(1, MIB));
    assert_eq!(refusal(write(&volumes, "/a", vec![data(0, vec![0; 4096])])).await, "VOLUME_IN_USE");
    device.close().await;
    eventually("nobody has it open", async || (volumes.get("/a").await.open_sessions == 0).then_some(())).await;
    eventually("the moment is forgotten", async || volumes.delete("/a").await.ok()).await;
}

#[tokio::test]
async fn what_does_not_belong_into_a_stream_is_refused() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", MIB).await;
    for parts in [
        vec![data(MIB, vec![0; 4096])],
        vec![data(u64::MAX - 10, vec![0; 4096])],
        vec![data(0, vec![0; (1 << 20) + 1])],
        vec![Part::Zeros(Extent { offset: 4096, length: u64::MAX, is_zero: true })],
        vec![Part::Start(WriteStart { user: String::new(), volume: named("/a") })],
    ] {
        let why = refusal(write(&volumes, "/a", parts)).await;
        assert!(["INVALID_ARGUMENT", "SIZE_OUT_OF_RANGE"].contains(&why.as_str()), "{why}");
    }
    assert_eq!(refusal(write(&volumes, "/nowhere", vec![])).await, "NOT_FOUND");
    let beyond = ReadVolumeRequest { volume: named("/a"), offset: 2 * MIB, ..Default::default() };
    let why = refusal(volumes.volumes().read_volume(beyond)).await;
    assert!(["INVALID_ARGUMENT", "SIZE_OUT_OF_RANGE"].contains(&why.as_str()), "{why}");
}
