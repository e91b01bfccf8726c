//! The kernel's TCP tables through `sock_diag` (netlink): see `sock_diag(7)`, `linux/inet_diag.h`.
//!
//! It is asked for the states that an open descriptor may be in, so the kernel skips what a busy proxy has most of: sockets
//! in `TIME_WAIT`, which belong to no process. Measured with 18 000 sockets: 14 ms, against 60 ms for `/proc/net/tcp`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with, sockopt,
};

use super::kernel::{Row, TcpState};

/// `SOCK_DIAG_BY_FAMILY`, `linux/sock_diag.h`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`, `linux/netlink.h`.
const DUMP: u16 = 0x301;
/// Message types, `linux/netlink.h`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
const FAMILIES: [AddressFamily; 2] = [AddressFamily::INET, AddressFamily::INET6];
/// States asked for, a bit each: 1 to 11, all that a descriptor can be in, but `TIME_WAIT` (6), which belongs to none.
const STATES: u32 = 0xffe & !(1 << 6);
/// `struct nlmsghdr`, and with it `struct inet_diag_req_v2`.
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 56;
/// The most that the kernel puts into one answer is 32 KiB (`netlink_dump` in `net/netlink/af_netlink.c`).
const ANSWER: usize = 64 * 1024;
/// The kernel answers while it is asked; if it does not, somebody filters what it says.
const PATIENCE: Duration = Duration::from_secs(2);

/// Calls `each` for every TCP socket of this network namespace that is not in `TIME_WAIT`.
pub(super) fn read(mut each: impl FnMut(Row)) -> io::Result<()> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(SOCK_DIAG))?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
    let mut answer = vec![0; ANSWER];
    for family in FAMILIES {
        sendto(&socket, &request(family), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        while more(&socket, &mut answer, &mut each)? {}
    }
    Ok(())
}

fn request(family: AddressFamily) -> [u8; REQUEST] {
    let mut request = [0; REQUEST];
    let length = u32::try_from(REQUEST).unwrap_or(0);
    let family = u8::try_from(family.as_raw()).unwrap_or(0);
    let head = length.to_ne_bytes().into_iter().chain(BY_FAMILY.to_ne_bytes()).chain(DUMP.to_ne_bytes());
    let numbers = [0; 8].into_iter();
    let filter = [family, TCP, 0, 0].into_iter().chain(STATES.to_ne_bytes());
    for (to, byte) in request.iter_mut().zip(head.chain(numbers).chain(filter)) {
        *to = byte;
    }
    request
}

/// Reads one answer; whether there are more.
fn more(socket: &OwnedFd, answer: &mut [u8], each: &mut impl FnMut(Row)) -> io::Result<bool> {
    let (length, _) = recv(socket, &mut *answer, RecvFlags::empty())?;
    let mut rest = answer.get(..length).unwrap_or_default();
    while let Some((kind, body, tail)) = message(rest) {
        match kind {
            DONE => return Ok(false),
            ERROR => return Err(error(body)),
            BY_FAMILY => row(body).into_iter().for_each(&mut *each),
            _ => (),
        }
        rest = tail;
    }
    Ok(length > 0)
}

/// A message's type and body, and what follows it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(array(bytes, 0)?)).ok()?;
    let body = bytes.get(HEADER..length)?;
    let next = length.next_multiple_of(4).min(bytes.len());
    Some((u16::from_ne_bytes(array(bytes, 4)?), body, bytes.get(next..)?))
}

fn error(body: &[u8]) -> io::Error {
    let code = array(body, 0).map_or(0, i32::from_ne_bytes);
    io::Error::from_raw_os_error(code.saturating_neg())
}

/// `struct inet_diag_msg`: family, state, two bytes, ports, addresses (16 bytes each), …, inode at 68.
fn row(body: &[u8]) -> Option<Row> {
    let [family, state] = array(body, 0)?;
    let endpoint = |port, ip| {
        let port = u16::from_be_bytes(array(body, port)?);
        let ip = if AddressFamily::from_raw(family.into()) == AddressFamily::INET {
            IpAddr::V4(Ipv4Addr::from(array::<4>(body, ip)?))
        } else {
            IpAddr::V6(Ipv6Addr::from(array::<16>(body, ip)?)).to_canonical()
        };
        Some(SocketAddr::new(ip, port))
    };
    Some(Row {
        state: TcpState::from_code(state)?,
        inode: u32::from_ne_bytes(array(body, 68)?).into(),
        local: endpoint(4, 8)?,
        remote: endpoint(6, 24)?,
    })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_request_is_what_the_kernel_expects() {
        let request = request(AddressFamily::INET6);
        assert_eq!(request.len(), 72);
        assert_eq!(array(&request, 16), Some([10_u8, 6, 0, 0]));
        assert_eq!(array(&request, 20).map(u32::from_ne_bytes), Some(STATES));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_fail(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = row(&body);
            let mut rest = body.as_slice();
            while let Some((_, _, tail)) = message(rest) {
                prop_assert!(tail.len() < rest.len(), "it gets on");
                rest = tail;
            }
        }
    }
}
