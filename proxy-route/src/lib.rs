//! Which route does a connection take? A compiled table over port, server name, client network and ALPN.
//!
//! ```text
//!  RouteSpec, T ─┐                        ┌─ port, server name, client, ALPN
//!  RouteSpec, T ─┼─► RouteTable::build ─► lookup ─► Matched { index, spec, payload: &T }
//!  RouteSpec, T ─┘      │
//!                       └─► BuildErrors: every duplicate and every ambiguity at once
//! ```
//!
//! What a route restricts is written in a [`Match`]; what it leaves empty it does not restrict. When several
//! routes match a connection, exactly one wins, by rank, compared in this order:
//!
//! 1. the higher priority;
//! 2. the more specific domain: an exact name, then a wildcard with more labels, then one with fewer, then `*`
//!    (any name), then no restriction;
//! 3. the longer client network, then no restriction;
//! 4. a restriction on ALPN over none, and among those the protocol which the client offers first.
//!
//! Two routes which some connection would match with equal rank are refused when the table is built, so the
//! order in which routes are written never matters.
//!
//! This crate is pure. It opens no socket, reads no clock, logs nothing, parses no ClientHello and knows nothing
//! of back-ends: the payload `T` is the caller's. A table is never changed, only replaced by a new one.
//!
//! ```
//! use proxy_route::{Match, Query, RouteSpec, RouteTable};
//!
//! let on_443 = Match::on(["443".parse()?]);
//! let table = RouteTable::build([
//!     (RouteSpec::new("api", on_443.clone().domains(["api.example.com".parse()?])), "10.0.0.1:443"),
//!     (RouteSpec::new("rest", on_443.domains(["*.example.com".parse()?])), "10.0.0.2:443"),
//! ])?;
//!
//! let query = Query::on(443).name("shop.example.com");
//! assert_eq!(table.lookup(&query).map(|m| *m.payload), Some("10.0.0.2:443"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Features: `serde` (the pattern types and [`Match`] through their written form) and `schemars` (their JSON
//! schema).

mod alpn;
mod domain;
mod network;
mod port;
pub mod request;
mod spec;
mod table;
#[cfg(feature = "serde")]
mod text;

pub use alpn::{Alpn, AlpnError};
pub use domain::{DomainError, DomainPattern};
pub use network::{ClientNet, ClientNetError};
pub use port::{PortError, PortRange};
pub use spec::{Match, RouteSpec};
pub use table::{BuildError, BuildErrors, Collision, Matched, Query, RouteTable, Shadowed};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
