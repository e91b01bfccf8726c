//! A chain in this process: client → outer → PROXY v2 → inner → a backend that answers with what it gets.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;

use proxy_api::model::{Connection, Connections, Status};
use proxy_bin::admin::{AdminServer, AdminSockets, Subject, Traces};
use proxy_bin::config::Config;
use proxy_bin::server::Server;
use proxy_core::listen::{ListenOptions, bind};
use proxy_dataplane::audit::SocketOwnership;
use proxy_dataplane::listeners::Inherited;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::http::At;
use crate::loopback::{echo, free_port};
use crate::{PATIENCE, eventually};

/// One hop with its admin API.
pub(crate) struct Hop {
    pub(crate) server: Server,
    pub(crate) admin: AdminServer,
    /// Where its clients connect to.
    pub(crate) addr: SocketAddr,
}

/// The chain.
pub(crate) struct World {
    pub(crate) outer: Hop,
    pub(crate) inner: Hop,
    pub(crate) dir: TempDir,
    /// Control plane of both.
    _runtime: Runtime,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with("", "")
    }

    /// With more lines at the start of the outer hop's configuration, and at the end (of its route).
    pub(crate) fn with(start: &str, end: &str) -> Self {
        let (dir, backend) = (tempfile::tempdir().unwrap(), echo());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let inner = Hop::start(&runtime, dir.path(), "inner", &|port| inner(port, backend));
        let outer = Hop::start(&runtime, dir.path(), "outer", &|port| outer(port, inner.addr, start, end));
        Self { outer, inner, dir, _runtime: runtime }
    }

    /// The outer hop's admin socket.
    pub(crate) fn at(&self) -> At {
        self.outer.at()
    }

    /// A client that has had an answer through the whole chain, which the outer hop's worker has noted.
    pub(crate) fn client(&self) -> TcpStream {
        let mut client = TcpStream::connect(self.outer.addr).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
        let (local, tracker) = (client.local_addr().unwrap(), self.outer.server.tracker());
        eventually("what came back is noted", || {
            let views = tracker.snapshot();
            let own = views.iter().find(|view| view.peer.socket_addr() == local);
            own.is_some_and(|view| view.from_backend == 5)
        });
        client
    }

    /// So many of them.
    pub(crate) fn clients(&self, count: usize) -> Vec<TcpStream> {
        (0..count).map(|_| self.client()).collect()
    }
}

impl Hop {
    fn start(runtime: &Runtime, dir: &Path, name: &str, config: &dyn Fn(u16) -> String) -> Self {
        let options = ListenOptions::default().backlog(64);
        let ip = proxy_core::BindAddr::Ip(Ipv4Addr::LOCALHOST.into());
        let socket = bind(ip, 0, &options).unwrap();
        let addr = socket.local_addr().unwrap();
        let socket_path = dir.join(format!("{name}.sock"));
        let text = format!(
            "{}\n[admin]\nname = \"{name}\"\nsocket = \"{}\"\nlisten = \"127.0.0.1:0\"\n",
            config(addr.port()),
            socket_path.display()
        );
        let file = dir.join(format!("{name}.toml"));
        std::fs::write(&file, text).unwrap();
        let config = Config::load(&file).unwrap_or_else(|error| panic!("{error}"));
        let sockets = AdminSockets::bind(config.admin.as_ref().unwrap()).unwrap();
        let traces = Traces::default();
        let mut bound = Inherited::new();
        bound.insert(addr, socket);
        let server =
            Server::start_with(config, bound, runtime.handle(), SocketOwnership::Shared, traces.clone())
                .unwrap();
        let subject = Subject { control: server.control().clone(), traces };
        let admin = AdminServer::start(sockets, subject).unwrap();
        Self { server, admin, addr }
    }

    /// Its admin socket.
    pub(crate) fn at(&self) -> At {
        self.admin.socket().unwrap().into()
    }

    /// Its admin address.
    pub(crate) fn on_tcp(&self) -> At {
        At::Tcp(self.admin.addr().unwrap())
    }

    pub(crate) fn status(&self) -> Status {
        self.at().get("/v1/status").says()
    }

    /// Its connections.
    pub(crate) fn connections(&self) -> Vec<Connection> {
        self.at().get("/v1/connections").says::<Connections>().connections
    }

    /// Waits until it has so many.
    pub(crate) fn has(&self, count: usize) {
        eventually(&format!("{count} connections"), || self.server.control().tracker().len() == count);
    }
}

const CROWD: &str = "limits.connections_per_client = \"off\"\nlimits.connections_per_client_per_minute = \"off\"\nworkers = 2\n";

fn outer(port: u16, inner: SocketAddr, start: &str, end: &str) -> String {
    format!(
        r#"
{CROWD}
{start}
[[listeners]]
ports = [{port}]
bind = ["127.0.0.1"]
max_connections = 500
[[routes]]
name = "web"
match = {{ ports = [{port}] }}
action = {{ forward = ["{inner}"] }}
send_proxy = "v2"
{end}
"#
    )
}

fn inner(port: u16, backend: SocketAddr) -> String {
    format!(
        r#"
{CROWD}
[[listeners]]
ports = [{port}]
bind = ["127.0.0.1"]
accept_proxy = {{ required = ["127.0.0.1/32"] }}
[[routes]]
name = "app"
match = {{ ports = [{port}] }}
action = {{ forward = ["{backend}"] }}
"#
    )
}

/// An address where nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}
