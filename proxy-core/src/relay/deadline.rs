//! When a relay has lasted too long: the nearest of five deadlines, as pure logic that takes `now`.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Side;
use crate::bound::Bound;
use crate::options::KeepAlive;

/// The deadlines of a relay. None is optional: one that should not matter is very long.
#[derive(Debug, Clone)]
pub struct RelayLimits {
    /// Nothing moved, either way, for this long.
    pub idle: Bound,
    /// One side has ended and nothing moved since for this long. Any byte starts it anew.
    pub half_closed: Bound,
    /// Bytes wait for a side that takes none for this long.
    pub write_stall: Bound,
    /// Established for this long without one byte ever, either way.
    pub no_data: Bound,
    /// The end of the connection's life, whatever it does.
    pub lifetime_end: Instant,
    /// How long before it is ended for idleness or age somebody is told; None for never.
    pub warn_before: Option<Bound>,
    /// What the client's socket is given once the relay is a second old, unless it inherited that from the listener.
    pub client_keep_alive: Option<Arc<KeepAlive>>,
    /// The same for the backend's. A connection that is over sooner needs no help against a peer that vanishes, and is
    /// spared five system calls.
    pub backend_keep_alive: Option<Arc<KeepAlive>>,
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

/// What the deadlines depend on. Times are marks: how old the relay was. Every connection carries one of these.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    limits: &'a RelayLimits,
    started: Instant,
    /// When bytes last moved, read or written; the start before that.
    last_moved: Mark,
    half_closed_at: Option<Mark>,
    /// For each lane with bytes that wait (client's, backend's): since when its sink has taken none.
    stalled_at: [Option<Mark>; 2],
    /// The deadline that was warned of, so that it is told once.
    warned_of: Option<Mark>,
    ever_moved: bool,
}

/// How old the relay was, in nanoseconds, and one: so that there is room for none in the same eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Mark(NonZeroU64);

impl<'a> Watch<'a> {
    /// `spoken`: whether the client has sent bytes before.
    pub(super) const fn new(limits: &'a RelayLimits, spoken: bool, now: Instant) -> Self {
        Self {
            limits,
            started: now,
            last_moved: Mark(NonZeroU64::MIN),
            ever_moved: spoken,
            half_closed_at: None,
            stalled_at: [None; 2],
            warned_of: None,
        }
    }

