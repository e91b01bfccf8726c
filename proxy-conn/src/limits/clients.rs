//! Limits for each client address: connections at once, and connections a minute.
//!
//! Both are decided together, in one step under the lock of one shard, and an attempt that is refused costs the client
//! nothing. The table is for addresses that attackers choose, so:
//!
//! - its hash is `SipHash`, keyed at random for each table: nobody can aim at one shard or one bucket;
//! - it is bounded: a million addresses cannot make it larger than its capacity;
//! - what counts is never pushed out: a client with a permit stays, whoever else comes;
//! - what says nothing goes: a client without permits whose rate's debt is repaid is forgotten, and the memory given
//!   back, bit by bit with the admissions. There is no task that sweeps.
//!
//! When the table is full, a client that is new takes the place of one without permits that is still in debt: of sixteen
//! such, the one nearest to being repaid, which is forgiven at most a minute, and usually a fraction of a second. If
//! the next 128 places have none, the new client is refused ([`AddressRefusal::TableFull`]); a known one never is for
//! that.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use parking_lot::Mutex;
use proxy_values::layered;
use tokio::time::Instant;

use super::address::{AddressKey, V6Prefix};
use super::answer::{AddressRefusal, Busiest, Refused};
use super::refused::Refusals;
use super::shard::{Hashed, Policies, Policy, Shard, Whose};

layered! {
    /// What one client may have, and what the table of clients may hold.
    pub struct AddressLimitsOptions /
    /// Limits for each client, where they differ from the layer above.
    AddressLimitsOverrides {
        /// Connections that one client may have at once. Default 100.
        connections_per_client: NonZeroU32 = at_least_one(100),
        /// Connections that one client may open in a minute: as many at once, then one at a time. Default 300.
        connections_per_client_per_minute: NonZeroU32 = at_least_one(300),
        /// The same for a client on this machine's loopback, who is as likely another program's proxy as a person. Default:
        /// as many as it likes.
        local_connections_per_client: NonZeroU32 = NonZeroU32::MAX,
        /// And the connections that such a one may open in a minute. Default: as many as it likes.
        local_connections_per_client_per_minute: NonZeroU32 = NonZeroU32::MAX,
        /// How many leading bits of an IPv6 address name a client, 32 to 128. Default 64.
        ipv6_prefix: V6Prefix = V6Prefix::LINK,
        /// Clients that are counted at once. Default 524288: a process has at most 1048576 descriptors (Linux'
        /// `fs.nr_open`), and a connection needs two. They take 30 MiB at most.
        client_table_capacity: NonZeroU32 = at_least_one(1 << 19),
    }
}

const fn at_least_one(n: u32) -> NonZeroU32 {
    match NonZeroU32::new(n) {
        Some(n) => n,
        None => NonZeroU32::MIN,
    }
}

/// The most shards a table has: more than the workers that want one at the same time, on any machine we know of.
const MOST_SHARDS: usize = 32;
/// With fewer entries than this in a shard, chance alone would fill one shard long before the others (its deviation is
/// the square root: 3 % of 1 024).
const FEWEST_IN_SHARD: usize = 1024;

/// The limits of each client. Cheap to clone; clones are the same table.
#[derive(Clone)]
pub struct AddressLimits(Arc<Table>);

struct Table {
    shards: Box<[Padded]>,
    keys: RandomState,
    prefix: V6Prefix,
    began: Instant,
    refusals: Refusals,
}

/// A shard on cache lines of its own (128 bytes: processors fetch them in pairs), so that workers do not slow each other
/// down in shards next to each other.
#[repr(align(128))]
struct Padded(Mutex<Shard>);

impl AddressLimits {
    /// An empty table. It takes memory as clients come.
    ///
    /// The capacity is split evenly between up to 32 shards, so a shard may be full when the table as a whole is not
    /// quite (some 3 % short of it at the default capacity, a tenth at the least that is split).
    #[must_use]
    pub fn new(options: AddressLimitsOptions) -> Self {
        let capacity = usize::try_from(options.client_table_capacity.get()).unwrap_or(usize::MAX);
        // A power of two, at least one.
        let shards = 1 << (capacity / FEWEST_IN_SHARD).clamp(1, MOST_SHARDS).ilog2();
        let policies = policies(options);
        let shard = |_| Padded(Mutex::new(Shard::new(policies, capacity / shards)));
        Self(Arc::new(Table {
            shards: (0..shards).map(shard).collect(),
            keys: RandomState::new(),
            prefix: options.ipv6_prefix,
            began: Instant::now(),
            refusals: Refusals::default(),
        }))
    }

    /// Admits one connection of `ip` at `now`, if it has fewer than it may and does not open them too fast. One step: a
    /// refused attempt counts for nothing, and two attempts never share one permit.
    ///
    /// # Errors
    /// Which limit it has met, and when to come again.
    pub fn admit(&self, ip: IpAddr, now: Instant) -> Result<AddressPermit, AddressRefusal> {
        let whose = if ip.to_canonical().is_loopback() { Whose::Local } else { Whose::Others };
        self.admit_as(whose, ip, now)
    }

