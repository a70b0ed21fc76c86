//! Real clients of NBD.

mod programs;
mod tls;
