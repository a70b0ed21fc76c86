//! The end of what a program said, for its failure.

const KEPT_BYTES: usize = 4096;
const TOLD_LINES: usize = 4;

/// The last bytes of a stream of any length.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if let Some(excess) = self.bytes.len().checked_sub(KEPT_BYTES).filter(|excess| *excess > 0) {
            self.bytes.drain(..excess);
            self.is_cut = true;
        }
    }

    /// The last lines that say something, in one line.
    pub(super) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        // The first line of what was kept may have lost its beginning.
        let whole = if self.is_cut { text.split_once('\n').map_or(&*text, |(_, rest)| rest) } else { &*text };
        let lines: Vec<&str> = whole.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let mut told: Vec<&str> = lines[lines.len().saturating_sub(TOLD_LINES)..].to_vec();
        told.dedup();
        told.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_are_told_each_once() {
        let mut tail = Tail::default();
        tail.push(b"one\ntwo\n\nthree\nfour\nfour\r\nfi");
        tail.push(b"ve");
        assert_eq!(tail.text(), "three; four; five");
    }

    #[test]
    fn much_output_takes_little_memory_and_tells_no_half_line() {
        let mut tail = Tail::default();
        for number in 0..10_000 {
            tail.push(format!("line {number}\n").as_bytes());
        }
        assert!(tail.bytes.len() <= KEPT_BYTES);
        assert_eq!(tail.text(), "line 9996; line 9997; line 9998; line 9999");
    }

    #[test]
    fn one_endless_line_is_told_by_its_end() {
        let mut tail = Tail::default();
        tail.push(&vec![b'x'; 3 * KEPT_BYTES]);
        assert_eq!(tail.text().len(), KEPT_BYTES);
    }
}
