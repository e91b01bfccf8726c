//! TLS over streams in memory: bytes and ends, what a peer may do that none does, and what is left where a task is interrupted.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed assumption of a test is its failure"
)]

mod ends;
mod fuzzed;
mod half_done;
mod interrupted;
mod messages;
mod peer;
mod setup;
