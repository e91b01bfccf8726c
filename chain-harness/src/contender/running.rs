//! Starting a hop, and what runs then.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tempfile::TempDir;
use tokio::time::Instant;

use super::template::Words;
use super::{Contender, HopPlan, nginx_stream, targets_root};
use crate::ports::is_listened_on;
use crate::proc::{self, Usage};
use crate::process::Process;
use crate::tls::Trusting;

/// Long enough for Envoy on a machine that is busy otherwise.
const START: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// The certificate of a hop that ends TLS, and its key, in its directory.
const CERTIFICATE: &str = "certificate.pem";

/// Whom a hop trusts that speaks TLS to its target.
const ROOTS: &str = "roots.pem";

/// Why a hop does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It is not there; the text says how to get it.
    #[error("{0}")]
    NotInstalled(String),
    /// It stopped before it listened.
    #[error("{name} stopped before it listened:\n{output}")]
    Stopped {
        /// Which proxy.
        name: String,
        /// What it had to say.
        output: String,
    },
    /// It does not listen.
    #[error("{name} does not listen on {listen} after {START:?}:\n{output}")]
    DoesNotListen {
        /// Which proxy.
        name: String,
        /// Where it should.
        listen: SocketAddr,
        /// What it had to say.
        output: String,
    },
}

/// A hop that is about to be started.
#[derive(Debug, Clone)]
#[must_use = "nothing runs before start"]
pub struct Launch {
    contender: Contender,
    plan: HopPlan,
    wrapper: Vec<String>,
}

/// A self-signed certificate and its key, in PEM.
fn certificate() -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("it signs itself");
    format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem())
}

impl Launch {
    pub(super) fn new(contender: Contender, plan: HopPlan) -> Self {
        Self { contender, plan, wrapper: Vec::new() }
    }

    /// With `wrapper` in front of its command: `["taskset", "-c", "1"]`. It has to replace itself by the command.
    pub fn wrapped<W: Into<String>>(mut self, wrapper: impl IntoIterator<Item = W>) -> Self {
        self.wrapper = wrapper.into_iter().map(Into::into).collect();
        self
    }

    /// The configuration that it would run with, where `dir` is its directory; for a command without a file, its line.
    #[must_use]
    pub fn configuration(&self, dir: &Path) -> String {
        let words = self.words(dir);
        match &self.contender {
            Contender::Smartproxy => words.fill(include_str!("smartproxy.toml")),
            Contender::Haproxy => words.fill(include_str!("haproxy.cfg")),
            Contender::Nginx | Contender::NginxAsShipped => words.fill(include_str!("nginx.conf")),
            Contender::Envoy => words.fill(include_str!("envoy.yaml")),
            Contender::Command(command) => match command.config() {
                Some((_, file)) => words.fill(&fs::read_to_string(file).unwrap_or_default()),
                None => format!("{}\n", words.fill_command(&command.line).join(" ")),
            },
        }
    }

    /// Starts it, and waits until it listens.
    ///
    /// # Errors
    /// When it is not installed, stops, or does not listen.
    pub async fn start(self) -> Result<Running, StartError> {
        self.contender.installed().map_err(StartError::NotInstalled)?;
        let dir = tempfile::tempdir().expect("there is room for a file");
        let configuration = self.configuration(dir.path());
        let file = dir.path().join(self.file_name());
        fs::write(&file, &configuration).expect("there is room for a file");
        if self.plan.terminate {
            fs::write(dir.path().join(CERTIFICATE), certificate()).expect("there is room for a file");
        }
        if self.plan.reencrypt {
            fs::write(dir.path().join(ROOTS), targets_root().pem()).expect("there is room for a file");
        }
        let words = self.command_line(&file, dir.path());
        let process = Process::start(&mut command(&self.wrapper, &words));
        let (contender, plan) = (self.contender, self.plan);
        let mut running = Running { process, contender, plan, configuration, words, dir };
        running.listens().await?;
        Ok(running)
    }

    /// The file's name is what some proxies know its language by.
    fn file_name(&self) -> String {
        match &self.contender {
            Contender::Smartproxy => "smartproxy.toml".to_owned(),
            Contender::Haproxy => "haproxy.cfg".to_owned(),
            Contender::Nginx | Contender::NginxAsShipped => "nginx.conf".to_owned(),
            Contender::Envoy => "envoy.yaml".to_owned(),
            Contender::Command(command) => {
                let name = command.config().and_then(|(_, file)| file.file_name());
                name.map_or_else(|| "command".to_owned(), |name| name.to_string_lossy().into_owned())
            }
        }
    }

