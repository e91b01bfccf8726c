//! Benches of SmartProxy. There is little to call here: what several benches share.
//!
//! - Parts, with criterion: `cargo bench -p benches`, or one of them with `--bench NAME`.
//! - The whole beside other proxies: `cargo run -p benches --release -- peers`; how cost grows: `… grow`; its system
//!   calls: `… syscalls`.
//! - Instruction counts of the hot parts against the committed ones: `… instructions`.
//!
//! What each measures, and what it came to, is in `docs/performance.md`.

pub mod samples;

use std::sync::atomic::{AtomicBool, Ordering};

/// Measures `round` here while `others` threads run it too; each thread has its own number.
pub fn beside(others: usize, round: impl Fn(usize) + Sync, measure: impl FnOnce(&dyn Fn())) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 1..=others {
            let (round, stop) = (&round, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    round(thread);
                }
            });
        }
        measure(&|| round(0));
        stop.store(true, Ordering::Relaxed);
    });
}
