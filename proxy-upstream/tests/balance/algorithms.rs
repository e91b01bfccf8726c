//! Each algorithm, held against what it says: over any members, whatever is known of them.

use proptest::prelude::*;
use proxy_upstream::balance::{FEW, Plan, Rank, Rotation, Seen, Way, Weighed, least::SWEEP};
use proxy_upstream::{Balance, HashKey};

use super::world::{Chooser, World, weighed};

const ALL: [Balance; 6] = [
    Balance::RoundRobin,
    Balance::LeastConnections,
    Balance::P2c,
    Balance::Hash(HashKey::Client),
    Balance::Random,
    Balance::First,
];

/// A group of any kind: members in the order of a plan, and what is known of them.
fn groups() -> impl Strategy<Value = (Vec<Weighed>, World)> {
    let member = (0..=256_u32, 0..3_u8, any::<bool>(), 0..5_usize, 1..=100_u32, 0..50_u64, any::<u64>());
    proptest::collection::vec(member, 1..70).prop_map(|members| {
        let mut members: Vec<_> = members
            .into_iter()
            .map(|(weight, priority, backup, rank, share, open, id)| {
                let rank = if weight == 0 { Rank::Closed } else { Rank::ALL[rank] };
                (Weighed { weight, priority, backup, id }, rank, share, open)
            })
            .collect();
        members.sort_by_key(|(member, ..)| member.order());
        let mut world = World::of(members.len());
        for (at, (_, rank, share, open)) in members.iter().enumerate() {
            (world.rank[at], world.share[at], world.open[at]) = (*rank, *share, *open);
        }
        (members.into_iter().map(|(member, ..)| member).collect(), world)
    })
}

/// The weight of those members that are so.
fn weight(members: &[Weighed], world: &World, is_so: impl Fn(&Weighed, Rank) -> bool) -> u64 {
    let all = members.iter().zip(&world.rank);
    all.filter(|(member, rank)| is_so(member, **rank)).map(|(member, _)| u64::from(member.weight)).sum()
}

/// The rule of levels as it is written, said once more in another way.
fn way(members: &[Weighed], world: &World, threshold: u32) -> Way {
    let usable = |rank: Rank| rank <= Rank::Lags;
    let mut levels: Vec<u8> = members.iter().filter(|one| !one.backup).map(|one| one.priority).collect();
    levels.dedup();
    let is_in = |level: u8| move |one: &Weighed| !one.backup && one.priority == level;
    let last = levels.iter().position(|level| {
        let whole = weight(members, world, |one, _| is_in(*level)(one));
        let may = weight(members, world, |one, rank| is_in(*level)(one) && usable(rank));
        may > 0 && may * 100 >= whole * u64::from(threshold)
    });
    if let Some(last) = last {
        let is_well = |upto: usize| {
            weight(members, world, |one, rank| {
                !one.backup && one.priority <= levels[upto] && rank == Rank::Usable
            }) > 0
        };
        let place = (last..levels.len()).find(|upto| is_well(*upto)).unwrap_or(last);
        return Way::Levels(u8::try_from(place).unwrap());
    }
    let plain = weight(members, world, |one, rank| !one.backup && usable(rank));
    let backups = weight(members, world, |one, rank| one.backup && usable(rank));
    if plain == 0 && backups > 0 { Way::Backups } else { Way::Panic }
}

#[test]
fn a_drained_member_with_room_comes_after_one_whose_breaker_is_open_and_that_is_full() {
    let members = weighed(&[1, 14], |at| at as u64);
    for balance in ALL {
        let (plan, turn) = (Plan::new(&members, balance, 0), Rotation::default());
        let mut world = World::of(2);
        (world.rank, world.open) = (vec![Rank::Open, Rank::Closed], vec![1, 0]);
        for key in 0..100 {
            let choice = plan.choose(&world, &plan.look(&world), &turn, key).unwrap();
            assert_eq!((choice.at, choice.sure), (0, false), "{balance:?}");
        }
    }
}

