//! How much one caller may ask at a time, and how much all together.
//!
//! - `layer` is in front of the services, behind the question who the caller is; `admission` is what it asks.
//! - `account` is what one caller has open, `accounts` all of them; their number is bounded.
//! - `rate` decides how often somebody may ask, `purse` how many bytes they may have under way, and
//!   `purses` that in all budgets at once.
//! - `call` is one call that is counted; `upload` and `answer` are the bytes of its two directions, and `framing` finds
//!   the messages in the first.
//! - `refusal` is what somebody is told who asks too much.

mod account;
mod accounts;
mod admission;
mod answer;
mod call;
mod framing;
mod layer;
#[cfg(test)]
mod layer_test;
mod purse;
mod purses;
mod rate;
mod refusal;
mod upload;

pub use self::admission::Limits;
pub use self::layer::{LimitLayer, Limited};
