//! `smartproxy routes` and `smartproxy limits`: who may have how much, and has.

use std::io::Write;

use super::access::Access;
use super::format::{Align, Table, age, bytes, count, fine, next_try, usage};
use super::output::{self, Failure, Outcome};
use super::status::{DRAINED, groups, is_up, placeless, state};
use proxy_api::model::{Group, Limit, Outcomes, Phase, Route, Target};

/// How to tell it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON: times in seconds, sizes in bytes.
    #[arg(long)]
    json: bool,
}

/// How to tell of routes.
#[derive(Debug, clap::Args)]
pub struct RoutesArgs {
    #[command(flatten)]
    common: Args,
    /// What the kernel says of some connections of each: round-trip times, retransmissions, bytes that are not sent.
    #[arg(long)]
    sockets: bool,
}

impl RoutesArgs {
    /// Lists the routes, each with its targets, or the group that it is taken to.
    pub(super) async fn routes(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let client = access.client()?;
        let routes: Vec<Route> = client.fetch("/v1/routes").await?;
        if self.common.json {
            output::json(out, &routes)?;
        } else if self.sockets {
            output::text(out, sockets_table(&routes))?;
        } else {
            output::text(out, routes_table(&routes, &groups(&client).await?))?;
        }
        Ok(Outcome::Done)
    }
}

impl Args {
    /// Lists the limits.
    pub(super) async fn limits(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let limits: Vec<Limit> = access.client()?.fetch("/v1/limits").await?;
        if self.json {
            output::json(out, &limits)?;
        } else {
            output::text(out, limits_table(&limits))?;
        }
        Ok(Outcome::Done)
    }
}

fn routes_table(routes: &[Route], groups: &[Group]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("ROUTE", Left),
        ("→ TARGET", Left),
        ("OPEN", Right),
        ("DIAL", Right),
        ("RELAY", Right),
        ("HALF-CLOSED", Right),
        ("OLDEST", Right),
        ("TAKEN", Right),
        ("FAILED", Right),
        ("REFUSED", Right),
        ("FIRST BYTE", Right),
        ("STATE", Left),
    ]);
    for route in routes {
        table.row([
            route.name.clone(),
            String::new(),
            usage(route.connections),
            route.phases[Phase::Dial].to_string(),
            route.phases[Phase::Relay].to_string(),
            route.phases[Phase::Drain].to_string(),
            route.oldest_s.map_or_else(|| "-".to_owned(), age),
            route.outcomes.opened_total.to_string(),
            failed(&route.outcomes),
            route.outcomes.refused_total.to_string(),
            first_byte(&route.outcomes),
            state_of_route(route),
        ]);
        if let Some(group) = &route.group {
            table.row(to_group(group, groups));
        }
        for target in &route.targets {
            let nothing = String::new;
            table.row([
                nothing(),
                format!("→ {}", target.target),
                usage(target.connections),
                nothing(),
                nothing(),
                nothing(),
                nothing(),
                target.outcomes.opened_total.to_string(),
                failed(&target.outcomes),
                nothing(),
                first_byte(&target.outcomes),
                state_of_target(target),
            ]);
        }
    }
    table
}

/// Two lines for each route whose connections were looked at.
fn sockets_table(routes: &[Route]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("ROUTE", Left),
        ("SIDE", Left),
        ("LOOKED AT", Right),
        ("RTT", Right),
        ("LONGEST", Right),
        ("RETRANSMITTING", Right),
        ("UNSENT", Right),
        ("UNREAD", Right),
    ]);
    let known = routes.iter().filter_map(|route| Some((&route.name, route.sockets.as_ref()?)));
    for (name, sockets) in known {
        let sides = [("clients", &sockets.client), ("backends", &sockets.backend)];
        for (nth, (side, figures)) in sides.into_iter().enumerate() {
            let time = |s: Option<f64>| s.map_or_else(|| "-".to_owned(), fine);
            table.row([
                if nth == 0 { name.clone() } else { String::new() },
                side.to_owned(),
                sockets.sampled.to_string(),
                time(figures.rtt_median_s),
                time(figures.rtt_longest_s),
                figures.retransmitting.to_string(),
                bytes(figures.unsent_bytes),
                bytes(figures.unread_bytes),
            ]);
        }
    }
    table
}

