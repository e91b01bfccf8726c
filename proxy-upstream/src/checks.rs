//! Members that are checked, whatever clients do: each at its interval, and told of when it is down and when it is up again.
//!
//! ```text
//!  take_force ──► Checks ──► each member: wait (spread) ─► check ─► Judge ─► Health ── changed? log, `Turn`
//!                    └ a group's options: when outcomes take a member out
//! ```
//! There is one loop for all generations, and one check for a member of a group, however many routes use it. A member that is
//! checked is judged by that: while it is down its recovery (`recovery.rs`) does not try it, and when it is up again so is its
//! breaker.

mod ejecting;
mod one;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use proxy_conn::Tracker;
use proxy_core::{Dial, Resolver, TargetAddr};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::address::{Target, TargetPort};
use crate::egress::DefaultEgress;
use crate::health::{CheckOptions, Finding, Judge, OutlierOptions, Standing};
use crate::member::Member;
use ejecting::Watched;
use one::{Checked, Means, Subject};

/// Checks at one time, each with a socket: with half a second for each, five hundred silent members a second.
const AT_ONCE: usize = 256;

/// What is checked, and what is watched for outliers. One for all generations.
#[derive(Debug)]
pub(crate) struct Checks {
    new: Mutex<Vec<Entry>>,
    told: Notify,
    /// Told when members' options may be others.
    changed: Notify,
    places: Semaphore,
    watched: Mutex<HashMap<Arc<str>, Watched>>,
    egress: DefaultEgress,
}

/// A member that is checked.
#[derive(Debug)]
struct Entry {
    member: Weak<Member>,
    target: Target,
    group: Arc<str>,
}

/// A member of a group is found down, or up again.
#[derive(Debug)]
#[non_exhaustive]
pub struct Turn<'a> {
    /// The group, as it is logged: with an `@` where its name is its own.
    pub group: &'a Arc<str>,
    /// The member.
    pub member: &'a Arc<Member>,
    /// How it stands from now on.
    pub to: Standing,
}

impl Checks {
    /// None yet. Members are reached by `egress` whose group says nothing of it.
    pub(crate) fn new(egress: DefaultEgress) -> Self {
        let (new, told, changed, watched) = Default::default();
        Self { new, told, changed, places: Semaphore::new(AT_ONCE), watched, egress }
    }

    /// A group takes force: its members are checked so from now on, and watched so.
    pub(crate) fn follow<'m>(
        &self,
        group: &Arc<str>,
        members: impl Iterator<Item = (&'m Arc<Member>, &'m Target)> + Clone,
        check: Option<&Arc<CheckOptions>>,
        outliers: Option<&OutlierOptions>,
    ) {
        for (member, target) in members.clone() {
            member.health.check_so(check);
            if check.is_some() && !member.is_checked.swap(true, std::sync::atomic::Ordering::Relaxed) {
                let entry = Entry {
                    member: Arc::downgrade(member),
                    target: target.clone(),
                    group: Arc::clone(group),
                };
                self.new.lock().push(entry);
                self.told.notify_one();
            }
        }
        self.changed.notify_waiters();
        let mut watched = self.watched.lock();
        match outliers {
            Some(options) => {
                watched.entry(Arc::clone(group)).or_default().follow(members.map(|(one, _)| one), *options);
            }
            None => {
                if let Some(mut gone) = watched.remove(group) {
                    gone.release();
                }
            }
        }
    }

    /// Looks at all groups that are watched for outliers.
    pub(crate) fn look(&self, now: Instant) {
        self.watched.lock().retain(|group, watched| watched.look(group, now));
    }
}

