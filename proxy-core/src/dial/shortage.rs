//! What this machine has run out of, told apart.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Figures of the kernel are not read more often than this, however many dials fail.
const READ_EVERY: Duration = Duration::from_secs(1);

/// What this machine has run out of.
#[derive(Debug)]
#[non_exhaustive]
pub enum Shortage {
    /// Descriptors: of this process (`EMFILE`), or of the system (`ENFILE`).
    Descriptors(io::Error),
    /// Memory of the kernel, or entries of one of its tables.
    Memory(io::Error),
    /// Ports from one address to one target.
    Ports(NoPortLeft),
}

impl Shortage {
    /// The shortage that an error of the kernel is, if it is one.
    pub(super) fn of(error: io::Error) -> Result<Self, io::Error> {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => Ok(Self::Descriptors(error)),
            Some(libc::ENOBUFS | libc::ENOMEM | libc::EAGAIN) => Ok(Self::Memory(error)),
            _ => error.downcast::<NoPortLeft>().map(Self::Ports),
        }
    }

    /// A stable word for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Descriptors(_) => "descriptors",
            Self::Memory(_) => "memory",
            Self::Ports(_) => "ports",
        }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Descriptors(error) if error.raw_os_error() == Some(libc::ENFILE) => {
                write!(f, "this machine ran short of descriptors: {error}; raise fs.file-max")
            }
            Self::Descriptors(error) => {
                write!(
                    f,
                    "this process ran short of descriptors: {error}; raise its limit (`ulimit -n`, `LimitNOFILE=` of a unit)"
                )
            }
            Self::Memory(error) => write!(f, "this machine ran short of memory: {error}"),
            Self::Ports(no_port) => no_port.fmt(f),
        }
    }
}

/// That all ports of one local address are taken by connections to one target, or by what is left of them. Others have theirs:
/// a port is taken for one target alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoPortLeft {
    /// The local address.
    pub from: IpAddr,
    /// The target.
    pub to: SocketAddr,
    /// The first and the last port that the kernel gives out (`net.ipv4.ip_local_port_range`), where it says.
    pub range: Option<(u16, u16)>,
    /// TCP sockets of this network namespace that are open, and those that are in `TIME_WAIT`, to whatever target.
    pub sockets: Option<Sockets>,
}

/// How many TCP sockets a network namespace has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sockets {
    /// Open, or being opened or closed.
    pub open: u32,
    /// In `TIME_WAIT`: closed, and kept for a minute so that nothing that is under way is taken for another connection's.
    pub time_wait: u32,
}

impl NoPortLeft {
    /// Between these, as things are in the network namespace of this thread.
    pub(super) fn between(from: IpAddr, to: SocketAddr) -> Self {
        let (range, sockets) = Figures::lately();
        Self { from, to, range, sockets }
    }

    /// Ports that there are.
    fn ports(&self) -> Option<u32> {
        self.range.map(|(first, last)| u32::from(last.saturating_sub(first)) + 1)
    }

    /// Whether it may be for closed connections that none is left.
    fn is_of_time_wait(&self) -> bool {
        match (self.sockets, self.ports()) {
            (Some(sockets), Some(ports)) => sockets.open < ports || sockets.time_wait >= ports / 2,
            _ => false,
        }
    }
}

impl fmt::Display for NoPortLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no local port is left from {} to {}", self.from, self.to)?;
        if let (Some((first, last)), Some(ports)) = (self.range, self.ports()) {
            write!(f, ": all {ports} ports {first}-{last} are taken")?;
        }
        if let Some(Sockets { open, time_wait }) = self.sockets {
            write!(f, " ({open} TCP sockets are open here, {time_wait} in TIME_WAIT)")?;
        }
        f.write_str("; add addresses to `source`, or widen net.ipv4.ip_local_port_range")?;
        if self.is_of_time_wait() {
            f.write_str(", or use ports in TIME_WAIT again with net.ipv4.tcp_tw_reuse=1")?;
        }
        Ok(())
    }
}

impl std::error::Error for NoPortLeft {}