    pub(super) const fn limits(&self) -> &'a RelayLimits {
        self.limits
    }

    /// When the relay began.
    pub(super) const fn started(&self) -> Instant {
        self.started
    }

    fn mark(&self, at: Instant) -> Mark {
        let age = u64::try_from(at.saturating_duration_since(self.started).as_nanos()).unwrap_or(u64::MAX);
        Mark(NonZeroU64::MIN.saturating_add(age))
    }

    fn instant(&self, mark: Mark) -> Instant {
        self.started + Duration::from_nanos(mark.0.get() - 1)
    }

    /// Bytes moved; `read`: some were read, not only written.
    pub(super) fn moved(&mut self, read: bool, now: Instant) {
        self.last_moved = self.mark(now);
        self.ever_moved |= read;
    }

    pub(super) fn half_closed(&mut self, now: Instant) {
        let now = self.mark(now);
        self.half_closed_at.get_or_insert(now);
    }

    /// In which lanes bytes wait, as last told: the client's, the backend's.
    pub(super) const fn waiting(&self) -> (bool, bool) {
        let [client, backend] = &self.stalled_at;
        (client.is_some(), backend.is_some())
    }

    /// What one lane does: whether bytes wait in it, and whether its sink has taken some since last told. Whether that
    /// changed anything.
    pub(super) fn lane(&mut self, from: Side, waits: bool, taken: bool, now: Instant) -> bool {
        let now = self.mark(now);
        let [client, backend] = &mut self.stalled_at;
        let stalled = match from {
            Side::Client => client,
            Side::Backend => backend,
        };
        let was = *stalled;
        *stalled = if !waits {
            None
        } else if taken {
            Some(now)
        } else {
            stalled.or(Some(now))
        };
        was != *stalled
    }

    /// The side that has taken nothing for longest, of those for which bytes wait.
    pub(super) fn slowest(&self) -> Option<Side> {
        let [from_client, from_backend] = self.stalled_at;
        match (from_client, from_backend) {
            (None, None) => None,
            (Some(_), None) => Some(Side::Backend),
            (None, Some(_)) => Some(Side::Client),
            (Some(up), Some(down)) => Some(if up <= down { Side::Backend } else { Side::Client }),
        }
    }

    /// When somebody is to be told of the deadline that is due at `at`; None if not, or already done.
    pub(super) fn warning(&self, at: Instant, why: RelayDeadline) -> Option<Instant> {
        let before = self.limits.warn_before?;
        let warned = matches!(why, RelayDeadline::Idle | RelayDeadline::Lifetime)
            && self.warned_of != Some(self.mark(at));
        at.checked_sub(before.get()).filter(|_| warned)
    }

    pub(super) fn warned(&mut self, of: Instant) {
        self.warned_of = Some(self.mark(of));
    }

    /// The nearest deadline and which it is.
    pub(super) fn due(&self) -> (Instant, RelayDeadline) {
        let limits = self.limits;
        let since = |at: Mark, bound: Bound| self.instant(at.max(self.last_moved)) + bound.get();
        let never_a_byte =
            (!self.ever_moved).then(|| (self.started + limits.no_data.get(), RelayDeadline::NoData));
        let half_closed =
            self.half_closed_at.map(|at| (since(at, limits.half_closed), RelayDeadline::HalfClosed));
        // Traffic the other way does not lift a stall: only its own side can.
        let stalled = self.stalled_at.iter().flatten().min();
        let stalled =
            stalled.map(|at| (self.instant(*at) + limits.write_stall.get(), RelayDeadline::WriteStall));
        let idle = (self.instant(self.last_moved) + limits.idle.get(), RelayDeadline::Idle);
        let lifetime = (limits.lifetime_end, RelayDeadline::Lifetime);
        let conditional = [half_closed, stalled, never_a_byte].into_iter().flatten();
        conditional
            .chain([idle])
            .fold(lifetime, |nearest, next| if next.0 < nearest.0 { next } else { nearest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_nearest_deadline_is_the_one_that_applies() {
        let start = Instant::now();
        let at = |secs: u64| start + Duration::from_secs(secs);
        let limits = RelayLimits {
            idle: Bound::secs(100),
            half_closed: Bound::secs(10),
            write_stall: Bound::secs(20),
            no_data: Bound::secs(50),
            lifetime_end: at(1000),
            warn_before: None,
            client_keep_alive: None,
            backend_keep_alive: None,
        };
        let mut watch = Watch::new(&limits, false, start);
        assert_eq!(watch.due(), (at(50), RelayDeadline::NoData));
        watch.moved(true, at(5));
        assert_eq!(watch.due(), (at(105), RelayDeadline::Idle));
        assert!(watch.lane(Side::Client, true, false, at(7)));
        watch.moved(true, at(7));
        assert_eq!(watch.due(), (at(27), RelayDeadline::WriteStall));
        watch.half_closed(at(8));
        assert_eq!(watch.due(), (at(18), RelayDeadline::HalfClosed));
        watch.moved(true, at(9));
        assert_eq!(watch.due(), (at(19), RelayDeadline::HalfClosed), "a byte starts it anew");
        watch.lane(Side::Client, true, true, at(15));
        assert_eq!(watch.due(), (at(19), RelayDeadline::HalfClosed), "its sink took some");
        watch.lane(Side::Client, false, true, at(16));
        watch.moved(true, at(995));
        assert_eq!(watch.due(), (at(1000), RelayDeadline::Lifetime));
    }
}
