//! What a world does to a hop.

use std::sync::Arc;
use std::time::Duration;

use proxy_conn::{Reason, Tracker};

use super::super::kernel::Drops;
use super::{Running, Site};

impl Site {
    /// An operator ends every connection.
    pub(in crate::sim) fn cancel_all(&self) {
        if let Some(Running::Product { proxy, .. }) = &self.state.lock().running {
            proxy.tracker.cancel_all(Reason::Killed);
        }
    }

    /// The next task that looks at a socket panics.
    pub(in crate::sim) fn panic(&self) {
        let mut state = self.state.lock();
        if let Some(kernel) = state.kernel.upgrade() {
            kernel.panic_next();
            state.interrupted += 1;
        }
    }

    /// Its clock is set forward.
    pub(in crate::sim) fn jump(&self, by: Duration) {
        self.state.lock().jump += by;
    }

    /// Whether its process is up.
    pub(in crate::sim) fn is_up(&self) -> bool {
        !self.state.lock().down
    }

    /// Its process is going to be crashed, and to stay down; its sockets end as `drops` says. What is to be looked at
    /// afterwards: its table, which has to be empty then.
    pub(in crate::sim) fn goes_down(&self, drops: Drops) -> Option<Arc<Tracker>> {
        let mut state = self.state.lock();
        state.down = true;
        if let Some(kernel) = state.kernel.upgrade() {
            kernel.drops(drops);
            state.remains = (drops == Drops::Reset).then(|| kernel.remains());
        }
        // Nothing of it may be kept here: it is to go inside the simulation.
        match state.running.take() {
            Some(Running::Product { proxy, .. }) => Some(Arc::clone(&proxy.tracker)),
            Some(Running::Leaky { .. }) | None => None,
        }
    }

    /// It may run again.
    pub(in crate::sim) fn comes_up(&self) {
        self.state.lock().down = false;
    }
}
