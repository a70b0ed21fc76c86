//! What an operator tells a worker.

use std::collections::HashMap;
use std::path::PathBuf;

use steward_proto::transcode::v1 as pb;

use super::library::Libraries;
use super::profile::Profile;
use super::verify::Decoding;

/// What a worker encodes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// The processor, with x265.
    Cpu,
    /// A card of NVIDIA.
    Nvenc,
    /// Intel Quick Sync.
    Qsv,
    /// A video processing unit.
    Vpu,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Cpu => "cpu",
            Kind::Nvenc => "nvenc",
            Kind::Qsv => "qsv",
            Kind::Vpu => "vpu",
        }
    }

    fn to_proto(self) -> pb::WorkerType {
        match self {
            Kind::Cpu => pb::WorkerType::Cpu,
            Kind::Nvenc => pb::WorkerType::Nvenc,
            Kind::Qsv => pb::WorkerType::Qsv,
            Kind::Vpu => pb::WorkerType::Vpu,
        }
    }
}

/// Where results go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// To the place of the original, which goes to the trash of its library.
    Replace,
    /// To this directory, under the library's name.
    Directory(PathBuf),
    /// To the server, which the source comes from, too.
    Transfer,
}

/// All of it.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) support_vr: bool,
    pub(crate) libraries: Libraries,
    pub(crate) delivery: Delivery,
    /// Tasks at a time.
    pub(crate) slots: usize,
    pub(crate) labels: HashMap<String, String>,
    /// 0: any.
    pub(crate) max_height: i32,
    /// Empty: all.
    pub(crate) codecs: Vec<String>,
    pub(crate) profile: Profile,
    pub(crate) decoding: Decoding,
    pub(crate) allow_larger: bool,
    /// What must outlive a crash.
    pub(crate) state: PathBuf,
    /// Where results grow; nothing: beside their place.
    pub(crate) temp: Option<PathBuf>,
    /// For the shell, when the server says that the machine is to be shut down.
    pub(crate) shutdown_command: Option<String>,
    pub(crate) ffmpeg: PathBuf,
    pub(crate) ffprobe: PathBuf,
}

impl Settings {
    /// What the worker says of itself.
    pub(super) fn registration(&self, worker_token: String) -> pb::RegisterWorkerRequest {
        pb::RegisterWorkerRequest {
            worker_name: self.name.clone(),
            worker_type: self.kind.to_proto().into(),
            support_vr: self.support_vr,
            labels: self.labels.clone(),
            constraints: Some(pb::Constraints {
                max_height: self.max_height,
                codecs: self.codecs.clone(),
                libraries: self.libraries.iter().map(|(name, _)| name.to_owned()).collect(),
            }),
            max_concurrent: i32::try_from(self.slots).unwrap_or(i32::MAX),
            version: concat!("steward ", env!("CARGO_PKG_VERSION")).to_owned(),
            worker_token,
        }
    }

    /// What the server shows as the place of the results.
    pub(super) fn dest_path(&self) -> Option<String> {
        match &self.delivery {
            Delivery::Directory(directory) => Some(directory.to_string_lossy().into_owned()),
            Delivery::Replace | Delivery::Transfer => None,
        }
    }
}
