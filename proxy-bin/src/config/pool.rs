//! Pools: which there are in a file, and what its layers come to for each route.

use proxy_conn::overload::OptionsError;
use proxy_conn::{DeadlineOverrides, Deadlines};
use proxy_core::Bound;
use proxy_dataplane::settings::{AtLimit, BuiltIn, PoolChoice, PoolConfig, PoolPlace, RoutePools};

use super::document::{Document, Place};
use super::file::{ConfigFile, PoolFile, RouteFile};
use super::finding::Finding;
use super::send_proxy::SendProxyFile;
use proxy_values::spelling;

use super::{route, too_early};

/// Pools at most: the tracker keeps a connection's as one byte, and metrics have a series for each.
const MOST: usize = 64;

/// The pools that are always there, in the order of their numbers.
const BUILT_IN: [&str; 2] = ["direct", "chain"];

/// The pools of a file: those that are built in, and the others by name. A pool's number is its position.
pub(super) struct Pools<'f> {
    list: Vec<(&'f str, Option<&'f PoolFile>)>,
    timeouts: &'f DeadlineOverrides,
}

impl<'f> Pools<'f> {
    pub(super) fn new(file: &'f ConfigFile) -> Self {
        let written = |name: &str| file.pools.iter().find(|(one, _)| one.as_str() == name);
        let built_in = BUILT_IN.map(|name| (name, written(name).map(|(_, pool)| pool)));
        let others = file.pools.iter().map(|(name, pool)| (name.as_str(), Some(pool)));
        let others = others.filter(|(name, _)| !BUILT_IN.contains(name));
        Self { list: built_in.into_iter().chain(others).collect(), timeouts: &file.timeouts }
    }

    /// All of them, by number.
    pub(super) fn resolved(&self, at_limit: AtLimit) -> Vec<PoolConfig> {
        let resolve = |(name, file): &(&str, Option<&PoolFile>)| PoolConfig {
            name: (*name).into(),
            max_connections: file.and_then(|file| file.max_connections),
            at_limit: file.and_then(|file| file.at_limit).unwrap_or(at_limit),
            overload: file.map(|file| file.overload).unwrap_or_default(),
        };
        self.list.iter().map(resolve).collect()
    }

    /// Those of a route. One that it names and that is not there, which is an error, counts as not named.
    pub(super) fn of_route(&self, route: &RouteFile) -> RoutePools {
        let named = route.pool.as_ref().and_then(|name| self.place(name.as_str()));
        let choice = |unnamed| {
            let place = named.unwrap_or(unnamed);
            let deadlines = self.deadlines(place).with(&route.timeouts);
            PoolChoice { place, deadlines, built_in: self.built_in(place, &route.timeouts) }
        };
        let sends = route.send_proxy != SendProxyFile::Off;
        RoutePools {
            plain: choice(if sends { PoolConfig::CHAIN } else { PoolConfig::DIRECT }),
            chained: choice(PoolConfig::CHAIN),
        }
    }

    fn place(&self, name: &str) -> Option<PoolPlace> {
        let position = self.list.iter().position(|(one, _)| *one == name);
        position.and_then(PoolPlace::new)
    }

    fn deadlines(&self, place: PoolPlace) -> Deadlines {
        let built_in = if place == PoolConfig::CHAIN { of_chain() } else { DeadlineOverrides::default() };
        Deadlines::default().with(&built_in).with(self.timeouts).with(&self.own(place))
    }

    /// What is written for the pool itself.
    fn own(&self, place: PoolPlace) -> DeadlineOverrides {
        let file = self.list.get(place.index()).and_then(|(_, file)| *file);
        file.map(|file| file.timeouts).unwrap_or_default()
    }

    fn built_in(&self, place: PoolPlace, route: &DeadlineOverrides) -> BuiltIn {
        let own = self.own(place);
        let layers = [self.timeouts, &own, route];
        let chain = place == PoolConfig::CHAIN;
        BuiltIn {
            inactivity: chain && layers.iter().all(|layer| layer.inactivity_timeout.is_none()),
            half_closed: chain && layers.iter().all(|layer| layer.half_closed_timeout.is_none()),
            no_data: chain && layers.iter().all(|layer| layer.no_data_timeout.is_none()),
            lifetime: chain && layers.iter().all(|layer| layer.max_connection_lifetime.is_none()),
        }
    }
}

