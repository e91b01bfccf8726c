//! Chains of proxies on real sockets, with misbehaving clients and backends, held against laws.
//!
//! ```text
//! Wire (client) ─► outer Hop ─► PROXY v2 ─► inner Hop ─► Backend | BlackHole
//!                  └────────── Chain ──────────────┘
//! ```
//! - [`scenario`]: runs one scenario alone in the process, within a bound, and finds descriptors that are left over;
//! - [`Hop`] and [`Chain`]: proxies in this process, two in a row or more, whose ends and counts can be looked at;
//! - [`Smartproxy`] and [`Processes`]: the real binary as a child process, and two in a row, for what only a process can show:
//!   signals, exit codes, SIGKILL and its return, descriptors that run out, descriptors left;
//! - [`Network`]: machines around a router, in network namespaces, of which one can vanish without a packet;
//! - [`Wire`], [`Backend`], [`BlackHole`]: the two ends of a chain, well-behaved or not;
//! - [`Root`] and [`TlsWire`]: TLS in this process, whose backends have certificates of a root of their own;
//! - [`Counting`]: an allocator that knows how much is allocated, for the law that memory comes back;
//! - [`Peer`]: HAProxy, nginx and OpenSSL, where they are installed, to check our protocol against other people's;
//! - [`Pebble`]: an authority that speaks ACME, likewise;
//! - [`laws`]: what must hold of any proxy when all is quiet, as checks over plain data;
//! - [`leaky`]: a proxy with planted faults, by which the laws themselves are tested, over TCP as a [`LeakyHop`];
//! - [`Meeting`]: both ends of one connection in one hand, and what became of it, for the laws;
//! - [`sim`]: the simulated world: hosts, network and clock of its own, whole scenarios from one seed;
//! - [`Contender`]: any proxy as one hop, from the template of its configuration;
//! - [`lab`]: scenarios, black-box, against a chain of two of any contender;
//! - [`eventually`]: a condition with a bound. Nothing here sleeps to be sure, and no port is fixed.
//!
//! Which scenario is held by which file is in `tests/README.md`.
//!
//! What it is not: a load generator, and it is not meant to be used outside tests: it fails by panicking.
#![expect(clippy::missing_panics_doc, clippy::panic, reason = "a harness fails by panicking")]

mod backend;
mod chain;
pub mod config;
mod contender;
mod ends;
mod hello;
mod hop;
pub mod lab;
pub mod laws;
pub mod leaky;
mod leaky_hop;
mod meeting;
mod memory;
mod netns;
mod openssl;
mod peer;
mod ports;
mod proc;
mod process;
mod processes;
pub mod report;
mod scenario;
pub mod sim;
mod smartproxy;
mod tls;
mod wait;
mod wire;

pub use backend::{Backend, BlackHole, GOODBYE, UPGRADED, keep_alive_answer, refuses};
pub use chain::Chain;
pub use contender::{CommandTemplate, Contender, GroupPlan, HopPlan, Launch, Running, StartError};
pub use ends::{EndLine, Ends};
pub use hello::{client_hello, pieces};
pub use hop::Hop;
pub use leaky_hop::LeakyHop;
pub use meeting::{Meeting, with_the_process};
pub use memory::{Counting, allocated, allocated_by_this_thread, allocations_by_this_thread};
pub use netns::{Host, Namespace, Network};
pub use openssl::{Certificate, Handshake};
pub use peer::{Pebble, PebblePlan, Peer};
pub use ports::{free_port, is_listened_on, time_waits};
pub use proc::{Usage, tree};
pub use process::Process;
pub use processes::{Processes, inner_process};
pub use scenario::{open_descriptors, room_for_descriptors, scenario};
pub use smartproxy::Smartproxy;
pub use tls::{Deciphered, Own, Root, TlsWire, Trusting};
pub use wait::{PATIENCE, eventually, settled, within};
pub use wire::{Ending, Received, Wire};
