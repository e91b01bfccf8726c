//! The breaker of one target: after some failed dials in a row it is left alone for a while, then tried by one connection.
//!
//! ```text
//!            N failures in a row                   the cool-down is over
//!  ┌────────┐ ─────────────────────────► ┌──────┐ ─────────────────────────► ┌───────────┐
//!  │ closed │                            │ open │   (the next to ask probes) │ half-open │
//!  └────────┘                            └──────┘ ◄───────────────────────── └───────────┘
//!      ▲                                     the probe failed: open for twice as long │
//!      │                                     the probe left without a word: may be    │
//!      │                                       tried again at once                    │
//!      └──────────────────────────────────────────────────────────────────────────────┘
//!                                     the probe succeeded
//! ```
//!
//! A cool-down bounds the load on a target that others stand in for; it is no reason to turn a client away for whom nobody
//! else is there. Such a one may [insist](TargetBreaker::insist): it is the probe before its time, one at a time, and whoever
//! insists meanwhile waits for its answer. And whoever learns in another way that the target is back says so
//! ([`recovered`](TargetBreaker::recovered)).
//!
//! Whoever is admitted holds a [`Ticket`], and the verdict is given by consuming it: it cannot be given twice, and one
//! that is dropped instead (its client left, its task was aborted) gives none and blocks nobody.
//!
//! A verdict counts only in the state in which its ticket was given out. Dials that were under way when the breaker opened
//! are of yesterday: their failures do not prolong the cool-down, and their successes do not end it; only the probe does.
//! (linkerd2-proxy ignores what arrives while its breaker is shut, too.)
//!
//! What it is not: it dials nothing, has no timer, and does not choose among targets.

mod change;
mod options;
mod state;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use change::{Because, Change};

pub use options::BreakerOptions;
pub use state::BreakerState;

use state::Gate;

/// The breaker of one target. Cheap to clone; clones are the same breaker, for all workers.
#[derive(Debug, Clone)]
pub struct TargetBreaker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Held for a few instructions, twice a dial; never across an await, never while bytes are moved.
    gate: Mutex<Guarded>,
    /// Whether it is not closed, for those who only look: written under the lock, read without it.
    shut: AtomicBool,
}

#[derive(Debug)]
struct Guarded {
    gate: Gate,
    /// Looked at only where a dial has failed.
    options: Arc<BreakerOptions>,
    /// Told whenever the state changes; there once somebody has waited for that.
    changed: Option<Arc<Notify>>,
}

impl Shared {
    /// Does something to the gate, and tells those who wait if it went from one state to another.
    fn change<T>(&self, act: impl FnOnce(&mut Gate, &BreakerOptions) -> T) -> T {
        let mut guarded = self.gate.lock();
        let Guarded { gate, options, changed: waiting } = &mut *guarded;
        let era = gate.era();
        let result = act(gate, options);
        let changed = gate.era() != era;
        if changed {
            self.shut.store(!gate.is_closed(), Ordering::Relaxed);
        }
        // Whoever waits has made it before looking at the gate.
        let waiting = waiting.as_ref().filter(|_| changed).map(Arc::clone);
        drop(guarded);
        if let Some(waiting) = waiting {
            waiting.notify_waiters();
        }
        result
    }
}

/// Whether a target may be dialled.
#[derive(Debug)]
#[must_use = "an admission holds the ticket through which the outcome is told"]
pub enum Admission {
    /// Yes: it is in order, as far as is known.
    Closed(Ticket),
    /// Yes, as the only one: whether the target is well again depends on this dial.
    Probe(Ticket),
    /// No: take another target.
    Open {
        /// When to ask again: the rest of the cool-down; `None` while a probe is under way, for that depends on the probe.
        retry_in: Option<Duration>,
    },
}

impl Admission {
    /// The ticket, if it was given.
    #[must_use]
    pub fn ticket(self) -> Option<Ticket> {
        match self {
            Self::Closed(ticket) | Self::Probe(ticket) => Some(ticket),
            Self::Open { .. } => None,
        }
    }
}

/// Leave to dial a target once, and the duty to say how that went: [`succeeded`](Self::succeeded) or
/// [`failed`](Self::failed). Dropping it says nothing, and is right when the dial came to no end of its own.
#[derive(Debug)]
#[must_use = "a ticket that is dropped gives no verdict"]
pub struct Ticket {
    breaker: Arc<Shared>,
    /// The state of the gate for which it was given.
    era: u64,
}

