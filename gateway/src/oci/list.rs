//! Lists of names: of the tags of an image, and of all images.
//!
//! Quirk: a page is as long as `n` says, or as long as this server makes it, and then a link leads to the next one.
//! Quirk: no names are wanted with `n=0`, and no link then.

use axum::response::Response;
use http::StatusCode;
use http::header::LINK;
use serde::Serialize;
use steward_proto::artifact::v1::{ImageName, ListImagesRequest, ListTagsRequest};

use super::path;
use super::refusal::Refusal;
use super::{Asked, json, value};
use crate::go::query;

/// How many tags a page has at most.
const MAX_TAGS: i32 = 10_000;
/// How many images.
const MAX_IMAGES: i32 = 1000;

#[derive(Serialize)]
struct Tags {
    name: String,
    tags: Vec<String>,
}

#[derive(Serialize)]
struct Images {
    repositories: Vec<String>,
}

/// Answers the tags of an image.
pub(super) async fn tags(asked: &Asked, name: ImageName) -> Result<Response, Refusal> {
    let limit = limit(asked, MAX_TAGS)?;
    let written = path::written(&name);
    let call = asked.call("ListTags");
    let request = ListTagsRequest { name: Some(name), page_size: limit.max(1), after: last(asked) };
    let page = call.run(asked.client().list_tags(call.request(request))).await?;
    let mut list = page.tags;
    let next = cut(&mut list, limit, page.has_more);
    let mut response = json("application/json", &Tags { name: written.clone(), tags: list });
    link(&mut response, &format!("{written}/tags/list"), limit, next.as_deref());
    Ok(response)
}

/// Answers the names of all images.
pub(super) async fn images(asked: &Asked) -> Result<Response, Refusal> {
    let limit = limit(asked, MAX_IMAGES)?;
    let call = asked.call("ListImages");
    let request = ListImagesRequest { page_size: limit.max(1), after: last(asked) };
    let page = call.run(asked.client().list_images(call.request(request))).await?;
    let mut list = page.names;
    let next = cut(&mut list, limit, page.has_more);
    let mut response = json("application/json", &Images { repositories: list });
    link(&mut response, "_catalog", limit, next.as_deref());
    Ok(response)
}

/// How many names are wanted on a page.
fn limit(asked: &Asked, most: i32) -> Result<i32, Refusal> {
    let number = query::first(asked.query(), "n");
    if number.is_empty() {
        return Ok(most);
    }
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = "n is not a number of names";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", message));
    }
    // What is too long for a number is more than there can be on a page.
    Ok(number.parse().unwrap_or(most).min(most))
}

fn last(asked: &Asked) -> String {
    query::first(asked.query(), "last")
}

/// Cuts a page to its length. Answers the last name of it when there are names behind it.
fn cut(names: &mut Vec<String>, limit: i32, has_more: bool) -> Option<String> {
    let limit = usize::try_from(limit).unwrap_or(0);
    let has_more = has_more || names.len() > limit;
    names.truncate(limit);
    names.last().filter(|_| has_more).cloned()
}

fn link(response: &mut Response, path: &str, limit: i32, last: Option<&str>) {
    let Some(last) = last else { return };
    // Names and tags have no characters that would have to be escaped there.
    let link = value(&format!("</v2/{path}?n={limit}&last={last}>; rel=\"next\""));
    response.headers_mut().extend(link.map(|link| (LINK, link)));
}
