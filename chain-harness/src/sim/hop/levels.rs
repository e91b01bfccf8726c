//! What a hop holds.

use proxy_conn::{AddressLimits, Cause, ConnView, Limit};
use proxy_dataplane::generation::Generation;
use tokio::time::Instant;

use super::Running;
use crate::laws::{Entry, Levels};

impl Running {
    pub(super) fn levels(&self) -> Levels {
        match self {
            Self::Product { proxy, tasks } => Levels { tasks: Some(tasks.len()), ..of_product(proxy) },
            Self::Leaky { proxies, tasks } => {
                let mut all = Levels { tasks: Some(tasks.len()), ..Levels::default() };
                for (n, levels) in proxies.iter().map(|proxy| proxy.levels()).enumerate() {
                    all.tracked += levels.tracked;
                    all.opened += levels.opened;
                    all.ended += levels.ended;
                    all.counts
                        .extend(levels.counts.into_iter().map(|(name, out)| (format!("{name} {n}"), out)));
                }
                all
            }
        }
    }

    /// Sockets at most that the product has by itself at this moment: to try targets, of which it tries two addresses at a time, and to
    /// check them.
    pub(super) fn by_itself(&self) -> usize {
        match self {
            // A check has one address.
            Self::Product { proxy, .. } => 2 * proxy.tries() + proxy.tracker.checks().len(),
            Self::Leaky { .. } => 0,
        }
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        match self {
            Self::Product { proxy, .. } => {
                let now = Instant::now();
                let checks = proxy.tracker.checks();
                let checks = checks.iter().map(|check| check.view(now));
                let views = proxy.tracker.snapshot().into_iter().chain(checks);
                let entry = |view: ConnView| Entry {
                    name: view.id.to_string(),
                    phase: format!("{} ({})", view.phase, view.deadline),
                    overdue: now.saturating_duration_since(view.deadline_at),
                };
                views.map(entry).collect()
            }
            Self::Leaky { proxies, .. } => proxies.iter().flat_map(|proxy| proxy.entries()).collect(),
        }
    }
}

/// The ends that are the proxy's own fault.
const FAULTS: [Cause; 4] = [Cause::Panicked, Cause::Aborted, Cause::IllegalTransition, Cause::Overdue];

fn of_product<D>(proxy: &Generation<D>) -> Levels {
    let mut counts = vec![
        ("permits of the process".to_owned(), proxy.connections.in_use()),
        ("clients".to_owned(), proxy.clients.as_ref().map_or(0, AddressLimits::total)),
    ];
    let mut limit = |name: String, limit: &Limit| counts.push((name, limit.in_use()));
    for pool in &proxy.pools {
        limit(format!("pool {}", pool.name), &pool.limit);
    }
    for at in &proxy.listeners {
        limit(format!("listener {}", at.label), &at.limit);
    }
    for n in 0..proxy.routes.len() {
        let in_use = proxy.routes.made(n).map_or(0, |route| route.limit.in_use());
        counts.push((format!("route {n}"), in_use));
    }
    let targets = proxy.routes.iter().map(|route| route.targets.in_use()).sum();
    counts.push(("targets".to_owned(), targets));
    Levels {
        tracked: proxy.tracker.len(),
        opened: proxy.tracker.opened(),
        ended: Cause::ALL.iter().map(|cause| proxy.tracker.ended(*cause)).sum(),
        faults: FAULTS.iter().map(|cause| proxy.tracker.ended(*cause)).sum(),
        counts,
        ..Levels::default()
    }
}
