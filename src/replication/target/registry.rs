//! A registry that speaks the distribution protocol.
//!
//! Registries differ; what is relied on is the little that all have. What the stock registry does not do is known:
//! - It forgets an upload that was broken off inside of a chunk. So the bytes of a chunk are in memory before any is
//!   sent, and no limit holds them back then.
//! - It knows no referrers, so they are listed under a tag (`referrers`).
//! - It ignores `n` and `last` of lists, and knows SHA-256 alone.

mod auth;
mod blobs;
mod challenge;
#[cfg(test)]
mod fake;
mod files;
mod manifests;
mod referrers;
mod refusal;
mod tags;
#[cfg(test)]
mod tests;
mod uploads;

use std::sync::Arc;

use async_trait::async_trait;
use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderValue, Method, StatusCode};
use steward_proto::artifact::v1::File;

use self::auth::{Auth, Scope};
use self::refusal::Refusal;
use super::http::{Http, Request, Response};
use super::limits::Limits;
use super::locks::Locks;
use super::retry::retried;
use super::url::Url;
use super::{BlobPush, BlobRef, FilePut, ManifestPut, Pushed, Target, TargetError};

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;
/// How many times longer than usual a registry may be silent when a blob is whole: it reads it all once more.
const FINISH_PATIENCE: u32 = 10;
/// How many requests of one question are under way at a time.
const PARALLEL_QUESTIONS: usize = 8;
/// The largest manifest.
const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;

/// A registry.
pub(super) struct Registry {
    http: Http,
    auth: Auth,
    /// Where it is, without a path.
    base: Url,
    /// What stands in front of the names of images there, without slashes around it; empty: nothing.
    prefix: String,
    name: String,
    limits: Limits,
    locks: Arc<Locks>,
}

impl Registry {
    /// The registry at a URL. The path of that stands in front of the names of images.
    pub(super) fn new(
        url: &Url,
        user: String,
        password: String,
        http: Http,
        limits: Limits,
        locks: Arc<Locks>,
    ) -> Result<Self, TargetError> {
        let prefix = url.path().trim_matches('/').to_owned();
        if !prefix.is_empty() && !is_name(&prefix) {
            return Err(TargetError::Refused(format!("{url}: the path is not one that names of images begin with")));
        }
        let base = url.at("/")?;
        let auth = Auth::new(base.clone(), user, password);
        Ok(Registry { http, auth, base, prefix, name: url.to_string(), limits, locks })
    }

    /// The name of an image at the registry.
    fn image(&self, image: &str) -> Result<String, TargetError> {
        let name = if self.prefix.is_empty() { image.to_owned() } else { format!("{}/{image}", self.prefix) };
        if name.len() > 255 || !is_name(&name) {
            return Err(TargetError::Refused(format!("{name:?} is not a name that images have at registries")));
        }
        Ok(name)
    }

    fn url(&self, name: &str, rest: &str) -> Result<Url, TargetError> {
        self.base.at(&format!("/v2/{name}/{rest}"))
    }

    /// Sends a request, with credentials if the registry wants them, and follows redirects. Answers of all kinds are
    /// answers.
    async fn call(&self, scope: &Scope, request: Request) -> Result<Response, TargetError> {
        let mut sent = self.auth.authorization(&self.http, scope, None).await?;
        let mut is_challenged = false;
        let mut url = request.url.clone();
        for _ in 0..=MAX_REDIRECTS + 1 {
            let is_own = url.has_origin_of(&self.base);
            let mut attempt = request.clone();
            attempt.url = url.clone();
            if let (true, Some(authorization)) = (is_own, &sent) {
                attempt.headers.insert(AUTHORIZATION, authorization.clone());
            }
            let response = self.http.send(attempt).await?;
            if response.status == StatusCode::UNAUTHORIZED && is_own && !is_challenged {
                is_challenged = true;
                self.auth.challenged(&response.headers)?;
                response.finish().await;
                let wanted = self.auth.authorization(&self.http, scope, sent.as_ref()).await?;
                if wanted.is_none() {
                    return Err(TargetError::Denied(format!("{} wants to know who asks", self.base)));
                }
                sent = wanted;
                continue;
            }
            match self.redirect(&request.method, &url, &response)? {
                Some(next) => url = next,
                None => return Ok(response),
            }
        }
        Err(TargetError::Refused(format!("{} redirects again and again", self.base)))
    }

