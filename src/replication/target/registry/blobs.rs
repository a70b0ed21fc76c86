//! Which blobs a registry has.

use futures::{StreamExt as _, TryStreamExt as _};
use http::{Method, StatusCode};

use super::super::http::Request;
use super::super::retry::retried;
use super::super::{BlobRef, TargetError};
use super::auth::Scope;
use super::{PARALLEL_QUESTIONS, Registry, is_reference};

impl Registry {
    /// Which of some blobs are not there.
    pub(super) async fn blobs_missing<'a>(
        &self,
        name: &str,
        blobs: &'a [BlobRef],
    ) -> Result<Vec<&'a BlobRef>, TargetError> {
        // Not lazily made by a closure: that would not be `Send`.
        let mut questions = Vec::with_capacity(blobs.len());
        for blob in blobs {
            questions.push(async move {
                let has = retried(&self.limits, &blob.digest, || self.has_blob(name, &blob.digest)).await?;
                Ok::<_, TargetError>((blob, has))
            });
        }
        let answers: Vec<_> = futures::stream::iter(questions).buffered(PARALLEL_QUESTIONS).try_collect().await?;
        Ok(answers.into_iter().filter(|(_, has)| !has).map(|(blob, _)| blob).collect())
    }

    /// Whether a blob is there.
    pub(super) async fn has_blob(&self, name: &str, digest: &str) -> Result<bool, TargetError> {
        if !is_reference(digest) {
            return Err(TargetError::Refused(format!("{digest:?} is not a digest")));
        }
        let request = Request::new(Method::HEAD, self.url(name, &format!("blobs/{digest}"))?);
        let response = self.call(&Scope::push(name), request).await?;
        let is_own = response.url.has_origin_of(&self.base);
        match response.status {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(true),
            // The registry has sent us there, so it has the blob; a URL that is signed for GET does not take HEAD.
            StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST | StatusCode::METHOD_NOT_ALLOWED if !is_own => Ok(true),
            _ => Err(self.error(digest, response).await),
        }
    }
}
