//! Whole scenarios at random, for proptest: they shrink to the fewest clients, acts and faults.
//!
//! What is drawn is small: deadlines of seconds, a handful of clients, bytes that fit a buffer or just do not. Whatever
//! goes wrong in a chain goes wrong there too, and sooner.

use std::ops::RangeInclusive;

use proptest::collection::vec;
use proptest::prelude::*;

use super::scenario::{
    Act, AtLimit, Backend, Client, Enters, Fault, Hop, Link, Mood, OnDown, Pool, Reads, Scenario, Script,
    SendProxy, Settings, Targets, What, Who,
};

/// How many clients come, how soon, and what else happens.
#[derive(Debug, Clone)]
pub struct Shape {
    /// How many clients.
    pub clients: RangeInclusive<usize>,
    /// Within how many milliseconds they come.
    pub within: u32,
    /// How many faults.
    pub faults: RangeInclusive<usize>,
}

impl Default for Shape {
    fn default() -> Self {
        Self { clients: 1..=6, within: 4000, faults: 0..=2 }
    }
}

/// Scenarios of a shape.
pub fn scenarios(shape: &Shape) -> impl Strategy<Value = Scenario> + use<> {
    let Shape { clients: most, within, faults: most_faults } = shape.clone();
    let clients = vec(client(within), most);
    let faults = vec(fault(within), most_faults);
    (any::<u32>(), 0..60_u16, settings(), settings(), clients, faults).prop_map(
        |(seed, latency, outer, inner, clients, faults)| Scenario {
            seed: seed.into(),
            latency,
            outer,
            inner,
            clients,
            faults,
            tls: Vec::new(),
        },
    )
}

/// The same, where TLS is spoken on some of the links; some clients stop in their handshake, and some ends are cut.
pub fn scenarios_with_tls(shape: &Shape) -> impl Strategy<Value = Scenario> + use<> {
    let (front, middle, back) = (Link::Front, Link::Middle, Link::Back);
    let links = prop::sample::select(vec![
        vec![front],
        vec![middle],
        vec![back],
        vec![front, middle],
        vec![front, back],
        vec![middle, back],
        vec![front, middle, back],
    ]);
    // A handshake's own bytes are more than these.
    let stops = proptest::option::weighted(0.15, 0..300_u16);
    let manners = vec((stops, prop::bool::weighted(0.2)), *shape.clients.end());
    (scenarios(shape), links, manners).prop_map(|(mut scenario, tls, manners)| {
        for (client, (stops_after, cuts)) in scenario.clients.iter_mut().zip(manners) {
            client.stops_after = stops_after;
            if cuts {
                cut(&mut client.script);
                if let Backend::Plays(script) = &mut client.backend {
                    cut(script);
                }
            }
        }
        Scenario { tls, ..scenario }
    })
}

/// Who would have ended in order is cut.
fn cut(script: &mut Script) {
    for act in script.acts.iter_mut().filter(|act| **act == Act::End) {
        *act = Act::CutOff;
    }
}

/// Settings of one hop: those of two hops need not go together.
fn settings() -> impl Strategy<Value = Settings> {
    let deadlines = (
        300..5000_u32,
        1000..20_000_u32,
        500..6000_u32,
        1000..8000_u32,
        proptest::option::of(1000..8000_u32),
        300..4000_u32,
    );
    let sends = prop_oneof![Just(SendProxy::Off), Just(SendProxy::V1), Just(SendProxy::V2)];
    (deadlines, prop::bool::weighted(0.1), 2..30_u16, sends, limits(), targets()).prop_map(
        |(deadlines, extended, keep_alive, send_proxy, limits, (targets, failures_in_a_row))| {
            let (max_connections, per_client, per_minute, per_target, pool) = limits;
            let (connection, inactivity, half_closed, write_stall, no_data_timeout, greeting) = deadlines;
            Settings {
                connection_timeout: connection,
                inactivity_timeout: inactivity,
                half_closed_timeout: half_closed,
                write_stall_timeout: write_stall,
                no_data_timeout,
                greeting_timeout: greeting,
                extended,
                keep_alive,
                send_proxy,
                max_connections,
                per_client,
                per_minute,
                pool,
                targets,
                per_target,
                failures_in_a_row,
            }
        },
    )
}

type Limits = (Option<u16>, Option<u16>, Option<u16>, Option<u16>, Option<Pool>);

/// Each is seldom there, and then it is met by a few clients: of the process, of a client at once and in a minute, of a
/// target, of a pool.
fn limits() -> impl Strategy<Value = Limits> {
    let of = |odds| proptest::option::weighted(odds, 1..6_u16);
    let at_limit = prop_oneof![
        1 => Just(AtLimit::Reject),
        3 => (1..4_u16, 200..6000_u32).prop_map(|(waiting, millis)| AtLimit::Queue(waiting, millis)),
    ];
    let pool = (1..4_u16, at_limit).prop_map(|(most, at_limit)| Pool { most, at_limit });
    (of(0.2), of(0.2), of(0.1), of(0.2), proptest::option::weighted(0.2, pool))
}

/// What routes have for targets, and after how many failures one is left alone.
fn targets() -> impl Strategy<Value = (Targets, u8)> {
    let targets = prop_oneof![
        6 => Just(Targets::One),
        1 => Just(Targets::Named),
        1 => Just(Targets::SecondAddress),
        1 => Just(Targets::AfterUnknown),
        1 => Just(Targets::AfterRefusing),
        1 => Just(Targets::AfterBlackHole),
        2 => prop_oneof![Just(OnDown::Keeps), Just(OnDown::Kills), Just(OnDown::Drains)].prop_map(Targets::Checked),
    ];
    (targets, prop_oneof![Just(5), 1..3_u8])
}

