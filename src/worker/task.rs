//! One task, from its video to the place of its result.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use steward_proto::transcode::v1 as pb;
use tokio_util::sync::CancellationToken;

use super::container::Container;
use super::encoder::Encoder;
use super::failure::{Failure, blocking};
use super::library::Located;
use super::link::Link;
use super::media::Media;
use super::place::{self, Exchange, Original};
use super::probe::probe;
use super::profile::Job;
use super::recovery::Leftovers;
use super::report::{Pulse, Report, Stage, seconds};
use super::settings::{Delivery, Settings};
use super::state::{End, State, Traces};
use super::verify::{self, Growth, Measured};
use super::{encode, transfer};
use crate::cli::connect::Channel;
use crate::clock::{Clock as _, SystemClock};

/// What all tasks share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) settings: Settings,
    pub(super) encoder: Encoder,
    pub(super) state: Arc<State>,
    pub(super) leftovers: Leftovers,
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
    /// Of the file that was scanned; 0: unknown.
    pub(super) source_bytes: u64,
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
            source_bytes: u64::try_from(task.source_bytes).unwrap_or(0),
        })
    }
}

/// Does the task. Nothing of it is left on the disk but its result.
pub(super) async fn run(
    context: &Arc<Context>,
    assignment: &Assignment,
    stop: &CancellationToken,
) -> Result<Done, Failure> {
    put_leftovers_right(context).await;
    let mut attempt = Attempt {
        context,
        assignment,
        stop,
        report: Report::new(context.link.clone(), &assignment.task_id),
        traces: Traces::default(),
        has_begun: false,
    };
    attempt.report.tell(Stage::default());
    let result = match &context.settings.delivery {
        Delivery::Transfer => transfer::run(&mut attempt).await,
        Delivery::Replace | Delivery::Directory(_) => attempt.run_here().await,
    };
    attempt.conclude(result).await
}

/// What another task has left may be this one's video.
async fn put_leftovers_right(context: &Arc<Context>) {
    let settled = context.clone();
    let ended = blocking(move || Ok(settled.leftovers.retry(&settled.state))).await;
    for (task_id, end) in ended.unwrap_or_default() {
        context.link.finish_late(&task_id, end);
    }
}

