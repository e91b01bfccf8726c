//! `smartproxy audit`: whether the proxy's own table agrees with the kernel's.

use std::io::Write;

use hyper::Method;

use super::access::Access;
use super::format::{Align, Table, age, count, known, plain};
use super::output::{self, Failure, Outcome};
use super::status::audit_line;
use proxy_api::model::{Audit, AuditFinding, AuditSummary, StuckAt};

/// Which audit.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 1 where it is not clean: that is a defect of the proxy, please report it. `stuck` is none:
connections whose backend has said nothing after the client's first words (what a server says before
is a greeting), or on which neither side has ever said a word, for `[audit] stuck_after` (5m) or longer.")]
pub struct Args {
    /// Name each connection that is stuck.
    #[arg(long, short, conflicts_with = "last")]
    verbose: bool,
    /// Tell the last one instead of looking now.
    #[arg(long)]
    last: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Audits.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let client = access.client()?;
        let clean = if self.last {
            let last: AuditSummary = client.fetch("/v1/audit").await?;
            let text = format!("{}\n{}", audit_line(&last), gauges(&last.gauges));
            tell(out, self.json, &last, &text)?;
            last.clean
        } else {
            let audit: Audit = client.ask(Method::POST, "/v1/audit").await?;
            tell(out, self.json, &audit, &told(&audit, self.verbose))?;
            audit.clean
        };
        Ok(if clean { Outcome::Done } else { Outcome::No })
    }
}

fn tell(out: &mut dyn Write, json: bool, audit: &impl serde::Serialize, text: &str) -> Result<(), Failure> {
    if json { output::json(out, audit) } else { output::text(out, text) }
}

fn told(audit: &Audit, verbose: bool) -> String {
    let sockets =
        audit.sockets.map_or_else(|| "sockets not seen".to_owned(), |n| count(n, "socket", "sockets"));
    let mut text = format!(
        "{}: {}, {sockets}, {} in {}\n",
        if audit.clean { "clean" } else { "NOT CLEAN" },
        count(audit.entries, "entry", "entries"),
        count(audit.looks.into(), "look", "looks"),
        age(audit.took_s),
    );
    if let Some(why) = &audit.blind {
        text.push_str(&format!("without the kernel's view: {}\n", plain(why)));
    }
    if audit.rescued > 0 {
        text.push_str(&format!("{} were overdue, and were ended\n", audit.rescued));
    }
    text.push_str(&gauges(&audit.gauges));
    text.push_str(&stuck(&audit.stuck, verbose));
    text.push_str(&findings(audit.findings.iter().filter(|finding| finding.gauge != STUCK)));
    text
}

fn gauges(gauges: &std::collections::BTreeMap<String, u64>) -> String {
    let width = gauges.keys().map(String::len).max().unwrap_or(0);
    gauges.iter().map(|(gauge, count)| format!("  {gauge:<width$}  {count}\n")).collect()
}

/// The gauge of what is no defect.
const STUCK: &str = "stuck";

/// A line for each target that does not answer; below it whom, or how to see that.
fn stuck(places: &[StuckAt], verbose: bool) -> String {
    if places.is_empty() {
        return String::new();
    }
    let width = places.iter().map(|at| at.connections.to_string().len()).max().unwrap_or(0);
    let hint = if verbose { "" } else { "; -v names each" };
    let mut text = format!("stuck: their backend has never answered (a warning about it{hint})\n");
    for at in places {
        text.push_str(&format!("  {}\n", stuck_at(at, width)));
        if verbose {
            text.extend(at.ids.iter().map(|id| format!("      {}\n", plain(id))));
            text.push_str(&not_named(at));
        }
    }
    text
}

/// How many are not named, and how to see them.
fn not_named(at: &StuckAt) -> String {
    let more = at.connections.saturating_sub(at.ids.len() as u64);
    match (more, &at.target) {
        (0, _) => String::new(),
        (more, Some(target)) => {
            format!("      and {more} more: smartproxy conns --target {}\n", plain(target))
        }
        (more, None) => format!("      and {more} more\n"),
    }
}

