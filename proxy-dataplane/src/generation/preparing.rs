//! Work of the control plane that takes much memory for a while: a configuration is read, compared, built.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much of it is under way. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Preparing(Arc<AtomicUsize>);

/// One piece of it, for as long as this is held.
#[derive(Debug)]
#[must_use = "dropped, it is over"]
pub struct Preparation(Preparing);

impl Preparing {
    /// From now on more is allocated than connections have.
    pub(crate) fn begin(&self) -> Preparation {
        self.0.fetch_add(1, Ordering::Relaxed);
        Preparation(self.clone())
    }

    /// Whether some is under way.
    pub(crate) fn is_under_way(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Preparation {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_under_way_until_the_last_is_over() {
        let preparing = Preparing::default();
        let both = (preparing.begin(), preparing.clone().begin());
        drop(both.0);
        assert!(preparing.is_under_way());
        drop(both.1);
        assert!(!preparing.is_under_way());
    }
}
