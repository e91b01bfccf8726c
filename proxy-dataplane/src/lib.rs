//! What happens to connections: a proxy as a library, without files, command line or service manager.
//!
//! ```text
//!  Settings ─► Server ─┬─ workers: own threads, own listening sockets ─► connection: header ─► peek ─► route ─► admit ─► dial ─► relay
//!                      ├─ Generation: settings in force, and what is counted by name ◄─ DataPlane::replace
//!                      └─ watch, audit, recovery, checks, names: beside the workers
//! ```
//! - [`settings`]: resolved values that a proxy runs with;
//! - [`server`]: starting, changing and stopping it; [`Server`] and the handle [`DataPlane`];
//! - [`generation`]: what all connections share;
//! - [`connection`]: the life of one connection, from accept to its end, in one screen of code;
//! - [`listeners`], [`workers`]: sockets and threads;
//! - [`pool`], [`watch`], [`descriptors`], [`audit`]: what there may be of connections, and what is done where there is too much.
//!
//! It reads no file and writes none, knows no JSON and no signal, and logs through `tracing`. `examples/embed.rs` runs one inside
//! another program.

mod accept;
pub mod audit;
mod checks;
pub mod connection;
pub mod departures;
pub mod descriptors;
pub mod generation;
pub mod handshakes;
pub mod listeners;
mod names;
pub mod observe;
pub mod omissions;
mod outcomes;
pub mod parked;
pub mod pool;
pub mod resident;
pub mod server;
pub mod settings;
#[cfg(test)]
mod test_settings;
pub mod watch;
pub mod workers;

pub use generation::Generation;
pub use server::{DataPlane, Server};
pub use settings::Settings;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
