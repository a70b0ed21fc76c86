//! The direction of a list on the command line.

use clap::Args;
use steward_proto::transcode::v1 as pb;

/// Which end of a list comes first.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Order {
    /// Smallest first.
    #[arg(long, conflicts_with = "desc")]
    asc: bool,

    /// Greatest first; the default.
    #[arg(long)]
    desc: bool,
}

impl Order {
    pub(crate) fn to_proto(self) -> i32 {
        match self {
            Order { asc: true, .. } => pb::SortOrder::Asc.into(),
            Order { desc: true, .. } => pb::SortOrder::Desc.into(),
            Order { .. } => pb::SortOrder::Unspecified.into(),
        }
    }
}
