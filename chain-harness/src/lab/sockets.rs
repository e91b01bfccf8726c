//! Which sockets processes hold, and in what state the kernel has them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;

use crate::proc::descriptors;

/// TCP's states, as `/proc/net/tcp` numbers them, in the words of `ss`. The one that is not there is for sockets that a
/// process holds and whose connection is over already.
const STATES: [&str; 12] = [
    "closed",
    "established",
    "syn-sent",
    "syn-recv",
    "fin-wait-1",
    "fin-wait-2",
    "time-wait",
    "closed",
    "close-wait",
    "last-ack",
    "listen",
    "closing",
];
const CLOSED: u8 = 7;
const TIME_WAIT: u8 = 6;
const LISTEN: u8 = 10;

/// The kernel's TCP sockets at one moment.
#[derive(Debug, Default)]
pub(super) struct Tcp {
    /// State of each, by inode. Those without an owner have inode 0.
    states: HashMap<u64, u8>,
    /// How many are in TIME-WAIT on each local port.
    time_wait: HashMap<u16, usize>,
}

impl Tcp {
    /// As it is now.
    pub(super) fn read() -> Self {
        let mut tcp = Self::default();
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            tcp.add(&fs::read_to_string(table).unwrap_or_default());
        }
        tcp
    }

    fn add(&mut self, table: &str) {
        for (port, state, inode) in table.lines().skip(1).filter_map(row) {
            if state == TIME_WAIT {
                *self.time_wait.entry(port).or_default() += 1;
            } else if inode != 0 {
                self.states.insert(inode, state);
            }
        }
    }

    /// How many are in TIME-WAIT on the local `port`.
    pub(super) fn time_wait(&self, port: u16) -> usize {
        self.time_wait.get(&port).copied().unwrap_or_default()
    }
}

/// Local port, state and inode of a line of `/proc/net/tcp`.
fn row(line: &str) -> Option<(u16, u8, u64)> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let port = fields.get(1)?.rsplit_once(':')?.1;
    let state = u8::from_str_radix(fields.get(3)?, 16).ok()?;
    Some((u16::from_str_radix(port, 16).ok()?, state, fields.get(9)?.parse().ok()?))
}

/// What processes hold besides connections, once known: inodes of Unix and netlink sockets.
#[derive(Debug, Default)]
pub(super) struct Others(HashSet<u64>);

impl Others {
    /// How many sockets of connections `pids` hold, by state. One that several of them hold counts once.
    pub(super) fn connections(&mut self, pids: &[u32], tcp: &Tcp) -> BTreeMap<String, usize> {
        let held: HashSet<u64> = pids.iter().flat_map(|&pid| descriptors(pid).1).collect();
        let unknown =
            |others: &Self, inode: &u64| !tcp.states.contains_key(inode) && !others.0.contains(inode);
        if held.iter().any(|inode| unknown(self, inode)) {
            self.0.extend(not_tcp());
        }
        let mut counts = BTreeMap::new();
        for inode in held.into_iter().filter(|inode| !self.0.contains(inode)) {
            let state = tcp.states.get(&inode).copied().unwrap_or(CLOSED);
            if state != LISTEN {
                let name = STATES.get(usize::from(state)).copied().unwrap_or("unknown");
                *counts.entry(name.to_owned()).or_default() += 1;
            }
        }
        counts
    }
}

/// The inodes of all sockets that are not TCP's and that proxies use: Unix, netlink, UDP.
fn not_tcp() -> Vec<u64> {
    let column = |table: &str, number: usize| -> Vec<u64> {
        let text = fs::read_to_string(table).unwrap_or_default();
        text.lines().filter_map(|line| line.split_whitespace().nth(number)?.parse().ok()).collect()
    };
    let tables =
        [("/proc/net/unix", 6), ("/proc/net/netlink", 9), ("/proc/net/udp", 9), ("/proc/net/udp6", 9)];
    tables.into_iter().flat_map(|(table, number)| column(table, number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    const LINES: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C350 06 00000000:00000000 03:00001770 00000000     0        0 0 3 0
   2: 0100007F:1F90 0100007F:C351 08 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1
";

    #[test]
    fn rows_have_a_port_a_state_and_an_inode() {
        let mut tcp = Tcp::default();
        tcp.add(LINES);
        assert_eq!(tcp.states, HashMap::from([(4711, LISTEN), (4712, 8)]));
        assert_eq!((tcp.time_wait(8080), tcp.time_wait(8081)), (1, 0));
        assert_eq!(STATES[8], "close-wait");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test's client is no proxy")]
    fn connections_are_counted_and_nothing_else() {
        let pids = [std::process::id()];
        let _unix = std::os::unix::net::UnixStream::pair().unwrap();
        let _udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        drop(client);
        let mine = |state: &str| {
            let counts = Others::default().connections(&pids, &Tcp::read());
            counts.get(state).copied().unwrap_or_default()
        };
        // Other tests of this process have sockets too; none of them waits for a close.
        assert!(mine("close-wait") >= 1);
        assert_eq!(mine("listen"), 0);
        drop(server);
    }
}
