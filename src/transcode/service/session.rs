//! `WorkerService.Session`: one stream in the place of all other calls of a worker.

mod hear;

use std::time::Duration;

use futures::FutureExt as _;
use futures::stream::StreamExt as _;
use steward_proto::transcode::v1 as api;
use steward_proto::transcode::v1::session_request::Message as Said;
use steward_proto::transcode::v1::session_response::Message as Say;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::{Status, Streaming};

use super::{Answers, FarmServer};
use crate::auth::rights::Right;
use crate::clock::Timestamp;
use crate::error::{Category, Failure};
use crate::fields::Fields;
use crate::store;
use crate::transcode::claim::Claim;
use crate::transcode::claims::Claimed;
use crate::transcode::convert::{self, Secrets};
use crate::transcode::error::Error;
use crate::transcode::farm::Farm;
use crate::transcode::model::{
    OfflineAction, RegisterOutcome, TaskId, TaskRecord, TaskStatus, TaskUuid, VideoId, WorkerId, library_of,
};
use crate::transcode::reach::Reach;
use crate::transcode::reports::Claimant;
use crate::transcode::sessions::Notice;
use crate::transcode::transition::Report;

/// How long the first message may take.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// The most tasks that a hello can name.
const MAX_RUNNING: usize = 256;
/// Messages that wait for a slow worker; then the session waits too.
const BUFFER: usize = 16;
/// How long a worker that found nothing rests at most before the next look.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

type Sender = mpsc::Sender<Result<api::SessionResponse, Status>>;

/// The worker has gone, or is to go.
struct Over;

/// What a session knows of its worker beside the records.
struct Session {
    farm: Farm,
    reach: Reach,
    sender: Sender,
    worker: WorkerId,
    /// Of this stream among the worker's streams.
    number: u64,
    free_slots: i32,
    dest_path: Option<String>,
    /// What the worker was last told of its commands and of its pause.
    told: (i32, bool),
    /// Until when there is nothing to look for, unless something changes.
    rests_until: Option<Instant>,
}

impl FarmServer {
    pub(super) fn open_session(
        &self,
        requests: Streaming<api::SessionRequest>,
        reach: Reach,
    ) -> Answers<api::SessionResponse> {
        let (sender, answers) = mpsc::channel(BUFFER);
        let farm = self.farm.clone();
        self.farm.tasks.spawn(async move {
            let shutdown = farm.shutdown.clone();
            tokio::select! {
                () = shutdown.cancelled() => {
                    let _ = sender.try_send(Err(Failure::from(Error::ShuttingDown).into()));
                }
                // It ends by itself when the worker has gone: what it had begun is brought to its end.
                result = run(farm, reach, requests, sender.clone()) => {
                    if let Err(failure) = result {
                        let _ = sender.send(Err(failure.into())).await;
                    }
                }
            }
        });
        let answers =
            futures::stream::unfold(answers, |mut answers| async move { Some((answers.recv().await?, answers)) });
        answers.boxed()
    }
}

async fn run(
    farm: Farm,
    reach: Reach,
    mut requests: Streaming<api::SessionRequest>,
    sender: Sender,
) -> Result<(), Failure> {
    let first = tokio::time::timeout(HELLO_WITHIN, requests.next()).await;
    let Ok(Some(Ok(api::SessionRequest { seq, message: Some(Said::Hello(hello)) }))) = first else {
        return Err(Failure::invalid([("message", "a session begins with hello, within 5 seconds".to_owned())]));
    };
    let (mut session, lost, notices) = welcome(farm, reach, sender, hello).await?;
    let ended = session.begin_and_converse(seq, lost, requests, notices).await;
    if session.farm.sessions.close(session.worker, session.number) && matches!(ended, Ok(Ended::ByWorker)) {
        session.farm.has_left(session.worker).await?;
    }
    ended.map(|_| ())
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The worker closed it.
    ByWorker,
    /// It broke.
    Broken,
}

