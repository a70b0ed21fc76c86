//! The table that people read.

use crate::lists::Page;
use crate::load::Measured;

/// What another program did.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) pairs_per_second: f64,
    /// In milliseconds: the average, or the median.
    pub(crate) latency: Option<f64>,
    pub(crate) note: &'static str,
}

/// All that was measured.
#[derive(Debug)]
pub(crate) struct Table {
    videos: u32,
    /// Videos a second, and bytes before and after.
    filled: Option<(f64, u64, u64)>,
    pairs: Vec<(&'static str, Measured)>,
    heartbeats: Vec<String>,
    pages: Vec<Page>,
    peers: Vec<Peer>,
    at_the_end: Option<u64>,
}

impl Table {
    pub(crate) fn new(videos: u32) -> Self {
        let (pairs, heartbeats, pages, peers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Table { videos, filled: None, pairs, heartbeats, pages, peers, at_the_end: None }
    }

    pub(crate) fn fill(&mut self, videos_per_second: f64, before: u64, after: u64) {
        self.filled = Some((videos_per_second, before, after));
    }

    pub(crate) fn pairs(&mut self, name: &'static str, measured: Measured) {
        self.pairs.push((name, measured));
    }

    pub(crate) fn heartbeats(&mut self, name: &str, measured: &Measured) {
        self.heartbeats.push(row(name, measured));
    }

    pub(crate) fn page(&mut self, page: Page) {
        self.pages.push(page);
    }

    pub(crate) fn peer(&mut self, peer: Peer) {
        self.peers.push(peer);
    }

    pub(crate) fn end(&mut self, resident_bytes: u64) {
        self.at_the_end = Some(resident_bytes);
    }

    pub(crate) fn print(&self) {
        self.print_memory();
        self.print_pairs();
        if !self.heartbeats.is_empty() {
            println!("\n{:<44}{:>10}{:>10}{:>10}", "heartbeats", "/s", "p50 ms", "p99 ms");
            self.heartbeats.iter().for_each(|row| println!("{row}"));
        }
        self.print_pages();
    }

    fn print_memory(&self) {
        let Some((rate, before, after)) = self.filled else { return };
        println!("\n{} videos, {rate:.0}/s made known", self.videos);
        let each = mib(after.saturating_sub(before)) * 1024.0 / f64::from(self.videos);
        println!("  RSS {:.0} MiB before, {:.0} MiB after: {each:.2} KiB a video (goal: 1.5)", mib(before), mib(after));
        if let Some(end) = self.at_the_end {
            println!("  RSS {:.0} MiB at the end, with all tasks and logs", mib(end));
        }
    }

    /// Claims and completions, and how many times those of each peer they are.
    fn print_pairs(&self) {
        if self.pairs.is_empty() && self.peers.is_empty() {
            return;
        }
        print!("\n{:<44}{:>10}{:>10}{:>10}", "claim + complete", "pairs/s", "p50 ms", "p99 ms");
        self.peers.iter().for_each(|peer| print!("{:>16}", format!("× {}", peer.name)));
        println!();
        for (name, measured) in &self.pairs {
            print!("{}", row(name, measured));
            for peer in &self.peers {
                print!("{:>16.2}", measured.per_second() / peer.pairs_per_second);
            }
            println!();
        }
        for peer in &self.peers {
            let latency = peer.latency.map_or_else(String::new, |latency| format!("{latency:.2}"));
            println!("  {:<42}{:>10.0}{latency:>10}", format!("{} ({})", peer.name, peer.note), peer.pairs_per_second);
        }
        if !self.pairs.is_empty() && self.peers.iter().any(|peer| peer.name == "PostgreSQL") {
            println!("  goal: 3 × PostgreSQL");
        }
    }

    fn print_pages(&self) {
        let Some(slowest) = self.pages.iter().map(|page| page.measured.percentile(99)).reduce(f64::max) else { return };
        println!("\n{:<44}{:>10}{:>10}{:>10}", "pages of 20 rows", "/s", "p50 ms", "p99 ms");
        self.pages.iter().for_each(|page| println!("{}", row(&page.what, &page.measured)));
        println!("  the slowest p99: {slowest:.1} ms (goal: 50)");
    }
}

fn row(name: &str, measured: &Measured) -> String {
    let rate = measured.per_second();
    format!("  {name:<42}{rate:>10.0}{:>10.2}{:>10.2}", measured.percentile(50), measured.percentile(99))
}

#[expect(clippy::cast_precision_loss, reason = "fewer bytes than 2^52")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
