//! The race itself: who is under way, who is next, and what follows from each that has come to its end.

use std::collections::VecDeque;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::error::{DialErrorKind, FailedAttempt};
use super::flights::Flights;
use super::gate::{Closed, Gate};
use super::reach::{Dialled, Errand, News, STAGGER};
use super::standing::{Record, Standing};
use crate::addr::{Endpoint, TargetAddr};
use crate::late::grace;
use crate::reactor;
use crate::resolve::{ResolveError, Resolver};

/// Attempts under way at one time, each with a socket. Enough for one black hole or two among several good ones never to
/// hold up a dial; and no crowd of clients takes more descriptors than four times its number.
const AT_ONCE: usize = 4;

/// How long somebody else's probe of the only target left is waited for. A backend nearby answers in milliseconds; those
/// that wait for one that answers nothing are connections that pile up.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known of a future under way.
struct Label {
    /// The target's place.
    nth: usize,
    kind: Kind,
    began: Instant,
    /// When it has had its time.
    until: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    LookUp,
    Insist,
    /// To this address; None for a Unix socket.
    Connect(Option<SocketAddr>),
}

/// A dial in progress.
pub(super) struct Race<'r, 'p, G: Gate, F, M> {
    resolver: &'r Resolver,
    targets: &'r [TargetAddr],
    /// Those that come after them, as far as they were asked for.
    further: Vec<TargetAddr>,
    gate: &'r G,
    deadline: Instant,
    /// Whether the deadline is another one, since this worker had stood still when the first one passed.
    excused: bool,
    /// The first target that the gate was not asked about.
    next: usize,
    /// Whether the gate has said that there are no more.
    is_at_end: bool,
    /// When the next attempt begins, however those under way stand.
    due: Instant,
    /// Addresses of targets that were entered, to be tried next.
    waiting: VecDeque<(usize, SocketAddr)>,
    /// Targets with an open breaker that nobody insisted on yet, the last first.
    shunned: SmallVec<[(usize, Option<Duration>); 2]>,
    record: Record<G::Ticket>,
    flights: Flights<'p, F, Label>,
    fly: M,
}