/// Registers the worker. Returns the tasks that it has lost.
async fn welcome(
    farm: Farm,
    reach: Reach,
    sender: Sender,
    hello: api::Hello,
) -> Result<(Session, Vec<TaskUuid>, mpsc::Receiver<Notice>), Failure> {
    let mut fields = Fields::default();
    let mut command = fields.registration(hello.worker.unwrap_or_default());
    if hello.running.len() > MAX_RUNNING {
        fields.reject("running", format!("has {} tasks; the limit is {MAX_RUNNING}", hello.running.len()));
    }
    let held: Vec<(TaskUuid, Claimant)> = hello
        .running
        .iter()
        .map(|held| (fields.task_uuid(&held.task_id), fields.claimant(&held.lease_token, 0)))
        .collect();
    fields.check()?;
    if !reach.is_worker(&command.name) {
        return Err(reach.worker_refusal(Right::Write, &command.name, &command.name));
    }
    let held_tasks: Vec<TaskUuid> = held.iter().map(|(task, _)| *task).collect();
    let (mut kept, mut lost) = (Vec::new(), Vec::new());
    for (task, claimant) in held {
        if farm.may_go_on(task, claimant).await? { kept.push((task, claimant)) } else { lost.push(task) }
    }
    command.goes_on = !kept.is_empty();
    let registered = farm.register(command, kept.iter().map(|(task, _)| *task).collect()).await?;
    // From here on an older stream of the worker gives nothing out any more.
    let (number, notices) = farm.sessions.open(registered.id);
    lost.extend(reopen(&farm, kept).await?);
    // What the older stream gave out in between reached nobody.
    farm.end_unheard(registered.id, &held_tasks).await?;
    let session = Session {
        worker: registered.id,
        number,
        sender,
        free_slots: 0,
        dest_path: None,
        told: (OfflineAction::Unspecified as i32, false),
        rests_until: None,
        reach,
        farm,
    };
    let settings = &session.farm.settings;
    let welcome = api::Welcome {
        worker_id: registered.id.0,
        heartbeat_interval: settings.heartbeat_interval.try_into().ok(),
        heartbeat_timeout: settings.policy.heartbeat_timeout.try_into().ok(),
        worker_token: convert::uuid_text(&registered.token),
        outcome: registered.outcome.into(),
    };
    // A worker that has gone in this moment is noticed at the next word.
    let _ = session.say(Say::Welcome(welcome)).await;
    if registered.outcome == RegisterOutcome::Resumed {
        tracing::debug!(worker = registered.id.0, "a worker has connected again");
    }
    Ok((session, lost, notices))
}

/// Opens tasks again that had failed while their worker was away, before anybody else gets their videos. Returns those
/// that were given away by then.
async fn reopen(farm: &Farm, kept: Vec<(TaskUuid, Claimant)>) -> Result<Vec<TaskUuid>, Failure> {
    let mut lost = Vec::new();
    for (task, claimant) in kept {
        if !farm.reopen(task, claimant).await? {
            lost.push(task);
        }
    }
    Ok(lost)
}

impl Session {
    async fn say(&self, message: Say) -> Result<(), Over> {
        self.sender.send(Ok(api::SessionResponse { message: Some(message) })).await.map_err(|_| Over)
    }

    async fn acknowledge(&self, seq: u64) -> Result<(), Over> {
        if seq == 0 { Ok(()) } else { self.say(Say::Ack(api::Ack { seq })).await }
    }

    async fn begin_and_converse(
        &mut self,
        seq: u64,
        lost: Vec<TaskUuid>,
        requests: Streaming<api::SessionRequest>,
        notices: mpsc::Receiver<Notice>,
    ) -> Result<Ended, Failure> {
        if self.acknowledge(seq).await.is_err() {
            return Ok(Ended::Broken);
        }
        for task in lost {
            let reason = "the task was ended or given to another worker".to_owned();
            if self.tell(Notice::LeaseLost { task, reason }).await.is_err() {
                return Ok(Ended::Broken);
            }
        }
        self.converse(requests, notices).await
    }

    /// Listens, looks for work, and passes on what the worker has to know, until one side ends it.
    async fn converse(
        &mut self,
        mut requests: Streaming<api::SessionRequest>,
        mut notices: mpsc::Receiver<Notice>,
    ) -> Result<Ended, Failure> {
        if self.tell_standing().await.is_err() {
            return Ok(Ended::Broken);
        }
        loop {
            let farm = self.farm.clone();
            let work = farm.work.notified();
            tokio::pin!(work);
            work.as_mut().enable();
            if self.look_for_work().await?.is_err() {
                return Ok(Ended::Broken);
            }
            let rest = self.rests_until.unwrap_or_else(|| Instant::now() + LOOK_AGAIN);
            let sender = self.sender.clone();
            tokio::select! {
                biased;
                () = sender.closed() => return Ok(Ended::Broken),
                notice = notices.recv() => {
                    let Some(notice) = notice else { return Ok(Ended::Broken) };
                    if notice == Notice::Replaced {
                        let message = "another session of this worker has begun";
                        return Err(Failure::new(Category::FailedPrecondition, "SESSION_REPLACED", message));
                    }
                    if self.tell(notice).await.is_err() {
                        return Ok(Ended::Broken);
                    }
                }
                request = requests.next() => match request {
                    Some(Ok(request)) => {
                        if self.hear(request).await?.is_err() {
                            return Ok(Ended::Broken);
                        }
                    }
                    // The stream broke: the tasks go on, and the silence counts from the last word.
                    Some(Err(_)) => return Ok(Ended::Broken),
                    None => return Ok(Ended::ByWorker),
                },
                () = work.as_mut(), if self.free_slots > 0 => {
                    self.rests_until = None;
                    continue;
                }
                () = tokio::time::sleep_until(rest), if self.free_slots > 0 => self.rests_until = None,
            }
            // Work that came while something else was heard is not missed.
            if work.now_or_never().is_some() {
                self.rests_until = None;
            }
        }
    }

