//! Whether the proxy does anything, as far as can be seen from outside its workers.

use std::time::Duration;

use tokio::time::Instant;

/// How long a worker may be busy with something else than its timer, of which there are two a second.
const WORKER: Duration = Duration::from_secs(3);

/// How much later than due an audit may come on a loaded machine.
const AUDIT: Duration = Duration::from_secs(20);

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Timers of each worker.
    pub(super) beats: Vec<u64>,
    /// Audits that have ended.
    pub(super) audits: u64,
    /// How often there is one.
    pub(super) audit_interval: Duration,
}

/// When what moved last.
#[derive(Debug)]
pub(super) struct Vitals {
    workers: Vec<(u64, Instant)>,
    audits: (u64, Instant),
}

impl Vitals {
    pub(super) fn new(seen: &Seen, now: Instant) -> Self {
        let workers = seen.beats.iter().map(|beats| (*beats, now)).collect();
        Self { workers, audits: (seen.audits, now) }
    }

    /// What does not move; None if all is well.
    pub(super) fn look(&mut self, seen: &Seen, now: Instant) -> Option<String> {
        for (worker, beats) in self.workers.iter_mut().zip(&seen.beats) {
            note(worker, *beats, now);
        }
        note(&mut self.audits, seen.audits, now);
        let still = |(_, since): &(u64, Instant)| now.saturating_duration_since(*since);
        let stuck = self.workers.iter().position(|worker| still(worker) > WORKER);
        if let Some(number) = stuck {
            return Some(format!("worker {number} does not answer"));
        }
        (still(&self.audits) > seen.audit_interval + AUDIT)
            .then(|| "the audit does not come to an end".to_owned())
    }
}

fn note((last, since): &mut (u64, Instant), value: u64, now: Instant) {
    if *last != value {
        (*last, *since) = (value, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64, beats: [u64; 2], audits: u64) -> (Seen, u64) {
        let interval = Duration::from_secs(30);
        (Seen { beats: beats.to_vec(), audits, audit_interval: interval }, second)
    }

    /// What is said at each of these times.
    fn said(looks: &[(Seen, u64)]) -> Vec<Option<String>> {
        let start = Instant::now();
        let mut vitals = Vitals::new(&looks[0].0, start);
        looks.iter().map(|(seen, second)| vitals.look(seen, start + Duration::from_secs(*second))).collect()
    }

    #[test]
    fn a_worker_that_stands_still_is_named_until_it_moves() {
        let looks =
            [at(0, [1, 1], 0), at(1, [3, 1], 0), at(3, [7, 1], 0), at(4, [9, 1], 0), at(5, [11, 2], 0)];
        let complaint = Some("worker 1 does not answer".to_owned());
        assert_eq!(said(&looks), [None, None, None, complaint, None]);
    }

    #[test]
    fn an_audit_that_does_not_end_is_missed() {
        let looks =
            [at(0, [1, 1], 0), at(30, [2, 2], 1), at(80, [3, 3], 1), at(81, [4, 4], 1), at(82, [5, 5], 2)];
        let complaint = Some("the audit does not come to an end".to_owned());
        assert_eq!(said(&looks), [None, None, None, complaint, None]);
    }
}
