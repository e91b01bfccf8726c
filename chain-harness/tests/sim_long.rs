//! The long runs, behind an explicit command:
//!
//! ```text
//! cargo test -p chain-harness --release --test sim_long -- --ignored --nocapture
//! ```
//! Ten thousand scenarios at random (`CHAIN_HARNESS_CASES` for another number, `CHAIN_HARNESS_SEED` for other ones), and
//! a day of traffic in simulated time.
#![expect(clippy::print_stdout, reason = "a long run says how far it is")]

use std::collections::BTreeMap;
use std::time::Duration;

use chain_harness::sim::{
    Act, Backend, Build, Client, Enters, Fault, Hop, Link, Outcome, Reads, Scenario, Script, SendProxy,
    Settings, Shape, What, report, run, run_rounds, scenarios,
};
use chain_harness::{Counting, allocated_by_this_thread};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

#[global_allocator]
static COUNTING: Counting = Counting;

fn number(name: &str, usual: u32) -> u32 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

/// What many outcomes come to.
#[derive(Debug, Default)]
struct Sum {
    scenarios: u64,
    connections: u64,
    bytes: u64,
    took: Duration,
    quiet_points: usize,
    ends: BTreeMap<&'static str, u64>,
}

impl Sum {
    fn add(&mut self, outcome: &Outcome) {
        self.scenarios += 1;
        self.connections += outcome.connections;
        self.bytes += outcome.bytes;
        self.took += outcome.took;
        self.quiet_points += outcome.quiet_points;
        for (cause, count) in &outcome.ends {
            *self.ends.entry(cause).or_default() += count;
        }
    }

    fn print(&self) {
        let Self { scenarios, connections, bytes, took, quiet_points, .. } = self;
        println!(
            "{scenarios} scenarios, {connections} connections on both hops, {:.1} MB, {:.1} h of simulated time, {quiet_points} quiet points",
            *bytes as f64 / 1e6,
            took.as_secs_f64() / 3600.0,
        );
    }
}

#[test]
#[ignore = "a long run: see the head of this file"]
fn ten_thousand_scenarios() {
    let (cases, seed) = (number("CHAIN_HARNESS_CASES", 10_000), number("CHAIN_HARNESS_SEED", 0));
    let shape = Shape { clients: 1..=8, within: 6000, faults: 0..=3 };
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let sum = std::cell::RefCell::new(Sum::default());
    let outcome = TestRunner::new_with_rng(config, rng).run(&scenarios(&shape), |scenario| {
        let outcome = run(&scenario, Build::Product);
        let mut sum = sum.borrow_mut();
        sum.add(&outcome);
        if sum.scenarios.is_multiple_of(1000) {
            sum.print();
        }
        if outcome.breaches.is_empty() { Ok(()) } else { Err(TestCaseError::fail("it breaks a law")) }
    });
    if let Err(TestError::Fail(_, scenario)) = outcome {
        panic!("{}", report(&scenario, &run(&scenario, Build::Product).breaches));
    }
    let sum = sum.into_inner();
    sum.print();
    println!("ends on both hops: {:#?}", sum.ends);
}

const SECOND: u32 = 1000;
const MINUTE: u32 = 60 * SECOND;
const HOUR: u32 = 60 * MINUTE;

/// A request now and then on one connection, for `minutes`.
fn kept_alive(at: u32, minutes: u16) -> Client {
    let mut acts = Vec::new();
    for _ in 0..minutes {
        acts.extend([Act::Send(400), Act::Pause(MINUTE)]);
    }
    acts.push(Act::End);
    Client { at, ..Client::new(Script::of(&acts), Backend::Echoes) }
}

