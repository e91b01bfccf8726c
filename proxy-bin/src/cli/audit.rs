//! `smartproxy audit`: whether the proxy's own table agrees with the kernel's.

use std::io::Write;

use hyper::Method;

use super::access::Access;
use super::format::{Align, Table, age, count, known, plain};
use super::output::{self, Failure, Outcome};
use super::status::audit_line;
use crate::model::{Audit, AuditFinding, AuditSummary};

/// Which audit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 1 where it is not clean: that is a defect of the proxy, please report it.")]
pub struct Args {
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
            tell(out, self.json, &audit, &told(&audit))?;
            audit.clean
        };
        Ok(if clean { Outcome::Done } else { Outcome::No })
    }
}

fn tell(out: &mut dyn Write, json: bool, audit: &impl serde::Serialize, text: &str) -> Result<(), Failure> {
    if json { output::json(out, audit) } else { output::text(out, text) }
}

fn told(audit: &Audit) -> String {
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
    text.push_str(&findings(&audit.findings));
    text
}

fn gauges(gauges: &std::collections::BTreeMap<String, u64>) -> String {
    let width = gauges.keys().map(String::len).max().unwrap_or(0);
    gauges.iter().map(|(gauge, count)| format!("  {gauge:<width$}  {count}\n")).collect()
}

fn findings(findings: &[AuditFinding]) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let columns = [("GAUGE", Align::Left), ("ID", Align::Left), ("FINDING", Align::Left)];
    let mut table = Table::new(&columns);
    for finding in findings {
        table.row([&*finding.gauge, known(finding.id.as_deref()), &*finding.text]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_told_with_what_they_are_about() {
        let audit = Audit {
            clean: false,
            entries: 3,
            sockets: Some(7),
            looks: 2,
            took_s: 0.25,
            gauges: [("orphan_sockets".to_owned(), 0), ("zombies".to_owned(), 1)].into(),
            rescued: 1,
            blind: None,
            findings: vec![AuditFinding {
                gauge: "zombies".to_owned(),
                id: Some("a-1".to_owned()),
                text: "in relay, without sockets".to_owned(),
            }],
        };
        insta::assert_snapshot!(told(&audit), @r"
        NOT CLEAN: 3 entries, 7 sockets, 2 looks in 0.2s
        1 were overdue, and were ended
          orphan_sockets  0
          zombies         1
        GAUGE    ID   FINDING
        zombies  a-1  in relay, without sockets
        ");
    }
}
