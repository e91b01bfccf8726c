//! `smartproxy routes` and `smartproxy limits`: who may have how much, and has.

use std::io::Write;

use super::access::Access;
use super::format::{Align, Table, age, count, usage};
use super::output::{self, Failure, Outcome};
use crate::model::{Limit, Route, Target};

/// How to tell it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON: times in seconds, sizes in bytes.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Lists the routes, each with its targets.
    pub(super) async fn routes(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let routes: Vec<Route> = access.client()?.fetch("/v1/routes").await?;
        if self.json {
            output::json(out, &routes)?;
        } else {
            output::text(out, routes_table(&routes))?;
        }
        Ok(Outcome::Done)
    }

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

fn routes_table(routes: &[Route]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("ROUTE", Left),
        ("→ TARGET", Left),
        ("OPEN", Right),
        ("DIAL", Right),
        ("RELAY", Right),
        ("DRAIN", Right),
        ("OLDEST", Right),
        ("DIALLED", Right),
        ("FAILED", Right),
        ("STATE", Left),
    ]);
    for route in routes {
        table.row([
            route.name.clone(),
            String::new(),
            usage(route.connections),
            route.phases.dial.to_string(),
            route.phases.relay.to_string(),
            route.phases.drain.to_string(),
            route.oldest_s.map_or_else(|| "-".to_owned(), age),
            String::new(),
            String::new(),
            state_of_route(route),
        ]);
        for target in &route.targets {
            let failed: u64 = target.failed_total.values().sum();
            let nothing = String::new;
            table.row([
                nothing(),
                format!("→ {}", target.target),
                usage(target.connections),
                nothing(),
                nothing(),
                nothing(),
                nothing(),
                target.dialled_total.to_string(),
                failed.to_string(),
                state_of_target(target),
            ]);
        }
    }
    table
}

fn state_of_route(route: &Route) -> String {
    match (route.in_force, route.draining) {
        (true, false) => "in force",
        (true, true) => "drained",
        (false, _) => "no longer in the configuration",
    }
    .to_owned()
}

fn state_of_target(target: &Target) -> String {
    let mut state = match target.retry_in_s {
        Some(left) => format!("breaker {}, next try in {}", target.breaker, age(left)),
        None => format!("breaker {}", target.breaker),
    };
    if target.failures_in_a_row > 0 {
        let dials = count(target.failures_in_a_row.into(), "dial", "dials");
        state.push_str(&format!(", {dials} failed in a row"));
    }
    if target.draining {
        state.push_str(", drained");
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
            state_of_limit(limit).to_owned(),
        ]);
    }
    table
}

fn state_of_limit(limit: &Limit) -> &'static str {
    match (limit.full, limit.what.as_str()) {
        (true, "all connections") => "full: newcomers wait in the kernel's backlog",
        (true, _) => "full",
        (false, _) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixtures;

    #[test]
    fn routes_are_listed_with_their_targets() {
        let mut ill = fixtures::route("dark", 115, 0);
        ill.draining = true;
        ill.targets[0].breaker = "open".to_owned();
        ill.targets[0].retry_in_s = Some(4.0);
        ill.targets[0].failures_in_a_row = 5;
        ill.targets[0].failed_total = [("timeout".to_owned(), 30), ("refused".to_owned(), 2)].into();
        let mut gone = fixtures::route("gone", 0, 1);
        gone.in_force = false;
        gone.targets.clear();
        insta::assert_snapshot!(routes_table(&[fixtures::route("web", 0, 5), ill, gone]).to_string(), @r"
        ROUTE  → TARGET                 OPEN  DIAL  RELAY  DRAIN  OLDEST  DIALLED  FAILED  STATE
        web                        5 of 1000     0      5      0   1m12s                   in force
               → 127.0.0.1:9002          120                                  400       0  breaker closed
        dark                     115 of 1000   115      0      0   1m12s                   drained
               → 127.0.0.1:9002          120                                  400      32  breaker open, next try in 4.0s, 5 dials failed in a row
        gone                       1 of 1000     0      1      0   1m12s                   no longer in the configuration
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
        };
        let limits = [limit("all connections", Some(4096), Some(120), 0), limit("route web", None, None, 7)];
        insta::assert_snapshot!(limits_table(&limits).to_string(), @r"
        LIMIT            IN USE  MOST  WAITING  HIGHEST  STATE
        all connections       3  4096        0      120  full: newcomers wait in the kernel's backlog
        route web             3     -        7        -
        ");
    }
}
