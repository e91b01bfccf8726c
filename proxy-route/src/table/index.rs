//! What a lookup walks: buckets by name, cells by client network, segments by protocol and port.
//!
//! Priority goes before specificity, so a lookup can not stop at the most specific match: it visits every cell that
//! matches, and cuts a branch only where the highest priority in it does not beat what was found already.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::segments::{Claim, Segments};
use crate::domain::Shape;
use crate::{Alpn, ClientNet, DomainPattern};

/// A query in the form in which patterns are kept.
pub(super) struct Probe<'q, A> {
    pub(super) port: u16,
    /// Canonical: lower case, no trailing dot, not empty.
    pub(super) name: Option<&'q str>,
    /// The client as a network of one. `shadow` asks for whole networks.
    pub(super) client: Option<IpNet>,
    pub(super) offered: &'q [A],
}

/// The winner of a lookup, or of a part of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    pub(super) priority: i32,
    pub(super) route: usize,
}

/// All enabled routes, by name.
#[derive(Clone, Default)]
pub(super) struct Index {
    exact: HashMap<Arc<str>, Bucket, BuildHasherDefault<NameHasher>>,
    /// By the name below which they match.
    below: HashMap<Arc<str>, Bucket, BuildHasherDefault<NameHasher>>,
    /// Bit `n` is set if `below` has a name of `n` labels, so that a name of a hundred labels costs no more hashes
    /// than there are depths in the table. A valid name has at most 127 labels.
    depths: u128,
    any_name: Option<Bucket>,
    unrestricted: Option<Bucket>,
    /// The highest priority in any bucket.
    top: Option<i32>,
}

/// The routes that share a name pattern.
#[derive(Clone)]
pub(super) enum Bucket {
    /// One, on one stretch of ports, with no further restriction: so it is with nearly every name of a large table.
    One(Claim),
    Many(Arc<Branches>),
}

/// The same, by client.
#[derive(Default)]
pub(super) struct Branches {
    unrestricted: Option<Arc<Cell>>,
    /// Boxed, as most names have no networks and an empty trie is not small.
    networks: Option<Box<Networks>>,
    top: Option<i32>,
}

#[derive(Default)]
struct Networks {
    v4: PrefixMap<Ipv4Net, Arc<Cell>>,
    v6: PrefixMap<Ipv6Net, Arc<Cell>>,
}

/// The routes that share a name pattern and a network, by protocol.
///
/// Protocols come before ports, so that the size is the sum of what each protocol claims and not ports × protocols.
#[derive(Default)]
pub(super) struct Cell {
    pub(super) unrestricted: Segments,
    /// Sorted by protocol.
    pub(super) by_alpn: Box<[(Alpn, Segments)]>,
}

impl Index {
    /// Files the bucket under the pattern, `None` for routes that do not restrict names.
    pub(super) fn insert(&mut self, domain: Option<&DomainPattern>, bucket: Bucket) {
        self.top = self.top.max(bucket.top());
        match domain.map(DomainPattern::shape) {
            None => self.unrestricted = Some(bucket),
            Some(Shape::Any) => self.any_name = Some(bucket),
            Some(Shape::Exact(name)) => {
                self.exact.insert(Arc::clone(name), bucket);
            }
            Some(Shape::Below(parent)) => {
                self.depths |= depth(parent.split('.').count());
                self.below.insert(Arc::clone(parent), bucket);
            }
        }
    }

    /// The route of highest rank.
    pub(super) fn best<A: AsRef<[u8]>>(&self, probe: &Probe<'_, A>) -> Option<Hit> {
        let mut best: Option<Hit> = None;
        // Most specific first: a later bucket has to beat the priority, an equal one is not enough.
        for bucket in self.buckets(probe.name) {
            let found = best.map(|hit| hit.priority);
            if bucket.top() > found {
                best = bucket.best(probe).filter(|hit| Some(hit.priority) > found).or(best);
            }
            // Asked before the next bucket is looked for, which costs a hash.
            if best.is_some_and(|hit| Some(hit.priority) >= self.top) {
                break;
            }
        }
        best
    }

    /// The buckets whose pattern matches the name, the most specific first.
    fn buckets<'i>(&'i self, name: Option<&'i str>) -> impl Iterator<Item = &'i Bucket> {
        let exact = name.and_then(|name| self.exact.get(name));
        let below =
            name.into_iter().flat_map(|name| self.parents(name)).filter_map(|name| self.below.get(name));
        let any_name = name.and(self.any_name.as_ref());
        exact.into_iter().chain(below).chain(any_name).chain(&self.unrestricted)
    }

    /// The highest priority in it.
    pub(super) fn top(&self) -> Option<i32> {
        self.top
    }

    /// Gives back what it was prepared to take.
    pub(super) fn shrink(&mut self) {
        self.exact.shrink_to_fit();
        self.below.shrink_to_fit();
    }

