//! The five deadlines of a relay: how long each is, what it is called, and how it is reported. When one has passed is the module
//! `watch`'s business.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use super::Side;
use crate::Bound;
use crate::options::KeepAlive;

/// The deadlines of a relay. None is optional: one that should not matter is very long.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RelayLimits {
    /// Nothing moved, either way, for this long. A byte moves when it is read, written, or acknowledged by the peer it was
    /// written to.
    pub idle: Bound,
    /// One side has ended and nothing moved since for this long. Any byte starts it anew, an acknowledged one too. While a
    /// peer has bytes to take, `write_stall` in its place where that is longer.
    pub half_closed: Bound,
    /// Which of the two is another proxy; see [`NextTo`].
    pub proxies: NextTo,
    /// Bytes wait for a side that takes none for this long: none from the proxy, and none from the proxy's kernel. After an end
    /// it makes no difference in which of the two they wait.
    pub write_stall: Bound,
    /// Established for this long without one byte ever, either way.
    pub no_data: Bound,
    /// The end of the connection's life, whatever it does.
    pub lifetime_end: Instant,
    /// How long before it is ended for idleness or age [`Meter::warned`](super::Meter::warned) is called; None for never.
    pub warn_before: Option<Bound>,
    /// What the client's socket is given once the relay is a second old, unless it inherited that from the listener.
    pub client_keep_alive: Option<Arc<KeepAlive>>,
    /// The same for the backend's. A connection that is over sooner needs no help against a peer that vanishes, and is
    /// spared five system calls.
    pub backend_keep_alive: Option<Arc<KeepAlive>>,
}

impl RelayLimits {
    /// Deadlines that are all `silence` long but for the life's end; each can be set to another one. No keepalive is set, no
    /// side is another proxy, and nothing is warned of.
    #[must_use]
    pub const fn new(silence: Bound, lifetime_end: Instant) -> Self {
        Self {
            idle: silence,
            half_closed: silence,
            proxies: NextTo { client: false, backend: false },
            write_stall: silence,
            no_data: silence,
            lifetime_end,
            warn_before: None,
            client_keep_alive: None,
            backend_keep_alive: None,
        }
    }

    /// For how long `sink`, which has bytes to take, may take none, once the other side has ended.
    pub(super) fn behind_an_end(&self, sink: Side) -> Bound {
        self.for_taking(self.half_closed.max(self.write_stall).min(self.idle), sink)
    }

    /// `bound` as it applies to bytes that `sink` has to take.
    pub(super) fn for_taking(&self, bound: Bound, sink: Side) -> Bound {
        let NextTo { client, backend } = self.proxies;
        let judges = match sink {
            Side::Client => client,
            Side::Backend => backend,
        };
        if judges { bound.max(PROXY_TAKES_SOME) } else { bound }
    }
}

proxy_values::setters!([] RelayLimits {
    idle: Bound,
    half_closed: Bound,
    proxies: NextTo,
    write_stall: Bound,
    no_data: Bound,
    lifetime_end: Instant,
    warn_before: Option<Bound>,
    client_keep_alive: Option<Arc<KeepAlive>>,
    backend_keep_alive: Option<Arc<KeepAlive>>,
});

/// How long another proxy that has bytes to take may take none, however short the deadlines are. It reads on once its own
/// client's socket has room, which the kernel says when a third of the send buffer is free, and tells of its own room in steps
/// of a sixteenth of its receive buffer: up to 2 MiB together with Linux' largest buffers (`tcp_wmem` 4 MiB, `tcp_rmem` 6 MiB).
/// A client of 32 KiB/s takes that in 64 s; and a quarter.
const PROXY_TAKES_SOME: Bound = Bound::secs(80);

/// Which sides are other proxies, with deadlines of their own that are nearer to the peers behind them. What this relay sees
/// of those is only what the other proxy's buffers let through: it takes bytes in steps of up to 2 MiB, however steadily who is
/// behind it takes them, and what it has taken its reader may still take for minutes. So where bytes wait for a proxy that takes
/// none, [`RelayLimits::idle`] and [`RelayLimits::write_stall`] are 80 s at the least: it has its own deadline for its reader,
/// and resets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NextTo {
    /// The client: after the backend's end it has [`RelayLimits::idle`] for the next byte or its own end, not
    /// [`RelayLimits::half_closed`]. Who reads behind it may have minutes' worth in its buffers, and may say something yet.
    pub client: bool,
    /// The backend: after the client's end it has [`RelayLimits::idle`] to answer, not [`RelayLimits::half_closed`].
    pub backend: bool,
}

/// Which deadline of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelayDeadline {
    /// [`RelayLimits::idle`].
    Idle,
    /// [`RelayLimits::half_closed`].
    HalfClosed,
    /// [`RelayLimits::write_stall`].
    WriteStall,
    /// [`RelayLimits::no_data`].
    NoData,
    /// [`RelayLimits::lifetime_end`].
    Lifetime,
}

/// Until when a relay may last, as far as that is known when it is reported: bytes that move afterwards change only what
/// [`Due::anew`] says, so a meter that counts them knows it at any time, without another report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When it has been silent for too long, if nothing moves any more, and which deadline that is.
    pub silent: (Instant, RelayDeadline),
    /// It has not been silent for too long before this long after the last byte. None: no byte moves it.
    pub anew: Option<Bound>,
    /// The nearest of the deadlines that a byte does not start anew.
    pub fixed: Option<(Instant, RelayDeadline)>,
}

impl Due {
    /// At `at`, whatever moves.
    #[must_use]
    pub const fn at(at: Instant, which: RelayDeadline) -> Self {
        Self { silent: (at, which), anew: None, fixed: None }
    }

    /// The nearer of the two, if nothing has moved since it was reported.
    #[must_use]
    pub fn nearest(&self) -> (Instant, RelayDeadline) {
        let nearer = |fixed: &(Instant, RelayDeadline)| match fixed.0.cmp(&self.silent.0) {
            Ordering::Less => true,
            Ordering::Greater => false,
            // Who is waited for says more than what it is waited for with.
            Ordering::Equal => {
                fixed.1 == RelayDeadline::Lifetime || self.silent.1 != RelayDeadline::HalfClosed
            }
        };
        self.fixed.filter(nearer).unwrap_or(self.silent)
    }
}

impl fmt::Display for RelayDeadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::HalfClosed => "half-closed",
            Self::WriteStall => "write stall",
            Self::NoData => "no data",
            Self::Lifetime => "lifetime",
        })
    }
}
