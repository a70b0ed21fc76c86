//! Who gets which video: one at a time, the most urgent first, and only what a worker can take.

mod abilities;
mod concurrency;
mod retries;
mod urgency;
