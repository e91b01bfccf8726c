//! `smartproxy status`: the whole proxy on one screen, with a mark on every line that wants attention.

mod lines;

use std::io::Write;

use super::access::Access;
use super::client::{Client, ClientError};
use super::format::{age, bytes, count, plain, usage};
use super::output::{self, Failure, Outcome};
use proxy_api::model::{ConfigStatus, Group, Reload, Route, Status, Upgrade, Usage};

pub(super) use lines::{DRAINED, audit_line, drain_line, drained, is_up, phases, placeless, state, weighed};
use lines::{
    group_line, is_in_trouble, is_nearly_full, pool_line, route_line, target_is_in_trouble, target_line,
};

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
        let groups = groups(&client).await?;
        output::text(out, screen(&status, (&routes, &groups), now()))?;
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

fn screen(status: &Status, (routes, groups): (&[Route], &[Group]), now: f64) -> String {
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
    groups_with_trouble(&mut screen, groups);
    let pools = status.pools.iter().map(|pool| {
        let attention = pool.level != "normal" || pool.waiting > 0 || is_nearly_full(pool.connections);
        (pool_line(pool), attention, pool.connections.used)
    });
    most_used(&mut screen, "pool", pools.collect());
    let listeners = status.listeners.iter().map(|listener| {
        let drained =
            if listener.draining { format!(", {DRAINED}: it accepts nothing") } else { String::new() };
        let without = placeless(listener.waiting, listener.turned_away);
        let line = format!("{}: {} open{without}{drained}", listener.name, usage(listener.connections));
        (line, listener.draining || is_nearly_full(listener.connections), listener.connections.used)
    });
    most_used(&mut screen, "listener", listeners.collect());
    for drain in &status.drains {
        screen.line("drain", &drain_line(drain), true);
    }
    resources(&mut screen, status);
    screen.line("audit", &audit_line(&status.audit), !status.audit.clean || status.audit.blind.is_some());
    config(&mut screen, &status.config, now);
    if let Some(Upgrade { taken: false, at, error, .. }) = &status.last_upgrade {
        let first = error.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        let line = format!("the last one failed {} ago: {first}", age((now - at).max(0.0)));
        screen.line("upgrade", &line, true);
    }
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
    let phases = phases(&status.phases);
    let colon = if phases.is_empty() { "" } else { ": " };
    let line = format!("{} open{colon}{phases}", usage(most));
    screen.line("connections", &line, status.full || is_nearly_full(most));
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

/// The groups with those of their members that are in trouble: the groups with the most connections, and every one with trouble.
fn groups_with_trouble(screen: &mut Screen, groups: &[Group]) {
    let ill = |group: &Group| group.members.iter().filter(|member| target_is_in_trouble(member)).count();
    let mut groups: Vec<_> = groups.iter().map(|group| (ill(group), group)).collect();
    groups.sort_by_key(|(ill, group)| (*ill == 0, std::cmp::Reverse(group.connections)));
    for (ill, group) in groups.iter().take(MOST_ROUTES) {
        screen.line("group", &group_line(group), *ill > 0);
        let troubled = group.members.iter().filter(|member| target_is_in_trouble(member));
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

fn resources(screen: &mut Screen, status: &Status) {
    let line = format!(
        "{} descriptors; {} resident, {} allocated",
        usage(status.descriptors),
        bytes(status.memory.resident_bytes),
        bytes(status.memory.allocated_bytes)
    );
    screen.line("resources", &line, is_nearly_full(status.descriptors));
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
