//! Connections in groups: what those have in common that are open, and how many there are.
//!
//! One pass over all connections on the admin API's thread, as of [`Counts`](super::counts::Counts): no worker is asked for anything.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use proxy_conn::{ConnView, Phase, Tally, Tracked};
use tokio::time::Instant;

use super::api::Api;
use super::filter::{KEYS, Selection, filter};
use super::query::Pairs;
use super::view::secs;
use crate::admin::problem::Problem;
use proxy_api::model::{ConnectionGroup, ConnectionGroups, GroupBy, Phases};

/// Groups that are listed, unless it is asked for more, and the most that may be: clients may be as many as connections.
const USUAL: usize = 50;
const MOST: usize = 1000;

/// The keys beside those of the filter.
pub(super) const GROUP_KEYS: [&str; 2] = ["by", "limit"];

/// `GET /v1/connections/groups`.
pub(super) async fn groups(
    State(api): State<Arc<Api>>,
    mut pairs: Pairs,
) -> Result<Json<ConnectionGroups>, Problem> {
    let by = pairs.take("by").map_or(Ok(GroupBy::default()), |name| by(&name))?;
    let expected = format!("a whole number from 1 to {MOST}");
    let limit: usize = pairs.parsed("limit", &expected)?.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::bad_request(format!("`limit` is {limit}, expected {expected}")));
    }
    let filter = filter(&mut pairs)?;
    pairs.done(&[&KEYS[..], &GROUP_KEYS[..]].concat())?;
    let connections = api.tracker().connections();
    let selection = Selection::of(filter, &api.proxy(), &connections)?;
    Ok(Json(grouped(&connections, &selection, by, limit)))
}

fn by(name: &str) -> Result<GroupBy, Problem> {
    Ok(match name {
        "route" => GroupBy::Route,
        "target" => GroupBy::Target,
        "client" => GroupBy::Client,
        "server_name" => GroupBy::ServerName,
        "phase" => GroupBy::Phase,
        _ => {
            let expected = "expected route, target, client, server_name or phase";
            return Err(Problem::bad_request(format!("`by` is \"{name}\", {expected}")));
        }
    })
}

/// What connections of a group have in common. Made without copying a text, where that can be.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Common {
    Unknown,
    Name(Tally),
    ServerName(Box<str>),
    Client(IpAddr),
    Phase(Phase),
}

impl Common {
    /// That of one; what is taken from its facts is not there any more.
    fn of(one: &mut ConnView, by: GroupBy) -> Self {
        let facts = &mut one.facts;
        let found = match by {
            GroupBy::Route => facts.route.take().map(Self::Name),
            GroupBy::Target => facts.target.take().map(Self::Name),
            GroupBy::Client => facts.client.map(|client| Self::Client(client.ip())),
            GroupBy::ServerName => facts.server_name.take().map(|mut name| {
                name.make_ascii_lowercase();
                Self::ServerName(name)
            }),
            GroupBy::Phase => Some(Self::Phase(one.phase)),
        };
        found.unwrap_or(Self::Unknown)
    }

    fn name(&self) -> Option<String> {
        match self {
            Self::Unknown => None,
            Self::Name(name) => Some(name.to_string()),
            Self::ServerName(name) => Some(name.to_string()),
            Self::Client(client) => Some(client.to_string()),
            Self::Phase(phase) => Some(phase.to_string()),
        }
    }
}

/// The figures of a group.
#[derive(Debug, Default)]
struct Figures {
    phases: Phases,
    oldest: Duration,
    longest_idle: Duration,
    from_client: u64,
    from_backend: u64,
}

impl Figures {
    fn add(&mut self, one: &ConnView) {
        self.phases[one.phase] += 1;
        self.oldest = self.oldest.max(one.age);
        self.longest_idle = self.longest_idle.max(one.idle);
        self.from_client = self.from_client.saturating_add(one.from_client);
        self.from_backend = self.from_backend.saturating_add(one.from_backend);
    }
}

/// Those that are selected, in groups: the largest first, `limit` at most.
fn grouped(connections: &[Tracked], selection: &Selection, by: GroupBy, limit: usize) -> ConnectionGroups {
    let now = Instant::now();
    let mut groups: HashMap<Common, Figures> = HashMap::new();
    let mut matched = 0;
    for one in connections.iter().filter(|one| selection.takes(one, now)) {
        let mut view = one.view(now);
        let figures = groups.entry(Common::of(&mut view, by)).or_default();
        figures.add(&view);
        matched += 1;
    }
    let groups_total = groups.len() as u64;
    let mut groups: Vec<_> =
        groups.into_iter().map(|(common, figures)| (figures.phases.total(), common, figures)).collect();
    if groups.len() > limit {
        groups.select_nth_unstable_by_key(limit, |(count, ..)| Reverse(*count));
        groups.truncate(limit);
    }
    let mut groups: Vec<ConnectionGroup> =
        groups.into_iter().map(|(count, common, figures)| told(count, &common, &figures)).collect();
    groups.sort_by(|a, b| b.connections.cmp(&a.connections).then_with(|| a.name.cmp(&b.name)));
    ConnectionGroups { total: connections.len() as u64, matched, groups_total, groups }
}