    fn words(&self, dir: &Path) -> Words {
        let (mut values, mut conditions) = (self.plan.values(), self.plan.conditions());
        values.push(("name", self.contender.name().to_owned()));
        values.push(("dir", dir.to_string_lossy().into_owned()));
        let certificate = dir.join(CERTIFICATE).display().to_string();
        let of_tls = |text: String| if self.plan.terminate { text } else { String::new() };
        values.push(("bind_tls", of_tls(format!(" ssl crt {certificate}"))));
        values.push(("listen_tls", of_tls(" ssl".to_owned())));
        values.push(("certificate", certificate));
        let roots = dir.join(ROOTS).display().to_string();
        let to_target =
            format!(" ssl verify required ca-file {roots} sni str(localhost) verifyhost localhost");
        values.push(("server_tls", if self.plan.reencrypt { to_target } else { String::new() }));
        values.push(("roots", roots));
        if let Some(module) = nginx_stream().filter(|module| !module.is_empty()) {
            values.push(("nginx_module", module));
            conditions.push(("nginx_module", true));
        }
        conditions.push(("root", rustix::process::geteuid().is_root()));
        conditions.push(("half_close", self.contender == Contender::Nginx));
        Words { values, conditions }
    }

    fn command_line(&self, file: &Path, dir: &Path) -> Vec<String> {
        let (file, dir_name) = (file.to_string_lossy().into_owned(), dir.to_string_lossy().into_owned());
        let program = self.contender.program().unwrap_or_default().to_string_lossy().into_owned();
        let workers = self.plan.workers.to_string();
        let line = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        match &self.contender {
            Contender::Smartproxy => line(&[&program, "run", "-c", &file]),
            // In the foreground.
            Contender::Haproxy => line(&[&program, "-db", "-f", &file]),
            Contender::Nginx | Contender::NginxAsShipped => {
                line(&[&program, "-p", &dir_name, "-e", &format!("{dir_name}/error.log"), "-c", &file])
            }
            Contender::Envoy => line(&[
                &program,
                "-c",
                &file,
                "--concurrency",
                &workers,
                "--disable-hot-restart",
                "--log-level",
                "error",
            ]),
            Contender::Command(command) => {
                let text = match command.config() {
                    Some((whole, _)) => command.line.replace(whole, &file),
                    None => command.line.clone(),
                };
                self.words(dir).fill_command(&text)
            }
        }
    }
}

fn command(wrapper: &[String], words: &[String]) -> Command {
    let mut all = wrapper.iter().chain(words);
    let mut command = Command::new(all.next().map_or("", String::as_str));
    command.args(all).env_remove("SMARTPROXY_CONFIG");
    command
}

/// A proxy that runs as one hop. Dropped, it is killed with all its processes, and waited for.
#[derive(Debug)]
pub struct Running {
    process: Process,
    contender: Contender,
    plan: HopPlan,
    configuration: String,
    words: Vec<String>,
    dir: TempDir,
}

impl Running {
    async fn listens(&mut self) -> Result<(), StartError> {
        let (name, listen) = (self.contender.to_string(), self.plan.listen);
        let deadline = Instant::now() + START;
        while !is_listened_on(listen.port()) {
            if !self.process.is_running() {
                return Err(StartError::Stopped { name, output: self.output() });
            }
            if Instant::now() > deadline {
                return Err(StartError::DoesNotListen { name, listen, output: self.output() });
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.plan.listen
    }

    /// What it was to do.
    #[must_use]
    pub fn plan(&self) -> &HopPlan {
        &self.plan
    }

    /// The configuration it runs with.
    #[must_use]
    pub fn configuration(&self) -> &str {
        &self.configuration
    }

    /// The command line it was started with.
    #[must_use]
    pub fn command_line(&self) -> String {
        self.words.join(" ")
    }

    /// Its output so far.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Whether its first process is still there.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// The process that was started.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Every process of it, the one that was started first.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        proc::tree(self.pid())
    }

    /// What all its processes use now.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage::of(&self.pids())
    }

    /// Lets each of its processes have at most `most` open files from now on, for good.
    ///
    /// # Errors
    /// Where the kernel does not let us, which it does for processes of the same user.
    pub fn limit_open_files(&self, most: u64) -> io::Result<()> {
        for pid in self.pids().into_iter().filter_map(known_to_kernel) {
            let limit = Rlimit { current: Some(most), maximum: Some(most) };
            prlimit(Some(pid), Resource::Nofile, limit)?;
        }
        Ok(())
    }

    /// Asks its first process to stop in order, as an operator would.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Kills every process of it, the first one first, so that it starts none anew.
    pub fn kill(&self) {
        for pid in self.pids().into_iter().filter_map(known_to_kernel) {
            // One that has gone by itself meanwhile is as good.
            kill_process(pid, Signal::KILL).unwrap_or_default();
        }
    }

    /// Who trusts the certificate that its plan's `terminate` has had made for it.
    #[must_use]
    pub fn trusting(&self) -> Trusting {
        Trusting::in_those_of(&self.file(CERTIFICATE))
    }

    /// Its directory's file `name`, such as nginx's `error.log`; empty if there is none.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Before its first process is waited for, with which the others would be nobody's children.
        self.kill();
    }
}

fn known_to_kernel(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}
