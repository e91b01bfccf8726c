//! Whether of the same silence the inner hop is the first to have had enough. It is the one that knows whose silence it is:
//! where the outer one is faster, or as fast, the inner is told of a reset that nobody wished for.
//!
//! A dial to the inner hop is answered by its kernel, so the dial of the outer one has ended when that of the inner one
//! begins: what waits for the latter, and for a name, are the outer one's deadlines of silence. What waits to be written
//! waits on the hop next to whoever does not read first: there the same deadline on both is in order.

use std::rc::Rc;

use proxy_conn::{Deadlines, KeepAliveTreatment};
use proxy_core::Bound;
use proxy_route::{DomainPattern, Matched};

use super::super::finding::{self, Finding};
use super::Pair;
use super::link::Link;
use proxy_dataplane::settings::{Action, RouteConfig};

/// One deadline on both hops: the inner one's key, and what it is to be below.
struct Twice {
    key: &'static str,
    inner: Bound,
    outer_key: &'static str,
    outer: Bound,
    /// What to write for the inner one.
    wanted: String,
}

/// What is compared at most, of deadlines and of names: a second's worth. Two files of a hundred thousand routes have more
/// pairs than anybody waits for, unless most of their routes have the same deadlines.
const MOST: usize = 1_000_000;

/// The routes of the inner hop that are late behind a route of the outer one, whatever its names: worked out once for all
/// routes that have its deadlines.
struct Late {
    outer: Deadlines,
    port: u16,
    sends: bool,
    proxies: usize,
    routes: Rc<[(usize, Vec<Twice>)]>,
}

/// What was compared so far.
#[derive(Default)]
pub(super) struct Compared {
    known: Vec<Late>,
    pairs: usize,
}

/// One finding for each pair of routes of which one is behind the other.
pub(super) fn compare(pair: &mut Pair<'_, '_>, link: &Link<'_>) {
    let before = pair.proxies;
    let outer = link.route.pool(before > 0 || link.sends()).behind(before);
    let Some(names) =
        pair.outer.config.settings.routes.route(link.index).map(|route| &route.spec.matches.domains)
    else {
        return;
    };
    for (index, late) in late_behind(pair, link, outer).iter() {
        let Some(route) = pair.inner.config.settings.routes.route(*index) else { continue };
        pair.compared.pairs += names.len().max(1) * route.spec.matches.domains.len().max(1);
        // Of more findings than these nobody is shown.
        if pair.compared.pairs > MOST || pair.of_inner.len() > finding::MOST {
            break;
        }
        if takes(&route, names) && pair.says("deadlines", format!("{} {index}", link.index)) {
            let late = told_late(pair, link, &route, late);
            pair.of_inner.push(late);
        }
    }
    if pair.compared.pairs > MOST && pair.says("too many", "") {
        let title =
            "there are too many routes to compare the deadlines of each with those of each route behind it";
        let place = pair.outer.root().key("routes").index(link.index);
        pair.of_outer.push(
            Finding::new(place.key("name").span(), title).label("they are compared up to here").advice_only(),
        );
    }
    hello(pair, link, &outer);
}

/// Those that are late behind a route with these deadlines.
fn late_behind(pair: &mut Pair<'_, '_>, link: &Link<'_>, outer: Deadlines) -> Rc<[(usize, Vec<Twice>)]> {
    let (port, sends, proxies) = (link.listener.port, link.sends(), link.proxies(pair.proxies));
    let Compared { known, pairs } = &mut pair.compared;
    let same =
        |late: &&Late| (late.outer, late.port, late.sends, late.proxies) == (outer, port, sends, proxies);
    *pairs += known.len();
    if let Some(late) = known.iter().find(same) {
        return Rc::clone(&late.routes);
    }
    let mut routes = Vec::new();
    for route in pair.inner.config.settings.routes.routes() {
        *pairs += 1;
        if *pairs > MOST {
            break;
        }
        if is_on(&route, port) {
            let late = too_late(&outer, &route.payload.pool(sends).behind(proxies));
            routes.extend((!late.is_empty()).then_some((route.index, late)));
        }
    }
    let routes: Rc<[_]> = routes.into();
    known.push(Late { outer, port, sends, proxies, routes: Rc::clone(&routes) });
    routes
}

