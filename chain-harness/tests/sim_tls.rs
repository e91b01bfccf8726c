//! TLS in simulated time: on any of the links, and the laws are what they are without.
//!
//! Real TLS, so its random numbers and its wall clock are the machine's; what a world comes to depends on neither (see
//! `chain_harness::sim`), which the first test here holds.
#![expect(clippy::panic, reason = "a test fails by panicking")]

use chain_harness::laws::Law;
use chain_harness::leaky::Leak;
use chain_harness::sim::{
    Act, Backend, Build, Client, Enters, Hop, Interruption, Link, Outcome, Reads, Scenario, Script,
    SendProxy, Settings, Shape, check, report, run, run_rounds, scenarios_with_tls,
};
use chain_harness::{Counting, allocated_by_this_thread};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

#[global_allocator]
static COUNTING: Counting = Counting;

/// Tried unless somebody says otherwise.
const CASES: u32 = 60;

fn cases() -> u32 {
    let asked = std::env::var("CHAIN_HARNESS_CASES").ok();
    asked.map_or(CASES, |cases| cases.parse().expect("CHAIN_HARNESS_CASES is a number"))
}

const EVERYWHERE: [Link; 3] = [Link::Front, Link::Middle, Link::Back];

/// Every set of links with TLS on one at least.
fn link_sets() -> Vec<Vec<Link>> {
    let of = |bits: usize| {
        let links = EVERYWHERE.into_iter().enumerate();
        links.filter(|(n, _)| bits >> n & 1 == 1).map(|(_, link)| link).collect()
    };
    (1..8).map(of).collect()
}

fn over(tls: &[Link], clients: Vec<Client>) -> Scenario {
    Scenario { tls: tls.to_vec(), ..Scenario::of(clients) }
}

/// A request and its answer, of which the backend ends the one and the client the other by `ends`.
fn exchange(request: u32, answer: u32, [client, backend]: [Act; 2]) -> Client {
    let asks = Script::of(&[Act::Send(request), client]);
    let answers = Script::of(&[Act::Await(request), Act::Send(answer), backend]);
    Client::new(asks, Backend::Plays(answers))
}

fn ends(outcome: &Outcome, cause: &str) -> u64 {
    outcome.ends.get(cause).copied().unwrap_or(0)
}

#[test]
fn the_same_seed_is_the_same_world() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..15 {
        let scenario = scenarios_with_tls(&Shape::default()).new_tree(&mut runner).unwrap().current();
        let outcome = run(&scenario, Build::Product);
        assert_eq!(run(&scenario, Build::Product), outcome, "{}", report(&scenario, &outcome.breaches));
    }
}

#[test]
fn a_request_and_its_answer_go_through_the_chain_wherever_tls_is() {
    for tls in link_sets() {
        for send_proxy in [SendProxy::Off, SendProxy::V1, SendProxy::V2] {
            let mut scenario = over(&tls, vec![exchange(100, 300_000, [Act::End; 2])]);
            (scenario.outer.send_proxy, scenario.inner.send_proxy) = (send_proxy, send_proxy);
            let outcome = check(&scenario, Build::Product);
            assert_eq!((outcome.bytes, ends(&outcome, "finished")), (300_100, 2), "{tls:?}: {outcome:?}");
        }
    }
}

#[test]
fn a_client_that_is_cut_off_ends_its_request_and_gets_its_answer() {
    let outcome =
        check(&over(&EVERYWHERE, vec![exchange(100, 60_000, [Act::CutOff, Act::End])]), Build::Product);
    let ended = (ends(&outcome, "client_truncated"), ends(&outcome, "finished"));
    assert_eq!((outcome.bytes, ended), (60_100, (1, 1)), "{outcome:?}");
}

#[test]
fn a_backend_that_is_cut_off_is_a_reset_at_the_client() {
    let outcome =
        check(&over(&EVERYWHERE, vec![exchange(100, 60_000, [Act::End, Act::CutOff])]), Build::Product);
    let ended = (ends(&outcome, "backend_truncated"), ends(&outcome, "finished"));
    assert_eq!(ended, (1, 0), "{outcome:?}");
}

/// A backend that says half of its answer and resets.
fn half_an_answer() -> Client {
    exchange(100, 20_000, [Act::Pause(2000), Act::Reset])
}

#[test]
fn half_an_answer_is_never_told_as_the_whole_and_a_hop_that_does_so_is_caught() {
    let clean = [Link::Front];
    check(&over(&clean, vec![half_an_answer()]), Build::Product);
    let outcome = run(&over(&clean, vec![half_an_answer()]), Build::HidesResets);
    let laws: Vec<Law> = outcome.breaches.iter().map(|breach| breach.law).collect();
    assert!(laws.contains(&Law::EndsTravel), "{laws:?}");
}

#[test]
fn with_tls_behind_it_a_hop_is_not_fooled_by_an_end_that_is_none() {
    // What hides a reset below TLS makes a cut of it, and not a whole.
    check(&over(&EVERYWHERE, vec![half_an_answer()]), Build::HidesResets);
}

