//! The commands on libraries.

use std::future::ready;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use steward_proto::transcode::v1::Rules;

use super::batch::{About, Batch};
use super::error::Error;
use super::farm::{Decision, Farm};
use super::index::Library;
use super::library::{LibrarySpec, Scanner};
use super::model::{LibraryRecord, LogLevel, VideoId, VideoStatus};

/// The most libraries.
const MOST: usize = 256;
/// Videos about which one commit decides anew.
const DECIDED_AT_A_TIME: usize = 50;
/// The longest rules, in bytes as they are kept: a record has to fit into the store.
const MAX_RULES_BYTES: usize = 2500;
/// What a record keeps of an error, in bytes.
const MAX_ERROR_BYTES: usize = 300;
/// Stands for the server's own interval.
const AS_SET: i64 = -1;

/// A wish for a library.
#[derive(Clone, Debug)]
pub(crate) struct PutLibrary {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) rules: Rules,
    pub(crate) scan_interval: Option<Duration>,
    pub(crate) is_paused: bool,
}

/// A library as people see it.
#[derive(Clone, Debug)]
pub(crate) struct LibraryView {
    pub(crate) name: String,
    pub(crate) library: Library,
    pub(crate) videos: i32,
}

/// How often a library is scanned, as its record says.
pub(crate) fn scan_interval(record: &LibraryRecord) -> Option<Duration> {
    u64::try_from(record.scan_interval_nanos).ok().map(Duration::from_nanos)
}

impl Farm {
    /// Adds a library, or changes it, and has it scanned.
    pub(crate) async fn put_library(&self, command: PutLibrary) -> Result<LibraryView, Error> {
        let farm = self.clone();
        self.to_the_end(async move {
            farm.check_place(&command.name, &command.path).await?;
            let (are_rules_new, _) =
                farm.decide(format!("library {:?}", command.name), || ready(farm.try_put_library(&command))).await?;
            if are_rules_new {
                farm.decide_anew(&command.name);
            }
            let view = farm.library(&command.name)?;
            farm.keep_in_view(&view);
            Ok(view)
        })
        .await
    }

