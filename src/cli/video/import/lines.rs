//! The lines of a file, in batches that fit into a request.

use std::io::{self, BufRead, Read as _};
use std::mem;

use steward_proto::transcode::v1 as pb;

use super::json;
use crate::cli::console::printable;

const LARGEST_BATCH: usize = 500;
// Well below what a message may have.
const MOST_BYTES: u64 = 1 << 20;
const LONGEST_LINE: u64 = 64 << 10;

/// What was found in a file.
#[derive(Debug)]
pub(super) enum Found {
    Batch(Batch),
    Wrong {
        line: u64,
        problem: String,
    },
    /// The file cannot be read to its end.
    Broken {
        line: u64,
        cause: io::Error,
    },
}

/// Videos that are sent together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) lines: Vec<Line>,
    /// How many bytes of the file it stands for.
    pub(super) bytes: u64,
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) video: pb::Video,
}

impl Line {
    /// The first part of the video's path.
    pub(super) fn library(&self) -> &str {
        self.video.video_path.split('/').next().unwrap_or_default()
    }
}

/// Hands on what is in `source`, until its end or until `take` wants no more.
pub(super) fn read(mut source: impl BufRead, mut take: impl FnMut(Found) -> bool) {
    let mut batch = Batch::default();
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let bytes = match next_line(&mut source, &mut text) {
            Ok(0) => break,
            Ok(bytes) => bytes,
            Err(cause) => {
                // What came before is good.
                if take(Found::Batch(batch)) {
                    take(Found::Broken { line, cause });
                }
                return;
            }
        };
        batch.bytes += bytes;
        let goes_on = match parse(&text) {
            Ok(None) => true,
            Ok(Some(video)) => {
                batch.lines.push(Line { number: line, video });
                let is_full = batch.lines.len() == LARGEST_BATCH || batch.bytes >= MOST_BYTES;
                !is_full || take(Found::Batch(mem::take(&mut batch)))
            }
            Err(problem) => take(Found::Wrong { line, problem }),
        };
        if !goes_on {
            return;
        }
    }
    take(Found::Batch(batch));
}

/// Reads a line; of one that is too long only so much that it is seen to be. Returns its length in the file.
fn next_line(source: &mut impl BufRead, text: &mut Vec<u8>) -> io::Result<u64> {
    let mut bytes = source.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', text)? as u64;
    if bytes > LONGEST_LINE && !text.ends_with(b"\n") {
        bytes += source.skip_until(b'\n')? as u64;
    }
    Ok(bytes)
}

/// The video in a line; nothing in an empty one.
fn parse(text: &[u8]) -> Result<Option<pb::Video>, String> {
    if text.len() as u64 > LONGEST_LINE {
        return Err(format!("longer than {LONGEST_LINE} bytes"));
    }
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    let video: json::Video = serde_json::from_slice(text).map_err(|error| {
        // The line in the line is always the first.
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        format!("{} at column {}", printable(message), error.column())
    })?;
    video.into_registration().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &[u8]) -> Vec<Found> {
        let mut all = Vec::new();
        read(text, |found| {
            all.push(found);
            true
        });
        all
    }

    fn problem_of(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn batches_are_bounded_and_end_with_the_file() {
        let lines: Vec<_> = (0..1203).map(|id| format!("{{\"video_path\": \"films/{id}.mkv\"}}\n\n")).collect();
        let sizes: Vec<_> = found(lines.concat().as_bytes())
            .iter()
            .map(|found| match found {
                Found::Batch(batch) => batch.lines.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(sizes, [500, 500, 203]);
    }

    #[test]
    fn a_wrong_line_is_named_and_the_others_are_kept() {
        let text = b"{\"video_path\": \"a/1\"}\nnonsense\n\n{\"video_path\": \"a/4\"}";
        let all = found(text);
        assert!(matches!(&all[0], Found::Wrong { line: 2, .. }), "{all:?}");
        let Found::Batch(batch) = &all[1] else { panic!("{all:?}") };
        assert_eq!(batch.lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 4]);
    }

    #[test]
    fn a_line_without_end_is_not_kept_in_memory() {
        let mut text = vec![b'a'; 3 << 20];
        text.extend(b"\n{\"video_path\": \"a/2\"}\n");
        let all = found(&text);
        assert!(matches!(&all[0], Found::Wrong { line: 1, problem } if problem.contains("longer")), "{all:?}");
        assert!(matches!(&all[1], Found::Batch(batch) if batch.lines[0].number == 2), "{all:?}");
    }

    #[test]
    fn problems_say_which_field() {
        assert_eq!(problem_of("{}"), "video_path is missing");
        assert!(problem_of(r#"{"video_path": "a", "colour": 1}"#).starts_with("unknown field `colour`"));
        assert!(problem_of(r#"{"video_path": "a", "fps": "x"}"#).contains("invalid type"));
        assert!(
            problem_of(r#"{"video_path": "a", "transcode_status": "x"}"#).starts_with("transcode_status: it is one of")
        );
        assert!(problem_of(r#"{"video_path": "a", "modify_time": "x"}"#).starts_with("modify_time is no time"));
    }

    #[test]
    fn what_another_master_worked_on_waits() {
        let video = parse(br#"{"video_path": "a", "id": 7, "transcode_status": "transcoding"}"#).unwrap().unwrap();
        assert_eq!((video.transcode_status(), video.id), (pb::VideoStatus::Waiting, 0));
    }
}
