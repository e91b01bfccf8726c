//! Each load on the floor, which is a proxy after all, in a thread of this process.

use std::net::{Ipv4Addr, TcpListener};

use super::*;
use crate::floor::Floor;

const BOUND: Duration = Duration::from_secs(20);

/// A load, and the floor in front of its backends.
fn behind_the_floor() -> (Load, SocketAddrV4) {
    let mut load = Load::new().unwrap();
    load.bound(BOUND);
    let backends = load.backends();
    let (say, heard) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let floor = Floor::new(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0), backends, false).unwrap();
        say.send(floor.addr().unwrap()).unwrap();
        floor.run()
    });
    let addr = heard.recv().unwrap();
    (load, addr)
}

#[test]
fn short_connections_all_get_their_answer() {
    let (mut load, proxy) = behind_the_floor();
    for (count, at_once) in [(1, 1), (300, 16), (5, 64)] {
        let done = load.short(proxy, count, at_once).unwrap();
        assert!(done.wall > Duration::ZERO);
        load.until_quiet().unwrap();
        assert_eq!((load.at_backends(), load.clients.len()), (0, 0));
    }
}

#[test]
fn round_trips_of_any_size_are_counted_and_timed() {
    let (mut load, proxy) = behind_the_floor();
    for message in [1, 100, 65_536, 3_000_000] {
        load.open(proxy, 8, message).unwrap();
        let done = load.round_trips(8, 40, message).unwrap();
        let [half, most] = done.latency;
        assert!(Duration::ZERO < half && half <= most && most <= done.wall, "{done:?}");
        assert_eq!(load.at_backends(), 8);
        load.close().unwrap();
    }
}

#[test]
fn bulk_goes_both_ways_and_what_comes_after_is_not_disturbed() {
    let (mut load, proxy) = behind_the_floor();
    load.bulk(proxy, 4, 40_000_000).unwrap();
    load.until_quiet().unwrap();
    load.idle(proxy, 300).unwrap();
    assert_eq!(load.at_backends(), 300);
    load.hang_up();
    load.until_quiet().unwrap();
}

#[test]
fn a_proxy_that_drops_connections_is_an_error() {
    let mut load = Load::new().unwrap();
    load.bound(BOUND);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let std::net::SocketAddr::V4(proxy) = listener.local_addr().unwrap() else {
        unreachable!("it is bound to one")
    };
    std::thread::spawn(move || drop(listener.accept()));
    assert!(load.short(proxy, 1, 1).is_err());
}

#[test]
fn a_proxy_that_does_nothing_is_an_error_after_the_bound() {
    let mut load = Load::new().unwrap();
    load.bound(Duration::from_millis(300));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let std::net::SocketAddr::V4(proxy) = listener.local_addr().unwrap() else {
        unreachable!("it is bound to one")
    };
    let error = load.short(proxy, 1, 1).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (io::ErrorKind::TimedOut, "not done in time: 1 clients, 0 backends are open".to_owned())
    );
}
