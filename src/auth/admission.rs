//! Whether anybody was let in over a connection: an extension of its requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Given when a call is let through that not everybody may make. The clones are of one connection.
#[derive(Clone, Debug, Default)]
pub struct Admission(Arc<AtomicBool>);

impl Admission {
    /// A call has been let through.
    pub fn give(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether one ever was.
    pub fn is_given(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
