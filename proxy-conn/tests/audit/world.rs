//! A small proxy's worth of connections, and what should agree with them.
#![expect(clippy::unwrap_used, reason = "a test has nobody to report to")]

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proxy_conn::audit::{Audit, AuditOptions, AuditReport, Expectations, Gauge, Holders, PermitsInUse};
use proxy_conn::{ConnGuard, DeadlineKind, Limit, Opening, Permit, Phase, Tracker};
use proxy_core::relay::{Meter as _, RelayDeadline, Side};
use proxy_core::{Bound, PeerAddr};
use rustix::net::sockopt::set_socket_linger;
use tokio::time::Instant;

static TURN: Mutex<()> = Mutex::new(());

/// The proxy's side of every connection has this address, the test's side another: so they can be told apart.
const NEAR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A short grace, so that a run takes a third of a second.
pub(crate) const OPTIONS: AuditOptions = AuditOptions::DEFAULT
    .interval(Bound::secs(30))
    .grace(Bound::millis(300))
    .overdue_tick(Bound::millis(100))
    .stuck_after(Bound::secs(300))
    .second_look(Bound::millis(50));

/// A tracker and what should agree with it.
pub(crate) struct World {
    pub(crate) tracker: Arc<Tracker>,
    pub(crate) limit: Limit,
    pub(crate) tasks: Arc<AtomicUsize>,
    _turn: MutexGuard<'static, ()>,
}

/// A live connection task, counted.
pub(crate) struct Task(Arc<AtomicUsize>);

impl Task {
    pub(crate) fn new(tasks: &Arc<AtomicUsize>) -> Self {
        tasks.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(tasks))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What the frame of a connection owns, in the order in which it is dropped.
pub(crate) struct Conn {
    pub(crate) backend: Option<TcpStream>,
    pub(crate) permit: Option<Permit>,
    pub(crate) client: Option<TcpStream>,
    pub(crate) guard: ConnGuard,
    _task: Task,
    /// The client's and the backend's own ends.
    pub(crate) far: [Option<TcpStream>; 2],
}

impl World {
    pub(crate) fn new() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let tracker = Tracker::new(2, ());
        Self { tracker, limit: Limit::new(100_000), tasks: Arc::default(), _turn: turn }
    }

    /// A relaying connection with a minute to go, on which both sides have spoken.
    pub(crate) fn open(&self) -> Conn {
        serve(&self.tracker, &self.limit, &self.tasks, &listen())
    }

    /// A connection of this route to this target, on which these have spoken, in this order.
    pub(crate) fn talking(&self, route: &str, target: &str, words: &[Side]) -> Conn {
        let (client, far) = pair(&listen());
        let peer = PeerAddr::new(client.peer_addr().unwrap());
        let guard = self.tracker.open(1, Opening::new(peer, "test"));
        let (task, permit) = (Task::new(&self.tasks), self.limit.acquire());
        guard.hold(Side::Client, Some(client.as_raw_fd()));
        // A PROXY header, which is no word of the client's.
        guard.moved(Side::Client, 56, Instant::now());
        guard.enter(Phase::Dial, in_a_minute(), DeadlineKind::Dial).unwrap();
        guard.learn(|facts| (facts.route, facts.target) = (Some(route.into()), Some(target.into())));
        guard.enter(Phase::Relay, in_a_minute(), DeadlineKind::Dial).unwrap();
        for side in words {
            guard.moved(*side, 100, Instant::now());
        }
        Conn { backend: None, permit, client: Some(client), guard, _task: task, far: [Some(far), None] }
    }

    pub(crate) fn audit(&self, options: AuditOptions) -> Audit {
        Audit::new(options, Arc::clone(&self.tracker), self.expectations(), ())
    }

    pub(crate) fn expectations(&self) -> impl Fn() -> Expectations + Send + Sync + 'static {
        let (tasks, limit) = (Arc::clone(&self.tasks), self.limit.clone());
        move || Expectations {
            tasks: Some(tasks.load(Ordering::SeqCst)),
            permits: vec![PermitsInUse {
                limit: "connections".into(),
                in_use: limit.in_use(),
                holders: Holders { from: Phase::Dial, pool: None, each: true },
            }],
            workers: 2,
            known: Arc::new(|socket| socket.addresses.is_some_and(|(local, _)| local.ip() != NEAR)),
        }
    }

    pub(crate) fn run(&self, options: AuditOptions) -> AuditReport {
        run(&self.audit(options))
    }
}

