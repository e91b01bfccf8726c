//! The laws over real TCP: the product and an honest proxy break none, and each planted leak breaks the one that is there for
//! it.

use std::net::SocketAddr;
use std::time::Duration;

use chain_harness::laws::{Breach, Did, Journey, Law, Levels, Party, Saw, at_rest, journey, overdue, path};
use chain_harness::leaky::{Leak, LeakyOptions};
use chain_harness::{
    Backend, BlackHole, Counting, Ending, Hop, LeakyHop, Meeting, PATIENCE, Wire, config, eventually,
    refuses, scenario, with_the_process,
};
use proxy_core::{Endpoint, Side};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::Instant;

#[global_allocator]
static COUNTING: Counting = Counting;

/// The proxies' deadlines for dials and for half-closed connections.
const DEADLINE: Duration = Duration::from_millis(200);
/// By how much one may be late on a busy machine.
const TICK: Duration = Duration::from_millis(300);
/// How long a leak is given to turn out not to be one. It does not matter how long: it never heals.
const IT_STAYS: Duration = Duration::from_millis(300);
/// When a deadline that is kept has long passed.
const LATE: Duration = Duration::from_millis(800);
/// How long ends and bytes that are on their way are waited for.
const ON_THE_WAY: Duration = Duration::from_secs(3);
/// What a round of traffic may leave of memory: queues that have grown. A leak leaves 8 KiB for each connection.
const SLACK: usize = 48 * 1024;
const CONNECTIONS: usize = 12;

/// A proxy that can be looked at.
trait Proxy {
    fn addr(&self) -> SocketAddr;
    fn levels(&self) -> Levels;
    /// What its connections break now: deadlines and, where it can be seen, their ways through the phases.
    fn connections(&self) -> Vec<Breach>;
}

impl Proxy for Hop {
    fn addr(&self) -> SocketAddr {
        Hop::addr(self)
    }

    fn levels(&self) -> Levels {
        with_the_process(Hop::levels(self), SLACK)
    }

    fn connections(&self) -> Vec<Breach> {
        overdue("product", &self.entries(), TICK)
    }
}

impl Proxy for LeakyHop {
    fn addr(&self) -> SocketAddr {
        LeakyHop::addr(self)
    }

    fn levels(&self) -> Levels {
        with_the_process(LeakyHop::levels(self), SLACK)
    }

    fn connections(&self) -> Vec<Breach> {
        let late = overdue("leaky", &self.entries(), TICK);
        let ways = self.take_paths();
        late.into_iter().chain(ways.iter().filter_map(|(name, ways)| path("leaky", name, ways))).collect()
    }
}

/// A proxy with `leak`, and with these deadlines.
fn leaky(leak: Leak, target: SocketAddr, connection_timeout: Duration) -> LeakyHop {
    LeakyHop::start(LeakyOptions {
        target: Endpoint::Ip(target),
        connection_timeout,
        inactivity_timeout: PATIENCE,
        half_closed_timeout: DEADLINE,
        leak,
    })
}

/// Connections of all kinds with a backend that is there.
async fn served(proxy: &impl Proxy, desk: &mut Receiver<Wire>) -> Vec<Journey> {
    let mut journeys = Vec::new();
    for n in 0..CONNECTIONS {
        let mut both = Meeting::at(proxy.addr(), desk, 1000, ON_THE_WAY).await;
        both.says(Side::Backend, 70_000).await;
        match n % 4 {
            0 => both.resets(Side::Client).await,
            1 => both.resets(Side::Backend).await,
            _ => {
                both.half_closes(Side::Client).await;
                both.says(Side::Backend, 500).await;
                both.half_closes(Side::Backend).await;
            }
        }
        journeys.push(both.journey(&format!("connection {n}")));
    }
    journeys
}

