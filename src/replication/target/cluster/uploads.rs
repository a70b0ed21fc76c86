//! Uploads of blobs to another Steward. It keeps what has come over restarts of either side, and verifies the whole.

use async_trait::async_trait;
use bytes::Bytes;
use http_body::Body as _;
use steward_proto::artifact::v1::write_upload_request::Part;
use steward_proto::artifact::v1::{
    CancelUploadRequest, FinishUploadRequest, GetUploadRequest, ImageName, MissingBlobsRequest, MountBlobRequest,
    StartUploadRequest, WriteFinish, WriteStart, WriteUploadRequest,
};
use tonic::Code;

use super::super::super::local_calls::reason;
use super::super::content::{Content, Counter};
use super::super::push::{Begun, Push, Trouble, Uploads, push};
use super::super::{BlobPush, BlobRef, Pushed, Session, TargetError};
use super::Cluster;

/// How many times longer than usual it may be silent when a blob is whole: it reads it all once more.
const FINISH_PATIENCE: u32 = 10;

impl Cluster {
    /// Brings a blob to an image; without one, to the repository.
    pub(super) async fn upload(&self, place: &str, what: &BlobPush<'_>) -> Result<Pushed, TargetError> {
        let from = what.mount_from.iter().find(|from| *from != what.image).map(|from| self.target(from));
        let uploads =
            ClusterUploads { cluster: self, target: self.target(what.image), blob: what.blob, mount_from: from };
        let what = Push {
            place,
            blob: what.blob,
            source: what.source,
            sessions: what.sessions,
            meter: what.meter,
            limits: &self.limits,
        };
        push(what, &uploads).await
    }
}

struct ClusterUploads<'a> {
    cluster: &'a Cluster,
    target: ImageName,
    blob: &'a BlobRef,
    mount_from: Option<ImageName>,
}

impl ClusterUploads<'_> {
    fn target(&self) -> ImageName {
        self.target.clone()
    }

    async fn mounts(&self) -> Result<bool, TargetError> {
        let Some(from) = &self.mount_from else { return Ok(false) };
        let request =
            MountBlobRequest { name: Some(self.target()), digest: self.blob.digest.clone(), from: Some(from.clone()) };
        let mut client = self.cluster.client();
        match self.cluster.call(client.mount_blob(request)).await? {
            Ok(_) => Ok(true),
            // No reason not to send it.
            Err(status) if matches!(status.code(), Code::NotFound | Code::PermissionDenied) => Ok(false),
            Err(status) => Err(self.cluster.error(&status)),
        }
    }

    fn trouble(&self, status: &tonic::Status) -> Trouble {
        let error = self.cluster.error(status);
        match reason(status).as_str() {
            "UPLOAD_NOT_FOUND" | "UPLOAD_OFFSET" => Trouble::Session(error),
            _ => Trouble::Target(error),
        }
    }
}

