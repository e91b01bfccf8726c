//! Socket utilities for layer-4 proxies.
//!
//! What two sides of a proxied connection need between `accept` and `close`, each part usable alone:
//!
//! - [`dial`]: the only place that connects, always with a deadline, with an error that names the target;
//! - [`stream`] and [`listen`]: the two seams behind which the network may be real ([`Socket`]) or in memory (`mem`, with the
//!   feature `test-util`);
//! - [`io`]: the bridge from [`Stream`] to tokio's `AsyncRead` and `AsyncWrite`;
//! - [`header`]: the PROXY protocol, both versions, both ways, however a header is split;
//! - [`hello`]: the TLS ClientHello, read incrementally without terminating TLS;
//! - [`ahead`]: bytes that were read before the relay began, kept and replayed;
//! - [`relay`](mod@relay): both directions with half-close, resets that stay resets, and deadlines;
//! - [`late`]: deadlines that passed while a thread was held up;
//! - [`screen`]: a PROXY header from a peer that is not trusted to send one, caught whenever it comes;
//! - [`congestion`]: which congestion control their sockets have;
//! - [`egress`]: which address, interface and mark dialled sockets have;
//! - [`resolve`]: names, cached, with single flight and stale answers;
//! - [`tcp_info`]: what the kernel knows of a socket;
//! - [`process`]: what belongs to the whole process and not to a connection: pipes, reactors, the allocator, sockets it was
//!   started with;
//! - [`unix`]: whether a process listens behind a Unix socket's file, and which.
//!
//! What it is not: it keeps no list of connections (that is `proxy-conn`), chooses no route (`proxy-route`) and reads
//! no configuration file.

pub mod addr;
pub mod ahead;
pub mod congestion;
pub mod dial;
pub mod egress;
pub mod header;
pub mod hello;
pub mod io;
pub mod late;
pub mod listen;
#[cfg(any(test, feature = "test-util"))]
pub mod mem;
pub mod options;
mod pipe;
pub mod process;
mod reactor;
pub mod relay;
pub mod resolve;
pub mod scratch;
pub mod screen;
pub mod socket;
pub mod stream;
mod sys;
pub mod tcp_info;
pub mod unix;

pub use addr::{BindAddr, ClientAddr, Endpoint, ListenAddr, PeerAddr, TargetAddr};
pub use ahead::ReadAhead;
pub use congestion::Congestion;
pub use dial::{Destination, Dial, DialError, TcpDialer};
pub use egress::{Egress, Source};
pub use listen::{Listen, ListenError, ListenStep, TcpListener};
pub use options::{KeepAlive, KeepAliveOverrides, Probes};
pub use proxy_values::{Bound, ByteSize};
pub use relay::{Relay, RelayEnd, Side};
pub use resolve::Resolver;
pub use socket::Socket;
pub use stream::{Kernel, Stream};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
