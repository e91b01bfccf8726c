//! Compiling: from a list of specs to an index, and to everything that is wrong with the list.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hash};
use std::sync::Arc;

use ipnet::IpNet;
use smallvec::SmallVec;

use super::error::{BuildError, Collision};
use super::index::{Branches, Bucket, Cell, Index, NameHasher};
use super::segments::{Claim, Segments, sweep};
use crate::port::PortSet;
use crate::{Alpn, ClientNet, DomainPattern, RouteSpec};

/// What a route restricts in one respect. Most routes name one thing.
pub(super) type Keys<K> = SmallVec<[Option<K>; 1]>;

/// An enabled route, without repetitions. A list that does not restrict has the one key `None`.
pub(super) struct Plan<'s> {
    pub(super) route: usize,
    pub(super) spec: &'s RouteSpec,
    pub(super) ports: PortSet,
    pub(super) domains: Keys<&'s DomainPattern>,
    pub(super) clients: Keys<ClientNet>,
    pub(super) alpn: Keys<&'s Alpn>,
    pub(super) needs_hello: bool,
}

impl<'s> Plan<'s> {
    pub(super) fn new(route: usize, spec: &'s RouteSpec) -> Self {
        let matches = &spec.matches;
        Self {
            route,
            spec,
            ports: matches.ports.iter().copied().collect(),
            domains: keys(matches.domains.iter()),
            clients: keys(matches.clients.iter().copied()),
            alpn: keys(matches.alpn.iter()),
            needs_hello: matches.needs_hello(),
        }
    }

    /// What it takes of each of its domains, where that is one stretch of ports, whoever comes and whatever they offer.
    fn one_claim(&self) -> Option<Claim> {
        let mut ports = self.ports.iter();
        let first = ports.next()?;
        let is_one = ports.next().is_none() && *self.clients == [None] && *self.alpn == [None];
        is_one.then_some(Claim { ports: first, priority: self.spec.priority, route: self.route })
    }
}

fn keys<K: Ord>(entries: impl Iterator<Item = K>) -> Keys<K> {
    let mut keys: Keys<K> = entries.map(Some).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        keys.push(None);
    }
    keys
}

/// What is wrong with single routes and with their names.
pub(super) fn check<'s>(specs: impl Iterator<Item = &'s RouteSpec>) -> Vec<BuildError> {
    let mut errors = Vec::new();
    let mut first_of_name: HashMap<&str, usize, BuildHasherDefault<NameHasher>> = HashMap::default();
    for (route, spec) in specs.enumerate() {
        let first = *first_of_name.entry(&spec.name).or_insert(route);
        if first != route {
            errors.push(BuildError::DuplicateName { name: spec.name.to_string(), routes: [first, route] });
        }
        if spec.matches.ports.is_empty() {
            errors.push(BuildError::NoPorts { name: spec.name.to_string(), routes: [route] });
        }
    }
    errors
}