#[async_trait]
impl Uploads for ClusterUploads<'_> {
    async fn has(&self) -> Result<bool, TargetError> {
        let target = (!self.target.image.is_empty()).then(|| self.target());
        let request = MissingBlobsRequest { target, digests: vec![self.blob.digest.clone()] };
        let mut client = self.cluster.client();
        let answer = self.cluster.call(client.missing_blobs(request)).await?;
        Ok(answer.map_err(|status| self.cluster.error(&status))?.get_ref().digests.is_empty())
    }

    async fn begin(&self) -> Result<Begun, TargetError> {
        if self.mounts().await? {
            return Ok(Begun::There);
        }
        let size = i64::try_from(self.blob.size).unwrap_or(i64::MAX);
        let request = StartUploadRequest { target: Some(self.target()), digest: self.blob.digest.clone(), size };
        let mut client = self.cluster.client();
        let answer = self.cluster.call(client.start_upload(request)).await?;
        let answer = answer.map_err(|status| self.cluster.error(&status))?.into_inner();
        Ok(match answer.upload {
            None => Begun::There,
            Some(upload) => {
                let offset = u64::try_from(upload.offset).unwrap_or(0);
                Begun::Upload { session: Session { location: upload.id, offset }, min_chunk: 0 }
            }
        })
    }

    async fn status(&self, session: &Session) -> Result<Option<Session>, TargetError> {
        let request = GetUploadRequest { upload_id: session.location.clone(), target: Some(self.target()) };
        let mut client = self.cluster.client();
        match self.cluster.call(client.get_upload(request)).await? {
            Ok(answer) => Ok(answer.into_inner().upload.map(|upload| Session {
                location: session.location.clone(),
                offset: u64::try_from(upload.offset).unwrap_or(0),
            })),
            Err(status) if matches!(status.code(), Code::NotFound | Code::InvalidArgument) => Ok(None),
            Err(status) => Err(self.cluster.error(&status)),
        }
    }

    async fn write(&self, session: &Session, chunk: Content) -> Result<Session, Trouble> {
        let counter = chunk.counter();
        let parts = Parts::new(session, self.target.clone(), chunk);
        let mut client = self.cluster.client();
        let answer = self.cluster.call_while_it_moves(&counter, 1, client.write_upload(parts)).await?;
        let upload = answer.map_err(|status| self.trouble(&status))?.into_inner().upload.unwrap_or_default();
        let offset = u64::try_from(upload.offset).unwrap_or(0);
        Ok(Session { location: session.location.clone(), offset })
    }

    async fn finish(&self, session: &Session, _rest: Content) -> Result<(), Trouble> {
        let request = FinishUploadRequest {
            upload_id: session.location.clone(),
            target: Some(self.target()),
            digest: self.blob.digest.clone(),
        };
        let mut client = self.cluster.client();
        let still = Counter::default();
        let answer = self.cluster.call_while_it_moves(&still, FINISH_PATIENCE, client.finish_upload(request)).await?;
        let blob = answer.map_err(|status| self.trouble(&status))?.into_inner().blob.unwrap_or_default();
        if blob.digest == self.blob.digest {
            return Ok(());
        }
        let text = format!("{} took {} for something else", self.cluster.name, self.blob.digest);
        Err(TargetError::Mismatch(text).into())
    }

    fn ends_with_bytes(&self) -> bool {
        false
    }

    async fn abandon(&self, session: &Session) {
        let request = CancelUploadRequest { upload_id: session.location.clone(), target: Some(self.target()) };
        let mut client = self.cluster.client();
        // One that is not given up ends by itself some time.
        let _ = self.cluster.call(client.cancel_upload(request)).await;
    }
}

/// The messages of a chunk.
struct Parts {
    start: Option<WriteStart>,
    chunk: Content,
    finish: Option<WriteFinish>,
}

impl Parts {
    fn new(session: &Session, target: ImageName, chunk: Content) -> Self {
        let offset = i64::try_from(session.offset).unwrap_or(i64::MAX);
        let size = i64::try_from(chunk.len()).unwrap_or(i64::MAX);
        let start = WriteStart { upload_id: session.location.clone(), offset: Some(offset), target: Some(target) };
        Parts { start: Some(start), chunk, finish: Some(WriteFinish { size }) }
    }
}

impl futures::Stream for Parts {
    type Item = WriteUploadRequest;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<WriteUploadRequest>> {
        use std::task::Poll;

        let message = |part| Poll::Ready(Some(WriteUploadRequest { part: Some(part) }));
        if let Some(start) = self.start.take() {
            return message(Part::Start(start));
        }
        let piece: Poll<Option<Bytes>> = std::pin::Pin::new(&mut self.chunk)
            .poll_frame(cx)
            .map(|frame| frame.and_then(|Ok(frame)| frame.into_data().ok()));
        match piece {
            Poll::Ready(Some(piece)) => message(Part::Chunk(piece)),
            Poll::Ready(None) => match self.finish.take() {
                Some(finish) => message(Part::Finish(finish)),
                None => Poll::Ready(None),
            },
            Poll::Pending => Poll::Pending,
        }
    }
}
