//! The proxy as a whole, and its parts: routes, targets, pools, listeners, limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use proxy_conn::{Cause, Level, Limit};
use proxy_core::TcpDialer;

use super::api::Api;
use super::counts::{Counts, Group};
use super::minutes::with_minutes;
use super::sampled::seen;
use super::view::{self, bound, of_at_most, secs, usage};
use super::{clients, outcomes, targets};
use crate::config::{Action, GroupConfig, RouteConfig, SendProxy};
use crate::logging::Logs;
use proxy_api::model::{self, Listener, Pool, Route, Status, Usage};
use proxy_dataplane::generation::{Generation, RouteState};
use proxy_upstream::Member;

type Served = Generation<TcpDialer>;

/// `GET /v1/status`.
pub(super) async fn status(State(api): State<Arc<Api>>) -> Json<Status> {
    Json(of_all(&api, &Counts::take(api.tracker())))
}

/// The proxy as a whole.
pub(super) fn of_all(api: &Api, counts: &Counts) -> Status {
    let (control, proxy, tracker) = (api.control(), api.proxy(), api.tracker());
    let ended = Cause::ALL.iter().map(|cause| (cause.name().to_owned(), tracker.ended(*cause)));
    Status {
        name: api.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_s: secs(control.uptime()),
        state: control.state().name().to_owned(),
        ready: api.unready().is_none(),
        workers: u32::try_from(control.workers().len()).unwrap_or(u32::MAX),
        connections: counts.all.phases.total(),
        max_connections: proxy.connections.most() as u64,
        full: proxy.is_full(),
        opened_total: tracker.opened(),
        ended_total: ended.filter(|(_, count)| *count > 0).collect(),
        phases: counts.all.phases,
        pools: with_minutes(api, pools(&proxy, counts)),
        listeners: with_minutes(api, listeners(api, counts)),
        descriptors: api.process.descriptors(),
        memory: api.process.memory(),
        audit: view::audit(api.audit().state()),
        config: control.config_status(),
        drains: control.drains(),
        last_upgrade: control.last_upgrade(),
        log: log(api),
    }
}

/// `GET /v1/routes`.
pub(super) async fn all_routes(State(api): State<Arc<Api>>) -> Json<Vec<Route>> {
    Json(seen(&api, routes(&api.proxy(), &Counts::take(api.tracker()))))
}

/// `GET /v1/pools`.
pub(super) async fn all_pools(State(api): State<Arc<Api>>) -> Json<Vec<Pool>> {
    Json(with_minutes(&api, pools(&api.proxy(), &Counts::take(api.tracker()))))
}

/// `GET /v1/listeners`.
pub(super) async fn all_listeners(State(api): State<Arc<Api>>) -> Json<Vec<Listener>> {
    Json(with_minutes(&api, listeners(&api, &Counts::take(api.tracker()))))
}

/// `GET /v1/limits`.
pub(super) async fn all_limits(State(api): State<Arc<Api>>) -> Json<Vec<model::Limit>> {
    Json(limits(&api.proxy()))
}

/// `GET /v1/build`.
pub(super) async fn build() -> Json<model::Build> {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    Json(model::Build {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        profile: profile.to_owned(),
        target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
    })
}

/// `GET /v1/config`.
pub(super) async fn config(State(api): State<Arc<Api>>) -> Json<model::ConfigText> {
    Json(model::ConfigText {
        status: api.control().config_status(),
        text: api.control().config_text().to_string(),
    })
}

/// `GET /v1/log`.
pub(super) async fn log_status(State(api): State<Arc<Api>>) -> Json<model::LogStatus> {
    Json(log(&api))
}

/// `GET /v1/audit`.
pub(super) async fn last_audit(State(api): State<Arc<Api>>) -> Json<model::AuditSummary> {
    Json(view::audit(api.audit().state()))
}

/// `POST /v1/audit`.
pub(super) async fn audit_now(State(api): State<Arc<Api>>) -> Json<model::Audit> {
    Json(view::audited(&api.audit().run_once().await))
}

/// What is logged. Where the log is not the proxy's, what the configuration asks for is all there is to say.
pub(super) fn log(api: &Api) -> model::LogStatus {
    let logs = api.logs().ok();
    let level = logs.as_ref().map_or_else(|| api.control().config().log.level, Logs::level);
    model::LogStatus { level: level.name().to_owned(), lost_total: logs.as_ref().map_or(0, Logs::lost) }
}

fn pools(proxy: &Served, counts: &Counts) -> Vec<Pool> {
    let pool = |pool: &proxy_dataplane::pool::Pool| {
        let pressure = pool.pressure.load();
        let group = counts.pools.get(&pool.id);
        Pool {
            name: pool.name.to_string(),
            connections: usage(group.map_or(0, Group::open), &pool.limit),
            waiting: waiting(&pool.limit),
            turned_away: group.map_or(0, |group| group.turned_away),
            level: pressure.level.name().to_owned(),
            signal: (pressure.level != Level::Normal).then(|| pressure.signal.name().to_owned()),
            outcomes: outcomes::of(proxy.tracker.of_pool(pool.id)),
        }
    };
    proxy.pools.iter().map(pool).collect()
}

fn waiting(limit: &Limit) -> u64 {
    limit.waiting() as u64
}

