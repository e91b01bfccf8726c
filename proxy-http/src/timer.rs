//! One timer for waits that change with every turn.

use std::future::Future as _;
use std::pin::Pin;
use std::task::Context;

use tokio::time::{Instant, Sleep};

/// Whether `until` has passed at `now`; else the task is woken when it does. The timer is set again only where it would go off too late:
/// mostly it goes off for a wait that is over, once for many.
pub(crate) fn has_passed(
    mut timer: Pin<&mut Sleep>,
    cx: &mut Context<'_>,
    now: Instant,
    until: Instant,
) -> bool {
    if timer.deadline() > until {
        timer.as_mut().reset(until);
    }
    while timer.as_mut().poll(cx).is_ready() {
        if now >= until {
            return true;
        }
        timer.as_mut().reset(until);
    }
    false
}
