//! Two configurations as neighbours in a chain: what of the one does not fit the other.
//!
//! ```text
//! client ─► OUTER: route ─► its target ══ link ══► INNER: listener ─► its routes ─► backend
//! ```
//! A link is a target of the outer hop that leads to a listener of the inner one, as far as the two files show it: the
//! port is the same, and so is the address where the listener is bound to one. Each link is asked whether each hop takes the other
//! for one ([`hops`]), whether the one sends what the other wants ([`header`]), whether of the same silence the hop nearer to the backend is the first to have had
//! enough ([`deadlines`]), and whether the inner hop lets in as many as the outer one may bring ([`crowd`]).
//!
//! Nothing else is known of either machine, and nothing is looked up: what depends on an address that no file names is
//! not judged.

use std::cell::OnceCell;
use std::collections::HashSet;

use super::document::Place;
use super::finding::{Finding, Findings, Severity, Source};
use super::recover::{self, Recovered};
use super::{AcceptProxy, Config, group, listener, route};
use link::Link;

mod crowd;
mod deadlines;
mod header;
mod hops;
mod link;

/// What there is to say of an outer hop and the inner hop behind it.
#[derive(Debug)]
pub struct Between {
    /// How many routes of the outer hop lead to the inner one.
    pub routes: usize,
    /// What is to be changed in the outer one's file; warnings.
    pub outer: Findings,
    /// What is to be changed in the inner one's file; warnings.
    pub inner: Findings,
    /// How many proxies a connection has come through when it arrives at the inner hop, as far as its header tells.
    pub proxies: usize,
}

/// Compares two hops, of which the outer one is connected to by clients, or by so many `proxies` that come before it.
#[must_use]
pub fn between(outer: &Config, inner: &Config, proxies: usize) -> Between {
    let (mut of_outer, mut of_inner) = (Vec::new(), Vec::new());
    let links = link::between(outer, inner);
    let proxies = proxies.max(usize::from(has_one_before(outer)));
    let mut behind = 0;
    let (outer_text, inner_text) = (OnceCell::new(), OnceCell::new());
    let mut pair = Pair {
        outer: Hop { config: outer, text: &outer_text },
        inner: Hop { config: inner, text: &inner_text },
        proxies,
        said: HashSet::new(),
        compared: deadlines::Compared::default(),
        of_outer: &mut of_outer,
        of_inner: &mut of_inner,
    };
    for link in &links {
        behind = behind.max(link.proxies(proxies));
        pair.compare(link);
    }
    let findings = |config: &Config, list| Source::of(&config.origin).findings(Severity::Warning, list);
    let routes: HashSet<usize> = links.iter().map(|link| link.index).collect();
    Between {
        routes: routes.len(),
        outer: findings(outer, of_outer),
        inner: findings(inner, of_inner),
        proxies: behind,
    }
}

/// What there is to say of two hops of which the outer one has no route that leads to the inner one: where it leads, and where
/// the other is.
#[must_use]
pub fn apart(outer: &Config, inner: &Config) -> String {
    let enabled = outer.settings.routes.routes().filter(|route| route.spec.enabled);
    let targets = enabled.flat_map(|route| route.payload.action.targets()).map(ToString::to_string);
    let (targets, listeners) =
        (some_of(targets), some_of(inner.settings.listeners.iter().map(|at| at.label.clone())));
    format!(
        "no route leads there, as far as the files show: routes lead to {targets}, and it listens on {listeners}"
    )
}

/// The first of them, without those that were named already.
fn some_of(names: impl Iterator<Item = String>) -> String {
    /// So many fit a line.
    const MOST: usize = 4;
    let mut said: Vec<String> = Vec::new();
    for name in names {
        if !said.contains(&name) {
            said.push(name);
        }
        if said.len() > MOST {
            said.truncate(MOST);
            said.push("others".to_owned());
            break;
        }
    }
    if said.is_empty() { "nothing".to_owned() } else { said.join(", ") }
}

/// Whether all connections of a hop come from another proxy, which is in none of the files.
fn has_one_before(hop: &Config) -> bool {
    hop.settings
        .listeners
        .iter()
        .all(|at| at.hop.is_some() || matches!(at.accept_proxy, AcceptProxy::Required(_)))
}

/// One of the two, and its text, which is read again only where there is something to say of it: for the place.
#[derive(Clone, Copy)]
struct Hop<'a, 't> {
    config: &'t Config,
    text: &'a OnceCell<Recovered<'t>>,
}

impl<'a, 't> Hop<'a, 't> {
    /// What its file is called.
    fn name(self) -> &'t str {
        &self.config.origin.name
    }

    fn text(self) -> &'a Recovered<'t> {
        let read = || recover::read(&self.config.origin.text, &mut Vec::new());
        // INVARIANT: a configuration was made of this text.
        self.text.get_or_init(|| read().expect("it can be read"))
    }

    /// The file as a whole.
    fn root(self) -> Place<'a, 't> {
        self.text().document.root()
    }

    /// The place of a route.
    fn route(self, index: usize) -> Place<'a, 't> {
        route::place(&self.text().document, index)
    }

    /// The place of the target that a link is about: in the route, or in its group.
    fn target(self, link: &Link<'_>) -> Place<'a, 't> {
        group::place_of_target(&self.text().document, (link.index, &link.route.action), link.target.0)
    }

    /// The place of what is written about listening on a port; else that of the port, in the route that wants it.
    fn listener(self, at: &super::ListenerConfig) -> Place<'a, 't> {
        let Recovered { file, document } = self.text();
        match listener::table_of(file, at) {
            Some(table) => listener::place(document, table),
            None => {
                let has =
                    |ports: &[proxy_route::PortRange]| ports.iter().any(|range| range.contains(at.port));
                let routes = file.routes.iter();
                let wants = routes.enumerate().find(|(_, route)| route.enabled && has(&route.matches.ports));
                self.route(wants.map_or(0, |(index, _)| index)).key("match").key("ports")
            }
        }
    }
}

/// What is compared, and what was found.
struct Pair<'a, 't> {
    outer: Hop<'a, 't>,
    inner: Hop<'a, 't>,
    /// How many proxies come before the outer one.
    proxies: usize,
    /// What was said of what: a hundred routes to one listener that wants something are one finding.
    said: HashSet<(&'static str, String)>,
    /// Which deadlines were compared.
    compared: deadlines::Compared,
    of_outer: &'a mut Vec<Finding>,
    of_inner: &'a mut Vec<Finding>,
}

impl Pair<'_, '_> {
    fn compare(&mut self, link: &Link<'_>) {
        if hops::compare(self, link) && header::compare(self, link) {
            deadlines::compare(self, link);
        }
        crowd::compare(self, link);
    }

    /// Whether `what` was said, of nobody in particular.
    fn has_said(&self, what: &'static str) -> bool {
        self.said.contains(&(what, String::new()))
    }

    /// Whether `what` is to be said of `whom`: once.
    fn says(&mut self, what: &'static str, whom: impl Into<String>) -> bool {
        self.said.insert((what, whom.into()))
    }
}
