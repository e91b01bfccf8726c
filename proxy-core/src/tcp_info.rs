//! What the kernel knows of a socket of this process, asked by its descriptor's number: for lists of connections.
//!
//! A listing has numbers, not sockets: it must not keep a socket open that its connection closes. So the descriptor may be
//! closed, and another socket's, by the time it is asked for. Whoever asks has to make sure that the answer is about the
//! socket that was meant: [`inode`] before and after tells one socket from another, [`SocketInfo::remote`] whose it is.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use crate::addr::Endpoint;
use crate::sys;

/// A socket as the kernel sees it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SocketInfo {
    /// Its own address; None for a Unix socket without a name.
    pub local: Option<Endpoint>,
    /// The other side's address; None for a Unix socket without a name, and where the other side is gone.
    pub remote: Option<Endpoint>,
    /// What TCP says; None for another kind of socket.
    pub tcp: Option<TcpInfo>,
}

/// `TCP_INFO` (tcp(7), `linux/tcp.h`), as far as it is of use to an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpInfo {
    /// The kernel's number of the state (`include/net/tcp_states.h`): 1 is ESTABLISHED.
    pub state: u8,
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// Its variation.
    pub rtt_var: Duration,
    /// The retransmission timeout.
    pub rto: Duration,
    /// Segments retransmitted since it was opened.
    pub retransmits_total: u32,
    /// Retransmissions of what is on its way now, in a row.
    pub retransmits: u32,
    /// Segments on their way.
    pub unacked: u32,
    /// Bytes that were written and not sent yet.
    pub unsent: u32,
    /// Bytes that were received and not read yet.
    pub unread: u32,
    /// The congestion window, in segments.
    pub congestion_window: u32,
    /// The largest segment that is sent, in bytes.
    pub mss: u32,
    /// Since data was last sent.
    pub last_sent: Duration,
    /// Since data was last received.
    pub last_received: Duration,
    /// Bytes that the other side has acknowledged, as Linux counts them: one more at the side that connected, for its SYN, and one
    /// more once this side's FIN is acknowledged.
    pub acked: u64,
    /// Bytes received, and one more once the other side's FIN is.
    pub received: u64,
}

/// The inode of the socket with this descriptor: no other socket has it for as long as this one is open. None where the
/// descriptor is closed, or no socket.
#[must_use]
pub fn inode(descriptor: RawFd) -> Option<u64> {
    let stat = rustix::fs::stat(format!("/proc/self/fd/{descriptor}")).ok()?;
    let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
    (kind == rustix::fs::FileType::Socket).then_some(stat.st_ino)
}

/// Asks the kernel about the socket with this descriptor. It takes no descriptor to do so.
///
/// # Errors
/// What the kernel says: that the descriptor is closed, or no socket.
pub fn of_descriptor(descriptor: RawFd) -> io::Result<SocketInfo> {
    let local = sys::socket_address(descriptor, sys::Whose::Own)?;
    // Where the other side is gone there is nobody to name.
    let remote = sys::socket_address(descriptor, sys::Whose::Peers).ok();
    Ok(SocketInfo {
        local: endpoint(&local),
        remote: remote.as_ref().and_then(endpoint),
        tcp: if local.is_unix() { None } else { sys::tcp_info(descriptor).ok() },
    })
}

/// Bytes that were written to the socket with this descriptor and that the other side has not acknowledged (a Unix socket's:
/// not read). 0 where the kernel cannot say, and where the descriptor is closed.
#[must_use]
pub fn unacknowledged(descriptor: RawFd) -> usize {
    sys::unacknowledged_of(descriptor)
}

/// Since data was last put on the wire by the TCP socket with this descriptor; since it was opened, if none was. None where
/// there is none.
#[must_use]
pub fn last_sent(descriptor: RawFd) -> Option<Duration> {
    sys::tcp_info(descriptor).ok().map(|info| info.last_sent)
}

fn endpoint(addr: &socket2::SockAddr) -> Option<Endpoint> {
    let ip = addr.as_socket().map(|addr| Endpoint::Ip((addr.ip().to_canonical(), addr.port()).into()));
    ip.or_else(|| addr.as_pathname().map(|path| Endpoint::Unix(path.to_path_buf())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsRawFd;

    fn pair() -> (std::net::TcpStream, std::net::TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test of the calls below the dialler")]
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn bytes_that_nobody_reads_are_seen() {
        let (mut near, far) = pair();
        near.write_all(b"hello").unwrap();
        let told = of_descriptor(far.as_raw_fd()).unwrap();
        assert_eq!(told.local, Some(Endpoint::Ip(far.local_addr().unwrap())));
        assert_eq!(told.remote, Some(Endpoint::Ip(near.local_addr().unwrap())));
        let tcp = told.tcp.unwrap();
        assert_eq!((tcp.state, tcp.unread, tcp.received), (1, 5, 5));
        assert!(tcp.mss > 0 && tcp.rto > Duration::ZERO);
        drop(far);
        assert_eq!(of_descriptor(near.as_raw_fd()).unwrap().remote, None, "the other side is gone");
    }

    #[test]
    fn what_the_other_side_has_not_taken_is_asked_by_number() {
        let (mut near, far) = pair();
        near.set_nonblocking(true).unwrap();
        assert_eq!(unacknowledged(near.as_raw_fd()), 0);
        while near.write(&[0; 65_536]).is_ok() {}
        assert!(unacknowledged(near.as_raw_fd()) > 0);
        assert_eq!(unacknowledged(far.as_raw_fd()), 0, "it has sent nothing");
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!([file.as_raw_fd(), -1, 1 << 20].map(unacknowledged), [0; 3]);
    }

    #[test]
    fn a_unix_socket_has_no_tcp_and_what_is_no_socket_no_inode() {
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let told = of_descriptor(one.as_raw_fd()).unwrap();
        assert_eq!(told, SocketInfo { local: None, remote: None, tcp: None });
        assert_ne!(inode(one.as_raw_fd()), inode(other.as_raw_fd()));
        assert!(inode(one.as_raw_fd()).is_some());
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(inode(file.as_raw_fd()), None);
        assert!(of_descriptor(file.as_raw_fd()).is_err());
        assert!(of_descriptor(-1).is_err());
    }
}
