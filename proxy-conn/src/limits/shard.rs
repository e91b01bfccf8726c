//! One shard of the table of clients: entries that carry information, and no others for long.
//!
//! An entry is *live* while a permit is out for its client, *indebted* while its rate's debt is not repaid, and says
//! nothing when it is neither: then it is removed. Who removes it:
//!
//! - the give-back of its last permit, if the debt was repaid by the time of the shard's last admission;
//! - else the *hand*, which goes round the table like a clock's: each admission moves it by a few buckets
//!   ([`LOOKS`]), or by more after a quiet time ([`LOOKS_AFTER_PAUSE`]), when there is time for it.
//!
//! ```text
//!              admit                 last permit given back
//! (no entry) ─────────► live ──────────────────────────────► indebted ──── hand ────► (no entry)
//!     ▲                  │  ▲                                 │  │                        ▲
//!     │ debt repaid      │  └────────────── admit ────────────┘  └─ table full, nearest ──┘
//!     └──────────────────┘                                          to being repaid
//! ```
//!
//! So no admission does more than a bounded amount of work, but for the one that moves the table to a larger or smaller
//! allocation, as a hash map's insertion may: at the default capacity that is 16 384 entries, under a millisecond.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::time::Duration;

use hashbrown::HashTable;

use super::address::AddressKey;
use super::answer::{AddressRefusal, Busiest};
use super::rate::Gcra;

/// Buckets that each admission looks at. With four, what is overdue stays under a quarter of the table's buckets: by
/// the time the hand has gone round, that many have been admitted.
const LOOKS: usize = 4;
/// Buckets looked at by the first admission after a pause (one for each [`LOOK_TIME`] of it): one or two microseconds.
const LOOKS_AFTER_PAUSE: usize = 1024;
/// A pause worth one look, in nanoseconds: at that pace the largest shard by default (32 768 buckets) takes half a minute.
const LOOK_TIME: u64 = 1_000_000;
/// Buckets looked at, at most, for an entry that may give way when the shard is full; with one in thirty of its clients
/// without permits, it finds one almost always.
const LOOKS_WHEN_FULL: usize = 128;
/// Entries that may give way among which one is chosen. Redis finds ten nearly as good as looking at all.
const CANDIDATES: usize = 16;
/// Below this many buckets (two kilobytes) a table does not shrink.
const FEW_BUCKETS: usize = 64;

/// What one client is entitled to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    pub(super) at_once: NonZeroU32,
    pub(super) per_minute: NonZeroU32,
    pub(super) rate: Gcra,
}

impl Policy {
    pub(super) fn new(at_once: NonZeroU32, per_minute: NonZeroU32) -> Self {
        Self { at_once, per_minute, rate: Gcra::per_minute(per_minute) }
    }

    /// Both limits in one: when the debt is repaid after one more, if one more may be. Changes nothing.
    fn one_more(&self, permits: u32, due: u64, now: u64) -> Result<u64, AddressRefusal> {
        if permits >= self.at_once.get() {
            return Err(AddressRefusal::AtOnce { most: self.at_once.get() });
        }
        self.rate.one_more(due, now).map_err(|wait| AddressRefusal::Rate {
            per_minute: self.per_minute.get(),
            retry_after: Duration::from_nanos(wait),
        })
    }
}

/// What clients are entitled to. The most that can be said is no limit: no process has as many connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policies {
    pub(super) others: Policy,
    pub(super) local: Policy,
    pub(super) unlimited: Policy,
}

/// Whose policy a client is under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// That of anybody.
    Others,
    /// That of clients on this machine's loopback.
    Local,
    /// That of clients for whom there is no limit.
    Unlimited,
}

impl Policies {
    const fn of(&self, whose: Whose) -> &Policy {
        match whose {
            Whose::Others => &self.others,
            Whose::Local => &self.local,
            Whose::Unlimited => &self.unlimited,
        }
    }
}

/// A client with its hash, which picks the shard and then the bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hashed {
    pub(super) key: AddressKey,
    pub(super) hash: u64,
}

impl Hashed {
    fn is(self, entry: &Entry) -> bool {
        // By value: a field of a packed struct has no reference.
        let key = entry.key;
        key == self.key
    }
}

/// One client. 28 bytes: packed, as 16-byte alignment would make it 32. Fields are read by value.
#[derive(Clone, Copy)]
#[repr(Rust, packed(4))]
struct Entry {
    key: AddressKey,
    /// When its debt is repaid.
    due: u64,
    /// Permits that are out.
    permits: u32,
}

impl Entry {
    const fn is_live(self) -> bool {
        self.permits > 0
    }
}

/// A part of the table. Times are nanoseconds since the table began.
pub(super) struct Shard {
    entries: HashTable<Entry>,
    policies: Policies,
    /// The bound on `entries`.
    most_entries: usize,
    /// Entries with a permit out.
    live: usize,
    /// Permits out, of all clients.
    permits: usize,
    /// The bucket that is looked at next.
    hand: usize,
    /// The latest time of an admission.
    seen: u64,
}

