//! The breaker on a clock made by hand, against a model, and under many threads.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;

use proptest::prelude::*;
use proxy_core::Bound;

use super::*;

const MS: Duration = Duration::from_millis(1);
const COOL_DOWN: Duration = Duration::from_secs(10);

fn admitted(breaker: &TargetBreaker, now: Instant) -> Ticket {
    breaker.admit(now).ticket().expect("it is closed, or a probe is due")
}

fn failed(breaker: &TargetBreaker, times: u32, now: Instant) -> Option<Change> {
    (0..times).fold(None, |_, _| admitted(breaker, now).failed(now))
}

/// A breaker that has just opened.
fn open(now: Instant) -> TargetBreaker {
    let breaker = TargetBreaker::new(BreakerOptions::default());
    assert!(failed(&breaker, 5, now).is_some());
    breaker
}

fn answer(breaker: &TargetBreaker, now: Instant) -> String {
    match breaker.admit(now) {
        Admission::Closed(_) => "go".into(),
        Admission::Probe(_) => "probe".into(),
        Admission::Open { retry_in: Some(rest) } => format!("skip for {rest:?}"),
        Admission::Open { retry_in: None } => "skip while another probes".into(),
    }
}

#[test]
fn the_last_failure_of_the_row_opens_it_and_a_success_begins_the_row_anew() {
    let (breaker, now) = (TargetBreaker::new(BreakerOptions::default()), Instant::now());
    assert_eq!(failed(&breaker, 4, now), None);
    assert_eq!(admitted(&breaker, now).succeeded(), None);
    assert_eq!(failed(&breaker, 4, now), None);
    assert_eq!(breaker.view(now).failures_in_a_row, 4);
    drop(admitted(&breaker, now));
    assert_eq!(breaker.view(now).failures_in_a_row, 4, "no verdict");
    let change = failed(&breaker, 1, now).unwrap();
    insta::assert_snapshot!(change, @"closed → open: 5 dials failed in a row, left alone for 10s");
    let view =
        BreakerView { state: BreakerState::Open, failures_in_a_row: 5, opened: 1, retry_in: COOL_DOWN };
    assert_eq!(breaker.view(now), view);
}

#[test]
fn a_probe_is_admitted_when_the_cool_down_is_over_and_not_a_millisecond_before() {
    let start = Instant::now();
    let breaker = open(start);
    assert_eq!(answer(&breaker, start), "skip for 10s");
    assert_eq!(answer(&breaker, start + COOL_DOWN - MS), "skip for 1ms");
    assert_eq!(breaker.view(start + COOL_DOWN).state, BreakerState::Open, "nobody has asked");
    let Admission::Probe(_probe) = breaker.admit(start + COOL_DOWN) else { panic!("a probe is due") };
    assert_eq!(breaker.view(start + COOL_DOWN).state, BreakerState::HalfOpen);
    assert_eq!(answer(&breaker, start + COOL_DOWN * 99), "skip while another probes");
}

#[test]
fn a_probe_that_leaves_without_a_word_frees_its_place_at_once() {
    let start = Instant::now();
    let (breaker, due) = (open(start), start + COOL_DOWN);
    for _ in 0..3 {
        let probe = breaker.admit(due);
        assert!(matches!(probe, Admission::Probe(_)));
        assert_eq!(answer(&breaker, due), "skip while another probes");
        drop(probe);
        assert_eq!(breaker.view(due).state, BreakerState::Open);
    }
    let change = admitted(&breaker, due).failed(due).unwrap();
    assert_eq!(change.cool_down, Some(Bound::secs(20)), "leaving does not double it");
}

