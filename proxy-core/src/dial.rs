//! The only place that connects, and never without a deadline.
//!
//! The kernel gives up on a silent backend after about two minutes; a proxy that waits for it piles up connections for
//! as long. So a dial is bounded as a whole, whatever the kernel does, over all targets and all their addresses: an
//! attempt may take an equal share of the time that is left, so that one black hole cannot use up the others' time.

mod error;
mod gate;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use smallvec::{SmallVec, smallvec};
use socket2::{Domain, Protocol, SockAddr, Type};
use tokio::time::Instant;

use crate::addr::{Endpoint, TargetAddr};
use crate::bound::Bound;
use crate::congestion::Congestion;
use crate::resolve::{ResolveError, Resolver};
use crate::socket::Socket;
use crate::stream::Stream;

pub use error::{DialError, DialErrorKind, FailedAttempt};
pub use gate::{AllOpen, Closed, Gate};

/// The first wait for room in a Unix socket's backlog; doubled up to the longest. A backlog that anybody serves moves in
/// milliseconds, and one that nobody does is not worth more than ten looks a second.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// Something that can connect to an endpoint, with no deadline of its own.
///
/// Its future owns the half-made connection: dropping it abandons the attempt and frees the descriptor.
pub trait Dial: Send + Sync + 'static {
    /// What a connection is.
    type Stream: Stream;

    /// Connects. Cancel-safe: dropping the future closes what it opened.
    ///
    /// # Errors
    /// What the network says.
    fn dial(&self, endpoint: &Endpoint) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// Dials over TCP and Unix sockets.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpDialer {
    congestion: Congestion,
}

impl TcpDialer {
    /// One whose TCP sockets have this congestion control.
    #[must_use]
    pub const fn new(congestion: Congestion) -> Self {
        Self { congestion }
    }

    /// A socket that does not block, with all that it is to have before it connects.
    fn open(self, addr: SocketAddr) -> io::Result<socket2::Socket> {
        let domain = Domain::for_address(addr);
        let socket = socket2::Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(true)?;
        // An urgent byte is passed on in its place, not dropped.
        socket.set_out_of_band_inline(true)?;
        // Whatever happens to this process, it resets; see `Socket`.
        socket.set_linger(Some(Duration::ZERO))?;
        self.congestion.begin(&socket, addr.ip())?;
        Ok(socket)
    }

    /// A socket that has begun to connect. Dropped, it resets, whatever the kernel has made of it.
    fn begin(self, addr: SocketAddr) -> io::Result<Socket> {
        let socket = self.open(addr)?;
        begin_to_connect(&socket, &addr.into())?;
        Socket::connecting(socket.into(), addr)
    }
}

impl Dial for TcpDialer {
    type Stream = Socket;

    async fn dial(&self, endpoint: &Endpoint) -> io::Result<Socket> {
        match endpoint {
            Endpoint::Ip(addr) => {
                let socket = self.begin(*addr)?;
                socket.connected().await?;
                Ok(socket)
            }
            Endpoint::Unix(path) => connect_unix(path).await,
        }
    }
}

/// Starts to connect a socket that does not block.
#[expect(clippy::disallowed_methods, reason = "this is the one place that connects; `reach` bounds it")]
pub(crate) fn begin_to_connect(socket: &socket2::Socket, addr: &SockAddr) -> io::Result<()> {
    match socket.connect(addr) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
        outcome => outcome,
    }
}

/// Connects to a Unix socket. Where the backlog is full the kernel says so at once instead of waiting for room as TCP
/// does; so the wait is here, for as long as the dial is let.
async fn connect_unix(path: &Path) -> io::Result<Socket> {
    let addr = SockAddr::unix(path)?;
    let mut wait = SHORTEST_WAIT;
    loop {
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        match begin_to_connect(&socket, &addr) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            outcome => return outcome.and_then(|()| Socket::unix(socket.into())),
        }
    }
}

/// A connection that was made.
#[derive(Debug)]
pub struct Dialled<S, P = ()> {
    /// The connection.
    pub stream: S,
    /// What the gate gave for it: to be kept for as long as the connection.
    pub pass: P,
    /// The target that was reached: its place in the list.
    pub nth: usize,
    /// The address it was reached at.
    pub endpoint: Endpoint,
    /// The attempts that failed before.
    pub failed: Vec<FailedAttempt>,
}

