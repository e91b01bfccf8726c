//! Listening sockets that are there before the server is.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use proxy_core::listen::{ListenOptions, bind};
use proxy_core::{BindAddr, ListenError};
use socket2::SockRef;
use tracing::debug;

use crate::descriptors;
use crate::settings::{ListenerConfig, Settings};

/// Listening sockets that are bound already, by the listener that the configuration would give them to. A listener may
/// have several, and each has a queue of its own: all of them have to be accepted from.
#[derive(Debug, Default)]
pub struct Inherited {
    by_listener: HashMap<String, Vec<TcpListener>>,
    /// Those of them that a service manager has made or kept.
    given: HashSet<String>,
}

impl Inherited {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One for the listener with exactly this address.
    pub fn insert(&mut self, addr: SocketAddr, socket: TcpListener) {
        self.by_listener.entry(label(addr)).or_default().push(socket);
    }

    /// One that came with a name, from a process that knew its listener by it.
    pub fn insert_for(&mut self, listener: String, socket: OwnedFd) {
        self.by_listener.entry(listener).or_default().push(socket.into());
    }

    /// One whose listener follows from the address that it has: a service manager kept it or made it. One that takes IPv4 too is
    /// that of every address (`"dual"`).
    ///
    /// # Errors
    /// Where it is no listening TCP socket.
    pub fn insert_as_it_is(&mut self, socket: OwnedFd) -> std::io::Result<()> {
        let seen = SockRef::from(&socket);
        let listens = seen.is_listener()?;
        let addr = seen.local_addr()?.as_socket().filter(|_| listens).ok_or_else(|| {
            std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is no listening TCP socket")
        })?;
        let dual = addr.is_ipv6() && addr.ip().is_unspecified() && !seen.only_v6()?;
        let listener = if dual { format!("*:{}", addr.port()) } else { label(addr) };
        self.given.insert(listener.clone());
        self.insert_for(listener, socket);
        Ok(())
    }

    /// What a service manager's socket listens on that has the port of `addr`, but is for no listener of this configuration: it
    /// is why that one is taken.
    #[must_use]
    pub fn given_beside(&self, addr: SocketAddr, settings: &Settings) -> Option<&str> {
        let port = format!(":{}", addr.port());
        let idle = |given: &&str| !settings.listeners.iter().any(|at| at.label == **given);
        self.given.iter().map(String::as_str).filter(idle).find(|listener| listener.ends_with(&port))
    }

    /// The listeners that have some.
    pub fn listeners(&self) -> impl Iterator<Item = &str> {
        self.by_listener.keys().map(String::as_str)
    }

    /// Binds a socket for each worker of each listener that has none: for those who give up the right to do so before they
    /// start.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn bind_missing(&mut self, settings: &Settings) -> Result<(), ListenError> {
        // First, since listening takes descriptors too.
        let descriptors = descriptors::raise_limit();
        debug!(descriptors, "limit of open files");
        for at in &settings.listeners {
            if self.by_listener.get(&at.label).is_none_or(Vec::is_empty) {
                let sockets = bind_each(settings, at, self.has_port(at.port), settings.workers.get())?;
                self.by_listener.insert(at.label.clone(), sockets);
            }
        }
        Ok(())
    }

    /// Gives away the sockets of a listener: a copy would be another descriptor for each. That it had some stays known.
    pub(super) fn take(&mut self, at: &ListenerConfig) -> Vec<TcpListener> {
        self.by_listener.get_mut(&at.label).map(std::mem::take).unwrap_or_default()
    }

    /// Whether some socket has this port, on whatever address.
    pub(super) fn has_port(&self, port: u16) -> bool {
        let port = format!(":{port}");
        self.by_listener.keys().any(|label| label.ends_with(&port))
    }
}

/// A socket for each of so many workers. `ours`: this process has the port already, on other addresses.
pub(super) fn bind_each(
    settings: &Settings,
    at: &ListenerConfig,
    ours: bool,
    workers: u32,
) -> Result<Vec<TcpListener>, ListenError> {
    // First the port alone: sharing is for our own workers, not for another process that happens to share too.
    if !ours {
        drop(bind(at.bind, at.port, &options(settings, at, false))?);
    }
    (0..workers).map(|_| bind(at.bind, at.port, &options(settings, at, true))).collect()
}

/// What a socket of this listener is to be like.
pub(super) fn options(settings: &Settings, at: &ListenerConfig, reuse_port: bool) -> ListenOptions {
    let (backlog, congestion) = (at.backlog.get(), at.congestion);
    ListenOptions::default()
        .backlog(backlog)
        .reuse_port(reuse_port)
        .keep_alive(settings.keep_alive)
        .congestion(congestion)
}

/// The address that a listener has in errors.
pub(super) fn address(at: &ListenerConfig) -> SocketAddr {
    match at.bind {
        BindAddr::Ip(ip) => SocketAddr::new(ip, at.port),
        BindAddr::Dual => (std::net::Ipv6Addr::UNSPECIFIED, at.port).into(),
    }
}

/// As the configuration names the listener of one address.
fn label(addr: SocketAddr) -> String {
    match addr.ip() {
        IpAddr::V4(ip) => format!("{ip}:{}", addr.port()),
        IpAddr::V6(ip) => format!("[{ip}]:{}", addr.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener_of(socket: impl Into<OwnedFd>) -> Result<String, String> {
        let mut inherited = Inherited::new();
        inherited.insert_as_it_is(socket.into()).map_err(|error| error.to_string())?;
        Ok(inherited.listeners().collect())
    }

    #[test]
    fn a_socket_tells_its_listener() {
        let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
        let expected = v4.local_addr().unwrap().to_string();
        assert_eq!(listener_of(v4), Ok(expected));
        for (only_v6, name) in [(false, "*:"), (true, "[::]:")] {
            let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).unwrap();
            socket.set_only_v6(only_v6).unwrap();
            socket.bind(&SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0)).into()).unwrap();
            socket.listen(1).unwrap();
            let port = socket.local_addr().unwrap().as_socket().unwrap().port();
            assert_eq!(listener_of(socket), Ok(format!("{name}{port}")));
        }
    }

    #[test]
    fn what_is_no_listening_socket_is_refused() {
        let refused = Err("it is no listening TCP socket".to_owned());
        let idle = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        assert_eq!(listener_of(idle), refused);
        let (unix, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(listener_of(unix), refused);
    }
}
