//! What Linux knows of a process.

use std::fs;
use std::path::PathBuf;

/// A process by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proc(pub(crate) u32);

impl Proc {
    /// How many descriptors it has open, without those of the journal, which prepares its next file when it likes.
    pub(crate) fn descriptors(self) -> usize {
        let is_counted = |entry: &fs::DirEntry| {
            fs::read_link(entry.path()).is_ok_and(|file| !file.iter().any(|part| part == "journal"))
        };
        let open = fs::read_dir(self.file("fd")).expect("a living process");
        open.filter_map(Result::ok).filter(is_counted).count()
    }

    /// How much memory it keeps, in bytes.
    pub(crate) fn resident_bytes(self) -> u64 {
        self.bytes("VmRSS:")
    }

    /// How much memory it keeps without what can be read again from files, such as its code, in bytes.
    pub(crate) fn anonymous_bytes(self) -> u64 {
        self.bytes("RssAnon:")
    }

    /// How much memory it kept at most since the peak was forgotten, in bytes.
    pub(crate) fn peak_bytes(self) -> u64 {
        self.bytes("VmHWM:")
    }

    pub(crate) fn forget_peak(self) {
        fs::write(self.file("clear_refs"), "5").expect("the peak can be forgotten");
    }

    /// The root directory as the process sees it.
    pub(crate) fn root(self) -> PathBuf {
        self.file("root")
    }

    fn bytes(self, name: &str) -> u64 {
        let status = fs::read_to_string(self.file("status")).expect("a living process");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of that name");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
        kilobytes * 1024
    }

    fn file(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }
}