#[test]
fn every_change_has_its_words_and_the_cool_down_doubles_until_it_closes() {
    let (breaker, mut now) = (TargetBreaker::new(BreakerOptions::default()), Instant::now());
    let mut told = String::new();
    for _round in 0..2 {
        let mut change = failed(&breaker, 5, now).unwrap();
        writeln!(told, "target 10.0.0.1:80: {change}").unwrap();
        for probe in 1..=6 {
            now += change.cool_down.expect("it is open").get();
            let ticket = admitted(&breaker, now);
            change = if probe < 6 { ticket.failed(now) } else { ticket.succeeded() }.unwrap();
            writeln!(told, "target 10.0.0.1:80: {change}").unwrap();
        }
    }
    insta::assert_snapshot!(told, @r"
    target 10.0.0.1:80: closed → open: 5 dials failed in a row, left alone for 10s
    target 10.0.0.1:80: half-open → open: the probe failed, left alone for another 20s
    target 10.0.0.1:80: half-open → open: the probe failed, left alone for another 40s
    target 10.0.0.1:80: half-open → open: the probe failed, left alone for another 1m20s
    target 10.0.0.1:80: half-open → open: the probe failed, left alone for another 2m
    target 10.0.0.1:80: half-open → open: the probe failed, left alone for another 2m
    target 10.0.0.1:80: half-open → closed: the probe succeeded, after 10 failures in a row
    target 10.0.0.1:80: closed → open: 5 dials failed in a row, left alone for 10s
    target 10.0.0.1:80: half-open → open: the probe failed, left alone for another 20s
    target 10.0.0.1:80: half-open → open: the probe failed, left alone for another 40s
    target 10.0.0.1:80: half-open → open: the probe failed, left alone for another 1m20s
    target 10.0.0.1:80: half-open → open: the probe failed, left alone for another 2m
    target 10.0.0.1:80: half-open → open: the probe failed, left alone for another 2m
    target 10.0.0.1:80: half-open → closed: the probe succeeded, after 10 failures in a row
    ");
    let view = BreakerView {
        state: BreakerState::Closed,
        failures_in_a_row: 0,
        opened: 2,
        retry_in: Duration::ZERO,
    };
    assert_eq!(breaker.view(now), view);
}

#[test]
fn who_has_nobody_else_to_go_to_is_the_probe_before_its_time() {
    let start = Instant::now();
    let breaker = open(start);
    for _ in 0..3 {
        let mut first = tokio_test::task::spawn(breaker.insist());
        let probe = tokio_test::assert_ready!(first.poll()).and_then(Admission::ticket).unwrap();
        let mut second = tokio_test::task::spawn(breaker.insist());
        tokio_test::assert_pending!(second.poll(), "one at a time");
        assert_eq!(
            probe.failed(start + MS),
            None,
            "nothing new: the cool-down is what it was, and no line is written"
        );
        assert!(second.is_woken());
        assert!(tokio_test::assert_ready!(second.poll()).is_none(), "the first has asked for both");
        assert_eq!(answer(&breaker, start + MS), "skip for 9.999s", "not for who may go elsewhere");
    }
    assert_eq!(breaker.view(start).failures_in_a_row, 8);
    let mut first = tokio_test::task::spawn(breaker.insist());
    let probe = tokio_test::assert_ready!(first.poll()).and_then(Admission::ticket).unwrap();
    let mut others: Vec<_> = (0..3).map(|_| tokio_test::task::spawn(breaker.insist())).collect();
    others.iter_mut().for_each(|other| assert!(other.poll().is_pending()));
    insta::assert_snapshot!(probe.succeeded().unwrap(), @"half-open → closed: the probe succeeded, after 8 failures in a row");
    for mut other in others {
        assert!(matches!(tokio_test::assert_ready!(other.poll()), Some(Admission::Closed(_))));
    }
}

#[test]
fn a_probe_that_leaves_makes_one_of_those_who_wait_the_next() {
    let breaker = open(Instant::now());
    let mut first = tokio_test::task::spawn(breaker.insist());
    let probe = tokio_test::assert_ready!(first.poll()).unwrap();
    let mut others = [(); 2].map(|()| tokio_test::task::spawn(breaker.insist()));
    others.iter_mut().for_each(|other| assert!(other.poll().is_pending()));
    drop(probe);
    let [next, last] = &mut others;
    let held = tokio_test::assert_ready!(next.poll());
    assert!(matches!(held, Some(Admission::Probe(_))));
    tokio_test::assert_pending!(last.poll());
}

#[test]
fn who_is_found_in_order_is_dialled_again_whatever_a_probe_under_way_says() {
    let now = Instant::now();
    let breaker = open(now);
    let probe = admitted(&breaker, now + COOL_DOWN);
    insta::assert_snapshot!(breaker.recovered().unwrap(), @"half-open → closed: the probe succeeded, after 5 failures in a row");
    assert_eq!(probe.failed(now + COOL_DOWN), None);
    assert_eq!((answer(&breaker, now), breaker.recovered()), ("go".into(), None));
    let breaker = open(now);
    insta::assert_snapshot!(breaker.moved().unwrap(), @"open → closed: its name has other addresses than those of the 5 failures");
    assert_eq!(breaker.view(now).failures_in_a_row, 0);
}

#[test]
fn verdicts_of_yesterday_change_nothing() {
    let start = Instant::now();
    let breaker = TargetBreaker::new(BreakerOptions::default());
    let mut old: Vec<_> = (0..4).map(|_| admitted(&breaker, start)).collect();
    failed(&breaker, 5, start).unwrap();
    let opened = breaker.view(start);
    assert_eq!(old.pop().unwrap().failed(start + MS), None);
    assert_eq!(old.pop().unwrap().succeeded(), None);
    assert_eq!(breaker.view(start), opened);
    let probe = admitted(&breaker, start + COOL_DOWN);
    assert_eq!(old.pop().unwrap().succeeded(), None);
    drop(old.pop());
    assert_eq!(breaker.view(start).state, BreakerState::HalfOpen, "only the probe's word counts");
    assert!(probe.succeeded().is_some());
}

#[test]
fn never_two_probes_at_once_whoever_asks() {
    let start = Instant::now();
    let breaker = open(start);
    let (clock, probing, probes) = (AtomicU64::new(10_000), AtomicUsize::new(0), AtomicUsize::new(0));
    let at = |ms: u64| start + MS * u32::try_from(ms).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let (breaker, clock, probing, probes) = (breaker.clone(), &clock, &probing, &probes);
            scope.spawn(move || {
                for round in 0..5_000 {
                    let now = at(clock.fetch_add(7, Ordering::Relaxed));
                    let Admission::Probe(ticket) = breaker.admit(now) else { continue };
                    assert_eq!(probing.fetch_add(1, Ordering::SeqCst), 0, "two probes at once");
                    probes.fetch_add(1, Ordering::Relaxed);
                    std::thread::yield_now();
                    assert_eq!(probing.fetch_sub(1, Ordering::SeqCst), 1);
                    match (thread + round) % 3 {
                        0 => drop(ticket),
                        _ => drop(ticket.failed(now)),
                    }
                }
            });
        }
    });
    assert!(probes.into_inner() > 1);
    assert_ne!(breaker.view(at(0)).state, BreakerState::HalfOpen, "every probe has told or left");
}