/// How many of those that have ended, or gone on to another target, the backend failed, and which share that is.
pub(super) fn failed(outcomes: &Outcomes) -> String {
    let ended = outcomes.ended_total.values().sum::<u64>() + outcomes.passed_on_total;
    match (outcomes.failed_total, ended) {
        (0, _) | (_, 0) => "0".to_owned(),
        (failed, ended) => format!("{failed} ({})", share(failed, ended)),
    }
}

/// A share in percent; one that is not none is not 0 %, and one that is not all not 100 %.
fn share(part: u64, whole: u64) -> String {
    match part.saturating_mul(100) / whole {
        0 => "<1%".to_owned(),
        percent => format!("{percent}%"),
    }
}

/// How long 99 of 100 waited for the backend's first byte at most.
pub(super) fn first_byte(outcomes: &Outcomes) -> String {
    outcomes.first_byte_p99_s.map_or_else(|| "-".to_owned(), fine)
}

/// The line of the group that a route is taken to: what it has is by way of all routes.
fn to_group(name: &str, groups: &[Group]) -> [String; 12] {
    let mut row: [String; 12] = Default::default();
    let [_, target, open, .., state] = &mut row;
    *target = format!("→ @{name}");
    if let Some(group) = groups.iter().find(|group| group.name == name) {
        *open = group.connections.to_string();
        let (up, all) = (group.members_up, group.members_in_all);
        *state = format!("{up} of {all} members up (smartproxy groups {name})");
    }
    row
}

fn state_of_route(route: &Route) -> String {
    let state = match (route.in_force, route.enabled, route.draining) {
        (true, false, _) => "not enabled",
        (true, true, false) => "in force",
        (true, true, true) => DRAINED,
        (false, ..) => "no longer in the configuration",
    };
    format!("{state}{}", placeless(route.waiting, route.turned_away))
}

pub(super) fn state_of_target(target: &Target) -> String {
    let mut state = if is_up(target) || matches!(target.state.as_str(), "breaker_open" | "draining") {
        String::new()
    } else {
        format!("{}, ", state(target))
    };
    state.push_str(&match target.retry_in_s {
        Some(left) => format!("breaker {}, {}", target.breaker, next_try(left)),
        None => format!("breaker {}", target.breaker),
    });
    if target.failures_in_a_row > 0 {
        let dials = count(target.failures_in_a_row.into(), "dial", "dials");
        state.push_str(&format!(", {dials} failed in a row"));
    }
    if target.draining {
        state.push_str(&format!(", {DRAINED}"));
    }
    state
}

fn limits_table(limits: &[Limit]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("LIMIT", Left),
        ("IN USE", Right),
        ("MOST", Right),
        ("WAITING", Right),
        ("HIGHEST", Right),
        ("STATE", Left),
    ]);
    for limit in limits {
        let known = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        table.row([
            limit.what.clone(),
            limit.usage.used.to_string(),
            known(limit.usage.most),
            limit.waiting.to_string(),
            known(limit.high_water),
            state_of_limit(limit),
        ]);
    }
    table
}

