//! Which connections are meant: a filter, checked, and what it lets through.

use std::collections::HashSet;
use std::time::Duration;

use proxy_conn::{ConnView, Phase, PoolId, Tracked};
use proxy_core::TcpDialer;
use proxy_route::ClientNet;
use tokio::time::Instant;

use super::query::Pairs;
use super::view;
use crate::admin::problem::Problem;
use crate::control::scope;
use crate::unknown::Unknown;
use proxy_api::model::{DrainKind, Filter};
use proxy_dataplane::generation::Generation;

/// The keys of a filter.
pub(super) const KEYS: [&str; 11] = [
    "phase",
    "route",
    "client",
    "target",
    "pool",
    "listener",
    "server_name",
    "previous",
    "min_age_s",
    "min_idle_s",
    "search",
];

/// A filter that makes sense.
#[derive(Debug, Default)]
pub(super) struct Selection {
    phase: Option<Phase>,
    pool: Option<PoolId>,
    min_age: Option<Duration>,
    min_idle: Option<Duration>,
    client: Option<ClientNet>,
    route: Option<String>,
    target: Option<HashSet<String>>,
    listener: Option<String>,
    server_name: Option<String>,
    previous: Option<String>,
    /// In small letters.
    search: Option<String>,
}

/// The filter in a query.
pub(super) fn filter(pairs: &mut Pairs) -> Result<Filter, Problem> {
    Ok(Filter {
        phase: pairs.take("phase"),
        route: pairs.take("route"),
        client: pairs.take("client"),
        target: pairs.take("target"),
        pool: pairs.take("pool"),
        listener: pairs.take("listener"),
        server_name: pairs.take("server_name"),
        previous: pairs.take("previous"),
        min_age_s: pairs.parsed("min_age_s", SECONDS)?,
        min_idle_s: pairs.parsed("min_idle_s", SECONDS)?,
        search: pairs.take("search"),
    })
}

const SECONDS: &str = "a number of seconds such as 30 or 0.5";

impl Selection {
    /// What `filter` means, where the pools by their numbers are `pools`.
    fn new<P: AsRef<str>>(filter: Filter, pools: &[P]) -> Result<Self, Problem> {
        Ok(Self {
            phase: filter.phase.as_deref().map(phase).transpose()?,
            pool: filter.pool.as_deref().map(|name| pool(name, pools)).transpose()?,
            min_age: filter.min_age_s.map(|s| seconds("min_age_s", s)).transpose()?,
            min_idle: filter.min_idle_s.map(|s| seconds("min_idle_s", s)).transpose()?,
            client: filter.client.as_deref().map(client).transpose()?,
            route: filter.route,
            target: filter.target.map(|name| HashSet::from([name])),
            listener: filter.listener,
            server_name: filter.server_name,
            previous: filter.previous,
            search: filter.search.as_deref().map(search).transpose()?,
        })
    }

    /// The same, where all that `filter` names is there: in the configuration in force, or of one of these connections, which
    /// may have begun under another. Otherwise nothing would be told of what is misspelt as of what has no connections.
    pub(super) fn of(
        filter: Filter,
        proxy: &Generation<TcpDialer>,
        connections: &[Tracked],
    ) -> Result<Self, Problem> {
        let names = [
            (DrainKind::Listener, filter.listener.clone()),
            (DrainKind::Route, filter.route.clone()),
            (DrainKind::Target, filter.target.clone()),
        ];
        let target = filter.target.as_deref().map(|name| scope::addresses(proxy, name));
        let selection = Self { target, ..Self::new(filter, &view::pool_names(proxy))? };
        for (kind, name) in names.iter().filter_map(|(kind, name)| Some((*kind, name.as_deref()?))) {
            if !is_there(proxy, connections, kind, name) {
                let unknown = Unknown::new(scope::word(kind), name, scope::names(proxy, kind));
                return Err(Problem::bad_request(unknown.to_string()));
            }
        }
        Ok(selection)
    }

