//! Files that open when they are first needed.

use std::io;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::Disk;

/// A file that takes no descriptor until it is used.
pub struct LazyFile<F> {
    file: OnceLock<F>,
    opening: Mutex<()>,
    open: Box<dyn Fn() -> io::Result<F> + Send + Sync>,
}

impl<F> LazyFile<F> {
    /// The file of that name, which must be there once it is used.
    pub fn new<D: Disk<File = F>>(disk: &Arc<D>, name: String) -> Self {
        let disk = Arc::clone(disk);
        LazyFile { file: OnceLock::new(), opening: Mutex::new(()), open: Box::new(move || disk.open(&name)) }
    }

    /// The open file. What fails now is tried again the next time.
    pub fn get(&self) -> io::Result<&F> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let _opening = self.opening.lock();
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = (self.open)()?;
        Ok(self.file.get_or_init(|| file))
    }

    /// Whether there is no such file.
    pub fn is_missing(&self) -> io::Result<bool> {
        match self.get() {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }
}

impl<F> std::fmt::Debug for LazyFile<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LazyFile").field("is_open", &self.file.get().is_some()).finish_non_exhaustive()
    }
}
