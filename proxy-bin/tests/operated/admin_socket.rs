//! Two processes whose configurations name the same admin socket: the first keeps it, whatever becomes of the second.

use std::io::{Read as _, Write as _};
use std::process::Command;

use rustix::process::Signal;

use crate::eventually;
use crate::running::{BINARY, Running};

const CONFIG: &str = r#"
workers = 1
[admin]
name = "first"
socket = "DIR/admin.sock"
[[listeners]]
bind = ["127.0.0.1"]
[[routes]]
name = "web"
match = { ports = [PORT] }
action = { forward = ["BACKEND"] }
"#;

/// What the proxy at its admin socket says it is called.
fn name(first: &Running) -> String {
    let socket = first.dir.path().join("admin.sock");
    let status = Command::new(BINARY).args(["status", "--json", "--socket"]).arg(socket).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&status.stderr)));
    status["name"].as_str().unwrap().to_owned()
}

#[test]
fn is_not_taken_from_a_proxy_that_lives() {
    let mut first = Running::start(CONFIG);
    let same = CONFIG.replace("DIR", &first.dir.path().to_string_lossy()).replace("first", "second");
    let mut second = Running::start_by(Command::new(BINARY), &same);
    assert_eq!(second.exit_code(), 1, "{}", second.output());
    let holder = format!("smartproxy pid {} (first) has the admin socket", first.id());
    assert!(second.output().contains(&holder), "{}", second.output());
    assert_eq!(name(&first), "first");
    // Nor by one that does not start for another reason.
    let taken = same.replace("PORT", &first.port.to_string());
    let no_token =
        same.replace("[admin]", "[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"/nonexistent/token\"");
    for config in [taken, no_token] {
        let mut third = Running::start_by(Command::new(BINARY), &config);
        assert_eq!(third.exit_code(), 1, "{}", third.output());
        assert_eq!(name(&first), "first");
    }
    // In an upgrade it goes to the new process, and to nobody in between.
    first.signal(Signal::USR2);
    assert_eq!(first.exit_code(), 0, "{}", first.output());
    assert_eq!(name(&first), "first");
    let mut fourth = Running::start_by(Command::new(BINARY), &same);
    assert_eq!(fourth.exit_code(), 1, "{}", fourth.output());
    let stopped = Command::new(BINARY)
        .args(["stop", "--socket"])
        .arg(first.dir.path().join("admin.sock"))
        .output()
        .unwrap();
    assert!(stopped.status.success());
    eventually("its name goes with it", || !first.dir.path().join("admin.sock").exists());
}

#[test]
fn is_had_from_one_that_was_killed() {
    let mut first = Running::start(CONFIG);
    first.signal(Signal::KILL);
    first.exit_code();
    assert!(first.dir.path().join("admin.sock").exists());
    let same = CONFIG.replace("DIR", &first.dir.path().to_string_lossy()).replace("first", "second");
    let _second = Running::start(&same);
    assert_eq!(name(&first), "second");
}

/// Its clients may take long; whoever starts the next one does not wait for them.
#[test]
fn is_had_from_one_that_only_finishes_what_it_has() {
    let first = Running::start(CONFIG);
    let mut client = std::net::TcpStream::connect(first.addr()).unwrap();
    client.write_all(b"hello").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    first.signal(Signal::TERM);
    first.says("stopped accepting");
    let same = CONFIG.replace("DIR", &first.dir.path().to_string_lossy()).replace("first", "second");
    let second = Running::start(&same);
    assert_eq!(name(&first), "second");
    drop(client);
    let mut first = first;
    assert_eq!(first.exit_code(), 0, "{}", first.output());
    assert_eq!(name(&first), "second", "it left the name to whoever has it");
    drop(second);
}
