//! A thousand reloads while clients come and go: nobody notices, and nothing is left of them.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chain_harness::{
    Backend, Counting, Hop, PATIENCE, Wire, allocated, eventually, free_port, open_descriptors, scenario,
    settled,
};
use proxy_conn::Cause;
use tokio::task::JoinSet;

#[global_allocator]
static COUNTING: Counting = Counting;

const RELOADS: usize = 1000;
const CLIENTS: usize = 8;
const LIVING: usize = 20;

/// Reloads that find out how much room the tables, queues and caches need that all have in common.
const FIRST: usize = 100;

/// What nine hundred generations may have left behind, all in all: less than sixty bytes each.
const MOST_LEFT: usize = 48 << 10;

/// For so long the memory has to be still before it is looked at: longer than from one look of the watch to the next.
const SETTLES: Duration = Duration::from_millis(1200);

/// Each is another one: deadlines, limits, a pool, a target, and at every tenth a listener that comes or goes.
fn config(n: usize, backends: [SocketAddr; 2], extra: u16) -> String {
    let [one, two] = backends;
    let target = if n.is_multiple_of(2) { one } else { two };
    let (idle, most, pool) = (600 + n % 7, 5000 + n % 5, n % 3);
    let mut text = format!(
        r#"
        workers = 2
        timeouts.inactivity_timeout = "{idle}s"
        limits.connections_per_client = "off"
        limits.connections_per_client_per_minute = "off"
        [pools.p{pool}]
        max_connections = {most}
        [[listeners]]
        bind = ["127.0.0.1"]
        backlog = {backlog}
        [[routes]]
        name = "only"
        match = {{ ports = [PORT_A] }}
        action = {{ forward = ["{target}"] }}
        pool = "p{pool}"
        max_connections = {most}
        "#,
        backlog = 1024 + n % 2,
    );
    if n / 10 % 2 == 1 {
        text += &format!(
            "[[routes]]\nname = \"extra\"\nmatch = {{ ports = [{extra}] }}\naction = {{ forward = [\"{target}\"] }}\n"
        );
    }
    text
}

/// Comes, says something, hears it, ends in order, and comes again.
async fn comes_and_goes(addr: SocketAddr, over: Arc<AtomicBool>, served: Arc<AtomicUsize>) {
    while !over.load(Ordering::Relaxed) {
        let mut client = Wire::connect(addr).await;
        client.send("hello").await;
        client.half_close().await;
        let received = client.read_to_end().await;
        assert_eq!(received.text(), "hello", "{received:?}");
        served.fetch_add(1, Ordering::Relaxed);
    }
}

/// Reloads again and again while clients come and go; how many were served.
async fn under_load(
    hop: &Hop,
    backends: [SocketAddr; 2],
    extra: u16,
    reloads: RangeInclusive<usize>,
) -> usize {
    let (over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(comes_and_goes(hop.addr(), Arc::clone(&over), Arc::clone(&served)));
    }
    for n in reloads {
        let reload = hop.reload(&config(n, backends, extra)).await;
        assert!(reload.taken, "{reload:?}");
    }
    over.store(true, Ordering::Relaxed);
    // Each of them panics if it was not served as it should be.
    while let Some(ended) = clients.join_next().await {
        ended.expect("nobody was turned away");
    }
    served.load(Ordering::Relaxed)
}

#[test]
fn a_thousand_reloads_under_load_cost_nobody_a_connection_and_leave_nothing() {
    scenario(async {
        let (one, two, extra) = (Backend::echo(), Backend::echo(), free_port());
        let backends = [one.addr(), two.addr()];
        let hop = Hop::start(&config(0, backends, extra));
        let mut living = Vec::new();
        for _ in 0..LIVING {
            let mut client = Wire::connect(hop.addr()).await;
            client.send("before").await;
            client.expect("before").await;
            living.push(client);
        }
        let at_rest = async || {
            eventually(PATIENCE, || hop.tracker().len() == LIVING).await;
            hop.forget_ends();
            one.forget_visits();
            two.forget_visits();
            // Backends' tasks, the watch's generation: gone within a second or so.
            (settled(SETTLES, allocated).await, open_descriptors())
        };
        let first = under_load(&hop, backends, extra, 1..=FIRST).await;
        let before = at_rest().await;
        let served = first + under_load(&hop, backends, extra, FIRST + 1..=RELOADS).await;
        let after = at_rest().await;
        println!("{RELOADS} reloads, {served} connections meanwhile, none failed; {LIVING} live on");
        println!("allocated, descriptors: {before:?} after {FIRST}, {after:?} after all");
        assert!(served >= RELOADS / 10, "it was under load: {served}");
        assert!(after.0 <= before.0 + MOST_LEFT && after.1 == before.1, "{before:?} {after:?}");
        assert_eq!(hop.control().generation(), RELOADS as u64 + 1);
        for client in &mut living {
            client.send(" and after").await;
            client.expect("before and after").await;
        }
        for cause in Cause::ALL {
            let ends = if *cause == Cause::Finished { served as u64 } else { 0 };
            assert_eq!(hop.ends_of(*cause), ends, "{cause}");
        }
        let counted = hop.control().proxy().route(0).unwrap().limit.in_use();
        assert_eq!(counted, LIVING, "they are counted by the limit that there is now");
        hop.is_clean().await;
        assert!(
            Wire::is_refused((Ipv4Addr::LOCALHOST, extra).into()).await,
            "the last one has no such listener"
        );
        drop(living);
        hop.settles_within(Duration::from_secs(5)).await;
    });
}
