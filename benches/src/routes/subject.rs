//! The programs that are compared, and their command lines.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::files::{Files, Kind};

/// A program.
#[derive(Debug)]
pub(super) struct Subject {
    name: &'static str,
    kind: Kind,
    program: PathBuf,
}

impl Subject {
    /// Ours, as it was built beside this program.
    pub(super) fn ours() -> std::io::Result<Self> {
        let program = std::env::current_exe()?.with_file_name("smartproxy");
        Ok(Self { name: "smartproxy", kind: Kind::Ours, program })
    }

    /// Another build of it.
    pub(super) fn before(program: PathBuf) -> Self {
        Self { name: "before", kind: Kind::Ours, program }
    }

    pub(super) fn haproxy() -> Self {
        Self { name: "haproxy", kind: Kind::Haproxy, program: "haproxy".into() }
    }

    pub(super) fn nginx() -> Self {
        Self { name: "nginx", kind: Kind::Nginx, program: "nginx".into() }
    }

    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it can be run.
    pub(super) fn is_here(&self) -> bool {
        let version = if self.kind == Kind::Ours { "--version" } else { "-v" };
        let mut command = Command::new(&self.program);
        let here = command.arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
        if !here {
            eprintln!("skipped: {} is not here ({})", self.name, self.program.display());
        }
        here
    }

    /// What serves.
    pub(super) fn run(&self, files: &Files) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]).arg(&self.program);
        let config = files.config();
        match self.kind {
            Kind::Ours => command.arg("run").arg(config),
            Kind::Haproxy => command.arg("-W").arg("-f").arg(config),
            Kind::Nginx => on_nginx(&mut command, files),
        };
        command
    }

    /// What looks at the file, and serves nothing.
    pub(super) fn check(&self, files: &Files) -> Vec<PathBuf> {
        let config = files.config();
        let words: Vec<&Path> = match self.kind {
            Kind::Ours => vec![Path::new("check"), &config],
            Kind::Haproxy => vec![Path::new("-c"), Path::new("-f"), &config],
            Kind::Nginx => {
                vec![Path::new("-t"), Path::new("-p"), files.dir(), Path::new("-c"), &config]
            }
        };
        self.with(&words)
    }

    /// What tells what would change.
    pub(super) fn diff(&self, files: &Files) -> Option<Vec<PathBuf>> {
        let (socket, changed) = (files.admin(), files.changed());
        let words = [Path::new("diff"), Path::new("--socket"), &socket, &changed];
        (self.kind == Kind::Ours).then(|| self.with(&words))
    }

    /// What has it read its file again; None where it is told by a signal.
    pub(super) fn reload(&self, files: &Files) -> Option<Vec<PathBuf>> {
        let socket = files.admin();
        (self.kind == Kind::Ours).then(|| self.with(&[Path::new("reload"), Path::new("--socket"), &socket]))
    }

    fn with(&self, words: &[&Path]) -> Vec<PathBuf> {
        std::iter::once(self.program.clone()).chain(words.iter().map(|word| (*word).to_owned())).collect()
    }
}

fn on_nginx<'c>(command: &'c mut Command, files: &Files) -> &'c mut Command {
    command.arg("-p").arg(files.dir()).arg("-c").arg(files.config())
}
