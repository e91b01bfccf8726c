//! Histograms with fixed buckets: written with relaxed atomic adds by every worker, read as a snapshot.
//!
//! ```text
//!  worker 0 ─► shard 0 ┐  each shard: [ sum │ ≤ b₀ │ ≤ b₁ │ … │ ≤ bₙ │ beyond ]
//!  worker 1 ─► shard 1 ├─► snapshot: the shards added up
//!  worker n ─► shard n ┘
//! ```
//!
//! A shard begins and ends on cache lines of its own, so that two workers never write to the same one.
//!
//! What it is not: no labels, no names, no text format. A value costs one search among some twenty bounds, one add to its
//! bucket and one to the sum; nothing is allocated.

use std::iter;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of a histogram's buckets, each inclusive, as Prometheus' `le`. One more bucket, without a bound, takes
/// what lies beyond the last.
///
/// Invariant: there is at least one, and they ascend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds(&'static [u64]);

const KIB: u64 = 1 << 10;
const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Bounds {
    /// Times in milliseconds, for lifetimes and for phases: 1 ms to 7 days in twenty steps, each three times the last or
    /// so. The default deadlines are among them (30s, 1m, 5m, 1h, 24h, 7d), so that a heap at one is seen for what it is.
    pub const MILLIS: Self = Self::new(&[
        1,
        3,
        10,
        30,
        100,
        300,
        SECOND,
        3 * SECOND,
        10 * SECOND,
        30 * SECOND,
        MINUTE,
        5 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        HOUR,
        3 * HOUR,
        12 * HOUR,
        DAY,
        3 * DAY,
        7 * DAY,
    ]);

    /// Bytes: none, then 1 KiB to 1 TiB in powers of four.
    pub const BYTES: Self = Self::new(&[
        0,
        KIB,
        KIB << 2,
        KIB << 4,
        KIB << 6,
        KIB << 8,
        KIB << 10,
        KIB << 12,
        KIB << 14,
        KIB << 16,
        KIB << 18,
        KIB << 20,
        KIB << 22,
        KIB << 24,
        KIB << 26,
        KIB << 28,
        KIB << 30,
    ]);

    /// These bounds, for constants.
    ///
    /// # Panics
    /// At compile time (it is meant for constants) if there are none, or if they do not ascend.
    #[must_use]
    pub const fn new(bounds: &'static [u64]) -> Self {
        assert!(!bounds.is_empty(), "a histogram has at least one bound");
        let mut rest = bounds;
        while let [lower, tail @ ..] = rest {
            if let [higher, ..] = tail {
                assert!(*lower < *higher, "the bounds of a histogram ascend");
            }
            rest = tail;
        }
        Self(bounds)
    }

    /// The bounds.
    #[must_use]
    pub const fn as_slice(self) -> &'static [u64] {
        self.0
    }

    /// Which bucket takes `value`; the number of bounds if it lies beyond them all.
    #[must_use]
    pub fn bucket(self, value: u64) -> usize {
        self.0.partition_point(|bound| *bound < value)
    }
}

/// Counts of values by size, in shards.
#[derive(Debug)]
pub struct Histogram {
    bounds: Bounds,
    shards: Box<[Shard]>,
}

impl Histogram {
    /// An empty histogram with `shards` shards (at least one), best one for each worker.
    #[must_use]
    pub fn new(bounds: Bounds, shards: usize) -> Self {
        Self { bounds, shards: (0..shards.max(1)).map(|_| Shard::new(bounds)).collect() }
    }

    /// Counts `value`, in the shard of `worker`. Any worker may write to any shard; it is only slower if two share one.
    #[expect(clippy::indexing_slicing, reason = "an index is always made modulo the number of shards")]
    pub fn record(&self, worker: usize, value: u64) {
        self.shards[worker % self.shards.len()].record(self.bounds, value);
    }