fn listeners(api: &Api, counts: &Counts) -> Vec<Listener> {
    let listener = |at: &Arc<proxy_dataplane::generation::Listener>| {
        let group = counts.listeners.get(&*at.label);
        Listener {
            name: at.label.to_string(),
            connections: usage(group.map_or(0, Group::open), &at.limit),
            waiting: group.map_or(0, |group| group.waiting),
            turned_away: group.map_or(0, |group| group.turned_away),
            draining: api.control().is_draining_listener(&at.label),
            outcomes: outcomes::of(Some(&at.label)),
        }
    };
    api.proxy().listeners.iter().map(listener).collect()
}

/// The routes in force, then those that have connections although they are no more.
pub(super) fn routes(proxy: &Served, counts: &Counts) -> Vec<Route> {
    let in_force = proxy.settings.routes.routes().map(|matched| {
        let (route, state) = (matched.payload, proxy.routes.made(matched.index));
        let send_proxy = match matched.payload.send_proxy {
            SendProxy::Off => None,
            SendProxy::V1 { .. } => Some("v1"),
            SendProxy::V2(_) => Some("v2"),
        };
        Route {
            send_proxy: send_proxy.map(str::to_owned),
            sends_id: matched.payload.send_proxy.tells_id(),
            group: group_of(route).map(|group| group.name.to_string()),
            targets: targets::of_route(proxy, matched.index, route),
            in_force: true,
            enabled: matched.spec.enabled,
            draining: state.is_some_and(|state| state.draining.is_on()),
            outcomes: outcomes::of(state.map(|state| &state.name)),
            ..of_route(matched.name(), counts.routes.get(matched.name()), bound(route.max_connections))
        }
    });
    let mut gone: BTreeMap<_, _> = counts.routes.iter().map(|(name, group)| (&**name, group)).collect();
    for known in proxy.settings.routes.routes() {
        gone.remove(known.name());
    }
    in_force.chain(gone.into_iter().map(|(name, group)| of_route(name, Some(group), None))).collect()
}

fn of_route(name: &str, group: Option<&Group>, most: Option<u64>) -> Route {
    let group = group.cloned().unwrap_or_default();
    Route {
        name: name.to_owned(),
        connections: of_at_most(group.open(), most),
        waiting: group.waiting,
        turned_away: group.turned_away,
        phases: group.phases,
        oldest_s: group.oldest.map(secs),
        from_client_bytes: group.from_client,
        from_backend_bytes: group.from_backend,
        send_proxy: None,
        sends_id: false,
        group: None,
        targets: Vec::new(),
        draining: false,
        in_force: false,
        enabled: false,
        outcomes: model::Outcomes::default(),
        sockets: None,
    }
}

/// The group that a route is taken to, if that has a name.
fn group_of(route: &RouteConfig) -> Option<&GroupConfig> {
    match &route.action {
        Action::Group(group) => Some(group),
        Action::Forward(_) | Action::Refuse => None,
    }
}

/// Every limit that is set.
pub(super) fn limits(proxy: &Served) -> Vec<model::Limit> {
    let (waiting, most) = proxy.unrouted();
    let unrouted = model::Limit {
        what: "connections without a route".to_owned(),
        usage: Usage { used: waiting as u64, most: Some(most as u64) },
        high_water: None,
        waiting: 0,
        // For one more the oldest gives way.
        full: false,
        by: None,
    };
    let all =
        model::Limit { full: proxy.is_full(), ..limit("all connections".to_owned(), &proxy.connections) };
    let mut limits = vec![all, unrouted];
    let mut add =
        |what: &dyn Fn() -> String, set: &Limit| limits.extend(set.bound().map(|_| limit(what(), set)));
    for pool in &proxy.pools {
        add(&|| format!("pool {}", pool.name), &pool.limit);
    }
    for at in &proxy.listeners {
        add(&|| format!("listener {}", at.label), &at.limit);
    }
    for matched in proxy.settings.routes.routes() {
        let (route, state) = (matched.payload, proxy.routes.made(matched.index));
        limits.extend(of_limits(route, state));
    }
    for group in proxy.groups() {
        let members = group.members();
        let bound = members.iter().filter(|member| member.limit.bound().is_some());
        let what = |member: &Member| format!("target {} of group {}", member.name, group.name());
        limits.extend(bound.map(|member| limit(what(member), &member.limit)));
    }
    limits.extend(clients::limits(proxy));
    limits
}

/// The limits that are set of a route and of its targets, of which nobody may have been counted yet.
fn of_limits<'r>(
    route: &'r RouteConfig,
    state: Option<&'r RouteState>,
) -> impl Iterator<Item = model::Limit> + 'r {
    let of_route = route.max_connections.map(|most| {
        let set =
            state.map_or_else(|| proxy_dataplane::settings::limit(Some(most)), |state| state.limit.clone());
        (format!("route {}", route.name), set)
    });
    let of_targets = route.max_connections_per_target.into_iter().flat_map(move |most| {
        // A group's are told of with the group.
        let listed = if group_of(route).is_none() { route.action.targets() } else { &[] };
        listed.iter().enumerate().map(move |(nth, target)| {
            let known = state.and_then(|state| state.targets.nth(nth));
            let set = known
                .map_or_else(|| proxy_dataplane::settings::limit(Some(most)), |known| known.limit.clone());
            (format!("target {target} of {}", route.name), set)
        })
    });
    let all = of_route.into_iter().chain(of_targets);
    all.filter(|(_, set)| set.bound().is_some()).map(|(what, set)| limit(what, &set))
}

fn limit(what: String, set: &Limit) -> model::Limit {
    model::Limit {
        what,
        usage: usage(set.in_use() as u64, set),
        high_water: Some(set.high_water() as u64),
        waiting: waiting(set),
        full: set.bound().is_some_and(|most| set.in_use() >= most),
        by: None,
    }
}