/// Clients that stop after so many bytes of their handshake, and then do this.
fn stopping(acts: &[Act]) -> Vec<Client> {
    let stops = |bytes| Client {
        stops_after: Some(bytes),
        ..Client::new(Script::of(acts), Backend::Plays(Script::of(&[])))
    };
    [0, 1, 5, 6, 100, 200, 260, 290].map(stops).to_vec()
}

#[test]
fn a_handshake_that_is_not_done_costs_no_backend_anything() {
    let leaves: [&[Act]; 5] = [
        &[],
        &[Act::Pause(300), Act::End],
        &[Act::Pause(300), Act::Reset],
        &[Act::Pause(300), Act::Vanish],
        &[Act::Pause(30_000), Act::End],
    ];
    for acts in leaves {
        for hello in [Enters::Plainly, Enters::WithHello(10)] {
            let clients = stopping(acts).into_iter().map(|client| Client { enters: hello, ..client });
            let scenario = over(&[Link::Front], clients.collect());
            let outcome = check(&scenario, Build::Product);
            assert_eq!((outcome.uncalled_for, outcome.connections), (0, 8), "{acts:?}: {outcome:?}");
        }
    }
    // One that dials at once is found out.
    let outcome = run(&over(&[Link::Front], stopping(&[])), Build::Leaky(Leak::None));
    assert_eq!(outcome.uncalled_for, 8, "{outcome:?}");
}

#[test]
fn a_stalled_handshake_ends_by_its_deadline() {
    let settings = Settings { greeting_timeout: 1500, send_proxy: SendProxy::V2, ..Settings::default() };
    let scenario = Scenario { outer: settings, ..over(&[Link::Front], stopping(&[Act::Pause(60_000)])) };
    let outcome = check(&scenario, Build::Product);
    assert_eq!(ends(&outcome, "tls_timeout"), 8, "{outcome:?}");
}

#[test]
fn slow_readers_and_both_directions_at_once_lose_nothing() {
    for tls in link_sets() {
        let slow = Reads::Slowly(4000, 20);
        let both = Client::new(
            Script { acts: vec![Act::Send(150_000), Act::End], reads: slow },
            Backend::Plays(Script { acts: vec![Act::Send(150_000), Act::End], reads: slow }),
        );
        let outcome = check(&over(&tls, vec![both]), Build::Product);
        assert_eq!((outcome.bytes, ends(&outcome, "finished")), (300_000, 2), "{tls:?}: {outcome:?}");
    }
}

/// A whole life on both hops: as `sim_interrupted.rs` has it, with TLS on every link.
fn life() -> Scenario {
    let asks = Script::of(&[Act::Pause(300), Act::Send(60_000), Act::End]);
    let answers = Script::of(&[Act::Await(50_000), Act::Pause(200), Act::Send(60_000), Act::End]);
    let clients = vec![
        Client { enters: Enters::WithHello(100), ..Client::new(asks, Backend::Plays(answers)) },
        Client {
            stops_after: Some(100),
            ..Client::new(Script::of(&[Act::Pause(500), Act::End]), Backend::Echoes)
        },
        Client::new(Script::of(&[Act::Send(10), Act::Pause(500), Act::End]), Backend::BlackHole),
    ];
    let settings = Settings { send_proxy: SendProxy::V2, connection_timeout: 1000, ..Settings::default() };
    Scenario { outer: settings.clone(), inner: settings, ..over(&EVERYWHERE, clients) }
}

#[test]
fn the_laws_hold_wherever_a_task_is_dropped_or_panics() {
    for hop in [Hop::Outer, Hop::Inner] {
        for how in [Interruption::Abort, Interruption::Panic] {
            let outcomes = (0..).map(|polls| (polls, check(&life(), Build::Interrupted(hop, polls, how))));
            let (polls, _) =
                outcomes.into_iter().find(|(_, outcome)| outcome.interrupted == 0).expect("they end");
            assert!(polls >= 10, "{polls} polls");
        }
    }
}

fn breaks_no_law(run: impl Fn(&Scenario) -> Outcome, seed: u8, cases: u32) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let broken = |outcome: &Outcome| !outcome.breaches.is_empty() || outcome.uncalled_for > 0;
    let outcome =
        TestRunner::new_with_rng(config, rng).run(&scenarios_with_tls(&Shape::default()), |scenario| {
            if broken(&run(&scenario)) { Err(TestCaseError::fail("it breaks a law")) } else { Ok(()) }
        });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(_, scenario)) => {
            let outcome = run(&scenario);
            panic!("{} uncalled for\n{}", outcome.uncalled_for, report(&scenario, &outcome.breaches));
        }
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

#[test]
fn the_product_breaks_no_law_with_tls() {
    breaks_no_law(|scenario| run(scenario, Build::Product), 11, cases());
}

#[test]
fn the_product_takes_no_more_memory_with_tls_when_everybody_comes_again() {
    let again =
        |scenario: &Scenario| run_rounds(scenario, Build::Product, 4, allocated_by_this_thread, |_, _, _| {});
    breaks_no_law(again, 12, cases().div_ceil(16));
}
