//! A dial over several targets, each with several addresses, as a race (RFC 8305, "happy eyeballs").
//!
//! ```text
//! targets ──enter──► name? ──look-up──► addresses ──┐
//!                      └─ no ───────────────────────┴─► attempt ── connected: it has won, the others are dropped
//!    next attempt: when one has failed, or after `STAGGER`       └ failed or out of time: the next
//! ```
//! An attempt that is merely slow goes on while the next ones are tried. At most `AT_ONCE` are under way; where there are more
//! to try than that, each is given as much time as leaves some for all. Targets that the gate keeps closed because they
//! failed before come last, when nobody else is left, and by its leave ([`Gate::insist`]).

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::Dial;
use super::error::{DialError, DialErrorKind, FailedAttempt};
use super::flights::Flights;
use super::gate::{Closed, Gate};
use super::standing::{Record, Standing};
use crate::Bound;
use crate::addr::{Endpoint, TargetAddr};
use crate::reactor;
use crate::resolve::{ResolveError, Resolver};

/// How long an attempt is waited for before the next one begins beside it: RFC 8305's recommendation (section 5).
pub const STAGGER: Duration = Duration::from_millis(250);

/// Attempts under way at one time, each with a socket. Enough for one black hole or two among several good ones never to
/// hold up a dial; and no crowd of clients takes more descriptors than four times its number.
const AT_ONCE: usize = 4;

/// How long somebody else's probe of the only target left is waited for. A backend nearby answers in milliseconds; those
/// that wait for one that answers nothing are connections that pile up.
const PATIENCE: Duration = Duration::from_secs(1);

/// A connection that was made.
#[derive(Debug)]
pub struct Dialled<S, P = ()> {
    /// The connection.
    pub stream: S,
    /// What the gate gave for it: to be kept for as long as the connection.
    pub pass: P,
    /// The target that was reached: its place in the list.
    pub nth: usize,
    /// The address it was reached at.
    pub endpoint: Endpoint,
    /// The attempts that failed before.
    pub failed: Vec<FailedAttempt>,
}

/// Connects to the first of `targets` that can be reached, in order, all `within` one deadline.
///
/// Each address of each target is tried, the next one as soon as one has failed, or beside those that have not answered
/// within [`STAGGER`]; the first that is connected wins, and the others are abandoned. Targets that `gate` keeps closed are
/// skipped; where nobody else is left, those with an open breaker are tried all the same if the gate lets them. One that no
/// time was left for is not held against it, nor is one that another overtook.
/// Cancel-safe: dropping the future abandons the attempts in progress.
///
/// # Errors
/// [`DialError`] where none was reached, with every attempt.
pub async fn reach<D: Dial, G: Gate>(
    dialer: &D,
    resolver: &Resolver,
    targets: &[TargetAddr],
    gate: &G,
    within: Bound,
) -> Result<Dialled<D::Stream, G::Pass>, DialError> {
    let started = Instant::now();
    let place = pin!(None);
    let mut race = Race {
        resolver,
        targets,
        gate,
        deadline: started + within.get(),
        next: 0,
        due: started,
        waiting: VecDeque::new(),
        shunned: SmallVec::new(),
        record: Record::new(),
        flights: Flights::new(place),
        fly: |errand| run(dialer, resolver, targets, gate, errand),
    };
    match race.run().await {
        Some(won) => Ok(won),
        None => Err(DialError { attempts: race.record.failed, within, elapsed: started.elapsed() }),
    }
}

/// What one future is to do.
enum Errand {
    LookUp(usize),
    Insist(usize),
    Connect(Endpoint),
}

/// What came of it.
enum News<S, T> {
    LookedUp(Result<Arc<[IpAddr]>, ResolveError>),
    Insisted(Result<T, Closed>),
    Connected(Endpoint, io::Result<S>),
}

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

async fn run<D: Dial, G: Gate>(
    dialer: &D,
    resolver: &Resolver,
    targets: &[TargetAddr],
    gate: &G,
    errand: Errand,
) -> News<D::Stream, G::Ticket> {
    match errand {
        Errand::Connect(endpoint) => {
            let outcome = dialer.dial(&endpoint).await;
            News::Connected(endpoint, outcome)
        }
        Errand::LookUp(nth) => {
            let name = targets.get(nth).and_then(TargetAddr::name).unwrap_or_default();
            // The race bounds it; the resolver is to know how long it has.
            News::LookedUp(resolver.resolve(name, Duration::MAX).await)
        }
        Errand::Insist(nth) => News::Insisted(gate.insist(nth).await),
    }
}

