//! The types of objects on the command line.

use clap::ValueEnum;
use steward_proto::restic::v1 as pb;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// The one that says how the repository is made.
    Config,
    /// Packs of encrypted blobs.
    Data,
    /// Which pack holds which blob.
    Index,
    /// The master keys, one for each password.
    #[value(alias = "keys")]
    Key,
    /// Who is at work.
    #[value(alias = "locks")]
    Lock,
    /// What a backup contains.
    #[value(alias = "snapshots")]
    Snapshot,
}

impl Kind {
    pub(super) fn to_proto(self) -> pb::ObjectType {
        match self {
            Kind::Config => pb::ObjectType::Config,
            Kind::Data => pb::ObjectType::Data,
            Kind::Index => pb::ObjectType::Index,
            Kind::Key => pb::ObjectType::Key,
            Kind::Lock => pb::ObjectType::Lock,
            Kind::Snapshot => pb::ObjectType::Snapshot,
        }
    }
}

/// A type to filter by; without one: all types.
pub(super) fn filter(kind: Option<Kind>) -> i32 {
    kind.map_or(pb::ObjectType::Unspecified, Kind::to_proto).into()
}
