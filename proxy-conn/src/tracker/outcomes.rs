//! What became of connections, of all of them and by what they belong to.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use super::{Key, Shard, Tracker};
use crate::end::Cause;
use crate::entry::{Entry, Facts};
use crate::outcomes::{Account, Tally, Totals, Worker};
use crate::pool_id::PoolId;
use crate::walk::Walk;

impl Tracker {
    /// Counts an end to all that it belongs to.
    pub(super) fn count(&self, key: Key, entry: &Entry, facts: &Facts, account: &Account) {
        let Some(worker) = self.worker(key) else { return };
        let shard = self.shard(key.shard);
        let (from_client, from_backend) = account.bytes();
        let [client, backend] = &shard.bytes;
        let counts = [
            (&shard.failed, u64::from(account.failed())),
            (&shard.unanswered, u64::from(account.unanswered())),
            (client, from_client),
            (backend, from_backend),
        ];
        for (count, more) in counts.into_iter().filter(|(_, more)| *more > 0) {
            count.fetch_add(more, Ordering::Relaxed);
        }
        entry.listener().counts().ended(worker, account);
        let of_pool = entry.pool().and_then(|pool| self.of_pool(pool));
        for tally in [of_pool, facts.route.as_ref(), facts.target.as_ref()].into_iter().flatten() {
            tally.counts().ended(worker, account);
        }
    }

    /// On whose behalf is counted; None for a check, which is counted nowhere.
    pub(crate) fn worker(&self, key: Key) -> Option<Worker> {
        let of = self.shards.len();
        (key.shard < of).then_some(Worker { nth: key.shard, of })
    }

    /// A connection is in `pool` from now on; `before` says where it was.
    pub(crate) fn joined(&self, key: Key, before: Option<PoolId>, pool: PoolId) {
        let Some(worker) = self.worker(key).filter(|_| before != Some(pool)) else { return };
        if let Some(before) = before.and_then(|before| self.of_pool(before)) {
            before.counts().passed_on(worker);
        }
        if let Some(slot) = self.pools.get(pool.number()) {
            slot.get_or_init(|| Tally::new("")).counts().opened(worker);
        }
    }

    /// What is counted of a pool; None if no connection has joined it. The tracker knows no name of it.
    #[must_use]
    pub fn of_pool(&self, pool: PoolId) -> Option<&Tally> {
        self.pools.get(pool.number()).and_then(OnceLock::get)
    }

    /// The number is another pool's from now on, of which nothing is counted yet: call it while none of its connections is open.
    pub fn forget_pool(&self, pool: PoolId) {
        if let Some(tally) = self.of_pool(pool) {
            tally.counts().reset();
        }
    }

    /// What is counted of all connections.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let sum = |of: fn(&Shard) -> &AtomicU64| -> u64 {
            self.shards.iter().map(|shard| of(shard).load(Ordering::Relaxed)).sum()
        };
        let mut totals = Totals::default();
        for (total, cause) in totals.ended.iter_mut().zip(Cause::ALL) {
            *total = self.ended(*cause);
        }
        (totals.failed, totals.unanswered) = (sum(|shard| &shard.failed), sum(|shard| &shard.unanswered));
        let [client, backend] = &self.walked;
        totals.from_client = sum(|shard| &shard.bytes[0]) + client.load(Ordering::Relaxed);
        totals.from_backend = sum(|shard| &shard.bytes[1]) + backend.load(Ordering::Relaxed);
        // Last: what is opened and ends meanwhile is missed rather than counted as an end alone.
        totals.opened = self.opened();
        totals
    }

    /// Looks at every open connection once: how many each route, target, listener and pool has, and in which phase; and counts the
    /// bytes that have come since the last walk to them. It takes no lock for longer than a list of references takes to copy, and
    /// a quarter of a microsecond a connection or so: not for a worker to do.
    #[must_use]
    pub fn walk(&self) -> Walk {
        let now = Instant::now();
        let salt = now.saturating_duration_since(self.home.began).as_nanos();
        let mut walk = Walk::salted(u64::try_from(salt).unwrap_or(u64::MAX));
        for entry in self.entries() {
            walk.add(&entry, self.home, now);
        }
        let (from_client, from_backend) = walk.count(|pool, bytes| {
            if let Some(tally) = self.of_pool(pool) {
                tally.counts().walked(bytes);
            }
        });
        let [client, backend] = &self.walked;
        client.fetch_add(from_client, Ordering::Relaxed);
        backend.fetch_add(from_backend, Ordering::Relaxed);
        walk
    }
}
