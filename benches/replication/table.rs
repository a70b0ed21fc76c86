//! The table that people read.

/// A figure of both, and what is aimed for.
pub(crate) struct Row {
    what: String,
    steward: f64,
    peer: f64,
    /// How many times better Steward is.
    ratio: f64,
    goal: Option<f64>,
    /// The most that Steward's own figure may be.
    limit: Option<f64>,
}

impl Row {
    /// More is better.
    pub(crate) fn more(what: &str, steward: f64, peer: f64, goal: Option<f64>) -> Self {
        Row { what: what.to_owned(), steward, peer, ratio: steward / peer, goal, limit: None }
    }

    /// Less is better.
    pub(crate) fn less(what: &str, steward: f64, peer: f64, goal: Option<f64>) -> Self {
        Row { what: what.to_owned(), steward, peer, ratio: peer / steward, goal, limit: None }
    }

    /// Only Steward's own figure counts, up to a limit.
    pub(crate) fn alone(what: &str, steward: f64, peer: f64, limit: f64) -> Self {
        Row { what: what.to_owned(), steward, peer, ratio: peer / steward, goal: None, limit: Some(limit) }
    }
}

/// All that was measured.
#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    pub(crate) fn add(&mut self, row: Row) {
        self.0.push(row);
    }

    pub(crate) fn print(&self) {
        println!("\n{:<44}{:>12}{:>12}{:>10}{:>14}", "", "steward", "peer", "× better", "goal");
        for row in &self.0 {
            let Row { what, steward, peer, ratio, goal, limit } = row;
            let mark = |is_reached| if is_reached { "(+)" } else { "(-)" };
            let goal = match (goal, limit) {
                (Some(goal), _) => format!("≥ {goal} {}", mark(ratio >= goal)),
                (None, Some(limit)) => format!("≤ {limit} {}", mark(steward <= limit)),
                (None, None) => String::new(),
            };
            println!("{what:<44}{steward:>12.2}{peer:>12.2}{ratio:>10.2}{goal:>14}");
        }
    }
}
