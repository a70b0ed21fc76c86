//! Manifests: stored as they are, and asked for again.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};

use super::super::content::Content;
use super::super::http::{Request, Response};
use super::super::retry::retried;
use super::super::{ManifestPut, TargetError};
use super::auth::Scope;
use super::uploads::digest_shown;
use super::{FINISH_PATIENCE, MAX_MANIFEST_BYTES, Registry, header, is_reference};
use crate::blob::{Algorithm, Digest};

/// The kinds of manifests that are asked for.
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                        application/vnd.docker.distribution.manifest.v2+json, \
                        application/vnd.docker.distribution.manifest.list.v2+json, \
                        application/vnd.oci.artifact.manifest.v1+json, */*;q=0.1";

/// A manifest that is there, beside one that is looked for.
pub(super) struct Compared {
    /// Its digest, as the registry says.
    pub(super) said: String,
    /// It is the one that is looked for.
    pub(super) is_wanted: bool,
}

/// A manifest that was read.
pub(super) struct Read {
    pub(super) media_type: String,
    pub(super) content: Bytes,
}

impl Read {
    /// Its digest, computed.
    pub(super) fn digest(&self) -> String {
        Digest::of(Algorithm::Sha256, &self.content).to_string()
    }
}

impl Registry {
    fn manifest_url(&self, name: &str, reference: &str) -> Result<super::Url, TargetError> {
        if !is_reference(reference) {
            return Err(TargetError::Refused(format!("{reference:?} is neither a tag nor a digest")));
        }
        self.url(name, &format!("manifests/{reference}"))
    }

    /// Asks for a manifest; `None`: it is not there.
    async fn ask_manifest(&self, method: Method, name: &str, reference: &str) -> Result<Option<Response>, TargetError> {
        let mut request = Request::new(method, self.manifest_url(name, reference)?);
        request.headers.insert(ACCEPT, header(ACCEPTED));
        let response = self.call(&Scope::push(name), request).await?;
        match response.status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(response)),
            _ => Err(self.error(reference, response).await),
        }
    }

    /// The digest that the registry says a tag or digest stands for; one that it does not say is computed.
    pub(super) async fn digest_of(&self, name: &str, reference: &str) -> Result<Option<String>, TargetError> {
        let Some(response) = self.ask_manifest(Method::HEAD, name, reference).await? else { return Ok(None) };
        let said = response.header("docker-content-digest").and_then(|said| said.parse::<Digest>().ok());
        response.finish().await;
        let is_asked_for = reference.parse::<Digest>().is_ok();
        match said {
            Some(said) if !is_asked_for || said.to_string() == reference => Ok(Some(said.to_string())),
            _ => {
                let Some(read) = self.read_manifest(name, reference).await? else { return Ok(None) };
                let is_it = is_digest_of(reference, &read.content);
                Ok(Some(if is_it { reference.to_owned() } else { read.digest() }))
            }
        }
    }

    /// Whether a tag or digest stands for the manifest of a digest. A registry that makes its digests by another
    /// algorithm has to show the bytes.
    pub(super) async fn compared(
        &self,
        name: &str,
        reference: &str,
        wanted: &str,
    ) -> Result<Option<Compared>, TargetError> {
        let Some(said) = self.digest_of(name, reference).await? else { return Ok(None) };
        let algorithm = |digest: &str| digest.parse::<Digest>().ok().map(|digest| digest.algorithm());
        let is_wanted = if said != wanted && algorithm(&said) != algorithm(wanted) {
            let Some(read) = self.read_manifest(name, reference).await? else { return Ok(None) };
            is_digest_of(wanted, &read.content)
        } else {
            said == wanted
        };
        Ok(Some(Compared { said, is_wanted }))
    }

    /// Reads a manifest.
    pub(super) async fn read_manifest(&self, name: &str, reference: &str) -> Result<Option<Read>, TargetError> {
        let Some(response) = self.ask_manifest(Method::GET, name, reference).await? else { return Ok(None) };
        let media_type = response.header(CONTENT_TYPE).unwrap_or_default().to_owned();
        let content = response.bytes(MAX_MANIFEST_BYTES).await?;
        Ok(Some(Read { media_type, content }))
    }

    /// Stores a manifest, points tags at it, and sees that it is what is found there.
    pub(super) async fn store_manifest(&self, put: &ManifestPut<'_>) -> Result<(), TargetError> {
        let name = self.image(put.image)?;
        let digest = &put.manifest.digest;
        if !is_digest_of(digest, put.content) {
            return Err(TargetError::Source(format!("what is to be copied is not {digest}")));
        }
        let references: Vec<&str> =
            if put.tags.is_empty() { vec![digest] } else { put.tags.iter().map(String::as_str).collect() };
        let mut knows_referrers = false;
        for reference in references {
            let work = || self.put_bytes(&name, reference, &put.manifest.media_type, put.content);
            knows_referrers = retried(&self.limits, reference, work).await?;
            retried(&self.limits, reference, || self.verify(&name, reference, put.content)).await?;
        }
        if !put.manifest.subject.is_empty() && !knows_referrers {
            self.list_referrer(&name, put.manifest, put.content).await?;
        }
        Ok(())
    }

    /// Stores bytes as a manifest. Answers whether the registry keeps referrers by itself.
    pub(super) async fn put_bytes(
        &self,
        name: &str,
        reference: &str,
        media_type: &str,
        content: &Bytes,
    ) -> Result<bool, TargetError> {
        let mut request = Request::new(Method::PUT, self.manifest_url(name, reference)?)
            .content(Content::whole(content.clone()))
            .patience(FINISH_PATIENCE);
        let media_type = HeaderValue::from_str(media_type);
        let media_type = media_type.map_err(|_| TargetError::Refused("the media type is none".to_owned()))?;
        request.headers.insert(CONTENT_TYPE, media_type);
        let response = self.call(&Scope::push(name), request).await?;
        if !matches!(response.status, StatusCode::CREATED | StatusCode::ACCEPTED | StatusCode::OK) {
            return Err(self.error(&format!("storing the manifest {reference}"), response).await);
        }
        let knows_referrers = response.header("oci-subject").is_some();
        response.finish().await;
        Ok(knows_referrers)
    }

    /// Asks for a manifest again. A registry that says the wrong digest, or none, has to show the bytes.
    async fn verify(&self, name: &str, reference: &str, content: &Bytes) -> Result<(), TargetError> {
        let base = &self.base;
        let said = self.digest_of(name, reference).await?;
        match &said {
            Some(said) if is_digest_of(said, content) => return Ok(()),
            Some(_) => {}
            None => return Err(TargetError::Mismatch(format!("{base} took {name}:{reference} and does not have it"))),
        }
        match self.read_manifest(name, reference).await? {
            Some(read) if read.content == *content => Ok(()),
            Some(read) => {
                let (is, should) = (read.digest(), Digest::of(Algorithm::Sha256, content));
                Err(TargetError::Mismatch(format!("{base} has {is} as {name}:{reference}, not {should}")))
            }
            None => {
                let said = digest_shown(said.as_deref().unwrap_or_default());
                Err(TargetError::Mismatch(format!(
                    "{base} says that {name}:{reference} is {said}, and has nothing there"
                )))
            }
        }
    }
}

/// Whether a digest is that of some bytes.
pub(super) fn is_digest_of(digest: &str, content: &[u8]) -> bool {
    digest.parse::<Digest>().is_ok_and(|digest| Digest::of(digest.algorithm(), content) == digest)
}