    /// Whether this one is meant.
    pub(super) fn takes(&self, one: &Tracked, now: Instant) -> bool {
        self.phase.is_none_or(|phase| one.phase() == phase)
            && self.pool.is_none_or(|pool| one.pool() == Some(pool))
            && self.min_age.is_none_or(|age| one.age(now) >= age)
            && self.min_idle.is_none_or(|idle| one.idle(now) >= idle)
            // What follows has to be copied to be looked at.
            && (!self.asks_for_facts() || self.takes_view(&one.view(now)))
    }

    fn asks_for_facts(&self) -> bool {
        self.client.is_some()
            || self.target.is_some()
            || [&self.route, &self.listener, &self.server_name, &self.previous, &self.search]
                .iter()
                .any(|selection| selection.is_some())
    }

    fn takes_view(&self, view: &ConnView) -> bool {
        let (facts, is) = (&view.facts, |selection: &Option<String>, found: Option<&str>| {
            selection.as_deref().is_none_or(|selection| found == Some(selection))
        });
        let named = |selection: &str| {
            facts.server_name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(selection))
        };
        is(&self.route, facts.route.as_deref())
            && self.target.as_ref().is_none_or(|at| facts.target.as_deref().is_some_and(|t| at.contains(t)))
            && is(&self.listener, Some(&view.listener))
            && self.server_name.as_deref().is_none_or(named)
            && self.previous.as_deref().is_none_or(|selection| facts.previous.ids().any(|id| id == selection))
            && self.client.is_none_or(|net| facts.client.is_some_and(|client| net.contains(client.ip())))
            && self.search.as_deref().is_none_or(|text| is_in(text, view))
    }
}

/// Whether a text in small letters is in something that a connection is looked for by.
fn is_in(text: &str, view: &ConnView) -> bool {
    let facts = &view.facts;
    let has = |found: &str| found.to_ascii_lowercase().contains(text);
    let client = || facts.client.map_or_else(|| view.peer.to_string(), |client| client.to_string());
    let names = [facts.server_name.as_deref(), facts.route.as_deref(), facts.target.as_deref()];
    names.into_iter().flatten().any(has)
        || has(&view.id.to_string())
        || has(&client())
        || facts.previous.ids().any(has)
}

/// The longest text that is looked for: a server name has at most 253 characters.
const LONGEST_SEARCH: usize = 255;

fn search(text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST_SEARCH {
        return Err(Problem::bad_request(format!(
            "`search` is to be a text of 1 to {LONGEST_SEARCH} characters"
        )));
    }
    Ok(text.to_ascii_lowercase())
}

fn phase(name: &str) -> Result<Phase, Problem> {
    Phase::ALL.into_iter().find(|phase| phase.name() == name).ok_or_else(|| {
        let names = Phase::ALL.map(Phase::name).join(", ");
        Problem::bad_request(format!("`phase` is \"{name}\", expected one of {names}"))
    })
}

fn pool<P: AsRef<str>>(name: &str, pools: &[P]) -> Result<PoolId, Problem> {
    let id = pools.iter().position(|pool| pool.as_ref() == name).and_then(PoolId::new);
    let unknown = || Unknown::new("pool", name, pools.iter().map(AsRef::as_ref));
    id.ok_or_else(|| Problem::bad_request(unknown().to_string()))
}

/// Whether there is something of this kind and name, or was for one of these connections.
fn is_there(proxy: &Generation<TcpDialer>, connections: &[Tracked], kind: DrainKind, name: &str) -> bool {
    let (of, now) = (scope::Of::new(proxy, kind, name), Instant::now());
    scope::is_known(proxy, kind, name)
        || connections.iter().any(|one| of.includes(&one.view(now)))
        || (kind == DrainKind::Target && scope::is_an_address(proxy, name))
}

fn client(text: &str) -> Result<ClientNet, Problem> {
    text.parse().map_err(|error| {
        Problem::bad_request(format!(
            "`client` is to be an address, or a network such as 10.0.0.0/8: {error}"
        ))
    })
}

