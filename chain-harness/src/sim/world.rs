//! Runs a scenario in simulated time, and holds both hops and every connection against the laws.

mod ends;
mod incidents;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use turmoil::Sim;

use self::incidents::{Event, timeline};
use super::crowd::Crowd;
use super::hop::{Build, Site};
use super::scenario::{Hop, Link, Scenario, SendProxy, Settings, Targets};
use super::settings::{BACKENDS, CLIENTS, Leg, config, inner_legs, outer_legs};
use super::tls::{HopTls, Keys};
use crate::laws::{self, Breach, Levels, Memory};
use crate::leaky::{Leak, LeakyOptions};

/// What the world's clock goes by.
const STEP: Duration = Duration::from_millis(10);
/// How long all may take to come to rest when everybody has gone: the tick of the deadlines, and a round trip of resets.
const SETTLE: Duration = Duration::from_secs(3);
/// How long an end may take through two hops that nobody slows down: a second, as `tests/` have it on real sockets.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a kernel keeps what nobody owns, or what nobody answers to.
const GONE: Duration = Duration::from_secs(60);
/// When a world that has not come to rest is given up.
const HORIZON: Duration = Duration::from_secs(900);

/// What became of a scenario.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The laws that were broken; none is how it should be.
    pub breaches: Vec<Breach>,
    /// How long it took in simulated time.
    pub took: Duration,
    /// Connections that both hops had, where they are the product's.
    pub connections: u64,
    /// Bytes that arrived, both ways.
    pub bytes: u64,
    /// Times at which all was quiet and the laws were checked.
    pub quiet_points: usize,
    /// Tasks that were interrupted.
    pub interrupted: u64,
    /// Clients whose backend was reached although they stopped in their handshake.
    pub uncalled_for: usize,
    /// How connections of the product's hops ended, by cause.
    pub ends: BTreeMap<&'static str, u64>,
}

/// Runs `scenario` from its beginning until everybody has gone and all is quiet, or until a law is broken.
#[must_use]
pub fn run(scenario: &Scenario, build: Build) -> Outcome {
    let mut world = World::new(scenario, build);
    let breaches = world.run();
    world.outcome(breaches)
}

/// The same `rounds` times in one world: everybody comes again when all is quiet, while faults have their times from the
/// beginning. By the second round all that grows once has grown, so that memory, as `allocated` has it of this thread,
/// must be in the last what it was then. `told` is told of each round and the bytes after it.
pub fn run_rounds(
    scenario: &Scenario,
    build: Build,
    rounds: usize,
    allocated: fn() -> usize,
    mut told: impl FnMut(usize, &Outcome, usize),
) -> Outcome {
    let mut world = World::new(scenario, build);
    let (mut breaches, mut after_the_second) = (Vec::new(), None);
    for round in 1..=rounds {
        if round > 1 {
            world.crowd.again();
        }
        breaches = world.run();
        let bytes = allocated();
        let memory = Some(Memory { bytes, slack: NOISE });
        if round == 2 {
            after_the_second = memory;
        }
        told(round, &world.outcome(breaches.clone()), bytes);
        if !breaches.is_empty() {
            break;
        }
        if round == rounds {
            let levels = |memory| Levels { memory, ..Levels::default() };
            breaches = laws::at_rest("the world", &levels(after_the_second), &levels(memory));
        }
    }
    world.outcome(breaches)
}

/// How many bytes more may be chance: each host's datagrams wait in blocks of about 4 KiB, and how many of those there are
/// follows from how many datagrams there were.
const NOISE: usize = 40 * 1024;

/// Runs `scenario`, and fails with what is needed to run it again where a law is broken.
///
/// # Panics
/// If a law is broken.
pub fn check(scenario: &Scenario, build: Build) -> Outcome {
    let outcome = run(scenario, build);
    assert!(outcome.breaches.is_empty(), "{}", report(scenario, &outcome.breaches));
    outcome
}

/// What was broken, and the test that shows it.
#[must_use]
pub fn report(scenario: &Scenario, breaches: &[Breach]) -> String {
    let mut text = String::new();
    for breach in breaches {
        text += &format!("{breach}\n");
    }
    format!("{text}seed {}; as a test:\n\n{}", scenario.seed, scenario.to_test("a_scenario_that_was_found"))
}

struct World<'s> {
    scenario: &'s Scenario,
    sim: Sim<'static>,
    crowd: Arc<Crowd>,
    hops: [Arc<Site>; 2],
    timeline: Vec<(Duration, Event)>,
    /// When a hop's machine went with what it held, without a word.
    losses: Vec<Duration>,
    breaches: Vec<Breach>,
    quiet_points: usize,
    round_began: Duration,
    /// Whether tasks of the hops are aborted or panic.
    interrupted: bool,
}

