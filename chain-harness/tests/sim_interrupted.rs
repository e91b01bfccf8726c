//! A connection's task is dropped, or panics, after each number of polls until it is done: the laws hold each time.

use chain_harness::sim::{
    Act, Backend, Build, Client, Enters, Hop, Interruption, Scenario, Script, SendProxy, Settings, check,
};

/// A whole life on both hops: a hello that comes in two parts, headers, a dial that takes its time, backpressure, and a
/// half-close before the answer.
fn life() -> Scenario {
    let asks = Script::of(&[Act::Pause(300), Act::Send(90_000), Act::End]);
    let answers = Script::of(&[Act::Await(50_000), Act::Pause(200), Act::Send(90_000), Act::End]);
    let clients = vec![
        Client {
            enters: Enters::WithHello(20),
            ..Client::new(Script::of(&[Act::Pause(100)]), Backend::Echoes)
        },
        Client { enters: Enters::WithHello(100), ..Client::new(asks, Backend::Plays(answers)) },
        Client::new(Script::of(&[Act::Send(10), Act::Pause(500), Act::End]), Backend::BlackHole),
    ];
    let settings = Settings { send_proxy: SendProxy::V2, connection_timeout: 1000, ..Settings::default() };
    Scenario { outer: settings.clone(), inner: settings, ..Scenario::of(clients) }
}

/// After how many polls none of its tasks is interrupted any more.
fn interrupted_everywhere(hop: Hop, how: Interruption) -> u32 {
    let outcomes = (0..).map(|polls| (polls, check(&life(), Build::Interrupted(hop, polls, how))));
    let (polls, _) = outcomes.into_iter().find(|(_, outcome)| outcome.interrupted == 0).expect("they end");
    polls
}

#[test]
fn the_laws_hold_wherever_a_task_is_dropped() {
    for hop in [Hop::Outer, Hop::Inner] {
        assert!(interrupted_everywhere(hop, Interruption::Abort) >= 10, "there is something to interrupt");
    }
}

#[test]
fn the_laws_hold_wherever_a_task_panics() {
    for hop in [Hop::Outer, Hop::Inner] {
        assert!(interrupted_everywhere(hop, Interruption::Panic) >= 10, "there is something to interrupt");
    }
}