fn seconds(key: &str, seconds: f64) -> Result<Duration, Problem> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| Problem::bad_request(format!("`{key}` is {seconds}, expected {SECONDS}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxy_conn::{ConnGuard, DeadlineKind, Opening, Tracker, Trail};
    use proxy_core::{ClientAddr, PeerAddr};
    use std::sync::Arc;

    const POOLS: [&str; 2] = ["direct", "chain"];

    fn opened(tracker: &Arc<Tracker>) -> ConnGuard {
        let peer = PeerAddr::new(([127, 0, 0, 1], 1).into());
        let guard = tracker.open(0, Opening::new(peer, "*:80"));
        guard.enter(Phase::Dial, Instant::now(), DeadlineKind::Dial).unwrap();
        guard.join(PoolId::new(1).unwrap(), false);
        guard.learn(|facts| {
            facts.client = Some(ClientAddr::new(([10, 1, 2, 3], 4).into()));
            facts.previous = Trail::from_header(b"aaaa-1/bbbb-2");
            facts.server_name = Some("www.Example.com".into());
            facts.route = Some("web".into());
            facts.target = Some("127.0.0.1:3000".into());
        });
        guard
    }

    fn takes(filter: Filter) -> Result<bool, u16> {
        let tracker = Tracker::new(1, ());
        let _guard = opened(&tracker);
        let selection = Selection::new(filter, &POOLS).map_err(|problem| problem.status())?;
        Ok(selection.takes(&tracker.connections()[0], Instant::now()))
    }

    #[test]
    fn each_key_lets_through_what_agrees_and_nothing_else() {
        type Set = fn(&mut Filter, String);
        let keys: [(Set, &str, &str); 14] = [
            (|filter, text| filter.phase = Some(text), "dial", "relay"),
            (|filter, text| filter.route = Some(text), "web", "we"),
            (|filter, text| filter.client = Some(text), "10.0.0.0/8", "10.1.2.4"),
            (|filter, text| filter.target = Some(text), "127.0.0.1:3000", "127.0.0.1"),
            (|filter, text| filter.pool = Some(text), "chain", "direct"),
            (|filter, text| filter.listener = Some(text), "*:80", "*:81"),
            (|filter, text| filter.server_name = Some(text), "www.example.com", "example.com"),
            (|filter, text| filter.previous = Some(text), "aaaa-1", "aaaa"),
            (|filter, text| filter.search = Some(text), "example", "example.org"),
            (|filter, text| filter.search = Some(text), " EXAMPLE.com ", "wwww"),
            (|filter, text| filter.search = Some(text), "10.1.2.3:4", "127.0.0.1:1"),
            (|filter, text| filter.search = Some(text), "bbbb-2", "bbbb-22"),
            (|filter, text| filter.search = Some(text), "-1", "-zz"),
            (|filter, text| filter.search = Some(text), "0.1:3000", "*:80"),
        ];
        for (set, right, wrong) in keys {
            for (text, expected) in [(right, true), (wrong, false)] {
                let mut filter = Filter::default();
                set(&mut filter, text.to_owned());
                assert_eq!(takes(filter), Ok(expected), "{text}");
            }
        }
        assert_eq!(takes(Filter::default()), Ok(true));
        assert_eq!(
            takes(Filter { min_age_s: Some(0.0), min_idle_s: Some(0.0), ..Filter::default() }),
            Ok(true)
        );
        assert_eq!(takes(Filter { min_age_s: Some(60.0), ..Filter::default() }), Ok(false));
        assert_eq!(takes(Filter { min_idle_s: Some(60.0), ..Filter::default() }), Ok(false));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let some = |text: &str| Some(text.to_owned());
        for filter in [
            Filter { phase: some("Dial"), ..Filter::default() },
            Filter { client: some("10.0.0.1/8"), ..Filter::default() },
            Filter { client: some("example.com"), ..Filter::default() },
            Filter { pool: some("chian"), ..Filter::default() },
            Filter { min_age_s: Some(-1.0), ..Filter::default() },
            Filter { min_idle_s: Some(f64::NAN), ..Filter::default() },
            Filter { min_idle_s: Some(1e300), ..Filter::default() },
            Filter { search: some(" "), ..Filter::default() },
            Filter { search: Some("x".repeat(256)), ..Filter::default() },
        ] {
            assert_eq!(takes(filter.clone()), Err(400), "{filter:?}");
        }
    }
}