    /// Counts a time in whole milliseconds, for [`Bounds::MILLIS`].
    pub fn record_time(&self, worker: usize, time: Duration) {
        self.record(worker, u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    /// What was counted so far, in all shards.
    ///
    /// The count is the sum of the buckets, always. The sum of the values is read apart from them: a value that is being
    /// recorded at the same time may be in one and not yet in the other.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot =
            Snapshot { bounds: self.bounds, buckets: vec![0; self.bounds.0.len() + 1].into(), sum: 0 };
        for shard in &self.shards {
            let mut cells = shard.cells().map(|cell| cell.load(Ordering::Relaxed));
            snapshot.sum = snapshot.sum.wrapping_add(cells.next().unwrap_or(0));
            for (bucket, counted) in snapshot.buckets.iter_mut().zip(cells) {
                *bucket += counted;
            }
        }
        snapshot
    }
}

/// As much as two writers must not share: two cache lines of 64 bytes, because processors fetch them in pairs (crossbeam's
/// `CachePadded` has the same number for the same reason).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lines([AtomicU64; LINES]);

const LINES: usize = 128 / size_of::<AtomicU64>();

/// The cells of one worker: the sum, then the buckets. The last lines may have cells to spare, which stay zero.
#[derive(Debug)]
struct Shard(Box<[Lines]>);

impl Shard {
    fn new(bounds: Bounds) -> Self {
        let cells = 1 + bounds.0.len() + 1;
        Self(iter::repeat_with(Lines::default).take(cells.div_ceil(LINES)).collect())
    }

    fn record(&self, bounds: Bounds, value: u64) {
        self.add(0, value);
        self.add(1 + bounds.bucket(value), 1);
    }

    fn add(&self, cell: usize, value: u64) {
        let found = self.0.get(cell / LINES).and_then(|lines| lines.0.get(cell % LINES));
        debug_assert!(found.is_some(), "a shard has a cell for every bucket");
        if let Some(found) = found {
            found.fetch_add(value, Ordering::Relaxed);
        }
    }

    fn cells(&self) -> impl Iterator<Item = &AtomicU64> {
        self.0.iter().flat_map(|lines| &lines.0)
    }
}

/// A snapshot of a histogram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    bounds: Bounds,
    buckets: Box<[u64]>,
    sum: u64,
}

impl Snapshot {
    /// A snapshot of counts that were kept elsewhere: the sum of the values, and how many each bucket has, the last one for what lies
    /// beyond the bounds.
    #[must_use]
    pub fn of(bounds: Bounds, sum: u64, buckets: impl Iterator<Item = u64>) -> Self {
        let mut all: Box<[u64]> = vec![0; bounds.0.len() + 1].into();
        for (bucket, counted) in all.iter_mut().zip(buckets) {
            *bucket = counted;
        }
        Self { bounds, buckets: all, sum }
    }

    /// How many values each bucket has, *not* cumulative: one for each bound, and a last one for what lies beyond.
    #[must_use]
    pub fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    /// Each upper bound with the number of values up to it, as Prometheus has them; the last bound is `None`, infinity.
    pub fn cumulative(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        let bounds = self.bounds.0.iter().copied().map(Some).chain(iter::once(None));
        let counts = self.buckets.iter().scan(0, |total: &mut u64, bucket| {
            *total += bucket;
            Some(*total)
        });
        bounds.zip(counts)
    }

