//! `smartproxy status`: the whole proxy on one screen, with a mark on every line that wants attention.

mod lines;

use std::io::Write;

use super::access::Access;
use super::client::{Client, ClientError};
use super::findings::{self, findings};
use super::format::{age, bytes, count, plain, usage};
use super::output::{self, Failure, Outcome};
use proxy_api::model::{ConfigStatus, Finding, Group, Reload, Route, Status, Target, Upgrade, Usage};

pub(super) use lines::{DRAINED, audit_line, drain_line, drained, is_up, phases, placeless, state, weighed};
use lines::{group_line, pool_line, route_line, target_line};

/// How to tell it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON: times in seconds, sizes in bytes.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Tells it.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let client = access.client()?;
        let status: Status = client.fetch("/v1/status").await?;
        if self.json {
            output::json(out, &status)?;
            return Ok(Outcome::Done);
        }
        let routes: Vec<Route> = client.fetch("/v1/routes").await?;
        let (groups, found) = (groups(&client).await?, findings(&client).await?);
        output::text(out, screen(&status, (&routes, &groups), &found, now()))?;
        Ok(Outcome::Done)
    }
}

/// The groups that have a name; none where the proxy is too old to know any.
pub(super) async fn groups(client: &Client) -> Result<Vec<Group>, ClientError> {
    match client.fetch("/v1/groups").await {
        Err(error) if error.is_no_answer() => Err(error),
        groups => Ok(groups.unwrap_or_default()),
    }
}

/// Seconds since 1970.
pub(super) fn now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

/// Routes, pools, listeners and causes beyond these are left to `--json`: it is one screen.
const MOST_FINDINGS: usize = 5;
const MOST_ROUTES: usize = 8;
const MOST_MEMBERS: usize = 8;
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

fn screen(status: &Status, (routes, groups): (&[Route], &[Group]), found: &[Finding], now: f64) -> String {
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
    what_is_found(&mut screen, found);
    connections(&mut screen, status, found);
    busiest_routes(&mut screen, routes, found);
    groups_with_trouble(&mut screen, groups, found);
    let pools = status
        .pools
        .iter()
        .map(|pool| (pool_line(pool), findings::of_part(found, "pool", &pool.name), pool.connections.used));
    most_used(&mut screen, "pool", pools.collect());
    let listeners = status.listeners.iter().map(|listener| {
        let drained =
            if listener.draining { format!(", {DRAINED}: it accepts nothing") } else { String::new() };
        let without = placeless(listener.waiting, listener.turned_away);
        let line = format!("{}: {} open{without}{drained}", listener.name, usage(listener.connections));
        (line, findings::of_part(found, "listener", &listener.name), listener.connections.used)
    });
    most_used(&mut screen, "listener", listeners.collect());
    for drain in &status.drains {
        screen.line("drain", &drain_line(drain), true);
    }
    resources(&mut screen, status, found);
    screen.line("audit", &audit_line(&status.audit), findings::by(found, &["audit", "fault"]));
    config(&mut screen, &status.config, now);
    if let Some(Upgrade { taken: false, at, error, .. }) = &status.last_upgrade {
        let first = error.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        let line = format!("the last one failed {} ago: {first}", age((now - at).max(0.0)));
        screen.line("upgrade", &line, true);
    }
    let log = format!("level {}, {} lost", status.log.level, count(status.log.lost_total, "line", "lines"));
    screen.line("log", &log, findings::by(found, &["log_lost", "log_failing"]));
    screen.0
}

