//! Entries, guards, ends and cancels on a paused clock.

use super::*;
use crate::entry::DeadlineKind;
use crate::opening::Role;
use proxy_core::relay::{Meter, Side};

type Seen = Arc<Mutex<Vec<String>>>;

struct Log(Seen);

impl Subscriber for Log {
    fn ended(&self, ended: &Ended<'_>) {
        let spent: Vec<_> = Phase::ALL.iter().map(|phase| ended.spent(*phase).as_secs()).collect();
        let (up, down) = (ended.from_client, ended.from_backend);
        self.0.lock().push(format!("{} {up}/{down} {spent:?} {:?}", ended.end, ended.detail));
    }
}

fn opening() -> Opening {
    Opening::new(PeerAddr::new(([127, 0, 0, 1], 4000).into()), "test")
}

#[test]
fn an_entry_says_what_it_is() {
    let (tracker, _) = tracker();
    for role in Role::ALL {
        let guard = tracker.open(0, opening().role(role));
        let listed = if role == Role::Check { tracker.checks() } else { tracker.connections() };
        let [entry] = &listed[..] else { unreachable!("there is one") };
        assert_eq!(entry.view(Instant::now()).role, role);
        guard.end(Cause::Finished.during(Phase::Header), None);
        drop(guard);
    }
    assert!(tracker.is_empty());
}

/// A check is seen by who asks for checks, and by nobody who counts, lists or ends connections.
#[tokio::test(start_paused = true)]
async fn a_check_is_no_connection() {
    let (tracker, seen) = tracker();
    let check = tracker.open(0, opening().role(Role::Check));
    check.enter(Phase::Dial, Instant::now() + secs(1), DeadlineKind::Check).unwrap();
    let client = tracker.open(0, opening());
    assert_eq!((tracker.len(), tracker.opened(), tracker.connections().len()), (1, 1, 1));
    assert_eq!((tracker.checks().len(), tracker.cancel_all(Reason::Shutdown)), (1, 1));
    assert_ne!(check.id(), client.id());
    client.end(Cause::Shutdown.during(Phase::Header), None);
    drop(client);
    tracker.emptied().await;
    check.end(Cause::DialTimeout.during(Phase::Dial), None);
    drop(check);
    assert!(tracker.checks().is_empty());
    assert_eq!((tracker.ended(Cause::DialTimeout), tracker.checked(Cause::DialTimeout)), (0, (1, 1)));
    assert_eq!(seen.lock().len(), 1, "only of the client anything is told");
}

fn tracker() -> (Arc<Tracker>, Seen) {
    let seen = Seen::default();
    (Tracker::new(2, Log(Arc::clone(&seen))), seen)
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[tokio::test(start_paused = true)]
async fn an_entry_lives_as_long_as_its_guard_and_ends_once() {
    let (tracker, seen) = tracker();
    let guard = tracker.open(0, opening());
    tokio::time::sleep(secs(1)).await;
    guard.enter(Phase::Dial, Instant::now() + secs(30), DeadlineKind::Dial).unwrap();
    tokio::time::sleep(secs(2)).await;
    guard
        .enter(
            Phase::Relay,
            Instant::now() + secs(60),
            DeadlineKind::Relay(proxy_core::relay::RelayDeadline::Idle),
        )
        .unwrap();
    guard.moved(Side::Client, 7, Instant::now());
    guard.moved(Side::Backend, 9, Instant::now());
    tokio::time::sleep(secs(3)).await;
    guard.half_closed(Side::Client, Instant::now());
    tokio::time::sleep(secs(4)).await;
    let view = tracker.snapshot().remove(0);
    assert_eq!((view.phase, view.age, view.in_phase, view.idle), (Phase::Drain, secs(10), secs(4), secs(7)));
    guard.end(Cause::Finished.during(Phase::Drain), None);
    guard.end(Cause::Killed.during(Phase::Drain), Some("too late".into()));
    assert_eq!(tracker.len(), 1, "ended is not gone");
    drop(guard);
    assert_eq!((tracker.len(), tracker.opened(), tracker.ended(Cause::Finished)), (0, 1, 1));
    insta::assert_snapshot!(seen.lock().join("\n"), @"-- finished by client in drain 7/9 [1, 0, 0, 2, 0, 0, 3, 4] None");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_aborted_or_panics_ends_too() {
    let (tracker, seen) = tracker();
    #[expect(clippy::disallowed_methods, reason = "the test is the one who spawns here")]
    let spawn = |guard: ConnGuard, panics: bool| {
        tokio::spawn(async move {
            guard.enter(Phase::Peek, Instant::now(), DeadlineKind::Hello).unwrap();
            tokio::time::sleep(secs(1)).await;
            assert!(!panics, "a planted panic");
            guard.cancelled().await
        })
    };
    let (aborted, panicked) =
        (spawn(tracker.open(0, opening()), false), spawn(tracker.open(1, opening()), true));
    tokio::time::sleep(secs(2)).await;
    aborted.abort();
    assert!(panicked.await.unwrap_err().is_panic());
    assert!(aborted.await.unwrap_err().is_cancelled());
    assert!(tracker.is_empty());
    let mut seen = seen.lock().clone();
    seen.sort();
    insta::assert_snapshot!(seen.join("\n"), @r"
    IP aborted by proxy in peek 0/0 [0, 2, 0, 0, 0, 0, 0, 0] None
    IP panicked by proxy in peek 0/0 [0, 1, 0, 0, 0, 0, 0, 0] None
    ");
}

#[tokio::test(start_paused = true)]
async fn an_illegal_way_between_phases_ends_the_connection_with_its_own_cause() {
    let (tracker, _) = tracker();
    let guard = tracker.open(0, opening());
    let end = guard.enter(Phase::Drain, Instant::now(), DeadlineKind::Dial).unwrap_err();
    assert_eq!(end, Cause::IllegalTransition.during(Phase::Header));
    assert_eq!(guard.phase(), Phase::Header);
}

#[tokio::test(start_paused = true)]
async fn all_can_be_ended_at_once_and_waited_for() {
    let (tracker, _) = tracker();
    for n in 0..10_000 {
        let guard = tracker.open(n, opening());
        #[expect(clippy::disallowed_methods, reason = "the test is the one who spawns here")]
        tokio::spawn(async move {
            let reason = guard.cancelled().await;
            guard.end(reason.cause().during(guard.phase()), None);
        });
    }
    assert_eq!(tracker.len(), 10_000);
    assert_eq!(tracker.cancel_all(Reason::Shutdown), 10_000);
    assert_eq!(tracker.cancel_all(Reason::Killed), 0, "the first reason wins");
    tracker.emptied().await;
    assert_eq!((tracker.len(), tracker.ended(Cause::Shutdown)), (0, 10_000));
}
