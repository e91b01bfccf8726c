//! What history takes of memory. Its own process, as it counts every allocation in it.
#![expect(clippy::unwrap_used, reason = "a failed assumption of a test is its failure")]

#[path = "../../proxy-conn/tests/shared/counting.rs"]
mod counting;

use std::sync::Arc;
use std::time::Duration;

use proxy_observe::{History, Picture, Reading, Span, Subject, most_bytes};

use counting::{Counting, allocated};

#[global_allocator]
static COUNTING: Counting = Counting;

/// So many routes with a target each, and the process.
fn subjects(routes: usize) -> Vec<Subject> {
    let count = routes;
    let routes = (0..count).map(|nth| Subject::Route(Arc::from(format!("route-{nth}"))));
    let targets = (0..count).map(|nth| Subject::Target {
        of: Arc::from(format!("route-{nth}")),
        target: Arc::from(format!("10.0.0.{nth}:8080")),
    });
    [Subject::Process].into_iter().chain(routes).chain(targets).collect()
}

/// Numbers that look like chance, the same every time (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % most.max(1)
    }
}

/// A second in which each subject has up to so many connections of up to so many bytes.
fn live(picture: &mut Picture, dice: &mut Dice, connections: u64, bytes: u64) {
    picture.at += Duration::from_secs(1);
    for (_, reading) in &mut picture.readings {
        let opened = dice.below(connections);
        let ended = dice.below(connections).min(reading.open + opened);
        reading.open = reading.open + opened - ended;
        reading.totals.opened += opened;
        *reading.totals.ended.first_mut().unwrap() += ended;
        reading.totals.failed += dice.below(50) / 49;
        reading.totals.from_client += opened * dice.below(bytes);
        reading.totals.from_backend += opened * dice.below(bytes);
        reading.first_byte_p99 = (opened > 0).then(|| Duration::from_micros(500 + dice.below(20_000)));
    }
}

/// So many seconds: what is taken at most.
fn most_taken(routes: usize, connections: u64, bytes: u64, seconds: u32) -> (usize, History) {
    let readings = subjects(routes).into_iter().map(|subject| (subject, Reading::default()));
    let mut picture = Picture::default();
    picture.readings = readings.collect();
    let (mut dice, mut most) = (Dice(88_172_645_463_325_252), 0);
    let before = allocated();
    let mut history = History::new(Duration::from_secs(1_700_000_000));
    for second in 0..seconds {
        live(&mut picture, &mut dice, connections, bytes);
        history.push(&picture);
        if second % 64 == 0 {
            most = most.max(allocated() - before);
            let told = history.bytes();
            assert!(told >= allocated() - before, "{told} of {}", allocated() - before);
        }
    }
    (most, history)
}

/// One test, as others in the process would be counted too.
#[test]
fn a_hundred_busy_routes_take_two_mib_at_most() {
    assert_eq!(most_bytes(100), 2 << 20);
    let (quiet, _) = most_taken(100, 1, 1, 700);
    assert!(quiet < 600_000, "{quiet} bytes with nothing to tell");
    // As busy as a hundred routes may be: 1 500 connections a second on each hop.
    let (busy, history) = most_taken(100, 30, 100_000, 700);
    assert!(busy <= most_bytes(100), "{busy}");
    assert_eq!(history.subjects().len(), 201);
    for subject in subjects(100) {
        let series = history.series(&subject, Span::TenMinutes).unwrap();
        assert_eq!(series.steps.iter().flatten().count(), 600, "{subject}");
    }
    // Nothing of it can be foreseen, and all of it is large: the bound holds all the same.
    let (wild, history) = most_taken(100, 3_000, 1 << 30, 700);
    assert!(wild <= most_bytes(100), "{wild}");
    assert!(history.subjects().contains(&&Subject::Process));
}

/// What a subject takes in the end, for the figures in the documentation: two minutes.
#[test]
#[ignore = "fourteen days: run it by hand"]
fn fourteen_days() {
    for connections in [1, 2, 4, 30] {
        let (most, history) = most_taken(1, connections, 100_000, 15 * 86_400);
        let steps = |span| history.series(&Subject::Process, span).unwrap().steps.len();
        println!("{connections}: {} bytes a subject; steps {:?}", most / 3, Span::ALL.map(steps));
    }
}
