//! `smartproxy targets`: every target of a route and every member of a group, with what became of its connections.

use std::cmp::Reverse;
use std::io::Write;

use super::access::Access;
use super::format::{Align, Table, bytes, fine, usage};
use super::output::{self, Failure, Outcome};
use super::routes::{failed, first_byte, state_of_target};
use proxy_api::model::Target;

/// How to tell it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON: times in seconds, sizes in bytes.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Lists them, those first that have failed the most.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let mut targets: Vec<Target> = access.client()?.fetch("/v1/targets").await?;
        targets.sort_by_key(|target| Reverse(target.outcomes.failed_total));
        if self.json {
            output::json(out, &targets)?;
        } else if targets.is_empty() {
            output::text(out, "no route has a target\n")?;
        } else {
            output::text(out, table(&targets))?;
        }
        Ok(Outcome::Done)
    }
}

fn table(targets: &[Target]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("TARGET", Left),
        ("OF", Left),
        ("OPEN", Right),
        ("TAKEN", Right),
        ("FAILED", Right),
        ("PASSED ON", Right),
        ("DIAL", Right),
        ("FIRST BYTE", Right),
        ("FROM IT", Right),
        ("STATE", Left),
    ]);
    for target in targets {
        let outcomes = &target.outcomes;
        table.row([
            target.target.clone(),
            target.group.as_ref().map_or_else(|| target.route.clone(), |group| format!("@{group}")),
            usage(target.connections),
            outcomes.opened_total.to_string(),
            failed(outcomes),
            outcomes.passed_on_total.to_string(),
            target.dial_median_s.map_or_else(|| "-".to_owned(), fine),
            first_byte(outcomes),
            bytes(outcomes.from_backend_bytes_total),
            state_of_target(target),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn targets_are_listed_with_what_became_of_their_connections() {
        let mut ill = fixtures::member("10.0.0.2:443", 3);
        (ill.outcomes, ill.breaker) = (fixtures::outcomes(400, 31), "open".to_owned());
        (ill.retry_in_s, ill.outcomes.passed_on_total) = (Some(1.0), 12);
        let mut unused = fixtures::target();
        (unused.outcomes, unused.dial_median_s) = (proxy_api::model::Outcomes::default(), None);
        insta::assert_snapshot!(table(&[ill, fixtures::target(), unused]).to_string(), @"
TARGET          OF      OPEN  TAKEN   FAILED  PASSED ON   DIAL  FIRST BYTE  FROM IT  STATE
10.0.0.2:443    @inner     3    400  31 (7%)         12  1.0ms        20ms  5.0 GiB  breaker open, next try in 1.0s
127.0.0.1:9002  web      120    400        0          0  1.0ms        20ms  5.0 GiB  breaker closed
127.0.0.1:9002  web      120      0        0          0      -           -      0 B  breaker closed
");
    }
}
