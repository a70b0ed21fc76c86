//! What can be wrong with a command on artifacts.

use crate::error::{Category, Failure};
use crate::fields::Fields;
use crate::places::Full;
use crate::store;

/// Why a command on artifacts was refused.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A field of the request is wrong.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which one.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Several fields of the request are wrong.
    #[error("{}", list(.0))]
    Violations(Vec<(String, String)>),
    /// The caller may not do it.
    #[error("the caller has no right to do that")]
    Denied(Box<Failure>),
    /// There is no such project.
    #[error("project {0:?} not found")]
    ProjectNotFound(String),
    /// There is no such repository.
    #[error("repository {0:?} not found")]
    RepositoryNotFound(String),
    /// There is no such file.
    #[error("file {0:?} not found")]
    FileNotFound(String),
    /// There is no such package.
    #[error("package {0:?} not found")]
    PackageNotFound(String),
    /// There is no such version.
    #[error("version {version:?} of {package:?} not found")]
    VersionNotFound {
        /// The key of the package.
        package: String,
        /// The version.
        version: String,
    },
    /// There is no such image.
    #[error("image {0:?} not found")]
    ImageNotFound(String),
    /// There is no such manifest.
    #[error("manifest {0:?} not found")]
    ManifestNotFound(String),
    /// There is no such blob.
    #[error("blob {0} not found")]
    BlobNotFound(String),
    /// There is no such upload, or not any more.
    #[error("upload {0:?} not found")]
    UploadNotFound(String),
    /// There is a project of that name.
    #[error("project {0:?} exists")]
    ProjectExists(String),
    /// There is a repository of that name.
    #[error("repository {0:?} exists")]
    RepositoryExists(String),
    /// There is a file of that path.
    #[error("file {0:?} exists")]
    FileExists(String),
    /// A folder has the path, or a part of it is a file, or the file is not the one that was meant.
    #[error("{0}")]
    FileConflict(String),
    /// The tag names another manifest than was meant.
    #[error("{0}")]
    TagConflict(String),
    /// Something is in the repository.
    #[error("repository {0:?} is not empty")]
    RepositoryNotEmpty(String),
    /// The project has repositories.
    #[error("project {0:?} has repositories")]
    ProjectNotEmpty(String),
    /// The repository holds other things.
    #[error("repository {name:?} does not hold {wanted}")]
    WrongRepositoryType {
        /// The repository.
        name: String,
        /// What was asked for.
        wanted: &'static str,
    },
    /// The bytes have another digest.
    #[error("the bytes of {what} have the digest {actual}, not {expected}")]
    DigestMismatch {
        /// Whose.
        what: String,
        /// The digest that was announced.
        expected: String,
        /// The digest that they have.
        actual: String,
    },
    /// The manifest is none.
    #[error("manifest: {0}")]
    ManifestInvalid(String),
    /// The manifest names something that the image does not have.
    #[error("manifest names {0}, which the image does not have")]
    ManifestBlobUnknown(String),
    /// The range is none.
    #[error("{0}")]
    InvalidRange(String),
    /// The range begins behind the end.
    #[error("the range begins behind the end of {size} bytes")]
    RangeNotSatisfiable {
        /// How long the whole is.
        size: u64,
    },
    /// The bytes do not go where the upload ends.
    #[error("the upload is at {offset}")]
    UploadOffset {
        /// How many bytes are there.
        offset: u64,
    },
    /// The upload ended before it was whole.
    #[error("upload broke off: {0}")]
    UploadBrokenOff(String),
    /// It is longer than it may be.
    #[error("{what} is longer than the limit of {limit} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// How long it may be.
        limit: u64,
    },
    /// There are as many uploads as may be.
    #[error("{whose} has {limit} uploads under way, which is the limit")]
    TooManyUploads {
        /// Whose limit it is: a user's, an address's, or the server's.
        whose: String,
        /// How many there may be.
        limit: usize,
    },
    /// There are as many watches as may be.
    #[error("{} watches{} are open already, which is the limit", .0.limit, .0.whose())]
    TooManyWatchers(Full),
    /// Changes behind the stamp are no longer kept.
    #[error("the changes behind {0} are no longer kept")]
    Compacted(u64),
    /// No space is left on the disk.
    #[error("no space is left on the disk")]
    DiskFull,
    /// Somebody else is at work on the same thing.
    #[error("{0} is busy")]
    Busy(String),
    /// Stored bytes cannot be read any more.
    #[error("{0}")]
    DataDamaged(String),
    /// The server is about to stop.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// Something went wrong that is not the caller's fault.
    #[error("{0}")]
    Internal(String),
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn list(violations: &[(String, String)]) -> String {
    violations.iter().map(|(field, problem)| format!("{field}: {problem}")).collect::<Vec<_>>().join("; ")
}

impl Error {
    /// A field that is wrong.
    pub(super) fn invalid(field: &'static str, problem: impl Into<String>) -> Self {
        Error::Invalid { field, problem: problem.into() }
    }

