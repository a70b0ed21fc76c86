//! One task, from its video to the place of its result.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use steward_proto::transcode::v1 as pb;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::container::Container;
use super::encoder::Encoder;
use super::failure::{Failure, blocking};
use super::library::Located;
use super::link::Link;
use super::media::Media;
use super::place::{self, Exchange, Original};
use super::probe::probe;
use super::profile::Job;
use super::report::{Report, Stage};
use super::settings::{Delivery, Settings};
use super::state::{State, Traces};
use super::verify::{self, Growth, Measured};
use super::{encode, recovery, transfer};
use crate::cli::connect::Channel;
use crate::clock::{Clock as _, SystemClock};

/// What all tasks share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) settings: Settings,
    pub(super) encoder: Encoder,
    pub(super) state: State,
    pub(super) link: Arc<Link>,
    /// For the transfer of videos.
    pub(super) channel: Channel,
    pub(super) clock: SystemClock,
}

/// What the server asks for.
#[derive(Clone, Debug)]
pub(super) struct Assignment {
    /// A UUID, so that it can be a part of file names.
    pub(super) task_id: String,
    pub(super) lease_token: String,
    pub(super) video_path: String,
    pub(super) growth: Growth,
    /// Seconds; 0: unknown.
    pub(super) duration: f64,
}

/// What a task has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// The video's path, if it has another one now.
    pub(super) output_path: String,
    pub(super) source_bytes: u64,
    pub(super) output_bytes: u64,
}

impl Assignment {
    /// Nothing when it makes no sense.
    pub(super) fn read(assign: pb::Assign) -> Option<Self> {
        let task = assign.task?;
        uuid::Uuid::parse_str(&task.task_id).ok().filter(|id| id.to_string() == task.task_id)?;
        Some(Assignment {
            task_id: task.task_id,
            lease_token: task.lease_token,
            video_path: task.video_path,
            growth: if assign.allow_larger { Growth::Allowed } else { Growth::Refused },
            duration: assign.duration,
        })
    }
}

/// Does the task. Nothing of it is left on the disk but its result.
pub(super) async fn run(
    context: &Arc<Context>,
    assignment: &Assignment,
    stop: &CancellationToken,
) -> Result<Done, Failure> {
    let mut attempt = Attempt {
        context,
        assignment,
        stop,
        report: Report::new(context.link.clone(), &assignment.task_id),
        traces: Traces::default(),
    };
    attempt.report.tell(Stage::default());
    let result = match &context.settings.delivery {
        Delivery::Transfer => transfer::run(&mut attempt).await,
        Delivery::Replace | Delivery::Directory(_) => attempt.run_here().await,
    };
    attempt.clean_up().await;
    result
}

/// One attempt at a task.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    pub(super) context: &'a Arc<Context>,
    pub(super) assignment: &'a Assignment,
    pub(super) stop: &'a CancellationToken,
    pub(super) report: Report,
    pub(super) traces: Traces,
}

/// An encoded and checked video.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoded {
    pub(super) source_bytes: u64,
    pub(super) bytes: u64,
}

