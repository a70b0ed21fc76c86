//! What the tests share: replication on a store in memory, with a clock that tests move, artifacts that are lists, and
//! targets that are there or not as a test says.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::stream;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use parking_lot::Mutex;
use prost::Message;
use steward_proto::artifact::v1 as artifact;
use steward_proto::replication::v1::{self as api, Config, ExecutionStatus, Task, schedule, target};
use steward_proto::store::v1::{ExecutionRecord, ReplicaTaskRecord};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic_types::StatusExt as _;

use crate::clock::{Clock, ManualClock};
use crate::error::{Category, Failure};
use crate::replication::access::{Maker, Makers};
use crate::replication::error::Error;
use crate::replication::keys;
use crate::replication::local::{LocalChannel, local_channel};
use crate::replication::parts::Replication;
use crate::replication::queue::TaskId;
use crate::replication::reach::{Peer, Reach};
use crate::replication::runner::end_record;
use crate::replication::settings::Settings;
use crate::replication::target::TargetError;
use crate::secrets::Secrets;
use crate::store::suite::{self, Harness as _};
use crate::store::tx::{self, Tx};
use crate::store::{Key, KeyRange, Table};

/// Artifacts that are lists: the repositories `p/img` and `p/gen`, and the version `1.1` of `docker://nginx`.
pub(super) struct FakeArtifacts {
    pub(super) changes: Mutex<Vec<artifact::ArtifactChange>>,
    /// Changes up to this stamp are no longer kept.
    pub(super) compacted: Mutex<i64>,
    /// A change behind this stamp is still to come up; `None`: there is none.
    pub(super) settled: Mutex<Option<i64>>,
    clock: Arc<ManualClock>,
    /// How often changes were asked for.
    pub(super) asked: Mutex<usize>,
}

impl FakeArtifacts {
    fn new(clock: &Arc<ManualClock>) -> Self {
        FakeArtifacts {
            changes: Mutex::default(),
            compacted: Mutex::default(),
            settled: Mutex::default(),
            clock: Arc::clone(clock),
            asked: Mutex::default(),
        }
    }

    fn channel(self: &Arc<Self>) -> LocalChannel {
        let artifacts = Arc::clone(self);
        local_channel(tower::service_fn(move |request: http::Request<Body>| {
            let artifacts = Arc::clone(&artifacts);
            async move { Ok::<_, Infallible>(artifacts.answer(request).await) }
        }))
    }

    async fn answer(&self, request: http::Request<Body>) -> http::Response<Body> {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let body = request.into_body().collect().await.expect("a body").to_bytes();
        let message = body.slice(5..);
        let answered = match method.as_str() {
            "GetRepository" => repository(&decoded(message)).map(|answer| answer.encode_to_vec()),
            "GetVersion" => version(&decoded(message)).map(|answer| answer.encode_to_vec()),
            "ListChanges" => self.list_changes(&decoded(message)).map(|answer| answer.encode_to_vec()),
            other => panic!("{other} is not faked"),
        };
        match answered {
            Ok(message) => answer(&message),
            Err(failure) => tonic::Status::from(failure).into_http(),
        }
    }

    fn list_changes(&self, request: &artifact::ListChangesRequest) -> Result<artifact::ListChangesResponse, Failure> {
        *self.asked.lock() += 1;
        if request.after_stamp < *self.compacted.lock() {
            return Err(Failure::new(Category::OutOfRange, "REVISION_COMPACTED", "gone"));
        }
        let all = self.changes.lock();
        let mut rest = all.iter().filter(|change| change.stamp > request.after_stamp).cloned();
        let size = usize::try_from(request.page_size).expect("a size");
        let changes: Vec<_> = rest.by_ref().take(size).collect();
        let has_more = rest.next().is_some();
        let settled = (*self.settled.lock()).unwrap_or_else(|| self.clock.now().nanos() / 1000);
        let settled = settled.max(request.after_stamp);
        let last = changes.last().map_or(settled, |change| change.stamp);
        let last_stamp = if has_more { last } else { last.max(settled) };
        Ok(artifact::ListChangesResponse { changes, last_stamp, has_more })
    }
}

fn decoded<M: Message + Default>(message: Bytes) -> M {
    M::decode(message).expect("a message")
}

