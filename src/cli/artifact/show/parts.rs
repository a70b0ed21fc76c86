//! What is known of an image.

use steward_proto::artifact::v1 as pb;
use steward_proto::artifact::v1::download_blob_response::Part as Downloaded;

use crate::cli::artifact::image::{Content, Part, Platform};
use crate::cli::artifact::name::ImageReference;
use crate::cli::artifact::session::Session;
use crate::cli::error::{self, Error};

/// A config that is longer is not worth reading for its platform.
const LONGEST_CONFIG: i64 = 1 << 20;
/// How many manifests of an index are looked at.
const MOST_MANIFESTS: usize = 200;
const PAGE_SIZE: i32 = 500;

/// An image, or an index of images.
pub(super) struct Image {
    pub(super) manifest: pb::Manifest,
    pub(super) content: Content,
    pub(super) platforms: Vec<PlatformImage>,
    pub(super) referrers: Vec<pb::Descriptor>,
}

/// The image for a platform.
pub(super) struct PlatformImage {
    pub(super) platform: Option<String>,
    pub(super) digest: String,
    /// Of all that it consists of; nothing if it is not here.
    pub(super) content_size: Option<i64>,
}

impl Image {
    /// The bytes of all that it consists of: of an index those of its images.
    pub(super) fn content_size(&self) -> i64 {
        if self.content.manifests().is_empty() {
            return self.manifest.content_size;
        }
        self.platforms.iter().filter_map(|image| image.content_size).fold(0, i64::saturating_add)
    }
}

pub(super) async fn read(image: &ImageReference, session: &Session<'_>) -> Result<Image, Error> {
    let (manifest, bytes) = session.manifest(image).await?;
    let content = Content::parse(&bytes);
    let mut platforms = Vec::new();
    for part in content.manifests().iter().take(MOST_MANIFESTS) {
        platforms.push(of_index(image, part, session).await?);
    }
    if let Some(config) = content.config().filter(|config| config.is_image_config()) {
        let platform = of_config(image, config, session).await?.and_then(|platform| platform.text());
        let content_size = Some(manifest.content_size);
        platforms.push(PlatformImage { platform, digest: manifest.digest.clone(), content_size });
    }
    let referrers = referrers(image, &manifest.digest, session).await?;
    Ok(Image { manifest, content, platforms, referrers })
}

async fn of_index(image: &ImageReference, part: &Part, session: &Session<'_>) -> Result<PlatformImage, Error> {
    let request =
        pb::GetManifestRequest { name: Some(image.to_proto()), reference: part.digest.clone(), without_content: true };
    let content_size = match session.artifacts().get_manifest(request).await {
        Ok(answer) => answer.into_inner().manifest.map(|manifest| manifest.content_size),
        Err(status) if error::reason(&status).as_deref() == Some("MANIFEST_NOT_FOUND") => None,
        Err(status) => return Err(session.failure(status)),
    };
    let platform = part.platform.as_ref().and_then(Platform::text);
    Ok(PlatformImage { platform, digest: part.digest.clone(), content_size })
}

/// What a config says of its platform; nothing if it cannot be read.
async fn of_config(image: &ImageReference, config: &Part, session: &Session<'_>) -> Result<Option<Platform>, Error> {
    if config.size > LONGEST_CONFIG {
        return Ok(None);
    }
    let request = pb::DownloadBlobRequest {
        name: Some(image.to_proto()),
        digest: config.digest.clone(),
        length: Some(LONGEST_CONFIG),
        ..pb::DownloadBlobRequest::default()
    };
    let mut stream = session.take(session.artifacts().download_blob(request).await)?;
    let mut bytes = Vec::new();
    while let Some(message) = stream.message().await.map_err(|status| session.failure(status))? {
        if let Some(Downloaded::Chunk(chunk)) = message.part {
            bytes.extend_from_slice(&chunk);
        }
    }
    Ok(serde_json::from_slice(&bytes).ok())
}

async fn referrers(image: &ImageReference, digest: &str, session: &Session<'_>) -> Result<Vec<pb::Descriptor>, Error> {
    let mut request = pb::ListReferrersRequest {
        name: Some(image.to_proto()),
        subject: digest.to_owned(),
        page_size: PAGE_SIZE,
        ..pb::ListReferrersRequest::default()
    };
    let mut referrers = Vec::new();
    loop {
        let page = session.take(session.artifacts().list_referrers(request.clone()).await)?;
        referrers.extend(page.referrers);
        if page.next_page_token.is_empty() {
            return Ok(referrers);
        }
        request.page_token = page.next_page_token;
    }
}
