//! The tables of several hops, joined by the ids that travel in the PROXY header: pure, for a proxy that asks its neighbours and for
//! the command line.
//!
//! ```text
//! HopTable × n ─► join ─► Joined ─► confirmed_by (a second reading) ─► Chain
//! ```
//! It answers what no single hop can: which connections live on one hop only. The tables are read at slightly different times, so
//! one reading proves nothing; only what is one-sided in two readings, on the same hop, is called so.

#[cfg(test)]
mod fixtures;
mod join;
mod report;

pub use join::{HopTable, Joined, join, turned};
pub use report::{chain, names, piles};
