use proxy_conn::{Cause, ConnGuard, DeadlineKind, LONG, Opening, Phase, Tracker};
use proxy_core::mem::MemNet;
use proxy_core::relay::{Meter as _, Side};
use proxy_core::{BindAddr, PeerAddr, Resolver};
use proxy_route::{Match, RouteSpec, RouteTable};
use tokio::time::advance;

use super::*;
use crate::settings::{ListenerConfig, RouteConfig, Settings};

const TWICE: [&str; 3] = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:1"];

/// One listener, a route to these targets, and one more.
fn settings(targets: &[&str]) -> Arc<Settings> {
    let listener = ListenerConfig::on(BindAddr::Ip([127, 0, 0, 1].into()), 8000);
    let route = |name: &str, port: &str| {
        let config = RouteConfig::forward(name, targets.iter().map(|target| target.parse().unwrap()));
        (RouteSpec::new(name, Match::on([port.parse().unwrap()])), config)
    };
    let routes = RouteTable::build([route("web", "8000"), route("unused", "8001")]).unwrap();
    Arc::new(Settings::new(vec![listener], routes))
}

fn first(targets: &[&str]) -> Generation<MemNet> {
    Generation::new(settings(targets), Tracker::new(2, ()), MemNet::default(), Resolver::fixed([]))
}

/// A connection that has its backend, the `nth` of the route's.
fn relay(proxy: &Generation<MemNet>, nth: usize) -> ConnGuard {
    let peer = PeerAddr::new(([127, 0, 0, 1], 1).into());
    let guard = proxy.tracker.open(0, Opening::new(peer, proxy.listeners[0].label.clone()));
    let state = proxy.route(0).unwrap();
    guard.enter(Phase::Dial, Instant::now(), DeadlineKind::Dial).unwrap();
    guard.learn(|facts| facts.route = Some(state.name.clone()));
    guard.join(proxy.pools[0].id, false);
    guard.learn(|facts| facts.target = Some(state.targets.nth(nth).unwrap().name.clone()));
    guard.enter(Phase::Relay, Instant::now(), DeadlineKind::Dial).unwrap();
    guard
}

/// One that is answered after so long, and ends.
async fn answered(proxy: &Generation<MemNet>, after: Duration) {
    let guard = relay(proxy, 0);
    guard.moved(Side::Client, 10, Instant::now());
    advance(after).await;
    guard.moved(Side::Backend, 10, Instant::now());
    guard.end(Cause::Finished.during(Phase::Relay), None);
}

fn names(picture: &Picture) -> Vec<String> {
    picture.readings.iter().map(|(subject, _)| subject.to_string()).collect()
}

fn reading<'p>(picture: &'p Picture, name: &str) -> &'p Reading {
    let found = picture.readings.iter().find(|(subject, _)| subject.to_string() == name);
    &found.unwrap_or_else(|| panic!("{name} is not in {:?}", names(picture))).1
}

#[tokio::test(start_paused = true)]
async fn every_part_that_has_had_a_connection_is_in_it_once() {
    let (proxy, mut pictures) = (first(&TWICE), Pictures::from_now());
    let listener = "listener 127.0.0.1:8000";
    let pools: Vec<_> = proxy.pools.iter().map(|pool| format!("pool {}", pool.name)).collect();
    let before = [&["the process".to_owned(), listener.to_owned()], &*pools].concat();
    assert_eq!(names(&pictures.take(&proxy)), before, "no route that nobody took");
    let open = [relay(&proxy, 0), relay(&proxy, 2)];
    advance(LONG).await;
    let picture = pictures.take(&proxy);
    let targets = ["target 10.0.0.1:1 of web", "target 10.0.0.2:1 of web", "target 10.0.0.1:1#2 of web"];
    let middle = [&["route web"], &targets[..], &[listener]].concat();
    assert_eq!(names(&picture)[1..6], middle);
    for (name, open) in
        [("the process", 2), ("route web", 2), (targets[0], 1), (targets[1], 0), (targets[2], 1)]
    {
        let reading = reading(&picture, name);
        assert_eq!((reading.open, reading.phases[Phase::Relay as usize]), (open, open), "{name}");
    }
    assert_eq!(reading(&picture, &pools[0]).totals.opened, 2);
    drop(open);
}

#[tokio::test(start_paused = true)]
async fn counts_go_on_over_a_reload_that_keeps_the_name() {
    let (proxy, mut pictures) = (first(&TWICE), Pictures::from_now());
    let open = relay(&proxy, 0);
    drop(relay(&proxy, 0));
    let next = proxy.after(settings(&["10.0.0.1:1", "10.0.0.9:1"])).unwrap();
    next.take_force();
    let picture = pictures.take(&next);
    for name in ["route web", "target 10.0.0.1:1 of web", "listener 127.0.0.1:8000"] {
        let Reading { open, totals, .. } = reading(&picture, name);
        assert_eq!((totals.opened, totals.ended(), *open), (2, 1, 1), "{name}");
    }
    assert!(!names(&picture).contains(&"target 10.0.0.2:1 of web".to_owned()));
    drop(open);
    assert_eq!(next.route(0).unwrap().name.totals().open(), 0, "whatever generation it began in");
}

#[tokio::test(start_paused = true)]
async fn first_bytes_are_those_since_the_last_picture() {
    let (proxy, mut pictures) = (first(&TWICE), Pictures::from_now());
    let p99 = |picture: &Picture| {
        ["the process", "route web", "target 10.0.0.1:1 of web"]
            .map(|name| reading(picture, name).first_byte_p99)
    };
    answered(&proxy, Duration::from_millis(900)).await;
    assert_eq!(p99(&pictures.take(&proxy)), [Some(Duration::from_secs(1)); 3]);
    answered(&proxy, Duration::from_millis(4)).await;
    assert_eq!(p99(&pictures.take(&proxy)), [Some(Duration::from_millis(5)); 3]);
    assert_eq!(p99(&pictures.take(&proxy)), [None; 3]);
    answered(&proxy, Duration::from_secs(600)).await;
    assert_eq!(p99(&pictures.take(&proxy)), [Some(Duration::from_secs(60)); 3], "the last bound there is");
}

#[tokio::test(start_paused = true)]
async fn the_more_connections_there_are_the_more_seldom_they_are_walked() {
    let (proxy, mut pictures) = (first(&TWICE), Pictures::from_now());
    let open: Vec<_> = (0..4_000).map(|_| relay(&proxy, 0)).collect();
    assert_eq!(reading(&pictures.take(&proxy), "route web").living.open(), 4_000);
    drop(open);
    advance(Duration::from_secs(1)).await;
    let picture = pictures.take(&proxy);
    let Reading { open, living, .. } = reading(&picture, "route web");
    assert_eq!((*open, living.open()), (0, 4_000), "counted, and not walked yet");
    advance(Duration::from_secs(1)).await;
    assert_eq!(reading(&pictures.take(&proxy), "route web").living.open(), 0);
    assert_eq!([0, 2_001, 1 << 40].map(|many| pause(many).as_micros()), [1_000_000, 1_000_500, 6_000_000]);
}
