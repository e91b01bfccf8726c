//! Looking at both hops from outside, all the time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::sockets::{Others, Tcp};
use crate::proc::{Usage, tree};

/// From one look to the next.
pub(super) const LOOK: Duration = Duration::from_millis(50);
/// Processes come and go seldom: they are looked for at every so many looks.
const TREE: usize = 10;

/// What one hop holds at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HopSample {
    /// Sockets of connections, by state; "closed" where the connection is over and the socket is still held.
    pub states: BTreeMap<String, usize>,
    /// Processor time since the first sample, in milliseconds.
    pub cpu_ms: u64,
    /// Resident memory in KiB.
    pub resident_kib: u64,
}

impl HopSample {
    /// How many sockets of connections it has open.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.states.values().sum()
    }
}

/// One look at a chain.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sample {
    /// Since the first one.
    pub at_ms: u64,
    /// The outer hop.
    pub outer: HopSample,
    /// The inner hop.
    pub inner: HopSample,
}

impl Sample {
    /// How many sockets each hop has open, the outer one first.
    #[must_use]
    pub fn sockets(&self) -> [usize; 2] {
        [self.outer.sockets(), self.inner.sockets()]
    }
}

/// The first process of each hop; none while a hop is down.
pub(super) type Roots = [Option<u32>; 2];

/// A thread that looks at both hops until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    roots: Arc<Mutex<Roots>>,
    samples: Arc<Mutex<Vec<Sample>>>,
    pub(super) since: Instant,
    stop: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn start(roots: Roots) -> Self {
        let (roots, samples) = (Arc::new(Mutex::new(roots)), Arc::default());
        let (stop, mut stopped) = watch::channel(());
        let since = Instant::now();
        let (seen, noted) = (Arc::clone(&roots), Arc::clone(&samples));
        let looks = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.expect("a runtime starts").block_on(async {
                tokio::select! {
                    () = look_on(since, &seen, &noted) => {}
                    _ = stopped.changed() => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("watch".to_owned()).spawn(looks);
        let thread = thread.expect("a thread starts");
        Self { roots, samples, since, stop: Some(stop), thread: Some(thread) }
    }

    /// From now on, the hops are these.
    pub(super) fn at(&self, roots: Roots) {
        *self.roots.lock().unwrap_or_else(PoisonError::into_inner) = roots;
    }

    /// Milliseconds since the first sample.
    pub(super) fn now(&self) -> u64 {
        ms(self.since.elapsed())
    }

    /// The newest sample, if it was taken after `since`.
    pub(super) fn newest_since(&self, since: u64) -> Option<Sample> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.last().filter(|sample| sample.at_ms >= since).cloned()
    }

    /// All samples so far.
    pub(super) fn samples(&self) -> Vec<Sample> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It can only have panicked, and then said so.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

async fn look_on(since: Instant, roots: &Mutex<Roots>, samples: &Mutex<Vec<Sample>>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut hops = [Hop::default(), Hop::default()];
    loop {
        ticks.tick().await;
        let roots = *roots.lock().unwrap_or_else(PoisonError::into_inner);
        let (at_ms, tcp) = (ms(since.elapsed()), Tcp::read());
        let [outer, inner] = &mut hops;
        let [outer_root, inner_root] = roots;
        let sample =
            Sample { at_ms, outer: outer.look(outer_root, &tcp), inner: inner.look(inner_root, &tcp) };
        samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
    }
}

/// What is remembered of a hop from one look to the next.
#[derive(Debug, Default)]
struct Hop {
    root: Option<u32>,
    pids: Vec<u32>,
    looks: usize,
    others: Others,
    cpu_before: Option<Duration>,
}

impl Hop {
    fn look(&mut self, root: Option<u32>, tcp: &Tcp) -> HopSample {
        if root != self.root || self.looks.is_multiple_of(TREE) {
            self.pids = root.map(tree).unwrap_or_default();
            self.cpu_before = self.cpu_before.filter(|_| root == self.root);
            self.root = root;
        }
        self.looks += 1;
        let usage = Usage::without_files(&self.pids);
        let before = *self.cpu_before.get_or_insert(usage.cpu);
        HopSample {
            states: self.others.connections(&self.pids, tcp),
            cpu_ms: ms(usage.cpu.saturating_sub(before)),
            resident_kib: usage.resident / 1024,
        }
    }
}

/// Milliseconds, for figures.
pub(super) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
