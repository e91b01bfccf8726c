//! What hangs: a look-up, the log, the configuration file, a new process. A proxy stops in its time all the same, and at once when
//! told twice.

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::eventually;
use crate::running::{BINARY, Running};

/// A second to let connections finish, and something that `LOG` says.
const CONFIG: &str = r#"
workers = 1
graceful_shutdown_timeout = "1s"
LOG
[[listeners]]
bind = ["127.0.0.1"]
[[routes]]
name = "web"
match = { ports = [PORT] }
action = { forward = ["BACKEND"] }
"#;

/// What is promised: the time to finish, and a second.
const IN_TIME: Duration = Duration::from_millis(2000);
/// What is promised from the second signal on.
const AT_ONCE: Duration = Duration::from_millis(300);

fn config(log: &str) -> String {
    CONFIG.replace("LOG", log)
}

fn pipe(path: &Path) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, 0o600.into()).unwrap();
}

/// A client that does not go by itself.
fn client(proxy: &Running) -> TcpStream {
    let stream = TcpStream::connect(proxy.addr()).unwrap();
    std::io::Write::write_all(&mut &stream, b"x").unwrap();
    std::io::Read::read_exact(&mut &stream, &mut [0]).unwrap();
    stream
}

/// Tells it to stop, and `again` if so; the exit code, which comes in its time, or at once.
#[track_caller]
fn stopped(proxy: &mut Running, again: bool) -> i32 {
    let mut begin = Instant::now();
    proxy.signal(Signal::TERM);
    if again {
        proxy.says("another signal stops at once");
        begin = Instant::now();
        proxy.signal(Signal::TERM);
    }
    let code = proxy.exit_code();
    let took = begin.elapsed();
    assert!(took < if again { AT_ONCE } else { IN_TIME }, "{took:?}:\n{}", proxy.output());
    code
}

/// Tells it to stop; it ends in its time.
#[track_caller]
fn stops(mut proxy: Running) {
    let code = stopped(&mut proxy, false);
    assert!([0, 3].contains(&code), "{code}:\n{}", proxy.output());
}

/// Tells it to stop, and again; it ends at once.
#[track_caller]
fn stops_at_once(mut proxy: Running) {
    let _client = client(&proxy);
    assert_eq!(stopped(&mut proxy, true), 4, "{}", proxy.output());
}

/// Both ends of a proxy that has been brought to hang.
fn ends_in_time(hangs: impl Fn() -> Running) {
    stops(hangs());
    stops_at_once(hangs());
}

#[test]
fn a_configuration_that_has_become_a_pipe_is_refused_and_holds_up_nobody() {
    ends_in_time(|| {
        let proxy = Running::start(&config(""));
        let file = proxy.dir.path().join("proxy.toml");
        std::fs::remove_file(&file).unwrap();
        pipe(&file);
        proxy.signal(Signal::HUP);
        proxy.says("proxy.toml is a pipe (FIFO)");
        proxy
    });
}

#[test]
fn a_configuration_that_never_ends_is_refused() {
    for endless in ["/dev/zero", "/proc/self/pagemap"] {
        let proxy = Running::start(&config(""));
        let file = proxy.dir.path().join("proxy.toml");
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(endless, &file).unwrap();
        proxy.signal(Signal::HUP);
        proxy.says("not reloaded, nothing has changed: ");
        proxy.converse();
        stops(proxy);
    }
}

#[test]
fn a_log_that_is_a_pipe_without_a_reader_refuses_the_start_and_the_reload() {
    let log = "[log]\naccess = { file = \"DIR/pipe\" }\n";
    let dir = tempfile::tempdir().unwrap();
    pipe(&dir.path().join("pipe"));
    let mut proxy =
        Running::start_by(Command::new(BINARY), &config(&log.replace("DIR", &dir.path().to_string_lossy())));
    assert_eq!(proxy.exit_code(), 1);
    proxy.says("pipe: nobody reads from this pipe");
    ends_in_time(|| {
        let proxy = Running::start(&config(""));
        pipe(&proxy.dir.path().join("pipe"));
        proxy.rewrite(&config(log));
        proxy.signal(Signal::HUP);
        proxy.says("not reloaded, nothing has changed: cannot open the log file");
        proxy
    });
}

#[test]
fn a_log_that_has_become_a_pipe_stays_the_file_that_it_was() {
    ends_in_time(|| {
        let proxy = Running::start(&config("[log]\naccess = { file = \"DIR/access.log\" }\n"));
        let log = proxy.dir.path().join("access.log");
        std::fs::rename(&log, proxy.dir.path().join("old.log")).unwrap();
        pipe(&log);
        proxy.signal(Signal::USR1);
        proxy.says("the log files stay as they are");
        proxy.converse();
        eventually("the old one is written to", || proxy.read("old.log").lines().count() == 1);
        proxy
    });
}