impl Shard {
    pub(super) const fn new(policies: Policies, most_entries: usize) -> Self {
        let entries = HashTable::new();
        Self { entries, policies, most_entries, live: 0, permits: 0, hand: 0, seen: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) const fn permits(&self) -> usize {
        self.permits
    }

    pub(super) fn count(&self, client: Hashed) -> u32 {
        self.entries.find(client.hash, |entry| client.is(entry)).map_or(0, |entry| entry.permits)
    }

    /// Who of those that `among` has uses most, added to what is known of other shards.
    pub(super) fn busiest(&self, now: u64, among: &impl Fn(AddressKey) -> bool, most: &mut Busiest) {
        for entry in &self.entries {
            let Entry { key, due, permits } = *entry;
            let local = key.first().is_loopback();
            let rate = self.policies.of(if local { Whose::Local } else { Whose::Others }).rate;
            for (most, used) in [(&mut most.open, permits), (&mut most.new, rate.owed(due, now))] {
                if used > most.map_or(0, |(_, used)| used) && among(key) {
                    *most = Some((key, used));
                }
            }
        }
    }

    pub(super) const fn set_policies(&mut self, policies: Policies) {
        self.policies = policies;
    }

    /// Counts one more permit of `client`, if both limits and the table allow it.
    pub(super) fn admit(
        &mut self,
        client: Hashed,
        whose: Whose,
        now: u64,
        keys: &RandomState,
    ) -> Result<(), AddressRefusal> {
        let now = self.tend(now, keys);
        let policy = *self.policies.of(whose);
        let Hashed { key, hash } = client;
        if let Some(entry) = self.entries.find_mut(hash, |entry| client.is(entry)) {
            let due = policy.one_more(entry.permits, entry.due, now)?;
            self.live += usize::from(!entry.is_live());
            *entry = Entry { key, due, permits: entry.permits + 1 };
        } else {
            let due = policy.one_more(0, now, now)?;
            self.make_room(keys)?;
            self.entries
                .insert_unique(hash, Entry { key, due, permits: 1 }, |entry| keys.hash_one(entry.key));
            self.live += 1;
        }
        self.permits += 1;
        Ok(())
    }

    /// Takes back one permit of `client`.
    pub(super) fn give_back(&mut self, client: Hashed, keys: &RandomState) {
        let Ok(mut found) = self.entries.find_entry(client.hash, |entry| client.is(entry)) else {
            debug_assert!(false, "a live entry is never removed");
            return;
        };
        self.permits -= 1;
        let entry = found.get_mut();
        entry.permits -= 1;
        if entry.is_live() {
            return;
        }
        self.live -= 1;
        if entry.due <= self.seen {
            found.remove();
            self.shrink(keys);
        }
    }

    /// Notes the time and moves the hand on; the time, which never goes back, whatever the callers' clocks race.
    fn tend(&mut self, now: u64, keys: &RandomState) -> u64 {
        let pause = now.saturating_sub(self.seen);
        self.seen = self.seen.max(now);
        let looks = usize::try_from(pause / LOOK_TIME).unwrap_or(usize::MAX);
        self.sweep(looks.clamp(LOOKS, LOOKS_AFTER_PAUSE), usize::MAX);
        self.shrink(keys);
        self.seen
    }

    /// Looks at the next `looks` buckets, and removes the entries in them that say nothing. Stops after `candidates`
    /// entries that are indebted but not live, and tells the bucket of that which is nearest to being repaid.
    fn sweep(&mut self, looks: usize, mut candidates: usize) -> Option<usize> {
        let buckets = self.entries.num_buckets();
        let mut nearest: Option<(u64, usize)> = None;
        for _ in 0..looks.min(buckets) {
            self.hand = if self.hand + 1 < buckets { self.hand + 1 } else { 0 };
            let Ok(found) = self.entries.get_bucket_entry(self.hand) else { continue };
            let entry = *found.get();
            if entry.is_live() {
                continue;
            }
            if entry.due <= self.seen {
                found.remove();
                continue;
            }
            if nearest.is_none_or(|(due, _)| entry.due < due) {
                nearest = Some((entry.due, self.hand));
            }
            candidates -= 1;
            if candidates == 0 {
                break;
            }
        }
        nearest.map(|(_, bucket)| bucket)
    }

    /// Makes room for one entry. A live entry never gives way.
    fn make_room(&mut self, keys: &RandomState) -> Result<(), AddressRefusal> {
        if self.entries.len() >= self.most_entries {
            self.give_way()?;
        }
        if self.entries.len() == self.entries.capacity() {
            self.rebuild(keys);
        }
        Ok(())
    }

    /// Removes an entry although it may be indebted: of those looked at, the one nearest to being repaid.
    fn give_way(&mut self) -> Result<(), AddressRefusal> {
        if self.live == self.entries.len() {
            return Err(AddressRefusal::TableFull);
        }
        let nearest = self.sweep(LOOKS_WHEN_FULL, CANDIDATES);
        if self.entries.len() < self.most_entries {
            return Ok(());
        }
        // Removals move no other entry, so the bucket still holds what the sweep saw.
        let found = nearest.and_then(|bucket| self.entries.get_bucket_entry(bucket).ok());
        found.ok_or(AddressRefusal::TableFull)?.remove();
        Ok(())
    }

    /// Gives memory back once less than an eighth of it is used.
    fn shrink(&mut self, keys: &RandomState) {
        let buckets = self.entries.num_buckets();
        if buckets > FEW_BUCKETS && self.entries.len() < buckets / 8 {
            self.rebuild(keys);
        }
    }

    /// Moves the entries to an allocation of the right size, with room for a quarter more: larger, smaller, or the same
    /// without the marks that removals leave. hashbrown's own growth would double a table that is full only of those.
    fn rebuild(&mut self, keys: &RandomState) {
        let len = self.entries.len();
        let old = std::mem::replace(&mut self.entries, HashTable::with_capacity(len + len / 4 + 4));
        for entry in old {
            self.entries.insert_unique(keys.hash_one(entry.key), entry, |entry| keys.hash_one(entry.key));
        }
    }
}