    /// Where an answer sends to. What is read may be anywhere; what is sent is for the registry alone.
    fn redirect(&self, method: &Method, from: &Url, response: &Response) -> Result<Option<Url>, TargetError> {
        if !matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let Some(location) = response.header(LOCATION) else { return Ok(None) };
        let next = from.join(location)?;
        let is_reading = matches!(*method, Method::GET | Method::HEAD);
        if !is_reading && (!next.has_origin_of(from) || !matches!(response.status.as_u16(), 307 | 308)) {
            return Err(TargetError::Refused(format!(
                "{} redirects what is sent to {}; if that is the registry, it has to be the URL",
                self.base,
                next.origin()
            )));
        }
        if from.is_secure() && !next.is_secure() {
            return Err(TargetError::Refused(format!(
                "{} redirects to {}, which has no TLS",
                self.base,
                next.origin()
            )));
        }
        Ok(Some(next))
    }

    /// Reads what an answer says that is not the one that was hoped for.
    async fn refusal(&self, what: &str, response: Response) -> Refusal {
        let is_own = response.url.has_origin_of(&self.base);
        let origin = response.url.origin();
        let mut refusal = refusal::read(what, response, |text| self.auth.without_secrets(text)).await;
        if !is_own && let TargetError::Denied(problem) = &refusal.error {
            let text = format!("{problem} (by {origin}, where the credentials are not sent)");
            refusal.error = TargetError::Denied(text);
        }
        refusal
    }

    async fn error(&self, what: &str, response: Response) -> TargetError {
        self.refusal(what, response).await.error
    }

    /// Asks whether a registry is there, and takes the credentials.
    async fn ping(&self) -> Result<(), TargetError> {
        let response = self.call(&Scope::none(), Request::new(Method::GET, self.base.at("/v2/")?)).await?;
        if response.status.is_success() {
            response.finish().await;
            return Ok(());
        }
        let url = &self.base;
        if response.status == StatusCode::NOT_FOUND {
            return Err(TargetError::Refused(format!("{url} is not a registry: it knows no /v2/")));
        }
        Err(self.error(url.origin().as_str(), response).await)
    }
}

#[async_trait]
impl Target for Registry {
    fn name(&self) -> &str {
        &self.name
    }

    async fn prepare(&self) -> Result<(), TargetError> {
        retried(&self.limits, "asking for the registry", || self.ping()).await
    }

    async fn manifest_digest(&self, image: &str, reference: &str) -> Result<Option<String>, TargetError> {
        let name = self.image(image)?;
        retried(&self.limits, reference, || self.digest_of(&name, reference)).await
    }

    async fn manifest_digest_like(
        &self,
        image: &str,
        reference: &str,
        wanted: &str,
    ) -> Result<Option<String>, TargetError> {
        let name = self.image(image)?;
        let there = retried(&self.limits, reference, || self.compared(&name, reference, wanted)).await?;
        Ok(there.map(|there| if there.is_wanted { wanted.to_owned() } else { there.said }))
    }

    async fn missing_blobs<'a>(&self, image: &str, blobs: &'a [BlobRef]) -> Result<Vec<&'a BlobRef>, TargetError> {
        self.blobs_missing(&self.image(image)?, blobs).await
    }

    async fn push_blob(&self, push: BlobPush<'_>) -> Result<Pushed, TargetError> {
        self.upload(&push).await
    }

    async fn put_manifest(&self, put: ManifestPut<'_>) -> Result<(), TargetError> {
        self.store_manifest(&put).await
    }

    async fn delete_tag(&self, image: &str, tag: &str, digest: &str) -> Result<bool, TargetError> {
        let name = self.image(image)?;
        retried(&self.limits, tag, || self.remove_tag(&name, tag, digest)).await
    }

    async fn file_digests(&self, files: &[File]) -> Result<Vec<Option<String>>, TargetError> {
        self.digests_of_files(files).await
    }

    fn file_digest(&self, file: &File, with_metadata: bool) -> String {
        files::manifest_of(file, with_metadata).0.digest
    }

    async fn put_file(&self, put: FilePut<'_>) -> Result<Pushed, TargetError> {
        self.store_file(&put).await
    }

    async fn delete_file(&self, path: &str, sha256: &str) -> Result<bool, TargetError> {
        self.remove_file(path, sha256).await
    }
}

/// Whether a text is safe as a name in a URL. Whether the registry takes it is for the registry to say.
fn is_name(text: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphanumeric())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    text.split('/').all(is_part)
}

/// Whether a text is safe as a tag or digest in a URL.
fn is_reference(text: &str) -> bool {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:+".contains(&byte);
    !text.is_empty() && text.len() <= 256 && text.bytes().all(is_safe) && !text.starts_with('.')
}

fn header(value: &'static str) -> HeaderValue {
    HeaderValue::from_static(value)
}
