//! Which pool a connection is in.

/// A pool, as a tracker knows it: a number that its name keeps for as long as the process lives. It is no place in any
/// configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolId(u8);

/// The byte that stands for no pool.
pub(crate) const NO_POOL: u8 = u8::MAX;

impl PoolId {
    /// How many there can be: an entry keeps one as a byte, of which the last value stands for none.
    pub const COUNT: usize = NO_POOL as usize;

    /// The pool of this number; None where there are no more.
    #[must_use]
    pub fn new(number: usize) -> Option<Self> {
        u8::try_from(number).ok().and_then(Self::from_byte)
    }

    /// Its number, below [`COUNT`](Self::COUNT).
    #[must_use]
    pub const fn number(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        (byte != NO_POOL).then_some(Self(byte))
    }

    pub(crate) const fn byte(self) -> u8 {
        self.0
    }
}