/// Who comes in an hour.
fn hour() -> Vec<Client> {
    let mut clients = Vec::new();
    for n in 0..12 {
        let at = n * 5 * MINUTE;
        let asks = Script::of(&[Act::Send(700), Act::End]);
        let answers = Script::of(&[Act::Await(700), Act::Pause(200), Act::Send(60_000), Act::End]);
        clients.push(Client { at, ..Client::new(asks.clone(), Backend::Plays(answers)) });
        // A keep-alive cascade: silent after its request until an idle deadline of one hop ends it on both.
        let silent = Script::of(&[Act::Send(50)]);
        clients
            .push(Client { at: at + 1, ..Client::new(silent, Backend::Plays(Script::of(&[Act::Send(50)]))) });
        clients.push(Client {
            at: at + 2,
            enters: Enters::WithHello(5),
            ..Client::new(Script::of(&[]), Backend::Echoes)
        });
        clients.push(Client { at: at + 3, ..Client::new(asks.clone(), Backend::BlackHole) });
        clients.push(Client { at: at + 4, ..Client::new(asks, Backend::Refuses) });
        let leaves = Script::of(&[Act::Pause(2 * SECOND), Act::Reset]);
        clients.push(Client { at: at + 5, ..Client::new(leaves, Backend::BlackHole) });
        let vanishes = Script::of(&[Act::Send(50), Act::Pause(SECOND), Act::Vanish]);
        clients.push(Client { at: at + 6, ..Client::new(vanishes, Backend::Echoes) });
        let slow = Script { acts: vec![Act::End], reads: Reads::Slowly(1024, 200) };
        let source = Script::of(&[Act::Send(200_000), Act::End]);
        clients.push(Client { at: at + 7, ..Client::new(slow, Backend::Plays(source)) });
    }
    clients.extend((0..6).map(|n| kept_alive(n * 4 * MINUTE, 25)));
    clients
}

/// What goes wrong in a day: a blip of one link or another every hour, the inner hop restarted by force every four, a
/// machine without power at night.
fn incidents() -> Vec<Fault> {
    let links = [Link::Front, Link::Middle, Link::Back];
    let blip = |n: u32, link| {
        let what =
            if n.is_multiple_of(2) { What::Hold(link, 20 * SECOND) } else { What::Cut(link, 20 * SECOND) };
        Fault { at: n * HOUR + 17 * MINUTE, what }
    };
    let mut faults: Vec<Fault> =
        (0..24).zip(links.into_iter().cycle()).map(|(n, link)| blip(n, link)).collect();
    faults.extend(
        (1..6).map(|n| Fault { at: n * 4 * HOUR + 31 * MINUTE, what: What::Kill(Hop::Inner, 5 * SECOND) }),
    );
    faults.push(Fault { at: 3 * HOUR + 3 * MINUTE, what: What::PowerLoss(Hop::Inner, 5 * MINUTE) });
    faults.push(Fault { at: 13 * HOUR, what: What::ClockJump(Hop::Outer, HOUR) });
    faults
}

#[test]
#[ignore = "a long run: see the head of this file"]
fn a_day() {
    let usual = Settings {
        connection_timeout: 10 * SECOND,
        inactivity_timeout: 10 * MINUTE,
        half_closed_timeout: 30 * SECOND,
        write_stall_timeout: 5 * MINUTE,
        no_data_timeout: Some(MINUTE),
        greeting_timeout: 5 * SECOND,
        extended: false,
        keep_alive: 75,
        send_proxy: SendProxy::V2,
        max_connections: None,
        ..Settings::default()
    };
    // The inner hop is the less patient one.
    let inner = Settings { inactivity_timeout: 4 * MINUTE, connection_timeout: 5 * SECOND, ..usual.clone() };
    let outer = Settings { extended: true, ..usual };
    let scenario = Scenario {
        seed: 1,
        latency: 40,
        outer,
        inner,
        clients: hour(),
        faults: incidents(),
        tls: Vec::new(),
    };
    let hours = number("CHAIN_HARNESS_HOURS", 24) as usize;
    let outcome =
        run_rounds(&scenario, Build::Product, hours, allocated_by_this_thread, |round, outcome, bytes| {
            let hours = outcome.took.as_secs_f64() / 3600.0;
            println!(
                "round {round}: {hours:.1} h, {} quiet points, {bytes} bytes allocated",
                outcome.quiet_points
            );
        });
    println!("ends on both hops: {:#?}", outcome.ends);
    assert!(outcome.breaches.is_empty(), "{}", report(&scenario, &outcome.breaches));
    assert!(outcome.took >= Duration::from_secs(3600) * u32::try_from(hours).unwrap() * 9 / 10);
}