/// Checks the members of whatever configuration is in force, reaching them as connections do, until `quit`; `turned` is told of
/// each that is down, or up again, and must not block.
pub(crate) async fn run<D: Dial + Clone>(
    checks: &Checks,
    dialer: D,
    resolver: Resolver,
    tracker: Arc<Tracker>,
    turned: impl Fn(&Turn<'_>) + Send + Sync,
    quit: CancellationToken,
) {
    let means = Means { unnoticed: dialer.unnoticed(), dialer, resolver, tracker };
    let checking = async {
        let mut entries = FuturesUnordered::new();
        let mut looks = tokio::time::interval(ejecting::EVERY);
        loop {
            let new = std::mem::take(&mut *checks.new.lock());
            entries.extend(new.into_iter().map(|entry| watch(checks, &means, &turned, entry)));
            tokio::select! {
                () = checks.told.notified() => {}
                Some(()) = entries.next() => {}
                _ = looks.tick() => checks.look(Instant::now()),
            }
        }
    };
    quit.run_until_cancelled(checking).await.unwrap_or(());
}

/// Checks one member for as long as it is to be.
async fn watch<D: Dial>(checks: &Checks, means: &Means<D>, turned: impl Fn(&Turn<'_>), entry: Entry) {
    let mut judge = Judge::default();
    // The first of many members that begin at once are spread, too.
    let (mut began, mut chance, mut first) = (Instant::now(), fastrand::f64(), true);
    loop {
        // Before its options are looked at: what changes from here on is told.
        let changed = checks.changed.notified();
        let Some(options) = entry.options() else { return };
        let spread = |pause: Duration| match proxy_core::Bound::try_from(pause) {
            Ok(pause) => options.jitter.spread(pause, chance).get(),
            Err(_) => pause,
        };
        let pause =
            if first { options.fast_period().get().mul_f64(chance) } else { spread(judge.pause(&options)) };
        tokio::select! {
            () = tokio::time::sleep_until(began + pause) => {}
            () = changed => continue,
        }
        let Some(member) = entry.member.upgrade() else { return };
        (began, chance, first) = (Instant::now(), fastrand::f64(), false);
        // One that was removed is kept while it has connections: it may come back.
        if !member.is_in_force() {
            continue;
        }
        let Some(at) = address(&entry.target, &options) else { continue };
        let checked = {
            // INVARIANT: nobody closes the semaphore.
            let Ok(_place) = checks.places.acquire().await else { return };
            began = Instant::now();
            let leaving = checks.egress.of(&member);
            let subject = Subject { group: &entry.group, member: &member.name, at: &at, leaving };
            means.check(&subject, &options).await
        };
        if let Some(checked) = checked {
            conclude(&entry.group, &member, &options, &mut judge, checked, &turned);
        }
    }
}

impl Entry {
    /// How its member is checked; None where it is no more, which is noted.
    fn options(&self) -> Option<Arc<CheckOptions>> {
        use std::sync::atomic::Ordering::Relaxed;
        let member = self.member.upgrade()?;
        if let Some(options) = member.health.check() {
            return Some(options);
        }
        member.is_checked.store(false, Relaxed);
        // Whoever has it checked anew just before that has not added it.
        let again = member.health.check()?;
        (!member.is_checked.swap(true, Relaxed)).then_some(again)
    }
}

/// Judges a member by one more check, and tells what has changed.
fn conclude(
    group: &Arc<str>,
    member: &Arc<Member>,
    options: &CheckOptions,
    judge: &mut Judge,
    checked: Checked,
    turned: impl Fn(&Turn<'_>),
) {
    let before = judge.standing();
    let changed = judge.observe(checked.is_ok(), options);
    let found = checked.as_ref().err().cloned();
    member.health.checked(judge.standing(), checked, Instant::now());
    let Some(to) = changed else { return };
    match (before, to, found) {
        (_, Standing::Down, Some(found)) => down(group, member, options, &found),
        (Standing::Down, ..) => {
            info!(group = %group, member = %member.name, check = options.kind.name(), "member is up again");
            member.is_found_up();
        }
        (Standing::Unknown | Standing::Up, ..) => {}
    }
    if before == Standing::Down || to == Standing::Down {
        turned(&Turn { group, member, to });
    }
}

fn down(group: &str, member: &Member, options: &CheckOptions, found: &Finding) {
    warn!(
        group = %group,
        member = %member.name,
        check = options.kind.name(),
        cause = found.cause.name(),
        "member is down: {found}, {} checks in a row; it gets no new connections until {} in a row have passed",
        options.fall,
        options.rise
    );
}

/// Where a member is checked; None where its port is that of whoever comes, and no other is said.
fn address(target: &Target, options: &CheckOptions) -> Option<TargetAddr> {
    let port = options.port.map(|port| u16::try_from(port.get()).unwrap_or(u16::MAX));
    match (target, port) {
        (Target::Tcp { port: TargetPort::Preserve, .. }, None) => None,
        (Target::Tcp { host, .. }, Some(port)) => {
            Some(Target::Tcp { host: host.clone(), port: TargetPort::Preserve }.address(port))
        }
        (Target::Tcp { .. } | Target::Unix(_), _) => Some(target.address(0)),
    }
}

#[cfg(test)]
mod tests;