pub(crate) fn run(audit: &Audit) -> AuditReport {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(audit.run_once())
}

pub(crate) fn listen() -> TcpListener {
    TcpListener::bind((NEAR, 0)).unwrap()
}

/// The accepted end, and the other.
pub(crate) fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let far = connect(listener.local_addr().unwrap());
    (listener.accept().unwrap().0, far)
}

#[expect(clippy::disallowed_methods, reason = "the other ends of the proxy's connections, on loopback")]
pub(crate) fn connect(to: SocketAddr) -> TcpStream {
    TcpStream::connect(to).unwrap()
}

pub(crate) fn serve(
    tracker: &Arc<Tracker>,
    limit: &Limit,
    tasks: &Arc<AtomicUsize>,
    listener: &TcpListener,
) -> Conn {
    serve_accepted(tracker, limit, tasks, listener, pair(listener))
}

pub(crate) fn serve_accepted(
    tracker: &Arc<Tracker>,
    limit: &Limit,
    tasks: &Arc<AtomicUsize>,
    listener: &TcpListener,
    (client, far_client): (TcpStream, TcpStream),
) -> Conn {
    let peer = PeerAddr::new(client.peer_addr().unwrap());
    let guard = tracker.open(0, Opening::new(peer, "test"));
    let task = Task::new(tasks);
    guard.hold(Side::Client, Some(client.as_raw_fd()));
    let permit = limit.acquire();
    guard.enter(Phase::Dial, in_a_minute(), DeadlineKind::Dial).unwrap();
    let (backend, far_backend) = pair(listener);
    guard.hold(Side::Backend, Some(backend.as_raw_fd()));
    guard.enter(Phase::Relay, in_a_minute(), DeadlineKind::Relay(RelayDeadline::Idle)).unwrap();
    guard.moved(Side::Client, 7, Instant::now());
    guard.moved(Side::Backend, 9, Instant::now());
    let (client, backend) = (Some(client), Some(backend));
    Conn { backend, permit, client, guard, _task: task, far: [Some(far_client), Some(far_backend)] }
}

pub(crate) fn in_a_minute() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Closes with a reset.
pub(crate) fn reset(stream: TcpStream) {
    set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// Waits for a condition, within a bound.
pub(crate) fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "it did not come to be");
        std::thread::yield_now();
    }
}

/// Waits until `conn` is older than the grace.
pub(crate) fn grown(conn: &Conn) {
    until(|| conn.guard.opened().elapsed() > OPTIONS.grace.get());
}

/// What was found: each gauge that is not 0.
pub(crate) fn gauges(report: &AuditReport) -> Vec<(Gauge, u64)> {
    let value = |gauge: &Gauge| (*gauge, report.count(*gauge));
    Gauge::ALL.iter().map(value).filter(|(_, count)| *count > 0).collect()
}

/// Opens and closes connections until told to stop, a few at a time; how many.
fn churn(tracker: &Arc<Tracker>, limit: &Limit, tasks: &Arc<AtomicUsize>, stop: &AtomicBool) -> usize {
    let (listener, mut opened) = (listen(), 0);
    let mut open = VecDeque::new();
    while !stop.load(Ordering::Relaxed) {
        open.push_back(serve(tracker, limit, tasks, &listener));
        opened += 1;
        if open.len() > 8 {
            let ended = open.pop_front().unwrap();
            let [far_client, far_backend] = &ended.far;
            // Resets, so that no ports wait in TIME_WAIT.
            for stream in [&ended.client, &ended.backend, far_client, far_backend].into_iter().flatten() {
                set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
            }
        }
    }
    opened
}

/// Runs `watch` while two threads open and close connections.
pub(crate) fn amid_churn<T>(world: &World, watch: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    let (tracker, limit, tasks) = (&world.tracker, &world.limit, &world.tasks);
    std::thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(|| churn(tracker, limit, tasks, &stop)));
        until(|| tracker.opened() > 200);
        let watched = watch();
        stop.store(true, Ordering::Relaxed);
        let opened: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert!(opened > 200, "{opened} opened");
        watched
    })
}
