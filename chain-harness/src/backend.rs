//! Backends, most of them bad.

mod black_hole;
mod http;
mod slow;
mod tls;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::wire::{Received, Wire};

pub use black_hole::BlackHole;
pub use http::{GOODBYE, UPGRADED, keep_alive_answer};

/// A backend of one behaviour, and what it has received. Dropped, it stops.
#[derive(Debug)]
pub struct Backend {
    addr: SocketAddr,
    visits: Arc<Mutex<Vec<Visit>>>,
    sent: Arc<AtomicU64>,
    tasks: JoinSet<()>,
}

/// Connections that wait for somebody to ask for them; more than a test has open.
const MOST_TO_HAND_OVER: usize = 1024;

/// What was received on one connection.
type Visit = Arc<Mutex<Received>>;

/// An address that refuses: a port that was bound, so it is nobody else's, and on which nobody listens.
#[must_use]
pub fn refuses() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, crate::free_port()).into()
}

impl Backend {
    /// A backend that does with each connection what `behave` does.
    pub fn serving<F, B>(behave: F) -> Self
    where
        F: Fn(Wire) -> B + Send + 'static,
        B: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
        Self::on(listener, behave)
    }

    /// The same on a socket that listens already.
    pub fn on<F, B>(listener: TcpListener, behave: F) -> Self
    where
        F: Fn(Wire) -> B + Send + 'static,
        B: Future<Output = ()> + Send + 'static,
    {
        listener.set_nonblocking(true).expect("it is a socket");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a runtime is there");
        let addr = listener.local_addr().expect("it is bound");
        let visits = Arc::<Mutex<Vec<Visit>>>::default();
        let (noted, mut accepting) = (Arc::clone(&visits), JoinSet::new());
        let sent = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&sent);
        accepting.spawn(async move {
            let mut serving = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a backend of a test has descriptors");
                let visit = Visit::default();
                noted.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&visit));
                serving.spawn(behave(Wire::noting(stream, visit, Arc::clone(&counted))));
                while serving.try_join_next().is_some() {}
            }
        });
        Self { addr, visits, sent, tasks: accepting }
    }

    /// Sends back what it reads, and ends when its client has.
    #[must_use]
    pub fn echo() -> Self {
        Self::serving(|mut wire| async move {
            loop {
                let bytes = wire.read_some().await;
                if bytes.is_empty() || wire.try_send(bytes).await.is_err() {
                    return wire.half_close().await;
                }
            }
        })
    }

    /// Reads a request up to its empty line (or its end), answers `text` in HTTP's way, and ends.
    #[must_use]
    pub fn answers(text: &str) -> Self {
        let answer =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len());
        Self::serving(move |mut wire| {
            let answer = answer.clone();
            async move {
                wire.read_until(|bytes| bytes.ends_with(b"\r\n\r\n")).await;
                // Its client may have gone, which is what some scenarios are about.
                wire.try_send(answer).await.unwrap_or_default();
                wire.half_close().await;
                wire.read_to_end().await;
            }
        })
    }

    /// Speaks first: sends `bytes`, ends, and reads on.
    #[must_use]
    pub fn source(bytes: &'static [u8]) -> Self {
        Self::serving(move |mut wire| async move {
            wire.try_send(bytes).await.unwrap_or_default();
            wire.half_close().await;
            wire.read_to_end().await;
        })
    }

    /// Reads to the end, then answers how many bytes that were.
    #[must_use]
    pub fn sink() -> Self {
        Self::serving(|mut wire| async move {
            let count = wire.read_to_end().await.bytes.len();
            wire.try_send(count.to_string()).await.unwrap_or_default();
            wire.half_close().await;
        })
    }

    /// Reads, and never says or ends anything, until it is reset.
    #[must_use]
    pub fn silent() -> Self {
        Self::serving(|mut wire| async move {
            wire.read_to_end().await;
            wire.wait_for_a_reset().await;
        })
    }

    /// Hands each connection to whoever asks for it: both ends of a chain in one hand.
    #[must_use]
    pub fn hands_over() -> (Self, mpsc::Receiver<Wire>) {
        let (to, wires) = mpsc::channel(MOST_TO_HAND_OVER);
        let backend = Self::serving(move |wire| {
            let to = to.clone();
            async move {
                // Nobody may want it any more.
                to.send(wire).await.unwrap_or_default();
            }
        });
        (backend, wires)
    }

    /// Neither reads nor says anything, until it is reset.
    #[must_use]
    pub fn takes_nothing() -> Self {
        Self::serving(|mut wire| async move { wire.wait_for_a_reset().await })
    }

    /// Resets as soon as it has accepted.
    #[must_use]
    pub fn resets_on_accept() -> Self {
        Self::serving(|wire| async move { wire.reset() })
    }

    /// Resets after its client's first `n` bytes, having sent `last_words`.
    #[must_use]
    pub fn resets_after(n: usize, last_words: &'static [u8]) -> Self {
        Self::serving(move |mut wire| async move {
            wire.read_until(|bytes| bytes.len() >= n).await;
            wire.try_send(last_words).await.unwrap_or_default();
            wire.reset();
        })
    }

    /// Ends at once and reads on.
    #[must_use]
    pub fn half_closes() -> Self {
        Self::source(b"")
    }

    /// Stops it, and waits until nobody listens any more: dropping it is soon, not at once.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many bytes its kernel has taken from it, on all connections together.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// How many connections it has accepted.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What it has received on each connection, in the order of their arrival.
    #[must_use]
    pub fn visits(&self) -> Vec<Received> {
        let visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        visits.iter().map(|visit| visit.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect()
    }

    /// Gives up what it has received so far, with the memory that it took.
    pub fn forget_visits(&self) {
        *self.visits.lock().unwrap_or_else(PoisonError::into_inner) = Vec::new();
    }

    /// What it has received on the first connection; nothing if there was none.
    #[must_use]
    pub fn first(&self) -> Received {
        self.visits().into_iter().next().unwrap_or_default()
    }
}
