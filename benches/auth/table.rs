//! Turns, and what comes of comparing them.

use std::time::Duration;

use crate::sides::{Side, Sides};

/// What a side did in one turn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Turn {
    /// How many of the units a second.
    pub(crate) rate: f64,
    /// Of the server, for one unit.
    pub(crate) cpu: Duration,
}

/// What sides did, turn by turn of all of them.
pub(crate) struct Comparison {
    pub(crate) what: String,
    unit: &'static str,
    rows: Vec<Row>,
}

/// One side.
struct Row {
    name: &'static str,
    is_yardstick: bool,
    turns: Vec<Turn>,
}

impl Comparison {
    pub(crate) fn new(what: String, unit: &'static str) -> Self {
        Comparison { what, unit, rows: Vec::new() }
    }

    /// Adds one turn of each side.
    pub(crate) fn add(&mut self, sides: &Sides, turns: Vec<Turn>) {
        if self.rows.is_empty() {
            let row = |side: &Side| Row { name: side.name, is_yardstick: side.is_yardstick, turns: Vec::new() };
            self.rows = sides.list.iter().map(row).collect();
        }
        for (row, turn) in self.rows.iter_mut().zip(turns) {
            row.turns.push(turn);
        }
    }

    /// Prints what came of it.
    pub(crate) fn print(&self) {
        println!("\n{}", self.what);
        println!(
            "  {:<24}{:>14}{:>12}{:>18}{:>16}{:>12}",
            "",
            format!("{}/s", self.unit),
            "× no users",
            "(95 % between)",
            "CPU µs each",
            "× no users"
        );
        let yardstick = self.yardstick();
        for row in &self.rows {
            print_side(row.name, &row.turns, &yardstick);
        }
    }

    /// What the sides that the others are compared with did each time, together: one of them alone has the luck of its
    /// moment.
    fn yardstick(&self) -> Vec<Turn> {
        let plain: Vec<_> = self.rows.iter().filter(|row| row.is_yardstick).map(|row| &row.turns).collect();
        let sides = u32::try_from(plain.len()).unwrap_or(1);
        let count = plain.iter().map(|turns| turns.len()).min().unwrap_or(0);
        (0..count)
            .map(|turn| {
                let mut of_all = Turn { rate: 0.0, cpu: Duration::ZERO };
                for turn in plain.iter().map(|turns| turns[turn]) {
                    of_all.rate += turn.rate / f64::from(sides);
                    of_all.cpu += turn.cpu / sides;
                }
                of_all
            })
            .collect()
    }
}

/// In which order so many sides have their turns of a round: each is first at some time, and none always behind the same.
pub(crate) fn order(sides: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..sides).map(move |place| {
        let place = if round.is_multiple_of(2) { place } else { sides - 1 - place };
        (place + round / 2) % sides
    })
}

/// The medians; ratios are those of turns at one time.
fn print_side(name: &str, own: &[Turn], yardstick: &[Turn]) {
    let micros = |turn: &Turn| turn.cpu.as_secs_f64() * 1e6;
    let of = |value: fn(&Turn) -> f64| median(&sorted(own.iter().map(value)));
    let beside = |value: fn(&Turn) -> f64| {
        sorted(own.iter().zip(yardstick).map(|(own, other)| value(own) / value(other).max(f64::MIN_POSITIVE)))
    };
    let ratios = beside(|turn| turn.rate);
    let (low, high) = bounds(&ratios);
    println!(
        "  {name:<24}{:>14.1}{:>12.3}{:>18}{:>16.1}{:>12.3}",
        of(|turn| turn.rate),
        median(&ratios),
        format!("{low:.3} to {high:.3}"),
        of(micros),
        median(&beside(micros)),
    );
}

pub(crate) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

pub(crate) fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Between which two of the values the median of many more turns is, 95 times of 100: as many of them are below it as
/// heads come of that many tosses of a coin, whatever the values are distributed like.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "few turns")]
fn bounds(sorted: &[f64]) -> (f64, f64) {
    let count = sorted.len() as f64;
    let reach = 1.96 * count.sqrt() / 2.0;
    let at = |place: f64| sorted.get(place.max(0.0) as usize).or(sorted.last()).copied().unwrap_or(f64::NAN);
    (at((count / 2.0 - reach).floor()), at((count / 2.0 + reach).ceil()))
}
