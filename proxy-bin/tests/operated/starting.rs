//! The start: what comes while it is under way, what it is given, and where it is started from.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

use crate::eventually;
use crate::loopback::free_port;
use crate::running::{BINARY, Running, objects_with};

const CONFIG: &str = r#"
workers = 1
[log]
access = { file = "DIR/access.log" }
[[listeners]]
bind = ["127.0.0.1"]
[[routes]]
name = "web"
match = { ports = [PORT] }
action = { forward = ["BACKEND"] }
"#;

/// A shell that does something, then becomes the proxy.
fn behind(script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{script}; exec \"$@\""), "sh", BINARY]);
    shell
}

/// A process whose start waits for a word of its predecessor, which is the test; it can be signalled by now.
fn waiting() -> (Running, OwnedFd) {
    let kind = SocketType::SEQPACKET;
    let (way, its) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
    let mut command = Command::new(BINARY);
    command.env("SMARTPROXY_TAKE_OVER", "1");
    let proxy = Running::start_reading(command, Stdio::from(its), CONFIG);
    let status = format!("/proc/{}/status", proxy.id());
    eventually("it takes signals", || {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0").trim();
        // SIGUSR2, which is caught last (signal(7): 12).
        u64::from_str_radix(caught, 16).unwrap_or(0) & (1 << 11) != 0
    });
    (proxy, way)
}

#[test]
fn a_signal_that_comes_before_it_serves_is_not_lost_and_ends_nothing() {
    let (mut proxy, way) = waiting();
    proxy.signal(Signal::HUP);
    proxy.signal(Signal::USR1);
    send(&way, b"smartproxy takeover 1\nlast", SendFlags::empty()).unwrap();
    proxy.says("running");
    proxy.says("opened the log files anew");
    proxy.says("reloaded: the new configuration is in force");
    proxy.converse();
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.exit_code(), 0, "{}", proxy.output());
}

#[test]
fn one_that_waits_for_its_predecessor_can_be_stopped() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut proxy, _way) = waiting();
        proxy.signal(signal);
        assert_eq!(proxy.exit_code(), 0, "it has served nobody: {}", proxy.output());
        assert!(!proxy.output().contains("running"), "{}", proxy.output());
    }
}

#[test]
fn a_descriptor_that_is_no_socket_is_named_and_left_alone() {
    let given = behind("exec 3</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1");
    let mut proxy = Running::start_by(given, CONFIG);
    assert_eq!(proxy.exit_code(), 1);
    proxy.says("LISTEN_FDS promises 1 sockets from descriptor 3 on, but descriptor 3 is no socket");
    let missing = behind("export LISTEN_PID=$$ LISTEN_FDS=4000000000");
    let mut proxy = Running::start_by(missing, CONFIG);
    assert_eq!(proxy.exit_code(), 1);
    proxy.says("but descriptor 3 is not open");
}

#[test]
fn a_socket_for_another_address_is_said_to_be_why_the_port_is_taken() {
    let given = TcpListener::bind((Ipv6Addr::UNSPECIFIED, free_port())).unwrap();
    let port = given.local_addr().unwrap().port().to_string();
    let shell = behind("exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1");
    let mut proxy =
        Running::start_reading(shell, Stdio::from(OwnedFd::from(given)), &CONFIG.replace("PORT", &port));
    assert_eq!(proxy.exit_code(), 1);
    proxy.says(&format!("the service manager has given a socket for *:{port}, which is no listener here"));
    assert!(!proxy.output().contains("stop the process"), "{}", proxy.output());
    assert_eq!(proxy.output().matches("Address already in use").count(), 1, "{}", proxy.output());
}

#[test]
fn what_cannot_be_listened_on_is_said_once_and_with_what_to_do() {
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = other.local_addr().unwrap().port().to_string();
    let admin = format!("{CONFIG}[admin]\nlisten = \"127.0.0.1:{taken}\"\n");
    for (config, said, advice) in [
        (
            CONFIG.replace("PORT", &taken),
            format!("cannot listen on 127.0.0.1:{taken}: Address already in use (os error 98)"),
            "change the route's match.ports, or stop the process that has it",
        ),
        (
            admin,
            format!(
                "cannot listen on 127.0.0.1:{taken} for the admin API: Address already in use (os error 98)"
            ),
            "change [admin] listen, or stop the process that has it",
        ),
        (
            // For documentation (RFC 5737): no machine has it.
            CONFIG.replace("\"127.0.0.1\"", "\"192.0.2.9\""),
            ": Cannot assign requested address (os error 99)".to_owned(),
            "no interface of this machine has this address: change `bind` in [[listeners]]",
        ),
    ] {
        let mut proxy = Running::start_by(Command::new(BINARY), &config);
        assert_eq!(proxy.exit_code(), 1, "{}", proxy.output());
        proxy.says(&said);
        proxy.says(advice);
        assert_eq!(proxy.output().matches("os error").count(), 1, "{}", proxy.output());
    }
}

