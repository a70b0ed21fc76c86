//! What ffmpeg says with `-progress`, and what it means.

use std::time::Duration;

/// Longer lines are not ffmpeg's.
const LINE_BYTES: usize = 1024;
/// The last hundredth is for what comes after the encoding.
const ENCODED: f64 = 99.0;

/// How far ffmpeg is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Snapshot {
    /// Seconds of the result so far.
    pub(super) out_time: f64,
    /// Frames a second.
    pub(super) fps: f64,
    /// Times real time; 0: unknown.
    pub(super) speed: f64,
    /// Bytes of the result so far.
    pub(super) bytes: i64,
}

/// Reads the stream of `key=value` lines; a line `progress=…` ends a block.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    block: Snapshot,
}

impl Parser {
    /// Takes some bytes of the stream. Returns the newest whole block among them.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<Snapshot> {
        let mut newest = None;
        for byte in bytes {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                newest = self.take_line(&String::from_utf8_lossy(&line)).or(newest);
            } else if self.line.len() < LINE_BYTES {
                self.line.push(*byte);
            }
        }
        newest
    }

    fn take_line(&mut self, line: &str) -> Option<Snapshot> {
        let (key, value) = line.split_once('=')?;
        let value = value.trim();
        match key.trim() {
            "fps" => read(value, &mut self.block.fps),
            "speed" => read(value.trim_end_matches('x'), &mut self.block.speed),
            "total_size" => self.block.bytes = value.parse().unwrap_or(self.block.bytes),
            "out_time_us" => {
                let mut micros = self.block.out_time * 1e6;
                read(value, &mut micros);
                self.block.out_time = micros / 1e6;
            }
            "progress" => return Some(self.block),
            // ffmpeg has more to tell than is asked for.
            _ => {}
        }
        None
    }
}

/// Keeps the number that was there when `N/A` or a time before the beginning is told.
fn read(text: &str, number: &mut f64) {
    if let Some(value) = text.parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0) {
        *number = value;
    }
}

impl Snapshot {
    /// How much of a video of `duration` seconds is encoded, in hundredths; 0 when that is unknown.
    pub(super) fn percent(&self, duration: f64) -> f64 {
        if duration > 0.0 { (self.out_time / duration).clamp(0.0, 1.0) * ENCODED } else { 0.0 }
    }

    /// How long the rest takes: by the speed, or else by what the part that is done took.
    pub(super) fn remaining(&self, duration: f64, elapsed: Duration) -> Option<Duration> {
        if duration <= 0.0 || self.out_time <= 0.0 {
            return None;
        }
        let rest = (duration - self.out_time).max(0.0);
        let speed = if self.speed > 0.0 { self.speed } else { self.out_time / elapsed.as_secs_f64() };
        Duration::try_from_secs_f64(rest / speed).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = "frame=50\nfps=24.50\nstream_0_0_q=28.0\nbitrate= 100.0kbits/s\ntotal_size=4096\n\
                         out_time_us=2000000\nout_time_ms=2000000\nout_time=00:00:02.000000\ndup_frames=0\n\
                         drop_frames=0\nspeed=0.5x\nprogress=continue\n";

    #[test]
    fn a_block_is_read_whatever_its_pieces() {
        let expected = Snapshot { out_time: 2.0, fps: 24.5, speed: 0.5, bytes: 4096 };
        for size in [1, 7, 1000] {
            let mut parser = Parser::default();
            let blocks: Vec<_> = BLOCK.as_bytes().chunks(size).filter_map(|piece| parser.push(piece)).collect();
            assert_eq!(blocks, [expected]);
        }
    }

    #[test]
    fn what_is_not_known_yet_leaves_what_was_known() {
        let mut parser = Parser::default();
        let early = "fps=0.00\ntotal_size=N/A\nout_time_us=-9223372036854775808\nspeed=N/A\nprogress=continue\n";
        assert_eq!(parser.push(early.as_bytes()), Some(Snapshot::default()));
        parser.push(BLOCK.as_bytes());
        let later = "out_time_us=N/A\nspeed= N/A\nprogress=end\n";
        let known = Snapshot { out_time: 2.0, fps: 24.5, speed: 0.5, bytes: 4096 };
        assert_eq!(parser.push(later.as_bytes()), Some(known));
    }

    #[test]
    fn nonsense_is_passed_over_and_takes_no_memory() {
        let mut parser = Parser::default();
        assert_eq!(parser.push(&vec![b'x'; 10 * LINE_BYTES]), None);
        assert!(parser.line.len() <= LINE_BYTES);
        assert_eq!(parser.push(b"\n=\n\xff=\xff\nfps=inf\nprogress=end\n"), Some(Snapshot::default()));
    }

    #[test]
    fn percent_leaves_room_for_what_follows() {
        let snapshot = Snapshot { out_time: 5.0, ..Snapshot::default() };
        assert!((snapshot.percent(10.0) - 49.5).abs() < 1e-9);
        assert!((snapshot.percent(1.0) - ENCODED).abs() < 1e-9);
        assert!(snapshot.percent(0.0).abs() < 1e-9);
    }

    #[test]
    fn the_rest_is_told_by_speed_or_by_what_was_done() {
        let snapshot = Snapshot { out_time: 20.0, speed: 2.0, ..Snapshot::default() };
        assert_eq!(snapshot.remaining(100.0, Duration::from_secs(99)), Some(Duration::from_secs(40)));
        let silent = Snapshot { speed: 0.0, ..snapshot };
        assert_eq!(silent.remaining(100.0, Duration::from_secs(10)), Some(Duration::from_secs(40)));
        assert_eq!(silent.remaining(100.0, Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(silent.remaining(0.0, Duration::from_secs(10)), None);
        assert_eq!(Snapshot::default().remaining(100.0, Duration::from_secs(10)), None);
    }
}
