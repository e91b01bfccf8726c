//! Chains in simulated time, one by one: the product breaks no law, and a leaky proxy in its place does.

use chain_harness::laws::Law;
use chain_harness::leaky::Leak;
use chain_harness::sim::{
    Act, AtLimit, Backend, Build, Client, Enters, Fault, Hop, Link, Mood, OnDown, Outcome, Pool, Reads,
    Scenario, Script, SendProxy, Settings, Shape, Targets, What, Who, check, report, run, scenarios,
};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

/// A request of `request` bytes and its answer of `answer`, which the backend ends with.
fn exchange(request: u32, answer: u32) -> Client {
    let asks = Script::of(&[Act::Send(request), Act::End]);
    let answers = Script::of(&[Act::Await(request), Act::Send(answer), Act::End]);
    Client::new(asks, Backend::Plays(answers))
}

#[test]
fn a_request_and_its_answer_go_through_the_chain() {
    let outcome = check(&Scenario::of(vec![exchange(100, 300_000)]), Build::Product);
    assert_eq!((outcome.connections, outcome.bytes, outcome.quiet_points), (2, 300_100, 1));
}

#[test]
fn the_same_seed_is_the_same_world() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..20 {
        let scenario = scenarios(&Shape::default()).new_tree(&mut runner).unwrap().current();
        let outcome = run(&scenario, Build::Product);
        assert_eq!(run(&scenario, Build::Product), outcome, "{}", report(&scenario, &outcome.breaches));
    }
}

#[test]
fn a_proxy_without_a_dial_deadline_is_caught() {
    let waits = Client::new(Script::of(&[Act::Send(10)]), Backend::BlackHole);
    let scenario = Scenario::of(vec![waits]);
    check(&scenario, Build::Product);
    check(&scenario, Build::Leaky(Leak::None));
    let outcome = run(&scenario, Build::Leaky(Leak::NoDialDeadline));
    let laws: Vec<Law> = outcome.breaches.iter().map(|breach| breach.law).collect();
    assert_eq!(laws, [Law::DeadlinesKept]);
}

/// A client of one hop that reads `bytes` every tenth of a second of an answer behind its backend's end.
fn slow_reader(bytes: u16) -> Scenario {
    let reader = Script { acts: vec![Act::Send(10)], reads: Reads::Slowly(bytes, 100) };
    let answers = Script::of(&[Act::Await(10), Act::Send(90_000), Act::End]);
    let client = Client { enters: Enters::AtInner(0, 0), ..Client::new(reader, Backend::Plays(answers)) };
    let mut scenario = Scenario::of(vec![client]);
    scenario.outer.send_proxy = SendProxy::Off;
    scenario
}

#[test]
fn a_steady_reader_behind_a_fin_is_kept_and_a_proxy_that_ignores_acknowledgements_is_caught() {
    // 3 KB a second: what is in the hop's send buffer takes longer than its half-closed deadline of 4 s, a step of it does not.
    let scenario = slow_reader(300);
    let outcome = check(&scenario, Build::Product);
    assert_eq!((outcome.bytes, outcome.connections), (90_010, 1), "{outcome:?}");
    check(&scenario, Build::Leaky(Leak::None));
    let outcome = run(&scenario, Build::Leaky(Leak::IgnoresAcknowledgements));
    let laws: Vec<Law> = outcome.breaches.iter().map(|breach| breach.law).collect();
    assert!(laws.contains(&Law::LivingKept), "{laws:?}");
}

#[test]
fn a_reader_that_stops_behind_a_fin_is_ended() {
    let mut scenario = slow_reader(300);
    scenario.clients[0].script.reads = Reads::Only(8_000);
    let outcome = check(&scenario, Build::Product);
    assert_eq!(ends(&outcome, "finished"), 0, "{outcome:?}");
}

/// A pause of 5 s is longer than the half-closed deadline of 4 s and shorter than the one for a stall of 6 s; the answer is all in
/// the kernels, or some of it in the hop. A kernel tells of room in steps of 8 KiB, so less is not read at once.
#[test]
fn a_reader_that_pauses_behind_a_fin_gets_the_rest_wherever_it_waits() {
    for answer in [48_000, 120_000] {
        let pausing = |millis| {
            let mut scenario = slow_reader(0);
            scenario.clients[0].script.reads = Reads::Slowly(8_200, millis);
            scenario.clients[0].backend =
                Backend::Plays(Script::of(&[Act::Await(10), Act::Send(answer), Act::End]));
            check(&scenario, Build::Product)
        };
        let (lives, stops) = (pausing(5_000), pausing(7_500));
        assert_eq!(lives.bytes, u64::from(answer) + 10, "{lives:?}");
        assert_eq!((ends(&stops, "write_stall"), ends(&stops, "half_closed")), (1, 0), "{stops:?}");
    }
}