/// A dial in progress.
struct Race<'r, 'p, G: Gate, F, M> {
    resolver: &'r Resolver,
    targets: &'r [TargetAddr],
    gate: &'r G,
    deadline: Instant,
    /// The first target that the gate was not asked about.
    next: usize,
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

impl<S, G, F, M> Race<'_, '_, G, F, M>
where
    G: Gate,
    F: Future<Output = News<S, G::Ticket>>,
    M: Fn(Errand) -> F,
{
    async fn run(&mut self) -> Option<Dialled<S, G::Pass>> {
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
            let won = match landed {
                Ok((label, news)) => self.take(&label, news),
                Err(_) => self.last_look().await,
            };
            if won.is_some() {
                return won;
            }
        }
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
        !self.waiting.is_empty() || self.next < self.targets.len()
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
        } else if self.next < self.targets.len() {
            let nth = self.next;
            self.next += 1;
            match self.gate.enter(nth) {
                Ok(ticket) => self.enter(nth, ticket, now),
                Err(Closed::Breaker(retry_in)) => self.shunned.insert(0, (nth, retry_in)),
                Err(closed) => self.note(nth, DialErrorKind::Closed(closed)),
            }
        } else if self.busy() > 0 {
            return false;
        } else if let Some((nth, _)) = self.shunned.pop() {
            self.launch(nth, Kind::Insist, Errand::Insist(nth), now);
        } else {
            return false;
        }
        true
    }

    /// Tries a target that may be dialled.
    fn enter(&mut self, nth: usize, ticket: G::Ticket, now: Instant) {
        self.record.enter(nth, ticket);
        match self.targets.get(nth) {
            Some(TargetAddr::Ip(addr)) => self.connect(nth, Endpoint::Ip(*addr), now),
            Some(TargetAddr::Unix(path)) => self.connect(nth, Endpoint::Unix(path.clone()), now),
            Some(TargetAddr::Name(..)) => self.launch(nth, Kind::LookUp, Errand::LookUp(nth), now),
            // INVARIANT: it is a place in the list.
            None => {}
        }
    }

    fn connect(&mut self, nth: usize, endpoint: Endpoint, now: Instant) {
        let addr = match &endpoint {
            Endpoint::Ip(addr) => Some(*addr),
            Endpoint::Unix(_) => None,
        };
        self.launch(nth, Kind::Connect(addr), Errand::Connect(endpoint), now);
    }

    fn launch(&mut self, nth: usize, kind: Kind, errand: Errand, now: Instant) {
        let until = if kind == Kind::Insist { now + PATIENCE } else { now + self.share(now) };
        self.due = now + STAGGER;
        let label = Label { nth, kind, began: now, until: until.min(self.deadline) };
        self.flights.push(label, (self.fly)(errand));
    }

    /// How long an attempt that begins now may take: all the time there is, unless so many are still to be tried that this
    /// one's place is needed before.
    fn share(&self, now: Instant) -> Duration {
        let (left, later) = (self.deadline - now, self.waiting.len() + (self.targets.len() - self.next));
        let rounds = u32::try_from((self.busy() + 1 + later).div_ceil(AT_ONCE)).unwrap_or(u32::MAX);
        left / rounds.max(1)
    }

    /// What follows from a future that has come to its end: the connection, if it made the first.
    fn take(&mut self, label: &Label, news: News<S, G::Ticket>) -> Option<Dialled<S, G::Pass>> {
        let now = Instant::now();
        match news {
            News::Connected(endpoint, Ok(stream)) => return self.won(label, endpoint, stream),
            News::Connected(endpoint, Err(error)) => self.fail(label, Some(endpoint), error.into(), now),
            News::LookedUp(Ok(addrs)) => self.looked_up(label.nth, addrs, now),
            News::LookedUp(Err(error)) => self.fail(label, None, DialErrorKind::Resolve(error), now),
            News::Insisted(Ok(ticket)) if self.busy() == 0 => self.enter(label.nth, ticket, now),
            // Somebody else is being tried by now: this one goes back to the end.
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
        let port = self.targets.get(nth).map_or(0, TargetAddr::port);
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
        let Some(target) = self.targets.get(label.nth) else { return };
        if let Kind::Connect(Some(addr)) = label.kind {
            self.lags(label.nth, addr);
        }
        let elapsed = now.duration_since(label.began);
        let attempt = FailedAttempt { target: target.clone(), endpoint, elapsed, kind };
        self.due = now;
        let Some(standing) = self.record.fail(label.nth, attempt) else { return };
        let Some(why) = self.record.why(&standing) else { return };
        let addresses = standing.addresses.as_ref();
        // A shortage of this machine says nothing about them.
        if let (Some(name), Some(addresses), false) = (target.name(), addresses, why.is_shortage()) {
            self.resolver.doubt(name, addresses);
        }
        self.gate.failed(standing.ticket, why, addresses.map(|all| &**all).unwrap_or_default());
    }

    fn note(&mut self, nth: usize, kind: DialErrorKind) {
        if let Some(target) = self.targets.get(nth) {
            self.record.note(target, None, kind);
        }
    }

    /// Somebody has had his time, or the next is due. A worker that was stopped, or was late, has not been told yet what came
    /// in time: the kernel is asked once before anybody is given up.
    async fn last_look(&mut self) -> Option<Dialled<S, G::Pass>> {
        let now = Instant::now();
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
            let won = self.take(&label, news);
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
            Kind::LookUp => self.fail(late, None, DialErrorKind::Resolve(ResolveError::TimedOut), now),
            Kind::Connect(addr) => self.fail(late, addr.map(Endpoint::Ip), DialErrorKind::TimedOut, now),
        }
    }

    /// Nobody was reached. Who was not even tried is named: there was no time, or no leave.
    fn none_is_left(&mut self) {
        while let Some((nth, retry_in)) = self.shunned.pop() {
            self.note(nth, DialErrorKind::Closed(Closed::Breaker(retry_in)));
        }
        if let Some((nth, addr)) = self.waiting.pop_front() {
            if let Some(target) = self.targets.get(nth) {
                self.record.note(target, Some(Endpoint::Ip(addr)), DialErrorKind::TimedOut);
            }
        } else if self.next < self.targets.len() {
            self.note(self.next, DialErrorKind::TimedOut);
        }
    }
}

fn ready<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
