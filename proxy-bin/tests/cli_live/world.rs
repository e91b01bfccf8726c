//! A chain of two processes with admin sockets, an echo and a black hole behind it, and clients.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use crate::loopback::{echo, free_port};
use crate::{PATIENCE, eventually};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_smartproxy");

/// Both hops. Dropped, they are killed.
pub(crate) struct World {
    pub(crate) outer: Hop,
    pub(crate) inner: Hop,
    /// Where the outer hop listens for the route `web`, which goes through the inner hop to the echo.
    pub(crate) web: SocketAddr,
    /// Where it listens for the route `dark`, whose target does not answer.
    pub(crate) dark: SocketAddr,
    /// Where it listens for the route `plain`, which goes to the echo without a PROXY header.
    pub(crate) plain: SocketAddr,
    /// The target of `web`: the inner hop.
    pub(crate) inner_at: SocketAddr,
    pub(crate) hole: BlackHole,
    _dir: TempDir,
}

/// One process.
pub(crate) struct Hop {
    child: Child,
    pub(crate) socket: PathBuf,
    pub(crate) config: PathBuf,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (echo, hole) = (echo(), BlackHole::open());
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let [web, dark, plain, inner_at] = [(); 4].map(|()| at(free_port()));
        let inner = Hop::start(
            dir.path(),
            "inner",
            &format!(
                "[[listeners]]\nports = [{0}]\nbind = [\"127.0.0.1\"]\naccept_proxy = {{ required = [\"127.0.0.1/32\"] }}\n\
                 [[routes]]\nname = \"web\"\nmatch = {{ ports = [{0}] }}\naction = {{ forward = [\"{echo}\"] }}\n",
                inner_at.port()
            ),
        );
        let route = |name: &str, at: SocketAddr, to: SocketAddr, more: &str| {
            format!(
                "[[routes]]\nname = \"{name}\"\nmatch = {{ ports = [{}] }}\naction = {{ forward = [\"{to}\"] }}\n{more}",
                at.port()
            )
        };
        let config = [
            format!(
                "[[listeners]]\nports = [{}, {}, {}]\nbind = [\"127.0.0.1\"]\n",
                web.port(),
                dark.port(),
                plain.port()
            ),
            route("web", web, inner_at, "send_proxy = \"v2\"\n"),
            route("dark", dark, hole.addr, "send_proxy = \"v2\"\n"),
            route("plain", plain, echo, ""),
        ];
        let outer = Hop::start(dir.path(), "outer", &config.concat());
        Self { outer, inner, web, dark, plain, inner_at, hole, _dir: dir }
    }

    /// Runs `smartproxy` with the words of `line`, on the outer hop unless it says otherwise.
    pub(crate) fn run(&self, line: &str) -> Said {
        run(&self.outer.socket, line)
    }

    /// `smartproxy chain` over both hops, with `more`.
    pub(crate) fn chain(&self, more: &str) -> Said {
        let hops = format!("{} {}", self.outer.socket.display(), self.inner.socket.display());
        self.run(&format!("chain {hops} {more}"))
    }

    /// Waits until so many connections of the outer hop are in `phase`.
    pub(crate) fn has(&self, count: u64, phase: &str) {
        eventually(&format!("{count} in {phase}"), || {
            (self.run("status --json").json()["phases"][phase] == count).then_some(())
        });
    }

    /// The ids of the outer hop's connections that the filter lets through, the oldest first.
    pub(crate) fn ids(&self, filter: &str) -> Vec<String> {
        let read = self.run(&format!("conns --json {filter}")).json();
        let ids = read["connections"].as_array().unwrap().iter();
        ids.map(|connection| connection["id"].as_str().unwrap().to_owned()).collect()
    }
}

impl Hop {
    fn start(dir: &Path, name: &str, config: &str) -> Self {
        Self::start_with(dir, name, "", config)
    }

    /// The same with more in `[admin]`.
    pub(crate) fn start_with(dir: &Path, name: &str, admin: &str, config: &str) -> Self {
        let (socket, file) = (dir.join(format!("{name}.sock")), dir.join(format!("{name}.toml")));
        let config = format!("{admin}{config}");
        let admin = format!("[admin]\nname = \"{name}\"\nsocket = \"{}\"\n", socket.display());
        std::fs::write(&file, format!("{admin}{config}")).unwrap();
        let log = std::fs::File::create(dir.join(format!("{name}.log"))).unwrap();
        let child = Command::new(BINARY)
            .args(["run", "-c"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let hop = Self { child, socket, config: file };
        eventually(&format!("{name} answers"), || (run(&hop.socket, "status").code == 0).then_some(()));
        hop
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit code, once it has gone.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        eventually("it goes", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        // Both fail only for a child that has gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) error: String,
}

/// Runs `smartproxy` with the words of `line` for the proxy at `socket`.
pub(crate) fn run(socket: &Path, line: &str) -> Said {
    command(socket, line).output().unwrap().into()
}

pub(crate) fn command(socket: &Path, line: &str) -> Command {
    let mut command = Command::new(BINARY);
    command.args(line.split_whitespace()).env("SMARTPROXY_SOCKET", socket).stdin(Stdio::null());
    command
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), error: text(output.stderr) }
    }
}

impl Said {
    /// What it said, where it succeeded.
    #[track_caller]
    pub(crate) fn fine(self) -> String {
        assert_eq!((self.code, &*self.error), (0, ""), "{}", self.out);
        self.out
    }

    /// The same of JSON.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.fine()).unwrap()
    }
}

/// A client whose bytes have come back: its connection is established all the way.
pub(crate) fn client(addr: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
    stream
}

/// Whether the proxy has ended this client's connection.
pub(crate) fn is_reset(mut stream: &TcpStream) -> bool {
    stream.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
}

/// A listener with a full queue that never accepts: the kernel drops what else comes, so a connect hangs.
pub(crate) struct BlackHole {
    pub(crate) addr: SocketAddr,
    _listener: Socket,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    fn open() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap().as_socket().unwrap();
        // A queue of length 0 takes one connection on Linux; a connect on loopback that takes this long hangs.
        let connect = || TcpStream::connect_timeout(&addr, Duration::from_millis(250)).ok();
        let queue: Vec<_> = std::iter::from_fn(connect).take(8).collect();
        assert!(queue.len() < 8, "a queue of length 0 goes on taking connections");
        Self { addr, _listener: listener, _queue: queue }
    }
}
