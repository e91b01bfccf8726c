//! What the kernel says: the sockets that this process has open, and their TCP states.
//!
//! `/proc/self/fd` tells which descriptors are sockets and their inodes; `sock_diag`, or `/proc/self/net/tcp{,6}` where
//! that is not to be had, tells each inode's state. A TCP socket in state CLOSE is in no table: for the few descriptors
//! that are in none the kernel is asked for the protocol, which tells a closed TCP socket from one of another kind.
//!
//! The parts are read one after the other while workers go on, so a socket may be missing or half known. Nobody draws a
//! conclusion from one reading.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader};
use std::net::SocketAddr;
use std::os::fd::RawFd;

use super::{diag, proc};

pub use super::proc::read_table;

/// A TCP state, as the kernel numbers them (`include/net/tcp_states.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "they are RFC 9293's")]
#[repr(u8)]
pub enum TcpState {
    Established = 1,
    SynSent = 2,
    SynReceived = 3,
    FinWait1 = 4,
    FinWait2 = 5,
    TimeWait = 6,
    Closed = 7,
    CloseWait = 8,
    LastAck = 9,
    Listen = 10,
    Closing = 11,
    NewSynReceived = 12,
}

impl TcpState {
    const ALL: [Self; 12] = [
        Self::Established,
        Self::SynSent,
        Self::SynReceived,
        Self::FinWait1,
        Self::FinWait2,
        Self::TimeWait,
        Self::Closed,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::Closing,
        Self::NewSynReceived,
    ];

    /// The state with the kernel's number `code`.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as u8 == code)
    }

    /// Whether a socket in it belongs to a connection that is or was established. A listening socket and one that is being
    /// dialled do not: the dial owns the latter, under its own deadline, until it has come to something.
    #[must_use]
    pub const fn is_of_connection(self) -> bool {
        !matches!(self, Self::Listen | Self::SynSent | Self::NewSynReceived)
    }
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynReceived => "SYN_RECV",
            Self::FinWait1 => "FIN_WAIT1",
            Self::FinWait2 => "FIN_WAIT2",
            Self::TimeWait => "TIME_WAIT",
            Self::Closed => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::Closing => "CLOSING",
            Self::NewSynReceived => "NEW_SYN_RECV",
        })
    }
}

/// A socket in one of the kernel's TCP tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its state.
    pub state: TcpState,
    /// Its inode; 0 where no process has it open.
    pub inode: u64,
    /// Its own address.
    pub local: SocketAddr,
    /// Its peer's.
    pub remote: SocketAddr,
}

/// A socket that this process has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnSocket {
    /// Its descriptor.
    pub fd: RawFd,
    /// Its inode, which no other socket has for as long as it is open.
    pub inode: u64,
    /// What is known of it as a TCP socket; None where it is of another protocol, or that is unknown.
    pub tcp: Option<TcpState>,
    /// Its own and its peer's address, where it is in a table.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
}

impl fmt::Display for OwnSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "descriptor {} (inode {}", self.fd, self.inode)?;
        if let Some(state) = self.tcp {
            write!(f, ", {state}")?;
        }
        if let Some((local, remote)) = self.addresses {
            write!(f, ", {local} with {remote}")?;
        }
        f.write_str(")")
    }
}

/// The sockets of this process.
///
/// Invariant: sorted by descriptor, each once.
#[derive(Debug, Clone, Default)]
pub struct Kernel {
    sockets: Vec<OwnSocket>,
}

impl Kernel {
    /// A kernel that says that these are open.
    #[must_use]
    pub fn new(mut sockets: Vec<OwnSocket>) -> Self {
        sockets.sort_unstable_by_key(|socket| socket.fd);
        sockets.dedup_by_key(|socket| socket.fd);
        Self { sockets }
    }

    /// Reads what is open now. Blocks, for about 4.5 µs a socket (82 ms for 18 000, `benches/audit.rs`): most of it
    /// is the link of each descriptor.
    ///
    /// # Errors
    /// Where `/proc` is not mounted, hidden or forbidden, or neither of the two ways to the TCP tables is open.
    pub fn read() -> io::Result<Self> {
        Self::read_with(|each| diag::read(&mut *each).or_else(|_| read_tables(each)))
    }

    /// The same from `/proc/self/net/tcp{,6}` alone.
    ///
    /// # Errors
    /// The same.
    pub fn read_from_proc() -> io::Result<Self> {
        Self::read_with(read_tables)
    }

    fn read_with(tables: impl FnOnce(&mut dyn FnMut(Row)) -> io::Result<()>) -> io::Result<Self> {
        let own = proc::sockets().map_err(|error| explained("/proc/self/fd", &error))?;
        let mut rows: HashMap<u64, Option<Row>> = own.iter().map(|(_, inode)| (*inode, None)).collect();
        tables(&mut |row| {
            if let Some(known) = rows.get_mut(&row.inode) {
                *known = Some(row);
            }
        })?;
        let known = |(fd, inode)| match rows.get(&inode).copied().flatten() {
            Some(row) => Some(listed(fd, row)),
            None => unlisted(fd, inode),
        };
        Ok(Self::new(own.into_iter().filter_map(known).collect()))
    }

    /// All of them, by descriptor.
    #[must_use]
    pub fn sockets(&self) -> &[OwnSocket] {
        &self.sockets
    }

    /// Where the socket with descriptor `fd` is in [`sockets`](Self::sockets).
    #[must_use]
    pub fn position(&self, fd: RawFd) -> Option<usize> {
        self.sockets.binary_search_by_key(&fd, |socket| socket.fd).ok()
    }
}

const fn listed(fd: RawFd, row: Row) -> OwnSocket {
    OwnSocket { fd, inode: row.inode, tcp: Some(row.state), addresses: Some((row.local, row.remote)) }
}

fn unlisted(fd: RawFd, inode: u64) -> Option<OwnSocket> {
    let tcp = match proc::unlisted(fd, inode) {
        proc::Unlisted::ClosedTcp => Some(TcpState::Closed),
        proc::Unlisted::Other => None,
        proc::Unlisted::Gone => return None,
    };
    Some(OwnSocket { fd, inode, tcp, addresses: None })
}

/// Both tables. A kernel without IPv6 has no second one.
fn read_tables(each: &mut dyn FnMut(Row)) -> io::Result<()> {
    for (table, may_lack) in [("/proc/self/net/tcp", false), ("/proc/self/net/tcp6", true)] {
        match File::open(table) {
            Ok(file) => read_table(BufReader::with_capacity(64 * 1024, file), &mut *each),
            Err(error) if may_lack && error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
        .map_err(|error| explained(table, &error))?;
    }
    Ok(())
}

fn explained(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot read {what}: {error}"))
}
