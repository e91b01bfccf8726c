//! Both directions between a client and its backend, until they end.
//!
//! - Half-close is kept: a FIN goes on as a FIN when all before it is delivered, and the other direction stays open under
//!   a deadline of its own.
//! - A reset stays a reset: the other side gets one too, after the bytes that had been read were delivered. It is noticed
//!   also on a side that nobody is reading from, because the other is slow.
//! - Backpressure is kept: what one side does not take is held (at most one read's worth), and no more is read.
//! - An idle relay holds no buffer: reads go through one buffer a thread.
//! - Nothing lasts without a deadline: see [`RelayLimits`]. Nobody who lives is cut by one: see the module `watch`.
//!
//! What it is not: it does not own the streams. The caller does, and a caller that is dropped in the middle resets both.
//!
//! ```text
//!            ┌──── lane: pending ───►┐
//!    client ◄┤                       ├► backend      lane:  open ─FIN read─► ending ─flushed─► ended
//!            └◄── pending :lane ─────┘
//! ```

mod deadline;
mod engine;
mod lane;
mod settle;
mod watch;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::ahead::ReadAhead;
use crate::stream::Stream;
use lane::{Lane, LaneError};
use watch::Watch;

pub use deadline::{Due, NextTo, RelayDeadline, RelayLimits};
pub use engine::{Engine, PollLoop};

/// A side of a proxied connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one that was accepted.
    Client,
    /// The one that was dialled.
    Backend,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Backend,
            Self::Backend => Self::Client,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Client => "client",
            Self::Backend => "backend",
        })
    }
}

/// How a relay ended.
#[derive(Debug)]
pub enum RelayEnd {
    /// Both sides ended (FIN), and everything was delivered. Only after this may the streams be finished, and they must be:
    /// the last FIN goes out with that.
    Finished {
        /// The side that ended first.
        first: Side,
    },
    /// One side reset, or the kernel gave it up.
    Reset {
        /// The side.
        by: Side,
        /// What the kernel said; `TimedOut` where the peer vanished.
        error: io::Error,
        /// As in [`RelayEnd::Deadline`].
        delivered: bool,
    },
    /// A deadline passed.
    Deadline {
        /// Which one.
        which: RelayDeadline,
        /// The side that let it pass: the one that takes nothing of what it is sent, or that stays silent after the other has
        /// ended.
        at_fault: Option<Side>,
        /// Whether the client has acknowledged everything, the backend's end too. It may be finished then: it loses nothing
        /// by that, and might by a reset, upon which some systems forget what nobody has read yet.
        delivered: bool,
    },
}

/// Counts what a relay moves. Called on the byte path: it must not block.
pub trait Meter: Send + Sync {
    /// `bytes` were read from `from`, at `now`.
    fn moved(&self, from: Side, bytes: u64, now: Instant);
    /// `side` ended its direction (FIN): the connection is draining.
    fn half_closed(&self, side: Side, now: Instant);
    /// The relay may last until `due`. Called again when that is otherwise by more than the time of the last byte that
    /// [`moved`](Self::moved).
    fn deadline(&self, due: &Due);
    /// At `at` the connection is going to be ended because of `why`, unless something moves; see
    /// [`RelayLimits::warn_before`].
    fn warned(&self, at: Instant, why: RelayDeadline) {
        let _ = (at, why);
    }
}

/// Counts nothing.
impl Meter for () {
    fn moved(&self, _: Side, _: u64, _: Instant) {}
    fn half_closed(&self, _: Side, _: Instant) {}
    fn deadline(&self, _: &Due) {}
}

/// What the relay begins with.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Preface {
    /// Bytes to write to the backend before anything else: a PROXY header, and what the client sent ahead.
    pub to_backend: Vec<u8>,
    /// How many of those, at the front, are the proxy's own: a header does not make a silent client one that spoke.
    pub own: usize,
    /// Whether the client has already ended its direction.
    pub client_ended: bool,
}

