//! `POST` of one object.
//!
//! Quirk: what exists with the same bytes is answered as stored.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use steward_proto::restic::v1::upload_request::Part;
use steward_proto::restic::v1::{ObjectKey, UploadFinish, UploadRequest, UploadStart};

use super::Restic;
use super::refusal::Refusal;
use crate::feed::{self, Fault, Messages, Sent, Whole};
use crate::incoming::{Incoming, Interruption};
use crate::upstream::{Call, Caller};

/// How long the service may take once it has all bytes: less than the five minutes that restic waits.
const TIMEOUT: Duration = Duration::from_mins(4);

/// Handles `POST /{path}/{type}/{name}` and `POST /{path}/config`.
pub(super) async fn store(
    mut restic: Restic,
    caller: Caller,
    key: ObjectKey,
    headers: &HeaderMap,
    incoming: &mut Incoming,
) -> Result<Response, Refusal> {
    let whole = Whole::announced(headers, restic.options.max_upload_bytes)?;
    let call = Call::new("Upload", caller, TIMEOUT);
    let start = UploadStart { key: Some(key), size: whole.announced.map(feed::saturate) };
    let messages = Messages {
        start: UploadRequest { part: Some(Part::Start(start)) },
        chunk: |bytes| UploadRequest { part: Some(Part::Chunk(bytes)) },
        finish: |size| UploadRequest { part: Some(Part::Finish(UploadFinish { size })) },
    };
    let (feed, outlet) = feed::open();
    let request = outlet.request(&call, messages);
    let (stored, sent) = feed.pour(incoming, whole, &call, Box::pin(restic.client.upload(request))).await?;
    if sent == Sent::Part {
        if !stored.already_existed {
            return Err(Refusal::broken(&call, "an object was stored before all of it was sent"));
        }
        incoming.drain().await.map_err(Fault::from)?;
    }
    Ok(StatusCode::OK.into_response())
}

impl From<feed::Error> for Refusal {
    fn from(error: feed::Error) -> Self {
        match error {
            feed::Error::Body(fault) => fault.into(),
            feed::Error::Call(failure) => failure.into(),
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Interrupted(Interruption::Broken) => Self::new(StatusCode::BAD_REQUEST, "body broke off").closing(),
            Fault::Interrupted(Interruption::Idle) => {
                Self::new(StatusCode::REQUEST_TIMEOUT, "no more of the body came").closing()
            }
            Fault::TooLong => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "object is longer than this server takes"),
            Fault::WrongLength => Self::new(StatusCode::BAD_REQUEST, "body is not as long as announced").closing(),
        }
    }
}
