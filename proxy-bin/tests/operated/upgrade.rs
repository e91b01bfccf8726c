//! A new process takes the place of the old one, or fails to.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::process::Signal;

use crate::loopback::free_port;
use crate::running::{BINARY, Running, converse};
use crate::{PATIENCE, eventually};

const CONFIG: &str = r#"
workers = 2
graceful_shutdown_timeout = "20s"
[limits]
connections_per_client = "off"
connections_per_client_per_minute = "off"
[log]
access = "off"
[process]
upgrade_timeout = "15s"
[admin]
socket = "DIR/admin.sock"
[[listeners]]
bind = ["127.0.0.1"]
[[routes]]
name = "web"
match = { ports = [PORT] }
action = { forward = ["BACKEND"] }
"#;

/// The binary behind a link, as it is where versions are installed side by side: what is behind it can be another one later.
fn linked(dir: &Path) -> Command {
    symlink(BINARY, dir.join("smartproxy")).unwrap();
    Command::new(dir.join("smartproxy"))
}

/// Puts a script in the place of the binary.
fn replace_by_script(dir: &Path, script: &str) {
    let new = dir.join("new");
    std::fs::write(&new, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(new, dir.join("smartproxy")).unwrap();
}

/// What clients saw who came one after the other.
#[derive(Default)]
struct Tally {
    served: AtomicUsize,
    failed: AtomicUsize,
}

/// Has clients come one after the other, on a few threads, for as long as `meanwhile` takes.
fn under_load(addr: SocketAddr, meanwhile: impl FnOnce(&Tally)) -> (usize, usize) {
    let (tally, over) = (Arc::new(Tally::default()), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (tally, over) = (Arc::clone(&tally), Arc::clone(&over));
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let ok = converse(addr).is_ok_and(|answer| answer == b"hello");
                    let count = if ok { &tally.served } else { &tally.failed };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    meanwhile(&tally);
    over.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    (tally.served.load(Ordering::Relaxed), tally.failed.load(Ordering::Relaxed))
}

/// The process that answers on the admin socket; None while nobody does.
fn who_answers(socket: &Path) -> Option<u64> {
    status(socket)?["pid"].as_u64()
}

fn status(socket: &Path) -> Option<serde_json::Value> {
    get(socket, "/v1/status")
}

fn get(socket: &Path, path: &str) -> Option<serde_json::Value> {
    let mut stream = std::os::unix::net::UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// Ends a process that took another one's place: it is nobody's child here. Dropped, it is killed.
struct Heir(u32);

impl Heir {
    fn signal_to(pid: u32, signal: Signal) {
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // It may have gone.
            rustix::process::kill_process(pid, signal).unwrap_or_default();
        }
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        Self::signal_to(self.0, Signal::KILL);
    }
}

/// Waits until another process than `before` answers.
fn heir_of(before: u32, socket: &Path) -> Heir {
    let mut heir = None;
    eventually("another process answers", || {
        heir = who_answers(socket).filter(|pid| *pid != u64::from(before));
        heir.is_some()
    });
    Heir(u32::try_from(heir.unwrap()).unwrap())
}

#[test]
fn nobody_is_refused_or_reset_and_old_connections_go_on() {
    upgrade(&[3, 1], 100);
}

/// What the old one has counted is in the history of the new one, from its first moment on.
#[test]
fn what_was_is_known_to_the_new_one() {
    const CLIENTS: u64 = 25;
    let mut old = Running::start(CONFIG).standing();
    let socket = old.dir.path().join("admin.sock");
    for _ in 0..CLIENTS {
        assert_eq!(converse(old.addr()).unwrap(), b"hello");
    }
    let opened = |socket: &Path| {
        let history = get(socket, "/v1/history?subject=route/web")?;
        let rates = history["steps"].as_array()?.iter().filter_map(|step| step["opened_per_s"].as_f64());
        Some(rates.sum::<f64>().round())
    };
    let enough = |opened: &f64| *opened >= CLIENTS as f64;
    eventually("they are in the history", || opened(&socket).is_some_and(|opened| enough(&opened)));
    let before = opened(&socket);
    old.signal(Signal::USR2);
    let heir = heir_of(old.id(), &socket);
    assert_eq!(opened(&socket), before, "in the new process's first second");
    // For a moment both accept, and what the old one takes then is counted in its own history alone.
    eventually("it goes on", || {
        assert_eq!(converse(old.addr()).unwrap(), b"hello");
        opened(&socket) > before
    });
    assert_eq!(who_answers(&socket), Some(u64::from(heir.0)));
    assert_eq!(old.exit_code(), 0, "{}", old.output());
}

/// Handing a socket over takes no descriptor: what starts can be upgraded.
#[test]
fn there_are_as_many_listeners_as_there_are_descriptors_for() {
    const DESCRIPTORS: usize = 220;
    const ADDRESSES: usize = 150;
    let all: Vec<_> = (1..=ADDRESSES).map(|n| format!("\"127.0.0.{n}\"")).collect();
    let config = CONFIG.replace("workers = 2", "workers = 1").replace("\"127.0.0.1\"", &all.join(", "));
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\""), BINARY]);
    let mut old = Running::start_by(shell, &config).standing();
    let socket = old.dir.path().join("admin.sock");
    let held = std::fs::read_dir(format!("/proc/{}/fd", old.id())).unwrap().count();
    assert!(held > ADDRESSES && held + ADDRESSES > DESCRIPTORS, "{held} are held");
    old.signal(Signal::USR2);
    let _heir = heir_of(old.id(), &socket);
    assert_eq!(old.exit_code(), 0, "{}", old.output());
}

