//! Several targets, and several addresses of a name, on a paused clock.

use std::net::IpAddr;

use super::*;

/// The gate and the outcome of a dial to targets that do this.
async fn raced(script: &[Does], gate: &Ledger, within: Bound) -> (Result<usize, DialError>, Duration) {
    let ports = 1..=u16::try_from(script.len()).unwrap();
    let targets: Vec<_> = ports.clone().map(|port| TargetAddr::Ip(addr(port))).collect();
    let dialer = Script(ports.map(|port| Endpoint::Ip(addr(port))).zip(script.iter().copied()).collect());
    let (resolver, started) = (Resolver::fixed([]), Instant::now());
    let outcome = reach(&dialer, &resolver, &targets, gate, within).await;
    (outcome.map(|dialled| dialled.nth), started.elapsed())
}

#[tokio::test(start_paused = true)]
async fn who_is_merely_slow_goes_on_and_may_win_yet() {
    let gate = Ledger::default();
    let slow = [Does::Accepts(2 * SECOND), Does::Accepts(10 * SECOND), Does::Nothing];
    let (nth, took) = raced(&slow, &gate, Bound::secs(9)).await;
    assert_eq!((nth.unwrap(), took), (0, 2 * SECOND));
    assert_eq!(gate.outcomes.into_inner(), [(0, true)], "nobody else is blamed");
    assert!(gate.overtaken.into_inner().is_empty(), "whoever began later was overtaken by nobody");
}

