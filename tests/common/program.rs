//! Real programs that the tests drive.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Finds a program: what `scripts/test` installed in `.tools`, or what the system has. `None` when `scripts/test` said
/// that it cannot be had; that is shown, past the capture of the test's output, and counted by `scripts/test`.
pub(crate) fn find(name: &str, needed_by: &str) -> Option<PathBuf> {
    if is_missing(name) {
        say_skipped(needed_by, &format!("there is no {name}"));
        return None;
    }
    let tools = Path::new(ROOT).join(".tools");
    let installed = [tools.join("bin").join(name), tools.join(name).join("bin").join(name)];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = installed.into_iter().chain(std::env::split_paths(&path).map(|place| place.join(name)));
    let found = places.find(|place| place.is_file());
    Some(found.unwrap_or_else(|| panic!("there is no {name}: run scripts/test, which installs it")))
}

/// Whether a file may become a block device of the kernel here: by FUSE and a loop device.
pub(crate) fn may_make_block_devices(needed_by: &str) -> bool {
    let is_permitted = !is_missing("block-devices");
    if !is_permitted {
        say_skipped(needed_by, "block devices cannot be made here");
    }
    is_permitted
}

fn is_missing(name: &str) -> bool {
    let without = std::env::var("STEWARD_TEST_WITHOUT").unwrap_or_default();
    without.split_whitespace().any(|missing| missing == name)
}

fn say_skipped(needed_by: &str, why: &str) {
    let line = format!("skipped: {needed_by}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error can be written");
}
