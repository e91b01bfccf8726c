//! The loop that asks once a second what is wrong, on the control runtime: picture, history, findings, log.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};
use proxy_conn::audit::Gauge;
use proxy_conn::{Audit, AuditState};
use proxy_observe::{AuditFacts, Change, Facts, Findings, History, Lasting, Severity, Share, WorkerFacts};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::facts;
use super::picture::Pictures;
use super::sockets::{RouteSockets, Sampled};
use crate::descriptors;
use crate::generation::Generation;
use crate::workers::Pulse;

/// Rules are made for it: what is to be found within ten seconds has to be seen a few times before.
const EVERY: Duration = Duration::from_secs(1);

/// Counting descriptors may mean to list them: at every so many looks.
const DESCRIPTORS_EVERY: u64 = 4;

/// What the process around knows, added to what is known here. Called once a second, and must not block.
pub type Host = Box<dyn Fn(&mut Facts) + Send + Sync>;

/// What was seen of a proxy, and what is wrong with it: read by others at any time.
pub struct Observed {
    /// Pictures count from here.
    began: Instant,
    history: Mutex<History>,
    findings: ArcSwap<Vec<Lasting>>,
    sockets: ArcSwap<HashMap<Box<str>, RouteSockets>>,
    host: OnceLock<Host>,
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed").field("findings", &self.findings.load()).finish_non_exhaustive()
    }
}

impl Default for Observed {
    fn default() -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            began: Instant::now(),
            history: Mutex::new(History::new(started)),
            findings: ArcSwap::default(),
            sockets: ArcSwap::default(),
            host: OnceLock::new(),
        }
    }
}

impl Observed {
    /// What is wrong, the worst first.
    #[must_use]
    pub fn findings(&self) -> Arc<Vec<Lasting>> {
        self.findings.load_full()
    }

    /// What the kernel said of some connections of each route within the last minute; routes of which there were none are left out.
    #[must_use]
    pub fn sockets(&self) -> Arc<HashMap<Box<str>, RouteSockets>> {
        self.sockets.load_full()
    }

    /// For how long it has been so.
    #[must_use]
    pub fn lasts(&self, finding: &Lasting) -> Duration {
        self.began.elapsed().saturating_sub(finding.since)
    }

    /// What was. Held, it holds up the next look: for a moment only.
    pub fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock()
    }

    /// Has `host` asked at each look for what only the process around knows. The first one stays.
    pub fn ask(&self, host: Host) {
        drop(self.host.set(host));
    }
}

/// What is kept from one look to the next. For those who run a [`Generation`] in a runtime of their own; a
/// [`Server`](crate::Server) has one.
#[derive(Debug, Default)]
pub struct Observer {
    pictures: Pictures,
    sockets: Sampled,
    findings: Findings,
}

impl Observer {
    /// Takes a look at `proxy`, of which `facts` are known beside what it says itself; what has begun and what is over since the
    /// last one. To be called once a second, by nobody who serves connections.
    pub fn look<D>(
        &mut self,
        proxy: &Generation<D>,
        more: impl FnOnce(&mut Facts),
        to: &Observed,
    ) -> Vec<Change> {
        let picture = self.pictures.take(proxy);
        if let Some(walk) = self.pictures.new_walk() {
            self.sockets.look(walk);
            to.sockets.store(Arc::new(self.sockets.figures()));
        }
        let mut facts = facts::of_generation(proxy);
        more(&mut facts);
        if let Some(host) = to.host.get() {
            host(&mut facts);
        }
        let changes = {
            let mut history = to.history.lock();
            history.push(&picture);
            self.findings.look(&picture, &facts, &*history)
        };
        to.findings.store(Arc::new(self.findings.list()));
        changes
    }
}

/// What of the data plane the loop looks at.
pub(crate) struct Watched<D> {
    pub(crate) in_force: Arc<ArcSwap<Generation<D>>>,
    pub(crate) workers: Vec<Pulse>,
    pub(crate) audit: Audit,
    pub(crate) observed: Arc<Observed>,
}

/// Looks once a second until `quit`.
pub(crate) async fn watch<D>(subject: Watched<D>, quit: CancellationToken) {
    let (mut observer, mut beats) = (Observer::default(), Beats::new(subject.workers.len()));
    let (mut looks, mut descriptors) = (0_u64, Share::default());
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while quit.run_until_cancelled(ticks.tick()).await.is_some() {
        if looks.is_multiple_of(DESCRIPTORS_EVERY) {
            descriptors = Share { used: descriptors::in_use(), most: descriptors::limit() };
        }
        looks += 1;
        let proxy = subject.in_force.load_full();
        let more = |facts: &mut Facts| {
            let open = proxy.tracker.len_by_worker();
            facts.workers = beats.look(subject.workers.iter().map(Pulse::view), &open, Instant::now());
            facts.audit = audited(subject.audit.state());
            facts.descriptors = descriptors;
        };
        for change in observer.look(&proxy, more, &subject.observed) {
            tell(&change);
        }
    }
}

fn audited(state: &AuditState) -> AuditFacts {
    let defects = Gauge::ALL.into_iter().filter(|gauge| gauge.is_defect());
    let counts = defects.map(|gauge| (gauge.name(), state.gauge(gauge)));
    AuditFacts {
        differences: counts.filter(|(_, count)| *count > 0).collect(),
        blind: state.blind().map(Into::into),
        rescued: state.rescues(),
    }
}

/// When each worker last had a timer.
#[derive(Debug)]
struct Beats(Vec<(u64, Instant)>);

impl Beats {
    fn new(workers: usize) -> Self {
        Self(vec![(0, Instant::now()); workers])
    }

    fn look(
        &mut self,
        views: impl Iterator<Item = (Duration, u64)>,
        open: &[usize],
        now: Instant,
    ) -> Vec<WorkerFacts> {
        let each = self.0.iter_mut().zip(views).zip(open);
        let facts = each.map(|(((beats, last), (lag, beaten)), open)| {
            if *beats != beaten {
                (*beats, *last) = (beaten, now);
            }
            WorkerFacts { lag, silent: now.saturating_duration_since(*last), open: *open as u64 }
        });
        facts.collect()
    }
}

/// Says it in the log: once when it begins, once when it is over.
fn tell(change: &Change) {
    match change {
        Change::Began(Lasting { finding, .. }) => {
            let (rule, severity, subject) = (finding.rule, finding.severity.name(), &finding.subject);
            let (sentence, shows) = (&finding.sentence, &finding.shows);
            if finding.severity == Severity::Info {
                info!(rule, severity, "found: {subject}: {sentence} (see: {shows})");
            } else {
                warn!(rule, severity, "found: {subject}: {sentence} (see: {shows})");
            }
        }
        Change::Ended(Lasting { finding, .. }, lasted) => {
            let (rule, subject, sentence) = (finding.rule, &finding.subject, &finding.sentence);
            let lasted_s = lasted.as_secs();
            info!(rule, lasted_s, "over: {subject}: {sentence}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_worker_is_silent_from_its_last_timer_on() {
        let mut beats = Beats::new(2);
        let mut look = |counts: [u64; 2]| {
            let view = |beats| (Duration::ZERO, beats);
            let facts = beats.look(counts.map(view).into_iter(), &[1, 2], Instant::now());
            facts.iter().map(|worker| (worker.silent.as_secs(), worker.open)).collect::<Vec<_>>()
        };
        assert_eq!(look([1, 1]), [(0, 1), (0, 2)]);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(look([7, 1]), [(0, 1), (3, 2)]);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(look([13, 2]), [(0, 1), (0, 2)]);
    }
}