/// One attempt at a task.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    pub(super) context: &'a Arc<Context>,
    pub(super) assignment: &'a Assignment,
    pub(super) stop: &'a CancellationToken,
    pub(super) report: Report,
    pub(super) traces: Traces,
    /// The video is being encoded, or was.
    has_begun: bool,
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
        self.check_scanned(&located, original.metadata.len())?;
        let media = probe(&self.settings().ffprobe, &located.path, self.stop).await?;
        let container = self.container(&located.path, &media);
        let place = self.place(&located, container)?;
        let result = self.workplace(&place, container).await?;
        let encoded = self.encode(&located.path, &result, &media, container).await?;
        let is_replaced = self.settings().delivery == Delivery::Replace;
        let has_moved = is_replaced && place.extension() != located.path.extension();
        let moved = located.relative.with_extension(place.extension().unwrap_or_default());
        let output_path = format!("{}/{}", located.library, moved.display());
        let done = Done {
            output_path: if has_moved { output_path } else { String::new() },
            source_bytes: encoded.source_bytes,
            output_bytes: encoded.bytes,
        };
        self.deliver(&located, original, &result, &place, self.end(&done)).await?;
        Ok(done)
    }

    /// What is noted of a good end.
    fn end(&self, done: &Done) -> End {
        End {
            lease_token: self.assignment.lease_token.clone(),
            elapsed_time: seconds(self.report.elapsed()),
            output_path: done.output_path.clone(),
            output_bytes: done.output_bytes,
        }
    }

    fn check_scanned(&self, located: &Located, bytes: u64) -> Result<(), Failure> {
        let scanned = self.assignment.source_bytes;
        if scanned == 0 || scanned == bytes {
            return Ok(());
        }
        Err(Failure::worker(format!(
            "{} is not the file that was scanned: it has {bytes} bytes, that one had {scanned}",
            located.path.display()
        )))
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
        let is_other = place != located.path;
        if is_other && place.symlink_metadata().is_ok() {
            let message = format!("the result cannot be put at {}: there is a file already", place.display());
            return Err(Failure::Video(message));
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
        let scanned = Some(self.assignment.duration).filter(|seconds| seconds.is_finite() && *seconds > 0.0);
        let duration = media.duration.or(scanned).unwrap_or(0.0);
        self.has_begun = true;
        encode::encode(&settings.ffmpeg, job, duration, self.stop, &mut self.report).await?;
        let made = probe(&settings.ffprobe, result, self.stop).await?;
        let encoded = Encoded { source_bytes: size(source).await?, bytes: size(result).await? };
        let growth = if settings.allow_larger { Growth::Allowed } else { self.assignment.growth };
        let (before, after) =
            (Measured { media, bytes: encoded.source_bytes }, Measured { media: &made, bytes: encoded.bytes });
        verify::judge(before, after, scanned, growth).map_err(Failure::Video)?;
        encode::decode(&settings.ffmpeg, result, &made, settings.decoding, self.stop, &mut self.report).await?;
        Ok(encoded)
    }

    async fn deliver(
        &mut self,
        located: &Located,
        original: Original,
        result: &Path,
        place: &Path,
        end: End,
    ) -> Result<(), Failure> {
        let staged = self.stage(result, place, end.output_bytes).await?;
        self.confirm_lease(end.output_bytes).await?;
        let (context, task_id) = (self.context.clone(), self.assignment.task_id.clone());
        let (located, place) = (located.clone(), place.to_owned());
        let delivered = tokio::task::spawn_blocking(move || match &context.settings.delivery {
            Delivery::Replace => {
                let date: String = context.clock.now().to_string().chars().take(DATE_CHARACTERS).collect();
                let trash = place::trash_place(&located, &date);
                let exchange = Exchange {
                    original: &original,
                    result: &staged,
                    place: &place,
                    trash: &trash,
                    root: &located.root,
                    end: &end,
                    link: |from, to| std::fs::hard_link(from, to),
                    rename: |from, to| std::fs::rename(from, to),
                };
                exchange.carry_out(&context.state, &task_id)
            }
            Delivery::Directory(_) | Delivery::Transfer => {
                original.check()?;
                place::put(&context.state, &task_id, &staged, &place, &end)
            }
        });
        delivered.await.map_err(Failure::io("cannot put the result in its place"))?
    }

    /// Brings the result beside its place, and makes it last.
    async fn stage(&mut self, result: &Path, place: &Path, bytes: u64) -> Result<PathBuf, Failure> {
        let (pulse, stage) = (Pulse::default(), delivery_stage(bytes));
        let (result, place, counted, stop) = (result.to_owned(), place.to_owned(), pulse.clone(), self.stop.clone());
        let staging = tokio::task::spawn_blocking(move || place::stage(&result, &place, &counted, &stop));
        let staged = self.report.during(stage, &pulse, staging).await;
        staged.map_err(Failure::io("cannot bring the result to its place"))?
    }

    /// A result that is placed by somebody who has lost the video is worse than one that waits for the server.
    async fn confirm_lease(&mut self, bytes: u64) -> Result<(), Failure> {
        let confirmed = self.stop.run_until_cancelled(self.report.confirm(delivery_stage(bytes))).await;
        if confirmed == Some(true) && !self.stop.is_cancelled() { Ok(()) } else { Err(Failure::Stopped) }
    }

    /// Cleans up, and says what the attempt has come to by what is on the disk.
    async fn conclude(self, result: Result<Done, Failure>) -> Result<Done, Failure> {
        let (context, task_id) = (self.context.clone(), self.assignment.task_id.clone());
        let is_sent = self.settings().delivery == Delivery::Transfer;
        let sent = result.as_ref().ok().filter(|_| is_sent).map(|done| self.end(done));
        let cleaned = blocking(move || {
            if let Some(end) = sent {
                context.state.keep_end(&task_id, &end)?;
            }
            let placed = context.leftovers.put_right(&context.state, &task_id)?;
            if !context.link.holds(&task_id) {
                context.state.forget_end(&task_id)?;
            }
            Ok(placed)
        });
        match (result, cleaned.await) {
            // Its delivery failed at the last step, and was found done.
            (Err(Failure::Worker(_)), Ok(Some(end))) => {
                Ok(Done { output_path: end.output_path, source_bytes: 0, output_bytes: end.output_bytes })
            }
            (Err(Failure::Worker(reason)), _) if self.has_begun => Err(Failure::Spent(reason)),
            (result, _) => result,
        }
    }
}

/// What is left is to bring the result to its place.
const DELIVERY_PERCENT: f64 = 99.5;

pub(super) fn delivery_stage(bytes: u64) -> Stage {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    Stage { percent: DELIVERY_PERCENT, bytes, ..Stage::default() }
}

/// As in `2026-11-21`.
const DATE_CHARACTERS: usize = 10;

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
