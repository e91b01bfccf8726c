use std::sync::Arc;
use std::time::Duration;

use proxy_core::relay::{Meter as _, Side};
use proxy_core::{ClientAddr, PeerAddr};
use tokio::time::{Instant, advance};

use super::*;
use crate::end::Cause;
use crate::{ConnGuard, DeadlineKind, LONG, Opening, Phase, PoolId, Role, Tracker};

/// What the connections of a test are counted under.
struct World {
    tracker: Arc<Tracker>,
    listener: Tally,
    route: Tally,
    target: Tally,
    pool: PoolId,
}

impl World {
    fn of(workers: usize) -> Self {
        Self {
            tracker: Tracker::new(workers, ()),
            listener: "*:80".into(),
            route: "web".into(),
            target: "10.0.0.1:80".into(),
            pool: PoolId::new(3).unwrap(),
        }
    }

    fn accept(&self, worker: usize) -> ConnGuard {
        let peer = PeerAddr::new(([127, 0, 0, 1], 1).into());
        self.tracker.open(worker, Opening::new(peer, self.listener.clone()))
    }

    /// One that is being dialled.
    fn dial(&self, worker: usize) -> ConnGuard {
        let guard = self.accept(worker);
        guard.learn(|facts| facts.client = Some(ClientAddr::new(([127, 0, 0, 1], 1).into())));
        guard.enter(Phase::Dial, Instant::now(), DeadlineKind::Dial).unwrap();
        guard.learn(|facts| facts.route = Some(self.route.clone()));
        guard.join(self.pool, false);
        guard.learn(|facts| facts.target = Some(self.target.clone()));
        guard
    }

    /// One that has its backend.
    fn relay(&self, worker: usize) -> ConnGuard {
        let guard = self.dial(worker);
        guard.enter(Phase::Relay, Instant::now(), DeadlineKind::Dial).unwrap();
        guard
    }

    fn subjects(&self) -> [Totals; 5] {
        let pool = self.tracker.of_pool(self.pool).map(Tally::totals).unwrap_or_default();
        let named = [&self.listener, &self.route, &self.target].map(Tally::totals);
        [self.tracker.totals(), pool, named[0], named[1], named[2]]
    }
}

fn end(guard: ConnGuard, cause: Cause) {
    guard.end(cause.during(guard.phase()), None);
    drop(guard);
}

fn moved(guard: &ConnGuard, from: Side, bytes: u64) {
    guard.moved(from, bytes, Instant::now());
}

#[test]
fn a_tally_reads_as_its_name() {
    let tally = Tally::from("web");
    let known = Some(tally.clone());
    assert_eq!((known.as_deref(), &*format!("{tally} {tally:?}")), (Some("web"), "web \"web\""));
    let (same, other) = (tally.called("www"), Tally::from("web"));
    assert_eq!((same.is(&tally), &*same), (true, "www"));
    assert!(other == tally && !other.is(&tally), "named the same, and counted apart");
    assert_eq!(size_of::<Option<Tally>>(), 8, "an entry has three");
    assert_eq!(tally.totals(), Totals::default());
}

