//! So many are served at a time, and no more: the admin API takes a bounded part of the process.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::PATIENCE;
use crate::world::World;

/// Connections that are served at a time, of each listener.
const MOST: usize = 64;

#[test]
fn who_comes_when_all_places_are_taken_is_answered_when_one_is_free() {
    let world = World::new();
    let addr = world.outer.admin.addr().unwrap();
    let ask = || {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        stream
    };
    let answered = |mut stream: &TcpStream| {
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
    };
    // Each keeps its place after its answer: the connection stays open.
    let mut held: Vec<_> = (0..MOST).map(|_| ask()).collect();
    held.iter().for_each(answered);
    let next = ask();
    next.set_nonblocking(true).unwrap();
    // The Unix socket has places of its own. Its thread is the same: had it been the next one's turn, that were answered.
    for _ in 0..20 {
        assert_eq!(world.at().get("/healthz").status, 200);
    }
    assert_eq!((&next).read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    next.set_nonblocking(false).unwrap();
    drop(held.pop());
    answered(&next);
}
