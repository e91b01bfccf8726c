//! Other hops of the chain: one that does not answer, two that do not fit together, one that refuses.

use crate::finding::{Finding, Severity};
use crate::findings::facts::HopFacts;
use crate::findings::scene::Scene;
use crate::findings::told;

pub(crate) const SILENT: &str = "hop_silent";
pub(crate) const DISAGREE: &str = "hops_disagree";
pub(crate) const REFUSES: &str = "hop_refuses";

/// A hop further in that refuses so many within a minute is worth a word here.
const FEW: u64 = 5;

/// A hop does not answer, two questions in a row.
pub(crate) fn silent(scene: &Scene<'_>) -> Vec<Finding> {
    let silent = scene.facts.hops.iter().filter_map(|hop| {
        let (since, why) = hop.silent.as_ref()?;
        Some(Finding {
            severity: Severity::Critical,
            sentence: format!("its admin API has not answered for {}: {why}", told::seconds(*since)),
            figures: vec![("silent_s", since.as_secs_f64())],
            mends: "look at that process: is it stopped, frozen, out of descriptors, or its machine gone"
                .to_owned(),
            ..of(SILENT, hop)
        })
    });
    silent.collect()
}

/// Its configuration does not fit that of the hop before it: a deadline is the wrong way round, or a header is not what is wanted.
pub(crate) fn disagree(scene: &Scene<'_>) -> Vec<Finding> {
    let disagree = scene.facts.hops.iter().filter_map(|hop| {
        let (sentence, mends) = hop.disagrees.first()?;
        let more = match hop.disagrees.len() {
            1 => String::new(),
            all => format!(" (and {} more)", all - 1),
        };
        Some(Finding {
            sentence: format!("{sentence}{more}"),
            figures: vec![("disagreements", hop.disagrees.len() as f64)],
            mends: mends.clone(),
            ..of(DISAGREE, hop)
        })
    });
    disagree.collect()
}

/// A hop further in refuses connections by a limit.
pub(crate) fn refuses(scene: &Scene<'_>) -> Vec<Finding> {
    let refuses = scene.facts.hops.iter().filter(|hop| hop.refused >= FEW).map(|hop| Finding {
        sentence: format!(
            "it has refused {} within the last minute, most as {}",
            told::connections(hop.refused),
            hop.most_refused
        ),
        figures: vec![("refused", hop.refused as f64)],
        mends: "smartproxy findings on that hop names the limit and its key".to_owned(),
        ..of(REFUSES, hop)
    });
    refuses.collect()
}

fn of(rule: &'static str, hop: &HopFacts) -> Finding {
    Finding {
        rule,
        subject: hop.subject.clone(),
        severity: Severity::Warning,
        sentence: String::new(),
        figures: Vec::new(),
        shows: "smartproxy chain".to_owned(),
        mends: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::findings::planted;
    use crate::{Facts, Subject};

    fn inner() -> HopFacts {
        HopFacts {
            subject: Subject::Hop("inner".into()),
            silent: None,
            disagrees: Vec::new(),
            refused: 0,
            most_refused: String::new(),
        }
    }

    fn found(rule: &str, hop: HopFacts) -> Vec<Finding> {
        let facts = Facts { hops: vec![hop], ..Facts::default() };
        planted::judge(rule, &planted::picture(1), &facts)
    }

    #[test]
    fn a_hop_that_answers_fits_and_refuses_few_is_nothing_to_tell_of() {
        for rule in [SILENT, DISAGREE, REFUSES] {
            assert!(found(rule, HopFacts { refused: FEW - 1, ..inner() }).is_empty(), "{rule}");
        }
    }

    #[test]
    fn a_silent_hop_is_told_with_since_when_and_why() {
        let silent = Some((Duration::from_secs(12), "no answer within 2s".to_owned()));
        let [one] = &found(SILENT, HopFacts { silent, ..inner() })[..] else { panic!("one") };
        assert_eq!((&one.subject, one.severity), (&Subject::Hop("inner".into()), Severity::Critical));
        assert_eq!(one.sentence, "its admin API has not answered for 12 s: no answer within 2s");
    }

    #[test]
    fn of_several_disagreements_the_first_is_told_and_the_others_counted() {
        let all =
            |count: usize| vec![("a deadline is late".to_owned(), "write a shorter one".to_owned()); count];
        let told = |count| {
            let found = found(DISAGREE, HopFacts { disagrees: all(count), ..inner() });
            found.into_iter().map(|one| (one.sentence, one.mends)).collect::<Vec<_>>()
        };
        let mends = || "write a shorter one".to_owned();
        assert_eq!(told(1), [("a deadline is late".to_owned(), mends())]);
        assert_eq!(told(3), [("a deadline is late (and 2 more)".to_owned(), mends())]);
    }

    #[test]
    fn a_hop_that_refuses_some_is_told_with_the_cause() {
        let [one] =
            &found(REFUSES, HopFacts { refused: FEW, most_refused: "route_limit".to_owned(), ..inner() })[..]
        else {
            panic!("one")
        };
        assert_eq!(one.sentence, "it has refused 5 connections within the last minute, most as route_limit");
    }
}
