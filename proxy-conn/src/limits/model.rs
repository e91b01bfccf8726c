//! Every interleaving of the counter's steps, by loom. Run by hand, as it replaces the atomics of the crate under test:
//!
//! ```sh
//! RUSTFLAGS="--cfg loom_model" CARGO_TARGET_DIR=target/loom cargo test --release -p proxy-conn --lib limits::model
//! ```
//!
//! The flag is not the usual `--cfg loom`, for that takes `tokio::net` away from `proxy-core`. The word and the line's
//! lock are loom's; the channels are tokio's own and count as one step each.
//!
//! A step that only reads (a refused `acquire`) has to be on a spawned thread, and what changes the word beside it on the
//! first: loom 0.7 looks for races with the last access alone, and of a change the last access is its own read.

use loom::thread;

use super::queue::{Joined, Place};
use super::{Limit, Permit};

fn holding_all(most: usize) -> (Limit, Vec<Permit>) {
    let limit = Limit::new(most);
    let permits = (0..most).map(|_| limit.acquire().unwrap()).collect();
    (limit, permits)
}

fn waiting(limit: &Limit) -> Place {
    match limit.join(9).unwrap() {
        Joined::Waiting(place) => place,
        Joined::Admitted(_) => panic!("none is free"),
    }
}

/// What a limit has to come back to once all are gone.
fn assert_at_rest(limit: &Limit) {
    assert_eq!((limit.in_use(), limit.waiting()), (0, 0));
    assert!(limit.acquire().is_some(), "the queued mark is gone too");
}

#[test]
fn two_never_share_one_permit() {
    loom::model(|| {
        let limit = Limit::new(1);
        let take = |limit: Limit| {
            move || {
                let permit = limit.acquire();
                assert!(limit.in_use() <= 1);
                permit
            }
        };
        let other = thread::spawn(take(limit.clone()));
        let mine = take(limit.clone())();
        let other = other.join().unwrap();
        assert_eq!(usize::from(mine.is_some()) + usize::from(other.is_some()), 1);
        drop((mine, other));
        assert_at_rest(&limit);
    });
}

#[test]
fn a_permit_given_back_while_one_joins_is_not_lost() {
    loom::model(|| {
        let (limit, permits) = holding_all(1);
        let giver = thread::spawn(move || drop(permits));
        let joined = limit.join(9).unwrap();
        giver.join().unwrap();
        match joined {
            Joined::Admitted(permit) => drop(permit),
            Joined::Waiting(mut place) => drop(place.served.try_recv().unwrap()),
        }
        assert_at_rest(&limit);
    });
}

#[test]
fn a_permit_given_back_while_the_waiter_leaves_is_not_lost() {
    loom::model(|| {
        let (limit, permits) = holding_all(1);
        let place = waiting(&limit);
        let giver = thread::spawn(move || drop(permits));
        drop(place);
        giver.join().unwrap();
        assert_at_rest(&limit);
    });
}

#[test]
fn if_the_first_leaves_as_a_permit_comes_the_second_has_it() {
    loom::model(|| {
        let (limit, permits) = holding_all(1);
        let (first, mut second) = (waiting(&limit), waiting(&limit));
        let giver = thread::spawn(move || drop(permits));
        drop(first);
        giver.join().unwrap();
        drop(second.served.try_recv().unwrap());
        drop(second);
        assert_at_rest(&limit);
    });
}

#[test]
fn nobody_overtakes() {
    loom::model(|| {
        let (limit, permits) = holding_all(1);
        let (newcomer, mut place) = (limit.clone(), waiting(&limit));
        let newcomer = thread::spawn(move || newcomer.acquire().is_some());
        drop(permits);
        assert!(!newcomer.join().unwrap(), "it is the waiter's");
        drop(place.served.try_recv().unwrap());
        drop(place);
        assert_at_rest(&limit);
    });
}

#[test]
fn nobody_overtakes_as_the_limit_is_raised() {
    loom::model(|| {
        let (limit, permits) = holding_all(1);
        let (newcomer, mut place) = (limit.clone(), waiting(&limit));
        let newcomer = thread::spawn(move || newcomer.acquire().is_some());
        limit.set_most(2);
        assert!(!newcomer.join().unwrap(), "before, none is free; after, the waiter has it");
        drop(place.served.try_recv().unwrap());
        drop((place, permits));
        assert_at_rest(&limit);
    });
}

#[test]
fn raising_the_limit_while_one_joins_and_one_gives_back_loses_nobody() {
    loom::model(|| {
        let (limit, permits) = holding_all(1);
        let (raised, mut first) = (limit.clone(), waiting(&limit));
        let raiser = thread::spawn(move || raised.set_most(2));
        let giver = thread::spawn(move || drop(permits));
        let joined = limit.join(9).unwrap();
        raiser.join().unwrap();
        giver.join().unwrap();
        let first_permit = first.served.try_recv().unwrap();
        match joined {
            Joined::Admitted(permit) => drop(permit),
            Joined::Waiting(mut place) => drop(place.served.try_recv().unwrap()),
        }
        drop((first_permit, first));
        assert_at_rest(&limit);
    });
}

#[test]
fn lowering_the_limit_while_one_takes_and_one_gives_back_holds_from_then_on() {
    loom::model(|| {
        let (limit, mut permits) = holding_all(2);
        let one = permits.pop();
        let (lowered, taker) = (limit.clone(), limit.clone());
        let giver = thread::spawn(move || drop(one));
        let taker = thread::spawn(move || taker.acquire());
        lowered.set_most(1);
        assert!(limit.in_use() >= 1);
        giver.join().unwrap();
        let taken = taker.join().unwrap();
        assert_eq!(limit.in_use(), 1 + usize::from(taken.is_some()));
        assert!(limit.acquire().is_none());
        drop((taken, permits));
        assert_at_rest(&limit);
    });
}
