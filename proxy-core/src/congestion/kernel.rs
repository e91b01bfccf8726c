//! What the kernel says of congestion controls.

use std::io;
use std::str::FromStr;
use std::sync::OnceLock;

use socket2::{Domain, Protocol, Socket, Type};

use super::{Algorithm, CongestionError};

/// The algorithms that every process may use, as the kernel lists them. In the namespace of this process; nothing where there is no
/// `/proc`.
#[must_use]
pub fn permitted() -> Vec<Algorithm> {
    let list = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_allowed_congestion_control");
    list.unwrap_or_default().split_whitespace().filter_map(|name| name.parse().ok()).collect()
}

/// The system's default when it was first asked for. Reading it anew for each socket would cost three calls.
pub(super) fn default() -> Option<Algorithm> {
    static FIRST: OnceLock<Option<Algorithm>> = OnceLock::new();
    *FIRST.get_or_init(default_now)
}

/// The system's default: what a new socket has. None where the kernel does not say.
pub(super) fn default_now() -> Option<Algorithm> {
    of(&probe().ok()?).ok()
}

/// A socket to ask.
pub(super) fn probe() -> io::Result<Socket> {
    let open = |domain| Socket::new(domain, Type::STREAM, Some(Protocol::TCP));
    // The setting is of both, whatever its name; a machine may have but one of them.
    open(Domain::IPV4).or_else(|_| open(Domain::IPV6))
}

/// What a socket has.
pub(super) fn of(socket: &Socket) -> io::Result<Algorithm> {
    let name = socket.tcp_congestion()?;
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = str::from_utf8(name).ok().and_then(|name| Algorithm::from_str(name).ok());
    name.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Gives one to a socket.
pub(super) fn set(socket: &Socket, algorithm: Algorithm) -> io::Result<()> {
    socket.set_tcp_congestion(algorithm.as_str().as_bytes())
}

/// Why it could not be given. It reads a file, so only whoever tells somebody should ask.
pub(super) fn refused(name: Algorithm, source: io::Error) -> CongestionError {
    match source.raw_os_error() {
        Some(libc::ENOENT) => CongestionError::Unknown { name, permitted: listed() },
        Some(libc::EPERM) => CongestionError::not_permitted(name),
        _ => CongestionError::Other { name, source },
    }
}

/// The same as a part of a sentence.
pub(super) fn listed() -> String {
    let names: Vec<_> = permitted().iter().map(ToString::to_string).collect();
    if names.is_empty() { "others, which it does not tell".to_owned() } else { names.join(", ") }
}
