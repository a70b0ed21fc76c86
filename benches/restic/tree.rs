//! Trees of many small objects, made without any server.

use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::BoxError;

pub(crate) fn make(repository: &Path, count: u32) -> Result<(), BoxError> {
    for fan_out in 0..=255 {
        fs::create_dir_all(repository.join(format!("data/{fan_out:02x}")))?;
    }
    for kind in ["index", "keys", "locks", "snapshots"] {
        fs::create_dir_all(repository.join(kind))?;
    }
    fs::write(repository.join("config"), "config")?;
    for number in 0..count {
        let name = format!("{:x}", Sha256::digest(number.to_le_bytes()));
        fs::write(repository.join("data").join(&name[..2]).join(name), "ten bytes.")?;
    }
    Ok(())
}