#[tokio::test(start_paused = true)]
async fn a_life_is_counted_to_all_that_it_belongs_to() {
    let world = World::of(2);
    let guard = world.dial(0);
    for totals in world.subjects() {
        assert_eq!((totals.opened, totals.open(), totals.ended()), (1, 1, 0));
    }
    guard.waited(Duration::from_millis(40));
    advance(Duration::from_millis(42)).await;
    guard.enter(Phase::Relay, Instant::now(), DeadlineKind::Dial).unwrap();
    advance(Duration::from_secs(60)).await;
    moved(&guard, Side::Client, 100);
    advance(Duration::from_millis(7)).await;
    moved(&guard, Side::Backend, 1000);
    moved(&guard, Side::Backend, 1000);
    end(guard, Cause::Finished);
    for totals in world.subjects() {
        assert_eq!((totals.opened, totals.ended(), totals.ended_of(Cause::Finished)), (1, 1, 1));
        assert_eq!((totals.failed, totals.unanswered, totals.refused()), (0, 0, 0));
        assert_eq!((totals.from_client, totals.from_backend), (100, 2000));
    }
    assert_eq!(
        (world.route.dial().sum(), world.route.dial().count()),
        (2_000, 1),
        "without the wait for a place"
    );
    assert_eq!(world.route.first_byte().sum(), 7_000, "since the client has spoken");
    assert_eq!(world.target.first_byte().quantile(0.5), Some(10_000));
    assert_eq!(world.listener.lifetime().sum(), 60_049);
    let figures = world.tracker.figures();
    assert_eq!((figures.first_byte().sum(), figures.queue().sum()), (7_000, 40_000));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_speaks_first_is_timed_from_when_it_was_reached() {
    let world = World::of(1);
    let guard = world.relay(0);
    advance(Duration::from_millis(3)).await;
    moved(&guard, Side::Backend, 10);
    advance(Duration::from_secs(9)).await;
    moved(&guard, Side::Client, 10);
    advance(Duration::from_secs(9)).await;
    moved(&guard, Side::Backend, 10);
    end(guard, Cause::Finished);
    assert_eq!((world.route.first_byte().count(), world.route.first_byte().sum()), (1, 3_000));
}

#[tokio::test(start_paused = true)]
async fn what_the_client_said_before_it_had_a_backend_is_timed_from_then_on() {
    let world = World::of(1);
    let guard = world.dial(0);
    moved(&guard, Side::Client, 10);
    advance(Duration::from_secs(1)).await;
    guard.enter(Phase::Relay, Instant::now(), DeadlineKind::Dial).unwrap();
    guard.has_spoken();
    advance(Duration::from_millis(5)).await;
    assert_eq!(world.tracker.walk().of(&world.route).unwrap().unanswered, 0, "not for long yet");
    advance(LONG).await;
    let walk = world.tracker.walk();
    let living = walk.of(&world.target).unwrap();
    assert_eq!((living.unanswered, living.unreplied), (1, 1));
    assert_eq!(living.longest_unanswered, LONG + Duration::from_millis(5));
    moved(&guard, Side::Backend, 10);
    let living = *world.tracker.walk().of(&world.target).unwrap();
    assert_eq!((living.unanswered, living.unreplied, living.open()), (0, 0, 1));
    end(guard, Cause::BackendReset);
    assert_eq!(world.route.first_byte().sum(), 3_005_000);
    let totals = world.route.totals();
    assert_eq!((totals.failed, totals.unanswered), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_to_another_target_has_ended_at_the_first() {
    let (world, other) = (World::of(2), Tally::from("10.0.0.2:80"));
    let guard = world.dial(1);
    guard.failed_at(&world.target);
    guard.learn(|facts| facts.target = Some(other.clone()));
    let first = world.target.totals();
    assert_eq!((first.opened, first.passed_on, first.ended(), first.failed, first.open()), (1, 1, 1, 1, 0));
    assert_eq!((other.totals().opened, other.totals().open()), (1, 1));
    assert_eq!((world.route.totals().open(), world.route.totals().failed), (1, 0));
    end(guard, Cause::DialTimeout);
    assert_eq!((other.totals().ended_of(Cause::DialTimeout), other.totals().failed), (1, 1));
    assert_eq!(world.target.totals(), first);
    assert_eq!((other.dial().count(), other.lifetime().count()), (0, 1), "it was never reached");
}

#[tokio::test]
async fn a_refusal_is_no_failure() {
    let world = World::of(1);
    let guard = world.accept(0);
    guard.learn(|facts| facts.route = Some(world.route.clone()));
    end(guard, Cause::RouteLimit);
    let totals = world.route.totals();
    assert_eq!((totals.refused(), totals.failed, totals.ended()), (1, 0, 1));
    assert_eq!(totals.causes().collect::<Vec<_>>(), [(Cause::RouteLimit, 1)]);
    assert_eq!(world.target.totals(), Totals::default());
}

#[tokio::test]
async fn bytes_are_counted_once_by_whoever_is_first() {
    let world = World::of(1);
    let (early, guard) = (world.dial(0), world.relay(0));
    moved(&early, Side::Client, 5);
    moved(&guard, Side::Client, 100);
    assert_eq!(world.route.totals().from_client, 0, "nobody has looked yet");
    let walk = world.tracker.walk();
    assert_eq!(walk.all().phases, [0, 0, 0, 1, 0, 0, 1, 0]);
    assert!(world.subjects().iter().all(|totals| totals.from_client == 100), "of those that have a backend");
    drop(world.tracker.walk());
    moved(&guard, Side::Client, 11);
    moved(&guard, Side::Backend, 7);
    drop(world.tracker.walk());
    moved(&guard, Side::Backend, 1);
    end(guard, Cause::Finished);
    end(early, Cause::ClientLeft);
    drop(world.tracker.walk());
    for totals in world.subjects() {
        assert_eq!((totals.from_client, totals.from_backend), (116, 8));
    }
}

#[tokio::test]
async fn walks_and_ends_at_one_time_lose_and_double_nothing() {
    const LIVES: u64 = 2_000;
    let world = Arc::new(World::of(2));
    let serving = |worker: usize| {
        let world = Arc::clone(&world);
        std::thread::spawn(move || {
            for nth in 0..LIVES {
                let guard = world.relay(worker);
                (0..1 + nth % 4).for_each(|_| moved(&guard, Side::Backend, 3));
                end(guard, if nth % 2 == 0 { Cause::Finished } else { Cause::BackendReset });
            }
        })
    };
    let workers = [0, 1].map(serving);
    let mut last = 0;
    while workers.iter().any(|worker| !worker.is_finished()) {
        drop(world.tracker.walk());
        let totals = world.route.totals();
        assert!(totals.from_backend >= last && totals.opened >= totals.ended(), "counters rise");
        last = totals.from_backend;
    }
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    for totals in world.subjects() {
        assert_eq!((totals.opened, totals.ended(), totals.failed), (2 * LIVES, 2 * LIVES, LIVES));
        assert_eq!(totals.from_backend, 2 * 3 * LIVES * 10 / 4);
    }
    assert_eq!(world.route.lifetime().count(), 2 * LIVES);
}

#[tokio::test]
async fn a_check_is_counted_nowhere() {
    let world = World::of(1);
    let peer = PeerAddr::new(([127, 0, 0, 1], 1).into());
    let check = world.tracker.open(0, Opening::new(peer, world.listener.clone()).role(Role::Check));
    check.learn(|facts| facts.target = Some(world.target.clone()));
    check.join(world.pool, false);
    check.waited(Duration::from_secs(1));
    end(check, Cause::DialRefused);
    assert_eq!(world.subjects(), [Totals::default(); 5]);
    assert_eq!(world.tracker.figures().queue().count(), 0);
}

#[tokio::test]
async fn a_number_that_is_given_to_another_pool_begins_anew() {
    let world = World::of(1);
    end(world.relay(0), Cause::BackendReset);
    world.tracker.forget_pool(world.pool);
    let pool = world.tracker.of_pool(world.pool).unwrap();
    assert_eq!((pool.totals(), pool.lifetime().count()), (Totals::default(), 0));
    end(world.relay(0), Cause::Finished);
    assert_eq!((pool.totals().opened, world.route.totals().opened), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_walk_tells_who_waits_for_a_place_from_who_dials() {
    let world = World::of(1);
    let (dialling, queued) = (world.dial(0), world.dial(0));
    queued.deadline(Instant::now() + 9 * LONG, DeadlineKind::Queue);
    advance(LONG + Duration::from_secs(1)).await;
    let walk = world.tracker.walk();
    let living = walk.of(&world.listener).unwrap();
    assert_eq!((living.waiting, living.dialling_long, living.phases[Phase::Dial.index()]), (1, 1, 2));
    assert_eq!(
        (living.longest_dial, living.oldest),
        (LONG + Duration::from_secs(1), LONG + Duration::from_secs(1))
    );
    assert_eq!(walk.of_pool(world.pool), walk.of(&world.route));
    assert!(walk.of(&Tally::from("web")).is_none(), "another one of that name");
    drop((dialling, queued));
    assert!(world.tracker.walk().of(&world.route).is_none());
}
