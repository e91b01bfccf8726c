//! A group over configurations, and what changes in it while it runs.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed assumption of a test is its failure"
)]

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use proxy_conn::{BreakerOptions, Permit};
use proxy_core::dial::Gate;
use proxy_core::resolve::Service;
use proxy_core::{Bound, TargetAddr};
use proxy_upstream::balance::Rank;
use proxy_upstream::{
    Balance, Candidates, ChangeError, Discovery, Found, Group, GroupOptions, HashKey, Kept, Key,
    MemberOptions, NameOptions, Weight,
};

fn member(target: &str) -> MemberOptions {
    MemberOptions::new(target.parse().unwrap())
}

fn group_of(members: impl IntoIterator<Item = MemberOptions>, options: &GroupOptions, kept: &Kept) -> Group {
    let group = Group::new("web".into(), members, options.clone(), kept, &Arc::default());
    group.take_force();
    group
}

fn group(targets: &[&str], kept: &Kept) -> Group {
    group_of(targets.iter().map(|target| member(target)), &GroupOptions::default(), kept)
}

fn first(group: &Group, port: u16) -> String {
    group.candidates(port).addresses[0].to_string()
}

/// All of them, in the order in which a dial that fails everywhere asks for them.
fn order(candidates: &Candidates<'_>) -> Vec<String> {
    let others = (1..).map_while(|nth| candidates.further(nth));
    candidates.addresses.iter().cloned().chain(others).map(|at: TargetAddr| at.to_string()).collect()
}

/// A connection to the first.
fn connect(group: &Group) -> (String, Permit) {
    let candidates = group.candidates(1);
    let attempt = candidates.enter(0).unwrap();
    (candidates.name(0).unwrap().to_string(), candidates.reached(attempt).permit)
}

/// How many of so many choices fall on each.
fn counts(group: &Group, choices: usize) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    (0..choices).for_each(|_| *counts.entry(first(group, 1)).or_default() += 1);
    counts
}

/// As many dials of a member fail as open its breaker.
fn fails(group: &Group, target: &str) {
    for _ in 0..100 {
        let candidates = group.candidates(1);
        if *candidates.name(0).unwrap() == *target
            && let Ok(attempt) = candidates.enter(0)
        {
            candidates.failed(attempt, &io::Error::from(io::ErrorKind::ConnectionRefused).into(), &[]);
        }
    }
    let state = group.members().into_iter().find(|member| *member.name == *target).unwrap().rank();
    assert_eq!(state, Rank::Open);
}

#[test]
fn members_take_turns_and_keep_or_replace_the_port() {
    let group = group(&["10.0.0.1:3000", "10.0.0.2:preserve"], &Kept::default());
    let turns = [443, 443, 443, 8005].map(|port| first(&group, port));
    assert_eq!(turns, ["10.0.0.1:3000", "10.0.0.2:443", "10.0.0.1:3000", "10.0.0.2:8005"]);
}

/// A reload that began at the first member again would send it the most connections, the more so the more reloads there are.
#[test]
fn the_turn_and_what_is_counted_go_on_in_the_next_configuration() {
    let kept = Kept::default();
    let before = group(&["10.0.0.1:1", "10.0.0.2:1"], &kept);
    let open = before.iter().next().unwrap().limit.acquire();
    assert_eq!(first(&before, 1), "10.0.0.1:1");
    let after = group(&["10.0.0.2:1", "10.0.0.1:1", "10.0.0.3:1"], &kept);
    drop(before);
    assert_eq!((first(&after, 1), after.in_use()), ("10.0.0.1:1".to_owned(), 1));
    drop(after);
    kept.forget();
    assert_eq!(
        kept.members().iter().map(|member| member.name.to_string()).collect::<Vec<_>>(),
        ["10.0.0.1:1"],
        "it has a connection"
    );
    drop(open);
    kept.forget();
    assert!(kept.is_empty());
}

#[test]
fn a_target_that_is_listed_twice_has_two_members_and_keeps_both() {
    let kept = Kept::default();
    let before = group(&["10.0.0.1:1", "10.0.0.1:1"], &kept);
    let _open = before.nth(1).unwrap().limit.acquire();
    let after = group(&["10.0.0.1:1", "10.0.0.1:1"], &kept);
    assert_eq!([0, 1].map(|at| after.nth(at).unwrap().limit.in_use()), [0, 1]);
    assert_eq!(kept.len(), 2);
}

