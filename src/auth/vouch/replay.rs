//! Which words were heard already.
//!
//! Each gateway numbers its words. Of each is known which of its last [`WINDOW`] numbers were heard; what is further
//! behind its newest counts as heard. So what has to be remembered does not grow with the calls.

use std::collections::HashMap;
use std::time::Duration;

use super::LEEWAY;
use super::word::Instance;
use crate::clock::Timestamp;

/// How far a word may be overtaken by others: more than the calls that a gateway may have under way.
const WINDOW: u64 = 64 * 1024;
const BITS: u64 = u64::BITS as u64;
/// How many gateways are known at a time: 8 MiB.
const MAX_GATEWAYS: usize = 1024;
/// Whatever a gateway said that was last heard so long ago is too old by now.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(2 * LEEWAY.as_secs() + 1);

/// What was heard.
#[derive(Debug, Default)]
pub(super) struct Seen(HashMap<Instance, Numbers>);

/// Whether a word is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Once {
    First,
    Again,
    /// Another gateway cannot be remembered.
    Full,
}

#[derive(Debug)]
struct Numbers {
    newest: u64,
    /// One bit for each of the last numbers, at its place modulo [`WINDOW`].
    heard: Box<[u64]>,
    last: Timestamp,
}

impl Seen {
    /// Notes that the word `number` of a gateway is heard. The word is not older than the leeway.
    pub(super) fn once(&mut self, instance: Instance, number: u64, now: Timestamp) -> Once {
        if !self.0.contains_key(&instance) && self.0.len() >= MAX_GATEWAYS {
            self.0.retain(|_, numbers| now.since(numbers.last) < FORGOTTEN_AFTER);
            if self.0.len() >= MAX_GATEWAYS {
                return Once::Full;
            }
        }
        let numbers = self.0.entry(instance).or_insert_with(|| Numbers::starting_at(number));
        numbers.last = now;
        if numbers.once(number) { Once::First } else { Once::Again }
    }
}

impl Numbers {
    fn starting_at(number: u64) -> Self {
        let words = usize::try_from(WINDOW / BITS).expect("it is small");
        Numbers { newest: number, heard: vec![0; words].into_boxed_slice(), last: Timestamp::from_nanos(0) }
    }

    fn once(&mut self, number: u64) -> bool {
        if number > self.newest {
            // The places of those that are left behind are those of the new.
            let passed = (number - self.newest).min(WINDOW);
            for offset in 0..passed {
                let (word, bit) = place(number - offset);
                self.heard[word] &= !bit;
            }
            self.newest = number;
        } else if self.newest - number >= WINDOW {
            return false;
        }
        let (word, bit) = place(number);
        let is_new = self.heard[word] & bit == 0;
        self.heard[word] |= bit;
        is_new
    }
}

fn place(number: u64) -> (usize, u64) {
    let at = number % WINDOW;
    (usize::try_from(at / BITS).expect("it is small"), 1 << (at % BITS))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_number_counts_once_for_each_gateway_in_any_order() {
        let mut seen = Seen::default();
        for number in [5, 3, WINDOW, 4, WINDOW + 3, u64::MAX, u64::MAX - 1] {
            assert_eq!(seen.once([1; 16], number, at(0)), Once::First, "{number}");
            assert_eq!(seen.once([1; 16], number, at(0)), Once::Again, "{number}");
        }
        assert_eq!(seen.once([1; 16], 6, at(0)), Once::Again, "too far behind to be known");
        assert_eq!(seen.once([2; 16], 5, at(0)), Once::First, "another gateway");
    }

    #[test]
    fn gateways_are_forgotten_only_when_what_they_said_is_too_old() {
        let mut seen = Seen::default();
        let instance = |n: usize| {
            let mut instance = [0; 16];
            instance[..8].copy_from_slice(&n.to_le_bytes());
            instance
        };
        for n in 0..MAX_GATEWAYS {
            assert_eq!(seen.once(instance(n), 1, at(0)), Once::First);
        }
        assert_eq!(seen.once([255; 16], 1, at(120)), Once::Full);
        assert_eq!(seen.once(instance(0), 2, at(120)), Once::First, "known ones go on");
        assert_eq!(seen.once([255; 16], 1, at(121)), Once::First);
        assert_eq!(seen.once(instance(0), 2, at(121)), Once::Again, "it was heard since");
        assert_eq!(seen.0.len(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn no_number_counts_twice(numbers in prop::collection::vec(0..3 * WINDOW, 1..400)) {
            let (mut seen, mut counted) = (Seen::default(), HashSet::new());
            for number in numbers {
                if seen.once([0; 16], number, at(0)) == Once::First {
                    prop_assert!(counted.insert(number));
                }
            }
        }
    }
}
