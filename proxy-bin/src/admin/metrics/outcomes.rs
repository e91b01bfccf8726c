//! What became of connections, by route, target, listener and pool.
//!
//! Every series is there from the start, whoever connects: by class of cause (each cause is in `/v1/routes` and its like). Histograms
//! have some twenty series each, so routes and targets beyond the first thousand have none.

use std::fmt;

use proxy_conn::{Cause, Tally, Totals};
use proxy_core::TcpDialer;
use proxy_dataplane::generation::Generation;

use super::listed::{self, MICROS, MILLIS};
use super::scrape::Scrape;

/// Routes, and targets, that have histograms: with a thousand of each they are some sixty thousand lines.
const WITH_HISTOGRAMS: usize = 1_000;

/// One thing that has connections: how it is labelled, and what is counted under it, if anything is.
struct Part<'p> {
    labels: Vec<(&'static str, &'p str)>,
    tally: Option<Tally>,
    totals: Totals,
}

impl<'p> Part<'p> {
    fn new(labels: Vec<(&'static str, &'p str)>, tally: Option<Tally>) -> Self {
        let totals = tally.as_ref().map(Tally::totals).unwrap_or_default();
        Self { labels, tally, totals }
    }

    /// Its labels and one more.
    fn and(&self, name: &'static str, value: &'p str) -> Vec<(&'static str, &'p str)> {
        let mut labels = self.labels.clone();
        labels.push((name, value));
        labels
    }

    /// Those of a class.
    fn ended_as(&self, class: &str) -> u64 {
        self.totals.causes().filter(|(cause, _)| cause.class() == class).map(|(_, count)| count).sum()
    }

    /// What is counted under it; nothing where nobody was.
    fn tally(&self) -> Tally {
        self.tally.clone().unwrap_or_else(|| Tally::new(""))
    }
}

/// Names of the families of one kind of parts.
struct Names {
    open: &'static str,
    opened: &'static str,
    ended: &'static str,
    failed: &'static str,
    unanswered: &'static str,
    bytes: &'static str,
}

const OF_ROUTES: Names = Names {
    open: "route_connections",
    opened: "route_connections_opened",
    ended: "route_connections_ended",
    failed: "route_connections_failed",
    unanswered: "route_connections_unanswered",
    bytes: "route_bytes",
};

const OF_TARGETS: Names = Names {
    open: "target_connections",
    opened: "target_connections_opened",
    ended: "target_connections_ended",
    failed: "target_connections_failed",
    unanswered: "target_connections_unanswered",
    bytes: "target_bytes",
};

const OF_LISTENERS: Names = Names {
    open: "listener_connections",
    opened: "listener_connections_opened",
    ended: "listener_connections_ended",
    failed: "listener_connections_failed",
    unanswered: "listener_connections_unanswered",
    bytes: "listener_bytes",
};

const OF_POOLS: Names = Names {
    open: "pool_connections",
    opened: "pool_connections_opened",
    ended: "pool_connections_ended",
    failed: "pool_connections_failed",
    unanswered: "pool_connections_unanswered",
    bytes: "pool_bytes",
};

/// All of it.
pub(super) fn of_parts(proxy: &Generation<TcpDialer>, scrape: &mut Scrape<'_>) -> fmt::Result {
    let routes: Vec<_> = proxy
        .settings
        .routes
        .routes()
        .map(|matched| {
            let state = proxy.routes.made(matched.index);
            Part::new(vec![("route", matched.name())], state.map(|state| state.name.clone()))
        })
        .collect();
    counters(&OF_ROUTES, &routes, scrape)?;
    of_routes(&routes, scrape)?;
    let groups = listed::groups(proxy);
    let targets = listed::targets(proxy, &groups);
    let targets: Vec<_> = targets
        .iter()
        .map(|(route, target, member)| {
            let labels = vec![("route", *route), ("target", target.as_str())];
            Part::new(labels, member.map(|member| member.name.clone()))
        })
        .collect();
    counters(&OF_TARGETS, &targets, scrape)?;
    of_targets(&targets, scrape)?;
    let listeners = proxy.listeners.iter();
    let listeners = listeners.map(|at| Part::new(vec![("listener", &*at.label)], Some(at.label.clone())));
    counters(&OF_LISTENERS, &listeners.collect::<Vec<_>>(), scrape)?;
    let pools = proxy.pools.iter();
    let pools =
        pools.map(|pool| Part::new(vec![("pool", &*pool.name)], proxy.tracker.of_pool(pool.id).cloned()));
    counters(&OF_POOLS, &pools.collect::<Vec<_>>(), scrape)
}

fn counters(names: &Names, parts: &[Part<'_>], scrape: &mut Scrape<'_>) -> fmt::Result {
    let mut family =
        scrape.gauge(names.open, "Connections that are open, those that wait for a place too")?;
    for part in parts {
        family.is(&part.labels, part.totals.open())?;
    }
    let mut family = scrape.counter(names.opened, "Connections that it was given")?;
    for part in parts {
        family.count(&part.labels, part.totals.opened)?;
    }
    let help =
        "Connections that have ended, by class of cause; a target's may also have gone on to another one";
    let mut family = scrape.counter(names.ended, help)?;
    for part in parts {
        for class in Cause::CLASSES {
            family.count(&part.and("class", class), part.ended_as(class))?;
        }
        family.count(&part.and("class", "passed_on"), part.totals.passed_on)?;
    }
    let help = "Connections that the backend failed: it refused, reset, was silent beyond a deadline or could not be reached";
    let mut family = scrape.counter(names.failed, help)?;
    for part in parts {
        family.count(&part.labels, part.totals.failed)?;
    }
    let help =
        "Connections that ended without an answer to what the client had said; usual for what goes one way";
    let mut family = scrape.counter(names.unanswered, help)?;
    for part in parts {
        family.count(&part.labels, part.totals.unanswered)?;
    }
    let help = "Bytes read from clients, and from backends; of those that are open as of a moment ago";
    let mut family = scrape.counter(names.bytes, help)?;
    for part in parts {
        family.count(&part.and("direction", "from_client"), part.totals.from_client)?;
        family.count(&part.and("direction", "from_backend"), part.totals.from_backend)?;
    }
    Ok(())
}

fn of_routes(routes: &[Part<'_>], scrape: &mut Scrape<'_>) -> fmt::Result {
    let some = || routes.iter().take(WITH_HISTOGRAMS);
    let help = "From a connection's route to its backend, waits for a place left out";
    let mut family = scrape.histogram("route_dial_seconds", help)?;
    for part in some() {
        family.has(&part.labels, &part.tally().dial(), MICROS)?;
    }
    let mut family = scrape.histogram("route_first_byte_seconds", FIRST_BYTE)?;
    for part in some() {
        family.has(&part.labels, &part.tally().first_byte(), MICROS)?;
    }
    let help = "How long connections that have ended had been open";
    let mut family = scrape.histogram("route_lifetime_seconds", help)?;
    for part in some() {
        family.has(&part.labels, &part.tally().lifetime(), MILLIS)?;
    }
    Ok(())
}

fn of_targets(targets: &[Part<'_>], scrape: &mut Scrape<'_>) -> fmt::Result {
    let mut family = scrape.histogram("target_first_byte_seconds", FIRST_BYTE)?;
    for part in targets.iter().take(WITH_HISTOGRAMS) {
        family.has(&part.labels, &part.tally().first_byte(), MICROS)?;
    }
    Ok(())
}

/// What the time of a first byte is.
pub(super) const FIRST_BYTE: &str = "Until the backend's first byte, of connections that have ended: from the client's first words on, or from when they had the backend, if that spoke first";