/// Whether connections on this port may go somewhere by a route.
fn is_on(route: &Matched<'_, RouteConfig>, port: u16) -> bool {
    route.spec.enabled
        && !matches!(route.payload.action, Action::Refuse)
        && route.spec.matches.ports.iter().any(|range| range.contains(port))
}

/// Whether a connection of these names may come to a route.
fn takes(route: &Matched<'_, RouteConfig>, names: &[DomainPattern]) -> bool {
    let domains = &route.spec.matches.domains;
    names.is_empty()
        || domains.is_empty()
        || names.iter().any(|name| domains.iter().any(|other| meet(name, other)))
}

/// Whether there is a name that both take.
fn meet(one: &DomainPattern, other: &DomainPattern) -> bool {
    // A wildcard stands for any label.
    let example = |pattern: &DomainPattern| pattern.to_string().replace('*', "x");
    one == other || one.matches(&example(other)) || other.matches(&example(one))
}

/// The deadlines of the inner hop that pass when it has been told already, or is about to be.
fn too_late(outer: &Deadlines, inner: &Deadlines) -> Vec<Twice> {
    let never = |bound: Bound| bound == Bound::MAX;
    // What one may have at the least, and the other at the most.
    let least = |bound| outer.jitter.spread(bound, 0.0);
    let most = |bound| inner.jitter.spread(bound, 1.0);
    let mut late = Vec::new();
    let mut twice = |key, (outer_key, outer): (&'static str, Bound), inner: Bound, wanted: String| {
        late.push(Twice { key, inner, outer_key, outer, wanted });
    };
    let idle = ("inactivity_timeout", outer.idle());
    if !never(outer.idle()) && most(inner.idle()) >= least(outer.idle()) {
        twice("inactivity_timeout", idle, inner.idle(), inactivity(least(outer.idle()), inner));
    }
    let half = outer.half_closed_timeout;
    if inner.half_closed_timeout >= half {
        let written = written("half_closed_timeout", below(half));
        twice("half_closed_timeout", ("half_closed_timeout", half), inner.half_closed_timeout, written);
    }
    let stall = outer.write_stall_timeout;
    if inner.write_stall_timeout > stall {
        let written = written("write_stall_timeout", stall);
        twice("write_stall_timeout", ("write_stall_timeout", stall), inner.write_stall_timeout, written);
    }
    let no_data = outer.no_data_timeout.bound();
    if !never(no_data) && inner.no_data_timeout.bound() >= no_data {
        let written = written("no_data_timeout", below(no_data));
        twice("no_data_timeout", ("no_data_timeout", no_data), inner.no_data_timeout.bound(), written);
    }
    let standard = |deadlines: &Deadlines| deadlines.keep_alive_treatment == KeepAliveTreatment::Standard;
    if standard(outer) && standard(inner) && most(inner.lifetime()) >= least(outer.lifetime()) {
        let written = written("max_connection_lifetime", below(least(outer.lifetime())));
        let lifetime = ("max_connection_lifetime", outer.lifetime());
        twice("max_connection_lifetime", lifetime, inner.lifetime(), written);
    }
    let (first, silence) = shortest_silence(outer);
    if inner.connection_timeout >= silence {
        let written = written("connection_timeout", below(silence));
        twice("connection_timeout", (first, silence), inner.connection_timeout, written);
    }
    late
}

/// What an outer hop that has dialled, and hears nothing, does first.
fn shortest_silence(outer: &Deadlines) -> (&'static str, Bound) {
    let no_data = outer.no_data_timeout.bound();
    if no_data <= outer.idle() { ("no_data_timeout", no_data) } else { ("inactivity_timeout", outer.idle()) }
}

