//! Manifests, by tag and by digest.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{HeaderMap, StatusCode};
use steward_proto::artifact::v1::{DeleteManifestRequest, GetManifestRequest, ImageName, Manifest, PutManifestRequest};
use steward_proto::auth::v1::rights_service_client::RightsServiceClient;
use steward_proto::auth::v1::{Area, CheckRightRequest, Right};
use tonic::Code;

use super::path::{self, Reference};
use super::refusal::Refusal;
use super::{Asked, DIGEST, MAX_MANIFEST_BYTES, blob, value};
use crate::body::{self, Room};
use crate::feed::{Fault, Whole};
use crate::go::query;
use crate::incoming::Incoming;
use crate::upstream::Failure;

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const TAG: HeaderName = HeaderName::from_static("oci-tag");
/// How many tags a manifest can be given at once, beside the one that it is pushed by.
const MAX_TAGS: usize = 100;
/// How long a manifest may take to come.
const TIME: Duration = Duration::from_mins(2);

/// Reads a manifest as it was pushed.
pub(super) async fn get(asked: &Asked, name: ImageName, reference: Reference) -> Result<Response, Refusal> {
    let (manifest, content) = call(asked, name, reference, Content::Wanted).await??;
    if blob::is_known(asked, &manifest.digest) {
        return Ok((StatusCode::NOT_MODIFIED, blob::identifying(&manifest.digest)).into_response());
    }
    Ok((StatusCode::OK, describing(&manifest), content).into_response())
}

/// Tells what a manifest is.
pub(super) async fn head(asked: &Asked, name: ImageName, reference: Reference) -> Result<Response, Refusal> {
    let shown = reference.as_str().to_owned();
    let (manifest, _) = match call(asked, name, reference, Content::Unwanted).await? {
        Ok(found) => found,
        // Who is told that it is not there sends it again, which makes it good.
        Err(failure) if failure.info().is_some_and(|info| info.reason == "DATA_DAMAGED") => {
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "MANIFEST_UNKNOWN",
                format!("manifest {shown} is damaged"),
            ));
        }
        Err(failure) => return Err(failure.into()),
    };
    let mut headers = describing(&manifest);
    headers.insert(CONTENT_LENGTH, manifest.size.into());
    Ok((StatusCode::OK, headers).into_response())
}

/// Stores a manifest, under a tag or its digest, and under the tags of the query.
pub(super) async fn put(
    asked: &Asked,
    name: ImageName,
    reference: Reference,
    incoming: &mut Incoming,
) -> Result<Response, Refusal> {
    let tags: Result<Vec<String>, _> = query::all(asked.query(), "tag").map(|tag| path::tag(&tag)).collect();
    let tags = tags?;
    if tags.len() > MAX_TAGS {
        let message = format!("a manifest is given {MAX_TAGS} tags at most by one request");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message));
    }
    let whole = Whole::announced(&asked.parts.headers, MAX_MANIFEST_BYTES as u64)?;
    admit(asked, &name, &reference).await?;
    let content = read_body(asked, whole, incoming).await?;
    let media_type = asked.header(CONTENT_TYPE).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_owned();
    let call = asked.call("PutManifest");
    let request = PutManifestRequest {
        name: Some(name.clone()),
        reference: reference.as_str().to_owned(),
        tags: tags.clone(),
        media_type,
        content,
        ..PutManifestRequest::default()
    };
    let stored = call.run(asked.client().put_manifest(call.request(request))).await?.manifest;
    let stored = stored.ok_or_else(|| Refusal::broken(&call, "no manifest"))?;

    let mut headers = HeaderMap::new();
    let location = format!("/v2/{}/manifests/{}", path::written(&name), stored.digest);
    headers.extend(value(&location).map(|location| (LOCATION, location)));
    headers.extend(value(&stored.digest).map(|digest| (DIGEST, digest)));
    if !stored.subject.is_empty() {
        headers.extend(value(&stored.subject).map(|subject| (SUBJECT, subject)));
    }
    for tag in tags.iter().filter_map(|tag| value(tag)) {
        headers.append(TAG, tag);
    }
    Ok((StatusCode::CREATED, headers).into_response())
}

/// Deletes a tag, or a manifest with all its tags.
pub(super) async fn delete(asked: &Asked, name: ImageName, reference: Reference) -> Result<Response, Refusal> {
    let call = asked.call("DeleteManifest");
    let reference = reference.as_str().to_owned();
    let request = DeleteManifestRequest { name: Some(name), reference, ..DeleteManifestRequest::default() };
    call.run(asked.client().delete_manifest(call.request(request))).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// Whether the bytes are asked for too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Wanted,
    Unwanted,
}

async fn call(
    asked: &Asked,
    name: ImageName,
    reference: Reference,
    content: Content,
) -> Result<Result<(Manifest, Bytes), Failure>, Refusal> {
    let call = asked.call("GetManifest");
    let request = GetManifestRequest {
        name: Some(name),
        reference: reference.as_str().to_owned(),
        without_content: content == Content::Unwanted,
    };
    let found = match call.run(asked.client().get_manifest(call.request(request))).await {
        Ok(found) => found,
        Err(failure) => return Ok(Err(failure)),
    };
    let manifest = found.manifest.ok_or_else(|| Refusal::broken(&call, "no manifest"))?;
    Ok(Ok((manifest, found.content)))
}

fn describing(manifest: &Manifest) -> HeaderMap {
    let mut headers = blob::identifying(&manifest.digest);
    let r#type = value(&manifest.media_type).filter(|r#type| !r#type.is_empty());
    headers.insert(CONTENT_TYPE, r#type.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    headers
}

/// Refuses who may not push, before bytes of theirs are taken into memory.
async fn admit(asked: &Asked, name: &ImageName, reference: &Reference) -> Result<(), Refusal> {
    let call = asked.call("CheckRight");
    let question = CheckRightRequest {
        area: Area::Artifact.into(),
        right: Right::Write.into(),
        resource: format!("{}/{}/{}", name.project, name.repository, name.image),
        ..CheckRightRequest::default()
    };
    let mut rights = RightsServiceClient::new(asked.registry.channel.clone());
    match call.run(rights.check_right(call.request(question))).await {
        Ok(answer) if answer.allowed => return Ok(()),
        Ok(_) => {}
        // Who has no name cannot ask, and may push all the same where strangers may.
        Err(failure) if failure.status().code() == Code::Unauthenticated && !asked.has_password() => {}
        // A server that knows no rights refuses nobody.
        Err(failure) if failure.status().code() == Code::Unimplemented => return Ok(()),
        Err(failure) => return Err(failure.into()),
    }
    // Without its bytes, the call itself is refused in its own words, and noted.
    let call = asked.call("PutManifest");
    let request = PutManifestRequest {
        name: Some(name.clone()),
        reference: reference.as_str().to_owned(),
        ..PutManifestRequest::default()
    };
    match call.run(asked.client().put_manifest(call.request(request))).await {
        Err(failure) if failure.status().code() != Code::InvalidArgument => Err(failure.into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

async fn read_body(asked: &Asked, whole: Whole, incoming: &mut Incoming) -> Result<Bytes, Refusal> {
    let place = Room::place_of(&asked.parts.extensions, MAX_MANIFEST_BYTES);
    let content = body::gather_within(TIME, incoming, place, MAX_MANIFEST_BYTES).await?;
    if whole.announced.is_some_and(|announced| announced != content.len() as u64) {
        return Err(Fault::WrongLength.into());
    }
    Ok(content)
}
