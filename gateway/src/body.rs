//! Bodies that are read whole before a call is made: how long they may be and how long they may take, and how much
//! memory all of them have.

mod room;

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::Extensions;
use tokio::time::timeout;

pub(crate) use self::room::{Place, Room};
use crate::incoming::{Incoming, Interruption};

/// How long a body of a request may take. It is small, or it is refused.
const TIME: Duration = Duration::from_secs(30);
/// How much of a body that is refused is still read, and thrown away.
///
/// Many clients write all of their request before they read: a connection that is closed with unread bytes in it would
/// be reset, and they would never see the answer.
const DISCARD_LIMIT: u64 = 1024 * 1024;

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// It is longer than the limit.
    TooLong,
    /// It broke off, or its framing is broken.
    Broken,
    /// It did not come in time.
    TooLate,
    /// There are too many others in memory.
    NoRoom,
}

impl From<Interruption> for ReadError {
    fn from(interruption: Interruption) -> Self {
        match interruption {
            Interruption::Broken => Self::Broken,
            Interruption::Idle => Self::TooLate,
        }
    }
}

/// The body of a request that nothing was read of yet.
pub(crate) struct Unread {
    incoming: Incoming,
    extensions: Extensions,
}

impl Unread {
    /// Reads all of it: at most `limit` bytes.
    pub(crate) async fn read(self, limit: usize) -> Result<Bytes, ReadError> {
        let Self { mut incoming, extensions } = self;
        let place = Room::place_of(&extensions, limit);
        let reading = async {
            let whole = gather(&mut incoming, place, limit).await;
            if matches!(whole, Err(ReadError::TooLong | ReadError::NoRoom)) {
                // Whether all of it came is nothing to the answer.
                let _ = incoming.drain().await;
            }
            whole
        };
        timeout(TIME, reading).await.unwrap_or(Err(ReadError::TooLate))
    }
}

impl<S: Sync> FromRequest<S> for Unread {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        let (parts, body) = request.into_parts();
        let incoming = Incoming::bounded(body, &parts, TIME, DISCARD_LIMIT);
        Ok(Self { incoming, extensions: parts.extensions })
    }
}

/// Reads a body of at most `limit` bytes into memory, where it has its place as long as the bytes are there.
pub(crate) async fn gather(incoming: &mut Incoming, place: Place, limit: usize) -> Result<Bytes, ReadError> {
    let mut whole = Whole { bytes: BytesMut::new(), place };
    while let Some(bytes) = incoming.next().await? {
        if whole.bytes.len() + bytes.len() > limit {
            return Err(ReadError::TooLong);
        }
        whole.place.take(bytes.len())?;
        whole.bytes.extend_from_slice(&bytes);
    }
    Ok(Bytes::from_owner(whole))
}

/// The same, within a time.
pub(crate) async fn gather_within(
    time: Duration,
    incoming: &mut Incoming,
    place: Place,
    limit: usize,
) -> Result<Bytes, ReadError> {
    let gathered = timeout(time, gather(incoming, place, limit)).await;
    gathered.unwrap_or_else(|_| {
        incoming.give_up();
        Err(ReadError::TooLate)
    })
}

/// A body, and its place in memory.
struct Whole {
    bytes: BytesMut,
    place: Place,
}

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