/// `count` clients that ask once a second and get their answers, until somebody ends that.
fn talkers(count: u32) -> Vec<Client> {
    let acts: Vec<Act> = (0..60).flat_map(|_| [Act::Send(100), Act::Pause(1000)]).collect();
    (0..count).map(|n| Client { at: 10 * n, ..Client::new(Script::of(&acts), Backend::Echoes) }).collect()
}

fn with(clients: Vec<Client>, at: u32, what: What) -> Scenario {
    Scenario { faults: vec![Fault { at, what }], ..Scenario::of(clients) }
}

fn ends(outcome: &Outcome, cause: &str) -> u64 {
    outcome.ends.get(cause).copied().unwrap_or(0)
}

#[test]
fn when_the_inner_hop_is_killed_the_outer_one_is_empty_and_the_next_clients_are_served() {
    let mut clients = talkers(20);
    clients.push(Client { at: 20_000, ..exchange(100, 100) });
    let outcome = check(&with(clients, 5000, What::Kill(Hop::Inner, 2000)), Build::Product);
    assert_eq!((outcome.connections, ends(&outcome, "finished")), (42, 2), "{outcome:?}");
    assert_eq!(ends(&outcome, "backend_reset"), 20, "the outer hop is told at once: {outcome:?}");
}

#[test]
fn when_the_outer_hop_is_killed_the_inner_one_is_told_at_once() {
    let outcome = check(&with(talkers(20), 5000, What::Kill(Hop::Outer, 2000)), Build::Product);
    assert_eq!((outcome.connections, ends(&outcome, "client_reset")), (40, 20), "{outcome:?}");
}

#[test]
fn what_a_hop_had_finished_before_it_was_killed_still_arrives() {
    // The answer is lost in a link that is cut, and the hop gone before it is mended: its machine sends again.
    let faults = vec![
        Fault { at: 400, what: What::Cut(Link::Front, 3000) },
        Fault { at: 2000, what: What::Kill(Hop::Outer, 500) },
    ];
    let answers = Script::of(&[Act::Await(100), Act::Pause(600), Act::Send(8000), Act::End]);
    let client = Client::new(Script::of(&[Act::Send(100), Act::End]), Backend::Plays(answers));
    let outcome = check(&Scenario { faults, ..Scenario::of(vec![client]) }, Build::Product);
    assert_eq!((outcome.bytes, ends(&outcome, "finished")), (8100, 2), "{outcome:?}");
}

#[test]
fn when_the_inner_hop_loses_its_power_the_outer_one_notices_by_its_keepalive() {
    let outcome = check(&with(talkers(5), 5000, What::PowerLoss(Hop::Inner, 100_000)), Build::Product);
    assert_eq!(outcome.connections, 10);
}

#[test]
fn a_clock_that_jumps_ends_what_is_idle_and_leaves_nothing() {
    let silent = Script::of(&[Act::Send(100), Act::Pause(60_000)]);
    for hop in [Hop::Outer, Hop::Inner] {
        let silent = vec![Client::new(silent.clone(), Backend::Echoes); 10];
        let outcome = check(&with(silent, 5000, What::ClockJump(hop, 3_600_000)), Build::Product);
        assert_eq!(ends(&outcome, "idle"), 10, "{outcome:?}");
    }
}

#[test]
fn a_clock_that_jumps_takes_no_byte_of_those_who_go_on_speaking() {
    for hop in [Hop::Outer, Hop::Inner] {
        let soon: Vec<Act> = (0..60).flat_map(|_| [Act::Send(100), Act::Pause(400)]).collect();
        let speaking = vec![Client::new(Script::of(&soon), Backend::Echoes); 10];
        let outcome = check(&with(speaking, 5000, What::ClockJump(hop, 3_600_000)), Build::Product);
        assert_eq!(outcome.bytes, 10 * 60 * 2 * 100, "{outcome:?}");
    }
}

#[test]
fn a_clock_that_jumps_over_the_end_of_a_dial_ends_it() {
    let settings =
        Settings { connection_timeout: 2740, targets: Targets::AfterBlackHole, ..Settings::default() };
    let client = Client::new(Script::of(&[]), Backend::Refuses);
    let scenario = with(vec![client], 1500, What::ClockJump(Hop::Inner, 3_600_000));
    let outcome = check(&Scenario { inner: settings, ..scenario }, Build::Product);
    assert_eq!(ends(&outcome, "dial_timeout"), 1, "{outcome:?}");
}

