//! The limits of one client: both sides of each boundary, and what a full table does.
#![expect(clippy::unwrap_used, reason = "a failed assumption of a test is its failure")]

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use proxy_conn::limits::{
    AddressKey, AddressLimits, AddressLimitsOptions, AddressPermit, AddressRefusal, V6Prefix,
};
use tokio::time::Instant;

fn at_least_one(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn limits(at_once: u32, per_minute: u32, capacity: u32) -> AddressLimits {
    AddressLimits::new(
        AddressLimitsOptions::default()
            .connections_per_client(at_least_one(at_once))
            .connections_per_client_per_minute(at_least_one(per_minute))
            .client_table_capacity(at_least_one(capacity)),
    )
}

fn client(n: u32) -> IpAddr {
    Ipv4Addr::from(0x0A00_0000 + n).into()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[tokio::test(start_paused = true)]
async fn by_default_a_client_has_a_hundred_at_once_and_three_hundred_a_minute() {
    let (limits, now) = (AddressLimits::new(AddressLimitsOptions::default()), Instant::now());
    let mut held: Vec<_> = (0..100).map(|_| limits.admit(client(1), now).unwrap()).collect();
    assert_eq!(limits.admit(client(1), now).unwrap_err(), AddressRefusal::AtOnce { most: 100 });
    assert_eq!((limits.count(client(1)), limits.total(), limits.len()), (100, 100, 1));
    drop(held.pop());
    held.push(limits.admit(client(1), now).unwrap());
    held.clear();
    for _ in 101..300 {
        drop(limits.admit(client(1), now).unwrap());
    }
    let refused = limits.admit(client(1), now).unwrap_err();
    assert_eq!(refused, AddressRefusal::Rate { per_minute: 300, retry_after: Duration::from_millis(200) });
    insta::assert_snapshot!(refused, @"the client opens more than 300 connections a minute; the next may come in 200ms");
    assert!(limits.admit(client(2), now).is_ok(), "another client is not concerned");
    let soon = now + Duration::from_millis(200);
    assert!(limits.admit(client(1), soon - Duration::from_nanos(1)).is_err());
    drop(limits.admit(client(1), soon).unwrap());
    assert!(limits.admit(client(1), soon).is_err());
    assert_eq!(limits.total(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_uses_most_is_known_by_name() {
    let (limits, now) = (limits(5, 60, 100_000), Instant::now());
    let anybody = |_: IpAddr| true;
    assert_eq!((limits.busiest(now, anybody).open, limits.busiest(now, anybody).new), (None, None));
    let _held: Vec<_> = (0..9_000).map(|n| limits.admit(client(n), now).unwrap()).collect();
    let _four: Vec<_> = (0..3).map(|_| limits.admit(client(77), now).unwrap()).collect();
    for _ in 0..20 {
        drop(limits.admit(client(88), now).unwrap());
    }
    let _local: Vec<_> = (0..50).map(|_| limits.admit(ip("127.0.0.1"), now).unwrap()).collect();
    let busiest = limits.busiest(now, |ip| !ip.is_loopback());
    let told = |most: Option<(AddressKey, u32)>| most.map(|(key, used)| (key.first(), used));
    assert_eq!(told(busiest.open), Some((client(77), 4)));
    assert_eq!(told(busiest.new), Some((client(88), 21)));
    let after = limits.busiest(now + secs(3), |ip| !ip.is_loopback());
    assert_eq!(told(after.new), Some((client(88), 18)), "one a second is repaid");
    assert_eq!(told(limits.busiest(now, anybody).open), Some((ip("127.0.0.1"), 50)));
}

#[tokio::test(start_paused = true)]
async fn a_refused_attempt_costs_nothing() {
    let (limits, now) = (limits(1, 2, 100), Instant::now());
    let held = limits.admit(client(1), now).unwrap();
    for _ in 0..1000 {
        assert_eq!(limits.admit(client(1), now).unwrap_err(), AddressRefusal::AtOnce { most: 1 });
    }
    drop(held);
    drop(limits.admit(client(1), now).unwrap());
    for _ in 0..1000 {
        assert!(matches!(limits.admit(client(1), now).unwrap_err(), AddressRefusal::Rate { .. }));
    }
    assert!(limits.admit(client(1), now + secs(30)).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_whole_v6_link_is_one_client_and_a_mapped_address_is_the_v4_one() {
    let (limits, now) = (limits(1, 300, 100), Instant::now());
    let held = limits.admit(ip("2001:db8::1"), now).unwrap();
    assert_eq!(held.key().to_string(), "2001:db8::");
    assert!(limits.admit(ip("2001:db8::ffff:ffff:ffff:ffff"), now).is_err());
    let _neighbour = limits.admit(ip("2001:db8:0:1::1"), now).unwrap();
    let _v4 = limits.admit(ip("192.0.2.1"), now).unwrap();
    assert!(limits.admit(ip("::ffff:192.0.2.1"), now).is_err());
    assert_eq!((limits.count(ip("2001:db8::2")), limits.count(ip("::ffff:192.0.2.1"))), (1, 1));
    let each = AddressLimits::new(
        AddressLimitsOptions::default().connections_per_client(at_least_one(1)).ipv6_prefix(V6Prefix::WHOLE),
    );
    let _two = (each.admit(ip("2001:db8::1"), now).unwrap(), each.admit(ip("2001:db8::2"), now).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_reload_changes_the_limits_and_keeps_the_counts() {
    let (limits, now) = (limits(3, 300, 100), Instant::now());
    let mut held: Vec<_> = (0..3).map(|_| limits.admit(client(1), now).unwrap()).collect();
    let fewer = AddressLimitsOptions::default()
        .connections_per_client(at_least_one(2))
        .connections_per_client_per_minute(at_least_one(1));
    limits.set_rates(fewer);
    assert_eq!(limits.count(client(1)), 3);
    held.truncate(2);
    assert_eq!(limits.admit(client(1), now).unwrap_err(), AddressRefusal::AtOnce { most: 2 });
    held.truncate(1);
    // Three at 300 a minute are a debt of 600 ms; one a minute has no tolerance beyond that.
    let retry_after = Duration::from_millis(600);
    assert_eq!(
        limits.admit(client(1), now).unwrap_err(),
        AddressRefusal::Rate { per_minute: 1, retry_after }
    );
    assert!(limits.admit(client(1), now + retry_after).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_client_without_permits_and_debt_is_forgotten() {
    let (limits, now) = (limits(100, 300, 100), Instant::now());
    drop(limits.admit(client(1), now).unwrap());
    assert_eq!(limits.len(), 1, "in debt for 200 ms");
    let held = limits.admit(client(2), now + Duration::from_millis(200)).unwrap();
    assert_eq!(limits.len(), 1, "the hand went round");
    drop(limits.admit(client(3), now + secs(10)).unwrap());
    drop(held);
    assert_eq!(limits.len(), 1, "the second's debt was repaid, so its last permit took it along");
}

#[tokio::test(start_paused = true)]
async fn live_clients_are_never_pushed_out() {
    let (limits, now) = (limits(9, 60, 10), Instant::now());
    let held: Vec<AddressPermit> = (0..10).map(|n| limits.admit(client(n), now).unwrap()).collect();
    for n in 100..10_000 {
        assert_eq!(limits.admit(client(n), now).unwrap_err(), AddressRefusal::TableFull);
    }
    let again = limits.admit(client(9), now).expect("it is known: it needs no room");
    assert_eq!(
        (limits.len(), limits.total(), limits.count(client(0)), limits.count(client(9))),
        (10, 11, 1, 2)
    );
    drop((held, again));
    assert_eq!(limits.total(), 0);
}

#[tokio::test(start_paused = true)]
async fn of_the_indebted_the_one_nearest_to_being_repaid_gives_way() {
    let (limits, now) = (limits(9, 60, 10), Instant::now());
    let held: Vec<_> = (0..8).map(|n| limits.admit(client(n), now).unwrap()).collect();
    for (indebted, times) in [(8, 5), (9, 60)] {
        for _ in 0..times {
            drop(limits.admit(client(indebted), now).unwrap());
        }
    }
    for n in 100..10_000 {
        drop(limits.admit(client(n), now).unwrap());
        assert_eq!((limits.len(), limits.total()), (10, 8));
    }
    assert!(limits.admit(client(9), now).is_err(), "its minute is used up, and that is not forgotten");
    assert!(held.iter().all(|permit| limits.count(permit.key().first()) == 1));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_goes_back_is_borne() {
    let now = Instant::now();
    tokio::time::advance(secs(100)).await;
    let limits = limits(9, 60, 10);
    drop(limits.admit(client(1), now).unwrap());
    drop(limits.admit(client(1), now + secs(200)).unwrap());
    drop(limits.admit(client(1), now).unwrap());
    assert_eq!(limits.total(), 0);
}

#[cfg(feature = "serde")]
#[test]
fn a_config_file_may_say_it() {
    use proxy_conn::limits::AddressLimitsOverrides;

    let parse = |key: &str, value: i64| toml::from_str::<AddressLimitsOverrides>(&format!("{key} = {value}"));
    let defaults = AddressLimitsOptions::default();
    let options = defaults.with(&parse("connections_per_client", 7).unwrap());
    assert_eq!(options, defaults.connections_per_client(at_least_one(7)));
    let options = defaults.with(&parse("ipv6_prefix", 56).unwrap());
    assert_eq!(options.ipv6_prefix.bits(), 56);
    assert!(parse("connections_per_client_per_minute", 0).is_err(), "0 is neither none nor without limit");
    assert!(parse("ipv6_prefix", 129).is_err());
    assert!(parse("connections_per_clinet", 7).is_err());
}
