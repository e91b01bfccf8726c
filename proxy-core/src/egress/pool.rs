//! Source addresses that take turns, and which of them have no port left.
//!
//! ```text
//! dial ──► whose turn it is ──► connected, or failed for what is the target's
//!                └─ no port left to that target, or not of this machine ──► passed over for `SPENT_FOR`, the next one
//! ```
//! A kernel that has no port left finds that out by looking at all of them, so an address is not asked again by each dial.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use ipnet::IpNet;
use tokio::time::Instant;

/// For how long an address that had no port left to a target is passed over by dials to it, while others have some.
const SPENT_FOR: Duration = Duration::from_secs(1);

/// Addresses that one dial tries; the next one begins where it has left off. Each costs a look at all ports: a millisecond or two.
const TRIES: usize = 4;

/// Networks of no more addresses than these are kept as single ones, each with its turn.
const MOST_SINGLE: u32 = 256;

/// An address, or a network of addresses all of which this machine answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceNet(IpNet);

/// A text that is no [`SourceNet`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceNetError {
    /// Neither an address nor a network.
    #[error(
        "expected an IP address such as \"192.0.2.10\" or a network such as \"2001:db8::/64\", found `{0}`"
    )]
    Malformed(String),
    /// An address behind whose prefix there is something.
    #[error(
        "`{text}` is an address within a network: write \"{network}\" for all of them, or the address alone"
    )]
    HostBits {
        /// As written.
        text: String,
        /// The network that it is in.
        network: IpNet,
    },
    /// Nobody can connect from it.
    #[error("`{0}` is no address that a connection can come from")]
    Unusable(String),
}

impl SourceNet {
    /// The network; of one address alone where it is an address.
    #[must_use]
    pub const fn network(self) -> IpNet {
        self.0
    }

    /// Whether it is one address.
    #[must_use]
    pub fn is_single(self) -> bool {
        self.0.prefix_len() == self.0.max_prefix_len()
    }

    /// The addresses one by one, where they are so few; without those that are a network's own and its broadcast address.
    fn singles(self) -> Option<Vec<IpAddr>> {
        let bits = u32::from(self.0.max_prefix_len() - self.0.prefix_len());
        // A network of IPv6 has no broadcast address, and its first one is any router's.
        let routers = usize::from(self.0.addr().is_ipv6() && bits > 0);
        (bits <= MOST_SINGLE.trailing_zeros()).then(|| self.0.hosts().skip(routers).collect())
    }

    /// One of its addresses; another one for another `n`, and none of the first, which routers have.
    fn pick(self, n: u64) -> IpAddr {
        let bits = u32::from(self.0.max_prefix_len() - self.0.prefix_len());
        match self.0.network() {
            IpAddr::V4(network) => {
                let host = 1 + u32::try_from(n % ((1_u64 << bits) - 2)).unwrap_or(0);
                IpAddr::V4((network.to_bits() | host).into())
            }
            IpAddr::V6(network) => {
                let mask = u128::MAX.checked_shr(128 - bits).unwrap_or(0);
                let spread = u128::from(mixed(n)) << 64 | u128::from(mixed(n ^ 0x9e37_79b9_7f4a_7c15));
                IpAddr::V6(Ipv6Addr::from_bits(network.to_bits() | (spread & mask).max(1)))
            }
        }
    }
}

/// Numbers in a row, spread over all numbers (splitmix64's last step).
const fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

impl FromStr for SourceNet {
    type Err = SourceNetError;

    fn from_str(text: &str) -> Result<Self, SourceNetError> {
        let malformed = || SourceNetError::Malformed(text.to_owned());
        let net = match text.parse::<IpAddr>() {
            Ok(ip) => IpNet::from(ip.to_canonical()),
            Err(_) => text.parse::<IpNet>().map_err(|_| malformed())?,
        };
        if net.addr() != net.network() {
            return Err(SourceNetError::HostBits { text: text.to_owned(), network: net.trunc() });
        }
        if net.addr().is_unspecified() || net.addr().is_multicast() {
            return Err(SourceNetError::Unusable(text.to_owned()));
        }
        Ok(Self(net))
    }
}

impl fmt::Display for SourceNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

/// Addresses that connections come from, by turns. Shared by all who dial from them, so that the turns are.
#[derive(Debug)]
pub struct SourcePool {
    written: Box<[SourceNet]>,
    v4: Family,
    v6: Family,
    /// When it was made: times are counted from here.
    since: Instant,
    hasher: RandomState,
}

/// A list that is no [`SourcePool`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourcePoolError {
    /// There is nothing in it.
    #[error("a list of source addresses has at least one: to leave the choice to the kernel, write \"auto\"")]
    Empty,
    /// Something is there twice.
    #[error("the source {0} is there twice")]
    Twice(SourceNet),
}

/// The addresses of one family.
#[derive(Debug, Default)]
struct Family {
    slots: Box<[Slot]>,
    turn: AtomicU32,
}

/// An address, or a network that has too many to keep them apart.
#[derive(Debug)]
struct Slot {
    from: SourceNet,
    /// Whether the kernel has to be told that the address need not be on an interface.
    is_of_network: bool,
    /// The last target to which it had no port left (the upper half), and when that was found, in milliseconds. 0: never.
    spent: AtomicU64,
}

