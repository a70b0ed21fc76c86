//! Volumes: `CreateFile`, `DeleteFile` and `ListFile`.
//!
//! Quirk: sizes are asked for in GiB and answered in bytes.
//! Quirk: the pool of a new volume is `PoolSet`; that of a clone is `Poolset`.

use steward_proto::volume::v1::{
    CreateVolumeRequest, DeleteVolumeRequest, GetVolumeRequest, ListVolumesRequest, Volume,
};

use super::answer::Answer;
use super::code::Code;
use super::page::{Page, Paging};
use super::refusal::Refusal;
use super::{Asked, at, row};

const GIB: u64 = 1 << 30;

/// Handles `CreateFile`. The same volume again is no error.
pub(super) async fn create(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let query = &asked.query;
    let message = CreateVolumeRequest {
        user: query.required("User")?,
        path: query.required("File")?,
        size_bytes: size_bytes(query.number("Size")?.ok_or(Refusal::malformed("Size"))?),
        stripe_unit: query.number("StripeUnit")?.unwrap_or(0),
        stripe_count: query.number("StripeCount")?.unwrap_or(0),
        pool: query.text("PoolSet")?,
        ..CreateVolumeRequest::default()
    };
    if message.size_bytes == 0 {
        return Err(Refusal::invalid("Size"));
    }
    let call = asked.call("CreateVolume");
    let created = call.run(asked.storage.volumes.clone().create_volume(call.request(message))).await;
    created.map_err(|failure| Refusal::of(&failure, asked.action))?;
    Ok(Answer::done())
}

/// What 64 bits cannot hold is as much as they can: too much for every server.
fn size_bytes(gib: u64) -> u64 {
    gib.min(u64::MAX / GIB) * GIB
}

/// Handles `DeleteFile`.
pub(super) async fn delete(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let user = asked.query.required("User")?;
    let path = asked.query.required("File")?;
    if path == "/" {
        // To the service it is a directory like others, that has something in it.
        return Err(Refusal::invalid("File"));
    }
    let call = asked.call("DeleteVolume");
    let message = DeleteVolumeRequest { user, volume: at(&path) };
    let deleted = call.run(asked.storage.volumes.clone().delete_volume(call.request(message))).await;
    match deleted.map_err(|failure| Refusal::of(&failure, asked.action)) {
        Ok(_) | Err(Refusal { code: Code::NotFound, .. }) => Ok(Answer::done()),
        Err(refusal) => Err(refusal),
    }
}

/// Handles `ListFile`: one volume or directory, or what is in a directory.
///
/// Quirk: `File` wins over `Dir`, even when it is empty, which is no path then.
pub(super) async fn list(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let user = asked.query.required("User")?;
    let paging = Paging::of(&asked.query)?;
    let page = if asked.query.has("File") {
        let path = asked.query.text("File")?;
        if path.is_empty() {
            return Err(Refusal::invalid("File"));
        }
        paging.of_one(row::file(&get(asked, user, &path).await?))
    } else {
        let directory = asked.query.required("Dir")?;
        entries(asked, paging, &user, &directory).await?
    };
    Ok(page.answer("FileInfos"))
}

async fn get(asked: &Asked<'_>, user: String, path: &str) -> Result<Volume, Refusal> {
    let call = asked.call("GetVolume");
    let message = GetVolumeRequest { user, volume: at(path), ..GetVolumeRequest::default() };
    let found = call.run(asked.storage.volumes.clone().get_volume(call.request(message))).await;
    let found = found.map_err(|failure| Refusal::of(&failure, asked.action))?;
    found.volume.ok_or_else(|| Refusal::broken(&call, "no volume"))
}

async fn entries(asked: &Asked<'_>, paging: Paging, user: &str, directory: &str) -> Result<Page, Refusal> {
    let gathering = paging.gather(async |window| {
        let call = asked.call("ListVolumes");
        let message = ListVolumesRequest {
            user: user.to_owned(),
            directory: directory.to_owned(),
            page_size: window.page_size,
            skip: window.skip,
            ..ListVolumesRequest::default()
        };
        let listed = call.run(asked.storage.volumes.clone().list_volumes(call.request(message))).await;
        let listed = listed.map_err(|failure| Refusal::of(&failure, asked.action))?;
        Ok(Page { rows: listed.volumes.iter().map(row::file).collect(), total: listed.total_size })
    });
    gathering.await
}
