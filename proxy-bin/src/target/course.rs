//! The way of one dial through a route's targets: in which order, which of them may be dialled, and what follows from how
//! that went.

use std::net::IpAddr;
use std::sync::Arc;

use proxy_conn::{Admission, Permit, Ticket};
use proxy_core::TargetAddr;
use proxy_core::dial::{Closed, DialErrorKind, Gate};
use smallvec::SmallVec;
use tokio::time::Instant;
use tracing::warn;

use super::recovery::EVERY;
use super::{LAST_FOR, RouteTargets, TargetState};

/// The targets of one dial, in the order in which they are to be tried.
#[derive(Debug)]
pub(crate) struct Course<'r> {
    pub(super) states: &'r RouteTargets,
    pub(super) order: SmallVec<[usize; 4]>,
    /// Where each is, in the same order.
    pub(crate) addresses: SmallVec<[TargetAddr; 1]>,
}

impl<'r> Course<'r> {
    /// Where the `nth` is, for people.
    pub(crate) fn name(&self, nth: usize) -> Option<Arc<str>> {
        let state = self.state(nth)?;
        if state.is_fixed {
            return Some(Arc::clone(&state.name));
        }
        self.addresses.get(nth).map(|address| address.to_string().into())
    }

    fn state(&self, nth: usize) -> Option<&'r Arc<TargetState>> {
        self.order.get(nth).and_then(|n| self.states.targets.get(*n))
    }

    /// A place among a target's connections.
    fn place(&self, nth: usize) -> Result<(&'r Arc<TargetState>, Permit), Closed> {
        // A list without that target is full.
        let target = self.state(nth).ok_or(Closed::Full(0))?;
        if target.draining.is_on() {
            return Err(Closed::Draining);
        }
        let permit = target.limit.acquire().ok_or_else(|| Closed::Full(target.limit.most()))?;
        Ok((target, permit))
    }

    fn look_after(&self, leave: &Leave<'r>) {
        if let Some(address) = self.addresses.get(leave.nth) {
            self.states.look_after(leave.target, address);
        }
    }
}

/// Leave to dial a target, and its place.
#[derive(Debug)]
pub(crate) struct Leave<'r> {
    nth: usize,
    target: &'r Arc<TargetState>,
    ticket: Ticket,
    permit: Permit,
    began: Instant,
}

impl<'r> Gate for Course<'r> {
    type Ticket = Leave<'r>;
    type Pass = Permit;

    fn enter(&self, nth: usize) -> Result<Leave<'r>, Closed> {
        let (target, permit) = self.place(nth)?;
        let began = Instant::now();
        match target.breaker.admit(began) {
            Admission::Closed(ticket) | Admission::Probe(ticket) => {
                Ok(Leave { nth, target, ticket, permit, began })
            }
            Admission::Open { retry_in } => Err(Closed::Breaker(retry_in.map(|left| left.min(EVERY)))),
        }
    }

    async fn insist(&self, nth: usize) -> Result<Leave<'r>, Closed> {
        let target = self.state(nth).ok_or(Closed::Full(0))?;
        let insisting = target.breaker.insist().await.and_then(Admission::ticket);
        // None: somebody else's probe has just failed, for everybody who waited for it.
        let ticket = insisting.ok_or(Closed::Breaker(Some(EVERY)))?;
        let (target, permit) = self.place(nth)?;
        Ok(Leave { nth, target, ticket, permit, began: Instant::now() })
    }

    fn reached(&self, leave: Leave<'r>) -> Permit {
        leave.target.dials.reached(leave.began.elapsed());
        let change = leave.ticket.succeeded();
        if change.is_some() {
            leave.target.is_well(leave.began.elapsed());
        }
        leave.target.log(&self.states.route, change);
        leave.permit
    }

    fn failed(&self, leave: Leave<'r>, why: &DialErrorKind, addresses: &[IpAddr]) {
        let target = leave.target;
        target.dials.failed(why);
        // A shortage of this machine says nothing about the target.
        if why.is_shortage() {
            return;
        }
        if target.has_moved(addresses) {
            target.log(&self.states.route, target.breaker.moved());
        }
        let address = self.addresses.get(leave.nth);
        let change = leave.ticket.failed(Instant::now());
        target.log(&self.states.route, change);
        if let (Some(_), Some(address)) = (change, address) {
            self.states.look_after(target, address);
        }
    }

    fn overtaken(&self, leave: Leave<'r>) {
        let lagged = leave.target.lags_until.lock().replace(Instant::now() + LAST_FOR);
        if lagged.is_none() {
            warn!(
                route = %self.states.route,
                target = %leave.target.name,
                "another target answered while this one had not: it is tried last until it answers soon again"
            );
        }
        self.look_after(&leave);
    }
}