    /// The sum of the values; it wraps at 2⁶⁴, as counters do.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// A bound below which (or at which) a share `q` of the values lies: the upper bound of the bucket that holds the
    /// value of rank ⌈q × count⌉. `u64::MAX` if that one lies beyond the last bound; `None` if there are no values.
    /// A `q` below 0 or no number is 0 (the smallest value), above 1 it is 1.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let q = if q.is_nan() { 0.0 } else { q.clamp(0.0, 1.0) };
        let rank = q * self.count() as f64;
        let holds = |&(_, up_to): &(Option<u64>, u64)| up_to > 0 && up_to as f64 >= rank;
        self.cumulative().find(holds).map(|(bound, _)| bound.unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TENS: Bounds = Bounds::new(&[0, 10, 20, 30]);

    fn of(values: &[u64]) -> Snapshot {
        let histogram = Histogram::new(TENS, 3);
        for (worker, value) in values.iter().enumerate() {
            histogram.record(worker, *value);
        }
        histogram.snapshot()
    }

    #[test]
    fn a_bound_belongs_to_its_bucket_and_one_more_to_the_next() {
        let snapshot = of(&[0, 1, 10, 11, 20, 21, 30, 31, u64::MAX >> 1]);
        assert_eq!(snapshot.buckets(), [1, 2, 2, 2, 2]);
        assert_eq!((snapshot.count(), snapshot.sum()), (9, 124 + (u64::MAX >> 1)));
        let cumulative: Vec<_> = snapshot.cumulative().collect();
        assert_eq!(cumulative, [(Some(0), 1), (Some(10), 3), (Some(20), 5), (Some(30), 7), (None, 9)]);
    }

    #[test]
    fn quantiles_are_upper_bounds() {
        let snapshot = of(&[5, 5, 15, 31]);
        let at = |q| snapshot.quantile(q);
        assert_eq!([0.0, 0.5, 0.51, 0.75].map(at), [Some(10), Some(10), Some(20), Some(20)]);
        assert_eq!([0.76, 1.0, 7.0].map(at), [Some(u64::MAX); 3]);
        assert_eq!([f64::NAN, -1.0, f64::NEG_INFINITY].map(at), [Some(10); 3]);
        assert_eq!(of(&[]).quantile(0.5), None);
    }

    #[test]
    fn the_ready_bounds() {
        let text =
            |bounds: Bounds| bounds.as_slice().iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        insta::assert_snapshot!(text(Bounds::MILLIS), @"1 3 10 30 100 300 1000 3000 10000 30000 60000 300000 900000 1800000 3600000 10800000 43200000 86400000 259200000 604800000");
        insta::assert_snapshot!(text(Bounds::BYTES), @"0 1024 4096 16384 65536 262144 1048576 4194304 16777216 67108864 268435456 1073741824 4294967296 17179869184 68719476736 274877906944 1099511627776");
        let times = Histogram::new(Bounds::MILLIS, 1);
        times.record_time(0, Duration::from_micros(30_000_900));
        times.record_time(0, Duration::MAX);
        assert_eq!(times.snapshot().quantile(0.5), Some(30_000));
        assert_eq!(times.snapshot().quantile(1.0), Some(u64::MAX));
    }

    #[test]
    fn no_two_shards_share_a_line() {
        let histogram = Histogram::new(Bounds::MILLIS, 4);
        let mut ranges: Vec<_> = histogram.shards.iter().map(|shard| shard.0.as_ptr_range()).collect();
        ranges.sort_by_key(|range| range.start);
        assert!(ranges.iter().all(|range| range.start.addr() % 128 == 0 && range.end.addr() % 128 == 0));
        assert!(ranges.is_sorted_by(|a, b| a.end <= b.start));
    }

    #[test]
    fn nothing_is_lost_whoever_writes_where() {
        let histogram = Histogram::new(Bounds::BYTES, 2);
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let histogram = &histogram;
                scope.spawn(move || (0..10_000).for_each(|value| histogram.record(worker, value)));
            }
            let seen: Vec<_> = (0..100).map(|_| histogram.snapshot().count()).collect();
            assert!(seen.is_sorted(), "what was counted once stays counted");
        });
        let snapshot = histogram.snapshot();
        assert_eq!((snapshot.count(), snapshot.sum()), (40_000, 4 * (9_999 * 10_000 / 2)));
        assert_eq!(snapshot.buckets()[..5], [4, 4 * 1024, 4 * 3072, 4 * 5903, 0]);
    }

    proptest! {
        #[test]
        fn counts_sums_and_quantiles_are_those_of_the_sorted_values(
            mut values in prop::collection::vec(prop_oneof![0_u64..100, 0_u64..(1 << 42)], 1..300),
            q in 0.0_f64..=1.0,
        ) {
            let histogram = Histogram::new(Bounds::BYTES, 3);
            values.iter().enumerate().for_each(|(worker, value)| histogram.record(worker, *value));
            let snapshot = histogram.snapshot();
            prop_assert_eq!(snapshot.count(), values.len() as u64);
            prop_assert_eq!(snapshot.sum(), values.iter().sum::<u64>());
            prop_assert_eq!(snapshot.cumulative().last(), Some((None, snapshot.count())));
            values.sort_unstable();
            let rank = (1..values.len()).find(|rank| *rank as f64 >= q * values.len() as f64);
            let value = values[rank.unwrap_or(values.len()) - 1];
            let bound = Bounds::BYTES.as_slice().iter().find(|bound| **bound >= value);
            prop_assert_eq!(snapshot.quantile(q), Some(*bound.unwrap_or(&u64::MAX)));
        }
    }
}