    /// Counts one connection of a client that may have as many as it likes, so that a limit which it is given later knows of
    /// it. None if the table has no room for it.
    #[must_use]
    pub fn count_in(&self, ip: IpAddr, now: Instant) -> Option<AddressPermit> {
        self.admit_as(Whose::Unlimited, ip, now).ok()
    }

    fn admit_as(&self, whose: Whose, ip: IpAddr, now: Instant) -> Result<AddressPermit, AddressRefusal> {
        let table = &self.0;
        let key = AddressKey::of(ip, table.prefix);
        let now = table.since(now);
        let (shard, client) = table.place(key);
        let admitted = shard.lock().admit(client, whose, now, &table.keys);
        // Not under the lock.
        admitted.inspect_err(|refusal| table.refusals.note(key, whose, refusal, now))?;
        Ok(AddressPermit { table: Arc::clone(table), key })
    }

    /// Whether `permit` counts for the client that `ip` counts as, in this table.
    #[must_use]
    pub fn is_of(&self, permit: &AddressPermit, ip: IpAddr) -> bool {
        Arc::ptr_eq(&self.0, &permit.table) && permit.key == AddressKey::of(ip, self.0.prefix)
    }

    /// Changes what one client may have, as a reload does. Counts and debts stay. The prefix and the capacity are those
    /// that the table was made with: to change them is to make a new one.
    pub fn set_rates(&self, options: AddressLimitsOptions) {
        let policies = policies(options);
        for shard in &self.0.shards {
            shard.0.lock().set_policies(policies);
        }
    }

    /// Clients in the table: those with permits out, those in debt, and those about to be forgotten.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sum(Shard::len)
    }

    /// Whether no client is in the table.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Permits that are out, of all clients. Shards are looked at one after the other.
    #[must_use]
    pub fn total(&self) -> usize {
        self.sum(Shard::permits)
    }

    /// Permits that are out for the client that `ip` counts as.
    #[must_use]
    pub fn count(&self, ip: IpAddr) -> u32 {
        let (shard, client) = self.0.place(AddressKey::of(ip, self.0.prefix));
        shard.lock().count(client)
    }

    /// Who uses most of what a client may have, at `now`, of those that `among` has: it is given the first address of each.
    /// Looks at all clients, one shard after the other.
    #[must_use]
    pub fn busiest(&self, now: Instant, among: impl Fn(IpAddr) -> bool) -> Busiest {
        let (now, mut most) = (self.0.since(now), Busiest::default());
        let among = |key: AddressKey| among(key.first());
        for shard in &self.0.shards {
            shard.0.lock().busiest(now, &among, &mut most);
        }
        most
    }

    /// What was refused since the start, and whom most within the last minute as seen at `now`: of clients that are not on loopback,
    /// and of those that are.
    #[must_use]
    pub fn refused(&self, now: Instant) -> [Refused; 2] {
        self.0.refusals.view(self.0.since(now))
    }

    /// The leading bits of an IPv6 address that name a client.
    #[must_use]
    pub fn ipv6_prefix(&self) -> V6Prefix {
        self.0.prefix
    }

    fn sum(&self, of: impl Fn(&Shard) -> usize) -> usize {
        self.0.shards.iter().map(|shard| of(&shard.0.lock())).sum()
    }
}

fn policies(options: AddressLimitsOptions) -> Policies {
    let local = (options.local_connections_per_client, options.local_connections_per_client_per_minute);
    Policies {
        others: Policy::new(options.connections_per_client, options.connections_per_client_per_minute),
        local: Policy::new(local.0, local.1),
        unlimited: Policy::new(NonZeroU32::MAX, NonZeroU32::MAX),
    }
}

impl Table {
    /// Nanoseconds since it began.
    fn since(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Where `key` is counted.
    #[expect(clippy::indexing_slicing, reason = "a power of two less one masks the index")]
    fn place(&self, key: AddressKey) -> (&Mutex<Shard>, Hashed) {
        let hash = self.keys.hash_one(key);
        // The shard's own table uses the lowest bits of the hash and the highest seven: these are between.
        let index = usize::try_from(hash >> 48).unwrap_or(0) & (self.shards.len() - 1);
        (&self.shards[index].0, Hashed { key, hash })
    }
}

impl fmt::Debug for AddressLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressLimits")
            .field("len", &self.len())
            .field("total", &self.total())
            .finish_non_exhaustive()
    }
}

/// Leave for one connection of one client. Dropping it gives it back.
#[must_use = "a permit that is dropped is given back at once"]
pub struct AddressPermit {
    table: Arc<Table>,
    key: AddressKey,
}

impl AddressPermit {
    /// The client it counts for.
    #[must_use]
    pub const fn key(&self) -> AddressKey {
        self.key
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let (shard, client) = self.table.place(self.key);
        shard.lock().give_back(client, &self.table.keys);
    }
}

impl fmt::Debug for AddressPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AddressPermit").field(&format_args!("{}", self.key)).finish()
    }
}
