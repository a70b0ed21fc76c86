//! Real programs that the tests drive.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Finds a program: what `scripts/test` installed in `.tools`, or what the system has. `None` when `scripts/test` said
/// that it cannot be had; that is shown, past the capture of the test's output, and counted by `scripts/test`.
pub(crate) fn find(name: &str, needed_by: &str) -> Option<PathBuf> {
    let without = std::env::var("STEWARD_TEST_WITHOUT").unwrap_or_default();
    if without.split_whitespace().any(|missing| missing == name) {
        let line = format!("skipped: {needed_by}: there is no {name}\n");
        std::io::stderr().write_all(line.as_bytes()).expect("standard error can be written");
        return None;
    }
    let tools = Path::new(ROOT).join(".tools");
    let installed = [tools.join("bin").join(name), tools.join(name).join("bin").join(name)];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = installed.into_iter().chain(std::env::split_paths(&path).map(|place| place.join(name)));
    let found = places.find(|place| place.is_file());
    Some(found.unwrap_or_else(|| panic!("there is no {name}: run scripts/test, which installs it")))
}
