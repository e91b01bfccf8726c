//! One thing in a line each: a route, a target, a pool, a drain, the last audit.

use crate::format::{age, count, known, usage};
use proxy_api::model::{AuditSummary, Drain, DrainKind, Group, Phase, Phases, Pool, Route, Target};

/// Connections by phase, those that there are; empty if there is none.
pub(crate) fn phases(phases: &Phases) -> String {
    let told = |(phase, count)| {
        if phase == Phase::Drain {
            // The phase, and not what an operator does: see `DRAINED`.
            format!("{count} half-closed (phase drain)")
        } else {
            format!("{count} {phase}")
        }
    };
    phases.iter().filter(|(_, count)| *count > 0).map(told).collect::<Vec<_>>().join(", ")
}

/// What an operator has taken out of service: not the phase of a connection that is called the same.
pub(crate) const DRAINED: &str = "drained by an operator";

/// Those that have no place, and what becomes of them; empty where there are none.
pub(crate) fn placeless(waiting: u64, turned_away: u64) -> String {
    let waiting = (waiting > 0).then(|| format!(", {waiting} wait for a place"));
    let turned_away = (turned_away > 0).then(|| format!(", {turned_away} being told that there is no place"));
    waiting.into_iter().chain(turned_away).collect()
}

/// Whether it may be used, as far as its checks and how connections went say, or it is being tried whether it can be reached.
pub(crate) fn is_up(target: &Target) -> bool {
    matches!(target.state.as_str(), "up" | "slow_start")
}

/// How it is, why and for how long.
pub(crate) fn state(target: &Target) -> String {
    let why = target.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    let since = target.since_s.map(|since| format!(", for {}", age(since))).unwrap_or_default();
    format!("{}{why}{since}", target.state.replace('_', " "))
}

/// What is unusual about what it gets; empty where nothing is.
pub(crate) fn weighed(target: &Target) -> String {
    let share = (target.share_percent != 100).then(|| format!("at {} % of its weight", target.share_percent));
    let by_hand = target.by_hand.then(|| "set by hand".to_owned());
    let backup = target.backup.then(|| "backup".to_owned());
    [share, backup, by_hand].into_iter().flatten().map(|what| format!(", {what}")).collect()
}

pub(crate) fn group_line(group: &Group) -> String {
    let (up, all) = (group.members_up, group.members_in_all);
    let routes = count(group.routes, "route", "routes");
    format!(
        "{}: {} open or in dial by way of {routes}, {up} of {all} members up",
        group.name, group.connections
    )
}

pub(crate) fn route_line(route: &Route) -> String {
    let to = route.group.as_deref().map(|group| format!(" → @{group}")).unwrap_or_default();
    let mut line = format!("{}{to}: {} open", route.name, usage(route.connections));
    if route.connections.used > 0 {
        // Those without a place are in dial, and not among the open ones.
        let dial = route.phases[Phase::Dial].saturating_sub(route.waiting + route.turned_away);
        let mut open = route.phases;
        open[Phase::Dial] = dial;
        line.push_str(&format!(" ({})", phases(&open)));
    }
    line.push_str(&placeless(route.waiting, route.turned_away));
    if let Some(oldest) = route.oldest_s {
        line.push_str(&format!(", the oldest {}", age(oldest)));
    }
    if route.draining {
        line.push_str(&format!(", {DRAINED}: it takes no new ones"));
    }
    match (route.in_force, route.enabled) {
        (false, _) => line.push_str(", no longer in the configuration"),
        (true, false) => line.push_str(", not enabled: it takes no new ones"),
        (true, true) => {}
    }
    line
}

pub(crate) fn target_line(target: &Target) -> String {
    let mut line = format!("{}: {} open or in dial", target.target, usage(target.connections));
    // What the breaker says, and that somebody drains it, comes further on.
    if !is_up(target) && !matches!(target.state.as_str(), "breaker_open" | "draining") {
        line.push_str(&format!(", {}", state(target)));
    }
    if target.failures_in_a_row > 0 {
        line.push_str(&format!(
            ", {} failed in a row",
            count(target.failures_in_a_row.into(), "dial", "dials")
        ));
    }
    if !target.failed_total.is_empty() {
        let why: Vec<_> = target.failed_total.iter().map(|(why, count)| format!("{count} {why}")).collect();
        line.push_str(&format!(" (in all {})", why.join(", ")));
    }
    if target.breaker != "closed" {
        let retry = target.retry_in_s.map(|s| format!(", next try in {}", age(s))).unwrap_or_default();
        line.push_str(&format!(", breaker {}{retry}", target.breaker));
    }
    if target.draining {
        line.push_str(&format!(", {DRAINED}: it is not dialled"));
    }
    line
}

pub(crate) fn pool_line(pool: &Pool) -> String {
    let waiting = placeless(pool.waiting, pool.turned_away);
    let why = pool.signal.as_deref().map(|signal| format!(" ({signal})")).unwrap_or_default();
    format!("{}: {} open{waiting}, {}{why}", pool.name, usage(pool.connections), pool.level)
}

/// The last audit in a line.
pub(crate) fn audit_line(audit: &AuditSummary) -> String {
    let Some(ago) = audit.ago_s else { return "none yet".to_owned() };
    let verdict = if audit.clean { "clean".to_owned() } else { format!("NOT CLEAN: {}", gauges(audit)) };
    let rescued = if audit.rescued_total > 0 {
        format!(", {} overdue were ended since the start", audit.rescued_total)
    } else {
        String::new()
    };
    let blind = audit.blind.as_deref().map(|why| format!(", without the kernel: {why}")).unwrap_or_default();
    format!("{verdict}, {} ago{rescued}{blind}", age(ago))
}

/// The gauges that are not 0.
fn gauges(audit: &AuditSummary) -> String {
    let odd = audit.gauges.iter().filter(|(_, count)| **count > 0);
    odd.map(|(gauge, count)| format!("{count} {gauge}")).collect::<Vec<_>>().join(", ")
}

/// Less than this is shown as 0.0s: it is now.
const SHOWN: f64 = 0.05;

/// How far a drain is, in a line.
pub(crate) fn drain_line(drain: &Drain) -> String {
    let mut what = drained(drain.kind, drain.name.as_deref());
    if let Some(group) = &drain.removed_from {
        what = format!("{what}, no member of group {group} any more");
    }
    let ends = match drain.ends_in_s {
        Some(due) if drain.left > 0 && due >= SHOWN => format!("; those are ended in {}", age(due)),
        Some(_) if drain.left > 0 => "; those are being ended".to_owned(),
        Some(_) | None => String::new(),
    };
    format!("{what}: {} of {} left after {}{ends}", drain.left, drain.began_with, age(drain.since_s))
}

/// What is drained, by name.
pub(crate) fn drained(kind: DrainKind, name: Option<&str>) -> String {
    let name = known(name);
    match kind {
        DrainKind::Listener => format!("listener {name}"),
        DrainKind::Route => format!("route {name}"),
        DrainKind::Target => format!("target {name}"),
        DrainKind::Everything => "everything".to_owned(),
    }
}
