//! Benches of SmartProxy. There is little to call here: samples that several benches share.
//!
//! - Parts, with criterion: `cargo bench -p benches`, or one of them with `--bench NAME`.
//! - The whole beside other proxies: `cargo run -p benches --release -- peers`; how cost grows: `… grow`; its system
//!   calls: `… syscalls`.
//! - Instruction counts of the hot parts against the committed ones: `… instructions`.
//!
//! What each measures, and what it came to, is in `docs/performance.md`.

pub mod samples;
