//! The real program, when there is no descriptor to be had: that is when it is asked.

use std::net::TcpStream;

use proxy_bin::admin::model::{Killed, Status};

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

#[test]
fn it_answers_and_acts_while_there_is_no_descriptor() {
    let program = Program::start(LINES, DESCRIPTORS);
    let ([at, on_tcp], addr) = (program.both(), program.addr);
    let clients: Vec<_> = (0..DESCRIPTORS).map(|_| TcpStream::connect(addr).unwrap()).collect();
    let status = || at.get("/v1/status").says::<Status>();
    let full = |status: &Status| status.descriptors.used + 2 >= u64::from(DESCRIPTORS);
    eventually("its descriptors are used up", || full(&status()));
    // Each answer takes one of the reserve, and gives it back.
    for _ in 0..20 {
        let status = status();
        assert!(
            full(&status) && status.descriptors.most == Some(DESCRIPTORS.into()),
            "{:?}",
            status.descriptors
        );
        assert!(status.connections > 10 && status.memory.resident_bytes > 0);
        assert!(at.get("/metrics").body.contains("\nprocess_open_fds "));
        assert!(full(&on_tcp.get("/v1/status").says()));
    }
    // Several at a time, of whom some hold on.
    let held: Vec<_> = [&at, &on_tcp, &at].map(|at| at.begin("GET", "/v1/events", &[], "")).into();
    assert!(full(&status()));
    drop(held);
    let killed: Killed = at.post("/v1/connections/kill", "{\"all\": true}").says();
    assert!(killed.killed > 10, "{killed:?}");
    drop(clients);
    eventually("they are gone", || status().connections == 0);
    let mut client = TcpStream::connect(addr).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    std::io::Write::write_all(&mut client, b"hello").unwrap();
    std::io::Read::read_exact(&mut client, &mut [0; 5]).unwrap();
}