impl Attempt<'_> {
    /// With the library's disk at hand.
    async fn run_here(&mut self) -> Result<Done, Failure> {
        let located = self.locate().await?;
        let path = located.path.clone();
        let original = blocking(move || Original::look(&path)).await;
        let original = original.map_err(Failure::io(format!("cannot read {}", located.path.display())))?;
        let media = probe(&self.settings().ffprobe, &located.path, self.stop).await?;
        let container = self.container(&located.path, &media);
        let place = self.place(&located, container)?;
        let result = self.workplace(&place, container).await?;
        let encoded = self.encode(&located.path, &result, &media, container).await?;
        if self.stop.is_cancelled() {
            return Err(Failure::Stopped);
        }
        self.deliver(&located, original, &result, &place).await?;
        let is_replaced = self.settings().delivery == Delivery::Replace;
        let has_moved = is_replaced && place.extension() != located.path.extension();
        let moved = located.relative.with_extension(place.extension().unwrap_or_default());
        let output_path = format!("{}/{}", located.library, moved.display());
        Ok(Done {
            output_path: if has_moved { output_path } else { String::new() },
            source_bytes: encoded.source_bytes,
            output_bytes: encoded.bytes,
        })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.context.settings
    }

    async fn locate(&self) -> Result<Located, Failure> {
        let (libraries, video_path) = (self.settings().libraries.clone(), self.assignment.video_path.clone());
        let located = tokio::task::spawn_blocking(move || libraries.locate(&video_path)).await;
        let located = located.map_err(Failure::io("cannot look for the video"))??;
        if self.settings().delivery == Delivery::Replace {
            refuse_irreplaceable(&located)?;
        }
        Ok(located)
    }

    pub(super) fn container(&self, source: &Path, media: &Media) -> Container {
        let extension = source.extension().unwrap_or_default().to_string_lossy();
        Container::choose(&extension, media, self.settings().profile.is_audio_copied())
    }

    /// Where the result belongs. Fails when another file is there.
    fn place(&self, located: &Located, container: Container) -> Result<PathBuf, Failure> {
        let extension = located.path.extension().unwrap_or_default().to_string_lossy().into_owned();
        let path = match &self.settings().delivery {
            Delivery::Directory(directory) => directory.join(&located.library).join(&located.relative),
            Delivery::Replace | Delivery::Transfer => located.path.clone(),
        };
        let place = path.with_extension(container.extension(&extension));
        let is_other = place.extension() != located.path.extension();
        if is_other && place.symlink_metadata().is_ok() {
            return Err(Failure::video(format!("the result cannot be put at {}: there is a file", place.display())));
        }
        Ok(place)
    }

    /// Where the result grows: an empty file, so that a directory that cannot be written to is noticed now.
    async fn workplace(&mut self, place: &Path, container: Container) -> Result<PathBuf, Failure> {
        let beside = place.parent().unwrap_or(Path::new("/")).to_owned();
        let extension = container.extension(&place.extension().unwrap_or_default().to_string_lossy());
        let staged = place::temporary(&beside, &self.assignment.task_id, &extension);
        let directory = self.settings().temp.clone().unwrap_or_else(|| beside.clone());
        let result = place::temporary(&directory, &self.assignment.task_id, &extension);
        let cannot_write = format!("cannot write {}", result.display());
        let directories = blocking(move || {
            place::create_directory(&beside)?;
            place::create_directory(&directory)
        });
        directories.await.map_err(Failure::io(&cannot_write))?;
        self.leave([staged, result.clone()]).await?;
        tokio::fs::File::create(&result).await.map_err(Failure::io(cannot_write))?;
        Ok(result)
    }

    /// Notes files that are to go, whatever happens.
    pub(super) async fn leave(&mut self, files: impl IntoIterator<Item = PathBuf>) -> Result<(), Failure> {
        self.traces.temporary.extend(files);
        self.traces.temporary.dedup();
        let (context, task_id, traces) = (self.context.clone(), self.assignment.task_id.clone(), self.traces.clone());
        let noted = blocking(move || context.state.note(&task_id, &traces)).await;
        noted.map_err(Failure::io("cannot write to the state directory"))
    }

    /// Makes the result and looks whether it is good.
    pub(super) async fn encode(
        &mut self,
        source: &Path,
        result: &Path,
        media: &Media,
        container: Container,
    ) -> Result<Encoded, Failure> {
        let settings = &self.context.settings;
        let encoder = self.context.encoder;
        let (profile, is_vr) = (&settings.profile, settings.support_vr);
        let job = Job { source, result, media, container, encoder, profile, is_vr };
        let duration = media.duration.unwrap_or(self.assignment.duration);
        encode::encode(&settings.ffmpeg, job, duration, self.stop, &mut self.report).await?;
        let made = probe(&settings.ffprobe, result, self.stop).await?;
        let encoded = Encoded { source_bytes: size(source).await?, bytes: size(result).await? };
        let growth = if settings.allow_larger { Growth::Allowed } else { self.assignment.growth };
        let (before, after) =
            (Measured { media, bytes: encoded.source_bytes }, Measured { media: &made, bytes: encoded.bytes });
        verify::judge(before, after, growth).map_err(Failure::Video)?;
        encode::decode(&settings.ffmpeg, result, &made, settings.decoding, self.stop, &mut self.report).await?;
        Ok(encoded)
    }

    async fn deliver(
        &mut self,
        located: &Located,
        original: Original,
        result: &Path,
        place: &Path,
    ) -> Result<(), Failure> {
        let (context, task_id) = (self.context.clone(), self.assignment.task_id.clone());
        let (located, result, place) = (located.clone(), result.to_owned(), place.to_owned());
        let delivered = tokio::task::spawn_blocking(move || {
            let staged = stage(&result, &place)?;
            match &context.settings.delivery {
                Delivery::Replace => {
                    let date: String = context.clock.now().to_string().chars().take(DATE_CHARACTERS).collect();
                    let trash = place::trash_place(&located, &date);
                    let exchange = Exchange {
                        original: &original,
                        result: &staged,
                        place: &place,
                        trash: &trash,
                        link: |from, to| std::fs::hard_link(from, to),
                    };
                    exchange.carry_out(&context.state, &task_id)
                }
                Delivery::Directory(_) | Delivery::Transfer => place::put(&staged, &place),
            }
        });
        delivered.await.map_err(Failure::io("cannot put the result in its place"))?
    }

    async fn clean_up(self) {
        let (context, task_id, traces) = (self.context.clone(), self.assignment.task_id.clone(), self.traces);
        let cleaned = blocking(move || {
            // A delivery has settled what concerns the original, or has said that it could not.
            recovery::clear(&traces)?;
            context.state.forget(&task_id)
        });
        if let Err(error) = cleaned.await {
            warn!(task = %self.assignment.task_id, %error, "something of the task is left on the disk");
        }
    }
}

/// As in `2026-11-21`.
const DATE_CHARACTERS: usize = 10;

/// Brings a result that grew elsewhere beside its place. Blocks.
fn stage(result: &Path, place: &Path) -> Result<PathBuf, Failure> {
    if result.parent() == place.parent() {
        return Ok(result.to_owned());
    }
    let staged = place.with_file_name(result.file_name().unwrap_or_default());
    if std::fs::rename(result, &staged).is_err() {
        let copied = std::fs::copy(result, &staged).and_then(|_| std::fs::remove_file(result));
        copied.map_err(Failure::io(format!("cannot copy the result to {}", staged.display())))?;
    }
    Ok(staged)
}

fn refuse_irreplaceable(located: &Located) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt as _;

    if located.is_link {
        return Err(Failure::video(format!(
            "{} is a symbolic link to {}: it cannot be replaced",
            located.relative.display(),
            located.path.display()
        )));
    }
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev());
    match (device(&located.root), device(&located.path)) {
        (Ok(root), Ok(file)) if root == file => Ok(()),
        _ => Err(Failure::worker(format!(
            "{} is not on the file system of {}, where its trash would be",
            located.path.display(),
            located.root.display()
        ))),
    }
}

async fn size(path: &Path) -> Result<u64, Failure> {
    let metadata = tokio::fs::metadata(path).await;
    Ok(metadata.map_err(Failure::io(format!("cannot read {}", path.display())))?.len())
}
