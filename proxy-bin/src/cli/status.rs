//! `smartproxy status`: the whole proxy on one screen, with a mark on every line that wants attention.

use std::io::Write;

use super::access::Access;
use super::format::{age, bytes, count, known, plain, usage};
use super::output::{self, Failure, Outcome};
use crate::admin::model::{
    AuditSummary, ConfigStatus, Drain, DrainKind, Phases, Pool, Reload, Route, Status, Target, Upgrade, Usage,
};

/// How to tell it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON: times in seconds, sizes in bytes.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

impl Args {
    /// Tells it.
    pub(super) async fn run(self, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let client = self.access.client()?;
        let status: Status = client.fetch("/v1/status").await?;
        if self.json {
            output::json(out, &status)?;
            return Ok(Outcome::Done);
        }
        let routes: Vec<Route> = client.fetch("/v1/routes").await?;
        output::text(out, screen(&status, &routes, now()))?;
        Ok(Outcome::Done)
    }
}

/// Seconds since 1970.
pub(super) fn now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

/// Routes, pools, listeners and causes beyond these are left to `--json`: it is one screen.
const MOST_ROUTES: usize = 8;
const MOST_OTHERS: usize = 3;
const MOST_CAUSES: usize = 6;

/// Lines of the screen: a name, what there is to say, and whether it wants attention.
#[derive(Default)]
struct Screen(String);

impl Screen {
    fn line(&mut self, name: &str, text: &str, attention: bool) {
        let mark = if attention { '!' } else { ' ' };
        self.0.push_str(format!("{mark} {name:<12}{}", plain(text)).trim_end());
        self.0.push('\n');
    }
}

fn screen(status: &Status, routes: &[Route], now: f64) -> String {
    let mut screen = Screen::default();
    let ready = if status.ready { "ready" } else { "not ready" };
    let who = format!(
        "smartproxy {}, pid {}, up {}: {}, {ready}",
        status.version,
        status.pid,
        age(status.uptime_s),
        status.state
    );
    screen.line(&status.name, &who, !status.ready || status.state != "running");
    connections(&mut screen, status);
    busiest_routes(&mut screen, routes);
    let pools = status.pools.iter().map(|pool| {
        let attention = pool.level != "normal" || pool.waiting > 0 || is_nearly_full(pool.connections);
        (pool_line(pool), attention, pool.connections.used)
    });
    most_used(&mut screen, "pool", pools.collect());
    let listeners = status.listeners.iter().map(|listener| {
        let drained = if listener.draining { ", drained: it accepts nothing" } else { "" };
        let line = format!("{}: {} open{drained}", listener.name, usage(listener.connections));
        (line, listener.draining || is_nearly_full(listener.connections), listener.connections.used)
    });
    most_used(&mut screen, "listener", listeners.collect());
    for drain in &status.drains {
        screen.line("drain", &drain_line(drain), true);
    }
    resources(&mut screen, status);
    screen.line("audit", &audit_line(&status.audit), !status.audit.clean || status.audit.blind.is_some());
    config(&mut screen, &status.config, now);
    upgrade(&mut screen, status.last_upgrade.as_ref(), now);
    let log = format!("level {}, {} lost", status.log.level, count(status.log.lost_total, "line", "lines"));
    screen.line("log", &log, status.log.lost_total > 0);
    screen.0
}

/// Those that want attention, then those with the most connections, as far as there is room.
fn most_used(screen: &mut Screen, name: &str, mut lines: Vec<(String, bool, u64)>) {
    lines.sort_by_key(|(_, attention, used)| (!attention, std::cmp::Reverse(*used)));
    for (line, attention, _) in lines.iter().take(MOST_OTHERS) {
        screen.line(name, line, *attention);
    }
    if lines.len() > MOST_OTHERS {
        screen.line("", &format!("and {} more (--json)", lines.len() - MOST_OTHERS), false);
    }
}

fn connections(screen: &mut Screen, status: &Status) {
    let most = Usage { used: status.connections, most: Some(status.max_connections) };
    let line = format!("{} open: {}", usage(most), phases(&status.phases));
    screen.line("connections", &line, is_nearly_full(most));
    let mut causes: Vec<_> = status.ended_total.iter().collect();
    causes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let ended: u64 = status.ended_total.values().sum();
    let named: Vec<_> =
        causes.iter().take(MOST_CAUSES).map(|(cause, count)| format!("{count} {cause}")).collect();
    let rest: u64 = causes.iter().skip(MOST_CAUSES).map(|(_, count)| **count).sum();
    let others = if rest > 0 { format!(", {rest} others") } else { String::new() };
    let by = if named.is_empty() { String::new() } else { format!(": {}{others}", named.join(", ")) };
    screen.line("", &format!("{} opened, {ended} ended{by}", status.opened_total), false);
}

/// Connections by phase, those that there are.
#[must_use]
pub(super) fn phases(phases: &Phases) -> String {
    let there: Vec<_> = by_phase(phases)
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(phase, count)| format!("{count} {phase}"))
        .collect();
    if there.is_empty() { "none in any phase".to_owned() } else { there.join(", ") }
}