#[derive(Debug, Clone)]
enum Step {
    Ask,
    Succeed(prop::sample::Index),
    Fail(prop::sample::Index),
    Leave(prop::sample::Index),
    Insist,
    Recover,
    Wait(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Ask),
        1 => any::<prop::sample::Index>().prop_map(Step::Succeed),
        4 => any::<prop::sample::Index>().prop_map(Step::Fail),
        1 => any::<prop::sample::Index>().prop_map(Step::Leave),
        1 => Just(Step::Insist),
        1 => Just(Step::Recover),
        2 => (1_u32..15_000).prop_map(Step::Wait),
    ]
}

/// What a breaker should be, as a person would keep it on paper: milliseconds, and a mark on every ticket that is void.
#[derive(Default)]
struct Model {
    now: u64,
    row: u32,
    open: Option<Cooling>,
    opened: u64,
}

struct Cooling {
    until: u64,
    lasts: u64,
    probing: bool,
}

struct Held {
    ticket: Ticket,
    probe: bool,
    void: bool,
}

impl Model {
    /// Whether to admit, and whether as a probe.
    fn ask(&mut self) -> Option<bool> {
        match &mut self.open {
            None => Some(false),
            Some(open) if open.probing || self.now < open.until => None,
            Some(open) => {
                open.probing = true;
                Some(true)
            }
        }
    }

    /// The same for one who has nobody else to go to.
    fn insist(&mut self) -> Option<bool> {
        match &mut self.open {
            None => Some(false),
            Some(open) if open.probing => None,
            Some(open) => {
                open.probing = true;
                Some(true)
            }
        }
    }

    /// Whether the state changed.
    fn succeed(&mut self, void: bool) -> bool {
        if void {
            return false;
        }
        self.row = 0;
        self.open.take().is_some()
    }

