//! Prometheus' older text format, from OpenMetrics: what a person reads with curl, and what `promtool check metrics` takes.
//!
//! The two differ in what a family is called: OpenMetrics leaves `_total` and `_info` to the samples, knows units and the type
//! `info`, and ends with a line of its own.

use std::fmt::Write as _;

/// The same metrics, in the older format.
pub(super) fn from_open_metrics(text: &str) -> String {
    let mut classic = String::with_capacity(text.len());
    let mut help = None;
    for line in text.lines() {
        if line.starts_with("# EOF") || line.starts_with("# UNIT") {
            continue;
        }
        if let Some(rest) = line.strip_prefix("# HELP ") {
            // How the family is called depends on its type, which comes next.
            help = rest.split_once(' ');
            continue;
        }
        let written = match line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            Some((name, kind)) => family(&mut classic, name, kind, help.take()),
            None => writeln!(classic, "{line}"),
        };
        // INVARIANT: writing to a string cannot fail.
        written.unwrap_or_default();
    }
    classic
}

fn family(to: &mut String, name: &str, kind: &str, help: Option<(&str, &str)>) -> std::fmt::Result {
    let (end, kind) = match kind {
        "counter" => ("_total", "counter"),
        "info" => ("_info", "gauge"),
        other => ("", other),
    };
    if let Some((_, help)) = help {
        writeln!(to, "# HELP {name}{end} {help}")?;
    }
    writeln!(to, "# TYPE {name}{end} {kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_types_and_the_end_are_as_they_were() {
        let text = "\
# HELP a_seconds Busy.
# TYPE a_seconds counter
# UNIT a_seconds seconds
a_seconds_total{x=\"# TYPE y\"} 1.5
# HELP b Build.
# TYPE b info
b_info{version=\"1\"} 1
# HELP c Open.
# TYPE c gauge
c 7
# EOF
";
        let classic = "\
# HELP a_seconds_total Busy.
# TYPE a_seconds_total counter
a_seconds_total{x=\"# TYPE y\"} 1.5
# HELP b_info Build.
# TYPE b_info gauge
b_info{version=\"1\"} 1
# HELP c Open.
# TYPE c gauge
c 7
";
        assert_eq!(from_open_metrics(text), classic);
    }
}
