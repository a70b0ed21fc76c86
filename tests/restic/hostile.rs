//! Callers that mean harm, or are broken: a clear status, no escape, nothing left behind.

mod paths;
mod uploads;
