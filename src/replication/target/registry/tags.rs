//! Deletes a tag, and nothing else.
//!
//! Not every registry can take a tag from a manifest. Where the manifest has to be deleted instead, which takes all of
//! its tags along, that is done only if no other tag names it, and no other tag names an index that it is in.

use futures::{StreamExt as _, TryStreamExt as _};
use http::header::LINK;
use http::{Method, StatusCode};
use serde_json::Value;

use super::super::TargetError;
use super::super::http::{Request, Response};
use super::super::url::Url;
use super::auth::Scope;
use super::{PARALLEL_QUESTIONS, Registry, is_reference};

/// How many tags are looked at before a manifest is deleted.
const MAX_TAGS: usize = 10_000;
const MAX_LIST_BYTES: usize = 4 * 1024 * 1024;

impl Registry {
    /// Deletes a tag if it still names `digest`.
    pub(super) async fn remove_tag(&self, name: &str, tag: &str, digest: &str) -> Result<bool, TargetError> {
        let there = self.compared(name, tag, digest).await?.filter(|there| there.is_wanted);
        let Some(there) = there else { return Ok(false) };
        let response = self.delete(name, tag).await?;
        let refusal = match response.status {
            status if status.is_success() => {
                response.finish().await;
                return self.is_gone(name, tag, digest).await;
            }
            StatusCode::NOT_FOUND => return Ok(false),
            _ => self.refusal(&format!("deleting the tag {tag}"), response).await,
        };
        // Neither a passing failure nor missing rights are a reason to delete more than was asked for.
        if !matches!(refusal.error, TargetError::Refused(_)) {
            return Err(refusal.error);
        }
        if let Some(other) = self.other_user(name, tag, digest).await? {
            let base = &self.base;
            return Err(TargetError::Refused(format!(
                "{base} cannot delete the tag {tag} alone, and {other} needs the same manifest"
            )));
        }
        let response = self.delete(name, &there.said).await?;
        match response.status {
            status if status.is_success() => {
                response.finish().await;
                self.is_gone(name, tag, digest).await
            }
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.error(&format!("deleting the manifest of the tag {tag}"), response).await),
        }
    }

    async fn is_gone(&self, name: &str, tag: &str, digest: &str) -> Result<bool, TargetError> {
        if self.compared(name, tag, digest).await?.is_some_and(|there| there.is_wanted) {
            let base = &self.base;
            return Err(TargetError::Mismatch(format!("{base} says that the tag {tag} is deleted, and still has it")));
        }
        Ok(true)
    }

    async fn delete(&self, name: &str, reference: &str) -> Result<Response, TargetError> {
        let request = Request::new(Method::DELETE, self.url(name, &format!("manifests/{reference}"))?);
        self.call(&Scope::delete(name), request).await
    }

    /// A tag other than `tag` that names the manifest, or an index with it.
    async fn other_user(&self, name: &str, tag: &str, digest: &str) -> Result<Option<String>, TargetError> {
        let tags = self.tags(name).await?;
        let mut questions = Vec::with_capacity(tags.len());
        for other in tags.into_iter().filter(|other| other != tag) {
            questions.push(async move {
                let needs = self.needs(name, &other, digest).await?;
                Ok::<_, TargetError>(needs.then_some(other))
            });
        }
        let users: Vec<_> = futures::stream::iter(questions).buffered(PARALLEL_QUESTIONS).try_collect().await?;
        Ok(users.into_iter().flatten().next())
    }

    async fn needs(&self, name: &str, tag: &str, digest: &str) -> Result<bool, TargetError> {
        let Some(read) = self.read_manifest(name, tag).await? else { return Ok(false) };
        if super::manifests::is_digest_of(digest, &read.content) {
            return Ok(true);
        }
        let is_index = read.media_type.contains("index") || read.media_type.contains("manifest.list");
        let Ok(index) = serde_json::from_slice::<Value>(&read.content) else { return Ok(false) };
        let parts = index.get("manifests").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        Ok(is_index && parts.iter().any(|part| part.get("digest").and_then(Value::as_str) == Some(digest)))
    }

    /// All tags of an image.
    async fn tags(&self, name: &str) -> Result<Vec<String>, TargetError> {
        let too_many = || TargetError::Refused(format!("{name} has more than {MAX_TAGS} tags to be looked at"));
        let mut tags = Vec::new();
        let mut next = Some(self.url(name, "tags/list")?);
        while let Some(url) = next.take() {
            let response = self.call(&Scope::push(name), Request::new(Method::GET, url.clone())).await?;
            if !response.status.is_success() {
                return Err(self.error("listing tags", response).await);
            }
            next = next_page(&url, &response)?.filter(|next| next.has_origin_of(&self.base));
            let page: Value = serde_json::from_slice(&response.bytes(MAX_LIST_BYTES).await?)
                .map_err(|_| TargetError::Unreachable(format!("{} answered a list of tags that is none", self.base)))?;
            let page = page.get("tags").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            if page.is_empty() {
                break;
            }
            tags.extend(page.iter().filter_map(Value::as_str).filter(|tag| is_reference(tag)).map(str::to_owned));
            if tags.len() > MAX_TAGS {
                return Err(too_many());
            }
        }
        Ok(tags)
    }
}

/// `Link: </v2/…>; rel="next"`.
fn next_page(from: &Url, response: &Response) -> Result<Option<Url>, TargetError> {
    let links = response.headers.get_all(LINK).iter().filter_map(|link| link.to_str().ok());
    let next = links
        .flat_map(|links| links.split(','))
        .find(|link| link.contains("rel=\"next\"") || link.contains("rel=next"));
    let reference = next.and_then(|link| link.split_once('<')?.1.split_once('>')).map(|(reference, _)| reference);
    reference.map(|reference| from.join(reference)).transpose()
}
