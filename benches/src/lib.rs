//! Benches of each part of SmartProxy, with criterion: `cargo bench -p benches`, or one of them with `--bench NAME`.
//!
//! What each measures, and what it came to, is in `docs/performance.md`. There is nothing to call here.
