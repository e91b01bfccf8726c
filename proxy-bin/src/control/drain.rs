//! Draining: a listener, a route, a target or everything takes no new connections, and those that are open may finish.
//!
//! | what | new connections | undone |
//! |---|---|---|
//! | listener | what is queued is accepted, then its port is closed: clients are refused | it is bound anew |
//! | route | reset, with the cause `draining`; no other route takes them | taken again |
//! | target | passed over, others are dialled; with no other left, reset with the cause `draining` | dialled again |
//! | everything | every listener is closed | every listener is bound anew |
//!
//! A drain lasts until it is undone, over reloads too. Who is left is ended at a time, if one was given; else never.

mod error;
pub(crate) mod scope;
mod table;

use std::sync::Arc;
use std::time::Duration;

use proxy_conn::{Reason, Tracked};
use proxy_core::{ListenError, TcpDialer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Control, State};
use crate::model::{Drain, DrainKind, DrainRequest};
use crate::proxy::Proxy;
use crate::server::Bound;
use crate::unknown::Unknown;

pub use error::DrainError;
use error::{LATEST, time};
use scope::{Of, is_known, listed, names, say, word};
pub(crate) use table::Drains;
use table::Entry;

impl Control {
    /// Drains something, or undoes that; what it says is how far it is. Goes on to its end once begun, whether or not it
    /// is waited for.
    ///
    /// # Errors
    /// [`DrainError`]; nothing has changed then.
    pub async fn drain(&self, request: &DrainRequest) -> Result<Drain, DrainError> {
        let (control, request) = (self.clone(), request.clone());
        let state = self.state();
        let draining = self.parts().runtime.spawn(async move {
            let _alone = control.parts().changing.lock().await;
            control.drain_alone(&request).await
        });
        draining.await.unwrap_or(Err(DrainError::Stopping(state)))
    }

    async fn drain_alone(&self, request: &DrainRequest) -> Result<Drain, DrainError> {
        let (kind, state) = (request.kind, self.state());
        if state != State::Running {
            return Err(DrainError::Stopping(state));
        }
        let proxy = self.proxy();
        let name: Arc<str> = self.named(&proxy, request)?.into();
        if request.undo {
            return self.undo(&proxy, kind, &name).await;
        }
        let ends_at = request.end_after_s.map(time).transpose()?.map(|after| Instant::now() + after);
        self.begin(&proxy, kind, &name, ends_at, false);
        match kind {
            DrainKind::Listener => self.parts().doors.shut(&[Arc::clone(&name)]).await,
            DrainKind::Everything => self.parts().doors.shut(&self.parts().doors.labels()).await,
            DrainKind::Route | DrainKind::Target => {}
        }
        self.drain_of(kind, &name).ok_or_else(|| DrainError::NotDraining { what: say(kind, &name) })
    }

    /// Notes a drain, and sees to its end.
    fn begin(
        &self,
        proxy: &Proxy<TcpDialer>,
        kind: DrainKind,
        name: &Arc<str>,
        ends_at: Option<Instant>,
        by_reload: bool,
    ) {
        let connections = self.connections_of(kind, name);
        info!(connections = connections.len(), "draining {}", say(kind, name));
        let entry = Entry {
            kind,
            name: Arc::clone(name),
            since: Instant::now(),
            began_with: connections.len() as u64,
            ends_at,
            over: CancellationToken::new(),
            by_reload,
        };
        let over = entry.over.clone();
        self.parts().drains.put(entry);
        if !by_reload {
            self.parts().drains.mark(proxy);
        }
        if let Some(at) = ends_at {
            self.end_at(kind, name, at, over);
        }
    }

    /// Ends whoever is left at `at`, unless it is `over` before.
    fn end_at(&self, kind: DrainKind, name: &Arc<str>, at: Instant, over: CancellationToken) {
        let (parts, name, quit) = (Arc::downgrade(self.parts()), Arc::clone(name), self.parts().quit.clone());
        drop(self.parts().runtime.spawn(async move {
            tokio::select! {
                biased;
                () = quit.cancelled() => return,
                () = over.cancelled() => return,
                () = tokio::time::sleep_until(at) => {}
            }
            let Some(control) = parts.upgrade().map(Self::of) else { return };
            let left = control.connections_of(kind, &name);
            let ended = left.iter().filter(|one| one.cancel(Reason::Drained)).count();
            info!(ended, "the time to finish is over for {}", say(kind, &name));
        }));
    }

