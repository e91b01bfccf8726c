//! The old process's side.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal};
use tokio::time::Instant;

use super::packet::{Packet, PacketError, receive, send_sockets};
use super::recall::{Came, Recall};
use super::{HandoverError, Passed, VARIABLE};
use crate::systemd::{KEPT, Manager};

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
            Some(path) if path.is_absolute() => path,
            // The folder may be gone; then the system still knows what it has started.
            Some(path) if path.components().count() > 1 => match std::env::current_dir() {
                Ok(folder) => folder.join(path),
                Err(_) => std::env::current_exe()?,
            },
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
        if Manager::of_this_process().keeps_sockets() {
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

/// How long a process that is told to stop has for it before it is killed: one that starts goes at once.
const DISMISSED: Duration = Duration::from_millis(500);

/// Starts `program` and gives it the sockets; returns once it serves. Blocks, for `patience` at most, and not for long once it is
/// called off.
///
/// # Errors
/// [`HandoverError`]; then there is no other process any more.
pub fn hand_over(
    program: &Program,
    sockets: &[Passed<impl AsFd>],
    patience: Duration,
    recall: &Recall,
) -> Result<Successor, HandoverError> {
    let until = Instant::now() + patience;
    let flags = SocketFlags::CLOEXEC;
    let (way, its) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).map_err(io::Error::from)?;
    for timeout in [Timeout::Send, Timeout::Recv] {
        set_socket_timeout(&way, timeout, Some(patience)).map_err(io::Error::from)?;
    }
    // Its end is now its alone: when it goes, this side sees the end.
    let child = program.start(its)?;
    let wait = |what| match recall.or(&way, what, until)? {
        Came::Answer => Ok(()),
        Came::Recalled => Err(NoAnswer::Recalled),
        Came::Nothing => Err(NoAnswer::Late),
    };
    let sent = send_sockets(&way, sockets, || wait(PollFlags::OUT)).and_then(|()| wait(PollFlags::IN));
    match sent.and_then(|()| receive(&way).map_err(NoAnswer::from)) {
        Ok(Packet::Ready) => Ok(Successor(child)),
        Err(NoAnswer::Recalled) => {
            dismiss(child, &way)?;
            Err(HandoverError::Recalled)
        }
        other => Err(given_up(child, other, patience)?),
    }
}

/// Why there is no answer.
enum NoAnswer {
    Recalled,
    Late,
    Packet(PacketError),
}

impl From<PacketError> for NoAnswer {
    fn from(error: PacketError) -> Self {
        let late = matches!(&error, PacketError::Io(error) if error.kind() == io::ErrorKind::WouldBlock);
        if late { Self::Late } else { Self::Packet(error) }
    }
}

impl From<io::Error> for NoAnswer {
    fn from(error: io::Error) -> Self {
        PacketError::Io(error).into()
    }
}

/// Ends a process that does not get ready; why it did not.
fn given_up(
    mut child: Child,
    answer: Result<Packet, NoAnswer>,
    patience: Duration,
) -> io::Result<HandoverError> {
    // One that has closed its end without going is not coming back either.
    let ended = matches!(&answer, Err(NoAnswer::Packet(PacketError::Ended | PacketError::Io(_))));
    if let Some(status) = if ended { gone(&mut child)? } else { None } {
        return Ok(HandoverError::Gone(status));
    }
    // It may be about to go, or not: it is not waited for.
    child.kill()?;
    let status = child.wait()?;
    Ok(match answer {
        Ok(Packet::Failed(why)) => HandoverError::Failed(why),
        Ok(packet) => HandoverError::Foreign(PacketError::Unexpected(format!("{packet:?}"))),
        Err(NoAnswer::Late) => HandoverError::Late(patience),
        Err(NoAnswer::Recalled) => HandoverError::Recalled,
        Err(NoAnswer::Packet(PacketError::Ended | PacketError::Io(_))) => HandoverError::Gone(status),
        Err(NoAnswer::Packet(error)) => HandoverError::Foreign(error),
    })
}

/// Has a process stop that was to take this one's place: one that starts goes at once, one that has just become ready finishes
/// what it has as any does that is told to stop, and one that does neither is killed.
fn dismiss(mut child: Child, way: &OwnedFd) -> io::Result<()> {
    // It was not waited for, so the number is its own.
    rustix::process::kill_process(Pid::from_child(&child), Signal::TERM)?;
    let never = Recall::new()?;
    let answer = match never.or(way, PollFlags::IN, Instant::now() + DISMISSED)? {
        Came::Answer => receive(way),
        Came::Recalled | Came::Nothing => Err(PacketError::Ended),
    };
    if !matches!(answer, Ok(Packet::Ready)) && child.try_wait()?.is_none() {
        child.kill()?;
        child.wait()?;
    }
    Ok(())
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
        hand_over(program, &sockets(), patience, &Recall::new().unwrap()).unwrap_err().to_string()
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
        let Successor(mut child) = hand_over(&ready, &sockets(), PATIENCE, &Recall::new().unwrap()).unwrap();
        assert!(child.try_wait().unwrap().is_none(), "it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// One that goes when told to, one that does not, and one that has just become ready.
    #[test]
    fn one_that_is_called_off_goes_too() {
        let dir = tempfile::tempdir().unwrap();
        let called_off = |script: &str| {
            let pid = dir.path().join("pid");
            let program = sh(&script.replace("PID", &pid.display().to_string()));
            let recall = Recall::new().unwrap();
            let start = Instant::now();
            let said = std::thread::scope(|threads| {
                let handing = threads.spawn(|| hand_over(&program, &sockets(), PATIENCE, &recall));
                while !std::fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n')) {
                    std::thread::yield_now();
                }
                recall.now();
                handing.join().unwrap().unwrap_err().to_string()
            });
            assert_eq!(said, "the proxy was told to stop, and the new process with it");
            assert!(start.elapsed() < PATIENCE / 2);
            let number = std::fs::read_to_string(&pid).unwrap();
            std::fs::remove_file(pid).unwrap();
            let number = number.trim().to_owned();
            assert!(!Path::new("/proc").join(&number).exists(), "{number} is still there");
        };
        called_off("echo $$ > PID; exec sleep 600");
        called_off("trap '' TERM; echo $$ > PID; exec sleep 600");
    }
}
