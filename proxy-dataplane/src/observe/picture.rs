//! Pictures of a proxy: the figures of the process and of each route, target, listener and pool at one moment.
//!
//! ```text
//!  counters of each subject ────────────► each picture
//!  a walk of those that are open ───────► each picture, as of the last walk: once a second with up to two thousand
//!                                         connections, ever more seldom with more, down to once in six seconds
//! ```
//! Nothing is asked of the workers: counters are read, and a walk looks at entries. Routes that nobody has taken yet are in no picture.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use proxy_conn::histogram::Snapshot;
use proxy_conn::{Living, Tally, Totals, Walk};
use proxy_observe::{Picture, Reading, Subject};
use proxy_upstream::Group;
use tokio::time::Instant;

use crate::generation::Generation;

/// A walk costs about a quarter of a microsecond a connection, more where they are out of the caches: with half a millisecond of
/// pause for each, all walks together are below a thousandth of one core.
const PAUSE_PER_CONNECTION: Duration = Duration::from_micros(500);

/// The shortest pause between two walks, and the longest: what stands still is to be seen within ten seconds, and has to stand still
/// for three before it is seen to.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(6);

/// Who is asked once a second is asked a little early at times.
const EARLY: Duration = Duration::from_millis(100);

/// Makes pictures, one after the other. One for a process.
#[derive(Debug)]
pub struct Pictures {
    began: Instant,
    walk: Walk,
    walked: Instant,
    /// When the next walk is due.
    due: Instant,
    /// Whether nobody has asked for the last walk yet.
    is_new: bool,
    /// First bytes that were counted when the last picture was made, by bucket; of those subjects that have had some.
    first_bytes: HashMap<Subject, Box<[u64]>>,
}

impl Default for Pictures {
    fn default() -> Self {
        Self::from_now()
    }
}

impl Pictures {
    /// Pictures of a process that starts now.
    #[must_use]
    pub fn from_now() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            walk: Walk::default(),
            walked: now,
            due: now,
            is_new: false,
            first_bytes: HashMap::new(),
        }
    }

    /// The proxy as it is now, in this configuration. It takes some microseconds for each subject, and walks connections where that
    /// is due: not for a worker to do.
    #[must_use]
    pub fn take<D>(&mut self, proxy: &Generation<D>) -> Picture {
        let now = Instant::now();
        if now + EARLY >= self.due {
            self.walk = proxy.tracker.walk();
            self.walked = now;
            self.due = now + pause(self.walk.all().open());
            self.is_new = true;
        }
        let mut picture = Picture::default();
        picture.at = now.saturating_duration_since(self.began);
        picture.walked = self.walked.saturating_duration_since(self.began);
        let tracker = &proxy.tracker;
        let first_byte = tracker.figures().first_byte();
        let all = *self.walk.all();
        picture.readings.push(self.reading(Subject::Process, tracker.totals(), all, &first_byte));
        for (subject, tally) in subjects(proxy) {
            let living = self.walk.of(&tally).copied().unwrap_or_default();
            picture.readings.push(self.reading(subject, tally.totals(), living, &tally.first_byte()));
        }
        for pool in &proxy.pools {
            let living = self.walk.of_pool(pool.id).copied().unwrap_or_default();
            let tally = tracker.of_pool(pool.id).cloned().unwrap_or_else(|| Tally::new(""));
            let subject = Subject::Pool(Arc::clone(&pool.name));
            picture.readings.push(self.reading(subject, tally.totals(), living, &tally.first_byte()));
        }
        picture
    }

    /// The last walk, once.
    pub(super) fn new_walk(&mut self) -> Option<&Walk> {
        std::mem::take(&mut self.is_new).then_some(&self.walk)
    }

    fn reading(
        &mut self,
        subject: Subject,
        totals: Totals,
        living: Living,
        first_byte: &Snapshot,
    ) -> (Subject, Reading) {
        let mut reading = Reading::default();
        reading.open = totals.open();
        reading.totals = totals;
        reading.phases = living.phases;
        reading.living = living;
        reading.first_byte_p99 = self.first_byte_p99(&subject, first_byte);
        (subject, reading)
    }

    /// Of those that were counted since the last picture.
    fn first_byte_p99(&mut self, subject: &Subject, counted: &Snapshot) -> Option<Duration> {
        if counted.count() == 0 {
            return None;
        }
        let Some(before) = self.first_bytes.get_mut(subject) else {
            self.first_bytes.insert(subject.clone(), counted.buckets().into());
            return quantile(counted);
        };
        let new = counted.buckets().iter().zip(&*before).map(|(now, before)| now.saturating_sub(*before));
        let new = Snapshot::of(proxy_conn::WAITS, 0, new);
        before.copy_from_slice(counted.buckets());
        quantile(&new)
    }
}

/// The bound that 99 of 100 keep; the last there is where that lies beyond it.
fn quantile(of: &Snapshot) -> Option<Duration> {
    let last = proxy_conn::WAITS.as_slice().last().copied().unwrap_or(u64::MAX);
    of.quantile(0.99).map(|micros| Duration::from_micros(micros.min(last)))
}

fn pause(connections: u64) -> Duration {
    let connections = u32::try_from(connections).unwrap_or(u32::MAX);
    PAUSE_PER_CONNECTION.saturating_mul(connections).clamp(SHORTEST, LONGEST)
}

/// Routes that have been taken, targets that they list, members of groups that have a name, and listeners, with what each is counted
/// under.
fn subjects<D>(proxy: &Generation<D>) -> Vec<(Subject, Tally)> {
    let route = |name: &Tally| (Subject::Route(name.name().into()), name.clone());
    let mut all: Vec<_> = proxy.routes.iter().map(|state| route(&state.name)).collect();
    let own = proxy.routes.iter().map(|state| &state.targets).filter(|group| !group.has_own_name());
    for group in own.chain(proxy.groups()) {
        targets(group, &mut all);
    }
    let listener = |label: &Tally| (Subject::Listener(label.name().into()), label.clone());
    all.extend(proxy.listeners.iter().map(|at| listener(&at.label)));
    all
}

/// The members of a group. One that is listed several times gets a number, as in metrics.
fn targets(group: &Group, to: &mut Vec<(Subject, Tally)>) {
    let members = group.members();
    let mut listed: HashMap<&str, usize> = HashMap::with_capacity(members.len());
    for member in &members {
        let nth = listed.entry(&member.name).or_default();
        *nth += 1;
        let target = match *nth {
            1 => member.name.name().into(),
            nth => format!("{}#{nth}", member.name).into(),
        };
        to.push((Subject::Target { of: Arc::clone(group.label()), target }, member.name.clone()));
    }
}

#[cfg(test)]
mod tests;
