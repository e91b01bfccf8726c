//! When a relay has been silent for too long, as pure logic that takes `now`.
//!
//! The rule, for every deadline of silence: **it ends a connection only if one last look finds nothing: no byte to read,
//! none acknowledged.** What the relay itself reads and writes is not all there is to see. Megabytes may be in the kernel's
//! send buffer, and a slow reader takes them without the relay having anything to do; and a process that was held up
//! (stopped, or its machine was) finds what came in time when it is late.
//!
//! ```text
//!              silent for an eighth of the deadline: both peers' unacknowledged bytes are counted
//!   ┌────────┐                           ┌──────┐  some: nobody knows since when,      ┌──────┐
//!   │ moving │ ────────────────────────► │ look │ ───────────────────────────────────► │ owed │ ◄─┐
//!   └────────┘                           └──┬───┘  so the deadline counts from here    └─┬──┬─┘   │ fewer: some was
//!       ▲                             none  │                                   an eighth│  │     │ taken, the deadline
//!       │                                   ▼                                       later▼  │     │ counts from here
//!       │ a byte is read              ┌───────────┐                                ┌──────┐ │     │
//!       │ or written                  │ not owed  │                                │ look ├─┼─────┘
//!       │                             └─────┬─────┘                                └──┬───┘ │
//!       │                                   │ the deadline has passed        as many  └─────┤ the deadline has passed
//!       │      bytes to read                ▼                                               ▼
//!       └─────────────────────────────── last look: both sockets are read whatever is known of them,
//!                                           and counted once more
//!                                           │ nothing, and as many
//!                                           ▼
//!                                         ended, at once or, where this thread itself was late, after a moment
//!                                         and another look: who is next to it may have stood still, too
//! ```
//!
//! So whoever takes a byte within the deadline lives, and whoever takes none is ended within the deadline and an eighth of it
//! (and half a second, once, after a pause of the proxy's own).
//! While bytes move through the relay nobody is asked anything.
//!
//! Which deadline that is depends on what is owed: bytes in the relay's hands, or sent and not acknowledged. Where they lie makes
//! no difference to the peer that has not taken them, so it makes none to how long it is waited for after an end.
//!
//! ```text
//!                    nothing is owed                    bytes are owed, in the kernel      bytes wait in the relay
//!   both sides open  idle (before any byte: no_data)    idle                               write_stall, from when their
//!                                                                                          own sink last took some
//!   one has ended    half_closed                        the longer of half_closed          the same, and no longer than
//!                                                       and write_stall                    write_stall as above
//!
//!   at most          idle and the lifetime, everywhere. Where who is waited for is behind another proxy (`NextTo`), half_closed
//!                    is idle; where who has bytes to take is, write_stall and idle are 80 s at the least.
//! ```

use std::num::NonZeroU64;
use std::time::Duration;

use tokio::time::Instant;

use super::Side;
use super::deadline::{Due, NextTo, RelayDeadline, RelayLimits};
use crate::Bound;
use crate::late::grace;

/// The part of a deadline after which silent sockets are looked at, and looked at again while they owe something. It bounds
/// by how much a dead peer may outstay its deadline; smaller costs more looks.
const LOOKS: u32 = 8;

/// The unit of [`Watch::excused_until`]: four bytes of it are more than a year.
const HUNDREDTH: Duration = Duration::from_millis(10);

/// What the deadlines depend on. Times are marks: how old the relay was. Every connection carries one of these.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    limits: &'a RelayLimits,
    started: Instant,
    /// When bytes last moved, read or written; the start before that.
    last_moved: Mark,
    half_closed_at: Option<Mark>,
    /// Whether the side that ended first is the client: then the backend is waited for.
    awaits_answer: bool,
    /// For each lane with bytes that wait (client's, backend's): since when its sink has taken none.
    stalled_at: [Option<Mark>; 2],
    /// The deadline that was warned of, so that it is told once.
    warned_of: Option<Mark>,
    /// What the peers have not acknowledged, where a look has found something.
    owed: Option<Box<Owed>>,
    ever_moved: bool,
    /// Whether the sockets were looked at since bytes last moved.
    looked: bool,
    /// How old the relay is, in hundredths of a second, when silence may end it at the earliest.
    excused_until: u32,
}

/// How old the relay was, in nanoseconds, and one: so that there is room for none in the same eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Mark(NonZeroU64);

impl Mark {
    /// The relay's beginning.
    const START: Self = Self(NonZeroU64::MIN);
}

/// Bytes that were written to the two sides and not acknowledged: the client's, the backend's.
#[derive(Debug)]
struct Owed {
    bytes: [usize; 2],
    asked_at: Mark,
}

