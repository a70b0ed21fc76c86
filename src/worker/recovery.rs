//! Puts right what a task has left behind: of a worker that died, or of one that could not do it. All of it blocks.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};
use tracing::{info, warn};

use super::place::rename_to_free;
use super::profile::file_argument;
use super::state::{End, Replacement, State, Traces};

/// The tasks whose traces could not be put right yet.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    task_ids: Mutex<BTreeSet<String>>,
    /// Held while they are tried again: two at a time would be in each other's way.
    turn: Mutex<()>,
}

impl Leftovers {
    /// Puts right what a worker that died has left behind. What cannot be put right now is tried again later.
    pub(super) fn recover(state: &State) -> io::Result<Self> {
        let leftovers = Leftovers::default();
        for (task_id, _) in state.left_behind()? {
            if leftovers.put_right(state, &task_id).is_ok() {
                info!(task = %task_id, "cleaned up after a task of an earlier worker");
            }
        }
        Ok(leftovers)
    }

    /// Tries again. Returns the tasks that turned out to have come to a good end.
    pub(super) fn retry(&self, state: &State) -> Vec<(String, End)> {
        let _turn = self.turn.lock();
        let left: Vec<String> = self.task_ids.lock().iter().cloned().collect();
        let ended = left.into_iter().filter_map(|task_id| {
            let end = self.put_right(state, &task_id).ok()??;
            Some((task_id, end))
        });
        ended.collect()
    }

    /// Cleans up after a task that runs no more. Returns its end if its result has its place.
    pub(super) fn put_right(&self, state: &State, task_id: &str) -> io::Result<Option<End>> {
        let result = put_right(state, task_id);
        let mut left = self.task_ids.lock();
        match &result {
            Ok(_) => {
                left.remove(task_id);
            }
            Err(error) => {
                if left.insert(task_id.to_owned()) {
                    warn!(task = %task_id, %error, "something of a task is left on the disk; it is tried again later");
                }
            }
        }
        result
    }
}

/// Ends what still runs, brings the original back if it has lost its place, and removes files that are worth nothing.
fn put_right(state: &State, task_id: &str) -> io::Result<Option<End>> {
    let Some(traces) = state.traces(task_id)? else { return Ok(None) };
    // They may write to a disk that only seems to be gone.
    traces.temporary.iter().for_each(|file| end_writers(file));
    check_reachable(&traces)?;
    if let Some(replacement) = &traces.replacement {
        settle(replacement)?;
    }
    let placing = traces.placing.filter(|placing| has_inode(&placing.place, placing.result_inode));
    let end = placing.map(|placing| placing.end);
    if let Some(end) = &end {
        state.keep_end(task_id, end)?;
    }
    for file in &traces.temporary {
        match fs::remove_file(file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(io::Error::new(error.kind(), format!("cannot remove {}: {error}", file.display())));
            }
            _ => {}
        }
    }
    state.forget(task_id)?;
    Ok(end)
}

/// Whether the directories are there: what is not seen on a disk that is not mounted is not gone.
fn check_reachable(traces: &Traces) -> io::Result<()> {
    let originals = traces.replacement.iter().map(|replacement| &replacement.original);
    let places = traces.placing.iter().map(|placing| &placing.place);
    let mut directories = traces.temporary.iter().chain(originals).chain(places).filter_map(|file| file.parent());
    match directories.find(|directory| !directory.is_dir()) {
        Some(gone) => Err(io::Error::new(ErrorKind::NotFound, format!("{} is not there", gone.display()))),
        None => Ok(()),
    }
}

pub(super) fn has_inode(path: &Path, inode: u64) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.ino() == inode)
}

/// Brings a replacement that stopped halfway to one of its ends: the result is in place, or the original is. Never
/// touches the last name of the original.
pub(super) fn settle(Replacement { original, trash, place, result_inode }: &Replacement) -> io::Result<()> {
    let in_trash = match trash.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        in_trash => in_trash?,
    };
    let is_placed = has_inode(place, *result_inode);
    match original.symlink_metadata() {
        Ok(now) if (now.dev(), now.ino()) != (in_trash.dev(), in_trash.ino()) => Ok(()),
        Ok(_) => fs::remove_file(if is_placed { original } else { trash }),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Err(_) if is_placed => Ok(()),
        Err(_) => {
            warn!(video = %original.display(), "brought back from the trash: its result was not in place yet");
            rename_to_free(trash, original)
        }
    }
}