/// An address to come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) ip: IpAddr,
    /// Whether it was picked from a network, of which no interface need have it.
    pub(crate) is_of_network: bool,
}

impl PartialEq for SourcePool {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for SourcePool {}

impl SourcePool {
    /// A pool of these.
    ///
    /// # Errors
    /// [`SourcePoolError`].
    pub fn new(written: impl IntoIterator<Item = SourceNet>) -> Result<Self, SourcePoolError> {
        let written: Box<[SourceNet]> = written.into_iter().collect();
        if written.is_empty() {
            return Err(SourcePoolError::Empty);
        }
        for (n, one) in written.iter().enumerate() {
            if written.iter().take(n).any(|other| other == one) {
                return Err(SourcePoolError::Twice(*one));
            }
        }
        let of = |is_v4: bool| {
            let nets = written.iter().filter(|net| net.0.addr().is_ipv4() == is_v4);
            Family { slots: nets.flat_map(|net| slots(*net)).collect(), turn: AtomicU32::new(0) }
        };
        let (v4, v6) = (of(true), of(false));
        Ok(Self { v4, v6, written, since: Instant::now(), hasher: RandomState::new() })
    }

    /// What it is made of.
    #[must_use]
    pub fn sources(&self) -> &[SourceNet] {
        &self.written
    }

    /// An address for a connection to `to`, whose turn it is; None where none is of its family.
    #[must_use]
    pub fn next(&self, to: IpAddr) -> Option<IpAddr> {
        let family = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        let turn = family.turn.fetch_add(1, Ordering::Relaxed);
        family.nth(turn as usize).map(|slot| slot.pick(turn).ip)
    }

    /// The first address, from the one on whose turn it is, from which `attempt` can connect to `to`: those that have no port
    /// left to it, or are not of this machine, are passed over, and remembered. None where there is none of its family.
    pub(crate) fn try_from<T>(
        &self,
        to: SocketAddr,
        mut attempt: impl FnMut(Turn) -> io::Result<T>,
    ) -> Option<io::Result<T>> {
        let family = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        let turn = family.turn.fetch_add(1, Ordering::Relaxed);
        let first = family.nth(turn as usize)?;
        let about = Spent::about(self.hasher.hash_one(to), self.since);
        let mut failed = None;
        let mut tries = 0;
        for n in 0..family.slots.len() {
            let Some(slot) = family.nth((turn as usize).wrapping_add(n)) else { break };
            if tries == TRIES {
                break;
            }
            if about.is_spent(slot) {
                continue;
            }
            tries += 1;
            match attempt(slot.pick(turn)) {
                Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => {
                    about.mark(slot);
                    failed = Some(Err(error));
                }
                outcome => return Some(outcome),
            }
        }
        // None: all were passed over. What is free by now, nobody knows before it is asked for.
        failed.or_else(|| Some(attempt(first.pick(turn))))
    }
}

/// What a dial asks slots about: a target, and what time it is.
struct Spent {
    target: u32,
    since: Instant,
}

impl Spent {
    const fn about(hash: u64, since: Instant) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "half of a hash is one too")]
        let target = hash as u32 | 1;
        Self { target, since }
    }

    /// Milliseconds, of which some are lost in 49 days: an address is then asked once more or once less.
    #[expect(clippy::cast_possible_truncation, reason = "they are compared by how far apart they are")]
    fn now(&self) -> u32 {
        self.since.elapsed().as_millis() as u32
    }

    fn is_spent(&self, slot: &Slot) -> bool {
        let spent = slot.spent.load(Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "two halves of what `mark` has put together")]
        let (target, at) = ((spent >> 32) as u32, spent as u32);
        target == self.target && u128::from(self.now().wrapping_sub(at)) < SPENT_FOR.as_millis()
    }

    fn mark(&self, slot: &Slot) {
        // Of a network that was not taken apart there are others.
        if slot.from.is_single() {
            slot.spent.store(u64::from(self.target) << 32 | u64::from(self.now()), Ordering::Relaxed);
        }
    }
}

impl Family {
    fn nth(&self, n: usize) -> Option<&Slot> {
        self.slots.get(n.checked_rem(self.slots.len())?)
    }
}

impl Slot {
    fn pick(&self, turn: u32) -> Turn {
        let ip = if self.from.is_single() { self.from.0.addr() } else { self.from.pick(turn.into()) };
        Turn { ip, is_of_network: self.is_of_network }
    }
}

fn slots(net: SourceNet) -> Vec<Slot> {
    let slot = |from| Slot { from, is_of_network: !net.is_single(), spent: AtomicU64::new(0) };
    match net.singles() {
        Some(singles) => singles.into_iter().map(|ip| slot(SourceNet(ip.into()))).collect(),
        None => vec![slot(net)],
    }
}

impl fmt::Display for SourcePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (n, source) in self.written.iter().enumerate() {
            write!(f, "{}\"{source}\"", if n == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}

proxy_values::text_form!(
    SourceNet,
    "SourceNet",
    r"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$",
    "an IP address such as \"192.0.2.10\", or a network such as \"2001:db8::/64\""
);
