use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use steward_gateway::Peer;
use steward_proto::audit::v1 as api;
use tempfile::TempDir;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::auth::{AuthLayer, Authenticator, GateLayer, Grants, Identity, Trail};
use crate::clock::ManualClock;

const FINISH: Duration = Duration::from_secs(30);
// Of "alice" and "secret".
const USERS: &str = "alice:$2y$04$CCCCCCCCCCCCCCCCCCCCC.4K7lyz.nKATbsiu/RcZjqWyDNnj87qG\n";

/// An audit in a directory of its own, and a service that answers what its path says.
struct Fixture {
    directory: TempDir,
    audit: Audit,
    clock: Arc<ManualClock>,
    authenticator: Authenticator,
    settings: config::Audit,
}

fn subject(path: &str) -> Option<Subject> {
    let style = match path {
        "/read" | "/read/denied" | "/read/change" => Style::Read,
        "/heartbeat" => Style::Heartbeat,
        "/stream" | "/stream/broken" => Style::Stream,
        "/session" => Style::Session,
        "/open" => return None,
        _ => Style::Change,
    };
    Some(Subject { method: "Service/Method", area: "lock", right: "write", style })
}

/// Trailers as a service sends them at the end of a stream.
fn streamed(status: &Status) -> Response<Body> {
    let end: Response<()> = status.clone().into_http();
    let frames = [
        Ok::<_, Status>(http_body::Frame::data(bytes::Bytes::from_static(b"data"))),
        Ok(http_body::Frame::trailers(end.headers().clone())),
    ];
    Response::new(Body::new(http_body_util::StreamBody::new(futures::stream::iter(frames))))
}

async fn serve(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    if let Some(trail) = request.extensions().get::<Trail>() {
        trail.write_resource(&format!("about{}", request.uri().path()));
        let is_change = request.uri().path() == "/read/change";
        if let Err(failure) = if is_change { trail.write_change() } else { Ok(()) } {
            return Ok(failure.into_status().into_http());
        }
    }
    Ok(match request.uri().path() {
        "/denied" | "/read/denied" => Status::permission_denied("no").into_http(),
        "/missing" => Failure::new(Category::NotFound, "LOCK_NOT_FOUND", "no").into_status().into_http(),
        "/stream" | "/session" => streamed(&Status::new(Code::Ok, "")),
        "/stream/broken" => streamed(&Status::data_loss("bad")),
        "/hang" => futures::future::pending().await,
        _ => Response::new(Body::empty()),
    })
}

trait IntoStatus {
    fn into_status(self) -> Status;
}

impl IntoStatus for Failure {
    fn into_status(self) -> Status {
        self.into()
    }
}

impl Fixture {
    fn new(change: impl FnOnce(&mut config::Audit)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let users = directory.path().join("users");
        std::fs::write(&users, USERS).unwrap();
        let auth = config::Auth { htpasswd: Some(users), ..config::Auth::default() };
        let mut settings = config::Audit::default();
        change(&mut settings);
        let clock = Arc::new(ManualClock::new());
        let authenticator = Authenticator::from_config(&auth).unwrap();
        let audit = Audit::start(&settings, &directory.path().join("audit"), clock.clone()).unwrap();
        Fixture { directory, audit, clock, authenticator, settings }
    }

    fn request(path: &str) -> http::request::Builder {
        Request::post(path)
            .extension(Peer(Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)))))
            .header("x-request-id", "request-1")
            .header("authorization", "Basic YWxpY2U6c2VjcmV0")
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        let service = AuthLayer::new(self.authenticator.clone()).layer(GateLayer.layer(service_fn(serve)));
        AuditLayer::new(self.audit.clone(), subject).layer(service).oneshot(request).await.unwrap()
    }

    async fn call(&self, path: &str) -> Code {
        let response = self.send(Self::request(path).body(Body::empty()).unwrap()).await;
        let head = Status::from_header_map(response.headers());
        let collected = response.into_body().collect().await.unwrap();
        let status = head.or_else(|| collected.trailers().and_then(Status::from_header_map));
        status.map_or(Code::Ok, |status| status.code())
    }

    fn server(&self) -> AuditServer {
        AuditServer::new(self.audit.clone(), CancellationToken::new(), TaskTracker::new())
    }

    /// All that was written, from the oldest to the newest.
    async fn entries(&self) -> Vec<AuditEntry> {
        self.audit.finish(FINISH).await;
        let filter = api::EntryFilter::default();
        list(&self.server(), filter, api::EntryOrder::OldestFirst, 1000).await
    }

    async fn restart(&mut self) {
        self.audit.finish(FINISH).await;
        self.audit = Audit::start(&self.settings, &self.directory.path().join("audit"), self.clock.clone()).unwrap();
    }
}