fn stuck_at(at: &StuckAt, width: usize) -> String {
    let (target, route) = (plain(known(at.target.as_deref())), plain(known(at.route.as_deref())));
    let silent = match at.silent {
        0 => String::new(),
        silent if silent == at.connections => ", neither side has said a word".to_owned(),
        silent => format!(", on {silent} neither side has said a word"),
    };
    format!("{:>width$} on {target}, route {route}, the oldest {}{silent}", at.connections, age(at.oldest_s))
}

fn findings<'a>(findings: impl Iterator<Item = &'a AuditFinding>) -> String {
    let columns = [("GAUGE", Align::Left), ("ID", Align::Left), ("FINDING", Align::Left)];
    let mut table = Table::new(&columns);
    for finding in findings {
        table.row([&*finding.gauge, known(finding.id.as_deref()), &*finding.text]);
    }
    if table.is_empty() { String::new() } else { table.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(gauge: &str, id: &str, text: &str) -> AuditFinding {
        AuditFinding { gauge: gauge.to_owned(), id: Some(id.to_owned()), text: text.to_owned() }
    }

    fn audit(findings: Vec<AuditFinding>, stuck: Vec<StuckAt>) -> Audit {
        let of = |gauge| findings.iter().filter(|finding| finding.gauge == gauge).count() as u64;
        let all = stuck.iter().map(|at| at.connections).sum();
        Audit {
            clean: of("zombies") == 0,
            entries: 3,
            sockets: Some(7),
            looks: 2,
            took_s: 0.25,
            gauges: [("stuck".to_owned(), all), ("zombies".to_owned(), of("zombies"))].into(),
            rescued: 1,
            blind: None,
            findings,
            stuck,
        }
    }

    #[test]
    fn findings_are_told_with_what_they_are_about() {
        let audit = audit(vec![finding("zombies", "a-1", "in relay, without sockets")], Vec::new());
        insta::assert_snapshot!(told(&audit, false), @r"
        NOT CLEAN: 3 entries, 7 sockets, 2 looks in 0.2s
        1 were overdue, and were ended
          stuck    0
          zombies  1
        GAUGE    ID   FINDING
        zombies  a-1  in relay, without sockets
        ");
    }

    #[test]
    fn the_stuck_are_a_line_a_target_and_named_when_asked_for() {
        let at = |target: &str, connections, silent, oldest_s| StuckAt {
            target: Some(target.to_owned()),
            route: Some("hooks".to_owned()),
            connections,
            silent,
            oldest_s,
            ids: (1..=2).map(|n| format!("{connections:x}-{n}")).collect(),
        };
        let stuck = vec![
            at("127.0.0.1:19501", 101, 0, 361.0),
            at("127.0.0.1:19502", 4, 3, 400.0),
            at("127.0.0.1:25", 2, 2, 301.0),
        ];
        let audit =
            audit((1..=2).map(|n| finding("stuck", &format!("a-{n}"), "never answered")).collect(), stuck);
        insta::assert_snapshot!(told(&audit, false), @r"
        clean: 3 entries, 7 sockets, 2 looks in 0.2s
        1 were overdue, and were ended
          stuck    107
          zombies  0
        stuck: their backend has never answered (a warning about it; -v names each)
          101 on 127.0.0.1:19501, route hooks, the oldest 6m01s
            4 on 127.0.0.1:19502, route hooks, the oldest 6m40s, on 3 neither side has said a word
            2 on 127.0.0.1:25, route hooks, the oldest 5m01s, neither side has said a word
        ");
        insta::assert_snapshot!(told(&audit, true), @r"
        clean: 3 entries, 7 sockets, 2 looks in 0.2s
        1 were overdue, and were ended
          stuck    107
          zombies  0
        stuck: their backend has never answered (a warning about it)
          101 on 127.0.0.1:19501, route hooks, the oldest 6m01s
              65-1
              65-2
              and 99 more: smartproxy conns --target 127.0.0.1:19501
            4 on 127.0.0.1:19502, route hooks, the oldest 6m40s, on 3 neither side has said a word
              4-1
              4-2
              and 2 more: smartproxy conns --target 127.0.0.1:19502
            2 on 127.0.0.1:25, route hooks, the oldest 5m01s, neither side has said a word
              2-1
              2-2
        ");
    }
}
