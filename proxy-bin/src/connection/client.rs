//! The client before the relay: what it sends is kept and counted, and that it leaves is noticed.

use std::future::Future;
use std::pin::Pin;

use proxy_conn::{Cause, ConnGuard};
use proxy_core::ahead::Left;
use proxy_core::relay::Meter as _;
use proxy_core::{ReadAhead, Side, Stream};
use tokio::time::Instant;

use super::verdict::Verdict;

/// Reads once from the client, and counts it.
pub(super) async fn fill<S: Stream>(
    conn: &ConnGuard,
    client: &S,
    ahead: &mut ReadAhead,
    limit: usize,
) -> Result<(), Verdict> {
    let n = ahead.fill(client, limit).await.map_err(|error| Verdict::lost(conn, Side::Client, &error))?;
    conn.moved(Side::Client, n as u64, Instant::now());
    Ok(())
}

/// What `future` comes to, for as long as the client stays; what it sends meanwhile is kept and counted. Pinned where it is
/// made: passed on by value it would be copied twice.
pub(super) async fn while_client_stays<S: Stream, F: Future>(
    conn: &ConnGuard,
    client: &S,
    ahead: &mut ReadAhead,
    early_data: usize,
    future: Pin<&mut F>,
) -> Result<F::Output, Verdict> {
    let read_before = ahead.total();
    let outcome = tokio::select! {
        biased;
        left = ahead.watch(client, early_data) => Err(left),
        output = future => Ok(output),
    };
    conn.moved(Side::Client, ahead.total() - read_before, Instant::now());
    outcome.map_err(|left| client_left(conn, &left))
}

fn client_left(conn: &ConnGuard, left: &Left) -> Verdict {
    match left {
        Left::Closed => Verdict::of(conn, Cause::ClientLeft),
        Left::Reset(error) => Verdict::lost(conn, Side::Client, error),
    }
}
