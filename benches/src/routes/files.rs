//! The same routes as each program wants them written.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use chain_harness::free_port;
use tempfile::TempDir;

use super::backend::Backend;

/// How a program's routes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ours,
    Haproxy,
    Nginx,
}

/// What is written for one start, in a folder of its own.
pub(super) struct Files {
    dir: TempDir,
    /// Where the program is to listen.
    pub(super) listen: SocketAddr,
    /// The name whose route is changed later, and what is heard of it before and after.
    pub(super) name: String,
    pub(super) says: [u8; 2],
    text: [String; 2],
    kind: Kind,
}

impl Files {
    /// Writes `routes` of them. All lead to the first backend; the one in the middle does so until it is changed.
    pub(super) fn write(kind: Kind, routes: u32, backends: &[Backend; 2]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let [first, second] = backends;
        let write = |changed: Option<u32>| {
            let target = |nth: u32| if Some(nth) == changed { second.addr } else { first.addr };
            match kind {
                Kind::Ours => ours(dir.path(), listen, routes, target),
                Kind::Haproxy => {
                    map(routes, |nth| if Some(nth) == changed { "second" } else { "first" }.to_owned())
                }
                Kind::Nginx => map(routes, |nth| format!("{};", target(nth))),
            }
        };
        let middle = routes / 2;
        let files = Self {
            listen,
            name: name(middle),
            says: [first.says, second.says],
            text: [write(None), write(Some(middle))],
            kind,
            dir,
        };
        std::fs::write(files.routes(), &files.text[0])?;
        std::fs::write(files.changed(), &files.text[1])?;
        match kind {
            Kind::Ours => {}
            Kind::Haproxy => std::fs::write(files.config(), haproxy(&files, backends))?,
            Kind::Nginx => std::fs::write(files.config(), nginx(&files, routes))?,
        }
        Ok(files)
    }

    /// Puts the changed routes where the others are.
    pub(super) fn change(&self) -> std::io::Result<()> {
        std::fs::write(self.routes(), &self.text[1])
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where the routes are.
    fn routes(&self) -> PathBuf {
        self.dir().join("routes")
    }

    /// Where they are as they are to become.
    pub(super) fn changed(&self) -> PathBuf {
        self.dir().join("changed")
    }

    /// What the program is told to read.
    pub(super) fn config(&self) -> PathBuf {
        match self.kind {
            Kind::Ours => self.routes(),
            Kind::Haproxy | Kind::Nginx => self.dir().join("config"),
        }
    }

    pub(super) fn admin(&self) -> PathBuf {
        self.dir().join("admin.sock")
    }
}

fn name(nth: u32) -> String {
    format!("host-{nth:06}.example.com")
}

fn ours(dir: &Path, listen: SocketAddr, routes: u32, target: impl Fn(u32) -> SocketAddr) -> String {
    let mut text = format!(
        "workers = 1\n[admin]\nsocket = \"{}\"\n[log]\naccess = \"off\"\n[[listeners]]\nbind = [\"{}\"]\n",
        dir.join("admin.sock").display(),
        listen.ip()
    );
    for nth in 0..routes {
        let matches = format!("match = {{ ports = [{}], domains = [\"{}\"] }}", listen.port(), name(nth));
        let action = format!("action = {{ forward = [\"{}\"] }}", target(nth));
        writeln!(text, "\n[[routes]]\nname = \"route-{nth:06}\"\n{matches}\n{action}").unwrap_or_default();
    }
    text
}

fn map(routes: u32, target: impl Fn(u32) -> String) -> String {
    (0..routes).map(|nth| format!("{} {}\n", name(nth), target(nth))).collect()
}

fn haproxy(files: &Files, backends: &[Backend; 2]) -> String {
    let [first, second] = backends;
    format!(
        "global\n    nbthread 1\n    maxconn 1000\ndefaults\n    mode tcp\n    timeout connect 10s\n    timeout client 60s\n    \
         timeout server 60s\nfrontend names\n    bind {}\n    tcp-request inspect-delay 5s\n    \
         tcp-request content accept if {{ req.ssl_hello_type 1 }}\n    \
         use_backend %[req.ssl_sni,lower,map({},first)]\nbackend first\n    server first {}\nbackend second\n    \
         server second {}\n",
        files.listen,
        files.routes().display(),
        first.addr,
        second.addr
    )
}

/// Where distributions put what nginx loads.
const MODULES: [&str; 2] =
    ["/usr/lib/nginx/modules/ngx_stream_module.so", "/usr/lib64/nginx/modules/ngx_stream_module.so"];

fn nginx(files: &Files, routes: u32) -> String {
    let module = MODULES.iter().find(|module| Path::new(module).exists());
    let module = module.map(|module| format!("load_module {module};\n")).unwrap_or_default();
    let dir = files.dir().display();
    format!(
        "{module}daemon off;\nworker_processes 1;\npid {dir}/nginx.pid;\nerror_log {dir}/error.log;\n\
         events {{ worker_connections 1000; }}\nstream {{\n    map_hash_max_size {};\n    map_hash_bucket_size 128;\n    \
         map $ssl_preread_server_name $target {{\n        include {};\n    }}\n    server {{\n        listen {};\n        \
         ssl_preread on;\n        proxy_pass $target;\n    }}\n}}\n",
        (routes * 2).max(2048),
        files.routes().display(),
        files.listen
    )
}
