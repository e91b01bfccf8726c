//! Counts of one subject, each worker's on cache lines of its own.
//!
//! ```text
//!  nobody yet: 8 bytes │ the first 64: 384 bytes, all workers together │ then 384 more for each worker that has any
//! ```
//! A file may have a hundred thousand routes, most of which have a few connections a day, and those need no lines for each of many
//! workers: the first so many are counted together, where two workers at once cost a cache miss and no more.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use once_cell::race::OnceBox;

use super::account::{Account, Valued, Worker};
use super::totals::Totals;
use super::waits::WAITS;
use crate::end::Cause;
use crate::histogram::{Bounds, Snapshot};

/// So many are counted together before each worker has lines of its own: at that rate nobody meets anybody.
const FEW: u64 = 64;

/// Cells of a histogram: one for each bound, and one for what lies beyond.
const OF_WAITS: usize = WAITS.as_slice().len() + 1;
const OF_LIVES: usize = Bounds::MILLIS.as_slice().len() + 1;
const CELLS: usize = 2 * OF_WAITS + OF_LIVES;

/// The histograms of a shard.
#[derive(Debug, Clone, Copy)]
enum Of {
    Dial,
    FirstByte,
    Lifetime,
}

impl Of {
    const COUNT: usize = 3;

    /// Where its cells begin, how many they are, and their bounds.
    const fn cells(self) -> (usize, usize, Bounds) {
        match self {
            Self::Dial => (0, OF_WAITS, WAITS),
            Self::FirstByte => (OF_WAITS, OF_WAITS, WAITS),
            Self::Lifetime => (2 * OF_WAITS, OF_LIVES, Bounds::MILLIS),
        }
    }
}

/// Counts, made when there is something to count.
#[derive(Debug, Default)]
pub(crate) struct Counts(OnceBox<Outcomes>);

/// Aligned so that no two writers share what processors fetch at once: 128 bytes, two lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Outcomes {
    /// Of the first few, of all workers; and of all there are, where there is one worker.
    first: Shard,
    /// Bytes that walks have counted: from clients, from backends.
    walked: [AtomicU64; 2],
    /// By worker.
    own: OnceLock<Box<[OnceBox<Own>]>>,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Own(Shard);

#[derive(Debug)]
struct Shard {
    opened: AtomicU64,
    /// Of the cause that most have.
    finished: AtomicU64,
    passed_on: AtomicU64,
    failed: AtomicU64,
    unanswered: AtomicU64,
    from_client: AtomicU64,
    from_backend: AtomicU64,
    sums: [AtomicU64; Of::COUNT],
    /// The lower halves of how many values each bucket has.
    cells: [AtomicU32; CELLS],
    seldom: OnceBox<Seldom>,
}

/// What few have.
#[derive(Debug)]
struct Seldom {
    /// By cause.
    ended: [AtomicU64; Cause::ALL.len()],
    /// The upper halves.
    carried: [AtomicU32; CELLS],
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            opened: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            passed_on: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            from_client: AtomicU64::new(0),
            from_backend: AtomicU64::new(0),
            sums: [const { AtomicU64::new(0) }; Of::COUNT],
            cells: [const { AtomicU32::new(0) }; CELLS],
            seldom: OnceBox::new(),
        }
    }
}

impl Default for Seldom {
    fn default() -> Self {
        Self {
            ended: [const { AtomicU64::new(0) }; Cause::ALL.len()],
            carried: [const { AtomicU32::new(0) }; CELLS],
        }
    }
}

fn add(to: &AtomicU64, value: u64) {
    if value > 0 {
        to.fetch_add(value, Ordering::Relaxed);
    }
}

fn read(from: &AtomicU64) -> u64 {
    from.load(Ordering::Relaxed)
}

impl Counts {
    /// It was given one more connection.
    pub(crate) fn opened(&self, worker: Worker) {
        add(&self.of(worker).opened, 1);
    }

    /// One went on to another one.
    pub(crate) fn passed_on(&self, worker: Worker) {
        add(&self.of(worker).passed_on, 1);
    }

    /// It failed one that went on to another one.
    pub(crate) fn failed(&self, worker: Worker) {
        add(&self.of(worker).failed, 1);
    }

    /// One has ended.
    pub(crate) fn ended(&self, worker: Worker, account: &Account) {
        self.of(worker).ended(account);
    }

    /// A walk has found so many more bytes of those that are open.
    pub(crate) fn walked(&self, (from_client, from_backend): (u64, u64)) {
        let [client, backend] = &self.made().walked;
        add(client, from_client);
        add(backend, from_backend);
    }

    fn made(&self) -> &Outcomes {
        self.0.get_or_init(Box::default)
    }

    fn of(&self, worker: Worker) -> &Shard {
        let all = self.made();
        if worker.of < 2 || all.first.opened.load(Ordering::Relaxed) < FEW {
            return &all.first;
        }
        let own = all.own.get_or_init(|| (0..worker.of).map(|_| OnceBox::new()).collect());
        own.get(worker.nth).map_or(&all.first, |slot| &slot.get_or_init(Box::default).0)
    }

    fn shards(&self) -> impl Iterator<Item = &Shard> {
        let made = self.0.get();
        let own = made.and_then(|made| made.own.get()).into_iter().flatten();
        made.map(|made| &made.first).into_iter().chain(own.filter_map(|slot| slot.get()).map(|own| &own.0))
    }

