//! The admit stage: whether there is room for the connection.

use proxy_conn::{Cause, ConnGuard, Permit};
use proxy_core::Stream;

use super::route::Routed;
use super::verdict::Verdict;

/// A connection that may be served. Its permit is given back after its backend's stream is gone and before its client's.
pub(super) struct Admitted<'p, S, D> {
    pub(super) permit: Permit,
    pub(super) routed: Routed<'p, S, D>,
}

/// Takes a permit of the global limit.
pub(super) fn admit<'p, S: Stream, D>(
    conn: &ConnGuard,
    routed: Routed<'p, S, D>,
) -> Result<Admitted<'p, S, D>, Verdict> {
    let limit = &routed.proxy.connections;
    match limit.acquire() {
        Some(permit) => Ok(Admitted { permit, routed }),
        None => {
            let detail = format!("max_connections {} are open", limit.most());
            Err(Verdict::explained(conn, Cause::GlobalLimit, detail))
        }
    }
}