/// Run by hand: `cargo test -p proxy-bin --test operated -- --ignored --nocapture`.
#[test]
#[ignore = "takes a while; the other one shows the same"]
fn twenty_upgrades_in_a_row() {
    upgrade(&[2, 4, 1, 3, 2, 2, 5, 1, 1, 4, 2, 3, 1, 2, 4, 2, 1, 3, 2, 2], 500);
}

/// Upgrades to one new process after the other, with as many workers as it says; before and after each so many clients are
/// served, and one connection lives through all of it.
fn upgrade(workers: &[u32], clients: usize) {
    let dir = tempfile::tempdir().unwrap();
    let mut old = Running::start_by(linked(dir.path()), CONFIG).standing();
    let (socket, config) = (old.dir.path().join("admin.sock"), old.read("proxy.toml"));
    let mut long = TcpStream::connect(old.addr()).unwrap();
    long.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut echo = |text: &[u8; 5]| {
        long.write_all(text).unwrap();
        let mut answer = [0; 5];
        long.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, text);
    };
    echo(b"first");
    let mut heirs: Vec<Heir> = Vec::new();
    let (served, failed) = under_load(old.addr(), |tally| {
        let more = || {
            let enough = tally.served.load(Ordering::Relaxed) + clients;
            eventually("clients are served", || tally.served.load(Ordering::Relaxed) >= enough);
        };
        more();
        for workers in workers {
            let next = config.replace("workers = 2", &format!("workers = {workers}"));
            std::fs::write(old.dir.path().join("proxy.toml"), next).unwrap();
            let before = heirs.last().map_or(old.id(), |heir| heir.0);
            Heir::signal_to(before, Signal::USR2);
            heirs.push(heir_of(before, &socket));
            more();
        }
    });
    println!("{served} short connections over {} upgrades, {failed} of them refused or reset", workers.len());
    assert_eq!(failed, 0, "of {served}:\n{}", old.output());
    echo(b"still");
    assert!(old.is_running(), "it has a connection left:\n{}", old.output());
    drop(long);
    assert_eq!(old.exit_code(), 0, "{}", old.output());
    let last = heirs.last().unwrap();
    assert_eq!(who_answers(&socket), Some(u64::from(last.0)), "its socket outlives the old one");
    Heir::signal_to(last.0, Signal::TERM);
    eventually("its port is closed", || converse(old.addr()).is_err());
}

/// Whatever is wrong with the new one, the old one carries on as if nothing had been.
#[test]
fn the_old_one_carries_on_where_the_new_one_fails() {
    let dir = tempfile::tempdir().unwrap();
    let config = CONFIG.replace("15s", "500ms");
    let mut old = Running::start_by(linked(dir.path()), &config).standing();
    let socket = old.dir.path().join("admin.sock");
    let good = old.read("proxy.toml");
    let somebody = std::net::TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let taken = somebody.local_addr().unwrap().port().to_string();
    let failures = [
        (
            "a configuration that is wrong",
            "exec BINARY \"$@\"",
            "workers = 0\n",
            "proxy.toml is refused: `smartproxy check` says why",
        ),
        (
            "a port that is taken",
            "exec BINARY \"$@\"",
            "[[routes]]\nname = \"taken\"\nmatch = { ports = [TAKEN] }\naction = \"refuse\"\n",
            "Address already in use",
        ),
        ("one that goes", "exit 7", "", "exit status: 7"),
        ("one that hangs", "exec sleep 600", "", "was not ready in 0.5s"),
        ("one that is no program", "\u{1}", "", "gone before it was ready"),
    ];
    let (served, failed) = under_load(old.addr(), |_| {
        for (what, script, broken, expected) in failures {
            replace_by_script(dir.path(), &script.replace("BINARY", BINARY));
            let broken = broken.replace("TAKEN", &taken);
            // Top-level keys go before all tables, tables anywhere.
            let config = if broken.starts_with('[') {
                format!("{good}{broken}")
            } else {
                format!("{broken}{}", good.replace("workers = 2\n", ""))
            };
            std::fs::write(old.dir.path().join("proxy.toml"), config).unwrap();
            old.signal(Signal::USR2);
            let error = || status(&socket)?["last_upgrade"]["error"].as_str().map(str::to_owned);
            eventually(what, || error().is_some_and(|error| error.contains(expected)));
            let now = status(&socket).unwrap();
            assert_eq!((&now["state"], &now["pid"]), (&"running".into(), &old.id().into()), "{what}");
        }
    });
    println!("{served} short connections over {} failed upgrades, {failed} refused or reset", failures.len());
    assert_eq!(failed, 0, "of {served}:\n{}", old.output());
    assert!(served > 0);
    assert_eq!(old.output().matches("not upgraded, this process goes on").count(), failures.len());
    old.signal(Signal::TERM);
    assert_eq!(old.exit_code(), 0);
}

#[test]
fn whoever_is_told_so_without_a_predecessor_says_what_is_wrong() {
    let mut command = Command::new(BINARY);
    command.env("SMARTPROXY_TAKE_OVER", "1");
    let mut proxy = Running::start_by(command, CONFIG);
    assert_eq!(proxy.exit_code(), 1);
    proxy.says("standard input is no way to a process that hands over, although SMARTPROXY_TAKE_OVER is set");
}
