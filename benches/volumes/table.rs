//! The table that people read.

/// The servers, in the order of the columns.
const SERVERS: [&str; 3] = ["steward", "raw", "qcow2"];

/// What is compared with what, and what is aimed for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// At least so many times qemu-nbd's with a raw file.
    OfRaw(f64),
    /// At most so many times that.
    AtMostOfRaw(f64),
    /// At least so many times qemu-nbd's with a qcow2 file.
    OfQcow2(f64),
    /// Only to be looked at.
    None,
}

struct Row {
    what: String,
    values: [Option<f64>; 3],
    target: Target,
}

/// All that was measured.
pub(crate) struct Table {
    engine: &'static str,
    rows: Vec<Row>,
    /// What has no peer: what it is, its value and unit, and the goal.
    alone: Vec<String>,
}

/// The one in the middle, if there is any.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// So many per cent of the values are at most this.
pub(crate) fn percentile(mut values: Vec<f64>, percent: usize) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get((values.len() * percent / 100).min(values.len().checked_sub(1)?)).copied()
}

impl Table {
    pub(crate) fn new(engine: &'static str) -> Self {
        Table { engine, rows: Vec::new(), alone: Vec::new() }
    }

    pub(crate) fn add(&mut self, what: &str, values: [Option<f64>; 3], target: Target) {
        self.rows.push(Row { what: what.to_owned(), values, target });
    }

    /// A figure that is aimed at, without a peer.
    pub(crate) fn say(&mut self, what: &str, value: f64, unit: &str, goal: &str, is_reached: bool) {
        let mark = if is_reached { "(+)" } else { "(-)" };
        self.alone.push(format!("{what:<52}{:>12} {unit}; goal: {goal} {mark}", shown(Some(value))));
    }

    /// A figure without a goal.
    pub(crate) fn note(&mut self, what: &str, value: f64, unit: &str) {
        self.alone.push(format!("{what:<52}{:>12} {unit}", shown(Some(value))));
    }

    pub(crate) fn print(&self) {
        print!("\n{:<52}", format!("qemu-nbd with {}", self.engine));
        for server in SERVERS {
            print!("{server:>12}");
        }
        println!("{:>10}{:>10}{:>14}", "× raw", "× qcow2", "goal");
        for row in &self.rows {
            print!("{:<52}", row.what);
            row.values.iter().for_each(|value| print!("{:>12}", shown(*value)));
            let [ratio_of_raw, ratio_of_qcow2] = [1, 2].map(|peer| Some(row.values[0]? / row.values[peer]?));
            print!("{:>10}{:>10}", two(ratio_of_raw), two(ratio_of_qcow2));
            println!("{:>14}", goal(row.target, ratio_of_raw, ratio_of_qcow2));
        }
        self.alone.iter().for_each(|line| println!("{line}"));
    }
}

fn goal(target: Target, of_raw: Option<f64>, of_qcow2: Option<f64>) -> String {
    let (sign, goal, ratio) = match target {
        Target::OfRaw(goal) => ("≥", goal, of_raw),
        Target::AtMostOfRaw(goal) => ("≤", goal, of_raw),
        Target::OfQcow2(goal) => ("≥", goal, of_qcow2),
        Target::None => return String::new(),
    };
    let Some(ratio) = ratio else { return format!("{sign} {goal}") };
    let is_reached = if sign == "≥" { ratio >= goal } else { ratio <= goal };
    format!("{sign} {goal} {}", if is_reached { "(+)" } else { "(-)" })
}

fn two(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))
}

fn shown(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.2}"),
    }
}
