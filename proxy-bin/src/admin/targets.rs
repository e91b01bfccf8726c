//! Targets: those that routes list, and the members of groups that have a name.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use proxy_conn::BreakerState;
use proxy_conn::breaker::BreakerView;
use proxy_core::Bound;
use proxy_core::TcpDialer;
use proxy_upstream::balance::Rank;
use proxy_upstream::{Balance, HashKey, HealthState, HealthView, Known, Member, MemberOptions, NameOptions};
use tokio::time::Instant;

use super::api::Api;
use super::minutes::with_minutes;
use super::outcomes;
use super::view::{bound, secs, usage};
use crate::config::{Action, RouteConfig};
use proxy_api::model::{Group, GroupName, Outcomes, Target, Usage};
use proxy_dataplane::generation::Generation;

type Served = Generation<TcpDialer>;

/// `GET /v1/groups`.
pub(super) async fn all_groups(State(api): State<Arc<Api>>) -> Json<Vec<Group>> {
    Json(with_minutes(&api, groups(&api.proxy())))
}

/// `GET /v1/targets`.
pub(super) async fn all_targets(State(api): State<Arc<Api>>) -> Json<Vec<Target>> {
    let proxy = api.proxy();
    let of_routes = proxy.settings.routes.routes();
    let of_routes = of_routes.flat_map(|matched| of_route(&proxy, matched.index, matched.payload));
    let of_groups = groups(&proxy).into_iter().flat_map(|group| group.members);
    Json(with_minutes(&api, of_routes.chain(of_groups).collect()))
}

/// The targets that a route lists.
pub(super) fn of_route(proxy: &Served, index: usize, route: &RouteConfig) -> Vec<Target> {
    let Action::Forward(targets) = &route.action else { return Vec::new() };
    let state = proxy.routes.made(index);
    let target = |(nth, target): (usize, &proxy_upstream::Target)| match state
        .and_then(|state| state.targets.nth(nth))
    {
        Some(member) => {
            let options = MemberOptions::new(target.clone());
            let by_hand = options.weight != member.weight();
            Target { by_hand, ..of_member(&route.name, member, None, &options) }
        }
        None => never_dialled(&route.name, target, route),
    };
    targets.iter().enumerate().map(target).collect()
}

/// The targets that the route of this name lists; none where there is no such route.
pub(super) fn of_route_named(proxy: &Served, name: &str) -> Vec<Target> {
    let found = proxy.settings.routes.routes().find(|matched| *matched.payload.name == *name);
    found.map(|matched| of_route(proxy, matched.index, matched.payload)).unwrap_or_default()
}

/// The groups that have a name, with their members.
pub(super) fn groups(proxy: &Served) -> Vec<Group> {
    let mut routes: HashMap<&str, u64> = HashMap::new();
    for matched in proxy.settings.routes.routes() {
        if let Action::Group(group) = &matched.payload.action {
            *routes.entry(&group.name).or_default() += 1;
        }
    }
    let group = |group: &Arc<proxy_upstream::Group>| {
        let members = of_group(group);
        Group {
            name: group.name().to_string(),
            balance: balance(group.options().balance).to_owned(),
            routes: routes.get(&**group.name()).copied().unwrap_or(0),
            connections: members.iter().map(|member| member.connections.used).sum(),
            members_up: members.iter().filter(|member| is_up(member)).count() as u64,
            members_in_all: members.iter().filter(|member| member.state != REMOVED).count() as u64,
            names: names(group, &members),
            members,
        }
    };
    proxy.groups().map(group).collect()
}

/// The names that stand for members of a group.
fn names(group: &proxy_upstream::Group, members: &[Target]) -> Vec<GroupName> {
    let name = |(options, known): (&NameOptions, Known)| {
        let name = options.name.to_string();
        GroupName {
            members: members.iter().filter(|member| member.found_by.as_ref() == Some(&name)).count() as u64,
            name,
            found_s: known.found_at.map(|at| secs(at.elapsed())),
            error: known.error.map(|why| why.to_string()),
        }
    };
    group.names().map(name).collect()
}

/// Members of a group that a live sample has at most: with ten thousand it would be megabytes a second.
const SAMPLED: usize = 100;

/// The same for a live sample: of a group that has many members those that are not up, then the first.
pub(super) fn sampled(proxy: &Served) -> Vec<Group> {
    let mut groups = groups(proxy);
    for group in groups.iter_mut().filter(|group| group.members.len() > SAMPLED) {
        group.members.sort_by_key(is_up);
        group.members.truncate(SAMPLED);
    }
    groups
}

const REMOVED: &str = "removed";

fn is_up(member: &Target) -> bool {
    matches!(&*member.state, "up" | "slow_start")
}

fn balance(balance: Balance) -> &'static str {
    match balance {
        Balance::LeastConnections => "least_connections",
        Balance::P2c => "p2c",
        Balance::Random => "random",
        Balance::First => "first",
        Balance::Hash(HashKey::Client) => "hash client",
        Balance::Hash(_) => "hash server_name",
        Balance::RoundRobin | _ => "round_robin",
    }
}

