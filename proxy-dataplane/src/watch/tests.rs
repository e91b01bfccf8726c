//! The watch in simulated time.

use super::*;
use crate::generation::Listener;
use crate::settings::{AcceptProxy, Settings};
use crate::test_settings::one_route;
use proxy_conn::overload::Signal;
use proxy_conn::{Level, Tracker};
use proxy_core::Bound;
use proxy_core::mem::{self, MemNet};
use proxy_core::stream::write_all;
use proxy_core::{Listen, PeerAddr, Resolver};
use proxy_route::ClientNet;

/// Of 200 connections at most, all of which may be silent at first, from peers that have to send a header within 10 s.
fn silent_at_first() -> Settings {
    let mut settings = served_at_once();
    settings.max_unrouted_connections = settings.max_connections;
    settings.deadlines.proxy_header_timeout = Bound::secs(10);
    let hops: ClientNet = "10.0.0.0/8".parse().unwrap();
    settings.listeners[0].accept_proxy = AcceptProxy::Required([hops].into());
    settings
}

/// Of 200 connections at most, to a backend at 127.0.0.1:9000.
fn served_at_once() -> Settings {
    one_route(Some(200))
}

/// They came long before anybody knew which pool they belong to, and nobody came or went since.
#[tokio::test(start_paused = true)]
async fn dials_that_hang_are_seen_although_nobody_comes_or_goes() {
    let net = MemNet::default();
    let _hole = net.black_hole(([127, 0, 0, 1], 9000).into());
    let (proxy, at) = proxy(silent_at_first(), net);
    let peer = PeerAddr::new(([10, 0, 0, 1], 1).into());
    let (mut clients, mut serving) = (Vec::new(), tokio::task::JoinSet::new());
    for _ in 0..120 {
        let (far, near) = mem::pair(1024);
        clients.push(far);
        serving.spawn(proxy.connection(&at, 0, near, peer));
    }
    let playing = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        for client in &clients {
            write_all(client, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n").await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(7)).await;
        proxy.pools.iter().map(|pool| pool.pressure.load().level).max()
    };
    tokio::select! {
        () = watch(Arc::new(ArcSwap::new(Arc::clone(&proxy))), CancellationToken::new()) => unreachable!("nobody stops it"),
        level = playing => assert_eq!(level, Some(Level::Shed)),
    }
    assert_eq!(proxy.tracker.len(), clients.len());
}

fn proxy(settings: Settings, net: MemNet) -> (Arc<Generation<MemNet>>, Arc<Listener>) {
    let at = Listener::new(&settings.listeners[0]);
    (Arc::new(Generation::new(Arc::new(settings), Tracker::new(1, ()), net, Resolver::fixed([]))), at)
}

/// What each look of a minute came to after so many connections had come within a second: the level, the signal that asks
/// for it, and how many connections were walked.
async fn minute_after(connections: usize) -> Vec<(Level, Signal, usize)> {
    let net = MemNet::default();
    let backend = net.listen(([127, 0, 0, 1], 9000).into());
    let (proxy, at) = proxy(served_at_once(), net);
    let (mut ends, mut serving) = (Vec::new(), tokio::task::JoinSet::new());
    let mut watch = Watch::new(false);
    assert_eq!(watch.look(&proxy), 0, "nobody is there");
    for _ in 0..connections {
        let (far, near) = mem::pair(1024);
        serving.spawn(proxy.connection(&at, 0, near, PeerAddr::new(([10, 0, 0, 1], 1).into())));
        ends.push((far, backend.accept().await.unwrap()));
    }
    let mut looks = Vec::new();
    for _ in 0..60 {
        tokio::time::sleep(EVERY).await;
        let walked = watch.look(&proxy);
        let pressure =
            proxy.pools.iter().map(|pool| pool.pressure.load()).max_by_key(|one| one.level).unwrap();
        looks.push((pressure.level, pressure.signal, walked));
    }
    looks
}

/// What they said meanwhile waits to be read: a look that comes late ends nobody, the next one does.
#[tokio::test(start_paused = true)]
async fn nobody_is_ended_for_the_time_in_which_the_process_stood_still() {
    let net = MemNet::default();
    let backend = net.listen(([127, 0, 0, 1], 9000).into());
    let (proxy, at) = proxy(served_at_once(), net);
    let (mut ends, mut serving) = (Vec::new(), tokio::task::JoinSet::new());
    for _ in 0..185 {
        let (far, near) = mem::pair(1024);
        serving.spawn(proxy.connection(&at, 0, near, PeerAddr::new(([10, 0, 0, 1], 1).into())));
        ends.push((far, backend.accept().await.unwrap()));
    }
    let mut watch = Watch::new(false);
    for _ in 0..20 {
        watch.stood_still = true;
        watch.look(&proxy);
        tokio::time::sleep(EVERY).await;
    }
    assert_eq!(proxy.tracker.len(), 185);
    watch.stood_still = false;
    watch.look(&proxy);
    tokio::time::sleep(EVERY).await;
    assert!(proxy.tracker.len() < 185);
}

/// A level that nobody's end would help is no reason to look at anybody, however long it lasts.
#[tokio::test(start_paused = true)]
async fn a_crowd_that_stays_is_walked_once_although_the_pool_is_tight_for_long() {
    let looks = minute_after(130).await;
    let tight = looks.iter().filter(|look| (look.0, look.1) == (Level::Tight, Signal::Growth)).count();
    assert!((10..60).contains(&tight), "65 of 100 places are taken within a second: {looks:?}");
    let walked: Vec<_> = looks.iter().map(|look| look.2).collect();
    assert_eq!((walked[0], walked[1..].iter().sum::<usize>()), (130, 0));
}

/// Above its mark the pool ends whom it can spare, and looks at all of them for as long as that lasts.
#[tokio::test(start_paused = true)]
async fn while_connections_may_be_ended_they_are_walked() {
    let looks = minute_after(185).await;
    let walks = |looks: &[(Level, Signal, usize)]| looks.iter().filter(|look| look.2 > 0).count();
    // Nobody is spared before the ten seconds of silence that a victim needs.
    assert_eq!(walks(&looks[..10]), 10, "{looks:?}");
    let (_, _, left) = looks.iter().rfind(|look| look.2 > 0).unwrap();
    assert!((160..175).contains(left), "down to the mark, and no further: {looks:?}");
    assert_eq!(walks(&looks[40..]), 0, "{looks:?}");
}
