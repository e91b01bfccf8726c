//! Waiting for a permit: order, bounds, deadlines, and leaving at every moment. On a paused clock.

use std::time::Duration;

use proxy_conn::limits::{Limit, QueueError, QueueLimits};
use proxy_core::Bound;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok};

const WAIT: QueueLimits = QueueLimits::new(3, Bound::secs(10));

#[tokio::test(start_paused = true)]
async fn a_free_permit_is_had_at_once_even_where_nobody_may_wait() {
    let nobody = WAIT.most_waiting(0);
    let limit = Limit::new(1);
    let permit = assert_ready_ok!(spawn(limit.acquire_or_wait(&nobody)).poll());
    let refused = assert_ready_err!(spawn(limit.acquire_or_wait(&nobody)).poll());
    assert_eq!(refused, QueueError::Full { most_waiting: 0 });
    drop(permit);
    drop(assert_ready_ok!(spawn(limit.acquire_or_wait(&nobody)).poll()));
    assert_eq!((limit.in_use(), limit.waiting(), limit.high_water()), (0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn first_come_first_served_and_nobody_overtakes() {
    let limit = Limit::new(1);
    let held = limit.acquire().unwrap();
    let [mut first, mut second, mut third] = [(); 3].map(|()| spawn(limit.acquire_or_wait(&WAIT)));
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    assert_pending!(third.poll());
    assert_eq!(limit.waiting(), 3);
    drop(held);
    assert!(limit.acquire().is_none(), "it is on its way to the first");
    assert!(first.is_woken() && !second.is_woken() && !third.is_woken());
    assert_eq!((limit.in_use(), limit.waiting()), (1, 2));
    let mut late = spawn(limit.acquire_or_wait(&WAIT));
    assert_pending!(late.poll());
    let permit = assert_ready_ok!(first.poll());
    drop(permit);
    assert_pending!(third.poll());
    assert_pending!(late.poll());
    drop(assert_ready_ok!(second.poll()));
    drop(assert_ready_ok!(third.poll()));
    drop(assert_ready_ok!(late.poll()));
    assert_eq!((limit.in_use(), limit.waiting(), limit.high_water()), (0, 0, 1));
    assert!(limit.acquire().is_some(), "with nobody waiting it is there for anybody");
}

#[tokio::test(start_paused = true)]
async fn one_too_many_is_refused_at_once_and_the_place_of_one_who_left_is_free() {
    let limit = Limit::new(1);
    let _held = limit.acquire().unwrap();
    let mut waiters = [(); 3].map(|()| spawn(limit.acquire_or_wait(&WAIT)));
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    let refused = assert_ready_err!(spawn(limit.acquire_or_wait(&WAIT)).poll());
    assert_eq!(refused, QueueError::Full { most_waiting: 3 });
    let [_first, second, _third] = waiters;
    drop(second);
    assert_eq!(limit.waiting(), 2);
    let mut next = spawn(limit.acquire_or_wait(&WAIT));
    assert_pending!(next.poll());
    assert_eq!(limit.waiting(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_wait_ends_at_its_bound_and_not_before() {
    let limit = Limit::new(1);
    let held = limit.acquire().unwrap();
    let mut waiter = spawn(limit.acquire_or_wait(&WAIT));
    assert_pending!(waiter.poll());
    tokio::time::advance(Duration::from_millis(9_999)).await;
    assert_pending!(waiter.poll());
    tokio::time::advance(Duration::from_millis(1)).await;
    let error = assert_ready_err!(waiter.poll());
    assert_eq!(error, QueueError::TimedOut { longest_wait: Bound::secs(10) });
    assert_eq!(error.to_string(), "nothing came free within 10s");
    assert_eq!(limit.waiting(), 0, "it left although its future is still there");
    drop(held);
    assert_eq!(limit.in_use(), 0);
    assert!(limit.acquire().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_comes_at_the_moment_of_the_deadline_is_taken() {
    let limit = Limit::new(1);
    let held = limit.acquire().unwrap();
    let mut waiter = spawn(limit.acquire_or_wait(&WAIT));
    assert_pending!(waiter.poll());
    tokio::time::advance(Duration::from_secs(10)).await;
    drop(held);
    drop(assert_ready_ok!(waiter.poll()));
    assert_eq!(limit.in_use(), 0);
}

/// The thread of both stood still while the wait was to end: the permit that is given back as soon as it runs is taken.
#[tokio::test(start_paused = true)]
async fn a_thread_that_stood_still_is_late_for_giving_back_too() {
    for (late, grace) in [(Duration::from_millis(30), 30), (Duration::from_secs(60), 500)] {
        let [limit, taken] = [(); 2].map(|()| Limit::new(1));
        let held = [&limit, &taken].map(|limit| limit.acquire().unwrap());
        let [mut waiter, mut served] = [&limit, &taken].map(|limit| spawn(limit.acquire_or_wait(&WAIT)));
        assert_pending!(waiter.poll());
        assert_pending!(served.poll());
        tokio::time::advance(WAIT.longest_wait.get() + late).await;
        assert_pending!(waiter.poll(), "the first to run");
        assert_pending!(served.poll());
        let [still_held, given_back] = held;
        drop(given_back);
        drop(assert_ready_ok!(served.poll()));
        tokio::time::advance(Duration::from_millis(grace - 1)).await;
        assert_pending!(waiter.poll(), "{late:?}");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_ready_err!(waiter.poll(), "{late:?}");
        drop(still_held);
    }
}

/// The client leaves before the first poll, while waiting, once its permit has come (woken, not yet polled), and after
/// the deadline has passed unseen. Each time the next in line has the permit.
#[tokio::test(start_paused = true)]
async fn whenever_a_waiter_is_dropped_the_next_has_the_permit() {
    for moment in ["unpolled", "waiting", "served", "overdue"] {
        let limit = Limit::new(1);
        let mut held = limit.acquire();
        let mut leaver = spawn(limit.acquire_or_wait(&WAIT));
        let patient = WAIT.longest_wait(Bound::secs(99));
        let mut next = spawn(limit.acquire_or_wait(&patient));
        if moment != "unpolled" {
            assert_pending!(leaver.poll());
        }
        assert_pending!(next.poll());
        match moment {
            "served" => held = None,
            "overdue" => tokio::time::advance(Duration::from_secs(11)).await,
            _ => {}
        }
        drop(leaver);
        assert_eq!(limit.waiting(), usize::from(moment != "served"), "{moment}");
        drop(held);
        assert!(next.is_woken(), "{moment}");
        let permit = assert_ready!(next.poll()).unwrap();
        assert_eq!((limit.in_use(), limit.waiting()), (1, 0), "{moment}");
        drop(permit);
        assert_eq!(limit.in_use(), 0, "{moment}");
        assert!(limit.acquire().is_some(), "{moment}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_raised_limit_admits_those_that_wait_in_their_order() {
    let limit = Limit::new(0);
    let mut waiters = [(); 3].map(|()| spawn(limit.acquire_or_wait(&WAIT)));
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    limit.set_most(2);
    let [mut first, mut second, mut third] = waiters;
    let _permits = (assert_ready_ok!(first.poll()), assert_ready_ok!(second.poll()));
    assert_pending!(third.poll());
    assert_eq!((limit.in_use(), limit.waiting(), limit.high_water()), (2, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_lowered_limit_serves_nobody_until_enough_are_given_back() {
    let limit = Limit::new(3);
    let mut held: Vec<_> = (0..3).filter_map(|_| limit.acquire()).collect();
    let mut waiter = spawn(limit.acquire_or_wait(&WAIT));
    assert_pending!(waiter.poll());
    limit.set_most(1);
    held.truncate(1);
    assert_pending!(waiter.poll());
    assert_eq!((limit.in_use(), limit.waiting()), (1, 1));
    held.clear();
    let _permit = assert_ready_ok!(waiter.poll());
    assert_eq!((limit.in_use(), limit.waiting()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_that_leave_at_once_leave_nothing_behind() {
    let limit = Limit::new(1);
    let held = limit.acquire();
    let many = WAIT.most_waiting(10_000);
    let mut waiters: Vec<_> = (0..10_000).map(|_| spawn(limit.acquire_or_wait(&many))).collect();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    // The first has its permit as they go: it passes through the hands of all that are still there.
    drop(held);
    assert_eq!((limit.in_use(), limit.waiting()), (1, 9_999));
    drop(waiters);
    assert_eq!((limit.in_use(), limit.waiting(), limit.high_water()), (0, 0, 1));
    assert!(limit.acquire().is_some());
}