/// What to write for an inner hop that is to be less patient than `outer`, after its keep-alive treatment.
fn inactivity(outer: Bound, inner: &Deadlines) -> String {
    let treatment = inner.keep_alive_treatment;
    if treatment == KeepAliveTreatment::Immortal {
        return format!(
            "keep_alive_treatment = \"standard\", {}",
            written("inactivity_timeout", below(outer))
        );
    }
    let extended = treatment == KeepAliveTreatment::Extended;
    let factor = if extended { inner.keep_alive_inactivity_multiplier.factor() } else { 1 };
    // Shorter by its own spread, too.
    let spread = inner.jitter.spread(outer, 1.0).get().as_secs_f64() / outer.get().as_secs_f64();
    let wanted = below(outer).get().div_f64(spread.max(1.0)) / factor.max(1);
    written("inactivity_timeout", Bound::try_from(wanted).unwrap_or(Bound::MIN))
}

/// A tenth less, as the built-in deadlines of a chain have it.
fn below(bound: Bound) -> Bound {
    Bound::try_from(bound.get() - bound.get() / 10).unwrap_or(Bound::MIN)
}

fn written(key: &str, bound: Bound) -> String {
    format!("{key} = \"{bound}\"")
}

fn told(bound: Bound) -> String {
    if bound == Bound::MAX { "never".to_owned() } else { bound.to_string() }
}

fn told_late(
    pair: &Pair<'_, '_>,
    link: &Link<'_>,
    route: &Matched<'_, RouteConfig>,
    late: &[Twice],
) -> Finding {
    let outer = pair.outer.name();
    let title = format!(
        "deadlines of route \"{}\" do not pass before those of route \"{}\" of {outer}, in front of it",
        route.payload.name, link.route.name
    );
    let one = |Twice { key, inner, outer_key, outer, .. }: &Twice| {
        if key == outer_key {
            format!("{key} is {} here and {} there", told(*inner), told(*outer))
        } else {
            format!("{key} is {} here, and {outer_key} {} there", told(*inner), told(*outer))
        }
    };
    let all: Vec<String> = late.iter().map(one).collect();
    let wanted: Vec<&str> = late.iter().map(|twice| &*twice.wanted).collect();
    let place = pair.inner.route(route.index);
    let name = if place.key("timeouts").exists() { "timeouts" } else { "name" };
    Finding::new(place.key(name).span(), title).label(all.join("; ")).help(format!(
        "write timeouts = {{ {} }} in this route, or longer ones in that of {outer}: where the outer hop is first, this one is told \
         of a reset by its client",
        wanted.join(", ")
    ))
}

/// A name that the inner hop waits for and the outer one does not.
fn hello(pair: &mut Pair<'_, '_>, link: &Link<'_>, outer: &Deadlines) {
    let waits = pair.inner.config.settings.routes.needs_hello(link.listener.port);
    let (key, silence) = shortest_silence(outer);
    let own = pair.inner.config.settings.deadlines.initial_data_timeout;
    let has = |port: u16| pair.outer.config.settings.routes.needs_hello(port);
    let knows = || link.ports.iter().all(|range| (range.first()..=range.last()).all(has));
    if !waits || own < silence || pair.has_said("hello") || knows() || !pair.says("hello", "") {
        return;
    }
    let title = format!(
        "initial_data_timeout does not pass before {key} of route \"{}\" of {}, in front of it",
        link.route.name,
        pair.outer.name()
    );
    let span = pair.inner.root().key("timeouts").key("initial_data_timeout").span();
    pair.of_inner.push(
        Finding::new(span, title)
            .label(format!("it is {own} here, and {key} {silence} there"))
            .help(format!("write {} in [timeouts]", written("initial_data_timeout", below(silence)))),
    );
}
