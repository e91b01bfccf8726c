//! The process's memory: what of it connections hold, and giving back what nobody does.

use std::time::Duration;

use proxy_conn::overload::Usage;
use proxy_core::process::memory;
use tokio::time::Instant;

use crate::resident::Resident;

/// Freed memory of less than these is not worth looking for while nobody is refused for it.
const WORTH_A_LOOK: u64 = 16 << 20;
/// While memory is short, this is.
const WORTH_IT: u64 = 1 << 20;
/// How often it is looked for at the most: it takes the allocator's locks, milliseconds for tens of megabytes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For how long after a change what is allocated may still be the generation before's, whose connections have not got their
/// backends yet.
const PASSING: Duration = Duration::from_secs(5);
/// For how long it changes at least: an answer that tells what a change comes to is written after it, and is large too.
const SETTLING: Duration = Duration::from_secs(2);

/// What is known of the process's memory from one look to the next.
#[derive(Debug)]
pub(super) struct Heap {
    /// From when a bound was set.
    resident: Option<Resident>,
    /// What is allocated whoever comes or goes: the least there was in this generation.
    own: Option<u64>,
    /// What was allocated when last looked, and for how many connections.
    last: Held,
    /// What is the process's own is changing.
    passing: Option<Passing>,
    released: Option<Released>,
}

/// What connections hold, and how many there are.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    bytes: u64,
    connections: usize,
}

