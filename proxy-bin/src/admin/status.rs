//! The proxy as a whole, and its parts: routes, targets, pools, listeners, limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use proxy_conn::{BreakerState, Cause, Level, Limit};
use proxy_core::TcpDialer;

use super::api::Api;
use super::census::{Census, Group};
use super::model::{self, Listener, Pool, Route, Status, Target, Usage};
use super::view::{self, secs, usage};
use crate::config::{LogLevel, SendProxy};
use crate::proxy::{Proxy, RouteState};
use crate::target::TargetView;

type Served = Proxy<TcpDialer>;

/// `GET /v1/status`.
pub(super) async fn status(State(api): State<Arc<Api>>) -> Json<Status> {
    Json(of_all(&api, &Census::take(api.tracker())))
}

/// The proxy as a whole.
pub(super) fn of_all(api: &Api, census: &Census) -> Status {
    let (proxy, tracker) = (api.proxy(), api.tracker());
    let ended = Cause::ALL.iter().map(|cause| (cause.name().to_owned(), tracker.ended(*cause)));
    Status {
        name: api.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_s: secs(api.started.elapsed()),
        state: api.state().to_owned(),
        ready: api.unready().is_none(),
        workers: proxy.config.workers.get(),
        connections: census.all.phases.total(),
        max_connections: proxy.connections.most() as u64,
        opened_total: tracker.opened(),
        ended_total: ended.filter(|(_, count)| *count > 0).collect(),
        phases: census.all.phases,
        pools: pools(&proxy, census),
        listeners: listeners(&proxy, census),
        descriptors: api.process.descriptors(),
        memory: api.process.memory(),
        audit: view::audit(api.audit().state()),
        config: api.config_status(),
        drains: Vec::new(),
        log: log(api),
    }
}

/// `GET /v1/routes`.
pub(super) async fn all_routes(State(api): State<Arc<Api>>) -> Json<Vec<Route>> {
    Json(routes(&api.proxy(), &Census::take(api.tracker())))
}

/// `GET /v1/targets`.
pub(super) async fn all_targets(State(api): State<Arc<Api>>) -> Json<Vec<Target>> {
    let routes = routes(&api.proxy(), &Census::take(api.tracker()));
    Json(routes.into_iter().flat_map(|route| route.targets).collect())
}

/// `GET /v1/pools`.
pub(super) async fn all_pools(State(api): State<Arc<Api>>) -> Json<Vec<Pool>> {
    Json(pools(&api.proxy(), &Census::take(api.tracker())))
}

