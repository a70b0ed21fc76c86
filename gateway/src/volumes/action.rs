//! What can be asked for.

/// The value of `Action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    CreateFile,
    DeleteFile,
    ListFile,
    CreateSnapshot,
    DeleteSnapshot,
    CancelSnapshot,
    GetFileSnapshotInfo,
    GetFileSnapshotList,
    Clone,
    Recover,
    Flatten,
    GetCloneTasks,
    GetCloneTaskList,
    CleanCloneTask,
    GetCloneRefStatus,
}

impl Action {
    /// Reads a name, which has to be exact.
    ///
    /// Quirk: `GetFileSnapinfo` is what the table of parameters says where the examples say `GetFileSnapshotInfo`.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "CreateFile" => Self::CreateFile,
            "DeleteFile" => Self::DeleteFile,
            "ListFile" => Self::ListFile,
            "CreateSnapshot" => Self::CreateSnapshot,
            "DeleteSnapshot" => Self::DeleteSnapshot,
            "CancelSnapshot" => Self::CancelSnapshot,
            "GetFileSnapshotInfo" | "GetFileSnapinfo" => Self::GetFileSnapshotInfo,
            "GetFileSnapshotList" => Self::GetFileSnapshotList,
            "Clone" => Self::Clone,
            "Recover" => Self::Recover,
            "Flatten" => Self::Flatten,
            "GetCloneTasks" => Self::GetCloneTasks,
            "GetCloneTaskList" => Self::GetCloneTaskList,
            "CleanCloneTask" => Self::CleanCloneTask,
            "GetCloneRefStatus" => Self::GetCloneRefStatus,
            _ => return None,
        })
    }
}
