//! The drains under way, by what they are of.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use proxy_core::TcpDialer;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::drain::scope::names;
use crate::config::{Action, RouteConfig};
use proxy_api::model::{Drain, DrainKind};
use proxy_dataplane::generation::{Generation, RouteState};

/// The drains under way.
#[derive(Debug, Default)]
pub(crate) struct Drains(Mutex<Vec<Entry>>);

/// A drain.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) kind: DrainKind,
    /// Empty for everything.
    pub(crate) name: Arc<str>,
    pub(crate) since: Instant,
    pub(crate) began_with: u64,
    pub(crate) ends_at: Option<Instant>,
    /// Ends the task that waits for that time.
    pub(crate) over: CancellationToken,
    /// A reload began it, since it removed the route: it is over when the route is back.
    pub(crate) by_reload: bool,
}

impl Drains {
    pub(crate) fn has(&self, kind: DrainKind, name: &str) -> bool {
        self.0.lock().iter().any(|entry| entry.kind == kind && *entry.name == *name)
    }

    /// Whether a listener is to stay closed.
    pub(crate) fn keep_shut(&self, label: &str) -> bool {
        self.has(DrainKind::Everything, "") || self.has(DrainKind::Listener, label)
    }

    /// Marks what is drained in `proxy`, which is about to be in force. Routes that are back are not drained any more if
    /// only their absence was the reason.
    pub(crate) fn mark(&self, proxy: &Generation<TcpDialer>) {
        let mut entries = self.0.lock();
        let configured: HashSet<_> =
            if entries.is_empty() { HashSet::new() } else { names(proxy, DrainKind::Route).collect() };
        entries.retain(|entry| {
            let back = entry.by_reload && configured.contains(&*entry.name);
            if back {
                entry.over.cancel();
            }
            !back
        });
        let has = |kind, name: &str| entries.iter().any(|entry| entry.kind == kind && *entry.name == *name);
        // What is drained has to be counted for that to be noted; what is not, if it is.
        let of_targets = entries.iter().any(|entry| entry.kind == DrainKind::Target);
        let drained = |route: &RouteConfig| {
            let listed = match &route.action {
                Action::Forward(targets) if of_targets => &**targets,
                Action::Forward(_) | Action::Group(_) | Action::Refuse => &[],
            };
            has(DrainKind::Route, &route.name)
                || listed.iter().any(|target| has(DrainKind::Target, &target.to_string()))
        };
        let note = |route: &RouteState| {
            route.draining.set(has(DrainKind::Route, &route.name));
            for target in route.targets.iter() {
                target.drain(has(DrainKind::Target, &target.name));
            }
        };
        if !entries.is_empty() {
            let routes = proxy.settings.routes.routes().filter(|route| drained(route.payload));
            routes.filter_map(|route| proxy.route(route.index)).for_each(note);
        }
        proxy.routes.iter().for_each(note);
        for member in proxy.groups().flat_map(|group| group.members()) {
            member.drain(has(DrainKind::Target, &member.name));
        }
    }

    pub(crate) fn put(&self, entry: Entry) {
        let mut entries = self.0.lock();
        match entries.iter_mut().find(|known| known.kind == entry.kind && known.name == entry.name) {
            // Asked for again: only when it ends is new.
            Some(known) => {
                known.over.cancel();
                (known.ends_at, known.over, known.by_reload) = (entry.ends_at, entry.over, entry.by_reload);
            }
            None => entries.push(entry),
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Entry> {
        self.0.lock().clone()
    }

    pub(crate) fn take(&self, kind: DrainKind, name: &str) -> Option<Entry> {
        let mut entries = self.0.lock();
        let place = entries.iter().position(|entry| entry.kind == kind && *entry.name == *name)?;
        let entry = entries.remove(place);
        entry.over.cancel();
        Some(entry)
    }
}

impl Entry {
    pub(crate) fn told(&self, left: u64, now: Instant) -> Drain {
        Drain {
            kind: self.kind,
            name: Some(self.name.to_string()).filter(|name| !name.is_empty()),
            since_s: now.saturating_duration_since(self.since).as_secs_f64(),
            began_with: self.began_with,
            left,
            ends_in_s: self.ends_at.map(|at| at.saturating_duration_since(now).as_secs_f64()),
            removed_from: None,
        }
    }
}
