//! Tells on the log thread what was counted, and that lines were lost.

use std::sync::{Arc, OnceLock, Weak};

use tokio::time::Instant;
use tracing::{Level, error, info, warn};

use super::repeats::{Kind, Labels, Summary, WINDOW};
use super::writer::Tick;
use super::{ACCESS, Shared};

/// Events about other events, which are not counted in their turn.
pub(super) const REPEATED: &str = "smartproxy::repeated";

/// Lets a thread that is there before the log know of it.
#[derive(Default)]
pub(super) struct Waking(Arc<OnceLock<Weak<Shared>>>);

impl Waking {
    /// From now on there is something to tell.
    pub(super) fn begin(&self, shared: &Arc<Shared>) {
        // Only the first one counts, and there is only one.
        drop(self.0.set(Arc::downgrade(shared)));
    }

    /// What the thread does.
    pub(super) fn summaries(&self) -> Option<Tick> {
        let (shared, mut losses) = (Arc::clone(&self.0), Losses::default());
        Some(Box::new(move |now| {
            let shared = shared.get()?.upgrade()?;
            losses.tell(shared.lost.load(std::sync::atomic::Ordering::Relaxed), now);
            let (told, next) = shared.repeats.due(now);
            tell(told);
            next
        }))
    }
}

/// What was said of lost lines.
#[derive(Default)]
struct Losses {
    told: u64,
    at: Option<Instant>,
}

impl Losses {
    fn tell(&mut self, lost: u64, now: Instant) {
        let lately = self.at.is_some_and(|at| now.saturating_duration_since(at) < WINDOW);
        if lost > self.told && !lately {
            warn!(target: REPEATED, lost, "log lines were lost: whoever reads the log is too slow");
            *self = Self { told: lost, at: Some(now) };
        }
    }
}

/// Writes a line for each.
pub(super) fn tell(summaries: Vec<Summary>) {
    for Summary { kind: Kind { origin, message, labels }, level, times, within } in summaries {
        let Labels { listener, route, pool, target } = labels;
        let (listener, route, pool, target) =
            (listener.as_deref(), route.as_deref(), pool.as_deref(), target.as_deref());
        let within_s = within.as_secs_f64();
        match level {
            Level::ERROR => {
                error!(target: REPEATED, times, within_s, listener, route, pool, target, "again: {message}");
            }
            Level::WARN => {
                warn!(target: REPEATED, times, within_s, listener, route, pool, target, "again: {message}");
            }
            _ => info!(target: ACCESS, times, within_s, cause = origin, listener, route, "{message}"),
        }
    }
}
