//! The real program over both its admin sockets while it has no descriptor left.

use std::net::TcpStream;

use proxy_bin::admin::model::Status;

use crate::eventually;
use crate::program::Program;

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
fn both_sockets_answer_while_there_is_no_descriptor() {
    let program = Program::start(LINES, DESCRIPTORS).running();
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
    drop(clients);
    eventually("they are gone", || status().connections == 0);
}
