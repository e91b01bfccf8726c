//! The runner as a command: it can fail, it says how, and its exit code tells.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

use std::process::{Command, Output};

use chain_harness::lab::{Law, Results, Verdict};

fn runner(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chain-harness")).args(arguments).output().unwrap()
}

fn tell(proxy: &str, scenario: &str) -> (Option<i32>, Results) {
    let output = runner(&["run", "--json", "--proxy", proxy, "--scenario", scenario]);
    let results = serde_json::from_slice(&output.stdout);
    let results =
        results.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), results)
}

/// What a planted fault breaks.
fn broken(fault: &str, scenario: &str) -> Vec<Law> {
    let (code, results) = tell(&format!("leaky:{fault}"), scenario);
    match &results.outcomes[0].verdict {
        Verdict::Fails { breaches } => {
            assert_eq!(code, Some(1));
            breaches.iter().map(|breach| breach.law).collect()
        }
        verdict @ (Verdict::Pass | Verdict::Skipped { .. } | Verdict::Broken { .. }) => {
            panic!("{fault} in {scenario}: {verdict:?}")
        }
    }
}

#[test]
fn an_honest_proxy_keeps_the_laws() {
    for scenario in ["client-half-closes", "backend-resets-mid-answer"] {
        let (code, results) = tell("leaky:none", scenario);
        assert_eq!((code, &results.outcomes[0].verdict), (Some(0), &Verdict::Pass));
    }
}

#[test]
fn whoever_waits_for_both_ends_is_caught() {
    assert!(broken("waits-for-both-ends", "client-half-closes").contains(&Law::Deadlines));
}

#[test]
fn whoever_hides_a_reset_is_caught() {
    assert!(broken("reset-becomes-fin", "backend-resets-mid-answer").contains(&Law::Ends));
}

#[test]
fn whoever_cuts_an_answer_is_caught() {
    let broken = broken("ends-at-first-fin", "answer-after-fin");
    assert!(broken.contains(&Law::Bytes) && broken.contains(&Law::Ends), "{broken:?}");
}

#[test]
fn whoever_keeps_a_socket_is_caught() {
    assert!(broken("socket-stays", "one-byte-a-second").contains(&Law::Departures));
}

#[test]
fn whoever_judges_by_its_own_reads_and_writes_alone_is_caught() {
    assert!(broken("ignores-acknowledgements", "slow-reader-behind-fin").contains(&Law::Living));
}

#[test]
fn what_can_not_be_told_is_no_breach() {
    let stops = runner(&["run", "--json", "--proxy", "gone=true {listen}", "--scenario", "refused"]);
    let results: Results = serde_json::from_slice(&stops.stdout).unwrap();
    assert!(
        matches!(&results.outcomes[0].verdict, Verdict::Broken { why } if why.contains("stopped before it listened"))
    );
    assert_eq!(stops.status.code(), Some(3));
    let headers = tell("leaky:none", "split-header");
    assert!(matches!(&headers.1.outcomes[0].verdict, Verdict::Skipped { .. }));
    assert_eq!(headers.0, Some(0));
}

#[test]
fn mistakes_are_explained() {
    let says = |arguments: &[&str], code: i32, words: &str| {
        let output = runner(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(code) && said.contains(words), "{arguments:?}: {said}");
    };
    says(&["run", "--scenario", "nonsense"], 2, "chain-harness scenarios");
    says(&["run", "--proxy", "haprox"], 2, "haproxy, nginx");
    says(&["run", "--proxy", "leaky:x"], 2, "ends-at-first-fin");
    says(&["run", "--proxy", "no-such-program {listen}"], 3, "not installed");
    says(&["report", "--from", "/nowhere.json"], 3, "/nowhere.json");
    assert!(String::from_utf8_lossy(&runner(&["scenarios"]).stdout).contains("black-hole"));
}