/// Connects to the first of `targets` that can be reached, in order, all `within` one deadline.
///
/// Each address of each target is tried; an attempt may take an equal share of the time left among those still to be
/// tried. Targets that `gate` keeps closed are skipped, and one that no time is left for is not held against it.
/// Cancel-safe: dropping the future abandons the attempt in progress.
///
/// # Errors
/// [`DialError`] where none was reached, with every attempt.
pub async fn reach<D: Dial, G: Gate>(
    dialer: &D,
    resolver: &Resolver,
    targets: &[TargetAddr],
    gate: &G,
    within: Bound,
) -> Result<Dialled<D::Stream, G::Pass>, DialError> {
    let started = Instant::now();
    let mut reach = Reach { dialer, resolver, deadline: started + within.get(), failed: Vec::new() };
    for (n, target) in targets.iter().enumerate() {
        if reach.out_of_time(target, None) {
            break;
        }
        let ticket = match gate.enter(n) {
            Ok(ticket) => ticket,
            Err(closed) => {
                reach.note(target, None, Duration::ZERO, DialErrorKind::Closed(closed));
                continue;
            }
        };
        match reach.target(target, targets.len() - n - 1).await {
            Ok((stream, endpoint)) => {
                let pass = gate.reached(ticket);
                return Ok(Dialled { stream, pass, nth: n, endpoint, failed: reach.failed });
            }
            Err(said) => {
                if let Some(said) = said.and_then(|n| reach.failed.get(n)) {
                    gate.failed(ticket, &said.kind);
                }
            }
        }
    }
    Err(DialError { attempts: reach.failed, within, elapsed: started.elapsed() })
}

/// A dial over several targets, in progress.
struct Reach<'a, D> {
    dialer: &'a D,
    resolver: &'a Resolver,
    deadline: Instant,
    failed: Vec<FailedAttempt>,
}

impl<D: Dial> Reach<'_, D> {
    /// Tries every address of one target, with `later` targets still to come. An error is the place in `failed` of the
    /// last thing that the target said; None where it was not given the time to say any.
    async fn target(
        &mut self,
        target: &TargetAddr,
        later: usize,
    ) -> Result<(D::Stream, Endpoint), Option<usize>> {
        let begun = Instant::now();
        let endpoints = match resolve(self.resolver, target, share(self.deadline, 1 + later)).await {
            Ok(endpoints) => endpoints,
            Err(error) => {
                return Err(Some(self.note(target, None, begun.elapsed(), DialErrorKind::Resolve(error))));
            }
        };
        let mut said = None;
        let count = endpoints.len();
        for (n, endpoint) in endpoints.into_iter().enumerate() {
            if self.out_of_time(target, Some(&endpoint)) {
                break;
            }
            let begun = Instant::now();
            let patience = share(self.deadline, count - n + later);
            match attempt(self.dialer, &endpoint, patience).await {
                Ok(stream) => return Ok((stream, endpoint)),
                Err(kind) => said = Some(self.note(target, Some(endpoint), begun.elapsed(), kind)),
            }
        }
        Err(said)
    }

    /// Whether the deadline has passed, and then notes that there was no time for this one.
    fn out_of_time(&mut self, target: &TargetAddr, endpoint: Option<&Endpoint>) -> bool {
        let out = self.deadline <= Instant::now();
        if out {
            self.note(target, endpoint.cloned(), Duration::ZERO, DialErrorKind::TimedOut);
        }
        out
    }

    /// Adds a failed attempt; its place.
    fn note(
        &mut self,
        target: &TargetAddr,
        endpoint: Option<Endpoint>,
        elapsed: Duration,
        kind: DialErrorKind,
    ) -> usize {
        self.failed.push(FailedAttempt { target: target.clone(), endpoint, elapsed, kind });
        self.failed.len() - 1
    }
}

/// An equal share of the time until `deadline` for one of `left` attempts.
fn share(deadline: Instant, left: usize) -> Duration {
    let left = u32::try_from(left.max(1)).unwrap_or(u32::MAX);
    deadline.saturating_duration_since(Instant::now()) / left
}

async fn attempt<D: Dial>(
    dialer: &D,
    endpoint: &Endpoint,
    patience: Duration,
) -> Result<D::Stream, DialErrorKind> {
    match tokio::time::timeout(patience, dialer.dial(endpoint)).await {
        Ok(outcome) => outcome.map_err(DialErrorKind::from),
        Err(_) => Err(DialErrorKind::TimedOut),
    }
}

