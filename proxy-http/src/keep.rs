//! The owner of one connection to a backend: a task that holds its stream, its place among the target's connections, and its entry in
//! the table.
//!
//! ```text
//!  made ─► busy ◄─────► idle ─► closed in order: idle for too long, too old, of no further use
//!           │ └─ switched to another protocol: handed over to the client's task, entry and all
//!           └─► reset: its request was abandoned, or it was killed
//! ```

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::client::conn::http1;
use proxy_conn::{Cause, ConnGuard, DeadlineKind, End, Permit, Phase, Reason};
use proxy_core::{Side, Stream};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::fault::Fault;
use crate::link::{Fate, Link};
use crate::timer::has_passed;
use crate::upload::Upload;
use crate::wire::BackendWire;

/// A connection that has left HTTP behind: its stream, and what was read of it already. Dropped, it resets.
pub struct Tunnel<B> {
    /// The stream.
    pub stream: B,
    /// What the backend has sent behind its answer.
    pub read: Vec<u8>,
    /// Its place among the target's connections.
    pub permit: Permit,
    /// Its entry as a pooled connection; dropped when it is another's.
    pub conn: Arc<ConnGuard>,
}

impl<B> std::fmt::Debug for Tunnel<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnel").field("conn", &self.conn).finish_non_exhaustive()
    }
}

/// What the task holds. Dropped in this order: the stream, the place, the entry.
pub(crate) struct Kept<B: Stream + Unpin + 'static> {
    pub(crate) connection: http1::Connection<BackendWire<B>, Upload>,
    pub(crate) link: Arc<Link>,
    pub(crate) permit: Permit,
    pub(crate) conn: Arc<ConnGuard>,
    pub(crate) waits: Waits,
}

/// How long it is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    pub(crate) idle: Duration,
    pub(crate) silence: Duration,
    pub(crate) retire_at: Instant,
}

/// Why the task lets go of it.
enum Out {
    Hyper(Result<(), hyper::Error>),
    Cancelled(Reason),
    Idle,
    Old,
    Silent,
    Retired,
    Abandoned,
}

impl<B: Stream + Unpin + 'static> Kept<B> {
    /// Owns the connection until it is of no further use.
    pub(crate) async fn keep(mut self) {
        let out = {
            let Self { connection, link, conn, waits, .. } = &mut self;
            let mut cancelled = pin!(conn.cancelled());
            let mut timer = pin!(sleep_until(Instant::now()));
            poll_fn(|cx| {
                if let Poll::Ready(reason) = cancelled.as_mut().poll(cx) {
                    return Poll::Ready(Out::Cancelled(reason));
                }
                if let Poll::Ready(done) = connection.poll_without_shutdown(cx) {
                    return Poll::Ready(Out::Hyper(done));
                }
                poll_rest(cx, conn, link, waits, timer.as_mut())
            })
            .await
        };
        self.let_go(out);
    }

    fn let_go(self, out: Out) {
        let Self { connection, link, permit, conn, .. } = self;
        let say = |end: End, detail: Option<Box<str>>| conn.end(end, detail);
        let phase = conn.phase();
        let idle = phase == Phase::Idle;
        let (cause, orderly, fault) = match out {
            Out::Hyper(Ok(())) => {
                let parts = connection.into_parts();
                if let Some(error) = &parts.io.lost {
                    let fault = Fault::new(Cause::of_failure(Side::Backend, error), error.to_string());
                    say(fault.cause.during(phase), Some(fault.detail.clone()));
                    link.goes(Some(fault), None);
                    return;
                }
                say(Cause::Finished.during(phase), None);
                if parts.io.ended || !link.may_switch() {
                    link.goes(None, None);
                    parts.io.stream.finish();
                    return;
                }
                let (stream, read) = (parts.io.stream, parts.read_buf.to_vec());
                drop(parts.io.conn);
                link.goes(None, Some(Box::new(Tunnel { stream, read, permit, conn })));
                return;
            }
            Out::Hyper(Err(error)) => {
                let fault = Fault::of_backend(&error);
                (fault.cause, false, Some(fault))
            }
            Out::Cancelled(reason) => {
                let detail = "the connection to the backend was ended here";
                (reason.cause(), idle, Some(Fault::new(reason.cause(), detail)))
            }
            Out::Idle => (Cause::Idle, true, None),
            Out::Old => (Cause::Lifetime, true, None),
            Out::Retired => (Cause::Finished, true, None),
            Out::Silent => {
                let detail = "nothing moved on its connection for longer than all deadlines";
                (Cause::BackendTimeout, false, Some(Fault::new(Cause::BackendTimeout, detail)))
            }
            Out::Abandoned => (Cause::ClientLeft, false, None),
        };
        let detail = fault.as_ref().map(|fault| fault.detail.clone());
        say(cause.during(phase), detail);
        // Told before the stream goes: whoever reads of it takes no end for that of a whole answer.
        link.goes(fault, None);
        if orderly {
            connection.into_parts().io.stream.finish();
        }
    }
}

fn poll_rest(
    cx: &mut Context<'_>,
    conn: &ConnGuard,
    link: &Link,
    waits: &Waits,
    timer: Pin<&mut Sleep>,
) -> Poll<Out> {
    let (busy, fate) = link.look(cx);
    match (fate, busy) {
        (Fate::Abandoned, _) => return Poll::Ready(Out::Abandoned),
        (Fate::Retired, false) => return Poll::Ready(Out::Retired),
        (Fate::Kept, _) | (Fate::Retired, true) => {}
    }
    let now = Instant::now();
    let (phase, kind) =
        if busy { (Phase::Busy, DeadlineKind::ResponseHead) } else { (Phase::Idle, DeadlineKind::KeepAlive) };
    if conn.phase() != phase {
        // A way that does not exist is noted by the guard.
        conn.enter(phase, now, kind).unwrap_or_default();
    }
    let in_phase = conn.in_phase_for(now);
    let due = if busy {
        now + waits.silence.saturating_sub(in_phase.min(conn.silent_for(now)))
    } else {
        (now + waits.idle.saturating_sub(in_phase)).min(waits.retire_at.max(now))
    };
    conn.deadline(due, kind);
    if !has_passed(timer, cx, now, due) {
        return Poll::Pending;
    }
    Poll::Ready(match busy {
        true => Out::Silent,
        false if now >= waits.retire_at => Out::Old,
        false => Out::Idle,
    })
}