    /// What was counted. What ends in between is missed rather than counted as an end without a beginning.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for shard in self.shards() {
            shard.add_to(&mut totals);
        }
        for shard in self.shards() {
            totals.opened += read(&shard.opened);
        }
        if let Some(made) = self.0.get() {
            let [client, backend] = &made.walked;
            totals.from_client += read(client);
            totals.from_backend += read(backend);
        }
        totals
    }

    pub(crate) fn dial(&self) -> Snapshot {
        self.snapshot(Of::Dial)
    }

    pub(crate) fn first_byte(&self) -> Snapshot {
        self.snapshot(Of::FirstByte)
    }

    pub(crate) fn lifetime(&self) -> Snapshot {
        self.snapshot(Of::Lifetime)
    }

    fn snapshot(&self, of: Of) -> Snapshot {
        let (first, cells, bounds) = of.cells();
        let (mut sum, mut buckets) = (0_u64, vec![0; cells]);
        for shard in self.shards() {
            sum = sum.wrapping_add(shard.sums.get(of as usize).map_or(0, read));
            buckets.iter_mut().zip(first..).for_each(|(bucket, cell)| *bucket += shard.cell(cell));
        }
        Snapshot::of(bounds, sum, buckets.into_iter())
    }

    /// Begins anew, for what has another name from now on and no connections. Who reads meanwhile may see some of both.
    pub(crate) fn reset(&self) {
        for shard in self.shards() {
            shard.reset();
        }
        if let Some(made) = self.0.get() {
            made.walked.iter().for_each(|walked| walked.store(0, Ordering::Relaxed));
        }
    }
}

impl Shard {
    fn ended(&self, account: &Account) {
        if account.cause == Cause::Finished {
            add(&self.finished, 1);
        } else if let Some(count) = self.seldom().ended.get(account.cause.index()) {
            add(count, 1);
        }
        add(&self.failed, account.failed.into());
        add(&self.unanswered, account.unanswered.into());
        add(&self.from_client, account.bytes.0);
        add(&self.from_backend, account.bytes.1);
        account.dial.into_iter().for_each(|dial| self.record(Of::Dial, dial));
        account.first_byte.into_iter().for_each(|wait| self.record(Of::FirstByte, wait));
        self.record(Of::Lifetime, account.lifetime);
    }

    fn record(&self, of: Of, Valued { value, bucket }: Valued) {
        let cell = of.cells().0 + bucket;
        self.sums.get(of as usize).into_iter().for_each(|sum| add(sum, value));
        let before = self.cells.get(cell).map(|count| count.fetch_add(1, Ordering::Relaxed));
        if before == Some(u32::MAX)
            && let Some(carried) = self.seldom().carried.get(cell)
        {
            carried.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[cold]
    fn seldom(&self) -> &Seldom {
        self.seldom.get_or_init(Box::default)
    }

    fn cell(&self, cell: usize) -> u64 {
        let carried = self.seldom.get().and_then(|seldom| seldom.carried.get(cell));
        let half =
            |count: Option<&AtomicU32>| u64::from(count.map_or(0, |count| count.load(Ordering::Relaxed)));
        half(carried) << 32 | half(self.cells.get(cell))
    }

    /// Adds all but those that were opened.
    fn add_to(&self, totals: &mut Totals) {
        if let Some(seldom) = self.seldom.get() {
            totals.ended.iter_mut().zip(&seldom.ended).for_each(|(total, count)| *total += read(count));
        }
        if let Some(finished) = totals.ended.get_mut(Cause::Finished.index()) {
            *finished += read(&self.finished);
        }
        totals.passed_on += read(&self.passed_on);
        totals.failed += read(&self.failed);
        totals.unanswered += read(&self.unanswered);
        totals.from_client += read(&self.from_client);
        totals.from_backend += read(&self.from_backend);
    }

    fn reset(&self) {
        let Self { opened, finished, passed_on, failed, unanswered, from_client, from_backend, sums, .. } =
            self;
        let counts = [opened, finished, passed_on, failed, unanswered, from_client, from_backend];
        counts.into_iter().chain(sums).for_each(|count| count.store(0, Ordering::Relaxed));
        self.cells.iter().for_each(|cell| cell.store(0, Ordering::Relaxed));
        if let Some(seldom) = self.seldom.get() {
            seldom.ended.iter().for_each(|count| count.store(0, Ordering::Relaxed));
            seldom.carried.iter().for_each(|cell| cell.store(0, Ordering::Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_fills_three_pairs_of_lines_and_shares_none() {
        assert_eq!((size_of::<Outcomes>(), size_of::<Own>(), align_of::<Outcomes>()), (384, 384, 128));
        assert!(size_of::<Counts>() <= 8, "what is counted nowhere takes next to nothing");
    }

    #[test]
    fn a_bucket_goes_on_beyond_half_a_word() {
        let shard = Shard::default();
        let wait = Valued::new(WAITS, 150);
        shard.cells[Of::FirstByte.cells().0 + wait.bucket].store(u32::MAX, Ordering::Relaxed);
        shard.record(Of::FirstByte, wait);
        shard.record(Of::FirstByte, wait);
        let cell = Of::FirstByte.cells().0 + wait.bucket;
        assert_eq!(shard.cell(cell), (1 << 32) + 1);
    }

    #[test]
    fn workers_have_lines_of_their_own_once_there_is_something_to_gain() {
        let counts = Counts::default();
        let worker = |nth| Worker { nth, of: 3 };
        (0..FEW).zip([0, 1, 2].into_iter().cycle()).for_each(|(_, nth)| counts.opened(worker(nth)));
        assert_eq!(counts.shards().count(), 1);
        [2, 0, 2].into_iter().for_each(|nth| counts.opened(worker(nth)));
        assert_eq!((counts.shards().count(), counts.totals().opened), (3, FEW + 3));
        let one = Counts::default();
        (0..3 * FEW).for_each(|_| one.opened(Worker { nth: 0, of: 1 }));
        assert_eq!(
            (one.shards().count(), one.totals().opened),
            (1, 3 * FEW),
            "a worker alone shares with nobody"
        );
    }
}
