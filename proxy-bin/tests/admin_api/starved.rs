//! The real program over both its admin sockets while it has no descriptor left: that is when it is asked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use proxy_api::model::{Killed, Status};

use crate::http::At;
use crate::program::Program;
use crate::{PATIENCE, eventually};

/// Descriptors that the program may have: some forty are its own, and so many clients that it needs more are let in.
const DESCRIPTORS: u32 = 96;

/// Its pool takes in whoever comes, for as long as there is a descriptor.
const LINES: &str = r#"
[limits]
max_connections = 1000
connections_per_client = "off"
connections_per_client_per_minute = "off"
[pools.direct.overload]
descriptors_tight = 99
descriptors_shed = 100
[log]
access = "off"
"#;

/// The program, and the clients who have used up its descriptors.
struct Starved {
    program: Program,
    clients: Vec<TcpStream>,
}

impl Starved {
    fn start() -> Self {
        let program = Program::start(LINES, DESCRIPTORS).running();
        let ([at, _], addr) = (program.both(), program.addr);
        let mut clients: Vec<_> = (0..DESCRIPTORS).map(|_| TcpStream::connect(addr).unwrap()).collect();
        eventually("its descriptors are used up", || {
            // Whoever found none for its backend was turned away: others come instead.
            clients.push(TcpStream::connect(addr).unwrap());
            is_full(&status(&at))
        });
        Self { program, clients }
    }
}

fn status(at: &At) -> Status {
    at.get("/v1/status").says()
}

fn is_full(status: &Status) -> bool {
    status.descriptors.used + 2 >= u64::from(DESCRIPTORS)
}

#[test]
fn both_sockets_answer_while_there_is_no_descriptor() {
    let starved = Starved::start();
    let [at, on_tcp] = starved.program.both();
    // Each answer takes one of the reserve, and gives it back.
    for _ in 0..20 {
        let status = status(&at);
        let most = status.descriptors.most;
        assert!(is_full(&status) && most == Some(DESCRIPTORS.into()), "{:?}", status.descriptors);
        assert!(status.connections > 10 && status.memory.resident_bytes > 0);
        assert!(at.get("/metrics").body.contains("\nprocess_open_fds "));
        assert!(is_full(&on_tcp.get("/v1/status").says()));
    }
    // Several at a time, of whom some hold on.
    let held = [&at, &on_tcp, &at].map(|at| at.begin("GET", "/v1/events", &[], ""));
    assert!(is_full(&status(&at)));
    drop(held);
    drop(starved.clients);
    eventually("they are gone", || status(&at).connections == 0);
}

#[test]
fn it_acts_while_there_is_no_descriptor_and_serves_when_there_is_one_again() {
    let starved = Starved::start();
    let [at, _] = starved.program.both();
    let killed: Killed = at.post("/v1/connections/kill", "{\"all\": true}").says();
    assert!(killed.killed > 10, "{killed:?}");
    drop(starved.clients);
    eventually("they are gone", || status(&at).connections == 0);
    eventually("a client is served again", || is_served(starved.program.addr));
}

fn is_served(addr: SocketAddr) -> bool {
    let mut client = TcpStream::connect(addr).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"hello").and_then(|()| client.read_exact(&mut [0; 5])).is_ok()
}