impl Preface {
    /// What a backend is to get before anything else: `header` of the proxy's own, if there is one, then what was read of the
    /// client `ahead` of the relay.
    #[must_use]
    pub fn new(header: Vec<u8>, ahead: ReadAhead) -> Self {
        let (own, client_ended) = (header.len(), ahead.ended());
        let mut to_backend = header;
        if to_backend.is_empty() {
            to_backend = ahead.into_bytes();
        } else {
            to_backend.extend_from_slice(ahead.bytes());
        }
        Self { to_backend, own, client_ended }
    }
}

/// How old a relay is when its sockets are given what only matters to one that lasts.
const SETTLED: Duration = Duration::from_secs(1);

/// How often within the half-closed deadline it is looked at what a slow reader has taken behind a reset.
const FINISH_LOOKS: u32 = 16;

/// A relay in progress. Made by [`relay`]; public so that its size can be asserted.
pub struct Relay<'a, C, B, M> {
    client: &'a C,
    backend: &'a B,
    meter: &'a M,
    /// Client to backend.
    up: Lane,
    /// Backend to client.
    down: Lane,
    watch: Watch<'a>,
    /// Whether its sockets have their keepalive.
    helped: bool,
    first_end: Option<Side>,
}

impl<C, B, M> fmt::Debug for Relay<'_, C, B, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("up", &self.up).field("down", &self.down).finish_non_exhaustive()
    }
}

/// Relays both ways until both sides have ended, one has reset, or a deadline has passed.
///
/// Bytes already read from a side that reset are delivered first, for as long as the other side takes them.
/// Not resumable: dropped before its end, bytes it held are lost, so the streams must then be dropped too (which resets).
pub fn relay<'a, C: Stream, B: Stream, M: Meter>(
    client: &'a C,
    backend: &'a B,
    preface: Preface,
    limits: &'a RelayLimits,
    meter: &'a M,
) -> impl Future<Output = RelayEnd> + Send + use<'a, C, B, M> {
    let mut relay = Relay::new(client, backend, preface, limits, meter);
    async move {
        let mut end = {
            let mut timer = pin!(tokio::time::sleep_until(relay.arm()));
            std::future::poll_fn(|cx| relay.poll(cx, timer.as_mut())).await
        };
        if let RelayEnd::Reset { by, error, delivered } = &mut end {
            // Boxed: rare, and every relay would have to have room for it.
            *delivered = Box::pin(relay.settle(*by, error.kind())).await;
        }
        end
    }
}

impl<'a, C: Stream, B: Stream, M: Meter> Relay<'a, C, B, M> {
    fn new(client: &'a C, backend: &'a B, preface: Preface, limits: &'a RelayLimits, meter: &'a M) -> Self {
        let (spoken, now) = (preface.to_backend.len() > preface.own, Instant::now());
        let up = Lane::new(preface.to_backend, preface.client_ended);
        let (down, watch) = (Lane::new(Vec::new(), false), Watch::new(limits, spoken, now));
        let helped = limits.client_keep_alive.is_none() && limits.backend_keep_alive.is_none();
        Self { client, backend, meter, up, down, watch, helped, first_end: None }
    }

    /// Delivers what the side that reset has said. It is under a deadline, of which whoever watches is told. Whether the client
    /// has got everything, the backend's end too.
    async fn settle(&mut self, by: Side, error: io::ErrorKind) -> bool {
        let limits = self.watch.limits();
        let source_ended = match by {
            Side::Client => self.up.source_ended(),
            Side::Backend => self.down.source_ended(),
        };
        // A kernel that is reset says so (EPIPE in place of ECONNRESET, tcp_reset) where it has the peer's end already.
        if source_ended || error == io::ErrorKind::BrokenPipe {
            self.finish(by).await;
        } else {
            let limit = limits.half_closed;
            self.meter.deadline(&Due::at(Instant::now() + limit.get(), RelayDeadline::HalfClosed));
            match by {
                Side::Client => settle::settle(&mut self.up, self.client, self.backend, limit).await,
                Side::Backend => settle::settle(&mut self.down, self.backend, self.client, limit).await,
            }
        }
        self.down.has_ended() && self.client.unacknowledged() == 0
    }

