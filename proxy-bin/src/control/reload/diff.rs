//! What one configuration changes in another, as an operator reads it.
//!
//! Routes, pools, groups and settings are compared as they are written, key by key: neither order, comments nor the way a table is
//! written make a difference. Listeners follow from several places of the file, so they are compared as they come out.

mod groups;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use proxy_core::Congestion;
use toml::{Table, Value};

use crate::config::{AtLimit, Config, ListenerConfig, Origin, Pieces, UnreadableHello};
use proxy_api::model::{Change, ChangeKind};
use proxy_dataplane::generation::Generation;

/// What `config` would change in the configuration `was`, whose settings `proxy` has in force.
pub(super) fn changes<D>(proxy: &Generation<D>, was: &Config, config: &Config) -> Vec<Change> {
    let mut changes = of_listeners(&proxy.settings.listeners, &config.settings.listeners);
    let (before, now) = (&was.origin, &config.origin);
    let common = Common::of(before.pieces().as_ref(), now.pieces().as_ref());
    let (before, now) = (parts(before, &common), parts(now, &common));
    let names: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    for name in names {
        of_part(name, before.get(name), now.get(name), &mut changes);
    }
    if !changes.is_empty() {
        count(proxy, &mut changes);
    }
    changes
}

/// A part of a file that has a name of its own (a route, a pool), or the rest, which has none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Settings,
    Pool(String),
    /// A group, but for its members, and each of those.
    Group(String, Option<String>),
    Route(String),
}

/// A change of a part, or of something in it.
impl Part {
    fn whole(&self) -> String {
        match self {
            Self::Settings => String::new(),
            Self::Pool(name) => format!("pool {name}"),
            Self::Group(name, None) => format!("group {name}"),
            Self::Group(name, Some(member)) => groups::member(member, name),
            Self::Route(name) => format!("route {name}"),
        }
    }

    fn key(&self, key: &str) -> String {
        match self {
            Self::Settings => key.to_owned(),
            Self::Pool(_) | Self::Group(..) | Self::Route(_) => format!("{}: {key}", self.whole()),
        }
    }
}

/// A part as it is shown: in one line, its keys in order, so that two that say the same are the same.
type Shown = String;

/// The routes that two files have in common, by their texts: no two of a file are the same, for each has its name.
#[derive(Default)]
struct Common<'t>(HashSet<&'t str>);

impl<'t> Common<'t> {
    /// None where one of them is not in pieces.
    fn of(before: Option<&Pieces<'t>>, now: Option<&Pieces<'t>>) -> Self {
        let (Some(before), Some(now)) = (before, now) else { return Self::default() };
        let before: HashSet<&str> = before.routes.iter().map(|piece| piece.text).collect();
        Self(now.routes.iter().map(|piece| piece.text).filter(|text| before.contains(text)).collect())
    }
}

/// The parts of a text that was read without errors before, but for routes that are the same in both. Each becomes text again before
/// the next text is read: as tables they take twenty times as much memory.
fn parts(origin: &Origin, common: &Common<'_>) -> BTreeMap<Part, Shown> {
    let mut parts = BTreeMap::new();
    let mut rest = match origin.pieces() {
        Some(pieces) => {
            let different = pieces.routes.iter().filter(|piece| !common.0.contains(piece.text));
            different.for_each(|piece| routes(&mut read(piece.text), &mut parts));
            pieces.rest.iter().flat_map(|piece| read(piece.text)).collect()
        }
        None => read(&origin.text),
    };
    routes(&mut rest, &mut parts);
    if let Some(Value::Table(pools)) = rest.remove("pools") {
        for (name, pool) in pools {
            if let Value::Table(pool) = pool {
                parts.insert(Part::Pool(name), shown(pool));
            }
        }
    }
    groups::of(&mut rest, &mut parts);
    // As they come out, not as they are written.
    rest.remove("listeners");
    parts.insert(Part::Settings, shown(rest));
    parts
}

fn read(text: &str) -> Table {
    toml::from_str(text).unwrap_or_default()
}

/// Moves the routes of a table to the parts.
fn routes(of: &mut Table, parts: &mut BTreeMap<Part, Shown>) {
    for route in array(of.remove("routes")) {
        let Value::Table(mut route) = route else { continue };
        let name = route.remove("name");
        let name = name.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        parts.insert(Part::Route(name), shown(route));
    }
}

fn shown(table: Table) -> Shown {
    Value::Table(table).to_string()
}

/// What is shown, as a table again.
fn table(shown: &Shown) -> Table {
    let mut whole: Table = toml::from_str(&format!("part = {shown}")).unwrap_or_default();
    match whole.remove("part") {
        Some(Value::Table(table)) => table,
        Some(_) | None => Table::new(),
    }
}

fn array(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(array)) => array,
        Some(_) | None => Vec::new(),
    }
}

