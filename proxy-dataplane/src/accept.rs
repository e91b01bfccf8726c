//! The accept loop: it accepts, and nothing else. The one place that spawns connection tasks.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proxy_conn::Tally;
use proxy_core::{Dial, Listen, PeerAddr, Stream};
use proxy_upstream::recover;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::connection::{receive, serve};
use crate::generation::{Capacity, CurrentListener, Generation, Listener, ListenerInForce};

/// The pause after an accept error: doubled with each in a row, from the shortest to the longest. Shorter would spin while
/// there is no descriptor; longer would leave clients in the backlog after there is one again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// While there is no room, or no descriptor, how often it is looked for by those who were not told: whoever tells may have
/// been dropped.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(100);

/// How long a listener that is closed may take to accept what is queued, and how long nobody comes when nothing is: longer
/// than a reactor takes to tell of what the kernel has.
const CLEARING: Duration = Duration::from_secs(1);
const LULL: Duration = Duration::from_millis(10);

/// Where the connections of a listener go.
pub(crate) struct Accepting<D> {
    /// The listener.
    pub(crate) current: Arc<CurrentListener<D>>,
    /// Which worker this is.
    pub(crate) worker: usize,
    /// Where their tasks are counted.
    pub(crate) tasks: TaskTracker,
    /// Somebody else accepts from the socket too: whoever is queued at the end is theirs.
    pub(crate) shared: Arc<AtomicBool>,
}

