//! Turns, and what comes of comparing them.

use std::time::Duration;

use crate::BoxError;
use crate::sides::{Side, Sides};

/// What a side did in one turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// How many of the units a second.
    pub(crate) rate: f64,
    /// Of the server, for one unit.
    pub(crate) cpu: Duration,
}

/// How the sides take turns.
pub(crate) struct Rounds<'a> {
    pub(crate) count: u32,
    pub(crate) sides: &'a Sides,
}

impl Rounds<'_> {
    /// Lets each side have a turn in each round, one after the other, and prints what came of it.
    pub(crate) async fn take(
        &self,
        what: &str,
        unit: &str,
        mut turn: impl AsyncFnMut(&Side, u32) -> Result<Turn, BoxError>,
    ) -> Result<(), BoxError> {
        let sides = &self.sides.all;
        let mut turns: Vec<Vec<Turn>> = sides.iter().map(|_| Vec::new()).collect();
        for round in 0..self.count {
            eprintln!("{what}: round {} of {}", round + 1, self.count);
            for place in 0..sides.len() {
                let index = (place + round as usize) % sides.len();
                let seen = turn(&sides[index], round).await?;
                turns[index].push(seen);
            }
        }
        println!("\n{what}");
        println!(
            "  {:<24}{:>14}{:>12}{:>16}{:>12}",
            "",
            format!("{unit}/s"),
            "× no users",
            "CPU µs each",
            "× no users"
        );
        let [first, ..] = &turns[..] else { return Ok(()) };
        for (side, own) in sides.iter().zip(&turns) {
            print_side(side.name, own, first);
        }
        Ok(())
    }
}

/// The medians; ratios are those of turns in one round.
fn print_side(name: &str, own: &[Turn], first: &[Turn]) {
    let micros = |turn: &Turn| turn.cpu.as_secs_f64() * 1e6;
    let of = |value: fn(&Turn) -> f64| median(own.iter().map(value).collect());
    let beside = |value: fn(&Turn) -> f64| {
        median(own.iter().zip(first).map(|(own, first)| value(own) / value(first).max(f64::MIN_POSITIVE)).collect())
    };
    println!(
        "  {name:<24}{:>14.1}{:>12.3}{:>16.1}{:>12.3}",
        of(|turn| turn.rate),
        beside(|turn| turn.rate),
        of(micros),
        beside(micros),
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