#[test]
fn what_cannot_be_listened_on_is_said_by_a_reload_too() {
    let mut proxy = Running::start(CONFIG);
    proxy.rewrite(&CONFIG.replace("\"127.0.0.1\"", "\"192.0.2.9\""));
    proxy.signal(Signal::HUP);
    proxy.says("not reloaded, nothing has changed: cannot listen on 192.0.2.9:");
    proxy.says("no interface of this machine has this address");
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.exit_code(), 0, "{}", proxy.output());
}

/// The paths are absolute: nothing of the folder is needed, for an upgrade neither.
#[test]
fn a_folder_that_is_gone_is_not_needed() {
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("gone");
    let script = format!("mkdir {0} && cd {0} && rmdir {0}", gone.display());
    let mut proxy = Running::start_by(behind(&script), CONFIG).standing();
    proxy.converse();
    proxy.signal(Signal::USR2);
    proxy.says("finishes what it has pid=");
    assert_eq!(proxy.exit_code(), 0, "{}", proxy.output());
    proxy.converse();
    let output = proxy.output();
    let pid = output.split("finishes what it has pid=").nth(1).unwrap().lines().next().unwrap();
    let heir = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    kill_process(heir, Signal::TERM).unwrap();
    eventually("it goes", || rustix::process::test_kill_process(heir).is_err());
}

#[test]
fn an_upgrade_without_a_descriptor_is_refused_aloud() {
    let mut proxy = Running::start(CONFIG);
    proxy.converse();
    let few = Rlimit { current: Some(4), ..getrlimit(Resource::Nofile) };
    let pid = Pid::from_raw(i32::try_from(proxy.id()).unwrap());
    let before = prlimit(pid, Resource::Nofile, few).unwrap();
    proxy.signal(Signal::USR2);
    proxy.says("not upgraded, this process goes on: nothing can be handed over: Too many open files");
    prlimit(pid, Resource::Nofile, before).unwrap();
    proxy.converse();
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.exit_code(), 0, "{}", proxy.output());
}

/// Whether namespaces of these kinds can be made here.
fn allowed(kinds: &[&str]) -> bool {
    let mut command = Command::new("unshare");
    command.args(kinds).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    let allowed = command.status().is_ok_and(|status| status.success());
    if !allowed {
        println!("not allowed here: unshare {kinds:?}");
    }
    allowed
}

/// The only child of a process.
fn child_of(pid: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

#[test]
fn the_first_process_of_a_container_takes_in_children_and_hands_over_to_nobody() {
    if !allowed(&["-p", "-f"]) {
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["-p", "-f", "--kill-child", "sh", "-c", "sleep 0.1 & sleep 1 & exec \"$@\"", "sh", BINARY]);
    let mut proxy = Running::start_by(command, CONFIG).standing();
    let first = child_of(proxy.id()).unwrap();
    // Zombies stay among the children.
    eventually("children of others are waited for", || child_of(first).is_none());
    let pid = Pid::from_raw(i32::try_from(first).unwrap()).unwrap();
    kill_process(pid, Signal::USR2).unwrap();
    proxy.says("not upgraded, this process goes on: this is process 1");
    proxy.converse();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(proxy.exit_code(), 0, "{}", proxy.output());
}

#[test]
fn a_full_disk_leaves_whole_lines_and_goes_on_when_there_is_room() {
    if !allowed(&["-m"]) {
        return;
    }
    let mut command = Command::new("unshare");
    let script = "d=$(dirname \"$4\")/logs; mkdir $d && mount -t tmpfs -o size=16k none $d && exec \"$@\"";
    command.args(["-m", "sh", "-c", script, "sh", BINARY]);
    let text = CONFIG.replace("DIR/", "DIR/logs/").replace("[log]", "[log]\naccess_format = \"json\"");
    let open = "[limits]\nconnections_per_client = \"off\"\nconnections_per_client_per_minute = \"off\"\n";
    let mut proxy = Running::start_by(command, &format!("{text}\n{open}")).standing();
    let folder = format!("/proc/{}/root{}/logs", proxy.id(), proxy.dir.path().display());
    let read = || std::fs::read_to_string(format!("{folder}/access.log")).unwrap();
    for _ in 0..100 {
        proxy.converse();
    }
    let mut before = String::new();
    eventually("no line is written any more", || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        let now = read();
        std::mem::replace(&mut before, now.clone()) == now && now.len() > 4096
    });
    let lines = read();
    assert!(lines.ends_with('\n'), "{lines}");
    assert!((10..100).contains(&lines.lines().count()), "{lines}");
    assert_eq!(objects_with(&lines, "total_s").len(), lines.lines().count(), "{lines}");
    let log = std::fs::OpenOptions::new().write(true).open(format!("{folder}/access.log")).unwrap();
    log.set_len(0).unwrap();
    proxy.converse();
    eventually("there is room again", || read().lines().count() == 1);
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.exit_code(), 0, "{}", proxy.output());
}