/// What is broken now, at best within `bound`: when everybody has gone, it takes a moment until everything has.
async fn at_best(proxy: &impl Proxy, before: &Levels, bound: Duration) -> Vec<Breach> {
    let deadline = Instant::now() + bound;
    loop {
        let breaches = at_rest("proxy", before, &proxy.levels());
        if breaches.is_empty() || Instant::now() > deadline {
            return breaches;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What is broken by connections of all kinds, the second time: the first finds out how much room shared tables need.
async fn broken_when_served(proxy: &impl Proxy, desk: &mut Receiver<Wire>, bound: Duration) -> Vec<Breach> {
    served(proxy, desk).await;
    at_best(proxy, &proxy.levels(), bound).await;
    let before = proxy.levels();
    let mut breaches: Vec<_> = served(proxy, desk).await.iter().flat_map(journey).collect();
    breaches.extend(at_best(proxy, &before, bound).await);
    breaches.extend(proxy.connections());
    breaches
}

/// Bytes of an answer that comes after the client has ended.
const ANSWER: u64 = 1000;

/// What is broken where the client has ended, and the backend answers with `answer` bytes and does not end, so that the
/// deadline does.
async fn broken_when_half_closed(
    proxy: &impl Proxy,
    desk: &mut Receiver<Wire>,
    answer: u64,
    patience: Duration,
) -> Vec<Breach> {
    let mut both = Meeting::at(proxy.addr(), desk, 1000, patience).await;
    both.half_closes(Side::Client).await;
    both.says(Side::Backend, answer).await;
    both.sees_the_end(Side::Client).await;
    let late = proxy.connections();
    late.into_iter().chain(journey(&both.journey("half-closed"))).collect()
}

/// What is broken by a client that waits and one that leaves, where there is nobody to be reached.
async fn broken_when_not(proxy: &impl Proxy, bound: Duration) -> Vec<Breach> {
    // Whoever serves first takes a buffer for its thread, so that is not looked at.
    let before = Levels { memory: None, ..proxy.levels() };
    let (leaves, mut waits) = (Wire::connect(proxy.addr()).await, Wire::connect(proxy.addr()).await);
    tokio::time::sleep(DEADLINE / 4).await;
    leaves.reset();
    drop(tokio::time::timeout(bound, waits.read_to_end()).await);
    let mut breaches = proxy.connections();
    drop(waits);
    breaches.extend(at_best(proxy, &before, bound).await);
    breaches
}

fn laws(breaches: &[Breach]) -> Vec<Law> {
    let mut laws: Vec<_> = breaches.iter().map(|breach| breach.law).collect();
    laws.sort();
    laws.dedup();
    laws
}

#[test]
fn the_product_and_an_honest_proxy_break_none() {
    scenario(async {
        let (backend, mut desk) = Backend::hands_over();
        let config = config::single(
            "workers = 1\ntimeouts = { connection_timeout = \"200ms\", half_closed_timeout = \"200ms\" }",
            &[&backend.addr()],
        );
        let product = Hop::start(&config);
        assert_eq!(broken_when_served(&product, &mut desk, PATIENCE).await, []);
        assert_eq!(broken_when_half_closed(&product, &mut desk, ANSWER, PATIENCE).await, []);
        product.settles().await;
        drop(product);
        let hole = BlackHole::open().await;
        let product = Hop::start(&config.replace(&backend.addr().to_string(), &hole.addr().to_string()));
        assert_eq!(broken_when_not(&product, PATIENCE).await, []);
        drop(product);
        let honest = leaky(Leak::None, backend.addr(), DEADLINE);
        assert_eq!(broken_when_served(&honest, &mut desk, PATIENCE).await, []);
        assert_eq!(broken_when_half_closed(&honest, &mut desk, ANSWER, PATIENCE).await, []);
        for target in [hole.addr(), refuses()] {
            let honest = leaky(Leak::None, target, DEADLINE);
            assert_eq!(broken_when_not(&honest, PATIENCE).await, []);
        }
    });
}

/// The law that `leak` is there for is broken. Some break another one too: an answer that is cut off has an end that nobody
/// made, and is not whole.
fn is_caught(leak: Leak, breaches: &[Breach]) {
    let broken = laws(breaches);
    assert!(leak.breaks().is_some_and(|law| broken.contains(&law)), "{leak:?}: {breaches:#?}");
}

fn is_caught_when_served(leak: Leak) {
    scenario(async {
        let (backend, mut desk) = Backend::hands_over();
        let proxy = leaky(leak, backend.addr(), DEADLINE);
        is_caught(leak, &broken_when_served(&proxy, &mut desk, IT_STAYS).await);
    });
}

fn is_caught_when_half_closed(leak: Leak) {
    scenario(async {
        let (backend, mut desk) = Backend::hands_over();
        let proxy = leaky(leak, backend.addr(), DEADLINE);
        is_caught(leak, &broken_when_half_closed(&proxy, &mut desk, ANSWER, LATE).await);
    });
}

fn is_caught_at_a_black_hole(leak: Leak) {
    scenario(async {
        let hole = BlackHole::open().await;
        let proxy = leaky(leak, hole.addr(), DEADLINE);
        is_caught(leak, &broken_when_not(&proxy, LATE).await);
    });
}

fn is_caught_at_a_closed_port(leak: Leak) {
    scenario(async {
        let proxy = leaky(leak, refuses(), DEADLINE);
        is_caught(leak, &broken_when_not(&proxy, LATE).await);
    });
}

#[test]
fn a_reset_that_becomes_a_fin_is_caught() {
    is_caught_when_served(Leak::ResetBecomesFin);
}

#[test]
fn a_half_close_that_is_dropped_is_caught() {
    is_caught_when_half_closed(Leak::EndsAtFirstFin);
}

#[test]
fn a_half_close_without_a_deadline_is_caught() {
    is_caught_when_half_closed(Leak::WaitsForBothEnds);
}

#[test]
fn a_phase_that_is_skipped_is_caught() {
    is_caught_when_served(Leak::PhaseSkipped);
}

#[test]
fn a_task_that_stays_is_caught() {
    is_caught_when_served(Leak::TaskStays);
}

#[test]
fn memory_that_is_kept_is_caught() {
    is_caught_when_served(Leak::BufferStays);
}

#[test]
fn a_descriptor_that_is_kept_is_caught() {
    is_caught_when_served(Leak::SocketStays);
}

#[test]
fn a_dial_without_a_deadline_is_caught() {
    is_caught_at_a_black_hole(Leak::NoDialDeadline);
}

#[test]
fn a_count_that_is_not_taken_back_is_caught() {
    is_caught_at_a_black_hole(Leak::CountByHand);
}

#[test]
fn an_entry_that_stays_is_caught() {
    is_caught_at_a_closed_port(Leak::EntryStays);
}

#[test]
fn an_end_that_is_not_counted_is_caught() {
    is_caught_at_a_closed_port(Leak::EndNotCounted);
}

/// How often a reader may be kept from reading steadily by a machine that has other things to do.
const TRIES: usize = 8;

/// What a steady reader and its backend saw: one that this machine has let read within the deadline, every time.
async fn reads_steadily(proxy: &impl Proxy, desk: &mut Receiver<Wire>) -> Journey {
    let mut tried = 0;
    loop {
        let (journey, pause) = reads(proxy, desk).await;
        if journey.silence.is_some_and(|silence| pause < silence) {
            return journey;
        }
        tried += 1;
        assert!(
            tried < TRIES,
            "this machine has kept a reader from reading for longer than the deadline, {tried} times"
        );
    }
}

/// Three MiB behind the backend's end, and a client that reads two of them a second, in steps of 10 ms: what both saw, and the
/// longest time between two reads.
async fn reads(proxy: &impl Proxy, desk: &mut Receiver<Wire>) -> (Journey, Duration) {
    const SENT: usize = 3 << 20;
    let since = Instant::now();
    let mut client = Wire::connect(proxy.addr()).await;
    let mut backend = desk.recv().await.expect("it is reached");
    let (mut party, mut far) = (Party::default(), Party { sent: SENT as u64, ..Party::default() });
    let sends = async {
        // Where the client is cut, the rest is of no use.
        backend.try_send(vec![7; SENT]).await.unwrap_or_default();
        backend.half_close().await;
        far.did = Did::Fin(since.elapsed());
    };
    let mut pause = Duration::ZERO;
    let reads = async {
        while let bytes @ 1.. = client.read_at_most(20 << 10).await.len() {
            party.received += bytes as u64;
            let now = since.elapsed();
            pause = pause.max(now - party.took);
            party.took = now;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let at = since.elapsed();
        let fin = client.received().end == Some(Ending::Fin);
        party.saw = if fin { Saw::Fin(at) } else { Saw::Reset(at) };
    };
    tokio::join!(sends, reads);
    let journey = Journey {
        name: "a steady reader".into(),
        client: party,
        backend: Some(far),
        patience: ON_THE_WAY,
        excused: false,
        silence: Some(DEADLINE / 2),
    };
    (journey, pause)
}

#[test]
fn a_relay_that_judges_by_itself_is_caught_and_the_product_is_not() {
    scenario(async {
        let (backend, mut desk) = Backend::hands_over();
        let config = config::single(
            "workers = 1\ntimeouts = { half_closed_timeout = \"200ms\", write_stall_timeout = \"200ms\" }",
            &[&backend.addr()],
        );
        let product = Hop::start(&config);
        assert_eq!(journey(&reads_steadily(&product, &mut desk).await), []);
        drop(product);
        let honest = leaky(Leak::None, backend.addr(), DEADLINE);
        assert_eq!(journey(&reads_steadily(&honest, &mut desk).await), []);
        let proxy = leaky(Leak::IgnoresAcknowledgements, backend.addr(), DEADLINE);
        is_caught(Leak::IgnoresAcknowledgements, &journey(&reads_steadily(&proxy, &mut desk).await));
        // The leaky ones run on this thread, which keeps their pipes.
        proxy_core::process::pipes::release_idle();
        proxy_core::process::pipes::release_idle();
    });
}

/// The dial takes a second: so long after the first SYN the kernel sends the next.
#[test]
fn bytes_that_are_lost_are_caught() {
    scenario(async {
        let hole = BlackHole::open().await;
        let proxy = leaky(Leak::BytesLost, hole.addr(), PATIENCE);
        let (to, mut desk) = tokio::sync::mpsc::channel(1);
        let meets = Meeting::at(proxy.addr(), &mut desk, 1000, IT_STAYS);
        let opens_up = async {
            eventually(PATIENCE, || !proxy.entries().is_empty()).await;
            hole.opens_up(move |wire| hand_over(wire, to.clone()))
        };
        let (mut both, _backend) = tokio::join!(meets, opens_up);
        both.half_closes(Side::Client).await;
        is_caught(Leak::BytesLost, &journey(&both.journey("after a slow dial")));
    });
}

/// Unless it is one of those that filled the queue, which have ended already.
async fn hand_over(mut wire: Wire, to: Sender<Wire>) {
    drop(tokio::time::timeout(DEADLINE, wire.read_some()).await);
    if wire.received().end.is_none() {
        to.send(wire).await.unwrap_or_default();
    }
}
