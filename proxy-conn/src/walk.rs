//! All connections that are open, looked at once: how many each subject has in which phase, and their bytes.
//!
//! A look at one takes no copy of what is known of it. Any number may walk at one time: bytes are counted once, whoever is first.

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::Duration;

use hashbrown::HashTable;
use tokio::time::Instant;

use crate::entry::looks::Look;
use crate::entry::{Entry, Home};
use crate::outcomes::{Ages, Tally};
use crate::phase::Phase;
use crate::pool_id::PoolId;

/// From so long on a dial, or an answer that does not come, is long: ten times as long as a dial to the other side of the world
/// takes, and a third of the time within which a backend that stands still is to be found.
pub const LONG: Duration = Duration::from_secs(3);

/// Connections of one subject that are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Living {
    /// By phase.
    pub phases: [u64; Phase::ALL.len()],
    /// Of those in dial, how many wait for a place.
    pub waiting: u64,
    /// Of those in dial that have a place, how many have been dialling for [`LONG`] or longer.
    pub dialling_long: u64,
    /// The longest that one of these has been in dial.
    pub longest_dial: Duration,
    /// Of those in relay, how many clients have said something [`LONG`] ago or longer, and the backend has never said anything
    /// since.
    pub unanswered: u64,
    /// The longest that one of these has waited.
    pub longest_unanswered: Duration,
    /// Of those in relay, how many had their last bytes from the client, [`LONG`] ago or longer; the unanswered ones too. That is
    /// usual for what goes one way.
    pub unreplied: u64,
    /// How old the oldest is.
    pub oldest: Duration,
    /// How long those have waited whose client has sent no whole PROXY header or ClientHello.
    pub greeting: Ages,
    /// How long those in dial that have a place have been dialling, waits for it left out.
    pub dialling: Ages,
    /// How long those in relay have waited whose client has spoken, and says nothing more, and whose backend never has since.
    pub answering: Ages,
    /// How long those have been silent of which one side has ended.
    pub half_closed: Ages,
}

impl Living {
    /// How many there are.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.phases.iter().sum()
    }

    fn add(&mut self, one: &Look) {
        if let Some(phase) = self.phases.get_mut(one.phase.index()) {
            *phase += 1;
        }
        self.oldest = self.oldest.max(one.age);
        self.add_wait(one);
        match one.phase {
            Phase::Dial if one.waits => self.waiting += 1,
            Phase::Dial if one.in_phase >= LONG => {
                self.dialling_long += 1;
                self.longest_dial = self.longest_dial.max(one.in_phase);
            }
            Phase::Relay => {
                if let Some(waited) = one.unanswered.filter(|waited| *waited >= LONG) {
                    self.unanswered += 1;
                    self.longest_unanswered = self.longest_unanswered.max(waited);
                }
                self.unreplied += u64::from(one.unreplied.is_some_and(|waited| waited >= LONG));
            }
            Phase::Header
            | Phase::Peek
            | Phase::Tls
            | Phase::Dial
            | Phase::Idle
            | Phase::Busy
            | Phase::Drain => {}
        }
    }
}

impl Living {
    /// Adds those of another subject.
    fn join(&mut self, other: &Self) {
        let Self {
            phases,
            waiting,
            dialling_long,
            longest_dial,
            unanswered,
            longest_unanswered,
            unreplied,
            oldest,
            greeting,
            dialling,
            answering,
            half_closed,
        } = other;
        self.phases.iter_mut().zip(phases).for_each(|(all, more)| *all += more);
        self.waiting += waiting;
        self.dialling_long += dialling_long;
        self.longest_dial = self.longest_dial.max(*longest_dial);
        self.unanswered += unanswered;
        self.longest_unanswered = self.longest_unanswered.max(*longest_unanswered);
        self.unreplied += unreplied;
        self.oldest = self.oldest.max(*oldest);
        self.greeting.join(greeting);
        self.dialling.join(dialling);
        self.answering.join(answering);
        self.half_closed.join(half_closed);
    }

