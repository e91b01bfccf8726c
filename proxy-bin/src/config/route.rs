//! Routes: from what is written to what a connection runs with.

use std::collections::VecDeque;
use std::sync::Arc;

use proxy_conn::BreakerOptions;
use proxy_core::{Egress, KeepAlive};
use proxy_dataplane::settings::{Action, AtLimit, RouteConfig, RouteSettings};
use proxy_route::{BuildError, RouteSpec, RouteTable, Shadowed};

use super::document::{Document, Place};
use super::file::{ActionFile, RouteFile};
use super::finding::Finding;
use super::group::{ForwardFile, Groups};
use super::pool::Pools;
use super::{egress, http, kernel, send_proxy, tls, too_early};

/// What holds for routes that say nothing else.
pub(super) struct Defaults<'f> {
    pub(super) pools: Pools<'f>,
    pub(super) keep_alive: KeepAlive,
    pub(super) at_limit: AtLimit,
    pub(super) breaker: BreakerOptions,
    pub(super) groups: Groups,
    pub(super) egress: Arc<Egress>,
    pub(super) tls: tls::Loaded,
}

/// The place of a route.
pub(super) fn place<'d, 't>(document: &'d Document<'t>, route: usize) -> Place<'d, 't> {
    document.root().key("routes").index(route)
}

/// What is wrong with single routes, and that there is one.
pub(super) fn check(files: &[RouteFile], document: &Document<'_>, findings: &mut Vec<Finding>) {
    if !document.is_wounded() {
        some_route(files, document, findings);
    }
    for (index, file) in files.iter().enumerate() {
        check_one(file, &place(document, index), findings);
    }
}

/// The table of all routes, if nothing is wrong with them.
pub(super) fn table(
    files: Vec<RouteFile>,
    defaults: &Defaults<'_>,
    document: &Document<'_>,
    findings: &mut Vec<Finding>,
) -> Option<RouteTable<RouteConfig>> {
    let mut common = Common::default();
    let routes = files.into_iter().enumerate().map(|(index, file)| {
        // A match that lost a part is wider than it was meant, and would clash where nothing clashes.
        let whole = !document.is_wounded() || !place(document, index).key("match").is_wounded();
        let settings = common.of(&file, defaults);
        let RouteFile { name, enabled, priority, matches, action, .. } = file;
        let spec = RouteSpec::new(name.shared(), matches).priority(priority).enabled(enabled && whole);
        let config = RouteConfig {
            name: name.shared(),
            action: resolved(action, &defaults.groups),
            max_connections: file.max_connections,
            max_connections_per_target: file.max_connections_per_target,
            settings,
        };
        (spec, config)
    });
    match RouteTable::build(routes) {
        Ok(table) => Some(table),
        Err(errors) => {
            findings.extend(errors.iter().filter_map(|error| clash(error, document)));
            None
        }
    }
}

/// A warning for each route that can never match.
pub(super) fn shadowed(table: &RouteTable<RouteConfig>, document: &Document<'_>) -> Vec<Finding> {
    let pairs = table.shadowed();
    let by_loser = pairs.chunk_by(|a, b| a.loser == b.loser);
    by_loser
        .filter_map(|pairs| Some((pairs.first()?, pairs)))
        .map(|(first, pairs)| dead(first, pairs, document))
        .collect()
}

fn dead(first: &Shadowed<'_>, winners: &[Shadowed<'_>], document: &Document<'_>) -> Finding {
    let span = place(document, first.loser).key("match").span();
    let finding = Finding::new(span, format!("route \"{}\" never matches", first.loser_name))
        .label("all of this is taken by routes of higher priority")
        .help("give it a higher priority, narrow the other routes, or remove it");
    winners.iter().fold(finding, |finding, pair| {
        finding.beside(
            place(document, pair.winner).key("match").span(),
            format!("\"{}\" takes it", pair.winner_name),
        )
    })
}

/// That there is something to do at all.
fn some_route(files: &[RouteFile], document: &Document<'_>, findings: &mut Vec<Finding>) {
    let place = document.root().key("routes");
    let example = "a route is written as\n[[routes]]\nname = \"web\"\nmatch = { ports = [8080] }\n\
        action = { forward = [\"127.0.0.1:3000\"] }";
    if files.is_empty() {
        findings.push(
            Finding::new(place.span(), "the file has no routes, so there is nothing to do").help(example),
        );
    } else if !files.iter().any(|file| file.enabled) {
        let span = place.index(0).key("enabled").span();
        let title = "no route is enabled, so there is nothing to do";
        findings.push(Finding::new(span, title).label("this and every other route is off"));
    }
}