#[test]
fn a_blip_that_is_shorter_than_every_deadline_costs_nobody_a_byte() {
    for link in [Link::Front, Link::Middle, Link::Back] {
        for what in [What::Hold(link, 2000), What::Cut(link, 2000)] {
            let outcome = check(&with(vec![exchange(200_000, 200_000)], 200, what), Build::Product);
            assert_eq!((outcome.bytes, ends(&outcome, "finished")), (400_000, 2), "{what:?}");
        }
    }
}

#[test]
fn behind_a_link_that_is_held_a_dial_ends_at_its_deadline() {
    let outcome = check(&with(talkers(3), 0, What::Hold(Link::Back, 30_000)), Build::Product);
    assert_eq!((ends(&outcome, "dial_timeout"), ends(&outcome, "backend_reset")), (3, 3), "{outcome:?}");
}

#[test]
fn a_syn_of_long_ago_opens_nothing() {
    // Found by the long run: cut and held by turns, the link brings the client's first SYN when all is over.
    let faults = vec![
        Fault { at: 804, what: What::Hold(Link::Front, 1637) },
        Fault { at: 172, what: What::Cut(Link::Front, 1129) },
    ];
    let late = Client { at: 800, ..exchange(1, 0) };
    let outcome = check(
        &Scenario { seed: 560_645_085, latency: 50, faults, ..Scenario::of(vec![late]) },
        Build::Product,
    );
    assert_eq!(outcome.connections, 2);
}

/// These clients, where the outer hop has settings of its own.
fn told(mut outer: Settings, clients: Vec<Client>) -> Scenario {
    outer.send_proxy = SendProxy::V2;
    Scenario { outer, ..Scenario::of(clients) }
}

#[test]
fn of_three_in_a_pool_of_one_the_second_waits_in_vain_and_the_third_has_no_place_in_line() {
    let pool = Some(Pool { most: 1, at_limit: AtLimit::Queue(1, 2000) });
    let outcome = check(&told(Settings { pool, ..Settings::default() }, talkers(3)), Build::Product);
    let waited = (ends(&outcome, "queue_timeout"), ends(&outcome, "queue_full"));
    // The inner hop had its last byte first: where it is the first to be idle by more than a hop's way, the outer is told.
    let silent = ends(&outcome, "idle") + ends(&outcome, "backend_reset");
    assert_eq!((waited, silent), ((1, 1), 2), "{outcome:?}");
}

#[test]
fn who_waits_in_line_is_served_when_there_is_a_place() {
    let pool = Some(Pool { most: 1, at_limit: AtLimit::Queue(5, 5000) });
    let clients = (0..5).map(|n| Client { at: n, ..exchange(100, 100) }).collect();
    let outcome = check(&told(Settings { pool, ..Settings::default() }, clients), Build::Product);
    assert_eq!((outcome.bytes, ends(&outcome, "finished")), (1000, 10), "{outcome:?}");
}

#[test]
fn a_client_that_comes_too_often_in_a_minute_is_refused() {
    let outer = Settings { per_minute: Some(2), ..Settings::default() };
    let clients = (0..4).map(|n| Client { at: 1000 * n, ..exchange(100, 100) }).collect();
    let outcome = check(&told(outer, clients), Build::Product);
    assert_eq!((ends(&outcome, "client_rate"), ends(&outcome, "finished")), (2, 4), "{outcome:?}");
}

#[test]
fn a_target_that_cannot_be_reached_is_passed_over() {
    for targets in
        [Targets::AfterUnknown, Targets::AfterRefusing, Targets::AfterBlackHole, Targets::SecondAddress]
    {
        let settings = Settings { targets, ..Settings::default() };
        let scenario = Scenario { inner: settings.clone(), ..told(settings, vec![exchange(100, 60_000)]) };
        let outcome = check(&scenario, Build::Product);
        assert_eq!((outcome.bytes, ends(&outcome, "finished")), (60_100, 2), "{targets:?}");
    }
}

#[test]
fn a_target_that_is_full_is_not_dialled_and_the_only_one_is_however_often_it_failed() {
    let to = |backend: Backend, n: u32| Client {
        at: 400 * n,
        ..Client::new(Script::of(&[Act::Send(1)]), backend)
    };
    let full = Settings { per_target: Some(1), ..Settings::default() };
    let clients = (0..3).map(|n| to(Backend::BlackHole, n)).collect();
    let outcome = check(&Scenario { inner: full, ..Scenario::of(clients) }, Build::Product);
    assert_eq!((ends(&outcome, "target_limit"), ends(&outcome, "dial_timeout")), (2, 1), "{outcome:?}");
    let wary = Settings { failures_in_a_row: 1, ..Settings::default() };
    let clients = (0..3).map(|n| to(Backend::Refuses, n)).collect();
    let outcome = check(&Scenario { inner: wary, ..Scenario::of(clients) }, Build::Product);
    assert_eq!((ends(&outcome, "targets_down"), ends(&outcome, "dial_refused")), (0, 3), "{outcome:?}");
}

