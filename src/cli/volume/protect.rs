//! `steward volume protect` and `unprotect`.

use clap::Args;
use steward_proto::volume::v1 as pb;

use super::name::Place;
use super::session::{NO_SNAPSHOT, NO_VOLUME, Session};
use super::text;
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Which volumes and snapshots.
#[derive(Args, Debug)]
pub(super) struct ProtectArgs {
    /// Which ones.
    #[arg(value_name = "PATH[@SNAP]", required = true)]
    places: Vec<Place>,
}

pub(super) async fn run(
    args: ProtectArgs,
    protected: bool,
    session: &Session<'_>,
    console: &mut Console,
) -> Result<Exit, Error> {
    let line = |name: &str| {
        if protected { format!("{name} is protected") } else { format!("{name} can be deleted") }
    };
    for place in args.places {
        if let Some(snapshot) = place.to_snapshot() {
            let snapshot = session.protect_snapshot(snapshot.to_proto(), protected).await?;
            text::say_snapshot(snapshot, line, console)?;
        } else {
            let request = pb::UpdateVolumeRequest {
                user: session.user(),
                volume: Some(place.volume.to_proto()),
                protected,
                update_mask: Some(prost_types::FieldMask { paths: vec!["protected".to_owned()] }),
                ..pb::UpdateVolumeRequest::default()
            };
            let answer = session.take(session.volumes().update_volume(request).await)?;
            text::say_volume(answer.volume.ok_or(NO_VOLUME)?, line, console)?;
        }
    }
    Ok(Exit::DONE)
}

impl Session<'_> {
    /// Protects a snapshot from deletion, or no longer.
    pub(super) async fn protect_snapshot(
        &self,
        snapshot: pb::SnapshotName,
        protected: bool,
    ) -> Result<pb::Snapshot, Error> {
        let request = pb::UpdateSnapshotRequest {
            user: self.user(),
            snapshot: Some(snapshot),
            protected: Some(protected),
            ..pb::UpdateSnapshotRequest::default()
        };
        let answer = self.take(self.snapshots().update_snapshot(request).await)?;
        answer.snapshot.ok_or(NO_SNAPSHOT)
    }
}
