//! The calls that neither std, socket2 nor rustix has a name for. The only unsafe code of the workspace.
#![expect(unsafe_code, reason = "each function wraps one system call and says why it is sound")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use socket2::SockAddr;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::process::activation::{ActivationError, NoSocket};
use crate::tcp_info::TcpInfo;

/// Registers a descriptor that does not block with this thread's runtime.
///
/// # Errors
/// Outside of a runtime, and where it has no room for it.
pub(crate) fn register(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
    // SAFETY: an `OwnedFd` names the same open descriptor for as long as it lives, and the `AsyncFd`, which owns it, hands
    // out nothing through which it could be replaced or closed before it is deregistered.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(io::Error::from)
}

/// The sockets from descriptor 3 on that whoever started this process says are for it (`sd_listen_fds(3)`); none the second time
/// it is asked, or where they are for another process.
///
/// # Errors
/// Where one of them is not open, is no socket, or is this process's own.
pub(crate) fn activated() -> Result<Vec<OwnedFd>, ActivationError> {
    use std::sync::atomic::{AtomicBool, Ordering};
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let ours = number("LISTEN_PID") == Some(std::process::id());
    let promised = number("LISTEN_FDS").filter(|_| ours).unwrap_or(0);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let taken = (3..).take(promised as usize).map(|descriptor| {
        inheritable(descriptor).map_err(|why| ActivationError { promised, descriptor, why })?;
        // SAFETY: it is open, is a socket, and stays open through an exec. Everything that this process opens does not, so it
        // came with the start; by the protocol it is this process's to close, and it is handed out once.
        Ok(unsafe { own(descriptor) })
    });
    taken.collect()
}

/// Whether a number is a socket that came with the start of this process, or that is made to look so.
fn inheritable(descriptor: RawFd) -> Result<(), NoSocket> {
    // SAFETY: F_GETFD takes no pointer, and a number that is not open is answered with an error.
    let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFD) };
    if flags < 0 {
        return Err(NoSocket::Closed);
    }
    if flags & libc::FD_CLOEXEC != 0 {
        return Err(NoSocket::Own);
    }
    // SAFETY: it is made of integers alone, for which zero is a value.
    let mut about: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the call writes one `stat` to the pointer, which points to one that lives for the call.
    let known = unsafe { libc::fstat(descriptor, &raw mut about) } == 0;
    if known && about.st_mode & libc::S_IFMT == libc::S_IFSOCK { Ok(()) } else { Err(NoSocket::Other) }
}

/// Makes an owner of a number, which is closed with it, and is not passed on to programs that are started.
///
/// # Safety
/// The number has to be an open descriptor that nothing else in this process owns, or closes.
unsafe fn own(descriptor: RawFd) -> OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: F_SETFD takes no pointer.
    unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    // SAFETY: the caller's.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// Bytes in the send queue of a TCP socket that the peer has not acknowledged (`SIOCOUTQ`, tcp(7)).
/// 0 where the kernel cannot say.
pub(crate) fn unacknowledged(fd: BorrowedFd<'_>) -> usize {
    unacknowledged_of(fd.as_raw_fd())
}

/// The same of the socket that has this descriptor now, if any has.
pub(crate) fn unacknowledged_of(descriptor: RawFd) -> usize {
    let mut queued: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (the same number as TIOCOUTQ) writes one c_int to the pointer, which points to one that lives
    // for the call. The descriptor is a mere number, as in `socket_address`.
    let answer = unsafe { libc::ioctl(descriptor, libc::TIOCOUTQ, &raw mut queued) };
    if answer == 0 { usize::try_from(queued).unwrap_or(0) } else { 0 }
}

/// Whether the next byte to be read from a TCP socket is its urgent one (`SIOCATMARK`, tcp(7)): a read stops short there
/// although more may be queued. False where the kernel cannot say.
pub(crate) fn at_urgent_mark(fd: BorrowedFd<'_>) -> bool {
    /// `asm-generic/sockios.h`; libc has no name for it.
    const SIOCATMARK: libc::Ioctl = 0x8905;
    let mut at_mark: libc::c_int = 0;
    // SAFETY: SIOCATMARK writes one c_int to the pointer, which points to one that lives for the call; the descriptor is
    // borrowed, so it is open.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), SIOCATMARK, &raw mut at_mark) };
    answer == 0 && at_mark != 0
}

/// Has a socket that is bound to an address and port 0 get its port when it connects (`IP_BIND_ADDRESS_NO_PORT`, ip(7)): a port is
/// then taken for one target, not for all. Of IPv6 too, whatever its name. A kernel before Linux 4.2 does not know it, and gives
/// the port at once.
///
/// # Errors
/// What the kernel says otherwise.
pub(crate) fn bind_address_no_port(fd: impl std::os::fd::AsFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(0);
    // SAFETY: the call reads `length` bytes from `on`, which is as long and lives for the call; the descriptor is borrowed, so it
    // is open.
    let answer = unsafe {
        let from = (&raw const on).cast();
        let fd = fd.as_fd().as_raw_fd();
        libc::setsockopt(fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, from, length)
    };
    match io::Error::last_os_error() {
        error if answer != 0 && error.raw_os_error() != Some(libc::ENOPROTOOPT) => Err(error),
        _ => Ok(()),
    }
}

/// The process that listens at the other end of a Unix socket (`SO_PEERCRED`, unix(7)), as it was when it began to. None where
/// the kernel cannot say, or may not: it is in a namespace that is not seen from here.
pub(crate) fn peer_process(fd: BorrowedFd<'_>) -> Option<u32> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).ok()?;
    // SAFETY: the call writes at most `length` bytes to `peer`, which is as long, is made of integers alone and lives for the
    // call; the descriptor is borrowed, so it is open.
    let answer = unsafe {
        let to = (&raw mut peer).cast();
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, to, &raw mut length)
    };
    u32::try_from(peer.pid).ok().filter(|pid| answer == 0 && *pid != 0)
}

