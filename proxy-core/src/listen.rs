//! The listen seam, and real listening sockets behind it.
//!
//! What it is not: an accept *loop*. It hands out one connection at a time and says what kind an accept error is;
//! what to do about it (back off, go on) is the loop's business.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, SockFilter, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::addr::{BindAddr, PeerAddr};
use crate::congestion::Congestion;
use crate::options::KeepAlive;
use crate::socket::Socket;
use crate::stream::Stream;
use crate::sys::register;

/// Something that accepts connections.
pub trait Listen: Send + Sync + 'static {
    /// What it accepts.
    type Stream: Stream;

    /// Accepts the next connection, with its peer. Cancel-safe.
    ///
    /// # Errors
    /// What the kernel says; see [`accept_error_is_shortage`] for those that call for a pause.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, PeerAddr)>> + Send;

    /// Whether a connection may be queued that could be accepted now. True where that is unknown.
    fn has_queued(&self) -> bool {
        true
    }

    /// Queues no new connection from now on; those that are queued can still be accepted. For one that is about to be closed:
    /// whoever is queued then is reset. Does nothing where it cannot be done.
    fn shut_door(&self) {}
}

impl<L: Listen> Listen for std::sync::Arc<L> {
    type Stream = L::Stream;

    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, PeerAddr)>> + Send {
        L::accept(self)
    }

    fn has_queued(&self) -> bool {
        L::has_queued(self)
    }

    fn shut_door(&self) {
        L::shut_door(self);
    }
}

/// Whether an accept failed for want of descriptors or memory, so that trying again at once would only spin.
#[must_use]
pub fn accept_error_is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// How a listening socket is made.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ListenOptions {
    /// Connections that the kernel completes ahead of `accept`; it caps this at `net.core.somaxconn`. Default 1024, tokio's.
    pub backlog: u32,
    /// Several sockets on one port, one for each worker, among which the kernel spreads connections. Default false.
    pub reuse_port: bool,
    /// Keepalive and user timeout, which accepted sockets inherit.
    pub keep_alive: KeepAlive,
    /// Congestion control, which accepted sockets inherit.
    pub congestion: Congestion,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: 1024,
            reuse_port: false,
            keep_alive: KeepAlive::default(),
            congestion: Congestion::default(),
        }
    }
}

proxy_values::setters!(ListenOptions {
    backlog: u32,
    reuse_port: bool,
    keep_alive: KeepAlive,
    congestion: Congestion,
});

/// A port that could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}: {step}{source}")]
pub struct ListenError {
    /// The address and port.
    pub addr: SocketAddr,
    /// What could not be done.
    pub step: ListenStep,
    /// What the kernel said.
    pub source: io::Error,
}

/// What is done to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenStep {
    /// A socket is made.
    Socket,
    /// Something about it is set.
    Set(&'static str),
    /// It is bound to its address and port, and listens.
    Bind,
    /// It is handed to a worker.
    Register,
}

impl std::fmt::Display for ListenStep {
    /// In front of what the kernel said.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket => f.write_str("no socket can be made: "),
            Self::Set(what) => write!(f, "{what} cannot be set: "),
            // It is what whoever reads it thinks of.
            Self::Bind => Ok(()),
            Self::Register => f.write_str("its worker cannot watch it: "),
        }
    }
}

/// What failed in a step.
fn at(step: ListenStep) -> impl FnOnce(io::Error) -> (ListenStep, io::Error) {
    move |error| (step, error)
}

impl ListenError {
    /// Whether another process (or another socket of this one) has the port.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.source.kind() == io::ErrorKind::AddrInUse
    }

    /// Whether the port is privileged, and the process lacks the right to it.
    #[must_use]
    pub fn is_privileged(&self) -> bool {
        self.step == ListenStep::Bind
            && self.addr.port() < 1024
            && self.source.kind() == io::ErrorKind::PermissionDenied
    }
}

/// A listening TCP socket.
#[derive(Debug)]
pub struct TcpListener(AsyncFd<OwnedFd>);

impl TcpListener {
    /// Listens on `addr` with the default [`ListenOptions`]; port 0 is any free port, and an IPv6 address takes IPv6 clients
    /// only. The socket is registered with this thread's runtime.
    ///
    /// For other options, or for sockets that are made on one thread and used on another: [`bind`], then
    /// [`from_std`](Self::from_std).
    ///
    /// # Errors
    /// A [`ListenError`] that names the address; outside of a runtime, too.
    ///
    /// # Panics
    /// In a runtime that was built without `enable_io`.
    pub fn bind(addr: SocketAddr) -> Result<Self, ListenError> {
        let listener = bind_one(addr, true, &ListenOptions::default())?;
        Self::from_std(listener).map_err(|source| ListenError { addr, step: ListenStep::Register, source })
    }