/// The members of a group that has a name, and those that were removed and have connections.
fn of_group(group: &proxy_upstream::Group) -> Vec<Target> {
    let configured: HashSet<&str> = group.iter().map(|member| &*member.name).collect();
    let slow_start = group.options().slow_start.map(Bound::get);
    let found_by = |options: &MemberOptions| {
        let name = group.options().names.get(usize::from(options.found_by).checked_sub(1)?)?;
        Some(name.name.to_string())
    };
    let one = |(member, options): (Arc<Member>, MemberOptions)| {
        let found_by = found_by(&options);
        let is_known = found_by.is_some() || configured.contains(&*member.name);
        let by_hand = options.weight != member.weight() || !is_known;
        Target { by_hand, found_by, ..of_member("", &member, slow_start, &options) }
    };
    let members = group.member_options().into_iter().map(one);
    let gone = group
        .gone()
        .into_iter()
        .map(|member| of_member("", &member, None, &MemberOptions::new(member.target().clone())));
    let named = |target| Target { group: Some(group.name().to_string()), ..target };
    members.chain(gone).map(named).collect()
}

fn of_member(route: &str, member: &Member, slow_start: Option<Duration>, options: &MemberOptions) -> Target {
    let view = member.breaker();
    let health = member.health.view();
    let standing = Standing::of(member, &health, &view, slow_start);
    let failed = member.dials.failures().filter(|(_, count)| *count > 0);
    let latency = member.dials.latency();
    Target {
        route: route.to_owned(),
        group: None,
        target: member.name.to_string(),
        found_by: None,
        state: standing.state.to_owned(),
        why: standing.why,
        since_s: standing.since.map(|since| secs(since.elapsed())),
        weight: member.weight().get(),
        share_percent: member.share(slow_start),
        by_hand: false,
        priority: options.priority,
        backup: options.backup,
        connections: usage(member.limit.in_use() as u64, &member.limit),
        breaker: breaker(view.state).to_owned(),
        failures_in_a_row: view.failures_in_a_row,
        retry_in_s: (view.state != BreakerState::Closed).then(|| secs(view.retry_in)),
        checked_total: health.checks,
        checks_failed_total: health.failed,
        dialled_total: latency.count(),
        dial_median_s: latency.quantile(0.5).map(|micros| micros as f64 / 1e6),
        failed_total: failed.map(|(why, count)| (why.to_owned(), count)).collect(),
        draining: member.draining.is_on(),
        outcomes: outcomes::of(Some(&member.name)),
    }
}

fn breaker(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half_open",
    }
}

/// How a member is, in one word: what keeps it from being used first.
struct Standing {
    state: &'static str,
    why: Option<String>,
    since: Option<Instant>,
}

impl Standing {
    fn of(member: &Member, health: &HealthView, breaker: &BreakerView, slow_start: Option<Duration>) -> Self {
        let is = |state, why: Option<String>| Self { state, why, since: None };
        if !member.is_in_force() {
            return is(REMOVED, Some("it has connections yet".to_owned()));
        }
        if member.draining.is_on() {
            return is("draining", Some("drained by an operator".to_owned()));
        }
        let (state, since) = (health.state, health.since);
        match state {
            HealthState::Unknown | HealthState::Up => {}
            HealthState::Draining | HealthState::Full => {
                let why = Some("it says so itself".to_owned());
                return Self { state: state.name(), why, since };
            }
            HealthState::Down | HealthState::Ejected | _ => {
                let why = health.finding.as_ref().map(ToString::to_string);
                return Self { state: state.name(), why, since };
            }
        }
        if breaker.state != BreakerState::Closed {
            return is("breaker_open", Some(format!("{} dials failed in a row", breaker.failures_in_a_row)));
        }
        let state = if member.share(slow_start) < member.share(None) { "slow_start" } else { "up" };
        let lags = member.rank() == Rank::Lags;
        let why = lags.then(|| "another target answered sooner: it is tried last".to_owned());
        Self { state, why, since }
    }
}

/// A target of a route that nobody has taken yet.
fn never_dialled(route: &str, target: &proxy_upstream::Target, config: &RouteConfig) -> Target {
    Target {
        route: route.to_owned(),
        group: None,
        target: target.to_string(),
        found_by: None,
        state: "up".to_owned(),
        why: None,
        since_s: None,
        weight: 1,
        share_percent: 100,
        by_hand: false,
        priority: 0,
        backup: false,
        connections: Usage { used: 0, most: bound(config.max_connections_per_target) },
        breaker: "closed".to_owned(),
        failures_in_a_row: 0,
        retry_in_s: None,
        checked_total: 0,
        checks_failed_total: 0,
        dialled_total: 0,
        dial_median_s: None,
        failed_total: BTreeMap::new(),
        draining: false,
        outcomes: Outcomes::default(),
    }
}
