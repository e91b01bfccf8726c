//! Other people's programs, to check our protocols against: HAProxy, nginx, OpenSSL.
#![expect(clippy::print_stdout, reason = "a test says on stdout what it skips")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

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
    _dir: TempDir,
}

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

    async fn run(config: &str, command: impl FnOnce(&Path, &Path) -> Command) -> Self {
        let (config, ports) = ports::fill(config);
        let dir = tempfile::tempdir().expect("there is room for a file");
        let file = dir.path().join("peer.conf");
        let config = config.replace("DIR", &dir.path().to_string_lossy());
        std::fs::write(&file, config).expect("there is room for a file");
        let mut process = Process::start(&mut command(&file, dir.path()));
        for port in &ports {
            process.listens_on(*port).await;
        }
        Self { process, ports, _dir: dir }
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
