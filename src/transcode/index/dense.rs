//! Rows by number, where nearly every number has one.

use std::collections::VecDeque;

/// Rows by positive numbers that grow. Takes room for the numbers between the lowest and the highest.
#[derive(Debug)]
pub(super) struct Dense<T> {
    /// The number of the first row.
    base: i32,
    rows: VecDeque<Option<T>>,
    len: usize,
}

impl<T> Default for Dense<T> {
    fn default() -> Self {
        Dense { base: 1, rows: VecDeque::new(), len: 0 }
    }
}

impl<T> Dense<T> {
    fn position(&self, number: i32) -> Option<usize> {
        usize::try_from(i64::from(number) - i64::from(self.base)).ok()
    }

    pub(super) fn get(&self, number: i32) -> Option<&T> {
        self.rows.get(self.position(number)?)?.as_ref()
    }

    /// Puts a row and returns the one that was there.
    pub(super) fn put(&mut self, number: i32, row: T) -> Option<T> {
        if self.rows.is_empty() {
            self.base = number;
        }
        while number < self.base {
            self.rows.push_front(None);
            self.base -= 1;
        }
        let position = self.position(number)?;
        while self.rows.len() <= position {
            self.rows.push_back(None);
        }
        let old = self.rows[position].replace(row);
        self.len += usize::from(old.is_none());
        old
    }

    pub(super) fn remove(&mut self, number: i32) -> Option<T> {
        let position = self.position(number)?;
        let old = self.rows.get_mut(position)?.take();
        self.len -= usize::from(old.is_some());
        while self.rows.front().is_some_and(Option::is_none) {
            self.rows.pop_front();
            self.base += 1;
        }
        old
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The rows in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i32, &T)> {
        let base = self.base;
        self.rows.iter().zip(base..).filter_map(|(row, number)| row.as_ref().map(|row| (number, row)))
    }

    /// The rows behind a number, likewise.
    pub(super) fn behind(&self, last: i32) -> impl Iterator<Item = (i32, &T)> {
        let first = last.saturating_add(1).max(self.base);
        let start = self.position(first).unwrap_or(0).min(self.rows.len());
        self.rows.range(start..).zip(first..).filter_map(|(row, number)| row.as_ref().map(|row| (number, row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_number_and_the_oldest_make_room() {
        let mut dense = Dense::default();
        for number in 5..9 {
            dense.put(number, number * 10);
        }
        dense.put(3, 30);
        assert_eq!((dense.get(3), dense.get(4), dense.get(8)), (Some(&30), None, Some(&80)));
        assert_eq!(dense.remove(3), Some(30));
        assert_eq!(dense.remove(3), None);
        assert_eq!((dense.base, dense.len()), (5, 4));
        assert_eq!(dense.iter().map(|(number, _)| number).collect::<Vec<_>>(), [5, 6, 7, 8]);
        let behind = |last| dense.behind(last).map(|(number, row)| (number, *row)).collect::<Vec<_>>();
        assert_eq!((behind(6), behind(-3).len()), (vec![(7, 70), (8, 80)], 4));
        assert!(behind(8).is_empty() && behind(i32::MAX).is_empty());
    }
}
