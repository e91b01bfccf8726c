//! Worker threads: each with a runtime of its own, on which its connections live.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use proxy_core::process::pipes;
use proxy_core::process::reactor::{self, Opened};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::parked::Parked;

/// How often a worker looks after itself: it lets go of pipes that nobody borrowed since. And with this timer always armed,
/// a connection's deadline is never the nearest, so setting one does not wake the reactor (a system call and a turn each).
const BEAT: Duration = Duration::from_millis(500);

/// A worker as others see it.
#[derive(Debug, Clone)]
pub struct Worker {
    handle: Handle,
    beat: Arc<Beat>,
}

/// A runtime without a thread, and its reactor.
#[derive(Debug)]
pub(crate) struct Idle {
    runtime: Parked,
    reactor: Opened,
}

/// How punctual a worker is.
#[derive(Debug, Default)]
struct Beat {
    beats: AtomicU64,
    /// In nanoseconds.
    lag: AtomicU64,
    longest_lag: AtomicU64,
}

/// A snapshot of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerView {
    /// Since the start, how long it did something other than wait for events.
    pub busy: Duration,
    /// By how much its last timer (twice a second) was late: whatever needs the worker waits for as long.
    pub lag: Duration,
    /// The most that any was.
    pub longest_lag: Duration,
    /// How many timers there were. While this stands still, the worker does.
    pub beats: u64,
}

impl Worker {
    /// The runtime of a worker that has no thread yet.
    pub(crate) fn new() -> std::io::Result<(Self, Idle)> {
        let runtime = Parked::new()?;
        let entered = runtime.handle().enter();
        let reactor = reactor::open()?;
        drop(entered);
        Ok((Self { handle: runtime.handle().clone(), beat: Arc::default() }, Idle { runtime, reactor }))
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Gives it its thread, which ends with `quit`, and with it all that runs there.
    pub(crate) fn start(
        &self,
        number: usize,
        idle: Idle,
        quit: CancellationToken,
    ) -> std::io::Result<JoinHandle<()>> {
        let beat = Arc::clone(&self.beat);
        std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            idle.reactor.use_here();
            idle.runtime.block_on(async {
                let mut beats = tokio::time::interval(BEAT);
                while let Some(due) = quit.run_until_cancelled(beats.tick()).await {
                    beat.note(due.elapsed());
                    pipes::release_idle();
                    if let Some(error) = pipes::take_refusal() {
                        warn!(%error, "splice(2) is refused, by a sandbox or a kernel without it: large flows are copied from here on");
                    }
                }
            });
        })
    }

    /// How punctual it is, for whoever may outlive its runtime.
    pub(crate) fn pulse(&self) -> Pulse {
        Pulse(Arc::clone(&self.beat))
    }

    /// How it is.
    #[must_use]
    pub fn view(&self) -> WorkerView {
        let nanos = |of: &AtomicU64| Duration::from_nanos(of.load(Ordering::Relaxed));
        WorkerView {
            busy: self.handle.metrics().worker_total_busy_duration(0),
            lag: nanos(&self.beat.lag),
            longest_lag: nanos(&self.beat.longest_lag),
            beats: self.beat.beats.load(Ordering::Relaxed),
        }
    }
}

/// How punctual a worker is, without its runtime: whoever holds it keeps none of that one's descriptors.
#[derive(Debug, Clone)]
pub(crate) struct Pulse(Arc<Beat>);

impl Pulse {
    /// By how much its last timer was late, and how many there were.
    pub(crate) fn view(&self) -> (Duration, u64) {
        let lag = Duration::from_nanos(self.0.lag.load(Ordering::Relaxed));
        (lag, self.0.beats.load(Ordering::Relaxed))
    }
}

impl Beat {
    fn note(&self, late: Duration) {
        let late = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        self.lag.store(late, Ordering::Relaxed);
        self.longest_lag.fetch_max(late, Ordering::Relaxed);
        self.beats.fetch_add(1, Ordering::Relaxed);
    }
}
