//! Chains of proxies on real sockets, with misbehaving clients and backends, held against laws.
//!
//! ```text
//! Wire (client) ─► outer Hop ─► PROXY v2 ─► inner Hop ─► Backend | BlackHole
//!                  └────────── Chain ──────────────┘
//! ```
//! - [`scenario`]: runs one scenario alone in the process, within a bound, and finds descriptors that are left over;
//! - [`Hop`] and [`Chain`]: proxies in this process, whose ends and counts can be looked at;
//! - [`Smartproxy`]: the real binary as a child process, for what only a process can show (signals, exit codes);
//! - [`Wire`], [`Backend`], [`BlackHole`]: the two ends of a chain, well-behaved or not;
//! - [`Peer`]: HAProxy, nginx and OpenSSL, where they are installed, to check our protocol against other people's;
//! - [`eventually`]: a condition with a bound. Nothing here sleeps to be sure, and no port is fixed.
//!
//! What it is not: a load generator, and it is not meant to be used outside tests: it fails by panicking.
#![expect(clippy::missing_panics_doc, clippy::panic, reason = "a harness fails by panicking")]

mod backend;
mod chain;
mod ends;
mod hop;
mod peer;
mod ports;
mod process;
mod scenario;
mod smartproxy;
mod tls;
mod wait;
mod wire;

pub use backend::{Backend, BlackHole, refuses};
pub use chain::Chain;
pub use ends::{EndLine, Ends};
pub use hop::Hop;
pub use peer::Peer;
pub use ports::free_port;
pub use process::Process;
pub use scenario::{open_descriptors, scenario};
pub use smartproxy::Smartproxy;
pub use tls::{Certificate, Handshake, pieces};
pub use wait::{PATIENCE, eventually, within};
pub use wire::{Ending, Received, Wire};
