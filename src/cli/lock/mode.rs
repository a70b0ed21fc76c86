//! How a lock is to be shared.

use clap::{Args, ValueEnum};
use steward_proto::lock::v1 as pb;

/// The options that say how to hold a lock.
#[derive(Args, Clone, Debug)]
pub(super) struct ModeArgs {
    /// How to hold it.
    #[arg(long, value_enum, default_value_t = Mode::Exclusive)]
    pub(super) mode: Mode,

    /// Semaphore: the permits in all. Everybody has to say the same.
    #[arg(long, value_name = "N", required_if_eq("mode", "semaphore"))]
    capacity: Option<u32>,

    /// Semaphore: the permits to take. Default: 1.
    #[arg(long, value_name = "N")]
    permits: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// One holder, nobody beside it.
    Exclusive,
    /// Any number of shared holders, no exclusive one.
    Shared,
    /// Holders take permits of a fixed capacity.
    Semaphore,
}

impl ModeArgs {
    /// `request` with these options. The server checks what fits together.
    pub(super) fn apply(&self, request: pb::AcquireRequest) -> pb::AcquireRequest {
        pb::AcquireRequest {
            mode: self.mode.to_proto().into(),
            capacity: self.capacity.unwrap_or_default(),
            permits: self.permits.unwrap_or_default(),
            ..request
        }
    }
}

impl Mode {
    fn to_proto(self) -> pb::LockMode {
        match self {
            Mode::Exclusive => pb::LockMode::Exclusive,
            Mode::Shared => pb::LockMode::Shared,
            Mode::Semaphore => pb::LockMode::Semaphore,
        }
    }
}
