//! A process that is run for a test, and a client and a backend for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::loopback::{echo, free_port};
use crate::{PATIENCE, eventually};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_smartproxy");

/// How long what a process said before it ended may take to be read, on a machine whose cores others have.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// `smartproxy run` in a directory of its own. Dropped, it is killed.
pub(crate) struct Running {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: [JoinHandle<()>; 2],
    has_gone: bool,
    pub(crate) dir: TempDir,
    pub(crate) port: u16,
}

impl Running {
    /// Runs a configuration, in which `PORT` stands for a free port, `BACKEND` for an echo and `DIR` for the directory, and
    /// waits until it runs.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_by(Command::new(BINARY), config).standing()
    }

    /// The same by another command, without waiting.
    pub(crate) fn start_by(command: Command, config: &str) -> Self {
        Self::start_reading(command, Stdio::null(), config)
    }

    /// The same with something on its standard input.
    pub(crate) fn start_reading(mut command: Command, input: Stdio, config: &str) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let file = Self::write(dir.path(), port, config);
        command.args(["run", "-c"]).arg(file).env_remove("SMARTPROXY_CONFIG");
        let command = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = Arc::default();
        let readers = [
            keep(child.stdout.take().unwrap(), "out: ", &lines),
            keep(child.stderr.take().unwrap(), "", &lines),
        ];
        Self { child, lines, readers, has_gone: false, dir, port }
    }

    /// Writes another configuration in place of the one there is.
    pub(crate) fn rewrite(&self, config: &str) {
        Self::write(self.dir.path(), self.port, config);
    }

    fn write(dir: &Path, port: u16, config: &str) -> PathBuf {
        let filled = config
            .replace("PORT", &port.to_string())
            .replace("BACKEND", &echo().to_string())
            .replace("DIR", &dir.to_string_lossy());
        let file = dir.join("proxy.toml");
        std::fs::write(&file, filled).unwrap();
        file
    }

    pub(crate) fn standing(self) -> Self {
        self.says("running");
        self
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Everything that it has written; lines of standard output begin with `out: `. Of one that has gone, its last words too, unless
    /// a successor has its outputs.
    pub(crate) fn output(&self) -> String {
        let until = std::time::Instant::now() + LAST_WORDS;
        while self.has_gone
            && !self.readers.iter().all(JoinHandle::is_finished)
            && std::time::Instant::now() < until
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.so_far()
    }

    fn so_far(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    pub(crate) fn says(&self, text: &str) {
        let until = std::time::Instant::now() + PATIENCE;
        while !self.so_far().contains(text) {
            assert!(std::time::Instant::now() < until, "it does not say {text:?}, but:\n{}", self.output());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Its exit code, once it has gone; 128 and more if a signal ended it.
    pub(crate) fn exit_code(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt as _;
        let mut status = None;
        eventually("it goes", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        self.has_gone = true;
        let status = status.unwrap();
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
    }

    /// One connection that sends, gets its bytes back, and ends in order.
    pub(crate) fn converse(&self) {
        assert_eq!(converse(self.addr()).unwrap(), b"hello");
    }

    pub(crate) fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(file)).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a child that has gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One connection that sends `hello`, half-closes and reads to the end.
pub(crate) fn converse(addr: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"hello")?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// The objects among these lines that have a field.
pub(crate) fn objects_with(lines: &str, field: &str) -> Vec<Value> {
    let objects = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    objects.filter(|object| object.get(field).is_some()).collect()
}

fn keep(
    output: impl Read + Send + 'static,
    mark: &'static str,
    lines: &Arc<Mutex<Vec<String>>>,
) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(format!("{mark}{line}"));
        }
    })
}
