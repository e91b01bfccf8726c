//! Checks of members on an in-memory network and a paused clock.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use proxy_conn::{DeadlineKind, Jitter, Phase, Role};
use proxy_core::mem::{MemNet, MemStream};
use proxy_core::stream::{read, write_all};
use proxy_core::{Bound, Destination, Listen, Stream};
use tokio::task::JoinSet;

use super::*;
use crate::group::Group;
use crate::health::{CheckKind, HealthCause, HealthOptions, HealthState, Outcome};
use crate::kept::Kept;
use crate::options::{GroupOptions, MemberOptions};
use crate::recovery::{Unhealthy, check};

/// What a backend does with whoever connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    Silent,
    Resets,
    Closes,
}

/// Backends, their proxy's checks, and what these have told.
struct World {
    net: MemNet,
    group: Group,
    unhealthy: Arc<Unhealthy>,
    tracker: Arc<Tracker>,
    kept: Kept,
    turns: Arc<Mutex<Vec<String>>>,
    moods: Vec<Arc<Mutex<Mood>>>,
    connected: Arc<AtomicUsize>,
    running: JoinSet<()>,
}

fn addr(nth: u16) -> SocketAddr {
    ([127, 0, 0, 1], 9000 + nth).into()
}

fn text() -> CheckOptions {
    let kind = CheckKind::Text { send: "hello\n".into(), expect: "ok".into() };
    CheckOptions::default().kind(kind).jitter(Jitter::default())
}

fn options(check: CheckOptions) -> GroupOptions {
    GroupOptions::default().health(HealthOptions::default().check(Some(Arc::new(check))))
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl World {
    fn new(members: u16, options: &GroupOptions) -> Self {
        Self::serving(members, members, options)
    }

    /// One whose last members are not there.
    fn serving(members: u16, served: u16, options: &GroupOptions) -> Self {
        let (net, unhealthy, kept) = (MemNet::default(), Arc::<Unhealthy>::default(), Kept::default());
        let group = group(members, options, &kept, &unhealthy);
        let tracker = Tracker::new(1, ());
        let (turns, connected) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let mut running = JoinSet::new();
        let told = Arc::clone(&turns);
        let turned = move |turn: &Turn<'_>| {
            told.lock().push(format!("{} of {} {:?}", turn.member.name, turn.group, turn.to));
        };
        let (dialer, resolver) = (net.clone(), Resolver::fixed([]));
        let (all, quit) = (Arc::clone(&unhealthy), CancellationToken::new());
        running.spawn(check(all, dialer, resolver, Arc::clone(&tracker), turned, quit));
        let moods = (0..members).map(|_| Arc::new(Mutex::new(Mood::Well))).collect();
        let mut world = Self { net, group, unhealthy, tracker, kept, turns, moods, connected, running };
        (0..served).for_each(|nth| world.serve(nth));
        world
    }

    fn serve(&mut self, nth: u16) {
        let listener = self.net.listen(addr(nth));
        let (mood, connected) = (Arc::clone(&self.moods[usize::from(nth)]), Arc::clone(&self.connected));
        self.running.spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                connected.fetch_add(1, Ordering::Relaxed);
                let mood = *mood.lock();
                match mood {
                    Mood::Well => answer(stream).await,
                    Mood::Silent => held.push(stream),
                    Mood::Resets => drop(stream),
                    Mood::Closes => {
                        let _heard = read(&stream, &mut [0; 64]).await;
                        stream.finish();
                    }
                }
            }
        });
    }

    fn set(&self, nth: usize, mood: Mood) {
        *self.moods[nth].lock() = mood;
    }

    /// The same members under other options, as after a reload.
    fn reload(&self, options: &GroupOptions) -> Group {
        group(u16::try_from(self.moods.len()).unwrap(), options, &self.kept, &self.unhealthy)
    }

    fn state(&self, nth: usize) -> HealthState {
        self.group.nth(nth).unwrap().health.view().state
    }

    /// How long it takes until the member is up, or is not.
    async fn until(&self, nth: usize, up: bool) -> Duration {
        let began = Instant::now();
        while self.group.nth(nth).unwrap().health.is_up() != up {
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert!(began.elapsed() < secs(60), "{:?}", self.state(nth));
        }
        began.elapsed()
    }
}