#[test]
fn those_that_may_not_be_used_are_tried_last() {
    let group = group(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"], &Kept::default());
    fails(&group, "10.0.0.1:1");
    group.nth(1).unwrap().draining.set(true);
    for _ in 0..8 {
        let order = order(&group.candidates(1));
        assert_eq!(order[2..], ["10.0.0.1:1", "10.0.0.2:1"], "{order:?}");
    }
    assert_eq!(counts(&group, 100).into_values().collect::<Vec<_>>(), [50, 50]);
}

#[test]
fn levels_and_backups_serve_where_the_ones_before_may_not() {
    let members = [
        member("10.0.0.1:1"),
        member("10.0.0.2:1").priority(1),
        member("10.0.0.3:1").priority(1).backup(true),
        member("10.0.0.4:1"),
    ];
    let group = group_of(members, &GroupOptions::default(), &Kept::default());
    let serving =
        || counts(&group, 40).into_keys().map(|name| name[7..8].parse().unwrap()).collect::<Vec<u8>>();
    let drain = |nth: usize, on| group.nth(nth).unwrap().draining.set(on);
    assert_eq!(serving(), [1, 4]);
    assert_eq!(order(&group.candidates(1))[2..], ["10.0.0.2:1", "10.0.0.3:1"]);
    drain(0, true);
    assert_eq!(serving(), [4]);
    drain(3, true);
    assert_eq!(serving(), [2]);
    drain(1, true);
    assert_eq!(serving(), [3]);
    drain(2, true);
    assert_eq!(serving(), [1, 2, 4], "nobody may be used: all that are no backups are tried");
}

#[test]
fn a_level_of_which_too_few_may_be_used_is_helped_by_the_next_and_all_are_used_where_too_few_are_left() {
    let level = |from: u8, priority| {
        (from..from + 4).map(move |n| member(&format!("10.0.0.{n}:1")).priority(priority))
    };
    let options = GroupOptions::default().panic_threshold(proxy_upstream::Percent::nearest(50));
    let group = group_of(level(1, 0).chain(level(5, 1)), &options, &Kept::default());
    let serving = || counts(&group, 80).len();
    let drain = |nth: usize| group.nth(nth).unwrap().draining.set(true);
    drain(0);
    drain(1);
    assert_eq!(serving(), 2, "a half is enough");
    drain(2);
    assert_eq!(serving(), 5, "a quarter is not: the next level helps");
    (4..7).for_each(drain);
    assert_eq!(
        serving(),
        2,
        "no level has enough left: all of them are used, but for those that an operator drains"
    );
}

#[test]
fn a_weight_that_was_set_lasts_until_the_configuration_says_another_one() {
    let (kept, two) = (Kept::default(), |weight| {
        [member("10.0.0.1:1").weight(Weight::nearest(weight)), member("10.0.0.2:1")]
    });
    let options = GroupOptions::default();
    let before = group_of(two(3), &options, &kept);
    assert_eq!(counts(&before, 400)["10.0.0.1:1"], 300);
    assert_eq!(before.set_weight("10.0.0.1:1", Weight::nearest(1)).unwrap().get(), 3);
    assert_eq!(counts(&before, 400)["10.0.0.1:1"], 200);
    // Prepared before it was set.
    let next = Group::new("web".into(), two(3), options.clone(), &kept, &Arc::default());
    before.set_weight("10.0.0.1:1", Weight::nearest(0)).unwrap();
    next.take_force();
    assert_eq!(counts(&next, 100).get("10.0.0.1:1"), None);
    let changed = group_of(two(4), &options, &kept);
    assert_eq!(counts(&changed, 500)["10.0.0.1:1"], 400);
    let unknown = changed.set_weight("10.0.0.9:1", Weight::nearest(1));
    assert_eq!(unknown, Err(ChangeError::Unknown("10.0.0.9:1".into())));
}

#[test]
fn a_group_whose_members_have_no_weight_tries_them_in_turn() {
    let none = |n: u8| member(&format!("10.0.0.{n}:1")).weight(Weight::nearest(0));
    for balance in
        [Balance::RoundRobin, Balance::LeastConnections, Balance::P2c, Balance::Random, Balance::First]
    {
        let group = group_of((1..4).map(none), &GroupOptions::default().balance(balance), &Kept::default());
        assert_eq!(order(&group.candidates(1)).len(), 3, "{balance:?}");
    }
}

#[test]
fn members_come_and_go_while_it_runs_and_the_next_configuration_says_who_is_there() {
    let kept = Kept::default();
    let running = group(&["10.0.0.1:1", "10.0.0.2:1"], &kept);
    let added = running.add(&member("10.0.0.3:1")).unwrap();
    assert!(added.is_in_force());
    assert_eq!(running.add(&member("10.0.0.3:1")).unwrap_err(), ChangeError::Known("10.0.0.3:1".into()));
    assert_eq!(counts(&running, 300).into_values().collect::<Vec<_>>(), [100, 100, 100]);
    let open = added.limit.acquire();
    let gone = running.remove("10.0.0.3:1").unwrap();
    assert!(Arc::ptr_eq(&gone[0], &added) && !added.is_in_force());
    assert_eq!(counts(&running, 10).len(), 2);
    drop((gone, added));
    let again = running.add(&member("10.0.0.3:1")).unwrap();
    assert_eq!(again.limit.in_use(), 1, "what is counted for it goes on");
    drop((open, again));
    running.remove("10.0.0.1:1").unwrap();
    running.remove("10.0.0.2:1").unwrap();
    assert_eq!(running.remove("10.0.0.3:1").unwrap_err(), ChangeError::Last("10.0.0.3:1".into()));
    assert_eq!(running.remove("10.0.0.4:1").unwrap_err(), ChangeError::Unknown("10.0.0.4:1".into()));
    let next = group(&["10.0.0.1:1", "10.0.0.2:1"], &kept);
    drop(running);
    kept.set_aside(0);
    next.take_force();
    kept.forget();
    assert_eq!((counts(&next, 10).len(), kept.len()), (2, 2));
}

/// Those that a removal leaves behind in a dial are dialled as they were: the dial has the table that it began with.
#[test]
fn a_dial_under_way_goes_on_with_the_members_that_it_began_with() {
    let group = group(&["10.0.0.1:1", "10.0.0.2:1"], &Kept::default());
    let candidates = group.candidates(1);
    group.remove("10.0.0.1:1").unwrap();
    let attempt = candidates.enter(0).unwrap();
    drop(candidates.reached(attempt));
    assert_eq!(order(&candidates), ["10.0.0.1:1", "10.0.0.2:1"]);
}

/// A member that takes every connection and fails every handshake: were the connections counted, its breaker would never open.
#[tokio::test(start_paused = true)]
async fn handshakes_that_fail_in_a_row_open_a_breaker_and_one_that_is_done_closes_it() {
    let breaker =
        BreakerOptions::default().failures_in_a_row(2.try_into().unwrap()).cool_down(Bound::secs(10));
    let options = GroupOptions::default().breaker(breaker);
    let group = group_of(["10.0.0.1:1", "10.0.0.2:1"].map(member), &options, &Kept::default());
    let shaking = || {
        let candidates = group.candidates(1).followed_by_handshake(true);
        let attempt =
            candidates.enter(0).ok().filter(|_| candidates.name(0).unwrap().as_ref() == "10.0.0.1:1")?;
        candidates.reached(attempt).unproven
    };
    let next = || (0..4).find_map(|_| shaking());
    let bad = group.nth(0).unwrap();
    drop(next().unwrap());
    assert_eq!(
        (bad.rank(), bad.health.outcomes.counts().bad),
        (Rank::Usable, 0),
        "a client that leaves says nothing"
    );
    next().unwrap().failed();
    next().unwrap().proven();
    next().unwrap().failed();
    assert_eq!(bad.rank(), Rank::Usable, "one in between was done");
    next().unwrap().failed();
    assert_eq!((bad.rank(), bad.health.outcomes.counts().bad), (Rank::Open, 3));
    assert!(next().is_none(), "others are taken");
    tokio::time::advance(Duration::from_secs(11)).await;
    let probe = next().expect("it is tried");
    assert!(next().is_none(), "by one");
    probe.proven();
    assert_eq!(bad.rank(), Rank::Usable);
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_back_starts_slowly_under_every_algorithm_that_shares() {
    for balance in [Balance::RoundRobin, Balance::Random] {
        let options = GroupOptions::default().balance(balance).slow_start(Some(Bound::secs(10)));
        let group = group_of(["10.0.0.1:1", "10.0.0.2:1"].map(member), &options, &Kept::default());
        let share = || counts(&group, 2000).get("10.0.0.2:1").copied().unwrap_or(0);
        assert!((850..=1150).contains(&share()), "it was there from the start");
        group.nth(1).unwrap().draining.set(true);
        assert_eq!(share(), 0);
        group.nth(1).unwrap().draining.set(false);
        // A tenth of the turns that fall on it, and the other has the rest: 1 in 11; four standard deviations.
        let began = share();
        assert!((130..=235).contains(&began), "{balance:?}: {began}");
        tokio::time::advance(Duration::from_secs(5)).await;
        let half = share();
        assert!((600..=820).contains(&half), "{balance:?}: {half}");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!((850..=1150).contains(&share()));
    }
}

#[tokio::test(start_paused = true)]
async fn least_connections_gives_one_that_comes_back_a_tenth_of_what_the_others_have_and_then_more() {
    let options =
        GroupOptions::default().balance(Balance::LeastConnections).slow_start(Some(Bound::secs(10)));
    let group = group_of((1..=4).map(|n| member(&format!("10.0.0.{n}:1"))), &options, &Kept::default());
    group.nth(3).unwrap().draining.set(true);
    let mut open: Vec<_> = (0..300).map(|_| connect(&group)).collect();
    let of = |nth: usize| group.nth(nth).unwrap().limit.in_use();
    assert_eq!([0, 1, 2, 3].map(of), [100, 100, 100, 0]);
    group.nth(3).unwrap().draining.set(false);
    open.extend((0..30).map(|_| connect(&group)));
    assert!((9..=11).contains(&of(3)), "{}", of(3));
    tokio::time::advance(Duration::from_secs(10)).await;
    open.extend((0..110).map(|_| connect(&group)));
    assert_eq!([0, 1, 2, 3].map(of), [110; 4]);
}

#[test]
fn a_hash_is_of_the_client_or_of_the_name_and_survives_the_order_of_the_file() {
    let names = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"];
    let hash = |of, names: &[&str]| {
        let options = GroupOptions::default().balance(Balance::Hash(of));
        group_of(names.iter().map(|name| member(name)), &options, &Kept::default())
    };
    let (one, other) = (
        hash(HashKey::Client, &names),
        hash(HashKey::Client, &["10.0.0.4:1", "10.0.0.1:1", "10.0.0.3:1", "10.0.0.2:1"]),
    );
    let first = |group: &Group, key: &Key<'_>| group.candidates_for(1, key).addresses[0].to_string();
    let mut met = std::collections::BTreeSet::new();
    for n in 0..50_u8 {
        let key = Key::new(Some([192, 0, 2, n].into()), Some("shop.example"));
        assert_eq!(first(&one, &key), first(&one, &key));
        assert_eq!(first(&one, &key), first(&other, &key));
        met.insert(first(&one, &key));
    }
    assert_eq!(met.len(), 4);
    let by_name = hash(HashKey::ServerName, &names);
    let same: std::collections::BTreeSet<_> = (0..50_u8)
        .map(|n| first(&by_name, &Key::new(Some([192, 0, 2, n].into()), Some("SHOP.example."))))
        .collect();
    assert_eq!(same.len(), 1);
}

#[test]
fn first_is_the_first_that_may_be_used() {
    let options = GroupOptions::default()
        .balance(Balance::First)
        .breaker(BreakerOptions::default().cool_down(Bound::secs(60)));
    let group = group_of((1..=3).map(|n| member(&format!("10.0.0.{n}:1"))), &options, &Kept::default());
    assert_eq!(counts(&group, 10).into_keys().collect::<Vec<_>>(), ["10.0.0.1:1"]);
    fails(&group, "10.0.0.1:1");
    assert_eq!(counts(&group, 10).into_keys().collect::<Vec<_>>(), ["10.0.0.2:1"]);
}

/// A thousand members of which most may not be used: a dial meets every one that may, and no more than some of the others.
#[test]
fn every_usable_member_of_many_is_reached_by_a_dial_that_fails_elsewhere() {
    let names: Vec<_> = (0..1000).map(|n| format!("10.0.{}.{}:1", n / 250, n % 250)).collect();
    for balance in
        [Balance::RoundRobin, Balance::LeastConnections, Balance::P2c, Balance::Hash(HashKey::Client)]
    {
        let options = GroupOptions::default().balance(balance);
        let group = group_of(names.iter().map(|name| member(name)), &options, &Kept::default());
        let usable = |n: usize| n % 10 == 3;
        (0..1000).filter(|n| !usable(*n)).for_each(|n| group.nth(n).unwrap().draining.set(true));
        let order = order(&group.candidates(1));
        let (first, rest) = order.split_at(100);
        assert!(first.iter().all(|name| usable(names.iter().position(|known| known == name).unwrap())));
        assert_eq!(rest.len(), 16, "{balance:?}");
    }
}

/// A group that lists these, and has these names.
fn named(targets: &[&str], names: &[&str], kept: &Kept) -> Group {
    let name = |name: &&str| NameOptions::new(name.parse::<Discovery>().unwrap());
    let options =
        GroupOptions::default().names(names.iter().map(name).collect()).slow_start(Some(Bound::secs(10)));
    group_of(targets.iter().map(|target| member(target)), &options, kept)
}

/// What an SRV answer has: each as `(priority, weight, host)`, on port 80.
fn answer(servers: &[(u16, u16, &str)]) -> Vec<Found> {
    let server = |(priority, weight, host): &(u16, u16, &str)| {
        Service::new(host, 80).priority(*priority).weight(*weight)
    };
    Found::of_services(&servers.iter().map(server).collect::<Vec<_>>())
}

/// Its members as `target level/weight`, by level.
fn members(group: &Group) -> Vec<String> {
    let text = |(member, options): (Arc<proxy_upstream::Member>, MemberOptions)| {
        format!("{} {}/{}", member.name, options.priority, member.weight())
    };
    group.member_options().into_iter().map(text).collect()
}

fn names_of(members: &[Arc<proxy_upstream::Member>]) -> Vec<String> {
    members.iter().map(|member| member.name.to_string()).collect()
}

const SRV: &str = "srv+_web._tcp.x";

#[tokio::test(start_paused = true)]
async fn an_answer_says_who_the_members_are_and_what_was_counted_stays() {
    let kept = Kept::default();
    let group = named(&[], &[SRV], &kept);
    assert!(group.is_awaited() && group.candidates(1).addresses.is_empty());
    assert_eq!(names_of(&group.follow(0, answer(&[(1, 3, "a.x"), (2, 7, "b.x")]))), [""; 0]);
    assert_eq!(members(&group), ["a.x:80 1/3", "b.x:80 2/7"]);
    assert!(!group.is_awaited());
    assert_eq!(
        group.members()[0].share(Some(Duration::from_secs(10))),
        100,
        "who is there from the start has all"
    );
    let (at, open) = connect(&group);
    assert_eq!(at, "a.x:80");
    // Another weight and level, one more, one less.
    let gone = group.follow(0, answer(&[(2, 1, "c.x"), (1, 9, "b.x")]));
    assert_eq!(names_of(&gone), ["a.x:80"]);
    assert_eq!(members(&group), ["b.x:80 1/9", "c.x:80 2/1"]);
    assert!(!gone[0].is_in_force() && gone[0].limit.in_use() == 1);
    assert_eq!(group.members()[1].share(Some(Duration::from_secs(10))), 10, "it has come");
    assert_eq!(names_of(&group.gone()), ["a.x:80"]);
    // It is back with what it has.
    assert!(
        group.follow(0, answer(&[(1, 3, "a.x"), (1, 9, "b.x")])).iter().any(|gone| *gone.name == *"c.x:80")
    );
    assert_eq!(group.members()[0].limit.in_use(), 1);
    assert!(group.gone().is_empty());
    drop(open);
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_and_a_failed_look_up_empty_nothing() {
    let group = named(&[], &[SRV], &Kept::default());
    group.was_not_found(0, "SERVFAIL");
    assert!(!group.is_awaited(), "it is known that nothing is");
    group.follow(0, answer(&[(0, 1, "a.x")]));
    group.was_not_found(0, "no answer");
    assert!(group.follow(0, Vec::new()).is_empty());
    assert_eq!(members(&group), ["a.x:80 0/1"]);
    let (_, known) = group.names().next().unwrap();
    assert_eq!((known.found.map(|found| found.len()), known.error.as_deref()), (Some(1), Some("no answer")));
    group.follow(0, answer(&[(0, 1, "a.x")]));
    assert_eq!(group.names().next().unwrap().1.error, None);
}

#[tokio::test(start_paused = true)]
async fn what_is_listed_or_another_names_or_was_removed_by_hand_stays_so() {
    let group = named(&["a.x:80"], &[SRV, "dns+b.x:80"], &Kept::default());
    group.follow(0, answer(&[(5, 5, "a.x"), (0, 2, "b.x")]));
    assert_eq!(members(&group), ["a.x:80 0/1", "b.x:80 0/2"]);
    group.follow(1, Found::of_addresses(&[[10, 0, 0, 1].into()], 80));
    assert_eq!(members(&group), ["a.x:80 0/1", "b.x:80 0/2", "10.0.0.1:80 0/1"]);
    group.remove("b.x:80").unwrap();
    group.follow(0, answer(&[(0, 2, "b.x"), (0, 2, "c.x")]));
    assert_eq!(members(&group), ["a.x:80 0/1", "10.0.0.1:80 0/1", "c.x:80 0/2"]);
    group.add(&member("b.x:80")).unwrap();
    assert_eq!(group.members().len(), 4);
    // A weight that was set holds until the answer says another one.
    group.set_weight("c.x:80", Weight::nearest(200)).unwrap();
    group.follow(0, answer(&[(0, 2, "c.x")]));
    assert!(members(&group).contains(&"c.x:80 0/200".to_owned()), "{:?}", members(&group));
    group.follow(0, answer(&[(0, 3, "c.x")]));
    assert!(members(&group).contains(&"c.x:80 0/3".to_owned()), "{:?}", members(&group));
}

#[tokio::test(start_paused = true)]
async fn the_next_configuration_begins_with_the_last_answer() {
    let kept = Kept::default();
    let before = named(&["l.x:80"], &[SRV], &kept);
    before.follow(0, answer(&[(0, 1, "a.x"), (0, 1, "b.x")]));
    let options = before.options().clone();
    // Prepared, and an answer comes before it takes force.
    let after =
        Group::new("web".into(), [member("l.x:80"), member("b.x:80")], options, &kept, &Arc::default());
    assert_eq!(after.members().len(), 3);
    before.follow(0, answer(&[(0, 1, "b.x"), (0, 1, "c.x")]));
    kept.set_aside(0);
    after.take_force();
    assert_eq!(members(&after), ["l.x:80 0/1", "b.x:80 0/1", "c.x:80 0/1"]);
    assert!(after.members().iter().all(|member| member.is_in_force()));
    assert!(Arc::ptr_eq(&after.members()[1], &before.members()[1]), "b.x is the same, listed or found");
    // A configuration without the name has none of its members, and forgets the answer.
    kept.set_aside(0);
    let without = named(&["l.x:80"], &[], &kept);
    assert_eq!(members(&without), ["l.x:80 0/1"]);
    kept.set_aside(0);
    assert!(named(&[], &[SRV], &kept).is_awaited());
}

#[tokio::test(start_paused = true)]
async fn a_name_has_failed_when_all_its_members_have() {
    let group = named(&["l.x:80"], &[SRV], &Kept::default());
    assert!(!group.has_failed(0), "it has no members");
    group.follow(0, answer(&[(0, 1, "a.x"), (0, 1, "b.x")]));
    let fail = |target: &str| {
        let candidates = (0..9).map(|_| group.candidates(1)).find(|one| *one.name(0).unwrap() == *target);
        let candidates = candidates.unwrap();
        let attempt = candidates.enter(0).unwrap();
        candidates.failed(attempt, &io::Error::from(io::ErrorKind::ConnectionRefused).into(), &[]);
    };
    fail("a.x:80");
    assert!(!group.has_failed(0));
    fail("b.x:80");
    assert!(group.has_failed(0), "though the one that is listed is well");
}