fn client(within: u32) -> impl Strategy<Value = Client> {
    let enters = prop_oneof![
        6 => Just(Enters::Plainly),
        1 => (0..100_u16).prop_map(Enters::WithHello),
        1 => (0..60_u16, 0..80_u16).prop_map(|(bytes, every)| Enters::AtInner(bytes, every)),
    ];
    (0..within, enters, conversation()).prop_map(|(at, enters, (script, backend))| Client {
        at,
        enters,
        script,
        backend,
        stops_after: None,
    })
}

/// What both ends of a connection do: something usual, or anything.
fn conversation() -> impl Strategy<Value = (Script, Backend)> {
    prop_oneof![
        3 => (bytes(), bytes()).prop_map(|(asked, answered)| exchange(asked, answered)),
        1 => (bytes(), reads()).prop_map(|(asked, reads)| {
            (Script { acts: vec![Act::Send(asked), Act::End], reads }, Backend::Echoes)
        }),
        2 => (script(), script()).prop_map(|(client, backend)| (client, Backend::Plays(backend))),
        1 => script().prop_map(|client| (client, Backend::Refuses)),
        1 => script().prop_map(|client| (client, Backend::BlackHole)),
        1 => early().prop_map(|client| (client, Backend::BlackHole)),
        1 => early().prop_map(|client| (client, Backend::Plays(Script::of(&[])))),
    ]
}

/// A request, and its answer after it.
fn exchange(asked: u32, answered: u32) -> (Script, Backend) {
    let asks = Script::of(&[Act::Send(asked), Act::End]);
    (asks, Backend::Plays(Script::of(&[Act::Await(asked), Act::Send(answered), Act::End])))
}

/// A client that leaves early, in one way or another.
fn early() -> impl Strategy<Value = Script> {
    (prop::option::of(bytes()), 0..3000_u32, 0..3_u8).prop_map(|(sends, pause, leaves)| {
        let mut acts: Vec<Act> = sends.map(Act::Send).into_iter().collect();
        acts.push(Act::Pause(pause));
        acts.push(match leaves {
            0 => Act::End,
            1 => Act::Reset,
            _ => Act::Vanish,
        });
        Script { acts, reads: Reads::All }
    })
}

fn script() -> impl Strategy<Value = Script> {
    (vec(act(), 0..5), reads()).prop_map(|(acts, reads)| Script { acts, reads })
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => bytes().prop_map(Act::Send),
        1 => (1..30_u16, 10..1000_u16).prop_map(|(bytes, every)| Act::Drip(bytes, every)),
        3 => (0..8000_u32).prop_map(Act::Pause),
        1 => bytes().prop_map(Act::Await),
        3 => Just(Act::End),
        2 => Just(Act::Reset),
        1 => Just(Act::Vanish),
    ]
}

fn reads() -> impl Strategy<Value = Reads> {
    prop_oneof![
        6 => Just(Reads::All),
        1 => (100..4000_u16, 10..200_u16).prop_map(|(bytes, every)| Reads::Slowly(bytes, every)),
        1 => bytes().prop_map(Reads::Only),
    ]
}

/// None, a few, as many as a buffer holds or so, more than all buffers on the way hold.
fn bytes() -> impl Strategy<Value = u32> {
    prop_oneof![1 => Just(0), 4 => 1..2000_u32, 2 => 15_000..70_000_u32, 1 => 200_000..300_000_u32]
}

/// A member that flaps, lies or freezes, and for how long: shorter and longer than it takes to be found down.
fn turns() -> impl Strategy<Value = What> {
    let who = prop_oneof![Just(Who::Real), Just(Who::Stranger)];
    let mood = prop_oneof![
        2 => Just(Mood::Well),
        1 => Just(Mood::Resets),
        1 => Just(Mood::Mute),
        1 => Just(Mood::Frozen),
        1 => Just(Mood::Gone),
    ];
    (who, mood, 100..8000_u32).prop_map(|(who, mood, millis)| What::Turns(who, mood, millis))
}

fn fault(within: u32) -> impl Strategy<Value = Fault> {
    let link = || prop_oneof![Just(Link::Front), Just(Link::Middle), Just(Link::Back)];
    let hop = || prop_oneof![Just(Hop::Outer), Just(Hop::Inner)];
    let what = prop_oneof![
        2 => (link(), 100..4000_u32).prop_map(|(link, millis)| What::Hold(link, millis)),
        2 => (link(), 100..4000_u32).prop_map(|(link, millis)| What::Cut(link, millis)),
        1 => (hop(), 100..3000_u32).prop_map(|(hop, millis)| What::Kill(hop, millis)),
        1 => (hop(), 100..3000_u32).prop_map(|(hop, millis)| What::PowerLoss(hop, millis)),
        1 => hop().prop_map(What::CancelAll),
        1 => hop().prop_map(What::Panic),
        1 => (hop(), 500..60_000_u32).prop_map(|(hop, millis)| What::ClockJump(hop, millis)),
        3 => turns(),
    ];
    (0..within + 4000, what).prop_map(|(at, what)| Fault { at, what })
}