/// Has the allocator give freed pages back to the kernel.
#[cfg(target_env = "gnu")]
pub(crate) fn trim() {
    // SAFETY: malloc_trim(3) takes no pointer and may be called at any time, from any thread.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators give pages back by themselves.
#[cfg(not(target_env = "gnu"))]
pub(crate) const fn trim() {}

/// Bounds the free memory at the end of each of the allocator's heaps, in bytes.
#[cfg(target_env = "gnu")]
pub(crate) fn retain_at_most(bytes: libc::c_int) {
    // SAFETY: mallopt(3) takes no pointer and may be called at any time. It fails only for a parameter that it does not know.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, bytes) };
}

/// Other allocators keep what they keep.
#[cfg(not(target_env = "gnu"))]
pub(crate) const fn retain_at_most(_: libc::c_int) {}

/// Bytes that the allocator has handed out and that were not given back, of all threads.
#[cfg(target_env = "gnu")]
pub(crate) fn allocated() -> Option<u64> {
    // SAFETY: mallinfo2(3) takes no pointer and may be called at any time, from any thread: it locks each arena.
    let info = unsafe { libc::mallinfo2() };
    Some((info.uordblks as u64).saturating_add(info.hblkhd as u64))
}

/// Other allocators do not say.
#[cfg(not(target_env = "gnu"))]
pub(crate) const fn allocated() -> Option<u64> {
    None
}

/// Which of a socket's two addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Own,
    Peers,
}

/// An address of the socket that has this descriptor now, if any has.
pub(crate) fn socket_address(descriptor: RawFd, whose: Whose) -> io::Result<SockAddr> {
    let call = match whose {
        Whose::Own => libc::getsockname,
        Whose::Peers => libc::getpeername,
    };
    // SAFETY: `storage` and `length` are valid for the call, which writes at most `length` bytes to the one and how many
    // there are to the other. The descriptor is a mere number: where it is closed or no socket the kernel says so, and it
    // is only asked, nothing is read from it, written to it or closed.
    let ((), addr) = unsafe {
        SockAddr::try_init(|storage, length| match call(descriptor, storage.cast(), length) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        })
    }?;
    Ok(addr)
}

/// `TCP_INFO` and `SIOCINQ` (tcp(7)) of the socket that has this descriptor now, if any has.
#[cfg(target_env = "gnu")]
pub(crate) fn tcp_info(descriptor: RawFd) -> io::Result<TcpInfo> {
    let micros = |time: u32| Duration::from_micros(time.into());
    let millis = |time: u32| Duration::from_millis(time.into());
    // SAFETY: it is made of integers alone, for which zero is a value. A kernel that knows less than this writes less.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).unwrap_or(0);
    let mut unread: libc::c_int = 0;
    // SAFETY: the call writes at most `length` bytes to `info`, which is as long and lives for the call. The descriptor is
    // a mere number, as in `socket_address`.
    let answer = unsafe {
        let to = (&raw mut info).cast();
        libc::getsockopt(descriptor, libc::IPPROTO_TCP, libc::TCP_INFO, to, &raw mut length)
    };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: SIOCINQ (the same number as FIONREAD) writes one c_int to the pointer, which points to one that lives for
    // the call. On a listening socket it fails, and leaves 0.
    unsafe { libc::ioctl(descriptor, libc::FIONREAD, &raw mut unread) };
    Ok(TcpInfo {
        state: info.tcpi_state,
        rtt: micros(info.tcpi_rtt),
        rtt_var: micros(info.tcpi_rttvar),
        rto: micros(info.tcpi_rto),
        retransmits_total: info.tcpi_total_retrans,
        retransmits: info.tcpi_retransmits.into(),
        unacked: info.tcpi_unacked,
        unsent: info.tcpi_notsent_bytes,
        unread: u32::try_from(unread).unwrap_or(0),
        congestion_window: info.tcpi_snd_cwnd,
        mss: info.tcpi_snd_mss,
        last_sent: millis(info.tcpi_last_data_sent),
        last_received: millis(info.tcpi_last_data_recv),
        acked: info.tcpi_bytes_acked,
        received: info.tcpi_bytes_received,
    })
}

/// Other C libraries have other ideas of the structure.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn tcp_info(_: RawFd) -> io::Result<TcpInfo> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;

    /// What this process has opened itself is nobody's gift, whatever the environment says.
    #[test]
    fn a_number_is_a_gift_only_if_it_is_a_socket_that_came_with_the_start() {
        use rustix::io::{FdFlags, fcntl_setfd};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(inheritable(listener.as_raw_fd()), Err(NoSocket::Own));
        fcntl_setfd(&listener, FdFlags::empty()).unwrap();
        assert_eq!(inheritable(listener.as_raw_fd()), Ok(()));
        fcntl_setfd(&listener, FdFlags::CLOEXEC).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        fcntl_setfd(&file, FdFlags::empty()).unwrap();
        assert_eq!(inheritable(file.as_raw_fd()), Err(NoSocket::Other));
        assert_eq!(inheritable(1 << 20), Err(NoSocket::Closed));
    }

    #[test]
    fn bytes_are_unacknowledged_until_the_peers_kernel_has_them() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test of the call below the dialler")]
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_nonblocking(true).unwrap();
        assert_eq!(unacknowledged(client.as_fd()), 0);
        // Nobody reads: the peer's receive buffer fills, then ours.
        while client.write(&[0; 65_536]).is_ok() {}
        assert!(unacknowledged(client.as_fd()) > 0);
    }
}
