//! One page of a sorted list without sorting the list.

use std::cmp::Reverse;

use steward_proto::transcode::v1::SortOrder;

/// Where a row is in a list: its key, and its number among equal keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) key: u64,
    pub(crate) number: i32,
}

/// Where a page starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Behind so many rows.
    Skip(usize),
    /// Behind this row, whether it is still there or not.
    After(Position),
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picked {
    /// Its rows, in order.
    pub(crate) rows: Vec<Position>,
    /// How many rows the whole list has.
    pub(crate) total: usize,
    /// The list goes on.
    pub(crate) has_more: bool,
}

/// The page of `size` rows. Takes time in proportion to the rows, whatever the page.
pub(crate) fn pick(rows: Vec<Position>, order: SortOrder, start: Start, size: usize) -> Picked {
    match order {
        SortOrder::Asc => page(rows, start, size, |row| row),
        SortOrder::Desc | SortOrder::Unspecified => page(rows, start, size, Reverse),
    }
}

fn page<K: Ord>(mut rows: Vec<Position>, start: Start, size: usize, order: impl Fn(Position) -> K) -> Picked {
    let total = rows.len();
    let skip = match start {
        Start::Skip(skip) => skip.min(total),
        Start::After(last) => {
            rows.retain(|row| order(*row) > order(last));
            0
        }
    };
    if skip > 0 && skip < rows.len() {
        rows.select_nth_unstable_by(skip, |a, b| order(*a).cmp(&order(*b)));
    }
    let mut rest = rows.split_off(skip.min(rows.len()));
    let has_more = rest.len() > size;
    if has_more {
        rest.select_nth_unstable_by(size, |a, b| order(*a).cmp(&order(*b)));
        rest.truncate(size);
    }
    rest.sort_unstable_by_key(|row| order(*row));
    Picked { rows: rest, total, has_more }
}

/// A number with a fraction, in its order. Negative ones and those that are no numbers come first.
pub(super) fn float_key(number: f64) -> u64 {
    if number > 0.0 { number.to_bits() } else { 0 }
}

/// A number, in its order. Negative ones come first.
pub(super) fn signed_key(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The numbers of an enum that a list has, or all when none is named.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    bits: u32,
    is_some: bool,
}

impl FromIterator<i32> for Numbers {
    fn from_iter<I: IntoIterator<Item = i32>>(numbers: I) -> Self {
        numbers.into_iter().fold(Numbers::default(), |all, number| {
            let bit = u32::try_from(number).ok().and_then(|number| 1_u32.checked_shl(number)).unwrap_or(0);
            Numbers { bits: all.bits | bit, is_some: true }
        })
    }
}

impl Numbers {
    pub(super) fn has(self, number: u8) -> bool {
        !self.is_some || 1_u32.checked_shl(u32::from(number)).is_some_and(|bit| self.bits & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_page_is_the_part_of_the_sorted_list_that_its_number_says(
            keys in proptest::collection::vec(0u64..20, 0..200),
            size in 1usize..30,
            is_ascending: bool,
        ) {
            let rows: Vec<Position> = keys.iter().zip(1..).map(|(key, number)| Position { key: *key, number }).collect();
            let order = if is_ascending { SortOrder::Asc } else { SortOrder::Desc };
            let mut sorted = rows.clone();
            sorted.sort_unstable();
            if !is_ascending {
                sorted.reverse();
            }
            let mut after = Start::Skip(0);
            for (number, expected) in sorted.chunks(size).enumerate() {
                let by_number = pick(rows.clone(), order, Start::Skip(number * size), size);
                let by_position = pick(rows.clone(), order, after, size);
                prop_assert_eq!(&by_number.rows, expected);
                prop_assert_eq!(by_number.total, rows.len());
                prop_assert_eq!(by_number.has_more, (number + 1) * size < rows.len());
                prop_assert_eq!(&by_position.rows, expected);
                after = Start::After(*expected.last().expect("a chunk has a row"));
            }
            let past = pick(rows.clone(), order, Start::Skip(rows.len() + 7), size);
            prop_assert_eq!((past.rows.len(), past.has_more), (0, false));
        }
    }

    #[test]
    fn numbers_are_those_that_are_named_or_all() {
        let (none, some) = (Numbers::default(), [0, 3, 3, -1, 40].into_iter().collect::<Numbers>());
        assert!([0, 3, 40, 255].into_iter().all(|number| none.has(number)));
        assert_eq!(
            [0, 1, 3, 31, 32, 40, 255].map(|number| some.has(number)),
            [true, false, true, false, false, false, false]
        );
    }

    #[test]
    fn fractions_keep_their_order() {
        assert!([-1.0, 0.0, 0.5, 29.97, 30.0, 1e9].map(float_key).is_sorted());
    }
}
