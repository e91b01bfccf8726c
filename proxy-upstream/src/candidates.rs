//! The members that one dial may reach: in which order, which of them may be dialled, and what follows from how that went.

use std::net::IpAddr;
use std::sync::Arc;

use proxy_conn::{Admission, Permit, Ticket};
use proxy_core::TargetAddr;
use proxy_core::dial::{Closed, DialErrorKind, Gate};
use smallvec::SmallVec;
use tokio::time::Instant;
use tracing::warn;

use crate::balance::Order;
use crate::group::Group;
use crate::health::Outcome;
use crate::member::{LAST_FOR, Member};
use crate::recovery::EVERY;

/// The members that one dial may reach, in the order in which they are to be tried: its [`Gate`].
#[derive(Debug)]
pub struct Candidates<'r> {
    pub(crate) group: &'r Group,
    pub(crate) order: Order,
    /// Where each is, in the same order.
    pub addresses: SmallVec<[TargetAddr; 1]>,
}

impl<'r> Candidates<'r> {
    /// Where the `nth` is, for people.
    #[must_use]
    pub fn name(&self, nth: usize) -> Option<Arc<str>> {
        let state = self.state(nth)?;
        if state.is_fixed {
            return Some(Arc::clone(&state.name));
        }
        self.addresses.get(nth).map(|address| address.to_string().into())
    }

    fn state(&self, nth: usize) -> Option<&'r Arc<Member>> {
        self.order.get(nth).and_then(|at| self.group.member(*at))
    }

    /// A place among a target's connections.
    fn place(&self, nth: usize) -> Result<(&'r Arc<Member>, Permit), Closed> {
        // A list without that target is full.
        let target = self.state(nth).ok_or(Closed::Full(0))?;
        if target.draining.is_on() {
            return Err(Closed::Draining);
        }
        let permit = target.limit.acquire().ok_or_else(|| Closed::Full(target.limit.most()))?;
        Ok((target, permit))
    }

    fn look_after(&self, attempt: &Attempt<'r>) {
        if let Some(address) = self.addresses.get(attempt.nth) {
            self.group.look_after(attempt.target, address);
        }
    }
}

/// An attempt to dial a member, and its place among its connections.
#[derive(Debug)]
pub struct Attempt<'r> {
    nth: usize,
    target: &'r Arc<Member>,
    ticket: Ticket,
    permit: Permit,
    began: Instant,
}

impl<'r> Gate for Candidates<'r> {
    type Ticket = Attempt<'r>;
    type Pass = Permit;

    fn enter(&self, nth: usize) -> Result<Attempt<'r>, Closed> {
        let (target, permit) = self.place(nth)?;
        let began = Instant::now();
        match target.breaker.admit(began) {
            Admission::Closed(ticket) | Admission::Probe(ticket) => {
                Ok(Attempt { nth, target, ticket, permit, began })
            }
            Admission::Open { retry_in } => Err(Closed::Breaker(retry_in.map(|left| left.min(EVERY)))),
        }
    }

    async fn insist(&self, nth: usize) -> Result<Attempt<'r>, Closed> {
        let target = self.state(nth).ok_or(Closed::Full(0))?;
        let insisting = target.breaker.insist().await.and_then(Admission::ticket);
        // None: somebody else's probe has just failed, for everybody who waited for it.
        let ticket = insisting.ok_or(Closed::Breaker(Some(EVERY)))?;
        let (target, permit) = self.place(nth)?;
        Ok(Attempt { nth, target, ticket, permit, began: Instant::now() })
    }

    fn reached(&self, attempt: Attempt<'r>) -> Permit {
        attempt.target.dials.reached(attempt.began.elapsed());
        let change = attempt.ticket.succeeded();
        if change.is_some() {
            attempt.target.is_well(attempt.began.elapsed());
        }
        attempt.target.log(self.group.name(), change);
        attempt.permit
    }

    fn failed(&self, attempt: Attempt<'r>, why: &DialErrorKind, addresses: &[IpAddr]) {
        let target = attempt.target;
        target.dials.failed(why);
        // A shortage of this machine says nothing about the target.
        if why.is_shortage() {
            return;
        }
        target.health.outcomes.count(Outcome::Bad);
        if target.has_moved(addresses) {
            target.log(self.group.name(), target.breaker.moved());
        }
        let address = self.addresses.get(attempt.nth);
        let change = attempt.ticket.failed(Instant::now());
        target.log(self.group.name(), change);
        if let (Some(_), Some(address)) = (change, address) {
            self.group.look_after(target, address);
        }
    }

    fn overtaken(&self, attempt: Attempt<'r>) {
        let lagged = attempt.target.lags_until.lock().replace(Instant::now() + LAST_FOR);
        if lagged.is_none() {
            warn!(
                route = %self.group.name(),
                target = %attempt.target.name,
                "another target answered while this one had not: it is tried last until it answers soon again"
            );
        }
        self.look_after(&attempt);
    }
}
