//! What there is to say of a connection whose function has ended, and the causes that errors of `proxy-core` are.
//!
//! ```text
//!  header::ReadError ─┐
//!  Left               ├─► Verdict { end: End { phase, cause, by }, detail, orderly } ─► ConnGuard::end
//!  DialError          │
//!  RelayEnd           ┘
//! ```

use std::io;

use proxy_core::ahead::Left;
use proxy_core::dial::{Closed, DialFailure};
use proxy_core::header::ReadError;
use proxy_core::relay::{RelayDeadline, RelayEnd};
use proxy_core::screen::is_forbidden_header;
use proxy_core::{DialError, Side};
use proxy_values::plural::count;

use crate::end::{By, Cause, End};
use crate::guard::ConnGuard;
use crate::phase::Phase;

/// How a connection ended, and what there is to say beyond that.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a connection that is not told how it ended has been aborted"]
pub struct Verdict {
    /// How it ended.
    pub end: End,
    /// What there is to say beyond that, for a log.
    pub detail: Option<Box<str>>,
    /// Whether the client is closed in an orderly way (FIN); otherwise it is reset.
    pub orderly: bool,
}

impl From<End> for Verdict {
    fn from(end: End) -> Self {
        Self { end, detail: None, orderly: false }
    }
}

/// For functions whose stages end early with `?`.
impl From<Result<Self, Self>> for Verdict {
    fn from(verdict: Result<Self, Self>) -> Self {
        verdict.unwrap_or_else(|early| early)
    }
}

impl Verdict {
    /// `cause`, in the phase of `conn`, by the party that is usually at fault.
    pub fn of(conn: &ConnGuard, cause: Cause) -> Self {
        cause.during(conn.phase()).into()
    }

    /// The same, with an explanation.
    pub fn explained(conn: &ConnGuard, cause: Cause, detail: impl Into<Box<str>>) -> Self {
        Self { end: cause.during(conn.phase()), detail: Some(detail.into()), orderly: false }
    }

    /// The same, and the client is closed in an orderly way.
    pub fn in_order(self) -> Self {
        Self { orderly: true, ..self }
    }

    /// A stream of `side` failed with `error`: the peer reset it, or its machine vanished; or a system call of the proxy's own
    /// failed, which says nothing of the peer.
    pub fn lost(conn: &ConnGuard, side: Side, error: &io::Error) -> Self {
        let cause = Cause::of_failure(side, error);
        if cause == Cause::CallFailed {
            let detail = format!("a system call of the proxy's own failed on the {side}'s socket: {error}");
            return Self::explained(conn, cause, detail);
        }
        Self::of(conn, cause)
    }

    /// The client left before its backend was reached.
    pub fn left(conn: &ConnGuard, left: &Left) -> Self {
        match left {
            Left::Closed => Self::of(conn, Cause::ClientLeft),
            Left::Reset(error) => Self::lost(conn, Side::Client, error),
        }
    }

    /// No PROXY header was read of the client.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "ReadError may grow; what it grows by is a header's fault"
    )]
    pub fn unread(conn: &ConnGuard, error: &ReadError) -> Self {
        let explained = |cause, detail| Self::explained(conn, cause, detail);
        match error {
            ReadError::Left => Self::of(conn, Cause::ClientLeft),
            ReadError::Lost { source, .. } => Self::lost(conn, Side::Client, source),
            ReadError::Timeout { .. } => explained(Cause::HeaderTimeout, format!("{}: {error}", conn.peer())),
            ReadError::Incomplete { read } => {
                let detail = format!(
                    "{} closed after {} of a PROXY header",
                    conn.peer(),
                    count(*read, "byte", "bytes")
                );
                explained(Cause::ClientLeft, detail)
            }
            _ => explained(Cause::HeaderMalformed, error.to_string()),
        }
    }

    /// The client ended after `seen` bytes of a ClientHello. It went of its own accord: nothing is wrong with what it said so
    /// far.
    pub fn cut_hello(conn: &ConnGuard, seen: usize) -> Self {
        Self::explained(conn, Cause::ClientLeft, format!("it closed after {seen} bytes of a ClientHello"))
    }

    /// No target was reached.
    pub fn unreached(conn: &ConnGuard, error: &DialError) -> Self {
        Self::explained(conn, error.into(), error.to_string())
    }

    /// The relay has ended. The client is to be closed in an orderly way if it has been delivered everything.
    pub fn relayed(conn: &ConnGuard, end: &RelayEnd) -> Self {
        match end {
            RelayEnd::Finished { .. } => Self::from(End::of_relay(end, conn.phase())).in_order(),
            RelayEnd::Reset { by, error, delivered } => {
                Self { orderly: *delivered, ..Self::lost_in_relay(conn, *by, error) }
            }
            RelayEnd::Deadline { delivered, .. } => {
                Self { orderly: *delivered, ..End::of_relay(end, conn.phase()).into() }
            }
        }
    }

    fn lost_in_relay(conn: &ConnGuard, by: Side, error: &io::Error) -> Self {
        if by == Side::Client && is_forbidden_header(error) {
            let detail = format!("{} sent a PROXY header that is not expected of it", conn.peer().ip());
            return Self::explained(conn, Cause::HeaderUntrusted, detail);
        }
        Self::lost(conn, by, error)
    }
}

