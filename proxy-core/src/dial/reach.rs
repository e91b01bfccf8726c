//! A dial over several targets, each with several addresses, as a race (RFC 8305, "happy eyeballs").
//!
//! ```text
//! targets ──enter──► name? ──look-up──► addresses ──┐
//!                      └─ no ───────────────────────┴─► attempt ── connected: it has won, the others are dropped
//!    next attempt: when one has failed, or after `STAGGER`       └ failed or out of time: the next
//! ```
//! An attempt that is merely slow goes on while the next ones are tried; where the deadline leaves less than `STAGGER` for each,
//! they begin as much sooner. At most `AT_ONCE` are under way; where there are more
//! to try than that, each is given as much time as leaves some for all. Targets that the gate keeps closed because they
//! failed before come last, when nobody else is left, and by its leave ([`Gate::insist`]).

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Dial;
use super::error::{DialError, FailedAttempt};
use super::gate::{Closed, Gate};
use super::race::Race;
use crate::Bound;
use crate::addr::{Endpoint, TargetAddr};
use crate::resolve::{ResolveError, Resolver};

/// How long an attempt is waited for, at most, before the next one begins beside it: RFC 8305's recommendation (section 5).
pub const STAGGER: Duration = Duration::from_millis(250);

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

/// Connects to the first of `targets` that can be reached, in order, all `within` one deadline; after those, to the first that the
/// gate has [further](Gate::further).
///
/// Each address of each target is tried, the next one as soon as one has failed, or beside those that have not answered
/// within [`STAGGER`], or sooner where the deadline would not leave all of them a turn; the first that is connected wins, and the others are abandoned. Targets that `gate` keeps closed are
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
    let fly = |errand| run(dialer, resolver, targets, gate, errand);
    let mut race = Race::new(resolver, targets, gate, (started, started + within.get()), place, fly);
    match race.run().await {
        Some(won) => Ok(won),
        None => Err(DialError { attempts: race.failed(), within, elapsed: started.elapsed() }),
    }
}

/// What one future is to do.
pub(super) enum Errand {
    /// To find the addresses of a target's name; who has a stale answer at hand is to know how long there is for a new one.
    LookUp(usize, Duration),
    /// The same of a target that is not in the list.
    LookUpFurther(Box<str>, Duration),
    Insist(usize),
    /// To an address of that target.
    Connect(usize, Endpoint),
}

/// What came of it.
pub(super) enum News<S, T> {
    LookedUp(Result<Arc<[IpAddr]>, ResolveError>),
    Insisted(Result<T, Closed>),
    Connected(Endpoint, io::Result<S>),
}

async fn run<D: Dial, G: Gate>(
    dialer: &D,
    resolver: &Resolver,
    targets: &[TargetAddr],
    gate: &G,
    errand: Errand,
) -> News<D::Stream, G::Ticket> {
    match errand {
        Errand::Connect(nth, endpoint) => {
            let outcome = dialer.dial(gate.destination(nth, &endpoint)).await;
            News::Connected(endpoint, outcome)
        }
        Errand::LookUp(nth, patience) => {
            let name = targets.get(nth).and_then(TargetAddr::name).unwrap_or_default();
            News::LookedUp(resolver.resolve(name, patience).await)
        }
        Errand::LookUpFurther(name, patience) => News::LookedUp(resolver.resolve(&name, patience).await),
        Errand::Insist(nth) => News::Insisted(gate.insist(nth).await),
    }
}
