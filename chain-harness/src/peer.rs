//! Other people's programs, to check our protocols against: HAProxy, nginx, OpenSSL, Postfix.
#![expect(clippy::print_stdout, reason = "a test says on stdout what it skips")]

mod pebble;
mod postfix;

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

pub use pebble::{Pebble, PebblePlan};

use crate::ports;
use crate::process::Process;

/// Where programs are, beside `PATH`, which for ordinary users often leaves these out.
const SYSTEM: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// What nginx needs to run as somebody's child, anywhere.
const NGINX: &str = "daemon off; master_process off; pid DIR/pid; error_log DIR/error.log; events {}\n";
const NGINX_STREAM: &str = "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n";

/// A program of somebody else, running on a configuration in a temporary directory. Dropped, it is killed.
#[derive(Debug)]
pub struct Peer {
    /// The process.
    pub process: Process,
    ports: Vec<u16>,
    /// Whether it has to be asked to stop, since it has processes of its own.
    orderly: bool,
    dir: TempDir,
}

impl Drop for Peer {
    fn drop(&mut self) {
        if self.orderly {
            self.process.stop(STOPPING);
        }
    }
}

/// How long a program with processes of its own may take to stop.
const STOPPING: Duration = Duration::from_secs(5);

impl Peer {
    /// HAProxy on `config`, with `PORT_A` to `PORT_D` for free ports and `DIR` for its directory.
    /// None, and a word to whoever runs the test, where it is not installed.
    pub async fn haproxy(config: &str) -> Option<Self> {
        let program = program("haproxy")?;
        // -db: in the foreground, one process.
        Some(
            Self::run(config, |file, _| {
                let mut c = Command::new(program);
                c.arg("-db").arg("-f").arg(file);
                c
            })
            .await,
        )
    }

    /// nginx on `config`, the `stream` or `http` block, with the same stand-ins. None likewise.
    pub async fn nginx(config: &str) -> Option<Self> {
        let program = program("nginx")?;
        let module = if config.trim_start().starts_with("stream") { NGINX_STREAM } else { "" };
        let config = format!("{module}{NGINX}{config}");
        let command = |file: &Path, dir: &Path| {
            let mut command = Command::new(program);
            command.arg("-p").arg(dir).arg("-e").arg(dir.join("error.log")).arg("-c").arg(file);
            command
        };
        Some(Self::run(&config, command).await)
    }

    /// The program `name`, of the Debian package `package`, on `config` with the same stand-ins. `command` makes what is
    /// run of the program, the configuration's file and the directory, in which it may prepare what is needed; anybody may
    /// look into that, as such programs give up root. Dropped, it is asked to stop and waited for, so that what processes
    /// it has go with it. None likewise.
    pub async fn program(
        name: &str,
        package: &str,
        config: &str,
        command: impl FnOnce(&Path, &Path, &Path) -> Command,
    ) -> Option<Self> {
        let program = find_program(name).or_else(|| {
            println!("skipped: {name} is not installed (apt-get install {package})");
            None
        })?;
        let command = |file: &Path, dir: &Path| {
            let open = Permissions::from_mode(0o755);
            std::fs::set_permissions(dir, open).expect("the directory is ours");
            command(&program, file, dir)
        };
        let mut peer = Self::start(config, command);
        peer.orderly = true;
        peer.listens().await;
        Some(peer)
    }

    async fn run(config: &str, command: impl FnOnce(&Path, &Path) -> Command) -> Self {
        let mut peer = Self::start(config, command);
        peer.listens().await;
        peer
    }

    /// Waits until all of its ports are listened on.
    async fn listens(&mut self) {
        for port in &self.ports {
            self.process.listens_on(*port).await;
        }
    }

    fn start(config: &str, command: impl FnOnce(&Path, &Path) -> Command) -> Self {
        let (config, ports) = ports::fill(config);
        let dir = tempfile::tempdir().expect("there is room for a file");
        let file = dir.path().join("peer.conf");
        let config = config.replace("DIR", &dir.path().to_string_lossy());
        std::fs::write(&file, config).expect("there is room for a file");
        let process = Process::start(&mut command(&file, dir.path()));
        Self { process, ports, orderly: false, dir }
    }

    /// What is in a file of its directory; nothing where it is not there.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }

    /// Where `PORT_A` is.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.at(0)
    }

    /// Where the `n`th port is: 0 for `PORT_A`.
    #[must_use]
    pub fn at(&self, n: usize) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, *self.ports.get(n).expect("the configuration has as many ports")).into()
    }
}

/// Where the program `name` is.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(SYSTEM.map(PathBuf::from));
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The same; says so where it is not installed.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let found = find_program(name);
    if found.is_none() {
        println!("skipped: {name} is not installed (apt-get install {name})");
    }
    found
}
