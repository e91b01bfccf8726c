//! The real binary, as a child process.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::ports;
use crate::process::Process;

/// `smartproxy run` on a configuration in a temporary directory. Dropped, it is killed.
#[derive(Debug)]
pub struct Smartproxy {
    /// The process.
    pub process: Process,
    ports: Vec<u16>,
    _dir: TempDir,
}

impl Smartproxy {
    /// Runs a [`scenario`](crate::scenario()) in which the binary is needed. It is built before the scenario's time starts.
    pub fn scenario(body: impl Future<Output = ()>) {
        binary();
        crate::scenario(body);
    }

    /// Runs `config` (TOML; `PORT_A` to `PORT_D` stand for free ports) and waits until it accepts.
    pub async fn run(config: &str) -> Self {
        let mut started = Self::start(config);
        for port in started.ports.clone() {
            started.process.listens_on(port).await;
        }
        started
    }

    /// The same without waiting.
    #[must_use]
    pub fn start(config: &str) -> Self {
        let (config, ports) = ports::fill(config);
        let dir = tempfile::tempdir().expect("there is room for a file");
        let file = dir.path().join("smartproxy.toml");
        std::fs::write(&file, config).expect("there is room for a file");
        let process = Process::start(Self::command().arg("run").arg("-c").arg(file));
        Self { process, ports, _dir: dir }
    }

    /// A command for the binary, to which arguments may be added.
    #[must_use]
    pub fn command() -> Command {
        let mut command = Command::new(binary());
        command.env_remove("SMARTPROXY_CONFIG");
        command
    }

    /// Where `PORT_A` is.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, *self.ports.first().expect("the configuration has a port")).into()
    }

    /// Whether it listens on `PORT_A`.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        ports::is_listened_on(self.addr().port())
    }

    /// How its connections have ended so far, where it logs in JSON.
    #[must_use]
    pub fn causes(&self) -> Vec<String> {
        let causes = self.access_log().into_iter().map(|line| line.get("cause").cloned().unwrap_or_default());
        causes.map(|cause| cause.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Its access log so far, where it logs in JSON.
    #[must_use]
    pub fn access_log(&self) -> Vec<Value> {
        let lines = self.process.lines();
        let parsed = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        parsed
            .filter(|line| line.get("message").is_some_and(|message| message == "connection ended"))
            .collect()
    }
}

/// The binary, built like this test: same target directory, same profile, and never older than its source.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let test = std::env::current_exe().expect("a test is a file");
        // <target>/<profile>/deps/<test>
        let profile = test.ancestors().nth(2).expect("a test is in a target directory");
        build(profile);
        let binary = profile.join("smartproxy");
        assert!(binary.exists(), "{} is not there", binary.display());
        binary
    })
}

/// Builds it; that is next to nothing where it is up to date. With this crate named too, cargo chooses the same features
/// of dependencies as for this test, and builds none of them again.
fn build(profile: &Path) {
    let Some(cargo) = std::env::var_os("CARGO") else { return };
    let (target, name) =
        (profile.parent().expect("it has a name"), profile.file_name().expect("it has a name"));
    let name = if name == "debug" { "dev".as_ref() } else { name };
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--offline", "--bin", "smartproxy"]);
    command.args(["--package", "proxy-bin", "--package", env!("CARGO_PKG_NAME")]);
    command
        .arg("--profile")
        .arg(name)
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let built = command.status().expect("cargo runs");
    assert!(built.success(), "the binary does not build");
}