fn state_of_limit(limit: &Limit) -> String {
    let full = match (limit.full, limit.what.as_str()) {
        (true, "all connections") => "full: newcomers wait in the kernel's backlog",
        (true, _) => "full",
        (false, _) => "",
    };
    match &limit.by {
        Some(by) if limit.full => format!("{full} for {by}"),
        Some(by) => format!("the most has {by}"),
        None => full.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use proxy_api::model::{SampledSide, SampledSockets};

    #[test]
    fn routes_are_listed_with_their_targets() {
        let mut ill = fixtures::route("dark", 115, 0);
        ill.draining = true;
        ill.targets[0].breaker = "open".to_owned();
        ill.targets[0].retry_in_s = Some(4.0);
        ill.targets[0].failures_in_a_row = 5;
        (ill.outcomes, ill.targets[0].outcomes) = (fixtures::outcomes(1000, 994), fixtures::outcomes(400, 3));
        let mut off = fixtures::route("off", 0, 0);
        off.enabled = false;
        let mut full = fixtures::route("full", 0, 1000);
        (full.waiting, full.turned_away) = (2, 388);
        let mut gone = fixtures::route("gone", 0, 1);
        gone.in_force = false;
        gone.targets.clear();
        let mut grouped = fixtures::route("grouped", 0, 3);
        (grouped.group, grouped.targets) = (Some("inner".to_owned()), Vec::new());
        let routes = [fixtures::route("web", 0, 5), ill, off, full, gone, grouped];
        insta::assert_snapshot!(routes_table(&routes, &[fixtures::group()]).to_string(), @"
ROUTE    → TARGET                  OPEN  DIAL  RELAY  HALF-CLOSED  OLDEST  TAKEN     FAILED  REFUSED  FIRST BYTE  STATE
web                           5 of 1000     0      5            0   1m12s   1000          0        6        20ms  in force
         → 127.0.0.1:9002           120                                      400          0                 20ms  breaker closed
dark                        115 of 1000   115      0            0   1m12s   1000  994 (99%)        6        20ms  drained by an operator
         → 127.0.0.1:9002           120                                      400    3 (<1%)                 20ms  breaker open, next try in 4.0s, 5 dials failed in a row
off                           0 of 1000     0      0            0       -   1000          0        6        20ms  not enabled
         → 127.0.0.1:9002           120                                      400          0                 20ms  breaker closed
full                       1000 of 1000     0   1000            0   1m12s   1000          0        6        20ms  in force, 2 wait for a place, 388 being told that there is no place
         → 127.0.0.1:9002           120                                      400          0                 20ms  breaker closed
gone                          1 of 1000     0      1            0   1m12s   1000          0        6        20ms  no longer in the configuration
grouped                       3 of 1000     0      3            0   1m12s   1000          0        6        20ms  in force
         → @inner                   135                                                                           3 of 4 members up (smartproxy groups inner)
");
    }

    #[test]
    fn what_the_kernel_says_is_listed_by_side() {
        let mut web = fixtures::route("web", 0, 5);
        let client = SampledSide {
            rtt_median_s: Some(0.021),
            rtt_longest_s: Some(0.4),
            retransmitting: 2,
            unsent_bytes: 70_000,
            unread_bytes: 0,
        };
        let backend = SampledSide { unread_bytes: 6, ..SampledSide::default() };
        web.sockets = Some(SampledSockets { sampled: 5, client, backend });
        let routes = [web, fixtures::route("idle", 0, 0)];
        insta::assert_snapshot!(sockets_table(&routes).to_string(), @"
ROUTE  SIDE      LOOKED AT   RTT  LONGEST  RETRANSMITTING  UNSENT  UNREAD
web    clients           5  21ms    400ms               2  68 KiB     0 B
       backends          5     -        -               0     0 B     6 B
");
    }

    #[test]
    fn limits_are_listed_with_who_waits() {
        let limit = |what: &str, most, high_water, waiting| Limit {
            what: what.to_owned(),
            usage: fixtures::usage(3, most),
            high_water,
            waiting,
            full: waiting == 0 && most.is_some(),
            by: None,
        };
        let by = |ip: &str, full| Limit {
            by: Some(ip.to_owned()),
            full,
            ..limit("each client", Some(if full { 3 } else { 100 }), None, 0)
        };
        let limits = [
            limit("all connections", Some(4096), Some(120), 0),
            limit("route web", None, None, 7),
            by("10.0.0.1", true),
            by("10.0.0.2", false),
        ];
        insta::assert_snapshot!(limits_table(&limits).to_string(), @r"
        LIMIT            IN USE  MOST  WAITING  HIGHEST  STATE
        all connections       3  4096        0      120  full: newcomers wait in the kernel's backlog
        route web             3     -        7        -
        each client           3     3        0        -  full for 10.0.0.1
        each client           3   100        0        -  the most has 10.0.0.2
        ");
    }
}