#[tokio::test(start_paused = true)]
async fn who_is_overtaken_is_told_so_and_has_not_failed() {
    let gate = Ledger::default();
    let (nth, took) = raced(&[Does::Nothing, AT_ONCE], &gate, Bound::secs(9)).await;
    assert_eq!((nth.unwrap(), took), (1, STAGGER));
    assert_eq!((gate.outcomes.into_inner(), gate.overtaken.into_inner()), (vec![(1, true)], vec![0]));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_shorter_than_the_usual_head_start_is_shared_among_all_that_are_left() {
    let millis = Duration::from_millis;
    let dead_but_the_last = |count: usize| {
        let mut script = vec![Does::Nothing; count];
        script[count - 1] = Does::Accepts(millis(1));
        script
    };
    for (count, within, took) in [(2, 200, 101), (3, 240, 161), (4, 100, 76), (2, 20, 11)] {
        let gate = Ledger::default();
        let (nth, elapsed) = raced(&dead_but_the_last(count), &gate, Bound::millis(within)).await;
        assert_eq!((nth.unwrap(), elapsed), (count - 1, millis(took)), "{count} targets in {within} ms");
    }
    // So it is where all of them have failed before, and each takes leave first.
    let closed = vec![(0, Closed::Breaker(Some(SECOND))), (1, Closed::Breaker(Some(SECOND)))];
    let gate = Ledger { closed, yields: Some(Duration::ZERO), ..Ledger::default() };
    let (nth, elapsed) = raced(&dead_but_the_last(2), &gate, Bound::millis(200)).await;
    assert_eq!((nth.unwrap(), elapsed), (1, millis(101)));
    // And where the dead one is an address of a name.
    let (resolver, _) = pair();
    let dialer = Script([(numbered(2), AT_ONCE)].into());
    let target = [TargetAddr::Name("pair.test".into(), 80)];
    let dialled = reach(&dialer, &resolver, &target, &AllOpen, Bound::millis(200)).await.unwrap();
    assert_eq!(dialled.endpoint, numbered(2));
}

#[tokio::test(start_paused = true)]
async fn no_more_than_four_are_tried_at_once_and_each_has_its_time() {
    let mut script = [Does::Nothing; 12];
    script[11] = AT_ONCE;
    let gate = Ledger::default();
    let (nth, took) = raced(&script, &gate, Bound::secs(9)).await;
    assert_eq!(nth.unwrap(), 11);
    assert!(took > 2 * STAGGER * 4 && took < 9 * SECOND, "{took:?}");
    let failed = gate.outcomes.into_inner().iter().filter(|(_, reached)| !reached).count();
    assert!(failed >= 8, "those who had their share have failed: {failed}");
}

#[tokio::test(start_paused = true)]
async fn with_nobody_else_left_a_target_that_failed_before_is_tried_all_the_same() {
    let closed = || vec![(0, Closed::Breaker(Some(SECOND)))];
    for (script, expected) in [([AT_ONCE, Does::Refuses], 0), ([AT_ONCE, AT_ONCE], 1)] {
        let gate = Ledger { closed: closed(), yields: Some(Duration::ZERO), ..Ledger::default() };
        let (nth, took) = raced(&script, &gate, Bound::secs(9)).await;
        assert_eq!((nth.unwrap(), took), (expected, Duration::ZERO));
    }
    let gate = Ledger { closed: closed(), yields: Some(SECOND / 2), ..Ledger::default() };
    let (nth, took) = raced(&[AT_ONCE], &gate, Bound::secs(9)).await;
    assert_eq!((nth.unwrap(), took), (0, SECOND / 2), "somebody else's answer is waited for");
    let gate = Ledger { closed: closed(), yields: Some(9 * SECOND), ..Ledger::default() };
    let (nth, took) = raced(&[AT_ONCE], &gate, Bound::secs(9)).await;
    assert_eq!(took, SECOND, "for a moment");
    insta::assert_snapshot!(nth.unwrap_err(), @"cannot connect to 127.0.0.1:1: skipped: it failed too often, it is being tried");
}

#[tokio::test(start_paused = true)]
async fn of_several_that_failed_before_a_silent_one_holds_up_the_next_for_a_moment_only() {
    let closed = || (0..3).map(|n| (n, Closed::Breaker(Some(SECOND)))).collect();
    let gate = Ledger { closed: closed(), yields: Some(Duration::ZERO), ..Ledger::default() };
    let (nth, took) = raced(&[Does::Nothing, Does::Nothing, AT_ONCE], &gate, Bound::secs(9)).await;
    assert_eq!((nth.unwrap(), took), (2, 2 * STAGGER));
    // And beside one that did not fail, but says nothing.
    let gate = Ledger {
        closed: vec![(0, Closed::Breaker(None))],
        yields: Some(Duration::ZERO),
        ..Ledger::default()
    };
    let (nth, took) = raced(&[AT_ONCE, Does::Nothing], &gate, Bound::secs(9)).await;
    assert_eq!((nth.unwrap(), took), (0, STAGGER));
    // Each is tried once, whoever waits for whom.
    let gate = Ledger { closed: closed(), yields: Some(SECOND / 2), ..Ledger::default() };
    let (nth, _) = raced(&[Does::Refuses; 3], &gate, Bound::secs(9)).await;
    assert_eq!(nth.unwrap_err().attempts.len(), 3);
    let mut tried = gate.outcomes.into_inner();
    tried.sort_unstable();
    assert_eq!(tried, [(0, false), (1, false), (2, false)]);
}

/// A resolver that says that `pair.test` is 127.0.0.1 and 127.0.0.2, and then, if it is asked again, 127.0.0.3.
fn pair() -> (Resolver, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counts = std::sync::Arc::clone(&asked);
    let resolver = Resolver::new(tokio::runtime::Handle::current(), ResolverOptions::default(), move |_| {
        let first = counts.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        let last: &[u8] = if first { &[1, 2] } else { &[3] };
        let addrs = last.iter().map(|last| [127, 0, 0, *last].into()).collect();
        Box::pin(async move { Ok(addrs) })
    });
    (resolver, asked)
}

fn numbered(last: u8) -> Endpoint {
    Endpoint::Ip(([127, 0, 0, last], 80).into())
}

#[tokio::test(start_paused = true)]
async fn a_dead_address_of_a_name_costs_one_dial_a_moment_and_the_next_ones_nothing() {
    let (resolver, _) = pair();
    let dialer = Script([(numbered(2), AT_ONCE)].into());
    let target = [TargetAddr::Name("pair.test".into(), 80)];
    for expected in [STAGGER, Duration::ZERO, Duration::ZERO] {
        let started = Instant::now();
        let dialled = reach(&dialer, &resolver, &target, &AllOpen, Bound::secs(30)).await.unwrap();
        assert_eq!((dialled.endpoint, started.elapsed()), (numbered(2), expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_all_of_whose_addresses_refuse_is_looked_up_again() {
    let (resolver, asked) = pair();
    let dialer =
        Script([(numbered(1), Does::Refuses), (numbered(2), Does::Refuses), (numbered(3), AT_ONCE)].into());
    let target = [TargetAddr::Name("pair.test".into(), 80)];
    let dial = async || reach(&dialer, &resolver, &target, &AllOpen, Bound::secs(30)).await;
    let error = dial().await.unwrap_err();
    insta::assert_snapshot!(error, @"cannot connect to any of 2 addresses: pair.test:80 (127.0.0.1:80): connection refused after 0.000s; pair.test:80 (127.0.0.2:80): connection refused after 0.000s");
    dial().await.unwrap_err();
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 1, "not more than once a second");
    tokio::time::sleep(SECOND).await;
    assert_eq!(dial().await.unwrap().endpoint, numbered(3));
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_doubt_is_used_while_there_is_time_to_dial_it() {
    let resolver = answers_once();
    let target = [TargetAddr::Name("be.test".into(), 80)];
    let dial = async |does, within| {
        reach(&Script([(numbered(1), does)].into()), &resolver, &target, &AllOpen, within).await
    };
    dial(Does::Refuses, Bound::secs(1)).await.unwrap_err();
    tokio::time::sleep(2 * SECOND).await;
    let started = Instant::now();
    assert_eq!(dial(AT_ONCE, Bound::millis(500)).await.unwrap().endpoint, numbered(1));
    assert_eq!(started.elapsed().as_millis(), 250, "half of the time is for the new one");
}

/// A gate that has more targets than the list.
struct Further(Vec<TargetAddr>);

impl Gate for Further {
    type Ticket = ();
    type Pass = ();

    fn enter(&self, _: usize) -> Result<(), Closed> {
        Ok(())
    }

    fn reached(&self, (): ()) {}

    fn failed(&self, (): (), _: &DialErrorKind, _: &[IpAddr]) {}

    fn further(&self, n: usize) -> Option<TargetAddr> {
        self.0.get(n - 1).cloned()
    }

    fn left(&self, n: usize) -> usize {
        (self.0.len() + 1).saturating_sub(n).min(15)
    }
}

/// One in the list and so many beyond it, of which only the last accepts; the others do this.
async fn reach_the_last(further: u16, others: Does, within: Bound) -> (Result<usize, DialError>, Duration) {
    let does = |port| if port == further + 1 { AT_ONCE } else { others };
    let dialer = Script((1..=further + 1).map(|port| (Endpoint::Ip(addr(port)), does(port))).collect());
    let gate = Further((2..=further + 1).map(|port| TargetAddr::Ip(addr(port))).collect());
    let (resolver, started) = (Resolver::fixed([]), Instant::now());
    let outcome = reach(&dialer, &resolver, &[TargetAddr::Ip(addr(1))], &gate, within).await;
    (outcome.map(|dialled| dialled.nth), started.elapsed())
}

#[tokio::test(start_paused = true)]
async fn whoever_the_gate_has_beyond_the_list_is_reached_and_the_silent_leave_time_for_the_next() {
    let within = Bound::secs(30);
    let (nth, took) = reach_the_last(999, Does::Refuses, within).await;
    assert_eq!((nth.unwrap(), took), (999, Duration::ZERO));
    let (nth, took) = reach_the_last(60, Does::Nothing, within).await;
    assert!(nth.unwrap() == 60 && took < within.get(), "{took:?}");
    let (nth, took) = reach_the_last(0, Does::Nothing, within).await;
    assert_eq!((nth.unwrap(), took), (0, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn of_those_beyond_the_list_each_that_failed_is_named() {
    let gate = Further(vec![TargetAddr::Ip(addr(2))]);
    let dialer = Script([1, 2].map(|port| (Endpoint::Ip(addr(port)), Does::Refuses)).into());
    let targets = [TargetAddr::Ip(addr(1))];
    let error = reach(&dialer, &Resolver::fixed([]), &targets, &gate, Bound::secs(1)).await.unwrap_err();
    assert_eq!(error.attempts.iter().map(|one| one.target.port()).collect::<Vec<_>>(), [1, 2]);
}
