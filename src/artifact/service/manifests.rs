//! The calls about manifests, tags and images.

use super::ArtifactServer;
use super::image_convert::{self as convert, Checks, both, image_name, page, page_size};
use crate::artifact::error::Error;
use crate::artifact::manifest_put::PutManifest;
use crate::artifact::reference::{Reference, parse_digest, parse_tag};
use crate::artifact::sight::Sight;
use crate::artifact::tags::OnlyIf;
use steward_proto::artifact::v1 as api;

/// How many tags one push may have beside its reference.
const MAX_TAGS: usize = 100;

impl ArtifactServer {
    pub(super) async fn handle_put_manifest(
        &self,
        request: api::PutManifestRequest,
        user: &str,
    ) -> Result<api::PutManifestResponse, Error> {
        let (manifest, is_changed) = self.artifacts.put_manifest(read_put(request)?, user).await?;
        Ok(api::PutManifestResponse { manifest: Some(convert::manifest(manifest)), unchanged: !is_changed })
    }

    pub(super) async fn handle_get_manifest(
        &self,
        request: api::GetManifestRequest,
        _user: &str,
    ) -> Result<api::GetManifestResponse, Error> {
        let reference = Reference::parse("reference", &request.reference);
        let (name, reference) = both(image_name(request.name), reference)?;
        if request.without_content {
            let manifest = self.artifacts.look_up_whole(&name, &reference).await?;
            return Ok(api::GetManifestResponse {
                manifest: Some(convert::manifest(manifest)),
                ..api::GetManifestResponse::default()
            });
        }
        let (manifest, content) = self.artifacts.read_manifest(&name, &reference).await?;
        Ok(api::GetManifestResponse { manifest: Some(convert::manifest(manifest)), content })
    }

    pub(super) async fn handle_delete_manifest(
        &self,
        request: api::DeleteManifestRequest,
        _user: &str,
    ) -> Result<api::DeleteManifestResponse, Error> {
        let reference = Reference::parse("reference", &request.reference);
        let (name, reference) = both(image_name(request.name), reference)?;
        let only_if = match request.only_if_digest.as_str() {
            "" => None,
            digest => Some(parse_digest("only_if_digest", digest)?),
        };
        self.artifacts.delete_manifest(name, reference, only_if).await?;
        Ok(api::DeleteManifestResponse {})
    }

    pub(super) async fn handle_list_manifests(
        &self,
        request: api::ListManifestsRequest,
        _user: &str,
    ) -> Result<api::ListManifestsResponse, Error> {
        let (name, page) = both(image_name(request.name), page(request.page_size, request.page_token))?;
        let listed = self.artifacts.list_manifests(&name, &page).await?;
        let (next_page_token, total_size) = convert::totals(&listed);
        let manifests = listed.items.into_iter().map(convert::manifest).collect();
        Ok(api::ListManifestsResponse { manifests, next_page_token, total_size })
    }

    pub(super) async fn handle_list_tags(
        &self,
        request: api::ListTagsRequest,
        _user: &str,
    ) -> Result<api::ListTagsResponse, Error> {
        let (name, size) = both(image_name(request.name), page_size(request.page_size, 1000, 10_000))?;
        let (tags, has_more) = self.artifacts.list_tags(&name, &request.after, size).await?;
        Ok(api::ListTagsResponse { tags, has_more })
    }

    pub(super) async fn handle_list_referrers(
        &self,
        request: api::ListReferrersRequest,
        _user: &str,
    ) -> Result<api::ListReferrersResponse, Error> {
        let subject = parse_digest("subject", &request.subject);
        let (name, subject) = both(image_name(request.name), subject)?;
        let page = page(request.page_size, request.page_token)?;
        let (referrers, next) = self.artifacts.list_referrers(&name, &subject, &request.artifact_type, &page).await?;
        let referrers = referrers.into_iter().map(convert::referrer).collect();
        Ok(api::ListReferrersResponse { referrers, next_page_token: next.unwrap_or_default() })
    }

    pub(super) async fn handle_list_images(
        &self,
        request: api::ListImagesRequest,
        sight: &Sight,
    ) -> Result<api::ListImagesResponse, Error> {
        let size = page_size(request.page_size, 100, 1000)?;
        let (names, has_more) = self.artifacts.list_images(&request.after, size, sight).await?;
        Ok(api::ListImagesResponse { names, has_more })
    }
}

/// Reads a push; everything that is wrong with it is told together.
fn read_put(request: api::PutManifestRequest) -> Result<PutManifest, Error> {
    let mut checks = Checks::default();
    let name = checks.read(image_name(request.name))?;
    let reference = checks.read(Reference::parse("reference", &request.reference))?;
    let tags = checks.read(read_tags(&request.tags))?;
    let only_if = checks.read(read_only_if(request.only_if_digest.as_deref()))?;
    let (Some(name), Some(reference), Some(tags), Some(only_if)) = (name, reference, tags, only_if) else {
        return Err(checks.refusal());
    };
    Ok(PutManifest {
        name,
        reference,
        tags,
        media_type: request.media_type,
        content: request.content,
        metadata: request.metadata,
        only_if,
    })
}

fn read_tags(tags: &[String]) -> Result<Vec<String>, Error> {
    if tags.len() > MAX_TAGS {
        return Err(Error::invalid("tags", format!("are {}; the limit is {MAX_TAGS}", tags.len())));
    }
    tags.iter().map(|tag| parse_tag("tags", tag)).collect()
}

fn read_only_if(digest: Option<&str>) -> Result<Option<OnlyIf>, Error> {
    match digest {
        None => Ok(None),
        Some("") => Ok(Some(None)),
        Some(digest) => parse_digest("only_if_digest", digest).map(|digest| Some(Some(digest))),
    }
}