fn answer(message: &[u8]) -> http::Response<Body> {
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("short"));
    framed.put_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    let frames = [Frame::data(framed.freeze()), Frame::trailers(trailers)];
    let body = StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)));
    let response = http::Response::builder().header("content-type", "application/grpc");
    response.body(Body::new(body)).expect("a response")
}

fn repository(request: &artifact::GetRepositoryRequest) -> Result<artifact::GetRepositoryResponse, Failure> {
    if request.project == "p" && ["img", "gen"].contains(&request.repository.as_str()) {
        return Ok(artifact::GetRepositoryResponse::default());
    }
    Err(Failure::new(Category::NotFound, "REPOSITORY_NOT_FOUND", "no"))
}

fn version(request: &artifact::GetVersionRequest) -> Result<artifact::GetVersionResponse, Failure> {
    if request.key == "docker://nginx" && request.version == "1.1" {
        return Ok(artifact::GetVersionResponse::default());
    }
    Err(Failure::new(Category::NotFound, "VERSION_NOT_FOUND", "no"))
}

/// Targets that are there, but for those whose URLs begin so.
#[derive(Default)]
pub(super) struct FakeReach {
    pub(super) down: Mutex<HashMap<&'static str, TargetError>>,
    pub(super) asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Reach for FakeReach {
    async fn reach(&self, _peer: Peer, url: &str, _certificate: &str) -> Result<(), TargetError> {
        self.asked.lock().push(url.to_owned());
        let down = self.down.lock();
        let problem = down.iter().find(|(start, _)| url.starts_with(**start));
        problem.map_or(Ok(()), |(_, problem)| Err(problem.clone()))
    }
}

/// Replication, and what it stands on.
pub(super) struct World {
    harness: suite::Memory,
    pub(super) clock: Arc<ManualClock>,
    pub(super) artifacts: Arc<FakeArtifacts>,
    pub(super) reach: Arc<FakeReach>,
    settings: Settings,
    pub(super) replication: Replication,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(Settings { max_tasks: 50, ..Settings::default() })
    }

    pub(super) fn with(settings: Settings) -> Self {
        let (mut harness, clock) = (suite::Memory::default(), Arc::new(ManualClock::new()));
        let (artifacts, reach) = (Arc::new(FakeArtifacts::new(&clock)), Arc::<FakeReach>::default());
        let replication = open(&mut harness, &clock, &artifacts, &reach, &settings);
        World { harness, clock, artifacts, reach, settings, replication }
    }

    /// The same with words on what makers may do.
    pub(super) fn with_makers(makers: Arc<dyn Makers>) -> Self {
        let mut world = Self::new();
        world.restart();
        world.replication = world.replication.with_makers(makers);
        world
    }

    /// Starts the server again.
    pub(super) fn restart(&mut self) {
        self.replication = open(&mut self.harness, &self.clock, &self.artifacts, &self.reach, &self.settings);
    }

    pub(super) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(super) fn now_us(&self) -> u64 {
        self.replication.now_us()
    }

    /// Creates tasks in `p/img`.
    pub(super) async fn create(&self, configs: Vec<Config>) -> Result<Vec<Task>, Error> {
        self.replication.create_tasks("p", "img", configs, &Maker::named("ann")).await
    }

    pub(super) async fn create_one(&self, config: Config) -> Result<Task, Error> {
        self.create(vec![config]).await.map(|mut tasks| tasks.pop().expect("one task"))
    }

    pub(super) async fn record(&self, name: &str) -> ReplicaTaskRecord {
        self.replication.task_record(&id(name)).await.expect("readable").expect("a task")
    }

    pub(super) async fn execution(&self, id: &str) -> Option<ExecutionRecord> {
        tx::read(&*self.replication.store, &keys::execution(id)).await.expect("readable")
    }

    /// All runs that there are, the oldest first.
    pub(super) async fn executions(&self) -> Vec<ExecutionRecord> {
        let all = self.rows(Table::ReplicaExecution).await;
        let mut all: Vec<ExecutionRecord> =
            all.iter().map(|(key, value)| tx::decode(key, value).expect("readable")).collect();
        all.sort_by_key(|execution| execution.start_us);
        all
    }

    pub(super) async fn rows(&self, table: Table) -> Vec<(Key, Bytes)> {
        let all = KeyRange::prefix(&Key::table(table));
        tx::scan(&*self.replication.store, all, usize::MAX).await.expect("readable")
    }