    /// Counts what it waits for, and how long it has.
    fn add_wait(&mut self, one: &Look) {
        match one.phase {
            Phase::Header | Phase::Peek | Phase::Tls => self.greeting.add(one.age),
            Phase::Dial if one.waits => {}
            Phase::Dial => self.dialling.add(one.dialling),
            // What a request waits for is told by the connection that it was sent over.
            Phase::Idle | Phase::Busy => {}
            // Whoever still sends waits for nothing yet.
            Phase::Relay => {
                one.unanswered.into_iter().for_each(|since| self.answering.add(since.min(one.idle)));
            }
            Phase::Drain => self.half_closed.add(one.in_phase.min(one.idle)),
        }
    }
}

/// What a walk has seen.
#[derive(Debug, Default)]
pub struct Walk {
    /// By all that they are counted under: one place to count a connection, however many there are to read it from.
    ways: HashTable<(Way, Seen, Picked)>,
    /// What picks some of many is another one with every walk.
    salt: u64,
    all: Seen,
    /// By what connections are counted under.
    by: HashTable<(Tally, Seen)>,
    /// By number.
    pools: Vec<Seen>,
    /// Some of those that have a backend, by their route.
    some: HashTable<(Tally, Vec<Sockets>)>,
}

/// How many connections of a way are picked, of those that have a backend.
const PICKED: usize = 4;

/// The sockets of one connection, as numbers: they may be closed at any time, and the numbers be other sockets' then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sockets {
    /// Who has connected.
    pub peer: SocketAddr,
    /// The client's, the backend's.
    pub descriptors: [Option<RawFd>; 2],
}

/// Some of many, each as likely as any other.
#[derive(Debug, Default)]
struct Picked {
    of: u64,
    some: Vec<Sockets>,
}

impl Picked {
    fn offer(&mut self, salt: u64, entry: &Entry) {
        self.of += 1;
        // SplitMix64's last steps (Steele and others, 2014), over the number of the connection.
        let mixed = (salt ^ self.of).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let at = usize::try_from((mixed >> 16) % self.of).unwrap_or(usize::MAX);
        let sockets = || Sockets { peer: entry.peer().socket_addr(), descriptors: entry.held() };
        if self.some.len() < PICKED {
            self.some.push(sockets());
        } else if let Some(place) = self.some.get_mut(at) {
            *place = sockets();
        }
    }
}

/// All that a connection is counted under.
#[derive(Debug)]
struct Way {
    pool: Option<PoolId>,
    listener: Tally,
    route: Option<Tally>,
    target: Option<Tally>,
}

impl Way {
    /// What tells it from others.
    fn keys(&self) -> Keys {
        keys(self.pool, &self.listener, self.route.as_ref(), self.target.as_ref())
    }
}

/// What tells ways apart.
type Keys = [usize; 4];

fn keys(pool: Option<PoolId>, listener: &Tally, route: Option<&Tally>, target: Option<&Tally>) -> Keys {
    let of = |tally: Option<&Tally>| tally.map_or(0, Tally::key);
    [pool.map_or(0, |pool| pool.number() + 1), listener.key(), of(route), of(target)]
}

fn hash_of_way(keys: Keys) -> u64 {
    keys.into_iter().fold(0, |so_far, key| hash(key).wrapping_add(so_far.rotate_left(5)))
}

/// What a walk has seen of one subject: connections, and bytes that nobody had counted.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    living: Living,
    bytes: (u64, u64),
}

impl Seen {
    fn add(&mut self, one: &Look, bytes: (u64, u64)) {
        self.living.add(one);
        self.count(bytes);
    }

    fn join(&mut self, other: &Self) {
        self.living.join(&other.living);
        self.count(other.bytes);
    }

    fn count(&mut self, (from_client, from_backend): (u64, u64)) {
        self.bytes.0 += from_client;
        self.bytes.1 += from_backend;
    }
}

