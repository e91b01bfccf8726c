//! Who is looked up next. Pure: whoever calls holds the lock and says what time it is.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Outcome;

/// With fewer places than these there would be none for some rank.
const LEAST: usize = 4;

/// Of so many places one is left for names that were answered before: 12 of 96.
const ONE_FOR_HEALTHY: usize = 8;

/// Look-ups of names of which nothing good is known that may run at once, without any pace.
pub(super) const AT_ONCE: usize = 8;

/// The pace beyond that. The newest of those names waits no longer than this, however many others hang.
pub(super) const EXTRA_EVERY: Duration = Duration::from_millis(200);

/// Names whose last look-up is remembered; as many as there are routes in a large configuration.
const REMEMBERED: usize = 16 * 1024;

/// A name to be looked up, and whoever waits for it.
pub(super) struct Job {
    pub(super) name: Box<str>,
    pub(super) answer: oneshot::Sender<Outcome>,
}

/// What is known of a name before it is looked up; the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// It was answered soon the last time, whatever the answer.
    Healthy,
    /// It was never looked up.
    New,
    /// It was not answered soon the last time.
    Slow,
}

#[derive(Default)]
pub(super) struct Queue {
    /// Look-ups at one time.
    most: usize,
    healthy: VecDeque<Job>,
    new: VecDeque<Job>,
    slow: VecDeque<Job>,
    /// Whether each name was answered soon the last time.
    remembered: HashMap<Box<str>, bool>,
    /// Look-ups under way.
    busy: usize,
    /// Those of them that are of new or slow names.
    unproven: usize,
    next_extra: Option<Instant>,
    /// Whether somebody waits for the next one's time.
    pub(super) is_timed: bool,
    /// Queued when those were dropped last that nobody waits for.
    kept: usize,
}

impl Queue {
    /// One with so many places.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(LEAST), ..Self::default() }
    }

    pub(super) fn push(&mut self, job: Job) {
        match self.remembered.get(&job.name) {
            Some(true) => self.healthy.push_back(job),
            Some(false) => self.slow.push_back(job),
            None => self.new.push_back(job),
        }
        if self.len() > 2 * self.kept.max(64) {
            self.drop_abandoned();
        }
    }

    /// What may be begun now.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Job, Rank)> {
        if self.busy < self.most
            && let Some(job) = wanted(|| self.healthy.pop_front())
        {
            return Some(self.begin(job, Rank::Healthy));
        }
        let is_extra = self.unproven >= AT_ONCE.min(self.most / 2);
        let but_healthy = self.most - self.most.div_ceil(ONE_FOR_HEALTHY);
        if self.busy >= but_healthy || (is_extra && !self.until_next_extra(now).is_zero()) {
            return None;
        }
        // The newest: who has waited for long is about to give up.
        let (job, rank) = match wanted(|| self.new.pop_back()) {
            Some(job) => (job, Rank::New),
            None => (wanted(|| self.slow.pop_back())?, Rank::Slow),
        };
        self.next_extra = Some(now + EXTRA_EVERY);
        Some(self.begin(job, rank))
    }

    fn begin(&mut self, job: Job, rank: Rank) -> (Job, Rank) {
        self.busy += 1;
        self.unproven += usize::from(rank.is_unproven());
        (job, rank)
    }

    /// A look-up has come to its end, soon or not.
    pub(super) fn done(&mut self, name: Box<str>, rank: Rank, soon: bool) {
        self.busy -= 1;
        self.unproven -= usize::from(rank.is_unproven());
        if self.remembered.len() >= REMEMBERED && !self.remembered.contains_key(&name) {
            let any = self.remembered.keys().next().cloned();
            any.and_then(|any| self.remembered.remove(&any));
        }
        self.remembered.insert(name, soon);
    }

    /// How long until the next look-up of a new or slow name may begin, where there are too many already.
    pub(super) fn until_next_extra(&self, now: Instant) -> Duration {
        self.next_extra.map_or(Duration::ZERO, |next| next.saturating_duration_since(now))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        [&self.healthy, &self.new, &self.slow].into_iter().map(VecDeque::len).sum()
    }

    fn drop_abandoned(&mut self) {
        for queue in [&mut self.healthy, &mut self.new, &mut self.slow] {
            queue.retain(|job| !job.answer.is_closed());
        }
        self.kept = self.len();
    }

    #[cfg(test)]
    pub(super) const fn busy(&self) -> usize {
        self.busy
    }
}

impl Rank {
    const fn is_unproven(self) -> bool {
        matches!(self, Self::New | Self::Slow)
    }
}

/// The next that somebody still waits for.
fn wanted(mut next: impl FnMut() -> Option<Job>) -> Option<Job> {
    loop {
        let job = next()?;
        if !job.answer.is_closed() {
            return Some(job);
        }
    }
}
