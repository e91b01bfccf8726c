//! What checks and outcomes say of a member.

use std::sync::atomic::{AtomicU8, Ordering};

/// What is known of a member's health, read at each choice without a lock. Unknown is up.
#[derive(Debug)]
pub struct Health {
    /// 0: it may not be used.
    up: AtomicU8,
    /// Of its weight, what the member itself asks for, in percent.
    share: AtomicU8,
}

impl Default for Health {
    fn default() -> Self {
        Self { up: AtomicU8::new(1), share: AtomicU8::new(100) }
    }
}

impl Health {
    /// Whether it may be used, as far as checks and outcomes tell.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed) != 0
    }

    /// How much of its weight it asks for itself, in percent: a hop that is loaded asks for less.
    #[must_use]
    pub fn share(&self) -> u8 {
        self.share.load(Ordering::Relaxed)
    }
}
