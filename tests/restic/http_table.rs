//! The tables of the contract, row by row, through every way to a repository.

mod configs;
mod lists;
mod objects;
mod ranges;
mod repositories;

use std::collections::BTreeSet;

use crate::common::http::Answer;

/// Asserts that a method is refused where others are allowed.
#[track_caller]
fn assert_not_allowed(answer: &Answer, allowed: &[&str]) {
    assert_eq!(answer.status, 405);
    let header = answer.header("allow").expect("the methods that there are");
    let told: BTreeSet<&str> = header.split(',').map(str::trim).collect();
    assert_eq!(told, allowed.iter().copied().collect());
}
