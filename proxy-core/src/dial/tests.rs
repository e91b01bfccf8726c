//! Dials over scripted endpoints on a paused clock, and a few on real sockets.

use super::*;
use crate::Bound;
use crate::addr::TargetAddr;
use crate::mem;
use crate::resolve::{Resolver, ResolverOptions};
use std::collections::HashMap;
use tokio::time::Instant;

/// What an endpoint does when dialled.
#[derive(Clone, Copy)]
enum Does {
    Accepts(Duration),
    Refuses,
    /// Refuses, and so late that no time is left for anybody else.
    Stalls,
    Nothing,
}

struct Script(HashMap<Endpoint, Does>);

impl Dial for Script {
    type Stream = mem::MemStream;

    async fn dial(&self, endpoint: &Endpoint) -> io::Result<mem::MemStream> {
        match self.0.get(endpoint).copied().unwrap_or(Does::Nothing) {
            Does::Accepts(after) => {
                tokio::time::sleep(after).await;
                Ok(mem::pair(1024).0)
            }
            Does::Stalls => {
                tokio::time::advance(1000 * SECOND).await;
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            Does::Refuses => Err(io::ErrorKind::ConnectionRefused.into()),
            Does::Nothing => std::future::pending().await,
        }
    }
}

fn addr(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

async fn reach_scripted(script: &[(u16, Does)], within: Bound) -> (Result<u16, DialError>, Duration) {
    let targets: Vec<_> = script.iter().map(|(port, _)| TargetAddr::Ip(addr(*port))).collect();
    let dialer = Script(script.iter().map(|(port, does)| (Endpoint::Ip(addr(*port)), *does)).collect());
    let resolver = Resolver::fixed([]);
    let started = Instant::now();
    let outcome = reach(&dialer, &resolver, &targets, &AllOpen, within).await;
    let port = outcome.map(|dialled| match dialled.endpoint {
        Endpoint::Ip(addr) => addr.port(),
        Endpoint::Unix(_) => 0,
    });
    (port, started.elapsed())
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn just_under_the_deadline_connects_and_just_over_it_does_not() {
    let within = Bound::secs(10);
    let (port, _) = reach_scripted(&[(1, Does::Accepts(Duration::from_millis(9_999)))], within).await;
    assert_eq!(port.unwrap(), 1);
    let (port, took) = reach_scripted(&[(1, Does::Accepts(Duration::from_millis(10_001)))], within).await;
    let error = port.unwrap_err();
    assert!(error.timed_out());
    assert_eq!(took.as_millis(), 10_000);
    insta::assert_snapshot!(error, @"cannot connect to 127.0.0.1:1: timed out after 10.000s (connection_timeout 10s)");
}

#[tokio::test(start_paused = true)]
async fn the_next_target_is_tried_when_one_refuses_or_is_silent() {
    let (port, took) =
        reach_scripted(&[(1, Does::Refuses), (2, Does::Accepts(SECOND))], Bound::secs(10)).await;
    assert_eq!((port.unwrap(), took), (2, SECOND));
    let (port, took) =
        reach_scripted(&[(1, Does::Nothing), (2, Does::Accepts(SECOND))], Bound::secs(10)).await;
    assert_eq!((port.unwrap(), took), (2, STAGGER + SECOND), "a silent target is not waited for");
}

#[tokio::test(start_paused = true)]
async fn all_targets_together_stay_within_the_deadline() {
    let silent = [(1, Does::Nothing), (2, Does::Nothing), (3, Does::Refuses)];
    let (port, took) = reach_scripted(&silent, Bound::secs(9)).await;
    assert!(took <= 9 * SECOND, "{took:?}");
    insta::assert_snapshot!(port.unwrap_err(), @"cannot connect to any of 3 targets: 127.0.0.1:3: connection refused after 0.000s; 127.0.0.1:1: timed out after 9.000s; 127.0.0.1:2: timed out after 8.750s (connection_timeout 9s)");
}

/// Keeps some targets closed, and notes what becomes of the others.
#[derive(Default)]
struct Ledger {
    closed: Vec<(usize, Closed)>,
    outcomes: parking_lot::Mutex<Vec<(usize, bool)>>,
    overtaken: parking_lot::Mutex<Vec<usize>>,
    /// Whether it lets those be tried that are closed, at once or after that time.
    yields: Option<Duration>,
}

impl Gate for Ledger {
    type Ticket = usize;
    type Pass = usize;

    fn enter(&self, n: usize) -> Result<usize, Closed> {
        self.closed.iter().find(|(closed, _)| *closed == n).map_or(Ok(n), |(_, why)| Err(why.clone()))
    }

    async fn insist(&self, n: usize) -> Result<usize, Closed> {
        let Some(after) = self.yields else { return self.enter(n) };
        if after > Duration::ZERO {
            tokio::time::sleep(after).await;
        }
        Ok(n)
    }

    fn overtaken(&self, n: usize) {
        self.overtaken.lock().push(n);
    }

    fn reached(&self, n: usize) -> usize {
        self.outcomes.lock().push((n, true));
        n
    }

    fn failed(&self, n: usize, _: &DialErrorKind, _: &[std::net::IpAddr]) {
        self.outcomes.lock().push((n, false));
    }
}

#[tokio::test(start_paused = true)]
async fn closed_targets_are_skipped_and_outcomes_are_told_once() {
    let targets: Vec<_> = (1..=3).map(|port| TargetAddr::Ip(addr(port))).collect();
    let accepts = Does::Accepts(Duration::ZERO);
    let script = [(1, accepts), (2, Does::Refuses), (3, accepts)];
    let dialer = Script(script.iter().map(|(port, does)| (Endpoint::Ip(addr(*port)), *does)).collect());
    let resolver = Resolver::fixed([]);
    let gate = Ledger { closed: vec![(0, Closed::Breaker(Some(SECOND)))], ..Ledger::default() };
    let dialled = reach(&dialer, &resolver, &targets, &gate, Bound::secs(9)).await.unwrap();
    assert_eq!((dialled.pass, gate.outcomes.into_inner()), (2, vec![(1, false), (2, true)]));
    let closed = vec![
        (0, Closed::Breaker(Some(SECOND))),
        (1, Closed::Full(7)),
        (2, Closed::Breaker(Some(5 * SECOND))),
    ];
    let gate = Ledger { closed, ..Ledger::default() };
    let error = reach(&dialer, &resolver, &targets, &gate, Bound::secs(9)).await.unwrap_err();
    assert_eq!(error.all_closed(), Some(&Closed::Breaker(Some(5 * SECOND))));
    insta::assert_snapshot!(error, @"cannot connect to any of 3 targets: 127.0.0.1:2: skipped: it has its 7 connections; 127.0.0.1:1: skipped: it failed too often, next try in 1s; 127.0.0.1:3: skipped: it failed too often, next try in 5s");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_no_time_is_left_for_is_neither_tried_nor_blamed() {
    let endpoints = [(1, Does::Stalls), (2, Does::Accepts(Duration::ZERO))];
    let dialer = Script(endpoints.iter().map(|(port, does)| (Endpoint::Ip(addr(*port)), *does)).collect());
    let targets = [1, 2].map(|port| TargetAddr::Ip(addr(port)));
    let (resolver, gate) = (Resolver::fixed([]), Ledger::default());
    let error = reach(&dialer, &resolver, &targets, &gate, Bound::secs(9)).await.unwrap_err();
    assert_eq!((gate.outcomes.into_inner(), error.attempts.len()), (vec![(0, false)], 2));
    assert!(error.timed_out());
}

#[tokio::test(start_paused = true)]
async fn a_stale_answer_leaves_time_to_dial() {
    let asked = std::sync::atomic::AtomicBool::new(false);
    let resolver = Resolver::new(tokio::runtime::Handle::current(), ResolverOptions::default(), move |_| {
        let again = asked.swap(true, std::sync::atomic::Ordering::Relaxed);
        Box::pin(async move {
            if again {
                std::future::pending::<()>().await;
            }
            Ok(vec![[127, 0, 0, 1].into()])
        })
    });
    resolver.resolve("slow.test", SECOND).await.unwrap();
    tokio::time::sleep(31 * SECOND).await;
    let dialer = Script([(Endpoint::Ip(addr(1)), Does::Accepts(SECOND))].into());
    let target = TargetAddr::Name("slow.test".into(), 1);
    let dialled = reach(&dialer, &resolver, &[target], &AllOpen, Bound::secs(2)).await;
    assert!(dialled.is_ok(), "{dialled:?}");
}

#[tokio::test]
async fn a_refused_dial_on_a_real_socket_names_the_target() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = TargetAddr::Ip(free.local_addr().unwrap());
    drop(free);
    let resolver = Resolver::fixed([]);
    let error =
        reach(&TcpDialer::default(), &resolver, std::slice::from_ref(&target), &AllOpen, Bound::secs(5))
            .await
            .unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(&format!("cannot connect to {target}: connection refused after 0.0")), "{text}");
}

/// The kernel has connected, and nobody has looked yet: what a dial holds while it waits is dropped.
#[tokio::test]
async fn an_abandoned_dial_resets_what_the_kernel_has_connected() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let begun = TcpDialer::default().begin(listener.local_addr().unwrap()).unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    drop(begun);
    let error = std::io::Read::read(&mut accepted, &mut [0]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_full_backlog_of_a_unix_socket_is_waited_for_and_is_no_shortage() {
    let path = std::env::temp_dir().join(format!("smartproxy-backlog-{}.sock", std::process::id()));
    let listener = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    listener.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
    listener.listen(1).unwrap();
    let (target, resolver) = (TargetAddr::Unix(path.clone()), Resolver::fixed([]));
    let dial = async |within| {
        reach(&TcpDialer::default(), &resolver, std::slice::from_ref(&target), &AllOpen, within).await
    };
    let brief = Bound::millis(100);
    let mut queued = Vec::new();
    let full = loop {
        match dial(brief).await {
            Ok(dialled) => queued.push(dialled),
            Err(error) => break error,
        }
    };
    assert!(full.timed_out() && !full.shortage(), "{full}");
    let (dialled, _) = tokio::join!(dial(Bound::secs(5)), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        listener.accept().unwrap()
    });
    std::fs::remove_file(&path).unwrap();
    assert!(dialled.is_ok(), "{dialled:?}");
}

#[tokio::test]
async fn a_dialled_socket_reads_urgent_bytes_in_their_place() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::Ip(listener.local_addr().unwrap());
    let socket = TcpDialer::default().dial(&endpoint).await.unwrap();
    assert!(socket2::SockRef::from(&socket).out_of_band_inline().unwrap());
}

#[tokio::test]
async fn an_unknown_name_is_an_error_of_its_own() {
    let resolver = Resolver::fixed([]);
    let target = TargetAddr::Name("nowhere.invalid".into(), 80);
    let error =
        reach(&TcpDialer::default(), &resolver, &[target], &AllOpen, Bound::secs(5)).await.unwrap_err();
    assert!(
        error.to_string().contains("cannot connect to nowhere.invalid:80: the name cannot be resolved: "),
        "{error}"
    );
    assert!(matches!(error.attempts[0].kind, DialErrorKind::Resolve(_)));
}

/// The gate and the outcome of a dial to targets that do this.
async fn raced(script: &[Does], gate: &Ledger, within: Bound) -> (Result<usize, DialError>, Duration) {
    let ports = 1..=u16::try_from(script.len()).unwrap();
    let targets: Vec<_> = ports.clone().map(|port| TargetAddr::Ip(addr(port))).collect();
    let dialer = Script(ports.map(|port| Endpoint::Ip(addr(port))).zip(script.iter().copied()).collect());
    let (resolver, started) = (Resolver::fixed([]), Instant::now());
    let outcome = reach(&dialer, &resolver, &targets, gate, within).await;
    (outcome.map(|dialled| dialled.nth), started.elapsed())
}

const AT_ONCE: Does = Does::Accepts(Duration::ZERO);

#[tokio::test(start_paused = true)]
async fn who_is_merely_slow_goes_on_and_may_win_yet() {
    let gate = Ledger::default();
    let slow = [Does::Accepts(2 * SECOND), Does::Accepts(10 * SECOND), Does::Nothing];
    let (nth, took) = raced(&slow, &gate, Bound::secs(9)).await;
    assert_eq!((nth.unwrap(), took), (0, 2 * SECOND));
    assert_eq!(gate.outcomes.into_inner(), [(0, true)], "nobody else is blamed");
    assert!(gate.overtaken.into_inner().is_empty(), "whoever began later was overtaken by nobody");
}

#[tokio::test(start_paused = true)]
async fn who_is_overtaken_is_told_so_and_has_not_failed() {
    let gate = Ledger::default();
    let (nth, took) = raced(&[Does::Nothing, AT_ONCE], &gate, Bound::secs(9)).await;
    assert_eq!((nth.unwrap(), took), (1, STAGGER));
    assert_eq!((gate.outcomes.into_inner(), gate.overtaken.into_inner()), (vec![(1, true)], vec![0]));
}

#[tokio::test(start_paused = true)]
async fn no_more_than_four_are_tried_at_once_and_each_has_its_time() {
    let mut script = [Does::Nothing; 12];
    script[11] = AT_ONCE;
    let gate = Ledger::default();
    let (nth, took) = raced(&script, &gate, Bound::secs(9)).await;
    assert_eq!(nth.unwrap(), 11);
    assert!(took > 2 * STAGGER * 4 && took < 9 * SECOND, "{took:?}");
    let failed = gate.outcomes.into_inner().iter().filter(|(_, reached)| !reached).count();
    assert!(failed >= 8, "those who had their share have failed: {failed}");
}

#[tokio::test(start_paused = true)]
async fn with_nobody_else_left_a_target_that_failed_before_is_tried_all_the_same() {
    let closed = || vec![(0, Closed::Breaker(Some(SECOND)))];
    for (script, expected) in [([AT_ONCE, Does::Refuses], 0), ([AT_ONCE, AT_ONCE], 1)] {
        let gate = Ledger { closed: closed(), yields: Some(Duration::ZERO), ..Ledger::default() };
        let (nth, took) = raced(&script, &gate, Bound::secs(9)).await;
        assert_eq!((nth.unwrap(), took), (expected, Duration::ZERO));
    }
    let gate = Ledger { closed: closed(), yields: Some(SECOND / 2), ..Ledger::default() };
    let (nth, took) = raced(&[AT_ONCE], &gate, Bound::secs(9)).await;
    assert_eq!((nth.unwrap(), took), (0, SECOND / 2), "somebody else's answer is waited for");
    let gate = Ledger { closed: closed(), yields: Some(9 * SECOND), ..Ledger::default() };
    let (nth, took) = raced(&[AT_ONCE], &gate, Bound::secs(9)).await;
    assert_eq!(took, SECOND, "for a moment");
    insta::assert_snapshot!(nth.unwrap_err(), @"cannot connect to 127.0.0.1:1: skipped: it failed too often, it is being tried");
}

/// A resolver that says that `pair.test` is 127.0.0.1 and 127.0.0.2, and then, if it is asked again, 127.0.0.3.
fn pair() -> (Resolver, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counts = std::sync::Arc::clone(&asked);
    let resolver = Resolver::new(tokio::runtime::Handle::current(), ResolverOptions::default(), move |_| {
        let first = counts.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        let last: &[u8] = if first { &[1, 2] } else { &[3] };
        let addrs = last.iter().map(|last| [127, 0, 0, *last].into()).collect();
        Box::pin(async move { Ok(addrs) })
    });
    (resolver, asked)
}

fn numbered(last: u8) -> Endpoint {
    Endpoint::Ip(([127, 0, 0, last], 80).into())
}

#[tokio::test(start_paused = true)]
async fn a_dead_address_of_a_name_costs_one_dial_a_moment_and_the_next_ones_nothing() {
    let (resolver, _) = pair();
    let dialer = Script([(numbered(2), AT_ONCE)].into());
    let target = [TargetAddr::Name("pair.test".into(), 80)];
    for expected in [STAGGER, Duration::ZERO, Duration::ZERO] {
        let started = Instant::now();
        let dialled = reach(&dialer, &resolver, &target, &AllOpen, Bound::secs(30)).await.unwrap();
        assert_eq!((dialled.endpoint, started.elapsed()), (numbered(2), expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_all_of_whose_addresses_refuse_is_looked_up_again() {
    let (resolver, asked) = pair();
    let dialer =
        Script([(numbered(1), Does::Refuses), (numbered(2), Does::Refuses), (numbered(3), AT_ONCE)].into());
    let target = [TargetAddr::Name("pair.test".into(), 80)];
    let dial = async || reach(&dialer, &resolver, &target, &AllOpen, Bound::secs(30)).await;
    let error = dial().await.unwrap_err();
    insta::assert_snapshot!(error, @"cannot connect to any of 2 addresses: pair.test:80 (127.0.0.1:80): connection refused after 0.000s; pair.test:80 (127.0.0.2:80): connection refused after 0.000s");
    dial().await.unwrap_err();
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 1, "not more than once a second");
    tokio::time::sleep(SECOND).await;
    assert_eq!(dial().await.unwrap().endpoint, numbered(3));
}

/// The reactor knows nothing of what came while this thread stood still beyond the dial's deadline.
#[tokio::test]
async fn a_dial_that_was_answered_while_the_worker_stood_still_has_succeeded() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let begun = TcpDialer::default().begin(listener.local_addr().unwrap()).unwrap();
    begun.forget_what_is_known();
    let mut connected = tokio_test::task::spawn(begun.connected());
    tokio_test::assert_pending!(connected.poll());
    crate::reactor::catch_up();
    tokio_test::assert_ready!(connected.poll()).unwrap();
}
