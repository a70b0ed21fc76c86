//! What comes of comparing sides.

use std::ops::AddAssign;
use std::time::Duration;

use crate::sides::{Side, Sides};

/// With fewer samples no bounds are told.
const FEWEST: usize = 6;

/// What a side did in a turn, or in several of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) units: u32,
    pub(crate) time: Duration,
    /// Of the server.
    pub(crate) cpu: Duration,
}

impl AddAssign for Sample {
    fn add_assign(&mut self, other: Self) {
        self.units += other.units;
        self.time += other.time;
        self.cpu += other.cpu;
    }
}

impl Sample {
    /// Units a second.
    fn rate(&self) -> f64 {
        f64::from(self.units) / self.time.as_secs_f64()
    }

    /// Microseconds of the server for one unit.
    fn cpu_each(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / f64::from(self.units)
    }
}

/// What all sides did: of each as many samples, those of one number at about the same time.
pub(crate) struct Comparison {
    pub(crate) what: String,
    unit: &'static str,
    rows: Vec<Row>,
}

/// One side.
struct Row {
    name: &'static str,
    is_yardstick: bool,
    samples: Vec<Sample>,
}

impl Comparison {
    pub(crate) fn new(what: String, unit: &'static str) -> Self {
        Comparison { what, unit, rows: Vec::new() }
    }

    /// Adds one sample of each side.
    pub(crate) fn add(&mut self, sides: &Sides, samples: Vec<Sample>) {
        if self.rows.is_empty() {
            let row = |side: &Side| Row { name: side.name, is_yardstick: side.is_yardstick, samples: Vec::new() };
            self.rows = sides.list.iter().map(row).collect();
        }
        for (row, sample) in self.rows.iter_mut().zip(samples) {
            row.samples.push(sample);
        }
    }

    /// Prints what came of it: medians, and the medians of the ratios to the sides without users. Each of these is
    /// compared with the others of them alone.
    pub(crate) fn print(&self) {
        println!("\n{}", self.what);
        println!(
            "  {:<24}{:>14}{:>12}{:>18}{:>16}{:>12}{:>18}",
            "",
            format!("{}/s", self.unit),
            "× no users",
            "(95 % between)",
            "CPU µs each",
            "× no users",
            "(95 % between)",
        );
        for (index, row) in self.rows.iter().enumerate() {
            let rate = self.shown(index, Sample::rate);
            let cpu = self.shown(index, Sample::cpu_each);
            println!(
                "  {:<24}{:>14.1}{rate}{:>16.1}{cpu}",
                row.name,
                row.median(Sample::rate),
                row.median(Sample::cpu_each)
            );
        }
    }

    /// How the values of a row are to those of the yardsticks.
    fn shown(&self, index: usize, value: fn(&Sample) -> f64) -> String {
        let own = &self.rows[index].samples;
        let others: Vec<&Row> = self
            .rows
            .iter()
            .enumerate()
            .filter(|(at, row)| row.is_yardstick && *at != index)
            .map(|(_, row)| row)
            .collect();
        let ratio = |(number, sample): (usize, &Sample)| {
            // Together: one of them alone has the luck of its moment.
            let all: f64 = others.iter().map(|row| value(&row.samples[number])).sum();
            value(sample) * precise(others.len()) / all.max(f64::MIN_POSITIVE)
        };
        let ratios = sorted(own.iter().enumerate().map(ratio));
        let between = bounds(&ratios).map_or_else(|| "-".to_owned(), |(low, high)| format!("{low:.3} to {high:.3}"));
        format!("{:>12.3}{between:>18}", median(&ratios))
    }
}

impl Row {
    fn median(&self, value: fn(&Sample) -> f64) -> f64 {
        median(&sorted(self.samples.iter().map(value)))
    }
}

/// In which order so many sides have their turns of a round: each is first at some time, and none always behind the same.
pub(crate) fn order(sides: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..sides).map(move |place| {
        let place = if round.is_multiple_of(2) { place } else { sides - 1 - place };
        (place + round / 2) % sides
    })
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    f64::midpoint(sorted[last / 2], sorted[last.div_ceil(2)])
}

/// Between which two of the values the median of many more samples is, 95 times of 100: as many of them are below it as
/// heads come of that many tosses of a coin, whatever the values are distributed like.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few samples")]
fn bounds(sorted: &[f64]) -> Option<(f64, f64)> {
    let count = precise(sorted.len());
    let below = (count / 2.0 - 1.96 * count.sqrt() / 2.0).floor() as usize;
    let low = below.saturating_sub(1);
    (sorted.len() >= FEWEST).then(|| (sorted[low], sorted[sorted.len() - 1 - low]))
}

#[expect(clippy::cast_precision_loss, reason = "few of them")]
fn precise(count: usize) -> f64 {
    count as f64
}
