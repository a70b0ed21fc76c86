//! What the tests of the worker have in common: real programs, and small videos.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that the tests need: what is in `.tools`, or what the system has.
pub(super) fn program(name: &str) -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/bin").join(name);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::iter::once(own).chain(std::env::split_paths(&path).map(|place| place.join(name)));
    places.find(|place| place.is_file()).unwrap_or_else(|| panic!("there is no {name}: the tests need it"))
}

/// Makes a video of `seconds` at `path`, with sound. `options` are further ones of ffmpeg.
pub(super) fn make_video(path: &Path, seconds: u32, options: &[&str]) {
    make_video_with(path, seconds, &[], options);
}

/// The same with further inputs, from the number 2 on.
pub(super) fn make_video_with(path: &Path, seconds: u32, inputs: &[&Path], options: &[&str]) {
    let picture = format!("testsrc2=size=320x240:rate=25:duration={seconds}");
    let sound = format!("sine=frequency=440:duration={seconds}");
    let mut command = Command::new(program("ffmpeg"));
    command.args(["-v", "error", "-y", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound]);
    for input in inputs {
        command.arg("-i").arg(input);
    }
    command.args(["-c:v", "libx264", "-preset", "ultrafast", "-crf", "8", "-c:a", "aac"]).args(options).arg(path);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
