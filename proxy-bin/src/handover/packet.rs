//! What two processes say to each other: packets of a few lines, with descriptors beside them.
//!
//! ```text
//! smartproxy takeover 1        the version
//! sockets | last               what it is; `last` is the end of the sockets
//!   | ready | failed
//! 127.0.0.1:8001               a name for each descriptor of the packet, in their order; or why it failed
//! ```

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::Passed;

/// The descriptors of one packet, at most (`SCM_MAX_FD`, unix(7)).
const MOST: usize = 253;

/// The longest packet: so many names of listeners, and then some.
const LONGEST: usize = 64 << 10;

const VERSION: &str = "smartproxy takeover 1";

/// Why something is no packet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// Another version, or something else altogether.
    #[error("it says {0:?}, not {VERSION:?}")]
    Version(String),
    /// It has another number of descriptors than of names, or it was cut.
    #[error("a message was cut")]
    Cut,
    /// Something that does not belong here.
    #[error("{0:?} was not expected")]
    Unexpected(String),
    /// The other end has gone.
    #[error("nothing more comes")]
    Ended,
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a packet is.
#[derive(Debug)]
pub(super) enum Packet {
    Sockets(Vec<Passed>),
    Last,
    Ready,
    /// Why the new process goes.
    Failed(String),
}

/// Sends all sockets, then that these were the last; `wait` waits before each packet until there is room for one.
pub(super) fn send_sockets<E: From<io::Error>>(
    way: impl AsFd,
    sockets: &[Passed<impl AsFd>],
    wait: impl Fn() -> Result<(), E>,
) -> Result<(), E> {
    for part in sockets.chunks(MOST) {
        wait()?;
        let names: Vec<_> = part.iter().map(|passed| passed.name.as_str()).collect();
        let descriptors: Vec<_> = part.iter().map(|passed| passed.socket.as_fd()).collect();
        send(&way, &format!("{VERSION}\nsockets\n{}", names.join("\n")), &descriptors)?;
    }
    wait()?;
    Ok(send(&way, &format!("{VERSION}\nlast"), &[])?)
}

/// Receives sockets until the last.
pub(super) fn receive_sockets(way: impl AsFd) -> Result<Vec<Passed>, PacketError> {
    let mut sockets = Vec::new();
    loop {
        match receive(&way)? {
            Packet::Sockets(more) => sockets.extend(more),
            Packet::Last => return Ok(sockets),
            Packet::Ready => return Err(PacketError::Unexpected("ready".to_owned())),
            Packet::Failed(_) => return Err(PacketError::Unexpected("failed".to_owned())),
        }
    }
}

pub(super) fn send_ready(way: impl AsFd) -> io::Result<()> {
    send(way, &format!("{VERSION}\nready"), &[])
}

/// Says why this process goes, in so many bytes as any reader takes.
pub(super) fn send_failed(way: impl AsFd, why: &str) -> io::Result<()> {
    let why: String = why.chars().take(LONGEST / 8).collect();
    send(way, &format!("{VERSION}\nfailed\n{why}"), &[])
}

fn send(way: impl AsFd, text: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(way, &[IoSlice::new(text.as_bytes())], &mut beside, SendFlags::NOSIGNAL)?;
    Ok(())
}

pub(super) fn receive(way: impl AsFd) -> Result<Packet, PacketError> {
    let mut text = vec![0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let flags = RecvFlags::CMSG_CLOEXEC;
        match recvmsg(&way, &mut [IoSliceMut::new(&mut text)], &mut beside, flags) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other.map_err(io::Error::from)?,
        }
    };
    let descriptors: Vec<OwnedFd> = beside
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            RecvAncillaryMessage::ScmCredentials(_) | _ => None,
        })
        .flatten()
        .collect();
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(PacketError::Cut);
    }
    text.truncate(received.bytes);
    if text.is_empty() {
        return Err(PacketError::Ended);
    }
    parse(&String::from_utf8_lossy(&text), descriptors)
}

fn parse(text: &str, descriptors: Vec<OwnedFd>) -> Result<Packet, PacketError> {
    let mut lines = text.split('\n');
    let version = lines.next().unwrap_or_default();
    if version != VERSION {
        return Err(PacketError::Version(version.chars().take(80).collect()));
    }
    let what = lines.next().unwrap_or_default();
    if what == "failed" && descriptors.is_empty() {
        return Ok(Packet::Failed(lines.collect::<Vec<_>>().join("\n")));
    }
    let names: Vec<_> = lines.map(str::to_owned).collect();
    if names.len() != descriptors.len() {
        return Err(PacketError::Cut);
    }
    match what {
        "sockets" => {
            let both = names.into_iter().zip(descriptors);
            Ok(Packet::Sockets(both.map(|(name, socket)| Passed { name, socket }).collect()))
        }
        "last" => Ok(Packet::Last),
        "ready" => Ok(Packet::Ready),
        other => Err(PacketError::Unexpected(other.chars().take(80).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::net::TcpListener;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
    }

    #[test]
    fn more_sockets_than_fit_into_one_packet_arrive_in_order() {
        let (old, new) = pair();
        let listeners: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let sockets: Vec<Passed> = (0..600)
            .map(|n| {
                let socket = listeners[n % 3].try_clone().unwrap().into();
                Passed { name: listeners[n % 3].local_addr().unwrap().to_string(), socket }
            })
            .collect();
        let arrived = std::thread::scope(|threads| {
            threads.spawn(|| send_sockets(&old, &sockets, || io::Result::Ok(())).unwrap());
            receive_sockets(&new).unwrap()
        });
        assert_eq!(arrived.len(), 600);
        for (sent, Passed { name, socket }) in sockets.iter().zip(arrived) {
            assert_eq!(sent.name, name);
            assert_eq!(TcpListener::from(socket).local_addr().unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_is_no_handover_is_named() {
        let said = |text: &str| {
            let (old, new) = pair();
            send(&old, text, &[]).unwrap();
            drop(old);
            receive_sockets(&new).unwrap_err().to_string()
        };
        insta::assert_snapshot!(said("hello"), @r#"it says "hello", not "smartproxy takeover 1""#);
        insta::assert_snapshot!(said("smartproxy takeover 2\nlast"), @r#"it says "smartproxy takeover 2", not "smartproxy takeover 1""#);
        insta::assert_snapshot!(said("smartproxy takeover 1\nfirst"), @r#""first" was not expected"#);
        insta::assert_snapshot!(said("smartproxy takeover 1\nready"), @r#""ready" was not expected"#);
        insta::assert_snapshot!(said("smartproxy takeover 1\nsockets\na\nb"), @"a message was cut");
        let (old, new) = pair();
        drop(old);
        insta::assert_snapshot!(receive_sockets(new).unwrap_err(), @"nothing more comes");
    }
}