fn group(members: u16, options: &GroupOptions, kept: &Kept, unhealthy: &Arc<Unhealthy>) -> Group {
    let targets = (0..members).map(|nth| MemberOptions::new(addr(nth).to_string().parse().unwrap()));
    let group = Group::new("redis".into(), targets, options.clone(), kept, unhealthy);
    group.take_force();
    group
}

async fn answer(stream: MemStream) {
    let mut buf = [0; 64];
    if read(&stream, &mut buf).await.is_ok_and(|n| n > 0) && write_all(&stream, b"ok\n").await.is_ok() {
        // The other end comes first, as real servers have it.
        if read(&stream, &mut buf).await.is_ok() {
            stream.finish();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_becomes_silent_is_down_within_two_intervals_and_up_within_one() {
    let world = World::new(2, &options(text()));
    tokio::time::sleep(secs(10)).await;
    assert_eq!([0, 1].map(|nth| world.state(nth)), [HealthState::Up; 2]);
    world.set(0, Mood::Silent);
    assert!(world.until(0, false).await < secs(4));
    let view = world.group.nth(0).unwrap().health.view();
    assert_eq!(
        view.finding.map(|found| found.to_string()).unwrap(),
        "it took the connection, and gave no answer within 500ms"
    );
    assert!(view.since.unwrap().elapsed() < Duration::from_millis(20));
    assert_eq!(world.state(1), HealthState::Up);
    world.set(0, Mood::Well);
    assert!(world.until(0, true).await < secs(2));
    assert_eq!(*world.turns.lock(), ["127.0.0.1:9000 of redis Down", "127.0.0.1:9000 of redis Up"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_accepts_and_resets_or_closes_or_is_not_there_is_down_and_says_why() {
    let world = World::serving(3, 2, &options(text()));
    tokio::time::sleep(secs(10)).await;
    world.set(0, Mood::Resets);
    world.set(1, Mood::Closes);
    for (nth, cause) in [(0, HealthCause::Reset), (1, HealthCause::Closed)] {
        assert!(world.until(nth, false).await < secs(4));
        assert_eq!(world.group.nth(nth).unwrap().health.view().finding.unwrap().cause, cause);
    }
    let refused = world.group.nth(2).unwrap().health.view();
    assert_eq!((refused.state, refused.finding.unwrap().cause), (HealthState::Down, HealthCause::Refused));
}

#[tokio::test(start_paused = true)]
async fn a_member_is_checked_once_however_often_its_group_takes_force() {
    let world = World::new(1, &options(text()));
    let again = world.reload(&options(text()));
    again.take_force();
    tokio::time::sleep(secs(20)).await;
    let checks = world.connected.load(Ordering::Relaxed);
    assert!((9..=12).contains(&checks), "one in two seconds: {checks}");
}

#[tokio::test(start_paused = true)]
async fn changed_options_hold_at_once_and_who_is_not_checked_any_more_is_up() {
    let world = World::new(1, &options(text().interval(Some(Bound::secs(3600)))));
    tokio::time::sleep(secs(3600)).await;
    world.set(0, Mood::Silent);
    drop(world.reload(&options(text().interval(Some(Bound::secs(1))))));
    assert!(world.until(0, false).await < secs(2));
    drop(world.reload(&GroupOptions::default()));
    assert_eq!((world.until(0, true).await, world.state(0)), (Duration::ZERO, HealthState::Unknown));
    tokio::time::sleep(secs(5)).await;
    let before = world.connected.load(Ordering::Relaxed);
    tokio::time::sleep(secs(60)).await;
    assert_eq!(world.connected.load(Ordering::Relaxed), before);
    drop(world.reload(&options(text())));
    assert!(world.until(0, false).await < secs(4), "it is checked again");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_in_no_configuration_is_not_checked() {
    let world = World::new(1, &options(text()));
    world.group.nth(0).unwrap().set_in_force(false);
    tokio::time::sleep(secs(60)).await;
    assert_eq!(world.connected.load(Ordering::Relaxed), 0);
    drop(world.reload(&options(text())));
    tokio::time::sleep(secs(5)).await;
    assert_eq!(world.state(0), HealthState::Up, "it has come back");
}

#[tokio::test(start_paused = true)]
async fn checks_are_entries_under_their_deadline_and_spread_and_bounded() {
    let members = 1000;
    let world = World::new(members, &options(text().interval(Some(Bound::secs(10)))));
    (0..usize::from(members)).for_each(|nth| world.set(nth, Mood::Silent));
    let (mut most, mut seen) = (0, false);
    for _ in 0..300 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let checks = world.tracker.checks();
        most = most.max(checks.len());
        for check in checks.iter().map(|check| check.view(Instant::now())) {
            assert_eq!((check.role, check.deadline), (Role::Check, DeadlineKind::Check));
            assert!(check.deadline_at <= Instant::now() + secs(2) && check.age <= secs(2));
            assert_eq!(check.facts.route.as_deref(), Some("redis"));
            seen |= check.phase == Phase::Relay;
        }
        assert!(world.tracker.is_empty(), "no connection");
    }
    assert!(seen && most > AT_ONCE / 2 && most <= AT_ONCE, "{most}");
}

/// One that never has a descriptor left.
#[derive(Clone)]
struct Short;

impl Dial for Short {
    type Stream = MemStream;

    async fn dial(&self, _: Destination<'_>) -> std::io::Result<MemStream> {
        Err(std::io::Error::from_raw_os_error(24))
    }
}

#[tokio::test(start_paused = true)]
async fn a_shortage_of_our_own_says_nothing_of_a_member() {
    let (unhealthy, kept) = (Arc::<Unhealthy>::default(), Kept::default());
    let group = group(1, &options(text()), &kept, &unhealthy);
    let (tracker, quit) = (Tracker::new(1, ()), CancellationToken::new());
    let resolver = Resolver::fixed([]);
    let checking = check(unhealthy, Short, resolver, Arc::clone(&tracker), |_: &Turn<'_>| {}, quit);
    assert!(tokio::time::timeout(secs(30), checking).await.is_err());
    let view = group.nth(0).unwrap().health.view();
    assert_eq!((view.state, view.checks), (HealthState::Unknown, 0));
    assert!(tracker.checked(proxy_conn::Cause::DialShortage).1 > 10);
}

#[tokio::test(start_paused = true)]
async fn an_outlier_is_out_within_a_second_and_back_in_time_and_never_alone() {
    let watched = HealthOptions::default().outliers(Some(OutlierOptions::default()));
    let options = GroupOptions::default().health(watched);
    let world = World::new(2, &options);
    let fails = |nth: usize| {
        let member = world.group.nth(nth).unwrap();
        (0..5).for_each(|_| member.health.outcomes.count(Outcome::Bad));
    };
    fails(0);
    assert!(world.until(0, false).await <= secs(1));
    let view = world.group.nth(0).unwrap().health.view();
    assert_eq!(
        (view.state, view.finding.unwrap().cause),
        (HealthState::Ejected, HealthCause::ConsecutiveFailures)
    );
    fails(1);
    tokio::time::sleep(secs(5)).await;
    assert_eq!(world.state(1), HealthState::Unknown, "somebody is left");
    let back = world.until(0, true).await;
    assert!((secs(4)..secs(6)).contains(&back), "{back:?}");
    fails(0);
    world.until(0, false).await;
    drop(world.reload(&GroupOptions::default()));
    assert!(world.group.nth(0).unwrap().health.is_up(), "nobody watches any more");
}

/// Nobody chooses meanwhile.
#[tokio::test(start_paused = true)]
async fn who_is_back_starts_slowly_whether_or_not_somebody_chose_while_it_was_away() {
    let world = World::new(2, &options(text()).slow_start(Some(Bound::secs(10))));
    let share = || world.group.nth(0).unwrap().share(Some(secs(10)));
    tokio::time::sleep(secs(10)).await;
    assert_eq!((world.state(0), share()), (HealthState::Up, 100), "it was there from the start");
    world.set(0, Mood::Silent);
    world.until(0, false).await;
    world.set(0, Mood::Well);
    world.until(0, true).await;
    assert_eq!(share(), 10);
    tokio::time::sleep(secs(5)).await;
    assert!((54..=56).contains(&share()), "{}", share());
    tokio::time::sleep(secs(5)).await;
    assert_eq!(share(), 100);
    let member = world.group.nth(0).unwrap();
    member.drain(true);
    member.drain(true);
    assert_eq!(share(), 100);
    member.drain(false);
    assert_eq!(share(), 10);
    tokio::time::sleep(secs(10)).await;
    member.drain(false);
    assert_eq!(share(), 100, "it was not drained");
}
