//! What becomes of the connections of members that a group has no more, whoever removed them: a reload, an operator, or an answer of
//! a name server.
//!
//! ```text
//!  removed ─► on_removed: keep
//!                           ├ kill: reset now
//!                           └ drain: reset in a while, unless the member is back by then ── told by `all` meanwhile
//! ```

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use proxy_conn::{Reason, Tracker};
use proxy_upstream::Leaving;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::generation::Removed;

/// Members that were removed and whose connections have a time to end by themselves.
#[derive(Debug)]
pub(crate) struct Departures {
    under_way: Mutex<Vec<Arc<Departure>>>,
    tracker: Arc<Tracker>,
    control: Handle,
    stop: CancellationToken,
}

/// A removed member whose connections have a time to end by themselves.
#[derive(Debug)]
pub struct Departure {
    /// The member, and its group.
    pub removed: Removed,
    /// When it was removed.
    pub since: Instant,
    /// How many connections it had then.
    pub began_with: usize,
    /// When those are reset that are left.
    pub ends_at: Instant,
}

impl Departure {
    /// Whether its member is none any more; one that is back keeps what it has.
    fn lasts(&self) -> bool {
        !self.removed.of.member().is_in_force()
    }
}

impl Departures {
    /// None yet. What is waited for is waited for on `control`, until `stop`.
    pub(crate) fn new(tracker: &Arc<Tracker>, control: &Handle, stop: CancellationToken) -> Arc<Self> {
        let (under_way, tracker, control) = (Mutex::default(), Arc::clone(tracker), control.clone());
        Arc::new(Self { under_way, tracker, control, stop })
    }

    /// Lets the connections of removed members go on, ends them, or ends those that are left after `grace`: as each says.
    pub(crate) fn see_off(self: &Arc<Self>, removed: Vec<Removed>, grace: Duration) {
        for one in removed {
            if one.on_removed == Leaving::Kill {
                self.end(&one);
            } else if one.on_removed == Leaving::Drain {
                self.end_after(one, grace);
            }
        }
    }

    /// Those whose time is not over, and that have connections yet.
    pub(crate) fn all(&self) -> Vec<Arc<Departure>> {
        let under_way = self.under_way.lock().clone();
        under_way
            .into_iter()
            .filter(|one| one.lasts() && one.removed.of.member().limit.in_use() > 0)
            .collect()
    }

    fn end_after(self: &Arc<Self>, removed: Removed, grace: Duration) {
        let (since, began_with) = (Instant::now(), removed.of.member().limit.in_use());
        if began_with == 0 {
            return;
        }
        let departure = Arc::new(Departure { removed, since, began_with, ends_at: since + grace });
        self.under_way.lock().push(Arc::clone(&departure));
        let (this, stop): (Weak<Self>, _) = (Arc::downgrade(self), self.stop.clone());
        drop(self.control.spawn(async move {
            if stop.run_until_cancelled(tokio::time::sleep_until(departure.ends_at)).await.is_none() {
                return;
            }
            let Some(this) = this.upgrade() else { return };
            this.under_way.lock().retain(|one| !Arc::ptr_eq(one, &departure));
            if departure.lasts() {
                this.end(&departure.removed);
            }
        }));
    }

    fn end(&self, removed: &Removed) {
        let ended = removed.of.end(&self.tracker, Reason::Drained);
        if ended > 0 {
            let name = &removed.of.member().name;
            info!(ended, "{name} is no member of group {} any more", removed.group);
        }
    }
}
