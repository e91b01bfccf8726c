//! The kernel's TCP tables through `sock_diag` (netlink): see `sock_diag(7)`, `linux/inet_diag.h`.
//!
//! It is asked for the states that an open descriptor may be in, so the kernel skips what a busy proxy has most of: sockets
//! in `TIME_WAIT`, which belong to no process.

use std::io;
use std::time::Duration;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags};
use netlink_sys::{Socket, SocketAddr as Netlink, protocols::NETLINK_SOCK_DIAG};
use rustix::net::sockopt;

use super::kernel::{Row, TcpState};

/// The most that the kernel puts into one answer is 32 KiB (`netlink_dump` in `net/netlink/af_netlink.c`).
const ANSWER: usize = 64 * 1024;
/// The kernel answers while it is asked; if it does not, somebody filters what it says.
const PATIENCE: Duration = Duration::from_secs(2);
/// `NLMSG_ALIGNTO`: where the next message of an answer begins.
const ALIGNMENT: usize = 4;

/// Calls `each` for every TCP socket of this network namespace that is not in `TIME_WAIT`.
pub(super) fn read(mut each: impl FnMut(Row)) -> io::Result<()> {
    let socket = Socket::new(NETLINK_SOCK_DIAG)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
    let mut answer = Vec::with_capacity(ANSWER);
    for family in [AF_INET, AF_INET6] {
        socket.send_to(&request(family), &Netlink::new(0, 0), 0)?;
        loop {
            answer.clear();
            socket.recv(&mut answer, 0)?;
            if !rows(&answer, &mut each)? {
                break;
            }
        }
    }
    Ok(())
}

fn request(family: u8) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let wanted = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all() - StateFlags::TIME_WAIT,
        socket_id: if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() },
    };
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(wanted).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// Calls `each` for every socket in one answer; whether there are more answers.
fn rows(answer: &[u8], each: &mut impl FnMut(Row)) -> io::Result<bool> {
    let mut rest = answer;
    while !rest.is_empty() {
        let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        if let NetlinkPayload::Done(_) = message.payload {
            return Ok(false);
        }
        if let NetlinkPayload::Error(error) = message.payload {
            return Err(error.to_io());
        }
        if let NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) = message.payload {
            row(&response.header).into_iter().for_each(&mut *each);
        }
        let length = usize::try_from(message.header.length).unwrap_or(usize::MAX);
        rest = rest.get(length.max(1).next_multiple_of(ALIGNMENT)..).unwrap_or_default();
    }
    Ok(!answer.is_empty())
}

fn row(socket: &InetResponseHeader) -> Option<Row> {
    let id = &socket.socket_id;
    Some(Row {
        state: TcpState::from_code(socket.state)?,
        inode: socket.inode.into(),
        local: (id.source_address.to_canonical(), id.source_port).into(),
        remote: (id.destination_address.to_canonical(), id.destination_port).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `struct nlmsghdr` (16 bytes), then `struct inet_diag_req_v2`: 11 states, all but `TIME_WAIT`, a bit each.
    #[test]
    fn the_request_is_what_the_kernel_expects() {
        let request = request(AF_INET6);
        assert_eq!(request.len(), 72);
        assert_eq!(request[16..20], [10, 6, 0, 0]);
        assert_eq!(request[20..24], (0xffe_u32 & !(1 << 6)).to_ne_bytes());
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_fail(answer in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(rows(&answer, &mut |_| ()));
        }

        #[test]
        fn no_socket_makes_it_fail(body in proptest::collection::vec(any::<u8>(), 0..200), family in 0..12_u8) {
            let length = u32::try_from(16 + body.len()).unwrap();
            let mut answer = [&length.to_ne_bytes()[..], &20_u16.to_ne_bytes(), &[0; 10], &body].concat();
            if let Some(first) = answer.get_mut(16) {
                *first = family;
            }
            drop(rows(&answer, &mut |_| ()));
        }
    }
}
