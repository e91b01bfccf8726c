//! The embedded chain: outer proxy → PROXY v2 → inner proxy → a backend that tells what it learned.
//!
//! It is what runs without a configuration, so that somebody new sees a whole chain work with one command.

mod folder;
mod ports;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use proxy_conn::Trail;
use proxy_core::header::{self, HeaderLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::config::{Admin, HopAt, SocketPath};
use proxy_api::places::HOPS;

pub use folder::PrivateFolder;
pub use ports::{PortError, Ports, Sockets, Wishes, address};

/// The outer proxy's configuration, with its ports as they are by default.
pub const OUTER: &str = include_str!("demo/outer.toml");
/// The inner proxy's configuration, with its ports as they are by default.
pub const INNER: &str = include_str!("demo/inner.toml");

/// The outer and the inner proxy's configuration with these ports.
#[must_use]
pub fn configs(ports: Ports) -> (String, String) {
    let at = |port: u16| format!("127.0.0.1:{port}");
    let usual = Ports::USUAL;
    let outer = OUTER
        .replace(&format!("[{}]", usual.outer), &format!("[{}]", ports.outer))
        .replace(&at(usual.inner), &at(ports.inner));
    let inner = INNER
        .replace(&format!("[{}]", usual.inner), &format!("[{}]", ports.inner))
        .replace(&at(usual.backend), &at(ports.backend));
    (outer, inner)
}

/// The admin APIs of the two hops: a Unix socket for each in `folder`, if there is one, and the dashboard of the outer one.
///
/// # Errors
/// Where the folder's path is no path for sockets.
pub fn admins(folder: Option<&PrivateFolder>, ports: Ports) -> Result<(Admin, Admin), String> {
    let socket = |folder: &PrivateFolder, hop: &str| {
        let path = folder.path().join(format!("{hop}.sock"));
        path.to_str().ok_or("the folder for sockets has a path that is not UTF-8")?.parse()
    };
    let at = |hop: &str| -> Result<Admin, String> {
        let socket = folder.map(|folder| socket(folder, hop)).transpose()?;
        Ok(Admin { name: Some(hop.parse()?), socket, ..Admin::default() })
    };
    let dashboard = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.dashboard)).into();
    let [outer, inner] = HOPS;
    let inner = at(inner)?;
    let hop = |socket: &SocketPath| {
        socket.as_path().display().to_string().parse().map(|at| HopAt { at, token_file: None })
    };
    let hops = inner.socket.iter().map(hop).collect::<Result<_, String>>()?;
    Ok((Admin { listen: Some(dashboard), hops, ..at(outer)? }, inner))
}

/// How long a client of the demo backend has for a PROXY header: it is a demonstration, not a server.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one may be silent between requests: longer than the proxies before it bear, so that it is they who end it, when they say.
const SILENCE: Duration = Duration::from_secs(2 * 60 * 60);

/// The demo backend, listening.
#[derive(Debug)]
pub struct Backend(TcpListener);

impl Backend {
    /// Serves what comes to a socket that is bound, and does not block.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn on(socket: std::net::TcpListener) -> io::Result<Self> {
        TcpListener::from_std(socket).map(Self)
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers until `stop`.
    pub async fn serve(self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        while let Some(accepted) = stop.run_until_cancelled(self.0.accept()).await {
            match accepted {
                Ok((stream, _)) => drop(tasks.spawn(stop.clone().run_until_cancelled_owned(answer(stream)))),
                Err(error) => {
                    debug!(%error, "the demo backend cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        tasks.close();
        tasks.wait().await;
    }
}

/// Reads the PROXY header, then answers requests with what it said.
async fn answer(mut stream: TcpStream) {
    let learned = match tokio::time::timeout(PATIENCE, learn(&mut stream)).await {
        Ok(Ok(learned)) => learned,
        Ok(Err(error)) => {
            let page = format!("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n{error}\n");
            return drop(stream.write_all(page.as_bytes()).await);
        }
        Err(_) => return,
    };
    let service = service_fn(|request| {
        let page = learned.page(&request);
        async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(page)))) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(SILENCE);
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        debug!(%error, "a connection of the demo backend ended badly");
    }
}

/// What the PROXY header told.
struct Learned {
    client: String,
    trail: Trail,
}

/// Reads exactly the header, byte by byte, so that nothing of the request is taken with it: a demonstration can afford it.
async fn learn(stream: &mut TcpStream) -> io::Result<Learned> {
    let mut bytes = Vec::new();
    loop {
        bytes.push(stream.read_u8().await?);
        let decoded = header::decode(&bytes, &HeaderLimits::default());
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        if let Some(decoded) = decoded.map_err(invalid)? {
            let header = decoded.header;
            let client =
                header.endpoints.source().map_or_else(|| "unknown".to_owned(), |addr| addr.to_string());
            let trail = header.tlvs.unique_id.as_deref().map_or_else(Trail::default, Trail::from_header);
            return Ok(Learned { client, trail });
        }
    }
}

impl Learned {
    fn page(&self, request: &Request<Incoming>) -> String {
        let ids: Vec<_> = self.trail.ids().collect();
        format!(
            "SmartProxy: this came through a chain of {} proxies.\n\n\
             client   {}   (as the PROXY header told it)\n\
             ids      {}   (the connection's id on each hop, outermost first)\n\
             request  {} {}\n",
            ids.len(),
            self.client,
            ids.join(" -> "),
            request.method(),
            request.uri(),
        )
    }
}
