//! Compression of long lists, frame by frame.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::try_unfold;
use futures::{Stream, StreamExt};
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;
use tonic::Status;

/// Half of a list is random digits, so trying harder gains nothing.
const LEVEL: Compression = Compression::new(1);

/// Tells whether the client takes gzip.
pub(super) fn is_offered(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && !is_zero(weight)
    })
}

fn is_zero(weight: &str) -> bool {
    let value = weight.trim().strip_prefix("q=").or_else(|| weight.trim().strip_prefix("Q="));
    value.is_some_and(|value| value.trim().parse() == Ok(0.0))
}

/// Compresses what `frames` yield; an error ends it as it ends them.
pub(super) fn compress<S>(frames: S) -> impl Stream<Item = Result<Bytes, Status>> + Send
where
    S: Stream<Item = Result<Bytes, Status>> + Send + 'static,
{
    let encoder = GzEncoder::new(Vec::new(), LEVEL);
    try_unfold((frames.boxed(), Some(encoder)), |(mut frames, encoder)| async move {
        let Some(mut encoder) = encoder else { return Ok(None) };
        // The encoder keeps some back until it has enough.
        while encoder.get_ref().is_empty() {
            let Some(frame) = frames.next().await else {
                let end = encoder.finish().map_err(broken)?;
                return Ok(Some((end.into(), (frames, None))));
            };
            encoder.write_all(&frame?).map_err(broken)?;
        }
        let compressed = std::mem::take(encoder.get_mut());
        Ok(Some((compressed.into(), (frames, Some(encoder)))))
    })
}

fn broken(error: io::Error) -> Status {
    Status::from_error(error.into())
}
