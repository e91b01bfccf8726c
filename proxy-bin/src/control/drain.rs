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

use std::sync::Arc;
use std::time::Duration;

use proxy_conn::{Reason, Tracked};
use proxy_core::{ListenError, TcpDialer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::drains::Entry;
use super::running::Running;
use super::state::State;
use crate::unknown::Unknown;
use proxy_api::model::{Drain, DrainKind, DrainRequest};
use proxy_dataplane::departures::Departure;
use proxy_dataplane::generation::Generation;
use proxy_dataplane::listeners::Inherited;

pub use error::DrainError;
use error::{LATEST, time};
use scope::{Of, is_known, listed, names, say, word};

/// Drains something, or undoes that; what it says is how far it is. Goes on to its end once begun, whether or not it
/// is waited for.
///
/// # Errors
/// [`DrainError`]; nothing has changed then.
pub(crate) async fn drain(running: &Arc<Running>, request: &DrainRequest) -> Result<Drain, DrainError> {
    let (drained, request) = (Arc::clone(running), request.clone());
    let state = running.state();
    let draining = running.runtime.spawn(async move {
        let _alone = drained.changing.lock().await;
        drain_alone(&drained, &request).await
    });
    draining.await.unwrap_or(Err(DrainError::Stopping(state)))
}

async fn drain_alone(running: &Arc<Running>, request: &DrainRequest) -> Result<Drain, DrainError> {
    let (kind, state) = (request.kind, running.state());
    if state != State::Running {
        return Err(DrainError::Stopping(state));
    }
    let proxy = running.proxy();
    let name: Arc<str> = named(running, &proxy, request)?.into();
    if request.undo {
        return undo(running, &proxy, kind, &name).await;
    }
    let ends_at = request.end_after_s.map(time).transpose()?.map(|after| Instant::now() + after);
    begin(running, &proxy, kind, &name, ends_at, false);
    match kind {
        DrainKind::Listener => running.plane.listeners().close(&[Arc::clone(&name)]).await,
        DrainKind::Everything => running.plane.listeners().close(&running.plane.listeners().labels()).await,
        DrainKind::Route | DrainKind::Target => {}
    }
    drain_of(running, kind, &name).ok_or_else(|| DrainError::NotDraining { what: say(kind, &name) })
}

/// Notes a drain, and sees to its end.
fn begin(
    running: &Arc<Running>,
    proxy: &Generation<TcpDialer>,
    kind: DrainKind,
    name: &Arc<str>,
    ends_at: Option<Instant>,
    by_reload: bool,
) {
    let connections = connections_of(running, kind, name);
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
    running.drains.put(entry);
    if !by_reload {
        running.drains.mark(proxy);
    }
    if let Some(at) = ends_at {
        end_at(running, kind, name, (at, by_reload), over);
    }
}

/// Ends whoever is left at `at`, unless it is `over` before. With that a drain that a reload began is forgotten.
fn end_at(
    running: &Arc<Running>,
    kind: DrainKind,
    name: &Arc<str>,
    (at, by_reload): (Instant, bool),
    over: CancellationToken,
) {
    let (weak, name, quit) = (Arc::downgrade(running), Arc::clone(name), running.plane.quit().clone());
    drop(running.runtime.spawn(async move {
        tokio::select! {
            biased;
            () = quit.cancelled() => return,
            () = over.cancelled() => return,
            () = tokio::time::sleep_until(at) => {}
        }
        let Some(running) = weak.upgrade() else { return };
        let left = connections_of(&running, kind, &name);
        let ended = left.iter().filter(|one| one.cancel(Reason::Drained)).count();
        info!(ended, "the time to finish is over for {}", say(kind, &name));
        if by_reload {
            running.drains.take(kind, &name);
        }
    }));
}

/// Connections of routes that a reload has removed may finish for so long.
pub(crate) fn drain_removed(running: &Arc<Running>, routes: &[Arc<str>], grace: Duration) {
    let proxy = running.proxy();
    for route in routes {
        let asked_for = running.drains.has(DrainKind::Route, route);
        if !asked_for && !connections_of(running, DrainKind::Route, route).is_empty() {
            let ends_at = Instant::now() + grace.min(LATEST);
            begin(running, &proxy, DrainKind::Route, route, Some(ends_at), true);
        }
    }
}

async fn undo(
    running: &Arc<Running>,
    proxy: &Arc<Generation<TcpDialer>>,
    kind: DrainKind,
    name: &Arc<str>,
) -> Result<Drain, DrainError> {
    let Some(drain) = drain_of(running, kind, name) else {
        return Err(DrainError::NotDraining { what: say(kind, name) });
    };
    let drains = &running.drains;
    let stays_shut = |label: &str| match kind {
        DrainKind::Everything => drains.has(DrainKind::Listener, label),
        DrainKind::Listener => *label != **name || drains.has(DrainKind::Everything, ""),
        DrainKind::Route | DrainKind::Target => true,
    };
    let listeners = running.plane.listeners();
    let shut = |label: &str| !stays_shut(label) && !listeners.is_open(label);
    let closed = proxy.listeners.iter().filter(|at| shut(&at.label));
    let bound =
        closed.map(|at| Ok((at, listeners.bind(&proxy.settings, &at.config, &mut Inherited::new(), false)?)));
    for (at, sockets) in bound.collect::<Result<Vec<_>, ListenError>>()? {
        listeners.open(at, proxy, sockets);
    }
    drains.take(kind, name);
    drains.mark(proxy);
    info!("no longer draining {}", say(kind, name));
    Ok(drain)
}

/// The drains under way, in the order in which they were asked for. What somebody asked for lasts until it is undone, also where
/// nothing has the name any more: it may come back. What a reload began is over with its connections. Last come members that their
/// groups have no more, and whose connections have a time to end.
#[must_use]
pub(crate) fn drains(running: &Arc<Running>) -> Vec<Drain> {
    let (now, entries) = (Instant::now(), running.drains.all());
    let departures = running.plane.departures();
    let departures = departures.iter().map(|departure| of_departure(departure, now));
    if entries.is_empty() {
        return departures.collect();
    }
    let proxy = running.proxy();
    let views: Vec<_> = running.plane.tracker().snapshot();
    let mut drains = Vec::new();
    for entry in entries {
        let of = Of::new(&proxy, entry.kind, &entry.name);
        let left = views.iter().filter(|view| of.includes(view)).count() as u64;
        if left > 0 || !entry.by_reload {
            drains.push(entry.told(left, now));
        }
    }
    drains.extend(departures);
    drains
}

/// What is told of a removed member whose connections have a time to end.
fn of_departure(departure: &Departure, now: Instant) -> Drain {
    let member = departure.removed.of.member();
    Drain {
        kind: DrainKind::Target,
        name: Some(member.name.to_string()),
        since_s: now.saturating_duration_since(departure.since).as_secs_f64(),
        began_with: departure.began_with as u64,
        left: member.limit.in_use() as u64,
        ends_in_s: Some(departure.ends_at.saturating_duration_since(now).as_secs_f64()),
        removed_from: Some(departure.removed.group.to_string()),
    }
}

fn drain_of(running: &Arc<Running>, kind: DrainKind, name: &str) -> Option<Drain> {
    let entries = running.drains.all();
    let entry = entries.into_iter().find(|entry| entry.kind == kind && *entry.name == *name)?;
    Some(entry.told(connections_of(running, kind, name).len() as u64, Instant::now()))
}

/// The connections of something.
fn connections_of(running: &Arc<Running>, kind: DrainKind, name: &str) -> Vec<Tracked> {
    let (proxy, now) = (running.proxy(), Instant::now());
    let of = Of::new(&proxy, kind, name);
    let mut all = running.plane.tracker().connections();
    all.retain(|one| of.includes(&one.view(now)));
    all
}

/// The name that a request means.
fn named(
    running: &Arc<Running>,
    proxy: &Generation<TcpDialer>,
    request: &DrainRequest,
) -> Result<String, DrainError> {
    let (kind, what) = (request.kind, word(request.kind));
    match &request.name {
        Some(name) if kind == DrainKind::Everything => Err(DrainError::Named { name: name.clone() }),
        None if kind == DrainKind::Everything => Ok(String::new()),
        None => Err(DrainError::Nameless { what, known: listed(proxy, kind) }),
        Some(name) => {
            // What is no longer configured may still be draining.
            if is_known(proxy, kind, name) || running.drains.has(kind, name) {
                return Ok(name.clone());
            }
            Err(Unknown::new(what, name, names(proxy, kind)).into())
        }
    }
}