    /// The same where the side that reset had ended before.
    async fn finish(&mut self, by: Side) {
        let limits = self.watch.limits();
        let (patience, lifetime_end) = (limits.behind_an_end(by.other()), limits.lifetime_end);
        let look = limits.half_closed.get() / FINISH_LOOKS;
        let rest = settle::Rest { meter: self.meter, by, patience, look, lifetime_end };
        let whole = match by {
            Side::Client => settle::finish(&mut self.up, self.client, self.backend, &rest).await,
            Side::Backend => settle::finish(&mut self.down, self.backend, self.client, &rest).await,
        };
        if whole && self.first_end.is_none() {
            self.meter.half_closed(by, Instant::now());
        }
    }

    /// Tells the meter of the deadlines; when the timer has to look.
    fn arm(&self) -> Instant {
        let due = self.watch.told();
        self.meter.deadline(&due);
        let (at, why) = due.nearest();
        self.look(at, why)
    }

    /// When the timer has to fire, where the nearest deadline is `at`.
    fn look(&self, at: Instant, why: RelayDeadline) -> Instant {
        let warning = self.watch.warning(at, why).unwrap_or(at);
        let look = self.watch.next_look().map_or(warning, |look| look.min(warning));
        if self.helped { look } else { look.min(self.watch.started() + SETTLED) }
    }