fn told(connections: u64, common: &Common, figures: &Figures) -> ConnectionGroup {
    ConnectionGroup {
        name: common.name(),
        connections,
        phases: figures.phases,
        oldest_s: secs(figures.oldest),
        longest_idle_s: secs(figures.longest_idle),
        from_client_bytes: figures.from_client,
        from_backend_bytes: figures.from_backend,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxy_conn::{ConnGuard, DeadlineKind, Opening, Tracker};
    use proxy_core::{ClientAddr, PeerAddr};

    fn open(tracker: &Arc<Tracker>, n: u32) -> ConnGuard {
        let octets = (n % 5000).to_be_bytes();
        let client = ([10, octets[1], octets[2], octets[3]], 1);
        let guard = tracker.open(n as usize % 2, Opening::new(PeerAddr::new(client.into()), "*:80"));
        let now = Instant::now();
        guard.enter(Phase::Dial, now, DeadlineKind::Dial).unwrap();
        if !n.is_multiple_of(10) {
            guard.enter(Phase::Relay, now, DeadlineKind::Dial).unwrap();
        }
        guard.learn(|facts| {
            facts.client = Some(ClientAddr::new(client.into()));
            facts.server_name = Some(format!("Host-{}.example", n % 20).into());
            facts.route = Some(format!("route-{}", n % 4).into());
            facts.target = (!n.is_multiple_of(10)).then(|| format!("10.0.0.{}:80", n % 8).into());
        });
        guard
    }

    fn by_name(tracker: &Tracker, by: GroupBy) -> Vec<(Option<String>, u64)> {
        let groups = grouped(&tracker.connections(), &Selection::default(), by, 3);
        groups.groups.into_iter().map(|group| (group.name, group.connections)).collect()
    }

    #[test]
    fn each_is_in_one_group_and_the_largest_come_first() {
        let tracker = Tracker::new(2, ());
        let _open: Vec<_> = (0..30).map(|n| open(&tracker, n)).collect();
        let some = |name: &str, count| (Some(name.to_owned()), count);
        let of_routes = by_name(&tracker, GroupBy::Route);
        assert_eq!((of_routes.len(), &of_routes[..2]), (3, &[some("route-0", 8), some("route-1", 8)][..]));
        assert_eq!(by_name(&tracker, GroupBy::Phase), [some("relay", 27), some("dial", 3)]);
        let named = by_name(&tracker, GroupBy::ServerName);
        assert!(named.iter().all(|(name, count)| name.as_ref().unwrap().starts_with("host-") && *count == 2));
        assert!(by_name(&tracker, GroupBy::Target).contains(&(Some("10.0.0.1:80".to_owned()), 4)));
        let all = grouped(&tracker.connections(), &Selection::default(), GroupBy::Target, 100);
        assert!(
            all.groups.iter().any(|group| (group.name.as_deref(), group.connections) == (None, 3)),
            "{all:?}"
        );
        assert_eq!((all.total, all.matched, all.groups_total, all.groups.len()), (30, 30, 9, 9));
        assert_eq!(all.groups.iter().map(|group| group.connections).sum::<u64>(), 30);
    }

    /// The bar is 50 ms of the admin API's thread: `cargo test --release -p proxy-bin --lib grouped -- --ignored --nocapture`.
    #[test]
    #[ignore = "a measurement, which says something in a release build only"]
    fn a_hundred_thousand_are_grouped_within_fifty_milliseconds() {
        let tracker = Tracker::new(2, ());
        let _open: Vec<_> = (0..100_000).map(|n| open(&tracker, n)).collect();
        for by in [GroupBy::Route, GroupBy::Target, GroupBy::Client, GroupBy::ServerName, GroupBy::Phase] {
            let best = (0..5)
                .map(|_| {
                    let begun = Instant::now();
                    let groups = grouped(&tracker.connections(), &Selection::default(), by, MOST);
                    let answer = serde_json::to_vec(&groups).unwrap();
                    assert!(!answer.is_empty() && groups.total == 100_000);
                    begun.elapsed()
                })
                .min()
                .unwrap();
            println!("by {by:?}: {best:?}");
            assert!(best < Duration::from_millis(50), "by {by:?}: {best:?}");
        }
    }
}
