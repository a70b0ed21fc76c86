//! What a repository of the server has already.

use crate::cli::connect::Channel;
use steward_proto::restic::v1 as pb;
use steward_proto::restic::v1::object_service_client::ObjectServiceClient;
use tonic::{Code, Status};

use super::digest::Digest;
use super::tree::Found;

/// The objects of one type, in the order of their names.
#[derive(Debug)]
pub(super) struct Known(Vec<Found>);

impl Known {
    /// Asks the server. A repository that is not there has nothing.
    pub(super) async fn ask(
        objects: &mut ObjectServiceClient<Channel>,
        repository: &str,
        kind: pb::ObjectType,
    ) -> Result<Self, Status> {
        let request = pb::StreamObjectsRequest { repository: repository.to_owned(), r#type: kind.into() };
        let mut known = Vec::new();
        let mut batches = match objects.stream_objects(request).await {
            Ok(batches) => batches.into_inner(),
            Err(status) if status.code() == Code::NotFound => return Ok(Known(known)),
            Err(status) => return Err(status),
        };
        while let Some(batch) = batches.message().await? {
            known.extend(batch.entries.iter().filter_map(found));
        }
        known.sort_by_key(|object| object.name);
        Ok(Known(known))
    }

    /// It is there, and has the same size.
    pub(super) fn has(&self, object: &Found) -> bool {
        let place = self.0.binary_search_by_key(&object.name, |known| known.name);
        place.is_ok_and(|place| self.0[place].size == object.size)
    }
}

fn found(entry: &pb::ObjectEntry) -> Option<Found> {
    Some(Found { name: Digest::parse(&entry.name)?, size: u64::try_from(entry.size).ok()? })
}
