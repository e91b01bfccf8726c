//! The proxy as a whole, and its parts.

use std::net::TcpStream;

use proxy_api::model::{
    Audit, AuditSummary, Build, ConfigText, Limit, Listener, LogStatus, Phase, Pool, Route, Target,
};

use crate::eventually;
use crate::world::{World, nobody};

#[test]
fn it_counts_what_there_is() {
    let world = World::new();
    let before = world.outer.status();
    assert_eq!((before.name.as_str(), before.state.as_str(), before.ready), ("outer", "running", true));
    assert_eq!((before.connections, before.opened_total, before.workers), (0, 0, 2));
    assert_eq!((before.pid, before.version.as_str()), (std::process::id(), env!("CARGO_PKG_VERSION")));
    assert!(before.config.origin.ends_with("outer.toml") && before.config.generation == 1);
    assert!(before.memory.resident_bytes > 1 << 20 && before.memory.allocated_bytes > 0);
    assert!(before.descriptors.used > 3 && before.descriptors.used < before.descriptors.most.unwrap());
    let clients = world.clients(3);
    let with = world.outer.status();
    assert_eq!((with.connections, with.phases[Phase::Relay], with.opened_total), (3, 3, 3));
    let chain = with.pools.iter().find(|pool| pool.name == "chain").unwrap();
    assert_eq!((chain.connections.used, chain.level.as_str(), &chain.signal), (3, "normal", &None));
    assert_eq!(with.listeners[0].name, world.outer.addr.to_string());
    assert_eq!((with.listeners[0].connections.used, with.listeners[0].connections.most), (3, Some(500)));
    drop(clients);
    world.outer.has(0);
    let after = world.outer.status();
    assert_eq!((after.connections, after.ended_total.values().sum::<u64>()), (0, 3));
    assert!(after.uptime_s >= before.uptime_s);
}

#[test]
fn its_parts_are_there_by_themselves() {
    let world = World::with("", "max_connections = 10\nmax_connections_per_target = 5");
    let (at, _clients) = (world.at(), world.clients(2));
    let pools: Vec<Pool> = at.get("/v1/pools").says();
    assert_eq!(pools.iter().map(|pool| &*pool.name).collect::<Vec<_>>(), ["direct", "chain"]);
    let listeners: Vec<Listener> = at.get("/v1/listeners").says();
    assert_eq!((listeners.len(), listeners[0].connections.used), (1, 2));
    let routes: Vec<Route> = at.get("/v1/routes").says();
    let [route] = &routes[..] else { panic!("{routes:?}") };
    assert_eq!((&*route.name, route.connections.used, route.connections.most), ("web", 2, Some(10)));
    assert_eq!((route.phases[Phase::Relay], route.in_force, route.draining), (2, true, false));
    assert_eq!((route.send_proxy.as_deref(), route.from_client_bytes), (Some("v2"), 10));
    assert!(route.oldest_s.is_some() && route.from_backend_bytes == 10);
    let targets: Vec<Target> = at.get("/v1/targets").says();
    assert_eq!(targets, route.targets);
    assert_eq!((targets[0].target.clone(), &*targets[0].breaker), (world.inner.addr.to_string(), "closed"));
    assert_eq!((targets[0].connections.used, targets[0].connections.most), (2, Some(5)));
    assert_eq!((targets[0].dialled_total, targets[0].failed_total.len()), (2, 0));
    let limits: Vec<Limit> = at.get("/v1/limits").says();
    let of = |what: &str| limits.iter().find(|limit| limit.what.starts_with(what)).unwrap();
    for what in ["all connections", "route web", "listener 127.0.0.1:", "target 127.0.0.1:"] {
        assert_eq!((of(what).usage.used, of(what).high_water), (2, Some(2)), "{what}");
    }
    assert_eq!(of("route web").usage.most, Some(10));
    let config: ConfigText = at.get("/v1/config").says();
    assert!(config.text.contains("max_connections_per_target = 5") && config.status.generation == 1);
    let build: Build = at.get("/v1/build").says();
    assert_eq!((&*build.profile, &*build.target), ("debug", "x86_64-linux"));
    let log: LogStatus = at.get("/v1/log").says();
    assert_eq!((&*log.level, log.lost_total), ("info", 0));
}

#[test]
fn an_audit_can_be_asked_for() {
    let world = World::new();
    let (at, _clients) = (world.at(), world.clients(2));
    let last: AuditSummary = at.get("/v1/audit").says();
    assert_eq!((last.ago_s, last.gauges.len()), (None, 7));
    let audit: Audit = at.post("/v1/audit", "").says();
    assert!(audit.clean && audit.findings.is_empty() && audit.blind.is_none(), "{audit:?}");
    assert_eq!((audit.entries, audit.gauges["zombies"]), (2, 0));
    assert!(audit.sockets.unwrap() >= 4);
    let last: AuditSummary = at.get("/v1/audit").says();
    assert!(last.clean && last.ago_s.is_some());
}

#[test]
fn a_target_that_refuses_shows_with_its_breaker() {
    let world = World::with("", "");
    let refused = format!(
        "[[routes]]\nname = \"down\"\nmatch = {{ ports = [{}], clients = [\"127.0.0.1\"] }}\naction = {{ forward = [\"{}\"] }}\n",
        world.outer.addr.port(),
        nobody()
    );
    let file = world.dir.path().join("outer.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("[admin]", &format!("{refused}[admin]"))).unwrap();
    let reload = world.at().post("/v1/reload", "").json();
    assert_eq!(reload["taken"], true, "{reload}");
    let failed = || {
        drop(TcpStream::connect(world.outer.addr).unwrap());
        let targets: Vec<Target> = world.at().get("/v1/targets").says();
        targets.into_iter().find(|target| target.route == "down").unwrap()
    };
    eventually("the breaker opens", || failed().breaker == "open");
    let target = failed();
    assert!(target.failures_in_a_row >= 5 && target.retry_in_s.unwrap() > 0.0, "{target:?}");
    assert!(target.failed_total["refused"] >= 5 && target.dialled_total == 0);
}
