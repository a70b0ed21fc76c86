//! Small films, made by ffmpeg.

use std::path::Path;

use tokio::process::Command;

use crate::common::program;
use crate::common::wait::within;

/// ffmpeg and ffprobe, where they can be had.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Studio;

impl Studio {
    /// `None` when the machine has no ffmpeg: then the test is skipped.
    pub(crate) fn open(needed_by: &str) -> Option<Self> {
        program::find("ffmpeg", needed_by).map(|_| Studio)
    }

    /// H.264 at so high a bitrate that every encoder makes it smaller.
    pub(crate) async fn h264(self, path: &Path, seconds: u32) {
        self.film(path, seconds, "128x72", &["-c:v", "libx264", "-preset", "ultrafast", "-crf", "4"]).await;
    }

    /// H.264 that keeps an encoder busy for a while.
    pub(crate) async fn long_h264(self, path: &Path) {
        self.film(path, 40, "320x180", &["-c:v", "libx264", "-preset", "ultrafast", "-crf", "12"]).await;
    }

    /// HEVC at a bitrate that is low enough.
    pub(crate) async fn hevc(self, path: &Path) {
        let encoder = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error"];
        self.film(path, 2, "128x72", &encoder).await;
    }

    /// A film that says what it is and has nothing in it that could be decoded.
    pub(crate) async fn broken(self, path: &Path) {
        self.h264(path, 2).await;
        let mut bytes = std::fs::read(path).expect("the film can be read");
        let name = bytes.windows(4).position(|four| four == b"mdat").expect("the film has data");
        // Behind the name of the box; its index stands before it.
        bytes[name + 4..].fill(0xFF);
        std::fs::write(path, bytes).expect("the film can be spoilt");
    }

    async fn film(self, path: &Path, seconds: u32, size: &str, encoder: &[&str]) {
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        let source = format!("testsrc2=size={size}:rate=25:duration={seconds}");
        let sound = format!("sine=duration={seconds}");
        let mut command = program("ffmpeg");
        command.args(["-y", "-v", "error", "-f", "lavfi", "-i", &source, "-f", "lavfi", "-i", &sound]);
        command.args(encoder).args(["-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart"]).arg(path);
        let output = within("ffmpeg ends", command.output()).await.expect("ffmpeg can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The codec of the picture of a file, as ffprobe names it.
    pub(crate) async fn codec(self, path: &Path) -> String {
        let mut command = program("ffprobe");
        command.args(["-v", "error", "-select_streams", "v:0", "-show_entries", "stream=codec_name"]);
        command.args(["-of", "csv=p=0"]).arg(path);
        let output = within("ffprobe ends", command.output()).await.expect("ffprobe can be started");
        String::from_utf8(output.stdout).expect("UTF-8").trim().trim_end_matches(',').to_owned()
    }
}

fn program(name: &str) -> Command {
    let path = program::find(name, "a film").expect("it was there before");
    let mut command = Command::new(path);
    command.kill_on_drop(true);
    command
}

#[tokio::test]
async fn the_films_are_what_the_tests_take_them_for() {
    let Some(studio) = Studio::open("clips") else { return };
    let home = crate::common::temporary::directory();
    let [film, long, hevc, broken] = ["a.mp4", "long.mp4", "hevc.mkv", "broken.mp4"].map(|name| home.path().join(name));
    studio.h264(&film, 2).await;
    studio.long_h264(&long).await;
    studio.hevc(&hevc).await;
    studio.broken(&broken).await;
    let codecs = [studio.codec(&film).await, studio.codec(&long).await, studio.codec(&hevc).await];
    assert_eq!(codecs, ["h264", "h264", "hevc"]);
    assert_eq!(studio.codec(&broken).await, "h264", "it can be probed");
    let mut command = program("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(&broken).args(["-c:v", "libx265", "-f", "null", "-"]);
    let output = within("ffmpeg ends", command.output()).await.expect("ffmpeg can be started");
    assert!(!output.status.success(), "and not decoded");
    let bytes = |path: &Path| std::fs::metadata(path).expect("the film").len();
    assert!(bytes(&long) > 2 << 20, "{} bytes in more than one chunk", bytes(&long));
}