/// Addresses of what is on the heap differ above their lowest bits; the multiplier is that of Fibonacci hashing (2⁶⁴ / φ).
const fn hash(key: usize) -> u64 {
    (key as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Walk {
    /// All of them.
    #[must_use]
    pub const fn all(&self) -> &Living {
        &self.all.living
    }

    /// Those that are counted under `tally`; None if there is none.
    #[must_use]
    pub fn of(&self, tally: &Tally) -> Option<&Living> {
        let key = tally.key();
        self.by.find(hash(key), |(known, _)| known.key() == key).map(|(_, seen)| &seen.living)
    }

    /// Those of a pool; None if there is none.
    #[must_use]
    pub fn of_pool(&self, pool: PoolId) -> Option<&Living> {
        self.pools.get(pool.number()).map(|seen| &seen.living).filter(|living| living.open() > 0)
    }

    /// Some of those that have a backend, by their route: a few for each way that its connections take.
    pub fn some(&self) -> impl Iterator<Item = (&Tally, &[Sockets])> {
        self.some.iter().map(|(route, some)| (route, some.as_slice()))
    }

    /// One that picks as `salt` says.
    pub(crate) fn salted(salt: u64) -> Self {
        Self { salt, ..Self::default() }
    }

    pub(crate) fn add(&mut self, entry: &Entry, home: Home, now: Instant) {
        let look = entry.look(home, now);
        // Before it has all that it is counted under, nothing is counted.
        let bytes = if look.phase >= Phase::Relay { entry.uncounted() } else { (0, 0) };
        let (pool, listener) = (entry.pool(), entry.listener());
        entry.with_tallies(|route, target| {
            let keys = keys(pool, listener, route, target);
            let found = self.ways.entry(
                hash_of_way(keys),
                |(way, ..)| way.keys() == keys,
                |(way, ..)| hash_of_way(way.keys()),
            );
            let way =
                || Way { pool, listener: listener.clone(), route: route.cloned(), target: target.cloned() };
            let mut found = found.or_insert_with(|| (way(), Seen::default(), Picked::default()));
            let (_, seen, picked) = found.get_mut();
            seen.add(&look, bytes);
            if look.phase >= Phase::Relay {
                picked.offer(self.salt, entry);
            }
        });
    }

    /// Now that all are seen: what there is to be read, and the bytes counted.
    pub(crate) fn count(&mut self, of_pool: impl Fn(PoolId, (u64, u64))) -> (u64, u64) {
        for (Way { pool, listener, route, target }, seen, picked) in std::mem::take(&mut self.ways) {
            self.all.join(&seen);
            self.pick(route.as_ref(), picked.some);
            if let Some(pool) = pool {
                if self.pools.len() <= pool.number() {
                    self.pools.resize(pool.number() + 1, Seen::default());
                }
                self.pools.get_mut(pool.number()).into_iter().for_each(|all| all.join(&seen));
            }
            for tally in [Some(listener), route, target].into_iter().flatten() {
                self.under(tally, &seen);
            }
        }
        for (tally, seen) in self.by.iter().filter(|(_, seen)| seen.bytes != (0, 0)) {
            tally.counts().walked(seen.bytes);
        }
        let pools = (0..).map_while(PoolId::new).zip(&self.pools);
        pools.filter(|(_, seen)| seen.bytes != (0, 0)).for_each(|(pool, seen)| of_pool(pool, seen.bytes));
        self.all.bytes
    }

    fn pick(&mut self, route: Option<&Tally>, sockets: Vec<Sockets>) {
        let Some(route) = route.filter(|_| !sockets.is_empty()) else { return };
        let key = route.key();
        let found =
            self.some.entry(hash(key), |(known, _)| known.key() == key, |(known, _)| hash(known.key()));
        found.or_insert_with(|| (route.clone(), Vec::new())).get_mut().1.extend(sockets);
    }

    fn under(&mut self, tally: Tally, seen: &Seen) {
        let key = tally.key();
        let found = self.by.entry(hash(key), |(known, _)| known.key() == key, |(known, _)| hash(known.key()));
        found.or_insert_with(|| (tally, Seen::default())).get_mut().1.join(seen);
    }
}