impl<'s> World<'s> {
    fn new(scenario: &'s Scenario, build: Build) -> Self {
        // The product draws at random: jitter, ids.
        fastrand::seed(scenario.seed);
        let product = !matches!(build, Build::Leaky(_));
        let believed = product && scenario.outer.send_proxy != SendProxy::Off;
        let told = product && scenario.inner.send_proxy != SendProxy::Off;
        let (outer, inner) = (outer_legs(&scenario.clients), inner_legs(&scenario.clients));
        let beside = [(&scenario.outer, &outer), (&scenario.inner, &inner)];
        let beside =
            beside.into_iter().filter(|(settings, _)| matches!(settings.targets, Targets::Checked(_)));
        let mut beside: Vec<u16> = beside.flat_map(|(_, legs)| legs.iter().map(Leg::beside)).collect();
        beside.sort_unstable();
        beside.dedup();
        let speaks = |link| scenario.tls.contains(&link);
        let keys = (!scenario.tls.is_empty()).then(Keys::new);
        let folder = |link| keys.as_deref().filter(|_| speaks(link)).map(Keys::folder);
        let [front, middle, back] = [Link::Front, Link::Middle, Link::Back].map(folder);
        let spoken = keys.as_ref().map(|keys| (Arc::clone(keys), scenario.tls.clone()));
        let crowd = Crowd::new(scenario.clients.clone(), (believed, told), beside, spoken);
        let site = |hop, settings: &Settings, legs: Vec<_>, believes| {
            let (terminates, reencrypts) = match hop {
                Hop::Outer => (front, middle),
                Hop::Inner => (middle, back),
            };
            let config = config(settings, &legs, believes, HopTls { terminates, reencrypts });
            Site::new(hop, build, config, legs, leaky_options(settings, build))
        };
        let hops = [
            site(Hop::Outer, &scenario.outer, outer, false),
            site(Hop::Inner, &scenario.inner, inner, believed),
        ];
        let mut sim = turmoil::Builder::new()
            .rng_seed(scenario.seed)
            .tick_duration(STEP)
            .max_message_latency(Duration::from_millis(scenario.latency.into()))
            .udp_capacity(1 << 16)
            .build();
        for site in &hops {
            let site = Arc::clone(site);
            sim.host(IpAddr::V4(site.ip), move || Arc::clone(&site).live());
        }
        let (clients, backends) = (Arc::clone(&crowd), Arc::clone(&crowd));
        sim.host(IpAddr::V4(CLIENTS), move || Arc::clone(&clients).connect());
        sim.host(IpAddr::V4(BACKENDS), move || Arc::clone(&backends).accept());
        Self {
            scenario,
            sim,
            crowd,
            hops,
            timeline: timeline(&scenario.faults),
            losses: Vec::new(),
            breaches: Vec::new(),
            quiet_points: 0,
            round_began: Duration::ZERO,
            interrupted: matches!(build, Build::Interrupted(..)),
        }
    }

    fn outcome(&self, breaches: Vec<Breach>) -> Outcome {
        let slots = self.crowd.slots();
        let mut ends = BTreeMap::<_, u64>::new();
        for (cause, count) in self.hops.iter().flat_map(|site| site.ends()) {
            *ends.entry(cause).or_default() += count;
        }
        let parties = slots.iter().flat_map(|slot| [&slot.client, &slot.backend]).flatten();
        Outcome {
            breaches,
            took: self.sim.elapsed(),
            connections: ends.values().sum(),
            bytes: parties.map(|party| party.received).sum(),
            quiet_points: self.quiet_points,
            interrupted: self.hops.iter().map(|site| site.interrupted()).sum(),
            uncalled_for: self.crowd.uncalled_for(),
            ends,
        }
    }

    /// Until all is over, or a law is broken.
    fn run(&mut self) -> Vec<Breach> {
        self.round_began = self.sim.elapsed();
        let (mut quiet_since, mut looked) = (None, false);
        loop {
            self.play_events();
            self.sim.step().unwrap_or_else(|error| panic!("a host of the world failed: {error}"));
            let (now, over) = (self.sim.elapsed(), self.is_over());
            if now > self.round_began + HORIZON + self.last_start() {
                self.breaches = self.holds();
                break;
            }
            for site in &self.hops {
                self.breaches.extend(site.take_breaches());
            }
            if !self.breaches.is_empty() {
                break;
            }
            if self.crowd.active() > 0 {
                (quiet_since, looked) = (None, false);
                continue;
            }
            // Everybody has gone. Whoever may wait for a peer that went without a word has its deadlines to do so.
            let quiet = now - *quiet_since.get_or_insert(now);
            if !looked && quiet >= SETTLE && (quiet >= self.longest() || self.holds().is_empty()) {
                looked = true;
                self.quiet_points += 1;
                self.breaches = self.holds();
            }
            if (looked && over) || !self.breaches.is_empty() {
                break;
            }
        }
        if self.breaches.is_empty() {
            self.journeys();
        }
        std::mem::take(&mut self.breaches)
    }

    fn last_start(&self) -> Duration {
        let starts = self.scenario.clients.iter().map(|client| client.at);
        Duration::from_millis(starts.max().unwrap_or(0).into())
    }

    /// Whether everybody has come and gone, and nothing else is going to happen.
    fn is_over(&self) -> bool {
        self.timeline.is_empty() && self.crowd.done() == self.scenario.clients.len()
    }

    /// What is wrong with what the hops hold, now that they may hold nothing.
    fn holds(&mut self) -> Vec<Breach> {
        let nothing = Levels { sockets: Some(0), tasks: Some(0), ..Levels::default() };
        // A process that is down holds nothing, and has been looked at when it went.
        let levels = self.hops.iter().filter_map(|site| Some((site.name, site.levels()?)));
        levels.flat_map(|(name, now)| laws::at_rest(name, &nothing, &now)).collect()
    }

    /// The longest that a hop may wait for a peer that has gone without a word.
    fn longest(&self) -> Duration {
        let Scenario { outer, inner, .. } = self.scenario;
        SETTLE + GONE + outer.longest().max(inner.longest())
    }
}

fn leaky_options(settings: &Settings, build: Build) -> LeakyOptions {
    let millis = |millis: u32| Duration::from_millis(millis.into());
    LeakyOptions {
        target: proxy_core::Endpoint::Ip((BACKENDS, 0).into()),
        connection_timeout: millis(settings.connection_timeout),
        inactivity_timeout: millis(settings.inactivity_timeout),
        half_closed_timeout: millis(settings.half_closed_timeout),
        leak: match build {
            Build::Product | Build::Interrupted(..) | Build::CheckHangs | Build::HidesResets => Leak::None,
            Build::Leaky(leak) => leak,
        },
    }
}
