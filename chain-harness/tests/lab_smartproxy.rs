//! A few quick scenarios of the laboratory, end to end, against our own binary: all of them are for the runner.

use chain_harness::Contender;
use chain_harness::lab::{Verdict, hold, scenarios};

fn passes(name: &str) {
    // It is built before the scenario's time starts.
    assert!(Contender::Smartproxy.version().starts_with("smartproxy "));
    let scenario =
        scenarios().iter().find(|scenario| scenario.name == name).expect("there is one of that name");
    let outcome = hold(&Contender::Smartproxy, scenario);
    assert_eq!(outcome.verdict, Verdict::Pass, "{:?}", outcome.figures);
    assert!(outcome.samples.len() > 2 && outcome.figures.left == [0, 0], "{:?}", outcome.figures);
}

#[test]
fn what_half_closes_and_falls_silent_is_ended() {
    passes("client-half-closes");
}

#[test]
fn half_an_answer_ends_in_a_reset() {
    passes("backend-resets-mid-answer");
}

#[test]
fn one_address_has_its_limit_before_it_has_said_a_word() {
    passes("one-address-against-all");
    passes("one-address-without-header");
}

#[test]
fn a_shortage_in_the_middle_is_over_when_it_is_over() {
    passes("middle-out-of-files");
}

#[test]
fn headers_come_in_pieces() {
    passes("split-header");
}

#[test]
fn ends_stay_what_they_are_through_tls() {
    passes("tls-client-half-closes");
    passes("tls-backend-cut");
    passes("tls-handshake-stalls");
}