    /// Gives the sockets their keepalive. It fails only for one that the kernel has given up, and then a read says so.
    fn help(&mut self) {
        self.helped = true;
        let limits = self.watch.limits();
        if let Some(keep_alive) = &limits.client_keep_alive {
            self.client.keep_alive(keep_alive).unwrap_or_default();
        }
        if let Some(keep_alive) = &limits.backend_keep_alive {
            self.backend.keep_alive(keep_alive).unwrap_or_default();
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<RelayEnd> {
        let outcome = self.poll_lanes(cx);
        let otherwise = self.account();
        if let Some(end) = outcome {
            return Poll::Ready(end);
        }
        if let Some((by, error)) = self.poll_gone(cx) {
            return Poll::Ready(RelayEnd::Reset { by, error, delivered: false });
        }
        if otherwise {
            let look = self.arm();
            if look < timer.deadline() {
                timer.as_mut().reset(look);
            }
        }
        loop {
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if let Some(end) = self.fired(cx) {
                return Poll::Ready(end);
            }
            timer.as_mut().reset(self.arm());
        }
    }

    /// What the timer has fired for. Some: the relay is over.
    fn fired(&mut self, cx: &mut Context<'_>) -> Option<RelayEnd> {
        let now = Instant::now();
        if self.watch.due().0 <= now {
            return self.last_look(cx, now);
        }
        if self.watch.next_look().is_some_and(|look| look <= now) {
            self.watch.look(self.client.unacknowledged(), self.backend.unacknowledged(), now);
        }
        if !self.helped && self.watch.started() + SETTLED <= now {
            self.help();
        }
        let (at, why) = self.watch.due();
        if self.watch.warning(at, why).is_some_and(|warning| warning <= now) {
            self.watch.warned(at);
            self.meter.warned(at, why);
        }
        None
    }

    /// A deadline has passed: whether a look at the sockets themselves finds that the peers have not been silent. None: they
    /// have not.
    fn last_look(&mut self, cx: &mut Context<'_>, now: Instant) -> Option<RelayEnd> {
        self.client.look();
        self.backend.look();
        let outcome = self.poll_lanes(cx);
        self.account();
        if outcome.is_some() {
            return outcome;
        }
        self.watch.look(self.client.unacknowledged(), self.backend.unacknowledged(), now);
        let (at, which) = self.watch.due();
        let over = at <= now && (which == RelayDeadline::Lifetime || !self.watch.excuse(at, now));
        over.then(|| RelayEnd::Deadline {
            which,
            at_fault: self.at_fault(which),
            delivered: self.down.has_ended() && self.client.unacknowledged() == 0,
        })
    }

    /// Whose silence or slowness `which` is, where that is one side's.
    fn at_fault(&self, which: RelayDeadline) -> Option<Side> {
        match which {
            RelayDeadline::HalfClosed => self.watch.debtor().or(self.first_end.map(Side::other)),
            RelayDeadline::WriteStall => self.watch.slowest().or_else(|| self.watch.debtor()),
            // Silent, or it does not take what it is sent: all of that fits into the kernel's buffer.
            RelayDeadline::Idle => self.watch.debtor(),
            RelayDeadline::NoData | RelayDeadline::Lifetime => None,
        }
    }

    /// Moves what can be moved. Some: how it ended.
    fn poll_lanes(&mut self, cx: &mut Context<'_>) -> Option<RelayEnd> {
        let up = self.up.poll(cx, self.client, self.backend, self.down.has_ended());
        let down = match up {
            Poll::Ready(Err(_)) => Poll::Pending,
            Poll::Ready(Ok(())) | Poll::Pending => {
                self.down.poll(cx, self.backend, self.client, self.up.has_ended())
            }
        };
        match (up, down) {
            (Poll::Ready(Err(error)), _) => Some(broken(error, Side::Client, Side::Backend)),
            (_, Poll::Ready(Err(error))) => Some(broken(error, Side::Backend, Side::Client)),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => {
                // Both in one poll, the first time: it counts for the client.
                Some(RelayEnd::Finished { first: self.first_end.unwrap_or(Side::Client) })
            }
            (Poll::Pending | Poll::Ready(Ok(())), Poll::Pending | Poll::Ready(Ok(()))) => None,
        }
    }

    /// Tells the meter and the deadlines what the lanes did. Whether a deadline has come nearer or gone by it (the first byte,
    /// a half-close, a stall): one that only moved away waits for the timer to look.
    fn account(&mut self) -> bool {
        let (up, down) = (self.up.take_moved(), self.down.take_moved());
        let ended = [(Side::Client, self.up.source_ended()), (Side::Backend, self.down.source_ended())];
        let newly_ended = self.first_end.is_none() && ended.iter().any(|(_, ended)| *ended);
        let waiting = (self.up.is_stalled(), self.down.is_stalled());
        let mut otherwise = newly_ended || waiting != self.watch.waiting();
        if !(up.any() || down.any() || otherwise) {
            return false;
        }
        let now = Instant::now();
        for (from, moved) in [(Side::Client, up), (Side::Backend, down)] {
            if moved.any() {
                otherwise |= self.watch.moved(moved.read > 0, now);
                self.meter.moved(from, moved.read, now);
            }
        }
        otherwise |= self.watch.lane(Side::Client, waiting.0, up.written, now);
        otherwise |= self.watch.lane(Side::Backend, waiting.1, down.written, now);
        if newly_ended {
            self.first_end = ended.iter().find(|(_, ended)| *ended).map(|(side, _)| *side);
            if let Some(side) = self.first_end {
                self.watch.half_closed(side, now);
                self.meter.half_closed(side, now);
            }
        }
        otherwise
    }

    /// Looks for resets on sides that are not being read: because the other side is slow, or they have ended.
    fn poll_gone(&self, cx: &mut Context<'_>) -> Option<(Side, io::Error)> {
        if !self.up.is_reading()
            && let Poll::Ready(error) = self.client.poll_gone(cx)
        {
            return Some((Side::Client, error));
        }
        if !self.down.is_reading()
            && let Poll::Ready(error) = self.backend.poll_gone(cx)
        {
            return Some((Side::Backend, error));
        }
        None
    }
}

fn broken(error: LaneError, source: Side, sink: Side) -> RelayEnd {
    match error {
        LaneError::Source(error) => RelayEnd::Reset { by: source, error, delivered: false },
        LaneError::Sink(error) => RelayEnd::Reset { by: sink, error, delivered: false },
    }
}

#[cfg(test)]
mod tests;