async fn resolve(
    resolver: &Resolver,
    target: &TargetAddr,
    patience: Duration,
) -> Result<SmallVec<[Endpoint; 1]>, ResolveError> {
    match target {
        TargetAddr::Ip(addr) => Ok(smallvec![Endpoint::Ip(*addr)]),
        TargetAddr::Unix(path) => Ok(smallvec![Endpoint::Unix(path.clone())]),
        TargetAddr::Name(name, port) => {
            let addrs = resolver.resolve(name, patience).await?;
            Ok(addrs.iter().map(|ip| Endpoint::Ip(SocketAddr::new(*ip, *port))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem;
    use crate::resolve::ResolverOptions;
    use std::collections::HashMap;

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
        insta::assert_snapshot!(error, @"cannot connect to 127.0.0.1:1 timed out after 10.000s (connection_timeout 10s)");
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_target_is_tried_when_one_refuses_or_is_silent() {
        let (port, took) =
            reach_scripted(&[(1, Does::Refuses), (2, Does::Accepts(SECOND))], Bound::secs(10)).await;
        assert_eq!((port.unwrap(), took), (2, SECOND));
        let (port, took) =
            reach_scripted(&[(1, Does::Nothing), (2, Does::Accepts(SECOND))], Bound::secs(10)).await;
        assert_eq!((port.unwrap(), took), (2, 6 * SECOND), "a silent target has half of the time of two");
    }

    #[tokio::test(start_paused = true)]
    async fn all_targets_together_stay_within_the_deadline() {
        let silent = [(1, Does::Nothing), (2, Does::Nothing), (3, Does::Refuses)];
        let (port, took) = reach_scripted(&silent, Bound::secs(9)).await;
        assert!(took <= 9 * SECOND, "{took:?}");
        insta::assert_snapshot!(port.unwrap_err(), @"cannot connect to any of 3 targets: 127.0.0.1:1 timed out after 3.000s; 127.0.0.1:2 timed out after 3.000s; 127.0.0.1:3 connection refused after 0.000s");
    }

    /// Keeps some targets closed, and notes what becomes of the others.
    #[derive(Default)]
    struct Ledger {
        closed: Vec<(usize, Closed)>,
        outcomes: parking_lot::Mutex<Vec<(usize, bool)>>,
    }

    impl Gate for Ledger {
        type Ticket = usize;
        type Pass = usize;

        fn enter(&self, n: usize) -> Result<usize, Closed> {
            self.closed.iter().find(|(closed, _)| *closed == n).map_or(Ok(n), |(_, why)| Err(why.clone()))
        }

        fn reached(&self, n: usize) -> usize {
            self.outcomes.lock().push((n, true));
            n
        }

        fn failed(&self, n: usize, _: &DialErrorKind) {
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
        insta::assert_snapshot!(error, @"cannot connect to any of 3 targets: 127.0.0.1:1 skipped: it failed too often, next try in 1s; 127.0.0.1:2 skipped: it has its 7 connections; 127.0.0.1:3 skipped: it failed too often, next try in 5s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_that_no_time_is_left_for_is_neither_tried_nor_blamed() {
        let endpoints = [(1, Does::Stalls), (2, Does::Accepts(Duration::ZERO))];
        let dialer =
            Script(endpoints.iter().map(|(port, does)| (Endpoint::Ip(addr(*port)), *does)).collect());
        let targets = [1, 2].map(|port| TargetAddr::Ip(addr(port)));
        let (resolver, gate) = (Resolver::fixed([]), Ledger::default());
        let error = reach(&dialer, &resolver, &targets, &gate, Bound::secs(9)).await.unwrap_err();
        assert_eq!((gate.outcomes.into_inner(), error.attempts.len()), (vec![(0, false)], 2));
        assert!(error.timed_out());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stale_answer_leaves_time_to_dial() {
        let asked = std::sync::atomic::AtomicBool::new(false);
        let resolver =
            Resolver::new(tokio::runtime::Handle::current(), ResolverOptions::default(), move |_| {
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
        assert!(
            text.starts_with(&format!("cannot connect to {target} connection refused after 0.0")),
            "{text}"
        );
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
        assert!(error.to_string().contains("nowhere.invalid:80 "), "{error}");
        assert!(matches!(error.attempts[0].kind, DialErrorKind::Resolve(_)));
    }
}