fn of_part(part: &Part, before: Option<&Shown>, now: Option<&Shown>, changes: &mut Vec<Change>) {
    match (before, now) {
        (Some(before), Some(now)) if before == now => {}
        (Some(before), Some(now)) => {
            let (before, now) = (leaves(&table(before)), leaves(&table(now)));
            let keys: BTreeSet<_> = before.keys().chain(now.keys()).collect();
            let keys = keys.into_iter();
            changes.extend(keys.filter_map(|key| change(part.key(key), before.get(key), now.get(key))));
        }
        (before, now) => changes.extend(change(part.whole(), before, now)),
    }
}

/// Every value of a table that is no table itself, by its path.
fn leaves(table: &Table) -> BTreeMap<String, String> {
    fn collect(table: &Table, prefix: &str, into: &mut BTreeMap<String, String>) {
        for (key, value) in table {
            let path = format!("{prefix}{key}");
            match value.as_table().filter(|table| !table.is_empty()) {
                Some(table) => collect(table, &format!("{path}."), into),
                None => drop(into.insert(path, value.to_string())),
            }
        }
    }
    let mut all = BTreeMap::new();
    collect(table, "", &mut all);
    all
}

fn change(what: String, from: Option<&String>, to: Option<&String>) -> Option<Change> {
    let kind = match (from, to) {
        (None, Some(_)) => ChangeKind::Added,
        (Some(_), None) => ChangeKind::Removed,
        (Some(from), Some(to)) if from != to => ChangeKind::Changed,
        (Some(_), Some(_)) | (None, None) => return None,
    };
    Some(Change { kind, what, from: from.cloned(), to: to.cloned(), connections: 0 })
}

fn of_listeners(before: &[ListenerConfig], now: &[ListenerConfig]) -> Vec<Change> {
    let shown = |list: &[ListenerConfig]| -> BTreeMap<String, String> {
        list.iter().map(|at| (at.label.clone(), of_listener(at))).collect()
    };
    let (before, now) = (shown(before), shown(now));
    let labels: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    let labels = labels.into_iter();
    labels
        .filter_map(|label| change(format!("listener {label}"), before.get(label), now.get(label)))
        .collect()
}

fn of_listener(at: &ListenerConfig) -> String {
    let networks = |networks: &Arc<[proxy_route::ClientNet]>| {
        networks.iter().map(|network| format!("\"{network}\"")).collect::<Vec<_>>().join(", ")
    };
    let accept_proxy = at
        .accept_proxy
        .believed()
        .map_or_else(|| "\"off\"".to_owned(), |(key, nets)| format!("{{ {key} = [{}] }}", networks(nets)));
    let at_limit = match at.at_limit {
        AtLimit::Reject => "\"reject\"".to_owned(),
        AtLimit::Close => "\"close\"".to_owned(),
        AtLimit::Queue(queue) => {
            format!(
                "{{ queue = {{ most_waiting = {}, longest_wait = \"{}\" }} }}",
                queue.most_waiting, queue.longest_wait
            )
        }
    };
    let hop = at.hop.as_ref().map_or_else(String::new, |hop| of_hop(hop));
    let most = at.max_connections.map_or_else(String::new, |most| format!(", max_connections = {most}"));
    let congestion = match at.congestion {
        Congestion::Auto => String::new(),
        other @ (Congestion::System | Congestion::Named(_)) => format!(", congestion = \"{other}\""),
    };
    let unreadable = match at.unreadable_hello {
        UnreadableHello::Refuse => "",
        UnreadableHello::Unnamed => ", unreadable_hello = \"unnamed\"",
    };
    format!(
        "backlog = {}, accept_proxy = {accept_proxy}{hop}{unreadable}{most}, at_limit = {at_limit}{congestion}",
        at.backlog
    )
}

/// A hop, by what makes it another one: whose certificate until when, and of which authorities.
fn of_hop(hop: &proxy_tls::Hop) -> String {
    format!(", hop = {{ name = \"{}\", certificates = \"{:016x}\" }}", hop.name(), hop.fingerprint())
}

/// Notes how many open connections each change is about.
fn count<D>(proxy: &Generation<D>, changes: &mut [Change]) {
    let mut counts: HashMap<String, u64> = HashMap::new();
    let of_routes = groups::of_routes(&proxy.settings.routes);
    for view in proxy.tracker.snapshot() {
        let mut one = |what: String| *counts.entry(what).or_default() += 1;
        one(format!("listener {}", view.listener));
        if let Some(route) = &view.facts.route {
            one(format!("route {route}"));
            let group = of_routes.get(&**route);
            group.into_iter().for_each(|group| groups::count(group, view.facts.target.as_deref(), &mut one));
        }
        if let Some(pool) = view.pool.and_then(|number| proxy.numbers.name(number)) {
            one(format!("pool {pool}"));
        }
    }
    for change in changes {
        // The longest first: a name may have a colon in it.
        let whole = counts.keys().filter(|what| {
            change
                .what
                .strip_prefix(what.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(": "))
        });
        change.connections =
            whole.max_by_key(|what| what.len()).and_then(|what| counts.get(what)).copied().unwrap_or(0);
    }
}
