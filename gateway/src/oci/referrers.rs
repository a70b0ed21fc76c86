//! The manifests that refer to one.
//!
//! Quirk: nothing refers to what is not there, and that is no error.
//! Quirk: a blank in `artifactType` is the `+` that a client has not escaped: no type has blanks, and many have a `+`.

use std::collections::BTreeMap;

use axum::response::Response;
use http::header::{HeaderName, HeaderValue, LINK};
use serde::Serialize;
use steward_proto::artifact::v1::{Descriptor, ImageName, ListReferrersRequest, ListReferrersResponse};

use super::path::{self, Digest};
use super::refusal::Refusal;
use super::{Asked, json, value};
use crate::go::query;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");
/// How many a page has: with annotations as long as can be, it still fits a message.
const PAGE_SIZE: i32 = 500;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Entry>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    media_type: String,
    digest: String,
    size: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    artifact_type: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

/// Answers them as an index.
pub(super) async fn list(asked: &Asked, name: ImageName, subject: Digest) -> Result<Response, Refusal> {
    let artifact_type = query::first(asked.query(), "artifactType").replace(' ', "+");
    let call = asked.call("ListReferrers");
    let request = ListReferrersRequest {
        name: Some(name.clone()),
        subject: subject.as_str().to_owned(),
        artifact_type: artifact_type.clone(),
        page_size: PAGE_SIZE,
        page_token: query::first(asked.query(), "next"),
    };
    let page = match call.run(asked.client().list_referrers(call.request(request))).await {
        Err(failure) if failure.info().is_some_and(|info| info.reason == "IMAGE_NOT_FOUND") => {
            ListReferrersResponse::default()
        }
        answered => answered?,
    };
    let manifests = page.referrers.into_iter().map(Entry::from).collect();
    let mut response = json(INDEX, &Index { schema_version: 2, media_type: INDEX, manifests });
    let headers = response.headers_mut();
    if !artifact_type.is_empty() {
        headers.insert(FILTERS, HeaderValue::from_static("artifactType"));
    }
    if !page.next_page_token.is_empty() {
        let mut link = format!("</v2/{}/referrers/{}?next=", path::written(&name), subject.as_str());
        escape(&mut link, &page.next_page_token);
        if !artifact_type.is_empty() {
            link.push_str("&artifactType=");
            escape(&mut link, &artifact_type);
        }
        link.push_str(">; rel=\"next\"");
        headers.extend(value(&link).map(|link| (LINK, link)));
    }
    Ok(response)
}

/// Adds a text to a query.
fn escape(query: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            query.push(char::from(byte));
        } else {
            query.push('%');
            query.extend([byte >> 4, byte & 15].map(hex));
        }
    }
}

fn hex(digit: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(digit)])
}

impl From<Descriptor> for Entry {
    fn from(descriptor: Descriptor) -> Self {
        let Descriptor { media_type, digest, size, artifact_type, annotations } = descriptor;
        Self { media_type, digest, size, artifact_type, annotations: annotations.into_iter().collect() }
    }
}
