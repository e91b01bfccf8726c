//! That something takes no new connections.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether something takes no new connections, since an operator drains it.
#[derive(Debug, Default)]
pub struct Draining(AtomicBool);

impl Draining {
    /// Whether it does.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether it does from now on.
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }
}
