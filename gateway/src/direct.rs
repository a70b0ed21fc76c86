//! Bytes of objects that pass between the gateway and a service in the same process as they are: as parts of messages
//! they would be copied twice.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::BoxStream;
use tonic::Status;

/// The bytes of a download, in the place of its chunks. It ends with the last byte or with an error.
pub type Pieces = BoxStream<'static, Result<Bytes, Status>>;

/// The bytes of an upload, in the place of its chunks. That no more come says nothing: the object is whole only when
/// the part `finish` says so, which comes as a message after them.
pub type Chunks = BoxStream<'static, Bytes>;

/// A place where one side of a call leaves bytes for the other: an extension of the request, which only a service in
/// the same process gets to see. Whoever does not know it sends and takes messages, and nothing is lost.
///
/// - A download: a service that finds it leaves the [`Pieces`] there before it answers, and answers `start` alone.
/// - An upload: the [`Chunks`] are there before the call. A service has to take them before it asks for the first part;
///   what nobody has taken until then comes as messages.
pub struct Direct<T>(Arc<Mutex<Option<T>>>);

impl<T> Direct<T> {
    /// A place with something in it.
    pub fn of(bytes: T) -> Self {
        Self(Arc::new(Mutex::new(Some(bytes))))
    }

    /// Leaves bytes for the other side.
    pub fn leave(&self, bytes: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }

    /// Takes what was left, if anything is there. Only the first one gets it.
    pub fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T> Default for Direct<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Direct<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Direct<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Direct")
    }
}
