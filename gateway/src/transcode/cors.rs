//! Which pages may read the answers in a browser.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderValue,
};
use http::{Method, StatusCode};

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
const HEADERS: &str =
    "authorization, content-range, content-type, last-event-id, range, x-content-sha256, x-request-id";
const EXPOSED: &str = "accept-ranges, content-range, upload-offset, x-error-field, x-request-id";
/// How long a browser need not ask again, in seconds.
const MAX_AGE: &str = "600";

/// The origin whose pages may.
#[derive(Clone, Debug)]
pub(super) struct Cors(Option<HeaderValue>);

impl Cors {
    pub(super) fn new(origin: Option<HeaderValue>) -> Self {
        Self(origin)
    }
}

/// Adds the headers to every answer, and answers what browsers ask beforehand.
pub(super) async fn allow(State(Cors(origin)): State<Cors>, request: Request, next: Next) -> Response {
    let Some(origin) = origin else { return next.run(request).await };
    let mut response = if request.method() == Method::OPTIONS {
        let headers = [
            (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
            (ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ];
        (StatusCode::NO_CONTENT, headers).into_response()
    } else {
        let mut response = next.run(request).await;
        response.headers_mut().insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        response
    };
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    response
}
