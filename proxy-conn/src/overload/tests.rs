//! The levels, on a clock made by hand.

use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;
use proxy_core::Bound;

use super::*;
use crate::id::ConnId;
use crate::phase::Phase;

fn open(used: u64) -> Readings {
    Readings { connections: Usage::new(used, 1000), ..Readings::default() }
}

/// No forecast: what a jump of a reading means for growth is another test's matter.
fn options() -> OverloadOptions {
    OverloadOptions { growth_within: Bound::MIN, growth_window: Bound::MAX, ..OverloadOptions::default() }
}

/// A breaker that has been in `level` for long, and the time it is.
fn settled(level: Level) -> (Overload, Instant) {
    let mut overload = Overload::new(options());
    let mut now = Instant::now();
    let used = [0, 875, 1000][usize::from(level.code())];
    overload.observe(&open(used), now);
    now += Duration::from_secs(60);
    assert_eq!(overload.level(), level);
    (overload, now)
}

/// Feeds one reading a second; the changes as text.
fn told(overload: &mut Overload, readings: impl IntoIterator<Item = Readings>) -> String {
    let start = Instant::now();
    let mut told = String::new();
    for (second, readings) in (0..).zip(readings) {
        if let Some(change) = overload.observe(&readings, start + Duration::from_secs(second)) {
            writeln!(told, "{second:>3}s pool chain: {change}").unwrap();
        }
    }
    told
}