proptest! {
    // A hash table of each level is made for each case.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn who_serves_is_as_the_rule_says((members, world) in groups(), threshold in 0..=100_u32) {
        let sight = Plan::new(&members, Balance::Random, threshold).look(&world);
        prop_assert_eq!(sight.way, way(&members, &world, threshold));
    }

    #[test]
    fn nobody_is_chosen_who_may_not_be_used_while_somebody_may(
        (members, world) in groups(), threshold in 0..=100_u32, key: u64,
    ) {
        for balance in ALL {
            let (plan, turn) = (Plan::new(&members, balance, threshold), Rotation::default());
            for _ in 0..20 {
                let sight = plan.look(&world);
                let choice = plan.choose(&world, &sight, &turn, key).unwrap();
                let places = plan.places(sight.way);
                prop_assert!(places.contains(&choice.at), "{balance:?}: {choice:?} of {places:?}");
                let best = places.map(|at| world.rank[at]).min().unwrap();
                let worst = if sight.way == Way::Panic { best.max(Rank::Down) } else { best };
                prop_assert!(world.rank[choice.at] <= worst, "{balance:?}: {choice:?}, {best:?}");
                prop_assert_eq!(choice.sure, world.rank[choice.at] <= if sight.way == Way::Panic { Rank::Down } else { Rank::Usable });
            }
        }
    }

    #[test]
    fn a_member_alone_is_chosen_whatever_is_known_of_it(rank in 0..5_usize, weight in 0..=256_u32, key: u64) {
        for balance in ALL {
            let mut chooser = Chooser::new(&weighed(&[weight], |_| 7), balance);
            chooser.world.rank[0] = if weight == 0 { Rank::Closed } else { Rank::ALL[rank] };
            prop_assert_eq!(chooser.choose(key), 0);
        }
    }

    /// The first connections of many are among those that were seen; once all were, each goes to the least.
    #[test]
    fn least_connections_is_the_least_of_all_that_was_seen(
        members in proptest::collection::vec((1..=256_u32, 0..40_u64), 1..80),
    ) {
        let weights: Vec<_> = members.iter().map(|(weight, _)| *weight).collect();
        let mut chooser = Chooser::new(&weighed(&weights, |at| at as u64), Balance::LeastConnections);
        chooser.world.open = members.iter().map(|(_, open)| *open).collect();
        let unseen = if weights.len() > FEW { weights.len().div_ceil(usize::try_from(SWEEP).unwrap()) } else { 0 };
        for n in 0..unseen + 50 {
            let at = chooser.choose(0);
            let load = |at: usize| (chooser.world.open[at] + 1) * 256 * 100 / (u64::from(weights[at]) * 100);
            if n >= unseen {
                let least = (0..weights.len()).map(load).min();
                prop_assert_eq!(Some(load(at)), least);
            }
            chooser.world.open[at] += 1;
        }
    }

    /// While others may be used, a member that is away has nothing; when it is back, the hash gives it the same keys as before.
    #[test]
    fn a_hash_moves_the_keys_of_one_that_is_away_and_no_others(
        weights in proptest::collection::vec(1..=256_u32, 2..60), away: proptest::sample::Index, ids: u64,
    ) {
        let away = away.index(weights.len());
        let members = weighed(&weights, |at| ids.wrapping_mul(at as u64 + 1));
        let mut chooser = Chooser::new(&members, Balance::Hash(HashKey::Client));
        let keys = || (0..200_u64).map(|key| key.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let before: Vec<_> = keys().map(|key| chooser.choose(key)).collect();
        chooser.world.rank[away] = Rank::Down;
        for (key, before) in keys().zip(&before) {
            let now = chooser.choose(key);
            prop_assert!(now != away && (*before == away || now == *before));
        }
        chooser.world.rank[away] = Rank::Usable;
        prop_assert!(keys().map(|key| chooser.choose(key)).eq(before));
    }

    /// Nobody is given more than its share of 1.25 times what is open, rounded up, whatever the keys are.
    #[test]
    fn a_hash_fills_nobody_beyond_its_bound(
        weights in proptest::collection::vec(1..=256_u32, 2..30), keys in 1..5_u64,
    ) {
        let mut chooser = Chooser::new(&weighed(&weights, |at| at as u64 * 77), Balance::Hash(HashKey::Client));
        let all: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        for n in 1..400_u64 {
            let at = chooser.choose(n % keys);
            chooser.world.open[at] += 1;
            let most = (n * 5 * u64::from(weights[at])).div_ceil(all * 4);
            prop_assert!(chooser.world.open[at] <= most, "{} of {most}", chooser.world.open[at]);
        }
    }
}

#[test]
fn first_is_the_first_of_the_list_and_of_the_level() {
    let mut chooser = Chooser::new(&weighed(&[1, 200, 1], |_| 0), Balance::First);
    assert_eq!((0..9).map(|_| chooser.choose(0)).max(), Some(0));
    chooser.world.rank[0] = Rank::Open;
    assert_eq!((0..9).map(|_| chooser.choose(0)).collect::<Vec<_>>(), [1; 9]);
}

#[test]
fn of_two_as_full_the_one_whose_dials_are_shorter_is_chosen() {
    let mut chooser = Chooser::new(&weighed(&[1, 1], |_| 0), Balance::P2c);
    chooser.world.latency = vec![300, 200];
    let second = (0..1000).filter(|_| chooser.choose(0) == 1).count();
    // It loses where both draws are the other one: four times in a row for the second.
    assert!(second > 900, "{second}");
    chooser.world.open[1] = 1;
    let second = (0..1000).filter(|_| chooser.choose(0) == 1).count();
    assert!(second < 100, "{second}");
}

/// A thousand members of which all but one are down: it is found, whatever is tried first.
#[test]
fn the_only_one_of_many_is_found() {
    for balance in ALL {
        let mut chooser = Chooser::new(&weighed(&[1; 1000], |at| at as u64), balance);
        (0..1000).for_each(|at| chooser.world.rank[at] = Rank::Down);
        chooser.world.rank[667] = Rank::Usable;
        assert!((0..50).all(|key| chooser.choose(key) == 667), "{balance:?}");
        assert_eq!(chooser.world.rank(0), Rank::Down);
    }
}