    /// Hands a bound socket that does not block to this thread's runtime.
    ///
    /// # Errors
    /// Outside of a runtime, and where it has no descriptor left.
    ///
    /// # Panics
    /// In a runtime that was built without `enable_io`.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        register(listener.into(), Interest::READABLE).map(Self)
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let addr = socket2::SockRef::from(self.0.get_ref()).local_addr()?;
        addr.as_socket().ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Takes another backlog, and another keepalive and congestion control for what it accepts from now on. Nobody who is
    /// queued is lost.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_options(&self, options: &ListenOptions) -> io::Result<()> {
        let socket = socket2::SockRef::from(self.0.get_ref());
        options.keep_alive.apply(&socket)?;
        options.congestion.change(&socket, bound_to(&socket)?)?;
        socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

/// Drops every SYN that comes, as a classic BPF program sees it: from the TCP header on. Other packets pass, so handshakes
/// that have begun are completed, and a client whose SYN is lost tries again a second later, when the port answers as it
/// will from then on.
const DROP_SYN: [SockFilter; 5] = [
    SockFilter::new(0x30, 0, 0, 13),       // the byte with the flags
    SockFilter::new(0x54, 0, 0, 0x12),     // SYN and ACK of it
    SockFilter::new(0x15, 0, 1, 0x02),     // SYN alone?
    SockFilter::new(0x06, 0, 0, 0),        // dropped
    SockFilter::new(0x06, 0, 0, u32::MAX), // else taken whole
];

impl Listen for TcpListener {
    type Stream = Socket;

    async fn accept(&self) -> io::Result<(Socket, PeerAddr)> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let accepting = |listener: &OwnedFd| Ok(acceptfrom_with(listener, flags)?);
        let (fd, peer) = self.0.async_io(Interest::READABLE, accepting).await?;
        let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok()).ok_or(io::ErrorKind::InvalidData)?;
        Ok((Socket::accepted(fd)?, PeerAddr::new(peer)))
    }

    fn has_queued(&self) -> bool {
        let mut polled = [PollFd::new(self.0.get_ref(), PollFlags::IN)];
        poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    fn shut_door(&self) {
        // Without it all is well but for who comes in the moment before it is closed.
        socket2::SockRef::from(self.0.get_ref()).attach_filter(&DROP_SYN).unwrap_or_default();
    }
}

/// Binds and listens. The socket is not blocking, and `TCP_NODELAY`, `SO_OOBINLINE`, keepalive and congestion control are set
/// on it, so that accepted sockets inherit them without a system call each.
///
/// # Errors
/// A [`ListenError`] that names the address.
pub fn bind(
    addr: BindAddr,
    port: u16,
    options: &ListenOptions,
) -> Result<std::net::TcpListener, ListenError> {
    match addr {
        BindAddr::Ip(ip) => bind_one(SocketAddr::new(ip, port), true, options),
        BindAddr::Dual => bind_one((Ipv6Addr::UNSPECIFIED, port).into(), false, options).or_else(|error| {
            let no_ipv6 =
                matches!(error.source.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL));
            if no_ipv6 { bind_one((Ipv4Addr::UNSPECIFIED, port).into(), true, options) } else { Err(error) }
        }),
    }
}