    /// What is left of the name after each of its dots, longest first, at depths that the table has.
    fn parents<'n>(&self, name: &'n str) -> impl Iterator<Item = &'n str> {
        let depths = self.depths;
        let dots = if depths == 0 { 0 } else { name.bytes().filter(|byte| *byte == b'.').count() };
        let labels_behind = (1..=dots).rev();
        name.match_indices('.')
            .zip(labels_behind)
            .filter(move |(_, labels)| depths & depth(*labels) != 0)
            .filter_map(|((dot, _), _)| name.get(dot + 1..))
    }
}

impl Bucket {
    pub(super) fn of(branches: Branches) -> Self {
        Self::Many(Arc::new(branches))
    }

    fn top(&self) -> Option<i32> {
        match self {
            Self::One(claim) => Some(claim.priority),
            Self::Many(branches) => branches.top,
        }
    }

    fn best<A: AsRef<[u8]>>(&self, probe: &Probe<'_, A>) -> Option<Hit> {
        match self {
            Self::One(claim) => claim.ports.contains(probe.port).then(|| claim.hit()),
            Self::Many(branches) => branches.best(probe),
        }
    }
}

impl Claim {
    const fn hit(&self) -> Hit {
        Hit { priority: self.priority, route: self.route }
    }
}

impl Branches {
    /// Files the cell under the network, `None` for routes that do not restrict clients.
    pub(super) fn insert(&mut self, client: Option<ClientNet>, cell: Arc<Cell>) {
        self.top = self.top.max(cell.top());
        match client.map(ClientNet::net) {
            None => self.unrestricted = Some(cell),
            Some(IpNet::V4(net)) => {
                self.networks.get_or_insert_default().v4.insert(net, cell);
            }
            Some(IpNet::V6(net)) => {
                self.networks.get_or_insert_default().v6.insert(net, cell);
            }
        }
    }

    fn best<A: AsRef<[u8]>>(&self, probe: &Probe<'_, A>) -> Option<Hit> {
        let mut best = self.unrestricted.as_ref().and_then(|cell| cell.best(probe));
        // Shorter networks come first: a later hit of equal priority is the more specific one.
        let mut offer = |cell: &Arc<Cell>| best = later(best, cell.best(probe));
        match (&self.networks, probe.client) {
            (None, _) | (_, None) => {}
            (Some(networks), Some(IpNet::V4(net))) => networks.v4.cover_values(&net).for_each(&mut offer),
            (Some(networks), Some(IpNet::V6(net))) => networks.v6.cover_values(&net).for_each(&mut offer),
        }
        best
    }
}

impl Cell {
    fn best<A: AsRef<[u8]>>(&self, probe: &Probe<'_, A>) -> Option<Hit> {
        let mut best = hit(&self.unrestricted, probe.port);
        if self.by_alpn.is_empty() {
            return best;
        }
        // Last offered first, so that of equal priorities the one that the client offers first stays.
        for offered in probe.offered.iter().rev() {
            let offered = offered.as_ref();
            let entry = self.by_alpn.binary_search_by(|(alpn, _)| alpn.as_ref().cmp(offered)).ok();
            let segments = entry.and_then(|at| self.by_alpn.get(at));
            best = later(best, segments.and_then(|(_, segments)| hit(segments, probe.port)));
        }
        best
    }

    fn top(&self) -> Option<i32> {
        let by_alpn = self.by_alpn.iter().map(|(_, segments)| segments.top()).max().flatten();
        self.unrestricted.top().max(by_alpn)
    }
}

fn hit(segments: &Segments, port: u16) -> Option<Hit> {
    segments.at(port).map(Claim::hit)
}

/// Of two hits the one of higher priority, and of equals the later.
fn later(earlier: Option<Hit>, later: Option<Hit>) -> Option<Hit> {
    match (earlier, later) {
        (Some(earlier), Some(later)) if earlier.priority > later.priority => Some(earlier),
        (earlier, later) => later.or(earlier),
    }
}

/// The bit of a depth; none beyond 127, where no valid name is.
fn depth(labels: usize) -> u128 {
    u32::try_from(labels).ok().and_then(|labels| 1_u128.checked_shl(labels)).unwrap_or(0)
}

/// XXH3 over the name in one go, without a secret seed.
///
/// The names that are looked up come from the network, those in the map from the configuration. A lookup inserts
/// nothing, so an attacker can not lengthen a chain: the worst name costs what the map, as configured, makes it cost.
/// Flooding the map takes a hundred thousand configured names with equal hashes, and who can write these can also
/// take the routes away. So the fast hash serves, and answers do not depend on a seed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// `str` ends its hash with a constant byte, to tell parts of a tuple apart. The key is a lone name.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
