//! Source addresses: how they are written, and whose turn it is.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::*;

fn pool(sources: &[&str]) -> SourcePool {
    SourcePool::new(sources.iter().map(|source| source.parse().unwrap())).unwrap()
}

fn to(n: u8) -> SocketAddr {
    ([10, 0, 0, n], 80).into()
}

fn spent() -> io::Error {
    io::Error::from_raw_os_error(libc::EADDRNOTAVAIL)
}

#[test]
fn sources_parse_and_print_back() {
    for text in ["192.0.2.10", "2001:db8::1", "192.0.2.0/24", "2001:db8::/64"] {
        assert_eq!(text.parse::<SourceNet>().unwrap().to_string(), text);
    }
    assert_eq!("::ffff:192.0.2.1".parse::<SourceNet>().unwrap().to_string(), "192.0.2.1");
    let refusal = |text: &str| text.parse::<SourceNet>().unwrap_err().to_string();
    insta::assert_snapshot!(refusal("eth0"), @r#"expected an IP address such as "192.0.2.10" or a network such as "2001:db8::/64", found `eth0`"#);
    insta::assert_snapshot!(refusal("2001:db8::1/64"), @r#"`2001:db8::1/64` is an address within a network: write "2001:db8::/64" for all of them, or the address alone"#);
    insta::assert_snapshot!(refusal("0.0.0.0"), @"`0.0.0.0` is no address that a connection can come from");
    let twice = ["192.0.2.1", "192.0.2.1"].map(|source| source.parse().unwrap());
    insta::assert_snapshot!(SourcePool::new(twice).unwrap_err(), @"the source 192.0.2.1 is there twice");
    insta::assert_snapshot!(SourcePool::new([]).unwrap_err(), @r#"a list of source addresses has at least one: to leave the choice to the kernel, write "auto""#);
}

#[test]
fn interfaces_have_names_that_the_kernel_would_take() {
    for text in ["eth0", "wg-lan.100", "abcdefghijklmno"] {
        assert_eq!(text.parse::<Interface>().unwrap().as_str(), text);
    }
    for text in ["", "abcdefghijklmnop", "a/b", "a b", "..", "eth0:1"] {
        assert!(text.parse::<Interface>().is_err(), "{text}");
    }
}

#[test]
fn addresses_take_turns_by_family() {
    let pool = pool(&["192.0.2.1", "2001:db8::/64", "192.0.2.2", "198.51.100.0/30"]);
    let mut counts = HashMap::<IpAddr, usize>::new();
    for _ in 0..400 {
        *counts.entry(pool.next([10, 0, 0, 1].into()).unwrap()).or_default() += 1;
    }
    let mut of: Vec<_> = counts.into_iter().map(|(ip, count)| format!("{ip} {count}")).collect();
    of.sort();
    assert_eq!(of, ["192.0.2.1 100", "192.0.2.2 100", "198.51.100.1 100", "198.51.100.2 100"]);
    let network: ipnet::IpNet = "2001:db8::/64".parse().unwrap();
    let picked: Vec<_> = (0..100).map(|_| pool.next("2001:db9::9".parse().unwrap()).unwrap()).collect();
    assert!(picked.iter().all(|ip| network.contains(ip) && *ip != network.network()), "{picked:?}");
    let distinct: std::collections::HashSet<_> = picked.iter().collect();
    assert_eq!(distinct.len(), 100);
    assert_eq!(self::pool(&["192.0.2.1"]).next("::1".parse().unwrap()), None);
}

/// Four of them with ten ports each to one target.
#[tokio::test(start_paused = true)]
async fn one_without_a_port_left_is_passed_over_and_asked_again_a_second_later() {
    let pool = pool(&["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]);
    let mut open = HashMap::<IpAddr, usize>::new();
    let mut asked = 0;
    let dial = |open: &mut HashMap<IpAddr, usize>, asked: &mut usize| {
        pool.try_from(to(1), |turn| {
            *asked += 1;
            let open = open.entry(turn.ip).or_default();
            if *open == 10 {
                return Err(spent());
            }
            *open += 1;
            Ok(turn.ip)
        })
        .unwrap()
    };
    open.insert([192, 0, 2, 3].into(), 7);
    for _ in 0..33 {
        dial(&mut open, &mut asked).unwrap();
    }
    assert!(open.values().all(|count| *count == 10), "{open:?}");
    assert!(asked <= 33 + 3, "each that was full was asked in vain once: {asked}");
    assert!(dial(&mut open, &mut asked).is_err(), "all are full");
    asked = 0;
    for _ in 0..100 {
        assert!(dial(&mut open, &mut asked).is_err());
    }
    assert_eq!(asked, 100, "each dial asks one, whatever is known");
    // A connection ends: the next dial that asks that one has its place.
    open.insert([192, 0, 2, 2].into(), 9);
    let ports: Vec<_> = (0..4).filter_map(|_| dial(&mut open, &mut asked).ok()).collect();
    assert_eq!(ports, [IpAddr::from([192, 0, 2, 2])]);
    tokio::time::advance(Duration::from_secs(1)).await;
    open.insert([192, 0, 2, 4].into(), 9);
    assert_eq!(
        dial(&mut open, &mut asked).unwrap(),
        IpAddr::from([192, 0, 2, 4]),
        "in its second, all are asked"
    );
}

/// What one target has used up, another has all of.
#[tokio::test(start_paused = true)]
async fn a_port_is_taken_for_one_target_alone() {
    let pool = pool(&["192.0.2.1", "192.0.2.2"]);
    let mut asked = Vec::new();
    for target in [1, 1, 2, 2] {
        let from = pool.try_from(to(target), |turn| {
            asked.push(turn.ip);
            if target == 1 { Err(spent()) } else { Ok(turn.ip) }
        });
        assert_eq!(from.unwrap().is_ok(), target == 2);
    }
    let others: Vec<_> = asked.iter().rev().take(2).collect();
    assert_ne!(others[0], others[1], "both serve the other target");
}

/// What is the target's is not tried from elsewhere.
#[test]
fn a_refusal_is_no_reason_to_come_from_elsewhere() {
    let (pool, mut asked) = (pool(&["192.0.2.1", "192.0.2.2"]), 0);
    let refused = pool.try_from(to(1), |_| {
        asked += 1;
        Err::<(), _>(io::ErrorKind::ConnectionRefused.into())
    });
    assert_eq!((refused.unwrap().unwrap_err().kind(), asked), (io::ErrorKind::ConnectionRefused, 1));
}
