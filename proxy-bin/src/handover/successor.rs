//! The old process's side.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::packet::{Packet, PacketError, receive, send_sockets};
use super::{HandoverError, Passed, VARIABLE};
use crate::service::{KEPT, Service};

/// What was said to the process about itself and is not true of another one (`sd_listen_fds(3)`, `sd_watchdog_enabled(3)`).
const OF_THIS_PROCESS: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// A program and its arguments.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// This process's own, by the path it was started by: where a link was followed, it is followed again, and may lead to a
    /// newer version. To be called at the start: the path of a program that was replaced is no longer known.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn of_this_process() -> io::Result<Self> {
        let mut words = std::env::args_os();
        let path = match words.next().map(PathBuf::from) {
            // Without a slash it was looked for in PATH, and the system knows where it was found.
            Some(path) if path.components().count() > 1 => std::env::current_dir()?.join(path),
            _ => std::env::current_exe()?,
        };
        Ok(Self { path, arguments: words.collect() })
    }

    /// Another one.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, arguments: Vec<OsString>) -> Self {
        Self { path: path.into(), arguments }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn start(&self, input: OwnedFd) -> Result<Child, HandoverError> {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).env(VARIABLE, "1").stdin(Stdio::from(input));
        if Service::of_this_process().keeps_sockets() {
            command.env(KEPT, "1");
        }
        for variable in OF_THIS_PROCESS {
            command.env_remove(variable);
        }
        command.spawn().map_err(|source| HandoverError::Start { path: self.path.clone(), source })
    }
}

/// The process that serves from now on.
#[derive(Debug)]
pub struct Successor(Child);

impl Successor {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

/// Starts `program` and gives it the sockets; returns once it serves. Blocks, for `patience` at most.
///
/// # Errors
/// [`HandoverError`]; then there is no other process any more.
pub fn hand_over(
    program: &Program,
    sockets: &[Passed],
    patience: Duration,
) -> Result<Successor, HandoverError> {
    let flags = SocketFlags::CLOEXEC;
    let (way, its) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).map_err(io::Error::from)?;
    for timeout in [Timeout::Send, Timeout::Recv] {
        set_socket_timeout(&way, timeout, Some(patience)).map_err(io::Error::from)?;
    }
    // Its end is now its alone: when it goes, this side sees the end.
    let mut child = program.start(its)?;
    let answer = match send_sockets(&way, sockets) {
        Ok(()) => receive(&way),
        Err(error) => Err(error.into()),
    };
    if let Ok(Packet::Ready) = answer {
        return Ok(Successor(child));
    }
    if let Ok(Packet::Failed(why)) = answer {
        // It is about to go, or not: it is not waited for.
        child.kill()?;
        child.wait()?;
        return Err(HandoverError::Failed(why));
    }
    let late = matches!(&answer, Err(PacketError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock);
    let ended =
        matches!(&answer, Err(PacketError::Ended)) || matches!(&answer, Err(PacketError::Io(_)) if !late);
    // One that has closed its end without going is not coming back either.
    let gone = if ended { gone(&mut child)? } else { None };
    if let Some(status) = gone {
        return Err(HandoverError::Gone(status));
    }
    child.kill()?;
    let status = child.wait()?;
    Err(match answer {
        _ if late => HandoverError::Late(patience),
        Err(error @ (PacketError::Version(_) | PacketError::Unexpected(_) | PacketError::Cut)) => {
            HandoverError::Foreign(error)
        }
        Ok(packet) => HandoverError::Foreign(PacketError::Unexpected(format!("{packet:?}"))),
        Err(_) => HandoverError::Gone(status),
    })
}

/// How a process ended that has closed its end, which it does in the course of ending.
fn gone(child: &mut Child) -> io::Result<Option<std::process::ExitStatus>> {
    /// Descriptors are closed before a process can be waited for, though not long before.
    const TRIES: usize = 1000;
    for _ in 0..TRIES {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn sh(script: &str) -> Program {
        Program::new("/bin/sh", vec!["-c".into(), script.into()])
    }

    fn sockets() -> Vec<Passed> {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap().into();
        vec![Passed { name: "one".to_owned(), socket }]
    }

    fn fails(program: &Program, patience: Duration) -> String {
        hand_over(program, &sockets(), patience).unwrap_err().to_string()
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn one_that_goes_is_waited_for() {
        insta::assert_snapshot!(fails(&sh("exit 3"), PATIENCE), @"the new process has gone before it was ready (exit status: 3); its own lines say why");
        insta::assert_snapshot!(fails(&sh("kill -9 $$"), PATIENCE), @"the new process has gone before it was ready (signal: 9 (SIGKILL)); its own lines say why");
    }

    #[test]
    fn one_that_hangs_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!("echo $$ > {}; exec sleep 600", pid.display());
        let said = fails(&sh(&script), Duration::from_millis(300));
        insta::assert_snapshot!(said, @"the new process was not ready in 0.3s ([process] upgrade_timeout), and was killed");
        let pid = std::fs::read_to_string(pid).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists(), "{pid} is still there");
    }

    #[test]
    fn one_that_is_not_there_is_named() {
        let nowhere = Program::new("/nowhere/smartproxy", vec![]);
        insta::assert_snapshot!(fails(&nowhere, PATIENCE), @"cannot start /nowhere/smartproxy: No such file or directory (os error 2)");
    }

    /// What it says to its own standard input comes back as an answer.
    #[test]
    fn one_that_answers_something_else_is_killed() {
        insta::assert_snapshot!(fails(&sh("echo hello >&0; exec sleep 600"), PATIENCE), @r#"the new process does not speak this version's protocol, and was killed: it says "hello", not "smartproxy takeover 1""#);
    }

    #[test]
    fn one_that_says_why_it_goes_is_believed() {
        let failed = sh("printf 'smartproxy takeover 1\\nfailed\\nno port\\nis free' >&0; exec sleep 600");
        insta::assert_snapshot!(fails(&failed, PATIENCE), @"
the new process could not start: no port
is free
");
    }

    #[test]
    fn one_that_says_that_it_is_ready_stays() {
        let ready = sh("printf 'smartproxy takeover 1\\nready' >&0; exec sleep 600");
        let Successor(mut child) = hand_over(&ready, &sockets(), PATIENCE).unwrap();
        assert!(child.try_wait().unwrap().is_none(), "it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