    /// Refuses fields in which anything is wrong.
    pub(super) fn check(fields: Fields) -> Result<(), Self> {
        let violations = fields.violations();
        if violations.is_empty() { Ok(()) } else { Err(Error::Violations(violations)) }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Error::Denied(Box::new(failure))
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::DiskFull,
            _ => Error::Internal(format!("the bytes of an artifact: {error}")),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let failure = |category, reason| Failure::new(category, reason, message.clone());
        match error {
            Error::Store(error) => error.into(),
            Error::Denied(failure) => *failure,
            Error::Invalid { field, problem } => Failure::invalid([(field, problem)]),
            Error::Violations(violations) => Failure::invalid(violations),
            Error::ProjectNotFound(name) => failure(Category::NotFound, "PROJECT_NOT_FOUND").with("arg", name),
            Error::RepositoryNotFound(name) => failure(Category::NotFound, "REPOSITORY_NOT_FOUND").with("arg", name),
            Error::FileNotFound(path) => failure(Category::NotFound, "FILE_NOT_FOUND").with("arg", path),
            Error::PackageNotFound(key) => failure(Category::NotFound, "PACKAGE_NOT_FOUND").with("arg", key),
            Error::VersionNotFound { package, version } => {
                failure(Category::NotFound, "VERSION_NOT_FOUND").with("arg", package).with("version", version)
            }
            Error::ImageNotFound(name) => failure(Category::NotFound, "IMAGE_NOT_FOUND").with("arg", name),
            Error::ManifestNotFound(name) => failure(Category::NotFound, "MANIFEST_NOT_FOUND").with("arg", name),
            Error::BlobNotFound(digest) => failure(Category::NotFound, "BLOB_NOT_FOUND").with("arg", digest),
            Error::UploadNotFound(id) => failure(Category::NotFound, "UPLOAD_NOT_FOUND").with("arg", id),
            Error::ProjectExists(name) => failure(Category::AlreadyExists, "PROJECT_EXISTS").with("arg", name),
            Error::RepositoryExists(name) => failure(Category::AlreadyExists, "REPOSITORY_EXISTS").with("arg", name),
            Error::FileExists(path) => failure(Category::AlreadyExists, "FILE_EXISTS").with("arg", path),
            Error::FileConflict(_) => failure(Category::FailedPrecondition, "FILE_CONFLICT"),
            Error::TagConflict(_) => failure(Category::FailedPrecondition, "TAG_CONFLICT"),
            Error::RepositoryNotEmpty(name) => {
                failure(Category::FailedPrecondition, "REPOSITORY_NOT_EMPTY").with("arg", name)
            }
            Error::ProjectNotEmpty(name) => {
                failure(Category::FailedPrecondition, "PROJECT_NOT_EMPTY").with("arg", name)
            }
            Error::WrongRepositoryType { name, .. } => {
                failure(Category::FailedPrecondition, "WRONG_REPOSITORY_TYPE").with("arg", name)
            }
            Error::DigestMismatch { what, .. } => {
                failure(Category::InvalidArgument, "DIGEST_MISMATCH").with("arg", what)
            }
            Error::ManifestInvalid(_) => failure(Category::InvalidArgument, "MANIFEST_INVALID"),
            Error::ManifestBlobUnknown(digest) => {
                failure(Category::InvalidArgument, "MANIFEST_BLOB_UNKNOWN").with("digest", digest)
            }
            Error::InvalidRange(_) => failure(Category::InvalidArgument, "INVALID_RANGE"),
            Error::RangeNotSatisfiable { size } => {
                failure(Category::OutOfRange, "RANGE_NOT_SATISFIABLE").with("size", size.to_string())
            }
            Error::UploadOffset { offset } => {
                failure(Category::OutOfRange, "UPLOAD_OFFSET").with("offset", offset.to_string())
            }
            Error::UploadBrokenOff(_) => failure(Category::InvalidArgument, "UPLOAD_BROKEN_OFF"),
            Error::TooLarge { limit, .. } => {
                failure(Category::ResourceExhausted, "TOO_LARGE").with("limit", limit.to_string())
            }
            Error::TooManyUploads { .. } => failure(Category::ResourceExhausted, "TOO_MANY_UPLOADS"),
            Error::TooManyWatchers(_) => failure(Category::ResourceExhausted, "TOO_MANY_WATCHERS"),
            Error::Compacted(_) => failure(Category::OutOfRange, "REVISION_COMPACTED"),
            Error::DiskFull => failure(Category::ResourceExhausted, "DISK_FULL"),
            Error::Busy(_) => failure(Category::Unavailable, "BUSY"),
            Error::DataDamaged(_) => failure(Category::DataLoss, "DATA_DAMAGED"),
            Error::ShuttingDown => failure(Category::Unavailable, "SHUTTING_DOWN"),
            Error::Internal(_) => failure(Category::Internal, "INTERNAL"),
        }
    }
}
