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

    /// A stream of `side` failed with `error`: it reset, or its machine vanished; or it was a call of the proxy's own that
    /// failed, which says nothing of anybody else.
    pub(super) fn lost(conn: &ConnGuard, side: Side, error: &io::Error) -> Self {
        let cause = match (fate(error), side) {
            (Fate::Reset, Side::Client) => Cause::ClientReset,
            (Fate::Vanished, Side::Client) => Cause::ClientVanished,
            (Fate::Reset, Side::Backend) => Cause::BackendReset,
            (Fate::Vanished, Side::Backend) => Cause::BackendVanished,
            (Fate::Ours, _) => {
                let detail =
                    format!("a system call of the proxy's own failed on the {side}'s socket: {error}");
                return Self::explained(conn, Cause::CallFailed, detail);
            }
        };
        Self::of(conn, cause)
    }
}

/// What an error of a stream says of its peer.
enum Fate {
    Reset,
    Vanished,
    /// Nothing.
    Ours,
}

/// By tcp(7) and ip(7), what becomes of a connection; the simulator and streams in memory say it with the same kinds.
#[expect(clippy::wildcard_enum_match_arm, reason = "ErrorKind is open-ended; the rest is no peer's doing")]
fn fate(error: &io::Error) -> Fate {
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => Fate::Reset,
        io::ErrorKind::TimedOut
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown => Fate::Vanished,
        _ => Fate::Ours,
    }
}