    /// Connections of routes that a reload has removed may finish for so long.
    pub(crate) fn drain_removed(&self, routes: &[Arc<str>], grace: Duration) {
        let proxy = self.proxy();
        for route in routes {
            let asked_for = self.is_draining_route(route);
            if !asked_for && !self.connections_of(DrainKind::Route, route).is_empty() {
                let ends_at = Instant::now() + grace.min(LATEST);
                self.begin(&proxy, DrainKind::Route, route, Some(ends_at), true);
            }
        }
    }

    async fn undo(
        &self,
        proxy: &Arc<Proxy<TcpDialer>>,
        kind: DrainKind,
        name: &Arc<str>,
    ) -> Result<Drain, DrainError> {
        let Some(drain) = self.drain_of(kind, name) else {
            return Err(DrainError::NotDraining { what: say(kind, name) });
        };
        let drains = &self.parts().drains;
        let stays_shut = |label: &str| match kind {
            DrainKind::Everything => drains.has(DrainKind::Listener, label),
            DrainKind::Listener => *label != **name || drains.has(DrainKind::Everything, ""),
            DrainKind::Route | DrainKind::Target => true,
        };
        let doors = &self.parts().doors;
        let shut = |label: &str| !stays_shut(label) && !doors.is_open(label);
        let closed = proxy.listeners.iter().filter(|at| shut(&at.label));
        let bound =
            closed.map(|at| Ok((at, doors.bind(&proxy.config, &at.config, &mut Bound::new(), false)?)));
        for (at, sockets) in bound.collect::<Result<Vec<_>, ListenError>>()? {
            doors.open(at, proxy, sockets);
        }
        drains.take(kind, name);
        drains.mark(proxy);
        info!("no longer draining {}", say(kind, name));
        Ok(drain)
    }

    /// The drains under way, in the order in which they were asked for. One of something that is no longer configured is
    /// forgotten when its connections are gone.
    #[must_use]
    pub fn drains(&self) -> Vec<Drain> {
        let entries = self.parts().drains.all();
        if entries.is_empty() {
            return Vec::new();
        }
        let (now, proxy) = (Instant::now(), self.proxy());
        let views: Vec<_> = self.tracker().snapshot();
        let mut drains = Vec::new();
        for entry in entries {
            let of = Of::new(&proxy, entry.kind, &entry.name);
            let left = views.iter().filter(|view| of.includes(view)).count() as u64;
            if left == 0 && !is_known(&proxy, entry.kind, &entry.name) {
                self.parts().drains.take(entry.kind, &entry.name);
                continue;
            }
            drains.push(entry.told(left, now));
        }
        drains
    }

    fn drain_of(&self, kind: DrainKind, name: &str) -> Option<Drain> {
        let entries = self.parts().drains.all();
        let entry = entries.into_iter().find(|entry| entry.kind == kind && *entry.name == *name)?;
        Some(entry.told(self.connections_of(kind, name).len() as u64, Instant::now()))
    }

    /// The connections of something.
    fn connections_of(&self, kind: DrainKind, name: &str) -> Vec<Tracked> {
        let (proxy, now) = (self.proxy(), Instant::now());
        let of = Of::new(&proxy, kind, name);
        let mut all = self.tracker().connections();
        all.retain(|one| of.includes(&one.view(now)));
        all
    }

    /// The name that a request means.
    fn named(&self, proxy: &Proxy<TcpDialer>, request: &DrainRequest) -> Result<String, DrainError> {
        let (kind, what) = (request.kind, word(request.kind));
        match &request.name {
            Some(name) if kind == DrainKind::Everything => Err(DrainError::Named { name: name.clone() }),
            None if kind == DrainKind::Everything => Ok(String::new()),
            None => Err(DrainError::Nameless { what, known: listed(proxy, kind) }),
            Some(name) => {
                // What is no longer configured may still be draining.
                if is_known(proxy, kind, name) || self.parts().drains.has(kind, name) {
                    return Ok(name.clone());
                }
                Err(Unknown::new(what, name, names(proxy, kind)).into())
            }
        }
    }

    /// Whether nothing is accepted, since everything is drained.
    #[must_use]
    pub fn is_draining_everything(&self) -> bool {
        self.parts().drains.has(DrainKind::Everything, "")
    }

    /// Whether this listener takes no new connections.
    #[must_use]
    pub fn is_draining_listener(&self, label: &str) -> bool {
        self.parts().drains.keep_shut(label)
    }

    /// Whether this route takes no new connections.
    #[must_use]
    pub fn is_draining_route(&self, name: &str) -> bool {
        self.parts().drains.has(DrainKind::Route, name)
    }

    /// Whether this target is not dialled.
    #[must_use]
    pub fn is_draining_target(&self, name: &str) -> bool {
        self.parts().drains.has(DrainKind::Target, name)
    }
}