impl Held {
    /// What so many connections hold, if each holds as much as these do.
    fn by(self, connections: usize) -> u64 {
        let bytes = u128::from(self.bytes) * connections as u128 / self.connections.max(1) as u128;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// A change of what is the process's own, while it lasts.
#[derive(Debug, Clone, Copy)]
struct Passing {
    /// When it was last seen to go on.
    since: Instant,
    /// Whether another generation has come into force: otherwise nothing of it stays.
    stays: bool,
    /// What connections held before.
    others: Held,
}

/// The last time that memory was given back.
#[derive(Debug, Clone, Copy)]
struct Released {
    at: Instant,
    /// What of the freed memory could not be.
    left: u64,
}

/// What was read of the process's memory.
#[derive(Debug, Clone, Copy)]
struct Read {
    allocated: u64,
    resident: u64,
}

impl Read {
    /// What is in memory and nobody has: mostly what was freed, and the program itself.
    const fn spare(self) -> u64 {
        self.resident.saturating_sub(self.allocated)
    }
}

impl Heap {
    /// Of a process that has served nobody yet. Where its memory is bounded (`watched`) it is seen from now on, whether there
    /// are descriptors later or not.
    pub(super) fn new(watched: bool) -> Self {
        let resident = if watched { Resident::new() } else { None };
        Self { resident, own: memory::allocated(), last: Held::default(), passing: None, released: None }
    }

    /// Another generation has come into force, and what it takes is the process's own.
    pub(super) fn changes(&mut self, now: Instant) {
        self.pass(true, now);
    }

    /// A configuration is being read or compared, which takes memory for as long as that lasts.
    pub(super) fn prepares(&mut self, now: Instant) {
        self.pass(false, now);
    }

    /// Until it has passed each connection is taken to hold what it held before, and what is the process's own to be what it
    /// was: what the change takes is held against nobody, and moves no mark.
    fn pass(&mut self, stays: bool, now: Instant) {
        let before = Held { bytes: self.last.bytes.saturating_sub(self.own.unwrap_or(0)), ..self.last };
        let (stayed, others) =
            self.passing.map_or((false, before), |passing| (passing.stays, passing.others));
        self.passing = Some(Passing { since: now, stays: stays || stayed, others });
    }

    /// What of `most` bytes is in use by so many `connections`, and what the process itself has of it. Where they are nearly
    /// used up, what was freed is given back first; and it never counts.
    ///
    /// `passed`: nothing changes any more, and the generation before is gone.
    pub(super) fn usage(&mut self, most: u64, connections: usize, passed: bool, now: Instant) -> Usage {
        let mut read = self.read();
        if self.is_worth_it(read, most, now) {
            read = self.release(now);
        }
        let allocated = read.allocated.min(read.resident);
        let used = self.learn(allocated, connections, passed, now);
        Usage::new(used, most).beside(self.own.unwrap_or(0))
    }

    /// Whether what is the process's own is known, and does not change.
    pub(super) fn is_settled(&self) -> bool {
        self.passing.is_none()
    }

    /// Gives back what was freed.
    pub(super) fn give_back(&mut self, now: Instant) {
        if self.resident.is_some() {
            self.release(now);
        } else {
            memory::release();
        }
    }

    fn release(&mut self, now: Instant) -> Read {
        memory::release();
        let read = self.read();
        self.released = Some(Released { at: now, left: read.spare() });
        read
    }

    /// Whether there is enough to give back, beyond what could not be given back the last time: there is always some of the
    /// program's own, and pages of which a part is in use.
    fn is_worth_it(&mut self, read: Read, most: u64, now: Instant) -> bool {
        let worth = if read.resident >= most / 2 { WORTH_IT } else { WORTH_A_LOOK };
        let Some(last) = &mut self.released else { return read.spare() >= worth };
        last.left = last.left.min(read.spare());
        read.spare() >= last.left + worth && now.saturating_duration_since(last.at) >= LOOK_EVERY
    }

    /// Finds out what of it is the process's own; what of it is in use by that.
    fn learn(&mut self, allocated: u64, connections: usize, passed: bool, now: Instant) -> u64 {
        self.last = Held { bytes: allocated, connections };
        let Some(Passing { since, stays, others }) = self.passing else {
            let least = self.own.filter(|_| connections > 0).map_or(allocated, |own| own.min(allocated));
            self.own = Some(least);
            return allocated;
        };
        let others = others.by(connections);
        if now.saturating_duration_since(since) >= if passed { SETTLING } else { PASSING } {
            self.passing = None;
            let own = self.own.filter(|_| !stays && connections > 0);
            self.own = Some(own.map_or(allocated.saturating_sub(others), |own| own.min(allocated)));
            return allocated;
        }
        let own = self.own.unwrap_or(0).min(allocated);
        own.saturating_add(others).min(allocated)
    }

    fn read(&mut self) -> Read {
        if self.resident.is_none() {
            self.resident = Resident::new();
        }
        let resident = self.resident.as_ref().and_then(Resident::bytes);
        let allocated = memory::allocated().or(resident).unwrap_or(0);
        Read { allocated, resident: resident.unwrap_or(allocated) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn heap(own: u64) -> (Heap, Instant) {
        (Heap { own: Some(own), ..Heap::new(true) }, Instant::now())
    }

    #[test]
    fn own_is_what_is_there_when_nobody_is() {
        let (mut heap, now) = heap(10 * MIB);
        heap.learn(30 * MIB, 9, true, now);
        assert_eq!(heap.own, Some(10 * MIB));
        heap.learn(12 * MIB, 0, true, now);
        assert_eq!(heap.own, Some(12 * MIB));
        heap.learn(8 * MIB, 9, true, now);
        assert_eq!(heap.own, Some(8 * MIB), "all of it can be no more than there is");
    }

    /// A configuration of a hundred thousand routes takes memory that no connection has.
    #[test]
    fn what_another_generation_takes_is_its_own() {
        let (mut heap, now) = heap(10 * MIB);
        heap.learn(30 * MIB, 9, true, now);
        heap.prepares(now);
        assert_eq!(heap.learn(430 * MIB, 9, false, now), 30 * MIB);
        // A large file takes long to read.
        let read = now + 20 * LOOK_EVERY;
        heap.changes(read);
        assert_eq!(heap.learn(600 * MIB, 9, false, read), 30 * MIB);
        assert_eq!(heap.own, Some(10 * MIB));
        // The one before is gone, and so is what the change was answered with.
        assert_eq!(heap.learn(420 * MIB, 9, true, read + SETTLING), 420 * MIB);
        assert_eq!((heap.own, heap.is_settled()), (Some(400 * MIB), true));
        heap.learn(500 * MIB, 9, true, read + SETTLING);
        assert_eq!(heap.own, Some(400 * MIB), "from then on it is connections that take more");
    }

    #[test]
    fn what_a_comparison_takes_is_held_against_nobody_and_moves_no_mark() {
        let (mut heap, now) = heap(10 * MIB);
        heap.learn(50 * MIB, 100, true, now);
        heap.prepares(now);
        let mut seen = |allocated, connections, since| {
            (heap.learn(allocated * MIB, connections, true, now + since) / MIB, heap.own.unwrap_or(0) / MIB)
        };
        let soon = Duration::from_secs(1);
        assert_eq!(seen(200, 100, soon), (50, 10));
        assert_eq!(seen(200, 50, soon), (30, 10), "who goes gives back what it had");
        assert_eq!(seen(200, 200, soon), (90, 10), "and a crowd that comes takes as much each");
        assert_eq!(seen(150, 0, soon), (10, 10), "what is left of it is not what the process needs");
        assert_eq!(seen(55, 100, SETTLING), (55, 10));
        assert!(heap.is_settled());
    }

    #[test]
    fn a_generation_that_is_long_about_going_hides_nothing() {
        let (mut heap, now) = heap(10 * MIB);
        heap.learn(30 * MIB, 9, true, now);
        heap.changes(now);
        heap.learn(50 * MIB, 9, false, now + PASSING);
        heap.learn(90 * MIB, 9, false, now + PASSING);
        assert_eq!(heap.own, Some(30 * MIB));
    }

    #[test]
    fn what_was_freed_is_given_back_where_that_is_worth_it() {
        let (mut heap, now) = heap(0);
        let mut worth = |spare: u64, resident: u64, seconds| {
            let read = Read { allocated: (resident - spare) * MIB, resident: resident * MIB };
            heap.is_worth_it(read, 100 * MIB, now + Duration::from_secs(seconds))
        };
        assert_eq!(
            [worth(15, 40, 0), worth(16, 40, 0), worth(0, 60, 0), worth(1, 60, 0)],
            [false, true, false, true]
        );
        heap.released = Some(Released { at: now, left: 20 * MIB });
        let mut worth = |spare: u64, resident: u64, millis| {
            let read = Read { allocated: (resident - spare) * MIB, resident: resident * MIB };
            heap.is_worth_it(read, 100 * MIB, now + Duration::from_millis(millis))
        };
        assert!(!worth(90, 95, 999), "it was tried just now");
        assert!(!worth(20, 95, 1000), "so much could not be given back the last time");
        assert!(worth(21, 95, 1000));
        assert!(!worth(5, 95, 1000), "by now most of it is in use again");
        assert!(worth(6, 95, 1000), "and this is not what was left");
    }

    #[test]
    fn what_was_freed_does_not_count() {
        let (mut heap, now) = heap(0);
        let usage = heap.usage(u64::MAX, 1, true, now);
        let resident = heap.read().resident;
        assert!(usage.used > 0 && resident > 0 && usage.own <= usage.used, "{usage:?}, {resident}");
    }
}
