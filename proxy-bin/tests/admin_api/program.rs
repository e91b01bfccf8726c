//! The real program, with both its admin sockets: for what an embedded proxy cannot show.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::eventually;
use crate::http::At;
use crate::loopback::echo;
use crate::world::nobody;

/// `smartproxy run` in a folder of its own. Dropped, it is killed.
pub(crate) struct Program {
    pub(crate) child: Child,
    /// Where its clients connect to.
    pub(crate) addr: SocketAddr,
    on_tcp: SocketAddr,
    pub(crate) dir: TempDir,
}

impl Program {
    /// Runs it with these lines at the start of its configuration, and so many descriptors, and waits until it listens.
    pub(crate) fn start(lines: &str, descriptors: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [addr, on_tcp] = [(); 2].map(|()| nobody());
        let file = dir.path().join("proxy.toml");
        let socket = dir.path().join("admin.sock");
        std::fs::write(&file, config(lines, addr, on_tcp, &socket)).unwrap();
        let script = format!("ulimit -n {descriptors}; exec \"$0\" run -c \"$1\"");
        let child = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_smartproxy")])
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let program = Self { child, addr, on_tcp, dir };
        eventually("it listens", || socket.exists() && TcpStream::connect(addr).is_ok());
        program
    }

    /// Waits until it has all it needs, and says so.
    pub(crate) fn running(self) -> Self {
        eventually("it runs", || self.log().contains("running"));
        self
    }

    /// Both its admin sockets.
    pub(crate) fn both(&self) -> [At; 2] {
        [At::from(&*self.dir.path().join("admin.sock")), At::Tcp(self.on_tcp)]
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).unwrap()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only for a child that has gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn config(lines: &str, addr: SocketAddr, on_tcp: SocketAddr, socket: &std::path::Path) -> String {
    let (port, backend) = (addr.port(), echo());
    format!(
        r#"
workers = 1
{lines}
[admin]
name = "whole"
socket = "{}"
listen = "{on_tcp}"
[[listeners]]
ports = [{port}]
bind = ["127.0.0.1"]
[[routes]]
name = "web"
match = {{ ports = [{port}] }}
action = {{ forward = ["{backend}"] }}
"#,
        socket.display()
    )
}