/// Kills what was started to write `file`: an encoder outlives its worker.
fn end_writers(file: &Path) {
    let argument = file_argument(file);
    let Ok(processes) = fs::read_dir("/proc") else { return };
    for process in processes.flatten() {
        let id = process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let Some(id) = id else { continue };
        let Ok(command) = fs::read(process.path().join("cmdline")) else { continue };
        if command.split(|byte| *byte == 0).any(|word| OsStr::from_bytes(word) == argument) {
            warn!(process = id.as_raw_nonzero().get(), "ending what an earlier worker had started");
            // It leads a group, as everything that a worker starts. It fails only when it has ended by itself.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    use super::*;

    fn scene(files: &[&str]) -> (tempfile::TempDir, Replacement) {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            fs::write(directory.path().join(file), file).unwrap();
        }
        let path = |name: &str| directory.path().join(name);
        let result_inode = path("v.mkv").metadata().map_or(0, |metadata| metadata.ino());
        let (original, trash, place) = (path("v.avi"), path("trash"), path("v.mkv"));
        let replacement = Replacement { original, trash, place, result_inode };
        (directory, replacement)
    }

    fn names(directory: &tempfile::TempDir) -> Vec<String> {
        let entries = fs::read_dir(directory.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn an_original_without_its_place_comes_back() {
        let (directory, replacement) = scene(&["trash"]);
        settle(&replacement).unwrap();
        assert_eq!(names(&directory), ["v.avi"]);
    }

    #[test]
    fn an_original_whose_result_is_in_place_stays_in_the_trash() {
        let (directory, replacement) = scene(&["trash", "v.mkv"]);
        settle(&replacement).unwrap();
        assert_eq!(names(&directory), ["trash", "v.mkv"]);
    }

    #[test]
    fn a_link_in_the_trash_goes_while_the_original_is_in_place() {
        let (directory, replacement) = scene(&["v.avi"]);
        fs::hard_link(&replacement.original, &replacement.trash).unwrap();
        settle(&replacement).unwrap();
        assert_eq!(names(&directory), ["v.avi"]);
    }

    #[test]
    fn an_original_beside_its_result_goes() {
        let (directory, replacement) = scene(&["v.avi", "v.mkv"]);
        fs::hard_link(&replacement.original, &replacement.trash).unwrap();
        settle(&replacement).unwrap();
        assert_eq!(names(&directory), ["trash", "v.mkv"]);
    }

    #[test]
    fn an_original_beside_a_file_that_is_not_its_result_stays() {
        let (directory, mut replacement) = scene(&["v.avi", "v.mkv"]);
        replacement.result_inode += 1;
        fs::hard_link(&replacement.original, &replacement.trash).unwrap();
        settle(&replacement).unwrap();
        assert_eq!(names(&directory), ["v.avi", "v.mkv"]);
    }

    #[test]
    fn a_place_that_was_taken_in_one_step_is_left_alone() {
        let (directory, mut replacement) = scene(&["trash", "v.avi"]);
        replacement.place = replacement.original.clone();
        settle(&replacement).unwrap();
        assert_eq!(names(&directory), ["trash", "v.avi"]);
    }

    #[test]
    fn what_is_on_a_disk_that_is_not_there_is_left_for_later() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("state")).unwrap();
        let mount = directory.path().join("mount");
        let traces = Traces { temporary: vec![mount.join("half")], ..Traces::default() };
        state.note("t", &traces).unwrap();
        fs::write(directory.path().join("state/tasks/odd.json"), "no note").unwrap();
        let leftovers = Leftovers::recover(&state).unwrap();
        assert_eq!(state.left_behind().unwrap(), [("t".to_owned(), traces)]);
        fs::create_dir(&mount).unwrap();
        fs::write(mount.join("half"), "half").unwrap();
        assert_eq!(leftovers.retry(&state), []);
        assert_eq!((state.left_behind().unwrap(), mount.join("half").exists()), (Vec::new(), false));
    }

    #[test]
    fn leftovers_go_with_what_still_writes_them() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("state")).unwrap();
        let file = directory.path().join(".steward-t.tmp.mkv");
        fs::write(&file, "half").unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo ready; read line; exit 0", "sh"]).arg(file_argument(&file));
        let mut writer = command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).spawn().unwrap();
        let mut ready = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(writer.stdout.take().unwrap()), &mut ready).unwrap();
        let traces = Traces { temporary: vec![file.clone(), directory.path().join("never made")], ..Traces::default() };
        state.note("t", &traces).unwrap();
        Leftovers::recover(&state).unwrap();
        assert!(!file.exists());
        assert!(!writer.wait().unwrap().success());
        assert_eq!(state.left_behind().unwrap(), []);
    }
}
