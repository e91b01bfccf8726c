//! The rules, in one list. docs/operations.md has a sentence for each.

mod certificates;
mod crowds;
mod failing;
mod given_up;
mod growing;
mod handshakes;
mod hops;
mod process;
mod refusing;
mod resources;
mod targets;
mod unanswered;
mod workers;

use super::rule::{Rule, rule};

/// Every rule.
pub(crate) const RULES: &[Rule] = &[
    rule(failing::NAME, failing::failing),
    rule(unanswered::SILENT, unanswered::silent),
    rule(unanswered::STUCK, unanswered::stuck),
    rule(given_up::NAME, given_up::unanswered),
    rule(growing::NAME, growing::growing).every(5),
    rule(crowds::DIALLING, crowds::dialling),
    rule(crowds::QUEUEING, crowds::queueing).after(3),
    rule(crowds::HALF_CLOSED, crowds::half_closed),
    rule(crowds::GREETING, crowds::greeting),
    rule(refusing::REFUSING, refusing::refusing),
    rule(refusing::CLIENT, refusing::client),
    rule(refusing::SHORTAGE, refusing::shortage),
    rule(refusing::HEADER, refusing::header),
    rule(handshakes::NAME, handshakes::handshakes),
    rule(targets::LEFT_ALONE, targets::left_alone),
    rule(targets::DOWN, targets::down),
    rule(targets::DECLINES, targets::declines),
    rule(resources::PRESSED, resources::pressed),
    rule(resources::PLACES, resources::places).after(3),
    rule(resources::DESCRIPTORS, resources::descriptors),
    rule(resources::MEMORY, resources::memory),
    rule(workers::LAG, workers::lag).after(5),
    rule(workers::STANDS, workers::stands),
    rule(workers::UNEVEN, workers::uneven).after(30),
    rule(process::AUDIT, process::audit),
    // A fault shows once; who looks an hour later is to know of it.
    rule(process::FAULT, process::fault).lasts(3600),
    rule(process::RELOAD, process::reload).lasts(1),
    rule(process::UPGRADE, process::upgrade).lasts(1),
    rule(process::LOG_LOST, process::log_lost),
    rule(process::LOG_FAILING, process::log_failing),
    rule(process::LEAVING, process::leaving).lasts(1),
    rule(process::DRAINED, process::drained).lasts(1),
    rule(certificates::EXPIRED, certificates::expired).lasts(1),
    rule(certificates::NOT_YET, certificates::not_yet).lasts(1),
    rule(certificates::ENDS_SOON, certificates::ends_soon).lasts(1),
    // Whoever renews writes several files.
    rule(certificates::UNUSABLE, certificates::unusable).after(5).lasts(1),
    rule(certificates::NOT_OBTAINED, certificates::not_obtained).lasts(1),
    rule(certificates::NOT_RENEWED, certificates::not_renewed).lasts(1),
    rule(hops::SILENT, hops::silent).lasts(1),
    rule(hops::DISAGREE, hops::disagree).lasts(1),
    rule(hops::REFUSES, hops::refuses),
];

/// The names of all rules, in their order: labels of a metric.
pub fn names() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::planted;
    use crate::{Facts, Findings};

    #[test]
    fn names_are_told_apart() {
        let all: std::collections::BTreeSet<_> = names().collect();
        assert_eq!(all.len(), RULES.len());
        assert!(all.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    }

    /// docs/operations.md is where an operator looks a rule up.
    #[test]
    fn the_handbook_has_each_rule() {
        let handbook =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md")).unwrap();
        let missing: Vec<_> = names().filter(|name| !handbook.contains(&format!("| `{name}` |"))).collect();
        assert!(missing.is_empty(), "docs/operations.md, \"What is found\", has no row for {missing:?}");
    }

    #[test]
    fn what_is_seldom_asked_lasts_until_it_is_asked_again() {
        assert!(RULES.iter().all(|rule| rule.every == 1 || rule.lasts.as_secs() >= 2 * rule.every));
        assert!(RULES.iter().all(|rule| rule.every > 0 && (rule.every == 1 || rule.after.is_zero())));
    }

    #[test]
    fn of_a_proxy_that_nobody_uses_nothing_is_found() {
        let mut findings = Findings::default();
        for at in 0..100 {
            let found = findings.look(&planted::picture(at), &Facts::default(), &planted::NoPast);
            assert!(found.is_empty(), "{found:?}");
        }
    }
}
