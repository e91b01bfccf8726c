//! What becomes of the connections of members that a group has no more.

use std::sync::Arc;
use std::time::Duration;

use proxy_conn::Reason;
use proxy_dataplane::generation::Removed;
use proxy_upstream::Leaving;
use tracing::info;

use super::running::Running;

/// Lets the connections of removed members go on, ends them, or ends those that are left after `grace`: as each group says. A member
/// that is back by then keeps those that it has.
pub(crate) fn see_off_members(running: &Arc<Running>, removed: Vec<Removed>, grace: Duration) {
    for member in removed {
        if member.on_removed == Leaving::Kill {
            end(running, &member);
        } else if member.on_removed == Leaving::Drain {
            end_after(running, member, grace);
        }
    }
}

fn end_after(running: &Arc<Running>, member: Removed, grace: Duration) {
    let (weak, quit) = (Arc::downgrade(running), running.plane.quit().clone());
    drop(running.runtime.spawn(async move {
        if quit.run_until_cancelled(tokio::time::sleep(grace)).await.is_none() {
            return;
        }
        if let Some(running) = weak.upgrade()
            && !member.of.member().is_in_force()
        {
            end(&running, &member);
        }
    }));
}

fn end(running: &Running, removed: &Removed) {
    let ended = removed.of.end(running.plane.tracker(), Reason::Drained);
    if ended > 0 {
        let name = &removed.of.member().name;
        info!(ended, "{name} is no member of group {} any more", removed.group);
    }
}