/// What is built into the pool `chain`, SmartProxy's values: the other end is a proxy, which is near and answers.
fn of_chain() -> DeadlineOverrides {
    DeadlineOverrides::default()
        .connection_timeout(Some(Bound::secs(10)))
        .inactivity_timeout(Some(Bound::secs(600)))
        .half_closed_timeout(Some(Bound::secs(10)))
}

fn place<'d, 't>(document: &'d Document<'t>, name: &str) -> Place<'d, 't> {
    document.root().key("pools").named(name)
}

/// Errors of the pools, and of the routes that name them.
pub(super) fn check(
    pools: &Pools<'_>,
    (file, routes): (&ConfigFile, &[RouteFile]),
    document: &Document<'_>,
    findings: &mut Vec<Finding>,
) {
    for (name, pool) in &file.pools {
        let place = place(document, name.as_str());
        too_early::check(&pool.timeouts, "pool", &place.key("timeouts"), findings);
        if let Err(error) = pool.overload.check()
            && place.is_whole("overload")
        {
            findings.push(contradiction(&error, &place.key("overload")));
        }
    }
    if pools.list.len() > MOST {
        findings.extend(too_many(file, document));
    }
    findings.extend(unknown(pools, routes, document));
}

fn contradiction(error: &OptionsError, place: &Place<'_, '_>) -> Finding {
    let [lower, higher] = [error.lower, error.higher].map(|key| place.key(key));
    let title = format!(
        "`{}` ({}) has to be below `{}` ({})",
        error.lower, error.lower_value, error.higher, error.higher_value
    );
    let default = |key, value| format!("by default, `{key}` is {value}");
    match (lower.exists(), higher.exists()) {
        (true, true) => Finding::new(lower.span(), title).beside(higher.span(), "which is here"),
        (true, false) => Finding::new(lower.span(), title).label(default(error.higher, error.higher_value)),
        (false, _) => Finding::new(higher.span(), title).label(default(error.lower, error.lower_value)),
    }
}

/// That the pools are too many, pointing at the one that comes last in the file.
fn too_many(file: &ConfigFile, document: &Document<'_>) -> Option<Finding> {
    let spans = file.pools.keys().map(|name| place(document, name.as_str()).span());
    let last = spans.max_by_key(|span| span.start)?;
    let label = format!("{} tables, and `direct` and `chain` are always there", file.pools.len());
    Some(Finding::new(last, format!("more than {MOST} pools")).label(label))
}

/// An error for each route that names a pool which is not there.
fn unknown(pools: &Pools<'_>, routes: &[RouteFile], document: &Document<'_>) -> Vec<Finding> {
    let known: Vec<&str> = pools.list.iter().map(|(name, _)| *name).collect();
    let root = document.root();
    // A table that was cut out for what is wrong with it was there.
    let was_there = |name: &str| root.has_lost("pools") || root.key("pools").has_lost(name);
    let named = routes.iter().enumerate().filter_map(|(index, route)| Some((index, route.pool.as_ref()?)));
    let unknown = named.filter(|(_, name)| !known.contains(&name.as_str()) && !was_there(name.as_str()));
    unknown
        .map(|(index, name)| {
            let span = route::place(document, index).key("pool").span();
            let finding = Finding::new(span, format!("there is no pool \"{name}\""));
            let finding = match spelling::nearest(name.as_str(), &known) {
                Some(near) => finding.label(format!("did you mean \"{near}\"?")),
                None => finding,
            };
            finding.help(format!(
                "the pools are \"{}\"; a table in [pools] makes another one",
                known.join("\", \"")
            ))
        })
        .collect()
}

/// A warning for each pool that nothing can be in. The file has to be whole.
pub(super) fn unused(file: &ConfigFile, routes: &[RouteFile], document: &Document<'_>) -> Vec<Finding> {
    let named =
        |name: &str| routes.iter().any(|route| route.pool.as_ref().is_some_and(|pool| pool.as_str() == name));
    let names = file.pools.keys().filter(|name| !BUILT_IN.contains(&name.as_str()) && !named(name.as_str()));
    names
        .map(|name| {
            Finding::new(place(document, name.as_str()).span(), format!("no route is in the pool \"{name}\""))
                .label("this has no effect")
                .help(format!("a route is put there by pool = \"{name}\""))
        })
        .collect()
}