impl From<NoPortLeft> for io::Error {
    fn from(error: NoPortLeft) -> Self {
        Self::new(io::ErrorKind::AddrNotAvailable, error)
    }
}

type Read = (Option<(u16, u16)>, Option<Sockets>);

/// What the kernel says of ports and sockets.
struct Figures;

impl Figures {
    /// As of a second ago at most.
    fn lately() -> Read {
        static LAST: Mutex<Option<(Instant, Read)>> = Mutex::new(None);
        let now = Instant::now();
        let mut last = LAST.lock();
        match &*last {
            Some((at, read)) if now.duration_since(*at) < READ_EVERY => *read,
            _ => last.insert((now, (Self::range(), Self::sockets()))).1,
        }
    }

    fn range() -> Option<(u16, u16)> {
        let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
        let mut numbers = text.split_whitespace().map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }

    /// Of both families: those that wait are counted together, those that are open apart.
    fn sockets() -> Option<Sockets> {
        let v4 = std::fs::read_to_string("/proc/thread-self/net/sockstat").ok()?;
        let v6 = std::fs::read_to_string("/proc/thread-self/net/sockstat6").unwrap_or_default();
        let open = figure(&v4, "TCP:", "inuse")?.saturating_add(figure(&v6, "TCP6:", "inuse").unwrap_or(0));
        Some(Sockets { open, time_wait: figure(&v4, "TCP:", "tw")? })
    }
}

/// A figure of a line such as `TCP: inuse 27 orphan 0 tw 3`.
fn figure(text: &str, line: &str, name: &str) -> Option<u32> {
    let line = text.lines().find_map(|one| one.strip_prefix(line))?;
    let mut words = line.split_whitespace();
    words.find(|word| *word == name)?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_port(sockets: Sockets) -> String {
        let from = [10, 0, 0, 1].into();
        let to = ([10, 0, 0, 9], 80).into();
        NoPortLeft { from, to, range: Some((32_768, 33_767)), sockets: Some(sockets) }.to_string()
    }

    #[test]
    fn it_is_said_from_where_to_where_and_what_to_do() {
        insta::assert_snapshot!(no_port(Sockets { open: 1004, time_wait: 3 }), @"no local port is left from 10.0.0.1 to 10.0.0.9:80: all 1000 ports 32768-33767 are taken (1004 TCP sockets are open here, 3 in TIME_WAIT); add addresses to `source`, or widen net.ipv4.ip_local_port_range");
        insta::assert_snapshot!(no_port(Sockets { open: 40, time_wait: 970 }), @"no local port is left from 10.0.0.1 to 10.0.0.9:80: all 1000 ports 32768-33767 are taken (40 TCP sockets are open here, 970 in TIME_WAIT); add addresses to `source`, or widen net.ipv4.ip_local_port_range, or use ports in TIME_WAIT again with net.ipv4.tcp_tw_reuse=1");
    }

    #[test]
    fn figures_are_found_by_their_names() {
        let text = "sockets: used 290\nTCP: inuse 27 orphan 0 tw 3 alloc 30 mem 2\nUDP: inuse 5 mem 0\n";
        assert_eq!((figure(text, "TCP:", "inuse"), figure(text, "TCP:", "tw")), (Some(27), Some(3)));
        assert_eq!(figure(text, "UDP:", "tw"), None);
    }

    #[test]
    fn shortages_are_told_apart_and_from_what_is_none() {
        let name = |error| Shortage::of(error).map(|shortage| shortage.name()).ok();
        let of = io::Error::from_raw_os_error;
        assert_eq!(name(of(libc::EMFILE)), Some("descriptors"));
        assert_eq!(name(of(libc::ENOBUFS)), Some("memory"));
        let to = ([10, 0, 0, 9], 80).into();
        assert_eq!(name(NoPortLeft::between([10, 0, 0, 1].into(), to).into()), Some("ports"));
        assert_eq!(name(of(libc::ECONNREFUSED)), None);
        assert_eq!(name(io::ErrorKind::TimedOut.into()), None);
    }
}
