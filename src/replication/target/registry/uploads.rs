//! Uploads of blobs: `POST`, then `PATCH` for each chunk, then `PUT`; a blob that fits into a chunk goes with the `PUT`.

use async_trait::async_trait;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use http::{Method, StatusCode};

use super::super::content::Content;
use super::super::http::{Request, Response};
use super::super::push::{Begun, Push, Trouble, Uploads, push};
use super::super::url::Url;
use super::super::{BlobPush, Pushed, Session, TargetError};
use super::auth::Scope;
use super::refusal::Refusal;
use super::{FINISH_PATIENCE, Registry, is_reference};

/// The longest chunk that a registry may insist on.
const MAX_CHUNK_BYTES: u64 = 16 << 20;
/// How many images are asked for a blob before it is sent.
const MOST_MOUNTS: usize = 3;

impl Registry {
    /// Brings a blob to an image.
    pub(super) async fn upload(&self, what: &BlobPush<'_>) -> Result<Pushed, TargetError> {
        let name = self.image(what.image)?;
        // What is at other places of the registry that our names do not stand for cannot be mounted.
        let from = what.mount_from.iter().filter(|from| *from != what.image);
        let from = from.filter_map(|from| self.image(from).ok()).take(MOST_MOUNTS).collect();
        self.upload_to(&name, from, what.image, what).await
    }

    /// Brings a blob to a name at the registry.
    pub(super) async fn upload_to(
        &self,
        name: &str,
        mount_from: Vec<String>,
        place: &str,
        what: &BlobPush<'_>,
    ) -> Result<Pushed, TargetError> {
        if !is_reference(&what.blob.digest) {
            return Err(TargetError::Refused(format!("{:?} is not a digest", what.blob.digest)));
        }
        let uploads = RegistryUploads { registry: self, name, digest: &what.blob.digest, mount_from };
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

struct RegistryUploads<'a> {
    registry: &'a Registry,
    name: &'a str,
    digest: &'a str,
    mount_from: Vec<String>,
}

impl RegistryUploads<'_> {
    fn scope(&self) -> Scope {
        Scope::push(self.name)
    }

    fn start(&self) -> Result<Url, TargetError> {
        self.registry.url(self.name, "blobs/uploads/")
    }

    /// Where an upload is. Its URL is one that the registry has answered.
    fn location(session: &Session) -> Result<Url, TargetError> {
        Url::parse(&session.location)
    }

    /// Asks for the blob from one image after the other. An upload that a registry begins instead is kept, but for the
    /// others: they would be left behind.
    async fn mount_from_any(&self) -> Result<Option<Begun>, TargetError> {
        let mut upload: Option<Begun> = None;
        for from in &self.mount_from {
            let superfluous = match self.mount(from).await? {
                None => continue,
                Some(Begun::There) => upload.replace(Begun::There),
                Some(begun) if upload.is_none() => upload.replace(begun),
                Some(begun) => Some(begun),
            };
            if let Some(Begun::Upload { session, .. }) = superfluous {
                self.abandon(&session).await;
            }
            if matches!(upload, Some(Begun::There)) {
                break;
            }
        }
        Ok(upload)
    }

