//! What an entry is counted as, while it lives and when it has ended.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proxy_core::relay::Side;
use tokio::time::Instant;

use super::{DeadlineKind, Entry, Facts, Home, Talk};
use crate::end::{By, End};
use crate::histogram::Bounds;
use crate::opening::Role;
use crate::outcomes::{Account, Tally, Valued, WAITS, Worker, micros};
use crate::phase::Phase;

/// What a walk sees of one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) phase: Phase,
    pub(crate) age: Duration,
    pub(crate) in_phase: Duration,
    /// Since bytes last moved.
    pub(crate) idle: Duration,
    /// How long it has been dialling or had been, waits for a place left out.
    pub(crate) dialling: Duration,
    /// Whether it waits for a place, or hears that there is none.
    pub(crate) waits: bool,
    /// In relay: for how long the client has waited for the backend's first answer.
    pub(crate) unanswered: Option<Duration>,
    /// In relay: since the client had the last word.
    pub(crate) unreplied: Option<Duration>,
}

impl Entry {
    /// Notes that `from` has said something, if it is to the other side: what came before the relay may be a PROXY header.
    #[cold]
    pub(super) fn hear(&self, from: Side, age: Duration) {
        if self.phase() < Phase::Relay {
            return;
        }
        let since = match (self.spoken.talk(), from) {
            (Talk::Silent | Talk::Greeted, Side::Client) => {
                self.spoke.set(age);
                None
            }
            (Talk::Silent, Side::Backend) => Some(self.entered(Phase::Relay)),
            (Talk::Unanswered, Side::Backend) => Some(self.spoke.age()),
            (Talk::Greeted | Talk::Answered, Side::Backend)
            | (Talk::Unanswered | Talk::Answered, Side::Client) => None,
        };
        if let Some(since) = since.filter(|_| self.first_byte.get().is_none()) {
            self.first_byte.set(age.saturating_sub(since));
        }
        self.spoken.hear(from);
    }

    /// Notes that the client had spoken before its relay began.
    pub(crate) fn client_has_spoken(&self) {
        self.spoken.last_word(true);
        self.hear(Side::Client, self.entered(Phase::Relay));
    }

    /// Notes that it has waited so long for a place.
    pub(crate) fn waited(&self, time: Duration) {
        let known = self.known.lock();
        known.queued.set(known.queued.age().saturating_add(time));
    }

    /// How long it took to its backend by the age of `age`, waits for a place left out.
    fn dialled_in(&self, age: Duration) -> Duration {
        let queued = self.known.lock().queued.age();
        self.spent(Phase::Dial, age).saturating_sub(queued)
    }

    /// Bytes from the client and from the backend that have not been counted to what it belongs to. Whoever asks counts them.
    pub(crate) fn uncounted(&self) -> (u64, u64) {
        let (from_client, from_backend) = self.bytes();
        let [client, backend] = &self.counted;
        let rest = |counted: &AtomicU64, bytes: u64| {
            // Most have none when they are walked over, and a look writes nothing to them.
            if counted.load(Ordering::Relaxed) >= bytes {
                return 0;
            }
            bytes.saturating_sub(counted.fetch_max(bytes, Ordering::Relaxed))
        };
        (rest(client, from_client), rest(backend, from_backend))
    }

    /// What a connection that has ended so is counted as. Its bytes are counted with it: once.
    pub(crate) fn account(&self, end: End, lifetime: Duration) -> Account {
        let wait = |time| Valued::new(WAITS, micros(time));
        let from = if self.role() == Role::Pooled { Phase::Idle } else { Phase::Relay };
        let dialled = self.phase() >= from;
        let millis = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        Account {
            cause: end.cause,
            failed: end.by == By::Backend,
            unanswered: self.spoken.talk() == Talk::Unanswered,
            bytes: self.uncounted(),
            dial: dialled.then(|| wait(self.dialled_in(lifetime))),
            first_byte: self.first_byte.get().map(wait),
            lifetime: Valued::new(Bounds::MILLIS, millis),
        }
    }

    /// Notes what was learnt, and counts it to its route and its target on behalf of `worker`, if it is to be counted.
    pub(crate) fn learn(&self, worker: Option<Worker>, note: impl FnOnce(&mut Facts)) {
        let mut known = self.known.lock();
        let mut facts = known.take();
        let before = (facts.route.clone(), facts.target.clone());
        note(&mut facts);
        if let Some(worker) = worker {
            given(before.0.as_ref(), facts.route.as_ref(), worker);
            given(before.1.as_ref(), facts.target.as_ref(), worker);
        }
        known.put(facts);
    }

    /// What it is counted under: its route, its target.
    pub(crate) fn with_tallies(&self, with: impl FnOnce(Option<&Tally>, Option<&Tally>)) {
        let known = self.known.lock();
        with(known.route(), known.target());
    }

    /// Where it is in its life.
    pub(crate) fn look(&self, home: Home, now: Instant) -> Look {
        let (phase, age) = (self.phase(), self.age(home, now));
        let talk = self.spoken.talk();
        let kind = || self.deadline.nearest(&self.deadline_kinds, &self.last_activity).map(|(_, kind)| kind);
        let in_relay = phase == Phase::Relay;
        let unreplied = in_relay && talk != Talk::Silent && self.spoken.last_is_clients();
        Look {
            phase,
            age,
            in_phase: self.in_phase(age),
            idle: self.idle(age),
            dialling: if phase == Phase::Dial { self.dialled_in(age) } else { Duration::ZERO },
            waits: phase == Phase::Dial && matches!(kind(), Some(DeadlineKind::Queue | DeadlineKind::Leave)),
            unanswered: (in_relay && talk == Talk::Unanswered).then(|| age.saturating_sub(self.spoke.age())),
            unreplied: unreplied.then(|| self.idle(age)),
        }
    }
}

/// Counts that what was known under `before` is known under `now`.
fn given(before: Option<&Tally>, now: Option<&Tally>, worker: Worker) {
    if before.map(Tally::key) == now.map(Tally::key) {
        return;
    }
    if let Some(before) = before {
        before.counts().passed_on(worker);
    }
    if let Some(now) = now {
        now.counts().opened(worker);
    }
}