impl<'r, 'p, S, G, F, M> Race<'r, 'p, G, F, M>
where
    G: Gate,
    F: Future<Output = News<S, G::Ticket>>,
    M: Fn(Errand) -> F,
{
    /// One that begins now. The first future that it runs will be where `place` is.
    pub(super) fn new(
        resolver: &'r Resolver,
        targets: &'r [TargetAddr],
        gate: &'r G,
        (started, deadline): (Instant, Instant),
        place: Pin<&'p mut Option<F>>,
        fly: M,
    ) -> Self {
        Self {
            resolver,
            targets,
            further: Vec::new(),
            gate,
            deadline,
            excused: false,
            next: 0,
            is_at_end: false,
            due: started,
            waiting: VecDeque::new(),
            shunned: SmallVec::new(),
            record: Record::new(),
            flights: Flights::new(place),
            fly,
        }
    }

    /// Every attempt that failed.
    pub(super) fn failed(self) -> Vec<FailedAttempt> {
        self.record.failed
    }

    /// The connection that was made first; None where none was. Cancel-safe.
    pub(super) async fn run(&mut self) -> Option<Dialled<S, G::Pass>> {
        loop {
            let now = Instant::now();
            while self.may_begin(now) && self.begin(now) {}
            let Some(wake) = self.wake() else {
                self.none_is_left();
                return None;
            };
            let landed = {
                let flights = &mut self.flights;
                let landing = std::future::poll_fn(|cx| flights.poll(cx));
                tokio::time::timeout_at(wake, landing).await
            };
            let now = Instant::now();
            self.excuse(wake, now);
            let won = match landed {
                Ok((label, news)) => self.take(&label, news, now),
                Err(_) => self.last_look(now).await,
            };
            if won.is_some() {
                return won;
            }
        }
    }

    /// Where this worker has noticed much too late that it was time to look, what was to come meanwhile gets a little more
    /// time; the whole does so once.
    fn excuse(&mut self, wake: Instant, now: Instant) {
        let Some(grace) = grace(now.saturating_duration_since(wake)) else { return };
        let anew = now + grace;
        if !self.excused && self.deadline < anew {
            (self.deadline, self.excused) = (anew, true);
        }
        let until = anew.min(self.deadline);
        self.flights.labels_mut().for_each(|label| label.until = label.until.max(until));
    }

    /// Attempts under way. Who waits for somebody else's answer makes none.
    fn busy(&self) -> usize {
        self.flights.labels().filter(|label| label.kind != Kind::Insist).count()
    }

    fn may_begin(&self, now: Instant) -> bool {
        if self.deadline <= now {
            return false;
        }
        match self.busy() {
            0 => true,
            AT_ONCE.. => false,
            _ => self.due <= now,
        }
    }

    /// Whether there is somebody to try beside those who are being tried.
    fn has_more(&self) -> bool {
        !self.waiting.is_empty() || self.not_asked() > 0 || !self.shunned.is_empty()
    }

    /// Targets that the gate was not asked about, as far as they are known.
    fn not_asked(&self) -> usize {
        let left = if self.is_at_end { 0 } else { self.gate.left(self.next.max(self.targets.len())) };
        self.targets.len().saturating_sub(self.next) + left
    }

    /// A target that the gate was asked about, or may be next.
    fn target(&self, nth: usize) -> Option<&TargetAddr> {
        self.targets.get(nth).or_else(|| self.further_target(nth))
    }

    fn further_target(&self, nth: usize) -> Option<&TargetAddr> {
        self.further.get(nth.checked_sub(self.targets.len())?)
    }

    /// The next target that the gate is to be asked about.
    fn ask(&mut self) -> Option<usize> {
        if self.next >= self.targets.len() && !self.is_at_end {
            match self.gate.further(self.next) {
                Some(target) => self.further.push(target),
                None => self.is_at_end = true,
            }
        }
        let nth = self.next;
        self.target(nth).is_some().then(|| {
            self.next += 1;
            nth
        })
    }

    /// When to look again if nothing lands until then; None where nothing is under way any more.
    fn wake(&self) -> Option<Instant> {
        let until = self.flights.labels().map(|label| label.until).min()?;
        let busy = self.busy();
        Some(if self.has_more() && (1..AT_ONCE).contains(&busy) { until.min(self.due) } else { until })
    }

    /// Begins with whoever is next; false where nobody is.
    fn begin(&mut self, now: Instant) -> bool {
        if let Some((nth, addr)) = self.waiting.pop_front() {
            self.connect(nth, Endpoint::Ip(addr), now);
        } else if let Some(nth) = self.ask() {
            match self.gate.enter(nth) {
                Ok(ticket) => self.enter(nth, ticket, now),
                Err(Closed::Breaker(retry_in)) => self.shunned.insert(0, (nth, retry_in)),
                Err(closed) => self.note(nth, DialErrorKind::Closed(closed)),
            }
        } else if let Some((nth, _)) = self.shunned.pop() {
            self.insist(nth, now);
        } else {
            return false;
        }
        true
    }

    /// Tries a target that may be dialled.
    fn enter(&mut self, nth: usize, ticket: G::Ticket, now: Instant) {
        self.record.enter(nth, ticket);
        let (listed, further) = (self.targets.get(nth), self.further_target(nth).cloned());
        match listed.or(further.as_ref()) {
            Some(TargetAddr::Ip(addr)) => self.connect(nth, Endpoint::Ip(*addr), now),
            Some(TargetAddr::Unix(path)) => self.connect(nth, Endpoint::Unix(path.clone()), now),
            Some(TargetAddr::Name(..)) if listed.is_some() => {
                self.launch(nth, Kind::LookUp, Errand::LookUp(nth, self.share(now)), now);
            }
            Some(TargetAddr::Name(name, _)) => {
                let errand = Errand::LookUpFurther(name.clone(), self.share(now));
                self.launch(nth, Kind::LookUp, errand, now);
            }
            // INVARIANT: it is a place in the list.
            None => {}
        }
    }

    fn connect(&mut self, nth: usize, endpoint: Endpoint, now: Instant) {
        let addr = match &endpoint {
            Endpoint::Ip(addr) => Some(*addr),
            Endpoint::Unix(_) => None,
        };
        self.launch(nth, Kind::Connect(addr), Errand::Connect(nth, endpoint), now);
    }

    fn launch(&mut self, nth: usize, kind: Kind, errand: Errand, now: Instant) {
        let label = Label { nth, kind, began: now, until: now + self.share(now) };
        self.due = now + self.head_start(now);
        self.flights.push(label, (self.fly)(errand));
    }

    /// Asks for leave to try a target that failed before. That is no attempt, and holds up nobody.
    fn insist(&mut self, nth: usize, now: Instant) {
        let until = (now + PATIENCE).min(self.deadline);
        let label = Label { nth, kind: Kind::Insist, began: now, until };
        self.flights.push(label, (self.fly)(Errand::Insist(nth)));
    }

    /// How long an attempt that begins now may take: all the time there is, unless so many are still to be tried that this
    /// one's place is needed before.
    fn share(&self, now: Instant) -> Duration {
        let left = self.deadline.saturating_duration_since(now);
        let rounds = u32::try_from((self.busy() + 1 + self.later()).div_ceil(AT_ONCE)).unwrap_or(u32::MAX);
        left / rounds.max(1)
    }

    /// How long an attempt that begins now is alone, before the next begins beside it: less than usual where otherwise not
    /// everybody that is left would have a turn before the deadline.
    fn head_start(&self, now: Instant) -> Duration {
        let left = self.deadline.saturating_duration_since(now);
        let turns = u32::try_from(self.later() + 1).unwrap_or(u32::MAX);
        STAGGER.min(left / turns)
    }

    /// How many are still to be tried, with those that leave is asked for.
    fn later(&self) -> usize {
        let asked_for = self.flights.labels().filter(|label| label.kind == Kind::Insist).count();
        self.waiting.len() + self.not_asked() + self.shunned.len() + asked_for
    }

    /// What follows from a future that has come to its end: the connection, if it made the first.
    fn take(&mut self, label: &Label, news: News<S, G::Ticket>, now: Instant) -> Option<Dialled<S, G::Pass>> {
        match news {
            News::Connected(endpoint, Ok(stream)) => return self.won(label, endpoint, stream),
            News::Connected(endpoint, Err(error)) => self.fail(label, Some(endpoint), error.into(), now),
            News::LookedUp(Ok(addrs)) => self.looked_up(label.nth, addrs, now),
            News::LookedUp(Err(error)) => self.fail(label, None, DialErrorKind::Unresolved(error), now),
            News::Insisted(Ok(ticket)) if self.may_begin(now) => self.enter(label.nth, ticket, now),
            // Somebody else has just been begun with: this one goes back to the end.
            News::Insisted(Ok(_)) => self.shunned.insert(0, (label.nth, None)),
            News::Insisted(Err(closed)) => self.note(label.nth, DialErrorKind::Closed(closed)),
        }
        None
    }

    fn won(&mut self, label: &Label, endpoint: Endpoint, stream: S) -> Option<Dialled<S, G::Pass>> {
        while let Some(slower) = self.flights.give_up(|other| other.began < label.began) {
            self.overtaken(&slower, label.nth);
        }
        while self.flights.give_up(|_| true).is_some() {}
        // INVARIANT: what was under way is of a target that is being tried.
        let Standing { ticket, addresses, .. } = self.record.take(label.nth)?;
        if let (Kind::Connect(Some(addr)), true) = (label.kind, addresses.is_some_and(|all| all.len() > 1)) {
            self.resolver.answers(addr);
        }
        let pass = self.gate.reached(ticket);
        let failed = std::mem::take(&mut self.record.failed);
        Some(Dialled { stream, pass, nth: label.nth, endpoint, failed })
    }

    /// One that began before the winner has not answered yet, and now need not.
    fn overtaken(&mut self, slower: &Label, winner: usize) {
        if let Kind::Connect(Some(addr)) = slower.kind {
            self.lags(slower.nth, addr);
        }
        let is_tried = slower.nth == winner || self.flights.labels().any(|label| label.nth == slower.nth);
        if !is_tried && let Some(standing) = self.record.take(slower.nth) {
            self.gate.overtaken(standing.ticket);
        }
    }

    /// An address of a name did not answer, or not well: others are better.
    fn lags(&mut self, nth: usize, addr: SocketAddr) {
        let several =
            |standing: &mut Standing<_>| standing.addresses.as_ref().is_some_and(|all| all.len() > 1);
        if self.record.find(nth).is_some_and(several) {
            self.resolver.lags(addr);
        }
    }

    fn looked_up(&mut self, nth: usize, addrs: Arc<[IpAddr]>, now: Instant) {
        let port = self.target(nth).map_or(0, TargetAddr::port);
        let (resolver, waiting) = (self.resolver, &mut self.waiting);
        for addr in resolver.order(&addrs, port).into_iter().rev() {
            waiting.push_front((nth, addr));
        }
        if let Some(standing) = self.record.find(nth) {
            (standing.left, standing.addresses) = (addrs.len(), Some(addrs));
        }
        self.due = now;
    }

    fn fail(&mut self, label: &Label, endpoint: Option<Endpoint>, kind: DialErrorKind, now: Instant) {
        let Some(target) = self.target(label.nth).cloned() else { return };
        if let Kind::Connect(Some(addr)) = label.kind {
            self.lags(label.nth, addr);
        }
        let elapsed = now.duration_since(label.began);
        let attempt = FailedAttempt { target: target.clone(), endpoint, elapsed, kind };
        self.due = now;
        let Some(standing) = self.record.fail(label.nth, attempt) else { return };
        let Some(why) = self.record.why(&standing) else { return };
        let addresses = standing.addresses.as_ref();
        // What this machine lacks says nothing about them.
        if let (Some(name), Some(addresses), false) = (target.name(), addresses, why.is_own()) {
            self.resolver.doubt(name, addresses);
        }
        self.gate.failed(standing.ticket, why, addresses.map(|all| &**all).unwrap_or_default());
    }

    fn note(&mut self, nth: usize, kind: DialErrorKind) {
        if let Some(target) = self.target(nth).cloned() {
            self.record.note(&target, None, kind);
        }
    }

    /// Somebody has had his time, or the next is due. A worker that was stopped, or was late, has not been told yet what came
    /// in time: the kernel is asked once before anybody is given up.
    async fn last_look(&mut self, now: Instant) -> Option<Dialled<S, G::Pass>> {
        if !self.flights.labels().any(|label| label.until <= now) {
            return None;
        }
        reactor::catch_up();
        loop {
            let flights = &mut self.flights;
            let Some((label, news)) = std::future::poll_fn(|cx| Poll::Ready(ready(flights.poll(cx)))).await
            else {
                break;
            };
            let won = self.take(&label, news, now);
            if won.is_some() {
                return won;
            }
        }
        while let Some(late) = self.flights.give_up(|label| label.until <= now) {
            self.out_of_time(&late, now);
        }
        None
    }

    fn out_of_time(&mut self, late: &Label, now: Instant) {
        match late.kind {
            Kind::Insist => self.note(late.nth, DialErrorKind::Closed(Closed::Breaker(None))),
            Kind::LookUp => self.fail(late, None, DialErrorKind::Unresolved(ResolveError::TimedOut), now),
            Kind::Connect(addr) => self.fail(late, addr.map(Endpoint::Ip), DialErrorKind::Timeout, now),
        }
    }

    /// Nobody was reached. Who was not even tried is named: there was no time, or no leave.
    fn none_is_left(&mut self) {
        while let Some((nth, retry_in)) = self.shunned.pop() {
            self.note(nth, DialErrorKind::Closed(Closed::Breaker(retry_in)));
        }
        if let Some((nth, addr)) = self.waiting.pop_front() {
            if let Some(target) = self.target(nth).cloned() {
                self.record.note(&target, Some(Endpoint::Ip(addr)), DialErrorKind::Timeout);
            }
        } else if let Some(nth) = self.ask() {
            self.note(nth, DialErrorKind::Timeout);
        }
    }
}

fn ready<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
