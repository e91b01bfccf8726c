//! What both hops agree on where a scenario does not say otherwise.

use std::time::Duration;

/// How long after a deadline a socket may still be there: timers may be coarse, and the machine busy.
pub(super) const GRACE: Duration = Duration::from_secs(1);
/// How fast what happens at once has to be: a close, a reset, somebody who leaves.
pub(super) const AT_ONCE: Duration = Duration::from_secs(1);
/// How fast a dial is given up once its client has gone; that is the half second of the law and three looks.
pub(super) const ABANDONED: Duration = Duration::from_millis(650);

/// From one check of a member of a group to the next, and how long each may take.
pub(super) const CHECKED: Duration = Duration::from_millis(500);

/// The deadlines of a chain, short enough for a laboratory and far enough apart to be told from each other.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// For a whole PROXY header.
    pub header: Duration,
    /// For a connection to the target.
    pub connect: Duration,
    /// For silence.
    pub idle: Duration,
    /// For silence after one side has ended.
    pub half_closed: Duration,
}

impl Terms {
    /// What holds in every scenario that does not change it.
    pub const USUAL: Self = Self {
        header: Duration::from_millis(1000),
        connect: Duration::from_millis(2000),
        idle: Duration::from_millis(4000),
        half_closed: Duration::from_millis(1000),
    };
}