#[test]
fn the_whole_table_of_levels() {
    let readings = [0, 699, 700, 799, 800, 849, 850, 949, 950, 1000, 1001];
    let mut table = String::from("open  from normal  from tight  from shed\n");
    for used in readings {
        let to = |level| {
            let (mut overload, now) = settled(level);
            overload.observe(&open(used), now);
            overload.level()
        };
        let [normal, tight, shed] = Level::ALL.map(to);
        writeln!(table, "{used:>4}  {normal:<11}  {tight:<10}  {shed}").unwrap();
    }
    insta::assert_snapshot!(table, @r"
    open  from normal  from tight  from shed
       0  normal       normal      normal
     699  normal       normal      normal
     700  normal       tight       tight
     799  normal       tight       tight
     800  tight        tight       tight
     849  tight        tight       tight
     850  tight        tight       shed
     949  tight        tight       shed
     950  shed         shed        shed
    1000  shed         shed        shed
    1001  shed         shed        shed
    ");
}

#[test]
fn a_day_of_a_pool() {
    let used =
        [100, 799, 800, 812, 990, 999, 960, 960, 960, 849, 840, 840, 840, 840, 690, 690, 690, 690, 690];
    insta::assert_snapshot!(told(&mut Overload::new(options()), used.map(open)), @r"
     2s pool chain: normal → tight: 800 of 1000 connections are open (tight from 80%)
     4s pool chain: tight → shed: 990 of 1000 connections are open (shed from 95%)
     9s pool chain: shed → tight: 849 of 1000 connections are open (tight below 85%)
    14s pool chain: tight → normal: 690 of 1000 connections are open (normal below 70%)
    ");
}

/// Whoever waits for a place gets it when there is one, not some seconds later.
#[test]
fn a_shortage_is_over_when_there_are_places_again() {
    let used = [1000, 0, 0, 1000, 0];
    insta::assert_snapshot!(told(&mut Overload::new(options()), used.map(open)), @r"
     0s pool chain: normal → shed: 1000 of 1000 connections are open (shed from 95%)
     1s pool chain: shed → normal: 0 of 1000 connections are open (normal below 70%)
     3s pool chain: normal → shed: 1000 of 1000 connections are open (shed from 95%)
     4s pool chain: shed → normal: 0 of 1000 connections are open (normal below 70%)
    ");
}

/// One kind of signals does not keep what the other has let go of, nor hide it.
#[test]
fn a_shortage_that_ends_leaves_what_a_rate_asks_for() {
    let stuck = |used| Readings { dialling: 260, oldest_dial: Duration::from_secs(9), ..open(used) };
    let mut overload = Overload::new(options());
    let seen = [stuck(1000), stuck(300), open(300), open(300), open(300), open(300)];
    insta::assert_snapshot!(told(&mut overload, seen), @r"
     0s pool chain: normal → shed: 1000 of 1000 connections are open (shed from 95%)
     1s pool chain: shed → tight: 300 of 1000 connections are open (tight below 85%)
     5s pool chain: tight → normal: no connection is in dial (normal below 15% or 2s500ms)
    ");
}

/// What the end of every connection would not bring back is no reason to refuse any.
#[test]
fn what_the_process_itself_has_does_not_count_against_clients() {
    let level = |memory, descriptors| {
        let mut overload = Overload::new(options());
        overload.observe(&Readings { memory, descriptors, ..open(0) }, Instant::now());
        overload.level()
    };
    let none = Usage::default();
    for usage in [Usage::new(980, 1000).beside(980), Usage::new(1100, 1000).beside(1100)] {
        assert_eq!((level(usage, none), level(none, usage)), (Level::Normal, Level::Normal), "{usage:?}");
    }
    let all_of_the_rest = Usage::new(1000, 1000).beside(900);
    assert_eq!((level(all_of_the_rest, none), level(none, all_of_the_rest)), (Level::Shed, Level::Shed));
}

#[test]
fn every_signal_has_its_words() {
    let (mib, of) = (1 << 20, Usage::new);
    let quiet = Readings { descriptors: of(9_000, 65_536), memory: of(200 * mib, 1024 * mib), ..open(0) };
    let backlog = Readings { dialling: 260, oldest_dial: Duration::from_millis(12_300), ..open(300) };
    let stuck = Readings { dialling: 501, ..backlog };
    let descriptors = Readings { descriptors: of(52_500, 65_536), ..quiet };
    let memory = Readings { memory: of(980 * mib, 1024 * mib), ..quiet };
    let mut all = String::new();
    for loaded in [open(812), backlog, stuck, descriptors, memory] {
        let mut overload = Overload::new(options());
        let calm = std::iter::repeat_n(quiet, 12);
        all += &told(&mut overload, std::iter::once(loaded).chain(calm));
    }
    let small = |used| Readings { descriptors: of(used, 59).beside(20), ..open(0) };
    all += &told(&mut Overload::new(options()), [small(59), small(30)]);
    insta::assert_snapshot!(all, @r"
     0s pool chain: normal → tight: 812 of 1000 connections are open (tight from 80%)
     1s pool chain: tight → normal: 0 of 1000 connections are open (normal below 70%)
     0s pool chain: normal → tight: 260 of at most 1000 connections are in dial, the oldest for 12s (tight from 25% and 5s)
     5s pool chain: tight → normal: no connection is in dial (normal below 15% or 2s500ms)
     0s pool chain: normal → shed: 501 of at most 1000 connections are in dial, the oldest for 12s (shed from 50% and 5s)
     5s pool chain: shed → tight: no connection is in dial (tight below 40% or 2s500ms)
    10s pool chain: tight → normal: no connection is in dial (normal below 15% or 2s500ms)
     0s pool chain: normal → tight: 52500 of 65536 descriptors are in use (tight from 80%)
     1s pool chain: tight → normal: 9000 of 65536 descriptors are in use (normal below 70%)
     0s pool chain: normal → shed: 980 of 1024 MiB of memory are allocated (shed from 95%)
     1s pool chain: shed → normal: 200 of 1024 MiB of memory are allocated (normal below 70%)
     0s pool chain: normal → shed: 39 of 39 descriptors are in use, beside 20 of the process's own (shed from 95%)
     1s pool chain: shed → normal: 10 of 39 descriptors are in use, beside 20 of the process's own (normal below 70%)
    ");
}

#[test]
fn a_fall_names_the_signal_that_held_the_level_last() {
    let mixed = |used, memory: u64| Readings { memory: Usage::new(memory << 20, 1000 << 20), ..open(used) };
    let seen = [(812, 0), (812, 820), (600, 820), (600, 820), (600, 820), (600, 820), (650, 690)];
    insta::assert_snapshot!(told(&mut Overload::new(options()), seen.map(|(used, memory)| mixed(used, memory))), @r"
    0s pool chain: normal → tight: 812 of 1000 connections are open (tight from 80%)
    6s pool chain: tight → normal: 690 of 1000 MiB of memory are allocated (normal below 70%)
    ");
}

#[test]
fn a_rise_names_the_signal_that_passed_its_mark_and_not_one_that_is_near_its_own() {
    let seen = Readings { dialling: 250, oldest_dial: Duration::from_secs(5), ..open(799) };
    insta::assert_snapshot!(told(&mut Overload::new(options()), [seen]), @"  0s pool chain: normal → tight: 250 of at most 1000 connections are in dial, the oldest for 5s (tight from 25% and 5s)");
}

#[test]
fn growth_is_noticed_long_before_the_limit_and_does_not_shed() {
    let mut overload = Overload::new(OverloadOptions::default());
    let rising = (0..100).map(|second| 100 + 6 * second);
    let flat = std::iter::repeat_n(694, 120);
    insta::assert_snapshot!(told(&mut overload, rising.chain(flat).map(open)), @r"
     93s pool chain: normal → tight: 658 of 1000 connections are open, and 342 more a minute reach the limit in 59s (tight within 1m, from 50% on)
    124s pool chain: tight → normal: 694 of 1000 connections are open, and 152 more a minute reach the limit in 2m (normal beyond 2m or below 40%)
    ");
}

#[test]
fn a_burst_below_half_of_the_limit_is_nobody_s_business() {
    let burst = (0..20).map(|second| open(25 * second));
    assert_eq!(told(&mut Overload::new(OverloadOptions::default()), burst), "");
}

#[test]
fn the_growth_marks_have_two_sides() {
    let seen = |used, left| {
        let trend = growth::Trend { per_minute: 1, left: Duration::from_millis(left) };
        Observed { readings: open(used), trend }.severity(Signal::Growth, &OverloadOptions::default()).level()
    };
    assert_eq!((seen(500, 60_000), seen(500, 60_001)), (Level::Tight, Level::Normal));
    assert_eq!((seen(499, 0), seen(500, 0)), (Level::Normal, Level::Tight));
}

#[test]
fn dials_count_only_while_the_oldest_has_waited_for_long() {
    let level = |dialling, oldest| {
        let mut overload = Overload::new(options());
        let oldest_dial = Duration::from_millis(oldest);
        overload.observe(&Readings { dialling, oldest_dial, ..open(600) }, Instant::now());
        overload.level()
    };
    assert_eq!((level(250, 4999), level(250, 5000)), (Level::Normal, Level::Tight));
    assert_eq!(
        (level(249, 30_000), level(499, 30_000), level(500, 30_000)),
        (Level::Normal, Level::Tight, Level::Shed)
    );
}

#[test]
fn what_has_no_limit_is_not_watched() {
    let boundless = Usage::new(u64::MAX, 0);
    let readings = Readings {
        connections: boundless,
        descriptors: boundless,
        memory: boundless,
        dialling: u64::MAX,
        oldest_dial: Duration::MAX,
        wanted: 0,
    };
    let mut overload = Overload::new(OverloadOptions::default());
    assert_eq!(told(&mut overload, [readings; 20]), "");
    assert_eq!(overload.pressure(), Pressure::default());
}

#[test]
fn what_a_rate_asks_for_lasts_its_minimum_to_the_millisecond() {
    let stay = OverloadOptions::default().least_stay.get();
    let dialling = |dialling| Readings { dialling, oldest_dial: Duration::from_secs(9), ..open(600) };
    for (later, expected) in [(900, Level::Shed), (0, Level::Normal)] {
        let (mut overload, now) = settled(Level::Normal);
        overload.observe(&dialling(300), now);
        let just_before = now + stay - Duration::from_millis(1);
        assert_eq!(overload.observe(&dialling(later), just_before), None);
        assert_eq!(overload.level(), Level::Tight);
        assert!(overload.observe(&dialling(later), now + stay).is_some());
        assert_eq!(overload.level(), expected);
    }
}

#[test]
fn the_strength_is_nothing_in_normal_and_all_at_the_shed_mark() {
    let mut overload = Overload::new(options());
    let mut at = |used, second| {
        overload.observe(&open(used), Instant::now() + Duration::from_secs(second));
        let Pressure { level, strength, signal } = overload.pressure();
        format!("{used:>4} {level:<6} {:>4} {signal}\n", strength.thousandths())
    };
    let rows =
        [(799, 0), (800, 10), (875, 20), (949, 30), (750, 40), (950, 50), (860, 60), (840, 70), (699, 80)];
    insta::assert_snapshot!(rows.map(|(used, second)| at(used, second)).concat(), @r"
    799 normal    0 connections
    800 tight     0 connections
    875 tight   500 connections
    949 tight   993 connections
    750 tight     0 connections
    950 shed   1000 connections
    860 shed    400 connections
    840 tight   266 connections
    699 normal    0 connections
    ");
}

#[test]
fn victims_are_for_one_observation_and_for_what_their_end_relieves() {
    let idle = |count| Candidate {
        id: ConnId { instance: 0, count },
        phase: Phase::Relay,
        idle: Duration::from_secs(60),
        moved: 1,
        descriptors: [None; 2],
    };
    let candidates: Vec<_> = (0..1000).map(idle).collect();
    let now = Instant::now();
    let mut overload = Overload::new(options());
    overload.observe(&open(799), now);
    assert!(overload.victims(&candidates, |_| Sent::NOTHING).is_empty(), "normal");
    assert_eq!(overload.most_victims(1000), 0, "and nobody has to be looked at");
    overload.observe(&Readings { wanted: 49, ..open(950) }, now);
    assert_eq!([0, 19, 20, 1000].map(|open| overload.most_victims(open)), [0, 0, 1, 50]);
    assert_eq!(overload.victims(&candidates, |_| Sent::NOTHING).len(), 50);
    assert!(overload.victims(&candidates, |_| Sent::NOTHING).is_empty(), "the share is for one observation");
    assert_eq!(overload.most_victims(1000), 0);
    overload.observe(&open(950), now + Duration::from_millis(999));
    assert_eq!(overload.most_victims(1000), 0, "and there is one for each second");
    overload.observe(&open(950), now + Duration::from_secs(1));
    assert_eq!(overload.most_victims(1000), 50);
    assert!(
        overload.victims(&candidates, |_| Sent::NOTHING).is_empty(),
        "nobody wants the places of those that are merely idle"
    );
    let memory = Readings { memory: Usage::new(95, 100), ..open(0) };
    overload.observe(&memory, now + Duration::from_secs(2));
    assert_eq!(overload.victims(&candidates, |_| Sent::NOTHING).len(), 50, "but memory has to be given back");
    let mut overload = Overload::new(options());
    overload.observe(&Readings { dialling: 900, oldest_dial: Duration::from_secs(9), ..open(799) }, now);
    assert_eq!(overload.level(), Level::Shed);
    assert!(overload.victims(&candidates, |_| Sent::NOTHING).is_empty(), "dials that hang are not helped");
    assert_eq!(overload.most_victims(1000), 0, "at any level");
}

#[test]
fn other_options_count_from_the_next_observation() {
    let (mut overload, now) = settled(Level::Tight);
    overload.reconfigure(OverloadOptions { connections_tight: Percent::new(90), ..options() });
    assert_eq!(overload.level(), Level::Tight);
    overload.observe(&open(799), now);
    assert_eq!(overload.level(), Level::Normal);
}

fn readings() -> impl Strategy<Value = Readings> {
    (0_u64..=1100, 0_u64..=600, 0_u64..=10_000, 0_u64..=1000, 0_u64..=1000).prop_map(
        |(used, dialling, oldest, fds, mem)| Readings {
            dialling,
            oldest_dial: Duration::from_millis(oldest),
            descriptors: Usage::new(fds, 1000),
            memory: Usage::new(mem, 1000),
            ..open(used)
        },
    )
}

/// The greater of each.
fn join(a: Readings, b: Readings) -> Readings {
    let greater = |a: Usage, b: Usage| Usage::new(a.used.max(b.used), a.limit);
    Readings {
        connections: greater(a.connections, b.connections),
        dialling: a.dialling.max(b.dialling),
        oldest_dial: a.oldest_dial.max(b.oldest_dial),
        descriptors: greater(a.descriptors, b.descriptors),
        memory: greater(a.memory, b.memory),
        wanted: 0,
    }
}

/// Whether what is told as read passes the mark that is told with it.
fn passes(change: &Change) -> bool {
    match (change.value, change.threshold) {
        (
            Value::Connections(used) | Value::Descriptors(used) | Value::Memory(used),
            Threshold::Share(mark),
        ) => used.reaches(mark),
        (Value::Dialling { waiting, oldest }, Threshold::Waiting(mark, age)) => {
            waiting.reaches(mark) && oldest >= age.get()
        }
        (Value::Growth { left, open, .. }, Threshold::Within(time, mark)) => {
            left <= time.get() && open.reaches(mark)
        }
        (value, mark) => panic!("{value:?} has no mark like {mark:?}"),
    }
}

proptest! {
    #[test]
    fn a_change_names_what_has_passed_its_mark(
        seen in prop::collection::vec((readings(), 0_u64..3000), 1..200), stay in 1_u64..=20
    ) {
        let stay = Bound::secs(stay);
        let mut overload = Overload::new(OverloadOptions { least_stay: stay, ..OverloadOptions::default() });
        let mut now = Instant::now();
        for (readings, wait) in seen {
            now += Duration::from_millis(wait);
            let before = overload.level();
            let Some(change) = overload.observe(&readings, now) else {
                prop_assert_eq!(overload.level(), before);
                continue;
            };
            prop_assert_eq!((change.from, change.to), (before, overload.level()));
            prop_assert_eq!(passes(&change), change.to > change.from, "{}", change);
        }
    }

    #[test]
    fn rates_never_flap(
        seen in prop::collection::vec((0_u64..=600, 0_u64..=10_000, 0_u64..3000), 1..200), stay in 1_u64..=20
    ) {
        let stay = Bound::secs(stay);
        let mut overload = Overload::new(OverloadOptions { least_stay: stay, ..OverloadOptions::default() });
        let start = Instant::now();
        let (mut now, mut last, mut changes) = (start, None::<Instant>, 0);
        for (dialling, oldest, wait) in seen {
            now += Duration::from_millis(wait);
            let oldest_dial = Duration::from_millis(oldest);
            let Some(change) = overload.observe(&Readings { dialling, oldest_dial, ..open(600) }, now) else {
                continue;
            };
            prop_assert!(change.to >= change.from.milder(), "down goes one step at a time");
            prop_assert!(last.is_none_or(|last| now - last >= stay.get()));
            (last, changes) = (Some(now), changes + 1);
        }
        prop_assert!(changes <= 1 + (now - start).as_millis() / stay.get().as_millis());
    }

    #[test]
    fn a_reading_that_oscillates_around_a_mark_changes_the_level_once(
        mark in prop::sample::select(vec![800_u64, 950]),
        swings in prop::collection::vec(0_u64..=99, 2..100),
    ) {
        let mut overload = Overload::new(options());
        let around = swings.into_iter().map(|swing| open(mark - swing)).chain([open(mark)]);
        let twice: Vec<_> = around.clone().chain(around).collect();
        let slow = twice.into_iter().flat_map(|readings| [readings; 6]);
        let changes = told(&mut overload, slow);
        // To shed it may go through tight.
        prop_assert!(changes.lines().count() <= if mark == 800 { 1 } else { 2 }, "{}", changes);
    }

    #[test]
    fn worse_readings_never_lead_to_a_milder_level(
        past in prop::collection::vec(readings(), 0..5), here in readings(), more in readings()
    ) {
        let start = Instant::now();
        let reached = |last: Readings| {
            let mut overload = Overload::new(OverloadOptions::default());
            let mut now = start;
            for readings in past.iter().chain([&last]) {
                now += Duration::from_secs(10);
                overload.observe(readings, now);
            }
            overload.pressure()
        };
        let (mild, bad) = (reached(here), reached(join(here, more)));
        prop_assert!((mild.level, mild.strength) <= (bad.level, bad.strength), "{:?} {:?}", mild, bad);
    }
}
