//! The process's memory: what of it connections hold, and giving back what nobody does.

use std::time::Duration;

use proxy_conn::overload::Usage;
use proxy_core::memory;
use tokio::time::Instant;

use crate::resident::Resident;

/// Freed memory of less than these is not worth looking for while nobody is refused for it.
const WORTH_A_LOOK: u64 = 16 << 20;
/// While memory is short, this is.
const WORTH_IT: u64 = 1 << 20;
/// How often it is looked for at the most: it takes the allocator's locks, milliseconds for tens of megabytes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For how long what is allocated may still be the generation before's, whose connections have not got their backends yet.
const PASSING: Duration = Duration::from_secs(5);

/// What is known of the process's memory from one look to the next.
#[derive(Debug)]
pub(super) struct Heap {
    resident: Resident,
    /// What is allocated whoever comes or goes: the least there was in this generation.
    own: Option<u64>,
    /// What was allocated when last looked.
    last: u64,
    /// Since when another generation is in force whose own memory is not known yet, and what was not the last one's.
    passing: Option<(Instant, u64)>,
    released: Option<Released>,
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
    /// Of a process that has served nobody yet.
    pub(super) fn new() -> Self {
        Self { resident: Resident::new(), own: memory::allocated(), last: 0, passing: None, released: None }
    }

    /// Another generation is in force: how much is its own has to be found out anew.
    pub(super) fn another_generation(&mut self, now: Instant) {
        let others =
            self.passing.map_or(self.last.saturating_sub(self.own.unwrap_or(0)), |(_, others)| others);
        self.passing = Some((now, others));
    }

    /// What of `most` bytes is in use, and what the process itself has of it. Where they are nearly used up, what was freed is
    /// given back first; and it never counts.
    ///
    /// `nobody`: there are no connections. `passed`: the generation before is gone.
    pub(super) fn usage(&mut self, most: u64, nobody: bool, passed: bool, now: Instant) -> Usage {
        let mut read = self.read();
        let worth = if read.resident >= most / 2 { WORTH_IT } else { WORTH_A_LOOK };
        if read.spare() >= self.left(read) + worth && !self.is_recent(now) {
            read = self.release(now);
        }
        let allocated = read.allocated.min(read.resident);
        self.learn(allocated, nobody, passed, now);
        Usage::new(allocated, most).beside(self.own.unwrap_or(0))
    }

    /// Gives back what was freed.
    pub(super) fn give_back(&mut self, now: Instant) {
        self.release(now);
    }

    fn release(&mut self, now: Instant) -> Read {
        memory::release();
        let read = self.read();
        self.released = Some(Released { at: now, left: read.spare() });
        read
    }

    /// Memory that was freed and cannot be given back: there is always some of the program's own, and pages of which a part is
    /// in use.
    fn left(&mut self, read: Read) -> u64 {
        let left = self.released.as_mut().map(|released| {
            released.left = released.left.min(read.spare());
            released.left
        });
        left.unwrap_or(0)
    }

    fn is_recent(&self, now: Instant) -> bool {
        self.released.is_some_and(|released| now.saturating_duration_since(released.at) < LOOK_EVERY)
    }

    /// Finds out what of it is the process's own.
    fn learn(&mut self, allocated: u64, nobody: bool, passed: bool, now: Instant) {
        self.last = allocated;
        if nobody {
            (self.own, self.passing) = (Some(allocated), None);
        } else if let Some((since, others)) = self.passing {
            self.own = Some(allocated.saturating_sub(others));
            if passed || now.saturating_duration_since(since) >= PASSING {
                self.passing = None;
            }
        } else {
            self.own = Some(self.own.map_or(allocated, |own| own.min(allocated)));
        }
    }

    fn read(&self) -> Read {
        let resident = self.resident.bytes();
        let allocated = memory::allocated().or(resident).unwrap_or(0);
        Read { allocated, resident: resident.unwrap_or(allocated) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn heap(own: u64) -> (Heap, Instant) {
        (Heap { own: Some(own), ..Heap::new() }, Instant::now())
    }

    #[test]
    fn own_is_what_is_there_when_nobody_is() {
        let (mut heap, now) = heap(10 * MIB);
        heap.learn(30 * MIB, false, true, now);
        assert_eq!(heap.own, Some(10 * MIB));
        heap.learn(12 * MIB, true, true, now);
        assert_eq!(heap.own, Some(12 * MIB));
        heap.learn(8 * MIB, false, true, now);
        assert_eq!(heap.own, Some(8 * MIB), "all of it can be no more than there is");
    }

    /// A configuration of a hundred thousand routes takes memory that no connection has.
    #[test]
    fn what_another_generation_takes_is_its_own() {
        let (mut heap, now) = heap(10 * MIB);
        heap.learn(30 * MIB, false, true, now);
        heap.another_generation(now);
        heap.learn(430 * MIB, false, false, now);
        assert_eq!(heap.own, Some(410 * MIB));
        // The one before is gone with the last connection that was accepted under it.
        heap.learn(420 * MIB, false, true, now);
        assert_eq!(heap.own, Some(400 * MIB));
        heap.learn(500 * MIB, false, true, now);
        assert_eq!(heap.own, Some(400 * MIB), "from then on it is connections that take more");
    }

    #[test]
    fn a_generation_that_is_long_about_going_hides_nothing() {
        let (mut heap, now) = heap(10 * MIB);
        heap.learn(30 * MIB, false, true, now);
        heap.another_generation(now);
        heap.learn(50 * MIB, false, false, now + PASSING);
        heap.learn(90 * MIB, false, false, now + PASSING);
        assert_eq!(heap.own, Some(30 * MIB));
    }

    /// With what was freed and not given back the bound would be passed.
    #[test]
    fn what_was_freed_does_not_count() {
        let (mut heap, now) = heap(0);
        // A thread of its own has a heap of its own, whose middle stays when all but its end is freed.
        let held = std::thread::spawn(|| {
            let mut blocks: Vec<_> = (0..2000).map(|_| vec![1_u8; 32 << 10]).collect();
            blocks.drain(..1999);
            blocks
        });
        let held = held.join().unwrap();
        let most = 64 * MIB;
        let usage = heap.usage(most, false, true, now);
        assert!(usage.used < most, "{usage:?} with {}", held.len());
        assert!(heap.released.is_some_and(|released| released.at == now));
    }
}
