//! A worker's session, message by message.

use std::time::Duration;

use steward_proto::transcode::v1::session_request::Message as Says;
use steward_proto::transcode::v1::session_response::Message as Hears;
use steward_proto::transcode::v1::{
    Assign, CancelTaskRequest, HeldTask, Hello, LogLevel, LogLine, OfflineAction, Ping, Ready, RegisterOutcome,
    RegisterWorkerRequest, SessionRequest, SessionResponse, SetWorkerOfflineRequest, TaskFinished, TaskProgress,
    TaskStatus, UpdateWorkerRequest, Welcome,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::common::wait::{eventually, within};
use crate::vocabulary::farm::Farm;
use crate::vocabulary::native::{cpu, duration, good, refusal};

/// One session of a worker.
struct Session {
    says: mpsc::Sender<SessionRequest>,
    hears: Streaming<SessionResponse>,
}

impl Session {
    async fn open(farm: &Farm, first: Says) -> Result<Self, Status> {
        let (says, outgoing) = mpsc::channel(16);
        let first = SessionRequest { seq: 0, message: Some(first) };
        says.send(first).await.expect("the stream takes it");
        let call = async { farm.native().workers().session(ReceiverStream::new(outgoing)).await };
        let hears = within("the session opens", call).await?.into_inner();
        Ok(Session { says, hears })
    }

    /// Opens a session that is welcome.
    async fn welcome(farm: &Farm, hello: Hello) -> (Self, Welcome) {
        let mut session = Self::open(farm, Says::Hello(hello)).await.expect("the session opens");
        match session.next().await.expect("an answer") {
            Hears::Welcome(welcome) => (session, welcome),
            other => panic!("{other:?}"),
        }
    }

    async fn say(&self, seq: u64, message: Says) {
        let request = SessionRequest { seq, message: Some(message) };
        self.says.send(request).await.expect("the session stands");
    }

    async fn next(&mut self) -> Result<Hears, Status> {
        let message = within("the session goes on", self.hears.message()).await?;
        let message = message.ok_or_else(|| Status::cancelled("the session ended"))?;
        Ok(message.message.expect("every message says what it is"))
    }

    /// The next message that a test looks for; others are passed over.
    async fn find<T>(&mut self, look: impl Fn(Hears) -> Option<T>) -> T {
        loop {
            if let Some(found) = look(self.next().await.expect("the session stands")) {
                return found;
            }
        }
    }

    async fn ack(&mut self, seq: u64) {
        self.find(|message| matches!(&message, Hears::Ack(ack) if ack.seq == seq).then_some(())).await;
    }

    async fn assigned(&mut self) -> Assign {
        self.find(|message| match message {
            Hears::Assign(assign) => Some(assign),
            _ => None,
        })
        .await
    }
}

fn hello(name: &str) -> Hello {
    Hello { worker: Some(RegisterWorkerRequest { max_concurrent: 4, ..cpu(name) }), running: Vec::new() }
}

fn again(name: &str, token: &str, running: Vec<HeldTask>) -> Hello {
    let worker = RegisterWorkerRequest { worker_token: token.to_owned(), max_concurrent: 4, ..cpu(name) };
    Hello { worker: Some(worker), running }
}

fn ready(free_slots: i32) -> Says {
    Says::Ready(Ready { free_slots, dest_path: None })
}

fn held(assign: &Assign) -> HeldTask {
    let task = assign.task.clone().expect("a task");
    HeldTask { task_id: task.task_id, lease_token: task.lease_token }
}

fn progress(assign: &Assign, progress: f64) -> Says {
    let HeldTask { task_id, lease_token } = held(assign);
    Says::Progress(TaskProgress { task_id, lease_token, progress, elapsed_time: 3, fps: 25.0, ..Default::default() })
}

fn finished(assign: &Assign, status: TaskStatus) -> Says {
    let HeldTask { task_id, lease_token } = held(assign);
    Says::Finished(TaskFinished { task_id, lease_token, status: status.into(), ..Default::default() })
}

#[tokio::test]
async fn a_task_is_assigned_reported_on_and_finished() {
    let farm = Farm::start().await;
    let native = farm.native();
    let video = farm.waiting(1).await[0];
    let (mut session, welcome) = Session::welcome(&farm, hello("w1")).await;
    assert_eq!(welcome.outcome(), RegisterOutcome::New);
    assert!(!welcome.worker_token.is_empty() && welcome.heartbeat_interval.is_some());
    session.say(1, ready(1)).await;

    let assign = session.assigned().await;

    let task = assign.task.clone().expect("a task");
    assert_eq!((task.video_id, task.worker_id, task.attempt), (video, welcome.worker_id, 1));
    assert!(!task.lease_token.is_empty());
    assert!((assign.duration - 60.0).abs() < 0.01, "{}", assign.duration);
    session.say(2, progress(&assign, 42.0)).await;
    session.ack(2).await;
    let seen = native.task(&task.task_id).await;
    assert_eq!((seen.status(), seen.elapsed_time), (TaskStatus::Running, 3));
    assert!((seen.progress - 42.0).abs() < 0.01 && (seen.fps - 25.0).abs() < 0.01, "{seen:?}");
    let line = LogLine {
        task_id: task.task_id.clone(),
        log_level: LogLevel::Debug.into(),
        log_message: "from the session".to_owned(),
    };
    session.say(3, Says::Log(line)).await;
    session.ack(3).await;
    assert_eq!(farm.api().log_messages(0).await, ["from the session"]);
    session.say(4, finished(&assign, TaskStatus::Completed)).await;
    session.ack(4).await;
    assert_eq!(native.task(&task.task_id).await.status(), TaskStatus::Completed);
    assert_eq!(farm.api().video(video).await["transcode_status"], 4);
}

#[tokio::test]
async fn hello_comes_first_and_only_first() {
    let farm = Farm::start().await;
    let early = match Session::open(&farm, Says::Ping(Ping {})).await {
        Ok(mut session) => session.next().await.map(|_| ()),
        Err(status) => Err(status),
    };
    assert_eq!(early.expect_err("a refusal").code(), Code::InvalidArgument);
    let (mut session, _) = Session::welcome(&farm, hello("w1")).await;
    session.say(1, Says::Hello(hello("w1"))).await;
    let status = loop {
        if let Err(status) = session.next().await {
            break status;
        }
    };
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
}

#[tokio::test]
async fn a_second_hello_of_a_living_worker_is_refused() {
    let farm = Farm::start().await;
    let (_session, _) = Session::welcome(&farm, hello("w1")).await;
    let second = match Session::open(&farm, Says::Hello(hello("w1"))).await {
        Ok(mut session) => session.next().await,
        Err(status) => Err(status),
    };
    assert_eq!(refusal(second), (Code::AlreadyExists, "WORKER_ONLINE".to_owned()));
}

#[tokio::test]
async fn it_gets_as_many_tasks_as_it_is_ready_for_and_new_work_at_once() {
    let farm = Farm::start().await;
    let (mut session, _) = Session::welcome(&farm, hello("w1")).await;
    session.say(0, ready(2)).await;
    session.say(1, Says::Ping(Ping {})).await;
    session.ack(1).await;

    farm.waiting(3).await;

    let (first, second) = (session.assigned().await, session.assigned().await);
    assert_ne!(held(&first).task_id, held(&second).task_id);
    session.say(2, Says::Ping(Ping {})).await;
    match session.next().await.expect("the session stands") {
        Hears::Ack(ack) => assert_eq!(ack.seq, 2, "no third task"),
        other => panic!("{other:?}"),
    }
    session.say(3, finished(&first, TaskStatus::Completed)).await;
    session.say(4, ready(1)).await;
    session.assigned().await;
}

#[tokio::test]
async fn a_broken_stream_takes_nothing_and_the_token_brings_it_all_back() {
    let farm = Farm::with("heartbeat_timeout = \"20s\"").await;
    let native = farm.native();
    farm.waiting(1).await;
    let (mut session, welcome) = Session::welcome(&farm, hello("w1")).await;
    session.say(0, ready(1)).await;
    let assign = session.assigned().await;
    drop(session);

    let running = vec![held(&assign)];
    let (mut resumed, back) = Session::welcome(&farm, again("w1", &welcome.worker_token, running)).await;

    assert_eq!((back.worker_id, back.outcome()), (welcome.worker_id, RegisterOutcome::Resumed));
    resumed.say(1, finished(&assign, TaskStatus::Completed)).await;
    resumed.ack(1).await;
    assert_eq!(native.task(&held(&assign).task_id).await.status(), TaskStatus::Completed);
}

#[tokio::test]
async fn a_task_that_somebody_else_has_by_now_is_lost() {
    let farm = Farm::with("heartbeat_timeout = \"1s\"\nretry_backoff = \"1ms\"").await;
    let api = farm.api();
    farm.waiting(1).await;
    let (mut session, welcome) = Session::welcome(&farm, hello("w1")).await;
    session.say(0, ready(1)).await;
    let assign = session.assigned().await;
    drop(session);
    api.see_offline(welcome.worker_id.into()).await;
    let other = api.register("w2").await;
    let _beating = api.keep_beating("w2", other);
    eventually("the other one gets it", async || (api.ask(other).await.status == 201).then_some(())).await;

    let running = vec![held(&assign)];
    let (mut back, _) = Session::welcome(&farm, again("w1", &welcome.worker_token, running)).await;

    let lost = back
        .find(|message| match message {
            Hears::LeaseLost(lost) => Some(lost),
            _ => None,
        })
        .await;
    assert_eq!(lost.task_id, held(&assign).task_id);
}

#[tokio::test]
async fn every_message_is_a_sign_of_life_and_silence_is_none() {
    let farm = Farm::with("heartbeat_timeout = \"1s\"").await;
    let api = farm.api();
    let (mut session, welcome) = Session::welcome(&farm, hello("w1")).await;
    let mut pings = tokio::time::interval(Duration::from_millis(200));
    for seq in 1..=12 {
        pings.tick().await;
        session.say(seq, Says::Ping(Ping {})).await;
        session.ack(seq).await;
    }
    assert_eq!(api.worker(welcome.worker_id.into()).await["status"], 1);
    api.see_offline(welcome.worker_id.into()).await;
}

#[tokio::test]
async fn a_cancelled_task_is_told_at_once() {
    let farm = Farm::start().await;
    farm.waiting(1).await;
    let (mut session, _) = Session::welcome(&farm, hello("w1")).await;
    session.say(0, ready(1)).await;
    let assign = session.assigned().await;
    let request = CancelTaskRequest { task_id: held(&assign).task_id, reason: "enough".to_owned(), requeue: false };
    good(farm.native().tasks().cancel_task(request).await);
    let notice = session
        .find(|message| match message {
            Hears::Cancel(notice) => Some(notice),
            _ => None,
        })
        .await;
    assert_eq!((notice.task_id, notice.reason), (held(&assign).task_id, "enough".to_owned()));
}

#[tokio::test]
async fn drains_and_pauses_are_pushed() {
    let farm = Farm::start().await;
    let native = farm.native();
    let (mut session, welcome) = Session::welcome(&farm, hello("w1")).await;
    let worker_id = welcome.worker_id;
    for paused in [true, false] {
        let request = UpdateWorkerRequest { worker_id, paused: Some(paused), ..Default::default() };
        good(native.workers().update_worker(request).await);
        let told = session
            .find(|message| match message {
                Hears::Pause(pause) => Some(pause.paused),
                _ => None,
            })
            .await;
        assert_eq!(told, paused);
    }
    let request = SetWorkerOfflineRequest {
        worker_id,
        action: OfflineAction::Offline.into(),
        deadline: Some(duration(Duration::from_mins(1))),
    };
    good(native.workers().set_worker_offline(request).await);
    let drain = session
        .find(|message| match message {
            Hears::Drain(drain) => Some(drain),
            _ => None,
        })
        .await;
    assert_eq!((drain.action(), drain.deadline.is_some()), (OfflineAction::Offline, true));
    let request = steward_proto::transcode::v1::CancelWorkerOfflineRequest { worker_id };
    good(native.workers().cancel_worker_offline(request).await);
    session.find(|message| matches!(message, Hears::Undrain(_)).then_some(())).await;
}

#[tokio::test]
async fn what_a_worker_declines_costs_the_video_nothing() {
    let farm = Farm::start().await;
    let video = farm.waiting(1).await[0];
    let (mut session, _) = Session::welcome(&farm, hello("w1")).await;
    session.say(0, ready(1)).await;
    let assign = session.assigned().await;
    let HeldTask { task_id, lease_token } = held(&assign);
    let declined = TaskFinished {
        task_id,
        lease_token,
        status: TaskStatus::Failed.into(),
        error_message: "its library is not there".to_owned(),
        declined: true,
        ..Default::default()
    };
    session.say(1, Says::Finished(declined)).await;
    session.ack(1).await;
    let seen = farm.native().video(video).await;
    assert_eq!((seen.attempts, seen.held), (0, false), "{seen:?}");
}

#[tokio::test]
async fn a_forged_token_reports_nothing() {
    let farm = Farm::start().await;
    farm.waiting(1).await;
    let (mut session, _) = Session::welcome(&farm, hello("w1")).await;
    session.say(0, ready(1)).await;
    let assign = session.assigned().await;
    let forged = TaskFinished {
        task_id: held(&assign).task_id,
        lease_token: "forged".to_owned(),
        status: TaskStatus::Completed.into(),
        ..Default::default()
    };
    session.say(1, Says::Finished(forged)).await;
    // Refused or told that the lease is lost: either way nothing is finished.
    let _ = session.next().await;
    let seen = farm.native().task(&held(&assign).task_id).await;
    assert_eq!(seen.status(), TaskStatus::Created);
}