    /// Asks for the blob from another image. `None`: the registry does not do that.
    async fn mount(&self, from: &str) -> Result<Option<Begun>, TargetError> {
        let url = self.start()?.with("mount", self.digest).with("from", from);
        let asked = self.registry.call(&Scope::mount(self.name, from), Request::new(Method::POST, url)).await;
        match asked {
            Ok(response) if response.status == StatusCode::CREATED => {
                response.finish().await;
                Ok(Some(Begun::There))
            }
            Ok(response) if response.status == StatusCode::ACCEPTED => self.begun(response).await.map(Some),
            // No reason not to send it.
            Ok(response) => {
                response.finish().await;
                Ok(None)
            }
            Err(TargetError::Denied(_) | TargetError::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn begun(&self, response: Response) -> Result<Begun, TargetError> {
        let location = next_location(&response, None)?;
        let min_chunk = response.header("oci-chunk-min-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        response.finish().await;
        if min_chunk > MAX_CHUNK_BYTES {
            let text = format!("{} takes no chunks of less than {min_chunk} bytes", self.registry.base);
            return Err(TargetError::Refused(text));
        }
        self.check(&location)?;
        Ok(Begun::Upload { session: Session { location: location.whole(), offset: 0 }, min_chunk })
    }

    /// Blobs do not leave TLS because an answer says so.
    fn check(&self, location: &Url) -> Result<(), TargetError> {
        let base = &self.registry.base;
        if base.is_secure() && !location.is_secure() {
            let origin = location.origin();
            return Err(TargetError::Refused(format!("{base} wants uploads to go to {origin}, which has no TLS")));
        }
        Ok(())
    }

    /// What a refusal of a chunk, or of the end of an upload, means.
    async fn trouble(&self, what: &str, response: Response) -> Trouble {
        let Refusal { status, code, error } = self.registry.refusal(what, response).await;
        let is_about_digest = code == "DIGEST_INVALID";
        match error {
            TargetError::Refused(problem) if is_about_digest => Trouble::Target(TargetError::Mismatch(problem)),
            TargetError::Refused(_) if status == StatusCode::PAYLOAD_TOO_LARGE => Trouble::Target(error),
            // The upload is not there, or not where it was thought to be.
            TargetError::Refused(_) => Trouble::Session(error),
            error => Trouble::Target(error),
        }
    }
}

#[async_trait]
impl Uploads for RegistryUploads<'_> {
    async fn has(&self) -> Result<bool, TargetError> {
        self.registry.has_blob(self.name, self.digest).await
    }

    async fn begin(&self) -> Result<Begun, TargetError> {
        if let Some(begun) = self.mount_from_any().await? {
            return Ok(begun);
        }
        let response = self.registry.call(&self.scope(), Request::new(Method::POST, self.start()?)).await?;
        if response.status == StatusCode::ACCEPTED {
            return self.begun(response).await;
        }
        Err(self.registry.error("beginning an upload", response).await)
    }

    async fn status(&self, session: &Session) -> Result<Option<Session>, TargetError> {
        let Ok(url) = Self::location(session) else { return Ok(None) };
        self.check(&url)?;
        let response = self.registry.call(&self.scope(), Request::new(Method::GET, url.clone())).await?;
        if !matches!(response.status, StatusCode::NO_CONTENT | StatusCode::OK | StatusCode::ACCEPTED) {
            let refusal = self.registry.refusal("asking how far an upload is", response).await;
            // Also of a registry that does not tell.
            return if matches!(refusal.error, TargetError::Refused(_)) { Ok(None) } else { Err(refusal.error) };
        }
        let location = next_location(&response, Some(&url))?;
        let offset = response.header(RANGE).and_then(end_of_range);
        response.finish().await;
        self.check(&location)?;
        Ok(offset.map(|offset| Session { location: location.whole(), offset }))
    }

    async fn write(&self, session: &Session, chunk: Content) -> Result<Session, Trouble> {
        let url = Self::location(session)?;
        let end = session.offset + chunk.len();
        let request = Request::new(Method::PATCH, url.clone())
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_RANGE, &format!("{}-{}", session.offset, end.saturating_sub(1)))
            .content(chunk);
        let response = self.registry.call(&self.scope(), request).await?;
        if !matches!(response.status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT | StatusCode::CREATED) {
            return Err(self.trouble("sending a chunk", response).await);
        }
        let location = next_location(&response, Some(&url))?;
        // A registry that says nothing has taken all of it.
        let offset = response.header(RANGE).and_then(end_of_range).unwrap_or(end);
        response.finish().await;
        self.check(&location)?;
        // A range `0-0` is that of one byte, and of none.
        let offset = if end == 1 && offset == 0 { 1 } else { offset };
        Ok(Session { location: location.whole(), offset })
    }

    async fn finish(&self, session: &Session, rest: Content) -> Result<(), Trouble> {
        let url = Self::location(session)?.with("digest", self.digest);
        let request = Request::new(Method::PUT, url)
            .header(CONTENT_TYPE, "application/octet-stream")
            .patience(FINISH_PATIENCE)
            .content(rest);
        let response = self.registry.call(&self.scope(), request).await?;
        if !matches!(response.status, StatusCode::CREATED | StatusCode::NO_CONTENT) {
            return Err(self.trouble("ending an upload", response).await);
        }
        let said = response.header("docker-content-digest").map(str::to_owned);
        response.finish().await;
        let algorithm = |digest: &str| digest.split(':').next().map(str::to_owned);
        match said {
            Some(said) if said != self.digest && algorithm(&said) == algorithm(self.digest) => {
                let base = &self.registry.base;
                Err(TargetError::Mismatch(format!("{base} took {} for {}", self.digest, digest_shown(&said))).into())
            }
            _ => Ok(()),
        }
    }

    fn ends_with_bytes(&self) -> bool {
        true
    }

    async fn abandon(&self, session: &Session) {
        let Ok(url) = Self::location(session) else { return };
        if let Ok(response) = self.registry.call(&self.scope(), Request::new(Method::DELETE, url)).await {
            response.finish().await;
        }
    }
}

/// What may be shown of what a registry calls a digest.
pub(super) fn digest_shown(text: &str) -> String {
    if is_reference(text) { text.to_owned() } else { "something that is no digest".to_owned() }
}

/// Where an upload goes on: the header `Location`, read from where it was answered; without one, where it was.
fn next_location(response: &Response, before: Option<&Url>) -> Result<Url, TargetError> {
    match (response.header(LOCATION), before) {
        (Some(location), _) => response.url.join(location),
        (None, Some(before)) => Ok(before.clone()),
        (None, None) => {
            let origin = response.url.origin();
            Err(TargetError::Unreachable(format!("{origin} did not say where to send a blob")))
        }
    }
}

/// How many bytes are there, by a range `0-<last>`. Registries answer `0-0` when there are none.
fn end_of_range(range: &str) -> Option<u64> {
    let range = range.trim();
    let (_, last) = range.strip_prefix("bytes=").unwrap_or(range).split_once('-')?;
    if last.trim() == "-1" {
        return Some(0);
    }
    let last: u64 = last.trim().parse().ok()?;
    Some(if last == 0 { 0 } else { last.checked_add(1)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_tells_how_many_bytes_are_there() {
        let table = [("0-0", Some(0)), ("0-999", Some(1000)), ("bytes=0-9", Some(10)), ("0--1", Some(0)), ("x", None)];
        for (range, bytes) in table {
            assert_eq!(end_of_range(range), bytes, "{range}");
        }
    }
}
