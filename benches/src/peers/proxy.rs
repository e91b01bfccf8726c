//! The proxies that are compared, and how each is started: from the templates in `benches/peers/`.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use chain_harness::{Contender, HopPlan, Running, free_port};

use crate::tree::Tree;

/// Connections at one time: 8 000 idle ones and some. Twice as many descriptors have to be allowed.
const MAX_CONNECTIONS: usize = 9_000;

const TEMPLATES: [(&str, &str); 3] = [
    ("smartproxy.toml", include_str!("../../peers/smartproxy.toml")),
    ("haproxy.cfg", include_str!("../../peers/haproxy.cfg")),
    ("nginx.conf", include_str!("../../peers/nginx.conf")),
];

/// One of those that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Proxy {
    Smartproxy,
    Haproxy,
    Nginx,
    Envoy,
    /// nginx with `proxy_half_close on`, so that it does for its clients what the others do. Not as shipped, so no bar is
    /// about it.
    NginxHalfClose,
    /// Ours on one multi-thread runtime instead of a runtime for each worker.
    MultiThread,
    /// Not a proxy: what it costs at least.
    Floor,
}

impl Proxy {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Smartproxy => "smartproxy",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::Envoy => "envoy",
            Self::NginxHalfClose => "nginx-half-close",
            Self::MultiThread => "multi-thread",
            Self::Floor => "floor",
        }
    }

    /// Whether it is somebody else's.
    pub(crate) const fn is_peer(self) -> bool {
        matches!(self, Self::Haproxy | Self::Nginx | Self::Envoy)
    }

    /// What it says of itself; an error that says how to get it where it is not here.
    pub(crate) fn version(self) -> anyhow::Result<String> {
        let known = match self {
            Self::Smartproxy => Contender::Smartproxy,
            Self::Haproxy => Contender::Haproxy,
            Self::Nginx | Self::NginxHalfClose => Contender::Nginx,
            Self::Envoy => Contender::Envoy,
            Self::MultiThread => return Ok("smartproxy on one multi-thread runtime".to_owned()),
            Self::Floor => return Ok("a raw epoll loop, no features".to_owned()),
        };
        known.installed().map_err(anyhow::Error::msg)?;
        Ok(known.version())
    }

    /// How it is started, with the templates in `dir`.
    fn contender(self, dir: &Path) -> anyhow::Result<Contender> {
        let dir = dir.display();
        let program = std::env::current_exe()?;
        let line = match self {
            Self::Smartproxy => {
                let binary = program.with_file_name("smartproxy");
                format!("{} run -c {{config:{dir}/smartproxy.toml}}", binary.display())
            }
            Self::Haproxy => format!("haproxy -db -f {{config:{dir}/haproxy.cfg}}"),
            Self::Nginx => format!("nginx -p {{dir}} -e {{dir}}/error.log -c {{config:{dir}/nginx.conf}}"),
            Self::Envoy => return Ok(Contender::Envoy),
            Self::NginxHalfClose => return Ok(Contender::Nginx),
            Self::MultiThread => {
                format!("{} multi-thread --config {{config:{dir}/smartproxy.toml}}", program.display())
            }
            Self::Floor => {
                format!("{} floor --from {{listen}} --to {{target}} --workers {{workers}}", program.display())
            }
        };
        format!("{}={line}", self.name()).parse().map_err(anyhow::Error::msg)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a proxy is to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'a> {
    /// Its cores.
    pub(crate) cores: &'a [usize],
    pub(crate) workers: usize,
    /// Hops one behind the other, with PROXY headers between them: 1 or 2.
    pub(crate) hops: usize,
    /// Whether (the first of) them ends TLS.
    pub(crate) terminate: bool,
    /// Words in front of the command line.
    pub(crate) wrapper: &'a [&'a str],
}

impl<'a> Setting<'a> {
    /// One hop with one worker on these cores, and nothing else.
    pub(crate) const fn on(cores: &'a [usize]) -> Self {
        Self { cores, workers: 1, hops: 1, terminate: false, wrapper: &[] }
    }
}

/// Where proxies are started from.
#[derive(Debug)]
pub(crate) struct Starter {
    templates: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

/// A proxy, or a chain of two. Dropped, it is stopped.
#[derive(Debug)]
pub(crate) struct Up {
    /// Where clients connect to.
    pub(crate) addr: SocketAddrV4,
    pub(crate) tree: Tree,
    hops: Vec<Running>,
}

impl Starter {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { templates: templates("")?, runtime })
    }

    /// Starts `proxy` in front of `backend`, and waits until it listens.
    pub(crate) fn start(
        &self,
        proxy: Proxy,
        backend: SocketAddrV4,
        setting: &Setting<'_>,
    ) -> anyhow::Result<Up> {
        self.start_with(proxy, backend, setting, None)
    }

    /// The same with `more` at the end of its template, where it has one of ours.
    pub(crate) fn start_with(
        &self,
        proxy: Proxy,
        backend: SocketAddrV4,
        setting: &Setting<'_>,
        more: Option<&str>,
    ) -> anyhow::Result<Up> {
        let longer = more.map(templates).transpose()?;
        let contender = proxy.contender(longer.as_ref().unwrap_or(&self.templates).path())?;
        let cores = setting.cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        // Whoever stops this program (Ctrl-C reaches the whole group, other signals do not) stops the proxies too.
        let pinned = ["setpriv", "--pdeathsig", "TERM", "taskset", "-c", &cores];
        let mut hops: Vec<Running> = Vec::new();
        let mut target = SocketAddr::from(backend);
        // The last hop first.
        for nth in (0..setting.hops).rev() {
            let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
            // The floor speaks no PROXY protocol.
            let headers = proxy != Proxy::Floor;
            let plan = HopPlan {
                accept_proxy: headers && nth > 0,
                send_proxy: headers && nth + 1 < setting.hops,
                idle: Duration::from_secs(300),
                connect: Duration::from_secs(10),
                header: Duration::from_secs(10),
                half_closed: Duration::from_secs(30),
                workers: setting.workers,
                terminate: setting.terminate && nth == 0,
                max_connections: MAX_CONNECTIONS,
                ..HopPlan::new(listen, target)
            };
            let launch = contender.launch(plan).wrapped(setting.wrapper.iter().chain(&pinned).copied());
            let running = self.runtime.block_on(launch.start()).with_context(|| format!("{proxy}"))?;
            hops.push(running);
            target = listen;
        }
        let SocketAddr::V4(addr) = target else { anyhow::bail!("{target} is not an IPv4 address") };
        let tree = Tree::new(hops.iter().flat_map(Running::pids).collect());
        Ok(Up { addr, tree, hops })
    }
}

impl Up {
    /// What it has written, such as why it stopped.
    pub(crate) fn output(&self) -> String {
        self.hops.iter().map(Running::output).collect::<Vec<_>>().join("\n")
    }
}

/// The templates as files, each with `more` at its end.
fn templates(more: &str) -> anyhow::Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    for (name, text) in TEMPLATES {
        std::fs::write(dir.path().join(name), format!("{text}\n{more}"))?;
    }
    Ok(dir)
}