/// `GET /v1/listeners`.
pub(super) async fn all_listeners(State(api): State<Arc<Api>>) -> Json<Vec<Listener>> {
    Json(listeners(&api.proxy(), &Census::take(api.tracker())))
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
    Json(model::ConfigText { status: api.config_status(), text: api.config_text() })
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

fn log(api: &Api) -> model::LogStatus {
    let level = match api.proxy().config.log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    model::LogStatus { level: level.to_owned(), lost_total: api.lost() }
}

fn pools(proxy: &Served, census: &Census) -> Vec<Pool> {
    let pool = |(number, pool): (u8, &crate::pool::Pool)| {
        let (pressure, limit) = (pool.pressure.load(), pool.limit.as_ref());
        let used = census.pools.get(&number).map_or(0, model::Phases::total);
        Pool {
            name: pool.name.to_string(),
            connections: usage(used, limit),
            waiting: limit.map_or(0, waiting),
            level: pressure.level.name().to_owned(),
            signal: (pressure.level != Level::Normal).then(|| pressure.signal.name().to_owned()),
        }
    };
    (0..).zip(&proxy.pools).map(pool).collect()
}

fn waiting(limit: &Limit) -> u64 {
    limit.waiting() as u64
}

fn listeners(proxy: &Served, census: &Census) -> Vec<Listener> {
    let listener = |at: &Arc<crate::proxy::Listener>| Listener {
        name: at.label.to_string(),
        connections: usage(census.listeners.get(&at.label).copied().unwrap_or(0), at.limit.as_ref()),
        draining: false,
    };
    proxy.listeners.iter().map(listener).collect()
}

/// The routes in force, then those that have connections although they are no more.
pub(super) fn routes(proxy: &Served, census: &Census) -> Vec<Route> {
    let in_force = proxy.config.routes.routes().zip(&proxy.routes).map(|(matched, state)| {
        let targets = state.targets.views(census.at).map(|target| of_target(matched.name(), &target, census));
        let send_proxy = match matched.payload.send_proxy {
            SendProxy::Off => None,
            SendProxy::V1 => Some("v1"),
            SendProxy::V2 { .. } => Some("v2"),
        };
        Route {
            send_proxy: send_proxy.map(str::to_owned),
            targets: targets.collect(),
            in_force: true,
            ..of_route(matched.name(), census.routes.get(matched.name()), Some(state))
        }
    });
    let known = |name: &str| proxy.config.routes.routes().any(|matched| matched.name() == name);
    let gone: BTreeMap<_, _> = census.routes.iter().filter(|(name, _)| !known(name)).collect();
    in_force.chain(gone.into_iter().map(|(name, group)| of_route(name, Some(group), None))).collect()
}

fn of_route(name: &str, group: Option<&Group>, state: Option<&RouteState>) -> Route {
    let group = group.cloned().unwrap_or_default();
    Route {
        name: name.to_owned(),
        connections: usage(group.phases.total(), state.and_then(|state| state.limit.as_ref())),
        phases: group.phases,
        oldest_s: group.oldest.map(secs),
        from_client_bytes: group.from_client,
        from_backend_bytes: group.from_backend,
        send_proxy: None,
        targets: Vec::new(),
        draining: false,
        in_force: false,
    }
}

fn of_target(route: &str, target: &TargetView<'_>, census: &Census) -> Target {
    let breaker = match target.breaker.state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half_open",
    };
    let shut = target.breaker.state != BreakerState::Closed;
    let failed = target.dials.failures().filter(|(_, count)| *count > 0);
    Target {
        route: route.to_owned(),
        target: target.name.to_owned(),
        connections: match target.limit {
            Some(limit) => usage(limit.in_use() as u64, Some(limit)),
            None => usage(counted(route, target.name, census), None),
        },
        breaker: breaker.to_owned(),
        failures_in_a_row: target.breaker.failures_in_a_row,
        retry_in_s: shut.then(|| secs(target.breaker.retry_in)),
        dialled_total: target.dials.latency().count(),
        failed_total: failed.map(|(why, count)| (why.to_owned(), count)).collect(),
        draining: false,
    }
}

/// How many connections of `route` have `target`. One with the port "preserve" is reached on many.
fn counted(route: &str, target: &str, census: &Census) -> u64 {
    let Some(targets) = census.targets.get(route) else { return 0 };
    let Some(host) = target.strip_suffix("preserve") else {
        return targets.get(target).copied().unwrap_or(0);
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit());
    let on_its_ports = targets.iter().filter(|(name, _)| name.strip_prefix(host).is_some_and(is_port));
    on_its_ports.map(|(_, count)| count).sum()
}

/// Every limit that is set.
pub(super) fn limits(proxy: &Served) -> Vec<model::Limit> {
    let mut limits = vec![limit("all connections".to_owned(), &proxy.connections)];
    let pools = proxy.pools.iter().map(|pool| (format!("pool {}", pool.name), pool.limit.as_ref()));
    let listeners = proxy.listeners.iter().map(|at| (format!("listener {}", at.label), at.limit.as_ref()));
    for (what, set) in pools.chain(listeners) {
        limits.extend(set.map(|set| limit(what, set)));
    }
    let now = tokio::time::Instant::now();
    for (matched, state) in proxy.config.routes.routes().zip(&proxy.routes) {
        limits.extend(state.limit.as_ref().map(|set| limit(format!("route {}", matched.name()), set)));
        for target in state.targets.views(now) {
            let what = format!("target {} of {}", target.name, matched.name());
            limits.extend(target.limit.map(|set| limit(what, set)));
        }
    }
    limits.extend(proxy.clients.as_ref().map(|clients| model::Limit {
        what: "clients".to_owned(),
        usage: Usage {
            used: clients.len() as u64,
            most: proxy.config.clients.map(|options| options.client_table_capacity.get().into()),
        },
        high_water: None,
        waiting: 0,
    }));
    limits
}

fn limit(what: String, set: &Limit) -> model::Limit {
    model::Limit {
        what,
        usage: usage(set.in_use() as u64, Some(set)),
        high_water: Some(set.high_water() as u64),
        waiting: waiting(set),
    }
}
