//! The same through the service, as messages and directly.

use futures::stream;
use steward_gateway::{Chunks, Direct, Pieces};
use steward_proto::artifact::v1 as api;
use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;
use steward_proto::artifact::v1::artifact_service_server::ArtifactServiceServer;
use steward_proto::artifact::v1::download_blob_response::Part as DownloadPart;
use steward_proto::artifact::v1::write_upload_request::Part;
use tonic::service::Routes;
use tonic::{Code, Request};

use super::*;
use crate::artifact::ArtifactServer;
use crate::replication::{LocalChannel, local_channel};

fn client(world: &World) -> ArtifactServiceClient<LocalChannel> {
    let server = ArtifactServiceServer::new(ArtifactServer::new(world.artifacts.clone()));
    ArtifactServiceClient::new(local_channel(Routes::new(server).prepare()))
}

fn parts(id: &str, chunks: &[&'static [u8]], size: Option<i64>) -> Vec<api::WriteUploadRequest> {
    let start = api::WriteStart { upload_id: id.to_owned(), offset: Some(0), target: Some(name("images", "a")) };
    let chunks = chunks.iter().map(|chunk| Part::Chunk(Bytes::from_static(chunk)));
    let finish = size.map(|size| Part::Finish(api::WriteFinish { size }));
    let parts = std::iter::once(Part::Start(start)).chain(chunks).chain(finish);
    parts.map(|part| api::WriteUploadRequest { part: Some(part) }).collect()
}

async fn start(client: &mut ArtifactServiceClient<LocalChannel>, digest: &str) -> api::StartUploadResponse {
    let request = api::StartUploadRequest { target: Some(name("images", "a")), digest: digest.to_owned(), size: 0 };
    client.start_upload(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_blob_goes_in_and_out_as_messages() {
    let world = World::new().await;
    let mut client = client(&world);
    let upload = start(&mut client, "").await.upload.unwrap();
    assert_eq!(upload.expire_time.unwrap().seconds - upload.create_time.unwrap().seconds, 12 * 3600);
    let broken = client.write_upload(stream::iter(parts(&upload.id, &[b"a"], None))).await.unwrap_err();
    assert_eq!(broken.code(), Code::InvalidArgument);
    let target = Some(name("images", "a"));
    let get = api::GetUploadRequest { upload_id: upload.id.clone(), target: target.clone() };
    assert_eq!(client.get_upload(get).await.unwrap().into_inner().upload.unwrap().offset, 1);
    let refused = client.write_upload(stream::iter(parts(&upload.id, &[b"x"], Some(1)))).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    let cancel = api::CancelUploadRequest { upload_id: upload.id, target: target.clone() };
    client.cancel_upload(cancel).await.unwrap();

    let upload_id = start(&mut client, "").await.upload.unwrap().id;
    let written = client.write_upload(stream::iter(parts(&upload_id, &[b"ab", b"c"], Some(3)))).await.unwrap();
    assert_eq!(written.into_inner().upload.unwrap().offset, 3);
    let digest = sha256(b"abc").to_string();
    let finish = api::FinishUploadRequest { upload_id, target: target.clone(), digest: digest.clone() };
    let blob = client.finish_upload(finish).await.unwrap().into_inner().blob.unwrap();
    assert_eq!((&blob.digest, blob.size), (&digest, 3));
    assert_eq!(start(&mut client, &digest).await.blob, Some(blob.clone()));
    let get = api::GetBlobRequest { name: target.clone(), digest: digest.clone() };
    assert_eq!(client.get_blob(get).await.unwrap().into_inner().blob, Some(blob));

    let path = String::new();
    let download = api::DownloadBlobRequest { name: target, digest, offset: Some(-2), length: Some(1), path };
    let answers: Vec<_> = client.download_blob(download).await.unwrap().into_inner().collect().await;
    let parts: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().part.unwrap()).collect();
    let start = api::DownloadStart { size: 3, offset: 1, length: 1 };
    assert_eq!(parts, [DownloadPart::Start(start), DownloadPart::Chunk(Bytes::from_static(b"b"))]);
}

#[tokio::test]
async fn a_blob_goes_in_and_out_directly() {
    let world = World::new().await;
    let mut client = client(&world);
    let upload_id = start(&mut client, "").await.upload.unwrap().id;
    let chunks: Chunks = stream::iter([&b"ab"[..], b"c"].map(Bytes::from_static)).boxed();
    let mut request = Request::new(stream::iter(parts(&upload_id, &[], Some(3))));
    request.extensions_mut().insert(Direct::of(chunks));
    assert_eq!(client.write_upload(request).await.unwrap().into_inner().upload.unwrap().offset, 3);
    let (target, digest) = (Some(name("images", "a")), sha256(b"abc").to_string());
    let finish = api::FinishUploadRequest { upload_id, target: target.clone(), digest: digest.clone() };
    client.finish_upload(finish).await.unwrap();

    let direct = Direct::<Pieces>::default();
    let mut request = Request::new(api::DownloadBlobRequest { name: target, digest, ..Default::default() });
    request.extensions_mut().insert(direct.clone());
    let answers: Vec<_> = client.download_blob(request).await.unwrap().into_inner().collect().await;
    assert_eq!(answers.len(), 1, "`start` alone");
    let pieces: Vec<_> = direct.take().unwrap().collect().await;
    assert_eq!(pieces.into_iter().map(Result::unwrap).collect::<Vec<_>>().concat(), b"abc");
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let world = World::new().await;
    let mut client = client(&world);
    let get = api::GetBlobRequest { name: Some(name("images", "a")), digest: "md5:00".to_owned() };
    let refused = client.get_blob(get).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("digest"), "{}", refused.message());
    let missing = api::MissingBlobsRequest { target: None, digests: vec![String::new(); 1001] };
    assert_eq!(client.missing_blobs(missing).await.unwrap_err().code(), Code::InvalidArgument);
    let get = api::GetUploadRequest { upload_id: "../x".to_owned(), target: Some(name("images", "a")) };
    assert_eq!(client.get_upload(get).await.unwrap_err().code(), Code::NotFound);
}
