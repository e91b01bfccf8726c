//! What the service manager sees: the test is the manager.

use std::io::{Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{Pid, Signal, kill_process};

use crate::PATIENCE;
use crate::loopback::free_port;
use crate::running::{BINARY, Running, converse};

const CONFIG: &str = r#"
workers = 2
[[listeners]]
bind = ["127.0.0.1"]
[[routes]]
name = "web"
match = { ports = [PORT] }
action = { forward = ["BACKEND"] }
"#;

/// The socket that a manager listens on.
struct Manager(UnixDatagram);

/// A message: its lines, and the sockets beside it.
struct Told {
    lines: Vec<String>,
    sockets: Vec<OwnedFd>,
}

impl Told {
    fn has(&self, line: &str) -> bool {
        self.lines.iter().any(|told| told == line)
    }
}

impl Manager {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// The next message.
    fn next(&self) -> Told {
        let (mut text, mut space) = ([0; 4096], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))]);
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let buffer = &mut [std::io::IoSliceMut::new(&mut text)];
        let received = recvmsg(&self.0, buffer, &mut beside, RecvFlags::CMSG_CLOEXEC).unwrap();
        let sockets = beside
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
                RecvAncillaryMessage::ScmCredentials(_) | _ => None,
            })
            .flatten()
            .collect();
        let lines =
            String::from_utf8_lossy(text.get(..received.bytes).unwrap()).lines().map(str::to_owned).collect();
        Told { lines, sockets }
    }

    /// The next message that has this line; those before it are read, and forgotten.
    fn waits_for(&self, line: &str) -> Told {
        let until = Instant::now() + PATIENCE;
        let mut before = Vec::new();
        while Instant::now() < until {
            let told = self.next();
            if told.has(line) {
                return told;
            }
            before.push(told.lines);
        }
        panic!("it does not say {line:?} but {before:?}");
    }
}

#[test]
fn is_told_everything_and_keeps_the_sockets() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::at(&dir.path().join("notify"));
    let mut command = Command::new(BINARY);
    command.env("NOTIFY_SOCKET", dir.path().join("notify")).env("WATCHDOG_USEC", "200000");
    let mut proxy = Running::start_by(command, CONFIG);
    let ready = manager.waits_for("READY=1");
    assert!(ready.has(&format!("MAINPID={}", proxy.id())), "{:?}", ready.lines);
    let kept = manager.waits_for("FDSTORE=1");
    assert!(kept.has(&format!("FDNAME=listener-127.0.0.1_{}", proxy.port)), "{:?}", kept.lines);
    let kept: Vec<_> = kept.sockets.into_iter().map(TcpListener::from).collect();
    assert_eq!(kept.len(), 2, "one for each worker");
    assert!(kept.iter().all(|socket| socket.local_addr().unwrap() == proxy.addr()));
    manager.waits_for("STATUS=running, 0 connections, configuration 1");
    for _ in 0..3 {
        manager.waits_for("WATCHDOG=1");
    }
    proxy.signal(Signal::HUP);
    let reloading = manager.waits_for("RELOADING=1");
    assert!(reloading.lines.iter().any(|line| line.starts_with("MONOTONIC_USEC=")), "{:?}", reloading.lines);
    manager.waits_for("READY=1");
    // Another process becomes the service, and the old one does not say that the service stops.
    proxy.signal(Signal::USR2);
    let heir = loop {
        let told = manager.next();
        assert!(!told.has("STOPPING=1"));
        let main = told.lines.iter().find_map(|line| line.strip_prefix("MAINPID="));
        if let Some(pid) = main.filter(|pid| **pid != proxy.id().to_string()) {
            break Pid::from_raw(pid.parse().unwrap()).unwrap();
        }
    };
    assert_eq!(proxy.exit_code(), 0, "{}", proxy.output());
    manager.waits_for("WATCHDOG=1");
    assert_eq!(converse(proxy.addr()).unwrap(), b"hello");
    kill_process(heir, Signal::TERM).unwrap();
    manager.waits_for("STOPPING=1");
}

