//! What a choice sees of the members, by their places in the plan.

/// Whether a member may be used, the best first: none is chosen while one of a better rank may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Rank {
    /// It may be used.
    Usable = 0,
    /// Others answered sooner of late: it is tried after them.
    Lags = 1,
    /// Checks or outcomes say that it is down, or it asks for none of its weight.
    Down = 2,
    /// Its dials have failed: its breaker is open.
    Open = 3,
    /// It is drained, or has no weight: not even where nobody is left does it come before others.
    Closed = 4,
}

impl Rank {
    /// All of them, the best first.
    pub const ALL: [Self; 5] = [Self::Usable, Self::Lags, Self::Down, Self::Open, Self::Closed];
}

/// What is known of members at the moment of a choice. A place that there is not is [`Rank::Closed`], and has nothing.
pub trait Seen {
    /// Whether the member in this place may be used.
    fn rank(&self, at: usize) -> Rank;

    /// How much of its weight it has at present (slow start, what it asks for itself), in percent: at most 100. A usable one
    /// has some.
    fn share(&self, at: usize) -> u32;

    /// Its open connections.
    fn open(&self, at: usize) -> u64;

    /// How long its dials took lately, in microseconds; 0 where that is not known.
    fn latency(&self, at: usize) -> u32;
}