/// Accepts until `stop`, and then what is queued: no accept error ends the loop, and none makes it spin.
pub(crate) async fn accept_loop<L: Listen, D: Dial>(
    listener: L,
    accepting: Accepting<D>,
    stop: CancellationToken,
) {
    let mut pause = SHORTEST_PAUSE;
    let mut places = accepting.places();
    while let Some(accepted) = unless(&stop, places.next(&listener)).await {
        match accepted {
            Ok((client, peer)) => {
                pause = SHORTEST_PAUSE;
                accepting.open(client, peer);
            }
            // The client left while it was in the backlog: its business, not a shortage of ours.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {
                debug!(listener = %accepting.label(), %error, "a client left before it was accepted");
            }
            Err(error) => {
                let shortage = proxy_core::listen::accept_error_is_shortage(&error);
                if shortage {
                    places.capacity.want();
                }
                let pause_ms = pause.as_millis();
                warn!(listener = %accepting.label(), %error, shortage, pause_ms, "cannot accept; will try again");
                unless(&stop, accepting.rest(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    if !accepting.shared.load(Ordering::Relaxed) {
        accepting.clear(&listener, &mut places).await;
    }
}

/// The places of the process, as an accept loop follows them.
struct Places {
    capacity: Arc<Capacity>,
    full: watch::Receiver<bool>,
}

impl Places {
    /// The next connection, once there is room for one. While there is none the kernel's backlog waits.
    ///
    /// CANCEL: safe where the listener's accept is: whatever it has accepted is returned at once.
    async fn next<L: Listen>(&mut self, listener: &L) -> io::Result<(L::Stream, PeerAddr)> {
        let Self { capacity, full } = self;
        loop {
            while *full.borrow_and_update() {
                if tokio::time::timeout(LOOK_FOR_ROOM, full.changed()).await.is_err() {
                    capacity.released();
                    if listener.has_queued() {
                        capacity.want();
                    }
                }
            }
            tokio::select! {
                biased;
                // The sender is in the capacity, which is held here: this is only ever a change.
                _ = full.changed() => {}
                accepted = listener.accept() => return accepted,
            }
        }
    }
}

impl<D: Dial> Accepting<D> {
    fn label(&self) -> Tally {
        self.current.load().at.label.clone()
    }

    /// They are one for all generations, so the first to come is as good as any.
    fn places(&self) -> Places {
        let capacity = Arc::clone(&self.current.load().proxy.capacity);
        Places { full: capacity.full.subscribe(), capacity }
    }

    /// Accepts what is queued, and nobody who comes from now on: closing would reset it.
    async fn clear<L: Listen>(&self, listener: &L, places: &mut Places) {
        listener.shut_door();
        let until = Instant::now() + CLEARING;
        while Instant::now() < until {
            match tokio::time::timeout(LULL, places.next(listener)).await {
                Ok(Ok((client, peer))) => self.open(client, peer),
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Ok(Err(_)) => self.rest(LOOK_FOR_ROOM).await,
                Err(_) if *places.capacity.full.borrow() => {}
                Err(_) => return,
            }
        }
    }

    /// Waits for `pause`, or until a connection has ended: it has given back what there was a shortage of.
    async fn rest(&self, pause: Duration) {
        // Both move meanwhile: what matters is that it changes.
        let tracker = Arc::clone(&self.current.load().proxy.tracker);
        let ended = || tracker.opened().wrapping_sub(tracker.len() as u64);
        let (before, until) = (ended(), Instant::now() + pause);
        while Instant::now() < until && ended() == before {
            tokio::time::sleep(LOOK_FOR_ROOM.min(pause)).await;
        }
    }

    /// Opens the entry of a connection and spawns its task; none for one that is turned away at once.
    fn open<S: Stream + 'static>(&self, client: S, peer: PeerAddr) {
        if let Some(newcomer) = receive(self.current.load_full(), self.worker, client, peer) {
            self.tasks.spawn(serve(newcomer));
        }
    }
}

/// For those who run a proxy in a runtime of their own: over other streams than sockets, or in simulated time.
impl<D: Dial> Generation<D> {
    /// Accepts from `listener`, which stands for `at`, until `stop`, as `worker` does in a [`Server`](crate::Server).
    /// Connections' tasks are spawned on `tasks`.
    pub async fn accept<L: Listen>(
        self: Arc<Self>,
        at: Arc<Listener>,
        worker: usize,
        listener: L,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) {
        let current = Arc::new(CurrentListener::from_pointee(ListenerInForce { at, proxy: self }));
        accept_loop(listener, Accepting { current, worker, tasks, shared: Arc::default() }, stop).await;
    }

    /// Tries targets that are left alone, or tried last, until they are well, as a [`Server`](crate::Server) does; until
    /// `stop`. It does so for all generations, and keeps none of them.
    pub fn recover(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + use<D>
    where
        D: Clone,
    {
        recover(Arc::clone(&self.unhealthy), self.dialer.clone(), self.resolver.clone(), stop)
    }

    /// Such tries under way, each with a socket or a few that no connection has.
    #[must_use]
    pub fn tries(&self) -> usize {
        self.unhealthy.tries()
    }

    /// The life of one connection that `at` has accepted: its entry is open from now on, and closed when the future is
    /// dropped. One that is turned away at once has ended by the time that this returns.
    pub fn connection<S: Stream + 'static>(
        self: &Arc<Self>,
        at: &Arc<Listener>,
        worker: usize,
        client: S,
        peer: PeerAddr,
    ) -> impl Future<Output = ()> + Send + use<S, D> {
        let listener = Arc::new(ListenerInForce { at: Arc::clone(at), proxy: Arc::clone(self) });
        let newcomer = receive(listener, worker, client, peer);
        async move {
            if let Some(newcomer) = newcomer {
                serve(newcomer).await;
            }
        }
    }
}

/// What `future` comes to, unless `stop` comes first.
async fn unless<F: Future>(stop: &CancellationToken, future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        output = future => Some(output),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use crate::test_settings::one_route;
    use proxy_conn::{Opening, Tracker};
    use proxy_core::Resolver;
    use proxy_core::mem::{MemNet, MemStream};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Fails whenever it is asked, and counts.
    struct Failing {
        asked: Arc<AtomicUsize>,
        code: i32,
    }

    impl Listen for Failing {
        type Stream = MemStream;

        async fn accept(&self) -> io::Result<(MemStream, PeerAddr)> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Err(io::Error::from_raw_os_error(self.code))
        }
    }

    fn accepting(at: Arc<Listener>, proxy: Arc<Generation<MemNet>>) -> Accepting<MemNet> {
        let current = Arc::new(CurrentListener::from_pointee(ListenerInForce { at, proxy }));
        Accepting { current, worker: 0, tasks: TaskTracker::new(), shared: Arc::default() }
    }

    fn settings(most: Option<u32>) -> Arc<Settings> {
        Arc::new(one_route(most))
    }

    /// How often a loop asks in an hour in which every accept fails with `code`.
    async fn asked_in_an_hour(code: i32) -> usize {
        let config = settings(None);
        let at = Listener::new(&config.listeners[0]);
        let proxy = Generation::new(config, Tracker::new(1, ()), MemNet::default(), Resolver::fixed([]));
        let accepting = accepting(at, Arc::new(proxy));
        let (stop, asked) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let running = accept_loop(Failing { asked: Arc::clone(&asked), code }, accepting, stop.clone());
        let stopping = async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            stop.cancel();
        };
        tokio::join!(running, stopping);
        asked.load(Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn a_shortage_neither_ends_the_loop_nor_makes_it_spin() {
        let asked = asked_in_an_hour(rustix::io::Errno::MFILE.raw_os_error()).await;
        assert!((3500..3700).contains(&asked), "once a second, after the first pauses: {asked}");
    }

    /// Descriptors of a connection that has ended are there at once, whatever the pause has grown to.
    #[tokio::test(start_paused = true)]
    async fn a_pause_is_over_when_a_connection_has_ended() {
        let config = settings(None);
        let at = Listener::new(&config.listeners[0]);
        let proxy =
            Arc::new(Generation::new(config, Tracker::new(1, ()), MemNet::default(), Resolver::fixed([])));
        let peer = PeerAddr::new(([127, 0, 0, 1], 1).into());
        let open = proxy.tracker.open(0, Opening::new(peer, at.label.clone()));
        let accepting = accepting(at, proxy);
        let (stop, asked) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let code = rustix::io::Errno::MFILE.raw_os_error();
        let running = accept_loop(Failing { asked: Arc::clone(&asked), code }, accepting, stop.clone());
        let stopping = async {
            // By now it asks once a second; the last time was 0.73 s ago.
            tokio::time::sleep(Duration::from_secs(10)).await;
            let before = asked.load(Ordering::Relaxed);
            drop(open);
            tokio::time::sleep(LOOK_FOR_ROOM).await;
            assert_eq!(asked.load(Ordering::Relaxed), before + 1);
            stop.cancel();
        };
        tokio::join!(running, stopping);
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_limit_clients_wait_in_the_backlog_and_are_served_when_there_is_room() {
        let (net, front) = (MemNet::default(), ([127, 0, 0, 1], 8000).into());
        let (listener, backend) = (net.listen(front), net.listen(([127, 0, 0, 1], 9000).into()));
        let config = settings(Some(1));
        let at = Listener::new(&config.listeners[0]);
        let proxy = Arc::new(Generation::new(config, Tracker::new(1, ()), net.clone(), Resolver::fixed([])));
        let accepting = accepting(at, Arc::clone(&proxy));
        let stop = CancellationToken::new();
        let clients = async {
            let front = proxy_core::Endpoint::Ip(front);
            let connect = || net.connect(([10, 0, 0, 1], 1).into(), &front);
            let (first, _second) = (connect().await.unwrap(), connect().await.unwrap());
            let (_to_first, _) = backend.accept().await.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!((proxy.tracker.len(), proxy.tracker.opened()), (1, 1), "the second one waits");
            drop(first);
            backend.accept().await.unwrap();
            assert_eq!((proxy.tracker.len(), proxy.tracker.opened()), (1, 2), "and is served");
            stop.cancel();
        };
        tokio::join!(accept_loop(listener, accepting, stop.clone()), clients);
    }

    /// Whoever the kernel has queued when a listener is told to close is served all the same.
    #[tokio::test(start_paused = true)]
    async fn a_listener_that_closes_accepts_what_is_queued() {
        let (net, front) = (MemNet::default(), ([127, 0, 0, 1], 8000).into());
        let (listener, backend) = (net.listen(front), net.listen(([127, 0, 0, 1], 9000).into()));
        let config = settings(Some(10));
        let at = Listener::new(&config.listeners[0]);
        let proxy = Arc::new(Generation::new(config, Tracker::new(1, ()), net.clone(), Resolver::fixed([])));
        let (accepting, stop) = (accepting(at, Arc::clone(&proxy)), CancellationToken::new());
        stop.cancel();
        let front = proxy_core::Endpoint::Ip(front);
        let mut queued = Vec::new();
        for _ in 0..3 {
            queued.push(net.connect(([10, 0, 0, 1], 1).into(), &front).await.unwrap());
        }
        accept_loop(listener, accepting, stop).await;
        assert_eq!(proxy.tracker.opened(), 3);
        for _ in 0..3 {
            backend.accept().await.unwrap();
        }
        assert!(net.connect(([10, 0, 0, 1], 1).into(), &front).await.is_err(), "it is closed");
    }
}
