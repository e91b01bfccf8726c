//! Between "not ready" and closed ports there is time for whoever sends clients to notice.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Instant;

use rustix::process::Signal;

use crate::eventually;
use crate::loopback::free_port;
use crate::running::{BINARY, Running};

/// With so long a delay, and an admin API at `admin`.
fn config(delay: &str, admin: u16) -> String {
    format!(
        r#"
workers = 1
shutdown_delay = "{delay}"
[admin]
listen = "127.0.0.1:{admin}"
[[listeners]]
bind = ["127.0.0.1"]
[[routes]]
name = "web"
match = {{ ports = [PORT] }}
action = {{ forward = ["BACKEND"] }}
"#
    )
}

/// The status that `/readyz` has.
fn ready(admin: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", admin)).ok()?;
    stream.set_read_timeout(Some(crate::PATIENCE)).ok()?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\nhost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1).map(str::to_owned)
}

#[test]
fn it_is_not_ready_at_once_and_serves_who_still_comes() {
    let admin = free_port();
    let mut proxy = Running::start_by(Command::new(BINARY), &config("60s", admin)).standing();
    assert_eq!(ready(admin).unwrap(), "200");
    let began = Instant::now();
    proxy.signal(Signal::TERM);
    eventually("it is not ready", || ready(admin).is_some_and(|status| status == "503"));
    for _ in 0..10 {
        proxy.converse();
    }
    assert!(proxy.is_running());
    // Who is there when the delay is cut short may finish.
    let mut client = TcpStream::connect(proxy.addr()).unwrap();
    client.write_all(b"hello").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    proxy.signal(Signal::TERM);
    proxy.says("stopped accepting");
    assert!(TcpStream::connect(proxy.addr()).is_err());
    client.write_all(b"again").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    drop(client);
    assert_eq!(proxy.exit_code(), 0, "{}", proxy.output());
    assert!(began.elapsed().as_secs() < 60);
}

#[test]
fn it_stops_by_itself_when_the_delay_is_over() {
    let mut proxy = Running::start_by(Command::new(BINARY), &config("700ms", free_port())).standing();
    let began = Instant::now();
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.exit_code(), 0, "{}", proxy.output());
    assert!(began.elapsed().as_millis() >= 700);
}

#[test]
fn who_hands_over_does_not_wait() {
    let admin = free_port();
    let mut proxy = Running::start_by(Command::new(BINARY), &config("60s", admin)).standing();
    proxy.signal(Signal::USR2);
    assert_eq!(proxy.exit_code(), 0, "{}", proxy.output());
    // The heir is nobody's child here, and has a delay of its own.
    let heir = heir(admin).unwrap();
    rustix::process::kill_process(heir, Signal::TERM).unwrap();
    eventually("it is not ready", || ready(admin).is_some_and(|status| status == "503"));
    proxy.converse();
    rustix::process::kill_process(heir, Signal::KILL).unwrap();
}

fn heir(admin: u16) -> Option<rustix::process::Pid> {
    let mut stream = TcpStream::connect(("127.0.0.1", admin)).ok()?;
    stream.write_all(b"GET /v1/status HTTP/1.0\r\nhost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let status: serde_json::Value = serde_json::from_str(body).ok()?;
    rustix::process::Pid::from_raw(i32::try_from(status["pid"].as_i64()?).ok()?)
}
