//! Ports for those who cannot be handed a bound socket: child processes.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// Where free ports are looked for: below the range from which the kernel takes the ports of outgoing connections
/// (`net.ipv4.ip_local_port_range`, from 32768), so that none of those takes one between our look and its use.
const FROM: u16 = 20_000;
const COUNT: u16 = 12_000;

/// How many ports are tried.
const TRIES: usize = 200;

/// What stands for a port in a configuration text.
pub(crate) const PLACEHOLDERS: [&str; 4] = ["PORT_A", "PORT_B", "PORT_C", "PORT_D"];

/// Those handed out: nobody may be given one that is still to be used.
static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A port of 127.0.0.1 on which nobody listens, never the same twice in a process.
#[must_use]
pub fn free_port() -> u16 {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let given = given.get_or_insert_default();
    let start = std::process::id() as usize * 61;
    for n in 0..TRIES {
        let offset = (start + given.len() + n) % usize::from(COUNT);
        let port = FROM + u16::try_from(offset).expect("an offset is below the count");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && given.insert(port) {
            return port;
        }
    }
    panic!("no free port among {TRIES}");
}

/// `text` with a free port for each placeholder that is in it, and these ports in order.
pub(crate) fn fill(text: &str) -> (String, Vec<u16>) {
    let ports: Vec<_> = placeholders(text).map(|_| free_port()).collect();
    (filled(text, &ports), ports)
}

/// The placeholders that are in `text`.
pub(crate) fn placeholders(text: &str) -> impl Iterator<Item = &'static str> {
    PLACEHOLDERS.into_iter().filter(move |name| text.contains(name))
}

/// `text` with `ports` for its placeholders.
pub(crate) fn filled(text: &str, ports: &[u16]) -> String {
    let names = placeholders(text).zip(ports);
    names.fold(text.to_owned(), |text, (name, port)| text.replace(name, &port.to_string()))
}

/// `text` with `ports` for the placeholders in their order, whether or not it has all of them.
pub(crate) fn refilled(text: &str, ports: &[u16]) -> String {
    let names = PLACEHOLDERS.into_iter().zip(ports);
    names.fold(text.to_owned(), |text, (name, port)| text.replace(name, &port.to_string()))
}

/// States of TCP sockets, as `/proc/net/tcp` has them.
const TIME_WAIT: &str = "06";
const LISTENING: &str = "0A";

/// Whether somebody listens on `port` of an IPv4 address. It makes no connection, which a proxy would pass on.
#[must_use]
pub fn is_listened_on(port: u16) -> bool {
    sockets().iter().any(|socket| socket.local == port && socket.state == LISTENING)
}

/// How many connections to `addr` (IPv4) are in `TIME_WAIT` on its side.
///
/// Where the kernel gave a listener a port with such left from before, it may give the same port to clients of others too.
/// Those lead to somebody who listens, so they are told apart.
#[must_use]
pub fn time_waits(addr: SocketAddr) -> usize {
    let sockets = sockets();
    let listening: HashSet<u16> =
        sockets.iter().filter(|socket| socket.state == LISTENING).map(|socket| socket.local).collect();
    let here = |socket: &&Socket| socket.local == addr.port() && socket.state == TIME_WAIT;
    sockets.iter().filter(here).filter(|socket| !listening.contains(&socket.remote)).count()
}

/// A TCP socket over IPv4: its ports, and its state.
struct Socket {
    local: u16,
    remote: u16,
    state: String,
}

fn sockets() -> Vec<Socket> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux has /proc");
    let port = |addr: &str| u16::from_str_radix(addr.rsplit(':').next()?, 16).ok();
    let socket = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, remote) = (port(fields.next()?)?, port(fields.next()?)?);
        Some(Socket { local, remote, state: fields.next()?.to_owned() })
    };
    table.lines().filter_map(socket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_ports() {
        let (text, ports) = fill("a PORT_A, b PORT_B, a PORT_A");
        assert_eq!(text, format!("a {0}, b {1}, a {0}", ports[0], ports[1]));
        assert_ne!(ports[0], ports[1]);
    }

    #[test]
    fn a_listening_port_is_seen_without_connecting() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(is_listened_on(port));
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err());
        drop(listener);
        assert!(!is_listened_on(port));
    }
}
