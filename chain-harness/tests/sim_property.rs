//! Whole scenarios at random: the product breaks no law, and every planted fault is caught, by the law that it breaks.
//!
//! A failure prints the seed and the smallest scenario that still fails, as a test to be pasted. `CHAIN_HARNESS_CASES`
//! sets how many scenarios are tried.
#![expect(clippy::panic, reason = "a test fails by panicking")]

use chain_harness::laws::{Breach, Law};
use chain_harness::leaky::Leak;
use chain_harness::sim::{Build, Outcome, Scenario, Shape, report, run, run_rounds, scenarios};
use chain_harness::{Counting, allocated_by_this_thread};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

#[global_allocator]
static COUNTING: Counting = Counting;

/// Tried unless somebody says otherwise. Each planted fault is found in fewer.
const CASES: u32 = 200;

fn cases() -> u32 {
    let asked = std::env::var("CHAIN_HARNESS_CASES").ok();
    asked.map_or(CASES, |cases| cases.parse().expect("CHAIN_HARNESS_CASES is a number"))
}

/// What is run: once, or in rounds with an eye on memory.
type Run = fn(&Scenario, Build) -> Outcome;

fn once(scenario: &Scenario, build: Build) -> Outcome {
    run(scenario, build)
}

fn again(scenario: &Scenario, build: Build) -> Outcome {
    run_rounds(scenario, build, 4, allocated_by_this_thread, |_, _, _| {})
}

/// The smallest of `cases` scenarios in which `build` does what `fails` says; None if there is none.
fn smallest(
    (run, build): (Run, Build),
    seed: u8,
    (cases, shrinking): (u32, u32),
    fails: impl Fn(&[Breach]) -> bool,
) -> Option<(Scenario, Vec<Breach>)> {
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: shrinking, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let outcome = TestRunner::new_with_rng(config, rng).run(&scenarios(&Shape::default()), |scenario| {
        let breaches = run(&scenario, build).breaches;
        if fails(&breaches) { Err(TestCaseError::fail("it breaks a law")) } else { Ok(()) }
    });
    match outcome {
        Ok(()) => None,
        Err(TestError::Fail(_, scenario)) => {
            let breaches = run(&scenario, build).breaches;
            Some((scenario, breaches))
        }
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

fn breaks_no_law(run: Run, build: Build, seed: u8, cases: u32) {
    let found = smallest((run, build), seed, (cases, 500), |breaches| !breaches.is_empty());
    if let Some((scenario, breaches)) = found {
        panic!("{}", report(&scenario, &breaches));
    }
}

#[test]
fn the_product_breaks_no_law() {
    breaks_no_law(once, Build::Product, 1, cases());
}

#[test]
fn the_product_takes_no_more_memory_when_everybody_comes_again() {
    breaks_no_law(again, Build::Product, 2, cases().div_ceil(16));
}

#[test]
fn the_honest_one_breaks_no_law() {
    breaks_no_law(once, Build::Leaky(Leak::None), 3, cases().div_ceil(2));
}

#[test]
fn the_honest_one_takes_no_more_memory_when_everybody_comes_again() {
    breaks_no_law(again, Build::Leaky(Leak::None), 5, cases().div_ceil(16));
}

/// A law that a fault may break beside its own: where an end is wrong, bytes before it may be missing, and the other way
/// round.
fn beside(leak: Leak) -> Option<Law> {
    let pairs = [(Leak::EndsAtFirstFin, Law::EndsTravel), (Leak::ResetBecomesFin, Law::BytesTrue)];
    pairs.into_iter().find(|(other, _)| *other == leak).map(|(_, law)| law)
}

/// The fault is caught, by its own law and no other.
fn is_caught(leak: Leak, run: Run) {
    let law = leak.breaks().expect("it breaks one");
    let its_own = |breaches: &[Breach]| breaches.iter().any(|breach| breach.law == law);
    let Some((scenario, breaches)) = smallest((run, Build::Leaky(leak)), 4, (cases(), 30), its_own) else {
        panic!("{leak:?} was not caught in {} scenarios", cases());
    };
    let other = breaches.iter().find(|breach| breach.law != law && Some(breach.law) != beside(leak));
    assert!(other.is_none(), "{leak:?} breaks {law} and no other:\n{}", report(&scenario, &breaches));
}

macro_rules! caught {
    ($($name:ident: $leak:ident by $run:ident,)*) => {
        $(#[test]
        fn $name() {
            is_caught(Leak::$leak, $run);
        })*

        #[test]
        fn every_leak_is_here() {
            // The other takes a slow reader at one hop, which is rare by chance: see `sim_chain.rs`.
            let here = [Leak::None, Leak::IgnoresAcknowledgements, $(Leak::$leak),*];
            assert!(Leak::ALL.iter().all(|leak| here.contains(leak)));
        }
    };
}

caught! {
    a_dial_without_a_deadline_is_caught: NoDialDeadline by once,
    a_count_moved_by_hand_is_caught: CountByHand by once,
    ending_both_sides_at_the_first_fin_is_caught: EndsAtFirstFin by once,
    waiting_for_both_ends_is_caught: WaitsForBothEnds by once,
    an_entry_that_stays_is_caught: EntryStays by once,
    an_end_that_is_not_counted_is_caught: EndNotCounted by once,
    a_phase_that_is_skipped_is_caught: PhaseSkipped by once,
    a_reset_that_becomes_a_fin_is_caught: ResetBecomesFin by once,
    lost_bytes_are_caught: BytesLost by once,
    a_task_that_stays_is_caught: TaskStays by once,
    a_buffer_that_stays_is_caught: BufferStays by again,
    a_socket_that_stays_is_caught: SocketStays by once,
}
