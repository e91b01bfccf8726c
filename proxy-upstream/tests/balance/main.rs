//! The choice of a member, apart from everything else: over plain numbers, and a million times.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed assumption of a test is its failure"
)]

mod algorithms;
mod hash_moves_few;
mod simulation;
mod world;