async fn list(
    server: &AuditServer,
    filter: api::EntryFilter,
    order: api::EntryOrder,
    page_size: i32,
) -> Vec<AuditEntry> {
    use steward_proto::audit::v1::audit_service_server::AuditService as _;
    let (mut entries, mut page_token) = (Vec::new(), String::new());
    loop {
        let filter = Some(filter.clone());
        let request = api::ListEntriesRequest { page_size, page_token, filter, order: order.into() };
        let answer = server.list_entries(tonic::Request::new(request)).await.unwrap().into_inner();
        entries.extend(answer.entries);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return entries;
        }
    }
}

async fn watch(server: &AuditServer, request: api::WatchEntriesRequest) -> Result<Watching, Status> {
    watch_by(Identity::default(), server, request).await
}

async fn watch_by(
    caller: Identity,
    server: &AuditServer,
    request: api::WatchEntriesRequest,
) -> Result<Watching, Status> {
    use steward_proto::audit::v1::audit_service_server::AuditService as _;
    let mut request = tonic::Request::new(request);
    request.extensions_mut().insert(Grants::everything_for(caller));
    Ok(server.watch_entries(request).await?.into_inner())
}

type Watching = futures::stream::BoxStream<'static, Result<api::WatchEntriesResponse, Status>>;

/// The numbers of the next messages; 0 for one without an entry.
async fn next(watching: &mut Watching, count: usize) -> Vec<i64> {
    use futures::StreamExt as _;
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let step = watching.next().await.unwrap().unwrap();
        numbers.push(step.entry.map_or(0, |entry| entry.number));
    }
    numbers
}

fn outcomes(entries: &[AuditEntry]) -> Vec<(&str, &str)> {
    entries.iter().map(|entry| (entry.resource.as_str(), entry.outcome.as_str())).collect()
}

#[tokio::test]
async fn a_change_is_an_entry_with_who_from_where_what_and_how_it_ended() {
    let fixture = Fixture::new(|_| {});
    assert_eq!(fixture.call("/change").await, Code::Ok);
    assert_eq!(fixture.call("/missing").await, Code::NotFound);
    let entries = fixture.entries().await;
    assert_eq!(entries.len(), 2);
    let expected = AuditEntry {
        number: 1,
        time: Some(entry::to_proto(fixture.clock.now())),
        kind: EntryKind::Call.into(),
        user: "alice".to_owned(),
        proof: "password".to_owned(),
        address: "10.0.0.1".to_owned(),
        method: "Service/Method".to_owned(),
        area: "lock".to_owned(),
        right: "write".to_owned(),
        resource: "about/change".to_owned(),
        outcome: "OK".to_owned(),
        request_id: "request-1".to_owned(),
        duration: entries[0].duration,
        count: 1,
        ..AuditEntry::default()
    };
    assert_eq!(entries[0], expected);
    assert!(entries[0].duration.is_some());
    assert_eq!((entries[1].outcome.as_str(), entries[1].reason.as_str()), ("NOT_FOUND", "LOCK_NOT_FOUND"));
}

#[tokio::test]
async fn what_changes_nothing_is_no_entry_unless_it_is_refused() {
    let fixture = Fixture::new(|_| {});
    for path in ["/read", "/open", "/heartbeat"] {
        assert_eq!(fixture.call(path).await, Code::Ok);
    }
    assert_eq!(fixture.call("/read/denied").await, Code::PermissionDenied);
    assert_eq!(outcomes(&fixture.entries().await), [("about/read/denied", "PERMISSION_DENIED")]);
    let fixture = Fixture::new(|settings| settings.heartbeats = true);
    fixture.call("/heartbeat").await;
    fixture.call("/read/change").await;
    let expected = [("about/heartbeat", "OK"), ("about/read/change", "OK")];
    assert_eq!(outcomes(&fixture.entries().await), expected, "and what the service says is a change");
}

