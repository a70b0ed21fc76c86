//! Files with keys, which are for the owner of the process alone.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;

/// How much of such a file is read, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Its text; refused when others than its owner may use it.
pub(crate) fn read(file: File) -> io::Result<String> {
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let problem = format!("others than its owner may use it (mode {mode:o}): set its mode to 600");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}
