//! What a stage has to say when the connection ends in it.

use std::io;

use proxy_conn::{Cause, ConnGuard, End};
use proxy_core::Side;

/// How the connection ended, and what there is to say beyond that.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) end: End,
    pub(super) detail: Option<Box<str>>,
    /// Whether the client is closed in an orderly way; otherwise it is reset.
    pub(super) orderly: bool,
}

impl From<End> for Verdict {
    fn from(end: End) -> Self {
        Self { end, detail: None, orderly: false }
    }
}

impl Verdict {
    /// `cause`, in the phase that `conn` is in, by whoever usually is at fault.
    pub(super) fn of(conn: &ConnGuard, cause: Cause) -> Self {
        cause.during(conn.phase()).into()
    }

    /// The same, with an explanation.
    pub(super) fn explained(conn: &ConnGuard, cause: Cause, detail: impl Into<Box<str>>) -> Self {
        Self { end: cause.during(conn.phase()), detail: Some(detail.into()), orderly: false }
    }

    /// The same, and the client is closed in an orderly way.
    pub(super) fn in_order(self) -> Self {
        Self { orderly: true, ..self }
    }

    /// A stream of `side` failed with `error`: it reset, or its machine vanished.
    pub(super) fn lost(conn: &ConnGuard, side: Side, error: &io::Error) -> Self {
        let vanished = matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable);
        let cause = match (side, vanished) {
            (Side::Client, false) => Cause::ClientReset,
            (Side::Client, true) => Cause::ClientVanished,
            (Side::Backend, false) => Cause::BackendReset,
            (Side::Backend, true) => Cause::BackendVanished,
        };
        Self::of(conn, cause)
    }
}
