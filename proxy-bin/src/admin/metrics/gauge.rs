//! Histograms of what is, not of what was counted: they may go down. OpenMetrics has a type for those, which is not among those that
//! the encoder writes; the older text format has none.

/// Families whose buckets may go down.
const FAMILIES: [&str; 1] = ["smartproxy_connection_age_seconds"];

/// The same text with these families as gauge histograms: another type, and other ends of two names.
pub(super) fn histograms(text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 64);
    for line in text.lines() {
        let of = FAMILIES.iter().find(|family| line.contains(*family));
        match of.and_then(|family| gauged(line, family)) {
            Some(changed) => written.push_str(&changed),
            None => written.push_str(line),
        }
        written.push('\n');
    }
    written
}

/// The line as it is to be, if that is not what it is.
fn gauged(line: &str, family: &str) -> Option<String> {
    if let Some(rest) = line.strip_prefix("# TYPE ") {
        return (rest.split_once(' ')? == (family, "histogram"))
            .then(|| format!("# TYPE {family} gaugehistogram"));
    }
    let rest = line.strip_prefix(family)?;
    let end = ["_sum", "_count"].into_iter().find(|end| rest.starts_with(end))?;
    Some(format!("{family}_g{}{}", end.trim_start_matches('_'), rest.strip_prefix(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_and_two_names_change_and_nothing_else() {
        let text = "\
# HELP smartproxy_connection_age_seconds Ages.
# TYPE smartproxy_connection_age_seconds histogram
# UNIT smartproxy_connection_age_seconds seconds
smartproxy_connection_age_seconds_sum 1.5
smartproxy_connection_age_seconds_count 2
smartproxy_connection_age_seconds_bucket{le=\"1.0\"} 2
# TYPE smartproxy_lifetime_seconds histogram
smartproxy_lifetime_seconds_sum 3
# EOF
";
        let expected = text
            .replace("age_seconds histogram", "age_seconds gaugehistogram")
            .replace("age_seconds_sum", "age_seconds_gsum")
            .replace("age_seconds_count", "age_seconds_gcount");
        assert_eq!(histograms(text), expected);
    }
}
