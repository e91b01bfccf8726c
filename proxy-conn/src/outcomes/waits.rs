//! How long somebody waited for a backend, or for a place.

use std::time::Duration;

use crate::histogram::Bounds;

/// Microseconds of waiting for a backend, or for a place: a tenth of a millisecond, as a backend in the same rack takes, to
/// a minute, in steps of two and a half at the most, so that a quantile is no further off than that.
pub const WAITS: Bounds = Bounds::new(&[
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    2_000_000, 5_000_000, 10_000_000, 20_000_000, 30_000_000, 60_000_000,
]);

/// In whole microseconds, as [`WAITS`] has them.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