/// What is wrong with one route alone.
fn check_one(file: &RouteFile, place: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    if let ActionFile::Forward(ForwardFile::Targets(targets)) = &file.action
        && targets.is_empty()
        && let forward = place.key("action").key("forward")
        && !forward.is_wounded()
    {
        let title = format!("route \"{}\" forwards to nothing", file.name.as_str());
        findings.push(
            Finding::new(forward.span(), title)
                .label("at least one target has to be here")
                .help("to turn its connections away, write action = \"refuse\""),
        );
    }
    if file.is_plain() {
        return;
    }
    send_proxy::check(file, place, findings);
    tls::check_route(file, place, findings);
    http::check(file, place, findings);
    too_early::check(&file.timeouts, "route", &place.key("timeouts"), findings);
    kernel::check(&file.keep_alive, &place.key("keep_alive"), findings);
    egress::check(file, place, findings);
}

/// Settings that were met lately: most routes of a file are alike, or take turns among a few kinds.
#[derive(Default)]
struct Common {
    /// Those of a route that sets nothing.
    plain: Option<Arc<RouteSettings>>,
    kinds: VecDeque<Arc<RouteSettings>>,
}

impl Common {
    /// Kinds that are remembered: each route is compared with each.
    const KINDS: usize = 8;

    /// The settings of a route, shared with those that have the same.
    fn of(&mut self, file: &RouteFile, defaults: &Defaults<'_>) -> Arc<RouteSettings> {
        if file.is_plain() {
            return Arc::clone(self.plain.get_or_insert_with(|| Arc::new(settings(file, defaults))));
        }
        let settings = settings(file, defaults);
        if let Some(known) = self.kinds.iter().find(|known| ***known == settings) {
            return Arc::clone(known);
        }
        self.kinds.truncate(Self::KINDS - 1);
        let new = Arc::new(settings);
        self.kinds.push_front(Arc::clone(&new));
        new
    }
}

fn resolved(file: ActionFile, groups: &Groups) -> Action {
    match file {
        ActionFile::Forward(ForwardFile::Targets(targets)) => Action::Forward(targets),
        ActionFile::Forward(ForwardFile::Group(name)) => groups.action(&name),
        ActionFile::Refuse => Action::Refuse,
    }
}

fn settings(file: &RouteFile, defaults: &Defaults<'_>) -> RouteSettings {
    let pools = defaults.pools.of_route(file);
    RouteSettings {
        deadlines: pools.of(false).deadlines,
        pools,
        at_limit: file.at_limit.unwrap_or(defaults.at_limit),
        breaker: file.breaker.over(&defaults.breaker),
        keep_alive: defaults.keep_alive.with(&file.keep_alive),
        send_proxy: send_proxy::resolved(file),
        egress: egress::of_route(file, &defaults.egress),
        tls: defaults.tls.of_route(file),
        http: http::resolved(file),
    }
}

/// An error that the table found, with the positions it knows turned into places of the file; `None` if it only
/// follows from one that was reported.
fn clash(error: &BuildError, document: &Document<'_>) -> Option<Finding> {
    let routes: Vec<_> = error.routes().iter().map(|route| place(document, *route)).collect();
    let span = |at: usize, key: &'static str| routes.get(at).map_or(0..0, |place| place.key(key).span());
    Some(match error {
        BuildError::DuplicateName { name, .. } => {
            Finding::new(span(1, "name"), format!("two routes are named \"{name}\""))
                .label("give this one another name")
                .beside(span(0, "name"), "the first one is here")
        }
        BuildError::NoPorts { name, .. } => {
            let ports = routes.first()?.key("match").key("ports");
            if ports.is_wounded() {
                return None;
            }
            Finding::new(ports.span(), format!("route \"{name}\" has no ports"))
                .label("at least one port has to be here")
        }
        BuildError::Ambiguous { names: [first, second], priority, collision, .. } => {
            let title = format!("routes \"{first}\" and \"{second}\" can not be told apart");
            Finding::new(span(1, "match"), title)
                .label(format!("with priority {priority}, both match {collision}"))
                .beside(span(0, "match"), format!("\"{first}\" is here"))
                .help("give one of them a higher priority or a narrower match")
        }
        other => Finding::new(span(0, "match"), other.to_string()),
    })
}