/// Standard error is a pipe that is full, and so is the access log.
#[test]
fn a_log_that_nobody_reads_any_more_holds_up_nobody() {
    for again in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("pipe");
        pipe(&log);
        let _reader = std::fs::OpenOptions::new().read(true).write(true).open(&log).unwrap();
        let text = format!("[log]\naccess = {{ file = \"{}\" }}\naccess_format = \"json\"\n", log.display());
        let open =
            "[limits]\nconnections_per_client = \"off\"\nconnections_per_client_per_minute = \"off\"\n";
        let mut proxy = Running::start(&config(&format!("{text}{open}")));
        proxy.converse();
        // Some 64 KiB fill it.
        for _ in 0..300 {
            proxy.converse();
        }
        let _client = client(&proxy);
        let code = stopped(&mut proxy, again);
        assert_eq!(code, if again { 4 } else { 3 }, "{}", proxy.output());
    }
}

/// A new process that does not get ready, and does not go when told to either.
#[test]
fn a_new_process_that_hangs_is_stopped_too() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("smartproxy");
    for ignores in [false, true] {
        for again in [false, true] {
            drop(std::fs::remove_file(&program));
            std::os::unix::fs::symlink(BINARY, &program).unwrap();
            let mut proxy = Running::start_by(Command::new(&program), &config("")).standing();
            let pid = proxy.dir.path().join("pid");
            let trap = if ignores { "trap '' TERM\n" } else { "" };
            let script = format!("#!/bin/sh\n{trap}echo $$ > {}\nexec sleep 600\n", pid.display());
            let new = dir.path().join("new");
            std::fs::write(&new, script).unwrap();
            std::fs::set_permissions(&new, PermissionsExt::from_mode(0o755)).unwrap();
            std::fs::rename(&new, &program).unwrap();
            proxy.signal(Signal::USR2);
            eventually("the new one runs", || proxy.read("pid").ends_with('\n'));
            let number = proxy.read("pid").trim().to_owned();
            let _client = if again { Some(client(&proxy)) } else { None };
            let code = stopped(&mut proxy, again);
            assert_eq!(code, if again { 4 } else { 0 }, "{}", proxy.output());
            let is_there = || Path::new("/proc").join(&number).exists();
            if ignores && again {
                // Nobody waited until it was killed. It could not serve: whoever was to hand over to it has gone.
                drop(Command::new("kill").args(["-KILL", &number]).status());
            }
            eventually("the new one has gone", || !is_there());
        }
    }
}

/// A stop that comes while the new process starts is the new one's too: nobody is left who serves.
#[test]
fn a_stop_while_a_new_process_starts_is_its_stop_too() {
    let mut proxy = Running::start(&config(""));
    proxy.converse();
    // So many that reading them takes a while.
    let route = |n: u32| {
        format!(
            "[[routes]]\nname = \"r{n}\"\nmatch = {{ domains = [\"r{n}.example\"], ports = [PORT] }}\naction = \"refuse\"\n"
        )
    };
    let routes: String = (0..5000).map(route).collect();
    proxy.rewrite(&format!("{}{routes}", config("")));
    proxy.signal(Signal::USR2);
    proxy.says("handing over to a new process");
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.exit_code(), 0, "{}", proxy.output());
    let output = proxy.output();
    assert!(!output.contains("the new process serves"), "it came too late to show anything: {output}");
    assert!(output.contains("the proxy was told to stop, and the new process with it"), "{output}");
    eventually("nobody listens any more", || TcpStream::connect(proxy.addr()).is_err());
}

/// A name server that hears and never answers.
fn silent_name_server() -> Option<(UdpSocket, SocketAddr)> {
    let socket = UdpSocket::bind("127.0.0.53:53").or_else(|_| UdpSocket::bind("127.0.0.99:53")).ok()?;
    let addr = socket.local_addr().ok()?;
    Some((socket, addr))
}

/// In a mount namespace of its own, where names are asked of a server that never answers. None where that is not allowed.
fn without_names() -> Option<(UdpSocket, Command)> {
    let (server, addr) = silent_name_server()?;
    let allowed = Command::new("unshare")
        .args(["-m", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let script = format!(
        "printf 'nameserver {}\\noptions timeout:30 attempts:5\\n' > /tmp/.resolv.$$ && \
         mount --bind /tmp/.resolv.$$ /etc/resolv.conf && rm -f /tmp/.resolv.$$ && exec \"$@\"",
        addr.ip()
    );
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script, "sh", BINARY]);
    allowed.then_some((server, command))
}

#[test]
fn a_name_that_nobody_answers_for_holds_up_nobody() {
    for again in [false, true] {
        let Some((server, command)) = without_names() else {
            println!("not allowed here: no mount namespace, or no port 53");
            return;
        };
        let text = config("").replace("BACKEND", "nobody-answers.example:80");
        let mut proxy = Running::start_by(command, &text).standing();
        let _client = TcpStream::connect(proxy.addr()).unwrap();
        server.set_read_timeout(Some(crate::PATIENCE)).unwrap();
        server.recv(&mut [0; 512]).unwrap();
        stopped(&mut proxy, again);
        assert!(proxy.output().trim_end().lines().last().unwrap().contains("stopped"), "{}", proxy.output());
    }
}
