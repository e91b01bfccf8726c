//! The real program, when there is no descriptor to be had: that is when it is asked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use proxy_bin::admin::model::{Killed, Status};

use crate::http::At;
use crate::world::echo;
use crate::{PATIENCE, eventually};

/// Descriptors that the program may have: some forty are its own, and so many clients that it needs more are let in.
const DESCRIPTORS: u32 = 96;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn start(dir: &Path, port: u16) -> Running {
    let config = format!(
        r#"
workers = 1
[limits]
max_connections = 1000
connections_per_client = "off"
connections_per_client_per_minute = "off"
[pools.direct.overload]
descriptors_tight = 99
descriptors_shed = 100
[log]
level = "error"
[admin]
socket = "{}"
listen = "127.0.0.1:0"
[[listeners]]
ports = [{port}]
bind = ["127.0.0.1"]
[[routes]]
name = "web"
match = {{ ports = [{port}] }}
action = {{ forward = ["{}"] }}
"#,
        dir.join("admin.sock").display(),
        echo()
    );
    let file = dir.join("proxy.toml");
    std::fs::write(&file, config).unwrap();
    let program = env!("CARGO_BIN_EXE_smartproxy");
    let script = format!("ulimit -n {DESCRIPTORS}; exec \"$0\" run -c \"$1\"");
    let child = Command::new("sh")
        .args(["-c", &script, program])
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    Running(child.unwrap())
}

#[test]
fn it_answers_and_acts_while_there_is_no_descriptor() {
    let dir = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (_running, addr) = (start(dir.path(), port), SocketAddr::from(([127, 0, 0, 1], port)));
    let at = At::from(&*dir.path().join("admin.sock"));
    eventually("its admin socket is there", || dir.path().join("admin.sock").exists());
    // Who comes while it starts is there before it has what it needs.
    eventually("it listens", || TcpStream::connect(addr).is_ok());
    let mut clients: Vec<_> = (0..DESCRIPTORS).map(|_| TcpStream::connect(addr).unwrap()).collect();
    let status = || at.get("/v1/status").says::<Status>();
    let full = |status: &Status| status.descriptors.used + 2 >= u64::from(DESCRIPTORS);
    eventually("its descriptors are used up", || {
        // Whoever found none for its backend was turned away: others come instead.
        clients.push(TcpStream::connect(addr).unwrap());
        full(&status())
    });
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
    }
    // Several at a time, of whom some hold on.
    let held: Vec<_> = (0..3).map(|_| at.begin("GET", "/v1/events", &[], "")).collect();
    assert!(full(&status()));
    drop(held);
    let killed: Killed = at.post("/v1/connections/kill", "{\"all\": true}").says();
    assert!(killed.killed > 10, "{killed:?}");
    drop(clients);
    eventually("they are gone", || status().connections == 0);
    eventually("a client is served again", || is_served(addr));
}

fn is_served(addr: SocketAddr) -> bool {
    let mut client = TcpStream::connect(addr).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"hello").and_then(|()| client.read_exact(&mut [0; 5])).is_ok()
}
