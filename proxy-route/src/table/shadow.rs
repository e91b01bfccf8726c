//! Routes that are valid but dead.

use std::collections::BTreeSet;
use std::fmt;

use super::build::Plan;
use super::index::{Index, Probe};
use crate::domain::Shape;
use crate::{Alpn, ClientNet, DomainPattern};

/// A route that never matches, and one of those that take what it would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shadowed<'t> {
    /// The route that takes it, as a position in the input of `build`.
    pub winner: usize,
    /// The route that never matches, likewise.
    pub loser: usize,
    /// The name of the winner.
    pub winner_name: &'t str,
    /// The name of the loser.
    pub loser_name: &'t str,
}

impl fmt::Display for Shadowed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { winner_name, loser_name, .. } = self;
        write!(f, "route \"{loser_name}\" never matches: route \"{winner_name}\" takes its connections first")
    }
}

/// Pairs of winner and loser, by loser.
pub(super) fn shadowed(index: &Index, plans: &[Plan<'_>]) -> Vec<(usize, usize)> {
    // Answers change only where some range starts or has just ended, so these ports stand for all.
    let mut edges: Vec<u16> = plans
        .iter()
        .flat_map(|plan| plan.ports.iter())
        .flat_map(|ports| [Some(ports.first()), ports.last().checked_add(1)])
        .flatten()
        .collect();
    edges.sort_unstable();
    edges.dedup();
    plans
        .iter()
        .flat_map(|plan| {
            let winners = winners(index, plan, &edges).unwrap_or_default();
            winners.into_iter().map(|winner| (winner, plan.route))
        })
        .collect()
}

/// Who takes the route's connections; `None` as soon as one is its own.
fn winners(index: &Index, plan: &Plan<'_>, edges: &[u16]) -> Option<BTreeSet<usize>> {
    let mut winners = BTreeSet::new();
    for domain in &plan.domains {
        let name = domain.map(stand_in);
        for client in &plan.clients {
            for alpn in &plan.alpn {
                let corner = (name.as_deref(), *client, *alpn);
                for port in ports(plan, edges) {
                    winners.insert(winner(index, corner, port).filter(|winner| *winner != plan.route)?);
                }
            }
        }
    }
    Some(winners)
}

/// Who wins the connections that fit these keys and no more specific ones.
fn winner(
    index: &Index,
    (name, client, alpn): (Option<&str>, Option<ClientNet>, Option<&Alpn>),
    port: u16,
) -> Option<usize> {
    let client = client.map(ClientNet::net);
    let offered: &[&Alpn] = alpn.as_slice();
    index.best(&Probe { port, name, client, offered }).map(|hit| hit.route)
}

/// A name that matches the pattern and none that is more specific: no pattern has a `?`.
fn stand_in(domain: &DomainPattern) -> String {
    match domain.shape() {
        Shape::Exact(name) => name.to_string(),
        Shape::Below(parent) => format!("?.{parent}"),
        Shape::Any => "?".to_owned(),
    }
}

/// One port for each stretch of the route's ports on which all answers are the same.
fn ports(plan: &Plan<'_>, edges: &[u16]) -> impl Iterator<Item = u16> {
    plan.ports.iter().flat_map(move |range| {
        let from = edges.partition_point(|edge| *edge < range.first());
        edges.iter().copied().skip(from).take_while(move |edge| *edge <= range.last())
    })
}
