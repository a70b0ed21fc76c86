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
    /// How many of the sets take part, one in each round.
    pub(crate) sets: usize,
}

impl Rounds<'_> {
    /// Lets each side have a turn in each round, one after the other, and prints what came of it.
    pub(crate) async fn take(
        &self,
        what: &str,
        unit: &str,
        mut turn: impl AsyncFnMut(&Side, u32) -> Result<Turn, BoxError>,
    ) -> Result<(), BoxError> {
        let sides = &self.sides.sets[0];
        let mut turns: Vec<Vec<Turn>> = sides.iter().map(|_| Vec::new()).collect();
        for round in 0..self.count {
            eprintln!("{what}: round {} of {}", round + 1, self.count);
            let set = &self.sides.sets[round as usize % self.sets];
            for index in order(set.len(), round as usize / self.sets) {
                let seen = turn(&set[index], round).await?;
                turns[index].push(seen);
            }
        }
        println!("\n{what}");
        println!(
            "  {:<24}{:>14}{:>12}{:>18}{:>16}{:>12}",
            "",
            format!("{unit}/s"),
            "× no users",
            "(95 % between)",
            "CPU µs each",
            "× no users"
        );
        let yardstick = self.yardstick(&turns);
        for (side, own) in sides.iter().zip(&turns) {
            print_side(side.name, own, &yardstick);
        }
        Ok(())
    }

    /// What the sides that the others are compared with did in each round, together: one of them alone has the luck of its
    /// moment.
    fn yardstick(&self, turns: &[Vec<Turn>]) -> Vec<Turn> {
        let sides = self.sides.sets[0].iter().zip(turns);
        let plain: Vec<_> = sides.filter(|(side, _)| side.is_yardstick).map(|(_, turns)| turns).collect();
        let sides = u32::try_from(plain.len()).unwrap_or(1);
        (0..self.count as usize)
            .map(|round| {
                let mut of_round = Turn { rate: 0.0, cpu: Duration::ZERO };
                for turn in plain.iter().filter_map(|turns| turns.get(round)) {
                    of_round.rate += turn.rate / f64::from(sides);
                    of_round.cpu += turn.cpu / sides;
                }
                of_round
            })
            .collect()
    }
}

/// In which order so many sides have their turns of a round: each is first at some time, and none always behind the same.
fn order(sides: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..sides).map(move |place| {
        let place = if round.is_multiple_of(2) { place } else { sides - 1 - place };
        (place + round / 2) % sides
    })
}

/// The medians; ratios are those of turns in one round.
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

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
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
