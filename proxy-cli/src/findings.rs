//! `smartproxy findings`: what is wrong, with what, since when, why, and what to type.

use std::io::Write;

use super::access::Access;
use super::client::{Client, ClientError};
use super::format::{age, plain};
use super::output::{self, Failure, Outcome};
use proxy_api::model::{Finding, Subject};

/// How to tell it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The same list is in `status` and `top`, on the page, in the log and in the metric smartproxy_findings.
docs/operations.md, \"What is found\", has a sentence for each rule.
Exit code 1 where there is a warning or worse.")]
pub struct Args {
    /// Print JSON: times in seconds.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Lists them.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let found: Vec<Finding> = access.client()?.fetch("/v1/findings").await?;
        if self.json {
            output::json(out, &found)?;
        } else {
            output::text(out, told(&found))?;
        }
        let is_well = found.iter().all(|finding| finding.severity == INFO);
        Ok(if is_well { Outcome::Done } else { Outcome::No })
    }
}

const INFO: &str = "info";

/// What is wrong; nothing where the proxy is too old to say.
pub(super) async fn findings(client: &Client) -> Result<Vec<Finding>, ClientError> {
    match client.fetch("/v1/findings").await {
        Err(error) if error.is_no_answer() => Err(error),
        found => Ok(found.unwrap_or_default()),
    }
}

fn told(found: &[Finding]) -> String {
    if found.is_empty() {
        return "nothing is found: all is well, as far as the rules see\n".to_owned();
    }
    let lines = found.iter().flat_map(|finding| {
        let [head, shows, mends] = lines(finding);
        [
            format!("{:<10}{head}\n", finding.severity),
            format!("{:<10}{shows}\n", ""),
            format!("{:<10}{mends}\n", ""),
        ]
    });
    lines.map(|line| plain_but_the_end(&line)).collect()
}

fn plain_but_the_end(line: &str) -> String {
    plain(line.trim_end_matches('\n')) + "\n"
}

/// What is so, since when; what shows more; what mends it.
pub(super) fn lines(finding: &Finding) -> [String; 3] {
    let Finding { subject: of, sentence, since_s, shows, mends, .. } = finding;
    [
        format!("{}, for {}: {sentence}", subject(of), age(*since_s)),
        format!("  see:  {shows}"),
        format!("  mend: {mends}"),
    ]
}

/// As an operator reads it: `route api`, `target 10.0.0.1:80 of api`.
pub(super) fn subject(Subject { kind, name, of }: &Subject) -> String {
    match (kind.as_str(), of) {
        ("process", _) => "the process".to_owned(),
        // A limit's name says of what.
        ("limit", _) => name.clone(),
        (kind, Some(of)) => format!("{kind} {name} of {of}"),
        (kind, None) => format!("{kind} {name}"),
    }
}

/// Whether something is found of `route`: of itself, of its targets, or of a limit of theirs.
pub(super) fn of_route(found: &[Finding], route: &str) -> bool {
    let limits =
        [format!("route {route}"), format!("queue of route {route}"), format!("targets of route {route}")];
    found.iter().any(|Finding { subject: Subject { kind, name, of }, .. }| match kind.as_str() {
        "route" => name == route,
        "target" => of.as_deref() == Some(route),
        "limit" => {
            limits.contains(name) || name.strip_suffix(route).is_some_and(|rest| rest.ends_with(" of "))
        }
        _ => false,
    })
}

/// Whether something is found of a target of `of`: a route, or `@` and a group.
pub(super) fn of_target(found: &[Finding], of: &str, target: &str) -> bool {
    found.iter().any(|finding| {
        let its = finding.subject.of.as_deref().is_none_or(|its| its == of);
        finding.subject.kind == "target" && finding.subject.name == target && its
    })
}

/// Whether something is found of the pool or listener of this name, or of its limit.
pub(super) fn of_part(found: &[Finding], kind: &str, name: &str) -> bool {
    let limit = format!("{kind} {name}");
    found.iter().any(|Finding { subject, .. }| {
        subject.kind == kind && subject.name == name || subject.kind == "limit" && subject.name == limit
    })
}

/// Whether one of these rules has found something.
pub(super) fn by(found: &[Finding], rules: &[&str]) -> bool {
    found.iter().any(|finding| rules.contains(&finding.rule.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::finding;

    #[test]
    fn each_is_told_with_what_to_type() {
        let found = [
            finding("failing", "critical", "route", "api", None),
            finding("lag", "warning", "worker", "1", None),
        ];
        insta::assert_snapshot!(told(&found), @r"
        critical  route api, for 10s: it is failing
                    see:  smartproxy conns
                    mend: look at its log
        warning   worker 1, for 10s: it is lag
                    see:  smartproxy conns
                    mend: look at its log
        ");
        assert!(told(&[]).starts_with("nothing is found"));
    }

    #[test]
    fn a_line_of_a_route_is_marked_for_all_that_is_its_own() {
        let of = |kind, name, of| of_route(&[finding("x", "warning", kind, name, of)], "api");
        assert!(of("route", "api", None) && of("target", "t", Some("api")) && of("limit", "route api", None));
        assert!(of("limit", "queue of route api", None) && of("limit", "target t of api", None));
        assert!(
            !of("route", "web", None) && !of("target", "api", Some("web")) && !of("limit", "pool api", None)
        );
        assert!(!of("pool", "api", None));
    }

    #[test]
    fn a_target_is_its_routes_own_unless_it_is_drained_wherever_it_is() {
        let of = |of| of_target(&[finding("x", "warning", "target", "t", of)], "api", "t");
        assert!(of(Some("api")) && of(None) && !of(Some("web")) && !of(Some("@api")));
    }
}