    /// Ends the run of a task, as whoever does runs will.
    pub(super) async fn end_run(&self, name: &str, status: ExecutionStatus) {
        let (task, now_us) = (&id(name), self.now_us());
        let ended = self.replication.decide("a task", |mut tx: Tx<'_>| async move {
            let record = tx.task(task).await?;
            let key = keys::execution(&record.active_execution);
            let mut execution: ExecutionRecord = tx.get(&key).await?.expect("a run");
            execution.status = status.into();
            end_record(&mut tx, execution, true, now_us).await?;
            Ok::<_, Error>(tx.answer(()))
        });
        ended.await.expect("ended");
    }

    /// Takes the run of a task up, as whoever does runs will.
    pub(super) async fn begin_run(&self, name: &str) -> String {
        let mut execution = self.execution(&self.record(name).await.active_execution).await.expect("a run");
        execution.status = ExecutionStatus::Running.into();
        let run = &execution;
        let begun = self.replication.decide("a run", |mut tx: Tx<'_>| async move {
            tx.put(keys::execution(&run.id), run);
            Ok::<_, Error>(tx.answer(()))
        });
        begun.await.expect("begun");
        execution.id
    }
}

fn open(
    harness: &mut suite::Memory,
    clock: &Arc<ManualClock>,
    artifacts: &Arc<FakeArtifacts>,
    reach: &Arc<FakeReach>,
    settings: &Settings,
) -> Replication {
    Replication::new(
        harness.open(10_000),
        artifacts.channel(),
        Arc::clone(clock) as Arc<dyn Clock>,
        Secrets::of_tests(&[7]),
        settings.clone(),
        CancellationToken::new(),
        TaskTracker::new(),
    )
    .with_reach(Arc::clone(reach) as Arc<dyn Reach>)
}

/// A task of `p/img`.
pub(super) fn id(name: &str) -> TaskId {
    TaskId { project: "p".to_owned(), repository: "img".to_owned(), name: name.to_owned() }
}

/// A task in real time for all of `p/img`, to a registry.
pub(super) fn config(name: &str) -> Config {
    Config {
        project: "p".to_owned(),
        repository: "img".to_owned(),
        name: name.to_owned(),
        target: registry("http://127.0.0.1:5055/mirror", None),
        ..Config::default()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is put into a field that may be empty")]
pub(super) fn registry(url: &str, password: Option<&str>) -> Option<api::Target> {
    let registry = api::RegistryTarget {
        registry: url.to_owned(),
        username: "bob".to_owned(),
        password: password.map(str::to_owned),
        certificate: String::new(),
    };
    Some(api::Target { target: Some(target::Target::Registry(registry)) })
}

#[expect(clippy::unnecessary_wraps, reason = "it is put into a field that may be empty")]
pub(super) fn cluster(id: &str, project: &str, repository: &str) -> Option<api::Target> {
    let cluster = api::ClusterTarget {
        cluster_id: id.to_owned(),
        remote_project_id: project.to_owned(),
        remote_repo_name: repository.to_owned(),
    };
    Some(api::Target { target: Some(target::Target::Cluster(cluster)) })
}

/// The same as a scheduled one.
pub(super) fn scheduled(name: &str, when: schedule::When) -> Config {
    let schedule = Some(api::Schedule { when: Some(when), time_zone: String::new() });
    Config {
        replica_type: api::ReplicaType::Scheduled.into(),
        settings: Some(api::Settings { schedule, ..api::Settings::default() }),
        ..config(name)
    }
}

pub(super) fn package(key: &str, versions: &[&str], targets: &[&str]) -> api::PackageConstraint {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    api::PackageConstraint {
        package_key: key.to_owned(),
        versions: owned(versions),
        target_versions: owned(targets),
        ..api::PackageConstraint::default()
    }
}

pub(super) fn path(path: &str) -> api::PathConstraint {
    api::PathConstraint { path: path.to_owned(), path_regex: Vec::new() }
}

/// The reason of a refusal, and its `arg`.
pub(super) fn refusal<T>(result: Result<T, Error>) -> (String, String) {
    let error = result.err().expect("a refusal");
    let status = tonic::Status::from(Failure::from(error));
    let details = status.get_error_details();
    let info = details.error_info().expect("an ErrorInfo");
    (info.reason.clone(), info.metadata.get("arg").cloned().unwrap_or_default())
}