    fn fail(&mut self, void: bool, options: &BreakerOptions) -> bool {
        if void {
            return false;
        }
        self.row += 1;
        if let Some(open) = self.open.as_mut().filter(|open| self.now < open.until) {
            open.probing = false;
            return false;
        }
        let millis = |bound: Bound| u64::try_from(bound.get().as_millis()).unwrap();
        let lasts = match &self.open {
            Some(open) => (open.lasts * 2).min(millis(options.longest_cool_down)),
            None if self.row < options.failures_in_a_row.get() => return false,
            None => {
                self.opened += 1;
                millis(options.cool_down)
            }
        };
        self.open = Some(Cooling { until: self.now + lasts, lasts, probing: false });
        true
    }

    fn leave(&mut self, held: &Held) {
        if let Some(open) = self.open.as_mut().filter(|_| held.probe && !held.void) {
            open.probing = false;
        }
    }

    fn state(&self) -> BreakerState {
        match &self.open {
            None => BreakerState::Closed,
            Some(open) if open.probing => BreakerState::HalfOpen,
            Some(_) => BreakerState::Open,
        }
    }
}

proptest! {
    #[test]
    fn it_does_what_the_model_does(steps in prop::collection::vec(step(), 1..300)) {
        let options = BreakerOptions::default();
        let (breaker, start) = (TargetBreaker::new(options), Instant::now());
        let (mut model, mut tickets) = (Model::default(), Vec::<Held>::new());
        for step in steps {
            let now = start + Duration::from_millis(model.now);
            let (some, before) = (!tickets.is_empty(), model.state());
            match step {
                Step::Ask => {
                    let admission = breaker.admit(now);
                    let probe = matches!(admission, Admission::Probe(_));
                    let ticket = admission.ticket();
                    prop_assert_eq!(ticket.is_some().then_some(probe), model.ask());
                    tickets.extend(ticket.map(|ticket| Held { ticket, probe, void: false }));
                }
                Step::Succeed(which) if some => {
                    let held = tickets.swap_remove(which.index(tickets.len()));
                    prop_assert_eq!(held.ticket.succeeded().is_some(), model.succeed(held.void));
                }
                Step::Fail(which) if some => {
                    let held = tickets.swap_remove(which.index(tickets.len()));
                    prop_assert_eq!(held.ticket.failed(now).is_some(), model.fail(held.void, &options));
                }
                Step::Leave(which) if some => model.leave(&tickets.swap_remove(which.index(tickets.len()))),
                Step::Succeed(_) | Step::Fail(_) | Step::Leave(_) => {}
                Step::Insist => {
                    let mut insisting = tokio_test::task::spawn(breaker.insist());
                    match insisting.poll() {
                        Poll::Pending => prop_assert_eq!(None, model.insist()),
                        Poll::Ready(admission) => {
                            let admission = admission.unwrap();
                            let probe = matches!(admission, Admission::Probe(_));
                            prop_assert_eq!(Some(probe), model.insist());
                            tickets.extend(admission.ticket().map(|ticket| Held { ticket, probe, void: false }));
                        }
                    }
                }
                Step::Recover => prop_assert_eq!(breaker.recovered().is_some(), model.succeed(false)),
                Step::Wait(ms) => model.now += u64::from(ms),
            }
            // Every ticket that was out when the breaker opened or closed is void.
            if model.state() != before && !(model.state() == BreakerState::HalfOpen) {
                tickets.iter_mut().for_each(|held| held.void = true);
            }
            let view = breaker.view(now);
            prop_assert_eq!((view.state, view.failures_in_a_row, view.opened), (model.state(), model.row, model.opened));
            let live_probes = tickets.iter().filter(|held| held.probe && !held.void).count();
            prop_assert_eq!(live_probes, usize::from(view.state == BreakerState::HalfOpen));
        }
    }
}

#[test]
fn other_options_hold_from_the_next_failure_on_and_change_no_state() {
    let now = Instant::now();
    let breaker = open(now);
    let options = BreakerOptions { cool_down: Bound::secs(1), ..BreakerOptions::default() };
    breaker.set_options(options);
    assert_eq!(answer(&breaker, now), "skip for 10s", "the cool-down that has begun");
    admitted(&breaker, now + COOL_DOWN).succeeded();
    let change = failed(&breaker, 5, now + COOL_DOWN).unwrap();
    insta::assert_snapshot!(change, @"closed → open: 5 dials failed in a row, left alone for 1s");
}
