//! A member of a group: how many connections it may have, and whether it is worth dialling.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use proxy_conn::breaker::{BreakerState, BreakerView, Change};
use proxy_conn::{BreakerOptions, Limit, Tally, TargetBreaker};
use proxy_core::{Egress, TargetAddr};
use smallvec::SmallVec;
use tokio::time::Instant;
use tracing::warn;

use crate::address::Target;
use crate::balance::Rank;
use crate::dials::DialFigures;
use crate::draining::Draining;
use crate::health::Health;
use crate::lag::Lag;
use crate::moment::Moments;
use crate::options::{GroupOptions, MemberOptions, Weight};
use crate::pace;
use crate::slow_start::SlowStart;

/// A member that others overtook is tried after them for so long, or until the proxy has found that it answers soon.
pub(crate) const LAST_FOR: Duration = Duration::from_secs(10);

/// Addresses of a target's name that are remembered as those that failed. Names have a dozen at most.
const FAILED_ADDRESSES: usize = 64;

/// A member of a group: its limit, its breaker, and what is counted for it.
#[derive(Debug)]
pub struct Member {
    /// Where it is, as the configuration names it; its connections by way of this group are counted under it.
    pub name: Tally,
    target: Target,
    /// Its connections by way of this group, and how many it may have.
    pub limit: Limit,
    /// Whether it takes no new connections.
    pub draining: Draining,
    /// What checks and outcomes say of it.
    pub health: Health,
    /// How its dials went.
    pub dials: DialFigures,
    pub(crate) breaker: TargetBreaker,
    /// Its weight at present, and what the configuration said when it was set to that.
    weight: AtomicU16,
    configured: AtomicU16,
    /// How its group reaches it, in the configuration in force.
    egress: Mutex<Option<Arc<Egress>>>,
    /// Until when it is tried after those that answer sooner.
    lag: Lag,
    slow_start: SlowStart,
    moments: Moments,
    /// Whether the proxy tries it by itself until it is well.
    pub(crate) is_looked_after: AtomicBool,
    /// Whether the loop of checks has it.
    pub(crate) is_checked: AtomicBool,
    /// Two bits in the room of one flag: there may be ten thousand members.
    stands: AtomicU8,
}

/// It is in the configuration in force; else it is not tried.
const IN_FORCE: u8 = 0b01;
/// It takes connections, and the handshake on the last one failed: that it takes them says nothing then.
const FAILS_HANDSHAKES: u8 = 0b10;

impl Member {
    pub(crate) fn new(
        name: Tally,
        member: MemberOptions,
        options: &GroupOptions,
        breaker: &Arc<BreakerOptions>,
    ) -> Arc<Self> {
        let weight = narrow(member.weight);
        Arc::new(Self {
            name,
            target: member.target,
            limit: Limit::new(options.max_connections_per_member),
            draining: Draining::default(),
            health: Health::default(),
            dials: DialFigures::default(),
            breaker: TargetBreaker::new(Arc::clone(breaker)),
            weight: AtomicU16::new(weight),
            configured: AtomicU16::new(weight),
            lag: Lag::default(),
            slow_start: SlowStart::default(),
            moments: Moments::from_now(),
            egress: Mutex::new(options.egress.clone()),
            is_looked_after: AtomicBool::new(false),
            is_checked: AtomicBool::new(false),
            stands: AtomicU8::new(IN_FORCE),
        })
    }

    /// Where it is.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Where it is for a connection that arrived on `port`.
    pub(crate) fn address(&self, port: u16) -> TargetAddr {
        self.target.address(port)
    }

    /// Its weight at present: what the configuration says, unless it was set to something else since. Change it by way of its group
    /// ([`Group::set_weight`](crate::Group::set_weight)).
    #[must_use]
    pub fn weight(&self) -> Weight {
        Weight::nearest(self.weight.load(Ordering::Relaxed).into())
    }

    pub(crate) fn set_weight(&self, weight: Weight) {
        self.weight.store(narrow(weight), Ordering::Relaxed);
    }

    /// Its weight where the configuration says `configured`: the one that it was set to, for as long as that stays what it was.
    pub(crate) fn weight_under(&self, configured: Weight) -> Weight {
        let stays = self.configured.load(Ordering::Relaxed) == narrow(configured);
        if stays { self.weight() } else { configured }
    }

    /// The configuration that says `configured` takes force.
    pub(crate) fn take_weight(&self, configured: Weight) {
        self.set_weight(self.weight_under(configured));
        self.configured.store(narrow(configured), Ordering::Relaxed);
    }

