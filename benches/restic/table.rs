//! The table that people read.

use crate::server::{Kind, Server};

/// What is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// A measure of all servers.
#[derive(Debug)]
struct Line {
    what: String,
    better: Better,
    /// In the order of the servers; none where it could not be measured.
    values: Vec<Option<f64>>,
}

/// All measures.
#[derive(Debug)]
pub(crate) struct Table {
    servers: Vec<Kind>,
    lines: Vec<Line>,
}

impl Table {
    pub(crate) fn of(servers: &[Server]) -> Self {
        Table { servers: servers.iter().map(|server| server.kind).collect(), lines: Vec::new() }
    }

    pub(crate) fn add(&mut self, what: &str, better: Better, values: Vec<Option<f64>>) {
        self.lines.push(Line { what: what.to_owned(), better, values });
    }

    pub(crate) fn print(&self, place: &str) {
        print!("\n{place:<52}");
        for kind in &self.servers {
            print!("{:>14}", kind.name());
        }
        println!("{:>18}", "× rest-server");
        for line in &self.lines {
            print!("  {:<50}", line.what);
            for value in &line.values {
                print!("{:>14}", shown(*value));
            }
            println!("{:>18}", self.ratio(line));
        }
        println!("× rest-server: Steward's figure over rest-server's; (+) is better, (-) is worse than it");
    }

    fn ratio(&self, line: &Line) -> String {
        let of = |kind: Kind| {
            let place = self.servers.iter().position(|server| *server == kind)?;
            line.values[place]
        };
        let (Some(ours), Some(theirs)) = (of(Kind::Steward), of(Kind::RestServer)) else { return String::new() };
        let is_better = if line.better == Better::More { ours >= theirs } else { ours <= theirs };
        format!("{:.2} {}", ours / theirs, if is_better { "(+)" } else { "(-)" })
    }
}

fn shown(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.3}"),
    }
}