    fn try_put_library(&self, command: &PutLibrary) -> Result<Decision<bool>, Error> {
        let invalid = |field, problem: String| Error::Invalid { field, problem };
        let path = command.path.to_str().ok_or_else(|| invalid("library.path", "is not UTF-8".to_owned()))?;
        let rules = command.rules.encode_to_vec();
        if rules.len() > MAX_RULES_BYTES {
            let problem = format!("take {} bytes; the limit is {MAX_RULES_BYTES}", rules.len());
            return Err(invalid("library.rules", problem));
        }
        let before = self.index.libraries.read().get(&command.name).cloned();
        if before.is_none() && self.index.libraries.read().len() >= MOST {
            return Err(invalid("library.name", format!("there are {MOST} libraries already, which is the limit")));
        }
        let interval =
            command.scan_interval.map_or(AS_SET, |interval| i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX));
        let record = LibraryRecord {
            path: path.to_owned(),
            rules: rules.into(),
            scan_interval_nanos: interval,
            paused: command.is_paused,
            ..before.as_ref().map(|library| library.record.clone()).unwrap_or_default()
        };
        let are_rules_new = before.as_ref().is_some_and(|library| library.record.rules != record.rules);
        let mut batch = Batch::default();
        if before.as_ref().is_none_or(|library| library.record != record) {
            let message = format!("library {:?} is at {path}", command.name);
            batch.log(&self.index, self.clock.now(), (LogLevel::Info, message), About::Nothing);
            batch.put_library(&command.name, record, before.map(|library| library.revision));
        }
        Ok(Decision { batch, answer: are_rules_new })
    }

    /// Forgets a library and its videos.
    pub(crate) async fn remove_library(&self, name: String) -> Result<(), Error> {
        let farm = self.clone();
        self.to_the_end(async move {
            if let Some(scanner) = farm.scanner.get() {
                scanner.remove(&name).await;
            }
            let attempt = || async {
                let mut batch = Batch::default();
                let library = farm.library(&name)?.library;
                let message = format!("library {name:?} is removed");
                batch.log(&farm.index, farm.clock.now(), (LogLevel::Info, message), About::Nothing);
                batch.delete_library(&name, library.revision);
                Ok(Decision { batch, answer: () })
            };
            // Were it cut off in the middle, the library would still be there to be removed again.
            farm.hide_library(&name).await?;
            farm.decide(format!("library {name:?}"), attempt).await?;
            farm.hide_library(&name).await
        })
        .await
    }

    /// One library.
    pub(crate) fn library(&self, name: &str) -> Result<LibraryView, Error> {
        let library = self.index.libraries.read().get(name).cloned();
        let library = library.ok_or_else(|| Error::LibraryNotFound(name.to_owned()))?;
        let videos = self.index.videos.read().count_in_library(name);
        Ok(LibraryView { name: name.to_owned(), library, videos })
    }

    /// All libraries, by name.
    pub(crate) fn all_libraries(&self) -> Vec<LibraryView> {
        let names: Vec<String> = self.index.libraries.read().iter().map(|(name, _)| name.to_owned()).collect();
        names.iter().filter_map(|name| self.library(name).ok()).collect()
    }

    /// Starts the scanner, with the libraries that there are.
    pub fn start_scanner(&self) {
        let settings = self.settings.library.clone();
        let (clock, shutdown) = (Arc::clone(&self.clock), self.shutdown.clone());
        let scanner = Scanner::start(Arc::new(self.clone()), settings, clock, shutdown, self.tasks.clone());
        if self.scanner.set(scanner).is_ok() {
            self.all_libraries().iter().for_each(|view| self.keep_in_view(view));
        }
    }

    /// Hands a library to the scanner.
    pub(super) fn keep_in_view(&self, view: &LibraryView) {
        let Some(scanner) = self.scanner.get() else { return };
        scanner.put(LibrarySpec {
            name: view.name.clone(),
            path: PathBuf::from(&view.library.record.path),
            rules: Arc::clone(&view.library.compiled),
            scan_interval: scan_interval(&view.library.record),
        });
    }

    /// Notes how a scan ended.
    pub(super) async fn note_scan(&self, name: &str, error: Option<String>) -> Result<(), Error> {
        let attempt = || async {
            let mut batch = Batch::default();
            let Ok(view) = self.library(name) else { return Ok(Decision { batch, answer: () }) };
            let mut record = view.library.record;
            match &error {
                None => {
                    record.scan_nanos = self.clock.now().nanos();
                    record.scan_error = String::new();
                }
                Some(error) => record.scan_error = cut_to_bytes(error, MAX_ERROR_BYTES),
            }
            batch.put_library(name, record, Some(view.library.revision));
            Ok(Decision { batch, answer: () })
        };
        self.decide(format!("library {name:?}"), attempt).await?;
        Ok(())
    }

    /// Lets changed rules decide about the videos that nobody has worked on.
    fn decide_anew(&self, name: &str) {
        let (farm, name) = (self.clone(), name.to_owned());
        self.tasks.spawn(async move {
            let ids = farm.index.videos.read().in_library(&name);
            for part in ids.chunks(DECIDED_AT_A_TIME) {
                if farm.shutdown.is_cancelled() {
                    break;
                }
                let attempt = || farm.try_decide_anew(&name, part);
                if let Err(error) = farm.decide("the videos of a library", attempt).await {
                    tracing::warn!(library = %name, %error, "changed rules are not applied to some videos");
                }
            }
        });
    }

    async fn try_decide_anew(&self, name: &str, ids: &[VideoId]) -> Result<Decision<()>, Error> {
        let mut batch = Batch::default();
        let Ok(view) = self.library(name) else { return Ok(Decision { batch, answer: () }) };
        for id in ids {
            let Some(stored) = self.video(*id).await? else { continue };
            let status = VideoStatus::try_from(stored.record.status).unwrap_or_default();
            let mut video = stored.record.clone();
            let file_name = video.path.rsplit('/').next().unwrap_or_default();
            video.is_vr = view.library.compiled.is_vr(file_name);
            if matches!(status, VideoStatus::NotNeeded | VideoStatus::Waiting) {
                video.status = self.first_status(&video) as i32;
            }
            if video != stored.record {
                video.update_nanos = self.clock.now().nanos();
                batch.put_video(*id, video, Some(stored.revision));
            }
        }
        Ok(Decision { batch, answer: () })
    }
}

/// The beginning of a text, up to so many bytes, between two characters.
fn cut_to_bytes(text: &str, most: usize) -> String {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].to_owned()
}
