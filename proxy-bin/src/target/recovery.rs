//! Targets that are left alone or tried last, tried by the proxy itself until they are well: so a target is back soon after it
//! can be, whoever else is dialled meanwhile, and no client is the one who finds out.
//!
//! ```text
//!  breaker opens, or overtaken ──► Ailing ──► every `EVERY`: connect, close ── well again: dialled as before
//!                                                  └ gone from the configuration: forgotten
//! ```
//! A try is a TCP connection and nothing more: no PROXY header, no byte. It is made as any dial is, within a deadline, and
//! reset at once when it has come to be.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use proxy_conn::BreakerState;
use proxy_core::dial::{Closed, DialErrorKind, Gate, reach};
use proxy_core::{Bound, Dial, TargetAddr};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{LAST_FOR, TargetState};
use crate::proxy::Proxy;

/// How often a target is tried: so that it is back within a second.
pub(super) const EVERY: Duration = Duration::from_millis(900);

/// How long one that is left alone may take to answer: further than any terrestrial network, and time for the next try to be
/// another one. What needs longer is left to clients, whose dials have `connection_timeout`.
const ANSWERS_WITHIN: Bound = Bound::millis(600);

/// How long one that merely lags may take before that counts as a failure: with time for a SYN that was lost.
const LAGGARD_WITHIN: Bound = Bound::secs(3);

/// Tries at one time, each with a socket. Where more targets are ill they take turns.
const AT_ONCE: usize = 32;

/// The targets that are to be looked after. One for all generations.
#[derive(Debug)]
pub(crate) struct Ailing {
    new: Mutex<Vec<Patient>>,
    told: Notify,
    places: Semaphore,
}

/// A target that is not well, and where it was when that was found.
#[derive(Debug)]
struct Patient {
    target: Weak<TargetState>,
    at: TargetAddr,
    route: Arc<str>,
}

impl Default for Ailing {
    fn default() -> Self {
        Self { new: Mutex::default(), told: Notify::new(), places: Semaphore::new(AT_ONCE) }
    }
}

impl Ailing {
    /// Adds a target; whoever adds it sees to it that it is there once.
    pub(super) fn add(&self, target: &Arc<TargetState>, at: TargetAddr, route: Arc<str>) {
        self.new.lock().push(Patient { target: Arc::downgrade(target), at, route });
        self.told.notify_one();
    }

    /// Tries under way.
    pub(crate) fn tries(&self) -> usize {
        AT_ONCE - self.places.available_permits()
    }
}

/// Looks after the targets of whatever configuration is in force, until `quit`.
pub(crate) async fn recover<D: Dial>(in_force: Arc<ArcSwap<Proxy<D>>>, quit: CancellationToken) {
    let ailing = Arc::clone(&in_force.load().ailing);
    let looking_after = async {
        let mut patients = FuturesUnordered::new();
        loop {
            let new = std::mem::take(&mut *ailing.new.lock());
            patients.extend(new.into_iter().map(|patient| look_after(&in_force, &ailing, patient)));
            tokio::select! {
                () = ailing.told.notified() => {}
                Some(()) = patients.next() => {}
            }
        }
    };
    quit.run_until_cancelled(looking_after).await.unwrap_or(());
}

/// Tries one target until it is well, or no more.
async fn look_after<D: Dial>(in_force: &ArcSwap<Proxy<D>>, ailing: &Ailing, patient: Patient) {
    let mut due = Instant::now();
    loop {
        due = Instant::now().max(due + EVERY);
        tokio::time::sleep_until(due).await;
        let Some(target) = patient.target.upgrade() else { return };
        if !target.is_ailing(Instant::now()) {
            target.is_looked_after.store(false, Ordering::Relaxed);
            // Whoever found it ill just before that has not added it.
            let again = target.is_ailing(Instant::now());
            if !again || target.is_looked_after.swap(true, Ordering::Relaxed) {
                return;
            }
        }
        if !target.draining.is_on()
            && let Ok(_place) = ailing.places.acquire().await
        {
            attempt(&in_force.load_full(), &target, &patient).await;
        }
    }
}

/// Tries a target once.
async fn attempt<D: Dial>(proxy: &Proxy<D>, target: &TargetState, patient: &Patient) {
    let began = Instant::now();
    // The breaker of one that merely lags is closed: what is found counts as a client's dial does.
    let is_open = target.breaker.view(began).state != BreakerState::Closed;
    let ticket = if is_open { None } else { target.breaker.admit(began).ticket() };
    let within = if is_open { ANSWERS_WITHIN } else { LAGGARD_WITHIN };
    let (heard, at) = (Heard::default(), std::slice::from_ref(&patient.at));
    let reached = reach(&proxy.dialer, &proxy.resolver, at, &heard, within).await;
    let change = match (reached, ticket) {
        (Ok(_), ticket) => {
            target.is_well(began.elapsed());
            ticket.map_or_else(|| target.breaker.recovered(), proxy_conn::Ticket::succeeded)
        }
        (Err(error), _) if error.shortage() => None,
        (Err(_), _) if target.has_moved(&heard.0.lock()) => target.breaker.moved(),
        (Err(_), ticket) => ticket.and_then(|ticket| ticket.failed(Instant::now())),
    };
    target.log(&patient.route, change);
    if let Some(until) = &mut *target.lags_until.lock() {
        *until = Instant::now() + LAST_FOR;
    }
}

/// Lets everybody in, and remembers what the name stood for that failed.
#[derive(Default)]
struct Heard(Mutex<Vec<IpAddr>>);

impl Gate for Heard {
    type Ticket = ();
    type Pass = ();

    fn enter(&self, _: usize) -> Result<(), Closed> {
        Ok(())
    }

    fn reached(&self, (): ()) {}

    fn failed(&self, (): (), _: &DialErrorKind, addresses: &[IpAddr]) {
        *self.0.lock() = addresses.to_vec();
    }
}