    fn set(&self, bit: u8, is: bool) {
        if is {
            self.stands.fetch_or(bit, Ordering::Relaxed);
        } else {
            self.stands.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    /// Whether it takes connections, and the handshake on the last one failed.
    pub(crate) fn fails_handshakes(&self) -> bool {
        self.stands.load(Ordering::Relaxed) & FAILS_HANDSHAKES != 0
    }

    pub(crate) fn set_fails_handshakes(&self, fails: bool) {
        if self.fails_handshakes() != fails {
            self.set(FAILS_HANDSHAKES, fails);
        }
    }

    /// Says whether it is in the configuration in force.
    pub fn set_in_force(&self, is: bool) {
        self.set(IN_FORCE, is);
    }

    /// Whether it is in the configuration in force.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        self.stands.load(Ordering::Relaxed) & IN_FORCE != 0
    }

    /// How its group reaches it; None: as the whole proxy does.
    #[must_use]
    pub fn egress(&self) -> Option<Arc<Egress>> {
        self.egress.lock().clone()
    }

    /// Has whoever tries it by itself reach it so from now on.
    pub(crate) fn set_egress(&self, egress: Option<&Arc<Egress>>) {
        *self.egress.lock() = egress.cloned();
    }

    /// Its breaker, as it is now. The proxy tries a target that is left alone by itself, however long others are to leave it
    /// alone.
    #[must_use]
    pub fn breaker(&self) -> BreakerView {
        let view = self.breaker.view(Instant::now());
        BreakerView { retry_in: view.retry_in.min(pace::EVERY), ..view }
    }

    /// Whether it may be used, as it is now.
    #[must_use]
    pub fn rank(&self) -> Rank {
        self.rank_at(Instant::now)
    }

    /// The same; what time it is is asked only where it matters, which for a member that is well it does not.
    pub(crate) fn rank_at(&self, now: impl Fn() -> Instant) -> Rank {
        if self.draining.is_on() || self.weight.load(Ordering::Relaxed) == 0 {
            Rank::Closed
        } else if self.breaker.keeps_out(&now) {
            Rank::Open
        } else if !self.health.is_up() || self.health.share() == 0 {
            Rank::Down
        } else if self.lag.lasts(self.moments, &now) {
            Rank::Lags
        } else {
            Rank::Usable
        }
    }

    /// How much of its weight it has now, in percent: what it asks for itself, and what a slow start over `slow_start` leaves of
    /// that.
    #[must_use]
    pub fn share(&self, slow_start: Option<Duration>) -> u32 {
        self.share_at(slow_start, Instant::now)
    }

    pub(crate) fn share_at(&self, slow_start: Option<Duration>, now: impl FnOnce() -> Instant) -> u32 {
        let asked = u32::from(self.health.share().min(100));
        let grown = slow_start.map_or(100, |over| self.slow_start.share(over, self.moments, now));
        if grown == 100 { asked } else { (asked * grown / 100).max(1) }
    }

    /// Others overtook it: it is tried after them until then. Whether that is news.
    pub(crate) fn lags_until(&self, at: Instant) -> bool {
        self.lag.until(self.moments, at)
    }

    /// If it lags, or did so at last, it goes on until then.
    pub(crate) fn goes_on_lagging_until(&self, at: Instant) {
        self.lag.goes_on_until(self.moments, at);
    }

    /// Its share grows from now on, where its group has a slow start.
    pub(crate) fn comes(&self, now: Instant) {
        self.slow_start.comes(self.moments, now);
    }

    /// Notes that it is of this rank: once it may be used again, it has come back.
    pub(crate) fn note(&self, rank: Rank, now: impl FnOnce() -> Instant) {
        self.slow_start.note(rank, self.moments, now);
    }

    /// Whether it is left alone, or tried last.
    pub(crate) fn is_unhealthy(&self, now: Instant) -> bool {
        self.breaker.view(now).state != BreakerState::Closed || self.lag.lasts(self.moments, || now)
    }

    /// Notes the addresses at which it failed; whether there is one among them that had not failed before, so that the target
    /// is not where it was.
    pub(crate) fn has_moved(&self, addresses: &[IpAddr]) -> bool {
        let mut failed = self.dials.failed_at();
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
        self.dials.forget_failed_at();
        self.lag.over();
        // Told as what it is by whoever found it up.
        let _closed = self.breaker.recovered();
        self.comes(Instant::now());
    }

    /// It takes no new connections from now on, or does again: then it starts slowly where its group does so.
    pub fn drain(&self, on: bool) {
        let ends = self.draining.is_on() && !on;
        self.draining.set(on);
        if ends {
            self.comes(Instant::now());
        }
    }

    /// It was dialled, and takes connections.
    pub(crate) fn is_well(&self, took: Duration) {
        self.set_fails_handshakes(false);
        self.dials.forget_failed_at();
        if took <= proxy_core::dial::STAGGER {
            self.lag.over();
        }
    }

    pub(crate) fn log(&self, route: &str, change: Option<Change>) {
        let Some(change) = change else { return };
        if change.to == BreakerState::Open {
            let every = pace::EVERY.as_secs_f64();
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

fn narrow(weight: Weight) -> u16 {
    // INVARIANT: a weight is 256 at most.
    u16::try_from(weight.get()).unwrap_or(u16::MAX)
}