impl Ticket {
    /// The target took the connection.
    pub fn succeeded(self) -> Option<Change> {
        self.breaker.change(|gate, _| gate.succeeded(self.era))
    }

    /// The target refused the connection, or did not take it in time.
    pub fn failed(self, now: Instant) -> Option<Change> {
        self.breaker.change(|gate, options| gate.failed(self.era, now, options))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // After a verdict of the probe the era is over, and this does nothing.
        self.breaker.change(|gate, _| gate.left(self.era));
    }
}

impl TargetBreaker {
    /// A closed breaker. Many may share their options.
    #[must_use]
    pub fn new(options: impl Into<Arc<BreakerOptions>>) -> Self {
        let gate = Mutex::new(Guarded { gate: Gate::new(), options: options.into(), changed: None });
        Self(Arc::new(Shared { gate, shut: AtomicBool::new(false) }))
    }

    /// Takes other options, as a reload does. Its state stays, and so does a cool-down that has begun.
    pub fn set_options(&self, options: impl Into<Arc<BreakerOptions>>) {
        self.0.gate.lock().options = options.into();
    }

    /// Whether the target may be dialled at `now`.
    pub fn admit(&self, now: Instant) -> Admission {
        let gate = &mut self.0.gate.lock().gate;
        let state = match gate.admit(now) {
            Ok(state) => state,
            Err(retry_in) => return Admission::Open { retry_in },
        };
        self.admission(state, gate.era())
    }

    /// Whether [`admit`](Self::admit) would refuse at `now`: it is open and its cool-down lasts, or a probe is under way.
    /// Takes no lock while it is closed; `now` is asked for only where it is not.
    #[must_use]
    pub fn keeps_out(&self, now: impl FnOnce() -> Instant) -> bool {
        self.0.shut.load(Ordering::Relaxed) && self.0.gate.lock().gate.keeps_out(now())
    }

    /// Leave to dial the target for a connection that has no other one: at once where no probe is under way, cool-down or not;
    /// else as soon as that probe has succeeded or was abandoned. None where it has failed: it was a probe for all that waited.
    /// Waits for as long as the probe takes: the caller bounds it.
    ///
    /// CANCEL: safe; a ticket is given out with the result only.
    pub async fn insist(&self) -> Option<Admission> {
        loop {
            let told = Arc::clone(self.0.gate.lock().changed.get_or_insert_default());
            let mut changed = pin!(told.notified());
            changed.as_mut().enable();
            let failures = {
                let gate = &mut self.0.gate.lock().gate;
                match gate.insist() {
                    Ok(state) => return Some(self.admission(state, gate.era())),
                    Err(probing) => probing.failures,
                }
            };
            changed.await;
            if self.0.gate.lock().gate.failures() > failures {
                return None;
            }
        }
    }

    /// A health check, which holds no ticket, has found the target in order: it is dialled again from now on.
    pub fn recovered(&self) -> Option<Change> {
        self.0.change(|gate, _| gate.close(Because::ProbeSucceeded))
    }

    /// The target is somewhere else now: what was known of it was of another one.
    pub fn moved(&self) -> Option<Change> {
        self.0.change(|gate, _| gate.close(Because::Moved))
    }

    fn admission(&self, state: BreakerState, era: u64) -> Admission {
        let ticket = Ticket { breaker: Arc::clone(&self.0), era };
        match state {
            BreakerState::HalfOpen => Admission::Probe(ticket),
            BreakerState::Closed | BreakerState::Open => Admission::Closed(ticket),
        }
    }

    /// How it is, for a metric or a listing.
    #[must_use]
    pub fn view(&self, now: Instant) -> BreakerView {
        self.0.gate.lock().gate.view(now)
    }
}

/// A snapshot of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerView {
    /// Its state.
    pub state: BreakerState,
    /// Failures since the last success, those of probes included.
    pub failures_in_a_row: u32,
    /// How often it opened since it was made; probes that failed do not count.
    pub opened: u64,
    /// The rest of the cool-down; zero unless it is open, and once the cool-down is over.
    pub retry_in: Duration,
}
