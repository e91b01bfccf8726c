//! What is seen of a proxy as it runs, once a second, beside the workers: figures of each part, what they were, and what is wrong.
//!
//! ```text
//!  counters, walks ─► Pictures ─┬─► History ────────┐
//!  limits, targets, workers ────┴─► facts ─► Findings ─► Observed: read by the API; log
//!  the kernel, of some sockets ─► Sampled ───────────────────┘
//! ```

mod facts;
mod picture;
mod sockets;
mod watch;

pub use picture::Pictures;
pub use sockets::{RouteSockets, SocketFigures};
pub use watch::{Host, Observed, Observer};
pub(crate) use watch::{Watched, watch};
