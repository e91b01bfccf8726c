//! The client before the relay: what it sends is kept and counted, and that it leaves is noticed.

use std::future::poll_fn;
use std::task::Poll;

use proxy_conn::{Cause, ConnGuard, Verdict};
use proxy_core::relay::Meter as _;
use proxy_core::{ReadAhead, Side, Stream};
use tokio::time::Instant;

use crate::generation::Wait;

pub(super) use proxy_conn::while_client_stays;

/// Reads once from a client that has no route yet, and counts it. If there is nothing to read, the client has to be waited for,
/// which it may be only while it has a place to wait in. Cancel-safe.
pub(super) async fn fill<S: Stream>(
    conn: &ConnGuard,
    client: &S,
    ahead: &mut ReadAhead,
    limit: usize,
    wait: &mut Wait<'_>,
) -> Result<(), Verdict> {
    let read = poll_fn(|cx| match ahead.poll_fill(cx, client, limit) {
        Poll::Ready(read) => Poll::Ready(Some(read)),
        Poll::Pending => wait.poll_out(cx).map(|()| None),
    });
    let Some(read) = read.await else { return Err(gave_way(conn, wait.most())) };
    let n = read.map_err(|error| Verdict::lost(conn, Side::Client, &error))?;
    conn.moved(Side::Client, n as u64, Instant::now());
    Ok(())
}

/// Whoever waited for longest has to give way to who comes.
pub(super) fn gave_way(conn: &ConnGuard, most: usize) -> Verdict {
    let detail =
        format!("max_unrouted_connections {most} are waited for, and this one was the oldest of them");
    Verdict::explained(conn, Cause::UnroutedLimit, detail)
}
