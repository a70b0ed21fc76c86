//! Who makes an HTTP request, as far as the gateway can see: it asks nobody, but passes on what the server asks for.

use std::convert::Infallible;
use std::fmt;

use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request};

use crate::peer::{CallerNote, ClientUser, Peer};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The header in which a proxy names the user: an extension of every request, where there is such a header.
#[derive(Clone, Debug)]
pub(crate) struct UserHeader(pub(crate) HeaderName);

/// The id of the HTTP request, when it has one.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(Option<HeaderValue>);

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0.as_ref().and_then(|id| id.to_str().ok());
        formatter.write_str(id.unwrap_or("-"))
    }
}

/// What goes with every call that is made for an HTTP request: its id, its credentials, and its way.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    request_id: RequestId,
    metadata: MetadataMap,
    peer: Option<Peer>,
    client_user: Option<ClientUser>,
    note: Option<CallerNote>,
}

impl Caller {
    pub(crate) fn request_id(&self) -> &RequestId {
        &self.request_id
    }

    /// The same caller, who has said its name and its password otherwise than in a header.
    pub(crate) fn with_password(mut self, user: &str, password: &str) -> Self {
        let credentials = STANDARD.encode(format!("{user}:{password}"));
        if let Ok(mut value) = HeaderValue::try_from(format!("Basic {credentials}")) {
            value.set_sensitive(true);
            let mut headers = std::mem::take(&mut self.metadata).into_headers();
            headers.insert(AUTHORIZATION, value);
            self.metadata = MetadataMap::from_headers(headers);
        }
        self
    }

    /// Wraps a message into a request of this caller.
    pub(super) fn request<M>(&self, message: M) -> Request<M> {
        let mut extensions = Extensions::new();
        // Only services in this process see it; to others, the connection is the gateway's.
        if let Some(peer) = self.peer {
            extensions.insert(peer);
        }
        if let Some(user) = &self.client_user {
            extensions.insert(user.clone());
        }
        if let Some(note) = &self.note {
            extensions.insert(note.clone());
        }
        Request::from_parts(self.metadata.clone(), extensions, message)
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let mut forwarded = HeaderMap::with_capacity(4);
        let request_id = parts.headers.get(REQUEST_ID).cloned();
        if let Some(id) = &request_id {
            forwarded.insert(REQUEST_ID, id.clone());
        }
        // Whether two values are one too many is for the server to say.
        for value in parts.headers.get_all(AUTHORIZATION) {
            let mut value = value.clone();
            value.set_sensitive(true);
            forwarded.append(AUTHORIZATION, value);
        }
        if let Some(UserHeader(name)) = parts.extensions.get() {
            for value in parts.headers.get_all(name) {
                forwarded.append(name, value.clone());
            }
        }
        if let Some(hops) = join(&parts.headers, &FORWARDED_FOR) {
            forwarded.insert(FORWARDED_FOR, hops);
        }
        let metadata = MetadataMap::from_headers(forwarded);
        let peer = parts.extensions.get().copied();
        let (client_user, note) = (parts.extensions.get().cloned(), parts.extensions.get().cloned());
        Ok(Self { request_id: RequestId(request_id), metadata, peer, client_user, note })
    }
}

/// The lines of a header that is a list, as one.
fn join(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    if lines.is_empty() { None } else { HeaderValue::from_bytes(&lines.join(&b", "[..])).ok() }
}
