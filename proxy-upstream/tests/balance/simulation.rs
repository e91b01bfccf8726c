//! A million clients that come and go, under each algorithm.

use std::collections::BTreeMap;

use proxy_upstream::balance::Rank;
use proxy_upstream::{Balance, HashKey};

use super::world::{Chooser, mix, weighed};

const CLIENTS: u64 = 1_000_000;

/// Clients that have a connection, and their members. Each comes by itself and leaves by itself: nobody is cut.
struct Crowd {
    chooser: Chooser,
    /// The member of each that comes and goes.
    open: Vec<usize>,
    weight: u64,
    came: u64,
    /// How many came to each member.
    counts: Vec<u64>,
}

impl Crowd {
    fn new(weights: &[u32], balance: Balance) -> Self {
        let chooser = Chooser::new(&weighed(weights, |at| mix(at as u64)), balance);
        let weight = weights.iter().map(|weight| u64::from(*weight)).sum();
        Self { chooser, open: Vec::new(), weight, came: 0, counts: vec![0; weights.len()] }
    }

    fn comes_among(&mut self, key: u64, all: u64) -> usize {
        let at = self.chooser.choose_of_all(key, all, self.weight);
        self.chooser.world.open[at] += 1;
        self.counts[at] += 1;
        self.came += 1;
        at
    }

    /// So many come and stay for ever.
    fn settle(&mut self, clients: u64) {
        for _ in 0..clients {
            self.comes_among(0, 0);
        }
    }

    /// So many come, one after the other, and for each that comes one that comes and goes leaves.
    fn turn_over(&mut self, clients: u64) {
        for _ in 0..clients {
            let at = self.comes_among(0, 0);
            let left = usize::try_from(mix(self.came) % self.open.len() as u64).unwrap();
            self.chooser.world.open[std::mem::replace(&mut self.open[left], at)] -= 1;
        }
    }

    fn crowd(&mut self, clients: u64) {
        for _ in 0..clients {
            let at = self.comes_among(0, 0);
            self.open.push(at);
        }
    }

    /// The largest difference of what a member has open from what all have on average.
    fn spread(&self) -> u64 {
        let open = &self.chooser.world.open;
        let mean = open.iter().sum::<u64>() / open.len() as u64;
        open.iter().map(|open| open.abs_diff(mean)).max().unwrap()
    }
}

/// A hundred members have a hundred connections each that stay, but for one that was down: it has none. It comes back, and those
/// that come and go do so a million times over.
fn after_one_came_back(balance: Balance) -> (Crowd, u64) {
    const BACK: usize = 42;
    let mut crowd = Crowd::new(&[1; 100], balance);
    crowd.chooser.world.rank[BACK] = Rank::Down;
    crowd.settle(5_000);
    crowd.crowd(5_000);
    assert_eq!(crowd.chooser.world.open[BACK], 0);
    crowd.chooser.world.rank[BACK] = Rank::Usable;
    let mut at_most = 0;
    for _ in 0..CLIENTS / 1000 {
        let before = crowd.counts[BACK];
        crowd.turn_over(1000);
        at_most = at_most.max(crowd.counts[BACK] - before);
    }
    (crowd, at_most)
}

#[test]
fn under_least_connections_what_is_open_evens_out_and_no_connection_was_cut() {
    let (crowd, _) = after_one_came_back(Balance::LeastConnections);
    assert!(crowd.spread() <= 3, "{}: {:?}", crowd.spread(), crowd.chooser.world.open);
}

#[test]
fn under_p2c_what_is_open_evens_out_and_nobody_is_overrun() {
    let (crowd, at_most) = after_one_came_back(Balance::P2c);
    assert!(crowd.spread() <= 8, "{}: {:?}", crowd.spread(), crowd.chooser.world.open);
    // It wins every draw that it is in, two in a hundred; four standard deviations.
    assert!(at_most <= 40, "{at_most} of a thousand");
}

/// The same under turns: what it missed it never gets, which is why the others are there.
#[test]
fn under_round_robin_what_was_missed_stays_missed() {
    let (crowd, _) = after_one_came_back(Balance::RoundRobin);
    let back = crowd.chooser.world.open[42];
    let mean = crowd.chooser.world.open.iter().sum::<u64>() / 100;
    assert!(back + 25 < mean, "{back} of {mean}");
}

#[test]
fn a_million_clients_come_by_weight() {
    let weights: Vec<u32> = (0..64).map(|at| [1, 3, 16, 256][at % 4]).collect();
    let all = weights.iter().sum::<u32>();
    for balance in [Balance::RoundRobin, Balance::Random, Balance::LeastConnections, Balance::P2c] {
        let mut crowd = Crowd::new(&weights, balance);
        crowd.settle(CLIENTS / 4);
        for (count, weight) in crowd.counts.iter().zip(&weights) {
            let due = CLIENTS as f64 / 4.0 * f64::from(*weight) / f64::from(all);
            let off = (*count as f64 - due).abs();
            // A draw by weight: four and a half standard deviations, since there are 64 of them.
            let drawn = matches!(balance, Balance::Random | Balance::P2c);
            let bound = if drawn { 4.5 * due.sqrt() + 1.0 } else { 3.0 };
            assert!(off <= bound, "{balance:?}: {count} of {due} with {weight}");
        }
    }
}

/// A tenth of all come with one of three keys.
#[test]
fn no_member_is_filled_beyond_its_bound_by_clients_that_are_alike() {
    const MEMBERS: usize = 50;
    let mut crowd = Crowd::new(&[1; MEMBERS], Balance::Hash(HashKey::Client));
    let mut all = 0;
    for n in 0..CLIENTS / 4 {
        let key = if n % 10 == 0 { n / 10 % 3 } else { mix(n) };
        let at = crowd.comes_among(key, all);
        all += 1;
        let most = (all * 5).div_ceil(MEMBERS as u64 * 4);
        assert!(crowd.chooser.world.open[at] <= most, "{n}: {} of {most}", crowd.chooser.world.open[at]);
    }
}

#[test]
fn a_member_that_goes_down_moves_its_own_clients_and_no_others_and_evenly() {
    for members in [10_u64, 100, 1000] {
        let all = weighed(&vec![1; usize::try_from(members).unwrap()], |at| mix(at as u64));
        let mut chooser = Chooser::new(&all, Balance::Hash(HashKey::Client));
        let home = |chooser: &Chooser, key: u64| chooser.choose_of_all(mix(key), u64::MAX / 8, 1);
        let clients = CLIENTS / 5;
        let before: Vec<_> = (0..clients).map(|key| home(&chooser, key)).collect();
        chooser.world.rank[3] = Rank::Down;
        let (mut moved, mut to) = (0_u64, BTreeMap::<usize, u64>::new());
        for (key, before) in (0..clients).zip(&before) {
            let now = home(&chooser, key);
            if *before == 3 {
                moved += 1;
                *to.entry(now).or_default() += 1;
            } else {
                assert_eq!(now, *before, "only its own clients are moved");
            }
        }
        // Its share is right to a slot of the table, and its clients to four standard deviations.
        let due = clients as f64 / members as f64;
        assert!((moved as f64) < due * 1.04 + 4.0 * due.sqrt(), "{moved} of {due}");
        let most = *to.values().max().unwrap() as f64;
        let each = moved as f64 / (members - 1) as f64;
        assert!(most < each * 1.1 + 6.0 * each.sqrt() + 4.0, "{most} of {each} went to one");
        chooser.world.rank[3] = Rank::Usable;
        assert!((0..clients).map(|key| home(&chooser, key)).eq(before), "they are back with it");
    }
}
