//! Targets that are left alone or tried last, tried by the proxy itself until they are well: so a target is back soon after it
//! can be, whoever else is dialled meanwhile, and no client is the one who finds out.
//!
//! ```text
//!  breaker opens, or overtaken ──► Unhealthy ──► every `EVERY`: connect, reset ── well again: dialled as before
//!                                                  └ gone from the configuration: forgotten
//! ```
//! A try is made as any dial is, within a deadline, and reset at once when the target's kernel has answered: no PROXY header, no
//! byte, and over TCP nothing that the target's program is told of ([`Dial::unnoticed`]).

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use proxy_conn::{BreakerState, Tracker};
use proxy_core::dial::{STAGGER, reach};
use proxy_core::{Bound, Dial, Egress, Resolver, TargetAddr};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::checks::{self, Checks, Turn};
use crate::egress::{DefaultEgress, LeavingBy};
use crate::member::{LAST_FOR, Member};
use crate::pace::EVERY;

/// How long one that is left alone may take to answer: further than any terrestrial network, and time for the next try to be
/// another one. What needs longer is left to clients, whose dials have `connection_timeout`.
const ANSWERS_WITHIN: Bound = Bound::millis(600);

/// How long one that merely lags may take before that counts as a failure: with time for a SYN that was lost.
const LAGGARD_WITHIN: Bound = Bound::secs(3);

/// The longest from one try to the next where a target does answer, but too late to be tried in its turn: that is how it is, and
/// asking it all the time makes it no nearer.
const SELDOM: Duration = Duration::from_secs(60);

/// Tries at one time, each with a socket. Where more targets are silent they take turns.
const AT_ONCE: usize = 32;

/// Where there are so many that it matters, each is tried as much later as makes it no more than a thousand tries a second: a
/// twentieth of what a worker could do.
const OF_EACH: Duration = Duration::from_millis(1);

/// The targets that are to be looked after. One for all generations.
#[derive(Debug)]
pub struct Unhealthy {
    new: Mutex<Vec<Entry>>,
    told: Notify,
    places: Semaphore,
    /// How many are looked after.
    crowd: AtomicU32,
    /// Those that are checked, well or not.
    pub(crate) checks: Checks,
    /// How those are reached whose group says nothing of it.
    egress: DefaultEgress,
}

/// A target that is not well, and where it was when that was found.
#[derive(Debug)]
struct Entry {
    target: Weak<Member>,
    at: TargetAddr,
    route: Arc<str>,
}

impl Default for Unhealthy {
    fn default() -> Self {
        let (new, crowd) = (Mutex::default(), AtomicU32::new(0));
        let egress = DefaultEgress::default();
        let (places, checks) = (Semaphore::new(AT_ONCE), Checks::new(egress.clone()));
        Self { new, told: Notify::new(), places, crowd, checks, egress }
    }
}

impl Unhealthy {
    /// Adds a target; whoever adds it sees to it that it is there once.
    pub(crate) fn add(&self, target: &Arc<Member>, at: TargetAddr, route: Arc<str>) {
        self.new.lock().push(Entry { target: Arc::downgrade(target), at, route });
        self.told.notify_one();
    }

    /// Has those whose group says nothing of it reached so from now on.
    pub fn set_egress(&self, egress: &Arc<Egress>) {
        self.egress.set(egress);
    }

    /// How long after a try the next one of the same target is due at the soonest.
    fn every(&self) -> Duration {
        EVERY.max(OF_EACH * self.crowd.load(Ordering::Relaxed))
    }

    /// Tries under way.
    #[must_use]
    pub fn tries(&self) -> usize {
        AT_ONCE - self.places.available_permits()
    }
}

/// Looks after the `unhealthy` members of whatever configuration is in force, reaching them as connections do, until `quit`.
pub async fn recover<D: Dial + Clone>(
    unhealthy: Arc<Unhealthy>,
    dialer: D,
    resolver: Resolver,
    quit: CancellationToken,
) {
    let dialer = dialer.unnoticed();
    let looking_after = async {
        let mut entries = FuturesUnordered::new();
        loop {
            let new = std::mem::take(&mut *unhealthy.new.lock());
            entries.extend(new.into_iter().map(|entry| look_after(&dialer, &resolver, &unhealthy, entry)));
            unhealthy.crowd.store(u32::try_from(entries.len()).unwrap_or(u32::MAX), Ordering::Relaxed);
            tokio::select! {
                () = unhealthy.told.notified() => {}
                Some(()) = entries.next() => {}
            }
        }
    };
    quit.run_until_cancelled(looking_after).await.unwrap_or(());
}

