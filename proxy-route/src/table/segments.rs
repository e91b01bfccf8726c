//! From overlapping claims on ports to disjoint segments, each with the one route that wins it.
//!
//! ```text
//!  priority 5        ├──── b ────┤
//!  priority 0   ├───────── a ─────────────┤
//!  segments     ├─a─┤├──── b ────┤├── a ──┤
//! ```
//!
//! `n` claims give at most `2n` segments, however wide they are.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::PortRange;

/// A route that wants these ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) ports: PortRange,
    pub(super) priority: i32,
    pub(super) route: usize,
}

/// Which route has a port.
///
/// Invariant: sorted by port, and no port is in two segments.
#[derive(Debug, Clone, Default)]
pub(super) struct Segments(Box<[Claim]>);

impl Segments {
    /// The claim that won this port, cut to its segment.
    pub(super) fn at(&self, port: u16) -> Option<&Claim> {
        let after = self.0.partition_point(|segment| segment.ports.last() < port);
        self.0.get(after).filter(|segment| segment.ports.contains(port))
    }

    /// The highest priority of any segment.
    pub(super) fn top(&self) -> Option<i32> {
        self.0.iter().map(|segment| segment.priority).max()
    }
}

/// After so many clashes of one claim no more are looked for: a thousand copies of a route are a thousand problems,
/// not half a million.
const MOST_CLASHES: usize = 8;

/// An end of a claim. At the same port claims open before they close, as both ends are included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Edge {
    Open,
    Close,
}

/// Lets the highest priority win each port.
///
/// Claims of equal priority that overlap are shown to `clash` in pairs, which says whether they really clash. If not,
/// the lowest route has the ports, and by the caller's reckoning no query will see the difference.
///
/// Claims of one route must not overlap.
pub(super) fn sweep(claims: &[Claim], mut clash: impl FnMut(&Claim, &Claim) -> bool) -> Segments {
    let mut edges: Vec<(u16, Edge, &Claim)> = claims
        .iter()
        .flat_map(|claim| {
            [(claim.ports.first(), Edge::Open, claim), (claim.ports.last(), Edge::Close, claim)]
        })
        .collect();
    edges.sort_by_key(|(port, edge, claim)| (*port, *edge, claim.route));

    let mut open: BTreeMap<(Reverse<i32>, usize), &Claim> = BTreeMap::new();
    let mut segments = Vec::new();
    // The first port that is not dealt with; none after 65535.
    let mut from = Some(0);
    for (port, edge, claim) in edges {
        let key = (Reverse(claim.priority), claim.route);
        match edge {
            Edge::Open => {
                // INVARIANT: a claim's first port is at least 1, so `port - 1` does not wrap.
                emit(&mut segments, from, port - 1, open.values().next().copied());
                from = Some(port);
                let equals = (key.0, 0)..=(key.0, usize::MAX);
                open.range(equals).filter(|(_, other)| clash(other, claim)).take(MOST_CLASHES).for_each(drop);
                open.insert(key, claim);
            }
            Edge::Close => {
                emit(&mut segments, from, port, open.values().next().copied());
                from = port.checked_add(1);
                open.remove(&key);
            }
        }
    }
    Segments(segments.into())
}

/// Appends the segment `from..=last` if it has a port and a winner, joined to the one before if it goes on.
fn emit(segments: &mut Vec<Claim>, from: Option<u16>, last: u16, winner: Option<&Claim>) {
    let (Some(first), Some(winner)) = (from, winner) else { return };
    let Ok(mut ports) = PortRange::new(first, last) else { return };
    if let Some(before) = segments.last()
        && before.route == winner.route
        && before.ports.last().checked_add(1) == Some(first)
        && let Ok(joined) = PortRange::new(before.ports.first(), last)
    {
        ports = joined;
        segments.pop();
    }
    segments.push(Claim { ports, ..*winner });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(ports: &str, priority: i32, route: usize) -> Claim {
        Claim { ports: ports.parse().unwrap(), priority, route }
    }

    fn show(segments: &Segments) -> String {
        let shown: Vec<String> = segments.0.iter().map(|s| format!("{}={}", s.ports, s.route)).collect();
        shown.join(" ")
    }

    fn never(a: &Claim, b: &Claim) -> bool {
        panic!("{a:?} and {b:?} do not clash");
    }

    #[test]
    fn the_higher_priority_cuts_the_lower_one() {
        let segments = sweep(&[claim("10-90", 0, 0), claim("30-40", 5, 1), claim("40-50", 9, 2)], never);
        assert_eq!(show(&segments), "10-29=0 30-39=1 40-50=2 51-90=0");
    }

    #[test]
    fn a_hidden_claim_leaves_no_seam() {
        let segments = sweep(&[claim("1-65535", 5, 0), claim("80", 0, 1), claim("65535", 0, 2)], never);
        assert_eq!(show(&segments), "1-65535=0");
    }

    #[test]
    fn the_last_port_has_one_owner() {
        let segments = sweep(&[claim("65535", 5, 0), claim("65534-65535", 4, 1), claim("1", 0, 2)], never);
        assert_eq!(show(&segments), "1=2 65534=1 65535=0");
    }

    #[test]
    fn ranges_that_share_one_port_clash_and_neighbours_do_not() {
        let mut clashes = Vec::new();
        let mut note = |a: &Claim, b: &Claim| {
            clashes.push((a.route, b.route));
            true
        };
        sweep(&[claim("80-90", 0, 0), claim("90-99", 0, 1)], &mut note);
        sweep(&[claim("80-90", 0, 2), claim("91-99", 0, 3)], &mut note);
        sweep(&[claim("80-90", 0, 4), claim("90-99", 1, 5)], &mut note);
        assert_eq!(clashes, [(0, 1)]);
    }

    #[test]
    fn a_hundred_thousand_wide_ranges_stay_small() {
        let claims: Vec<Claim> = (0..100_000)
            .zip((1..=30_000_u16).cycle())
            .map(|(route, first): (usize, u16)| Claim {
                ports: PortRange::new(first, first + 30_000).unwrap(),
                priority: i32::try_from(route).unwrap(),
                route,
            })
            .collect();
        assert!(sweep(&claims, never).0.len() <= 60_000);
    }

    proptest! {
        #[test]
        fn each_port_goes_to_the_highest_claim(
            ends in prop::collection::vec((1..30u16, 1..30u16), 0..10),
            port in 0..32u16,
        ) {
            let claims: Vec<Claim> = ends
                .iter()
                .zip(0..)
                .map(|((a, b), nth)| Claim {
                    ports: PortRange::new(*a.min(b), *a.max(b)).unwrap(),
                    priority: (nth * 7) % 10,
                    route: usize::try_from(nth).unwrap(),
                })
                .collect();
            let expected = claims.iter().filter(|c| c.ports.contains(port)).max_by_key(|c| c.priority);
            let segments = sweep(&claims, never);
            prop_assert_eq!(segments.at(port).map(|c| c.route), expected.map(|c| c.route));
        }
    }
}
