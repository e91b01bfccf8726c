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

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proxy_conn::{ConnView, Reason, Tracked};
use proxy_core::{ListenError, TcpDialer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Control, State};
use crate::admin::model::{Drain, DrainKind, DrainRequest};
use crate::config::{Action, address};
use crate::proxy::Proxy;
use crate::server::Bound;

/// The latest that a drain may end connections: a year, far within what the clock can add up.
const LATEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Why something could not be drained, or its drain not be undone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrainError {
    /// There is nothing of that name.
    #[error("there is no {what} \"{name}\"; there are: {known}")]
    Unknown {
        /// Of what kind.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Which one was not said.
    #[error("name the {what} to drain; there are: {known}")]
    Nameless {
        /// Of what kind.
        what: &'static str,
        /// What there is.
        known: String,
    },
    /// Everything has no name.
    #[error("everything is drained without a name; to drain only \"{name}\", say of what kind it is")]
    Named {
        /// What was given.
        name: String,
    },
    /// It is not being drained, so there is nothing to undo.
    #[error("{what} is not being drained")]
    NotDraining {
        /// What.
        what: String,
    },
    /// A time that is none.
    #[error("end_after_s has to be between 0 and {}, not {given}", LATEST.as_secs())]
    Time {
        /// What was given.
        given: f64,
    },
    /// The proxy is about to be gone.
    #[error("the proxy is {0}: nothing can be drained any more")]
    Stopping(State),
    /// A listener could not be bound anew. The drain goes on.
    #[error("{0}: it stays drained; free the port and undo the drain again")]
    Listen(#[from] ListenError),
}

/// The drains under way.
#[derive(Debug, Default)]
pub(crate) struct Drains(Mutex<Vec<Entry>>);

/// A drain.
#[derive(Debug, Clone)]
struct Entry {
    kind: DrainKind,
    /// Empty for everything.
    name: Arc<str>,
    since: Instant,
    began_with: u64,
    ends_at: Option<Instant>,
    /// Ends the task that waits for that time.
    over: CancellationToken,
    /// A reload began it, since it removed the route: it is over when the route is back.
    by_reload: bool,
}

impl Drains {
    fn has(&self, kind: DrainKind, name: &str) -> bool {
        self.0.lock().iter().any(|entry| entry.kind == kind && *entry.name == *name)
    }

    /// Whether a listener is to stay closed.
    pub(crate) fn keep_shut(&self, label: &str) -> bool {
        self.has(DrainKind::Everything, "") || self.has(DrainKind::Listener, label)
    }

    /// Marks what is drained in `proxy`, which is about to be in force. Routes that are back are not drained any more if
    /// only their absence was the reason.
    pub(crate) fn mark(&self, proxy: &Proxy<TcpDialer>) {
        let mut entries = self.0.lock();
        let configured: HashSet<&str> = proxy.routes.iter().map(|route| &*route.name).collect();
        entries.retain(|entry| {
            let back = entry.by_reload && configured.contains(&*entry.name);
            if back {
                entry.over.cancel();
            }
            !back
        });
        let has = |kind, name: &str| entries.iter().any(|entry| entry.kind == kind && *entry.name == *name);
        for route in &proxy.routes {
            route.draining.set(has(DrainKind::Route, &route.name));
            for target in route.targets.iter() {
                target.draining.set(has(DrainKind::Target, &target.name));
            }
        }
    }

    fn put(&self, entry: Entry) {
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

    fn take(&self, kind: DrainKind, name: &str) -> Option<Entry> {
        let mut entries = self.0.lock();
        let place = entries.iter().position(|entry| entry.kind == kind && *entry.name == *name)?;
        let entry = entries.remove(place);
        entry.over.cancel();
        Some(entry)
    }
}

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
        let bound = closed.map(|at| Ok((at, doors.bind(&proxy.config, &at.config, &Bound::new(), false)?)));
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
        let entries = self.parts().drains.0.lock().clone();
        if entries.is_empty() {
            return Vec::new();
        }
        let (now, proxy) = (Instant::now(), self.proxy());
        let views: Vec<_> = self.tracker().snapshot();
        let mut drains = Vec::new();
        for entry in entries {
            let of = Of::new(&proxy, entry.kind, &entry.name);
            let left = views.iter().filter(|view| of.includes(view)).count() as u64;
            if left == 0 && !known(&proxy, entry.kind).contains(&*entry.name) {
                self.parts().drains.take(entry.kind, &entry.name);
                continue;
            }
            drains.push(entry.told(left, now));
        }
        drains
    }

    fn drain_of(&self, kind: DrainKind, name: &str) -> Option<Drain> {
        let entries = self.parts().drains.0.lock().clone();
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
                let is_known = known(proxy, kind).contains(&**name) || self.parts().drains.has(kind, name);
                let unknown = || DrainError::Unknown { what, name: name.clone(), known: listed(proxy, kind) };
                is_known.then(|| name.clone()).ok_or_else(unknown)
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

impl Entry {
    fn told(&self, left: u64, now: Instant) -> Drain {
        Drain {
            kind: self.kind,
            name: Some(self.name.to_string()).filter(|name| !name.is_empty()),
            since_s: now.saturating_duration_since(self.since).as_secs_f64(),
            began_with: self.began_with,
            left,
            ends_in_s: self.ends_at.map(|at| at.saturating_duration_since(now).as_secs_f64()),
        }
    }
}

/// Which connections are of something.
struct Of<'n> {
    kind: DrainKind,
    name: &'n str,
    /// Where a target is, on whatever port its clients came.
    addresses: HashSet<String>,
}

impl<'n> Of<'n> {
    fn new(proxy: &Proxy<TcpDialer>, kind: DrainKind, name: &'n str) -> Self {
        let mut addresses = HashSet::new();
        if kind == DrainKind::Target {
            addresses.insert(name.to_owned());
            for route in proxy.config.routes.routes() {
                let Action::Forward { targets, .. } = &route.payload.action else { continue };
                for target in targets.iter().filter(|target| target.to_string() == name) {
                    let ports = proxy.listeners.iter().map(|at| at.config.port);
                    addresses.extend(ports.map(|port| address(target, port).to_string()));
                }
            }
        }
        Self { kind, name, addresses }
    }

    fn includes(&self, view: &ConnView) -> bool {
        match self.kind {
            DrainKind::Listener => *view.listener == *self.name,
            DrainKind::Route => view.facts.route.as_deref() == Some(self.name),
            DrainKind::Target => {
                view.facts.target.as_deref().is_some_and(|target| self.addresses.contains(target))
            }
            DrainKind::Everything => true,
        }
    }
}

/// The names of what there is of a kind.
fn known(proxy: &Proxy<TcpDialer>, kind: DrainKind) -> HashSet<&str> {
    match kind {
        DrainKind::Listener => proxy.listeners.iter().map(|at| &*at.label).collect(),
        DrainKind::Route => proxy.routes.iter().map(|route| &*route.name).collect(),
        DrainKind::Target => {
            proxy.routes.iter().flat_map(|route| route.targets.iter().map(|target| &*target.name)).collect()
        }
        DrainKind::Everything => HashSet::from([""]),
    }
}

/// The first of them, for an error.
fn listed(proxy: &Proxy<TcpDialer>, kind: DrainKind) -> String {
    const SHOWN: usize = 20;
    let mut names: Vec<_> = known(proxy, kind).into_iter().collect();
    names.sort_unstable();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    names.truncate(SHOWN);
    format!("{}{more}", names.join(", "))
}

fn time(given: f64) -> Result<Duration, DrainError> {
    let time = Duration::try_from_secs_f64(given).map_err(|_| DrainError::Time { given })?;
    if time <= LATEST { Ok(time) } else { Err(DrainError::Time { given }) }
}

const fn word(kind: DrainKind) -> &'static str {
    match kind {
        DrainKind::Listener => "listener",
        DrainKind::Route => "route",
        DrainKind::Target => "target",
        DrainKind::Everything => "everything",
    }
}

fn say(kind: DrainKind, name: &str) -> String {
    if name.is_empty() { word(kind).to_owned() } else { format!("{} {name}", word(kind)) }
}
