//! A child process whose every line is kept, and that does not outlive its owner.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

use crate::ports;
use crate::proc::{Usage, is_stopped, open_files};
use crate::wait::{PATIENCE, eventually};

/// A running child process. Dropped, it is killed and waited for.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command`, with nothing to read from.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        Self::start_reading(command, b"")
    }

    /// Starts `command` with `input` (a few lines) to read.
    #[must_use]
    pub fn start_reading(command: &mut Command, input: &[u8]) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        if let Some(mut stdin) = child.stdin.take() {
            // A child that is not interested may have gone already.
            stdin.write_all(input).unwrap_or_default();
        }
        let lines = Arc::default();
        let (out, err) =
            (child.stdout.take().expect("it is piped"), child.stderr.take().expect("it is piped"));
        let readers = vec![keep(out, &lines), keep(err, &lines)];
        Self { name, child, lines, readers }
    }

    /// Waits until it listens on `port`.
    pub async fn listens_on(&mut self, port: u16) {
        let (child, lines, name) = (&mut self.child, &self.lines, &self.name);
        eventually(PATIENCE, || {
            let gone = child.try_wait().expect("it is our child");
            assert!(gone.is_none(), "{name} stopped ({gone:?}):\n{}", join(lines));
            ports::is_listened_on(port)
        })
        .await;
    }

    /// Kills it at once (SIGKILL), and waits until it has gone.
    pub async fn kill(&mut self) {
        self.child.kill().expect("it is our child");
        self.exit_code(PATIENCE).await;
    }

    /// How many descriptors it has open, as `/proc` says.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        self.open().len()
    }

    /// How much of a processor it has used so far; nothing where it has gone.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        Usage::without_files(&[self.id()]).cpu
    }

    /// Lets it open `more` descriptors from now on, beside those that it has.
    pub fn leave_room_for(&self, more: u64) {
        let used = self.open();
        // The limit is one of numbers, and there may be gaps among those in use.
        let (mut limit, mut free) = (0, 0);
        while free < more {
            free += u64::from(!used.contains_key(&limit));
            limit += 1;
        }
        self.limit_descriptors(limit);
    }

    /// Takes the limit of [`leave_room_for`](Self::leave_room_for) back.
    pub fn leave_room(&self) {
        self.limit_descriptors(1024);
    }

    /// The hard limit stays, so that the soft one may rise again.
    fn limit_descriptors(&self, most: u64) {
        let limit = Rlimit { current: Some(most), ..getrlimit(Resource::Nofile) };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Nofile, limit).expect("it is our child");
    }

    /// Its descriptors, and what each leads to.
    fn open(&self) -> BTreeMap<u64, PathBuf> {
        open_files(self.id()).expect("it runs, and is ours")
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it is our child");
    }

    /// Asks it to stop and waits until it has, for `bound` at most: for its owner's last moment, where nothing else runs.
    #[expect(clippy::disallowed_methods, reason = "a value is dropped outside of any runtime's time")]
    pub(crate) fn stop(&mut self, bound: Duration) {
        const LOOK: Duration = Duration::from_millis(5);
        let mut left = bound;
        while matches!(self.child.try_wait(), Ok(None)) && !left.is_zero() {
            if left == bound {
                self.terminate();
            }
            std::thread::sleep(LOOK);
            left = left.saturating_sub(LOOK);
        }
    }

    /// Sends it SIGHUP.
    pub fn hang_up(&self) {
        kill_process(Pid::from_child(&self.child), Signal::HUP).expect("it is our child");
    }

    /// Stops it where it stands (SIGSTOP), until [`thaw`](Self::thaw); waits until it does nothing more.
    pub async fn freeze(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).expect("it is our child");
        eventually(PATIENCE, || is_stopped(self.id())).await;
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).expect("it is our child");
    }

    /// Its exit code, once it has stopped; 128 and the signal where a signal ended it.
    pub async fn exit_code(&mut self, bound: Duration) -> i32 {
        let mut status = None;
        eventually(bound, || {
            status = self.child.try_wait().expect("it is our child");
            status.is_some()
        })
        .await;
        self.readers.drain(..).for_each(|reader| reader.join().expect("a reader of lines does not panic"));
        let status = status.expect("it has stopped");
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Every line of its output so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its output so far.
    #[must_use]
    pub fn output(&self) -> String {
        join(&self.lines)
    }

    /// Waits until it has written `text`.
    pub async fn says(&self, text: &str) {
        eventually(PATIENCE, || self.output().contains(text)).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a child that has stopped already.
        drop(self.child.kill());
        drop(self.child.wait());
        // Its pipes have ended with it: none of the programs that are run here leaves children behind.
        self.readers.drain(..).for_each(|reader| drop(reader.join()));
    }
}

fn join(lines: &Mutex<Vec<String>>) -> String {
    lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
}

/// Keeps each line of `output` until it ends, on a thread: pipes of children do not go through the test's runtime.
fn keep(output: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    })
}