#[tokio::test]
async fn a_failed_login_has_the_name_that_was_tried_and_never_the_password() {
    let fixture = Fixture::new(|_| {});
    let password_as_name = "YTpiIGM6c2VjcmV0"; // `a:b c:secret`
    for (authorization, method) in
        [("Basic Ym9iOmdlaGVpbQ==", "/change"), (&format!("Basic {password_as_name}"), "/read")]
    {
        let request = Request::post(method).header("authorization", authorization).body(Body::empty()).unwrap();
        let response = fixture.send(request).await;
        assert_eq!(Status::from_header_map(response.headers()).unwrap().code(), Code::Unauthenticated);
        fixture.clock.advance(Duration::from_secs(2));
    }
    let nobody = fixture.send(Request::post("/read").body(Body::empty()).unwrap()).await;
    assert_eq!(Status::from_header_map(nobody.headers()).unwrap().code(), Code::Unauthenticated);
    let entries = fixture.entries().await;
    let tried: Vec<_> = entries.iter().map(|entry| (entry.user.as_str(), entry.proof.as_str())).collect();
    assert_eq!(tried, [("bob", "password"), ("a", "password"), ("", "")]);
    assert!(entries.iter().all(|entry| entry.outcome == "UNAUTHENTICATED" && entry.resource.is_empty()));
}

#[tokio::test]
async fn refusals_within_a_second_are_two_entries_at_most() {
    let fixture = Fixture::new(|_| {});
    for _ in 0..50 {
        fixture.call("/denied").await;
    }
    let entries = fixture.entries().await;
    assert_eq!(entries.iter().map(|entry| entry.count).collect::<Vec<_>>(), [1, 49]);
}

#[tokio::test]
async fn a_stream_is_an_entry_at_its_end_and_a_session_at_its_beginning_too() {
    let fixture = Fixture::new(|_| {});
    assert_eq!(fixture.call("/stream").await, Code::Ok);
    assert_eq!(fixture.call("/stream/broken").await, Code::DataLoss);
    assert_eq!(fixture.call("/session").await, Code::Ok);
    // Its reader goes away before its end.
    drop(fixture.send(Fixture::request("/stream").body(Body::empty()).unwrap()).await);
    let entries = fixture.entries().await;
    let kinds: Vec<_> = entries.iter().map(|entry| (entry.kind(), entry.outcome.as_str())).collect();
    let expected = [
        (EntryKind::Call, "OK"),
        (EntryKind::Call, "DATA_LOSS"),
        (EntryKind::Opened, "OK"),
        (EntryKind::Closed, "OK"),
        (EntryKind::Call, "CANCELLED"),
    ];
    assert_eq!(kinds, expected);
}

#[tokio::test]
async fn a_call_whose_caller_goes_away_is_an_entry_once_its_service_has_it() {
    let fixture = Fixture::new(|_| {});
    let mut early = Box::pin(fixture.call("/hang"));
    // The password is checked on another thread.
    assert!(futures::poll!(&mut early).is_pending());
    drop(early);
    assert_eq!(fixture.call("/change").await, Code::Ok);
    // From now on it is remembered.
    let mut late = Box::pin(fixture.call("/hang"));
    assert!(futures::poll!(&mut late).is_pending());
    drop(late);
    let entries = fixture.entries().await;
    assert_eq!(outcomes(&entries).iter().map(|(_, outcome)| *outcome).collect::<Vec<_>>(), ["OK", "CANCELLED"]);
}

