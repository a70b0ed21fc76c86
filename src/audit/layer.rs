//! Around every call: an entry for each change, and for each refusal.

use std::task::{Context, Poll};
use std::time::Instant;

use futures::future::BoxFuture;
use steward_proto::audit::v1::{AuditEntry, EntryKind};
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::{Layer, Service};

use super::streams::Followed;
use super::{Audit, entry};
use crate::auth::Trail;
use crate::telemetry::REQUEST_ID;

/// What a method is to the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// `LockService/Acquire`.
    pub method: &'static str,
    /// `lock`.
    pub area: &'static str,
    /// The right that it needs: `write`.
    pub right: &'static str,
    /// When it has entries.
    pub style: Style,
}

/// When a method has entries, besides those of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Never: it changes nothing.
    Read,
    /// Only if signs of life are wanted: callers repeat it every few seconds to keep what they have.
    Heartbeat,
    /// When it has answered.
    Change,
    /// When its stream of answers has ended.
    Stream,
    /// When its stream is opened, and when it has ended.
    Session,
}

/// Finds the method of a path; `None` for those that nobody is asked for.
type Find = fn(&str) -> Option<Subject>;

/// Makes entries of the calls that pass.
#[derive(Clone, Debug)]
pub struct AuditLayer {
    audit: Audit,
    find: Find,
}

impl AuditLayer {
    /// Of the methods that `find` knows.
    pub fn new(audit: Audit, find: Find) -> Self {
        AuditLayer { audit, find }
    }
}

impl<S> Layer<S> for AuditLayer {
    type Service = Audited<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Audited { inner, layer: self.clone() }
    }
}

/// A service whose calls are recorded.
#[derive(Clone, Debug)]
pub struct Audited<S> {
    inner: S,
    layer: AuditLayer,
}

impl<S> Service<http::Request<Body>> for Audited<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let audit = &self.layer.audit;
        let subject = (self.layer.find)(request.uri().path()).filter(|_| audit.is_on());
        let Some(subject) = subject else { return Box::pin(self.inner.call(request)) };
        let call = match audit.admit_change() {
            Ok(()) => Call::begin(audit.clone(), subject, &mut request),
            Err(why) if subject.style == Style::Read => {
                let call = Call::begin(audit.clone(), subject, &mut request);
                call.trail.refuse_changes(why);
                call
            }
            Err(why) => return Box::pin(async move { Ok(Status::from(why).into_http()) }),
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            // Dropped before its end, the call is one that its caller gave up; what it began may go on.
            let call = call;
            let response = answer.await?;
            Ok(call.answered(response).await)
        })
    }
}

/// A call under way. Dropping it is an end, too.
#[derive(Debug)]
pub(super) struct Call {
    audit: Audit,
    subject: Subject,
    trail: Trail,
    request_id: String,
    begin: Instant,
    /// A session whose beginning is told has an end to tell.
    is_open: bool,
    is_over: bool,
}

impl Call {
    fn begin(audit: Audit, subject: Subject, request: &mut http::Request<Body>) -> Self {
        let trail = Trail::kept();
        request.extensions_mut().insert(trail.clone());
        let request_id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
        let (request_id, begin) = (request_id.to_owned(), Instant::now());
        Call { audit, subject, trail, request_id, begin, is_open: false, is_over: false }
    }

    /// Makes the entries that an answer asks for, and lets it go once they are written.
    async fn answered(mut self, response: http::Response<Body>) -> http::Response<Body> {
        let status = Status::from_header_map(response.headers()).filter(|status| status.code() != Code::Ok);
        if let Some(status) = status {
            // What has failed need not be written before that is told.
            self.failed(&status);
            return response;
        }
        match self.subject.style {
            Style::Stream => response.map(|body| Body::new(Followed::new(body, self))),
            Style::Session => {
                match self.audit.record_before_answer(self.entry(EntryKind::Opened, Code::Ok, "")).await {
                    Ok(()) => {
                        self.is_open = true;
                        response.map(|body| Body::new(Followed::new(body, self)))
                    }
                    Err(failure) => {
                        self.is_over = true;
                        Status::from(failure).into_http()
                    }
                }
            }
            Style::Read | Style::Heartbeat | Style::Change => match self.succeeded().await {
                Ok(()) => response,
                Err(failure) => Status::from(failure).into_http(),
            },
        }
    }

    /// Makes the entry of a call that ended well.
    pub(super) fn succeeded(&mut self) -> super::Written {
        self.is_over = true;
        let is_kept = match self.subject.style {
            Style::Read => self.trail.is_change(),
            Style::Heartbeat => self.audit.has_heartbeats(),
            Style::Change | Style::Stream | Style::Session => true,
        };
        if is_kept { self.audit.record_before_answer(self.end(Code::Ok, "")) } else { super::Written::at_once() }
    }

    /// Makes the entry of a call that failed.
    pub(super) fn failed(&mut self, status: &Status) {
        self.is_over = true;
        let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
        let is_refusal = matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied);
        // What has not come as far as its service can be repeated by anybody, as fast as the wire is.
        if is_refusal || !self.trail.is_admitted() {
            self.audit.refuse(self.end(status.code(), &reason));
        } else if self.is_change() {
            self.audit.record(self.end(status.code(), &reason));
        }
    }

    /// Whether it changes something, or may.
    fn is_change(&self) -> bool {
        self.subject.style != Style::Read || self.trail.is_change()
    }

    /// The last entry.
    fn end(&self, code: Code, reason: &str) -> AuditEntry {
        let kind = if self.is_open { EntryKind::Closed } else { EntryKind::Call };
        self.entry(kind, code, reason)
    }

    fn entry(&self, kind: EntryKind, code: Code, reason: &str) -> AuditEntry {
        AuditEntry {
            kind: kind.into(),
            user: entry::cut(self.trail.user()),
            proof: self.trail.proof().to_owned(),
            address: entry::address(self.trail.address()),
            method: self.subject.method.to_owned(),
            area: self.subject.area.to_owned(),
            right: self.subject.right.to_owned(),
            resource: entry::cut(self.trail.resource()),
            outcome: entry::code_name(code).to_owned(),
            reason: entry::cut(reason),
            request_id: self.request_id.clone(),
            duration: prost_types::Duration::try_from(self.begin.elapsed()).ok(),
            ..AuditEntry::default()
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Before it is let through, nothing has begun that could go on.
        if !self.is_over && self.is_change() && self.trail.is_admitted() {
            self.audit.record(self.end(Code::Cancelled, ""));
        }
    }
}
