//! `PUT` of a file.

use axum::response::Response;
use prost_types::Duration;
use steward_proto::artifact::v1::put_file_request::Part;
use steward_proto::artifact::v1::{FileFinish, FileStart, FileTarget, PutFileRequest};

use super::condition::Condition;
use super::download::checksums;
use super::path::FileName;
use super::refusal::Refusal;
use super::{Asked, UPLOAD_TIMEOUT, metadata};
use crate::envelope::Node;
use crate::feed::{self, Messages, Sent, Whole};
use crate::incoming::Incoming;
use crate::upstream::Call;

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// Longer than anybody can mean: a hundred years.
const MAX_DAYS: i64 = 36_525;

/// Stores a file.
pub(super) async fn put(asked: &Asked, name: FileName, incoming: &mut Incoming) -> Result<Response, Refusal> {
    let condition = Condition::of(asked)?;
    let target = FileTarget {
        project: name.project,
        repository: name.repository,
        path: name.path,
        overwrite: flag(asked, "x-bkrepo-overwrite")? && condition != Condition::Absent,
        only_if_sha256: condition.sha256(),
        metadata: metadata::read(&asked.parts.headers)?,
        ttl: ttl(asked)?,
        ..FileTarget::default()
    };
    let whole = Whole::announced(&asked.parts.headers, asked.files.options.artifacts.max_blob_bytes)?;
    let start = FileStart {
        target: Some(target),
        sha256: digest(asked, "x-bkrepo-sha256"),
        md5: digest(asked, "x-bkrepo-md5"),
        size: whole.announced.map_or(0, feed::saturate),
    };
    let messages = Messages {
        start: PutFileRequest { part: Some(Part::Start(start)) },
        chunk: |bytes| PutFileRequest { part: Some(Part::Chunk(bytes)) },
        finish: |size| PutFileRequest { part: Some(Part::Finish(FileFinish { size })) },
    };
    let call = Call::new("PutFile", asked.common.caller.clone(), UPLOAD_TIMEOUT);
    let (feed, outlet) = feed::open();
    let request = outlet.request(&call, messages);
    let mut client = asked.client();
    let poured = feed.pour(incoming, whole, &call, Box::pin(client.put_file(request))).await;
    let (stored, sent) = poured.map_err(|error| condition.refused(error))?;
    if sent == Sent::Part {
        return Err(Refusal::broken(&call, "a file was stored before all of it was sent"));
    }
    let file = stored.file.ok_or_else(|| Refusal::broken(&call, "no file"))?;
    let checksums = checksums(&file);
    let mut response = asked.success(Node::of(file, &asked.files.times));
    response.headers_mut().extend(checksums);
    Ok(response)
}

/// A digest that the client expects, in lower case; empty: it expects none.
fn digest(asked: &Asked, name: &'static str) -> String {
    asked.header(name).unwrap_or_default().trim().to_lowercase()
}

fn flag(asked: &Asked, name: &'static str) -> Result<bool, Refusal> {
    match asked.header(name).unwrap_or_default().trim() {
        "" => Ok(false),
        word if word.eq_ignore_ascii_case("true") => Ok(true),
        word if word.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Refusal::invalid("X-BKREPO-OVERWRITE")),
    }
}

/// How many days the file stays; none or zero: for ever.
fn ttl(asked: &Asked) -> Result<Option<Duration>, Refusal> {
    let days = asked.header("x-bkrepo-expires").unwrap_or_default().trim();
    if days.is_empty() {
        return Ok(None);
    }
    let days: i64 = days.parse().map_err(|_| Refusal::invalid("X-BKREPO-EXPIRES"))?;
    match days {
        0 => Ok(None),
        1..=MAX_DAYS => Ok(Some(Duration { seconds: days * DAY_SECONDS, nanos: 0 })),
        _ => Err(Refusal::invalid("X-BKREPO-EXPIRES")),
    }
}