/// Checks the members of whatever configuration is in force whose groups have them checked, reaching them as connections do, and
/// takes out those that outcomes speak against, until `quit`. Each check is an entry of `tracker`. `turned` is told of each member
/// that a check finds down, or up again; it must not block.
pub async fn check<D: Dial + Clone>(
    unhealthy: Arc<Unhealthy>,
    dialer: D,
    resolver: Resolver,
    tracker: Arc<Tracker>,
    turned: impl Fn(&Turn<'_>) + Send + Sync,
    quit: CancellationToken,
) {
    checks::run(&unhealthy.checks, dialer, resolver, tracker, turned, quit).await;
}

/// Tries one target until it is well, or no more.
async fn look_after<D: Dial>(dialer: &D, resolver: &Resolver, unhealthy: &Unhealthy, entry: Entry) {
    let (mut due, mut wait) = (Instant::now(), EVERY);
    loop {
        due = Instant::now().max(due + wait.max(unhealthy.every()));
        tokio::time::sleep_until(due).await;
        let Some(target) = entry.target.upgrade() else { return };
        if !target.is_unhealthy(Instant::now()) {
            target.is_looked_after.store(false, Ordering::Relaxed);
            // Whoever found it ill just before that has not added it.
            let again = target.is_unhealthy(Instant::now());
            if !again || target.is_looked_after.swap(true, Ordering::Relaxed) {
                return;
            }
        }
        // One that was removed is kept while it has connections: it may come back.
        // And one that its check has found down is judged by that.
        if target.is_in_force()
            && !target.draining.is_on()
            && !target.health.is_down()
            && let Ok(_place) = unhealthy.places.acquire().await
        {
            let leaving = unhealthy.egress.of(&target);
            let found = try_once(dialer, resolver, &target, &entry, leaving).await;
            wait = if found == Found::Late { (wait * 2).min(SELDOM) } else { EVERY };
            target.goes_on_lagging_until(Instant::now() + wait + LAST_FOR);
        }
    }
}

/// What a try has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Well,
    /// It answers, and others would answer sooner.
    Late,
    Ill,
}

/// Tries a target once.
async fn try_once<D: Dial>(
    dialer: &D,
    resolver: &Resolver,
    target: &Member,
    entry: &Entry,
    leaving: LeavingBy,
) -> Found {
    let began = Instant::now();
    // The breaker of one that merely lags is closed: what is found counts as a client's dial does.
    let is_open = target.breaker.view(began).state != BreakerState::Closed;
    let ticket = if is_open { None } else { target.breaker.admit(began).ticket() };
    let within = if is_open { ANSWERS_WITHIN } else { LAGGARD_WITHIN };
    let reached = reach(dialer, resolver, std::slice::from_ref(&entry.at), &leaving, within).await;
    let found = match &reached {
        Ok(_) if began.elapsed() <= STAGGER => Found::Well,
        Ok(_) => Found::Late,
        Err(_) => Found::Ill,
    };
    let change = match (reached, ticket) {
        // Whether it is well the next handshake says.
        (Ok(_), _) if target.fails_handshakes() => None,
        (Ok(_), ticket) => {
            target.is_well(began.elapsed());
            ticket.map_or_else(|| target.breaker.recovered(), proxy_conn::Ticket::succeeded)
        }
        (Err(error), _) if error.is_own() => None,
        (Err(_), _) if target.has_moved(&leaving.failed_at()) => target.breaker.moved(),
        (Err(_), ticket) => ticket.and_then(|ticket| ticket.failed(Instant::now())),
    };
    if change.as_ref().is_some_and(|change| change.to == BreakerState::Closed) {
        target.comes(Instant::now());
    }
    target.log(&entry.route, change);
    found
}
