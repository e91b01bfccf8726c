//! The sockets of one simulated host: which connections and listeners it has, and what it says to other hosts.
//!
//! Its segments travel as turmoil's datagrams, so that latency, reordering, `hold` and `partition` are turmoil's, and
//! what Linux does about them is ours: retransmission, a refusal where nobody listens, a reset for who is unknown.

mod pump;

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use proxy_core::KeepAlive;
use tokio::sync::Notify;
use tokio::time::Instant;
use turmoil::net::UdpSocket;

use super::conn::{Conn, Opened};
use super::segment::{Says, Segment};

/// Where kernels listen for each other's datagrams.
const PORT: u16 = 7;
/// The first port that is given to a connection nobody chose one for.
const FIRST_EPHEMERAL: u16 = 32_768;

/// How long anybody asks after one that has vanished: longer than every keepalive and user timeout of the scenarios.
const GIVEN_UP: Duration = Duration::from_secs(900);

/// How a host's sockets end when they are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drops {
    /// As the stream seam says: a reset, unless it was finished. So also where the process is killed, for the product's
    /// sockets linger for no time (see `proxy_core::Socket`).
    Reset,
    /// Without a word: the machine is off.
    Silently,
}

/// The sockets of one host.
#[derive(Debug)]
pub struct Kernel {
    ip: Ipv4Addr,
    udp: UdpSocket,
    sockets: Arc<Mutex<Sockets>>,
    /// Told when something is due sooner than the pump knows.
    sooner: Notify,
}

/// What a machine still has of a process that was killed: the connections that nobody owns.
#[derive(Debug)]
pub(super) struct Remains(Arc<Mutex<Sockets>>);

#[derive(Debug)]
struct Sockets {
    conns: BTreeMap<Key, Conn>,
    /// Connections whose machine is off, as far as they are concerned.
    vanished: BTreeMap<Key, Instant>,
    panics: bool,
    listeners: BTreeMap<u16, Queue>,
    next_port: u16,
    drops: Drops,
    due: Option<Instant>,
}

/// A connection: the local port, and the other end.
pub(super) type Key = (u16, SocketAddr);

/// What waits to be accepted at a port.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Key>,
    backlog: usize,
    acceptor: Option<Waker>,
}

