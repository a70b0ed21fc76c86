//! The codes of the API, their words, and their statuses.
//!
//! Quirk: the words are those of the documentation, spelling included. The original server's own differ in four of them.

use http::StatusCode;

use crate::options::VolumeMessages;

/// What became of a request. The original has more codes; these are the ones that it can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Done,
    Internal,
    Stopped,
    Malformed,
    WrongUser,
    NotFound,
    BadState,
    NameMismatch,
    HasError,
    NotCancellable,
    InvalidSnapshot,
    SnapshotInUse,
    TaskUnfinished,
    SnapshotLimit,
    Exists,
    TaskLimit,
    Unsupported,
    HasSnapshots,
    InUse,
    InvalidArgument,
}

impl Code {
    /// Its number, as the client reads it.
    pub(super) const fn number(self) -> &'static str {
        match self {
            Self::Done => "0",
            Self::Internal => "-1",
            Self::Stopped => "-4",
            Self::Malformed => "-5",
            Self::WrongUser => "-7",
            Self::NotFound => "-8",
            Self::BadState => "-9",
            Self::NameMismatch => "-11",
            Self::HasError => "-13",
            Self::NotCancellable => "-14",
            Self::InvalidSnapshot => "-15",
            Self::SnapshotInUse => "-16",
            Self::TaskUnfinished => "-17",
            Self::SnapshotLimit => "-18",
            Self::Exists => "-19",
            Self::TaskLimit => "-20",
            Self::Unsupported => "-21",
            Self::HasSnapshots => "-22",
            Self::InUse => "-23",
            Self::InvalidArgument => "-24",
        }
    }

    pub(super) const fn message(self, messages: VolumeMessages) -> &'static str {
        match (self, messages) {
            (Self::Done, _) => "Exec success.",
            (Self::Internal, _) => "Internal error.",
            (Self::Stopped, VolumeMessages::Seed) => "Service is stop",
            (Self::Stopped, VolumeMessages::Upstream) => "Sevice is stop.",
            (Self::Malformed, _) => "BadRequest:\"Invalid request.\"",
            (Self::WrongUser, _) => "Invalid user.",
            (Self::NotFound, _) => "File not exist.",
            (Self::BadState, _) => "File status invalid.",
            (Self::NameMismatch, _) => "FileName not match.",
            (Self::HasError, _) => "Cannot create when has error.",
            (Self::NotCancellable, _) => "Cannot cancel finished.",
            (Self::InvalidSnapshot, _) => "Invalid snapshot.",
            (Self::SnapshotInUse, _) => "Cannot delete when using.",
            (Self::TaskUnfinished, _) => "Cannot clean task unfinished.",
            (Self::SnapshotLimit, _) => "Snapshot count reach the limit.",
            (Self::Exists, _) => "File exist.",
            (Self::TaskLimit, _) => "Task is full.",
            (Self::Unsupported, VolumeMessages::Seed) => "not support.",
            (Self::Unsupported, VolumeMessages::Upstream) => "Not support.",
            (Self::HasSnapshots, VolumeMessages::Seed) => "File is under snapshot",
            (Self::HasSnapshots, VolumeMessages::Upstream) => "File is under snapshot.",
            (Self::InUse, VolumeMessages::Seed) => "File is occuiped",
            (Self::InUse, VolumeMessages::Upstream) => "File is occupied.",
            (Self::InvalidArgument, _) => "Invalid argument.",
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Done => StatusCode::OK,
            Self::Malformed => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