#[tokio::test]
async fn numbers_go_on_after_a_start() {
    let mut fixture = Fixture::new(|settings| settings.wait = config::Wait::Synced);
    fixture.audit.server("Server/Start", "");
    fixture.call("/change").await;
    fixture.restart().await;
    fixture.call("/change").await;
    let entries = fixture.entries().await;
    assert_eq!(entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(entries[0].kind(), EntryKind::Server);
}

#[tokio::test]
async fn an_answer_comes_after_its_entry_can_be_read() {
    let fixture = Fixture::new(|_| {});
    for count in 1..=20 {
        fixture.call("/change").await;
        let files = &fixture.audit.0.as_ref().unwrap().files;
        assert_eq!(files.next().unwrap(), count + 1);
    }
}

/// Makes the log impossible to write: its next file cannot be made.
fn break_log(fixture: &Fixture) {
    std::fs::remove_dir_all(fixture.directory.path().join("audit")).unwrap();
}

#[tokio::test]
async fn changes_are_refused_while_they_cannot_be_noted_if_that_is_wanted() {
    let fixture = Fixture::new(|settings| {
        (settings.on_failure, settings.max_bytes) = (config::OnFailure::Refuse, 64 * 1024);
    });
    break_log(&fixture);
    // As soon as the file is full.
    while fixture.call("/change").await == Code::Ok {}
    assert_eq!(fixture.call("/change").await, Code::Unavailable);
    assert_eq!(fixture.call("/session").await, Code::Unavailable);
    assert_eq!(fixture.call("/read").await, Code::Ok);
    assert_eq!(fixture.call("/read/change").await, Code::Unavailable, "before anything is changed");
    // And it goes on when it can be written again.
    std::fs::create_dir(fixture.directory.path().join("audit")).unwrap();
    let writer = &fixture.audit.0.as_ref().unwrap().writer;
    let mut next = writer.next();
    while writer.is_failing() {
        next.changed().await.unwrap();
    }
    assert_eq!(fixture.call("/change").await, Code::Ok);
}

#[tokio::test]
async fn changes_go_on_without_entries_otherwise_and_what_is_lost_is_said() {
    let fixture = Fixture::new(|settings| settings.max_bytes = 2 * 1024 * 1024);
    let writer = &fixture.audit.0.as_ref().unwrap().writer;
    // The first file is full.
    for _ in 0..600 {
        fixture.audit.server("Server/Start", &"x".repeat(500));
    }
    writer.next().wait_for(|next| *next == 601).await.unwrap();
    break_log(&fixture);
    while !writer.is_failing() {
        assert_eq!(fixture.call("/change").await, Code::Ok);
    }
    for _ in 0..17 * 1024 {
        fixture.audit.server("Server/Reload", "");
    }
    assert_eq!(fixture.call("/change").await, Code::Ok);
    std::fs::create_dir(fixture.directory.path().join("audit")).unwrap();
    let mut next = writer.next();
    while writer.is_failing() {
        next.changed().await.unwrap();
    }
    let entries = fixture.entries().await;
    let lost: Vec<_> = entries.iter().filter(|entry| entry.method == "Audit/Lost").collect();
    assert_eq!(lost.len(), 1);
    let reloads = entries.iter().filter(|entry| entry.method == "Server/Reload").count();
    assert_eq!(i64::try_from(reloads).unwrap() + lost[0].count, 17 * 1024 + 1, "the last change is lost too");
    assert!(lost[0].count >= 1024);
}

#[tokio::test]
async fn lists_go_on_over_pages_in_both_orders() {
    let fixture = Fixture::new(|_| {});
    for _ in 0..25 {
        fixture.call("/change").await;
        fixture.call("/missing").await;
    }
    let server = fixture.server();
    let filter = api::EntryFilter { outcome: "ok".to_owned(), ..api::EntryFilter::default() };
    let numbers = async |order| -> Vec<i64> {
        list(&server, filter.clone(), order, 7).await.into_iter().map(|entry| entry.number).collect()
    };
    let odd: Vec<i64> = (1..=50).step_by(2).collect();
    assert_eq!(numbers(api::EntryOrder::OldestFirst).await, odd);
    assert_eq!(numbers(api::EntryOrder::Unspecified).await, odd.into_iter().rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_watch_begins_with_what_there_is_and_goes_on() {
    let fixture = Fixture::new(|_| {});
    for _ in 0..5 {
        fixture.call("/change").await;
    }
    let server = fixture.server();
    let newest = api::WatchEntriesRequest { backlog: 2, ..api::WatchEntriesRequest::default() };
    let mut newest = watch(&server, newest).await.unwrap();
    assert_eq!(next(&mut newest, 3).await, [4, 5, 0]);
    let from = api::WatchEntriesRequest { from_number: 2, ..api::WatchEntriesRequest::default() };
    let mut from = watch(&server, from).await.unwrap();
    assert_eq!(next(&mut from, 5).await, [2, 3, 4, 5, 0]);
    fixture.call("/missing").await;
    assert_eq!(next(&mut newest, 1).await, [6]);
    assert_eq!(next(&mut from, 1).await, [6]);
    let filter = Some(api::EntryFilter { outcome: "!OK".to_owned(), ..api::EntryFilter::default() });
    let failures = api::WatchEntriesRequest { filter, backlog: 10, ..api::WatchEntriesRequest::default() };
    assert_eq!(next(&mut watch(&server, failures).await.unwrap(), 2).await, [6, 0]);
}

#[tokio::test]
async fn one_user_has_a_quarter_of_the_watches_at_most() {
    let fixture = Fixture::new(|_| {});
    let server = fixture.server();
    let open = async |user: &str| {
        let caller = Identity { user: Some(user.to_owned()), ..Identity::default() };
        watch_by(caller, &server, api::WatchEntriesRequest::default()).await
    };
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(open("alice").await.unwrap());
    }
    let Err(refused) = open("alice").await else { panic!("one too many") };
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::ResourceExhausted, "there are 16 watches of the audit of one caller already")
    );
    assert!(open("bob").await.is_ok(), "there are others left");
}

