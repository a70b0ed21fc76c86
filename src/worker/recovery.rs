//! Puts right what a worker that died has left behind. All of it blocks.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process_group};
use tracing::{info, warn};

use super::profile::file_argument;
use super::state::{Replacement, State, Traces};

/// Ends what still runs, brings originals back that have lost their place, and removes files that are worth nothing.
pub(super) fn recover(state: &State) -> io::Result<()> {
    for (task_id, traces) in state.left_behind()? {
        if !is_reachable(&traces) {
            warn!(task = %task_id, "cannot clean up after a task: its disk is not there; left for the next start");
            continue;
        }
        clear(&traces)?;
        state.forget(&task_id)?;
        info!(task = %task_id, "cleaned up after a task of an earlier worker");
    }
    Ok(())
}

/// Does that for one task, whether it is of a worker that died or has just ended.
pub(super) fn clear(traces: &Traces) -> io::Result<()> {
    if let Some(replacement) = &traces.replacement {
        settle(replacement)?;
    }
    for file in &traces.temporary {
        end_writers(file);
        match fs::remove_file(file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(io::Error::new(error.kind(), format!("cannot remove {}: {error}", file.display())));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether the directories are there: what is not seen on a disk that is not mounted is not gone.
fn is_reachable(traces: &Traces) -> bool {
    let originals = traces.replacement.iter().map(|replacement| &replacement.original);
    let mut directories = traces.temporary.iter().chain(originals).filter_map(|file| file.parent());
    directories.all(Path::is_dir)
}

fn settle(Replacement { original, trash, place, result_inode }: &Replacement) -> io::Result<()> {
    let Ok(in_trash) = trash.symlink_metadata() else { return Ok(()) };
    let is_placed = place.symlink_metadata().is_ok_and(|metadata| metadata.ino() == *result_inode);
    match original.symlink_metadata() {
        Ok(now) if (now.dev(), now.ino()) != (in_trash.dev(), in_trash.ino()) => Ok(()),
        Ok(_) => fs::remove_file(if is_placed { original } else { trash }),
        Err(_) if is_placed => Ok(()),
        Err(_) => {
            warn!(video = %original.display(), "brought back from the trash: its result was not in place yet");
            fs::rename(trash, original)
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
    use std::path::PathBuf;
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
        let traces = Traces { temporary: vec![PathBuf::from("/nowhere/at/all")], replacement: None };
        state.note("t", &traces).unwrap();
        recover(&state).unwrap();
        assert_eq!(state.left_behind().unwrap(), [("t".to_owned(), traces)]);
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
        let traces = Traces { temporary: vec![file.clone(), directory.path().join("never made")], replacement: None };
        state.note("t", &traces).unwrap();
        recover(&state).unwrap();
        assert!(!file.exists());
        assert!(!writer.wait().unwrap().success());
        assert_eq!(state.left_behind().unwrap(), []);
    }
}
