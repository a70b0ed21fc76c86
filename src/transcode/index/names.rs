//! Short numbers for words of which there are few.

use std::collections::HashMap;

/// The most words. They come from callers, so there is an end.
const MOST: u16 = 10_000;

/// Words and their numbers.
#[derive(Debug, Default)]
pub(super) struct Names {
    words: Vec<String>,
    numbers: HashMap<String, u16>,
}

impl Names {
    /// The number of a word; a new one has the next. When there are too many, words share the last.
    pub(super) fn number(&mut self, word: &str) -> u16 {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        let number = u16::try_from(self.words.len()).unwrap_or(MOST).min(MOST);
        if number < MOST {
            self.words.push(word.to_owned());
            self.numbers.insert(word.to_owned(), number);
        }
        number
    }

    /// The number of a word that is there.
    pub(super) fn known(&self, word: &str) -> Option<u16> {
        self.numbers.get(word).copied()
    }

    /// The numbers of the words that `accept` accepts.
    pub(super) fn matching(&self, accept: impl Fn(&str) -> bool) -> Vec<u16> {
        self.words.iter().zip(0..).filter(|(word, _)| accept(word)).map(|(_, number)| number).collect()
    }

    /// For each number its place in the order of the words.
    pub(super) fn ranks(&self) -> Vec<u64> {
        let mut order: Vec<usize> = (0..self.words.len()).collect();
        order.sort_by_key(|number| &self.words[*number]);
        let mut ranks = vec![u64::MAX; self.words.len()];
        for (number, rank) in order.into_iter().zip(0..) {
            ranks[number] = rank;
        }
        ranks
    }
}