#[tokio::test]
async fn a_watch_of_what_is_gone_is_refused() {
    let fixture = Fixture::new(|settings| settings.max_bytes = 64 * 1024);
    for _ in 0..600 {
        fixture.call("/change").await;
    }
    fixture.audit.finish(FINISH).await;
    let server = fixture.server();
    let files = &fixture.audit.0.as_ref().unwrap().files;
    files.trim(fixture.clock.now()).unwrap();
    let gone = api::WatchEntriesRequest { from_number: 1, ..api::WatchEntriesRequest::default() };
    let Err(refused) = watch(&server, gone).await else { panic!("it is gone") };
    assert_eq!(refused.code(), Code::OutOfRange);
    let kept = i64::try_from(files.floor()).unwrap();
    let kept = api::WatchEntriesRequest { from_number: kept, ..api::WatchEntriesRequest::default() };
    assert!(watch(&server, kept).await.is_ok());
}

#[tokio::test]
async fn a_slow_watch_is_told_when_what_it_has_not_seen_is_gone() {
    use futures::StreamExt as _;
    let fixture = Fixture::new(|settings| settings.max_bytes = 64 * 1024);
    let inner = fixture.audit.0.as_ref().unwrap();
    let write = async |count: u64| {
        let mut written = inner.writer.next();
        let end = *written.borrow() + count;
        for _ in 0..count {
            fixture.audit.server("Server/Reload", "");
        }
        written.wait_for(|next| *next >= end).await.unwrap();
    };
    write(100).await;
    let from = api::WatchEntriesRequest { from_number: 1, ..api::WatchEntriesRequest::default() };
    let mut watching = watch(&fixture.server(), from).await.unwrap();
    assert_eq!(next(&mut watching, 1).await, [1]);
    // It has read these, and holds what its reader does not take.
    while inner.files.floor() <= 101 {
        write(500).await;
        inner.files.trim(fixture.clock.now()).unwrap();
    }
    let seen = next(&mut watching, 100).await;
    assert_eq!(seen, (2..=100).chain([0]).collect::<Vec<_>>());
    assert_eq!(watching.next().await.unwrap().unwrap_err().code(), Code::OutOfRange);
}

#[tokio::test]
async fn without_an_audit_nothing_is_kept_and_questions_are_refused() {
    let fixture = Fixture::new(|settings| settings.enabled = false);
    assert_eq!(fixture.call("/change").await, Code::Ok);
    fixture.audit.finish(FINISH).await;
    assert!(!fixture.directory.path().join("audit").exists());
    let refused = watch(&fixture.server(), api::WatchEntriesRequest::default()).await;
    assert_eq!(refused.err().unwrap().code(), Code::FailedPrecondition);
}