#[test]
fn a_slow_reader_sees_a_reset_behind_what_its_machine_holds_for_it() {
    // Found by the long run: three seconds' worth of reading, which no hop has any part in.
    let leaves = Script::of(&[Act::Send(32_769), Act::Reset]);
    let slow = Script { acts: vec![], reads: Reads::Slowly(100, 10) };
    let settings = Settings { half_closed_timeout: 500, ..Settings::default() };
    let clients = vec![Client::new(leaves, Backend::Plays(slow))];
    let outcome = check(&Scenario { inner: settings.clone(), ..told(settings, clients) }, Build::Product);
    assert_eq!((ends(&outcome, "client_reset"), outcome.quiet_points), (2, 1), "{outcome:?}");
}

/// Talkers whose inner hop has its backends checked, and what the members do: each from when, for how long.
fn checked(clients: Vec<Client>, on_down: OnDown, turns: &[(u32, Who, Mood, u32)]) -> Scenario {
    let mut scenario = Scenario::of(clients);
    scenario.inner.targets = Targets::Checked(on_down);
    let fault = |(at, who, mood, millis): &(u32, Who, Mood, u32)| Fault {
        at: *at,
        what: What::Turns(*who, *mood, *millis),
    };
    scenario.faults = turns.iter().map(fault).collect();
    scenario
}

/// The only one that serves is found down, in each way: what it has is ended, goes on, or has its time, as its group says; and whoever
/// comes meanwhile is taken there all the same, since nobody else may be used.
#[test]
fn what_a_member_has_that_is_down_is_as_its_group_says() {
    for mood in [Mood::Resets, Mood::Mute, Mood::Frozen, Mood::Gone] {
        for (on_down, ended) in [(OnDown::Keeps, 0), (OnDown::Kills, 5), (OnDown::Drains, 5)] {
            let mut clients = talkers(5);
            // Its time of two seconds is over then, and the member is down.
            clients.push(Client { at: 15_000, ..exchange(100, 100) });
            let outcome =
                check(&checked(clients, on_down, &[(5000, Who::Real, mood, 15_000)]), Build::Product);
            let down = ends(&outcome, "member_down");
            assert_eq!((down, ends(&outcome, "finished")), (ended, 2), "{mood:?} {on_down:?}: {outcome:?}");
            assert_eq!(outcome.bytes == 60_200, ended == 0, "{mood:?} {on_down:?}: {outcome:?}");
        }
    }
}

/// Flapping is not being down: shorter than a check needs to be sure of it, again and again.
#[test]
fn a_member_that_flaps_keeps_what_it_has() {
    let turns: Vec<_> = (0..8).map(|n| (3000 + 2500 * n, Who::Real, Mood::Resets, 300)).collect();
    let outcome = check(&checked(talkers(5), OnDown::Kills, &turns), Build::Product);
    assert_eq!((ends(&outcome, "member_down"), outcome.bytes), (0, 60_000), "{outcome:?}");
}

/// A stranger that answers its checks gets half of those who come, and serves nobody; once it is found out, nobody goes there.
#[test]
fn one_that_lies_has_clients_until_it_is_found_out() {
    let come = |at: u32| (0..6).map(move |n| Client { at: at + 100 * n, ..exchange(100, 100) });
    let clients: Vec<Client> = come(6000).chain(come(14_000)).collect();
    let turns = [(1000, Who::Stranger, Mood::Well, 7000), (8000, Who::Stranger, Mood::Mute, 20_000)];
    let outcome = check(&checked(clients, OnDown::Kills, &turns), Build::Product);
    let down = ends(&outcome, "member_down");
    // Each of those that it had, at the hop that checks; the other hop passes that on.
    assert!((1..=6).contains(&down), "{outcome:?}");
    assert_eq!(ends(&outcome, "finished"), 2 * (12 - down), "{outcome:?}");
}

#[test]
fn a_check_without_a_deadline_is_caught() {
    let scenario = checked(talkers(1), OnDown::Keeps, &[]);
    check(&scenario, Build::Product);
    let laws: Vec<Law> = run(&scenario, Build::CheckHangs).breaches.iter().map(|breach| breach.law).collect();
    assert!(!laws.is_empty() && laws.iter().all(|law| *law == Law::DeadlinesKept), "{laws:?}");
}
