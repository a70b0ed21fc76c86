//! Every route of the HTTP port, asked by everybody who may come: strangers get nowhere, nobody learns of what is
//! somebody else's whether it is there, and whoever may do everything is let through.

mod known;
mod seeds;
mod table;

use std::sync::LazyLock;

use regex::Regex;

use self::seeds::Seeds;
use self::table::{OPEN, ROUTES};
use crate::common::http::{Answer, head};
use crate::common::server::{Server, Setup};
use crate::common::temporary;
use crate::common::users::{basic, htpasswd};
use crate::common::wait::within;
use crate::layout;
use crate::matrix::ended_tokens;

/// Alice may do everything, bob nothing, and carol a little in every area, but not to what is asked for.
const RIGHTS: &str = "alice * * admin
carol lock other read,write
carol restic other read,write
carol artifact other read,write
carol replication other read,write
carol volume /other read,write
carol transcode library/other read,write
carol transcode worker/carol read,write
";

/// What is another one each time: ids, tokens and times.
static CHANGING: LazyLock<Regex> = LazyLock::new(|| {
    let id = "[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}";
    Regex::new(&format!(r"{id}|steward-registry-[\w.-]+|\d{{4}}-\d\d-\d\dT[\d:.]+")).expect("an expression")
});

/// A server with something in every area that is alice's.
struct World {
    server: Server,
    seeds: Seeds,
}

impl World {
    async fn start() -> Self {
        let home = temporary::directory();
        let users = htpasswd(home.path(), &[("alice", "p"), ("bob", "p"), ("carol", "p")]);
        let config = format!("[auth]\nhtpasswd = {users:?}\nrights = {RIGHTS:?}\n[volumes]\nrollback = true\n");
        let server = Setup::default().config(&config).start_in(home).await;
        let seeds = Seeds::plant(&server).await;
        World { server, seeds }
    }

    /// Asks as a user.
    async fn ask(&self, user: &str, method: &str, path: &str, body: &str) -> Answer {
        self.ask_with(&basic(user, "p"), method, &path.replace("<user>", user), body).await
    }

    /// Of a stream that begins, the head counts.
    async fn ask_with(&self, authorization: &str, method: &str, path: &str, body: &str) -> Answer {
        let length = body.len().to_string();
        let mut headers = vec![("Content-Length", length.as_str())];
        if !authorization.is_empty() {
            headers.push(("Authorization", authorization));
        }
        if path.contains("/manifests/") {
            headers.push(("Content-Type", layout::MANIFEST));
        } else if body.starts_with('{') {
            headers.push(("Content-Type", "application/json"));
        }
        let mut connection = self.server.http().connect().await;
        let request = [head(method, path, &headers).as_bytes(), body.as_bytes()].concat();
        connection.send_bytes(&request).await.expect("the request can be sent");
        // A stream of events does not end. Those of the farm are for everybody who may see something.
        let is_stream = ["/subscribe", "/watch/"].iter().any(|part| path.contains(part));
        let is_begun = path.contains("/events") || is_stream && authorization == basic("alice", "p");
        within(path, connection.answer(if is_begun { "HEAD" } else { method })).await
    }
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// Whether an answer says that something is wrong with the server.
fn is_failure(path: &str, answer: &Answer) -> bool {
    if path.contains("SnapshotCloneService") {
        // Quirk: every refusal has the status 500.
        return answer.text().contains(r#""Code" : "-1""#);
    }
    // A repository of backups is never deleted: 501.
    answer.status >= 500 && answer.status != 501
}

/// Whether an answer says that its caller may not have it. The API of volumes says so by a code of its own.
fn is_refused(path: &str, answer: &Answer, statuses: &[u16]) -> bool {
    if path.contains("SnapshotCloneService") {
        return answer.text().contains(r#""Code" : "-7""#);
    }
    statuses.contains(&answer.status)
}

#[tokio::test]
async fn no_route_answers_a_stranger() {
    let world = World::start().await;
    let [expired, revoked] = ended_tokens(&world.server).await;
    let mut problems = Vec::new();
    for (method, path, body) in ROUTES {
        let (path, body) = (world.seeds.present(path).replace("<user>", "alice"), world.seeds.present(body));
        for authorization in ["", &expired, &revoked, "Bearer stw_of_nobody"] {
            let answer = world.ask_with(authorization, method, &path, &body).await;
            if !is_refused(&path, &answer, &[401]) {
                problems.push(format!("{method} {path} for {authorization:?}: {} {}", answer.status, text(&answer)));
            }
        }
    }
    for (path, status) in OPEN {
        assert_eq!(world.ask_with("", "GET", path, "").await.status, *status, "{path}");
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test]
async fn nobody_learns_whether_there_is_what_is_somebody_else_s() {
    let world = World::start().await;
    let seeds = &world.seeds;
    let mut problems = Vec::new();
    for (method, path, body) in ROUTES {
        for user in ["bob", "carol"] {
            let there = world.ask(user, method, &seeds.present(path), &seeds.present(body)).await;
            let not_there = world.ask(user, method, &seeds.absent(path), &seeds.absent(body)).await;
            let blank = |answer: &Answer| {
                let body = seeds.blank(&CHANGING.replace_all(&text(answer), "<id>"));
                format!("{} {body}", answer.status)
            };
            let (of_there, of_not_there) = (blank(&there), blank(&not_there));
            if of_there != of_not_there {
                problems.push(format!("{method} {path} for {user} tells:\n  {of_there}\n  {of_not_there}"));
            }
            // Names that the request says may be in the answer.
            let is_asked_for = path.contains('<') || body.contains('<');
            if let Some(name) = seeds.leaked(&text(&there)).filter(|_| !is_asked_for) {
                problems.push(format!("{method} {path} tells {user} of {name}"));
            }
            if is_failure(path, &there) {
                problems.push(format!("{method} {path} for {user}: {of_there}"));
            }
            // Whoever has signed in may know that this is a registry, and have a token for nothing.
            let is_for_all = ["/v2", "/v2/"].contains(path) || path.starts_with("/v2/auth");
            if user == "bob" && !is_for_all && !is_refused(path, &there, &[401, 403, 404]) {
                problems.push(format!("{method} {path} lets bob in: {of_there}"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test]
async fn every_route_lets_in_who_may_take_it() {
    let world = World::start().await;
    let mut problems = Vec::new();
    for (method, path, body) in ROUTES {
        let (path, body) = (world.seeds.present(path), world.seeds.present(body));
        let answer = world.ask("alice", method, &path, &body).await;
        if is_refused(&path, &answer, &[401, 403]) || is_failure(&path, &answer) {
            problems.push(format!("{method} {path}: {} {}", answer.status, text(&answer)));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
