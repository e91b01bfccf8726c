//! The state of the audit that metrics read between its runs, at no cost.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::report::{AuditReport, Gauge};

/// The audit's last run and its gauges. Written after each run, read at any time.
#[derive(Debug, Default)]
pub struct AuditState {
    runs: AtomicU64,
    rescues: AtomicU64,
    /// Milliseconds since 1970; 0 for never.
    last_run: AtomicU64,
    last_took: AtomicU64,
    last_busy: AtomicU64,
    gauges: [AtomicU64; Gauge::ALL.len()],
    is_blind: AtomicBool,
    blind: Mutex<Option<Box<str>>>,
}

impl AuditState {
    /// Audits since the start. One that stands still means that nobody watches.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    /// Overdue connections that the audit has ended since the start. Each was a defect.
    #[must_use]
    pub fn rescues(&self) -> u64 {
        self.rescues.load(Ordering::Relaxed)
    }

    /// When the last audit ended.
    #[must_use]
    pub fn last_run(&self) -> Option<SystemTime> {
        let millis = self.last_run.load(Ordering::Relaxed);
        (millis > 0).then(|| UNIX_EPOCH + Duration::from_millis(millis))
    }

    /// How long it took, its pauses included.
    #[must_use]
    pub fn last_took(&self) -> Duration {
        Duration::from_micros(self.last_took.load(Ordering::Relaxed))
    }

    /// How long of that it was reading and comparing.
    #[must_use]
    pub fn last_busy(&self) -> Duration {
        Duration::from_micros(self.last_busy.load(Ordering::Relaxed))
    }

    /// A gauge's value at the last run. Those that need the kernel keep their value while it cannot be asked.
    #[must_use]
    pub fn gauge(&self, gauge: Gauge) -> u64 {
        self.gauges.get(gauge.index()).map_or(0, |value| value.load(Ordering::Relaxed))
    }

    /// Whether the kernel could not be asked at the last run.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        self.is_blind.load(Ordering::Relaxed)
    }

    /// Why, if so.
    #[must_use]
    pub fn blind(&self) -> Option<Box<str>> {
        self.blind.lock().clone()
    }

    /// Takes a run's report; whether it is the first of a row that could not ask the kernel.
    pub(super) fn note(&self, report: &AuditReport) -> bool {
        let micros = |took: Duration| u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        for gauge in Gauge::ALL {
            let unknown = report.sockets.is_none() && needs_the_kernel(gauge);
            if let (Some(value), false) = (self.gauges.get(gauge.index()), unknown) {
                value.store(report.count(gauge), Ordering::Relaxed);
            }
        }
        self.rescues.fetch_add(report.rescued as u64, Ordering::Relaxed);
        self.last_took.store(micros(report.took), Ordering::Relaxed);
        self.last_busy.store(micros(report.busy), Ordering::Relaxed);
        self.last_run.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.blind.lock().clone_from(&report.blind);
        let was_blind = self.is_blind.swap(report.blind.is_some(), Ordering::Relaxed);
        self.runs.fetch_add(1, Ordering::Relaxed);
        report.blind.is_some() && !was_blind
    }
}

const fn needs_the_kernel(gauge: Gauge) -> bool {
    matches!(gauge, Gauge::OrphanSockets | Gauge::Zombies | Gauge::HalfZombies)
}