impl Kernel {
    /// The sockets of the host that is `ip`: none yet. To be called in the host, once in its life.
    ///
    /// # Errors
    /// What turmoil says.
    pub async fn boot(ip: Ipv4Addr) -> io::Result<Arc<Self>> {
        let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
        let sockets = Sockets {
            conns: BTreeMap::new(),
            vanished: BTreeMap::new(),
            panics: false,
            listeners: BTreeMap::new(),
            next_port: FIRST_EPHEMERAL,
            drops: Drops::Reset,
            due: None,
        };
        let kernel =
            Arc::new(Self { ip, udp, sockets: Arc::new(Mutex::new(sockets)), sooner: Notify::new() });
        #[expect(
            clippy::disallowed_methods,
            reason = "a kernel is not a connection: it runs as long as its host"
        )]
        drop(tokio::spawn(pump::pump(Arc::downgrade(&kernel))));
        Ok(kernel)
    }

    /// What will be left of the sockets when the process is gone.
    pub(super) fn remains(&self) -> Remains {
        Remains(Arc::clone(&self.sockets))
    }

    /// Goes on with what nobody owned when the process before was killed. To be called before anybody has a socket.
    pub(super) fn adopt(&self, Remains(left): Remains) {
        let (mut sockets, mut left) = (self.sockets.lock(), left.lock());
        let now = Instant::now();
        sockets.next_port = left.next_port;
        sockets.conns = std::mem::take(&mut left.conns);
        sockets.conns.retain(|_, conn| conn.is_nobodys());
        sockets.conns.values_mut().for_each(|conn| conn.begin_clocks(now));
        self.sooner.notify_one();
    }

    /// Connections that have not come to their end, those that nobody owns included.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.sockets.lock().conns.len()
    }

    pub(super) fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// From now on sockets that are dropped end so.
    pub(super) fn drops(&self, drops: Drops) {
        self.sockets.lock().drops = drops;
    }

    /// Listens on `port`. A backlog of 0 is a black hole.
    pub(super) fn listen(&self, port: u16, backlog: usize) -> io::Result<()> {
        let mut sockets = self.sockets.lock();
        if sockets.listeners.contains_key(&port) {
            return Err(ErrorKind::AddrInUse.into());
        }
        sockets.listeners.insert(port, Queue { backlog, ..Queue::default() });
        Ok(())
    }

    /// Listens on `port` no more; those that wait there are reset, and so are those on their way there, once they say more.
    pub(super) fn unlisten(&self, port: u16) {
        let mut sockets = self.sockets.lock();
        sockets.conns.retain(|(at, _), conn| *at != port || conn.opened != Opened::Half);
        let queue = sockets.listeners.remove(&port);
        drop(sockets);
        for key in queue.map(|queue| queue.waiting).unwrap_or_default() {
            self.close(key, false);
        }
    }

    /// The next connection that waits at `port`.
    pub(super) fn poll_accept(&self, cx: &mut Context<'_>, port: u16) -> Poll<Key> {
        let mut sockets = self.sockets.lock();
        let Some(queue) = sockets.listeners.get_mut(&port) else { return Poll::Pending };
        match queue.waiting.pop_front() {
            Some(key) => Poll::Ready(key),
            None => {
                queue.acceptor = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Sends a SYN to `remote`, from `port` or one that is free.
    pub(super) fn connect(
        &self,
        port: Option<u16>,
        remote: SocketAddr,
        keep_alive: KeepAlive,
    ) -> io::Result<Key> {
        let mut sockets = self.sockets.lock();
        let port = port.unwrap_or_else(|| sockets.free_port(remote));
        let key = (port, remote);
        if sockets.conns.contains_key(&key) {
            return Err(ErrorKind::AddrInUse.into());
        }
        sockets.conns.insert(key, Conn::new(Opened::No, keep_alive, Instant::now()));
        self.say(key, Says::Syn);
        self.look_at(&mut sockets, key);
        Ok(key)
    }

    /// Runs `f` on a connection, then sends what it says. None where there is no such connection.
    pub(super) fn with<R>(
        &self,
        key: Key,
        f: impl FnOnce(&mut Conn, Instant, &mut Vec<Says>) -> R,
    ) -> Option<R> {
        let (mut sockets, mut says) = (self.sockets.lock(), Vec::new());
        let conn = sockets.conns.get_mut(&key)?;
        let result = f(conn, Instant::now(), &mut says);
        self.say_all(key, says);
        self.look_at(&mut sockets, key);
        Some(result)
    }

    /// From now on nothing that concerns a connection is heard or said.
    pub(super) fn vanish(&self, key: Key) {
        let mut sockets = self.sockets.lock();
        sockets.conns.remove(&key);
        let now = Instant::now();
        sockets.vanished.retain(|_, since| now - *since < GIVEN_UP);
        sockets.vanished.insert(key, now);
    }

    /// The next task that looks at a socket panics.
    pub(super) fn panic_next(&self) {
        self.sockets.lock().panics = true;
    }

    /// Panics, once, if that was asked for.
    pub(super) fn panic_if_asked(&self) {
        let asked = std::mem::take(&mut self.sockets.lock().panics);
        if asked {
            // As a panic, without its message.
            std::panic::resume_unwind(Box::new("a planted panic"));
        }
    }

    /// The owner of a connection lets go of it, in an orderly way or with a reset.
    pub(super) fn close(&self, key: Key, orderly: bool) {
        // The simulation is over: there is no network to say anything to, and no clock.
        if !turmoil::in_simulation() {
            return;
        }
        let (mut sockets, mut says) = (self.sockets.lock(), Vec::new());
        let drops = sockets.drops;
        let Some(conn) = sockets.conns.get_mut(&key) else { return };
        let orderly = orderly && !conn.has_unread();
        if drops == Drops::Silently || conn.dead.is_some() {
            sockets.conns.remove(&key);
        } else if orderly && conn.opened == Opened::Yes {
            let now = Instant::now();
            conn.disown(now);
            // It is not dead, so it can be ended.
            conn.end(now, &mut says).unwrap_or_default();
        } else {
            says.push(Says::Reset { at: Some(conn.reset_at()) });
            sockets.conns.remove(&key);
        }
        self.say_all(key, says);
        self.look_at(&mut sockets, key);
    }

    fn say_all(&self, key: Key, says: Vec<Says>) {
        for says in says {
            self.say(key, says);
        }
    }

    fn say(&self, (from, remote): Key, says: Says) {
        let segment = Segment { from, to: remote.port(), says }.encode();
        // A network that takes nothing is a network that loses it: whoever minds will send it again.
        drop(self.udp.try_send_to(&segment, (remote.ip(), PORT)));
    }

    /// Forgets a connection that is over, and tells the pump of one for which something is due.
    fn look_at(&self, sockets: &mut Sockets, key: Key) {
        let Some(conn) = sockets.conns.get(&key) else { return };
        if conn.is_over() {
            sockets.conns.remove(&key);
        } else if let Some(due) = conn.due()
            && sockets.due.is_none_or(|known| due < known)
        {
            sockets.due = Some(due);
            self.sooner.notify_one();
        }
    }
}

impl Sockets {
    fn free_port(&mut self, remote: SocketAddr) -> u16 {
        loop {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(FIRST_EPHEMERAL);
            if !self.conns.contains_key(&(port, remote)) {
                return port;
            }
        }
    }

    /// A SYN from somebody new.
    fn welcome(&mut self, key: Key, says: &mut Vec<Says>) {
        let Some(queue) = self.listeners.get_mut(&key.0) else {
            says.push(Says::Reset { at: None });
            return;
        };
        // As Linux does: where the queue is full the SYN is dropped, and comes again.
        if queue.waiting.len() < queue.backlog {
            self.conns.insert(key, Conn::new(Opened::Half, KeepAlive::default(), Instant::now()));
            says.push(Says::SynAck);
        }
    }

    /// The handshake is over: it waits to be accepted. Where nobody listens any more it is of no use.
    fn enqueue(&mut self, key: Key) {
        match self.listeners.get_mut(&key.0) {
            Some(queue) => {
                queue.waiting.push_back(key);
                if let Some(acceptor) = queue.acceptor.take() {
                    acceptor.wake();
                }
            }
            None => drop(self.conns.remove(&key)),
        }
    }
}
