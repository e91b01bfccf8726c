//! So many are served at a time, and no more: the admin API takes a bounded part of the process, and nobody who asks nothing
//! keeps anybody out of it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::http::At;
use crate::world::World;
use crate::{PATIENCE, eventually};

/// Connections that are served at a time, of each listener.
const MOST: usize = 64;

/// A connection to `addr` from the `n`th address of this machine.
fn connect_from(n: u8, addr: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, 1 + n), 0)).into()).unwrap();
    socket.connect(&addr.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn send(addr: SocketAddr, request: &str) -> TcpStream {
    let mut stream = connect_from(0, addr);
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn is_answered(mut stream: &TcpStream) {
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
}

#[test]
fn a_crowd_that_asks_nothing_keeps_nobody_out() {
    let world = World::new();
    let addr = world.outer.admin.addr().unwrap();
    let mut live = At::Tcp(addr).begin("GET", "/v1/events", &[], "");
    live.event().unwrap();
    // From sixteen addresses, twice as many as there are places for.
    let mut crowd: Vec<_> =
        (0..2 * MOST).map(|n| connect_from(u8::try_from(n % 16).unwrap(), addr)).collect();
    for _ in 0..20 {
        crowd.push(connect_from(20, addr));
        let began = Instant::now();
        for path in ["/healthz", "/metrics", "/v1/status"] {
            assert_eq!(At::Tcp(addr).get(path).status, 200);
        }
        assert!(began.elapsed() < Duration::from_secs(4), "not only once the crowd's time was over");
    }
    // Who is being answered has not lost its place.
    live.event().unwrap();
    drop(crowd);
}

#[test]
fn a_connection_that_was_answered_and_waits_gives_its_place_to_who_comes() {
    let world = World::new();
    let addr = world.outer.admin.addr().unwrap();
    let held: Vec<_> = (0..MOST + 8).map(|_| send(addr, HEALTH)).collect();
    held.iter().for_each(is_answered);
    is_answered(&send(addr, HEALTH));
}

#[test]
fn who_comes_while_all_are_being_answered_is_answered_when_one_has_been() {
    let world = World::new();
    let addr = world.outer.admin.addr().unwrap();
    // Its body is still to come.
    let half = "POST /v1/drain HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    let mut held: Vec<_> = (0..MOST).map(|_| send(addr, half)).collect();
    let next = send(addr, HEALTH);
    next.set_nonblocking(true).unwrap();
    // The Unix socket has places of its own. Its thread is the same: had it been the next one's turn, that were answered.
    for _ in 0..20 {
        assert_eq!(world.at().get("/healthz").status, 200);
    }
    assert_eq!((&next).read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    next.set_nonblocking(false).unwrap();
    drop(held.pop());
    is_answered(&next);
    drop(held);
    eventually("all are free again", || At::Tcp(addr).get("/healthz").status == 200);
}