    /// Passes a notice on.
    async fn tell(&mut self, notice: Notice) -> Result<(), Over> {
        match notice {
            Notice::Cancel { task, reason } => {
                self.say(Say::Cancel(api::CancelNotice { task_id: task.to_string(), reason })).await
            }
            Notice::LeaseLost { task, reason } => {
                self.say(Say::LeaseLost(api::LeaseLost { task_id: task.to_string(), reason })).await
            }
            Notice::Changed => {
                self.rests_until = None;
                self.tell_standing().await
            }
            Notice::Replaced => Ok(()),
        }
    }

    /// Tells the worker of its commands and of its pause, where they have changed.
    async fn tell_standing(&mut self) -> Result<(), Over> {
        let Ok(view) = self.farm.worker(self.worker) else { return Err(Over) };
        let (told_action, was_paused) = self.told;
        let (action, paused) = (view.record.offline_action, view.record.paused);
        self.told = (action, paused);
        if action != told_action {
            if action == OfflineAction::Unspecified as i32 {
                self.say(Say::Undrain(api::Undrain {})).await?;
            } else {
                let now = self.farm.clock.now();
                let deadline = Farm::drain_deadline(&view.record).map(|deadline| deadline.since(now));
                let deadline = deadline.and_then(|deadline| deadline.try_into().ok());
                self.say(Say::Drain(api::Drain { action, deadline })).await?;
            }
        }
        if paused != was_paused {
            self.say(Say::Pause(api::Pause { paused })).await?;
        }
        Ok(())
    }

    /// Claims as much as the worker takes.
    async fn look_for_work(&mut self) -> Result<Result<(), Over>, Failure> {
        while self.free_slots > 0 && self.rests_until.is_none_or(|until| until <= Instant::now()) {
            let view = self.farm.worker(self.worker)?;
            // The notice of it may still be on its way.
            let is_told = view.record.offline_action != OfflineAction::Unspecified as i32;
            if is_told || !self.is_current() {
                self.rests_until = Some(Instant::now() + LOOK_AGAIN);
                break;
            }
            if i32::try_from(view.tasks.len()).unwrap_or(i32::MAX) >= view.record.max_concurrent {
                self.rests_until = Some(Instant::now() + LOOK_AGAIN);
                break;
            }
            let claim =
                Claim { worker: self.worker, worker_type: None, wants_vr: None, dest_path: self.dest_path.clone() };
            match self.farm.claim(claim).await {
                Ok(Claimed::Task(id, task)) => {
                    self.free_slots -= 1;
                    if let Err(error) = self.assign(id, &task).await {
                        // It never got it: others may have it, and no attempt is lost.
                        self.hand_back(&task).await;
                        return error.map_or(Ok(Err(Over)), Err);
                    }
                }
                Ok(Claimed::Nothing(until)) => {
                    let now = self.farm.clock.now();
                    let rest = until.map_or(LOOK_AGAIN, |until: Timestamp| until.since(now).min(LOOK_AGAIN));
                    self.rests_until = Some(Instant::now() + rest);
                }
                // It has been told by a notice, and goes by itself; or it has to speak first.
                Ok(Claimed::Goes(_)) | Err(Error::WorkerOffline(_) | Error::Store(store::Error::Busy(_))) => {
                    self.rests_until = Some(Instant::now() + LOOK_AGAIN);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Ok(()))
    }

    /// Gives a task to the worker; without an error, when the worker has gone or has another stream.
    async fn assign(&self, id: TaskId, task: &TaskRecord) -> Result<(), Option<Failure>> {
        let video = self.farm.video(VideoId(task.video_id)).await.map_err(|error| Some(error.into()))?;
        let rules = self.farm.library(library_of(&task.video_path)).map(|view| view.library.rules);
        let assign = api::Assign {
            task: Some(convert::task(id, task, Secrets::Shown)),
            allow_larger: rules.is_ok_and(|rules| rules.allow_larger),
            duration: video.map_or(0.0, |video| video.record.duration),
        };
        if !self.is_current() {
            return Err(None);
        }
        self.say(Say::Assign(assign)).await.map_err(|Over| None)
    }

    /// Whether this is still the worker's stream.
    fn is_current(&self) -> bool {
        self.farm.sessions.is_current(self.worker, self.number)
    }

    async fn hand_back(&self, task: &TaskRecord) {
        let uuid = TaskUuid::of(&task.uuid);
        let report = Report {
            status: TaskStatus::Failed,
            error_message: Some("the worker was gone before it could begin".to_owned()),
            is_declined: true,
            ..Report::default()
        };
        if let Err(error) = self.farm.report(uuid, Claimant::Worker(self.worker), report).await {
            tracing::warn!(task = %uuid, %error, "a task that nobody got is not handed back yet");
        }
    }
}
