//! The members that one dial may reach: in which order, which of them may be dialled, and what follows from how that went.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use proxy_conn::{Admission, Permit, Tally, Ticket};
use proxy_core::dial::{Closed, DialErrorKind, Gate};
use proxy_core::{ClientAddr, Destination, Egress, Endpoint, TargetAddr};
use smallvec::{SmallVec, smallvec};
use tokio::time::Instant;
use tracing::warn;

use crate::group::Group;
use crate::health::Outcome;
use crate::member::{LAST_FOR, Member};
use crate::order::Order;
use crate::pace::EVERY;
use crate::table::Table;
use crate::unproven::Unproven;

/// The others that a dial shares its time with, at most, beside those that it has asked for. Where there are more, each that says
/// nothing has a quarter of the time that is left (four are tried at once), and so ever more are reached; those that refuse take
/// no time, and all are.
const AHEAD: usize = 15;

/// The members that one dial may reach, in the order in which they are to be tried: its [`Gate`].
///
/// The first is chosen when it is made; the others are found when the dial asks for them, by what is known of them then.
#[derive(Debug)]
pub struct Candidates<'r> {
    group: &'r Group,
    table: Arc<Table>,
    port: u16,
    first: usize,
    order: Mutex<Order>,
    /// Where the first is; [`Gate::further`] says where the others are.
    pub addresses: SmallVec<[TargetAddr; 1]>,
    /// Whether the first has failed a dial.
    first_failed: AtomicBool,
    pub(crate) egress: Option<&'r Egress>,
    pub(crate) client: Option<ClientAddr>,
    /// Whether a member that takes a connection has to prove by a handshake that it can be used.
    handshake: bool,
}

impl<'r> Candidates<'r> {
    /// Those of a group, the `first` first, for a connection that came in on `port`; `serving` are the places of those that are next.
    pub(crate) fn new(
        group: &'r Group,
        table: Arc<Table>,
        port: u16,
        first: usize,
        serving: Range<usize>,
    ) -> Self {
        let addresses =
            table.member(first).map_or_else(SmallVec::new, |member| smallvec![member.address(port)]);
        Self {
            group,
            table,
            port,
            first,
            order: Mutex::new(Order::new(first, serving)),
            addresses,
            first_failed: AtomicBool::new(false),
            egress: None,
            client: None,
            handshake: false,
        }
    }

    /// Where the `nth` is, for people, and what its connections are counted under.
    #[must_use]
    pub fn name(&self, nth: usize) -> Option<Tally> {
        let member = self.member(self.place(nth)?)?;
        if member.target().is_fixed() {
            return Some(member.name.clone());
        }
        Some(member.name.called(written(&member.address(self.port))))
    }

    /// Whether the first has failed a dial.
    #[must_use]
    pub fn first_has_failed(&self) -> bool {
        self.first_failed.load(Ordering::Relaxed)
    }

    /// The same, leaving this machine by `egress`, on behalf of `client`.
    #[must_use]
    pub fn leaving_by(self, egress: &'r Egress, client: Option<ClientAddr>) -> Self {
        Self { egress: Some(egress), client, ..self }
    }

    /// The same, where a handshake has yet to say whether a member that takes the connection can be used: until then nothing is held
    /// for it or against it ([`Reached::unproven`]).
    #[must_use]
    pub fn followed_by_handshake(self, handshake: bool) -> Self {
        Self { handshake, ..self }
    }

    /// The place in the table of the `nth` that the dial has asked for.
    fn place(&self, nth: usize) -> Option<usize> {
        if nth == 0 { (self.table.len() > 0).then_some(self.first) } else { self.order.lock().nth(nth) }
    }

    fn member(&self, at: usize) -> Option<&Arc<Member>> {
        self.table.member(at)
    }

    /// A place among a target's connections.
    fn permit(&self, nth: usize) -> Result<(usize, &Arc<Member>, Permit), Closed> {
        // A list without that target is full.
        let at = self.place(nth).ok_or(Closed::Full(0))?;
        let member = self.member(at).ok_or(Closed::Full(0))?;
        if member.draining.is_on() {
            return Err(Closed::Draining);
        }
        let permit = member.limit.acquire().ok_or_else(|| Closed::Full(member.limit.most()))?;
        Ok((at, member, permit))
    }
}

/// Text that is on the heap only if it is long.
#[derive(Default)]
struct Text(SmallVec<[u8; 64]>);

impl fmt::Write for Text {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        self.0.extend_from_slice(more.as_bytes());
        Ok(())
    }
}