#[test]
fn a_process_that_stands_still_starves_the_watchdog() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::at(&dir.path().join("notify"));
    let mut command = Command::new(BINARY);
    command.env("NOTIFY_SOCKET", dir.path().join("notify")).env("WATCHDOG_USEC", "200000");
    let proxy = Running::start_by(command, CONFIG);
    manager.waits_for("WATCHDOG=1");
    proxy.signal(Signal::STOP);
    // What was on its way is read; then nothing comes.
    manager.0.set_read_timeout(Some(Duration::from_millis(600))).unwrap();
    let mut one = [0; 4096];
    let until = Instant::now() + PATIENCE;
    while manager.0.recv(&mut one).is_ok() {
        assert!(Instant::now() < until, "a process that stands still goes on feeding it");
    }
    manager.0.set_read_timeout(Some(PATIENCE)).unwrap();
    proxy.signal(Signal::CONT);
    manager.waits_for("WATCHDOG=1");
}

/// A process that is started with the sockets that it is to listen on, as socket activation has it.
#[test]
fn gives_sockets_that_are_used_and_left_as_they_were() {
    let port = free_port();
    let kept = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let addr = kept.local_addr().unwrap();
    // A client who came before the proxy.
    let early = TcpStream::connect(addr).unwrap();
    let start = |config: &str| {
        let mut shell = Command::new("sh");
        let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
        shell.args(["-c", script, "sh", BINARY]);
        let stdin = Stdio::from(OwnedFd::from(kept.try_clone().unwrap()));
        Running::start_reading(shell, stdin, &config.replace("PORT", &port.to_string()))
    };
    let mut proxy = start(CONFIG).standing();
    let mut answer = Vec::new();
    (&early).write_all(b"early").unwrap();
    early.shutdown(Shutdown::Write).unwrap();
    (&early).read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"early");
    for _ in 0..20 {
        assert_eq!(converse(addr).unwrap(), b"hello");
    }
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.exit_code(), 0, "{}", proxy.output());
    // The socket is whole: who comes between two processes is let in at once, and served by the next.
    let between = TcpStream::connect_timeout(&addr, Duration::from_millis(800)).unwrap();
    let mut proxy = start(CONFIG).standing();
    // One that says nothing and ends has left, if its backend is not reached yet.
    (&between).write_all(b"between").unwrap();
    between.shutdown(Shutdown::Write).unwrap();
    assert_eq!((&between).read_to_end(&mut answer).unwrap(), b"between".len());
    proxy.signal(Signal::TERM);
    proxy.exit_code();
}

/// What it kept for a listener that the configuration no longer has is closed on both sides: nobody would accept from it.
#[test]
fn is_told_to_forget_a_socket_that_is_for_no_listener() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::at(&dir.path().join("notify"));
    let kept = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let port = kept.local_addr().unwrap().port();
    let mut shell = Command::new("sh");
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
    shell.args(["-c", script, "sh", BINARY]).env("NOTIFY_SOCKET", dir.path().join("notify"));
    let proxy = Running::start_reading(shell, Stdio::from(OwnedFd::from(kept)), CONFIG);
    let told = manager.waits_for("FDSTOREREMOVE=1");
    assert!(told.has(&format!("FDNAME=listener-127.0.0.1_{port}")), "{:?}", told.lines);
    manager.waits_for("READY=1");
    proxy.says("it is closed listener=");
    assert!(TcpListener::bind(("127.0.0.1", port)).is_ok(), "nobody has it any more");
}

#[test]
fn promises_sockets_that_are_not_there() {
    let mut shell = Command::new("sh");
    shell.args(["-c", "LISTEN_PID=$$ LISTEN_FDS=9 exec \"$@\"", "sh", BINARY]);
    let mut proxy = Running::start_by(shell, CONFIG);
    assert_eq!(proxy.exit_code(), 1);
    proxy.says("LISTEN_FDS promises 9 sockets from descriptor 3 on, but descriptor 3 is not open");
}