impl End {
    /// How a connection ended whose relay, in `phase`, ended like this.
    #[must_use]
    pub fn of_relay(end: &RelayEnd, phase: Phase) -> Self {
        let cause = Cause::from(end);
        let by = match end {
            RelayEnd::Finished { first } => (*first).into(),
            RelayEnd::Deadline { at_fault: Some(side), .. } => (*side).into(),
            RelayEnd::Deadline { at_fault: None, .. } | RelayEnd::Reset { .. } => cause.usual_culprit(),
        };
        cause.during_by(phase, by)
    }
}

impl From<Side> for By {
    fn from(side: Side) -> Self {
        match side {
            Side::Client => Self::Client,
            Side::Backend => Self::Backend,
        }
    }
}

impl From<&RelayEnd> for Cause {
    fn from(end: &RelayEnd) -> Self {
        match end {
            RelayEnd::Finished { .. } => Self::Finished,
            RelayEnd::Reset { by: Side::Client, error, .. } if is_forbidden_header(error) => {
                Self::HeaderUntrusted
            }
            RelayEnd::Reset { by, error, .. } => Self::of_failure(*by, error),
            RelayEnd::Deadline { which, .. } => (*which).into(),
        }
    }
}

impl From<RelayDeadline> for Cause {
    fn from(which: RelayDeadline) -> Self {
        match which {
            RelayDeadline::Idle => Self::Idle,
            RelayDeadline::HalfClosed => Self::HalfClosed,
            RelayDeadline::WriteStall => Self::WriteStall,
            RelayDeadline::NoData => Self::NoData,
            RelayDeadline::Lifetime => Self::Lifetime,
        }
    }
}

/// The last attempt's failure; where no target was dialled at all, what kept them closed.
impl From<&DialError> for Cause {
    fn from(error: &DialError) -> Self {
        let last = error.attempts.last().and_then(|last| last.kind.failure());
        match (last, error.all_closed()) {
            (Some(failure), _) => failure.into(),
            (None, Some(Closed::Full(_))) => Self::TargetLimit,
            (None, Some(Closed::Draining)) => Self::Draining,
            (None, Some(Closed::Breaker(_)) | None) => Self::TargetsDown,
        }
    }
}

impl From<DialFailure> for Cause {
    fn from(failure: DialFailure) -> Self {
        match failure {
            DialFailure::Refused => Self::DialRefused,
            DialFailure::Unreachable => Self::DialUnreachable,
            DialFailure::Timeout => Self::DialTimeout,
            DialFailure::Reset => Self::DialReset,
            DialFailure::Unresolved => Self::DialUnresolved,
            DialFailure::Shortage => Self::DialShortage,
            DialFailure::Egress => Self::DialEgress,
            DialFailure::Failed => Self::DialFailed,
        }
    }
}

impl Cause {
    /// What an error of the stream of `side` says of its peer, by tcp(7) and ip(7); streams in memory and simulators use the
    /// same kinds. [`Cause::CallFailed`] where it says nothing of the peer.
    #[must_use]
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "ErrorKind is open-ended; the rest is no peer's doing"
    )]
    pub fn of_failure(side: Side, error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        let [reset, vanished, truncated] = match side {
            Side::Client => [Self::ClientReset, Self::ClientVanished, Self::ClientTruncated],
            Side::Backend => [Self::BackendReset, Self::BackendVanished, Self::BackendTruncated],
        };
        match error.kind() {
            Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::ConnectionRefused
            | Kind::BrokenPipe
            | Kind::NotConnected => reset,
            // No socket ends so: a stream that says when nothing more comes, and was ended before it did.
            Kind::UnexpectedEof => truncated,
            Kind::TimedOut | Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => vanished,
            _ => Self::CallFailed,
        }
    }
}

#[cfg(test)]
mod tests;