/// Whether some interface of this machine has the address that is to be listened on, as far as the kernel tells without a port of
/// it being taken or opened.
///
/// # Errors
/// The [`ListenError`] that [`bind`] would end with, where none has it.
pub fn is_here(ip: IpAddr, port: u16) -> Result<(), ListenError> {
    // Ports of UDP are others than those of TCP, and nobody can send to one of its number before it is gone.
    let probe = socket2::Socket::new(Domain::for_address((ip, 0).into()), Type::DGRAM, Some(Protocol::UDP));
    match probe.and_then(|socket| socket.bind(&SocketAddr::new(ip, 0).into())) {
        Err(source) if source.kind() == io::ErrorKind::AddrNotAvailable => {
            Err(ListenError { addr: SocketAddr::new(ip, port), step: ListenStep::Bind, source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Sets the options of a listening socket that was inherited from another process, as [`bind`] does.
///
/// # Errors
/// A [`ListenError`] that names the address that it has.
pub fn adopt(listener: &std::net::TcpListener, options: &ListenOptions) -> Result<(), ListenError> {
    let nowhere = (Ipv4Addr::UNSPECIFIED, 0).into();
    let failed =
        |(step, source)| ListenError { addr: listener.local_addr().unwrap_or(nowhere), step, source };
    take_over(listener, options).map_err(failed)
}

fn take_over(
    listener: &std::net::TcpListener,
    options: &ListenOptions,
) -> Result<(), (ListenStep, io::Error)> {
    let set = |what| at(ListenStep::Set(what));
    listener.set_nonblocking(true).map_err(set("O_NONBLOCK"))?;
    let socket = socket2::SockRef::from(listener);
    // Whoever closed it last may have turned newcomers away while it emptied its queue. There is none to take off otherwise.
    socket.detach_filter().unwrap_or_default();
    prepare(&socket, options)?;
    // It may have come with one that somebody has given it.
    let bound = bound_to(&socket).map_err(at(ListenStep::Bind))?;
    options.congestion.change(&socket, bound).map_err(set("TCP_CONGESTION"))?;
    listen(&socket, options)
}

/// The local address of a socket, which says whether it is about loopback.
fn bound_to(socket: &socket2::Socket) -> io::Result<IpAddr> {
    let addr = socket.local_addr()?.as_socket();
    addr.map(|addr| addr.ip()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// What accepted sockets inherit.
fn prepare(socket: &socket2::Socket, options: &ListenOptions) -> Result<(), (ListenStep, io::Error)> {
    let set = |what| at(ListenStep::Set(what));
    socket.set_tcp_nodelay(true).map_err(set("TCP_NODELAY"))?;
    // An urgent byte is passed on in its place, not dropped.
    socket.set_out_of_band_inline(true).map_err(set("SO_OOBINLINE"))?;
    options.keep_alive.apply(&socket2::SockRef::from(socket)).map_err(set("keepalive"))?;
    // Whatever happens to this process, they reset; see `Socket`.
    socket.set_linger(Some(std::time::Duration::ZERO)).map_err(set("SO_LINGER"))
}

fn listen(socket: &socket2::Socket, options: &ListenOptions) -> Result<(), (ListenStep, io::Error)> {
    let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
    socket.listen(backlog).map_err(at(ListenStep::Bind))
}

fn bind_one(
    addr: SocketAddr,
    v6_only: bool,
    options: &ListenOptions,
) -> Result<std::net::TcpListener, ListenError> {
    open(addr, v6_only, options).map_err(|(step, source)| ListenError { addr, step, source })
}

fn open(
    addr: SocketAddr,
    v6_only: bool,
    options: &ListenOptions,
) -> Result<std::net::TcpListener, (ListenStep, io::Error)> {
    let set = |what| at(ListenStep::Set(what));
    let kind = Type::STREAM.nonblocking();
    let socket = socket2::Socket::new(Domain::for_address(addr), kind, Some(Protocol::TCP))
        .map_err(at(ListenStep::Socket))?;
    if addr.is_ipv6() {
        socket.set_only_v6(v6_only).map_err(set("IPV6_V6ONLY"))?;
    }
    // Not "may share the port" on Linux, but "may bind while old connections of it are in TIME_WAIT".
    socket.set_reuse_address(true).map_err(set("SO_REUSEADDR"))?;
    socket.set_reuse_port(options.reuse_port).map_err(set("SO_REUSEPORT"))?;
    prepare(&socket, options)?;
    options.congestion.begin(&socket, addr.ip()).map_err(set("TCP_CONGESTION"))?;
    socket.bind(&addr.into()).map_err(at(ListenStep::Bind))?;
    listen(&socket, options)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> ListenOptions {
        ListenOptions::default().backlog(16)
    }

    #[tokio::test]
    async fn an_address_is_all_it_takes_to_listen() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let addr = listener.local_addr().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test of the listener without the dialler")]
        let _client = tokio::net::TcpStream::connect(addr).await.unwrap();
        listener.accept().await.unwrap();
        assert!(TcpListener::bind(addr).unwrap_err().is_taken());
    }

    #[test]
    fn outside_of_a_runtime_nothing_is_listened_on_and_the_step_says_why() {
        let error = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap_err();
        assert_eq!(error.step, ListenStep::Register, "{error}");
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let first = bind(BindAddr::Ip(Ipv4Addr::LOCALHOST.into()), 0, &options()).unwrap();
        let port = first.local_addr().unwrap().port();
        let error = bind(BindAddr::Ip(Ipv4Addr::LOCALHOST.into()), port, &options()).unwrap_err();
        assert!(error.is_taken());
        assert!(error.to_string().starts_with(&format!("cannot listen on 127.0.0.1:{port}: ")), "{error}");
    }

    /// 192.0.2.0/24 is for examples (RFC 5737): no machine has it.
    #[test]
    fn an_address_that_no_interface_has_is_told_as_listening_on_it_would_end() {
        let foreign: IpAddr = [192, 0, 2, 1].into();
        let error = bind(BindAddr::Ip(foreign), 8001, &options()).unwrap_err();
        assert_eq!(is_here(foreign, 8001).unwrap_err().to_string(), error.to_string());
        for ip in ["127.0.0.1", "127.9.9.9", "0.0.0.0"] {
            is_here(ip.parse().unwrap(), 1).unwrap();
        }
    }

    /// An option that fails is named, and nobody is told of ports that need a right.
    #[test]
    fn what_could_not_be_done_is_said() {
        let said = |step, number| {
            let (addr, source) = (([127, 0, 0, 1], 80).into(), io::Error::from_raw_os_error(number));
            let error = ListenError { addr, step, source };
            (error.to_string(), error.is_privileged())
        };
        let option = said(ListenStep::Set("IPV6_V6ONLY"), libc::EACCES);
        assert_eq!(
            option,
            (
                "cannot listen on 127.0.0.1:80: IPV6_V6ONLY cannot be set: Permission denied (os error 13)"
                    .into(),
                false
            )
        );
        let port = said(ListenStep::Bind, libc::EACCES);
        assert_eq!(port, ("cannot listen on 127.0.0.1:80: Permission denied (os error 13)".into(), true));
    }

    #[test]
    fn a_port_is_shared_only_among_those_that_ask() {
        let shared = ListenOptions { reuse_port: true, ..options() };
        let first = bind(BindAddr::Ip(Ipv4Addr::LOCALHOST.into()), 0, &shared).unwrap();
        let port = first.local_addr().unwrap().port();
        bind(BindAddr::Ip(Ipv4Addr::LOCALHOST.into()), port, &shared).unwrap();
        assert!(bind(BindAddr::Ip(Ipv4Addr::LOCALHOST.into()), port, &options()).unwrap_err().is_taken());
    }

    #[tokio::test]
    async fn accepted_sockets_inherit_what_the_listener_was_given() {
        let listener = bind(BindAddr::Dual, 0, &options()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let listener = TcpListener::from_std(listener).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test of the listener without the dialler")]
        let _client = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (socket, peer) = listener.accept().await.unwrap();
        assert!(peer.ip().is_ipv4(), "a v4 client of a dual socket is canonical: {peer}");
        let socket = socket2::SockRef::from(&socket);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.out_of_band_inline().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), std::time::Duration::from_secs(75));
    }

    #[tokio::test]
    async fn who_is_queued_is_seen_without_being_accepted() {
        let listener = bind(BindAddr::Ip(Ipv4Addr::LOCALHOST.into()), 0, &options()).unwrap();
        let addr = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        assert!(!listener.has_queued());
        #[expect(clippy::disallowed_methods, reason = "a test of the listener without the dialler")]
        let _client = tokio::net::TcpStream::connect(addr).await.unwrap();
        assert!(listener.has_queued() && listener.has_queued(), "as often as one looks");
        listener.accept().await.unwrap();
        assert!(!listener.has_queued());
    }

    /// Between the last accept and the close nobody gets in who would be reset: his SYN is lost, and he is refused when he
    /// tries again.
    #[tokio::test]
    async fn behind_a_shut_door_who_is_queued_is_accepted_and_who_comes_is_refused() {
        let listener = bind(BindAddr::Ip(Ipv4Addr::LOCALHOST.into()), 0, &options()).unwrap();
        let addr = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test of the listener without the dialler")]
        let connect = || tokio::net::TcpStream::connect(addr);
        let _queued = connect().await.unwrap();
        listener.shut_door();
        let late = connect();
        tokio::pin!(late);
        let none_comes = async {
            listener.accept().await.unwrap();
            listener.accept().await
        };
        let short = std::time::Duration::from_millis(200);
        tokio::select! {
            _ = tokio::time::timeout(short, none_comes) => {}
            connected = &mut late => unreachable!("{connected:?}"),
        }
        drop(listener);
        let late = tokio::time::timeout(std::time::Duration::from_secs(10), late).await.unwrap();
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn a_listener_takes_another_keepalive_and_loses_nobody() {
        let listener = bind(BindAddr::Ip(Ipv4Addr::LOCALHOST.into()), 0, &options()).unwrap();
        let addr = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test of the listener without the dialler")]
        let connect = || tokio::net::TcpStream::connect(addr);
        let _queued = connect().await.unwrap();
        let keep_alive = KeepAlive { idle: crate::Bound::secs(30), ..KeepAlive::default() };
        listener.set_options(&ListenOptions { backlog: 1, keep_alive, ..options() }).unwrap();
        let (first, _) = listener.accept().await.unwrap();
        let _new = connect().await.unwrap();
        let (second, _) = listener.accept().await.unwrap();
        let idle = |socket| socket2::SockRef::from(socket).tcp_keepalive_time().unwrap().as_secs();
        assert_eq!((idle(&first), idle(&second)), (75, 30));
    }
}
