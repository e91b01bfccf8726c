//! Whoever reads the log stalls, or goes away: connections are served all the same, and the proxy stops when told to.

use std::net::Ipv4Addr;
use std::process::{Child, ChildStderr, Stdio};

use chain_harness::{Backend, PATIENCE, Smartproxy, Wire, eventually, free_port, is_listened_on};

/// More lines than a pipe takes (64 KiB), at some 400 bytes each.
const CONNECTIONS: usize = 400;

/// The binary with a log that this test is supposed to read, and where it listens.
fn run(backend: &Backend, dir: &tempfile::TempDir) -> (Child, ChildStderr, u16) {
    let port = free_port();
    let config = dir.path().join("proxy.toml");
    let text = format!(
        "workers = 1\nlimits.connections_per_client = \"off\"\nlimits.connections_per_client_per_minute = \"off\"\n\
         limits.max_connections = 3\n[[listeners]]\nbind = [\"127.0.0.1\"]\n[[routes]]\nname = \"only\"\n\
         match = {{ ports = [{port}] }}\naction = {{ forward = [\"{}\"] }}\n",
        backend.addr()
    );
    std::fs::write(&config, text).expect("the folder is ours");
    let mut command = Smartproxy::command();
    command
        .args(["run", "-c"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let log = child.stderr.take().expect("it is a pipe");
    (child, log, port)
}

/// Serves many short connections, some of them at the limit, and stops.
async fn serves_and_stops(mut child: Child, port: u16, backend: &Backend) {
    eventually(PATIENCE, || is_listened_on(port)).await;
    for _ in 0..CONNECTIONS / 4 {
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(Wire::connect((Ipv4Addr::LOCALHOST, port).into()).await);
        }
        while let Some(mut client) = clients.pop() {
            if clients.len() < 3 {
                client.send("hello").await;
                client.expect("hello").await;
            }
        }
    }
    assert!(backend.accepted() >= CONNECTIONS / 4 * 3);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    let mut code = None;
    eventually(PATIENCE, || {
        code = child.try_wait().expect("it is our child");
        code.is_some()
    })
    .await;
    assert_eq!(code.and_then(|code| code.code()), Some(0));
}

#[test]
fn a_reader_that_stalls_holds_up_nobody() {
    Smartproxy::scenario(async {
        let (backend, dir) = (Backend::echo(), tempfile::tempdir().expect("there is room"));
        let (child, _unread, port) = run(&backend, &dir);
        serves_and_stops(child, port, &backend).await;
    });
}

#[test]
fn a_reader_that_goes_away_takes_nothing_with_it() {
    Smartproxy::scenario(async {
        let (backend, dir) = (Backend::echo(), tempfile::tempdir().expect("there is room"));
        let (child, read, port) = run(&backend, &dir);
        drop(read);
        serves_and_stops(child, port, &backend).await;
    });
}
