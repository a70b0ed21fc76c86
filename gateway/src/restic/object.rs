//! `HEAD` and `DELETE` of one object.
//!
//! Quirk: HEAD takes no notice of a range.
//! Quirk: to delete what is not there is no error, or a retry could fail.

use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use steward_proto::restic::v1::{DeleteObjectRequest, GetObjectRequest, ObjectKey, ObjectType};

use super::refusal::Refusal;
use super::{Restic, TIMEOUT};
use crate::upstream::{Call, Caller};

/// Tells how long an object is.
pub(super) async fn head(mut restic: Restic, caller: Caller, key: ObjectKey) -> Result<Response, Refusal> {
    let call = Call::new("GetObject", caller, TIMEOUT);
    let r#type = key.r#type();
    let found = call.run(restic.client.get_object(call.request(GetObjectRequest { key: Some(key) }))).await?;
    let size = found.object.and_then(|object| u64::try_from(object.size).ok());
    let size = size.ok_or_else(|| Refusal::broken(&call, "no object, or one without a size"))?;
    Ok((StatusCode::OK, describing(r#type, size)).into_response())
}

/// Deletes an object.
pub(super) async fn delete(mut restic: Restic, caller: Caller, key: ObjectKey) -> Result<Response, Refusal> {
    let call = Call::new("DeleteObject", caller, TIMEOUT);
    call.run(restic.client.delete_object(call.request(DeleteObjectRequest { key: Some(key) }))).await?;
    Ok(StatusCode::OK.into_response())
}

/// The headers of an object, or of a part of it that is so long.
pub(super) fn describing(r#type: ObjectType, length: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, length.into());
    if r#type != ObjectType::Config {
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    headers
}