/// What is wrong, the worst first, each with what to type.
fn what_is_found(screen: &mut Screen, found: &[Finding]) {
    for finding in found.iter().take(MOST_FINDINGS) {
        let [head, shows, mends] = findings::lines(finding);
        screen.line(&finding.severity, &head, true);
        screen.line("", &shows, false);
        screen.line("", &mends, false);
    }
    if found.len() > MOST_FINDINGS {
        screen.line("", &format!("and {} more (smartproxy findings)", found.len() - MOST_FINDINGS), true);
    }
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

fn connections(screen: &mut Screen, status: &Status, found: &[Finding]) {
    let most = Usage { used: status.connections, most: Some(status.max_connections) };
    let phases = phases(&status.phases);
    let colon = if phases.is_empty() { "" } else { ": " };
    let line = format!("{} open{colon}{phases}", usage(most));
    screen.line("connections", &line, status.full || is_of_all(found));
    if status.full {
        let line = format!("full: {} connections; newcomers wait in the kernel's backlog", usage(most));
        screen.line("", &line, true);
    }
    let mut causes: Vec<_> = status.ended_total.iter().collect();
    causes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let ended: u64 = status.ended_total.values().sum();
    // A single one more takes no more room by its name.
    let most = if causes.len() == MOST_CAUSES + 1 { causes.len() } else { MOST_CAUSES };
    let named: Vec<_> = causes.iter().take(most).map(|(cause, count)| format!("{count} {cause}")).collect();
    let rest: u64 = causes.iter().skip(named.len()).map(|(_, count)| **count).sum();
    let others = if rest > 0 { format!(", {rest} others") } else { String::new() };
    let by = if named.is_empty() { String::new() } else { format!(": {}{others}", named.join(", ")) };
    screen.line("", &format!("{} opened, {ended} ended{by}", status.opened_total), false);
}

/// Whether something is found of the limit of all connections.
fn is_of_all(found: &[Finding]) -> bool {
    found.iter().any(|finding| finding.subject.kind == "limit" && finding.subject.name == "all connections")
}

/// The routes of which something is found, then those with the most connections.
fn busiest_routes(screen: &mut Screen, routes: &[Route], found: &[Finding]) {
    let mut routes: Vec<_> =
        routes.iter().map(|route| (findings::of_route(found, &route.name), route)).collect();
    routes.sort_by_key(|(marked, route)| (!marked, std::cmp::Reverse(route.connections.used)));
    for (marked, route) in routes.iter().take(MOST_ROUTES) {
        screen.line("route", &route_line(route), *marked);
        for target in &route.targets {
            let found = findings::of_target(found, &route.name, &target.target);
            // Whatever is the route's may be its target's.
            if found || *marked && (!is_up(target) || target.failures_in_a_row > 0) {
                screen.line("  target", &target_line(target), found);
            }
        }
    }
    if routes.len() > MOST_ROUTES {
        screen.line("", &format!("and {} more routes (--json)", routes.len() - MOST_ROUTES), false);
    }
}

/// The groups of which something is found, with those of their members, then those with the most connections.
fn groups_with_trouble(screen: &mut Screen, groups: &[Group], found: &[Finding]) {
    let is_ill = |group: &Group, member: &Target| {
        findings::of_target(found, &format!("@{}", group.name), &member.target)
    };
    let ill = |group: &Group| group.members.iter().filter(|member| is_ill(group, member)).count();
    let mut groups: Vec<_> = groups.iter().map(|group| (ill(group), group)).collect();
    groups.sort_by_key(|(ill, group)| (*ill == 0, std::cmp::Reverse(group.connections)));
    for (ill, group) in groups.iter().take(MOST_ROUTES) {
        screen.line("group", &group_line(group), *ill > 0);
        let troubled = group.members.iter().filter(|member| is_ill(group, member));
        for member in troubled.take(MOST_MEMBERS) {
            screen.line("  member", &target_line(member), true);
        }
        if *ill > MOST_MEMBERS {
            screen.line("", &format!("and {} more members (smartproxy groups)", ill - MOST_MEMBERS), true);
        }
    }
    if groups.len() > MOST_ROUTES {
        screen.line(
            "",
            &format!("and {} more groups (smartproxy groups)", groups.len() - MOST_ROUTES),
            false,
        );
    }
}

fn resources(screen: &mut Screen, status: &Status, found: &[Finding]) {
    let line = format!(
        "{} descriptors; {} resident, {} allocated",
        usage(status.descriptors),
        bytes(status.memory.resident_bytes),
        bytes(status.memory.allocated_bytes)
    );
    screen.line("resources", &line, findings::by(found, &["descriptors", "memory"]));
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
        let why = refusal(error.as_deref().unwrap_or_default(), &config.origin);
        let line = format!("the last reload was refused {} ago: {why}", age((now - at).max(0.0)));
        screen.line("", &line, true);
    }
}

/// Why a reload was refused: the first error with its place, how many more there are, and what shows all of them.
fn refusal(error: &str, origin: &str) -> String {
    let mut lines = error.lines();
    let first = lines.next().unwrap_or_default();
    let Some(place) = lines.next().and_then(|line| line.trim_start().strip_prefix("--> ")) else {
        return first.to_owned();
    };
    let what = first.strip_prefix(ERROR).unwrap_or(first);
    let more = match error.lines().filter(|line| line.starts_with(ERROR)).count() {
        0 | 1 => String::new(),
        count => format!(", and {} more", count - 1),
    };
    format!("{place}: {what}{more} (in full: smartproxy check {origin})")
}

/// What an error of a file begins with. The lines of the file that are shown with it begin with their number.
const ERROR: &str = "error: ";

#[cfg(test)]
mod tests;
