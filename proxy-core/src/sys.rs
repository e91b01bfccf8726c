//! The calls that neither std, socket2 nor rustix has a name for. The only unsafe code of the workspace.
#![expect(unsafe_code, reason = "each function wraps one system call and says why it is sound")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor that does not block with this thread's runtime.
///
/// # Errors
/// Where the runtime has no room for it.
pub(crate) fn register(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` names the same open descriptor for as long as it lives, and the `AsyncFd`, which owns it, hands
    // out nothing through which it could be replaced or closed before it is deregistered.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(io::Error::from)
}

/// Bytes in the send queue of a TCP socket that the peer has not acknowledged (`SIOCOUTQ`, tcp(7)).
/// 0 where the kernel cannot say.
pub(crate) fn unacknowledged(fd: BorrowedFd<'_>) -> usize {
    let mut queued: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (the same number as TIOCOUTQ) writes one c_int to the pointer, which points to one that lives
    // for the call; the descriptor is borrowed, so it is open.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut queued) };
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

/// Has the allocator give freed pages back to the kernel.
#[cfg(target_env = "gnu")]
pub(crate) fn trim() {
    // SAFETY: malloc_trim(3) takes no pointer and may be called at any time, from any thread.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators give pages back by themselves.
#[cfg(not(target_env = "gnu"))]
pub(crate) const fn trim() {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;

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