/// Each phase by name, with its connections.
#[must_use]
pub(super) fn by_phase(phases: &Phases) -> [(&'static str, u64); 5] {
    [
        ("header", phases.header),
        ("peek", phases.peek),
        ("dial", phases.dial),
        ("relay", phases.relay),
        ("drain", phases.drain),
    ]
}

/// The routes with the most connections, and every one with a target in trouble.
fn busiest_routes(screen: &mut Screen, routes: &[Route]) {
    let mut routes: Vec<_> = routes.iter().collect();
    routes.sort_by_key(|route| (!is_in_trouble(route), std::cmp::Reverse(route.connections.used)));
    for route in routes.iter().take(MOST_ROUTES) {
        screen.line("route", &route_line(route), is_in_trouble(route));
        for target in route.targets.iter().filter(|target| target_is_in_trouble(target)) {
            screen.line("  target", &target_line(target), true);
        }
    }
    if routes.len() > MOST_ROUTES {
        screen.line("", &format!("and {} more routes (--json)", routes.len() - MOST_ROUTES), false);
    }
}

fn is_in_trouble(route: &Route) -> bool {
    // More that wait for a backend than are connected to one: that is what a pile-up looks like from here.
    let piles_up = route.phases.dial > 10 && route.phases.dial > route.phases.relay;
    piles_up
        || route.draining
        || !route.in_force
        || is_nearly_full(route.connections)
        || route.targets.iter().any(target_is_in_trouble)
}

fn target_is_in_trouble(target: &Target) -> bool {
    target.draining
        || target.breaker != "closed"
        || target.failures_in_a_row > 0
        || is_nearly_full(target.connections)
}

fn route_line(route: &Route) -> String {
    let mut line = format!("{}: {} open", route.name, usage(route.connections));
    if route.connections.used > 0 {
        line.push_str(&format!(" ({})", phases(&route.phases)));
    }
    if let Some(oldest) = route.oldest_s {
        line.push_str(&format!(", the oldest {}", age(oldest)));
    }
    if route.draining {
        line.push_str(", drained: it takes no new ones");
    }
    if !route.in_force {
        line.push_str(", no longer in the configuration");
    }
    line
}

fn target_line(target: &Target) -> String {
    let mut line = format!("{}: {} open or in dial", target.target, usage(target.connections));
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
        line.push_str(", drained: it is not dialled");
    }
    line
}

fn pool_line(pool: &Pool) -> String {
    let waiting =
        if pool.waiting > 0 { format!(", {} wait for a place", pool.waiting) } else { String::new() };
    let why = pool.signal.as_deref().map(|signal| format!(" ({signal})")).unwrap_or_default();
    format!("{}: {} open{waiting}, {}{why}", pool.name, usage(pool.connections), pool.level)
}

fn resources(screen: &mut Screen, status: &Status) {
    let line = format!(
        "{} descriptors; {} resident, {} allocated",
        usage(status.descriptors),
        bytes(status.memory.resident_bytes),
        bytes(status.memory.allocated_bytes)
    );
    screen.line("resources", &line, is_nearly_full(status.descriptors));
}

/// The last audit in a line.
#[must_use]
pub(super) fn audit_line(audit: &AuditSummary) -> String {
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

fn config(screen: &mut Screen, config: &ConfigStatus, now: f64) {
    let line = format!(
        "{}, generation {}, in force for {}",
        config.origin,
        config.generation,
        age((now - config.loaded_at).max(0.0))
    );
    screen.line("config", &line, false);
    if let Some(Reload { taken: false, at, error, .. }) = &config.last_reload {
        let first = error.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        let line = format!("the last reload was refused {} ago: {first}", age((now - at).max(0.0)));
        screen.line("", &line, true);
    }
}

/// That an upgrade failed: whoever wanted one has the old program still.
fn upgrade(screen: &mut Screen, last: Option<&Upgrade>, now: f64) {
    if let Some(Upgrade { taken: false, at, error, .. }) = last {
        let first = error.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        let line = format!("the last one failed {} ago: {first}", age((now - at).max(0.0)));
        screen.line("upgrade", &line, true);
    }
}

/// How far a drain is, in a line.
#[must_use]
pub(super) fn drain_line(drain: &Drain) -> String {
    let what = drained(drain.kind, drain.name.as_deref());
    let ends = match drain.ends_in_s {
        Some(left) => format!("; those are ended in {}", age(left.max(0.0))),
        None => String::new(),
    };
    format!("{what}: {} of {} left after {}{ends}", drain.left, drain.began_with, age(drain.since_s))
}

/// What is drained, by name.
#[must_use]
pub(super) fn drained(kind: DrainKind, name: Option<&str>) -> String {
    let name = known(name);
    match kind {
        DrainKind::Listener => format!("listener {name}"),
        DrainKind::Route => format!("route {name}"),
        DrainKind::Target => format!("target {name}"),
        DrainKind::Everything => "everything".to_owned(),
    }
}

/// Over nine tenths.
fn is_nearly_full(usage: Usage) -> bool {
    usage.most.is_some_and(|most| u128::from(usage.used) * 10 > u128::from(most) * 9)
}

#[cfg(test)]
mod tests;
