//! A thread that stood still: its process was stopped, its container paused, its machine moved, or its processor was somebody
//! else's.
//!
//! What came meanwhile came in time, so whoever finds a deadline passed looks once before it ends anything. That is enough
//! where the one who is waited for went on. But who is next to this thread may have stood still as well (another hop on this
//! machine, another worker of this process), with what is waited for in its hands; and now both run.

use std::time::Duration;

/// Nobody counts as late by less: timers are, by a millisecond or two, and by some more where many fire at once.
const UNNOTICED: Duration = Duration::from_millis(10);

/// Long enough for a hop with ten thousand connections to pass on what all of them were sent meanwhile (0.2 s on one core).
const MOST: Duration = Duration::from_millis(500);

/// For how long whoever was waited for is waited for again, by a thread that finds a deadline passed by `late`: as long as it
/// stood still, half a second at most. None where it did not. To be granted once.
#[must_use]
pub fn grace(late: Duration) -> Option<Duration> {
    (late >= UNNOTICED).then_some(late.min(MOST))
}