/// A deadline of silence: since when, for how long, and which.
type Silence = (Mark, Bound, RelayDeadline);

impl<'a> Watch<'a> {
    /// `spoken`: whether the client has sent bytes before.
    pub(super) const fn new(limits: &'a RelayLimits, spoken: bool, now: Instant) -> Self {
        Self {
            limits,
            started: now,
            last_moved: Mark::START,
            ever_moved: spoken,
            half_closed_at: None,
            awaits_answer: false,
            stalled_at: [None; 2],
            warned_of: None,
            owed: None,
            looked: false,
            excused_until: 0,
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

    /// Bytes moved; `read`: some were read, not only written. Whether they were the first.
    pub(super) fn moved(&mut self, read: bool, now: Instant) -> bool {
        let first = read && !self.ever_moved;
        self.last_moved = self.mark(now);
        self.ever_moved |= read;
        self.looked = false;
        first
    }

    /// `side` has ended, the first of the two.
    pub(super) fn half_closed(&mut self, side: Side, now: Instant) {
        self.awaits_answer = side == Side::Client;
        self.half_closed_at = Some(self.mark(now));
    }

    /// In which lanes bytes wait, as last told: the client's, the backend's.
    pub(super) const fn waiting(&self) -> (bool, bool) {
        let [client, backend] = &self.stalled_at;
        (client.is_some(), backend.is_some())
    }

    /// What one lane does: whether bytes wait in it, and how many its sink has taken since last told. Whether its stall began,
    /// ended or has another deadline by that.
    pub(super) fn lane(&mut self, from: Side, waits: bool, taken: u64, now: Instant) -> bool {
        let now = self.mark(now);
        let [client, backend] = &mut self.stalled_at;
        let stalled = match from {
            Side::Client => client,
            Side::Backend => backend,
        };
        let was = *stalled;
        *stalled = if !waits {
            None
        } else if taken > 0 {
            Some(now)
        } else {
            stalled.or(Some(now))
        };
        let changed = was != *stalled;
        if let Some(owed) = &mut self.owed {
            let [client, backend] = &mut owed.bytes;
            let sink = match from {
                Side::Client => backend,
                Side::Backend => client,
            };
            *sink = sink.saturating_add(usize::try_from(taken).unwrap_or(usize::MAX));
        }
        changed
    }

    /// What a look finds: how many bytes the client and the backend have not acknowledged. Fewer than are owed: that side
    /// has taken some, at the latest now.
    pub(super) fn look(&mut self, client: usize, backend: usize, now: Instant) {
        let now = self.mark(now);
        self.looked = true;
        let taken = |found: usize, owed: Option<usize>| owed.map_or(found > 0, |owed| found < owed);
        let [from_client, from_backend] = &mut self.stalled_at;
        let owed = self.owed.as_ref().map(|owed| owed.bytes);
        let sinks = [
            (client, owed.map(|[bytes, _]| bytes), from_backend),
            (backend, owed.map(|[_, bytes]| bytes), from_client),
        ];
        for (found, owed, stalled) in sinks {
            if taken(found, owed) {
                self.last_moved = now;
                *stalled = stalled.map(|_| now);
            }
        }
        let bytes = [client, backend];
        self.owed = match self.owed.take() {
            _ if bytes == [0, 0] => None,
            Some(mut owed) => {
                *owed = Owed { bytes, asked_at: now };
                Some(owed)
            }
            None => Some(Box::new(Owed { bytes, asked_at: now })),
        };
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

    /// The side that has not acknowledged what was written to it, where that is one of them.
    pub(super) fn debtor(&self) -> Option<Side> {
        let [client, backend] = self.owed.as_ref()?.bytes;
        match (client > 0, backend > 0) {
            (true, false) => Some(Side::Client),
            (false, true) => Some(Side::Backend),
            (true, true) | (false, false) => None,
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
        self.told().nearest()
    }

    /// All that whoever shows the nearest deadline has to know until the next look, end or stall, or the first byte.
    pub(super) fn told(&self) -> Due {
        let (lifetime, anew) = ((self.limits.lifetime_end, RelayDeadline::Lifetime), self.anew());
        let fixed = self.fixed().map(|fixed| (self.passes(&fixed), fixed.2));
        Due {
            silent: (self.passes(&anew), anew.2),
            anew: Some(anew.1),
            fixed: fixed.filter(|fixed| fixed.0 < lifetime.0).or(Some(lifetime)),
        }
    }

    /// When the sockets are to be looked at before a deadline of silence passes; None where nothing would come of it: all was
    /// acknowledged, and nothing was written since. What is owed may be taken at any time, and from then on a shorter deadline
    /// applies: it is looked at as often as that one asks for.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let (since, bound, _) = self.silence();
        let unless_owed =
            if self.half_closed_at.is_some() { self.half_closed_bound() } else { self.limits.idle };
        let bound = bound.min(unless_owed);
        let asked_at = self.owed.as_ref().map(|owed| owed.asked_at);
        let from = match asked_at {
            Some(asked_at) => since.max(asked_at),
            None if self.looked => return None,
            None => since,
        };
        Some(self.instant(from) + bound.get() / LOOKS)
    }

    /// The sides that have not taken all of what was read for them, as far as is known.
    fn owing(&self) -> impl Iterator<Item = Side> {
        let [to_client, to_backend] = self.owed.as_ref().map_or([0, 0], |owed| owed.bytes);
        let [from_client, from_backend] = &self.stalled_at;
        let client = (to_client > 0 || from_backend.is_some()).then_some(Side::Client);
        let backend = (to_backend > 0 || from_client.is_some()).then_some(Side::Backend);
        client.into_iter().chain(backend)
    }

    /// `bound` as it applies to those that have bytes to take: the longest, where that is both. None where nobody has.
    fn for_taking(&self, bound: Bound) -> Option<Bound> {
        self.owing().map(|sink| self.limits.for_taking(bound, sink)).max()
    }

    /// The deadline of silence after one side has ended: for how long, and what it is called.
    fn after_an_end(&self) -> (Bound, RelayDeadline) {
        let half_closed = self.half_closed_bound();
        let write_stall = self.for_taking(self.limits.write_stall).filter(|stall| half_closed < *stall);
        write_stall
            .map_or((half_closed, RelayDeadline::HalfClosed), |stall| (stall, RelayDeadline::WriteStall))
    }

    /// How long one side may be silent after the other has ended, where nothing is owed.
    fn half_closed_bound(&self) -> Bound {
        let limits = self.limits;
        let NextTo { client, backend } = limits.proxies;
        let judges = if self.awaits_answer { backend } else { client };
        if judges { limits.half_closed.max(limits.idle) } else { limits.half_closed }
    }

    /// The deadline of silence that is the nearest.
    fn silence(&self) -> Silence {
        let (anew, fixed) = (self.anew(), self.fixed());
        fixed.filter(|fixed| self.passes(fixed) < self.passes(&anew)).unwrap_or(anew)
    }

    fn passes(&self, (since, bound, _): &Silence) -> Instant {
        (self.instant(*since) + bound.get()).max(self.excused_until())
    }

    fn excused_until(&self) -> Instant {
        self.started + HUNDREDTH * self.excused_until
    }

    /// That the deadline of silence `at` has passed is found as late as `now`, and a look has found nothing. Whether this
    /// thread stood still meanwhile: then it passes a little later, but only once for as long as nothing moves.
    pub(super) fn excuse(&mut self, at: Instant, now: Instant) -> bool {
        let Some(grace) = grace(now.saturating_duration_since(at)).filter(|_| at > self.excused_until())
        else {
            return false;
        };
        let age = (now + grace).saturating_duration_since(self.started);
        self.excused_until = u32::try_from(age.as_millis().div_ceil(HUNDREDTH.as_millis())).unwrap_or(0);
        self.excused_until() > now
    }

    /// The nearest of those that every byte starts anew.
    fn anew(&self) -> Silence {
        let idle = self.for_taking(self.limits.idle).unwrap_or(self.limits.idle);
        let idle = (self.last_moved, idle, RelayDeadline::Idle);
        let Some(at) = self.half_closed_at else { return idle };
        let (bound, which) = self.after_an_end();
        let ended = (at.max(self.last_moved), bound, which);
        if self.passes(&ended) <= self.passes(&idle) { ended } else { idle }
    }

    /// The nearest of those that other bytes do not move: traffic the other way does not lift a stall, only its own side can.
    fn fixed(&self) -> Option<Silence> {
        let stall = |sink| (self.limits.for_taking(self.limits.write_stall, sink), RelayDeadline::WriteStall);
        let sinks = self.stalled_at.iter().zip([Side::Backend, Side::Client]);
        let stalled = sinks.filter_map(|(at, sink)| at.map(|at| (at, stall(sink))));
        let stalled =
            stalled.map(|(at, (bound, which))| (at, bound, which)).min_by_key(|stalled| self.passes(stalled));
        if self.ever_moved {
            return stalled;
        }
        let never_a_byte = (Mark::START, self.limits.no_data, RelayDeadline::NoData);
        stalled.filter(|stalled| self.passes(stalled) <= self.passes(&never_a_byte)).or(Some(never_a_byte))
    }
}

#[cfg(test)]
mod tests;
