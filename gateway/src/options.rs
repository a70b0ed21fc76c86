//! What an operator can choose about the legacy APIs.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use jiff::tz::TimeZone;

/// Choices about the legacy APIs. Every one has a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What an unlock without `success` means. The routes under `/infer` always infer.
    pub absent_success: AbsentSuccess,
    /// How many bytes an object that is uploaded to a backup repository may have.
    pub max_upload_bytes: u64,
    /// How long an upload may bring no bytes before it is given up.
    pub body_idle_timeout: Duration,
    /// How many bytes the bodies may have together that are read whole before a call is made: JSON and manifests.
    pub whole_body_bytes: u64,
    /// Whether long lists of objects are compressed for clients that offer it. It costs more than it saves unless the
    /// network is slow.
    pub compress_lists: bool,
    /// The header in which a proxy names the user. It is passed on; whether the proxy is believed, the server decides.
    pub user_header: Option<HeaderName>,
    /// Choices about the API of the transcoding farm.
    pub transcode: TranscodeOptions,
    /// Choices about the API of block volumes.
    pub volumes: VolumeOptions,
    /// Choices about the APIs of artifacts and their replication.
    pub artifacts: ArtifactOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            absent_success: AbsentSuccess::default(),
            max_upload_bytes: 1024 * 1024 * 1024,
            body_idle_timeout: Duration::from_mins(1),
            whole_body_bytes: 256 * 1024 * 1024,
            compress_lists: false,
            user_header: None,
            transcode: TranscodeOptions::default(),
            volumes: VolumeOptions::default(),
            artifacts: ArtifactOptions::default(),
        }
    }
}

/// What an unlock without `success` means. A `success` that is present always wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AbsentSuccess {
    /// The work failed, as the API documents it.
    #[default]
    Failure,
    /// The work succeeded when there is no error text. Some clients never send `success`.
    Infer,
}

/// Choices about the API of the transcoding farm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscodeOptions {
    /// How lists of workers and tasks are answered.
    pub list_shape: ListShape,
    /// What separates the directories in the paths of videos.
    pub path_style: PathStyle,
    /// Which pages may read the answers in a browser. `None`: only those that this server serves.
    pub cors_origin: Option<HeaderValue>,
}

impl Default for TranscodeOptions {
    fn default() -> Self {
        Self {
            list_shape: ListShape::default(),
            path_style: PathStyle::default(),
            cors_origin: Some(HeaderValue::from_static("*")),
        }
    }
}

/// How lists of workers and tasks are answered. Videos and logs are always in an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListShape {
    /// `data` is the list, and `pagination` is beside it, as the API documents it.
    #[default]
    Array,
    /// `data` has the list and `pagination` in it, as a web page of the original reads it.
    Object,
}

/// What separates the directories in the paths of videos.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathStyle {
    /// `/`, which workers on all systems take.
    #[default]
    Slash,
    /// `\`, as the original wrote them.
    Backslash,
}

/// Choices about the API of block volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeOptions {
    /// Whether it is served. Without it, its paths are nothing.
    pub enabled: bool,
    /// Whether a volume can be rolled back. The API documents that it cannot, although it says how.
    pub rollback: bool,
    /// Whose words explain the codes.
    pub messages: VolumeMessages,
    /// Whether methods other than GET are refused. The original took all of them.
    pub only_get: bool,
}

impl Default for VolumeOptions {
    fn default() -> Self {
        Self { enabled: true, rollback: false, messages: VolumeMessages::default(), only_get: false }
    }
}

/// Whose words explain the codes of the API of block volumes. Clients look at the codes alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VolumeMessages {
    /// Those of the documentation.
    #[default]
    Seed,
    /// Those of the original server, which differ in four of them.
    Upstream,
}

/// Choices about the APIs of artifacts and their replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactOptions {
    /// The zone of times, which have none in these APIs.
    pub time_zone: TimeZone,
    /// How many bytes a file or a blob may have.
    pub max_blob_bytes: u64,
    /// Whether the port speaks TLS itself, which clients are told who are to sign in.
    pub is_secure: bool,
}

impl Default for ArtifactOptions {
    fn default() -> Self {
        Self { time_zone: TimeZone::UTC, max_blob_bytes: 64 << 30, is_secure: false }
    }
}
