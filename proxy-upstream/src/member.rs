//! A member of a group: how many connections it may have, and whether it is worth dialling.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use proxy_conn::breaker::{BreakerState, BreakerView, Change};
use proxy_conn::{Limit, TargetBreaker};
use smallvec::SmallVec;
use tokio::time::Instant;
use tracing::warn;

use crate::address::Target;
use crate::dials::DialFigures;
use crate::draining::Draining;
use crate::health::Health;
use crate::options::GroupOptions;
use crate::recovery;

/// A member that others overtook is tried after them for so long, or until the proxy has found that it answers soon.
pub(crate) const LAST_FOR: Duration = Duration::from_secs(10);

/// Addresses of a target's name that are remembered as those that failed. Names have a dozen at most.
const FAILED_ADDRESSES: usize = 64;

/// A member of a group: its limit, its breaker, and what is counted for it.
#[derive(Debug)]
pub struct Member {
    /// Where it is, as the configuration names it.
    pub name: Arc<str>,
    /// Whether that is where it is, whatever port a connection came in on.
    pub(crate) is_fixed: bool,
    /// Its connections by way of this group, and how many it may have.
    pub limit: Limit,
    /// Whether it takes no new connections.
    pub draining: Draining,
    /// What checks and outcomes say of it.
    pub health: Health,
    /// How its dials went.
    pub dials: DialFigures,
    pub(crate) breaker: TargetBreaker,
    /// Until when it is tried after those that answer sooner.
    pub(crate) lags_until: Mutex<Option<Instant>>,
    /// The addresses of its name that failed since it was last found in order.
    failed_at: Mutex<Vec<IpAddr>>,
    /// Whether the proxy tries it by itself until it is well.
    pub(crate) is_looked_after: AtomicBool,
    /// Whether the loop of checks has it.
    pub(crate) is_checked: AtomicBool,
    /// Whether it is in the configuration in force; else it is not tried.
    is_in_force: AtomicBool,
}

impl Member {
    pub(crate) fn new(name: &str, target: &Target, options: &GroupOptions) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            is_fixed: target.is_fixed(),
            limit: Limit::new(options.max_connections_per_member),
            draining: Draining::default(),
            health: Health::default(),
            dials: DialFigures::default(),
            breaker: TargetBreaker::new(options.breaker),
            lags_until: Mutex::default(),
            failed_at: Mutex::default(),
            is_looked_after: AtomicBool::new(false),
            is_checked: AtomicBool::new(false),
            is_in_force: AtomicBool::new(true),
        })
    }

    /// Says whether it is in the configuration in force.
    pub fn set_in_force(&self, is: bool) {
        self.is_in_force.store(is, Ordering::Relaxed);
    }

    /// Whether it is in the configuration in force.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        self.is_in_force.load(Ordering::Relaxed)
    }

    /// Its breaker, as it is now. The proxy tries a target that is left alone by itself, however long others are to leave it
    /// alone.
    #[must_use]
    pub fn breaker(&self) -> BreakerView {
        let view = self.breaker.view(Instant::now());
        BreakerView { retry_in: view.retry_in.min(recovery::EVERY), ..view }
    }

    /// Whether others are to be tried before it.
    pub(crate) fn lags(&self, now: Instant) -> bool {
        self.lags_until.lock().is_some_and(|until| now < until)
    }

    /// Whether it is left alone, or tried last.
    pub(crate) fn is_unhealthy(&self, now: Instant) -> bool {
        self.breaker.view(now).state != BreakerState::Closed || self.lags(now)
    }

    /// Notes the addresses at which it failed; whether there is one among them that had not failed before, so that the target
    /// is not where it was.
    pub(crate) fn has_moved(&self, addresses: &[IpAddr]) -> bool {
        let mut failed = self.failed_at.lock();
        let knows_some = !failed.is_empty();
        let new: SmallVec<[IpAddr; 4]> =
            addresses.iter().filter(|addr| !failed.contains(addr)).copied().collect();
        if failed.len() + new.len() > FAILED_ADDRESSES {
            failed.clear();
        }
        failed.extend(new.iter().take(FAILED_ADDRESSES));
        knows_some && !new.is_empty()
    }

    /// A check has found it up after it was down, or its ejection is over: what was held against it is of the time before.
    pub(crate) fn is_found_up(&self) {
        self.failed_at.lock().clear();
        *self.lags_until.lock() = None;
        // Told as what it is by whoever found it up.
        let _closed = self.breaker.recovered();
    }

    /// It was dialled, and takes connections.
    pub(crate) fn is_well(&self, took: Duration) {
        self.failed_at.lock().clear();
        if took <= proxy_core::dial::STAGGER {
            *self.lags_until.lock() = None;
        }
    }

    pub(crate) fn log(&self, route: &str, change: Option<Change>) {
        let Some(change) = change else { return };
        if change.to == BreakerState::Open {
            let every = recovery::EVERY.as_secs_f64();
            warn!(
                route,
                target = %self.name,
                "breaker: {change} by clients that have another target; the proxy itself tries it every {every}s"
            );
        } else {
            warn!(route, target = %self.name, "breaker: {change}");
        }
    }
}
