//! Dials over scripted endpoints on a paused clock, and a few on real sockets.

mod race;
mod standstill;

use super::*;
use crate::Bound;
use crate::addr::TargetAddr;
use crate::mem;
use crate::resolve::{Resolver, ResolverOptions};
use crate::stream::Kernel as _;
use std::collections::HashMap;
use tokio::time::Instant;

/// What an endpoint does when dialled.
#[derive(Clone, Copy)]
enum Does {
    Accepts(Duration),
    Refuses,
    /// Refuses after that time, in which nobody else has his turn.
    Stalls(Duration),
    Nothing,
}

struct Script(HashMap<Endpoint, Does>);

impl Dial for Script {
    type Stream = mem::MemStream;

    async fn dial(&self, to: Destination<'_>) -> io::Result<mem::MemStream> {
        match self.0.get(to.endpoint).copied().unwrap_or(Does::Nothing) {
            Does::Accepts(after) => {
                tokio::time::sleep(after).await;
                Ok(mem::pair(1024).0)
            }
            Does::Stalls(time) => {
                tokio::time::advance(time).await;
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            Does::Refuses => Err(io::ErrorKind::ConnectionRefused.into()),
            Does::Nothing => std::future::pending().await,
        }
    }
}

/// A dial that has begun, and that nobody has looked at yet.
fn begun(to: SocketAddr) -> Socket {
    TcpDialer::default().begin(Destination::new(&Endpoint::Ip(to)), to).unwrap()
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
const AT_ONCE: Does = Does::Accepts(Duration::ZERO);

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
    // So short that it is not late for anybody: who stands still for longer gives what was to come meanwhile its time.
    let endpoints = [(1, Does::Stalls(Duration::from_millis(8))), (2, AT_ONCE)];
    let dialer = Script(endpoints.iter().map(|(port, does)| (Endpoint::Ip(addr(*port)), *does)).collect());
    let targets = [1, 2].map(|port| TargetAddr::Ip(addr(port)));
    let (resolver, gate) = (Resolver::fixed([]), Ledger::default());
    let error = reach(&dialer, &resolver, &targets, &gate, Bound::millis(8)).await.unwrap_err();
    assert_eq!((gate.outcomes.into_inner(), error.attempts.len()), (vec![(0, false)], 2));
    assert!(error.timed_out());
}

/// Names that are answered the first time, and never again.
fn answers_once() -> Resolver {
    let asked = std::sync::atomic::AtomicBool::new(false);
    Resolver::new(tokio::runtime::Handle::current(), ResolverOptions::default(), move |_| {
        let again = asked.swap(true, std::sync::atomic::Ordering::Relaxed);
        Box::pin(async move {
            if again {
                std::future::pending::<()>().await;
            }
            Ok(vec![[127, 0, 0, 1].into()])
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_stale_answer_leaves_time_to_dial() {
    let resolver = answers_once();
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
    let begun = begun(listener.local_addr().unwrap());
    let (mut accepted, _) = listener.accept().unwrap();
    drop(begun);
    let error = std::io::Read::read(&mut accepted, &mut [0]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

/// A database counts connections that come to nothing, and shuts out who makes too many; a try is none of them.
#[tokio::test]
async fn a_try_that_is_dropped_was_never_there_for_the_listeners_program() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::Ip(listener.local_addr().unwrap());
    for _ in 0..20 {
        drop(TcpDialer::default().unnoticed().dial((&endpoint).into()).await.unwrap());
    }
    let noticed = TcpDialer::default().dial((&endpoint).into()).await.unwrap();
    let (_, first) = listener.accept().unwrap();
    assert_eq!(Some(first), noticed.local_addr());
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
    assert!(full.timed_out() && full.shortage().is_none(), "{full}");
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
    let socket = TcpDialer::default().dial((&endpoint).into()).await.unwrap();
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
    assert!(matches!(error.attempts[0].kind, DialErrorKind::Unresolved(_)));
}
