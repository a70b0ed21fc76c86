//! What the disk gives: the limit of everything that answers only what is durable.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::BoxError;

const HOW_LONG: Duration = Duration::from_secs(1);

/// How often a second 4 KiB can be appended to a file and flushed, one after the other.
pub(crate) fn flushes_per_second(directory: &Path) -> Result<f64, BoxError> {
    let path = directory.join("flushes");
    let mut file = File::create(&path)?;
    let block = [7_u8; 4096];
    let start = Instant::now();
    let mut flushes = 0_u32;
    while start.elapsed() < HOW_LONG {
        file.write_all(&block)?;
        file.sync_all()?;
        flushes += 1;
    }
    let rate = f64::from(flushes) / start.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(rate)
}
