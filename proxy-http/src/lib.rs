//! HTTP in front of backends: conversations with clients, and connections to backends that are kept for the next request.
//!
//! ```text
//!  client ─► serve ─ framing: where each request ends, and nothing that could be read in two ways
//!              │
//!              └─► Handler (the caller's: which backend) ─► Pool ─ Lease::send ─► backend
//!                                                            └─ each connection: a task, an entry of the table, a deadline
//! ```
//! - **A conversation** is one future, that of its client's task. Dropped, whatever is under way is gone with it: a request that nobody
//!   waits for any more is reset at its backend.
//! - **Ends are honest**: a body that broke off never ends as if it were whole, either way.
//! - **What goes on is made anew** from what was parsed ([`message`]), so no two parsers see different messages.
//! - hyper is the parser, both ways. What it lets pass and servers disagree on is refused in front of it ([`framing`]).
//!
//! What it is not: it dials nothing, terminates no TLS and chooses no backend.

mod answer;
mod fault;
pub mod framing;
mod keep;
mod link;
pub mod message;
mod options;
mod page;
mod pool;
mod serve;
mod talk;
mod timer;
mod upload;
mod wire;

pub use answer::Answer;
pub use fault::Fault;
pub use keep::Tunnel;
pub use options::{KeepOptions, Options};
pub use page::{json_page, last, page};
pub use pool::{Lease, Made, Place, Pool, Unsent};
pub use serve::{Asked, Clock, Handler, Served, Told, serve};
pub use upload::Upload;

/// The parser's own types, for those who handle requests.
pub use hyper;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
