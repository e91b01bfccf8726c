//! The real binary, as a child process.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::netns::Namespace;
use crate::ports;
use crate::process::Process;
use crate::wait::{PATIENCE, becomes};

/// `smartproxy run` on a configuration in a temporary directory. Dropped, it is killed.
#[derive(Debug)]
pub struct Smartproxy {
    /// The process.
    pub process: Process,
    ports: Vec<u16>,
    dir: TempDir,
    /// Descriptors that were open when it stood and nobody had connected.
    quiet: usize,
}

/// The name of the configuration in its directory.
const CONFIG: &str = "smartproxy.toml";

/// What the binary takes a configuration's path from, where nobody gives it one.
const VARIABLE: &str = "SMARTPROXY_CONFIG";

impl Smartproxy {
    /// Runs a [`scenario`](crate::scenario()) in which the binary is needed. It is built before the scenario's time starts.
    pub fn scenario(body: impl Future<Output = ()>) {
        binary();
        crate::scenario(body);
    }

    /// Runs `config` (TOML; `PORT_A` to `PORT_D` stand for free ports) and waits until it accepts.
    pub async fn run(config: &str) -> Self {
        Self::start(config).standing().await
    }

    /// The same, with no more than `descriptors` to be had from before its first moment.
    pub async fn run_with_descriptors(descriptors: u64, config: &str) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {descriptors} && exec \"$@\""), "sh"]);
        Self::run_through(shell, config).await
    }

    /// The same through `program`, which becomes the one that it is given as its last arguments.
    pub async fn run_through(mut program: Command, config: &str) -> Self {
        program.arg(binary());
        Self::start_by(program, config).standing().await
    }

    /// The same in `namespace`. The ports of its configuration are whatever it says there: all are free.
    pub async fn run_in(namespace: &Namespace, config: &str) -> Self {
        Self::run_inside(namespace.command(), config).await
    }

    /// The same through `program`, which becomes the one that it is given as its last arguments, in a namespace.
    pub async fn run_inside(mut program: Command, config: &str) -> Self {
        program.arg(binary());
        let mut started = Self::start_by(program, config);
        started.stands().await;
        started
    }

    async fn standing(mut self) -> Self {
        for port in self.ports.clone() {
            self.process.listens_on(port).await;
        }
        self.stands().await;
        self
    }

    /// Waits until it says that it runs: all that it opens at the start is open.
    async fn stands(&mut self) {
        self.process.says("running").await;
        self.quiet = self.process.descriptors();
    }

    /// Starts it again after it was killed or has stopped: on the same ports, with the same configuration.
    pub async fn restart(&mut self) {
        self.process.exit_code(PATIENCE).await;
        self.process = Process::start(Self::command().arg("run").arg("-c").arg(self.dir.path().join(CONFIG)));
        for port in self.ports.clone() {
            self.process.listens_on(port).await;
        }
        self.stands().await;
    }

    /// The law that can be seen from outside, once everybody has gone: it has no more descriptors than at the start.
    pub async fn settles_within(&self, bound: Duration) {
        becomes(bound, self.quiet, || self.process.descriptors()).await;
    }

    /// The same without waiting.
    #[must_use]
    pub fn start(config: &str) -> Self {
        Self::start_by(Self::command(), config)
    }

    /// The same by `command`, which the arguments are added to.
    fn start_by(mut command: Command, config: &str) -> Self {
        let (config, ports) = ports::fill(config);
        let dir = tempfile::tempdir().expect("there is room for a file");
        let file = dir.path().join(CONFIG);
        std::fs::write(&file, config).expect("there is room for a file");
        let process = Process::start(command.arg("run").arg("-c").arg(file).env_remove(VARIABLE));
        Self { process, ports, dir, quiet: usize::MAX }
    }

    /// A command for the binary, to which arguments may be added.
    #[must_use]
    pub fn command() -> Command {
        let mut command = Command::new(binary());
        command.env_remove(VARIABLE);
        command
    }

    /// Replaces its configuration file, as a careful editor does: another file, renamed over it. The ports are the same.
    pub fn rewrite(&self, config: &str) {
        let (file, draft) = (self.dir.path().join(CONFIG), self.dir.path().join("draft"));
        std::fs::write(&draft, ports::refilled(config, &self.ports)).expect("there is room for a file");
        std::fs::rename(draft, file).expect("it is our folder");
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

/// The binary, built like this program: same target directory, same profile, and never older than its source.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let program = std::env::current_exe().expect("a program is a file");
        // <target>/<profile>/deps/<test>, or <target>/<profile>/<program>
        let dir = program.parent().expect("a program is in a target directory");
        let profile = if dir.ends_with("deps") { dir.parent().expect("it is in one too") } else { dir };
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
