//! An image in words and as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use steward_proto::artifact::v1 as pb;

use super::parts::{Image, PlatformImage};
use crate::cli::artifact::image::Part;
use crate::cli::artifact::name::ImageReference;
use crate::cli::artifact::{json, text};
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::table::{Table, or_dash};
use crate::cli::{size, time};

#[derive(Serialize)]
struct Shown {
    name: String,
    reference: String,
    manifest: json::Manifest,
    content_size: i64,
    platforms: Vec<ShownPlatform>,
    layers: Vec<ShownLayer>,
    annotations: BTreeMap<String, String>,
    referrers: Vec<json::Descriptor>,
}

#[derive(Serialize)]
struct ShownPlatform {
    platform: Option<String>,
    digest: String,
    content_size: Option<i64>,
}

#[derive(Serialize)]
struct ShownLayer {
    media_type: String,
    digest: String,
    size: i64,
}

impl From<PlatformImage> for ShownPlatform {
    fn from(image: PlatformImage) -> Self {
        ShownPlatform { platform: image.platform, digest: image.digest, content_size: image.content_size }
    }
}

impl From<&Part> for ShownLayer {
    fn from(part: &Part) -> Self {
        ShownLayer { media_type: part.media_type.clone(), digest: part.digest.clone(), size: part.size }
    }
}

pub(super) fn show(name: &ImageReference, image: Image, console: &mut Console) -> Result<(), Error> {
    match console.format() {
        Format::Json => console.object(&shown(name, image)),
        Format::Text => lines(name, image, console),
    }
}

fn shown(name: &ImageReference, image: Image) -> Shown {
    Shown {
        name: format!("{}/{}/{}", name.repository.project, name.repository.name, name.image),
        reference: name.reference().to_owned(),
        content_size: image.content_size(),
        manifest: json::Manifest::from(image.manifest),
        platforms: image.platforms.into_iter().map(ShownPlatform::from).collect(),
        layers: image.content.layers().iter().map(ShownLayer::from).collect(),
        annotations: image.content.into_annotations(),
        referrers: image.referrers.into_iter().map(json::Descriptor::from).collect(),
    }
}

fn lines(name: &ImageReference, image: Image, console: &mut Console) -> Result<(), Error> {
    let manifest = &image.manifest;
    let platforms: Vec<_> = image.platforms.iter().filter_map(|image| image.platform.as_deref()).collect();
    let fields = [
        ("digest", printable(&manifest.digest).into_owned()),
        ("media type", printable(&manifest.media_type).into_owned()),
        ("artifact type", printable(&manifest.artifact_type).into_owned()),
        ("refers to", printable(&manifest.subject).into_owned()),
        ("size", format!("{}, its manifest {}", size::of_proto(image.content_size()), size::of_proto(manifest.size))),
        ("layers", count(image.content.layers().len())),
        ("platforms", printable(&platforms.join(", ")).into_owned()),
        ("pushed", text::moment(manifest.push_time, "", time::now())),
    ];
    let lines = text::lines(&name.to_string(), &fields, console);
    console.line(lines)?;
    if !image.content.manifests().is_empty() {
        console.line("")?;
        let mut table = Table::new(["PLATFORM", "SIZE", "DIGEST"]);
        table.show::<_, ShownPlatform>(image.platforms, platform_row, console)?;
    }
    if !image.referrers.is_empty() {
        console.line("")?;
        let mut table = Table::new(["REFERRED TO BY", "SIZE", "DIGEST"]);
        table.show::<_, json::Descriptor>(image.referrers, referrer_row, console)?;
    }
    Ok(())
}

/// Nothing for none.
fn count(count: usize) -> String {
    if count == 0 { String::new() } else { count.to_string() }
}

fn platform_row(image: &PlatformImage) -> [String; 3] {
    [
        or_dash(printable(image.platform.as_deref().unwrap_or_default()).into_owned()),
        image.content_size.map_or_else(|| "not here".to_owned(), size::of_proto),
        printable(&image.digest).into_owned(),
    ]
}

fn referrer_row(referrer: &pb::Descriptor) -> [String; 3] {
    let kind = if referrer.artifact_type.is_empty() { &referrer.media_type } else { &referrer.artifact_type };
    [or_dash(printable(kind).into_owned()), size::of_proto(referrer.size), printable(&referrer.digest).into_owned()]
}