/// The index, and an error for each pair of routes that can not be told apart. With errors, the index is of no use.
pub(super) fn compile(plans: &[Plan<'_>]) -> (Index, Vec<BuildError>) {
    let mut index = Index::default();
    let mut clashes = Clashes::default();
    let plans: Vec<&Plan<'_>> = plans.iter().collect();
    for (sharing, domains) in gather(&plans, |plan| &plan.domains) {
        let domain = domains.first().copied().flatten();
        let alone = if let [plan] = sharing.as_slice() { plan.one_claim() } else { None };
        let bucket = alone.map_or_else(|| Bucket::of(branches(&sharing, domain, &mut clashes)), Bucket::One);
        for domain in domains {
            index.insert(domain, bucket.clone());
        }
    }
    (index, clashes.into_errors())
}

fn branches(plans: &[&Plan<'_>], domain: Option<&DomainPattern>, clashes: &mut Clashes) -> Branches {
    let mut branches = Branches::default();
    for (sharing, clients) in gather(plans, |plan| &plan.clients) {
        let cell = Arc::new(cell(&sharing, domain, &clients, clashes));
        for client in clients {
            branches.insert(client, Arc::clone(&cell));
        }
    }
    branches
}

fn cell(
    plans: &[&Plan<'_>],
    domain: Option<&DomainPattern>,
    clients: &[Option<ClientNet>],
    clashes: &mut Clashes,
) -> Cell {
    let mut unrestricted = Segments::default();
    let mut by_alpn: Vec<(Alpn, Segments)> = Vec::new();
    for (sharing, protocols) in gather(plans, |plan| &plan.alpn) {
        let place = Place { plans: &sharing, domain, clients, alpn: protocols.first().copied().flatten() };
        let segments = leaf(&place, clashes);
        for protocol in protocols {
            match protocol {
                None => unrestricted = segments.clone(),
                Some(alpn) => by_alpn.push((alpn.clone(), segments.clone())),
            }
        }
    }
    by_alpn.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Cell { unrestricted, by_alpn: by_alpn.into() }
}

fn leaf(place: &Place<'_, '_>, clashes: &mut Clashes) -> Segments {
    let claims: Vec<Claim> = place
        .plans
        .iter()
        .flat_map(|plan| {
            let (priority, route) = (plan.spec.priority, plan.route);
            plan.ports.iter().map(move |ports| Claim { ports, priority, route })
        })
        .collect();
    sweep(&claims, |a, b| clashes.add(place, a, b))
}

/// Routes that share a key, and the keys that they share.
type Sharing<'p, 's, K> = (SmallVec<[&'p Plan<'s>; 1]>, SmallVec<[K; 1]>);

/// Turns keys by route into routes by key, and puts the keys together that have the same routes. In the order of the routes.
fn gather<'p, 's, K: Ord + Hash + Copy + 'p>(
    plans: &[&'p Plan<'s>],
    keys: impl Fn(&'p Plan<'s>) -> &'p [K],
) -> Vec<Sharing<'p, 's, K>> {
    let mut places: HashMap<K, usize, BuildHasherDefault<NameHasher>> = HashMap::default();
    places.reserve(plans.len());
    let mut by_key: Vec<(SmallVec<[usize; 2]>, K)> = Vec::with_capacity(plans.len());
    for (at, plan) in plans.iter().enumerate() {
        for key in keys(plan) {
            let place = *places.entry(*key).or_insert(by_key.len());
            match by_key.get_mut(place) {
                Some((sharing, _)) => sharing.push(at),
                None => by_key.push((SmallVec::from_slice(&[at]), *key)),
            }
        }
    }
    by_key.sort_unstable();
    let plan = |at: &usize| plans.get(*at).copied();
    let shared = by_key.chunk_by(|(one, _), (other, _)| one == other);
    let shared = shared.filter_map(|keys| Some((&keys.first()?.0, keys)));
    shared
        .map(|(sharing, keys)| {
            (sharing.iter().filter_map(plan).collect(), keys.iter().map(|(_, key)| *key).collect())
        })
        .collect()
}

/// Where claims meet: the routes that share it, and the keys under which they do.
struct Place<'p, 's> {
    plans: &'p [&'p Plan<'s>],
    domain: Option<&'p DomainPattern>,
    clients: &'p [Option<ClientNet>],
    alpn: Option<&'p Alpn>,
}

impl<'p, 's> Place<'p, 's> {
    /// Plans are in the order of their routes.
    fn plan(&self, route: usize) -> Option<&'p Plan<'s>> {
        let at = self.plans.binary_search_by_key(&route, |plan| plan.route).ok()?;
        self.plans.get(at).copied()
    }

    /// A client key under which some client meets both routes with equal rank.
    ///
    /// Both having a network is not enough: where one of them also has a longer network around the client, that one
    /// counts and they differ. Names need no such question, as below every wildcard there are names enough.
    fn shared_client(&self, a: &Plan<'_>, b: &Plan<'_>) -> Option<Option<ClientNet>> {
        self.clients.iter().copied().find(|client| {
            client.is_none_or(|net| {
                let nets = || a.clients.iter().chain(&b.clients).flatten().map(|client| client.net());
                let inside = |other: &IpNet| *other != net.net() && net.net().contains(other);
                !is_covered(net.net(), &nets().filter(inside).collect::<Vec<_>>())
            })
        })
    }
}

/// Whether every address of `net` lies in one of `parts`.
fn is_covered(net: IpNet, parts: &[IpNet]) -> bool {
    let inside: Vec<IpNet> = parts.iter().copied().filter(|part| net.contains(part)).collect();
    if inside.is_empty() || parts.contains(&net) {
        return !inside.is_empty();
    }
    // A part lies strictly inside, so the net has two halves.
    net.subnets(net.prefix_len() + 1).is_ok_and(|mut halves| halves.all(|half| is_covered(half, &inside)))
}

/// The pairs of routes that can not be told apart, each with the first place where they meet.
#[derive(Default)]
struct Clashes(BTreeMap<[usize; 2], BuildError>);

impl Clashes {
    /// Notes that the claims meet in this place. False if no client does, or if they never overlap.
    fn add(&mut self, place: &Place<'_, '_>, a: &Claim, b: &Claim) -> bool {
        let (low, high) = if a.route < b.route { (a, b) } else { (b, a) };
        let (Some(ports), Some(first), Some(second)) =
            (low.ports.overlap(high.ports), place.plan(low.route), place.plan(high.route))
        else {
            return false;
        };
        let Some(client) = place.shared_client(first, second) else { return false };
        let routes = [low.route, high.route];
        self.0.entry(routes).or_insert_with(|| BuildError::Ambiguous {
            names: [first.spec.name.to_string(), second.spec.name.to_string()],
            routes,
            priority: low.priority,
            collision: Box::new(Collision {
                ports,
                domain: place.domain.cloned(),
                client,
                alpn: place.alpn.cloned(),
            }),
        });
        true
    }

    fn into_errors(self) -> Vec<BuildError> {
        self.0.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(net: &str, parts: &[&str]) -> bool {
        let parts: Vec<IpNet> = parts.iter().map(|part| part.parse().unwrap()).collect();
        is_covered(net.parse().unwrap(), &parts)
    }

    #[test]
    fn a_net_is_covered_by_parts_that_leave_no_gap() {
        assert!(covered("10.0.0.0/8", &["10.0.0.0/9", "10.128.0.0/9"]));
        assert!(covered("10.0.0.0/8", &["10.0.0.0/9", "10.128.0.0/10", "10.192.0.0/10"]));
        assert!(covered("::1/128", &["::1/128"]));
    }

    #[test]
    fn a_gap_of_one_address_is_a_gap() {
        assert!(!covered("10.0.0.0/30", &["10.0.0.0/31", "10.0.0.2/32"]));
        assert!(!covered("10.0.0.0/8", &[]));
        assert!(!covered("10.0.0.0/8", &["11.0.0.0/9", "::/0"]));
        assert!(!covered("0.0.0.0/0", &["0.0.0.0/1"]));
    }
}