/// An address as it is written: for one connection, so no more is asked of the heap than what that keeps.
fn written(address: &TargetAddr) -> Box<str> {
    let mut text = Text::default();
    // INVARIANT: writing to memory cannot fail, and what is written is text.
    write!(text, "{address}").unwrap_or_default();
    std::str::from_utf8(&text.0).unwrap_or_default().into()
}

/// An attempt to dial a member, and its place among its connections.
#[derive(Debug)]
pub struct Attempt {
    /// The member's place in the table.
    at: usize,
    ticket: Ticket,
    permit: Permit,
    began: Instant,
}

/// What a connection has of the member that took it.
#[derive(Debug)]
pub struct Reached {
    /// Its place among the member's connections.
    pub permit: Permit,
    /// Where a handshake is to follow: the member awaits its word.
    pub unproven: Option<Box<Unproven>>,
}

impl Gate for Candidates<'_> {
    type Ticket = Attempt;
    type Pass = Reached;

    fn enter(&self, nth: usize) -> Result<Attempt, Closed> {
        let (at, member, permit) = self.permit(nth)?;
        let began = Instant::now();
        match member.breaker.admit(began) {
            Admission::Closed(ticket) | Admission::Probe(ticket) => Ok(Attempt { at, ticket, permit, began }),
            Admission::Open { retry_in } => Err(Closed::Breaker(retry_in.map(|left| left.min(EVERY)))),
        }
    }

    async fn insist(&self, nth: usize) -> Result<Attempt, Closed> {
        let member = self.place(nth).and_then(|at| self.member(at)).ok_or(Closed::Full(0))?;
        let insisting = member.breaker.insist().await.and_then(Admission::ticket);
        // None: somebody else's probe has just failed, for everybody who waited for it.
        let ticket = insisting.ok_or(Closed::Breaker(Some(EVERY)))?;
        let (at, _, permit) = self.permit(nth)?;
        Ok(Attempt { at, ticket, permit, began: Instant::now() })
    }

    fn destination<'d>(&'d self, _: usize, endpoint: &'d Endpoint) -> Destination<'d> {
        let to = Destination::new(endpoint).on_behalf_of(self.client);
        match (endpoint, self.egress) {
            (Endpoint::Ip(_), Some(egress)) => to.by(egress),
            // What is on this machine is not left for.
            (Endpoint::Unix(_), _) | (_, None) => to,
        }
    }

    fn reached(&self, attempt: Attempt) -> Reached {
        let Attempt { at, ticket, permit, began } = attempt;
        let Some(member) = self.member(at) else { return Reached { permit, unproven: None } };
        let took = began.elapsed();
        member.dials.reached(took);
        if self.handshake {
            let (member, label) = (Arc::clone(member), Arc::clone(self.group.label()));
            return Reached { permit, unproven: Some(Box::new(Unproven { member, label, ticket, began })) };
        }
        let change = ticket.succeeded();
        if change.is_some() {
            member.is_well(took);
        }
        member.log(self.group.label(), change);
        Reached { permit, unproven: None }
    }

    fn failed(&self, attempt: Attempt, why: &DialErrorKind, addresses: &[IpAddr]) {
        let Some(member) = self.member(attempt.at) else { return };
        member.dials.failed(why);
        if attempt.at == self.first && !why.is_own() {
            self.first_failed.store(true, Ordering::Relaxed);
        }
        // What this machine lacks says nothing about the target.
        if why.is_own() {
            return;
        }
        member.health.outcomes.count(Outcome::Bad);
        if member.has_moved(addresses) {
            member.log(self.group.label(), member.breaker.moved());
        }
        let change = attempt.ticket.failed(Instant::now());
        member.log(self.group.label(), change);
        if change.is_some() {
            self.group.look_after(member, member.address(self.port));
        }
    }

    fn overtaken(&self, attempt: Attempt) {
        let Some(member) = self.member(attempt.at) else { return };
        if member.lags_until(Instant::now() + LAST_FOR) {
            warn!(
                route = %self.group.label(),
                target = %member.name,
                "another target answered while this one had not: it is tried last until it answers soon again"
            );
        }
        self.group.look_after(member, member.address(self.port));
    }

    fn further(&self, nth: usize) -> Option<TargetAddr> {
        let rank = |at: usize| self.member(at).map(|member| member.rank());
        let at = self.order.lock().next(nth, self.table.len(), rank)?;
        self.member(at).map(|member| member.address(self.port))
    }

    fn left(&self, nth: usize) -> usize {
        self.table.len().saturating_sub(nth).min(AHEAD)
    }
}
